//! Exchanges and tickets that are not as they should be: checks 1 to 8a of service §4.4, in bare form
//! up to check 6, sealed from then on (decision Q-1).

use mesh_common::assertion::make::{DeviceKeys, ServiceKeys};
use mesh_common::assertion::{Assertion, ProfileDevice};
use mesh_common::crypto::{Curve, KeyData, PublicKey};
use mesh_common::dare::{Envelope, Header};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, HelloRequest, Request, StatusRequest, Transaction};
use mesh_common::session::client::{ClientIdentity, StoredTicket};
use mesh_tests::client::{Answer, Circumstances, bare as say, now};
use mesh_tests::people::entropy_of;
use mesh_tests::{Client, Form, TestService, alice, bob, frames, mallet};
use serde_json::Value;

use crate::{alices_service, bare, sealed};

const STATUS: &[u8] = br#"{"Status":{}}"#;

/// Sends an envelope whose answer is a refusal in bare form.
fn send(client: &mut Client, form: Form, envelope: &Envelope) -> Answer {
    let mut answer = say(&mut client.connection, &json::write(envelope));
    answer.form = form;
    answer.asked = STATUS.to_vec();
    answer
}

/// A Status of alice's by exchange, its session changed, the cipher text as it was.
fn with_session(client: &mut Client, change: impl FnOnce(&mut Value)) -> Envelope {
    let (envelope, _) = client.seal_exchange(STATUS, Circumstances::default());
    changed(envelope, "SessionExchange", change)
}

/// The same by ticket.
fn with_ticket(client: &mut Client, change: impl FnOnce(&mut Value)) -> Envelope {
    let (envelope, _) = client.seal_ticket(STATUS, &Circumstances::default());
    changed(envelope, "SessionTicket", change)
}

fn changed(mut envelope: Envelope, tag: &str, change: impl FnOnce(&mut Value)) -> Envelope {
    let octets = envelope.header.session.take().unwrap();
    let mut session: Value = json::parse(octets.as_slice()).unwrap();
    change(&mut session[tag]);
    envelope.header.session = Some(Binary(json::write(&session)));
    envelope
}

/// The text of octets as a member of JSON.
fn binary(octets: &[u8]) -> Value {
    serde_json::to_value(Binary(octets.to_vec())).unwrap()
}

// ---- 1: the form ----

#[test]
fn a_session_that_is_none_is_malformed() {
    let (_service, mut client) = alices_service();
    let slug_and_envelope = [
        (
            "an-unknown-version",
            with_session(&mut client, |it| it["Version"] = "mmm-kx-2".into()),
        ),
        (
            "an-unknown-mode",
            with_session(&mut client, |it| it["Mode"] = "Guest".into()),
        ),
        (
            "a-request-id-of-15-octets",
            with_session(&mut client, |it| it["RequestID"] = binary(&[1; 15])),
        ),
        (
            "a-ticket-request-id-of-17-octets",
            with_ticket(&mut client, |it| it["RequestID"] = binary(&[1; 17])),
        ),
        (
            "a-time-with-an-offset",
            with_session(&mut client, |it| {
                it["Time"] = "2020-03-10T12:00:00+01:00".into()
            }),
        ),
        (
            "no-credential-of-its-mode",
            with_session(&mut client, |it| it["Mode"] = "Service".into()),
        ),
    ];
    for (slug, envelope) in slug_and_envelope {
        let answer = send(&mut client, Form::Exchange, &envelope);
        bare(None, Code::Malformed, slug, &answer);
    }
    let mut without_salt = with_ticket(&mut client, |_| {});
    without_salt.header.salt = None;
    let answer = send(&mut client, Form::Ticket, &without_salt);
    bare(None, Code::Malformed, "a-ticket-without-salt", &answer);
    let response = with_session(&mut client, |_| {});
    let text = response.header.session.clone().unwrap();
    let session: Value = json::parse(text.as_slice()).unwrap();
    let members = serde_json::json!({"SessionResponse": {
        "Version": "mmm-kx-1",
        "RequestID": session["SessionExchange"]["RequestID"],
    }});
    let envelope = Envelope {
        header: Header {
            session: Some(Binary(json::write(&members))),
            ..response.header
        },
        ..response
    };
    let answer = send(&mut client, Form::Exchange, &envelope);
    bare(None, Code::Malformed, "the-session-of-a-response", &answer);
}

