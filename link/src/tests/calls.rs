//! Calls and their answers.

use super::*;
use crate::{LinkFailure, NodeLink, Nudges};
use mesh_common::cluster::{Fence, NodeId, PartitionId, Route};
use mesh_common::crypto::SecretKey;
use mesh_common::limits::{LINK_CALL_BYTES_MAX, LINK_CALLS_MAX};

#[tokio::test]
async fn every_call_arrives_and_is_answered() {
    let (node, server, link) = plain();
    assert_eq!(link.address(), server.address().to_string());
    let request = request();
    assert_eq!(link.perform(&request).await, Ok(answer(&request)));
    let arrived = node.last.lock().unwrap().take();
    assert_eq!(arrived, Some(request.clone().into_inner()));
    assert_eq!(link.receive(&request).await, Ok(answer(&request)));
    let soon = NOW + PATIENCE;
    assert_eq!(link.signing_keys(&alice(), soon).await, Ok(Some(keys())));
    let bob = AccountAddress::parse("bob@example.com").unwrap();
    assert_eq!(link.signing_keys(&bob, soon).await, Ok(None));
    let published = link.published(&alice(), &udf("name"), soon).await;
    assert_eq!(published, Ok(Some(publication())));
    assert_eq!(link.pinned("peer.example", None, soon).await, Ok(None));
    let seen = pinned();
    let told = link.pinned("peer.example", Some(&seen), soon).await;
    assert_eq!(told, Ok(Some(seen.clone())));
    let asked = link.pinned("peer.example", None, soon).await;
    assert_eq!(asked, Ok(Some(seen)));
    let nudge = Nudge {
        intakes: vec![PartitionId(7)],
        heard: vec!["peer.example".into()],
        ..Nudge::default()
    };
    assert_eq!(link.nudge(nudge.clone()).await, Ok(()));
    assert_eq!(*node.nudges.borrow(), [nudge]);
    server.stop().await;
}

fn pinned() -> Pinned {
    let secret = SecretKey::generate(&mut SeededEntropy::new(9));
    Pinned {
        service_udf: udf("service"),
        updated: NOW,
        host_key: secret.public().clone(),
        replaced: None,
        since: NOW,
    }
}

#[tokio::test]
async fn what_the_node_says_is_told_as_such() {
    let (node, server, link) = plain();
    let route = Route {
        node: NodeId([3; 16]),
        fence: Fence {
            generation: 1,
            epoch: 9,
        },
    };
    for failure in [
        CallFailure::Refused(ServiceError::internal("broken").with_context("why")),
        CallFailure::Away(ServiceError::unavailable("gone")),
        CallFailure::Moved(None),
        CallFailure::Moved(Some(route)),
        CallFailure::Busy(Duration::from_millis(1_500)),
        CallFailure::Stale,
    ] {
        node.behave(Manner::With(failure.clone()));
        let ended = link.perform(&request()).await;
        assert_eq!(ended, Err(LinkFailure::Call(failure)));
    }
    server.stop().await;
}

#[tokio::test]
async fn calls_of_any_size_up_to_the_bound_arrive_whole() {
    let (node, server, link) = plain();
    for octets in [0, 4_096, 70_000, 2_000_000, LINK_CALL_BYTES_MAX - 1_024] {
        let request = large_request(octets);
        assert_eq!(link.perform(&request).await, Ok(answer(&request)));
        let arrived = node.last.lock().unwrap().take();
        assert_eq!(arrived, Some(request.into_inner()));
    }
    let asked = node.asked();
    let ended = link.perform(&large_request(LINK_CALL_BYTES_MAX)).await;
    assert!(matches!(ended, Err(LinkFailure::Refused(_))), "{ended:?}");
    assert_eq!(node.asked(), asked);
    server.stop().await;
}

