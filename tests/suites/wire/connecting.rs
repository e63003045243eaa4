//! Connect and Complete (service §6.2 and §6.3; decisions Q-25, Q-26, Q-36, Q-44), Status of a device
//! that waits (X-42), and a device that was removed.

use mesh_common::account::policy::Creation;
use mesh_common::assertion::ProfileMesh;
use mesh_common::crypto::SecretKey;
use mesh_common::dare::{ContentMeta, Envelope, Header};
use mesh_common::encoding::json;
use mesh_common::message::{
    AcknowledgeConnection, Acknowledgement, ConnectionAnswer, Message, Proved, RequestConnection,
    response_id_later,
};
use mesh_common::protocol::{Code, HelloRequest, Request, Transaction};
use mesh_common::session::client::ClientIdentity;
use mesh_common::udf::Udf;
use mesh_tests::client::Circumstances;
use mesh_tests::connecting::{acknowledged, answer, complete, connect, request, service_keys};
use mesh_tests::{Client, Device, Form, Person, TestService, alice, bob, frames, mallet, stored};

use crate::domains::{fill_up, octets_at_most};
use crate::{alices_service, sealed};

const CONNECT: Transaction = Transaction::Connect;
const COMPLETE: Transaction = Transaction::Complete;

/// Alice's next device, which is not connected yet.
fn phone() -> Device {
    alice().another_device("phone", &[])
}

/// A device that speaks for itself, to no account in particular.
fn unbound(service: &TestService, device: &Device) -> Client {
    let (profile, key) = (device.profile.clone(), device.keys.authentication.clone());
    Client::new(service, ClientIdentity::device(profile, key, None))
}

/// A device that speaks for itself, to its account.
fn bound(service: &TestService, device: &Device) -> Client {
    Client::new(service, device.as_device())
}

/// Asks for `device` to be connected to alice's account.
fn ask(service: &TestService, client: &mut Client, device: &Device, name: &str) -> Acknowledgement {
    let asked = request(device, &device.address, name);
    let answer = client.ask(&connect(asked.clone()));
    answer.must_be(Code::Ok);
    acknowledged(&answer, &asked, &alice(), &service_keys(service))
}

/// Puts the entry of `device` behind the others.
fn add(client: &mut Client, device: &Device) {
    let count = client.ask(&frames::status()).count_of(frames::DEVICES);
    let frame = device.frame(count.unwrap(), "New");
    let added = frames::upload(frames::DEVICES, vec![frame]);
    client.ask(&added).must_be(Code::Ok);
}

fn remove(client: &mut Client, device: &Device) {
    let count = client.ask(&frames::status()).count_of(frames::DEVICES);
    let frame = frames::event(count.unwrap(), "Delete", &device.udf(), b"");
    let removed = frames::upload(frames::DEVICES, vec![frame]);
    client.ask(&removed).must_be(Code::Ok);
}

// I-S-6.2-a, I-S-6.2-b, I-S-6.2-c, I-P-4.3.2-b, I-P-8.1-a
#[test]
fn a_request_is_acknowledged_and_put_before_the_administrators() {
    let (service, mut client) = alices_service();
    let (alice, phone) = (alice(), phone());
    let mut on_phone = unbound(&service, &phone);
    let asked = request(&phone, &alice.address, "one");
    let answer = on_phone.exchange(&connect(asked.clone()));
    sealed(CONNECT, Code::Ok, "acknowledged", &answer);
    let keys = service_keys(&service);
    let on_the_phone = acknowledged(&answer, &asked, &alice, &keys);
    // The administrator reads the same acknowledgement, and the same witness, from the spool.
    let download = client.ask(&frames::download("mmm_Inbound"));
    let frames = &download.download().updates[0].envelopes;
    let stored = frames.last().unwrap();
    let meta = stored.header.content_meta().unwrap();
    assert_eq!(meta.unique_id.as_ref(), Some(&on_the_phone.message_id));
    assert_eq!(meta.message_type.as_deref(), Some("AcknowledgeConnection"));
    let mesh = ProfileMesh::verify(&alice.profile_mesh).unwrap();
    let (there, asking) = Acknowledgement::verify(stored, &keys, &mesh, None).unwrap();
    assert_eq!(there.witness, on_the_phone.witness);
    assert_eq!(asking.profile.udf().as_str(), phone.udf());
    let Ok(Message::AcknowledgeConnection(message)) = Message::from_envelope(stored) else {
        panic!("no acknowledgement");
    };
    let AcknowledgeConnection {
        enveloped_request_connection,
        server_nonce,
        witness,
        ..
    } = *message;
    assert_eq!(enveloped_request_connection, Some(asked), "verbatim");
    assert!(server_nonce.is_some_and(|nonce| nonce.0.len() == 16) && witness.is_some());
    // By a ticket that is bound to no account (decision Q-44) a second request is made.
    let again = on_phone.by_ticket(&connect(request(&phone, &alice.address, "two")));
    sealed(CONNECT, Code::Ok, "by-a-ticket-bound-to-no-account", &again);
}

