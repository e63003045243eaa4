//! A cluster with a crowd: it begins with its accounts spread evenly over the back-ends, and ends with the
//! comparison of what was acknowledged with what is there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_backend::store::{KeyRange, Limit, Order, Read, Store as _, Tx as _, TxOptions, keys};
use mesh_common::cluster::{NodeId, PartitionId};
use mesh_tests::cluster::{Cluster, Plan, Role};
use mesh_tests::peer::simulator::several;
use mesh_tests::peer::{Kind, Settings, Simulator};

use super::crowd::{Crowd, Totals, eventually, partition_of};

/// Accounts of each back-end that a scene begins with.
const ACCOUNTS_PER_BACKEND: usize = 2;
/// Names that are tried until every back-end has its accounts.
const NAMES_MAX: usize = 10_000;

/// Bounds on strangers that nobody meets.
const POLICY: &str = "cluster.stop_delay_ms = 200\n\
    backend.policy.inbound.stranger_per_sender_day = 1000000\n\
    backend.policy.inbound.stranger_per_recipient_day = 1000000\n\
    backend.policy.inbound.per_recipient_day = 1000000\n";

/// One scene at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A cluster with a crowd.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) crowd: Crowd,
    /// The accounts, by the back-end that had them in the beginning.
    pub(crate) accounts: BTreeMap<usize, Vec<String>>,
    _simulator: Simulator,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// Starts what is planned, and lets the crowd in.
    pub(crate) fn begin(plan: Plan) -> Self {
        let turn = turn();
        let peers = several(Kind::Healthy, 1);
        let simulator = Simulator::start(peers, Settings::default()).expect("there are ports");
        let cluster = balanced(plan, &simulator);
        let accounts = chosen(&cluster);
        let addresses: Vec<String> = accounts.values().flatten().cloned().collect();
        let crowd = Crowd::gather(&cluster, &addresses, &simulator.peers()[0]);
        Self {
            cluster,
            crowd,
            accounts,
            _simulator: simulator,
            _turn: turn,
        }
    }

    /// The accounts that a member had in the beginning.
    pub(crate) fn accounts_of(&self, member: usize) -> Vec<String> {
        self.accounts.get(&member).cloned().unwrap_or_default()
    }

    /// All accounts.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.accounts.values().flatten().cloned().collect()
    }

    /// Those of `accounts` that somebody reads.
    pub(crate) fn read_accounts(&self, accounts: &[String]) -> Vec<String> {
        let is_read = |account: &&String| self.crowd.is_read(account);
        accounts.iter().filter(is_read).cloned().collect()
    }

    /// The back-ends.
    pub(crate) fn backends(&self) -> Vec<usize> {
        self.cluster.of(Role::Backend).collect()
    }

    /// Insists that all that was acknowledged is there once, and that nothing went wrong inside.
    pub(crate) fn end(mut self) -> Totals {
        let totals = self.crowd.settle();
        for role in [Role::Frontend, Role::Backend, Role::Outbound] {
            let panics = self
                .cluster
                .measured(role, "mesh_panics_contained_total", "");
            assert_eq!(panics, 0.0, "{role:?}");
        }
        totals
    }
}

/// Waits until no other scene is being played.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster whose back-ends own about the same: whoever comes first owns everything, and goes when the
/// others are there.
fn balanced(plan: Plan, simulator: &Simulator) -> Cluster {
    let mut settings = plan.settings.clone();
    settings.push_str(POLICY);
    let authority = simulator.authority().pem().to_owned();
    let mut cluster = Cluster::laid_with(plan, |folder| {
        let path = folder.join("peers.pem");
        std::fs::write(&path, &authority).expect("a temporary file can be written");
        writeln!(settings, "discovery.authorities = [{path:?}]").expect("into memory");
        for (domain, address) in simulator.map() {
            writeln!(settings, "discovery.domains.{domain:?} = \"{address}\"")
                .expect("into memory");
        }
        settings
    });
    if cluster.plan().backends == 1 {
        cluster.start_first(cluster.members().len());
        wait_until_all_is_owned(&cluster);
        return cluster;
    }
    let first = cluster.add(Role::Backend);
    cluster.member_mut(first).start();
    assert!(
        eventually(|| owned(&cluster, first) == partitions()),
        "nobody owns everything"
    );
    cluster.start_first(first);
    let planned = cluster.plan().backends;
    let knows = |number| {
        cluster
            .member(number)
            .measured("mesh_cluster_nodes", "active")
    };
    let nodes = planned + 1 + cluster.plan().outbound;
    assert!(
        eventually(|| cluster
            .of(Role::Backend)
            .all(|number| knows(number) >= Some(nodes as f64))),
        "they do not see each other"
    );
    cluster.member_mut(first).stop();
    cluster.forget_last();
    wait_until_all_is_owned(&cluster);
    cluster
}

