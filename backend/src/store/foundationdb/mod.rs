//! The FoundationDB engine: the same store under many processes (architecture A-19, cluster §3).
//!
//! A transaction collects its writes here, as the local engines do ([`super::pending`]), and hands
//! them over at commit. So what a transaction sees of itself, and what is too large, is the same over
//! every engine; FoundationDB gives the versions, checks the conflicts and makes them last.
//!
//! ```text
//!  get, range ─▶ own writes over a snapshot read ─▶ the key or range is noted
//!  commit     ─▶ noted reads as conflict ranges, writes as they are ─▶ one FoundationDB transaction
//! ```
//!
//! Every key lies under one prefix, so that several services share a cluster. Nothing waits for ever
//! when the cluster is away: every transaction has a time-out, and no client retries by itself
//! (cluster §3). Watches are made in read-only transactions (a watch adds a read conflict).
//!
//! | module | holds |
//! | --- | --- |
//! | `network` | the client's thread, started once per process |
//! | `transaction` | one transaction |
//! | `code` | what FoundationDB's error codes mean here (cluster §7.3) |

mod code;
mod network;
#[cfg(test)]
mod tests;
mod transaction;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foundationdb::Database;
use foundationdb::options::DatabaseOption;

use self::code::store_error;
pub use self::network::Network;
pub use self::transaction::FoundationTx;
use super::{Caps, Store, StoreError, TxOptions, Watch, limits};

/// Where the cluster is, and where in it the store.
#[derive(Debug, Clone)]
pub struct FoundationOptions {
    /// The cluster file; the client's default place if absent.
    pub cluster_file: Option<PathBuf>,
    /// What every key begins with, at most [`limits::PREFIX_BYTES_MAX`] octets, not `FF` at first.
    pub prefix: Vec<u8>,
    /// How long one transaction may take, at most 5 s: FoundationDB ends it then anyhow.
    pub timeout: Duration,
}

/// The engine. A handle: cloning it names the same store.
#[derive(Clone)]
pub struct FoundationStore {
    database: Arc<Database>,
    prefix: Bytes,
}

impl FoundationStore {
    /// Opens the store. `network` is the proof that the client's thread runs; it must outlive every
    /// handle. That the cluster answers shows with the first transaction.
    ///
    /// # Errors
    /// [`StoreError::Prefix`]; [`StoreError::Cluster`] if there is no cluster file, or none that reads.
    pub fn open(_network: &Network, options: &FoundationOptions) -> Result<Self, StoreError> {
        let bytes = options.prefix.len();
        if bytes > limits::PREFIX_BYTES_MAX || options.prefix.first() == Some(&0xff) {
            return Err(StoreError::Prefix { bytes });
        }
        let file = options.cluster_file.as_ref();
        let file = file.map(|file| file.to_string_lossy().into_owned());
        let database = Database::new(file.as_deref()).map_err(store_error)?;
        let millis = i32::try_from(options.timeout.as_millis()).unwrap_or(i32::MAX);
        for option in [
            DatabaseOption::TransactionTimeout(millis.max(1)),
            DatabaseOption::TransactionRetryLimit(0),
            DatabaseOption::MaxWatches(i32::try_from(limits::WATCHES_MAX).unwrap_or(i32::MAX)),
        ] {
            database.set_option(option).map_err(store_error)?;
        }
        Ok(Self {
            database: Arc::new(database),
            prefix: options.prefix.clone().into(),
        })
    }

    /// The key of the cluster that `key` of the store is.
    fn outer(&self, key: &[u8]) -> Vec<u8> {
        [self.prefix.as_ref(), key].concat()
    }
}

impl Store for FoundationStore {
    type Tx = FoundationTx;

    fn begin(&self, options: TxOptions) -> FoundationTx {
        FoundationTx::new(self.clone(), options)
    }

    async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        let transaction = self.database.create_trx().map_err(store_error)?;
        let change = transaction.watch(&self.outer(key));
        let committed = transaction.commit().await;
        committed.map_err(|error| store_error(error.into()))?;
        Ok(Watch::new(async move { change.await.map_err(store_error) }))
    }

    fn caps(&self) -> Caps {
        Caps {
            key_bytes_max: limits::KEY_BYTES_MAX,
            value_bytes_max: limits::VALUE_BYTES_MAX,
            tx_bytes_max: limits::TX_BYTES_MAX,
            is_durable: true,
            is_shared: true,
            chain_versions: limits::FOUNDATION_CHAIN_VERSIONS,
        }
    }
}
