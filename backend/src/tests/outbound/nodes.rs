//! Several nodes with the role `outbound` over one store: shards come, go, and are taken over, and each message
//! goes once; what is queued, heard or ordered at one node reaches the owner at another.

mod fates;
mod limits;
mod partitions;
mod returns;
mod takeovers;
mod waking;

use std::sync::Weak;

use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{NodeService as _, Nudge, PassFailure, Roles, Watch};

use super::*;
use crate::cluster::keeping::Keeping;
use crate::cluster::{ClusterConfig, Neighbours, Stopwatch};
use crate::desk::{NoPool, Owner, PoolDesk, QueueDesk as _, Selection, StandingOrder, What};
use crate::node::Parts;
use crate::partition::Claimant;
use crate::partition::shared::SharedEntropy;

/// Time of a story, for leases.
#[derive(Default)]
struct StoryWatch(AtomicU64);

impl Stopwatch for StoryWatch {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The other nodes, reached at once.
#[derive(Default)]
struct Street(Mutex<BTreeMap<String, Weak<crate::handle::Inner<MemoryStore>>>>);

impl Neighbours for Street {
    fn nudge(&self, address: &str, nudge: Nudge) {
        let home = self.0.lock().unwrap().get(address).and_then(Weak::upgrade);
        if let Some(inner) = home {
            BackendHandle { inner }.nudged(nudge);
        }
    }

    fn pass_on<'a>(
        &'a self,
        _: &'a str,
        _: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, PassFailure>> {
        unreachable!("nothing is passed on among these nodes")
    }

    fn watch<'a>(&'a self, _: &'a str, _: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        unreachable!("nobody waits for news of these nodes")
    }
}

/// One node.
struct Node {
    scene: Scene<MemoryStore>,
    keeping: Keeping<MemoryStore>,
    outbound: Option<Outbound<MemoryStore>>,
}

impl Node {
    fn shards(&self) -> BTreeSet<ShardId> {
        self.scene.backend.inner.shared.shards.held()
    }
}

/// Nodes over one store, with one clock.
struct Town {
    store: MemoryStore,
    clock: Arc<StoryClock>,
    watch: Arc<StoryWatch>,
    street: Arc<Street>,
    nodes: Vec<Node>,
    /// How many there ever were: no two have one name.
    born: u64,
    /// What all of them are set to.
    config: BackendConfig,
}

const BACKEND: Roles = Roles {
    backend: true,
    outbound: false,
};
const OUTBOUND: Roles = Roles {
    backend: false,
    outbound: true,
};

/// Items for a hundred destinations, all over the shards.
fn items(sender: &Person, name: &str, now: Timestamp) -> Vec<QueueItem> {
    let recipient = |number: u32| format!("bob@d{number}.example");
    (0..100)
        .map(|number| queued(sender, &recipient(number), &format!("{name}{number}"), now))
        .collect()
}

/// That each of `items` came to its peer once, whichever node sent it.
fn came_once(items: &[QueueItem], carriers: &[&Arc<Played>]) {
    for item in items {
        let times = carriers.iter().map(|one| one.times(&item.unique_id));
        assert_eq!(times.sum::<u32>(), 1, "{}", item.unique_id);
    }
}

impl Town {
    fn new() -> Self {
        let noon = "2026-02-03T12:00:00Z".parse::<Timestamp>().unwrap();
        Self {
            store: MemoryStore::new(),
            clock: Arc::new(StoryClock(AtomicI64::new(noon.as_millis()))),
            watch: Arc::default(),
            street: Arc::default(),
            nodes: Vec::new(),
            born: 0,
            config: BackendConfig::default(),
        }
    }