/// Waits until the back-ends that run own every partition.
pub(crate) fn wait_until_all_is_owned(cluster: &Cluster) {
    let all_owned = || cluster.measured(Role::Backend, "mesh_partitions_owned", "") == partitions();
    assert!(eventually(all_owned), "some partitions are nobody's");
}

/// What the environment sets `variable` to.
pub(crate) fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}

/// Partitions that a member says it owns.
pub(crate) fn owned(cluster: &Cluster, member: usize) -> f64 {
    let measured = cluster.member(member).measured("mesh_partitions_owned", "");
    measured.unwrap_or_default()
}

/// How many there are.
pub(crate) fn partitions() -> f64 {
    PartitionId::all().count() as f64
}

/// Addresses such that every back-end has the same number of accounts.
fn chosen(cluster: &Cluster) -> BTreeMap<usize, Vec<String>> {
    let owners = owners(cluster);
    let backends = cluster.of(Role::Backend);
    let mut chosen: BTreeMap<usize, Vec<String>> = backends.map(|one| (one, Vec::new())).collect();
    for number in 0..NAMES_MAX {
        let address = format!("person{number}@{}", mesh_tests::service::DOMAIN);
        let owner = owners.get(&partition_of(&address));
        if let Some(accounts) = owner.and_then(|owner| chosen.get_mut(owner))
            && accounts.len() < ACCOUNTS_PER_BACKEND
        {
            accounts.push(address);
        }
    }
    for (member, accounts) in &chosen {
        let name = cluster.member(*member).name();
        assert_eq!(
            accounts.len(),
            ACCOUNTS_PER_BACKEND,
            "{name} owns next to nothing"
        );
    }
    chosen
}

/// Which member owns each partition, as the store says: table 01 has the addresses of nodes, table 02 the owners.
pub(crate) fn owners(cluster: &Cluster) -> BTreeMap<PartitionId, usize> {
    let nodes: BTreeMap<NodeId, usize> = rows(cluster, keys::nodes())
        .into_iter()
        .filter_map(|(key, value)| {
            let node = keys::node_of_key(&key)?;
            let is_of = |door: &str| {
                value
                    .windows(door.len())
                    .any(|part| part == door.as_bytes())
            };
            let mut backends = cluster.of(Role::Backend);
            let member = backends
                .find(|&number| is_of(&cluster.member(number).door().address().to_string()))?;
            Some((node, member))
        })
        .collect();
    let owned = rows(cluster, keys::parts()).into_iter();
    owned
        .filter_map(|(key, value)| {
            let (partition, node) = (keys::partition_of_part(&key)?, owner_in(&value)?);
            Some((partition, *nodes.get(&node)?))
        })
        .collect()
}

/// The node in an ownership record: behind format, generation and epoch.
fn owner_in(record: &[u8]) -> Option<NodeId> {
    let node = record.get(13..29)?;
    Some(NodeId(node.try_into().ok()?))
}

/// All rows of a range.
pub(crate) fn rows(cluster: &Cluster, range: KeyRange) -> Vec<(Vec<u8>, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("there is a runtime");
    runtime.block_on(async {
        let tx = cluster.ground().open().begin(TxOptions::default());
        let (mut rest, mut found) = (Some(range), Vec::new());
        while let Some(range) = rest {
            let page = tx
                .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
                .await
                .expect("the store is read");
            rest = page.rest(&range, Order::Forward);
            let rows = page.rows.into_iter();
            found.extend(rows.map(|row| (row.key.to_vec(), row.value.to_vec())));
        }
        found
    })
}
