//! The queue to other services on the desk of the operator: what waits, orders that stand, the quarantine,
//! and where a message is.

use std::sync::Mutex;

use mesh_common::account::intake::DeliveryKey;
use mesh_common::account::needs::Needs;
use mesh_common::delivery::{Class, ItemId, QueueItem, ShardId, Trouble};
use mesh_common::limits::STANDING_ORDERS_MAX;
use mesh_common::spool::MessageState;

use super::posting::{contact, serving};
use super::*;
use crate::desk::{
    Answer as Told, DeskError, DestinationState, OutboundDesk, Phase, PoolDesk, QueueDesk as _,
    Route, Selection, StandingOrder, TroubleView, What, Whereabouts,
};
use crate::outbound::rows;
use crate::partition::{directory, reading};
use crate::store::{Read, Tx as _, TxOptions, keys};

/// A pool that says what it was told to say, and remembers what it was asked to do.
#[derive(Debug, Default)]
struct QuietPool {
    states: Vec<DestinationState>,
    asked: Mutex<Vec<String>>,
}

impl QuietPool {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

impl PoolDesk for QuietPool {
    fn destinations(&self) -> Told<'_, Vec<DestinationState>> {
        Box::pin(std::future::ready(Ok(self.states.clone())))
    }

    fn retry<'a>(&'a self, selection: &'a Selection) -> Told<'a, u64> {
        self.note(format!("retry {selection}"));
        Box::pin(std::future::ready(Ok(1)))
    }

    fn fail<'a>(&'a self, selection: &'a Selection, reason: &'a str) -> Told<'a, u64> {
        self.note(format!("fail {selection}: {reason}"));
        Box::pin(std::future::ready(Ok(2)))
    }

    fn orders_changed(&self) {
        self.note("look again".to_owned());
    }
}

fn away(domain: &str, next_try_at: Timestamp) -> DestinationState {
    DestinationState {
        phase: Phase::Away { next_try_at },
        limit: 1,
        last_trouble: Some(TroubleView {
            at: next_try_at,
            text: "no connection".to_owned(),
        }),
        ..DestinationState::unknown(domain)
    }
}

fn item(number: u8, from: &str, to: &str, now: Timestamp) -> QueueItem {
    QueueItem {
        id: ItemId([number; 16]),
        sender: AccountAddress::parse(from).unwrap(),
        recipient: AccountAddress::parse(to).unwrap(),
        unique_id: format!("M{number}"),
        message_type: "RequestContact".to_owned(),
        class: Class::Interactive,
        bytes: 100,
        enqueued_at: now - Duration::from_secs(u64::from(number)),
        expires_at: now + Duration::from_secs(1_000),
        due_at: now,
        attempts: 1,
        attempts_internal: 3,
        told_delayed: false,
        last_trouble: Some(Trouble {
            at: now,
            text: "503".to_owned(),
        }),
        charged_to: None,
    }
}

impl<S: Store> Scene<S> {
    fn desk(&self, pool: &Arc<QuietPool>) -> OutboundDesk<S> {
        let pool: Arc<dyn PoolDesk> = Arc::<QuietPool>::clone(pool);
        self.backend.outbound_desk(pool)
    }

    /// Puts items into the queue, as the commit that accepts their messages does.
    async fn queue_up(&self, items: &[QueueItem]) {
        let mut tx = self.store.begin(TxOptions::default());
        for item in items {
            let place = keys::queue_item(item.destination(), item.due_at, item.id);
            tx.set(&place, rows::encode_item(item));
            let message = rows::encode_body(&Envelope::plain("a message"));
            tx.set(&keys::queue_body(item.shard(), item.id), message);
        }
        // What is remembered of a destination lies beside its items and is none of them.
        tx.set(&keys::destination("c.example"), "anything");
        tx.commit().await.unwrap();
    }

    /// Puts an item into quarantine.
    async fn quarantine(&self, item: &QueueItem, entry: Vec<u8>) {
        let [e, b, w] = keys::quarantined(item.shard(), item.id);
        let mut tx = self.store.begin(TxOptions::default());
        tx.set(&e, entry);
        tx.set(&b, rows::encode_body(&Envelope::plain("a message")));
        tx.set(&w, "it panicked");
        tx.commit().await.unwrap();
    }

    async fn value(&self, key: &[u8]) -> Option<bytes::Bytes> {
        let tx = self.store.begin(TxOptions::default());
        tx.get(key, Read::Snapshot).await.unwrap()
    }

