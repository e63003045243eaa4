//! What more nodes bring: the same devices, ever busy, in front of one, two and four nodes, where an
//! operation takes a fixed time of its node's processor and the store is no bottleneck.

use std::time::Duration;

use crate::client::Client;
use crate::cluster::{Cluster, addresses};
use crate::store::Sabotage;

/// Devices, each with an operation on its way at any time.
const CLIENTS: usize = 96;
/// What an operation takes of a processor: one core does a hundred a second.
const OPERATION: Duration = Duration::from_millis(10);
/// How long is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// Entries per second that are acknowledged with so many nodes.
#[must_use]
pub fn throughput(seed: u64, nodes: usize) -> f64 {
    let names: Vec<String> = (0..CLIENTS).map(|one| format!("busy{one}")).collect();
    let mut cluster = Cluster::new(seed, Sabotage::None, &addresses(&names), OPERATION);
    (0..nodes).for_each(|_| cluster.start_node());
    // All are there before anything is claimed, or moved.
    cluster.run(Duration::from_secs(40));
    let mut ledgers = Vec::new();
    for name in &names {
        let client = Client::new(cluster.world.clone(), cluster.roads.clone(), name, None);
        ledgers.push(client.ledger());
        cluster
            .world
            .spawn(None, client.run(u64::MAX, Duration::ZERO));
    }
    let count = |ledgers: &[std::sync::Arc<std::sync::Mutex<crate::client::Ledger>>]| {
        let counts = ledgers.iter().map(|ledger| {
            let ledger = ledger.lock();
            ledger.map_or(0, |ledger| ledger.acknowledged.len())
        });
        counts.sum::<usize>()
    };
    // Accounts are created, owners are found.
    cluster.run(Duration::from_secs(4));
    let before = count(&ledgers);
    cluster.run(MEASURED);
    let done = u32::try_from(count(&ledgers) - before).unwrap_or(u32::MAX);
    f64::from(done) / MEASURED.as_secs_f64()
}