// X-60
#[test]
fn a_session_has_at_most_64_kib() {
    let (_service, mut client) = alices_service();
    let envelope = with_session(&mut client, |it| it["Padding"] = "x".repeat(65_536).into());
    let answer = send(&mut client, Form::Exchange, &envelope);
    bare(None, Code::TooLarge, "a-session-above-64-kib", &answer);
}

// ---- 2: the clock ----

// X-23
#[test]
fn a_clock_may_be_300_seconds_off_and_no_more() {
    let (_service, mut client) = alices_service();
    // A few seconds less than the window, for the time that the request is on its way.
    for seconds in [-295, 295] {
        let time = shifted(seconds);
        let how = Circumstances {
            time: Some(time),
            ..Circumstances::default()
        };
        client
            .by_ticket_as(&frames::status(), &how)
            .must_be(Code::Ok);
        client.exchange_as(&frames::status(), how).must_be(Code::Ok);
    }
    for (slug, seconds) in [
        ("a-clock-that-is-slow", -305),
        ("a-clock-that-is-fast", 305),
    ] {
        let how = Circumstances {
            time: Some(shifted(seconds)),
            ..Circumstances::default()
        };
        let answer = client.by_ticket_as(&frames::status(), &how);
        bare(None, Code::ClockSkew, slug, &answer);
        let answer = client.exchange_as(&frames::status(), how);
        answer.must_be(Code::ClockSkew);
        assert!(
            answer.http.header("date").is_some(),
            "the client corrects its clock by it"
        );
    }
}

fn shifted(seconds: i64) -> mesh_common::time::Timestamp {
    mesh_common::time::Timestamp::from_secs(now().as_secs() + seconds)
}

// ---- 3: ticket and host key ----

// X-20
#[test]
fn a_foreign_host_key_is_unknown() {
    let (_service, mut client) = alices_service();
    let other = ServiceKeys::generate(&mut entropy_of("another service"));
    client.service.host_key = other.authentication.public().clone();
    let answer = client.exchange(&frames::status());
    bare(
        None,
        Code::HostKeyUnknown,
        "the-key-of-another-service",
        &answer,
    );
}

// X-21/22
#[test]
fn a_ticket_that_is_none_is_invalid() {
    let (_service, mut client) = alices_service();
    let other_service = TestService::start();
    let other = Client::of_new_account(&other_service, &alice());
    let ours = client.ticket.clone().unwrap();
    let mut bodies = Vec::new();
    let flipped = |position: usize| {
        let mut ticket = ours.ticket.clone();
        ticket[position] ^= 1;
        ticket
    };
    for (slug, ticket) in [
        ("another-services-ticket", other.ticket.unwrap().ticket),
        ("a-ticket-of-another-version", flipped(0)),
        ("a-ticket-of-an-unknown-epoch", flipped(1)),
        (
            "a-ticket-with-one-bit-changed",
            flipped(ours.ticket.len() - 1),
        ),
        ("no-ticket-at-all", Vec::new()),
        ("a-ticket-above-1024-octets", vec![1; 1_025]),
    ] {
        client.ticket = Some(StoredTicket {
            ticket,
            ..ours.clone()
        });
        let answer = client.by_ticket(&frames::status());
        bare(None, Code::TicketInvalid, slug, &answer);
        bodies.push(answer.text);
    }
    bodies.dedup();
    assert_eq!(
        bodies.len(),
        1,
        "the answer does not say what is wrong with the ticket"
    );
}

// ---- 5 and 6: cipher and credential ----

// X-20, X-16, I-S-4.4-a, S-3.2-b
#[test]
fn whatever_fails_to_authenticate_gets_one_answer() {
    let (service, mut client) = alices_service();
    let mut attempts = forged_ciphers(&mut client);
    attempts.extend(forged_keys(&service));
    attempts.extend(forged_credentials(&service));
    let (_, first) = &attempts[0];
    bare(None, Code::AuthenticationFailed, "not-authenticated", first);
    for (what, answer) in &attempts {
        answer.must_be(Code::AuthenticationFailed);
        assert!(!answer.is_sealed, "{what}");
        assert_eq!(answer.text, first.text, "{what}");
    }
    assert_eq!(attempts.len(), 17);
}

