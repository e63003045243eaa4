//! The ordered transactional store: the trait that every engine implements, and its engines.
//!
//! Partition actors read and commit here and nowhere else (architecture, cluster §19). The
//! semantics are FoundationDB's: a transaction reads one version of the whole store, collects writes,
//! and commits them all or not at all, provided that nothing it read was written meanwhile.
//!
//! Engines: [`MemoryStore`] (ordered map with seeded faults, for tests and simulation) and
//! [`EmbeddedStore`] (local disk), and FoundationDB behind the feature `foundationdb`; [`AnyStore`] is the
//! one that a configuration chose. What any engine must do is written once, in `battery`.
//!
//! # What answers mean
//!
//! Said once, for every method of every engine:
//! - `Ok(None)` and an empty page mean that the key or range holds nothing *at the version read*.
//! - An empty value is a value: `Ok(Some(b""))`.
//! - `Err(StoreError)` means that nothing is known. It is never a way to say "not there".
//! - `Ok(Committed)` means durable: it survives `kill -9` and a power cut (architecture A-22).
//! - `Err(CommitError)` says what is known about the effect; see each variant.
//!
//! There is deliberately no retry closure. The one assistance is [`commit_with_probe`], which cannot
//! forget that a result may be unknown.

pub mod keys;
pub mod limits;

mod any;
#[cfg(test)]
mod battery;
mod committer;
mod conflict;
mod damage;
mod embedded;
mod error;
mod folder;
#[cfg(feature = "foundationdb")]
pub mod foundationdb;
mod journal;
mod memory;
mod page;
mod pending;
mod probe;
#[cfg(all(feature = "test-store", debug_assertions))]
pub mod remote;
mod room;
pub(crate) mod walk;
mod watch;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

pub use any::{AnyStore, AnyTx};
pub use embedded::{EmbeddedOptions, EmbeddedStore, EmbeddedTx, Released};
pub use error::{CommitError, StoreError};
pub use memory::{Fault, Faults, MemoryStore, MemoryTx};
pub use probe::{Landing, Plan, PlanError, ProbeError, commit_with_probe};
pub use watch::Watch;

/// An ordered transactional store. A handle: cloning it is cheap and names the same store.
pub trait Store: Clone + Send + Sync + 'static {
    /// A transaction of this engine.
    type Tx: Tx;

    /// Begins a transaction. Nothing is read and no version is fixed before the first read.
    fn begin(&self, options: TxOptions) -> Self::Tx;

    /// Asks to be told when a key is written. Once this returns, every later commit that changes what
    /// the key holds resolves the [`Watch`]; so watch first, then read, then wait.
    ///
    /// A watch may resolve without a change (look again) and, over a network, may be lost (look
    /// again after a while regardless).
    ///
    /// # Errors
    /// [`StoreError::TooManyWatches`] beyond [`limits::WATCHES_MAX`]; otherwise the engine's own.
    fn watch(&self, key: &[u8]) -> impl Future<Output = Result<Watch, StoreError>> + Send;

    /// What this engine can and cannot do.
    fn caps(&self) -> Caps;
}

/// One transaction: reads at one version, collects writes, commits once.
///
/// Its own writes are visible to its reads, but for stamped ones, whose place is known only at commit.
/// Dropping it discards the writes.
pub trait Tx: Send + Sync + 'static {
    /// Reads one key.
    ///
    /// # Errors
    /// [`StoreError::TooOld`], [`StoreError::Unreadable`], or the engine's own.
    fn get(
        &self,
        key: &[u8],
        read: Read,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Reads one page of a range. A page may be shorter than `limit`; only [`Page::more`] tells
    /// whether the range holds more, and a page with `more` has at least one row.
    ///
    /// # Errors
    /// [`StoreError::TooOld`], [`StoreError::Unreadable`], or the engine's own.
    fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// The version this transaction reads at; fixes it when nothing has yet.
    ///
    /// # Errors
    /// The engine's own.
    fn read_version(&self) -> impl Future<Output = Result<Version, StoreError>> + Send;

    /// Reads at, and is checked against, this version: one seen in a [`Committed`] or from
    /// [`Tx::read_version`]. To be called before the first read; afterwards it has no effect.
    fn set_read_version(&mut self, version: Version);

    /// Makes the commit depend on this key as if it had been read serializably.
    fn read_conflict(&mut self, key: &[u8]);

    /// Makes the commit depend on this range as if it had been read serializably.
    fn read_conflict_range(&mut self, range: &KeyRange);

    /// Sets a key to a value.
    fn set(&mut self, key: &[u8], value: impl Into<Bytes>);

    /// Removes a key, if it is there.
    fn clear(&mut self, key: &[u8]);

    /// Removes every key of a range. A commit whose ranges hold more than
    /// [`limits::CLEAR_KEYS_MAX`] keys may be refused as too large: clear page by page.
    fn clear_range(&mut self, range: &KeyRange);

    /// Sets `prefix ‖ stamp ‖ suffix`, the stamp being the transaction's [`Versionstamp`].
    fn set_stamped_key(&mut self, prefix: &[u8], suffix: &[u8], value: impl Into<Bytes>);

    /// Sets a key to `prefix ‖ stamp ‖ suffix`, the stamp being the transaction's [`Versionstamp`].
    fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]);

    /// Commits the writes, if nothing that was read serializably has been written since.
    /// A transaction without writes commits at once and cannot conflict.
    ///
    /// # Errors
    /// See [`CommitError`]: each variant says what is known about the effect.
    ///
    /// # Cancellation
    /// Dropping the future leaves the result unknown: the commit may be applied.
    fn commit(self) -> impl Future<Output = Result<Committed, CommitError>> + Send;
}

