//! Owners that are told by the store itself that another node left something for them: each watches one key
//! of each of its partitions, which such commits write (table 22; cluster §8, §10). It is the net under the calls
//! between nodes, which are lost where nodes do not reach each other; the look every two seconds is the net under this.
//!
//! ```text
//!  ours by now ─▶ follow ─▶ watch ──(another node commits)──▶ watch again ─▶ tell ─▶ a pause ─┐
//!                    │        ▲                                                               │
//!                    │        └───────────────────────────────────────────────────────────────┘
//!                    └─▶ one look at all intakes: for what was left before
//! ```
//!
//! What it costs: a row more in a commit that leaves something abroad, no commit more; one watch for each partition
//! that is owned, 1,024 in the worst case of the 10,000 that a connection may have; one begun again, and a look into
//! an intake that whoever was called has emptied already, at most every [`INTAKE_WAKE_INTERVAL`]. A process that is
//! alone with its store has nothing of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use futures_util::stream::{self, StreamExt as _};
use mesh_common::cluster::PartitionId;
use mesh_common::limits::{
    INTAKE_POLL_INTERVAL, INTAKE_WAKE_INTERVAL, INTAKE_WATCHES_BEGUN_AT_ONCE,
};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::Inner;
use crate::partition::shared::{Shared, chain};
use crate::store::{Store, StoreError, Watch, keys};

/// What is done about a partition for which something was left.
type Tell = Arc<dyn Fn(PartitionId) + Send + Sync>;

/// The watches of one node, each in a task of its own. They end with this.
pub(crate) struct Waking<S: Store> {
    shared: Arc<Shared<S>>,
    tell: Tell,
    tasks: JoinSet<()>,
    watched: BTreeMap<PartitionId, AbortHandle>,
}

impl<S: Store> Waking<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, tell: Tell) -> Self {
        Self {
            shared,
            tell,
            tasks: JoinSet::new(),
            watched: BTreeMap::new(),
        }
    }

    /// Watches what is ours by now, and no more what is not. Ends at the first watch that cannot be set: the rest is
    /// tried again later. Says whether anything is watched that was not before: what was left for it until now is
    /// to be looked for.
    pub(crate) async fn follow(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        let shared = &self.shared;
        self.watched.retain(|partition, task| {
            let is_kept = shared.owns(*partition) && !task.is_finished();
            if !is_kept {
                task.abort();
            }
            is_kept
        });
        let ours = PartitionId::all().filter(|one| shared.owns(*one));
        let new = ours.filter(|one| !self.watched.contains_key(one));
        let new: Vec<PartitionId> = new.collect();
        let begun = stream::iter(new)
            .map(|partition| async move { (partition, watch(shared, partition).await) })
            .buffer_unordered(INTAKE_WATCHES_BEGUN_AT_ONCE);
        let mut begun = std::pin::pin!(begun);
        let mut is_more = false;
        while let Some((partition, watch)) = begun.next().await {
            let Ok(watch) = watch.inspect_err(complain) else {
                break;
            };
            let waiting = wait(Arc::clone(shared), partition, watch, Arc::clone(&self.tell));
            self.watched.insert(partition, self.tasks.spawn(waiting));
            is_more = true;
        }
        is_more
    }

    /// For tests: how many partitions are watched.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let watched = self.watched.values();
        watched.filter(|task| !task.is_finished()).count()
    }
}

async fn watch<S: Store>(shared: &Shared<S>, partition: PartitionId) -> Result<Watch, StoreError> {
    shared.store.watch(&keys::wake_in(partition)).await
}

fn complain(error: &StoreError) {
    let cause = chain(error);
    tracing::debug!(cause, "an intake cannot be watched; it is looked at");
}

/// Tells of `partition` whenever `watch`, or one after it, says that something was left there; until one is lost.
async fn wait<S: Store>(shared: Arc<Shared<S>>, partition: PartitionId, watch: Watch, tell: Tell) {
    let mut current = watch;
    loop {
        if let Err(error) = current.await {
            return complain(&error);
        }
        let pause_ends = Instant::now() + INTAKE_WAKE_INTERVAL;
        // Before anybody looks: what is left after that look is told of again.
        let next = self::watch(&shared, partition).await;
        tell(partition);
        match next {
            Ok(watch) => current = watch,
            Err(error) => return complain(&error),
        }
        tokio::time::sleep_until(pause_ends).await;
    }
}

impl<S: Store> Inner<S> {
    /// Has owners woken by the store, where other nodes leave something for them.
    pub(super) fn begin_waking(self: &Arc<Self>) {
        let (thread, membership) = (self.threads.first(), &self.shared.membership);
        let Some((thread, membership)) = thread.zip(membership.as_ref()) else {
            return;
        };
        if membership.roles().backend {
            let home = Arc::downgrade(self);
            let tell = Arc::new(move |partition| {
                let inner = home.upgrade().filter(|inner| !inner.is_stopping());
                if let Some(inner) = inner {
                    inner.nudge(partition);
                }
            });
            let waking = Waking::new(Arc::clone(&self.shared), tell);
            thread.spawn(run(Arc::downgrade(self), waking));
        }
    }
}

/// Follows what is owned until the back-end is gone.
async fn run<S: Store>(home: Weak<Inner<S>>, mut waking: Waking<S>) {
    let Some(changed) = home.upgrade().map(|inner| Arc::clone(&inner.owned_changed)) else {
        return;
    };
    let mut polls = tokio::time::interval(INTAKE_POLL_INTERVAL);
    polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.notified() => {}
            _ = polls.tick() => {}
        }
        if home.upgrade().is_none_or(|inner| inner.is_stopping()) {
            return;
        }
        if waking.follow().await
            && let Some(inner) = home.upgrade()
        {
            inner.intakes_unknown.notify_one();
        }
    }
}