/// Cipher texts and associated data that were changed.
fn forged_ciphers(client: &mut Client) -> Vec<(&'static str, Answer)> {
    let (mut exchange, _) = client.seal_exchange(STATUS, Circumstances::default());
    exchange.payload.0[0] ^= 1;
    let (mut ticket, _) = client.seal_ticket(STATUS, &Circumstances::default());
    ticket.payload.0[0] ^= 1;
    let (mut salt, _) = client.seal_ticket(STATUS, &Circumstances::default());
    salt.header.salt.as_mut().unwrap().0[0] ^= 1;
    let (mut short, _) = client.seal_ticket(STATUS, &Circumstances::default());
    short.payload.0.truncate(3);
    let account = with_session(client, |it| it["Account"] = "bob@example.com".into());
    let blank = with_session(client, |it| it["Unknown"] = Value::Null);
    let request_id = with_ticket(client, |it| it["RequestID"] = binary(&[9; 16]));
    let forged = [
        ("the cipher text of an exchange", exchange),
        ("the cipher text of a ticket request", ticket),
        ("the salt of a ticket request", salt),
        ("a cipher text shorter than its tag", short),
        ("the account in the associated data", account),
        ("a member added to the associated data", blank),
        ("the request id of a ticket request", request_id),
    ];
    forged
        .into_iter()
        .map(|(what, envelope)| (what, send(client, Form::Exchange, &envelope)))
        .collect()
}

/// Ephemeral keys that are no points, or points of small order.
fn forged_keys(service: &TestService) -> Vec<(&'static str, Answer)> {
    let mut client = Client::new(service, alice().device.as_connected());
    let mut identity = [0; 57];
    identity[0] = 1;
    let mut order_two = [0xff; 57];
    order_two[0] = 0xfe;
    order_two[28] = 0xfe;
    order_two[56] = 0;
    let mut off_curve = [0; 57];
    off_curve[0] = 2;
    let forged = [
        ("no octets", Vec::new()),
        ("the neutral point", identity.to_vec()),
        ("the point of order two", order_two.to_vec()),
        ("a coordinate that is not reduced", vec![0xff; 57]),
        ("off the curve or not", off_curve.to_vec()),
        ("an X448 key", vec![5; 56]),
    ];
    forged
        .into_iter()
        .map(|(what, octets)| {
            let envelope = with_session(&mut client, |it| it["Ephemeral"] = binary(&octets));
            (what, send(&mut client, Form::Exchange, &envelope))
        })
        .collect()
}

/// Credentials that nobody vouches for.
fn forged_credentials(service: &TestService) -> Vec<(&'static str, Answer)> {
    let alice = alice();
    let mallet = mallet();
    // Mallet's own mesh says that he is connected, to alice's account.
    let foreign = mallet.device.as_connected_to(&alice.address);
    // Alice's connection, which is public, without the secret of its key.
    let borrowed = ClientIdentity::connected_to_account(
        alice.device.entry.accounts[0]
            .enveloped_connection_account
            .clone()
            .unwrap(),
        None,
        mallet.device.in_account.authentication.clone(),
        alice.address.clone(),
    );
    let unknown = bob().device.as_connected();
    let unsigned = ClientIdentity::device(
        Envelope::plain(mallet.device.profile.payload.as_slice()),
        mallet.device.keys.authentication.clone(),
        Some(mallet.address.clone()),
    );
    [
        ("a connection of another account", foreign),
        ("a connection without its secret", borrowed),
        ("a device of an account that is not here", unknown),
        ("an unsigned profile", unsigned),
    ]
    .into_iter()
    .map(|(what, identity)| {
        let answer = Client::new(service, identity).exchange(&frames::status());
        (what, answer)
    })
    .collect()
}

#[test]
fn an_x448_key_cannot_be_used_in_an_exchange() {
    let (service, _client) = alices_service();
    let mut entropy = entropy_of("a device of April 2020");
    let keys = DeviceKeys::generate(&mut entropy);
    // 56 octets, and one for the sign of the other coordinate (service §2.5).
    let mut octets = [7; 57];
    octets[56] = 0;
    let x448 = PublicKey::from_octets(Curve::X448, &octets).unwrap();
    let profile = ProfileDevice {
        key_offline_signature: Some(KeyData::of(keys.signature.public())),
        key_authentication: Some(KeyData::of(&x448)),
        ..ProfileDevice::default()
    };
    let profile = Envelope::signed(profile.to_json(), Header::default(), &[&keys.signature]);
    let mut client = Client::new(&service, alice().device.as_device());
    let envelope = with_session(&mut client, |it| {
        it["Credential"]["EnvelopedProfileDevice"] = serde_json::to_value(&profile).unwrap();
    });
    let answer = send(&mut client, Form::Exchange, &envelope);
    bare(None, Code::InvalidProfile, "an-x448-key", &answer);
}

