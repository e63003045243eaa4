//! The table `[store]`: which engine, and what each is told (architecture A-19, cluster §19).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mesh_backend::store::{EmbeddedOptions, limits::PREFIX_BYTES_MAX};
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Longest life of a FoundationDB transaction: the cluster ends it then anyhow.
const TRANSACTION_MS_MAX: u64 = 5_000;

/// Which engine keeps everything, and its settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Which engine.
    pub engine: Engine,
    /// Octets of the cache of blocks read from disk, of the embedded engine.
    pub cache_bytes: u64,
    /// Octets of the disk that the embedded engine leaves free: below them nothing is written until
    /// there is more room.
    pub reserve_bytes: u64,
    /// Where the FoundationDB cluster is, and where in it the store.
    pub foundationdb: FoundationSettings,
    /// The store server of the tests.
    pub test: TestStoreSettings,
}

/// The engines a configuration can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// On the local disk, in the data folder: for one process.
    Embedded,
    /// In a FoundationDB cluster: for any number of processes. Needs a build with the feature
    /// `foundationdb`.
    FoundationDb,
    /// In the store server of the tests: for any number of processes on this host. Needs a build with
    /// the feature `test-store`, and no release is one.
    Test,
}

/// Settings of the engine `foundationdb`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FoundationSettings {
    /// The cluster file; the client's own default place if absent. The client rewrites it when the
    /// coordinators change, so it must lie where this user may write.
    pub cluster_file: Option<PathBuf>,
    /// What every key begins with. Services that share a cluster have different ones, of which none
    /// begins with another.
    pub prefix: String,
    /// Milliseconds one transaction may take, at most 5,000: nothing waits longer for a
    /// cluster that is away.
    pub timeout_ms: u64,
}

/// Settings of the engine `test`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestStoreSettings {
    /// Address of the store server, on loopback.
    pub address: Option<SocketAddr>,
    /// Milliseconds one request to it may take.
    pub timeout_ms: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let embedded = EmbeddedOptions::default();
        Self {
            engine: Engine::Embedded,
            cache_bytes: embedded.cache_bytes,
            reserve_bytes: embedded.reserve_bytes,
            foundationdb: FoundationSettings::default(),
            test: TestStoreSettings::default(),
        }
    }
}

impl Default for FoundationSettings {
    fn default() -> Self {
        Self {
            cluster_file: None,
            prefix: "mesh/".to_owned(),
            timeout_ms: 4_000,
        }
    }
}

impl Default for TestStoreSettings {
    fn default() -> Self {
        Self {
            address: None,
            timeout_ms: 4_000,
        }
    }
}

impl FoundationSettings {
    /// How long one transaction may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Engine {
    /// Whether several processes can work over it.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        match self {
            Self::Embedded => false,
            Self::FoundationDb | Self::Test => true,
        }
    }

    /// As the setting says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::FoundationDb => "foundationdb",
            Self::Test => "test",
        }
    }
}

impl StoreConfig {
    /// Checks what types cannot say.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let timeout_ms = self.foundationdb.timeout_ms;
        if !(1..=TRANSACTION_MS_MAX).contains(&timeout_ms) {
            return Err(ConfigError::Store {
                sentence: format!(
                    "store.foundationdb.timeout_ms = {timeout_ms} is not between 1 and {TRANSACTION_MS_MAX}: \
                     FoundationDB ends every transaction after 5 seconds"
                ),
            });
        }
        if self.foundationdb.prefix.len() > PREFIX_BYTES_MAX {
            return Err(ConfigError::Store {
                sentence: format!(
                    "store.foundationdb.prefix is longer than {PREFIX_BYTES_MAX} octets: every key bears it"
                ),
            });
        }
        if self.engine == Engine::Test && self.test.address.is_none() {
            return Err(ConfigError::Store {
                sentence:
                    "store.engine = \"test\" needs store.test.address, the address that the store \
                           server of the tests printed"
                        .to_owned(),
            });
        }
        Ok(())
    }
}
