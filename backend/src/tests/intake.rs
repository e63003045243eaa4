//! What others leave for an account: drained once, in order, whatever the store does; contained where
//! it is poison; told to whoever sent it (cluster §8, architecture ).

mod access;
mod aside;
mod direct;
mod faults;

use mesh_common::account::intake::{ForwardingService, IntakeMessage, MessageSender};
use mesh_common::account::{IntakeBody, IntakeEntry, IntakeId};
use mesh_common::dare::Header;
use mesh_common::spool::SpoolItem;

use super::gated::GatedStore;
use super::*;
use crate::partition::records::{Intakes, Rows};
use crate::store::{KeyRange, Read, Tx as _, TxOptions, keys, walk};

const INBOUND: &str = "mmm_Inbound";
const OUTBOUND: &str = "mmm_Outbound";

/// A message of the kind that strangers may send, which says nothing but its number.
pub(crate) fn left(sender: &Person, recipient: &Person, number: u32) -> IntakeEntry {
    let unique_id = format!("{}-{number}", sender.address.user());
    let body = format!("{{\"RequestContact\":{{\"Subject\":\"{number}\"}}}}");
    let mut id = [0; 16];
    id.copy_from_slice(
        &payload_digest(format!("{unique_id} {}", recipient.address).as_bytes())[..16],
    );
    IntakeEntry {
        id: IntakeId(id),
        account: recipient.address.clone(),
        left_at: "2026-02-03T12:00:00Z".parse().unwrap(),
        body: IntakeBody::Message(Box::new(IntakeMessage {
            sender: MessageSender {
                address: sender.address.clone(),
                account_udf: sender.signing_keys().account_udf,
                mesh_udf: None,
                signed_by: Some(sender.key.clone()),
            },
            service: None,
            unique_id: unique_id.clone(),
            message_type: Some("RequestContact".to_owned()),
            payload_digest: payload_digest(body.as_bytes()),
            envelope: Envelope {
                header: Header::default().with_content_meta(&ContentMeta {
                    unique_id: Some(unique_id),
                    message_type: Some("RequestContact".to_owned()),
                    ..ContentMeta::default()
                }),
                ..Envelope::plain(body.as_str())
            },
            block_bytes: 100,
        })),
    }
}

/// The same by way of another service, which is told nothing later: its drain is the only commit.
pub(super) fn forwarded(sender: &Person, recipient: &Person, number: u32) -> IntakeEntry {
    let mut entry = left(sender, recipient, number);
    if let IntakeBody::Message(message) = &mut entry.body {
        message.service = Some(ForwardingService {
            domain: sender.address.domain().to_owned(),
            udf: Udf::present(b"peer", 140),
        });
    }
    entry
}

/// Lets strangers send as much as a story needs.
pub(super) fn open_to_strangers() -> BackendConfig {
    let mut config = BackendConfig::default();
    config.policy.inbound.stranger_per_sender_day = 10_000;
    config.policy.inbound.stranger_per_recipient_day = 10_000;
    config
}

impl<S: Store> Scene<S> {
    /// Leaves entries as the commit of somebody else does, in one commit.
    pub(super) async fn leave(&self, entries: &[IntakeEntry]) {
        let mut rows = Rows::default();
        entries.iter().for_each(|entry| rows.leave(entry));
        let mut tx = self.store.begin(TxOptions::default());
        rows.fill(&mut tx, Intakes::new(1, None));
        tx.commit().await.unwrap();
    }

    /// Drains until nothing is left anywhere, and everybody shows it.
    pub(super) async fn drain(&self) {
        let patience = Patience::begin();
        loop {
            self.backend.drain().await;
            if self.waiting().await == 0 {
                // The commit that took the last may not have been answered yet.
                return self.backend.drains_are_shown().await;
            }
            patience.check("the intakes are empty");
        }
    }

    /// Entries in all intakes.
    async fn waiting(&self) -> usize {
        self.rows(keys::intakes()).await.len()
    }

    async fn rows(&self, range: KeyRange) -> Vec<crate::store::Row> {
        let tx = self.store.begin(TxOptions::default());
        walk::rows(&tx, range, Read::Snapshot).await.unwrap()
    }