// ---- The plaintext, and from check 7 on: sealed ----

// P-4.5-a, P-4.4-a
#[test]
fn a_sealed_text_that_is_no_request_is_refused_sealed() {
    let (_service, mut client) = alices_service();
    for (slug, code, text) in [
        ("sealed-no-json", Code::Malformed, &b"hello"[..]),
        (
            "sealed-unknown-tag",
            Code::UnknownOperation,
            br#"{"Publish":{}}"#,
        ),
        (
            "sealed-second-member",
            Code::Malformed,
            br#"{"Status":{},"Hello":{}}"#,
        ),
        ("sealed-json-b", Code::Encoding, b"{\x80\x06Status{}}"),
    ] {
        let (envelope, pending) = client.seal_ticket(text, &Circumstances::default());
        let answer = client.send(Form::Ticket, text.to_vec(), &envelope, &pending);
        assert!(answer.is_sealed);
        crate::shown(None, code, slug, &answer);
    }
}

fn status_with(change: impl FnOnce(&mut StatusRequest)) -> Request {
    let mut request = StatusRequest::default();
    change(&mut request);
    Request::Status(request)
}

// X-23
#[test]
fn the_id_of_a_request_is_its_request_id() {
    let (_service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([3; 16]),
        ..Circumstances::default()
    };
    let other = status_with(|request| request.id = Some(Binary(vec![4; 16])));
    let answer = client.by_ticket_as(&other, &how);
    let slug = "an-id-that-is-not-the-request-id";
    sealed(Transaction::Status, Code::Malformed, slug, &answer);
    let same = status_with(|request| request.id = Some(Binary(vec![3; 16])));
    let answer = client.by_ticket_as(&same, &how);
    assert_eq!(
        answer.must_be(Code::Ok).outcome().id,
        Some(Binary(vec![3; 16]))
    );
}

#[test]
fn session_and_request_name_one_account() {
    let (_service, mut client) = alices_service();
    let other = status_with(|request| request.account = Some(bob().address));
    let slug = "for-another-account-than-the-session";
    sealed(
        Transaction::Status,
        Code::NotAuthorized,
        slug,
        &client.by_ticket(&other),
    );
    client.exchange(&other).must_be(Code::NotAuthorized);
    let own = status_with(|request| request.account = Some("ALICE@Example.COM".into()));
    client.by_ticket(&own).must_be(Code::Ok);
}

