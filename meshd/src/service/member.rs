//! A process of a cluster: a front-end over links, a node over the shared store, or both
//! (architecture §2, cluster §15).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::session::TicketKeys;
use mesh_frontend::callback::CallBack;
use mesh_frontend::router::{self, Finder, Listed, Measures, RoutedPins, Router};
use mesh_link::{Connector, LinkSecurity};
use mesh_peer::back_ends::BackEnds;
use mesh_peer::{Peers, Pins};

use super::error::{ReloadError, StartError};
use super::expiry;
use super::front::{Behind, Certificate, Front};
use super::ground::Ground;
use super::link::Link;
use super::node::{Beginning, Following, Node, NodeState};
use super::pins::LatePins;
use super::reach::Reach;
use crate::admin::desks::DesksError;
use crate::admin::door::Door;
use crate::admin::token::{self, Token};
use crate::admin::{Admin, Readiness};
use crate::config::{MeshdConfig, RoleSet};
use crate::peers::peers;

/// How long a start waits to learn that it is in vain. A store that is away is no reason to wait.
const FIRST_TRY: Duration = Duration::from_secs(2);
/// How long stopping may take (cluster §15).
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// The running parts.
pub(super) struct Member {
    pub(super) front: Option<Front>,
    pub(super) admin: Admin,
    pub(super) node: Option<Node>,
    pub(super) roles: RoleSet,
    link: Link,
    peers: Peers,
    router: Option<Router>,
    stopping: Arc<AtomicBool>,
    stop_delay: Duration,
}

impl Member {
    /// Starts it. A store that is away, or back-ends that are, are waited for in the background.
    pub(super) async fn start(
        (config, roles): (&MeshdConfig, RoleSet),
        ground: &Ground,
        call_back: Option<Arc<dyn CallBack>>,
    ) -> Result<Self, StartError> {
        let link = Link::prepare(config)?;
        if let LinkSecurity::Mutual(tls) = &link.security {
            // One certificate, for two: whoever is called here, and whom this process calls itself.
            for dir in roles.is_node().then_some("link").into_iter().chain(["out"]) {
                let tls = Arc::clone(tls);
                expiry::measure(&ground.registry, dir, move || tls.not_after())?;
            }
        }
        let beginning = Beginning {
            config,
            roles,
            ground,
            link: &link,
        };
        let begun = roles.is_node().then(|| Node::begin(&beginning));
        let (node, joining) = begun.transpose()?.unzip();
        let pins = Arc::new(LatePins::default());
        let late = Arc::clone(&pins) as Arc<dyn Pins>;
        let peers = peers(config, ground.identities.clone(), late)?;
        peers.register(&ground.registry)?;
        let call_back = call_back.unwrap_or_else(|| Arc::new(peers.clone()));
        let routed = roles
            .frontend
            .then(|| Routed::start(&beginning, node.as_ref()))
            .transpose()?;
        if let (Some(routed), None) = (&routed, &node) {
            pins.joined(Arc::new(RoutedPins::new(routed.router.clone())));
        }
        let stopping = Arc::new(AtomicBool::new(false));
        let readiness = MemberReadiness {
            node: node.as_ref().map(Node::state),
            router: routed.as_ref().map(|routed| routed.router.clone()),
            stopping: Arc::clone(&stopping),
        };
        let door = Arc::new(door(ground, roles)?);
        let admin = start_admin(config, ground, readiness, &door)?;
        let front = routed
            .as_ref()
            .map(|routed| routed.front(&beginning, call_back));
        let mut member = Self {
            front: front.transpose()?,
            admin,
            node,
            roles,
            link,
            peers: peers.clone(),
            router: routed.map(|routed| routed.router),
            stopping,
            stop_delay: config.cluster.stop_delay(),
        };
        if let (Some(node), Some(joining)) = (&mut member.node, joining) {
            node.follow(joining, Following { peers, pins, door });
            if let Ok(Err(error)) = tokio::time::timeout(FIRST_TRY, node.joined()).await {
                member.stop().await;
                return Err(StartError::Node(error));
            }
        }
        Ok(member)
    }

    /// Waits until it cannot go on, and says why.
    pub(super) async fn failed(&self) -> Arc<StartError> {
        match &self.node {
            Some(node) => node.failed().await,
            None => std::future::pending().await,
        }
    }

    /// Reads every certificate again, and returns what could not be. What was not read stays as it is.
    pub(super) fn reload(&self) -> Vec<ReloadError> {
        let front = self.front.as_ref().map_or(Ok(()), Front::reload);
        let read = [
            front.map_err(ReloadError::from),
            self.link.reload().map_err(ReloadError::from),
            self.peers.reload().map_err(ReloadError::from),
        ];
        read.into_iter().filter_map(Result::err).collect()
    }