#[tokio::test]
async fn a_deadline_that_passed_is_not_sent_and_one_that_passes_ends_the_call() {
    let (node, server, link) = plain();
    let status = || Request::Status(StatusRequest::default());
    let past = link.perform(&request_of(status(), NOW)).await;
    assert_eq!(past, Err(LinkFailure::Deadline { begun: false }));
    assert_eq!(node.asked(), 0);
    // Connected it is: what the time is for is the call alone.
    assert!(link.perform(&request()).await.is_ok());
    node.behave(Manner::Slowly(Arc::new(Semaphore::new(0))));
    let soon = NOW + Duration::from_secs(2);
    let passed = link.perform(&request_of(status(), soon)).await;
    assert_eq!(passed, Err(LinkFailure::Deadline { begun: true }));
    assert_eq!(node.asked(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_node_drops_what_is_late_before_work() {
    let node = SimpleNode::new();
    let later = Standing::at(NOW + Duration::from_secs(60));
    let server = serve(&node, LinkSecurity::PlainOnLoopback, later).unwrap();
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 3);
    let link = connector.silent_link(&server.address().to_string());
    let ended = link.perform(&request()).await;
    assert_eq!(ended, Err(LinkFailure::Deadline { begun: false }));
    assert_eq!(node.asked(), 0);
    server.stop().await;
}

#[tokio::test]
async fn only_so_many_calls_are_under_way_between_two_processes() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let link = || {
        let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 2);
        Arc::new(connector.silent_link(&server.address().to_string()))
    };
    // The second is the same process by its name, and counts for itself.
    let (first, second) = (link(), link());
    let permits = Arc::new(Semaphore::new(0));
    node.behave(Manner::Slowly(Arc::clone(&permits)));
    let request = || {
        let status = Request::Status(StatusRequest::default());
        request_of(status, NOW + 10 * PATIENCE)
    };
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..LINK_CALLS_MAX {
        let link = Arc::clone(&first);
        calls.spawn(async move {
            loop {
                // So many connections at once are not always made in time.
                match link.perform(&request()).await {
                    Err(LinkFailure::NotSent(_)) => {}
                    ended => return ended,
                }
            }
        });
    }
    until(|| node.asked() == LINK_CALLS_MAX).await;
    for link in [&first, &second] {
        let ended = link.perform(&request()).await;
        let is_busy = matches!(ended, Err(LinkFailure::Call(CallFailure::Busy(_))));
        assert!(is_busy, "{ended:?}");
    }
    assert_eq!(node.asked(), LINK_CALLS_MAX, "nothing more was begun");
    permits.add_permits(LINK_CALLS_MAX + 1);
    while let Some(ended) = calls.join_next().await {
        assert!(ended.unwrap().is_ok());
    }
    assert!(second.perform(&request()).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn nudges_to_one_node_go_together() {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 4);
    let nudges = Nudges::new(connector);
    let of = |number| Nudge {
        intakes: vec![PartitionId(number)],
        ..Nudge::default()
    };
    let mut arrived = node.nudges.subscribe();
    for number in 0..100 {
        nudges.nudge(&server.address().to_string(), of(number));
    }
    let all = |nudges: &Vec<Nudge>| {
        let numbers = nudges.iter().flat_map(|nudge| &nudge.intakes);
        numbers
            .map(|partition| partition.0)
            .collect::<std::collections::BTreeSet<_>>()
            == (0..100).collect()
    };
    let came = tokio::time::timeout(PATIENCE, arrived.wait_for(all)).await;
    assert!(
        came.unwrap().unwrap().len() <= 3,
        "in as few calls as may be"
    );
    // A node that is not there keeps nobody waiting, and nobody else from being nudged.
    nudges.nudge("127.0.0.1:1", of(1));
    nudges.nudge(&server.address().to_string(), of(200));
    let is_there = |nudges: &Vec<Nudge>| nudges.last() == Some(&of(200));
    let came = tokio::time::timeout(PATIENCE, arrived.wait_for(is_there)).await;
    assert!(came.is_ok());
    server.stop().await;
}
