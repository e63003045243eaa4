//! Post through the handle: what one commit leaves for others, how commits are bounded by it, that
//! nothing is lost or doubled, and that what is remembered of it is forgotten in the end.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use mesh_common::account::OutboundRates;
use mesh_common::cluster::{ContentEvidence, MessageEvidence, MessageSigners, SigningDevice};
use mesh_common::dare::{Header, Signature, Trailer};
use mesh_common::limits::{
    BATCH_BYTES_MAX, MESSAGE_ID_REMEMBERED, MESSAGE_PAYLOAD_BYTES_MAX, POST_RECIPIENTS_MAX,
    RECIPIENT_REMEMBERED,
};
use mesh_common::protocol::PostRequest;

use super::gated::GatedStore;
use super::*;
use crate::store::{Limit, Order, Read, Tx as _, TxOptions};

/// A service that takes what strangers send.
pub(super) fn serving() -> BackendConfig {
    let mut config = BackendConfig::default();
    config
        .policy
        .domains_served
        .insert("example.com".to_owned());
    config.policy.outbound_rates = None;
    config.policy.inbound.stranger_per_sender_day = 10_000;
    config.policy.inbound.stranger_per_recipient_day = 10_000;
    config
}

fn signed(tag: &str, id: &str, payload: Vec<u8>) -> Envelope {
    let mut envelope = Envelope::plain(payload);
    envelope.header = Header::default().with_content_meta(&ContentMeta {
        unique_id: Some(id.to_owned()),
        message_type: Some(tag.to_owned()),
        ..ContentMeta::default()
    });
    envelope.trailer = Some(Trailer {
        signatures: vec![Signature::default()],
        ..Trailer::default()
    });
    envelope
}

pub(super) fn contact(id: &str) -> Envelope {
    signed("RequestContact", id, b"{\"RequestContact\":{}}".to_vec())
}

/// A message of `octets` of payload that only its recipients can read.
pub(super) fn sealed(id: &str, octets: usize) -> Envelope {
    let mut envelope = signed("RequestTask", id, vec![7; octets]);
    envelope.header.enc = Some("A256CBC".to_owned());
    envelope
}

impl Person {
    /// A Post, whose messages a front-end found to be signed by the person's device.
    pub(super) fn post(
        &self,
        now: Timestamp,
        accounts: &[String],
        messages: Vec<Envelope>,
    ) -> AccountRequest {
        let device = SigningDevice {
            key_udf: self.key.clone(),
            connection_digest: [0; 32],
            permissions: Vec::new(),
        };
        let signers = MessageSigners {
            device: Some(device),
            online_key: None,
        };
        let evidence = (0..messages.len())
            .map(|position| (position, MessageEvidence::Valid(signers.clone())))
            .collect();
        let request = Request::Post(PostRequest {
            accounts: accounts.to_vec(),
            messages,
            ..PostRequest::default()
        });
        AccountRequest {
            evidence: Evidence::Content(Box::new(ContentEvidence {
                profile_version: 1,
                messages: evidence,
                ..ContentEvidence::default()
            })),
            ..self.request(now, Via::Ticket, request)
        }
    }
}

fn nobody(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("nobody{number}@example.com"))
        .collect()
}

//
#[actix::test]
async fn the_largest_post_is_one_commit() {
    let (scene, alice) = (
        Scene::over(GatedStore::new(), serving()).await,
        Person::new("alice"),
    );
    scene.create(&alice).await;
    let largest = sealed("largest", MESSAGE_PAYLOAD_BYTES_MAX);
    let before = scene.batches();
    let post = alice.post(scene.now(), &nobody(POST_RECIPIENTS_MAX), vec![largest]);
    assert_eq!(scene.ask(post).await.0, Code::Ok);
    assert_eq!(scene.batches() - before, 1);
}

// what is left for others counts when a batch is closed
#[actix::test]
async fn a_batch_is_closed_by_what_it_leaves_for_others() {
    let scene = Scene::over(GatedStore::new(), serving()).await;
    let people = Person::neighbours(4);
    for person in &people {
        scene.create(person).await;
    }
    let post = |person: &Person, recipients: usize| {
        let message = sealed("large", MESSAGE_PAYLOAD_BYTES_MAX);
        person.post(scene.now(), &nobody(recipients), vec![message])
    };
    let many = BATCH_BYTES_MAX / MESSAGE_PAYLOAD_BYTES_MAX;
    let before = scene.batches();
    scene.store.close();
    let requests = [
        post(&people[0], 1),
        post(&people[1], many),
        post(&people[2], many),
        post(&people[3], many),
    ];
    let mut all = pin!(join_all(requests.into_iter().map(|one| scene.ask(one))));
    assert!(all.as_mut().now_or_never().is_none());
    scene.commands_taken(&people[0]).await;
    scene.store.open();
    let codes: Vec<Code> = all.await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [Code::Ok; 4]);
    assert_eq!(scene.batches() - before, 4, "each of them fills a batch");
}

