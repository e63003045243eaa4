//! Which service each domain had, as the nodes of a cluster remember it.

use mesh_common::crypto::SecretKey;
use mesh_common::discovery::Pinned;
use mesh_common::entropy::SeededEntropy;
use mesh_peer::Pins as _;

use super::calls::not_sent;
use super::nodes::NOON;
use super::*;

fn seen() -> Pinned {
    let secret = SecretKey::generate(&mut SeededEntropy::new(1));
    Pinned {
        service_udf: nodes::service(),
        updated: NOON,
        host_key: secret.public().clone(),
        replaced: None,
        since: NOON,
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_front_end_has_seen_another_one_knows() {
    let cluster = Cluster::of(2);
    let (one, other) = (cluster.router().await, cluster.router().await);
    let (one, other) = (RoutedPins::new(one), RoutedPins::new(other));
    assert_eq!(one.pinned("peer.example").await.unwrap(), None);
    one.pin("peer.example", &seen()).await.unwrap();
    assert_eq!(other.pinned("peer.example").await.unwrap(), Some(seen()));
    assert!(one.forget("peer.example").await.is_err(), "it is no desk");
    assert_eq!(other.pinned("peer.example").await.unwrap(), Some(seen()));
}

#[tokio::test(start_paused = true)]
async fn any_node_knows_and_without_one_nobody_is_believed() {
    let cluster = Cluster::of(2);
    let pins = RoutedPins::new(cluster.router().await);
    cluster.node(1).usually(not_sent());
    pins.pin("peer.example", &seen()).await.unwrap();
    cluster.node(2).usually(not_sent());
    assert!(pins.pinned("peer.example").await.is_err());
    assert!(pins.pin("peer.example", &seen()).await.is_err());
}
