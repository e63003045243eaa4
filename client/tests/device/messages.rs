//! Messages between Alice, Bob and Mallory: what each device makes, and what it believes. The post is
//! carried by hand here, so that it can be changed on its way; over a real service it goes in the
//! tests of the command line.

use mesh_client::Client;
use mesh_client::changes::Decisions;
use mesh_client::entries::EntryKind;
use mesh_client::messages::{Direction, MessageFailure, Trust};
use mesh_common::account::AccountPolicy;
use mesh_common::account::testing::NOON;
use mesh_common::assertion::make::AccountKeys;
use mesh_common::catalog::entry::{CatalogEntry, CatalogedContact, Contact, Task};
use mesh_common::dare::{ContainerName, Envelope, Header};
use mesh_common::message::{
    Message, MessageComplete, Reference, Relationship, RequestConfirmation, ResponseConfirmation,
    accredit,
};
use serde_json::json;

use crate::carrying::{
    address, carry, collect, failure, friends, person, put, question, received, trust_of_last,
    written,
};
use crate::people::Scene;
use crate::service::Disturbance;

// S-6.3-a
#[tokio::test]
async fn a_contact_exchange_leaves_both_with_a_proven_contact() {
    let scene = Scene::new();
    let mut alice = person(&scene, "alice").await;
    let mut bob = person(&scene, "bob").await;
    let queued = alice
        .request_contact(&address("Bob@Example.com"), Some("the choir".into()), &[])
        .unwrap();
    assert!(!queued.encrypted);
    let first = carry(&mut alice, &mut bob);
    assert!(!first[0].header.is_encrypted());
    let open = bob.pending_contacts().unwrap();
    assert_eq!(open.received.len(), 1);
    assert_eq!(open.received[0].summary, "the choir");
    let origin = open.received[0].origin.clone().unwrap();
    assert_eq!(origin.trust, Trust::Stranger);
    assert_eq!(origin.address.as_deref(), Some("alice@example.com"));
    let accepted = bob.accept_contact(&queued.id, &[]).unwrap();
    assert_eq!(
        accepted.contact.account,
        *alice.identity().unwrap().account.udf()
    );
    assert!(accepted.reply.unwrap().encrypted);
    let again = bob.accept_contact(&queued.id, &[]).unwrap_err();
    assert!(matches!(failure(&again), MessageFailure::Answered { .. }));
    assert_eq!(alice.pending_contacts().unwrap().sent.len(), 1);
    let answer = carry(&mut bob, &mut alice);
    assert!(answer[0].header.is_encrypted());
    let reply = alice.pending_contacts().unwrap().received.remove(0);
    assert_eq!(reply.kind.as_deref(), Some("ReplyContact"));
    alice.accept_contact(&reply.id, &[]).unwrap();
    carry(&mut alice, &mut bob);
    assert!(alice.pending_contacts().unwrap().sent.is_empty());
    for device in [&mut alice, &mut bob] {
        assert_eq!(device.list(EntryKind::Contact).unwrap().entries.len(), 1);
        assert!(device.verify().unwrap().problems.is_empty());
    }
    // From now on they are recognized, and nobody else reads what they write.
    alice
        .ask_confirmation(&address("bob@example.com"), "Pay?")
        .unwrap();
    let sent = carry(&mut alice, &mut bob);
    assert!(sent[0].header.is_encrypted());
    assert_eq!(trust_of_last(&mut bob), (Trust::Verified, None));
    assert_eq!(
        alice.messages(Direction::Outbound).unwrap()[1].summary,
        "Pay?"
    );
}

