//! What happens by itself: owners are told that something was left for them, and what is due is looked
//! for (cluster §8, architecture A-15).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_common::cluster::{Nudge, PartitionId};
use mesh_common::limits::INTAKE_POLL_INTERVAL;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Inner, lock};
use crate::backlog;
use crate::bell::{self, Pace};
use crate::cluster::join::MachineTime;
use crate::cluster::level::Alone;
use crate::outbound::{abroad, survey};
use crate::partition::commands::{Drain, Tend};
use crate::partition::shared::chain;
use crate::partition::{Tended, conduct, is_due};
use crate::store::Store;

impl<S: Store> Inner<S> {
    /// What is due in `partition`, started only if something is.
    pub(crate) async fn tend(&self, partition: PartitionId) -> Tended {
        match is_due(&self.shared.store, partition, self.shared.now()).await {
            Ok(true) => {}
            Ok(false) => return Tended::default(),
            Err(error) => {
                tracing::warn!(cause = chain(&error), "what is due cannot be read");
                return Tended::default();
            }
        }
        let (reply, done) = oneshot::channel();
        match self.send(partition, Tend { reply }).await {
            Ok(()) => done.await.unwrap_or_default(),
            Err(_) => Tended::default(),
        }
    }

    /// Has `partition` drain its intake, started if it does not run. A partition whose mailbox is full
    /// is told again by the next look.
    pub(crate) fn nudge(&self, partition: PartitionId) {
        let told = self
            .actor(partition)
            .map(|actor| actor.try_send(Drain { reply: None }));
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!(partition = partition.0, "an owner could not be nudged");
        }
    }

    /// Has the owners of `partitions` drain them, whoever they are.
    fn nudge_owners(&self, partitions: BTreeSet<PartitionId>) {
        let is_ours = |partition: &PartitionId| self.shared.owns(*partition);
        let (ours, others): (Vec<_>, Vec<_>) = partitions.into_iter().partition(is_ours);
        ours.into_iter().for_each(|one| self.nudge(one));
        if let Some(membership) = self
            .shared
            .membership
            .as_ref()
            .filter(|_| !others.is_empty())
        {
            membership.nudge_owners(Nudge {
                intakes: others,
                ..Nudge::default()
            });
        }
    }

    /// Our partitions with something in their intakes.
    async fn waiting(&self) -> Vec<PartitionId> {
        let shared = &self.shared;
        if shared
            .membership
            .as_ref()
            .is_some_and(|one| !one.roles().backend)
        {
            return Vec::new();
        }
        let now = shared.now();
        let found = match bell::look(&shared.store).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(cause = chain(&error), "intakes cannot be looked at");
                return Vec::new();
            }
        };
        if let Err(error) = backlog::mind(&shared.store, &shared.backlogs, now, &found).await {
            tracing::warn!(
                cause = chain(&error),
                "how much waits in intakes is not known"
            );
        }
        let ours: BTreeMap<_, _> = found
            .into_iter()
            .filter(|(one, _)| shared.owns(*one))
            .collect();
        let metrics = &shared.metrics;
        let oldest = ours.values().flatten().min();
        let age = oldest.map_or(Duration::ZERO, |oldest| now.since(*oldest));
        metrics.intake_age.set(age.as_secs_f64());
        let waiting = i64::try_from(ours.len()).unwrap_or(i64::MAX);
        metrics.intake_waiting.set(waiting);
        ours.into_keys().collect()
    }

    /// Drains what is in all intakes now, and says how many entries that was.
    pub(crate) async fn drain(&self) -> usize {
        let mut entries = 0;
        for partition in self.waiting().await {
            let (reply, done) = oneshot::channel();
            let reply = Some(reply);
            if self.send(partition, Drain { reply }).await.is_ok() {
                entries += done.await.unwrap_or_default();
            }
        }
        entries
    }

    /// Nudges owners for whom something was left, as soon as the bell rings; and looks at the store
    /// at the start, and every [`INTAKE_POLL_INTERVAL`], for what nobody rang for.
    pub(super) fn begin_nudging(self: &Arc<Self>) {
        let Some(thread) = self.threads.first() else {
            return;
        };
        let weak = Arc::downgrade(self);
        thread.spawn(async move {
            let mut polls = tokio::time::interval(INTAKE_POLL_INTERVAL);
            polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut pace = Pace::default();
            loop {
                let Some(home) = weak.upgrade() else {
                    return;
                };
                let (shared, unknown) =
                    (Arc::clone(&home.shared), Arc::clone(&home.intakes_unknown));
                drop(home);
                let is_rung = tokio::select! {
                    () = shared.bell.rung() => true,
                    () = shared.outcome_bell.rung() => true,
                    () = until(pace.due_at()) => true,
                    () = unknown.notified() => false,
                    _ = polls.tick() => false,
                };
                drop(shared);
                let Some(inner) = weak.upgrade().filter(|inner| !inner.is_stopping()) else {
                    return;
                };
                if !is_rung {
                    let waiting = inner.waiting().await;
                    waiting.into_iter().for_each(|one| inner.nudge(one));
                }
                let mut rung = inner.shared.bell.take();
                pace.add(inner.shared.outcome_bell.take());
                pace.told_otherwise(&rung);
                rung.append(&mut pace.take(Instant::now()));
                inner.nudge_owners(rung);
            }
        });
    }

    /// Tells owners of queues on other nodes what concerns them, and counts what other nodes queue.
    pub(super) fn begin_minding_others(self: &Arc<Self>) {
        let (thread, membership) = (self.threads.first(), &self.shared.membership);
        let Some((thread, membership)) = thread.zip(membership.as_ref()) else {
            return;
        };
        thread.spawn(abroad::run(Arc::downgrade(self)));
        if membership.roles().backend {
            thread.spawn(survey::run(Arc::downgrade(self)));
        }
    }

    /// Now and then looks for work that is due in partitions that do not run: those that do look
    /// themselves.
    pub(super) fn begin_rounds(self: &Arc<Self>) {
        let Some(thread) = self.threads.first() else {
            return;
        };
        let (weak, pause) = (Arc::downgrade(self), self.shared.config.upkeep_interval());
        let is_alone = self.shared.membership.is_none();
        let levels = self.shared.level.levels();
        let mut alone = is_alone.then(|| Alone::new(MachineTime::begin(), levels));
        thread.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                for partition in PartitionId::all() {
                    let Some(inner) = weak.upgrade().filter(|inner| !inner.is_stopping()) else {
                        return;
                    };
                    let is_idle = {
                        let slot = lock(&inner.partitions[usize::from(partition.0)]);
                        slot.is_open && slot.running.is_none()
                    };
                    if is_idle {
                        inner.tend(partition).await;
                    }
                }
                let Some(inner) = weak.upgrade().filter(|inner| !inner.is_stopping()) else {
                    return;
                };
                if let Some(alone) = &mut alone {
                    alone.look(&inner.shared).await;
                }
                // One node does it for all.
                if !inner.shared.owns(PartitionId(0)) {
                    continue;
                }
                if let Err(error) = conduct::forget_old(&inner.shared).await {
                    tracing::warn!(
                        cause = chain(&*error),
                        "old incidents are not forgotten yet"
                    );
                }
            }
        });
    }
}

/// Waits until `moment`; for good if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
