//! What a cluster stands on: the store server of the tests, or a real FoundationDB cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_backend::SystemEntropy;
use mesh_backend::store::remote::{Orders, RemoteOptions, RemoteStore, StoreServer};
use mesh_backend::store::{AnyStore, KeyRange, Store as _, Tx as _, TxOptions};
use mesh_common::cluster::ClusterSecret;

use crate::proxy::Proxy;
use crate::service::loopback;

/// Names the cluster file of a real FoundationDB cluster to run over.
pub const REAL_CLUSTER: &str = "MESH_FDB_CLUSTER_FILE";

/// For so long a version stays readable at the store server, as at FoundationDB.
const KEPT: Duration = Duration::from_secs(5);
/// What one request to the store may take.
const TIMEOUT_MS: u64 = 4_000;

/// The store of a cluster.
#[derive(Debug)]
pub enum Ground {
    /// The store server, in this process.
    Server(StoreServer),
    /// A FoundationDB cluster, under a prefix that no other test has.
    Foundation {
        /// Its cluster file.
        cluster_file: PathBuf,
        /// The prefix.
        prefix: String,
    },
}

impl Ground {
    pub(super) fn lay(folder: &Path) -> Self {
        static CLUSTERS: AtomicU64 = AtomicU64::new(0);
        let Some(file) = std::env::var_os(REAL_CLUSTER) else {
            let server = StoreServer::start(loopback(), KEPT);
            return Self::Server(server.expect("there are ports and threads"));
        };
        // The client rewrites its cluster file, so it is given a copy.
        let cluster_file = folder.join("fdb.cluster");
        std::fs::copy(&file, &cluster_file).expect("the cluster file can be read");
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        Self::Foundation {
            cluster_file,
            prefix: format!("mesh-test/{}/{number}/", std::process::id()),
        }
    }

    /// A way of its own for one process.
    pub(super) fn way(&self) -> Option<Proxy> {
        match self {
            Self::Server(server) => {
                let way = Proxy::to(server.address());
                Some(way.expect("there are ports and threads"))
            }
            Self::Foundation { .. } => None,
        }
    }

    /// The table `[store]` of a process that goes this way.
    pub(super) fn settings(&self, way: Option<&Proxy>) -> String {
        match self {
            Self::Server(server) => {
                let address = way.map_or_else(|| server.address(), Proxy::address);
                format!(
                    "store.engine = \"test\"\nstore.test.address = \"{address}\"\n\
                     store.test.timeout_ms = {TIMEOUT_MS}\n"
                )
            }
            Self::Foundation {
                cluster_file,
                prefix,
            } => format!(
                "store.engine = \"foundationdb\"\n\
                 store.foundationdb.cluster_file = {cluster_file:?}\n\
                 store.foundationdb.prefix = {prefix:?}\n\
                 store.foundationdb.timeout_ms = {TIMEOUT_MS}\n"
            ),
        }
    }

    /// Removes what an earlier run may have left under the same prefix of a real cluster.
    pub(super) fn clear(&self) {
        if matches!(self, Self::Server(_)) {
            return;
        }
        let store = self.open();
        let cleared = async {
            let mut tx = store.begin(TxOptions::default());
            tx.clear_range(&KeyRange::all());
            tx.commit().await
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is a runtime")
            .block_on(cleared)
            .expect("the cluster takes writes");
    }

    /// From now on the store server has these troubles, and no others; false if there is none, because the
    /// cluster is a real one.
    ///
    /// # Panics
    /// If there is no such order.
    pub fn order(&self, orders: &str) -> bool {
        let orders: Orders = orders.parse().expect("tests order what there is");
        match self {
            Self::Server(server) => server.order(orders),
            Self::Foundation { .. } => return false,
        }
        true
    }

    /// The store server, if it is one.
    #[must_use]
    pub const fn server(&self) -> Option<&StoreServer> {
        match self {
            Self::Server(server) => Some(server),
            Self::Foundation { .. } => None,
        }
    }

    /// The store, opened by the test itself to look at rows.
    ///
    /// # Panics
    /// If it cannot be opened, or the tests were built without the engine.
    #[must_use]
    pub fn open(&self) -> AnyStore {
        match self {
            Self::Server(server) => opened(server.address()),
            Self::Foundation {
                cluster_file,
                prefix,
            } => foundation(cluster_file, prefix),
        }
    }
}

fn opened(address: SocketAddr) -> AnyStore {
    let timeout = Duration::from_millis(TIMEOUT_MS);
    let store = RemoteStore::open(&RemoteOptions { address, timeout });
    store.expect("there is a thread for connections").into()
}

#[cfg(feature = "foundationdb")]
fn foundation(cluster_file: &Path, prefix: &str) -> AnyStore {
    use std::sync::OnceLock;

    use mesh_backend::store::foundationdb::{FoundationOptions, FoundationStore, Network};
    /// For as long as the tests run: it is not stopped, the process ends.
    static NETWORK: OnceLock<Network> = OnceLock::new();
    let network = NETWORK.get_or_init(|| Network::start().expect("the client's thread starts"));
    let options = FoundationOptions {
        cluster_file: Some(cluster_file.to_owned()),
        prefix: prefix.as_bytes().to_vec(),
        timeout: Duration::from_millis(TIMEOUT_MS),
    };
    let store = FoundationStore::open(network, &options);
    store.expect("the cluster file is one").into()
}

#[cfg(not(feature = "foundationdb"))]
fn foundation(_: &Path, _: &str) -> AnyStore {
    panic!("{REAL_CLUSTER} is set: build with --features foundationdb")
}

/// The secret that the processes of a cluster share.
pub(super) fn write_secret(path: &Path) {
    let secret = ClusterSecret::generate(&mut SystemEntropy);
    std::fs::write(path, secret.to_text().as_str()).expect("a temporary file can be written");
}
