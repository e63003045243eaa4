//! What the rest of the node may ask about the cluster at any moment, from any thread: whether a
//! partition is ours, who has it, whether what is in memory may be believed.
//!
//! A partition is *served* while it is ours and this node has said within its patience that it lives
//! (cluster §4.3). For that long nobody can have taken it: whoever takes it must have seen our record
//! unchanged for the whole lease. So what is in memory is what is committed, and a process that slept
//! believes nothing of it when it wakes. Writes do not rest on this: they carry the fence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_common::cluster::{
    Fence, NodeId, Nudge, PartitionId, Roles, Route, RoutingTable, TicketSecret, Told, Unit,
};
use mesh_common::delivery::ShardId;
use mesh_common::limits::PASSED_ON_MAX;
use mesh_common::time::Timestamp;
use tokio::sync::{Notify, Semaphore, watch};

use super::{ClusterConfig, Neighbours, Stopwatch};
use crate::metrics::cluster::ClusterMetrics;
use crate::operator::NotReady;

/// What a node owns at this moment, and whether it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Partitions.
    pub partitions: usize,
    /// Shards.
    pub shards: usize,
    /// Whether it was told to let go of everything.
    pub is_leaving: bool,
    /// Whether it owns nothing any more and has removed its record.
    pub has_left: bool,
}

/// What happened beside the loop that the Keeper has to know.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// A commit under this fence was refused.
    pub(super) fenced: BTreeMap<Unit, Fence>,
    /// What other nodes say that they let go of.
    pub(super) freed: Vec<Unit>,
    /// The node shall leave.
    pub(super) is_leaving: bool,
}

/// The part of a node in its cluster.
pub(crate) struct Membership {
    pub(super) id: NodeId,
    /// Of the store: part of every claim.
    generation: u32,
    pub(super) config: ClusterConfig,
    pub(super) stopwatch: Arc<dyn Stopwatch>,
    /// When it joined, by the stopwatch and by the clock.
    begun: (Duration, Timestamp),
    /// The epoch of our claim of each partition; 0: it is not ours.
    epochs: Vec<AtomicU64>,
    /// How many of them are ours.
    owned: AtomicUsize,
    /// Until when nobody can have taken what is ours, in microseconds of the stopwatch.
    served_until: AtomicU64,
    /// Whether a partition waits for that to be later.
    is_awaited: AtomicBool,
    /// When the last heartbeat began that was committed, in the same measure.
    beaten_at: AtomicU64,
    told: watch::Sender<Told>,
    pub(super) neighbours: Arc<dyn Neighbours>,
    /// Places of requests that are passed on.
    pub(crate) passing: Semaphore,
    reports: Mutex<Reports>,
    reported: Notify,
    is_leaving: AtomicBool,
    has_left: watch::Sender<bool>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Membership({})", self.id)
    }
}

impl Membership {
    pub(super) fn new(
        (id, generation): (NodeId, u32),
        now: Timestamp,
        config: ClusterConfig,
        stopwatch: Arc<dyn Stopwatch>,
        neighbours: Arc<dyn Neighbours>,
    ) -> Self {
        Self {
            id,
            generation,
            config,
            begun: (stopwatch.elapsed(), now),
            stopwatch,
            epochs: PartitionId::all().map(|_| AtomicU64::new(0)).collect(),
            owned: AtomicUsize::new(0),
            served_until: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            beaten_at: AtomicU64::new(0),
            told: watch::Sender::new(Told::default()),
            neighbours,
            passing: Semaphore::new(PASSED_ON_MAX),
            reports: Mutex::default(),
            reported: Notify::new(),
            is_leaving: AtomicBool::new(false),
            has_left: watch::Sender::new(false),
        }
    }

    /// What this node is there for.
    pub(crate) const fn roles(&self) -> Roles {
        self.config.roles
    }

    // ---- Partitions ----

    /// The epoch of our claim of `partition`; 0 if it is not ours.
    pub(crate) fn epoch(&self, partition: PartitionId) -> u64 {
        self.epochs[usize::from(partition.0)].load(Ordering::Acquire)
    }