/// Sends ten messages one after the other; of each the tenth reply is lost and the message repeated,
/// under the same RequestID or another.
async fn ten_messages(scene: &Scene<MemoryStore>, number: usize, to: &[String]) {
    let sender = Person::new(&format!("sender{number}"));
    scene.create(&sender).await;
    for message in 0..10 {
        let id = format!("{number}-{message}");
        let request = sender.post(scene.now(), to, vec![contact(&id)]);
        if message == number % 10 {
            // Begun, and not waited for.
            drop(pin!(scene.perform(request.clone())).as_mut().now_or_never());
            if number.is_multiple_of(2) {
                assert_eq!(scene.ask(request).await.0, Code::Ok);
                continue;
            }
        }
        let again = sender.post(scene.now(), to, vec![contact(&id)]);
        assert_eq!(scene.ask(again).await.0, Code::Ok);
    }
}

#[actix::test]
async fn a_thousand_messages_of_a_hundred_senders_arrive_once_and_in_order() {
    let scene = Scene::over(MemoryStore::new(), serving()).await;
    let bob = Person::new("bob");
    scene.create(&bob).await;
    let to = [bob.address.canonical().to_owned()];
    join_all((0..100).map(|number| ten_messages(&scene, number, &to))).await;
    scene.drain().await;
    let received = scene.inbound(&bob).await;
    assert_eq!(received.len(), 1_000);
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for id in received {
        let (sender, message) = id.split_once('-').unwrap();
        let expected = next.entry(sender.to_owned()).or_default();
        assert_eq!(message, expected.to_string(), "of sender {sender}");
        *expected += 1;
    }
    assert_eq!(next.len(), 100);
}

/// Rows of table 20 whose kind is `kind`.
async fn rows_of_kind<S: Store>(store: &S, kind: u8) -> usize {
    let tx = store.begin(TxOptions::default());
    let all = crate::store::KeyRange::prefix(&[0x20]);
    let page = tx
        .range(&all, Limit::default(), Order::Forward, Read::Snapshot)
        .await
        .unwrap();
    assert!(!page.more, "a story this small has few rows");
    page.rows
        .iter()
        .filter(|row| row.key.get(17) == Some(&kind))
        .count()
}

#[actix::test]
async fn what_is_remembered_of_a_post_is_forgotten_in_the_end() {
    let (scene, alice) = (
        Scene::over(MemoryStore::new(), serving()).await,
        Person::new("alice"),
    );
    scene.create(&alice).await;
    let to = nobody(2);
    let post = alice.post(scene.now(), &to, vec![contact("contact-1")]);
    assert_eq!(scene.ask(post).await.0, Code::Ok);
    let counts = async || {
        let store = &scene.store;
        (
            rows_of_kind(store, b'n').await,
            rows_of_kind(store, b'w').await,
            rows_of_kind(store, b'l').await,
        )
    };
    assert_eq!(counts().await, (1, 2, 1));
    scene
        .clock
        .advance(MESSAGE_ID_REMEMBERED - Duration::from_millis(1));
    scene.backend.tend().await;
    assert_eq!(counts().await, (1, 2, 1));
    scene.clock.advance(Duration::from_millis(1));
    scene.backend.tend().await;
    assert_eq!(counts().await, (0, 2, 1));
    // Written to again: the recipient is remembered for longer.
    let post = alice.post(scene.now(), &to[..1], vec![contact("contact-2")]);
    assert_eq!(scene.ask(post).await.0, Code::Ok);
    scene
        .clock
        .advance(RECIPIENT_REMEMBERED - MESSAGE_ID_REMEMBERED);
    scene.backend.tend().await;
    assert_eq!(counts().await, (0, 1, 1));
    scene.clock.advance(MESSAGE_ID_REMEMBERED);
    scene.backend.tend().await;
    assert_eq!(counts().await, (0, 0, 1));
}

//
#[actix::test]
async fn rates_are_kept_with_the_account() {
    let limited = || {
        let mut config = serving();
        config.policy.outbound_rates = Some(OutboundRates {
            messages_per_day: 2,
            new_account_days: 0,
            ..OutboundRates::default()
        });
        config
    };
    let (mut scene, alice) = (
        Scene::over(MemoryStore::new(), limited()).await,
        Person::new("alice"),
    );
    scene.create(&alice).await;
    let to = nobody(1);
    for (id, expected) in [("1", Code::Ok), ("2", Code::Ok), ("3", Code::RateLimited)] {
        let post = alice.post(scene.now(), &to, vec![contact(id)]);
        assert_eq!(scene.ask(post).await.0, expected);
    }
    scene.backend.stop().await;
    scene.backend = start(&scene.store, limited(), &scene.clock).await;
    let post = alice.post(scene.now(), &to, vec![contact("4")]);
    let answer = scene.perform(post).await.unwrap();
    assert_eq!(answer.response.outcome().code(), Some(Code::RateLimited));
    assert!(answer.retry_after.is_some());
}
