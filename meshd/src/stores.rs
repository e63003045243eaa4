//! Stores that commands open themselves, besides the one a service runs over: by the configuration that names them.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use mesh_backend::store::AnyStore;

use crate::config::MeshdConfig;
use crate::data_dir::DataDir;
use crate::service::engine::{self, Kept};

/// How long one commit may take.
pub(crate) const WRITE_TIME_MAX: Duration = Duration::from_secs(4);

/// An open store, and what must outlive it.
pub(crate) struct OpenStore {
    store: AnyStore,
    _kept: Kept,
}

impl OpenStore {
    /// Opens the store that the configuration in `file` names.
    pub(crate) fn of_file(file: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::of(&MeshdConfig::load(Some(file))?)
    }

    /// Opens the store that `config` names. One on the local disk must not be open elsewhere.
    pub(crate) fn of(config: &MeshdConfig) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let folder = DataDir::open(&config.data_dir)?;
        let (store, kept) = engine::open(config, &folder)?.into_parts();
        Ok(Self { store, _kept: kept })
    }

    /// The store.
    pub(crate) fn store(&self) -> AnyStore {
        self.store.clone()
    }
}
