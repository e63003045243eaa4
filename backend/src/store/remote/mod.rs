//! The memory engine behind a server, for tests with several processes and no FoundationDB (decision Q-67):
//! the server, and the engine by which a process uses it.
//!
//! ```text
//!  get, range ─▶ own writes over a read at the transaction's version ─▶ the key or range is noted
//!  commit     ─▶ what was noted and what is written, in one request ─▶ the memory engine checks and applies
//! ```
//!
//! It is like FoundationDB where it matters (cluster §3): the version of a transaction is a number that the
//! client names with each read, so nothing is open at the server for a client, and a client that dies leaves
//! nothing behind; versions are too old after some seconds; a commit whose answer does not come may
//! have landed, or may land yet; nothing waits for ever while the server is away.
//!
//! Never part of a release: the module is absent without debug assertions, whatever the features.
//!
//! | module | holds |
//! | --- | --- |
//! | `wire` | what engine and server say to each other |
//! | `line` | requests over warm connections, on a thread of their own |
//! | `transaction` | one transaction |
//! | `watching` | watches, all of a process over one stream |
//! | `server` | the server, and the troubles it can be ordered to have |

mod line;
mod server;
#[cfg(test)]
mod tests;
mod transaction;
mod watching;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::line::Line;
pub use self::server::{Orders, OrdersError, StoreServer};
pub use self::transaction::RemoteTx;
use self::watching::Watching;
use super::{Caps, Store, StoreError, TxOptions, Watch, limits};

/// Where the store server is.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Its address, on loopback.
    pub address: SocketAddr,
    /// How long one request may take, tries to reach the server included.
    pub timeout: Duration,
}

/// The engine over a [`StoreServer`]. A handle: cloning it names the same store.
#[derive(Clone, Debug)]
pub struct RemoteStore {
    line: Arc<Line>,
    watching: Arc<Watching>,
}

impl RemoteStore {
    /// Opens the store. That the server answers shows with the first transaction.
    ///
    /// # Errors
    /// [`StoreError::Io`]: there is no thread for the connections.
    pub fn open(options: &RemoteOptions) -> Result<Self, StoreError> {
        let line = Line::new(options).map_err(|error| StoreError::Io {
            folder: options.address.to_string().into(),
            action: "start a thread for connections",
            source: Arc::new(error),
        })?;
        let line = Arc::new(line);
        Ok(Self {
            watching: Arc::new(Watching::new(Arc::clone(&line))),
            line,
        })
    }
}

impl Store for RemoteStore {
    type Tx = RemoteTx;

    fn begin(&self, options: TxOptions) -> RemoteTx {
        RemoteTx::new(Arc::clone(&self.line), options)
    }

    async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        self.watching.watch(key).await
    }

    fn caps(&self) -> Caps {
        Caps {
            key_bytes_max: limits::KEY_BYTES_MAX,
            value_bytes_max: limits::VALUE_BYTES_MAX,
            tx_bytes_max: limits::TX_BYTES_MAX,
            // As far as a process that uses it can tell: its own death costs nothing.
            is_durable: true,
            is_shared: true,
            chain_versions: limits::CHAIN_VERSIONS,
        }
    }
}
