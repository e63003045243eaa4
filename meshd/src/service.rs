//! A running service: store, back-end, front-end, admin listener, and the upkeep only a process can
//! do: rotating ticket keys, reading certificates again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use mesh_backend::config::BackendConfig;
use mesh_backend::desk::PoolDesk;
use mesh_backend::store::{EmbeddedOptions, EmbeddedStore, Released, StoreError};
use mesh_backend::{BackendHandle, ServiceKeys, ServiceSecrets, SystemClock, SystemEntropy};
use mesh_common::entropy::Entropy;
use mesh_common::time::Clock;
use mesh_common::udf::Udf;
use mesh_frontend::callback::CallBack;
use mesh_frontend::edge::{Components, Edge};
use mesh_frontend::identity::Identities;
use mesh_frontend::metrics::FrontendMetrics;
use mesh_frontend::server::Frontend;
use mesh_frontend::tls::{CertificateSlot, TlsError};
use mesh_peer::{Peers, PeersError};
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;

use crate::admin::desks::{self, DesksError};
use crate::admin::{Admin, AdminError, Readiness, token};
use crate::config::{ConfigError, MeshdConfig};
use crate::data_dir::{self, DataDir, DataDirError};
use crate::development_ca;
use crate::identity::{self, IdentityError};
use crate::peers::peers;
use crate::ticket_keys::TicketKeyFile;

/// How often ticket keys are looked after: far more often than their epochs change.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How long a stopping service waits for the last reader of its store.
const RELEASE_TIME_MAX: Duration = Duration::from_secs(10);

/// Why a service cannot start; the sentence says what to do.
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

/// Where the certificate comes from.
#[derive(Debug, Clone)]
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    /// The development CA, if it made the certificate.
    ca: Option<PathBuf>,
}

/// A running service. Dropping it without [`Self::stop`] ends it without finishing its work.
pub struct Service {
    frontend: Frontend,
    admin: Admin,
    backend: BackendHandle<EmbeddedStore>,
    released: Released,
    certificates: Arc<CertificateSlot>,
    certificate: Certificate,
    service_udf: Udf,
    upkeep: JoinHandle<()>,
    stopping: Arc<AtomicBool>,
}

impl Service {
    /// Starts everything that `config` describes. To be called inside an actix system.
    ///
    /// # Errors
    /// [`StartError`], with what to do about it. What was started before is stopped.
    pub async fn start(config: &MeshdConfig) -> Result<Self, StartError> {
        Self::start_with(config, None).await
    }

    /// The same with another way to call back services that post here; for tests.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        config: &MeshdConfig,
        call_back: Option<Arc<dyn CallBack>>,
    ) -> Result<Self, StartError> {
        // Here too: no way leads around what only loopback may have.
        config.check()?;
        let clock = SystemClock;
        let mut entropy = SystemEntropy;
        let folder = DataDir::open(&config.data_dir)?;
        let identity = identity::load_or_make(&folder.identity(), clock.now(), &mut entropy)?;
        let service_udf = identity.service_udf.clone();
        let tickets = TicketKeyFile::open(
            &folder.identity(),
            service_udf.clone(),
            clock.now(),
            &mut entropy,
        )?;
        let certificate = certificate_of(config, &folder)?;
        let certificates = Arc::new(CertificateSlot::from_files(
            &certificate.chain,
            &certificate.key,
        )?);
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let metrics = FrontendMetrics::register(&registry)?;
        let secrets = identity::secrets(&folder.identity(), &identity)?;
        let (backend, released) = start_backend(config, &folder, &registry, secrets).await?;
        let identities = Identities::single(identity);
        let peers = peers(config, identities.clone(), backend.pins())?;
        peers.register(&registry)?;
        let edge = Edge::new(
            &config.effective_frontend(),
            Components {
                identities,
                backend: Arc::new(backend.clone()),
                tickets: tickets.shared(),
                clock: Arc::new(clock),
                entropy: Arc::new(|| -> Box<dyn Entropy + Send> { Box::new(SystemEntropy) }),
                metrics,
                call_back: call_back.unwrap_or_else(|| Arc::new(peers.clone())),
            },
        );
        let stopping = Arc::new(AtomicBool::new(false));
        let readiness = BackendReadiness {
            backend: backend.clone(),
            stopping: Arc::clone(&stopping),
        };
        let slot = Arc::clone(&certificates);
        let started = start_rest((config, &folder), slot, edge, registry, readiness, peers).await;
        let (frontend, admin) = match started {
            Ok(started) => started,
            Err(error) => {
                backend.stop().await;
                return Err(error);
            }
        };
        Ok(Self {
            frontend,
            admin,
            backend,
            released,
            certificates,
            certificate,
            service_udf,
            upkeep: actix_rt::spawn(keep_tickets(tickets)),
            stopping,
        })
    }

    /// Where HTTPS is answered.
    #[must_use]
    pub const fn frontend(&self) -> &Frontend {
        &self.frontend
    }

    /// Where operators ask.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The back-end.
    #[must_use]
    pub const fn backend(&self) -> &BackendHandle<EmbeddedStore> {
        &self.backend
    }

    /// The service's permanent name.
    #[must_use]
    pub const fn service_udf(&self) -> &Udf {
        &self.service_udf
    }

    /// The development CA that clients must be told to trust, if it made the certificate.
    #[must_use]
    pub fn development_ca(&self) -> Option<&std::path::Path> {
        self.certificate.ca.as_deref()
    }

    /// Reads the certificate again. On an error the present one stays in use.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn reload_certificate(&self) -> Result<(), TlsError> {
        self.certificates
            .reload(&self.certificate.chain, &self.certificate.key)
    }

    /// Takes no new requests, finishes those in work, makes everything durable, and ends. Afterwards
    /// the data folder can be used again.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.upkeep.abort();
        if let Some(outbound) = self.backend.outbound() {
            // Before the front-end: peers call back whoever posts to them.
            outbound.stop().await;
        }
        self.frontend.stop().await;
        self.backend.stop().await;
        self.admin.stop().await;
        drop(self.backend);
        if tokio::time::timeout(RELEASE_TIME_MAX, self.released.wait())
            .await
            .is_err()
        {
            tracing::warn!("something still reads the store; its folder is free when that ends");
        }
    }
}

