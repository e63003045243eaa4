//! What one transaction has asked for so far: its writes, and the keys its commit depends on.
//!
//! Shared by all engines. Reads lay the transaction's own writes over the engine's version
//! ([`Pending::page`]); at commit it becomes a [`Prepared`] batch, whose stamped parts are filled in
//! once the version is known ([`Prepared::resolve`]).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::conflict::Footprint;
use super::page::{Filling, Overlay, seen};
use super::{
    CommitError, KeyRange, Limit, Order, Page, Read, Row, StoreError, TxOptions, Version,
    Versionstamp, limits,
};

/// What every engine's transaction does alike: writes wait in its field `pending`, a version that is asked for in its
/// field `pinned`. To be named inside an implementation of [`Tx`](super::Tx).
macro_rules! collects_writes {
    () => {
        fn set_read_version(&mut self, version: $crate::store::Version) {
            self.pinned = Some(version);
        }

        fn read_conflict(&mut self, key: &[u8]) {
            self.pending.read_conflict(key);
        }

        fn read_conflict_range(&mut self, range: &$crate::store::KeyRange) {
            self.pending
                .read_conflict_range(&$crate::store::pending::clamped(range));
        }

        fn set(&mut self, key: &[u8], value: impl Into<bytes::Bytes>) {
            self.pending.set(key, value.into());
        }

        fn clear(&mut self, key: &[u8]) {
            self.pending.clear(key);
        }

        fn clear_range(&mut self, range: &$crate::store::KeyRange) {
            self.pending.clear_range(range);
        }

        fn set_stamped_key(
            &mut self,
            prefix: &[u8],
            suffix: &[u8],
            value: impl Into<bytes::Bytes>,
        ) {
            self.pending.set_stamped_key(prefix, suffix, value.into());
        }

        fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]) {
            self.pending.set_stamped_value(key, prefix, suffix);
        }
    };
}
pub(super) use collects_writes;

/// First octet of the keys that belong to the engine.
pub(super) const RESERVED: u8 = 0xff;

/// The writes and dependencies of an open transaction.
pub(super) struct Pending {
    options: TxOptions,
    /// Writes of single keys; they stand above `cleared`.
    pub(super) writes: BTreeMap<Bytes, Write>,
    /// Cleared ranges, disjoint, by their begin.
    cleared: BTreeMap<Bytes, Bytes>,
    stamped: Vec<StampedKey>,
    /// Behind a lock because reads take the transaction by shared reference.
    reads: Mutex<Footprint>,
    /// The first write that breaks a bound; the commit is refused with it.
    refusal: Option<CommitError>,
}

/// A write of one key.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Set(Bytes),
    Clear,
    /// The value is the prefix, the stamp and the suffix.
    Stamped(Bytes, Bytes),
}

#[derive(Clone, Debug)]
struct StampedKey {
    prefix: Bytes,
    suffix: Bytes,
    value: Bytes,
    /// Ranges cleared later in the same transaction.
    cleared: Vec<KeyRange>,
}

impl StampedKey {
    /// Every key it may turn out to be.
    fn places(&self) -> KeyRange {
        let low = stamped(
            &self.prefix,
            Versionstamp([0; Versionstamp::BYTES]),
            &self.suffix,
        );
        let high = stamped(
            &self.prefix,
            Versionstamp([0xff; Versionstamp::BYTES]),
            &self.suffix,
        );
        KeyRange {
            begin: low,
            end: KeyRange::key(&high).end,
        }
    }
}

impl Pending {
    pub(super) fn new(options: TxOptions) -> Self {
        Self {
            options,
            writes: BTreeMap::new(),
            cleared: BTreeMap::new(),
            stamped: Vec::new(),
            reads: Mutex::default(),
            refusal: None,
        }
    }

    pub(super) fn options(&self) -> &TxOptions {
        &self.options
    }

    pub(super) fn read_conflict(&self, key: &[u8]) {
        self.reads().keys.push(Bytes::copy_from_slice(key));
    }