    /// What the sender of a message was told last, for one recipient.
    async fn told_state(&self, sender: &Person, id: &str, recipient: &str) -> Option<MessageState> {
        let tx = self.store.begin(TxOptions::default());
        let row = self.value(&keys::dir(&sender.address)).await.unwrap();
        let mesh_common::account::DirectoryEntry::Account(account) = directory(&row).unwrap()
        else {
            panic!("the account is there");
        };
        let key = DeliveryKey {
            unique_id: id.to_owned(),
            recipient: recipient.to_owned(),
        };
        let needs = Needs {
            deliveries: [key.clone()].into(),
            ..Needs::default()
        };
        let found = reading::look_up(&tx, Some(account), &needs).await.unwrap();
        found.deliveries.get(&key).map(|row| row.state)
    }
}

fn to(domain: &str) -> Selection {
    Selection::of_destination(domain).unwrap()
}

fn order(selection: Selection, what: What, now: Timestamp) -> StandingOrder {
    StandingOrder {
        selection,
        what,
        route: (what == What::Route).then(|| Route {
            host: "relay.example".to_owned(),
            port: 443,
        }),
        since: now,
        by: "ops".to_owned(),
        reason: "a test".to_owned(),
    }
}

#[actix::test]
async fn what_waits_is_told_by_destination() {
    let scene = Scene::new().await;
    let now = scene.now();
    let next_try_at = now + Duration::from_secs(60);
    let pool = Arc::new(QuietPool {
        states: vec![
            away("b.example", next_try_at),
            DestinationState {
                phase: Phase::Flowing,
                ..DestinationState::unknown("idle.example")
            },
        ],
        ..QuietPool::default()
    });
    let desk = scene.desk(&pool);
    assert!(desk.overview().await.unwrap().destinations.len() == 1);
    scene
        .queue_up(&[
            item(1, "alice@a.example", "bob@b.example", now),
            item(2, "carol@z.example", "bob@b.example", now),
            item(3, "alice@a.example", "dora@c.example", now),
        ])
        .await;
    let overview = desk.overview().await.unwrap();
    let told: Vec<_> = overview
        .destinations
        .iter()
        .map(|one| {
            (
                one.state.domain.as_str(),
                one.waiting,
                one.waiting_bytes,
                one.tenants,
            )
        })
        .collect();
    assert_eq!(told, [("c.example", 1, 100, 1), ("b.example", 2, 200, 2)]);
    let view = desk.destination("b.example").await.unwrap().unwrap();
    assert_eq!(view.state, away("b.example", next_try_at));
    assert_eq!(view.oldest_at, Some(now - Duration::from_secs(2)));
    assert!(desk.destination("nowhere.example").await.unwrap().is_none());
    assert!(desk.destination("idle.example").await.unwrap().is_some());
    let found = desk.items(&to("b.example"), 10).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(desk.items(&to("b.example"), 1).await.unwrap().len(), 1);
    let one = Selection::of_message("M3").unwrap();
    let found = desk.items(&one, 10).await.unwrap();
    assert_eq!(found[0].id, "03".repeat(16));
    let by_item = Selection::of_message(&found[0].id).unwrap();
    assert_eq!(desk.items(&by_item, 10).await.unwrap(), found);
}

#[actix::test]
async fn what_went_wrong_before_the_last_success_is_not_shown() {
    let scene = Scene::new().await;
    let now = scene.now();
    let after = |since: u64| DestinationState {
        last_success_at: Some(now + Duration::from_secs(since)),
        ..away(&format!("b{since}.example"), now + Duration::from_secs(5))
    };
    let pool = Arc::new(QuietPool {
        states: vec![after(1), after(9)],
        ..QuietPool::default()
    });
    let desk = scene.desk(&pool);
    let before = desk.destination("b1.example").await.unwrap().unwrap();
    assert!(before.state.last_trouble.is_some());
    let since = desk.destination("b9.example").await.unwrap().unwrap();
    assert!(since.state.last_trouble.is_none());
}