// I-P-8-a, X-41
#[test]
fn an_accepted_device_fetches_the_answer_and_goes_on_as_a_connected_one() {
    let (service, mut client) = alices_service();
    let (alice, phone) = (alice(), phone());
    let mut on_phone = bound(&service, &phone);
    let asked = ask(&service, &mut on_phone, &phone, "one");
    let later = response_id_later(&asked.message_id).unwrap();
    let waiting = on_phone.by_ticket(&complete(&alice.address, &asked.response_id));
    sealed(COMPLETE, Code::Pending, "not-answered-yet", &waiting);
    on_phone
        .ask(&complete(&alice.address, &later))
        .must_be(Code::Pending);
    add(&mut client, &phone);
    client
        .ask(&answer(&alice, &later, Some(&phone)))
        .must_be(Code::Ok);
    let accepted = on_phone.by_ticket(&complete(&alice.address, &asked.response_id));
    sealed(COMPLETE, Code::Ok, "accepted", &accepted);
    let response = accepted.complete().signed_response.clone().unwrap();
    let mesh = ProfileMesh::verify(&alice.profile_mesh).unwrap();
    let envelope = request(&phone, &alice.address, "one");
    let checked = mesh_common::message::ConnectionRequest::verify(&envelope, false).unwrap();
    let proved = Proved::of(&checked, &asked);
    let believed = ConnectionAnswer::verify(&response, &later, Some(&mesh), &proved, None);
    assert!(
        matches!(believed, Ok(ConnectionAnswer::Accepted { .. })),
        "{believed:?}"
    );
    on_phone
        .exchange(&complete(&alice.address, &later))
        .must_be(Code::Ok);
    let mut connected = Client::of_device(&service, &phone);
    connected.ask(&frames::status()).must_be(Code::Ok);
}

// Q-26, Q-36
#[test]
fn a_rejected_device_fetches_that_as_well() {
    let (service, mut client) = alices_service();
    let (alice, phone) = (alice(), phone());
    let mut on_phone = bound(&service, &phone);
    let asked = ask(&service, &mut on_phone, &phone, "one");
    let id = asked.response_id;
    client.ask(&answer(&alice, &id, None)).must_be(Code::Ok);
    let rejected = on_phone.by_ticket(&complete(&alice.address, &id));
    sealed(COMPLETE, Code::Ok, "rejected", &rejected);
    // The administrator thinks again: the newest answer counts.
    client
        .ask(&answer(&alice, &id, Some(&phone)))
        .must_be(Code::Ok);
    let accepted = on_phone.by_ticket(&complete(&alice.address, &id));
    assert!(accepted.told().contains("SignedResponse") && accepted.text != rejected.text);
}