    /// Whether `partition` is ours by the claim with this fence.
    pub(crate) fn holds(&self, partition: PartitionId, fence: Fence) -> bool {
        self.epoch(partition) == fence.epoch
    }

    /// Whether `partition` is ours as far as we know: its writes are tried here.
    pub(crate) fn owns(&self, partition: PartitionId) -> bool {
        self.epoch(partition) != 0
    }

    /// Whether what is in memory of `partition` is what is committed.
    pub(crate) fn serves(&self, partition: PartitionId) -> bool {
        self.owns(partition) && self.is_awake()
    }

    /// Whether nobody can have taken anything from us.
    pub(crate) fn is_awake(&self) -> bool {
        micros(self.stopwatch.elapsed()) < self.served_until.load(Ordering::SeqCst)
    }

    /// `partition` is ours by this claim.
    pub(crate) fn begin(&self, partition: PartitionId, fence: Fence) {
        let before = self.epochs[usize::from(partition.0)].swap(fence.epoch, Ordering::AcqRel);
        if before == 0 {
            self.owned.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `partition` is not ours any more; whether it was.
    pub(crate) fn end(&self, partition: PartitionId, fence: Fence) -> bool {
        let epoch = &self.epochs[usize::from(partition.0)];
        let ended = epoch.compare_exchange(fence.epoch, 0, Ordering::AcqRel, Ordering::Acquire);
        if ended.is_ok() {
            self.owned.fetch_sub(1, Ordering::Relaxed);
        }
        ended.is_ok()
    }

    /// How many partitions are ours.
    pub(super) fn owned(&self) -> usize {
        self.owned.load(Ordering::Relaxed)
    }

    /// Whether nobody can have taken anything from us; if not, whoever asked is woken once it is so again.
    pub(crate) fn is_awake_or_told(&self) -> bool {
        if self.is_awake() {
            return true;
        }
        self.is_awaited.store(true, Ordering::SeqCst);
        // Said between the two looks, it would be told to nobody.
        self.is_awake()
    }

    /// Whether somebody waits to be woken, asked once it is believed again.
    pub(super) fn take_awaited(&self) -> bool {
        self.is_awaited.swap(false, Ordering::SeqCst)
    }

    /// A heartbeat is committed that was begun at `begun`.
    pub(super) fn has_beaten(&self, begun: Duration) {
        self.beaten_at.fetch_max(micros(begun), Ordering::AcqRel);
    }

    /// Nobody has taken anything, and nobody can until `until`.
    pub(super) fn believe_until(&self, until: Duration) {
        self.served_until.fetch_max(micros(until), Ordering::SeqCst);
    }

    /// How long ago this node last said that it lives.
    fn heartbeat_age(&self) -> Duration {
        let beaten_at = Duration::from_micros(self.beaten_at.load(Ordering::Acquire));
        self.stopwatch.elapsed().saturating_sub(beaten_at)
    }

    /// Whether requests should come here.
    ///
    /// # Errors
    /// [`NotReady`]: why not.
    pub(crate) fn ready(&self) -> Result<(), NotReady> {
        if self.is_leaving() {
            return Err(NotReady::Leaving);
        }
        if self.served_until.load(Ordering::Acquire) == 0 {
            return Err(NotReady::Joining);
        }
        if !self.is_awake() {
            let age = self.heartbeat_age();
            return Err(NotReady::Silent { age });
        }
        Ok(())
    }

    /// Writes the measures of what stands at `now`.
    pub(crate) fn show(&self, metrics: &ClusterMetrics, now: Timestamp) {
        metrics
            .heartbeat_age
            .set(self.heartbeat_age().as_secs_f64());
        let monotonic = self.stopwatch.elapsed().saturating_sub(self.begun.0);
        let wall = now.as_millis() - self.begun.1.as_millis();
        let skew = wall as f64 / 1_000.0 - monotonic.as_secs_f64();
        metrics.clock_skew.set(skew);
    }

    // ---- What others are told, and tell ----

    /// Who owns `unit`, as far as is known.
    pub(crate) fn route(&self, unit: Unit) -> Option<Route> {
        let route = self.told.borrow().routes.owners.get(&unit).copied();
        route.filter(|route| route.node != self.id)
    }

    /// Everything that is told.
    pub(crate) fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    pub(super) fn tell_routes(&self, routes: RoutingTable) {
        self.told.send_modify(|told| {
            told.revision += 1;
            told.routes = Arc::new(routes);
        });
    }

    pub(super) fn tell_secrets(&self, secrets: Vec<TicketSecret>) {
        self.told.send_modify(|told| {
            told.revision += 1;
            told.ticket_secrets = Arc::new(secrets);
        });
    }

    /// Has the owners of what `news` names look at it, each at its own, as far as they are known and are
    /// others than we.
    pub(crate) fn nudge_owners(&self, news: Nudge) {
        let routes = Arc::clone(&self.told.borrow().routes);
        let owner = |unit| {
            let (owner, node) = routes.owner(unit)?;
            let is_reached = owner != self.id && !node.address.is_empty();
            is_reached.then_some(node.address.as_str())
        };
        let mut nudges: BTreeMap<&str, Nudge> = BTreeMap::new();
        for partition in news.intakes {
            if let Some(address) = owner(partition.into()) {
                nudges.entry(address).or_default().intakes.push(partition);
            }
        }
        for shard in news.queues {
            if let Some(address) = owner(shard.into()) {
                nudges.entry(address).or_default().queues.push(shard);
            }
        }
        for domain in news.heard {
            if let Some(address) = owner(ShardId::of(&domain).into()) {
                nudges.entry(address).or_default().heard.push(domain);
            }
        }
        for (address, nudge) in nudges {
            self.neighbours.nudge(address, nudge);
        }
    }

    /// The nodes that live, as far as is known here.
    pub(crate) fn alive(&self) -> BTreeSet<NodeId> {
        self.told.borrow().routes.nodes.keys().copied().collect()
    }

    /// Tells `successor`, if it is known, that it may claim `unit` now.
    pub(super) fn nudge_successor(&self, successor: NodeId, unit: Unit) {
        let routes = Arc::clone(&self.told.borrow().routes);
        let node = routes.nodes.get(&successor);
        if let Some(node) = node.filter(|node| !node.address.is_empty()) {
            let nudge = Nudge {
                released: vec![unit],
                ..Nudge::default()
            };
            self.neighbours.nudge(&node.address, nudge);
        }
    }

    // ---- The loop ----

    /// A commit under `fence` was refused: the unit is lost. Known at once to everybody who asks.
    pub(crate) fn fenced(&self, unit: Unit, fence: Fence) {
        if let Unit::Partition(partition) = unit {
            self.end(partition, fence);
        }
        self.report(|reports| {
            reports.fenced.insert(unit, fence);
        });
    }

    /// Whoever wrote into `partition` ended in the middle of it: it has to be claimed anew, so that
    /// nothing that is still on its way lands.
    pub(crate) fn in_doubt(&self, partition: PartitionId) {
        let epoch = self.epoch(partition);
        if epoch != 0 {
            let generation = self.generation;
            self.fenced(partition.into(), Fence { generation, epoch });
        }
    }

    /// Other nodes say that they let go of these.
    pub(crate) fn freed(&self, freed: Vec<Unit>) {
        self.report(|reports| reports.freed.extend(freed));
    }

    /// The node shall let go of everything.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.report(|reports| reports.is_leaving = true);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Waits until nothing is owned any more and the node's record is gone.
    pub(crate) async fn left(&self) {
        let mut has_left = self.has_left.subscribe();
        // The sender lives as long as we do.
        let _gone = has_left.wait_for(|has_left| *has_left).await;
    }

    pub(super) fn has_left(&self) {
        self.has_left.send_replace(true);
    }

    /// What is ours, besides this number of shards.
    pub(crate) fn holdings(&self, shards: usize) -> Holdings {
        Holdings {
            partitions: self.owned(),
            shards,
            is_leaving: self.is_leaving(),
            has_left: *self.has_left.borrow(),
        }
    }

    fn report(&self, report: impl FnOnce(&mut Reports)) {
        report(&mut self.lock());
        self.reported.notify_one();
    }

    /// Waits until there is something for the loop.
    pub(super) async fn reported(&self) {
        self.reported.notified().await;
    }

    pub(super) fn take_reports(&self) -> Reports {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
