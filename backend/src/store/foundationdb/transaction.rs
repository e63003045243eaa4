//! One transaction over FoundationDB.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use foundationdb::options::{ConflictRangeType, MutationType, StreamingMode, TransactionOption};
use foundationdb::{FdbError, KeySelector, RangeOption, Transaction};

use super::FoundationStore;
use super::code::{commit_error, store_error};
use crate::store::pending::{Operation, Pending, Prepared, clamped, collects_writes};
use crate::store::{
    CommitError, Committed, KeyRange, Limit, Order, Page, Read, Row, StoreError, Tx, TxOptions,
    Version, Versionstamp,
};

/// A transaction of the FoundationDB engine.
pub struct FoundationTx {
    store: FoundationStore,
    pending: Pending,
    pinned: Option<Version>,
    /// Begun with the first read, so that its version is not fixed, and its time does not run, before.
    begun: OnceLock<Result<Transaction, FdbError>>,
}

impl FoundationTx {
    pub(super) fn new(store: FoundationStore, options: TxOptions) -> Self {
        Self {
            store,
            pending: Pending::new(options),
            pinned: None,
            begun: OnceLock::new(),
        }
    }

    fn begun(&self) -> Result<&Transaction, FdbError> {
        let begun = self.begun.get_or_init(|| {
            let transaction = self.store.database.create_trx()?;
            if let Some(timeout) = self.pending.options().timeout {
                transaction.set_option(TransactionOption::Timeout(millis(timeout)))?;
            }
            if self.pending.options().is_background {
                transaction.set_option(TransactionOption::PriorityBatch)?;
            }
            if let Some(version) = self.pinned {
                let version = i64::try_from(version.0).unwrap_or(i64::MAX);
                transaction.set_read_version(version);
            }
            Ok(transaction)
        });
        begun.as_ref().map_err(|error| *error)
    }

    /// Rows of the cluster under the transaction's own, as many as a page may take and one more, with
    /// the part of `range` that they speak for, and whether there is more behind it.
    async fn base(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
    ) -> Result<(Vec<Row>, KeyRange, bool), StoreError> {
        let transaction = self.begun().map_err(store_error)?;
        let (mut rows, mut left, mut bytes) = (Vec::new(), range.clone(), 0);
        for iteration in 1.. {
            let (begin, end) = (self.store.outer(&left.begin), self.store.outer(&left.end));
            let option = RangeOption {
                begin: KeySelector::first_greater_or_equal(&begin),
                end: KeySelector::first_greater_or_equal(&end),
                limit: Some(limit.rows.max(1) + 1 - rows.len()),
                target_bytes: limit.bytes,
                mode: StreamingMode::Iterator,
                reverse: order == Order::Reverse,
                ..RangeOption::default()
            };
            let found = transaction.get_range(&option, iteration, true).await;
            let found = found.map_err(store_error)?;
            for row in &found {
                let key = &row.key()[self.store.prefix.len()..];
                bytes += key.len() + row.value().len();
                rows.push(Row {
                    key: Bytes::copy_from_slice(key),
                    value: Bytes::copy_from_slice(row.value()),
                });
            }
            let Some(last) = rows.last().filter(|_| found.more()) else {
                return Ok((rows, range.clone(), false));
            };
            if rows.len() > limit.rows || bytes > limit.bytes {
                let covered = range.up_to(&last.key, order);
                return Ok((rows, covered, true));
            }
            left = range.rest(&last.key, order);
        }
        Ok((rows, range.clone(), false))
    }
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis())
        .unwrap_or(i32::MAX)
        .max(1)
}

fn version_of(version: i64) -> Version {
    Version(u64::try_from(version).unwrap_or_default())
}