#[actix::test]
async fn orders_stand_until_they_are_revoked_whatever_happens_to_the_process() {
    let mut scene = Scene::new().await;
    let (now, pool) = (scene.now(), Arc::new(QuietPool::default()));
    let held = item(1, "alice@a.example", "bob@b.example", now);
    scene.queue_up(std::slice::from_ref(&held)).await;
    let desk = scene.desk(&pool);
    desk.order(order(to("b.example"), What::Hold, now))
        .await
        .unwrap();
    desk.order(order(to("b.example"), What::Route, now))
        .await
        .unwrap();
    assert_eq!(pool.asked(), ["look again", "look again"]);
    drop(desk);
    scene.restart().await;
    let desk = scene.desk(&pool);
    let orders = &scene.backend.inner.shared.orders;
    assert_eq!(orders.hold_of(&held).unwrap().by, "ops");
    assert_eq!(orders.route_of(&held).unwrap().host, "relay.example");
    let view = desk.destination("b.example").await.unwrap().unwrap();
    assert!(view.held.is_some() && view.routed.is_some());
    assert_eq!(desk.orders().await.unwrap().len(), 2);
    assert_eq!(desk.revoke(&to("b.example"), What::Hold).await.unwrap(), 1);
    assert_eq!(desk.revoke(&to("b.example"), What::Hold).await.unwrap(), 0);
    assert!(orders.hold_of(&held).is_none());
    assert!(orders.route_of(&held).is_some());
}

#[actix::test]
async fn of_two_routes_the_more_specific_is_taken() {
    let scene = Scene::new().await;
    let (now, pool) = (scene.now(), Arc::new(QuietPool::default()));
    let desk = scene.desk(&pool);
    let route = |selection: Selection, port| StandingOrder {
        route: Some(Route {
            host: "relay.example".to_owned(),
            port,
        }),
        ..order(selection, What::Route, now)
    };
    desk.order(route(to("b.example"), 1)).await.unwrap();
    desk.order(route(Selection::of_message("M2").unwrap(), 2))
        .await
        .unwrap();
    let orders = &scene.backend.inner.shared.orders;
    let port = |number| {
        let item = item(number, "alice@a.example", "bob@b.example", now);
        orders.route_of(&item).unwrap().port
    };
    assert_eq!((port(1), port(2)), (1, 2));
    let elsewhere = item(1, "alice@a.example", "bob@c.example", now);
    assert!(orders.route_of(&elsewhere).is_none());
}

#[actix::test]
async fn there_are_only_so_many_orders() {
    let scene = Scene::new().await;
    let (now, pool) = (scene.now(), Arc::new(QuietPool::default()));
    let desk = scene.desk(&pool);
    let hold = |number: usize| {
        order(
            Selection::of_message(&format!("M{number}")).unwrap(),
            What::Hold,
            now,
        )
    };
    for number in 0..STANDING_ORDERS_MAX {
        desk.order(hold(number)).await.unwrap();
    }
    let refused = desk.order(hold(STANDING_ORDERS_MAX)).await;
    assert!(matches!(refused, Err(DeskError::Refused { .. })));
    desk.order(hold(0))
        .await
        .expect("the same again replaces it");
}

#[actix::test]
async fn what_is_done_once_is_done_by_the_pool() {
    let (scene, pool) = (Scene::new().await, Arc::new(QuietPool::default()));
    let desk = scene.desk(&pool);
    assert_eq!(desk.retry(&to("b.example")).await.unwrap(), 1);
    assert_eq!(desk.fail(&to("b.example"), "gone").await.unwrap(), 2);
    let asked = [
        "retry messages to b.example",
        "fail messages to b.example: gone",
    ];
    assert_eq!(pool.asked(), asked);
}

#[actix::test]
async fn what_is_held_is_not_tried_before_it_is_resumed() {
    let (scene, pool) = (Scene::new().await, Arc::new(QuietPool::default()));
    let (desk, now) = (scene.desk(&pool), scene.now());
    let (one, two) = (
        item(1, "alice@a.example", "bob@b.example", now),
        item(2, "carol@z.example", "bob@b.example", now),
    );
    scene.queue_up(&[one, two]).await;
    let hold_m1 = order(Selection::of_message("M1").unwrap(), What::Hold, now);
    desk.order(hold_m1).await.unwrap();
    assert!(
        desk.retry(&to("b.example")).await.is_ok(),
        "not all of it is held"
    );
    desk.order(order(to("b.example"), What::Hold, now))
        .await
        .unwrap();
    pool.asked();
    let refused = desk.retry(&to("b.example")).await;
    assert!(matches!(refused, Err(DeskError::Refused { .. })));
    assert!(pool.asked().is_empty());
}

