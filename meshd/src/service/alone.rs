//! The whole service in one process: store, back-end, queues and front-end, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use mesh_backend::desk::PoolDesk;
use mesh_backend::store::AnyStore;
use mesh_backend::{BackendHandle, ServiceKeys, SystemClock, SystemEntropy};
use mesh_common::time::Clock as _;
use mesh_frontend::callback::CallBack;
use mesh_peer::Peers;

use super::STILL_READ;
use super::engine::{self, Kept};
use super::error::{ReloadError, StartError};
use super::front::{Behind, Certificate, Front};
use super::ground::Ground;
use crate::admin::door::Door;
use crate::admin::{Admin, Readiness, desks, token};
use crate::config::MeshdConfig;
use crate::peers::peers;
use crate::ticket_keys::TicketKeyFile;

/// How often ticket keys are looked after: far more often than their epochs change.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How long a stopping service waits for the last reader of its store. Tests stop services on machines that are busy
/// with other things: there who is slow is no fault, and who does not let go is one.
const RELEASE_TIME_MAX: Duration =
    Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 10 });

/// The running parts.
pub(super) struct Alone {
    pub(super) front: Front,
    pub(super) admin: Admin,
    pub(super) backend: BackendHandle<AnyStore>,
    peers: Peers,
    kept: Kept,
    upkeep: JoinHandle<()>,
    stopping: Arc<AtomicBool>,
}

impl Alone {
    /// Starts everything. What was started before an error is stopped.
    pub(super) async fn start(
        config: &MeshdConfig,
        ground: &Ground,
        call_back: Option<Arc<dyn CallBack>>,
    ) -> Result<Self, StartError> {
        let tickets = TicketKeyFile::open(
            &config.identity_folder(),
            ground.service_udf.clone(),
            SystemClock.now(),
            &mut SystemEntropy,
        )?;
        let certificate = Certificate::load(config, &ground.folder)?;
        let (backend, kept) = start_backend(config, ground).await?;
        let stopping = Arc::new(AtomicBool::new(false));
        let readiness = BackendReadiness {
            backend: backend.clone(),
            stopping: Arc::clone(&stopping),
        };
        let started = start_rest(
            (config, ground),
            certificate,
            &tickets,
            readiness,
            call_back,
        );
        let (front, admin, peers) = match started.await {
            Ok(started) => started,
            Err(error) => {
                backend.stop().await;
                return Err(error);
            }
        };
        Ok(Self {
            front,
            admin,
            backend,
            peers,
            kept,
            upkeep: actix_rt::spawn(keep_tickets(tickets)),
            stopping,
        })
    }

    /// Reads every certificate again, and returns what could not be. What was not read stays as it is.
    pub(super) fn reload(&self) -> Vec<ReloadError> {
        let read = [
            self.front.reload().map_err(ReloadError::from),
            self.peers.reload().map_err(ReloadError::from),
        ];
        read.into_iter().filter_map(Result::err).collect()
    }

    /// Takes no new requests, finishes those in work, makes everything durable, and ends. Returns whether nothing
    /// reads the store any more.
    pub(super) async fn stop(self) -> bool {
        self.stopping.store(true, Ordering::SeqCst);
        self.upkeep.abort();
        if let Some(outbound) = self.backend.outbound() {
            // Before the front-end: peers call back whoever posts to them.
            outbound.stop().await;
        }
        self.front.server.stop().await;
        self.backend.stop().await;
        self.admin.stop().await;
        // Both read the store.
        drop((self.backend, self.peers));
        let released = tokio::time::timeout(RELEASE_TIME_MAX, self.kept.released()).await;
        if released.is_err() {
            tracing::warn!("{STILL_READ}; its folder is free when that ends");
        }
        released.is_ok()
    }
}

async fn start_backend(
    config: &MeshdConfig,
    ground: &Ground,
) -> Result<(BackendHandle<AnyStore>, Kept), StartError> {
    let (store, kept) = engine::open(config, &ground.folder)?.into_parts();
    let (clock, keys) = (
        Arc::new(SystemClock),
        ServiceKeys::single(ground.secrets.clone()),
    );
    let settings = config.effective_backend();
    let backend = BackendHandle::start(settings, store, clock, SystemEntropy, keys).await?;
    backend.metrics().register(&ground.registry)?;
    Ok((backend, kept))
}

/// The front-end; then, since peers call back whoever posts to them, what sends to them; last the listener
/// for operators: what answers `/readyz` answers requests already.
async fn start_rest(
    (config, ground): (&MeshdConfig, &Ground),
    certificate: Certificate,
    tickets: &TicketKeyFile,
    readiness: BackendReadiness,
    call_back: Option<Arc<dyn CallBack>>,
) -> Result<(Front, Admin, Peers), StartError> {
    let backend = readiness.backend.clone();
    let peers = peers(config, ground.identities.clone(), backend.pins())?;
    peers.register(&ground.registry)?;
    let behind = Behind {
        backend: Arc::new(backend.clone()),
        tickets: tickets.shared(),
        call_back: call_back.unwrap_or_else(|| Arc::new(peers.clone())),
    };
    let front = Front::start(config, ground, certificate, behind)?;
    let carrier = Arc::new(peers.clone());
    let started = match backend.start_outbound(&config.outbound, carrier).await {
        Ok(outbound) => {
            let desks = (Arc::new(outbound) as Arc<dyn PoolDesk>, peers.clone());
            start_admin(config, ground, readiness, desks)
        }
        Err(error) => Err(error.into()),
    };
    match started {
        Ok(admin) => Ok((front, admin, peers)),
        Err(error) => {
            front.server.stop().await;
            Err(error)
        }
    }
}

/// The listener for operators, and where their commands find it.
fn start_admin(
    config: &MeshdConfig,
    ground: &Ground,
    readiness: BackendReadiness,
    (pool, peers): (Arc<dyn PoolDesk>, Peers),
) -> Result<Admin, StartError> {
    let api = desks::open(&readiness.backend, pool, Arc::new(peers), &ground.folder)?;
    let registry = ground.registry.clone();
    let door = Arc::new(Door::opened(api));
    let admin = Admin::start(&config.admin, registry, Arc::new(readiness), door)?;
    token::write_address(&ground.folder.admin(), admin.address())?;
    Ok(admin)
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
    backend: BackendHandle<AnyStore>,
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
