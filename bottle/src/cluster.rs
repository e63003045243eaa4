//! Nodes over one store, and whoever wants something of them.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mesh_backend::bottled::Bottled;
use mesh_backend::store::{Faults, MemoryStore};
use mesh_backend::{BackendConfig, ServiceKeys, ServiceSecrets};
use mesh_common::account::AccountPolicy;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{
    Keeper, KeeperSettings, NodeId, NodeRecord, PartitionId, Roles, Times, Unit,
};
use mesh_common::crypto::{Curve, SecretKey};
use mesh_common::delivery::ShardId;
use mesh_common::entropy::SeededEntropy;
use mesh_common::time::Clock;

use crate::node::{Node, NodeTime, Parts};
use crate::peers::{DOMAINS, Peers};
use crate::roads::Roads;
use crate::store::{NodeStore, Sabotage, Sky};
use crate::world::World;

/// Nodes over one store.
pub struct Cluster {
    /// Time and chance.
    pub world: World,
    /// The store, and what it is like.
    pub sky: Sky,
    /// The ways to the nodes.
    pub roads: Roads,
    /// Other services.
    pub peers: Peers,
    /// The engine, as it is, without the sky between.
    pub engine: MemoryStore,
    /// What is owned.
    pub units: Vec<Unit>,
    nodes: usize,
    sabotage: Sabotage,
    operation_time: Duration,
}

impl Cluster {
    /// No node yet. Owned is whatever the accounts of `addresses` lie in, and the shards of the other
    /// services.
    #[must_use]
    pub fn new(
        seed: u64,
        sabotage: Sabotage,
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
        let partitions = addresses.iter().map(|one| Unit::from(PartitionId::of(one)));
        let shards = DOMAINS.iter().map(|domain| ShardId::of(domain).into());
        let units: BTreeSet<Unit> = partitions.chain(shards).collect();
        Self {
            sky: Sky::new(world.clone(), engine.clone()),
            roads: Roads::new(world.clone()),
            peers: Peers::new(world.clone(), sabotage != Sabotage::PeersForget),
            units: units.into_iter().collect(),
            nodes: 0,
            sabotage,
            operation_time,
            engine,
            world,
        }
    }

    /// What is done wrong on purpose.
    #[must_use]
    pub const fn sabotage(&self) -> Sabotage {
        self.sabotage
    }

    /// Starts a node, as soon as it can read the store.
    pub fn start_node(&mut self) {
        let index = self.nodes;
        self.nodes += 1;
        let world = self.world.clone();
        let (name, chance) = (world.roll(u64::MAX), world.roll(u64::MAX));
        let id = NodeId::draw(&mut SeededEntropy::new(name));
        let store = NodeStore::new(self.sky.clone(), (index, id), self.sabotage);
        let settings = KeeperSettings {
            units: self.units.clone(),
            ..KeeperSettings::new(Times::default(), 1)
        };
        let (roads, peers) = (self.roads.clone(), self.peers.clone());
        let operation_time = self.operation_time;
        self.world.spawn(Some(index), async move {
            let time = NodeTime::new(world.clone());
            let pieces = open(&world, &store, id, (&time, chance)).await;
            let keeper = Keeper::new(settings, record(id), world.now());
            let node = Node::start(Parts {
                index,
                carrier: peers.carrier(index, pieces.clone()),
                world,
                store,
                time,
                pieces,
                keeper,
                operation_time,
                roads: roads.clone(),
            });
            roads.open(node);
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
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.world.end();
        self.roads.close_all();
    }
}

/// Opens the store, sooner or later.
async fn open(
    world: &World,
    store: &NodeStore,
    id: NodeId,
    (time, chance): (&NodeTime, u64),
) -> Bottled<NodeStore> {
    loop {
        let entropy = SeededEntropy::new(chance);
        let clock: Arc<dyn Clock> = Arc::new(world.clone());
        let time = (clock, Arc::new(time.clone()) as _);
        let opened = Bottled::open(store.clone(), id, time, entropy, keys(), config()).await;
        match opened {
            Ok(pieces) => return pieces,
            Err(_) => world.sleep(Duration::from_secs(1)).await,
        }
    }
}

/// The addresses of these accounts.
#[must_use]
pub fn addresses(names: &[String]) -> Vec<AccountAddress> {
    let parsed = names
        .iter()
        .map(|name| AccountAddress::parse(&format!("{name}@example.com")));
    parsed.flatten().collect()
}

/// A service that takes what strangers send, as much as they like.
fn config() -> BackendConfig {
    let mut config = BackendConfig {
        policy: AccountPolicy {
            domains_served: BTreeSet::from(["example.com".to_owned()]),
            outbound_rates: None,
            ..AccountPolicy::default()
        },
        ..BackendConfig::default()
    };
    config.policy.inbound.stranger_per_sender_day = 10_000;
    config.policy.inbound.stranger_per_recipient_day = 10_000;
    config
}

fn keys() -> ServiceKeys {
    static KEYS: OnceLock<ServiceKeys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        // Of the two curves that on which it takes less time to sign.
        let key = |octet| SecretKey::from_seed_on(Curve::Ed25519, &[octet; 32]);
        let key = |octet| Arc::new(key(octet).expect("a seed of this length always gives a key"));
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
            outbound: true,
        },
        address: String::new(),
        zone: String::new(),
        weight: 100,
        draining: false,
        build: String::new(),
        levels: (1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_that_ends_leaves_nothing_behind() {
        let names = ["one".to_owned(), "other".to_owned()];
        let accounts = addresses(&names);
        let mut cluster = Cluster::new(5, Sabotage::None, &accounts, Duration::ZERO);
        cluster.start_node();
        cluster.start_node();
        cluster.run(Duration::from_secs(20));
        let held = |cluster: &Cluster| -> usize {
            let nodes = cluster.roads.nodes();
            nodes.iter().map(|node| node.held().len()).sum()
        };
        assert_eq!(held(&cluster), cluster.units.len(), "the nodes work");
        let is_forgotten = cluster.world.is_forgotten();
        assert!(!is_forgotten());
        drop(cluster);
        assert!(is_forgotten());
    }
}