    /// One more node, which sends through `carrier`.
    async fn add(&mut self, roles: Roles, carrier: Option<&Arc<Played>>) -> usize {
        let (number, born) = (self.nodes.len(), self.born);
        self.born += 1;
        let address = format!("n{born}.example:1");
        let parts = Parts {
            config: self.config.clone(),
            store: self.store.clone(),
            clock: Arc::<StoryClock>::clone(&self.clock) as Arc<dyn Clock>,
            entropy: SharedEntropy::new(SeededEntropy::new(40 + born)),
            keys: service_keys(),
            levels: crate::node::LEVELS,
        };
        let cluster = ClusterConfig {
            address: address.clone(),
            roles,
            ..ClusterConfig::default()
        };
        let watch = Arc::<StoryWatch>::clone(&self.watch) as Arc<dyn Stopwatch>;
        let street = Arc::<Street>::clone(&self.street) as Arc<dyn Neighbours>;
        let all = mesh_common::cluster::Unit::all().collect();
        let entered = BackendHandle::enter(parts, cluster, all, watch, street).await;
        let (backend, keeping) = entered.unwrap();
        let home = Arc::downgrade(&backend.inner);
        self.street.0.lock().unwrap().insert(address, home);
        let scene = Scene {
            backend,
            clock: Arc::clone(&self.clock),
            store: self.store.clone(),
        };
        let outbound = match carrier {
            Some(carrier) => Some(scene.deliver(carrier).await),
            None => None,
        };
        self.nodes.push(Node {
            scene,
            keeping,
            outbound,
        });
        number
    }

    /// Lets time pass, and every node but those in `asleep` do what it does.
    async fn pass(&mut self, seconds: u64, asleep: &[usize]) {
        for _ in 0..seconds * 2 {
            let half = Duration::from_millis(500);
            self.watch.0.fetch_add(500, Ordering::SeqCst);
            self.clock.advance(half);
            self.settle(asleep).await;
        }
    }

    async fn settle(&mut self, asleep: &[usize]) {
        for _ in 0..3 {
            for (number, node) in self.nodes.iter_mut().enumerate() {
                if !asleep.contains(&number) {
                    node.keeping.settle().await;
                }
            }
        }
    }

    /// Until the nodes have divided everything among themselves.
    async fn divide(&mut self) {
        self.pass_until("the nodes divide the shards", |town| {
            let held: usize = town.nodes.iter().map(|node| node.shards().len()).sum();
            let is_even = town.nodes.iter().all(|node| {
                let share = 256 / town.nodes.len().max(1);
                node.outbound.is_none() || node.shards().len() > share / 3
            });
            held == 256 && is_even
        })
        .await;
        // Everybody has looked who owns what.
        self.pass(2, &[]).await;
        self.idle().await;
    }

    /// Lets time pass until something is so. Threads have their own pace: how much time passes on the clock of a
    /// story meanwhile is chance.
    async fn pass_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let patience = Patience::begin();
        while {
            self.pass(1, &[]).await;
            !is_so(self)
        } {
            patience.check(what);
        }
    }

    async fn idle(&self) {
        for node in &self.nodes {
            if let Some(outbound) = &node.outbound {
                outbound.idle().await.unwrap();
            }
        }
    }

    /// The node that works for the shard of `domain`.
    fn owner(&self, domain: &str) -> usize {
        let shard = ShardId::of(domain);
        let is_owner = |node: &Node| node.shards().contains(&shard);
        self.nodes
            .iter()
            .position(is_owner)
            .expect("somebody works for it")
    }

    /// A domain whose shard `node` works for.
    fn domain_of(&self, node: usize) -> String {
        let mut domains = (0..).map(|number| format!("d{number}.example"));
        domains.find(|domain| self.owner(domain) == node).unwrap()
    }
}