// Q-36
#[test]
fn a_request_that_nobody_answers_expires() {
    let service = TestService::with(|config| config.backend.policy.connections.life_s = 1);
    let _client = Client::of_new_account_with_device(&service, &alice());
    let phone = phone();
    let mut on_phone = bound(&service, &phone);
    let asked = ask(&service, &mut on_phone, &phone, "one");
    let expired = loop {
        let answer = on_phone.by_ticket(&complete(&alice().address, &asked.response_id));
        if answer.code() != Some(Code::Pending) {
            break answer;
        }
    };
    sealed(COMPLETE, Code::Expired, "not-answered-in-time", &expired);
}

// X-24, X-16
#[test]
fn only_the_device_that_asked_is_told_and_no_other_learns_who_is_here() {
    let (service, mut client) = alices_service();
    let (alice, phone) = (alice(), phone());
    let mut on_phone = bound(&service, &phone);
    let asked = ask(&service, &mut on_phone, &phone, "one");
    client
        .ask(&answer(&alice, &asked.response_id, None))
        .must_be(Code::Ok);
    let mut texts = Vec::new();
    for address in [alice.address.clone(), bob().address] {
        let device = mallet().device;
        let identity = ClientIdentity::device(
            device.profile.clone(),
            device.keys.authentication.clone(),
            Some(address.clone()),
        );
        let mut mallets = Client::new(&service, identity);
        let strange = mallets.exchange(&complete(&address, &asked.response_id));
        strange.must_be(Code::NotFound);
        if address == alice.address {
            sealed(COMPLETE, Code::NotFound, "as-a-strange-device", &strange);
        }
        texts.push(String::from_utf8(strange.text).unwrap());
    }
    assert_eq!(texts[0], texts[1]);
    let other = Udf::parse("MAAA-BBBB-CCCC-DDDD").unwrap();
    on_phone
        .ask(&complete(&alice.address, &other))
        .must_be(Code::NotFound);
}

