//! The node of a process: it answers others from the start, joins its cluster as soon as the store is
//! reached, and then owns what falls to it (cluster §4, §15).
//!
//! ```text
//!  begin: link server, secret, store handle ─▶ live: join … joined ─▶ secrets, queues, operators
//!                                               ▲   │ the store is away
//!                                               └───┘ tried again
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use mesh_backend::cluster::ClusterConfig;
use mesh_backend::node::StartError as JoinError;
use mesh_backend::store::AnyStore;
use mesh_backend::tickets::{TicketVault, VaultError};
use mesh_backend::{BackendHandle, ServiceKeys, ServiceSecrets, SystemClock, SystemEntropy};
use mesh_common::cluster::{ClusterSecret, NodeService};
use mesh_common::time::Clock as _;
use mesh_link::{LinkServer, LinkService};
use mesh_peer::Peers;
use prometheus::Registry;
use tokio::sync::watch;

use super::engine::{self, Kept};
use super::error::StartError;
use super::ground::Ground;
use super::late::LateNode;
use super::link::Link;
use super::pins::LatePins;
use super::probe::{StoreProbe, sentence};
use crate::admin::desks;
use crate::admin::door::Door;
use crate::config::{Engine, MeshdConfig, RoleSet};
use crate::data_dir::{self, DataDir};

/// Pause after a try to join that failed because of the store.
const JOIN_PAUSE: Duration = Duration::from_secs(1);
/// How often the secrets of tickets are looked after: far more often than their epochs change.
const SECRETS_INTERVAL: Duration = Duration::from_secs(60);
/// The same after a look that failed.
const SECRETS_PAUSE: Duration = Duration::from_secs(2);
/// How long a stopping node has to let go of everything (cluster §15).
const LEAVE_TIME_MAX: Duration = Duration::from_secs(12);
/// After this time without a version a FoundationDB client is started anew, with the process: it may know
/// coordinators that are no more (cluster §18 row 11).
const CLIENT_TIME_MAX: Duration = Duration::from_secs(60);

/// A node, joined or not.
pub(super) struct Node {
    pub(super) late: Arc<LateNode>,
    pub(super) address: String,
    state: Arc<NodeState>,
    server: LinkServer,
    life: Vec<JoinHandle<()>>,
    kept: Kept,
}

/// What others ask about it.
pub(super) struct NodeState {
    backend: OnceLock<BackendHandle<AnyStore>>,
    probe: Arc<StoreProbe>,
    obstacle: Mutex<Option<String>>,
    progress: watch::Sender<Progress>,
}

/// How far it is.
#[derive(Debug, Clone)]
enum Progress {
    Joining,
    Joined,
    /// It never will: waiting does not help.
    Failed(Arc<StartError>),
}

/// What a node is made of.
pub(super) struct Beginning<'a> {
    pub(super) config: &'a MeshdConfig,
    pub(super) roles: RoleSet,
    pub(super) ground: &'a Ground,
    pub(super) link: &'a Link,
}

/// What it opens or starts once it has joined.
pub(super) struct Following {
    pub(super) peers: Peers,
    pub(super) pins: Arc<LatePins>,
    pub(super) door: Arc<Door>,
}

impl Node {
    /// Begins to answer others, and to join once [`Self::follow`] is called.
    pub(super) fn begin(parts: &Beginning<'_>) -> Result<(Self, Joining), StartError> {
        let Beginning {
            config,
            roles,
            ground,
            link,
        } = parts;
        let secret = read_secret(config)?;
        let (store, kept) = engine::open(config, &ground.folder)?.into_parts();
        let late = Arc::new(LateNode::default());
        let service = LinkService {
            service: Arc::clone(&late) as Arc<dyn NodeService>,
            security: link.security.clone(),
            clock: Arc::new(SystemClock),
            traces: link.traces.clone(),
        };
        let listen = config.cluster.listen;
        let server = LinkServer::start(listen, 0, service, &mut SystemEntropy)?;
        let address = advertised(config, server.address());
        let state = Arc::new(NodeState {
            backend: OnceLock::new(),
            probe: Arc::default(),
            obstacle: Mutex::default(),
            progress: watch::Sender::new(Progress::Joining),
        });
        let joining = Joining {
            config: (*config).clone(),
            roles: *roles,
            address: address.clone(),
            vault: TicketVault::new(store.clone(), secret, ground.service_udf.clone()),
            store,
            secrets: ground.secrets.clone(),
            registry: ground.registry.clone(),
            folder: ground.folder.clone(),
            link: (*link).clone(),
            late: Arc::clone(&late),
            state: Arc::clone(&state),
        };
        let node = Self {
            late,
            address,
            state,
            server,
            life: Vec::new(),
            kept,
        };
        Ok((node, joining))
    }

