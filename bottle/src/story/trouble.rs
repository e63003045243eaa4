//! What goes wrong: one thing after the other, and at once.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::roads::Network;
use crate::store::Weather;

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(40);
/// The most nodes that there are.
const NODES_MAX: usize = 5;

/// Something that goes wrong, or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// An operator has the messages for another service held for a while.
    Hold,
    /// An operator has everything for another service tried now.
    Retry,
    /// Another service does not answer.
    Peer,
    /// Nothing more than usual.
    Lull,
}

const BLOWS: [Blow; 17] = [
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
    Blow::Peer,
    Blow::Hold,
    Blow::Retry,
    Blow::Lull,
];

/// Of a thousand messages: lost, while the roads are bad.
const LOST: u64 = 200;

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

/// Things go wrong, one after the other and at once.
pub(super) fn trouble(cluster: &mut Cluster) -> Vec<Blow> {
    let world = cluster.world.clone();
    let end = world.now() + TROUBLE;
    let mut blows = Vec::new();
    cluster.sky.set(CHANGEABLE);
    while world.now() < end {
        let count = u64::try_from(BLOWS.len()).unwrap_or(1);
        let blow = BLOWS[usize::try_from(world.roll(count)).unwrap_or_default()];
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
            // Told itself, or by an order that is given at another node.
            let asked = nodes.iter().find(|other| other.id() != node.id());
            match asked.filter(|_| world.chance(500)) {
                Some(other) => other.order_out(node.id()),
                None => node.drain(),
            }
            cluster.start_node();
        }
        (Blow::Join, _) if nodes.len() < NODES_MAX => cluster.start_node(),
        (Blow::Roads, _) => {
            cluster.peers.lose(LOST);
            cluster.roads.set(Network {
                lost: LOST,
                doubled: 200,
                delay_max: Duration::from_millis(800),
            });
        }
        (Blow::Hold, Some(node)) => {
            let (node, domain, time) = (
                node.clone(),
                cluster.peers.any_domain(),
                seconds(2_000, 12_000),
            );
            node.hold(domain, true);
            let clock = world.clone();
            world.spawn(None, async move {
                clock.sleep(time).await;
                node.hold(domain, false);
            });
        }
        (Blow::Retry, Some(node)) => node.retry(cluster.peers.any_domain()),
        (Blow::Peer, _) => cluster.peers.leave(seconds(500, 8_000)),
        (Blow::Lull, _) => lull(cluster),
        (Blow::Doubt | Blow::Away | Blow::ReadOnly | Blow::Slow, _) => {
            change(cluster, blow, seconds(500, 7_000));
        }
        _ => {}
    }
}

/// Nothing is lost any more.
pub(super) fn lull(cluster: &Cluster) {
    cluster.peers.lose(0);
    cluster.roads.set(Network::default());
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
