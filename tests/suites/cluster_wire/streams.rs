//! What is told over the streams of events: changes of accounts, secrets of tickets.

use std::sync::Arc;

use mesh_backend::SystemClock;
use mesh_common::cluster::{Backend as _, TicketSecret, Watch};
use mesh_common::session::Epoch;
use mesh_common::time::Clock as _;
use tokio::time::timeout;

use crate::cluster::{Cluster, PATIENCE, tell, until};
use crate::devices::settle;

#[test]
fn who_waits_hears_of_changes_before_and_after_the_owner_changed() {
    tell(|| async {
        let cluster = Cluster::with(1).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, 1).await;
        let writer = &writers[0];
        let mut watch = routed.router.watch(writer.account()).await.unwrap();
        let told = async |watch: &mut Watch| {
            timeout(PATIENCE, watch.changed()).await.unwrap();
        };
        writer.upload().await;
        told(&mut watch).await;
        cluster.nodes[0].backend().leave().await;
        until("the other one owns everything", || {
            cluster.nodes[1].partitions() == 1_024
        })
        .await;
        // Everybody looks once the new owner watches, whether there is something to see or not.
        told(&mut watch).await;
        writer.upload().await;
        told(&mut watch).await;
    });
}

// I-P-4.3.4-a, X-21/22
#[test]
fn the_secrets_of_tickets_come_to_the_front_end() {
    tell(|| async {
        let cluster = Cluster::with(1).await;
        let routed = cluster.router().await;
        let epoch = Epoch::at(SystemClock.now());
        assert!(!routed.router.state().has_tickets);
        let secret = TicketSecret {
            epoch: epoch.0,
            secret: zeroize::Zeroizing::new([3; 32]),
        };
        cluster.nodes[1].backend().tell_secrets(vec![secret]);
        until("the secret is there", || routed.router.state().has_tickets).await;
        let keys = Arc::clone(&routed.tickets.load());
        assert!(keys.epochs().eq([epoch]));
    });
}
