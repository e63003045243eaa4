//! Nodes that are played: each answers what its script says, and writes down what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use mesh_common::cluster::{Changes, NodeId, Roles, RoutedNode, TicketSecret, Told};
use mesh_common::discovery::Pinned;
use mesh_link::{Heard, NodeLink};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::sleep;

use super::*;

/// The time of day in all tests.
pub(super) const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

/// How a node takes one question.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// It carries out what was asked and answers.
    Done,
    /// It carries it out, and the answer is lost.
    DoneAndLost,
    /// It fails so, and does nothing.
    Fails(LinkFailure),
    /// It carries it out and answers, after a time.
    After(Duration),
    /// It is paused: nothing comes, ever.
    Never,
}

/// One node.
pub(super) struct Node {
    name: u8,
    heard: watch::Sender<Heard>,
    pub(super) changes: Arc<Changes>,
    script: Mutex<VecDeque<Reply>>,
    /// When the script is over.
    usual: Mutex<Reply>,
    /// What comes of a request that it is to pass on.
    passing: Mutex<Reply>,
    /// What it was asked, one after the other.
    asked: Mutex<Vec<(&'static str, RequestId)>>,
    /// How often it carried out each request.
    carried_out: Mutex<BTreeMap<RequestId, usize>>,
    /// Questions it has not answered yet: now, and most at once.
    open: Mutex<(usize, usize)>,
    nudges: Mutex<Vec<Nudge>>,
    links: Mutex<usize>,
}

/// All nodes, and what makes links to them.
pub(super) struct Cluster {
    nodes: BTreeMap<u8, Arc<Node>>,
    pub(super) measures: Measures,
    pub(super) tickets: Arc<ArcSwap<TicketKeys>>,
    /// What its store remembers of domains.
    pins: Mutex<BTreeMap<String, Pinned>>,
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOON
    }
}

pub(super) fn address(name: u8) -> String {
    format!("10.0.0.{name}:7100")
}

pub(super) fn node_id(name: u8) -> NodeId {
    NodeId([name; 16])
}

pub(super) fn route(name: u8, epoch: u64) -> Route {
    let fence = Fence {
        generation: 1,
        epoch,
    };
    Route {
        node: node_id(name),
        fence,
    }
}

/// A table with these nodes, and one of them as the owner of everything.
pub(super) fn table(nodes: &[u8], owner: Option<(u8, u64)>) -> RoutingTable {
    let routed = |name: u8| RoutedNode {
        address: address(name),
        zone: String::new(),
        roles: Roles {
            backend: true,
            outbound: true,
        },
        draining: false,
    };
    let owner = owner.map(|(name, epoch)| route(name, epoch));
    let owners = owner.map(|owner| Unit::all().map(move |unit| (unit, owner)));
    RoutingTable {
        nodes: nodes
            .iter()
            .map(|&name| (node_id(name), routed(name)))
            .collect(),
        owners: owners.into_iter().flatten().collect(),
    }
}

pub(super) fn service() -> Udf {
    Udf::parse("MAAA-BBBB-CCCC-DDDD").unwrap()
}

impl Cluster {
    /// Nodes 1 to `count`. All tell that node 1 owns everything, at epoch 1.
    pub(super) fn of(count: u8) -> Arc<Self> {
        let nodes = (1..=count).map(|name| (name, Node::new(name)));
        let tickets = TicketKeys::new(service());
        let cluster = Arc::new(Self {
            nodes: nodes.collect(),
            measures: Measures::register(&Registry::new()).unwrap(),
            tickets: Arc::new(ArcSwap::from_pointee(tickets)),
            pins: Mutex::default(),
        });
        cluster.tell(Some((1, 1)));
        cluster
    }

    /// A router that has heard all of them.
    pub(super) async fn router(self: &Arc<Self>) -> Router {
        let router = self.silent_router();
        while router.inner.routing().back_ends() < self.nodes.len()
            || !self.nodes.keys().all(|&name| is_heard(&router, name))
        {
            sleep(Duration::from_millis(1)).await;
        }
        router
    }

    /// A router that has heard nobody yet.
    pub(super) fn silent_router(self: &Arc<Self>) -> Router {
        Router::start(Components {
            zone: String::new(),
            connector: Arc::new(Plugs(Arc::clone(self))),
            finder: Arc::new(Listed(vec![address(1)])),
            clock: Arc::new(Noon),
            service: service(),
            tickets: Arc::clone(&self.tickets),
            measures: self.measures.clone(),
        })
    }

    pub(super) fn node(&self, name: u8) -> &Arc<Node> {
        &self.nodes[&name]
    }

