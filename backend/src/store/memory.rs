//! The memory engine: an ordered map of versions, and faults on request.
//!
//! For tests and simulation (cluster §20). Without faults it behaves as any engine does, except that
//! it forgets everything with its last handle. With [`Faults`] it misbehaves in every way that the
//! contract of [`Store`] allows, decided by a seed, so that a failing run can be repeated; with
//! [`MemoryStore::inject`] exactly the next commits do.

mod faults;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use self::faults::Dice;
pub use self::faults::{Fault, Faults};
use super::conflict::{HeldRead, History, LiveReads, Verdict};
use super::pending::{Effects, Pending, Prepared, clamped, collects_writes};
use super::watch::Watches;
use super::{
    Caps, CommitError, Committed, KeyRange, Limit, Order, Page, Read, Row, Store, StoreError, Tx,
    TxOptions, Version, Versionstamp, Watch, limits,
};

/// The ordered map; see the module.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    live_reads: LiveReads,
    watches: Watches,
}

#[derive(Default)]
struct State {
    newest: Version,
    cells: BTreeMap<Bytes, Vec<Cell>>,
    history: History,
    /// Keys to be looked at once nobody reads below the version at which they were written.
    to_sweep: VecDeque<(Version, Bytes)>,
    strays: Vec<Stray>,
    dice: Dice,
}

/// What a key held from a version on.
struct Cell {
    since: Version,
    value: Option<Bytes>,
}

/// A commit that was answered with [`CommitError::MayStillLand`].
struct Stray {
    lands_after: u32,
    read: HeldRead,
    prepared: Prepared,
}

impl MemoryStore {
    /// An empty store without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that misbehaves.
    #[must_use]
    pub fn with_faults(faults: Faults) -> Self {
        let store = Self::new();
        store.set_faults(faults);
        store
    }

    /// From now on misbehaves like this; [`Faults::default`] ends it.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().dice.load(faults);
    }

    /// The next commit that writes meets this fault, the next but one the fault injected after it.
    pub fn inject(&self, fault: Fault) {
        self.lock().dice.injected.push_back(fault);
    }

    /// Commits that met a fault so far.
    #[must_use]
    pub fn faults_met(&self) -> u64 {
        self.lock().dice.met
    }

    /// Commits that may still land.
    #[must_use]
    pub fn strays(&self) -> usize {
        self.lock().strays.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, state: &mut State, prepared: Prepared) -> Committed {
        let version = Version(state.newest.0 + 1);
        state.newest = version;
        let effects = prepared.resolve(version, 0);
        state.write(&effects, version);
        state.forget(self.live_reads.floor(version, limits::CHAIN_VERSIONS));
        if !self.watches.is_empty() {
            for range in &effects.cleared {
                self.watches.fire(range);
            }
            for key in effects.writes.keys() {
                self.watches.fire(&KeyRange::key(key));
            }
        }
        Committed {
            version,
            stamp: Some(Versionstamp::new(version, 0)),
        }
    }

    /// Lets the strays land whose moment has come; each landing is itself a commit.
    fn land_strays(&self, state: &mut State) {
        for stray in &mut state.strays {
            stray.lands_after = stray.lands_after.saturating_sub(1);
        }
        while let Some(due) = state.strays.iter().position(|stray| stray.lands_after == 0) {
            let stray = state.strays.swap_remove(due);
            let verdict = state
                .history
                .check(&stray.prepared.reads, stray.read.version());
            if verdict == Verdict::Clear {
                self.apply(state, stray.prepared);
            }
        }
    }

    fn commit(&self, read: HeldRead, prepared: Prepared) -> Result<Committed, CommitError> {
        let mut state = self.lock();
        let fault = state.dice.next_fault();
        state.dice.met += u64::from(fault.is_some());
        match fault {
            Some(Fault::Conflict) => return Err(CommitError::Conflict),
            Some(Fault::TooOld) => return Err(CommitError::TooOld),
            Some(Fault::ReadOnly) => return Err(CommitError::ReadOnly),
            Some(Fault::Full) => return Err(CommitError::Full),
            Some(Fault::UnknownLost) => return Err(CommitError::Unknown),
            Some(Fault::NeverLands) => return Err(CommitError::MayStillLand),
            Some(Fault::LandsAfter(lands_after)) => {
                let is_due = lands_after == 0;
                state.strays.push(Stray {
                    lands_after,
                    read,
                    prepared,
                });
                if is_due {
                    self.land_strays(&mut state);
                }
                return Err(CommitError::MayStillLand);
            }
            Some(Fault::UnknownApplied) | None => {}
        }
        match state.history.check(&prepared.reads, read.version()) {
            Verdict::Clear => {}
            Verdict::Conflict => return Err(CommitError::Conflict),
            Verdict::TooOld => return Err(CommitError::TooOld),
        }
        if read.version() > state.newest {
            return Err(CommitError::TooOld);
        }
        let cleared = state.cleared_keys(&prepared);
        if cleared > limits::CLEAR_KEYS_MAX {
            return Err(CommitError::TooLarge {
                what: "keys of cleared ranges",
                bytes: cleared,
                max: limits::CLEAR_KEYS_MAX,
            });
        }
        drop(read);
        let committed = self.apply(&mut state, prepared);
        self.land_strays(&mut state);
        match fault {
            Some(_) => Err(CommitError::Unknown),
            None => Ok(committed),
        }
    }
}

impl State {
    fn write(&mut self, effects: &Effects, version: Version) {
        for range in &effects.cleared {
            let alive: Vec<Bytes> = self
                .cells
                .range(range.begin.clone()..range.end.clone())
                .filter(|(_, cells)| cells.last().is_some_and(|cell| cell.value.is_some()))
                .map(|(key, _)| key.clone())
                .collect();
            for key in alive {
                self.put(key, None, version);
            }
        }
        for (key, value) in &effects.writes {
            self.put(key.clone(), value.clone(), version);
        }
        self.history.record(&effects.footprint(), version);
    }