    pub(super) fn read_conflict_range(&self, range: &KeyRange) {
        if !range.is_empty() {
            self.reads().ranges.push(range.clone());
        }
    }

    pub(super) fn set(&mut self, key: &[u8], value: Bytes) {
        if self.admits("key", key, key.len(), limits::KEY_BYTES_MAX)
            && self.admits("value", key, value.len(), limits::VALUE_BYTES_MAX)
        {
            self.writes
                .insert(Bytes::copy_from_slice(key), Write::Set(value));
        }
    }

    pub(super) fn clear(&mut self, key: &[u8]) {
        if self.admits("key", key, key.len(), limits::KEY_BYTES_MAX) {
            self.writes
                .insert(Bytes::copy_from_slice(key), Write::Clear);
        }
    }

    pub(super) fn clear_range(&mut self, range: &KeyRange) {
        let KeyRange { mut begin, mut end } = clamped(range);
        if begin >= end {
            return;
        }
        for stamped in &mut self.stamped {
            stamped.cleared.push(KeyRange {
                begin: begin.clone(),
                end: end.clone(),
            });
        }
        let covered: Vec<Bytes> = self
            .writes
            .range(begin.clone()..end.clone())
            .map(|(key, _)| key.clone())
            .collect();
        for key in covered {
            self.writes.remove(&key);
        }
        // Melt the range with those it touches, so that they stay disjoint.
        while let Some((low, high)) = self
            .cleared
            .range(..=end.clone())
            .next_back()
            .map(|(low, high)| (low.clone(), high.clone()))
            && high >= begin
        {
            self.cleared.remove(&low);
            begin = begin.min(low);
            end = end.max(high);
        }
        self.cleared.insert(begin, end);
    }

    pub(super) fn set_stamped_key(&mut self, prefix: &[u8], suffix: &[u8], value: Bytes) {
        let length = prefix.len() + Versionstamp::BYTES + suffix.len();
        // A stamp begins with zeros for ages to come, so an empty prefix stays below the reserved keys.
        let first = prefix.first().copied().unwrap_or_default();
        if self.admits("key", &[first], length, limits::KEY_BYTES_MAX)
            && self.admits("value", &[first], value.len(), limits::VALUE_BYTES_MAX)
        {
            self.stamped.push(StampedKey {
                prefix: Bytes::copy_from_slice(prefix),
                suffix: Bytes::copy_from_slice(suffix),
                value,
                cleared: Vec::new(),
            });
        }
    }

