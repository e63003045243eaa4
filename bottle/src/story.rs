//! One run: nodes start, clients upload, things go wrong; then nothing goes wrong any more, and after a
//! while everything must be as the clients were told (cluster §20.4).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use mesh_backend::bottled::Bottled;
use mesh_backend::moving::verify::verify_account;
use mesh_backend::store::{Faults, MemoryStore};
use mesh_backend::{BackendConfig, ServiceKeys, ServiceSecrets};
use mesh_common::account::{AccountPolicy, Standing};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{
    Keeper, KeeperSettings, NodeId, NodeRecord, PartitionId, Roles, Times, Unit,
};
use mesh_common::crypto::SecretKey;
use mesh_common::dare::ContainerName;
use mesh_common::entropy::SeededEntropy;
use mesh_common::limits::{REBALANCE_RELEASE_INTERVAL, REBALANCE_STABLE};

use crate::client::{CATALOG, Client, Ledger, Network, Roads};
use crate::node::Node;
use crate::store::{NodeStore, Sky, Weather};
use crate::world::World;

/// Accounts, each with one device.
const CLIENTS: usize = 6;
/// Entries that each uploads.
const ENTRIES: u64 = 16;
/// Longest pause between two of them.
const PAUSE_MAX: Duration = Duration::from_millis(2_500);
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(40);
/// Nodes at the beginning, and the most that there are.
const NODES: usize = 3;
const NODES_MAX: usize = 5;

/// What a run is to be like.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether writes are fenced. Without, the store tells every node that it owns what it believes to
    /// own: the negative control.
    pub is_fenced: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { is_fenced: true }
    }
}

/// What happened in a run in which everything held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries that were acknowledged.
    pub acknowledged: usize,
    /// Calls that were repeated.
    pub repeated: usize,
    /// Partitions that were taken from nodes that had not let go of them.
    pub takeovers: usize,
    /// Batches that were fenced off.
    pub fenced: usize,
    /// What went wrong, in its order.
    pub blows: Vec<Blow>,
    /// How long it took, as the bottle tells time.
    pub time: Duration,
}

/// A run in which something did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed that tells the story again.
    pub seed: u64,
    /// What did not hold.
    pub what: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        writeln!(
            formatter,
            "seed {seed}: cargo run -p mesh-bottle --bin soak -- --first {seed} --seeds 1"
        )?;
        self.what
            .iter()
            .try_for_each(|what| writeln!(formatter, "  {what}"))
    }
}

/// Something that goes wrong, or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// A node dies.
    Kill,
    /// A node stands still.
    Pause,
    /// A node cannot reach the store.
    Cut,
    /// Commits land late, or nobody knows whether they have.
    Doubt,
    /// Nobody can reach the store.
    Away,
    /// The store takes no writes.
    ReadOnly,
    /// The store is slow.
    Slow,
    /// A node comes.
    Join,
    /// A node is asked to leave.
    Drain,
    /// Requests and answers are lost, doubled and late.
    Roads,
    /// Nothing more than usual.
    Lull,
}

const BLOWS: [Blow; 14] = [
    Blow::Kill,
    Blow::Kill,
    Blow::Pause,
    Blow::Pause,
    Blow::Pause,
    Blow::Cut,
    Blow::Doubt,
    Blow::Away,
    Blow::ReadOnly,
    Blow::Slow,
    Blow::Join,
    Blow::Drain,
    Blow::Roads,
    Blow::Lull,
];

/// What is usual while things go wrong.
const CHANGEABLE: Weather = Weather {
    slowness: 1,
    unknown_applied: 20,
    unknown_lost: 20,
    late: 30,
    late_max: Duration::from_secs(12),
    conflict: 20,
    is_read_only: false,
    is_away: false,
};

/// Nodes over one store, and whoever wants something of them.
pub struct Cluster {
    /// Time and chance.
    pub world: World,
    /// The store, and what it is like.
    pub sky: Sky,
    /// The ways to the nodes.
    pub roads: Roads,
    units: Vec<Unit>,
    nodes: usize,
    options: Options,
    operation_time: Duration,
    engine: MemoryStore,
}

