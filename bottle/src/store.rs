//! The store as one node reaches it: the memory engine behind a network that delays, loses and cuts,
//! with commits that land long after whoever sent them gave up, or died (cluster §20.3). Whatever lands is
//! looked at: only the owner of a unit may write what is the owner's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use mesh_backend::bottled::{is_memory, is_order, owner_of_write, ownership_in};
use mesh_backend::store::{
    Caps, CommitError, Committed, KeyRange, Limit, MemoryStore, MemoryTx, Order, Page, Read, Store,
    StoreError, Tx, TxOptions, Version, Watch,
};
use mesh_common::cluster::{NodeId, Unit};
use tokio::sync::{Notify, oneshot};

use crate::world::World;

/// How the store, and the way to it, misbehave now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Everything takes so many times as long.
    pub slowness: u32,
    /// Of a thousand commits: applied, but answered as unknown (1021).
    pub unknown_applied: u64,
    /// Of a thousand commits: not applied, and answered as unknown (1021).
    pub unknown_lost: u64,
    /// Of a thousand commits: on their way for up to `late_max` before they land or conflict (1031).
    pub late: u64,
    /// See `late`.
    pub late_max: Duration,
    /// Of a thousand commits: refused as conflicting.
    pub conflict: u64,
    /// Nothing is written.
    pub is_read_only: bool,
    /// Nothing gets through, in either direction.
    pub is_away: bool,
}

/// What is done wrong on purpose, to see that it is noticed: the negative controls (cluster §20.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// Writes are not fenced: the store tells every node that it owns what it believes to own.
    Fence,
    /// What is drained is taken out of the intake by a commit of its own, before the one that puts it
    /// into the spool.
    ClearApart,
    /// What the sender is told is left in the intake by a commit of its own, after the one that takes
    /// the item out of the queue.
    TellApart,
    /// Other services take in what they have taken in before.
    PeersForget,
    /// Owners do not know what they have received before.
    OwnersForget,
    /// Commits do not depend on what they read of nodes and owners: of two claims that read the same both
    /// land, and so does what was fenced off while it was on its way.
    BlindReads,
    /// Nodes do not find what operators have ordered elsewhere.
    OrdersUnread,
}

/// What landed and should not have.
#[derive(Debug, Default)]
struct Trespasses {
    first: Vec<String>,
    count: usize,
}

/// Trespasses that are told one by one.
const TRESPASSES_TOLD: usize = 3;

/// What all nodes share: the engine, and what it is like.
#[derive(Clone)]
pub struct Sky {
    trespasses: Arc<Mutex<Trespasses>>,
    pub(crate) world: World,
    pub(crate) engine: MemoryStore,
    weather: Arc<Mutex<Weather>>,
    cut: Arc<Mutex<BTreeMap<usize, bool>>>,
    /// Rung when something may get through again.
    joined: Arc<Notify>,
}

impl Sky {
    /// Over an empty engine, in good weather.
    #[must_use]
    pub fn new(world: World, engine: MemoryStore) -> Self {
        Self {
            world,
            engine,
            weather: Arc::default(),
            cut: Arc::default(),
            joined: Arc::default(),
            trespasses: Arc::default(),
        }
    }

    /// Writes that landed although their node did not own what they were about.
    #[must_use]
    pub fn trespasses(&self) -> Vec<String> {
        let trespasses = self.trespasses.lock();
        let trespasses = trespasses.unwrap_or_else(PoisonError::into_inner);
        let mut told = trespasses.first.clone();
        if trespasses.count > told.len() {
            told.push(format!("{} such writes in all", trespasses.count));
        }
        told
    }

    /// A commit of `node` has just landed that wrote these units: their owner must be `node`. Nothing can
    /// have happened since.
    fn watch(&self, node: NodeId, units: &BTreeSet<Unit>) {
        for unit in units {
            // The engine answers at once: there is no sky between.
            let owner = ownership_in(&self.engine, *unit).now_or_never().flatten();
            if owner.is_some_and(|owner| owner.node == node && owner.is_active) {
                continue;
            }
            let trespasses = self.trespasses.lock();
            let mut trespasses = trespasses.unwrap_or_else(PoisonError::into_inner);
            trespasses.count += 1;
            if trespasses.first.len() < TRESPASSES_TOLD {
                let told = format!("{node} wrote {unit:?}, which is {owner:?}'s");
                trespasses.first.push(told);
            }
        }
    }

