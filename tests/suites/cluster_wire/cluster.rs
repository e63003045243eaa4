//! The back-ends of one service, each behind a network of its own, and a router that has links to them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mesh_backend::store::MemoryStore;
use mesh_backend::{
    BackendConfig, BackendHandle, ClusterConfig, ServiceKeys, ServiceSecrets, SystemClock,
    SystemEntropy,
};
use mesh_common::account::testing::udf;
use mesh_common::cluster::{Roles, Times};
use mesh_common::crypto::SecretKey;
use mesh_common::session::TicketKeys;
use mesh_common::time::Clock as _;
use mesh_frontend::router::{Components, Listed, Measures, Router};
use mesh_link::ca::{self, AUTHORITY_LIFE, Issued, NODE_LIFE};
use mesh_link::{
    ClusterName, LinkConnector, LinkFiles, LinkRole, LinkSecurity, LinkServer, LinkService,
    LinkTls, Nudges,
};
use mesh_tests::proxy::Proxy;
use mesh_tests::service::loopback;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use crate::roads::{Roads, Street};

/// Time for what should take little.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Several back-ends over one store.
pub(crate) struct Cluster {
    store: MemoryStore,
    keys: Arc<SecretKey>,
    name: ClusterName,
    authority: Issued,
    folder: TempDir,
    pub(crate) nodes: Vec<Node>,
}

/// One of them.
pub(crate) struct Node {
    /// None once it was killed.
    running: Option<(BackendHandle<MemoryStore>, LinkServer)>,
    pub(crate) network: Proxy,
}

/// A router, and where it puts what it is told.
pub(crate) struct Routed {
    /// Its own way to each node.
    pub(crate) roads: Vec<Arc<Proxy>>,
    pub(crate) router: Router,
    pub(crate) tickets: Arc<ArcSwap<TicketKeys>>,
    registry: Registry,
}

impl Cluster {
    /// One back-end, which has come to own everything, then `others`.
    pub(crate) async fn with(others: usize) -> Self {
        let name: ClusterName = "example".parse().unwrap();
        let authority = ca::authority(&name, SystemClock.now(), AUTHORITY_LIFE).unwrap();
        let mut cluster = Self {
            store: MemoryStore::new(),
            keys: Arc::new(SecretKey::generate(&mut SystemEntropy)),
            name,
            authority,
            folder: tempfile::tempdir().unwrap(),
            nodes: Vec::new(),
        };
        cluster.add().await;
        until("the first node owns everything", || {
            cluster.nodes[0].partitions() == 1_024
        })
        .await;
        for _ in 0..others {
            cluster.add().await;
        }
        cluster
    }

    /// Starts another back-end.
    pub(crate) async fn add(&mut self) {
        let network = road();
        let config = ClusterConfig {
            address: network.address().to_string(),
            roles: Roles {
                backend: true,
                outbound: false,
            },
            times: quick(),
            ..ClusterConfig::default()
        };
        let security = self.security(LinkRole::Backend);
        let clock = Arc::new(SystemClock);
        let links = LinkConnector::new(security, clock, None, &mut SystemEntropy);
        let keys = ServiceKeys::single(ServiceSecrets {
            online: Arc::clone(&self.keys),
            reading: Vec::new(),
        });
        let backend = BackendHandle::join(
            BackendConfig::default(),
            config,
            self.store.clone(),
            Arc::new(SystemClock),
            SystemEntropy,
            keys,
            Arc::new(Street(Nudges::new(links))),
        );
        let backend = backend.await.unwrap();
        let link = LinkService {
            service: Arc::new(backend.clone()),
            security: self.security(LinkRole::Backend),
            clock: Arc::new(SystemClock),
            traces: None,
        };
        let server = LinkServer::start(loopback(), 1, link, &mut SystemEntropy).unwrap();
        network.lead_to(Some(server.address()));
        self.nodes.push(Node {
            running: Some((backend, server)),
            network,
        });
    }

