//! Which shards of destinations this node holds, as of now: the place where the loop that claims them
//! and the dispatcher that works for them meet (cluster §4.3, delivery §11).
//!
//! ```text
//!  the loop of the node:  take_on ─────────▶ ┌────────┐ ─▶ Dispatcher: how their owners before ended,
//!                         let_go, gone ────▶ │ Shards │    what waits, transfers
//!                         lost ◀──────────── └────────┘ ◀─ lost to others, let go of
//! ```
//!
//! What is told here outlives a life of the dispatcher: whoever comes next finds it. Where one process has
//! the store alone, all shards are claimed at once and nothing of this changes while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_common::cluster::{Fence, Ownership};
use mesh_common::delivery::ShardId;
use mesh_common::limits::OUTBOUND_STOP_TIME_MAX;
use tokio::sync::{Notify, oneshot};

use crate::pace::Pace;

/// Time after which a shard is let go of whatever is under way: transfers end before, and so does a commit.
const LET_GO_TIME_MAX: Duration = OUTBOUND_STOP_TIME_MAX.saturating_add(Duration::from_secs(1));

/// How this node holds a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// The record by which it does.
    pub(crate) ownership: Ownership,
    /// Whether the owner before had not let go of it.
    pub(crate) was_active: bool,
    /// Whether it is to be let go of.
    pub(crate) is_leaving: bool,
}

/// How a tenure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing of it is under way any more: the record may be released.
    LetGo,
    /// Others hold the shard, or it was not held here.
    Gone,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<ShardId, Tenure>,
    /// Counts the changes of `held`.
    revision: u64,
    /// Shards that others were found to hold, with the claims by which they were ours.
    lost: BTreeMap<ShardId, Fence>,
    /// Who waits for the end of a tenure.
    waiting: BTreeMap<ShardId, Vec<oneshot::Sender<Ended>>>,
}

impl State {
    /// Whether the tenure is still the one that `ownership` is the record of.
    fn is_held_by(&self, shard: ShardId, ownership: &Ownership) -> bool {
        let tenure = self.held.get(&shard);
        tenure.is_some_and(|tenure| tenure.ownership == *ownership)
    }

    fn end(&mut self, shard: ShardId, how: Ended) -> bool {
        for reply in self.waiting.remove(&shard).unwrap_or_default() {
            let _gone = reply.send(how);
        }
        let was_held = self.held.remove(&shard).is_some();
        self.revision += u64::from(was_held);
        was_held
    }
}

/// The shards of a node.
#[derive(Debug)]
pub(crate) struct Shards {
    /// Whether other nodes may hold some of the shards.
    are_shared: bool,
    state: Mutex<State>,
    changed: Notify,
    lost: Notify,
    ended: Notify,
    /// Whether nothing new may begin: whoever cannot renew what it says of itself is about to lose all.
    is_resting: AtomicBool,
}

impl Shards {
    /// The shards of a process that has the store alone.
    pub(crate) fn all_at_once() -> Self {
        Self::new(false)
    }

    /// The shards of a node of a cluster: at first none.
    pub(crate) fn one_by_one() -> Self {
        Self::new(true)
    }

    fn new(are_shared: bool) -> Self {
        Self {
            are_shared,
            state: Mutex::default(),
            changed: Notify::new(),
            lost: Notify::new(),
            ended: Notify::new(),
            is_resting: AtomicBool::new(false),
        }
    }

    /// Whether other nodes may hold some of the shards.
    pub(crate) const fn are_shared(&self) -> bool {
        self.are_shared
    }

    // ---- The loop of the node ----

    /// This node has claimed `shard`, and is to work for it. `was_active`: the owner before had not let
    /// go of it.
    pub(crate) fn take_on(&self, shard: ShardId, ownership: Ownership, was_active: bool) {
        let tenure = Tenure {
            ownership,
            was_active,
            is_leaving: false,
        };
        let mut state = self.lock();
        state.lost.remove(&shard);
        state.held.insert(shard, tenure);
        state.revision += 1;
        drop(state);
        self.changed.notify_one();
    }