    /// From now on it is like this.
    pub fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
        self.joined.notify_waiters();
    }

    /// What it is like.
    #[must_use]
    pub fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts a node off, or joins it again.
    pub fn cut(&self, node: usize, is_cut: bool) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.insert(node, is_cut);
        drop(cut);
        self.joined.notify_waiters();
    }

    fn is_cut(&self, node: usize) -> bool {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        self.weather().is_away || cut.get(&node).copied().unwrap_or_default()
    }

    /// So many ways over the network, for as long as it takes.
    async fn travel(&self, node: usize, ways: usize) {
        let slowness = self.weather().slowness.max(1);
        let way = |_| {
            let world = &self.world;
            world.between(Duration::from_micros(150), Duration::from_micros(1_500))
        };
        let time: Duration = (0..ways).map(way).sum();
        self.world.sleep(time * slowness).await;
        while self.is_cut(node) {
            self.joined.notified().await;
            let wait = self.world.between(Duration::ZERO, REJOIN_TIME_MAX);
            self.world.sleep(wait).await;
        }
    }
}

/// What waited to get through does so within this time when it can.
const REJOIN_TIME_MAX: Duration = Duration::from_millis(20);
/// How long a read waits for a store that does not answer.
const READ_TIME_MAX: Duration = Duration::from_secs(4);

/// Ownership records by their keys.
type Believed = BTreeMap<Vec<u8>, Bytes>;

/// The store, as one node has it.
#[derive(Clone)]
pub struct NodeStore {
    sky: Sky,
    node: usize,
    name: NodeId,
    sabotage: Sabotage,
    /// What the node believes of ownership records; with the fence switched off it is told that for true.
    believed: Arc<Mutex<Believed>>,
}

impl NodeStore {
    /// For the node of this number and name.
    #[must_use]
    pub fn new(sky: Sky, (node, name): (usize, NodeId), sabotage: Sabotage) -> Self {
        Self {
            sky,
            node,
            name,
            sabotage,
            believed: Arc::default(),
        }
    }

    /// The node believes this record, or none, under this key.
    pub fn believe(&self, key: Vec<u8>, row: Option<Vec<u8>>) {
        if self.sabotage != Sabotage::Fence {
            return;
        }
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        match row {
            Some(row) => believed.insert(key, row.into()),
            None => believed.remove(&key),
        };
    }

    fn believed(&self, key: &[u8]) -> Option<Bytes> {
        if self.sabotage != Sabotage::Fence {
            return None;
        }
        let believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        believed.get(key).cloned()
    }
}

impl Store for NodeStore {
    type Tx = NodeTx;

    fn begin(&self, options: TxOptions) -> NodeTx {
        NodeTx {
            store: self.clone(),
            tx: self.sky.engine.begin(options),
            apart: None,
            units: BTreeSet::new(),
            timeout: options.timeout,
        }
    }

    async fn watch(&self, _key: &[u8]) -> Result<Watch, StoreError> {
        // Lost, every one of them: the looks have to do.
        Ok(Watch::new(std::future::pending()))
    }

    fn caps(&self) -> Caps {
        Caps {
            is_shared: true,
            ..self.sky.engine.caps()
        }
    }
}

/// A transaction of one node.
pub struct NodeTx {
    store: NodeStore,
    tx: MemoryTx,
    /// What is committed apart from the rest, by sabotage.
    apart: Option<MemoryTx>,
    /// The units whose owner alone may write what this writes.
    units: BTreeSet<Unit>,
    timeout: Option<Duration>,
}

impl NodeTx {
    async fn travel(&self) -> Result<(), StoreError> {
        let (sky, node) = (&self.store.sky, self.store.node);
        // There and back.
        let both = sky.travel(node, 2);
        let arrived = sky.world.within(READ_TIME_MAX, both).await;
        arrived.ok_or(StoreError::Away)
    }

    fn note(&mut self, key: &[u8], is_cleared: bool) {
        self.units.extend(owner_of_write(key, is_cleared));
    }

    /// The transaction beside this one, which is committed apart from it.
    fn apart(&mut self) -> &mut MemoryTx {
        let engine = &self.store.sky.engine;
        self.apart
            .get_or_insert_with(|| engine.begin(TxOptions::default()))
    }

    /// What is read of nodes and owners does not count, by sabotage.
    fn kind_of_read(&self, key: &[u8], read: Read) -> Read {
        let is_blind = self.store.sabotage == Sabotage::BlindReads && is_ownership(key);
        if is_blind { Read::Snapshot } else { read }
    }
}

/// Whether the key is that of a node or of an ownership record.
fn is_ownership(key: &[u8]) -> bool {
    matches!(key.first(), Some(0x01 | 0x02))
}

