//! Post of a device: a message is recorded once and reaches each recipient once, whatever is repeated
//! or lost (service §5.7, §7.2; architecture A-13; decisions Q-27, Q-46, Q-51, Q-59).

use std::thread;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::PartitionId;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::message::{Accreditation, identify};
use mesh_common::protocol::{Code, EntryResult, Request};
use mesh_common::time::Timestamp;
use mesh_tests::client::Circumstances;
use mesh_tests::people::{Person, UPDATED};
use mesh_tests::wire::HttpRequest;
use mesh_tests::{Client, TestService, alice, bob, frames};

use crate::{alices_service, with_phone};

const BOB: &str = "bob@example.com";

/// Alice's and Bob's accounts, each with a connected device.
fn alice_and_bob() -> (TestService, Client, Client) {
    let (service, alices) = alices_service();
    let bobs = Client::of_new_account_with_device(&service, &bob());
    (service, alices, bobs)
}

/// A message of the kind that strangers take.
fn contact(id: &str) -> Envelope {
    let body = format!(r#"{{"MessageID":"{id}","Sender":"alice@example.com"}}"#);
    alice()
        .device
        .signed(frames::message("RequestContact", id, &body))
}

/// Asks until `container` has `count` frames.
#[track_caller]
fn wait_for(client: &mut Client, container: &str, count: u64) {
    let mut found = None;
    for _ in 0..10_000 {
        found = client.ask(&frames::status()).count_of(container);
        if found >= Some(count) {
            break;
        }
        thread::yield_now();
    }
    assert_eq!(found, Some(count), "{container}");
}

/// The frames of a container behind frame 0.
fn frames_of(client: &mut Client, container: &str) -> Vec<Envelope> {
    let answer = client.ask(&frames::download(container));
    let mut found = answer.download().updates[0].envelopes.clone();
    found.remove(0);
    found
}

/// The ids of the messages in a container.
fn ids_of(client: &mut Client, container: &str) -> Vec<String> {
    let found = frames_of(client, container);
    found
        .iter()
        .map(|frame| identify(frame).unwrap().unique_id)
        .collect()
}

// I-S-6-a, P-9.1.1-a, P-9.1.1-b, X-50..53
#[test]
fn a_message_stands_in_outbound_and_reaches_inbound_as_it_was_signed() {
    let (_service, mut alices, mut bobs) = alice_and_bob();
    let message = contact("contact-1");
    let answer = alices.ask(&frames::post(&[BOB], vec![message.clone()]));
    answer.must_be(Code::Ok);
    let entry = &answer.post().entries[0];
    assert_eq!(
        (entry.result, entry.index_container),
        (Some(EntryResult::Accept), Some(1))
    );
    let sent = &frames_of(&mut alices, "mmm_Outbound")[0];
    wait_for(&mut bobs, "mmm_Inbound", 2);
    let received = &frames_of(&mut bobs, "mmm_Inbound")[0];
    for copy in [sent, received] {
        assert_eq!(copy.payload, message.payload);
        let accreditation = Accreditation::verify(copy).unwrap();
        assert_eq!(
            accreditation.profile.udf().to_string(),
            alice().account.offline.udf().to_string()
        );
    }
}

// A-13, X-23
#[test]
fn what_is_repeated_or_lost_arrives_once() {
    let (mut service, mut alices, _) = alice_and_bob();
    let asked = frames::post(&[BOB], vec![contact("contact-1")]);
    let how = Circumstances {
        request_id: Some([5; 16]),
        ..Circumstances::default()
    };
    // The reply is lost: nobody reads it.
    let text = json::write(&asked);
    let (envelope, _) = alices.seal_ticket(&text, &how);
    let mut lost = service.connect();
    lost.write(&HttpRequest::post(json::write(&envelope)).octets())
        .unwrap();
    let first = alices.by_ticket_as(&asked, &how);
    first.must_be(Code::Ok);
    drop(lost);
    // Under the same RequestID, under others, and after a restart.
    assert_eq!(alices.by_ticket_as(&asked, &how).text, first.text);
    for _ in 0..3 {
        assert_eq!(
            alices.by_ticket(&asked).post().entries,
            first.post().entries
        );
    }
    service.restart_after(|_| {});
    let mut alices = Client::of_device(&service, &alice().device);
    let again = alices.exchange(&asked);
    assert_eq!(again.must_be(Code::Ok).post().entries, first.post().entries);
    let last = frames::post(&[BOB], vec![contact("contact-2")]);
    alices.ask(&last).must_be(Code::Ok);
    let mut bobs = Client::of_device(&service, &bob().device);
    wait_for(&mut bobs, "mmm_Inbound", 3);
    assert_eq!(ids_of(&mut bobs, "mmm_Inbound"), ["contact-1", "contact-2"]);
    let of_alice: Vec<String> = ids_of(&mut alices, "mmm_Outbound");
    let sent: Vec<&String> = of_alice
        .iter()
        .filter(|id| id.starts_with("contact"))
        .collect();
    assert_eq!(
        sent,
        ["contact-1", "contact-2"],
        "each stands there once: {of_alice:?}"
    );
}

// X-40
#[test]
fn notices_wait_in_local_and_completions_stand_beside_what_they_complete() {
    let (_service, mut client) = alices_service();
    let alice = alice();
    let mut respond = frames::message("RespondConnection", "respond-1", "{}");
    respond.add_signature(&alice.account.online);
    client
        .ask(&frames::post(&[], vec![respond]))
        .must_be(Code::Ok);
    let pin = alice
        .device
        .signed(frames::message("MessagePIN", "pin-1", "{}"));
    let own = vec![
        pin,
        frames::completion("complete-1", "pin-1", "Deleted"),
        frames::completion("complete-2", "contact-1", "Read"),
        frames::completion("complete-3", "nobody-knows", "Read"),
    ];
    let asked = frames::post_all(&[BOB], vec![contact("contact-1")], own);
    client.ask(&asked).must_be(Code::Ok);
    assert_eq!(
        ids_of(&mut client, "mmm_Local"),
        ["respond-1", "pin-1", "complete-1"]
    );
    assert_eq!(
        ids_of(&mut client, "mmm_Outbound")[..2],
        ["contact-1", "complete-2"]
    );
    assert_eq!(ids_of(&mut client, "mmm_Inbound"), ["complete-3"]);
}

// X-60
#[test]
fn outbound_rates_are_exact_at_once_and_after_a_restart() {
    let mut service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.create_per_hour = 100;
        config.limits.rate.device_per_second = 1_000;
        config.limits.rate.device_burst = 1_000;
        config.limits.rate.outbound_per_minute = 1_000;
        config.limits.rate.outbound_per_day = 7;
        config.limits.rate.new_account_share = 1;
    });
    let alices = Client::of_new_account_with_device(&service, &alice());
    let ticket = alices.ticket;
    let codes: Vec<Option<Code>> = thread::scope(|scope| {
        let posts: Vec<_> = (0..4)
            .map(|thread| {
                let (ticket, service) = (ticket.clone(), &service);
                scope.spawn(move || {
                    let mut client = Client::of_device(service, &alice().device);
                    client.ticket = ticket;
                    let post = |number: i32| {
                        let message = contact(&format!("contact-{thread}-{number}"));
                        client
                            .by_ticket(&frames::post(&[BOB], vec![message]))
                            .code()
                    };
                    (0..4).map(post).collect::<Vec<_>>()
                })
            })
            .collect();
        posts
            .into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect()
    });
    let count = |code| codes.iter().filter(|one| **one == Some(code)).count();
    assert_eq!((count(Code::Ok), count(Code::RateLimited)), (7, 9));
    service.restart_after(|_| {});
    let mut alices = Client::of_device(&service, &alice().device);
    let late = frames::post(&[BOB], vec![contact("contact-late")]);
    alices.exchange(&late).must_be(Code::RateLimited);
}