#[tokio::test]
async fn what_a_person_wrote_about_somebody_stays_when_the_account_becomes_known() {
    let scene = Scene::new();
    let mut alice = person(&scene, "alice").await;
    let mut bob = person(&scene, "bob").await;
    let mut entry = CatalogedContact {
        key: Some("NBOB".into()),
        ..CatalogedContact::default()
    };
    let mut card = Contact {
        full_name: Some("Alice from the choir".into()),
        ..Contact::default()
    };
    card.addresses.push(mesh_common::catalog::entry::Address {
        uri: Some("mmm:alice@example.com".into()),
        ..Default::default()
    });
    entry.enclose(&card);
    bob.add(&CatalogEntry::CatalogedContact(entry)).unwrap();
    alice
        .request_contact(&address("bob@example.com"), None, &[])
        .unwrap();
    carry(&mut alice, &mut bob);
    let request = received(&mut bob).remove(0);
    let why = request.origin.clone().unwrap().why.unwrap();
    assert_eq!(why, "your contacts have the address, not the account");
    let accepted = bob.accept_contact(&request.id, &[]).unwrap();
    assert_eq!(accepted.contact.id, "NBOB");
    assert_eq!(accepted.contact.name, "Alice from the choir");
    assert_eq!(bob.list(EntryKind::Contact).unwrap().entries.len(), 1);
}

#[tokio::test]
async fn another_account_under_a_known_address_is_told_and_not_taken() {
    let (scene, alice, mut bob) = friends().await;
    let mut mallory = person(&scene, "mallory").await;
    mallory
        .request_contact(&address("bob@example.com"), None, &[])
        .unwrap();
    let mut carried = collect(&mallory).remove(0).message.unwrap();
    let text = String::from_utf8(carried.payload.0.clone()).unwrap();
    // As Mallory's own words, signed by Mallory, in Alice's name.
    let text = text.replacen("mallory@example.com", "alice@example.com", 1);
    carried.payload.0 = text.into_bytes();
    carried.trailer = None;
    let (identity, state) = (mallory.identity().unwrap(), mallory.state().unwrap());
    accredit(
        &mut carried,
        &identity.in_account.signature,
        &identity.enveloped_connection_account,
        &state.profile_account,
        None,
    );
    put(&mut bob, ContainerName::INBOUND, carried);
    let (trust, why) = trust_of_last(&mut bob);
    assert_eq!(trust, Trust::Forged);
    assert_eq!(why.unwrap(), "its sender is not the account that signed it");
    let id = received(&mut bob).pop().unwrap().id;
    let error = bob.accept_contact(&id, &[]).unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::NotProven { .. }));
    assert_eq!(bob.list(EntryKind::Contact).unwrap().entries.len(), 1);
    drop(alice);
}

// X-50..53
#[tokio::test]
async fn a_message_that_is_not_what_it_says_is_told_as_forged() {
    let (scene, alice, mut bob) = friends().await;
    let mallory = person(&scene, "mallory").await;
    let good = question("N1", "alice@example.com", "bob@example.com");
    let key = bob.identity().unwrap().account.encryption_key().unwrap();
    let mut changed = written(&alice, &good, None);
    *changed.payload.0.last_mut().unwrap() ^= 1;
    let mut wrong_signer = written(&alice, &good, None);
    wrong_signer.trailer = None;
    wrong_signer.add_signature(&mallory.identity().unwrap().in_account.signature);
    let mut foreign_chain = written(&mallory, &good, None);
    let block = &mut foreign_chain.trailer.as_mut().unwrap().signatures[0];
    let profile = &alice.state().unwrap().profile_account;
    block.enveloped_profile = Some(Box::new(profile.clone()));
    // A profile names whatever addresses its owner likes.
    let mut claimed = written(&mallory, &good, None);
    let keys = &mallory.identity().unwrap().keys;
    let owner = keys.owner.clone().unwrap();
    let offline = keys.master.clone().unwrap();
    let mallorys = AccountKeys {
        offline: offline.account_key(&address("mallory@example.com")),
        online: owner.account.online,
        encryption: owner.account.encryption.unwrap(),
    };
    let mesh = mallory.identity().unwrap().mesh.udf().clone();
    let both = ["mallory@example.com", "alice@example.com"].map(str::to_owned);
    let profile = mallorys.profile(&mesh, &both, NOON, &owner.mesh.online);
    let block = &mut claimed.trailer.as_mut().unwrap().signatures[0];
    block.enveloped_profile = Some(Box::new(profile));
    let to_carol = question("N1", "alice@example.com", "carol@example.com");
    let nobody = Message::RequestConfirmation(RequestConfirmation {
        message_id: Some("N1".into()),
        ..RequestConfirmation::default()
    });
    for (name, envelope, expected) in [
        ("as it is", written(&alice, &good, None), Trust::Verified),
        (
            "encrypted",
            written(&alice, &good, Some(&key)),
            Trust::Verified,
        ),
        ("unsigned", good.to_envelope("N1", &[]), Trust::Unsigned),
        ("changed", changed, Trust::Forged),
        ("by a key without a chain", wrong_signer, Trust::Forged),
        ("by a foreign chain", foreign_chain, Trust::Forged),
        (
            "in another's name",
            written(&mallory, &good, None),
            Trust::Forged,
        ),
        ("from an address that is claimed", claimed, Trust::Forged),
        (
            "signed anew",
            written(&mallory, &nobody, Some(&key)),
            Trust::Forged,
        ),
        (
            "for another",
            written(&alice, &to_carol, None),
            Trust::Forged,
        ),
    ] {
        put(&mut bob, ContainerName::INBOUND, envelope);
        let (trust, why) = trust_of_last(&mut bob);
        assert_eq!(trust, expected, "{name}: {why:?}");
    }
    // Two messages of one id: whoever means one of them has to say so.
    let error = bob.answer_confirmation("N1", true).unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::Ambiguous { .. }));
    // Only what is verified is worth an answer.
    let theirs = question("N2", "mallory@example.com", "bob@example.com");
    put(
        &mut bob,
        ContainerName::INBOUND,
        written(&mallory, &theirs, None),
    );
    let error = bob.answer_confirmation("N2", true).unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::NotProven { .. }));
}