    /// Joins, in the background.
    pub(super) fn follow(&mut self, joining: Joining, following: Following) {
        let probe = Arc::clone(&self.state.probe);
        let looking = probe.keep_looking(joining.store.clone());
        self.life.push(actix_rt::spawn(looking));
        self.life.push(actix_rt::spawn(joining.live(following)));
    }

    /// Waits until it has joined, or never will.
    ///
    /// # Errors
    /// Why it never will.
    pub(super) async fn joined(&self) -> Result<(), Arc<StartError>> {
        let mut progress = self.state.progress.subscribe();
        let decided = progress.wait_for(|progress| !matches!(progress, Progress::Joining));
        match decided.await.as_deref() {
            Ok(Progress::Failed(error)) => Err(Arc::clone(error)),
            _ => Ok(()),
        }
    }

    /// Waits until it cannot go on, and says why.
    pub(super) async fn failed(&self) -> Arc<StartError> {
        let mut progress = self.state.progress.subscribe();
        let failed = progress.wait_for(|progress| matches!(progress, Progress::Failed(_)));
        match failed.await.as_deref() {
            Ok(Progress::Failed(error)) => Arc::clone(error),
            _ => std::future::pending().await,
        }
    }

    pub(super) fn state(&self) -> Arc<NodeState> {
        Arc::clone(&self.state)
    }

    /// The back-end, once it has joined.
    pub(super) fn backend(&self) -> Option<&BackendHandle<AnyStore>> {
        self.state.backend.get()
    }

    /// Stops sending to other services: before the front-ends stop, which peers call back.
    pub(super) async fn stop_sending(&self) {
        if let Some(outbound) = self.backend().and_then(BackendHandle::outbound) {
            outbound.stop().await;
        }
    }

    /// Lets go of everything, removes the node's record, answers no more, and ends.
    pub(super) async fn stop(self) {
        for task in &self.life {
            task.abort();
        }
        if let Some(backend) = self.backend() {
            let left = tokio::time::timeout(LEAVE_TIME_MAX, backend.leave()).await;
            if left.is_err() {
                tracing::warn!(
                    "not everything was let go of in time: others take it when the lease is over"
                );
            }
        }
        self.server.stop().await;
        if let Some(backend) = self.state.backend.get() {
            backend.stop().await;
        }
        drop(self.state);
        drop(self.kept);
    }
}

impl NodeState {
    /// The back-end, once it has joined.
    pub(super) fn backend(&self) -> Option<&BackendHandle<AnyStore>> {
        self.backend.get()
    }

    /// Why it should get no requests.
    pub(super) async fn obstacles(&self) -> Vec<String> {
        let away = self.probe.obstacle();
        let is_away = away.is_some();
        let mut found = Vec::from_iter(away);
        match self.backend() {
            Some(backend) => {
                // A store that does not answer is not asked for more.
                if !is_away && let Err(error) = backend.ready().await {
                    found.push(error.to_string());
                }
                if backend.holdings().is_some_and(|held| held.is_leaving) {
                    found.push("this node was told to leave the cluster".to_owned());
                }
            }
            None => found.push("this node has not joined its cluster yet".to_owned()),
        }
        let obstacle = self.obstacle.lock();
        let obstacle = obstacle.unwrap_or_else(PoisonError::into_inner).clone();
        // What keeps it from joining is most often that the store does not answer, which is said.
        found.extend(obstacle.filter(|_| !is_away));
        found
    }

    fn hindered(&self, obstacle: Option<String>) {
        let mut known = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(obstacle) = obstacle.as_ref().filter(|_| *known != obstacle) {
            tracing::warn!("{obstacle}");
        }
        *known = obstacle;
    }

    fn fail(&self, error: StartError) {
        tracing::error!(cause = chain(&error), "the node cannot go on");
        self.progress
            .send_replace(Progress::Failed(Arc::new(error)));
    }
}

/// A node on its way into its cluster.
pub(super) struct Joining {
    config: MeshdConfig,
    roles: RoleSet,
    address: String,
    store: AnyStore,
    vault: TicketVault<AnyStore>,
    secrets: ServiceSecrets,
    registry: Registry,
    folder: DataDir,
    link: Link,
    late: Arc<LateNode>,
    state: Arc<NodeState>,
}

impl Joining {
    async fn live(self, following: Following) {
        let state = Arc::clone(&self.state);
        let backend = tokio::select! {
            joined = self.join() => match joined {
                Ok(backend) => backend,
                Err(error) => return state.fail(error),
            },
            error = self.client_is_lost() => return state.fail(error),
        };
        if let Err(error) = self.settle(&backend, following).await {
            return state.fail(error);
        }
        tokio::select! {
            () = self.keep_secrets(&backend) => {}
            error = self.client_is_lost() => state.fail(error),
        }
    }