// Q-51
#[test]
fn keys_that_changed_since_are_fetched_again() {
    let (_service, mut client) = alices_service();
    client
        .ask(&frames::post(&[BOB], vec![contact("contact-1")]))
        .must_be(Code::Ok);
    let newer = alice().updated_at(Timestamp::from_secs(UPDATED.as_secs() + 60));
    client.create_account(&newer).must_be(Code::Ok);
    client
        .ask(&frames::post(&[BOB], vec![contact("contact-2")]))
        .must_be(Code::Ok);
}

/// A recipient whose account lies in another partition than Alice's, and one in the same.
fn neighbours() -> (Person, Person) {
    let home = PartitionId::of(&AccountAddress::parse(&alice().address).unwrap());
    let in_home = |name: &String| {
        let address = AccountAddress::parse(&format!("{name}@example.com")).unwrap();
        PartitionId::of(&address) == home
    };
    let near = (0..)
        .map(|number| format!("near{number}"))
        .find(in_home)
        .unwrap();
    (Person::named("far"), Person::named(&near))
}

// Q-46
#[test]
fn recipients_in_every_partition_and_domain_are_reached() {
    let (service, mut alices) = alices_service();
    let (far, near) = neighbours();
    let elsewhere = Person::at("carol", "carol@example.net");
    let people = [far, near, elsewhere];
    let mut theirs: Vec<Client> = people
        .iter()
        .map(|person| Client::of_new_account_with_device(&service, person))
        .collect();
    let addresses: Vec<&str> = people.iter().map(|one| one.address.as_str()).collect();
    alices
        .ask(&frames::post(&addresses, vec![contact("contact-1")]))
        .must_be(Code::Ok);
    for client in &mut theirs {
        wait_for(client, "mmm_Inbound", 2);
    }
    // Oneself is a recipient like any other.
    alices
        .ask(&frames::post(
            &["alice@example.com"],
            vec![contact("contact-2")],
        ))
        .must_be(Code::Ok);
}

// S-6.4-a
#[test]
fn only_a_device_with_the_privilege_confirms() {
    let (service, mut client) = alices_service();
    let (phone, mut on_phone) = with_phone(&service, &mut client);
    let confirmation = frames::message("ResponseConfirmation", "response-1", "{}");
    let post = |message: Envelope| -> Request { frames::post(&[BOB], vec![message]) };
    let by_laptop = alice().device.signed(confirmation.clone());
    client
        .ask(&post(by_laptop.clone()))
        .must_be(Code::NotAuthorized);
    // Whoever brings it: the signature counts.
    on_phone.ask(&post(by_laptop)).must_be(Code::NotAuthorized);
    on_phone
        .ask(&post(phone.signed(confirmation)))
        .must_be(Code::Ok);
}