    fn cleared_keys(&self, prepared: &Prepared) -> usize {
        prepared
            .cleared()
            .map(|(begin, end)| self.cells.range(begin.clone()..end.clone()))
            .map(|cells| {
                cells.filter(|(_, cells)| cells.last().is_some_and(|cell| cell.value.is_some()))
            })
            .map(Iterator::count)
            .sum()
    }

    fn put(&mut self, key: Bytes, value: Option<Bytes>, since: Version) {
        let cells = self.cells.entry(key.clone()).or_default();
        cells.retain(|cell| cell.since < since);
        cells.push(Cell { since, value });
        self.to_sweep.push_back((since, key));
    }

    /// Forgets what nobody can read any more.
    fn forget(&mut self, floor: Version) {
        self.history.forget(floor);
        let floor = self.history.floor();
        while self
            .to_sweep
            .front()
            .is_some_and(|(version, _)| *version <= floor)
        {
            let Some((_, key)) = self.to_sweep.pop_front() else {
                break;
            };
            let Some(cells) = self.cells.get_mut(&key) else {
                continue;
            };
            let visible = cells
                .iter()
                .rposition(|cell| cell.since <= floor)
                .unwrap_or_default();
            cells.drain(..visible);
            if cells.len() == 1 && cells[0].value.is_none() {
                self.cells.remove(&key);
            }
        }
    }

    fn at(cells: &[Cell], version: Version) -> Option<&Bytes> {
        cells
            .iter()
            .rev()
            .find(|cell| cell.since <= version)?
            .value
            .as_ref()
    }

    fn rows(
        &self,
        range: &KeyRange,
        order: Order,
        version: Version,
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + '_> {
        let rows = self
            .cells
            .range(range.begin.clone()..range.end.clone())
            .filter_map(move |(key, cells)| {
                let value = Self::at(cells, version)?.clone();
                Some(Ok(Row {
                    key: key.clone(),
                    value,
                }))
            });
        match order {
            Order::Forward => Box::new(rows),
            Order::Reverse => Box::new(rows.rev()),
        }
    }
}

impl Store for MemoryStore {
    type Tx = MemoryTx;

    fn begin(&self, options: TxOptions) -> MemoryTx {
        MemoryTx {
            store: self.clone(),
            pending: Pending::new(options),
            pinned: None,
            read: OnceLock::new(),
        }
    }

    async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        let (is_lost, is_spurious) = {
            let mut state = self.lock();
            let faults = state.dice.faults;
            (
                state.dice.rolls_below(faults.watch_lost),
                state.dice.rolls_below(faults.watch_spurious),
            )
        };
        if is_spurious {
            return Ok(Watch::new(std::future::ready(Ok(()))));
        }
        if is_lost {
            return Ok(Watch::new(std::future::pending()));
        }
        self.watches.register(key)
    }

    fn caps(&self) -> Caps {
        Caps {
            key_bytes_max: limits::KEY_BYTES_MAX,
            value_bytes_max: limits::VALUE_BYTES_MAX,
            tx_bytes_max: limits::TX_BYTES_MAX,
            is_durable: false,
            is_shared: false,
            chain_versions: limits::CHAIN_VERSIONS,
        }
    }
}

/// A transaction of the memory engine.
pub struct MemoryTx {
    store: MemoryStore,
    pending: Pending,
    pinned: Option<Version>,
    read: OnceLock<HeldRead>,
}

impl MemoryTx {
    /// Fixes the version read, at the first call.
    fn version(&self, state: &State) -> Version {
        self.read
            .get_or_init(|| {
                self.store
                    .live_reads
                    .hold(self.pinned.unwrap_or(state.newest))
            })
            .version()
    }

    /// The version read, provided that the engine still remembers it.
    fn readable(&self, state: &State) -> Result<Version, StoreError> {
        let version = self.version(state);
        if version < state.history.floor() || version > state.newest {
            return Err(StoreError::TooOld);
        }
        Ok(version)
    }
}

impl Tx for MemoryTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        if let Some(own) = self.pending.own(key)? {
            return Ok(own);
        }
        let state = self.store.lock();
        let version = self.readable(&state)?;
        if read == Read::Serializable {
            self.pending.read_conflict(key);
        }
        let cells = state.cells.get(key);
        Ok(cells.and_then(|cells| State::at(cells, version)).cloned())
    }

    async fn range(
        &self,
        range: &KeyRange,
        mut limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        let range = clamped(range);
        if range.is_empty() {
            return Ok(Page::default());
        }
        let mut state = self.store.lock();
        let version = self.readable(&state)?;
        let faults = state.dice.faults;
        if state.dice.rolls_below(faults.short_page) {
            let rows = usize::try_from(state.dice.roll() % 3).unwrap_or_default() + 1;
            limit.rows = limit.rows.min(rows);
        }
        self.pending.page(
            &range,
            limit,
            order,
            read,
            state.rows(&range, order, version),
        )
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        Ok(self.version(&self.store.lock()))
    }

    collects_writes!();

    async fn commit(self) -> Result<Committed, CommitError> {
        let version = self.version(&self.store.lock());
        let Self {
            store,
            pending,
            read,
            ..
        } = self;
        let prepared = pending.prepare()?;
        if prepared.is_read_only() {
            return Ok(Committed {
                version,
                stamp: None,
            });
        }
        let read = read
            .into_inner()
            .unwrap_or_else(|| store.live_reads.hold(version));
        store.commit(read, prepared)
    }
}

#[cfg(test)]
mod tests;
