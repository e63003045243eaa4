//! Why a service cannot start; each sentence says what to do.

use std::path::PathBuf;

use mesh_backend::store::StoreError;
use mesh_backend::tickets::VaultError;
use mesh_frontend::tls::TlsError;
use mesh_link::identity::ClusterNameError;
use mesh_link::{LinkStartError, LinkTlsError};
use mesh_peer::PeersError;

use crate::admin::AdminError;
use crate::admin::desks::DesksError;
use crate::config::ConfigError;
use crate::data_dir::DataDirError;
use crate::identity::IdentityError;

/// What was not read again; what it was stays in use.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The certificate that HTTPS shows.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificates of the internal link.
    #[error(transparent)]
    LinkTls(#[from] LinkTlsError),
    /// The authorities of other services' certificates.
    #[error(transparent)]
    Peers(#[from] PeersError),
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store.
    #[error("{cause}{}", cause.remedy().map_or_else(String::new, |remedy| format!(": {remedy}")))]
    Store {
        /// Why.
        cause: StoreError,
    },
    /// This program was built without the engine that the configuration names.
    #[error(
        "store.engine = \"{engine}\" needs a meshd that was built with it: cargo build --release \
         --features {feature}"
    )]
    EngineAbsent {
        /// The engine.
        engine: &'static str,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// The node of this process never joins.
    #[error(transparent)]
    Node(std::sync::Arc<Self>),
    /// The name of the cluster.
    #[error("cluster.name: {0}")]
    ClusterName(#[from] ClusterNameError),
    /// The secret of the cluster.
    #[error(
        "{} holds no secret of a cluster: set cluster.secret_file to the file that `meshd ca init` made, \
         the same on every back-end and outbound process",
        path.display()
    )]
    ClusterSecret {
        /// The file.
        path: PathBuf,
    },
    /// The certificates of the internal link.
    #[error(transparent)]
    LinkTls(#[from] LinkTlsError),
    /// The listener of the internal link.
    #[error(transparent)]
    Link(#[from] LinkStartError),
    /// The secrets of tickets.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The FoundationDB client has lost its cluster.
    #[error(
        "FoundationDB has not answered for a minute: this process ends, so that a new one reads the cluster \
         file again"
    )]
    ClientLost,
    /// The back-end.
    #[error("the back-end cannot start")]
    Backend(#[from] mesh_backend::node::StartError),
    /// What sends to other services.
    #[error("the queues to other services cannot be taken over")]
    Outbound(#[from] mesh_backend::outbound::OutboundError),
    /// The front-end.
    #[error(transparent)]
    Frontend(#[from] mesh_frontend::server::StartError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The development certificates.
    #[error("the development certificates cannot be made: check frontend.host_names")]
    DevelopmentCa(#[source] rcgen::Error),
    /// What operators need.
    #[error(transparent)]
    Desks(#[from] DesksError),
    /// The admin listener.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// How other services are reached.
    #[error(transparent)]
    Peers(#[from] PeersError),
    /// A measure was registered twice.
    #[error("the measures cannot be registered")]
    Metrics(#[from] prometheus::Error),
}
