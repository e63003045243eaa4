//! The loop around the Keeper: carries out what it decided, and tells it what came of it (cluster §4.3).
//!
//! It runs on a thread of its own, so that no partition at work holds up a heartbeat. What takes long
//! (commits, looks, the last batch of a partition that is let go of) runs beside it as tasks; what
//! begins and ends is carried out at once, in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mesh_common::cluster::{
    Basis, Claim, ClaimOutcome, Effect, Event, Fence, Keeper, LevelWatch, NodeId, PartitionId,
    Readiness, ReleaseOutcome, Unit,
};
use mesh_common::limits::{LOOK_INTERVAL_MIN, OUTBOUND_STOP_TIME_MAX, RELEASES_IN_FLIGHT_MAX};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::claims::{self, Beat, Look};
use super::level;
use super::membership::Membership;
use crate::handle::Inner;
use crate::partition::doubts;
use crate::partition::reading::ReadError;
use crate::partition::shared::{Shared, chain};
use crate::store::{Store, StoreError, keys};

/// Time to the next watch after one that could not be set, or the store did not answer.
const WATCH_RETRY: Duration = Duration::from_secs(1);

/// What a task brings back.
enum Ended {
    Beat {
        seq: u64,
        begun: Duration,
        beat: Beat,
    },
    Looked(Result<Look, ReadError>),
    Claimed {
        claim: Claim,
        begun: Duration,
        outcome: ClaimOutcome,
    },
    Released {
        unit: Unit,
        fence: Fence,
        successor: Option<NodeId>,
        outcome: ReleaseOutcome,
    },
    Forgotten,
    /// The next feature level was tried.
    Raised,
    /// What this node left in doubt in partitions that others own.
    Settled,
    Left {
        is_committed: bool,
    },
    /// The key was written that every change of an owner writes, or nobody knows.
    Rerouted,
}

/// One node's loop.
pub(crate) struct Keeping<S: Store> {
    home: Weak<Inner<S>>,
    shared: Arc<Shared<S>>,
    membership: Arc<Membership>,
    keeper: Keeper,
    tasks: JoinSet<Ended>,
    /// What the key of changes held at the last look.
    route: Option<Bytes>,
    /// For how long every node has read the next feature level.
    levels: LevelWatch,
    /// Whether the store is being raised to it.
    is_raising: bool,
    /// When the last heartbeat began that is committed.
    beaten_at: Duration,
    /// Set while what is in memory is not believed: a look that begins after this shows what is ours
    /// still.
    confirmed_after: Option<Duration>,
    releases: Arc<Semaphore>,
    /// What was let go of and is to be told to its successors.
    released: BTreeMap<NodeId, Vec<Unit>>,
}

impl<S: Store> Keeping<S> {
    pub(super) fn new(home: &Arc<Inner<S>>, membership: Arc<Membership>, keeper: Keeper) -> Self {
        Self {
            home: Arc::downgrade(home),
            shared: Arc::clone(&home.shared),
            membership,
            keeper,
            tasks: JoinSet::new(),
            route: None,
            levels: LevelWatch::default(),
            is_raising: false,
            beaten_at: Duration::ZERO,
            confirmed_after: None,
            releases: Arc::new(Semaphore::new(RELEASES_IN_FLIGHT_MAX)),
            released: BTreeMap::new(),
        }
    }