    pub(super) fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]) {
        let length = prefix.len() + Versionstamp::BYTES + suffix.len();
        if self.admits("key", key, key.len(), limits::KEY_BYTES_MAX)
            && self.admits("value", key, length, limits::VALUE_BYTES_MAX)
        {
            let write = Write::Stamped(
                Bytes::copy_from_slice(prefix),
                Bytes::copy_from_slice(suffix),
            );
            self.writes.insert(Bytes::copy_from_slice(key), write);
        }
    }

    /// What the transaction itself says about `key`: the outer option tells whether it says anything.
    ///
    /// # Errors
    /// [`StoreError::KeyOutside`] and [`StoreError::Unreadable`].
    pub(super) fn own(&self, key: &[u8]) -> Result<Option<Option<Bytes>>, StoreError> {
        if is_outside(key) {
            return Err(StoreError::KeyOutside { bytes: key.len() });
        }
        if self
            .stamped
            .iter()
            .any(|stamped| stamped.places().contains(key))
        {
            return Err(StoreError::Unreadable);
        }
        match self.writes.get(key) {
            Some(Write::Set(value)) => Ok(Some(Some(value.clone()))),
            Some(Write::Clear) => Ok(Some(None)),
            Some(Write::Stamped(..)) => Err(StoreError::Unreadable),
            None if self.is_cleared(key) => Ok(Some(None)),
            None => Ok(None),
        }
    }

    /// One page of `range`: the engine's rows, which come in `order`, under the transaction's writes.
    /// Notes the dependency when `read` asks for it.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what `base` yields.
    pub(super) fn page(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
        base: impl Iterator<Item = Result<Row, StoreError>>,
    ) -> Result<Page, StoreError> {
        if self
            .stamped
            .iter()
            .any(|stamped| intersects(&stamped.places(), range))
        {
            return Err(StoreError::Unreadable);
        }
        let mut rows = Overlay::new(self, range, order, base);
        let mut filling = Filling::new(limit);
        while let Some(row) = rows.next_row()? {
            if !filling.take(row) {
                break;
            }
        }
        let page = filling.into_page();
        self.note_page(range, &page, order, read);
        Ok(page)
    }

    /// Whether the transaction itself has written nothing in `range`.
    pub(super) fn is_untouched(&self, range: &KeyRange) -> bool {
        let before_end = self.cleared.range::<Bytes, _>(..&range.end).next_back();
        self.writes
            .range(range.begin.clone()..range.end.clone())
            .next()
            .is_none()
            && before_end.is_none_or(|(_, end)| *end <= range.begin)
            && !self
                .stamped
                .iter()
                .any(|stamped| intersects(&stamped.places(), range))
    }

    /// Notes that the commit depends on what the page says, when `read` asks for it.
    pub(super) fn note_page(&self, range: &KeyRange, page: &Page, order: Order, read: Read) {
        if read == Read::Serializable {
            self.read_conflict_range(&seen(range, page, order));
        }
    }

    /// Ends the transaction: what to check and to write, or why it is refused before any check.
    ///
    /// # Errors
    /// [`CommitError::TooLarge`]; [`CommitError::Fatal`] with [`StoreError::KeyOutside`].
    pub(super) fn prepare(self) -> Result<Prepared, CommitError> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let prepared = Prepared {
            reads: self
                .reads
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
            writes: self.writes,
            cleared: self.cleared,
            stamped: self.stamped,
        };
        let (bytes, max) = (
            prepared.bytes(),
            self.options.bytes_max.min(limits::TX_BYTES_MAX),
        );
        if bytes > max {
            return Err(CommitError::TooLarge {
                what: "the transaction",
                bytes,
                max,
            });
        }
        Ok(prepared)
    }

    fn reads(&self) -> MutexGuard<'_, Footprint> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_cleared(&self, key: &[u8]) -> bool {
        let before = self
            .cleared
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back();
        before.is_some_and(|(_, end)| key < end.as_ref())
    }

    fn admits(&mut self, what: &'static str, key: &[u8], bytes: usize, max: usize) -> bool {
        let refusal = if is_outside(key) {
            CommitError::Fatal(StoreError::KeyOutside { bytes: key.len() })
        } else if bytes > max {
            CommitError::TooLarge { what, bytes, max }
        } else {
            return true;
        };
        self.refusal.get_or_insert(refusal);
        false
    }
}

/// A transaction on its way into the engine.
pub(super) struct Prepared {
    /// What the commit depends on.
    pub(super) reads: Footprint,
    writes: BTreeMap<Bytes, Write>,
    cleared: BTreeMap<Bytes, Bytes>,
    stamped: Vec<StampedKey>,
}

/// One step of a commit, for an engine that takes them one by one.
#[cfg(any(
    feature = "foundationdb",
    all(feature = "test-store", debug_assertions)
))]
#[derive(Debug)]
pub(super) enum Operation {
    ClearRange(KeyRange),
    Clear(Bytes),
    Set(Bytes, Bytes),
    /// Key, prefix and suffix of the value.
    StampedValue(Bytes, Bytes, Bytes),
    /// Prefix and suffix of the key, value.
    StampedKey(Bytes, Bytes, Bytes),
}

/// What a commit does to the store: first the ranges are cleared, then the keys written.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) cleared: Vec<KeyRange>,
    /// In the order of the keys, each once; nothing stands for a removal.
    pub(super) writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Effects {
    /// The keys and ranges that later readers conflict with.
    pub(super) fn footprint(&self) -> Footprint {
        Footprint {
            keys: self.writes.keys().cloned().collect(),
            ranges: self.cleared.clone(),
        }
    }
}

