//! Several nodes over one store: who owns what, what becomes of it when a node comes, goes, dies or
//! sleeps, and that nobody is told anything that is not so (cluster §4, §18).
//!
//! Time is the story's: each node has a stopwatch of its own, and its loop does something when the story
//! says so. A node that is killed is dropped as it stands; one that sleeps is not asked.

mod balance;
mod drained;
mod failures;
mod levels;
mod memory;
mod passing;
mod quotas;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{NodeService as _, Nudge, PassFailure, Roles, Times, Unit, Watch};

use super::gated::GatedStore;
use super::*;
use crate::cluster::keeping::Keeping;
use crate::cluster::{ClusterConfig, Neighbours, Stopwatch};
use crate::node::{Parts, StartError};
use crate::partition::shared::SharedEntropy;

/// Partitions that the nodes of these stories share, in place of all.
const SHARED: u16 = 32;
/// The story moves by such steps.
const STEP: Duration = Duration::from_millis(125);

#[derive(Default)]
struct StoryWatch(AtomicU64);

impl StoryWatch {
    fn advance(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Stopwatch for StoryWatch {
    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The way between the nodes of a story: whoever is there is reached at once.
struct Streets<S: Store>(Mutex<HashMap<String, BackendHandle<S>>>);

impl<S: Store> Default for Streets<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Store> Neighbours for Streets<S> {
    fn nudge(&self, address: &str, nudge: Nudge) {
        let node = self.0.lock().unwrap().get(address).cloned();
        if let Some(node) = node {
            node.nudged(nudge);
        }
    }

    fn pass_on<'a>(
        &'a self,
        address: &'a str,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, PassFailure>> {
        let node = self.0.lock().unwrap().get(address).cloned();
        Box::pin(async move {
            let nobody = || PassFailure::Unreached("there is no such street".to_owned());
            Ok(node.ok_or_else(nobody)?.perform(request.clone()).await?)
        })
    }

    fn watch<'a>(
        &'a self,
        address: &'a str,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        let node = self.0.lock().unwrap().get(address).cloned();
        Box::pin(async move { node?.watch(account).await })
    }
}

struct Node<S: Store> {
    scene: Scene<S>,
    keeping: Keeping<S>,
    watch: Arc<StoryWatch>,
    is_asleep: bool,
}

struct City<S: Store> {
    store: S,
    clock: Arc<StoryClock>,
    streets: Arc<Streets<S>>,
    nodes: BTreeMap<u8, Node<S>>,
    people: AtomicU64,
    config: BackendConfig,
}

impl City<MemoryStore> {
    async fn of(nodes: u8) -> Self {
        Self::over(MemoryStore::new(), nodes).await
    }
}

impl<S: Store> City<S> {
    /// Nodes from 1 on, which have come to own what they should.
    async fn over(store: S, nodes: u8) -> Self {
        Self::with(intake::open_to_strangers(), store, nodes).await
    }

    /// The same with these settings.
    async fn with(config: BackendConfig, store: S, nodes: u8) -> Self {
        let noon = "2026-02-03T12:00:00Z".parse::<Timestamp>().unwrap();
        let mut city = Self {
            store,
            clock: Arc::new(StoryClock(AtomicI64::new(noon.as_millis()))),
            streets: Arc::default(),
            nodes: BTreeMap::new(),
            people: AtomicU64::new(0),
            config,
        };
        for number in 1..=nodes {
            city.join(number).await;
        }
        city.pass(Duration::from_secs(30)).await;
        city
    }

    async fn join(&mut self, number: u8) {
        let joined = self.join_reading(number, crate::node::LEVELS).await;
        joined.unwrap();
    }