impl Cluster {
    /// No node yet. Owned is whatever the accounts of `addresses` lie in.
    #[must_use]
    pub fn new(
        seed: u64,
        options: Options,
        addresses: &[AccountAddress],
        operation_time: Duration,
    ) -> Self {
        let world = World::new(seed);
        let engine = MemoryStore::new();
        engine.set_faults(Faults {
            seed,
            short_page: 100,
            ..Faults::default()
        });
        let partitions: BTreeSet<PartitionId> = addresses.iter().map(PartitionId::of).collect();
        Self {
            sky: Sky::new(world.clone(), engine.clone()),
            roads: Roads::new(world.clone()),
            units: partitions.into_iter().map(Unit::from).collect(),
            nodes: 0,
            options,
            operation_time,
            engine,
            world,
        }
    }

    /// Starts a node, as soon as it can read the store.
    pub fn start_node(&mut self) {
        let index = self.nodes;
        self.nodes += 1;
        let world = self.world.clone();
        let (name, chance) = (world.roll(u64::MAX), world.roll(u64::MAX));
        let id = NodeId::draw(&mut SeededEntropy::new(name));
        let store = NodeStore::new(self.sky.clone(), index, self.options.is_fenced);
        let settings = KeeperSettings {
            units: self.units.clone(),
            ..KeeperSettings::new(Times::default(), 1)
        };
        let (roads, operation_time) = (self.roads.clone(), self.operation_time);
        self.world.spawn(Some(index), async move {
            let pieces = loop {
                let entropy = SeededEntropy::new(chance);
                let clock = Arc::new(world.clone());
                let opened =
                    Bottled::open(store.clone(), id, clock, entropy, keys(), config()).await;
                match opened {
                    Ok(pieces) => break pieces,
                    Err(_) => world.sleep(Duration::from_secs(1)).await,
                }
            };
            let keeper = Keeper::new(settings, record(id), world.now());
            roads.open(Node::start(
                index,
                world,
                store,
                pieces,
                keeper,
                operation_time,
            ));
        });
    }

    /// Ends a node without a word.
    pub fn kill(&self, node: &Node) {
        self.world.kill(node.index());
        self.roads.close(node.index());
    }

    /// Lets time pass.
    pub fn run(&self, time: Duration) {
        self.world.run_until(self.world.now() + time);
        for node in self.roads.nodes().iter().filter(|node| node.is_gone()) {
            self.kill(node);
        }
    }

    /// What is wrong with who owns what: everything must have one owner, who knows it.
    fn owners(&self) -> Vec<String> {
        let nodes = self.roads.nodes();
        let wrong = self.units.iter().filter_map(|unit| {
            let holders = nodes.iter().filter(|node| {
                let held = node.held();
                held.iter().any(|(held, _)| held == unit)
            });
            let count = holders.count();
            (count != 1).then(|| format!("{unit:?} has {count} owners at the end"))
        });
        let mut wrong: Vec<String> = wrong.collect();
        if !wrong.is_empty() {
            wrong.extend(nodes.iter().map(Node::describe));
        }
        wrong
    }

    /// What is wrong with what is stored for an account, of which `ledger` says what was told.
    fn account(&self, address: &AccountAddress, ledger: &Ledger) -> Vec<String> {
        let engine = &self.engine;
        // Without the sky between, everything is answered at once.
        let verified = verify_account(engine, address).now_or_never();
        let mut wrong: Vec<String> = match verified {
            Some(Ok(verified)) => {
                let problems = verified.problems.iter();
                problems.map(|one| format!("{address}: {one:?}")).collect()
            }
            other => vec![format!("{address} cannot be verified: {other:?}")],
        };
        match self.payloads(address, CATALOG) {
            Ok(found) if found == ledger.acknowledged => {}
            Ok(found) => wrong.push(format!(
                "{address} has {found:?}, acknowledged was {:?}",
                ledger.acknowledged
            )),
            Err(error) => wrong.push(format!("{address}: {error}")),
        }
        wrong
    }