#[actix::test]
async fn each_node_sends_what_is_its_own_and_everything_goes_once() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    let carriers = [0, 1].map(|_| Played::new(&town.clock, received));
    town.add(BACKEND, None).await;
    for carrier in &carriers {
        town.add(OUTBOUND, Some(carrier)).await;
    }
    town.divide().await;
    town.nodes[0].scene.create(&alice).await;
    let items = items(&alice, "M", town.clock.now());
    // Queued at a node that sends nothing itself: the owners are told, and no time passes.
    town.nodes[0].scene.put_in_queue(&items).await;
    for carrier in &carriers {
        let count = items.iter().filter(|item| {
            let owner = town.owner(item.destination());
            Arc::ptr_eq(&carriers[owner - 1], carrier)
        });
        carrier.came(count.count()).await;
    }
    town.idle().await;
    came_once(&items, &[&carriers[0], &carriers[1]]);
    assert!(town.nodes[0].scene.is_empty().await);
    for (place, carrier) in carriers.iter().enumerate() {
        for transfer in carrier.order() {
            assert_eq!(town.owner(transfer.recipient.domain()), place + 1);
        }
    }
    let told = town.nodes[0]
        .scene
        .state_told(&alice, "M7", "bob@d7.example")
        .await;
    assert_eq!(told, Some(MessageState::Received));
}

#[actix::test]
async fn a_planned_move_loses_nothing_repeats_nothing_and_is_no_bad_end() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    let slow = Played::shut(&town.clock, received);
    let next = Played::new(&town.clock, received);
    town.add(BACKEND, None).await;
    town.add(OUTBOUND, Some(&slow)).await;
    town.divide().await;
    town.nodes[0].scene.create(&alice).await;
    let items = items(&alice, "M", town.clock.now());
    town.nodes[0].scene.put_in_queue(&items).await;
    // Every destination is new: one transfer to each is under way.
    slow.came(100).await;
    town.add(OUTBOUND, Some(&next)).await;
    slow.open();
    town.nodes[1].scene.backend.begin_to_leave();
    town.pass_until("everything moves", |town| {
        town.nodes[2].shards().len() == 256
    })
    .await;
    town.idle().await;
    came_once(&items, &[&slow, &next]);
    let scene = &town.nodes[0].scene;
    assert!(scene.is_empty().await);
    assert!(scene.rows_of(keys::suspects()).await.is_empty());
    assert_eq!(scene.completions(&alice).await, 100);
    // Whatever is queued now goes by the new owner.
    let more = queued(&alice, "bob@d5.example", "more", town.clock.now());
    scene.put_in_queue(&[more]).await;
    next.came(next.order().len().max(1)).await;
    town.pass(2, &[]).await;
    town.idle().await;
    assert_eq!(next.times("more"), 1);
}

#[actix::test]
async fn a_peer_that_speaks_to_any_node_is_tried_by_the_one_that_works_for_it() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    let is_back = Arc::new(AtomicU64::new(0));
    let answers = Arc::clone(&is_back);
    let played = Played::new(&town.clock, move |_, _| {
        match answers.load(Ordering::SeqCst) {
            0 => unreachable(),
            _ => answer(201, None),
        }
    });
    town.add(BACKEND, None).await;
    town.add(OUTBOUND, Some(&played)).await;
    town.divide().await;
    let item = queued(&alice, "bob@back.example", "M1", town.clock.now());
    town.nodes[0].scene.put_in_queue(&[item]).await;
    played.came(1).await;
    let outbound = town.nodes[1].outbound.clone().unwrap();
    loop {
        town.pass(1, &[]).await;
        town.idle().await;
        let states = outbound.destinations().await.unwrap();
        if matches!(states[0].phase, crate::desk::Phase::Away { .. }) {
            break;
        }
    }
    let before = played.times("M1");
    is_back.store(1, Ordering::SeqCst);
    town.nodes[0].scene.backend.heard_from("back.example");
    played.came(before as usize + 1).await;
    town.idle().await;
    assert!(town.nodes[0].scene.is_empty().await);
}