impl Tx for FoundationTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        if let Some(own) = self.pending.own(key)? {
            return Ok(own);
        }
        let transaction = self.begun().map_err(store_error)?;
        let found = transaction.get(&self.store.outer(key), true).await;
        let found = found.map_err(store_error)?;
        if read == Read::Serializable {
            self.pending.read_conflict(key);
        }
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        let mut left = clamped(range);
        loop {
            if left.is_empty() {
                return Ok(Page::default());
            }
            let (rows, covered, more) = self.base(&left, limit, order).await?;
            let base = rows.iter().cloned().map(Ok);
            let mut page = self.pending.page(&covered, limit, order, read, base)?;
            page.more |= more;
            // The transaction may have cleared all that was found.
            let Some(last) = rows.last().filter(|_| page.rows.is_empty() && more) else {
                return Ok(page);
            };
            left = left.rest(&last.key, order);
        }
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        if let Some(version) = self.pinned {
            return Ok(version);
        }
        let transaction = self.begun().map_err(store_error)?;
        let version = transaction.get_read_version().await.map_err(store_error)?;
        Ok(version_of(version))
    }

    collects_writes!();

    async fn commit(self) -> Result<Committed, CommitError> {
        self.begun().map_err(commit_error)?;
        let Self {
            store,
            pending,
            begun,
            ..
        } = self;
        let prepared = pending.prepare()?;
        let begun = begun
            .into_inner()
            .map_or(Err(FdbError::from_code(0)), |it| it);
        let transaction = begun.map_err(commit_error)?;
        if prepared.is_read_only() {
            let version = transaction.get_read_version().await;
            return Ok(Committed {
                version: version_of(version.map_err(commit_error)?),
                stamp: None,
            });
        }
        fill(&store, &transaction, prepared).map_err(commit_error)?;
        let stamp = transaction.get_versionstamp();
        let committed = transaction.commit().await;
        let committed = committed.map_err(|error| commit_error(error.into()))?;
        let version = committed.committed_version().map_err(commit_error)?;
        // What was committed has a stamp; that it cannot be told is no reason to doubt the commit.
        let stamp = stamp.await.ok();
        Ok(Committed {
            version: version_of(version),
            stamp: stamp.and_then(|octets| Some(Versionstamp(octets.as_ref().try_into().ok()?))),
        })
    }
}

/// Hands everything over: what the commit depends on, then what it writes.
fn fill(
    store: &FoundationStore,
    transaction: &Transaction,
    prepared: Prepared,
) -> Result<(), FdbError> {
    let depend = |range: &KeyRange| {
        let (begin, end) = (store.outer(&range.begin), store.outer(&range.end));
        transaction.add_conflict_range(&begin, &end, ConflictRangeType::Read)
    };
    for key in &prepared.reads.keys {
        depend(&KeyRange::key(key))?;
    }
    for range in &prepared.reads.ranges {
        depend(range)?;
    }
    for operation in prepared.into_operations() {
        match operation {
            Operation::ClearRange(range) => {
                transaction.clear_range(&store.outer(&range.begin), &store.outer(&range.end));
            }
            Operation::Clear(key) => transaction.clear(&store.outer(&key)),
            Operation::Set(key, value) => transaction.set(&store.outer(&key), &value),
            Operation::StampedValue(key, prefix, suffix) => transaction.atomic_op(
                &store.outer(&key),
                &with_place(&prefix, &suffix),
                MutationType::SetVersionstampedValue,
            ),
            Operation::StampedKey(prefix, suffix, value) => transaction.atomic_op(
                &with_place(&store.outer(&prefix), &suffix),
                &value,
                MutationType::SetVersionstampedKey,
            ),
        }
    }
    Ok(())
}

/// Prefix, room for the stamp, suffix, and where the room is: as FoundationDB's API 520 and later
/// want it.
fn with_place(prefix: &[u8], suffix: &[u8]) -> Vec<u8> {
    let place = u32::try_from(prefix.len()).unwrap_or(u32::MAX);
    [
        prefix,
        &[0; Versionstamp::BYTES],
        suffix,
        &place.to_le_bytes(),
    ]
    .concat()
}
