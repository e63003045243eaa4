//! What a node tells by itself, and what happens when it cannot.

use std::collections::BTreeMap;

use mesh_common::cluster::{
    Fence, NodeId, PartitionId, Roles, Route, RoutedNode, RoutingTable, TicketSecret, Unit,
};
use mesh_common::delivery::ShardId;

use super::*;
use crate::{Connector as _, NodeLink};

fn listening(server: &LinkServer) -> Arc<dyn NodeLink> {
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 7);
    connector.link(&server.address().to_string())
}

fn routes(owner: u8) -> RoutingTable {
    let id = NodeId([owner; 16]);
    let node = RoutedNode {
        address: "10.0.0.1:7".into(),
        zone: "north".into(),
        roles: Roles {
            backend: true,
            outbound: false,
        },
        draining: owner == 2,
    };
    let route = Route {
        node: id,
        fence: Fence {
            generation: 1,
            epoch: owner.into(),
        },
    };
    RoutingTable {
        nodes: BTreeMap::from([(id, node)]),
        owners: PartitionId::all()
            .map(|partition| (Unit::from(partition), route))
            .chain([(Unit::from(ShardId(3)), route)])
            .collect(),
    }
}

#[tokio::test]
async fn routes_and_secrets_are_told_as_they_change() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let link = listening(&server);
    let mut told = link.heard();
    let secrets = |epoch: u32| {
        let secret = TicketSecret {
            epoch,
            secret: [epoch as u8; 32].into(),
        };
        Arc::new(vec![secret])
    };
    for revision in 2..6 {
        let mut table = routes(revision as u8);
        if revision == 4 {
            table.owners.remove(&Unit::from(ShardId(3)));
        }
        node.told.send_replace(Told {
            revision,
            routes: Arc::new(table.clone()),
            ticket_secrets: secrets(revision as u32 / 2),
        });
        let heard = heard(&mut told, |heard| heard.told.revision == revision).await;
        assert_eq!(*heard.told.routes, table);
        assert_eq!(heard.told.ticket_secrets, secrets(revision as u32 / 2));
        assert!(heard.is_open);
    }
    server.stop().await;
}

async fn woken(watch: &mut Watch) {
    let woken = tokio::time::timeout(PATIENCE, watch.changed()).await;
    woken.expect("the watch is woken in time");
}

#[tokio::test]
async fn a_watch_is_woken_by_what_the_node_commits() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let link = listening(&server);
    let mut told = link.heard();
    heard(&mut told, |heard| heard.is_open).await;
    let bob = AccountAddress::parse("bob@example.com").unwrap();
    let (mut one, mut two) = loop {
        // What follows the opening of a stream wakes everybody once.
        let one = link.watch(&alice()).await;
        let two = link.watch(&bob).await;
        if let (Some(one), Some(two)) = (one, two) {
            break (one, two);
        }
    };
    assert_eq!(node.changes.watches(), 2);
    for _ in 0..3 {
        node.changes.tell(&alice());
        woken(&mut one).await;
    }
    node.changes.tell(&bob);
    woken(&mut two).await;
    let third = link.watch(&alice()).await;
    assert!(third.is_some());
    assert_eq!(
        node.changes.watches(),
        2,
        "one watch serves all who wait here"
    );
    server.stop().await;
}

#[tokio::test]
async fn nobody_hears_a_node_whose_stream_is_not_open() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 8);
    let link = connector.silent_link(&server.address().to_string());
    assert!(link.watch(&alice()).await.is_none());
    assert_eq!(node.changes.watches(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_lost_stream_wakes_everybody_and_is_opened_again() {
    let node = SimpleNode::new();
    let clock = Standing::at(NOW);
    let server = serve(&node, LinkSecurity::PlainOnLoopback, clock).unwrap();
    let address = server.address();
    let link = listening(&server);
    let mut told = link.heard();
    heard(&mut told, |heard| heard.is_open).await;
    let mut watch = link.watch(&alice()).await.unwrap();
    server.stop().await;
    woken(&mut watch).await;
    let lost = heard(&mut told, |heard| !heard.is_open).await;
    assert_eq!(lost.told.revision, 1, "what was told is kept");
    assert!(link.watch(&alice()).await.is_none());
    // Another process at the same address: what is still watched here is watched there.
    let successor = SimpleNode::new();
    let service = LinkService {
        service: Arc::clone(&successor) as Arc<dyn NodeService>,
        security: LinkSecurity::PlainOnLoopback,
        clock: Standing::at(NOW),
        traces: None,
    };
    let server = LinkServer::start(address, 1, service, &mut SeededEntropy::new(9)).unwrap();
    heard(&mut told, |heard| heard.opened == 2 && heard.is_open).await;
    woken(&mut watch).await;
    until(|| successor.changes.watches() > 0).await;
    // Everybody was woken for the new stream before or after this; a change wakes once more.
    successor.changes.tell(&alice());
    woken(&mut watch).await;
    server.stop().await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_watched_no_more() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let link = listening(&server);
    heard(&mut link.heard(), |heard| heard.is_open).await;
    let watch = link.watch(&alice()).await.unwrap();
    assert_eq!(node.changes.watches(), 1);
    drop(watch);
    until(|| node.changes.watches() == 0).await;
    let again = link.watch(&alice()).await;
    assert!(again.is_some());
    assert_eq!(node.changes.watches(), 1);
    server.stop().await;
}