// I-S-4.4-b
#[test]
fn a_mode_that_may_not_is_told_so() {
    let (service, _client) = alices_service();
    let mut entropy = entropy_of("a service elsewhere");
    let keys = ServiceKeys::generate(&mut entropy);
    let identity = ClientIdentity::service(
        keys.profile(now()),
        None,
        "example.org".into(),
        keys.authentication.clone(),
    );
    let mut peer = Client::new(&service, identity);
    let answer = peer.exchange(&frames::status());
    sealed(
        Transaction::Status,
        Code::NotAuthorized,
        "as-a-service",
        &answer,
    );
    let answer = peer.exchange(&frames::upload(frames::BOOKMARKS, frames::catalog(1)));
    sealed(
        Transaction::Upload,
        Code::NotAuthorized,
        "as-a-service",
        &answer,
    );
    let hello = Request::Hello(HelloRequest::default());
    let answer = peer.exchange(&hello);
    sealed(Transaction::Hello, Code::Ok, "as-a-service", &answer);
    assert!(answer.ticket.is_some(), "a service gets a ticket");
    let request: Request =
        json::parse(br#"{"Complete":{"ServiceID":"alice@example.com"}}"#).unwrap();
    let mut connected = Client::new(&service, alice().device.as_connected());
    let answer = connected.exchange(&request);
    sealed(
        Transaction::Complete,
        Code::NotAuthorized,
        "as-a-connected-device",
        &answer,
    );
}

// X-16, I-P-10.11.1-a
#[test]
fn a_device_that_is_not_connected_may_do_nothing_here() {
    let (service, _client) = alices_service();
    // Mallet's device speaks for itself, and names alice's account, then one that is not here.
    let mut answers = Vec::new();
    for address in [alice().address, bob().address] {
        let device = mallet().device;
        let identity = ClientIdentity::device(
            device.profile.clone(),
            device.keys.authentication.clone(),
            Some(address),
        );
        let mut client = Client::new(&service, identity);
        let download = client.exchange(&frames::download(frames::BOOKMARKS));
        sealed(
            Transaction::Download,
            Code::NotAuthorized,
            "as-a-strange-device",
            &download,
        );
        let upload = client.exchange(&frames::upload(frames::BOOKMARKS, frames::catalog(1)));
        sealed(
            Transaction::Upload,
            Code::NotAuthorized,
            "as-a-strange-device",
            &upload,
        );
        let status = client.exchange(&frames::status());
        sealed(
            Transaction::Status,
            Code::NotFound,
            "as-a-strange-device",
            &status,
        );
        answers.push([download.text, upload.text, status.text]);
    }
    assert_eq!(
        answers[0], answers[1],
        "who is here and who is not looks the same"
    );
}

// X-21/22
#[test]
fn a_ticket_bound_to_no_account_allows_hello_only() {
    let (service, _client) = alices_service();
    let device = mallet().device;
    let identity = ClientIdentity::device(
        device.profile.clone(),
        device.keys.authentication.clone(),
        None,
    );
    let mut client = Client::new(&service, identity);
    let hello = Request::Hello(HelloRequest::default());
    client.exchange(&hello).must_be(Code::Ok);
    assert!(client.ticket.is_some());
    let answer = client.by_ticket(&hello);
    sealed(
        Transaction::Hello,
        Code::Ok,
        "by-a-ticket-bound-to-no-account",
        &answer,
    );
    let named = status_with(|request| request.account = Some(alice().address));
    let answer = client.by_ticket(&named);
    let slug = "by-a-ticket-bound-to-no-account";
    sealed(Transaction::Status, Code::NotAuthorized, slug, &answer);
}

// X-23
#[test]
fn a_request_id_is_used_for_one_request() {
    let (_service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([8; 16]),
        ..Circumstances::default()
    };
    let first = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    let stored = client.by_ticket_as(&first, &how);
    stored.must_be(Code::Ok);
    let again = client.by_ticket_as(&first, &how);
    assert_eq!(again.text, stored.text, "the stored answer, newly sealed");
    assert_ne!(again.http.body, stored.http.body);
    let entry = frames::event(2, "New", "entry-2", b"another");
    let other = frames::upload(frames::BOOKMARKS, vec![entry]);
    let answer = client.by_ticket_as(&other, &how);
    sealed(
        Transaction::Upload,
        Code::Replay,
        "the-request-id-of-another-request",
        &answer,
    );
    let count = client.ask(&frames::status()).count_of(frames::BOOKMARKS);
    assert_eq!(count, Some(2));
}

// X-21/22
#[test]
fn a_deleted_device_is_refused_on_its_next_request() {
    let (service, mut client) = alices_service();
    let phone = alice().another_device("phone", &[]);
    let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let mut on_phone = Client::of_device(&service, &phone);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    assert!(on_phone.ticket.is_some());
    let deleted = frames::event(3, "Delete", &phone.udf(), b"");
    client
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    let slug = "as-a-deleted-device";
    let code = Code::DeviceRevoked;
    sealed(
        Transaction::Status,
        code,
        slug,
        &on_phone.by_ticket(&frames::status()),
    );
    let download = on_phone.by_ticket(&frames::download(frames::DEVICES));
    sealed(Transaction::Download, code, slug, &download);
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    sealed(
        Transaction::Upload,
        code,
        slug,
        &on_phone.by_ticket(&upload),
    );
    let deletion: Request = json::parse(br#"{"DeleteAccount":{}}"#).unwrap();
    sealed(
        Transaction::DeleteAccount,
        code,
        slug,
        &on_phone.by_ticket(&deletion),
    );
    let exchanged = on_phone.exchange(&frames::status());
    assert!(
        exchanged.must_be(code).ticket.is_none(),
        "and gets no ticket (decision Q-56)"
    );
}