impl Tx for NodeTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        self.travel().await?;
        if let Some(believed) = self.store.believed(key) {
            return Ok(Some(believed));
        }
        if self.store.sabotage == Sabotage::OwnersForget && is_memory(key) {
            return Ok(None);
        }
        if self.store.sabotage == Sabotage::OrdersUnread && is_order(key) {
            return Ok(None);
        }
        self.tx.get(key, self.kind_of_read(key, read)).await
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.travel().await?;
        let mut page = self.tx.range(range, limit, order, read).await?;
        if self.store.sabotage == Sabotage::OrdersUnread {
            page.rows.retain(|row| !is_order(&row.key));
        }
        Ok(page)
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        self.travel().await?;
        self.tx.read_version().await
    }

    fn set_read_version(&mut self, version: Version) {
        self.tx.set_read_version(version);
    }

    fn read_conflict(&mut self, key: &[u8]) {
        if self.kind_of_read(key, Read::Serializable) == Read::Serializable {
            self.tx.read_conflict(key);
        }
    }

    fn read_conflict_range(&mut self, range: &KeyRange) {
        self.tx.read_conflict_range(range);
    }

    fn set(&mut self, key: &[u8], value: impl Into<Bytes>) {
        self.note(key, false);
        self.tx.set(key, value);
    }

    fn clear(&mut self, key: &[u8]) {
        self.note(key, true);
        if self.store.sabotage == Sabotage::ClearApart && is_of_intake(key) {
            return self.apart().clear(key);
        }
        self.tx.clear(key);
    }

    fn clear_range(&mut self, range: &KeyRange) {
        self.note(&range.begin, true);
        self.tx.clear_range(range);
    }

    fn set_stamped_key(&mut self, prefix: &[u8], suffix: &[u8], value: impl Into<Bytes>) {
        let takes_an_item_out = self.units.iter().any(|unit| matches!(unit, Unit::Shard(_)));
        if self.store.sabotage == Sabotage::TellApart && takes_an_item_out {
            return self.apart().set_stamped_key(prefix, suffix, value);
        }
        self.tx.set_stamped_key(prefix, suffix, value);
    }

    fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]) {
        self.tx.set_stamped_value(key, prefix, suffix);
    }

    async fn commit(self) -> Result<Committed, CommitError> {
        let timeout = self.timeout.unwrap_or(READ_TIME_MAX);
        // What is sent is on its way, whether or not its sender lives to see the end.
        let (answer, answered) = oneshot::channel();
        let (sky, node) = (self.store.sky.clone(), self.store.node);
        let world = sky.world.clone();
        world.spawn(None, async move {
            let result = carry(&sky, self).await;
            sky.travel(node, 1).await;
            let _nobody_waits = answer.send(result);
        });
        let ended = world.within(timeout, answered).await;
        match ended {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(CommitError::MayStillLand),
        }
    }
}

/// Whether the key is that of an entry of an intake.
fn is_of_intake(key: &[u8]) -> bool {
    key.first() == Some(&0x21)
}

/// Brings a commit to the engine, soon or late, and says what the engine says, or does not know.
async fn carry(sky: &Sky, commit: NodeTx) -> Result<Committed, CommitError> {
    let NodeTx {
        store,
        tx,
        apart,
        units,
        ..
    } = commit;
    if store.sabotage == Sabotage::ClearApart
        && let Some(apart) = apart
    {
        land(sky, store.node, apart, |_| {}).await?;
        return land(sky, store.node, tx, |sky| sky.watch(store.name, &units)).await;
    }
    let committed = land(sky, store.node, tx, |sky| sky.watch(store.name, &units)).await?;
    if let Some(apart) = apart {
        // Whoever does so takes it for done.
        let _by_itself = land(sky, store.node, apart, |_| {}).await;
    }
    Ok(committed)
}

/// Brings one transaction to the engine; `landed` looks at what is there then.
async fn land(
    sky: &Sky,
    node: usize,
    tx: MemoryTx,
    landed: impl FnOnce(&Sky),
) -> Result<Committed, CommitError> {
    sky.travel(node, 1).await;
    let (world, weather) = (&sky.world, sky.weather());
    if world.chance(weather.late) {
        let late = world.between(Duration::ZERO, weather.late_max);
        world.sleep(late).await;
    }
    if weather.is_read_only {
        return Err(CommitError::ReadOnly);
    }
    if world.chance(weather.conflict) {
        return Err(CommitError::Conflict);
    }
    if world.chance(weather.unknown_lost) {
        return Err(CommitError::Unknown);
    }
    let is_unknown = world.chance(weather.unknown_applied);
    let result = tx.commit().await;
    if result.is_ok() {
        landed(sky);
    }
    if is_unknown {
        Err(CommitError::Unknown)
    } else {
        result
    }
}