    /// The envelopes of a spool behind frame 0, after checking their indices.
    async fn spool(&self, person: &Person, name: &str) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        loop {
            let select = ConstraintsSelect {
                container: Some(name.into()),
                index_min: Some(1 + i64::try_from(envelopes.len()).unwrap()),
                ..ConstraintsSelect::default()
            };
            let download = DownloadRequest {
                select: vec![select],
                ..DownloadRequest::default()
            };
            let request = person.request(self.now(), Via::Ticket, Request::Download(download));
            let (Code::Ok, Response::Download(page)) = self.ask(request).await else {
                panic!("a Download was refused");
            };
            let frames = page.updates.into_iter().next().unwrap().envelopes;
            if frames.is_empty() {
                return envelopes;
            }
            for frame in frames {
                assert_eq!(frame.index(), Some(1 + envelopes.len() as u64));
                envelopes.push(frame);
            }
        }
    }

    /// UniqueIDs of the messages in Inbound, in their order.
    pub(super) async fn inbound(&self, person: &Person) -> Vec<String> {
        let frames = self.spool(person, INBOUND).await;
        let id = |frame: &Envelope| frame.header.content_meta().unwrap().unique_id.unwrap();
        frames.iter().map(id).collect()
    }

    /// What the sender was told: message, recipient, state.
    async fn told(&self, person: &Person) -> Vec<(String, String, String)> {
        let mut told = Vec::new();
        for frame in self.spool(person, OUTBOUND).await {
            assert_eq!(
                frame.verify_by(service_keys().of("example.com").online.public()),
                Ok(())
            );
            let payload = Some(frame.payload.as_slice());
            let SpoolItem::Completion {
                recipient,
                references,
            } = SpoolItem::read(1, &frame.header, payload)
            else {
                panic!("no completion: {frame:?}");
            };
            for reference in references {
                let recipient = recipient.clone().unwrap();
                told.push((reference.message_id, recipient, reference.relationship));
            }
        }
        told
    }
}

#[actix::test]
async fn a_message_comes_in_and_its_sender_is_told() {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    scene
        .leave(&[left(&bob, &alice, 1), left(&bob, &alice, 2)])
        .await;
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await, ["bob-1", "bob-2"]);
    let received = |id: &str| {
        (
            id.to_owned(),
            alice.address.to_string(),
            "Received".to_owned(),
        )
    };
    assert_eq!(
        scene.told(&bob).await,
        [received("bob-1"), received("bob-2")]
    );
    let entries = &scene.backend.metrics().intake_entries;
    assert_eq!(entries.with_label_values(&["taken"]).get(), 2);
    assert_eq!(entries.with_label_values(&["told"]).get(), 2);
}

