//! What other services post, answered by the owner at once: exactly once whatever gets lost, refused
//! without a trace, and left for the owner while it is away (decisions, architecture A-13).

use std::sync::atomic::Ordering;

use mesh_common::limits::{INTAKE_ACCOUNT_BYTES_MAX, INTAKE_CLOSED_PAUSE};
use mesh_common::protocol::PostRequest;

use super::access::contact;
use super::*;
use crate::store::Faults;
use crate::tests::gated::Script;
use crate::tests::posting::{contact as signed_contact, serving};

/// The Post by which the service of `sender` brings a message, the `attempt`th time.
fn posted(scene_now: Timestamp, entry: IntakeEntry, attempt: u8) -> AccountRequest {
    let IntakeBody::Message(message) = entry.body else {
        panic!("services post messages");
    };
    let service = message.service.clone().unwrap();
    let mut request_id = entry.id.0;
    request_id[0] = attempt;
    AccountRequest {
        account: entry.account,
        caller: Caller {
            mode: Mode::Service,
            via: Via::Ticket,
            account: None,
            profile_udf: Some(service.udf.clone()),
            key_udf: Udf::present(b"key of the peer", 140),
            credential_digest: [0; 32],
            domain: Some(service.domain),
        },
        request_id: RequestId(request_id),
        request_digest: payload_digest(message.unique_id.as_bytes()),
        received_at: scene_now,
        deadline: scene_now + Duration::from_secs(60),
        request: Request::Post(PostRequest::default()),
        evidence: Evidence::Forwarded(message),
    }
}

impl<S: Store> Scene<S> {
    /// What the service of `sender` is told of its message.
    pub(in crate::tests) async fn receive(&self, entry: IntakeEntry, attempt: u8) -> Code {
        let request = Verified::declare(posted(self.now(), entry, attempt));
        let outcome = self.backend.receive(request).await;
        code_of(&outcome)
    }
}

// I-P-9.1.2-b
#[actix::test]
async fn a_message_stands_in_inbound_when_its_service_is_answered() {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    let message = || forwarded(&bob, &alice, 1);
    assert_eq!(scene.receive(message(), 1).await, Code::Ok);
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
    assert_eq!(scene.waiting().await, 0, "nothing went through the intake");
    let batches = scene.batches();
    assert_eq!(scene.receive(message(), 1).await, Code::Ok, "same request");
    assert_eq!(scene.receive(message(), 2).await, Code::Ok, "same message");
    assert_eq!(scene.batches(), batches, "neither is written again");
    // What was left before, or is left afterwards, is the same message too.
    scene.leave(&[message()]).await;
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
}

