//! Requests that go to their owner through another node (cluster §18, row 4).

use mesh_common::cluster::{Fence, NodeId};

use super::security::{Authority, assert_refused, link_from, secure_node};
use super::*;
use crate::{Connector, LinkFailure, LinkRole, NodeLink, Nudges};

pub(super) fn route() -> Route {
    Route {
        node: NodeId([3; 16]),
        fence: Fence {
            generation: 1,
            epoch: 9,
        },
    }
}

#[tokio::test]
async fn a_node_is_told_for_whom_it_is_and_the_request_arrives_as_it_was() {
    let (node, server, link) = plain();
    let request = large_request(70_000);
    let answered = link.pass_on(route(), &request).await;
    assert_eq!(answered, Ok(answer(&request)));
    assert_eq!(*node.passed_on.lock().unwrap(), [route()]);
    let arrived = node.last.lock().unwrap().take();
    assert_eq!(arrived, Some(request.into_inner()));
    for failure in [
        CallFailure::Moved(Some(route())),
        CallFailure::Busy(Duration::from_millis(1_500)),
        CallFailure::Away(ServiceError::unavailable("gone")),
    ] {
        node.behave(Manner::With(failure.clone()));
        let ended = link.pass_on(route(), &self::request()).await;
        assert_eq!(ended, Err(LinkFailure::Call(failure)));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_reaches_nobody_says_that_nothing_was_carried_out() {
    let (node, server, link) = plain();
    node.behave(Manner::Lonely);
    let failure = link.pass_on(route(), &request()).await.unwrap_err();
    assert!(
        matches!(&failure, LinkFailure::NotPassedOn(why) if why.contains("no way to the owner")),
        "{failure:?}"
    );
    assert!(failure.is_nothing_done());
    assert_eq!(node.asked(), 0);
    assert!(link.perform(&request()).await.is_ok(), "the link goes on");
    server.stop().await;
}

#[tokio::test]
async fn the_deadline_stays_that_of_the_request() {
    let (node, server, link) = plain();
    let status = Request::Status(StatusRequest::default());
    let late = request_of(status, NOW);
    let ended = link.pass_on(route(), &late).await;
    assert_eq!(ended, Err(LinkFailure::Deadline { begun: false }));
    let ended = link.passed_on(&late).await;
    assert_eq!(ended, Err(LinkFailure::Deadline { begun: false }));
    assert!(node.passed_on.lock().unwrap().is_empty());
    assert_eq!(node.asked(), 0);
    server.stop().await;
}

// A loop would need a node that brings further what a node brought to it.
#[tokio::test]
async fn what_a_node_brings_is_carried_out_and_never_brought_further() {
    let (node, server, _link) = plain();
    let links = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 4);
    let others = Nudges::new(links);
    let address = server.address().to_string();
    assert!(others.pass_on(&address, &request()).await.is_ok());
    assert_eq!(node.asked(), 1);
    let moved = CallFailure::Moved(Some(route()));
    node.behave(Manner::With(moved.clone()));
    let ended = others.pass_on(&address, &request()).await;
    assert_eq!(ended, Err(LinkFailure::Call(moved)));
    assert!(node.passed_on.lock().unwrap().is_empty());
    server.stop().await;
}

/// A node that is heard over a link of its own.
async fn listened(server: &LinkServer) -> Arc<dyn NodeLink> {
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 12);
    let link = Connector::link(&connector, &server.address().to_string());
    let mut told = link.heard();
    heard(&mut told, |heard| heard.is_open).await;
    link
}

async fn woken(watch: &mut Watch) {
    let woken = tokio::time::timeout(PATIENCE, watch.changed()).await;
    woken.expect("the watch is woken in time");
}

#[tokio::test]
async fn what_a_node_watches_at_another_is_told_apart_from_what_it_watches_itself() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let link = listened(&server).await;
    let mut passed = link.watch_on(route(), &alice()).await.unwrap();
    let mut own = link.watch(&alice()).await.unwrap();
    assert_eq!(*node.passed_on.lock().unwrap(), [route()]);
    assert_eq!((node.others.watches(), node.changes.watches()), (1, 1));
    for _ in 0..3 {
        node.others.tell(&alice());
        woken(&mut passed).await;
    }
    node.changes.tell(&alice());
    woken(&mut own).await;
    server.stop().await;
}

// Whoever is woken asks anew, and leaves no watch behind.
#[tokio::test]
async fn one_that_is_asked_for_anew_takes_the_place_of_the_one_before() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let link = listened(&server).await;
    let mut first = link.watch_on(route(), &alice()).await.unwrap();
    for _ in 0..20 {
        let again = link.watch_on(route(), &alice()).await;
        drop(again.expect("it is still there"));
        until(|| node.others.watches() == 1).await;
        node.others.tell(&alice());
        woken(&mut first).await;
    }
    node.behave(Manner::Lonely);
    assert!(link.watch_on(route(), &alice()).await.is_none());
    until(|| node.others.watches() == 0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_node_watches_at_another_and_hears_it_as_long_as_anybody_waits() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let links = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 4);
    let others = Nudges::new(links);
    let address = server.address().to_string();
    let mut watch = others.watch(&address, &alice()).await.unwrap();
    node.changes.tell(&alice());
    woken(&mut watch).await;
    let second = others.watch(&address, &alice()).await;
    assert!(second.is_some());
    assert_eq!(node.changes.watches(), 1);
    server.stop().await;
    woken(&mut watch).await;
    assert!(
        others.watch(&address, &alice()).await.is_none(),
        "it is gone"
    );
}

//
#[tokio::test]
async fn back_ends_listen_and_watch_and_front_ends_alone_have_them_watch_elsewhere() {
    let authority = Authority::new("example");
    let (node, server) = secure_node(authority.tls(&[LinkRole::Backend]));
    let address = server.address().to_string();
    let of = |role| {
        let security = LinkSecurity::Mutual(authority.tls(&[role]));
        Nudges::new(connector(security, Standing::at(NOW), 14))
    };
    assert!(
        of(LinkRole::Outbound)
            .watch(&address, &alice())
            .await
            .is_none()
    );
    assert!(
        of(LinkRole::Backend)
            .watch(&address, &alice())
            .await
            .is_some()
    );
    assert!(node.passed_on.lock().unwrap().is_empty());
    server.stop().await;
}

//
#[tokio::test]
async fn front_ends_have_things_passed_on_and_back_ends_alone_pass_them_on() {
    let authority = Authority::new("example");
    let (node, server) = secure_node(authority.tls(&[LinkRole::Backend]));
    let front_end = link_from(authority.tls(&[LinkRole::Frontend]), &server);
    assert_refused(front_end.passed_on(&request()).await, &node);
    let outbound = link_from(authority.tls(&[LinkRole::Outbound]), &server);
    assert_refused(outbound.passed_on(&request()).await, &node);
    assert_refused(outbound.pass_on(route(), &request()).await, &node);
    let back_end = link_from(authority.tls(&[LinkRole::Backend]), &server);
    assert_refused(back_end.pass_on(route(), &request()).await, &node);
    assert!(node.passed_on.lock().unwrap().is_empty());
    assert!(back_end.passed_on(&request()).await.is_ok());
    assert!(front_end.pass_on(route(), &request()).await.is_ok());
    server.stop().await;
}