    /// Works until the node has left, or the back-end is gone.
    pub(super) async fn run(mut self) {
        self.watch(Duration::ZERO);
        while self.turn() {
            let wait = self.keeper.wakes_at().saturating_sub(self.now());
            tokio::select! {
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(ended) => self.take(ended),
                    Err(error) => {
                        // Without its end the Keeper waits for ever: another process does better.
                        tracing::error!(%error, "a task of the node's loop ended in a panic");
                        return;
                    }
                },
                () = self.membership.reported() => {}
                lost = self.shared.shards.lost() => {
                    for (shard, fence) in lost {
                        self.membership.fenced(shard.into(), fence);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Tells the Keeper what happened meanwhile, the time included. Whether there is more to come.
    fn turn(&mut self) -> bool {
        if self.home.strong_count() == 0 {
            return false;
        }
        let reports = self.membership.take_reports();
        for (unit, fence) in reports.fenced {
            self.route = None;
            self.tell(Event::Fenced { unit, fence });
        }
        if reports.is_leaving {
            self.tell(Event::DrainOrdered);
        }
        if reports.is_nudged {
            self.tell(Event::Nudged);
        }
        self.tell(Event::Tick);
        for (successor, units) in std::mem::take(&mut self.released) {
            self.membership.nudge_successor(successor, units);
        }
        if self.keeper.is_gone() {
            tracing::info!(node = %self.membership.id, "the node has left the cluster");
            self.membership.has_left();
            return false;
        }
        true
    }

    /// For tests, in place of [`Self::run`]: does everything that is to be done at this moment.
    #[cfg(test)]
    pub(crate) async fn settle(&mut self) {
        while self.turn() {
            let Some(ended) = self.tasks.join_next().await else {
                return;
            };
            self.take(ended.unwrap());
        }
    }

    fn now(&self) -> Duration {
        self.membership.stopwatch.elapsed()
    }

    fn tell(&mut self, event: Event) {
        let effects = self.keeper.step(self.now(), event);
        let mut is_changed = false;
        let mut is_rerouted = effects.contains(&Effect::Routes);
        for effect in effects {
            // Behind what begins: whoever is told of it finds it. Before what ends: whoever is sent away
            // is told where to go.
            if is_rerouted && matches!(effect, Effect::End { .. } | Effect::Routes) {
                self.membership.tell_routes(self.keeper.routes().clone());
                is_rerouted = false;
            }
            is_changed |= matches!(effect, Effect::Begin { .. } | Effect::End { .. });
            self.carry_out(effect);
        }
        if !is_changed {
            return;
        }
        let owned = self.membership.holdings(0).partitions;
        let gauge = &self.shared.metrics.cluster.partitions_owned;
        gauge.set(i64::try_from(owned).unwrap_or(i64::MAX));
        if let Some(home) = self.home.upgrade() {
            home.intakes_unknown.notify_one();
        }
    }

    // ---- What ended ----

    fn take(&mut self, ended: Ended) {
        match ended {
            Ended::Beat { seq, begun, beat } => {
                let is_committed = beat == Beat::Committed;
                if is_committed {
                    self.beaten(begun);
                }
                if let Beat::Outdated(level) = beat {
                    self.learn_level(level);
                }
                self.tell(Event::HeartbeatEnded { seq, is_committed });
            }
            Ended::Looked(Ok(look)) => self.looked(look),
            Ended::Looked(Err(error)) => {
                let cause = chain(&error);
                tracing::warn!(cause, "the tables of the cluster cannot be read");
                self.tell(Event::LookFailed);
            }
            Ended::Claimed {
                claim,
                begun,
                outcome,
            } => {
                match outcome {
                    ClaimOutcome::Taken => self.count(&claim, self.now().saturating_sub(begun)),
                    // The records are others than we know: all of them are read again, whatever the
                    // key of changes says.
                    ClaimOutcome::Refused | ClaimOutcome::Failed => self.route = None,
                }
                self.tell(Event::ClaimEnded { claim, outcome });
            }
            Ended::Released {
                unit,
                fence,
                successor,
                outcome,
            } => {
                match (outcome, successor) {
                    (ReleaseOutcome::Released, Some(successor)) => {
                        self.released.entry(successor).or_default().push(unit);
                    }
                    (ReleaseOutcome::Released, None) => {}
                    (ReleaseOutcome::Fenced | ReleaseOutcome::Failed, _) => self.route = None,
                }
                self.tell(Event::ReleaseEnded {
                    unit,
                    fence,
                    outcome,
                });
            }
            Ended::Forgotten | Ended::Settled => {}
            Ended::Raised => self.is_raising = false,
            Ended::Left { is_committed } => self.tell(Event::LeaveEnded { is_committed }),
            Ended::Rerouted => {
                self.watch(LOOK_INTERVAL_MIN);
                self.tell(Event::Nudged);
            }
        }
    }

    /// A heartbeat is committed that was begun at `begun`. Where each followed the one before within
    /// patience, nobody can have taken anything in between. After a gap only a look tells.
    fn beaten(&mut self, begun: Duration) {
        let patience = self.membership.config.times.patience();
        let (now, before) = (self.now(), std::mem::replace(&mut self.beaten_at, begun));
        self.membership.has_beaten(begun);
        if self.membership.is_awake() {
            self.membership.believe_from(begun);
            // A partition may have looked in the moment before, when the last one had just run out.
            return self.wake_who_waits();
        }
        // A look that is awaited since an earlier heartbeat will do, if there was no gap after that one.
        if self.confirmed_after.is_none() || now >= before + patience {
            self.confirmed_after = Some(now);
        }
    }

    /// What is in memory is believed again: whoever could do nothing meanwhile looks again.
    fn wake_who_waits(&self) {
        if self.membership.take_awaited()
            && let Some(home) = self.home.upgrade()
        {
            home.wake_partitions();
        }
    }

    fn looked(&mut self, look: Look) {
        let begun = look.tables.begun;
        self.route = look.route;
        self.mind_level(begun, &look.readiness);
        self.tell(Event::Looked(look.tables));
        if self.confirmed_after.is_some_and(|after| after <= begun) {
            self.confirmed_after = None;
            self.membership.believe_from(self.beaten_at);
            self.wake_who_waits();
        }
        self.obey(&look.ordered_out);
        self.settle_doubts();
        let (census, nodes) = (self.keeper.census(), &self.shared.metrics.cluster.nodes);
        let counts = [
            ("active", census.active),
            ("draining", census.draining),
            ("silent", census.silent),
        ];
        for (state, count) in counts {
            let gauge = nodes.with_label_values(&[state]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Leaves, if an operator ordered it at whatever node.
    fn obey(&self, ordered_out: &BTreeMap<NodeId, NodeId>) {
        let order = ordered_out.get(&self.membership.id);
        if let Some(by) = order.filter(|_| !self.membership.is_leaving()) {
            tracing::info!(%by, "this node was ordered to leave");
            self.membership.leave();
        }
    }

    /// Raises the store when every node has read the next level for long enough.
    fn mind_level(&mut self, begun: Duration, readiness: &Readiness) {
        self.learn_level(readiness.level);
        let now = self.now();
        let reached = self.levels.looked(begun, now, readiness);
        let Some(level) = reached.filter(|_| !self.is_raising) else {
            return;
        };
        self.is_raising = true;
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let own = (shared.claimant.node, shared.level.levels());
            level::raise_by_itself(&shared, own, level).await;
            Ended::Raised
        });
    }

    /// The store is at this level. One that is not read here was reached while this node had no record.
    fn learn_level(&self, level: u16) {
        let was_read = self.shared.level.check().is_ok();
        self.shared.learn_level(level);
        if let Err(error) = self.shared.level.check()
            && was_read
        {
            tracing::error!(%error, "this node serves no more: it has to be replaced");
        }
    }

    /// What this node wanted to queue for partitions that others own by now has landed, or never will:
    /// their claims are in the way.
    fn settle_doubts(&mut self) {
        let routes = self.keeper.routes();
        let is_others = |partition: &PartitionId| {
            let owner = routes.owners.get(&Unit::Partition(*partition));
            owner.is_some_and(|route| route.node != self.membership.id)
        };
        let doubtful = self.shared.doubts.partitions();
        let doubtful: Vec<PartitionId> = doubtful.into_iter().filter(is_others).collect();
        if doubtful.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            for partition in doubtful {
                if let Err(error) = doubts::settle(&shared, partition).await {
                    tracing::debug!(cause = chain(&error), "doubts are settled later");
                }
            }
            Ended::Settled
        });
    }

    /// Counts what was taken, by why it could be.
    fn count(&self, claim: &Claim, time: Duration) {
        let metrics = &self.shared.metrics.cluster;
        for bid in &claim.bids {
            if matches!(bid.unit, Unit::Shard(_)) {
                continue;
            }
            let cause = match (&claim.basis, bid.before) {
                (Basis::Silent(_), _) => "silent",
                (Basis::Gone(_), _) => "gone",
                (Basis::Free, None) => "free",
                (Basis::Free, Some(before)) if before.is_active => "renewed",
                (Basis::Free, Some(_)) => "released",
            };
            metrics.takeovers.with_label_values(&[cause]).inc();
            metrics.takeover_seconds.observe(time.as_secs_f64());
        }
        if let Some(node) = claim.basis.node() {
            let units = claim.bids.len();
            tracing::warn!(%node, units, "taken over from a node that is not heard of any more");
        }
    }

    // ---- What is to be done ----

    fn carry_out(&mut self, effect: Effect) {
        let (store, options) = (self.shared.store.clone(), self.shared.writing());
        let begun = self.now();
        match effect {
            Effect::Heartbeat(record) => {
                let time_max = self.membership.config.times.takeover;
                self.tasks.spawn(async move {
                    let beat = timeout(time_max, claims::beat(&store, options, &record)).await;
                    Ended::Beat {
                        seq: record.seq,
                        begun,
                        beat: beat.unwrap_or(Beat::Failed),
                    }
                });
            }
            Effect::Look => {
                let (route, time_max) = (self.route.clone(), self.membership.config.times.lease);
                self.tasks.spawn(async move {
                    let look = claims::look(&store, begun, route.as_ref());
                    let looked = timeout(time_max, look).await;
                    Ended::Looked(looked.unwrap_or(Err(StoreError::TooOld.into())))
                });
            }
            Effect::Claim(claim) => {
                self.tasks.spawn(async move {
                    let outcome = claims::claim(&store, options, &claim).await;
                    Ended::Claimed {
                        claim,
                        begun,
                        outcome,
                    }
                });
            }
            Effect::Release {
                unit,
                fence,
                successor,
            } => self.release(unit, fence, successor),
            Effect::Begin {
                unit,
                fence,
                was_active,
            } => self.begin(unit, fence, was_active),
            Effect::End { unit, fence } => self.end(unit, fence),
            Effect::Rest => {
                tracing::warn!("this node cannot say that it lives: it starts no more work");
                self.shared.shards.rest(true);
            }
            Effect::Resume => {
                tracing::info!("this node has said that it lives");
                self.shared.shards.rest(false);
            }
            Effect::Routes => {}
            Effect::Forget(record) => {
                self.tasks.spawn(async move {
                    claims::forget(&store, options, &record).await;
                    Ended::Forgotten
                });
            }
            Effect::Leave => {
                let node = self.membership.id;
                self.tasks.spawn(async move {
                    let is_committed = claims::leave(&store, options, node).await;
                    Ended::Left { is_committed }
                });
            }
        }
    }

    fn begin(&self, unit: Unit, fence: Fence, was_active: bool) {
        match unit {
            Unit::Partition(partition) => {
                if let Some(home) = self.home.upgrade() {
                    home.begin_partition(&self.membership, partition, fence);
                }
            }
            Unit::Shard(shard) => {
                let shards = &self.shared.shards;
                shards.take_on(shard, self.shared.claimant.held(fence), was_active);
            }
        }
    }

    fn end(&self, unit: Unit, fence: Fence) {
        match unit {
            Unit::Partition(partition) => {
                if let Some(home) = self.home.upgrade() {
                    home.end_partition(partition, fence);
                }
            }
            Unit::Shard(shard) => self.shared.shards.gone(shard, fence),
        }
    }

    /// Has whoever works for `unit` finish, and lets go of it then.
    fn release(&mut self, unit: Unit, fence: Fence, successor: Option<NodeId>) {
        /// Beyond the time that transfers have: for what is committed of them.
        const GRACE: Duration = Duration::from_secs(2);
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let releases = Arc::clone(&self.releases);
        self.tasks.spawn(async move {
            let shared = Arc::clone(&home.shared);
            match unit {
                Unit::Partition(partition) => {
                    // Never closed: without a place the release is only less orderly.
                    let _place = releases.acquire().await;
                    home.let_go_of_partition(partition, fence).await;
                }
                Unit::Shard(shard) => {
                    let let_go = shared.shards.let_go(shard, &shared.pace);
                    if timeout(OUTBOUND_STOP_TIME_MAX + GRACE, let_go)
                        .await
                        .is_err()
                    {
                        tracing::warn!(shard = shard.0, "a shard is let go of while it works");
                    }
                }
            }
            drop(home);
            let held = shared.claimant.held(fence);
            let outcome = claims::release(&shared.store, shared.writing(), unit, &held).await;
            Ended::Released {
                unit,
                fence,
                successor,
                outcome,
            }
        });
    }

    /// Waits, after some time, for the next change of an owner.
    fn watch(&mut self, after: Duration) {
        let store = self.shared.store.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            let changed = match store.watch(&keys::route()).await {
                Ok(watch) => watch.await,
                Err(error) => Err(error),
            };
            if let Err(error) = changed {
                tracing::debug!(%error, "changes of owners cannot be watched; they are looked for");
                tokio::time::sleep(WATCH_RETRY).await;
            }
            Ended::Rerouted
        });
    }
}