    fn payloads(&self, address: &AccountAddress, name: &str) -> Result<Vec<String>, String> {
        let standing = mesh_backend::bottled::standing(&self.engine, address)
            .now_or_never()
            .flatten();
        let Some(Standing::Account(state)) = standing else {
            return Err("there is no account".to_owned());
        };
        let name = ContainerName::parse(name).map_err(|error| error.to_string())?;
        let Some(head) = state.head(&name) else {
            return Err("there is no such container".to_owned());
        };
        let payloads = mesh_backend::bottled::payloads(
            &self.engine,
            state.record.id,
            head.number,
            head.count(),
        );
        let payloads = payloads
            .now_or_never()
            .ok_or("the engine does not answer")?;
        let texts = payloads?.into_iter().map(String::from_utf8);
        texts
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }
}

/// Tells the story of `seed`.
///
/// # Errors
/// What did not hold.
pub fn run(seed: u64, options: Options) -> Result<Report, Failure> {
    let names: Vec<String> = (0..CLIENTS).map(|one| format!("person{one}")).collect();
    let addresses = addresses(&names);
    let mut cluster = Cluster::new(seed, options, &addresses, Duration::from_micros(200));
    (0..NODES).for_each(|_| cluster.start_node());
    cluster.run(Duration::from_secs(2));
    let mut ledgers = Vec::new();
    for name in &names {
        let client = Client::new(cluster.world.clone(), cluster.roads.clone(), name);
        ledgers.push((client.address().clone(), client.ledger()));
        cluster.world.spawn(None, client.run(ENTRIES, PAUSE_MAX));
    }
    let blows = trouble(&mut cluster);
    let mut what = calm(&mut cluster, &ledgers);
    for (address, ledger) in &ledgers {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        what.extend(ledger.surprises.iter().cloned());
        what.extend(cluster.account(address, &ledger));
    }
    if what.is_empty() {
        Ok(report(&cluster, &ledgers, blows))
    } else {
        Err(Failure { seed, what })
    }
}

fn report(
    cluster: &Cluster,
    ledgers: &[(AccountAddress, Arc<Mutex<Ledger>>)],
    blows: Vec<Blow>,
) -> Report {
    let mut report = Report {
        acknowledged: 0,
        repeated: 0,
        takeovers: 0,
        fenced: 0,
        blows,
        time: cluster.world.now(),
    };
    for (_, ledger) in ledgers {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        report.acknowledged += ledger.acknowledged.len();
        report.repeated += ledger.repeated;
    }
    for node in cluster.roads.nodes() {
        let (takeovers, fenced) = node.counts();
        report.takeovers += takeovers;
        report.fenced += fenced;
    }
    report
}

/// Things go wrong, one after the other and at once.
fn trouble(cluster: &mut Cluster) -> Vec<Blow> {
    let world = cluster.world.clone();
    let end = world.now() + TROUBLE;
    let mut blows = Vec::new();
    cluster.sky.set(CHANGEABLE);
    while world.now() < end {
        let blow = BLOWS[usize::try_from(world.roll(14)).unwrap_or_default()];
        strike(cluster, blow);
        blows.push(blow);
        cluster.run(world.between(Duration::from_millis(200), Duration::from_secs(5)));
    }
    blows
}

fn strike(cluster: &mut Cluster, blow: Blow) {
    let world = cluster.world.clone();
    let seconds =
        |least, most| world.between(Duration::from_millis(least), Duration::from_millis(most));
    let nodes = cluster.roads.nodes();
    let count = u64::try_from(nodes.len()).unwrap_or_default();
    let node = nodes.get(usize::try_from(world.roll(count.max(1))).unwrap_or_default());
    match (blow, node) {
        (Blow::Kill, Some(node)) => {
            cluster.kill(node);
            cluster.start_node();
        }
        (Blow::Pause, Some(node)) => world.pause(node.index(), seconds(500, 15_000)),
        (Blow::Cut, Some(node)) => {
            let (sky, index, time) = (cluster.sky.clone(), node.index(), seconds(500, 10_000));
            sky.cut(index, true);
            let clock = world.clone();
            world.spawn(None, async move {
                clock.sleep(time).await;
                sky.cut(index, false);
            });
        }
        (Blow::Drain, Some(node)) => {
            node.drain();
            cluster.start_node();
        }
        (Blow::Join, _) if nodes.len() < NODES_MAX => cluster.start_node(),
        (Blow::Roads, _) => cluster.roads.set(Network {
            lost: 200,
            doubled: 200,
            delay_max: Duration::from_millis(800),
        }),
        (Blow::Lull, _) => cluster.roads.set(Network::default()),
        (Blow::Doubt | Blow::Away | Blow::ReadOnly | Blow::Slow, _) => {
            change(cluster, blow, seconds(500, 7_000));
        }
        _ => {}
    }
}