#[actix::test]
async fn a_restart_forgets_no_answer() {
    let (mut scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    assert_eq!(scene.receive(forwarded(&bob, &alice, 1), 1).await, Code::Ok);
    scene.restart().await;
    for attempt in 1..=2 {
        let answer = scene.receive(forwarded(&bob, &alice, 1), attempt).await;
        assert_eq!(answer, Code::Ok);
    }
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
}

// Decision Q-57
#[actix::test]
async fn unknown_and_deleted_accounts_are_told_as_such() {
    let (scene, gone, bob) = (Scene::new().await, Person::new("gone"), Person::new("bob"));
    scene.create(&gone).await;
    assert_eq!(scene.ask(gone.delete(scene.now())).await.0, Code::Ok);
    for person in [&gone, &Person::new("nobody")] {
        let answer = scene.receive(forwarded(&bob, person, 1), 1).await;
        assert_eq!(answer, Code::NotFound);
    }
}

// Decision Q-33
#[actix::test]
async fn a_refusal_is_not_remembered() {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    let reject = contact(&bob, ("*", "Reject"), 0);
    scene.set_contact(&alice, 1, "b", Some(reject)).await;
    let message = || forwarded(&bob, &alice, 1);
    for _ in 0..2 {
        assert_eq!(scene.receive(message(), 1).await, Code::Refused);
    }
    assert!(scene.inbound(&alice).await.is_empty());
    let accept = contact(&bob, ("*", "Accept"), 0);
    scene.set_contact(&alice, 2, "b", Some(accept)).await;
    assert_eq!(
        scene.receive(message(), 1).await,
        Code::Ok,
        "the very same request"
    );
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
}

#[actix::test]
async fn what_no_service_forwarded_is_not_received() {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    let mut request = posted(scene.now(), forwarded(&bob, &alice, 1), 1);
    request.evidence = Evidence::Nothing;
    let outcome = scene.backend.receive(Verified::declare(request)).await;
    assert_eq!(code_of(&outcome), Code::NotAuthorized);
    let mut request = posted(scene.now(), forwarded(&bob, &alice, 1), 1);
    if let Evidence::Forwarded(message) = &mut request.evidence {
        message.service = None;
    }
    let outcome = scene.backend.receive(Verified::declare(request)).await;
    assert_eq!(code_of(&outcome), Code::NotAuthorized);
    assert!(scene.inbound(&alice).await.is_empty());
}

// ---- While the owner is away ----

#[actix::test]
async fn a_message_is_left_while_the_owner_cannot_write() {
    let scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    // The batch fails, the append that follows does not.
    scene.store.script(Script::ReadOnly);
    let message = || forwarded(&bob, &alice, 1);
    assert_eq!(scene.receive(message(), 1).await, Code::Accepted);
    // A repetition finds the owner back; the drain then finds the message there.
    assert_eq!(scene.receive(message(), 1).await, Code::Ok);
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
}

#[actix::test]
async fn nobody_is_left_anything_who_is_not_here_or_whose_site_refuses() {
    let mut config = BackendConfig::default();
    let blocked = &mut config.policy.inbound.blocked_profiles;
    blocked.insert(Person::new("eve").signing_keys().account_udf);
    let scene = Scene::over(GatedStore::new(), config).await;
    let (alice, bob, eve) = (Person::new("alice"), Person::new("bob"), Person::new("eve"));
    scene.create(&alice).await;
    scene.store.script(Script::ReadOnly);
    // A refusal by rule 1 counts against the service: that is what the failed batch would have written.
    let answer = scene.receive(forwarded(&eve, &alice, 1), 1).await;
    assert_eq!(answer, Code::Refused);
    let nobody = Person::new("nobody");
    scene.store.script(Script::ReadOnly);
    let answer = scene.receive(forwarded(&bob, &nobody, 1), 1).await;
    assert_eq!(answer, Code::NotFound);
    assert_eq!(scene.waiting().await, 0);
}

#[actix::test]
async fn a_store_that_takes_nothing_is_told_as_overload() {
    let scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.store.script(Script::ReadOnly);
    scene.store.script(Script::ReadOnly);
    let answer = scene.receive(forwarded(&bob, &alice, 1), 1).await;
    assert_eq!(answer, Code::Overload);
    assert_eq!(scene.receive(forwarded(&bob, &alice, 1), 1).await, Code::Ok);
}

/// Nothing more may be left for `person`, whoever looks.
fn close_intake<S: Store>(scene: &Scene<S>, person: &Person) {
    let backlogs = &scene.backend.inner.shared.backlogs;
    backlogs.is_held.store(true, Ordering::SeqCst);
    backlogs
        .leave(&person.address, INTAKE_ACCOUNT_BYTES_MAX)
        .unwrap();
}

//
#[actix::test]
async fn a_service_waits_for_whom_too_much_waits_and_for_nobody_else() {
    let scene = Scene::over(MemoryStore::new(), open_to_strangers()).await;
    let (alice, carol, bob) = (
        Person::new("alice"),
        Person::new("carol"),
        Person::new("bob"),
    );
    scene.create(&alice).await;
    scene.create(&carol).await;
    close_intake(&scene, &alice);
    let shared = &scene.backend.inner.shared;
    for attempt in 1..=2 {
        let request = Verified::declare(posted(scene.now(), forwarded(&bob, &alice, 1), attempt));
        // The owner says so, and whoever would leave it for the owner.
        let refused = if attempt == 1 {
            scene.backend.receive(request).await
        } else {
            crate::inbound::receive_meanwhile(shared, &request).await
        };
        let Err(CallFailure::Refused(error)) = refused else {
            panic!("a closed intake answered {refused:?}");
        };
        assert_eq!(error.code, Code::RateLimited);
        assert_eq!(error.retry_after, Some(INTAKE_CLOSED_PAUSE));
    }
    let refused = &shared.metrics.intake.refused;
    assert_eq!(refused.with_label_values(&["closed"]).get(), 2);
    assert_eq!(scene.receive(forwarded(&bob, &carol, 1), 1).await, Code::Ok);
    assert_eq!(scene.inbound(&alice).await, [""; 0]);
    shared
        .backlogs
        .not_left(&alice.address, INTAKE_ACCOUNT_BYTES_MAX);
    assert_eq!(scene.receive(forwarded(&bob, &alice, 1), 3).await, Code::Ok);
}

//
#[actix::test]
async fn a_device_posts_nothing_for_whom_too_much_waits_and_is_told_again_what_it_posted_before() {
    let scene = Scene::over(MemoryStore::new(), serving()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let post = |id: &str| {
        let to = [alice.address.canonical().to_owned()];
        bob.post(scene.now(), &to, vec![signed_contact(id)])
    };
    let before = post("before");
    let again = before.clone();
    assert_eq!(scene.ask(before).await.0, Code::Ok);
    close_intake(&scene, &alice);
    let refused = scene.perform(post("one")).await.unwrap();
    let outcome = refused.response.outcome().clone();
    assert_eq!(outcome.code(), Some(Code::RateLimited));
    assert_eq!(refused.retry_after, Some(INTAKE_CLOSED_PAUSE));
    assert_eq!(scene.ask(again).await.0, Code::Ok, "the same request");
    let to_himself = [bob.address.canonical().to_owned()];
    let request = bob.post(scene.now(), &to_himself, vec![signed_contact("two")]);
    assert_eq!(scene.ask(request).await.0, Code::Ok, "somebody else");
}

// ---- Whatever gets lost ----

/// Posts each message until its service is told that it arrived, as services do: under the same id,
/// then under new ones.
async fn deliver_all(scene: &Scene<MemoryStore>, entries: &[IntakeEntry]) {
    for entry in entries {
        let answers = 0..100_u8;
        let mut arrived = false;
        for attempt in answers {
            let answer = scene.receive(entry.clone(), attempt / 3).await;
            if matches!(answer, Code::Ok | Code::Accepted) {
                arrived = true;
                // Some answers are lost: the service tries once more.
                if attempt % 2 == 0 {
                    break;
                }
            } else {
                assert_eq!(answer, Code::Overload);
            }
        }
        assert!(arrived, "a hundred tries are enough");
    }
}

async fn each_message_arrives_once(faults: Faults) {
    let scene = Scene::over(MemoryStore::new(), open_to_strangers()).await;
    let people = Person::neighbours(2);
    for person in &people {
        scene.create(person).await;
    }
    let senders = ["bob", "carol", "dave"].map(Person::new);
    let entries: Vec<IntakeEntry> = (0..40)
        .flat_map(|number| {
            let people = &people;
            senders
                .iter()
                .map(move |sender| forwarded(sender, &people[number as usize % 2], number))
        })
        .collect();
    scene.store.set_faults(faults);
    let parts = entries.chunks(40).map(|part| deliver_all(&scene, part));
    futures_util::future::join_all(parts).await;
    scene.store.set_faults(Faults::default());
    scene.drain().await;
    for person in &people {
        let mut found = scene.inbound(person).await;
        found.sort();
        let count = found.len();
        found.dedup();
        assert_eq!((found.len(), count), (60, 60), "seed {}", faults.seed);
    }
}

#[actix::test]
async fn lost_answers_and_conflicts_lose_and_double_no_direct_message() {
    for seed in 0..4 {
        each_message_arrives_once(Faults {
            seed,
            conflict: 100,
            too_old: 50,
            unknown_applied: 150,
            unknown_lost: 100,
            ..Faults::default()
        })
        .await;
    }
}

#[actix::test]
async fn batches_that_land_late_lose_and_double_no_direct_message() {
    for seed in 0..4 {
        each_message_arrives_once(Faults {
            seed,
            may_still_land: 250,
            land_after_max: 4,
            ..Faults::default()
        })
        .await;
    }
}