#[tokio::test]
async fn an_answer_counts_if_it_is_theirs_and_to_what_was_asked() {
    let (_scene, mut alice, mut bob) = friends().await;
    let asked = alice
        .ask_confirmation(&address("bob@example.com"), "Pay 100?")
        .unwrap();
    carry(&mut alice, &mut bob);
    let open = bob.confirmations().unwrap().received;
    assert_eq!((open.len(), open[0].summary.as_str()), (1, "Pay 100?"));
    let answer = bob.answer_confirmation(&asked.id, true).unwrap();
    assert!(answer.encrypted);
    carry(&mut bob, &mut alice);
    let questions = alice.confirmations().unwrap().asked;
    assert_eq!(questions[0].confirmed, Some(true));
    assert_eq!(
        questions[0].answered_by.as_deref(),
        Some(answer.id.as_str())
    );
    assert!(questions[0].doubtful.is_empty());
    assert!(bob.confirmations().unwrap().received.is_empty());
    let error = bob.answer_confirmation(&asked.id, false).unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::Answered { .. }));
}

// S-6.4-a
#[tokio::test]
async fn answers_that_prove_nothing_do_not_count() {
    let (scene, mut alice, bob) = friends().await;
    let mallory = person(&scene, "mallory").await;
    let asked = alice
        .ask_confirmation(&address("bob@example.com"), "Pay 100?")
        .unwrap();
    let sent = collect(&alice).remove(0).message.unwrap();
    put(&mut alice, ContainerName::OUTBOUND, sent);
    let answer = |sender: &str, text: &str, id: &str, request_id: &str| {
        Message::ResponseConfirmation(ResponseConfirmation {
            message_id: Some(id.into()),
            sender: Some(sender.into()),
            recipient: Some("alice@example.com".into()),
            request: Some(Box::new(RequestConfirmation {
                message_id: Some(request_id.into()),
                sender: Some("alice@example.com".into()),
                recipient: Some("bob@example.com".into()),
                text: Some(text.into()),
                ..RequestConfirmation::default()
            })),
            accept: Some(true),
            ..ResponseConfirmation::default()
        })
    };
    let theirs = answer("bob@example.com", "Pay 100?", "NA1", &asked.id);
    let other_text = answer("bob@example.com", "Pay 1?", "NA2", &asked.id);
    let mallorys = answer("mallory@example.com", "Pay 100?", "NA3", &asked.id);
    let never = answer("bob@example.com", "Pay 100?", "NA4", "NEVER");
    for envelope in [
        theirs.to_envelope("NA1", &[]),
        written(&bob, &other_text, None),
        written(&mallory, &mallorys, None),
        written(&bob, &never, None),
    ] {
        put(&mut alice, ContainerName::INBOUND, envelope);
    }
    let questions = alice.confirmations().unwrap().asked;
    assert_eq!(questions.len(), 1);
    assert_eq!(questions[0].confirmed, None);
    let doubts: Vec<_> = questions[0]
        .doubtful
        .iter()
        .map(|doubtful| (doubtful.id.as_str(), doubtful.why.as_str()))
        .collect();
    assert_eq!(
        doubts,
        [
            ("NA1", "it is not signed"),
            ("NA2", "it answers another question than was asked"),
            ("NA3", "the account is not in your contacts"),
        ]
    );
    // The answer to a question that was never asked is there to be read, and counts for nothing.
    assert_eq!(received(&mut alice).last().unwrap().id, "NA4");
    put(
        &mut alice,
        ContainerName::INBOUND,
        written(&bob, &theirs, None),
    );
    assert_eq!(
        alice.confirmations().unwrap().asked[0].confirmed,
        Some(true)
    );
}