/// The weather of the store changes for a while.
fn change(cluster: &Cluster, blow: Blow, time: Duration) {
    let weather = match blow {
        Blow::Doubt => Weather {
            unknown_applied: 150,
            unknown_lost: 150,
            late: 250,
            ..CHANGEABLE
        },
        Blow::Away => Weather {
            is_away: true,
            ..CHANGEABLE
        },
        Blow::ReadOnly => Weather {
            is_read_only: true,
            ..CHANGEABLE
        },
        _ => Weather {
            slowness: 60,
            ..CHANGEABLE
        },
    };
    cluster.sky.set(weather);
    let (world, sky) = (cluster.world.clone(), cluster.sky.clone());
    cluster.world.spawn(None, async move {
        world.sleep(time).await;
        sky.set(CHANGEABLE);
    });
}

/// Nothing goes wrong any more. What is wrong with how long it takes until everything is done, and
/// owned.
fn calm(cluster: &mut Cluster, ledgers: &[(AccountAddress, Arc<Mutex<Ledger>>)]) -> Vec<String> {
    // What was begun ends: pauses, cuts, weather.
    cluster.run(Duration::from_secs(15));
    cluster.sky.set(Weather::default());
    cluster.roads.set(Network::default());
    if cluster.roads.nodes().iter().all(Node::is_draining) {
        cluster.start_node();
    }
    let acknowledged = |(_, ledger): &(AccountAddress, Arc<Mutex<Ledger>>)| {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        (
            ledger.acknowledged.len(),
            ledger.is_done || !ledger.surprises.is_empty(),
        )
    };
    let before: Vec<_> = ledgers.iter().map(acknowledged).collect();
    // The bound, then the client's own patience and its longest pause.
    cluster.run(Times::default().failover_bound() + Duration::from_secs(9));
    let mut wrong = Vec::new();
    for (ledger, (count, is_done)) in ledgers.iter().zip(before) {
        if !is_done && acknowledged(ledger).0 == count {
            wrong.push(format!(
                "{}: nothing acknowledged within the bound",
                ledger.0
            ));
        }
    }
    let entry = PAUSE_MAX + Duration::from_secs(1);
    let entries = u32::try_from(ENTRIES).unwrap_or_default();
    let moves = REBALANCE_RELEASE_INTERVAL * u32::try_from(cluster.units.len()).unwrap_or_default();
    cluster.run((entry * entries).max(REBALANCE_STABLE + moves));
    let unfinished = ledgers.iter().filter(|ledger| !acknowledged(ledger).1);
    wrong.extend(unfinished.map(|(address, _)| format!("{address} never finished")));
    wrong.extend(cluster.owners());
    wrong
}

/// The addresses of these accounts.
#[must_use]
pub fn addresses(names: &[String]) -> Vec<AccountAddress> {
    let parsed = names
        .iter()
        .map(|name| AccountAddress::parse(&format!("{name}@example.com")));
    parsed.flatten().collect()
}

fn config() -> BackendConfig {
    BackendConfig {
        policy: AccountPolicy {
            domains_served: BTreeSet::from(["example.com".to_owned()]),
            ..AccountPolicy::default()
        },
        ..BackendConfig::default()
    }
}

fn keys() -> ServiceKeys {
    static KEYS: OnceLock<ServiceKeys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let key = |seed| Arc::new(SecretKey::generate(&mut SeededEntropy::new(seed)));
        ServiceKeys::single(ServiceSecrets {
            online: key(1),
            reading: vec![key(2)],
        })
    });
    keys.clone()
}

fn record(id: NodeId) -> NodeRecord {
    NodeRecord {
        id,
        seq: 0,
        lease: Duration::ZERO,
        roles: Roles {
            backend: true,
            outbound: false,
        },
        address: String::new(),
        zone: String::new(),
        weight: 100,
        draining: false,
        build: String::new(),
        levels: (1, 1),
    }
}
