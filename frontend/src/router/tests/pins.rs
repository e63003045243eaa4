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

// A call that was added later has a fallback.
#[tokio::test(start_paused = true)]
async fn while_no_node_knows_the_call_a_front_end_remembers_by_itself() {
    let cluster = Cluster::of(2);
    let pins = RoutedPins::new(cluster.router().await);
    let unknown = || Reply::Fails(LinkFailure::Unknown("HTTP 404 Not Found".into()));
    for name in [1, 2] {
        cluster.node(name).usually(unknown());
    }
    assert_eq!(pins.pinned("peer.example").await.unwrap(), None);
    pins.pin("peer.example", &seen()).await.unwrap();
    assert_eq!(pins.pinned("peer.example").await.unwrap(), Some(seen()));
    assert_eq!(pins.pinned("other.example").await.unwrap(), None);
    // One that cannot be reached changes nothing for who needs an answer.
    cluster.node(2).usually(not_sent());
    assert_eq!(pins.pinned("peer.example").await.unwrap(), Some(seen()));
    // One of them is replaced by a newer one, which is told.
    cluster.node(2).usually(Reply::Done);
    assert_eq!(pins.pinned("peer.example").await.unwrap(), Some(seen()));
    let other = RoutedPins::new(cluster.router().await);
    assert_eq!(other.pinned("peer.example").await.unwrap(), Some(seen()));
    // And is believed from then on.
    cluster.node(1).usually(Reply::Done);
    assert_eq!(pins.pinned("peer.example").await.unwrap(), Some(seen()));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_knows_the_call_is_asked_before_a_front_end_believes_itself() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    let unknown = LinkFailure::Unknown("HTTP 404 Not Found".into());
    for name in [1, 2] {
        cluster.node(name).usually(Reply::Fails(unknown.clone()));
    }
    let (one, other) = (RoutedPins::new(router.clone()), RoutedPins::new(router));
    one.pin("peer.example", &seen()).await.unwrap();
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
