//! The embedded engine: the store of one process, in one folder on local disk.
//!
//! fjall 3 keeps the rows (log-structured tables, values from 512 octets on apart from their keys);
//! everything that makes it FoundationDB's semantics is ours: versions, the conflict check, group
//! commit with one fsync (`committer`), watches, and the checks before and after opening
//! (`folder`, `journal`). See docs/0002-embedded-engine.md.
//!
//! Reads take the engine's view of a version and run on the thread that asks; a page that turns out
//! long goes on in the pool for blocking work, so that an actor's thread is not held.

mod tx;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, KeyspaceCreateOptions, KvSeparationOptions, Readable, Snapshot,
};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::tx::EmbeddedTx;
use super::committer::{Committer, Published, Request, Shared, VERSION_KEY};
use super::conflict::{HeldRead, LiveReads};
use super::folder::{Acknowledged, Folder, io_error};
use super::pending::Prepared;
use super::room::Room;
use super::watch::Watches;
use super::{
    Caps, CommitError, Committed, Store, StoreError, TxOptions, Version, Watch, damage, journal,
    limits,
};

/// How an embedded store uses memory and disk.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// Octets of the cache of blocks read from tables.
    pub cache_bytes: u64,
    /// Octets of the newest writes kept in memory until they become a table; up to five such at a
    /// time under load. Fixed when the folder is made.
    pub memtable_bytes: u64,
    /// Values from this many octets on are kept apart from their keys and are not rewritten when
    /// tables are merged; nothing keeps all values with their keys. Fixed when the folder is made.
    pub separation_bytes: Option<u32>,
    /// Octets of the disk that commits leave free for the engine's own work; below them writing stops
    /// until there is more room.
    pub reserve_bytes: u64,
    /// See [`Caps::chain_versions`].
    pub chain_versions: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 16 * 1_024 * 1_024,
            memtable_bytes: 32 * 1_024 * 1_024,
            separation_bytes: Some(512),
            reserve_bytes: RESERVE_BYTES_DEFAULT,
            chain_versions: limits::CHAIN_VERSIONS,
        }
    }
}

/// Octets of the disk that commits leave free, unless set otherwise: all newest writes as tables, and
/// a merge of some of them.
const RESERVE_BYTES_DEFAULT: u64 = 64 * 1_024 * 1_024;

/// Files the engine keeps open at once.
const OPEN_FILES_MAX: usize = 256;

/// Octets of journals after which the engine writes tables in order to drop them.
const JOURNAL_BYTES_MAX: u64 = 192 * 1_024 * 1_024;

/// Threads that write and merge tables. The engine's first one only writes them: it turns in circles as long as
/// others are too busy to take what is to be merged, so there is one to merge and one to find that there is
/// nothing more to be merged at present.
const WORKERS: usize = 3;

/// The store of one process in one folder; see the module.
///
/// The folder is released when the last handle and the last transaction are dropped.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Inner>);

struct Inner {
    queue: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// Last, so that the folder is released when all else is closed.
    _folder: Folder,
    /// Behind the folder: whoever holds a [`Released`] learns that the folder is free.
    released: watch::Sender<()>,
}

/// Tells when a store's folder is free again; see [`EmbeddedStore::released`].
#[derive(Debug, Clone)]
pub struct Released(watch::Receiver<()>);

impl Released {
    /// Waits until the last handle and the last transaction of the store are dropped and its folder
    /// can be opened again.
    pub async fn wait(mut self) {
        // Nothing is ever sent: the channel ends with the store.
        while self.0.changed().await.is_ok() {}
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.watches.close();
        // Without a sender the committer ends, after what it has.
        self.queue = None;
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!(folder = %self.shared.folder.display(), "the committer of the store panicked");
        }
    }
}

impl EmbeddedStore {
    /// Opens the store in `folder`, making it if there is none. Blocks for as long as the disk needs.
    ///
    /// # Errors
    /// [`StoreError`], each with its [`StoreError::remedy`]: in use, unwritable, full, damaged, not a
    /// store, or of a newer format.
    pub fn open(folder: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let folder = Folder::open(folder.as_ref())?;
        let room = Room::new(folder.path().to_owned(), options.reserve_bytes);
        room.check()?;
        let (acknowledged, promised) = Acknowledged::open(&folder)?;
        folder.clear_unfinished_engine(promised)?;
        let engine = folder.engine();
        let journals = journal::inspect(folder.path(), &engine, VERSION_KEY)?;
        let active = journals.active.clone().unwrap_or_else(|| engine.clone());
        if let Some(newest) = journals.newest {
            acknowledged.check(promised, newest, &active)?;
        }
        damage::check_manifests(folder.path(), &engine, promised)?;
        journals.cut_tails(folder.path())?;

        let (database, rows) = open_engine(folder.path(), &engine, options)?;
        let snapshot = database.snapshot();
        let newest = newest_version(&snapshot, &rows).map_err(|error| {
            plain_engine_error(folder.path(), &engine, "read its version", error)
        })?;
        acknowledged.check(
            promised.max(journals.newest.unwrap_or_default()),
            newest,
            &active,
        )?;

        let shared = Arc::new(Shared {
            folder: folder.path().to_owned(),
            database,
            rows,
            live_reads: LiveReads::default(),
            watches: Watches::default(),
            chain_versions: options.chain_versions,
            stopped: OnceLock::new(),
            published: Mutex::new(Published::new(newest, snapshot)),
            #[cfg(test)]
            next_failure: Mutex::default(),
        });
        let (queue, waiting) = mpsc::channel(limits::COMMIT_QUEUE_MAX);
        let committer = Committer::new(shared.clone(), acknowledged, newest, room);
        let committer = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || committer.run(waiting))
            .map_err(|error| io_error(folder.path(), "start its committer", error))?;
        let inner = Inner {
            queue: Some(queue),
            committer: Some(committer),
            shared,
            _folder: folder,
            released: watch::Sender::new(()),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// For whoever wants to open the folder again after the handles are dropped.
    #[must_use]
    pub fn released(&self) -> Released {
        Released(self.0.released.subscribe())
    }

    /// The folder of the store.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.shared.folder
    }