/// How a read takes part in conflict detection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Read {
    /// The commit fails if what was read has been written meanwhile.
    Serializable,
    /// The same version is read, but the commit does not depend on it.
    Snapshot,
}

/// Which end of a range is read first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Reverse,
}

/// Bounds of one page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// Rows at most, at least 1.
    pub rows: usize,
    /// Octets of keys and values at most; one larger row is returned alone.
    pub bytes: usize,
}

impl Limit {
    /// At most this many rows, and the default octets.
    #[must_use]
    pub fn rows(rows: usize) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            rows: limits::PAGE_ROWS_DEFAULT,
            bytes: limits::PAGE_BYTES_DEFAULT,
        }
    }
}

/// The keys from `begin` on, up to but without `end`, in the order of their octets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRange {
    /// First key of the range.
    pub begin: Bytes,
    /// First key behind the range. A range whose end is not above its begin is empty.
    pub end: Bytes,
}

impl KeyRange {
    /// The keys of `[begin, end)`.
    #[must_use]
    pub fn new(begin: &[u8], end: &[u8]) -> Self {
        Self {
            begin: Bytes::copy_from_slice(begin),
            end: Bytes::copy_from_slice(end),
        }
    }

    /// Every key that starts with `prefix`; every key of the store when it is empty.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while end.last() == Some(&0xff) {
            end.pop();
        }
        match end.last_mut() {
            Some(last) => *last += 1,
            None => end.push(0xff),
        }
        Self {
            begin: Bytes::copy_from_slice(prefix),
            end: end.into(),
        }
    }

    /// Exactly one key.
    #[must_use]
    pub fn key(key: &[u8]) -> Self {
        Self {
            begin: Bytes::copy_from_slice(key),
            end: successor(key),
        }
    }

    /// Every key of the store.
    #[must_use]
    pub fn all() -> Self {
        Self::prefix(b"")
    }

    /// Whether the range can hold no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begin >= self.end
    }

    /// Whether the range holds this key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.begin.as_ref() <= key && key < self.end.as_ref()
    }

    /// The part of this range up to `last`, the last row of a page read in `order`, that row included.
    #[cfg(any(
        feature = "foundationdb",
        all(feature = "test-store", debug_assertions)
    ))]
    fn up_to(&self, last: &[u8], order: Order) -> Self {
        match order {
            Order::Forward => Self {
                begin: self.begin.clone(),
                end: successor(last),
            },
            Order::Reverse => Self {
                begin: Bytes::copy_from_slice(last),
                end: self.end.clone(),
            },
        }
    }

    /// What is left of this range behind `last`, the last row of a page read in `order`.
    #[must_use]
    pub fn rest(&self, last: &[u8], order: Order) -> Self {
        match order {
            Order::Forward => Self {
                begin: successor(last),
                end: self.end.clone(),
            },
            Order::Reverse => Self {
                begin: self.begin.clone(),
                end: Bytes::copy_from_slice(last),
            },
        }
    }
}

/// The smallest key above `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

/// One key and its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// Its value, which may be empty.
    pub value: Bytes,
}

/// One page of a range read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// Rows in the order asked for.
    pub rows: Vec<Row>,
    /// Whether the range holds more behind the last row.
    pub more: bool,
}

impl Page {
    /// The range to read next, or nothing when this was the last page of `range`.
    #[must_use]
    pub fn rest(&self, range: &KeyRange, order: Order) -> Option<KeyRange> {
        let last = self.rows.last().filter(|_| self.more)?;
        Some(range.rest(&last.key, order))
    }
}

/// A point in the history of the store. Grows with every commit; never shown to devices or peers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub u64);

/// Ten octets that no two transactions of one store share and that grow in the order of commits:
/// the version, then the place within the commits of that version.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Versionstamp(pub [u8; Self::BYTES]);

impl Versionstamp {
    /// Length in octets.
    pub const BYTES: usize = 10;

    /// The stamp of the transaction at place `order` within `version`.
    #[must_use]
    pub fn new(version: Version, order: u16) -> Self {
        let mut octets = [0; Self::BYTES];
        octets[..8].copy_from_slice(&version.0.to_be_bytes());
        octets[8..].copy_from_slice(&order.to_be_bytes());
        Self(octets)
    }
}

impl fmt::Debug for Versionstamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

/// A commit that is durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committed {
    /// The version at which the writes are visible; the version read when there were none.
    pub version: Version,
    /// What replaced the stamp in stamped keys and values; nothing when there were no writes.
    pub stamp: Option<Versionstamp>,
}

/// How a transaction is to be run.
#[derive(Clone, Copy, Debug)]
pub struct TxOptions {
    /// Most octets it may hold, at most [`Caps::tx_bytes_max`].
    pub bytes_max: usize,
    /// How long the commit may take; beyond it the answer is [`CommitError::MayStillLand`].
    /// Without one, the commit is answered when the engine answers.
    pub timeout: Option<Duration>,
    /// Whether it may wait behind those of requests, at an engine that knows the difference.
    pub is_background: bool,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            bytes_max: limits::TX_BYTES_MAX,
            timeout: None,
            is_background: false,
        }
    }
}

/// What an engine can and cannot do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caps {
    /// Longest key in octets.
    pub key_bytes_max: usize,
    /// Longest value in octets.
    pub value_bytes_max: usize,
    /// Most octets of one transaction.
    pub tx_bytes_max: usize,
    /// Whether acknowledged commits outlive the process.
    pub is_durable: bool,
    /// Whether several processes may open the store at once.
    pub is_shared: bool,
    /// Versions behind the newest that [`Tx::set_read_version`] may name for a commit.
    pub chain_versions: u64,
}
