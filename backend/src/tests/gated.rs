//! A memory store whose commits wait at a gate and meet what a script says: how a story holds a
//! commit in flight without sleeping.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::store::{
    Caps, CommitError, Committed, KeyRange, Limit, MemoryStore, MemoryTx, Order, Page, Read, Store,
    StoreError, Tx, TxOptions, Version, Watch,
};

/// What one commit meets once it is through the gate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    /// The engine panics.
    Panic,
    /// The engine takes no writes.
    ReadOnly,
    /// The engine has stopped writing for good.
    Fatal,
}

#[derive(Clone)]
pub(super) struct GatedStore {
    inner: MemoryStore,
    gate: Arc<Gate>,
}

struct Gate {
    /// Commits that may pass. Open gates have as many as a story can need.
    passes: Semaphore,
    /// Commits that have come to the gate since it was closed.
    arrivals: Semaphore,
    script: Mutex<VecDeque<Script>>,
    /// Rows of one commit beyond which it is too large.
    rows_max: Mutex<usize>,
    /// A range whose next readings outlive their version, and how many of them do.
    outlived: Mutex<Option<(KeyRange, usize)>>,
}

const OPEN: usize = 1 << 20;

impl GatedStore {
    /// With the gate open.
    pub(super) fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            gate: Arc::new(Gate {
                passes: Semaphore::new(OPEN),
                arrivals: Semaphore::new(0),
                script: Mutex::default(),
                rows_max: Mutex::new(usize::MAX),
                outlived: Mutex::default(),
            }),
        }
    }

    pub(super) fn close(&self) {
        self.gate.passes.forget_permits(usize::MAX);
        self.gate.arrivals.forget_permits(usize::MAX);
    }

    /// Waits until one more commit has come to the gate.
    pub(super) async fn arrived(&self) {
        let arrival = self.gate.arrivals.acquire().await;
        arrival.expect("the gate is never taken down").forget();
    }

    /// Lets one commit pass.
    pub(super) fn pass(&self) {
        self.gate.passes.add_permits(1);
    }

    pub(super) fn open(&self) {
        self.gate.passes.add_permits(OPEN);
    }

    pub(super) fn script(&self, script: Script) {
        self.gate.script.lock().unwrap().push_back(script);
    }

    pub(super) fn limit_rows(&self, rows_max: usize) {
        *self.gate.rows_max.lock().unwrap() = rows_max;
    }

    /// Lets so many readings of all of `range` take longer than a version lives.
    pub(super) fn outlive(&self, range: KeyRange, times: usize) {
        *self.gate.outlived.lock().unwrap() = Some((range, times));
    }
}

pub(super) struct GatedTx {
    inner: MemoryTx,
    gate: Arc<Gate>,
    rows: usize,
}

impl Store for GatedStore {
    type Tx = GatedTx;

    fn begin(&self, options: TxOptions) -> GatedTx {
        GatedTx {
            inner: self.inner.begin(options),
            gate: Arc::clone(&self.gate),
            rows: 0,
        }
    }

    async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        self.inner.watch(key).await
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }
}

impl Tx for GatedTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key, read).await
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        if let Some((slow, times)) = &mut *self.gate.outlived.lock().unwrap()
            && slow == range
            && *times > 0
        {
            *times -= 1;
            return Err(StoreError::TooOld);
        }
        self.inner.range(range, limit, order, read).await
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        self.inner.read_version().await
    }

    fn set_read_version(&mut self, version: Version) {
        self.inner.set_read_version(version);
    }

    fn read_conflict(&mut self, key: &[u8]) {
        self.inner.read_conflict(key);
    }

    fn read_conflict_range(&mut self, range: &KeyRange) {
        self.inner.read_conflict_range(range);
    }

    fn set(&mut self, key: &[u8], value: impl Into<Bytes>) {
        self.rows += 1;
        self.inner.set(key, value);
    }

    fn clear(&mut self, key: &[u8]) {
        self.rows += 1;
        self.inner.clear(key);
    }

    fn clear_range(&mut self, range: &KeyRange) {
        self.inner.clear_range(range);
    }

    fn set_stamped_key(&mut self, prefix: &[u8], suffix: &[u8], value: impl Into<Bytes>) {
        self.inner.set_stamped_key(prefix, suffix, value);
    }

    fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]) {
        self.inner.set_stamped_value(key, prefix, suffix);
    }

    async fn commit(self) -> Result<Committed, CommitError> {
        self.gate.arrivals.add_permits(1);
        let pass = self.gate.passes.acquire().await;
        pass.expect("the gate is never taken down").forget();
        let scripted = self.gate.script.lock().unwrap().pop_front();
        match scripted {
            Some(Script::Panic) => panic!("a story asked for this panic"),
            Some(Script::ReadOnly) => return Err(CommitError::ReadOnly),
            Some(Script::Fatal) => return Err(CommitError::Fatal(StoreError::Closed)),
            None => {}
        }
        let max = *self.gate.rows_max.lock().unwrap();
        if self.rows > max {
            return Err(CommitError::TooLarge {
                what: "transaction",
                bytes: self.rows,
                max,
            });
        }
        self.inner.commit().await
    }
}