#[tokio::test]
async fn a_message_of_a_kind_nobody_knows_is_kept_and_shown() {
    let (_scene, alice, mut bob) = friends().await;
    let mut later = Envelope::plain(
        br#"{"RequestDance":{"MessageID":"NDANCE","Sender":"alice@example.com","Step":"waltz"}}"#
            .to_vec(),
    );
    later.header = Header::default().with_content_meta(&mesh_common::dare::ContentMeta {
        unique_id: Some("NDANCE".into()),
        message_type: Some("RequestDance".into()),
        ..Default::default()
    });
    let (identity, state) = (alice.identity().unwrap(), alice.state().unwrap());
    accredit(
        &mut later,
        &identity.in_account.signature,
        &identity.enveloped_connection_account,
        &state.profile_account,
        None,
    );
    put(&mut bob, ContainerName::INBOUND, later);
    put(
        &mut bob,
        ContainerName::INBOUND,
        Envelope::plain(b"\0no message".to_vec()),
    );
    let facts = bob.message("ndance").unwrap();
    assert_eq!(facts.kind.as_deref(), Some("RequestDance"));
    assert_eq!(facts.content.unwrap()["Step"], json!("waltz"));
    assert_eq!(facts.origin.unwrap().trust, Trust::Verified);
    let last = received(&mut bob).pop().unwrap();
    assert_eq!((last.kind, last.content), (None, None));
    assert_eq!(last.summary, "cannot be read here");
    let error = bob.accept_contact("NDANCE", &[]).unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::OtherKind { .. }));
}

// S-6.1-a
#[tokio::test]
async fn nobody_but_the_owner_marks_messages() {
    let (scene, alice, mut bob) = friends().await;
    let id = received(&mut bob)[0].id.clone();
    let complete = |relationship| {
        Message::MessageComplete(MessageComplete {
            message_id: Some("NMARK".into()),
            references: vec![Reference {
                message_id: Some(id.clone()),
                relationship: Some(relationship),
                ..Reference::default()
            }],
            ..MessageComplete::default()
        })
    };
    let state = |device: &mut Client| received(device)[0].state.clone();
    assert_eq!(state(&mut bob), "read");
    let forged = written(&alice, &complete(Relationship::Deleted), None);
    put(&mut bob, ContainerName::INBOUND, forged);
    let unsigned = complete(Relationship::Deleted).to_envelope("NMARK", &[]);
    put(&mut bob, ContainerName::INBOUND, unsigned);
    assert_eq!(state(&mut bob), "read");
    // Bob's own word counts at once, also while it waits, and the answer is not forgotten.
    bob.delete_message(&id).unwrap();
    assert_eq!(state(&mut bob), "deleted");
    assert_eq!(received(&mut bob)[0].answer.as_deref(), Some("Accept"));
    for own in collect(&bob).remove(0).own {
        put(&mut bob, ContainerName::INBOUND, own);
    }
    assert_eq!(state(&mut bob), "deleted");
    bob.keep_message_unread(&id).unwrap();
    assert_eq!(state(&mut bob), "unread");
    drop(scene);
}

