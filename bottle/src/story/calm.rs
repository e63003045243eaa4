//! Nothing goes wrong any more: within bounds that are known beforehand everybody is served again,
//! everything is done, nothing waits, and everything has one owner who knows it.

use std::time::Duration;

use futures_util::FutureExt as _;
use mesh_backend::bottled::is_empty;
use mesh_common::cluster::Times;
use mesh_common::limits::{REBALANCE_RELEASE_INTERVAL, REBALANCE_STABLE};

use super::{Cast, ENTRIES, PAUSE_MAX, read, trouble};
use crate::cluster::Cluster;
use crate::node::Node;
use crate::store::Weather;

/// Within this time everything has left the queues. A message that was lost three times is tried again after two
/// minutes and a half at most; if the peer is busy then, which had never seen it before, after twelve and a half more.
/// And if each message by which it is tried whether a peer is back is one for which it is busy at first, the peer is
/// tried again after half an hour.
const DELIVERED_WITHIN: Duration = Duration::from_secs(2 * 3_600);
/// How often it is looked whether it has.
const STEP: Duration = Duration::from_secs(5);

/// What is wrong with how long it takes until everything is done, and owned.
pub(super) fn calm(cluster: &mut Cluster, cast: &Cast) -> Vec<String> {
    // What was begun ends: pauses, cuts, weather.
    cluster.run(Duration::from_secs(15));
    cluster.sky.set(Weather::default());
    trouble::lull(cluster);
    if cluster.roads.nodes().iter().all(Node::is_draining) {
        cluster.start_node();
    }
    let mut wrong = served_again(cluster, cast);
    let entry = PAUSE_MAX + Duration::from_secs(1);
    let entries = u32::try_from(ENTRIES).unwrap_or_default();
    let moves = REBALANCE_RELEASE_INTERVAL * u32::try_from(cluster.units.len()).unwrap_or_default();
    let until = cluster.world.now() + (entry * entries).max(REBALANCE_STABLE + moves);
    cluster.run(REBALANCE_STABLE + moves);
    while cluster.world.now() < until && !is_done(cast) {
        cluster.run(STEP);
    }
    for (address, ledger) in &cast.clients {
        if !read(ledger, |ledger| {
            ledger.is_done || !ledger.surprises.is_empty()
        }) {
            wrong.push(format!("{address} never finished"));
        }
    }
    for receipts in &cast.correspondents {
        if !read(receipts, |one| one.is_done || !one.surprises.is_empty()) {
            wrong.push("another service never finished".to_owned());
        }
    }
    wrong.extend(delivered(cluster));
    wrong.extend(owners(cluster));
    wrong
}

fn is_done(cast: &Cast) -> bool {
    let clients = cast.clients.iter();
    let others = cast.correspondents.iter();
    clients
        .map(|(_, one)| one)
        .all(|one| read(one, |one| one.is_done))
        && others.into_iter().all(|one| read(one, |one| one.is_done))
}

/// The bound, then the client's own patience and its longest pause: whoever is not done by then must have
/// come on.
fn served_again(cluster: &Cluster, cast: &Cast) -> Vec<String> {
    let progress = || -> Vec<(usize, bool)> {
        let clients = cast.clients.iter();
        let stand = clients.map(|(_, ledger)| {
            read(ledger, |ledger| {
                let count = ledger.acknowledged.len() + ledger.posted.len();
                (count, ledger.is_done || !ledger.surprises.is_empty())
            })
        });
        stand.collect()
    };
    let before = progress();
    cluster.run(Times::default().failover_bound() + Duration::from_secs(9));
    let mut wrong = Vec::new();
    for (((address, _), after), before) in cast.clients.iter().zip(progress()).zip(before) {
        if !before.1 && after.0 == before.0 {
            wrong.push(format!("{address}: nothing acknowledged within the bound"));
        }
    }
    wrong
}

/// What still waits although it had time.
fn delivered(cluster: &Cluster) -> Vec<String> {
    let until = cluster.world.now() + DELIVERED_WITHIN;
    // The engine answers at once.
    let waits = || !matches!(is_empty(&cluster.engine).now_or_never(), Some(Ok(true)));
    while waits() && cluster.world.now() < until {
        cluster.run(STEP);
    }
    let waits = waits();
    waits
        .then(|| "intakes or queues are not empty at the end".to_owned())
        .into_iter()
        .collect()
}

/// What is wrong with who owns what: everything must have one owner, who knows it.
fn owners(cluster: &Cluster) -> Vec<String> {
    let nodes = cluster.roads.nodes();
    let wrong = cluster.units.iter().filter_map(|unit| {
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