async fn start_backend(
    config: &MeshdConfig,
    folder: &DataDir,
    registry: &Registry,
    secrets: ServiceSecrets,
) -> Result<(BackendHandle<EmbeddedStore>, Released), StartError> {
    let options = EmbeddedOptions {
        cache_bytes: config.store.cache_bytes,
        reserve_bytes: config.store.reserve_bytes,
        ..EmbeddedOptions::default()
    };
    let store = EmbeddedStore::open(folder.store(), options)
        .map_err(|cause| StartError::Store { cause })?;
    let released = store.released();
    let settings: BackendConfig = config.effective_backend();
    let (clock, keys) = (Arc::new(SystemClock), ServiceKeys::single(secrets));
    let backend = BackendHandle::start(settings, store, clock, SystemEntropy, keys).await?;
    backend.metrics().register(registry)?;
    Ok((backend, released))
}

/// The front-end; then, since peers call back whoever posts to them, what sends to them; last the listener
/// for operators: what answers `/readyz` answers requests already.
async fn start_rest(
    (config, folder): (&MeshdConfig, &DataDir),
    certificates: Arc<CertificateSlot>,
    edge: Edge,
    registry: Registry,
    readiness: BackendReadiness,
    peers: Peers,
) -> Result<(Frontend, Admin), StartError> {
    let frontend = Frontend::start(&config.effective_frontend(), certificates, edge)?;
    let backend = readiness.backend.clone();
    let carrier = Arc::new(peers.clone());
    let outbound = backend.start_outbound(&config.outbound, carrier);
    let outbound = match outbound.await {
        Ok(outbound) => outbound,
        Err(error) => {
            frontend.stop().await;
            return Err(error.into());
        }
    };
    let desks = (Arc::new(outbound) as Arc<dyn PoolDesk>, peers);
    match start_admin(config, folder, registry, readiness, desks) {
        Ok(admin) => Ok((frontend, admin)),
        Err(error) => {
            frontend.stop().await;
            Err(error)
        }
    }
}

/// The listener for operators, and where their commands find it.
fn start_admin(
    config: &MeshdConfig,
    folder: &DataDir,
    registry: Registry,
    readiness: BackendReadiness,
    (pool, peers): (Arc<dyn PoolDesk>, Peers),
) -> Result<Admin, StartError> {
    let api = desks::open(&readiness.backend, pool, Arc::new(peers), folder)?;
    let admin = Admin::start(&config.admin, registry, Arc::new(readiness), api)?;
    token::write_address(&folder.admin(), admin.address())?;
    Ok(admin)
}

/// The certificate of `[tls]`, or the development CA's, which is made if it is not there.
fn certificate_of(config: &MeshdConfig, folder: &DataDir) -> Result<Certificate, StartError> {
    if let Some(files) = &config.tls {
        return Ok(Certificate {
            chain: files.certificate.clone(),
            key: files.key.clone(),
            ca: None,
        });
    }
    let (chain, key, ca) = (
        folder.tls().join("development.pem"),
        folder.tls().join("development.key"),
        folder.tls().join("ca.pem"),
    );
    if data_dir::read(&chain)?.is_none() {
        let made = development_ca::make(&names_of(config), SystemClock.now())
            .map_err(StartError::DevelopmentCa)?;
        data_dir::write(&key, made.key.as_bytes())?;
        data_dir::write(&ca, made.ca.as_bytes())?;
        // Last: only with it are the three there.
        data_dir::write(&chain, made.certificate.as_bytes())?;
    }
    Ok(Certificate {
        chain,
        key,
        ca: Some(ca),
    })
}

/// Every name this service is reached by, and the loopback addresses.
fn names_of(config: &MeshdConfig) -> Vec<String> {
    let mut names = Vec::new();
    for domain in &config.frontend.domains {
        names.push(domain.clone());
        names.push(format!("mmm.{domain}"));
    }
    names.extend(config.frontend.host_names.iter().cloned());
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    names
}

/// Rotates the ticket keys for as long as the service runs.
async fn keep_tickets(tickets: TicketKeyFile) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = tickets.rotate(SystemClock.now(), &mut SystemEntropy) {
            tracing::error!(%error, "the ticket keys cannot be rotated; the present ones stay in use");
        }
    }
}

/// Ready is who can write, and takes new requests.
struct BackendReadiness {
    backend: BackendHandle<EmbeddedStore>,
    stopping: Arc<AtomicBool>,
}

impl Readiness for BackendReadiness {
    fn obstacles(&self) -> futures_util::future::BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            if self.stopping.load(Ordering::SeqCst) {
                return vec!["the service is stopping".to_owned()];
            }
            match self.backend.ready().await {
                Ok(()) => Vec::new(),
                Err(error) => vec![error.to_string()],
            }
        })
    }

    fn refresh_measures(&self) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(self.backend.refresh_measures())
    }
}
