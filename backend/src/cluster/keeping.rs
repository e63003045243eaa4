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
    Basis, Belief, Claim, ClaimOutcome, Effect, Event, Fence, Keeper, LevelWatch, NodeId,
    PartitionId, Readiness, ReleaseOutcome, Unit,
};
use mesh_common::limits::{
    OUTBOUND_STOP_TIME_MAX, RELEASES_IN_FLIGHT_MAX, ROUTE_LOOK_INTERVAL_MIN,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::claims::{self, Beat, Look};
use super::level;
use super::membership::Membership;
use crate::handle::Inner;
use crate::outbound::survey;
use crate::partition::doubts;
use crate::partition::reading::ReadError;
use crate::partition::shared::{Shared, chain};
use crate::store::{Store, StoreError, Watch, keys};

/// Time to the next watch after one that could not be set, or the store did not answer.
const WATCH_RETRY: Duration = Duration::from_secs(1);

/// What a task brings back.
enum Ended {
    Beat {
        seq: u64,
        begun: Duration,
        ended: Duration,
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
    /// The key is watched that every change of an owner writes.
    Watching(Watch),
    /// It was written, or nobody knows.
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
    /// When the key of changes may be watched for the next one.
    watches_at: Duration,
    /// Until when what is in memory is believed.
    belief: Belief,
    releases: Arc<Semaphore>,
}

impl<S: Store> Keeping<S> {
    pub(super) fn new(home: &Arc<Inner<S>>, membership: Arc<Membership>, keeper: Keeper) -> Self {
        Self {
            home: Arc::downgrade(home),
            shared: Arc::clone(&home.shared),
            belief: Belief::new(membership.config.times),
            membership,
            keeper,
            tasks: JoinSet::new(),
            route: None,
            levels: LevelWatch::default(),
            is_raising: false,
            watches_at: Duration::ZERO,
            releases: Arc::new(Semaphore::new(RELEASES_IN_FLIGHT_MAX)),
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
        if !reports.freed.is_empty() {
            self.tell(Event::Freed(reports.freed));
        }
        self.tell(Event::Tick);
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

    /// Tells the Keeper what happened, and carries out what it asks for. Whether it claims anything.
    fn tell(&mut self, event: Event) -> bool {
        let effects = self.keeper.step(self.now(), event);
        let is_claiming = effects.iter().any(|one| matches!(one, Effect::Claim(_)));
        let (mut has_begun, mut has_ended) = (false, false);
        let mut is_rerouted = effects.contains(&Effect::Routes);
        for effect in effects {
            // Behind what begins: whoever is told of it finds it. Before what ends: whoever is sent away
            // is told where to go.
            if is_rerouted && matches!(effect, Effect::End { .. } | Effect::Routes) {
                self.membership.tell_routes(self.keeper.routes().clone());
                is_rerouted = false;
            }
            has_begun |= matches!(effect, Effect::Begin { .. });
            has_ended |= matches!(effect, Effect::End { .. });
            self.carry_out(effect);
        }
        if has_begun || has_ended {
            self.tell_owned(has_begun);
        }
        is_claiming
    }

    /// Other partitions are ours than before, and perhaps more.
    fn tell_owned(&self, has_begun: bool) {
        let owned = self.membership.owned();
        let gauge = &self.shared.metrics.cluster.partitions_owned;
        gauge.set(i64::try_from(owned).unwrap_or(i64::MAX));
        if let Some(home) = self.home.upgrade() {
            if has_begun {
                home.intakes_unknown.notify_one();
            }
            home.owned_changed.notify_one();
        }
    }

    // ---- What ended ----

    fn take(&mut self, ended: Ended) {
        match ended {
            Ended::Beat {
                seq,
                begun,
                ended,
                beat,
            } => {
                let is_committed = beat == Beat::Committed;
                if is_committed {
                    self.membership.has_beaten(begun);
                    self.belief.beaten(begun, ended);
                    self.believe();
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
                let _it_showed_nothing = self.belief.look_ends();
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
                        self.membership.nudge_successor(successor, unit);
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
            Ended::Left { is_committed } => {
                self.tell(Event::LeaveEnded { is_committed });
            }
            Ended::Watching(watch) => {
                // What was written until now is seen by a look from now on.
                self.tell(Event::Nudged);
                self.await_change(watch);
            }
            Ended::Rerouted => {
                let now = self.now();
                self.watch(self.watches_at.saturating_sub(now));
                self.watches_at = self.watches_at.max(now) + ROUTE_LOOK_INTERVAL_MIN;
            }
        }
    }

    /// A heartbeat or a look has said something of what is in memory.
    fn believe(&self) {
        let Some(until) = self.belief.until() else {
            return;
        };
        self.membership.believe_until(until);
        if self.membership.is_awake() {
            // A partition may have looked in the moment before, when the last one had just run out.
            self.wake_who_waits();
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
        // The next look may begin at once: what this one confirms is not what that one will.
        let confirmed = self.belief.look_ends();
        if self.tell(Event::Looked(look.tables)) {
            // Whoever let go of it could not say so, and may let go of more.
            self.tell(Event::Nudged);
        }
        self.belief.confirm(confirmed);
        self.believe();
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
                let membership = Arc::clone(&self.membership);
                self.tasks.spawn(async move {
                    let time_max = membership.config.times.takeover;
                    let beat = timeout(time_max, claims::beat(&store, options, &record)).await;
                    Ended::Beat {
                        seq: record.seq,
                        begun,
                        // Here, and not when the loop comes to it: it may have much to do.
                        ended: membership.stopwatch.elapsed(),
                        beat: beat.unwrap_or(Beat::Failed),
                    }
                });
            }
            Effect::Look => {
                self.belief.look_begins();
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
                let (node, shared) = (self.membership.id, Arc::clone(&self.shared));
                self.tasks.spawn(async move {
                    // While it is known to live nobody else counts it for gone.
                    survey::give_everything_back(&shared).await;
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

    /// Begins, after some time, to watch for the next change of an owner. While units move one after the other
    /// every node would read all of table 02 for each of them; those whom a change concerns are nudged.
    fn watch(&mut self, after: Duration) {
        let store = self.shared.store.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            match store.watch(&keys::route()).await {
                Ok(watch) => Ended::Watching(watch),
                Err(error) => unwatched(&error).await,
            }
        });
    }

    fn await_change(&mut self, watch: Watch) {
        self.tasks.spawn(async move {
            match watch.await {
                Ok(()) => Ended::Rerouted,
                Err(error) => unwatched(&error).await,
            }
        });
    }
}

/// Changes of owners are not told: they are looked for, and after a while it is tried again.
async fn unwatched(error: &StoreError) -> Ended {
    tracing::debug!(%error, "changes of owners cannot be watched; they are looked for");
    tokio::time::sleep(WATCH_RETRY).await;
    Ended::Rerouted
}