    /// All nodes tell that `owner` owns everything.
    pub(super) fn tell(&self, owner: Option<(u8, u64)>) {
        let all: Vec<u8> = self.nodes.keys().copied().collect();
        let table = Arc::new(table(&all, owner));
        for node in self.nodes.values() {
            node.tell(&table);
        }
    }

    /// How often a request was carried out, by whomever.
    pub(super) fn carried_out(&self, id: RequestId) -> usize {
        let nodes = self.nodes.values();
        nodes.map(|node| node.carried_out(id)).sum()
    }
}

/// Whether the stream of a node is open, as the router knows it.
pub(super) fn is_heard(router: &Router, name: u8) -> bool {
    let address = routing::Address::from(address(name));
    let linked = router.inner.links.get(&address);
    linked.is_some_and(|linked| linked.stream().is_some())
}

impl Node {
    fn new(name: u8) -> Arc<Self> {
        let heard = Heard {
            is_open: true,
            opened: 1,
            told: Told::default(),
        };
        Arc::new(Self {
            name,
            heard: watch::Sender::new(heard),
            changes: Arc::default(),
            script: Mutex::default(),
            usual: Mutex::new(Reply::Done),
            passing: Mutex::new(Reply::Fails(LinkFailure::NotPassedOn("no way".into()))),
            asked: Mutex::default(),
            carried_out: Mutex::default(),
            open: Mutex::default(),
            nudges: Mutex::default(),
            links: Mutex::default(),
        })
    }

    /// What it answers next, one after the other.
    pub(super) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().extend(replies);
    }

    /// What it answers when the script is over.
    pub(super) fn usually(&self, reply: Reply) {
        *self.usual.lock().unwrap() = reply;
    }

    /// What comes of requests that it is to pass on; of itself it reaches nobody.
    pub(super) fn passes_on(&self, reply: Reply) {
        *self.passing.lock().unwrap() = reply;
    }

    /// Whether anything is passed on that it is to pass on.
    fn passes(&self) -> bool {
        matches!(*self.passing.lock().unwrap(), Reply::Done)
    }

    fn record(&self, what: &'static str) {
        let mut asked = self.asked.lock().unwrap();
        asked.push((what, RequestId([0; 16])));
    }

    pub(super) fn asked(&self) -> Vec<&'static str> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(what, _)| *what).collect()
    }

    pub(super) fn carried_out(&self, id: RequestId) -> usize {
        let carried_out = self.carried_out.lock().unwrap();
        carried_out.get(&id).copied().unwrap_or_default()
    }

    /// Most questions that were open at once.
    pub(super) fn most_open(&self) -> usize {
        self.open.lock().unwrap().1
    }

    pub(super) fn nudges(&self) -> Vec<Nudge> {
        self.nudges.lock().unwrap().clone()
    }

    /// Links that were made to it and not ended.
    pub(super) fn links(&self) -> usize {
        *self.links.lock().unwrap()
    }

    pub(super) fn tell(&self, table: &Arc<RoutingTable>) {
        self.heard.send_modify(|heard| {
            heard.told.revision += 1;
            heard.told.routes = Arc::clone(table);
        });
    }

    pub(super) fn tell_secrets(&self, secrets: Vec<TicketSecret>) {
        self.heard.send_modify(|heard| {
            heard.told.revision += 1;
            heard.told.ticket_secrets = Arc::new(secrets);
        });
    }

    /// Its stream of events breaks, and with it everything that is watched here.
    pub(super) fn fall_silent(&self) {
        self.heard.send_modify(|heard| heard.is_open = false);
        self.changes.tell_all();
    }

    /// Its stream is open again.
    pub(super) fn speak(&self) {
        self.heard.send_modify(|heard| {
            heard.is_open = true;
            heard.opened += 1;
        });
    }

    async fn answer<T>(
        &self,
        what: &'static str,
        id: RequestId,
        got: impl FnOnce(String) -> T,
    ) -> Result<T, LinkFailure> {
        self.asked.lock().unwrap().push((what, id));
        let next = self.script.lock().unwrap().pop_front();
        let reply = next.unwrap_or_else(|| self.usual.lock().unwrap().clone());
        self.reply(reply, id, got).await
    }

    /// Brings a request to `owner`, or does not.
    async fn pass_on(
        &self,
        owner: Option<&Arc<Self>>,
        id: RequestId,
    ) -> Result<Answer, LinkFailure> {
        self.asked.lock().unwrap().push(("pass-on", id));
        let reply = self.passing.lock().unwrap().clone();
        match owner {
            Some(owner) => owner.reply(reply, id, answer).await,
            None => Err(LinkFailure::NotPassedOn("nobody knows it".into())),
        }
    }

    async fn reply<T>(
        &self,
        reply: Reply,
        id: RequestId,
        got: impl FnOnce(String) -> T,
    ) -> Result<T, LinkFailure> {
        let _open = Open::begin(self);
        let carry_out = || {
            let mut carried_out = self.carried_out.lock().unwrap();
            *carried_out.entry(id).or_default() += 1;
        };
        match reply {
            Reply::Done => carry_out(),
            Reply::DoneAndLost => {
                carry_out();
                return Err(LinkFailure::Lost("the node died".into()));
            }
            Reply::Fails(failure) => return Err(failure),
            Reply::After(time) => {
                sleep(time).await;
                carry_out();
            }
            Reply::Never => std::future::pending().await,
        }
        Ok(got(format!("node {}", self.name)))
    }
}