    /// Certificates for a process with `role`.
    fn security(&self, role: LinkRole) -> LinkSecurity {
        let roles = [role].into_iter().collect();
        let now = SystemClock.now();
        let made = ca::node(&self.authority, &self.name, roles, &[], now, NODE_LIFE).unwrap();
        let file = |ending: &str, text: &str| {
            let path = self.folder.path().join(format!("{role}.{ending}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = LinkFiles {
            authorities: file("ca", &self.authority.certificate),
            certificate: file("crt", &made.certificate),
            key: file("key", &made.key),
        };
        let tls = LinkTls::from_files(self.name.clone(), files).unwrap();
        LinkSecurity::Mutual(Arc::new(tls))
    }

    /// A router that knows of the first node alone, and has heard of all.
    pub(crate) async fn router(&self) -> Routed {
        let security = self.security(LinkRole::Frontend);
        let clock = Arc::new(SystemClock);
        let connector = LinkConnector::new(security, clock, None, &mut SystemEntropy);
        let addresses = self.nodes.iter().map(|node| node.network.address());
        let roads = addresses.map(|address| {
            let road = Arc::new(road());
            road.lead_to(Some(address));
            (address.to_string(), road)
        });
        let roads: Vec<_> = roads.collect();
        let by_node = roads.iter().cloned().collect();
        let roads = roads.into_iter().map(|(_, road)| road).collect();
        let connector = Roads { connector, by_node };
        let tickets = TicketKeys::new(udf("service"));
        let tickets = Arc::new(ArcSwap::from_pointee(tickets));
        let registry = Registry::new();
        let router = Router::start(Components {
            zone: String::new(),
            connector: Arc::new(connector),
            finder: Arc::new(Listed(vec![self.nodes[0].network.address().to_string()])),
            clock: Arc::new(SystemClock),
            service: udf("service"),
            tickets: Arc::clone(&tickets),
            measures: Measures::register(&registry).unwrap(),
        });
        let nodes = self.nodes.len();
        until("the router has heard of all nodes", || {
            router.state().back_ends == nodes
        })
        .await;
        Routed {
            roads,
            router,
            tickets,
            registry,
        }
    }
}

impl Node {
    pub(crate) fn backend(&self) -> &BackendHandle<MemoryStore> {
        let (backend, _) = self.running.as_ref().unwrap();
        backend
    }

    /// How many partitions it owns.
    pub(crate) fn partitions(&self) -> usize {
        self.backend().holdings().unwrap().partitions
    }

    /// It ends without letting go of anything, and all its connections break.
    pub(crate) fn kill(&mut self) {
        self.network.lead_to(None);
        self.network.cut();
        self.running = None;
    }
}

impl Routed {
    /// The present value of a measure.
    pub(crate) fn measure(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metric = &family.unwrap().get_metric()[0];
        metric.get_gauge().get_value() + metric.get_counter().get_value()
    }

    /// The present value of a count for one value of its label.
    pub(crate) fn labelled(&self, name: &str, value: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.into_iter().flat_map(|family| family.get_metric());
        let of_value = metrics.filter(|metric| {
            let labels = metric.get_label();
            labels.iter().any(|label| label.value() == value)
        });
        of_value
            .map(|metric| metric.get_counter().get_value())
            .sum()
    }
}

/// A network that leads nowhere yet. It has a runtime of its own, which no thread of another one may begin.
fn road() -> Proxy {
    std::thread::spawn(Proxy::new).join().unwrap().unwrap()
}

/// Times by which a node is missed within seconds, and not because the machine has other work.
fn quick() -> Times {
    Times {
        heartbeat: Duration::from_millis(250),
        poll: Duration::from_millis(250),
        lease: Duration::from_secs(4),
        takeover: Duration::from_secs(1),
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    let mut looks = interval(Duration::from_millis(5));
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        looks.tick().await;
    }
}

/// Runs `story` on a thread with an actix system of its own.
pub(crate) fn tell<F: Future<Output = ()>>(story: impl FnOnce() -> F + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| actix_rt::System::new().block_on(story()));
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}