    /// Stops in the order of cluster §15, within [`STOP_TIME_MAX`]: what takes longer, others take over.
    pub(super) async fn stop(self) {
        if tokio::time::timeout(STOP_TIME_MAX, self.stop_in_order())
            .await
            .is_err()
        {
            tracing::warn!("stopping took too long: others take over what is left");
        }
    }

    async fn stop_in_order(self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(front) = self.front {
            // Whoever spreads connections learns by /readyz to bring no more.
            tokio::time::sleep(self.stop_delay).await;
            if let Some(node) = &self.node {
                // Before the listeners: peers call back whoever posts to them.
                node.stop_sending().await;
            }
            front.server.stop().await;
        }
        drop(self.router);
        if let Some(node) = self.node {
            node.stop().await;
        }
        self.admin.stop().await;
    }
}

/// The way to the back-ends, and the secrets of tickets that they tell.
struct Routed {
    router: Router,
    tickets: Arc<ArcSwap<TicketKeys>>,
}

impl Routed {
    /// Begins to look for them. The node of this process is one of them.
    fn start(parts: &Beginning<'_>, node: Option<&Node>) -> Result<Self, StartError> {
        let Beginning {
            config,
            ground,
            link,
            ..
        } = parts;
        let settings = &config.cluster;
        let others: Arc<dyn Connector> = Arc::new(link.connector.clone());
        let mut listed = settings.backends.clone();
        let connector = match node {
            Some(node) => {
                listed.push(node.address.clone());
                let own = Reach::new(node.address.clone(), Arc::clone(&node.late), others);
                Arc::new(own) as Arc<dyn Connector>
            }
            None => others,
        };
        let finder: Arc<dyn Finder> = match &settings.discover {
            Some(name) => Arc::new(BackEnds::of(name, &config.discovery)),
            None => Arc::new(Listed(listed)),
        };
        let keys = TicketKeys::new(ground.service_udf.clone());
        let tickets = Arc::new(ArcSwap::from_pointee(keys));
        let router = Router::start(router::Components {
            zone: settings.zone.clone(),
            connector,
            finder,
            clock: Arc::new(SystemClock),
            service: ground.service_udf.clone(),
            tickets: Arc::clone(&tickets),
            measures: Measures::register(&ground.registry)?,
        });
        Ok(Self { router, tickets })
    }

    /// The listeners in front of it.
    fn front(
        &self,
        parts: &Beginning<'_>,
        call_back: Arc<dyn CallBack>,
    ) -> Result<Front, StartError> {
        let certificate = Certificate::load(parts.config, &parts.ground.folder)?;
        let behind = Behind {
            backend: Arc::new(self.router.clone()),
            tickets: Arc::clone(&self.tickets),
            call_back,
        };
        Front::start(parts.config, parts.ground, certificate, behind)
    }
}

/// The listener for operators, and where their commands find it.
fn start_admin(
    config: &MeshdConfig,
    ground: &Ground,
    readiness: MemberReadiness,
    door: &Arc<Door>,
) -> Result<Admin, StartError> {
    let registry = ground.registry.clone();
    let admin = Admin::start(
        &config.admin,
        registry,
        Arc::new(readiness),
        Arc::clone(door),
    )?;
    token::write_address(&ground.folder.admin(), admin.address())?;
    Ok(admin)
}

/// What operators are told until there is more.
fn door(ground: &Ground, roles: RoleSet) -> Result<Door, StartError> {
    let token = Token::load_or_make(&ground.folder.admin(), &mut SystemEntropy)
        .map_err(|cause| DesksError::Token { cause })?;
    Ok(match roles.is_node() {
        true => Door::shut(
            token,
            "this node has not joined its cluster yet",
            "meshd health says what it waits for",
        ),
        false => Door::shut(
            token,
            "this process is a front-end alone, and keeps nothing",
            "ask a back-end or outbound process, with its own configuration",
        ),
    })
}

/// Ready is who has joined, can write, knows where the partitions are, and does not leave.
struct MemberReadiness {
    node: Option<Arc<NodeState>>,
    router: Option<Router>,
    stopping: Arc<AtomicBool>,
}

impl Readiness for MemberReadiness {
    fn obstacles(&self) -> futures_util::future::BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            if self.stopping.load(Ordering::SeqCst) {
                return vec!["the service is stopping".to_owned()];
            }
            let mut found = match &self.node {
                Some(node) => node.obstacles().await,
                None => Vec::new(),
            };
            if let Some(state) = self.router.as_ref().map(Router::state) {
                if !state.is_heard {
                    found.push("no back-end is heard: requests wait, then are refused".to_owned());
                } else if !state.has_tickets {
                    found.push("no back-end has told the secrets of tickets".to_owned());
                }
            }
            found
        })
    }

    fn refresh_measures(&self) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(async {
            let backend = self.node.as_ref().and_then(|node| node.backend());
            if let Some(backend) = backend {
                backend.refresh_measures().await;
            }
        })
    }
}
