//! Nodes that are taken out by an operator who asks any of them (cluster §15).

use mesh_common::cluster::NodeId;

use super::*;
use crate::cluster::{ClusterDesk, ClusterView, Draining, NodeState};
use crate::desk::DeskError;
use crate::store::{Read, Tx as _, TxOptions, keys};

async fn drain<S: Store>(
    asked: &BackendHandle<S>,
    node: Option<&str>,
) -> Result<Draining, DeskError> {
    ClusterDesk::drain(asked, node).await
}

/// Whether an order to `node` stands in the store.
async fn is_ordered<S: Store>(city: &City<S>, node: NodeId) -> bool {
    let tx = city.store.begin(TxOptions::default());
    let order = tx.get(&keys::drain_order(node), Read::Snapshot).await;
    order.unwrap().is_some()
}

#[actix::test]
async fn a_node_is_drained_from_any_other_and_watched_until_it_has_left() {
    let mut city = City::of(3).await;
    let drained = city.scene(3).backend.node().unwrap();
    let asked = city.scene(1).backend.clone();
    let begun = drain(&asked, Some(&drained.to_string()[..12]))
        .await
        .unwrap();
    assert_eq!(begun.node, drained.to_string());
    assert!(begun.partitions > 0 && !begun.has_left, "{begun:?}");
    assert!(!city.scene(3).backend.holdings().unwrap().is_leaving);
    let view = asked.view().await.unwrap();
    let state = |view: &ClusterView| {
        let nodes = view.nodes.iter();
        let mut found = nodes.filter(|node| node.node == drained.to_string());
        found.next().map(|node| node.state)
    };
    assert_eq!(state(&view), Some(NodeState::Leaving), "it will find out");
    // Said twice, it is the same order.
    assert_eq!(
        drain(&asked, Some(&drained.to_string())).await,
        Ok(begun.clone())
    );

    city.pass(Duration::from_secs(3)).await;
    let now = asked.drained(&begun).await.unwrap();
    assert!(now.has_left && now.partitions == 0, "{now:?}");
    assert_eq!(state(&asked.view().await.unwrap()), None);
    assert!(city.scene(3).backend.holdings().unwrap().has_left);
    assert!(!is_ordered(&city, drained).await);
    let gone = drain(&asked, Some(&drained.to_string())).await;
    assert!(matches!(gone, Err(DeskError::NotFound { .. })), "{gone:?}");
    let nobody = drain(&asked, Some("")).await;
    assert!(
        matches!(nobody, Err(DeskError::NotFound { .. })),
        "{nobody:?}"
    );

    // The one that is asked needs no order.
    let own = drain(&city.scene(2).backend, None).await.unwrap();
    assert_eq!(own.node, city.scene(2).backend.node().unwrap().to_string());
    city.pass(Duration::from_secs(3)).await;
    assert!(city.scene(2).backend.holdings().unwrap().has_left);
    city.nodes.remove(&2);
    city.nodes.remove(&3);
    assert_eq!(city.shares()[&1], usize::from(SHARED));
}

#[actix::test]
async fn a_node_that_is_silent_is_not_drained_and_its_order_goes_with_its_record() {
    let mut city = City::of(2).await;
    let asked = city.scene(1).backend.clone();
    let asleep = city.scene(2).backend.node().unwrap();
    city.nodes.get_mut(&2).unwrap().is_asleep = true;
    let ordered = drain(&asked, Some(&asleep.to_string())).await;
    assert!(ordered.is_ok(), "nobody knows yet: {ordered:?}");
    city.pass(bound()).await;
    let silent = drain(&asked, Some(&asleep.to_string())).await;
    assert!(
        matches!(silent, Err(DeskError::Refused { .. })),
        "{silent:?}"
    );
    let watched = asked.drained(&ordered.unwrap()).await;
    assert!(
        matches!(watched, Err(DeskError::Refused { .. })),
        "{watched:?}"
    );
    city.pass(Duration::from_secs(90)).await;
    assert!(!is_ordered(&city, asleep).await);
    let tx = city.store.begin(TxOptions::default());
    assert_eq!(
        tx.get(&keys::node(asleep), Read::Snapshot).await.unwrap(),
        None
    );
}

#[actix::test]
async fn tables_that_outlive_their_version_are_read_again_and_not_for_ever() {
    let city = City::over(GatedStore::new(), 1).await;
    let asked = city.scene(1).backend.clone();
    for times in [1, 2] {
        city.store.outlive(keys::parts(), times);
        let view = asked.view().await;
        assert!(view.is_ok_and(|view| view.nodes.len() == 1), "{times}");
    }
    city.store.outlive(keys::parts(), 3);
    let view = asked.view().await;
    assert!(
        matches!(view, Err(DeskError::Unavailable { .. })),
        "{view:?}"
    );
    // The third was the last.
    assert!(asked.view().await.is_ok());
}