    /// Has `shard` let go of: nothing more begins, and what is in flight may end within
    /// [`OUTBOUND_STOP_TIME_MAX`]. Waits for that, and for what is
    /// being committed about it. Nothing is written under its fence afterwards: who asked releases the record.
    pub(crate) async fn let_go(&self, shard: ShardId, pace: &Pace) -> Ended {
        let (reply, ended) = oneshot::channel();
        {
            let mut state = self.lock();
            let Some(tenure) = state.held.get_mut(&shard) else {
                return Ended::Gone;
            };
            tenure.is_leaving = true;
            state.revision += 1;
            state.waiting.entry(shard).or_default().push(reply);
        }
        self.changed.notify_one();
        if let Some(ended) = pace.within(LET_GO_TIME_MAX, ended).await {
            return ended.unwrap_or(Ended::Gone);
        }
        // Nobody works for it at present, or the store does not answer. What is still written fails.
        self.lock().end(shard, Ended::LetGo);
        self.changed.notify_one();
        self.ended.notify_waiters();
        Ended::LetGo
    }

    /// Waits until nothing is held any more.
    pub(crate) async fn none_left(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.lock().held.is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Others hold `shard`, as the loop has seen, or nobody does: it is not ours by this claim any more.
    pub(crate) fn gone(&self, shard: ShardId, fence: Fence) {
        let mut state = self.lock();
        let tenure = state.held.get(&shard);
        if tenure.is_some_and(|tenure| tenure.ownership.fence == fence) {
            state.end(shard, Ended::Gone);
        }
        drop(state);
        self.changed.notify_one();
        self.ended.notify_waiters();
    }

    /// Waits until commits were refused since others hold shards, and says which, with the claims by which they
    /// were ours.
    pub(crate) async fn lost(&self) -> BTreeMap<ShardId, Fence> {
        loop {
            let lost = std::mem::take(&mut self.lock().lost);
            if !lost.is_empty() {
                return lost;
            }
            self.lost.notified().await;
        }
    }

    /// Begins nothing new for now, or does again.
    pub(crate) fn rest(&self, is_resting: bool) {
        if self.is_resting.swap(is_resting, Ordering::SeqCst) != is_resting {
            self.changed.notify_one();
        }
    }

    /// The shards that are held here and not about to be let go of.
    pub(crate) fn held(&self) -> BTreeSet<ShardId> {
        let state = self.lock();
        let staying = state.held.iter().filter(|(_, tenure)| !tenure.is_leaving);
        staying.map(|(shard, _)| *shard).collect()
    }

    // ---- The dispatcher ----

    /// Waits until something changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is held, if that is not what it was at revision `seen`.
    pub(super) fn since(&self, seen: &mut u64) -> Option<BTreeMap<ShardId, Tenure>> {
        let state = self.lock();
        if state.revision == *seen {
            return None;
        }
        *seen = state.revision;
        Some(state.held.clone())
    }

    /// What is held, whatever was seen before.
    pub(crate) fn tenures(&self) -> BTreeMap<ShardId, Tenure> {
        self.lock().held.clone()
    }

    /// All shards were claimed at once: what was held before is over.
    pub(super) fn hold_all(&self, held: &BTreeMap<ShardId, Ownership>) {
        let mut state = self.lock();
        state.held = held
            .iter()
            .map(|(shard, ownership)| {
                let tenure = Tenure {
                    ownership: *ownership,
                    was_active: false,
                    is_leaving: false,
                };
                (*shard, tenure)
            })
            .collect();
        state.revision += 1;
    }

    /// The life that worked for them ended badly: the next one asks what it did.
    pub(super) fn note_bad_end(&self) {
        let mut state = self.lock();
        for tenure in state.held.values_mut() {
            tenure.was_active = true;
        }
        state.revision += 1;
    }

    /// Others hold these shards, as a commit has shown.
    pub(super) fn lose(&self, shards: &BTreeMap<ShardId, Ownership>) {
        let mut state = self.lock();
        for (shard, ownership) in shards {
            if state.is_held_by(*shard, ownership) && state.end(*shard, Ended::Gone) {
                state.lost.insert(*shard, ownership.fence);
            }
        }
        drop(state);
        self.lost.notify_one();
        self.ended.notify_waiters();
    }

    /// Nothing is under way any more for a shard that was to be let go of.
    pub(super) fn left(&self, shard: ShardId, ownership: &Ownership) {
        let mut state = self.lock();
        if state.is_held_by(shard, ownership) {
            state.end(shard, Ended::LetGo);
        }
        drop(state);
        self.ended.notify_waiters();
    }

    /// Whether nothing new may begin.
    pub(super) fn is_resting(&self) -> bool {
        self.is_resting.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