#[actix::test]
async fn poison_is_put_back_with_its_failures_forgotten() {
    let (scene, pool) = (Scene::new().await, Arc::new(QuietPool::default()));
    let desk = scene.desk(&pool);
    let poison = item(5, "alice@example.com", "bob@b.example", scene.now());
    scene.quarantine(&poison, rows::encode_item(&poison)).await;
    let found = desk.quarantined(10).await.unwrap();
    assert_eq!((found.len(), found[0].reason.as_str()), (1, "it panicked"));
    assert_eq!(desk.overview().await.unwrap().quarantined, 1);
    scene.clock.advance(Duration::from_secs(9));
    desk.requeue(&found[0].id).await.unwrap();
    let place = keys::queue_item("b.example", scene.now(), poison.id);
    let again = rows::item(&scene.value(&place).await.unwrap()).unwrap();
    assert_eq!((again.attempts_internal, again.due_at), (0, scene.now()));
    let body = scene
        .value(&keys::queue_body(poison.shard(), poison.id))
        .await;
    assert_eq!(
        rows::body(&body.unwrap()).unwrap(),
        Envelope::plain("a message")
    );
    assert!(desk.quarantined(10).await.unwrap().is_empty());
    let gone = desk.requeue(&found[0].id).await;
    assert!(matches!(gone, Err(DeskError::NotFound { .. })));
}

#[actix::test]
async fn the_sender_of_dropped_poison_learns_that_it_failed() {
    let (scene, pool) = (Scene::new().await, Arc::new(QuietPool::default()));
    let (desk, alice) = (scene.desk(&pool), Person::new("alice"));
    scene.create(&alice).await;
    let poison = item(5, "alice@example.com", "bob@b.example", scene.now());
    scene.quarantine(&poison, rows::encode_item(&poison)).await;
    desk.drop_quarantined(&poison.id.to_string()).await.unwrap();
    assert!(desk.quarantined(10).await.unwrap().is_empty());
    scene.backend.drain().await;
    let told = scene.told_state(&alice, "M5", "bob@b.example").await;
    assert_eq!(told, Some(MessageState::Failed));
}

#[actix::test]
async fn poison_that_does_not_read_can_only_be_dropped() {
    let (scene, pool) = (Scene::new().await, Arc::new(QuietPool::default()));
    let desk = scene.desk(&pool);
    let poison = item(5, "alice@example.com", "bob@b.example", scene.now());
    scene.quarantine(&poison, b"no item".to_vec()).await;
    let id = poison.id.to_string();
    assert!(desk.quarantined(10).await.unwrap()[0].item.is_none());
    let refused = desk.requeue(&id).await;
    assert!(matches!(refused, Err(DeskError::Refused { .. })));
    desk.drop_quarantined(&id).await.unwrap();
    assert!(desk.quarantined(10).await.unwrap().is_empty());
    assert!(desk.drop_quarantined("not hexadecimal").await.is_err());
}

#[actix::test]
async fn a_message_is_explained_for_each_of_its_recipients() {
    let scene = Scene::over(MemoryStore::new(), serving()).await;
    let next_try_at = scene.now() + Duration::from_secs(60);
    let pool = Arc::new(QuietPool {
        states: vec![away("b.example", next_try_at)],
        ..QuietPool::default()
    });
    let (desk, alice, bob) = (scene.desk(&pool), Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let post = alice.post(
        scene.now(),
        &["bob@example.com".to_owned()],
        vec![contact("M1")],
    );
    assert_eq!(scene.ask(post).await.0, Code::Ok);
    scene.backend.drain().await;
    // The same message to somebody elsewhere, which waits.
    let waits = item(1, "alice@example.com", "eve@b.example", scene.now());
    scene.queue_up(std::slice::from_ref(&waits)).await;
    let explained = desk.explain("M1", None).await.unwrap();
    let [
        Whereabouts::Queued {
            item,
            shard,
            destination,
        },
        told,
    ] = &explained.recipients[..]
    else {
        panic!("{explained:?}");
    };
    assert_eq!(item.id, waits.id.to_string());
    assert_eq!(ShardId(*shard), waits.shard());
    assert_eq!(destination.state.domain, "b.example");
    assert_eq!(
        item.next_try_at,
        Some(next_try_at),
        "not before the destination is tried"
    );
    let Whereabouts::Told {
        recipient,
        state,
        at,
    } = told
    else {
        panic!("{told:?}");
    };
    assert_eq!(recipient, "bob@example.com");
    assert_eq!(*state, Some(MessageState::Received));
    assert_eq!(*at, Some(scene.now()));
    desk.order(order(to("b.example"), What::Hold, scene.now()))
        .await
        .unwrap();
    let held = desk.explain(&waits.id.to_string(), None).await.unwrap();
    let Whereabouts::Queued { item, .. } = &held.recipients[0] else {
        panic!("{held:?}");
    };
    assert!(item.held.is_some() && item.next_try_at.is_none());
    assert_eq!(held.message, "M1");
    let unknown = desk.explain("M2", Some("alice@example.com")).await.unwrap();
    assert!(unknown.recipients.is_empty());
}