    /// Why the store takes no more writes; nothing while it does.
    #[must_use]
    pub fn stopped(&self) -> Option<StoreError> {
        self.0.shared.stopped.get().cloned()
    }

    /// Octets the store takes on disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        let shared = &self.0.shared;
        shared
            .database
            .disk_space()
            .map_err(|error| engine_error(shared, "measure its files", error))
    }

    #[cfg(test)]
    pub(super) fn fail_next_write(&self, error: std::io::Error) {
        *self.0.shared.next_failure.lock().unwrap() = Some(error);
    }

    /// Writes the newest rows out as tables, as happens by itself once there are enough.
    #[cfg(test)]
    pub(super) fn write_tables(&self) {
        self.0.shared.rows.rotate_memtable_and_wait().unwrap();
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("EmbeddedStore")
            .field(&self.0.shared.folder)
            .finish()
    }
}

fn open_engine(
    folder: &Path,
    engine: &Path,
    options: EmbeddedOptions,
) -> Result<(Database, fjall::Keyspace), StoreError> {
    let open = || {
        let database = Database::builder(engine)
            .cache_size(options.cache_bytes)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKERS)
            .manual_journal_persist(true)
            // Payloads are encrypted: there is nothing to compress, and `journal` reads the plain form.
            .journal_compression(CompressionType::None)
            .open()?;
        let separation = options.separation_bytes.map(|bytes| {
            KvSeparationOptions::default()
                .separation_threshold(bytes)
                .compression(CompressionType::None)
        });
        let rows = database.keyspace("rows", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.memtable_bytes)
                .manual_journal_persist(true)
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
                .with_kv_separation(separation)
        })?;
        Ok((database, rows))
    };
    // The engine takes some kinds of damage for impossible and panics.
    std::panic::catch_unwind(AssertUnwindSafe(open))
        .map_err(|_| StoreError::Corrupt {
            file: damage::find(&engine.join("keyspaces")),
            detail: "the engine found its files in an impossible state".to_owned(),
        })?
        .map_err(|error| plain_engine_error(folder, engine, "open its files", error))
}

fn newest_version(snapshot: &Snapshot, rows: &fjall::Keyspace) -> fjall::Result<Version> {
    let record = snapshot.get(rows, VERSION_KEY)?;
    let octets = record.and_then(|record| record.as_ref().try_into().ok());
    Ok(octets.map_or_else(Version::default, |octets| {
        Version(u64::from_be_bytes(octets))
    }))
}

/// Sorts what the running engine reports into what the operator can do.
pub(super) fn engine_error(
    shared: &Shared,
    action: &'static str,
    error: fjall::Error,
) -> StoreError {
    plain_engine_error(&shared.folder, &shared.folder.join("engine"), action, error)
}

fn plain_engine_error(
    folder: &Path,
    engine: &Path,
    action: &'static str,
    error: fjall::Error,
) -> StoreError {
    use std::io::ErrorKind;
    let is_damage = |error: &std::io::Error| {
        matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::NotFound
        )
    };
    let damaged = |detail: String, file: PathBuf| StoreError::Corrupt { file, detail };
    let tables = engine.join("keyspaces");
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            if is_damage(&error) {
                damaged(error.to_string(), damage::find(&tables))
            } else {
                io_error(folder, action, error)
            }
        }
        fjall::Error::Storage(error) => damaged(error.to_string(), damage::find(&tables)),
        fjall::Error::Decompress(_) => damaged(error.to_string(), damage::find(&tables)),
        fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidTag(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::Unrecoverable => damaged(error.to_string(), engine.to_owned()),
        fjall::Error::InvalidVersion(_) => damaged(error.to_string(), engine.join("version")),
        fjall::Error::Locked => StoreError::InUse {
            folder: folder.to_owned(),
        },
        other => StoreError::Engine {
            folder: folder.to_owned(),
            detail: other.to_string(),
        },
    }
}

impl Store for EmbeddedStore {
    type Tx = EmbeddedTx;

    fn begin(&self, options: TxOptions) -> EmbeddedTx {
        EmbeddedTx::new(self.0.clone(), options)
    }

    async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        self.0.shared.watches.register(key)
    }

    fn caps(&self) -> Caps {
        Caps {
            key_bytes_max: limits::KEY_BYTES_MAX,
            value_bytes_max: limits::VALUE_BYTES_MAX,
            tx_bytes_max: limits::TX_BYTES_MAX,
            is_durable: true,
            is_shared: false,
            chain_versions: self.0.shared.chain_versions,
        }
    }
}

impl Inner {
    async fn land(&self, prepared: Prepared, read: HeldRead) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || {
            let error = self
                .shared
                .stopped
                .get()
                .cloned()
                .unwrap_or(StoreError::Closed);
            CommitError::Fatal(error)
        };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue
            .send(Request {
                prepared,
                read,
                reply,
            })
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

#[cfg(test)]
mod tests;
