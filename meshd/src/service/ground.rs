//! What every process of a service stands on, whatever its roles: its folder, the service's identity,
//! and a place for measures.

use mesh_backend::{ServiceSecrets, SystemClock, SystemEntropy};
use mesh_common::time::Clock as _;
use mesh_common::udf::Udf;
use mesh_frontend::identity::Identities;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;

use super::error::StartError;
use crate::config::{MeshdConfig, Shape};
use crate::data_dir::DataDir;
use crate::identity;

/// Folder, identity, measures.
pub(super) struct Ground {
    pub(super) folder: DataDir,
    pub(super) identities: Identities,
    pub(super) service_udf: Udf,
    pub(super) secrets: ServiceSecrets,
    pub(super) registry: Registry,
}

impl Ground {
    /// Opens the folder and reads the identity. Who is alone makes one at the first start; a process of
    /// a cluster never does, since it would be another service than the others.
    pub(super) fn lay(config: &MeshdConfig) -> Result<Self, StartError> {
        let folder = DataDir::open(&config.data_dir)?;
        let identity_folder = config.identity_folder();
        let identity = match config.shape() {
            Shape::Alone => {
                identity::load_or_make(&identity_folder, SystemClock.now(), &mut SystemEntropy)?
            }
            Shape::Cluster(_) => identity::load_shared(&identity_folder)?,
        };
        let secrets = identity::secrets(&identity_folder, &identity)?;
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            folder,
            service_udf: identity.service_udf.clone(),
            identities: Identities::single(identity),
            secrets,
            registry,
        })
    }
}
