//! The store as one node reaches it: the memory engine behind a network that delays, loses and cuts,
//! with commits that land long after whoever sent them gave up, or died (cluster §20.3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::store::{
    Caps, CommitError, Committed, KeyRange, Limit, MemoryStore, MemoryTx, Order, Page, Read, Store,
    StoreError, Tx, TxOptions, Version, Watch,
};
use tokio::sync::oneshot;

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

/// What all nodes share: the engine, and what it is like.
#[derive(Clone)]
pub struct Sky {
    pub(crate) world: World,
    pub(crate) engine: MemoryStore,
    weather: Arc<Mutex<Weather>>,
    cut: Arc<Mutex<BTreeMap<usize, bool>>>,
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
        }
    }

    /// From now on it is like this.
    pub fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
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
    }

    fn is_cut(&self, node: usize) -> bool {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        self.weather().is_away || cut.get(&node).copied().unwrap_or_default()
    }

    /// One way over the network, for as long as it takes.
    async fn travel(&self, node: usize) {
        let slowness = self.weather().slowness.max(1);
        let way = self
            .world
            .between(Duration::from_micros(150), Duration::from_micros(1_500));
        self.world.sleep(way * slowness).await;
        while self.is_cut(node) {
            self.world.sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How long a read waits for a store that does not answer.
const READ_TIME_MAX: Duration = Duration::from_secs(4);

/// Ownership records by their keys.
type Believed = BTreeMap<Vec<u8>, Bytes>;

/// The store, as one node has it.
#[derive(Clone)]
pub struct NodeStore {
    sky: Sky,
    node: usize,
    /// With the fence switched off: what the node believes of ownership records, and is told for true.
    believed: Option<Arc<Mutex<Believed>>>,
}

impl NodeStore {
    /// For this node. Without `is_fenced` the node is told that it owns whatever it believes to own.
    #[must_use]
    pub fn new(sky: Sky, node: usize, is_fenced: bool) -> Self {
        Self {
            sky,
            node,
            believed: (!is_fenced).then(Arc::default),
        }
    }

    /// The node believes this record, or none, under this key.
    pub fn believe(&self, key: Vec<u8>, row: Option<Vec<u8>>) {
        let Some(believed) = &self.believed else {
            return;
        };
        let mut believed = believed.lock().unwrap_or_else(PoisonError::into_inner);
        match row {
            Some(row) => believed.insert(key, row.into()),
            None => believed.remove(&key),
        };
    }

    fn believed(&self, key: &[u8]) -> Option<Bytes> {
        let believed = self.believed.as_ref()?;
        let believed = believed.lock().unwrap_or_else(PoisonError::into_inner);
        believed.get(key).cloned()
    }
}

impl Store for NodeStore {
    type Tx = NodeTx;

    fn begin(&self, options: TxOptions) -> NodeTx {
        NodeTx {
            store: self.clone(),
            tx: self.sky.engine.begin(options),
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
    timeout: Option<Duration>,
}

impl NodeTx {
    async fn travel(&self) -> Result<(), StoreError> {
        let (sky, node) = (&self.store.sky, self.store.node);
        let both = async {
            sky.travel(node).await;
            sky.travel(node).await;
        };
        let arrived = sky.world.within(READ_TIME_MAX, both).await;
        arrived.ok_or(StoreError::Away)
    }
}

impl Tx for NodeTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        self.travel().await?;
        if let Some(believed) = self.store.believed(key) {
            return Ok(Some(believed));
        }
        self.tx.get(key, read).await
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.travel().await?;
        self.tx.range(range, limit, order, read).await
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        self.travel().await?;
        self.tx.read_version().await
    }

    fn set_read_version(&mut self, version: Version) {
        self.tx.set_read_version(version);
    }

    fn read_conflict(&mut self, key: &[u8]) {
        self.tx.read_conflict(key);
    }

    fn read_conflict_range(&mut self, range: &KeyRange) {
        self.tx.read_conflict_range(range);
    }

    fn set(&mut self, key: &[u8], value: impl Into<Bytes>) {
        self.tx.set(key, value);
    }

    fn clear(&mut self, key: &[u8]) {
        self.tx.clear(key);
    }

    fn clear_range(&mut self, range: &KeyRange) {
        self.tx.clear_range(range);
    }

    fn set_stamped_key(&mut self, prefix: &[u8], suffix: &[u8], value: impl Into<Bytes>) {
        self.tx.set_stamped_key(prefix, suffix, value);
    }

    fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]) {
        self.tx.set_stamped_value(key, prefix, suffix);
    }

    async fn commit(self) -> Result<Committed, CommitError> {
        let Self { store, tx, timeout } = self;
        // What is sent is on its way, whether or not its sender lives to see the end.
        let (answer, answered) = oneshot::channel();
        let sky = store.sky.clone();
        let node = store.node;
        store.sky.world.spawn(None, async move {
            let result = carry(&sky, node, tx).await;
            sky.travel(node).await;
            let _nobody_waits = answer.send(result);
        });
        let timeout = timeout.unwrap_or(READ_TIME_MAX);
        let ended = store.sky.world.within(timeout, answered).await;
        match ended {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(CommitError::MayStillLand),
        }
    }
}

/// Brings a commit to the engine, soon or late, and says what the engine says, or does not know.
async fn carry(sky: &Sky, node: usize, tx: MemoryTx) -> Result<Committed, CommitError> {
    sky.travel(node).await;
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
    if is_unknown {
        Err(CommitError::Unknown)
    } else {
        result
    }
}
