//! Requests that go to their owner through another node (cluster §18, row 4).

use mesh_common::cluster::{Fence, NodeId};

use super::security::{Authority, assert_refused, link_from, secure_node};
use super::*;
use crate::{LinkFailure, LinkRole, NodeLink, Nudges};

fn route() -> Route {
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
