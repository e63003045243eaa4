//! `FDBDatabase` and `FDBTransaction`: reads at one version, and what is to be committed.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cluster::{self, Batch, Cluster, Octets, Range, Write, after};
use crate::future::{FDBFuture, Promise, Rows, Value};
use crate::network::{DELAY_MAX, keep_later};
use crate::{
    CLIENT_INVALID_OPERATION, Code, FUTURE_VERSION, KEY_TOO_LARGE, NO_CLUSTER_FILE,
    NO_COMMIT_VERSION, PROCESS_BEHIND, SUCCESS, TRANSACTION_CANCELLED, TRANSACTION_TOO_LARGE,
    TRANSACTION_TOO_OLD, UNSUPPORTED_OPERATION, VALUE_TOO_LARGE, held, octets,
};

const KEY_BYTES_MAX: usize = 10_000;
const VALUE_BYTES_MAX: usize = 100_000;
const TRANSACTION_BYTES_MAX: usize = 10_000_000;
/// Rows of a page that ends early.
const SHORT_PAGE_ROWS_MAX: u64 = 7;
/// Octets of a page when the caller names none.
const PAGE_BYTES_DEFAULT: usize = 80_000;
/// `FDBMutationType`.
const SET_VERSIONSTAMPED_KEY: c_int = 14;
const SET_VERSIONSTAMPED_VALUE: c_int = 15;
/// `FDBConflictRangeType`.
const READ_CONFLICT: c_int = 0;

/// A handle of a cluster.
pub struct FDBDatabase(Arc<Mutex<Cluster>>);

/// A handle of a transaction.
pub struct FDBTransaction(Mutex<Transaction>);

struct Transaction {
    cluster: Arc<Mutex<Cluster>>,
    batch: Batch,
    bytes: usize,
    /// What every further call answers.
    refusal: Code,
    committed: i64,
    stamps: Vec<Arc<Promise>>,
    watches: Vec<(Octets, Arc<Promise>)>,
}

impl Transaction {
    fn new(cluster: Arc<Mutex<Cluster>>) -> Self {
        Self {
            cluster,
            batch: Batch::default(),
            bytes: 0,
            refusal: SUCCESS,
            committed: -1,
            stamps: Vec::new(),
            watches: Vec::new(),
        }
    }

    fn reset(&mut self) {
        for promise in self.stamps.drain(..) {
            promise.keep(Value::Failed(TRANSACTION_CANCELLED));
        }
        for (_, promise) in self.watches.drain(..) {
            promise.keep(Value::Failed(TRANSACTION_CANCELLED));
        }
        *self = Self::new(Arc::clone(&self.cluster));
    }

    /// The version it reads at; fixed when nothing has yet.
    fn version(&mut self) -> i64 {
        *self
            .batch
            .read_version
            .get_or_insert_with(|| held(&self.cluster).read_version())
    }

    /// What a read meets before it is carried out.
    fn check_read(&mut self) -> Result<i64, Code> {
        if self.refusal != SUCCESS {
            return Err(self.refusal);
        }
        if !self.batch.writes.is_empty() {
            return Err(CLIENT_INVALID_OPERATION);
        }
        let version = self.version();
        let mut cluster = held(&self.cluster);
        let faults = cluster.dice.faults;
        for (in_a_million, code) in [
            (faults.too_old, TRANSACTION_TOO_OLD),
            (faults.future, FUTURE_VERSION),
            (faults.behind, PROCESS_BEHIND),
        ] {
            if cluster.dice.happens(in_a_million) {
                return Err(code);
            }
        }
        Ok(version)
    }

    fn write(&mut self, key: &[u8], value: &[u8], write: Write) {
        if key.len() > KEY_BYTES_MAX {
            self.refusal = KEY_TOO_LARGE;
        }
        if value.len() > VALUE_BYTES_MAX {
            self.refusal = VALUE_TOO_LARGE;
        }
        // A key is counted again for the range that others conflict with.
        self.bytes += 3 * key.len() + value.len();
        self.batch.writes.push(write);
    }