#[actix::test]
async fn what_is_ordered_at_one_node_is_followed_by_all() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    let played = Played::shut(&town.clock, |_, _| unreachable());
    town.add(BACKEND, None).await;
    town.add(OUTBOUND, Some(&played)).await;
    town.divide().await;
    town.nodes[0].scene.create(&alice).await;
    let desk = town.nodes[0].scene.backend.outbound_desk(Arc::new(NoPool));
    let held = Selection::of_destination("held.example").unwrap();
    let order = StandingOrder {
        selection: held.clone(),
        what: What::Hold,
        route: None,
        since: town.clock.now(),
        by: "somebody".to_owned(),
        reason: "a test".to_owned(),
    };
    desk.order(order).await.unwrap();
    town.pass(3, &[]).await;
    town.idle().await;
    let now = town.clock.now();
    let items = [
        queued(&alice, "bob@held.example", "held", now),
        queued(&alice, "bob@dead.example", "dead", now),
    ];
    town.nodes[0].scene.put_in_queue(&items).await;
    played.came(1).await;
    assert_eq!([played.times("held"), played.times("dead")], [0, 1]);
    played.open();
    let outbound = town.nodes[1].outbound.clone().unwrap();
    loop {
        town.pass(2, &[]).await;
        town.idle().await;
        let states = outbound.destinations().await.unwrap();
        let is_away = |one: &crate::desk::DestinationState| {
            one.domain == "dead.example" && matches!(one.phase, crate::desk::Phase::Away { .. })
        };
        if states.iter().any(is_away) {
            break;
        }
    }
    // What is known of it is written within a second.
    town.pass(2, &[]).await;
    town.idle().await;

    // Who asks elsewhere is told who works for it, and what was written of it.
    let id = town.nodes[1].scene.backend.node().unwrap().to_string();
    let view = desk.destination("dead.example").await.unwrap().unwrap();
    let owner = Owner::Node {
        node: id,
        address: "n1.example:1".to_owned(),
    };
    assert_eq!((view.owner, view.waiting), (owner, 1));
    let is_away = matches!(view.state.phase, crate::desk::Phase::Away { .. });
    assert!(is_away && view.state.last_trouble.is_some());
    let pool = Arc::new(town.nodes[1].outbound.clone().unwrap()) as Arc<dyn PoolDesk>;
    let there = town.nodes[1].scene.backend.outbound_desk(pool);
    let view = there.destination("dead.example").await.unwrap().unwrap();
    assert_eq!(view.owner, Owner::Here);

    // What is done once is left for the owner, who does it at its next look.
    let dead = Selection::of_destination("dead.example").unwrap();
    assert_eq!(desk.fail(&dead, "the peer is gone").await, Ok(1));
    desk.revoke(&held, What::Hold).await.unwrap();
    town.pass(3, &[]).await;
    town.idle().await;
    let scene = &town.nodes[0].scene;
    let told = scene.state_told(&alice, "dead", "bob@dead.example").await;
    assert_eq!(told, Some(MessageState::Failed));
    assert!(played.times("held") > 0, "it is let go by all");
    assert!(scene.rows_of(keys::all_once()).await.is_empty());
    let whole = Selection::of_message("held").unwrap();
    let before = played.times("held");
    assert_eq!(desk.retry(&whole).await, Ok(1));
    town.pass(3, &[]).await;
    town.idle().await;
    assert!(played.times("held") > before, "it is tried at once");
}

#[actix::test]
async fn what_others_queue_counts_as_soon_as_the_queue_is_looked_through() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    for _ in 0..2 {
        town.add(BACKEND, None).await;
    }
    let items = items(&alice, "M", town.clock.now());
    town.nodes[0].scene.put_in_queue(&items).await;
    let shared = [0, 1].map(|one| Arc::clone(&town.nodes[one].scene.backend.inner.shared));
    let waiting = |one: usize| shared[one].depths.of_tenant("example.com").items;
    assert_eq!([waiting(0), waiting(1)], [100, 0]);
    let survey = crate::outbound::survey::look_through(&shared[1], true);
    survey.await.unwrap();
    assert_eq!([waiting(0), waiting(1)], [100, 100]);
}