#[tokio::test]
async fn a_task_of_a_contact_is_taken_into_the_tasks_once() {
    let (_scene, mut alice, mut bob) = friends().await;
    let task = Task {
        title: Some("Water the ferns".into()),
        ..Task::default()
    };
    let queued = alice.send_task(&address("bob@example.com"), &task).unwrap();
    carry(&mut alice, &mut bob);
    let facts = bob.read_message(&queued.id).unwrap();
    assert_eq!(facts.summary, "Water the ferns");
    assert_eq!(bob.message(&queued.id).unwrap().state, "read");
    let place = bob.accept_task(&queued.id).unwrap();
    assert_eq!(place.title, "Water the ferns");
    assert!(bob.accept_task(&queued.id).is_err());
    assert_eq!(bob.list(EntryKind::Task).unwrap().entries.len(), 1);
}

#[tokio::test]
async fn only_contacts_are_asked_and_nobody_asks_themself() {
    let (_scene, mut alice, _bob) = friends().await;
    let carol = address("carol@example.com");
    for error in [
        alice.ask_confirmation(&carol, "?").unwrap_err(),
        alice.send_task(&carol, &Task::default()).unwrap_err(),
    ] {
        assert!(matches!(
            failure(&error),
            MessageFailure::NotAContact { .. }
        ));
        let advice = error.advice().unwrap();
        assert_eq!(advice, "mesh contact request carol@example.com");
    }
    let myself = address("ALICE@example.com");
    for error in [
        alice.ask_confirmation(&myself, "?").unwrap_err(),
        alice.request_contact(&myself, None, &[]).unwrap_err(),
        alice.block(&myself).unwrap_err(),
    ] {
        assert!(matches!(failure(&error), MessageFailure::Myself { .. }));
    }
    let long = "x".repeat(40_000);
    let bob = address("bob@example.com");
    let error = alice.ask_confirmation(&bob, &long).unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::TooLarge { .. }));
    let error = alice.request_contact(&bob, Some(long), &[]).unwrap_err();
    assert!(matches!(
        failure(&error),
        MessageFailure::CardTooLarge { .. }
    ));
    assert_eq!(alice.outbox_len().unwrap(), 0);
}

#[tokio::test]
async fn blocking_somebody_leaves_one_rule_that_refuses_everything() {
    let (_scene, mut alice, _bob) = friends().await;
    let rules = |device: &mut Client, name: &str| -> Vec<(String, String)> {
        let listed = device.find(EntryKind::Contact, name).unwrap();
        let CatalogEntry::CatalogedContact(entry) = listed.entry else {
            panic!("no contact");
        };
        let text = |text: Option<String>| text.unwrap_or_default();
        let rules = entry.permissions.into_iter();
        rules.map(|one| (text(one.name), text(one.role))).collect()
    };
    let refusal = [("*".to_owned(), "Reject".to_owned())];
    let known = alice.block(&address("bob@example.com")).unwrap();
    assert_eq!(rules(&mut alice, &known.id), refusal);
    let stranger = alice.block(&address("mallory@example.net")).unwrap();
    assert_eq!(rules(&mut alice, &stranger.id), refusal);
    assert_eq!(alice.list(EntryKind::Contact).unwrap().entries.len(), 2);
    // The service reads both, to refuse what they send (X-55).
    let name: ContainerName = "mmm_Contact".parse().unwrap();
    let frames = alice.replica(&name).unwrap().frames();
    assert_eq!(frames.last().unwrap().header.recipients.len(), 2);
}