    fn commit(&mut self) -> Code {
        if self.refusal != SUCCESS {
            return self.refusal;
        }
        if self.bytes > TRANSACTION_BYTES_MAX {
            return TRANSACTION_TOO_LARGE;
        }
        if self.batch.writes.is_empty() {
            self.arm();
            return SUCCESS;
        }
        if !self.batch.reads.is_empty() {
            self.version();
        }
        let batch = std::mem::take(&mut self.batch);
        let mut committed = held(&self.cluster).commit(batch);
        committed.fire();
        if committed.code == SUCCESS {
            self.committed = committed.version;
            for promise in self.stamps.drain(..) {
                promise.keep(Value::Key(committed.stamp.to_vec()));
            }
            self.arm();
        }
        committed.code
    }

    /// From now on its watches watch.
    fn arm(&mut self) {
        let version = self.version().max(self.committed);
        for (key, promise) in std::mem::take(&mut self.watches) {
            let fired = held(&self.cluster).watch(key, version, promise);
            fired
                .iter()
                .for_each(|promise| promise.keep(Value::Nothing));
        }
    }

    /// The future of an answer: at once, or a little later.
    fn answer(&self, value: Value) -> *mut FDBFuture {
        let (future, promise) = FDBFuture::pending();
        let delay = {
            let mut cluster = held(&self.cluster);
            let latency = cluster.dice.faults.latency;
            let micros = u64::try_from(DELAY_MAX.as_micros()).unwrap_or(1).max(1);
            let is_late = cluster.dice.happens(latency);
            is_late.then(|| Duration::from_micros(cluster.dice.below(micros)))
        };
        match delay {
            Some(delay) => keep_later(promise, value, delay),
            None => promise.keep(value),
        }
        future
    }
}

unsafe fn of<'a>(transaction: *mut FDBTransaction) -> std::sync::MutexGuard<'a, Transaction> {
    held(unsafe { &(*transaction).0 })
}