// Q-25, Q-44
#[test]
fn a_complete_names_its_answer_and_its_account() {
    let (service, _client) = alices_service();
    let phone = phone();
    let mut on_phone = bound(&service, &phone);
    let asked = ask(&service, &mut on_phone, &phone, "one");
    let nothing: Request = json::parse(br#"{"Complete":{}}"#).unwrap();
    let answer = on_phone.by_ticket(&nothing);
    sealed(COMPLETE, Code::Malformed, "without-a-response-id", &answer);
    let elsewhere = complete(&bob().address, &asked.response_id);
    let answer = on_phone.by_ticket(&elsewhere);
    let slug = "for-another-account-than-the-session";
    sealed(COMPLETE, Code::NotAuthorized, slug, &answer);
    let mut nobodys = unbound(&service, &phone);
    let hello = Request::Hello(HelloRequest::default());
    nobodys.exchange(&hello).must_be(Code::Ok);
    let answer = nobodys.by_ticket(&complete(&alice().address, &asked.response_id));
    let slug = "by-a-ticket-bound-to-no-account";
    sealed(COMPLETE, Code::NotAuthorized, slug, &answer);
}

// X-42
#[test]
fn a_device_that_waits_is_told_so_by_status() {
    let (service, mut client) = alices_service();
    let phone = phone();
    let mut on_phone = bound(&service, &phone);
    on_phone.exchange(&frames::status()).must_be(Code::NotFound);
    ask(&service, &mut on_phone, &phone, "one");
    let waiting = on_phone.by_ticket(&frames::status());
    let slug = "of-a-device-that-waits";
    sealed(Transaction::Status, Code::Pending, slug, &waiting);
    add(&mut client, &phone);
    let connected = on_phone.by_ticket(&frames::status());
    connected.must_be(Code::Ok);
    let status = connected.status();
    assert!(status.enveloped_catalog_entry_device.is_some());
    assert_eq!(status.enveloped_profile_master, Some(alice().profile_mesh));
    assert!(status.container_status.is_empty());
}

// X-21/22
#[test]
fn a_removed_device_is_refused_on_its_next_request_with_whatever_ticket() {
    let (service, mut client) = alices_service();
    let (alice, phone) = (alice(), phone());
    // One ticket from the exchange that asked, one from a Hello, one as a connected device.
    let mut by_connect = bound(&service, &phone);
    let asked = ask(&service, &mut by_connect, &phone, "one");
    let fetch = complete(&alice.address, &asked.response_id);
    add(&mut client, &phone);
    let accepted = answer(&alice, &asked.response_id, Some(&phone));
    client.ask(&accepted).must_be(Code::Ok);
    let mut by_hello = bound(&service, &phone);
    let hello = Request::Hello(HelloRequest::default());
    by_hello.exchange(&hello).must_be(Code::Ok);
    by_hello.by_ticket(&fetch).must_be(Code::Ok);
    let mut connected = Client::of_device(&service, &phone);
    connected.exchange(&frames::status()).must_be(Code::Ok);
    by_connect.by_ticket(&frames::status()).must_be(Code::Ok);
    assert!(by_hello.ticket.is_some() && connected.ticket.is_some());
    remove(&mut client, &phone);
    let refused = connected.by_ticket(&frames::status());
    sealed(
        Transaction::Status,
        Code::DeviceRevoked,
        "as-a-deleted-device",
        &refused,
    );
    let slug = "of-a-device-that-was-removed";
    for (form, on_phone) in [("connect", &mut by_connect), ("hello", &mut by_hello)] {
        let gone = on_phone.by_ticket(&fetch);
        sealed(COMPLETE, Code::NotFound, slug, &gone);
        let gone = on_phone.by_ticket(&frames::status());
        assert_eq!(gone.code(), Some(Code::NotFound), "{form}");
        let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
        on_phone.by_ticket(&upload).must_be(Code::NotAuthorized);
        on_phone.exchange(&fetch).must_be(Code::NotFound);
    }
}

// X-23, Q-36
#[test]
fn the_same_request_gets_the_same_acknowledgement() {
    let (service, _client) = alices_service();
    let phone = phone();
    let mut on_phone = bound(&service, &phone);
    let how = Circumstances {
        request_id: Some([7; 16]),
        ..Circumstances::default()
    };
    let asked = connect(request(&phone, &alice().address, "one"));
    let first = on_phone.exchange_as(&asked, how.clone());
    first.must_be(Code::Ok);
    let again = on_phone.by_ticket_as(&asked, &how);
    assert_eq!(again.text, first.text);
    let other = connect(request(&phone, &alice().address, "two"));
    let replayed = on_phone.by_ticket_as(&other, &how);
    let slug = "the-request-id-of-another-request";
    sealed(CONNECT, Code::Replay, slug, &replayed);
}

// Q-26
#[test]
fn what_waits_at_an_account_that_was_blocked_is_not_told() {
    let (mut service, _client) = alices_service();
    let (alice, phone) = (alice(), phone());
    let mut on_phone = bound(&service, &phone);
    let asked = ask(&service, &mut on_phone, &phone, "one");
    let question = complete(&alice.address, &asked.response_id);
    on_phone.ask(&question).must_be(Code::Pending);
    service.restart_after(|data| stored::block(data, &alice.address.parse().unwrap()));
    on_phone.connection = service.connect();
    let refused = on_phone.by_ticket(&question);
    sealed(
        COMPLETE,
        Code::Refused,
        "of-an-account-that-is-blocked",
        &refused,
    );
}

// X-16, Q-36
#[test]
fn accounts_that_take_no_requests_look_like_those_that_are_not_here() {
    let service = TestService::with(|config| config.backend.policy.creation = Creation::Approval);
    let mut client = Client::new(&service, alice().device.as_connected());
    client.create_account(&alice()).must_be(Code::Pending);
    let (device, mut texts) = (mallet().device, Vec::new());
    let mut mallets = unbound(&service, &device);
    for address in [alice().address, bob().address] {
        let answer = mallets.exchange(&connect(request(&device, &address, "one")));
        sealed(
            CONNECT,
            Code::Refused,
            "to-an-account-that-takes-none",
            &answer,
        );
        texts.push(answer.text);
    }
    assert_eq!(texts[0], texts[1]);
    let probed = TestService::with(|config| config.backend.policy.connections.probing = true);
    let mut mallets = unbound(&probed, &device);
    let answer = mallets.exchange(&connect(request(&device, &bob().address, "one")));
    sealed(CONNECT, Code::NotFound, "where-probing-is-allowed", &answer);
}

#[test]
fn a_device_that_is_connected_need_not_ask() {
    let (service, _client) = alices_service();
    let alice = alice();
    let mut on_laptop = bound(&service, &alice.device);
    let asked = request(&alice.device, &alice.address, "one");
    let answer = on_laptop.exchange(&connect(asked.clone()));
    sealed(CONNECT, Code::Conflict, "of-a-connected-device", &answer);
    let mut connected = Client::new(&service, alice.device.as_connected());
    let answer = connected.exchange(&connect(asked));
    sealed(
        CONNECT,
        Code::NotAuthorized,
        "as-a-connected-device",
        &answer,
    );
}

/// A RequestConnection of alice's phone, changed before it is signed.
fn changed(change: impl FnOnce(&mut RequestConnection)) -> Envelope {
    let phone = phone();
    let original = request(&phone, &alice().address, "changed");
    let Ok(Message::RequestConnection(mut message)) = Message::from_envelope(&original) else {
        panic!("no request");
    };
    change(&mut message);
    let id = message.message_id.clone().unwrap();
    Message::RequestConnection(message).to_envelope(&id, &[&phone.keys.authentication])
}

// P-4.5-a
#[test]
fn what_a_connect_carries_is_checked() {
    let (service, _client) = alices_service();
    let phone = phone();
    let mut on_phone = unbound(&service, &phone);
    let mut unsigned = changed(|_| {});
    unsigned.trailer = None;
    let under = |id: Option<&str>, key: &SecretKey| {
        let meta = ContentMeta {
            unique_id: id.map(str::to_owned),
            ..unsigned.header.content_meta().unwrap()
        };
        let header = Header::default().with_content_meta(&meta);
        Envelope::signed(unsigned.payload.0.clone(), header, &[key])
    };
    let meta = unsigned.header.content_meta().unwrap();
    let own = &phone.keys.authentication;
    let by_mallet = under(
        meta.unique_id.as_deref(),
        &mallet().device.keys.authentication,
    );
    let nameless = under(None, own);
    let renamed = under(Some("NAAA-AAAA-AAAA"), own);
    let short = changed(|message| message.client_nonce = Some(vec![1; 15].into()));
    let long = changed(|message| message.client_nonce = Some(vec![1; 65].into()));
    let nowhere = changed(|message| message.service_id = Some("nowhere".to_owned()));
    let unnamed = changed(|message| message.service_id = None);
    let bare = changed(|message| message.enveloped_profile_device = None);
    let large = changed(|message| message.pin_udf = Some("A".repeat(65_536)));
    let barely = changed(|message| message.pin_udf = Some("A".repeat(50_000)));
    let notice = frames::message("RequestTask", "NAAA-AAAA-AAAA", "{}");
    let others = request(&mallet().device, &alice().address, "mallets");
    for (slug, code, message) in [
        ("a-message-of-another-kind", Code::Malformed, notice),
        ("a-request-without-id", Code::Malformed, nameless),
        ("a-request-of-two-ids", Code::Malformed, renamed),
        ("a-nonce-of-15-octets", Code::Malformed, short),
        ("a-nonce-of-65-octets", Code::Malformed, long),
        ("a-request-above-64-kib", Code::TooLarge, large),
        ("a-request-too-large-to-acknowledge", Code::TooLarge, barely),
        (
            "a-request-nobody-signed",
            Code::InvalidSignature,
            unsigned.clone(),
        ),
        (
            "a-request-another-device-signed",
            Code::InvalidSignature,
            by_mallet,
        ),
        ("a-request-without-a-profile", Code::InvalidProfile, bare),
        (
            "the-request-of-another-device",
            Code::InvalidProfile,
            others,
        ),
        ("to-no-address", Code::InvalidName, nowhere),
        ("to-nobody", Code::InvalidName, unnamed),
    ] {
        let answer = on_phone.exchange(&connect(message));
        sealed(CONNECT, code, slug, &answer);
    }
    let text = br#"{"Connect":{}}"#;
    let (envelope, pending) = on_phone.seal_exchange(text, Circumstances::default());
    let answer = on_phone.send(Form::Exchange, text.to_vec(), &envelope, &pending);
    sealed(CONNECT, Code::Malformed, "without-a-message", &answer);
    let mut to_bob = bound(&service, &bob().device);
    let asked = connect(request(&bob().device, &alice().address, "one"));
    let slug = "for-another-account-than-the-session";
    sealed(CONNECT, Code::NotAuthorized, slug, &to_bob.exchange(&asked));
}

// X-60
#[test]
fn so_many_requests_wait_for_an_answer() {
    let (service, mut client) = alices_service();
    let (alice, phone) = (alice(), phone());
    let mut on_phone = unbound(&service, &phone);
    let mut asked = |number: usize| {
        let name = format!("request {number}");
        on_phone.exchange(&connect(request(&phone, &alice.address, &name)))
    };
    let first = asked(0);
    asked(1).must_be(Code::Ok);
    asked(2).must_be(Code::Ok);
    let slug = "a-fourth-request-of-a-device";
    sealed(CONNECT, Code::RateLimited, slug, &asked(3));
    for number in 0..5 {
        let device = Person::named(&format!("stranger {number}")).device;
        let asked = request(&device, &alice.address, "one");
        let answer = unbound(&service, &device).exchange(&connect(asked));
        answer.must_be(Code::Ok);
    }
    let device = mallet().device;
    let mut mallets = unbound(&service, &device);
    let ninth = connect(request(&device, &alice.address, "one"));
    let slug = "a-ninth-request-to-an-account";
    sealed(CONNECT, Code::RateLimited, slug, &mallets.exchange(&ninth));
    let envelope = request(&phone, &alice.address, "request 0");
    let keys = service_keys(&service);
    let id = acknowledged(&first, &envelope, &alice, &keys).response_id;
    client.ask(&answer(&alice, &id, None)).must_be(Code::Ok);
    mallets.exchange(&ninth).must_be(Code::Ok);
}

// X-60
#[test]
fn a_source_asks_so_often_an_hour() {
    let service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.connect_per_hour = 1;
    });
    let _client = Client::of_new_account_with_device(&service, &alice());
    let phone = phone();
    let mut on_phone = unbound(&service, &phone);
    let mut asked = |name| on_phone.exchange(&connect(request(&phone, &alice().address, name)));
    asked("one").must_be(Code::Ok);
    let slug = "too-many-from-one-address";
    sealed(CONNECT, Code::RateLimited, slug, &asked("two"));
}

// X-60
#[test]
fn an_account_without_room_takes_no_requests() {
    let service = TestService::with(|config| {
        config.backend.policy.frames_per_container_max = 2;
    });
    let _client = Client::of_new_account_with_device(&service, &alice());
    let phone = phone();
    let mut on_phone = unbound(&service, &phone);
    let mut asked = |name| on_phone.exchange(&connect(request(&phone, &alice().address, name)));
    asked("one").must_be(Code::Ok);
    sealed(
        CONNECT,
        Code::QuotaExceeded,
        "no-room-in-inbound",
        &asked("two"),
    );
}

// X-60
#[test]
fn an_account_of_a_domain_without_room_takes_no_requests() {
    let service = octets_at_most(64 * 1024);
    let mut client = Client::of_new_account_with_device(&service, &alice());
    fill_up(&mut client);
    let phone = phone();
    let asked = request(&phone, &alice().address, "one");
    let answer = unbound(&service, &phone).exchange(&connect(asked));
    let slug = "no-room-in-the-domain";
    sealed(CONNECT, Code::QuotaExceeded, slug, &answer);
}