    /// Tries until it has joined.
    async fn join(&self) -> Result<BackendHandle<AnyStore>, StartError> {
        loop {
            let settings = &self.config.cluster;
            let cluster = ClusterConfig {
                address: self.address.clone(),
                zone: settings.zone.clone(),
                weight: settings.weight,
                roles: self.roles.node,
                times: settings.times(),
            };
            let joined = BackendHandle::join(
                self.config.effective_backend(),
                cluster,
                self.store.clone(),
                Arc::new(SystemClock),
                SystemEntropy,
                ServiceKeys::single(self.secrets.clone()),
                self.link.neighbours(),
            );
            match joined.await {
                Ok(backend) => return Ok(backend),
                Err(error) if is_passing(&error) => {
                    self.state.hindered(Some(chain(&error)));
                    tokio::time::sleep(JOIN_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What follows once: measures, the queues, and the desks of operators.
    async fn settle(
        &self,
        backend: &BackendHandle<AnyStore>,
        following: Following,
    ) -> Result<(), StartError> {
        let Following { peers, pins, door } = following;
        backend.metrics().register(&self.registry)?;
        pins.joined(backend.pins());
        let pool = match self.roles.node.outbound {
            true => {
                let carrier = Arc::new(peers.clone());
                let outbound = backend
                    .start_outbound(&self.config.outbound, carrier)
                    .await?;
                desks::pool_of(outbound)
            }
            false => desks::no_pool(),
        };
        self.look_after_secrets(backend).await?;
        let _first = self.state.backend.set(backend.clone());
        self.late.joined(Arc::new(backend.clone()));
        door.open(desks::open(backend, pool, Arc::new(peers), &self.folder)?);
        self.state.hindered(None);
        self.state.progress.send_replace(Progress::Joined);
        tracing::info!(address = self.address, roles = %self.roles, "the node has joined its cluster");
        Ok(())
    }

    /// Has the secrets of tickets, whatever it takes.
    async fn look_after_secrets(
        &self,
        backend: &BackendHandle<AnyStore>,
    ) -> Result<(), StartError> {
        loop {
            match self.vault.look(SystemClock.now(), &mut SystemEntropy).await {
                Ok(secrets) => {
                    backend.tell_secrets(secrets);
                    return Ok(());
                }
                Err(error @ (VaultError::NotOurs(_) | VaultError::Row(_))) => {
                    return Err(error.into());
                }
                Err(error) => {
                    self.state.hindered(Some(chain(&error)));
                    tokio::time::sleep(SECRETS_PAUSE).await;
                }
            }
        }
    }

    /// Looks after the secrets of tickets for as long as the node is there. Those that are told stay in use.
    async fn keep_secrets(&self, backend: &BackendHandle<AnyStore>) {
        loop {
            tokio::time::sleep(SECRETS_INTERVAL).await;
            match self.vault.look(SystemClock.now(), &mut SystemEntropy).await {
                Ok(secrets) => backend.tell_secrets(secrets),
                Err(error) => tracing::error!(
                    cause = chain(&error),
                    "the secrets of tickets cannot be looked after; the present ones stay in use"
                ),
            }
        }
    }

    /// Waits until only a new client can help.
    async fn client_is_lost(&self) -> StartError {
        let mut interval = tokio::time::interval(JOIN_PAUSE);
        loop {
            interval.tick().await;
            let is_lost = self.state.probe.away_for(tokio::time::Instant::now()) >= CLIENT_TIME_MAX;
            if is_lost && self.config.store.engine == Engine::FoundationDb {
                return StartError::ClientLost;
            }
        }
    }
}

/// Whether the same may succeed later, when the store is back.
const fn is_passing(error: &JoinError) -> bool {
    matches!(
        error,
        JoinError::Store(_) | JoinError::Write(_) | JoinError::Claim(_)
    )
}

/// By what others reach this node.
fn advertised(config: &MeshdConfig, bound: SocketAddr) -> String {
    let said = config.cluster.advertise.clone();
    said.unwrap_or_else(|| bound.to_string())
}

/// The secret of the cluster.
fn read_secret(config: &MeshdConfig) -> Result<ClusterSecret, StartError> {
    let path = config.cluster.secret_file.clone().unwrap_or_default();
    let octets = data_dir::read(&path)?.map(zeroize::Zeroizing::new);
    let text = octets
        .as_ref()
        .and_then(|octets| std::str::from_utf8(octets).ok());
    match text.map(ClusterSecret::from_text) {
        Some(Ok(secret)) => Ok(secret),
        _ => Err(StartError::ClusterSecret { path }),
    }
}

/// The error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let said = match source.downcast_ref::<mesh_backend::store::StoreError>() {
            Some(error) => sentence(error),
            None => source.to_string(),
        };
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = source.source();
    }
    text
}