fn told(result: Result<Value, Code>) -> Value {
    result.unwrap_or_else(Value::Failed)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_create_database(
    path: *const c_char,
    out: *mut *mut FDBDatabase,
) -> Code {
    let path = if path.is_null() {
        "/etc/foundationdb/fdb.cluster".into()
    } else {
        unsafe { CStr::from_ptr(path) }.to_string_lossy()
    };
    let Some(cluster) = cluster::open(&path) else {
        return NO_CLUSTER_FILE;
    };
    unsafe { *out = Box::into_raw(Box::new(FDBDatabase(cluster))) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_database_destroy(database: *mut FDBDatabase) {
    drop(unsafe { Box::from_raw(database) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_database_create_transaction(
    database: *mut FDBDatabase,
    out: *mut *mut FDBTransaction,
) -> Code {
    let transaction = Transaction::new(Arc::clone(unsafe { &(*database).0 }));
    unsafe { *out = Box::into_raw(Box::new(FDBTransaction(Mutex::new(transaction)))) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_destroy(transaction: *mut FDBTransaction) {
    // A watch outlives the commit of its transaction, what was not committed does not.
    unsafe { of(transaction) }.reset();
    drop(unsafe { Box::from_raw(transaction) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_cancel(transaction: *mut FDBTransaction) {
    let mut transaction = unsafe { of(transaction) };
    transaction.reset();
    transaction.refusal = TRANSACTION_CANCELLED;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_reset(transaction: *mut FDBTransaction) {
    unsafe { of(transaction) }.reset();
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_transaction_set_option(
    _: *mut FDBTransaction,
    _: c_int,
    _: *const u8,
    _: c_int,
) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_set_read_version(
    transaction: *mut FDBTransaction,
    version: i64,
) {
    unsafe { of(transaction) }.batch.read_version = Some(version);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_read_version(
    transaction: *mut FDBTransaction,
) -> *mut FDBFuture {
    let mut transaction = unsafe { of(transaction) };
    let version = transaction.version();
    transaction.answer(Value::Number(version))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get(
    transaction: *mut FDBTransaction,
    key: *const u8,
    key_length: c_int,
    snapshot: c_int,
) -> *mut FDBFuture {
    let mut transaction = unsafe { of(transaction) };
    let key = unsafe { octets(key, key_length) };
    let found = transaction.check_read().and_then(|version| {
        let found = held(&transaction.cluster).get(&key, version)?;
        Ok(Value::Held(found))
    });
    if snapshot == 0 {
        let range = (key.clone(), after(&key));
        transaction.batch.reads.push(range);
    }
    transaction.answer(told(found))
}

/// A bound of a range; only "the first key from here on" is modelled.
fn bound(key: Octets, or_equal: c_int, offset: c_int) -> Result<Octets, Code> {
    match (or_equal, offset) {
        (0, 1) => Ok(key),
        (_, 1) => Ok(after(&key)),
        _ => Err(UNSUPPORTED_OPERATION),
    }
}

impl Transaction {
    fn rows(
        &mut self,
        range: &Range,
        (rows, bytes): (c_int, c_int),
        reverse: bool,
    ) -> Result<(Vec<(Octets, Octets)>, bool), Code> {
        let version = self.check_read()?;
        let mut cluster = held(&self.cluster);
        let limit = usize::try_from(rows).ok().filter(|rows| *rows > 0);
        let mut limit = limit.unwrap_or(usize::MAX - 1);
        let short = cluster.dice.faults.short;
        if cluster.dice.happens(short) {
            let rows = 1 + cluster.dice.below(SHORT_PAGE_ROWS_MAX);
            limit = limit.min(usize::try_from(rows).unwrap_or(1));
        }
        let (mut rows, mut more) = cluster.range(range, version, limit, reverse)?;
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes > 0);
        let mut left = bytes.unwrap_or(PAGE_BYTES_DEFAULT);
        let fits = rows.iter().take_while(|(key, value)| {
            let has_room = left > 0;
            left = left.saturating_sub(key.len() + value.len());
            has_room
        });
        let fits = fits.count();
        more |= fits < rows.len();
        // A page ends behind the row that fills it; the client cannot know that it was the last one.
        more |= fits == limit && fits > 0;
        rows.truncate(fits);
        Ok((rows, more))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_range(
    transaction: *mut FDBTransaction,
    begin: *const u8,
    begin_length: c_int,
    begin_or_equal: c_int,
    begin_offset: c_int,
    end: *const u8,
    end_length: c_int,
    end_or_equal: c_int,
    end_offset: c_int,
    rows: c_int,
    bytes: c_int,
    _mode: c_int,
    _iteration: c_int,
    snapshot: c_int,
    reverse: c_int,
) -> *mut FDBFuture {
    let mut transaction = unsafe { of(transaction) };
    let begin = bound(
        unsafe { octets(begin, begin_length) },
        begin_or_equal,
        begin_offset,
    );
    let end = bound(unsafe { octets(end, end_length) }, end_or_equal, end_offset);
    let found = begin.and_then(|begin| Ok((begin, end?))).and_then(|range| {
        let found = transaction.rows(&range, (rows, bytes), reverse != 0)?;
        Ok((range, found))
    });
    let found = found.map(|((begin, end), (rows, more))| {
        if snapshot == 0 {
            let seen = match rows.last().filter(|_| more) {
                Some((last, _)) if reverse != 0 => (last.clone(), end),
                Some((last, _)) => (begin, after(last)),
                None => (begin, end),
            };
            transaction.batch.reads.push(seen);
        }
        Value::Rows(Rows::new(rows, more))
    });
    transaction.answer(told(found))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_set(
    transaction: *mut FDBTransaction,
    key: *const u8,
    key_length: c_int,
    value: *const u8,
    value_length: c_int,
) {
    let (key, value) = unsafe { (octets(key, key_length), octets(value, value_length)) };
    let write = Write::Set(key.clone(), value.clone());
    unsafe { of(transaction) }.write(&key, &value, write);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_clear(
    transaction: *mut FDBTransaction,
    key: *const u8,
    key_length: c_int,
) {
    let key = unsafe { octets(key, key_length) };
    let write = Write::Clear((key.clone(), after(&key)));
    unsafe { of(transaction) }.write(&key, &[], write);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_clear_range(
    transaction: *mut FDBTransaction,
    begin: *const u8,
    begin_length: c_int,
    end: *const u8,
    end_length: c_int,
) {
    let (begin, end) = unsafe { (octets(begin, begin_length), octets(end, end_length)) };
    let write = Write::Clear((begin.clone(), end));
    unsafe { of(transaction) }.write(&begin, &[], write);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_atomic_op(
    transaction: *mut FDBTransaction,
    key: *const u8,
    key_length: c_int,
    parameter: *const u8,
    parameter_length: c_int,
    operation: c_int,
) {
    let (key, value) = unsafe { (octets(key, key_length), octets(parameter, parameter_length)) };
    let mut transaction = unsafe { of(transaction) };
    /// The place of the stamp, which is not stored.
    const PLACE_BYTES: usize = 4;
    match operation {
        SET_VERSIONSTAMPED_KEY => {
            let counted = key[..key.len().saturating_sub(PLACE_BYTES)].to_vec();
            transaction.write(&counted, &value.clone(), Write::StampedKey(key, value));
        }
        SET_VERSIONSTAMPED_VALUE => {
            let counted = value[..value.len().saturating_sub(PLACE_BYTES)].to_vec();
            transaction.write(&key.clone(), &counted, Write::StampedValue(key, value));
        }
        _ => transaction.refusal = UNSUPPORTED_OPERATION,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_add_conflict_range(
    transaction: *mut FDBTransaction,
    begin: *const u8,
    begin_length: c_int,
    end: *const u8,
    end_length: c_int,
    kind: c_int,
) -> Code {
    if kind != READ_CONFLICT {
        return UNSUPPORTED_OPERATION;
    }
    let range = unsafe { (octets(begin, begin_length), octets(end, end_length)) };
    let mut transaction = unsafe { of(transaction) };
    transaction.bytes += range.0.len() + range.1.len();
    transaction.batch.reads.push(range);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_commit(
    transaction: *mut FDBTransaction,
) -> *mut FDBFuture {
    let mut transaction = unsafe { of(transaction) };
    let value = match transaction.commit() {
        SUCCESS => Value::Nothing,
        code => Value::Failed(code),
    };
    transaction.answer(value)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_on_error(
    transaction: *mut FDBTransaction,
    code: Code,
) -> *mut FDBFuture {
    unsafe { of(transaction) }.refusal = code;
    FDBFuture::of(Value::Failed(code))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_committed_version(
    transaction: *mut FDBTransaction,
    out: *mut i64,
) -> Code {
    unsafe { *out = of(transaction).committed };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_versionstamp(
    transaction: *mut FDBTransaction,
) -> *mut FDBFuture {
    let mut transaction = unsafe { of(transaction) };
    if transaction.batch.writes.is_empty() {
        return FDBFuture::of(Value::Failed(NO_COMMIT_VERSION));
    }
    let (future, promise) = FDBFuture::pending();
    transaction.stamps.push(promise);
    future
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_watch(
    transaction: *mut FDBTransaction,
    key: *const u8,
    key_length: c_int,
) -> *mut FDBFuture {
    let key = unsafe { octets(key, key_length) };
    let mut transaction = unsafe { of(transaction) };
    // As FoundationDB does: a watch is a read.
    transaction.batch.reads.push((key.clone(), after(&key)));
    let (future, promise) = FDBFuture::pending();
    transaction.watches.push((key, promise));
    future
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_approximate_size(
    transaction: *mut FDBTransaction,
) -> *mut FDBFuture {
    let bytes = unsafe { of(transaction) }.bytes;
    FDBFuture::of(Value::Number(i64::try_from(bytes).unwrap_or(i64::MAX)))
}