impl Prepared {
    /// Whether there is nothing to write.
    pub(super) fn is_read_only(&self) -> bool {
        self.writes.is_empty() && self.cleared.is_empty() && self.stamped.is_empty()
    }

    /// The cleared ranges, by begin and end, disjoint.
    pub(super) fn cleared(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.cleared.iter()
    }

    /// Octets of what it writes and depends on, as bounded by [`limits::TX_BYTES_MAX`].
    pub(super) fn bytes(&self) -> usize {
        let writes = self.writes.iter().map(|(key, write)| {
            key.len()
                + match write {
                    Write::Set(value) => value.len(),
                    Write::Clear => 0,
                    Write::Stamped(prefix, suffix) => {
                        prefix.len() + Versionstamp::BYTES + suffix.len()
                    }
                }
        });
        let stamped = self.stamped.iter().map(|stamped| {
            stamped.prefix.len() + Versionstamp::BYTES + stamped.suffix.len() + stamped.value.len()
        });
        let cleared = self
            .cleared
            .iter()
            .map(|(begin, end)| begin.len() + end.len());
        let keys = self.reads.keys.iter().map(Bytes::len);
        let ranges = self
            .reads
            .ranges
            .iter()
            .map(|range| range.begin.len() + range.end.len());
        writes
            .chain(stamped)
            .chain(cleared)
            .chain(keys)
            .chain(ranges)
            .sum()
    }

    /// The steps of the commit in an order in which each may be carried out before the next: whatever
    /// was cleared after a stamped key was set is cleared after it.
    #[cfg(any(
        feature = "foundationdb",
        all(feature = "test-store", debug_assertions)
    ))]
    pub(super) fn into_operations(self) -> Vec<Operation> {
        let cleared = self.cleared.into_iter();
        let mut operations: Vec<Operation> = cleared
            .map(|(begin, end)| Operation::ClearRange(KeyRange { begin, end }))
            .collect();
        for entry in self.stamped {
            operations.push(Operation::StampedKey(
                entry.prefix,
                entry.suffix,
                entry.value,
            ));
            operations.extend(entry.cleared.into_iter().map(Operation::ClearRange));
        }
        operations.extend(self.writes.into_iter().map(|(key, write)| match write {
            Write::Set(value) => Operation::Set(key, value),
            Write::Clear => Operation::Clear(key),
            Write::Stamped(prefix, suffix) => Operation::StampedValue(key, prefix, suffix),
        }));
        operations
    }

    /// What the batch does when it is committed as `order` of `version`.
    pub(super) fn resolve(self, version: Version, order: u16) -> Effects {
        let stamp = Versionstamp::new(version, order);
        let mut effects = Effects {
            cleared: self
                .cleared
                .into_iter()
                .map(|(begin, end)| KeyRange { begin, end })
                .collect(),
            writes: BTreeMap::new(),
        };
        for (key, write) in self.writes {
            let value = match write {
                Write::Set(value) => Some(value),
                Write::Clear => None,
                Write::Stamped(prefix, suffix) => Some(stamped(&prefix, stamp, &suffix)),
            };
            effects.writes.insert(key, value);
        }
        for entry in self.stamped {
            let key = stamped(&entry.prefix, stamp, &entry.suffix);
            if !entry.cleared.iter().any(|range| range.contains(&key)) {
                effects.writes.insert(key, Some(entry.value));
            }
        }
        effects
    }
}

/// The part of a range that belongs to users of the store.
pub(super) fn clamped(range: &KeyRange) -> KeyRange {
    let end = range.end.clone().min(Bytes::from_static(&[RESERVED]));
    KeyRange {
        begin: range.begin.clone(),
        end,
    }
}

fn is_outside(key: &[u8]) -> bool {
    key.first().is_none_or(|octet| *octet == RESERVED)
}

fn intersects(one: &KeyRange, other: &KeyRange) -> bool {
    one.begin < other.end && other.begin < one.end
}

fn stamped(prefix: &[u8], stamp: Versionstamp, suffix: &[u8]) -> Bytes {
    [prefix, &stamp.0, suffix].concat().into()
}