/// One question that is open.
struct Open<'a>(&'a Node);

impl<'a> Open<'a> {
    fn begin(node: &'a Node) -> Self {
        let mut open = node.open.lock().unwrap();
        open.0 += 1;
        open.1 = open.1.max(open.0);
        Self(node)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().0 -= 1;
    }
}

/// What makes links to the nodes of a cluster.
struct Plugs(Arc<Cluster>);

impl Connector for Plugs {
    fn link(&self, address: &str) -> Arc<dyn NodeLink> {
        let mut nodes = self.0.nodes.values();
        let node = nodes.find(|node| nodes::address(node.name) == address);
        let node = node.expect("only addresses of the cluster are told");
        *node.links.lock().unwrap() += 1;
        Arc::new(Plug {
            cluster: Arc::clone(&self.0),
            node: Arc::clone(node),
            address: address.to_owned(),
        })
    }
}

struct Plug {
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    address: String,
}

impl Drop for Plug {
    fn drop(&mut self) {
        *self.node.links.lock().unwrap() -= 1;
    }
}

/// An answer that names who gave it.
fn answer(by: String) -> Answer {
    let outcome = Outcome {
        status_description: Some(by),
        ..Outcome::ok()
    };
    Answer {
        response: Response::with_outcome(None, outcome),
        context: None,
        retry_after: None,
    }
}

impl NodeLink for Plug {
    fn address(&self) -> &str {
        &self.address
    }

    fn heard(&self) -> watch::Receiver<Heard> {
        self.node.heard.subscribe()
    }

    fn perform<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        Box::pin(self.node.answer("perform", request.request_id, answer))
    }

    fn receive<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        Box::pin(self.node.answer("receive", request.request_id, answer))
    }

    fn signing_keys<'a>(
        &'a self,
        _: &'a AccountAddress,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, LinkFailure>> {
        Box::pin(self.node.answer("keys", RequestId([0; 16]), |_| None))
    }

    fn published<'a>(
        &'a self,
        _: &'a AccountAddress,
        _: &'a Udf,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, LinkFailure>> {
        Box::pin(self.node.answer("published", RequestId([0; 16]), |_| None))
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        let is_open = self.node.heard.borrow().is_open;
        let watch = is_open.then(|| self.node.changes.watch(account)).flatten();
        Box::pin(std::future::ready(watch))
    }

    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        self.node.record("watch-on");
        let mut nodes = self.cluster.nodes.values();
        let owner = nodes.find(|node| node_id(node.name) == route.node);
        let owner = owner.filter(|_| self.node.heard.borrow().is_open && self.node.passes());
        let watch = owner.and_then(|owner| owner.changes.watch(account));
        Box::pin(std::future::ready(watch))
    }

    fn nudge(&self, nudge: Nudge) -> BoxFuture<'_, Result<(), LinkFailure>> {
        self.node.nudges.lock().unwrap().push(nudge);
        Box::pin(std::future::ready(Ok(())))
    }

    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, LinkFailure>> {
        let cluster = &self.cluster;
        Box::pin(self.node.answer("pinned", RequestId([0; 16]), move |_| {
            let mut pins = cluster.pins.lock().unwrap();
            if let Some(seen) = seen {
                pins.insert(domain.to_owned(), seen.clone());
            }
            pins.get(domain).cloned()
        }))
    }

    fn pass_on<'a>(
        &'a self,
        route: Route,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        let mut nodes = self.cluster.nodes.values();
        let owner = nodes.find(|node| node_id(node.name) == route.node);
        Box::pin(self.node.pass_on(owner, request.request_id))
    }
}