// S-7.4.6-a
#[tokio::test]
async fn what_others_get_is_what_the_owner_says_of_themself() {
    let scene = Scene::new();
    let mut alice = person(&scene, "alice").await;
    let mut bob = person(&scene, "bob").await;
    let mut own = CatalogedContact {
        is_self: Some(true),
        key: Some("NSELF".into()),
        ..CatalogedContact::default()
    };
    own.enclose(&Contact {
        full_name: Some("Alice Liddell".into()),
        ..Contact::default()
    });
    alice.add(&CatalogEntry::CatalogedContact(own)).unwrap();
    let catalog = alice.replica(&"mmm_Contact".parse().unwrap()).unwrap();
    let entry = catalog.frames().last().unwrap().clone();
    let administration = alice.identity().unwrap().mesh.keys()[0].clone();
    entry.verify_by(&administration).unwrap();
    alice
        .request_contact(&address("bob@example.com"), None, &[])
        .unwrap();
    carry(&mut alice, &mut bob);
    let id = received(&mut bob)[0].id.clone();
    let accepted = bob.accept_contact(&id[..9].to_lowercase(), &[]).unwrap();
    assert_eq!(accepted.contact.name, "Alice Liddell");
}

#[tokio::test]
async fn a_request_is_found_by_the_address_it_is_proven_to_come_from() {
    let (_scene, mut alice, mut bob) = friends().await;
    let bobs = address("bob@example.com");
    alice.ask_confirmation(&bobs, "One?").unwrap();
    carry(&mut alice, &mut bob);
    // In Alice's name, but not by her.
    let forged = question("NX", "alice@example.com", "bob@example.com");
    put(
        &mut bob,
        ContainerName::INBOUND,
        forged.to_envelope("NX", &[]),
    );
    alice.ask_confirmation(&bobs, "Two?").unwrap();
    bob.answer_confirmation("Alice@Example.com", true).unwrap();
    carry(&mut bob, &mut alice);
    assert_eq!(
        alice.confirmations().unwrap().asked[0].confirmed,
        Some(true)
    );
    let error = bob
        .answer_confirmation("alice@example.com", true)
        .unwrap_err();
    assert!(matches!(
        failure(&error),
        MessageFailure::NothingOpen { .. }
    ));
    alice.ask_confirmation(&bobs, "Three?").unwrap();
    carry(&mut alice, &mut bob);
    let error = bob
        .answer_confirmation("alice@example.com", true)
        .unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::Ambiguous { .. }));
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_once() {
    let scene = Scene::new();
    let mut alice = person(&scene, "alice").await;
    person(&scene, "bob").await;
    let queued = alice
        .request_contact(&address("bob@example.com"), None, &[])
        .unwrap();
    // Status is answered, the Post arrives, and then the line is down.
    let lost = [Disturbance::HttpStatus(200), Disturbance::AnswerLost];
    let down = std::iter::repeat_n(Disturbance::Lost, 3);
    scene.service.disturb(lost.into_iter().chain(down));
    let error = alice.deliver(&queued.id).await.unwrap_err();
    assert!(matches!(failure(&error), MessageFailure::Waits { .. }));
    assert!(!error.is_refusal());
    assert_eq!(alice.outbox_len().unwrap(), 1);
    assert_eq!(
        alice.messages(Direction::Outbound).unwrap()[0].state,
        "waiting"
    );
    drop(alice);
    let mut alice = scene.device_with_seed("alice", 4_711);
    let exchange = alice.exchange(&Decisions::default()).await.unwrap();
    assert_eq!(exchange.posted.len(), 1);
    assert_eq!(alice.outbox_len().unwrap(), 0);
    let frames = scene.service.frames("alice@example.com", "mmm_Outbound");
    assert_eq!(frames.len(), 2, "frame 0 and the message");
    let sent = alice.messages(Direction::Outbound).unwrap();
    assert_eq!((sent.len(), sent[0].id.as_str()), (1, queued.id.as_str()));
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_not_kept() {
    let scene = Scene::new();
    let mut alice = person(&scene, "alice").await;
    scene.service.set_policy(AccountPolicy {
        outbound_types: vec!["Task".to_owned()],
        ..AccountPolicy::default()
    });
    let queued = alice
        .request_contact(&address("bob@elsewhere.example"), None, &[])
        .unwrap();
    let error = alice.deliver(&queued.id).await.unwrap_err();
    assert!(
        matches!(failure(&error), MessageFailure::Refused { .. }),
        "{error:?}"
    );
    assert!(error.is_refusal());
    assert_eq!(alice.outbox_len().unwrap(), 0);
}
