//! Exchanges and tickets that are not as they should be: checks 1 to 6 of service §4.4, whose
//! refusals are in bare form (decision Q-1).

use mesh_common::assertion::make::{DeviceKeys, ServiceKeys};
use mesh_common::assertion::{Assertion, ProfileDevice};
use mesh_common::crypto::{Curve, KeyData, PublicKey};
use mesh_common::dare::{Envelope, Header};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::Code;
use mesh_common::session::client::{ClientIdentity, StoredTicket};
use mesh_tests::client::{Answer, Circumstances, bare as say, now};
use mesh_tests::people::entropy_of;
use mesh_tests::{Client, Form, TestService, alice, bob, frames, mallet};
use serde_json::Value;

use crate::{alices_service, bare};

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
        Some(mallet.address),
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
