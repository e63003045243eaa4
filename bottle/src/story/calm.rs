//! Nothing goes wrong any more: within bounds that are known beforehand everybody is served again,
//! everything is done, nothing waits, and everything has one owner who knows it.

use std::time::Duration;

use futures_util::FutureExt as _;
use mesh_backend::bottled::{is_anything_ordered, is_empty, ordered_out};
use mesh_common::cluster::Times;
use mesh_common::limits::{REBALANCE_RELEASE_INTERVAL, REBALANCE_STABLE};

use super::{Cast, ENTRIES, PAUSE_MAX, read, trouble};
use crate::cluster::Cluster;
use crate::node::Node;
use crate::peers::DOMAINS;
use crate::roads::Roads;
use crate::store::{Sabotage, Weather};

/// Within this time everything has left the queues. A message that was lost three times is tried again after two
/// minutes and a half at most; if the peer is busy then, which had never seen it before, after twelve and a half more.
/// And if each message by which it is tried whether a peer is back is one for which it is busy at first, the peer is
/// tried again after half an hour.
const DELIVERED_WITHIN: Duration = Duration::from_secs(2 * 3_600);
/// What operators ordered while things went wrong has landed by then: whoever was to order it may have stood still, and
/// its commits have had to be repeated.
const ORDERS_END: Duration = Duration::from_secs(7);
/// All nodes know by then of an order that was just given: they look every two seconds, and a look takes four at most.
const HOLDS_ARE_KNOWN: Duration = Duration::from_secs(8);
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
    hold_everything(cluster);
    let mut wrong = served_again(cluster, cast);
    let entry = PAUSE_MAX + Duration::from_secs(1);
    let entries = u32::try_from(ENTRIES).unwrap_or_default();
    let moves = REBALANCE_RELEASE_INTERVAL * u32::try_from(cluster.units.len()).unwrap_or_default();
    let until = cluster.world.now() + (entry * entries).max(REBALANCE_STABLE + moves);
    cluster.run(REBALANCE_STABLE + moves);
    cluster.peers.expect_nothing(None);
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
    wrong.extend(disobedient(cluster));
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

/// In every other story an operator holds everything for a while, which no other order meddles with any more: once all
/// nodes have looked, nothing is sent.
fn hold_everything(cluster: &Cluster) {
    let world = cluster.world.clone();
    if world.chance(500) {
        let roads = cluster.roads.clone();
        let known = world.now() + ORDERS_END + HOLDS_ARE_KNOWN;
        cluster.peers.expect_nothing(Some(known));
        world.clone().spawn(None, async move {
            world.sleep(ORDERS_END).await;
            order_holds(&roads, true);
        });
    }
}

/// Somebody who stays orders that everything is held, or nothing.
fn order_holds(roads: &Roads, is_held: bool) {
    let nodes = roads.nodes();
    if let Some(node) = nodes.iter().find(|node| !node.is_draining()) {
        let domains = DOMAINS.iter();
        domains.for_each(|domain| node.hold(domain, is_held));
    }
}

/// What still waits although it had time. Nothing is held any more: whoever was to say so may have died before, and
/// an order may have landed late.
fn delivered(cluster: &Cluster) -> Vec<String> {
    let until = cluster.world.now() + patience(cluster);
    // The engine answers at once.
    let waits = || !matches!(is_empty(&cluster.engine).now_or_never(), Some(Ok(true)));
    while waits() && cluster.world.now() < until {
        if are_orders_standing(cluster) {
            order_holds(&cluster.roads, false);
        }
        cluster.run(STEP);
    }
    let waits = waits();
    waits
        .then(|| "intakes or queues are not empty at the end".to_owned())
        .into_iter()
        .collect()
}

/// An order that nobody finds stays for ever: nobody need wait for hours to see that.
fn patience(cluster: &Cluster) -> Duration {
    match cluster.sabotage() {
        Sabotage::OrdersUnread => STEP * 24,
        _ => DELIVERED_WITHIN,
    }
}

fn are_orders_standing(cluster: &Cluster) -> bool {
    !matches!(
        is_anything_ordered(&cluster.engine).now_or_never(),
        Some(Ok(false))
    )
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

/// Who is still there, and does not even leave, although it was ordered to.
fn disobedient(cluster: &Cluster) -> Vec<String> {
    let ordered = ordered_out(&cluster.engine).now_or_never();
    let Some(Ok(ordered)) = ordered else {
        return vec!["the orders to nodes cannot be read".to_owned()];
    };
    let nodes = cluster.roads.nodes();
    let stays = |node: &&Node| ordered.contains(&node.id()) && !node.is_draining();
    let stay = nodes.iter().filter(stays);
    stay.map(|node| format!("{} stays although it was ordered to leave", node.id()))
        .collect()
}
