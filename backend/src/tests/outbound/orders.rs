//! What operators order, and what time does: hold, retry, fail; late, over; a domain that is served here
//! by now.

use mesh_common::account::AccountPolicy;

use super::*;
use crate::desk::{PoolDesk as _, Selection, StandingOrder, What};

impl<S: Store> Scene<S> {
    async fn order(&self, outbound: &Outbound<S>, selection: &Selection, what: What) {
        let shared = &self.backend.inner.shared;
        let order = StandingOrder {
            selection: selection.clone(),
            what,
            route: (what == What::Route).then(|| crate::desk::Route {
                host: "other.example".to_owned(),
                port: 8_443,
            }),
            since: self.now(),
            by: "somebody".to_owned(),
            reason: "a test".to_owned(),
        };
        let put = shared.orders.put(&self.store, shared.writing(), &order);
        put.await.unwrap();
        outbound.orders_changed();
    }

    async fn revoke(&self, outbound: &Outbound<S>, selection: &Selection, what: What) {
        let shared = &self.backend.inner.shared;
        let revoked = shared
            .orders
            .revoke(&self.store, shared.writing(), selection, what);
        assert_eq!(revoked.await.unwrap(), 1);
        outbound.orders_changed();
    }
}

fn destination(domain: &str) -> Selection {
    Selection::of_destination(domain).unwrap()
}

#[actix::test]
async fn what_is_held_waits_until_it_is_let_go() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let played = Played::new(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    let one = Selection::of_message("M1").unwrap();
    let whole = destination("held.example");
    scene.order(&outbound, &one, What::Hold).await;
    scene.order(&outbound, &whole, What::Hold).await;
    let items = [
        queued(&alice, "bob@peer.example", "M1", scene.now()),
        queued(&alice, "bob@peer.example", "M2", scene.now()),
        queued(&alice, "bob@held.example", "M3", scene.now()),
    ];
    scene.put_in_queue(&items).await;
    outbound.idle().await.unwrap();
    assert_eq!([1, 2, 3].map(|n| played.times(&format!("M{n}"))), [0, 1, 0]);
    scene.revoke(&outbound, &one, What::Hold).await;
    scene.revoke(&outbound, &whole, What::Hold).await;
    outbound.idle().await.unwrap();
    assert_eq!([1, 2, 3].map(|n| played.times(&format!("M{n}"))), [1, 1, 1]);
    assert!(scene.is_empty().await);
}

#[actix::test]
async fn a_message_goes_where_an_operator_ordered() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let played = Played::new(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    scene
        .order(&outbound, &destination("peer.example"), What::Route)
        .await;
    let item = queued(&alice, "bob@peer.example", "M1", scene.now());
    scene.put_in_queue(&[item]).await;
    outbound.idle().await.unwrap();
    let route = played.order()[0].route.clone().unwrap();
    assert_eq!((route.host.as_str(), route.port), ("other.example", 8_443));
}

#[actix::test]
async fn an_operator_has_messages_tried_now() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let played = Played::new(&scene.clock, |_, before| match before {
        0 => answer(500, None),
        _ => answer(201, None),
    });
    let outbound = scene.deliver(&played).await;
    let item = queued(&alice, "bob@peer.example", "M1", scene.now());
    scene.put_in_queue(&[item]).await;
    outbound.idle().await.unwrap();
    assert_eq!(played.times("M1"), 1);
    let selection = Selection::of_message("M1").unwrap();
    assert_eq!(outbound.retry(&selection).await, Ok(1));
    scene.clock.advance(Duration::from_secs(1));
    outbound.idle().await.unwrap();
    assert_eq!(played.times("M1"), 2);
    assert!(scene.is_empty().await);
    assert_eq!(outbound.retry(&selection).await, Ok(0));
}

#[actix::test]
async fn an_operator_ends_messages_and_their_senders_learn_why() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let played = Played::shut(&scene.clock, unreachable_always);
    let outbound = scene.deliver(&played).await;
    let items: Vec<_> = (0..150)
        .map(|number| {
            queued(
                &alice,
                "bob@peer.example",
                &format!("M{number}"),
                scene.now(),
            )
        })
        .collect();
    scene.put_in_queue(&items).await;
    played.came(1).await;
    let whole = destination("peer.example");
    assert_eq!(outbound.fail(&whole, "the peer is gone").await, Ok(150));
    played.open();
    outbound.idle().await.unwrap();
    assert!(scene.is_empty().await);
    assert_eq!(outbound.depth_of_tenant("example.com").items, 0);
    assert!(played.order().len() <= 4, "what was in flight, and no more");
    let told = scene.state_told(&alice, "M149", "bob@peer.example").await;
    assert_eq!(told, Some(MessageState::Failed));
}

fn unreachable_always(_: &Transfer, _: u32) -> End {
    unreachable()
}

#[actix::test]
async fn a_sender_is_told_that_a_message_is_late_once_and_at_last_that_it_failed() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let played = Played::new(&scene.clock, unreachable_always);
    let outbound = scene.deliver(&played).await;
    let item = queued(&alice, "bob@dead.example", "M1", scene.now());
    scene.put_in_queue(&[item]).await;
    outbound.idle().await.unwrap();
    let told = scene.state_told(&alice, "M1", "bob@dead.example").await;
    assert_eq!(told, None);
    for _ in 0..3 {
        scene.clock.advance(Duration::from_secs(4 * 3_600));
        outbound.idle().await.unwrap();
        let told = scene.state_told(&alice, "M1", "bob@dead.example").await;
        assert_eq!(told, Some(MessageState::Delayed));
        assert_eq!(scene.completions(&alice).await, 1, "it is said once");
    }
    scene.clock.advance(Duration::from_secs(72 * 3_600));
    outbound.idle().await.unwrap();
    let told = scene.state_told(&alice, "M1", "bob@dead.example").await;
    assert_eq!(told, Some(MessageState::Failed));
    assert!(scene.is_empty().await);
}

//
#[actix::test]
async fn a_message_for_a_domain_that_is_served_here_by_now_is_received_here() {
    let clock = Scene::new().await.clock;
    let store = MemoryStore::new();
    let config = BackendConfig {
        policy: AccountPolicy {
            domains_served: BTreeSet::from(["example.com".to_owned(), "moved.example".to_owned()]),
            ..AccountPolicy::default()
        },
        ..BackendConfig::default()
    };
    let scene = Scene {
        backend: start(&store, config, &clock).await,
        clock,
        store,
    };
    let alice = Person::new("alice");
    scene.create(&alice).await;
    let played = Played::new(&scene.clock, received);
    let item = queued(&alice, "bob@moved.example", "M1", scene.now());
    scene.enqueue_silently(&[item]).await;
    let outbound = scene.deliver(&played).await;
    outbound.idle().await.unwrap();
    assert!(played.order().is_empty(), "nothing leaves");
    assert!(scene.is_empty().await);
    // There is no account of that name here: the message was looked at where it belongs.
    let told = scene.state_told(&alice, "M1", "bob@moved.example").await;
    assert_eq!(told, Some(MessageState::Refused));
}