    /// Joins as a release that reads these feature levels.
    async fn join_reading(&mut self, number: u8, levels: (u16, u16)) -> Result<(), StartError> {
        let clock: Arc<dyn Clock> = Arc::<StoryClock>::clone(&self.clock);
        let parts = Parts {
            config: self.config.clone(),
            store: self.store.clone(),
            clock,
            entropy: SharedEntropy::new(SeededEntropy::new(u64::from(number))),
            keys: service_keys(),
            levels,
        };
        let config = ClusterConfig {
            address: format!("node{number}:1"),
            roles: Roles {
                backend: true,
                outbound: false,
            },
            ..ClusterConfig::default()
        };
        let watch = Arc::<StoryWatch>::default();
        // No two nodes have the same beginning.
        watch.advance(Duration::from_secs(1_000 * u64::from(number)));
        let stopwatch: Arc<dyn Stopwatch> = Arc::<StoryWatch>::clone(&watch);
        let units = (0..SHARED).map(|one| PartitionId(one).into()).collect();
        let streets: Arc<dyn Neighbours> = Arc::<Streets<S>>::clone(&self.streets);
        let address = config.address.clone();
        let entered = BackendHandle::enter(parts, config, units, stopwatch, streets);
        let (backend, keeping) = entered.await?;
        let mut streets = self.streets.0.lock().unwrap();
        streets.insert(address, backend.clone());
        drop(streets);
        let scene = Scene {
            backend,
            clock: Arc::clone(&self.clock),
            store: self.store.clone(),
        };
        let node = Node {
            scene,
            keeping,
            watch,
            is_asleep: false,
        };
        self.nodes.insert(number, node);
        Ok(())
    }

    /// Time passes, and every node that is awake does what is to be done.
    async fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.clock.advance(STEP);
            for node in self.nodes.values_mut() {
                node.watch.advance(STEP);
                if !node.is_asleep {
                    node.keeping.settle().await;
                }
            }
        }
    }

    /// The node is gone at once: nothing is let go of, nothing written.
    fn kill(&mut self, number: u8) {
        let node = self.nodes.remove(&number).unwrap();
        let address = format!("node{number}:1");
        self.streets.0.lock().unwrap().remove(&address);
        drop(node);
    }

    fn scene(&self, number: u8) -> &Scene<S> {
        &self.nodes[&number].scene
    }

    /// The nodes that take themselves for the owner of `partition`.
    fn owners(&self, partition: PartitionId) -> Vec<u8> {
        let owns = |node: &Node<S>| node.scene.backend.inner.shared.owns(partition);
        let owners = self.nodes.iter().filter(|(_, node)| owns(node));
        owners.map(|(number, _)| *number).collect()
    }

    /// How many partitions each node owns; every partition has exactly one owner.
    fn shares(&self) -> BTreeMap<u8, usize> {
        let mut shares: BTreeMap<u8, usize> = self.nodes.keys().map(|one| (*one, 0)).collect();
        for partition in (0..SHARED).map(PartitionId) {
            let owners = self.owners(partition);
            let [owner] = owners[..] else {
                panic!("{partition:?} is owned by {owners:?}");
            };
            *shares.get_mut(&owner).unwrap() += 1;
        }
        shares
    }

    /// Somebody who lives at node `number`, and has the catalog of bookmarks there.
    async fn somebody_at(&self, number: u8) -> Person {
        loop {
            let name = self.people.fetch_add(1, Ordering::SeqCst);
            let person = Person::new(&format!("p{name}"));
            let home = PartitionId::of(&person.address);
            if home.0 < SHARED && self.owners(home) == [number] {
                self.scene(number).settle(&person).await;
                return person;
            }
        }
    }

    /// What node `number` says of an Upload of one bookmark at `index`.
    async fn upload(
        &self,
        number: u8,
        person: &Person,
        index: u64,
        payload: &[u8],
    ) -> Result<Answer, CallFailure> {
        let scene = self.scene(number);
        let request = person.upload(scene.now(), index, &[payload]);
        scene.perform(request).await
    }
}

fn bound() -> Duration {
    Times::default().failover_bound()
}

fn home(person: &Person) -> PartitionId {
    PartitionId::of(&person.address)
}

/// Who is named by a refusal that names the owner.
fn named(outcome: &Result<Answer, CallFailure>) -> Option<mesh_common::cluster::NodeId> {
    match outcome {
        Err(CallFailure::Moved(route)) => route.map(|route| route.node),
        other => panic!("not moved: {other:?}"),
    }
}

fn unit(person: &Person) -> Unit {
    home(person).into()
}