#[actix::test]
async fn nobody_needs_to_be_told_that_something_was_left() {
    // Found by the look at the start: whoever left it died before anybody was told.
    let (mut scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    scene.backend.stop().await;
    scene.leave(&[left(&bob, &alice, 1)]).await;
    scene.backend = start(&scene.store, BackendConfig::default(), &scene.clock).await;
    while scene.told(&bob).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
}

//
#[actix::test]
async fn an_unknown_a_deleted_and_a_closed_account_refuse_alike() {
    let scene = Scene::new().await;
    let (bob, nobody, gone) = (
        Person::new("bob"),
        Person::new("nobody"),
        Person::new("gone"),
    );
    let closed = Person::new("closed");
    for person in [&bob, &gone, &closed] {
        scene.create(person).await;
    }
    assert_eq!(scene.ask(gone.delete(scene.now())).await.0, Code::Ok);
    let mut task = left(&bob, &closed, 3);
    if let IntakeBody::Message(message) = &mut task.body {
        message.message_type = Some("RequestTask".to_owned());
        message.envelope = Envelope {
            header: Header::default().with_content_meta(&ContentMeta {
                unique_id: Some("bob-3".to_owned()),
                message_type: Some("RequestTask".to_owned()),
                ..ContentMeta::default()
            }),
            ..Envelope::plain("{\"RequestTask\":{}}")
        };
    }
    scene
        .leave(&[left(&bob, &nobody, 1), left(&bob, &gone, 2), task])
        .await;
    scene.drain().await;
    let mut told = scene.told(&bob).await;
    told.sort();
    let refused = |id: &str, person: &Person| {
        (
            id.to_owned(),
            person.address.to_string(),
            "Refused".to_owned(),
        )
    };
    let expected = [
        refused("bob-1", &nobody),
        refused("bob-2", &gone),
        refused("bob-3", &closed),
    ];
    assert_eq!(told, expected);
    assert!(scene.inbound(&closed).await.is_empty());
}

#[actix::test]
async fn more_than_a_page_is_drained_in_order() {
    let scene = Scene::over(MemoryStore::new(), open_to_strangers()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    for first in [0, 100] {
        let entries: Vec<_> = (first..first + 100)
            .map(|one| left(&bob, &alice, one))
            .collect();
        scene.leave(&entries).await;
    }
    scene.drain().await;
    let expected: Vec<String> = (0..200).map(|number| format!("bob-{number}")).collect();
    assert_eq!(scene.inbound(&alice).await, expected);
    assert_eq!(scene.told(&bob).await.len(), 200);
}

#[actix::test]
async fn an_entry_that_was_appended_twice_is_taken_once_and_told_once() {
    // Decision Q-59
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let entry = left(&bob, &alice, 1);
    scene.leave(&[entry.clone(), entry.clone()]).await;
    scene.drain().await;
    scene.leave(&[entry]).await;
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await.len(), 1);
    assert_eq!(scene.told(&bob).await.len(), 1);
}

#[actix::test]
async fn poison_is_set_aside_and_hurts_no_other_entry() {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let poisoned = left(&bob, &alice, 2);
    scene.backend.poison_intake(poisoned.id);
    scene
        .leave(&[left(&bob, &alice, 1), poisoned, left(&bob, &alice, 3)])
        .await;
    let mut tx = scene.store.begin(TxOptions::default());
    let prefix = keys::intake_prefix(PartitionId::of(&alice.address), 1);
    tx.set_stamped_key(&prefix, b"odd", "this is no entry");
    tx.commit().await.unwrap();
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await, ["bob-1", "bob-3"]);
    let failed = scene
        .told(&bob)
        .await
        .into_iter()
        .find(|told| told.0 == "bob-2");
    assert_eq!(failed.unwrap().2, "Failed");
    // Two rows each: what it is, and why.
    let aside = scene.rows(keys::all_set_aside()).await;
    assert_eq!(aside.len(), 4);
    assert!(aside.iter().any(|row| row.value == "receiving it panicked"));
    assert!(aside.iter().any(|row| row.value == "this is no entry"));
    let metrics = scene.backend.metrics();
    assert_eq!(metrics.intake_set_aside.get(), 2);
    assert_eq!(metrics.panics.with_label_values(&["intake"]).get(), 1);
}

#[actix::test]
async fn clients_and_intake_take_turns() {
    let scene = Scene::over(GatedStore::new(), open_to_strangers()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.settle(&alice).await;
    scene.create(&bob).await;
    let entries: Vec<_> = (0..192)
        .map(|number| forwarded(&bob, &alice, number))
        .collect();
    scene.leave(&entries).await;
    scene.store.close();
    let backend = scene.backend.clone();
    let draining = actix::spawn(async move { backend.drain().await });
    scene.store.arrived().await;
    // While the first page is being committed a client comes: it waits for no more than that page.
    let (ask, backend) = (alice.upload(scene.now(), 1, &[b"x"]), scene.backend.clone());
    let asking = actix::spawn(async move { backend.perform(Verified::declare(ask)).await });
    scene.commands_taken(&alice).await;
    scene.store.pass();
    scene.store.arrived().await;
    scene.store.pass();
    assert_eq!(code_of(&asking.await.unwrap()), Code::Ok);
    let waiting = scene.waiting_for(&alice).await;
    assert_eq!(waiting, 128, "the second page waits behind the client");
    scene.store.open();
    draining.await.unwrap();
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await.len(), 192);
}

impl<S: Store> Scene<S> {
    async fn waiting_for(&self, person: &Person) -> usize {
        let partition = PartitionId::of(&person.address);
        self.rows(keys::intake(partition)).await.len()
    }
}

#[actix::test]
async fn a_page_that_is_too_large_is_halved_until_it_fits() {
    let scene = Scene::over(GatedStore::new(), open_to_strangers()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let entries: Vec<_> = (0..40)
        .map(|number| forwarded(&bob, &alice, number))
        .collect();
    scene.leave(&entries).await;
    scene.store.limit_rows(60);
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await.len(), 40);
    scene.leave(&[forwarded(&bob, &alice, 40)]).await;
    scene.store.limit_rows(5);
    scene.drain().await;
    let aside = scene.rows(keys::all_set_aside()).await;
    assert_eq!(aside.len(), 2, "one alone that does not fit is set aside");
    assert_eq!(scene.inbound(&alice).await.len(), 40);
}
