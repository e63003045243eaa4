//! Opening the engine that `[store]` names.

use mesh_backend::store::{AnyStore, EmbeddedOptions, EmbeddedStore, Released};

use super::error::StartError;
use crate::config::{Engine, MeshdConfig, StoreConfig};
use crate::data_dir::DataDir;

/// An open store, and what must outlive it.
pub(crate) struct Opened {
    pub(crate) store: AnyStore,
    /// Ends when the last reader of an embedded store is gone.
    pub(crate) released: Option<Released>,
    #[cfg(feature = "foundationdb")]
    network: Option<mesh_backend::store::foundationdb::Network>,
}

impl Opened {
    fn of(store: AnyStore) -> Self {
        Self {
            store,
            released: None,
            #[cfg(feature = "foundationdb")]
            network: None,
        }
    }

    /// Keeps what must outlive the store, without the store itself.
    pub(crate) fn into_parts(self) -> (AnyStore, Kept) {
        let kept = Kept {
            released: self.released,
            #[cfg(feature = "foundationdb")]
            _network: self.network,
        };
        (self.store, kept)
    }
}

/// What is held for as long as anything may use the store.
pub(crate) struct Kept {
    released: Option<Released>,
    #[cfg(feature = "foundationdb")]
    _network: Option<mesh_backend::store::foundationdb::Network>,
}

impl Kept {
    /// Waits until nothing reads the store any more, if that can be known.
    pub(crate) async fn released(self) {
        if let Some(released) = self.released {
            released.wait().await;
        }
    }
}

/// Opens it. That a store elsewhere answers shows with the first transaction.
pub(crate) fn open(config: &MeshdConfig, folder: &DataDir) -> Result<Opened, StartError> {
    match config.store.engine {
        Engine::Embedded => embedded(config, folder),
        Engine::FoundationDb => foundationdb(&config.store),
        Engine::Test => test(&config.store),
    }
}

fn embedded(config: &MeshdConfig, folder: &DataDir) -> Result<Opened, StartError> {
    let defaults = EmbeddedOptions::default();
    let options = EmbeddedOptions {
        cache_bytes: config.store.cache_bytes,
        reserve_bytes: config.store.reserve_bytes,
        // Nobody names a version that no transaction holds, unless chains are used: what was written by the
        // last thousand commits is then not kept in order, at every commit, for nobody.
        chain_versions: match config.backend.version_chain {
            true => defaults.chain_versions,
            false => 1,
        },
        ..defaults
    };
    let store = EmbeddedStore::open(folder.store(), options)
        .map_err(|cause| StartError::Store { cause })?;
    let released = store.released();
    Ok(Opened {
        released: Some(released),
        ..Opened::of(store.into())
    })
}

#[cfg(feature = "foundationdb")]
fn foundationdb(config: &StoreConfig) -> Result<Opened, StartError> {
    use mesh_backend::store::foundationdb::{FoundationOptions, FoundationStore, Network};
    let options = FoundationOptions {
        cluster_file: config.foundationdb.cluster_file.clone(),
        prefix: config.foundationdb.prefix.clone().into_bytes(),
        timeout: config.foundationdb.timeout(),
    };
    let refused = |cause| StartError::Store { cause };
    let network = Network::start().map_err(refused)?;
    let store = FoundationStore::open(&network, &options).map_err(refused)?;
    Ok(Opened {
        network: Some(network),
        ..Opened::of(store.into())
    })
}

#[cfg(not(feature = "foundationdb"))]
fn foundationdb(_: &StoreConfig) -> Result<Opened, StartError> {
    Err(StartError::EngineAbsent {
        engine: Engine::FoundationDb.name(),
        feature: "foundationdb",
    })
}

#[cfg(all(feature = "test-store", debug_assertions))]
fn test(config: &StoreConfig) -> Result<Opened, StartError> {
    use mesh_backend::store::StoreError;
    use mesh_backend::store::remote::{RemoteOptions, RemoteStore};
    let refused = |cause| StartError::Store { cause };
    let options = RemoteOptions {
        address: config
            .test
            .address
            .ok_or_else(|| refused(StoreError::Closed))?,
        timeout: std::time::Duration::from_millis(config.test.timeout_ms),
    };
    let store = RemoteStore::open(&options).map_err(refused)?;
    Ok(Opened::of(store.into()))
}

#[cfg(not(all(feature = "test-store", debug_assertions)))]
fn test(_: &StoreConfig) -> Result<Opened, StartError> {
    Err(StartError::EngineAbsent {
        engine: Engine::Test.name(),
        feature: "test-store",
    })
}
