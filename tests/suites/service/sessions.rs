//! Exchanges and tickets over time (service §4, X-20 to X-23, decisions Q-1, Q-38, Q-44, Q-52).

use std::fs;
use std::path::Path;
use std::time::Duration;

use mesh_common::dare::Envelope;
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::entropy::draw;
use mesh_common::protocol::{Code, HelloRequest, Request};
use mesh_common::session::client::{ClientSession, Step, StoredTicket};
use mesh_common::session::{Epoch, Ticket, TicketKeys};
use mesh_common::time::Timestamp;
use mesh_tests::client::{Circumstances, now};
use mesh_tests::people::entropy_of;
use mesh_tests::wire::HttpRequest;
use mesh_tests::{
    Client, Domains, ELSEWHERE, ForeignService, Form, TestService, alice, bob, frames, mallet,
};
use serde_json::{Map, Value};

use crate::{alices_service, with_phone};

const HOUR: Duration = Duration::from_secs(3_600);

// ---- Modes ----

// P-4.3-a, I-P-4.3.3-a, I-P-4.3.4-a
#[test]
fn an_exchange_in_each_mode_yields_a_ticket_that_works() {
    let service = TestService::with_domains(&Domains::elsewhere(), |_| {});
    let _client = Client::of_new_account_with_device(&service, &alice());
    let device = alice().device;
    for identity in [device.as_connected(), device.as_connected_to_mesh()] {
        let mut client = Client::new(&service, identity);
        client.exchange(&frames::status()).must_be(Code::Ok);
        client.by_ticket(&frames::status()).must_be(Code::Ok);
    }
    let hello = Request::Hello(HelloRequest::default());
    let mut as_device = Client::new(&service, mallet().device.as_device());
    as_device.exchange(&hello).must_be(Code::Ok);
    as_device.by_ticket(&hello).must_be(Code::Ok);
    let mut as_service = ForeignService::of(ELSEWHERE).client(&service);
    as_service.exchange(&hello).must_be(Code::Ok);
    as_service.by_ticket(&hello).must_be(Code::Ok);
}

#[test]
fn a_ticket_lives_as_long_as_its_mode_says() {
    let (service, mut client) = alices_service();
    let hours = |ticket: &StoredTicket| {
        let left = ticket.expires.since(now()).as_secs() + 30;
        left / HOUR.as_secs()
    };
    client.exchange(&frames::status()).must_be(Code::Ok);
    assert_eq!(hours(client.ticket.as_ref().unwrap()), 24);
    let mut as_device = Client::new(&service, mallet().device.as_device());
    let hello = Request::Hello(HelloRequest::default());
    as_device.exchange(&hello).must_be(Code::Ok);
    assert_eq!(hours(as_device.ticket.as_ref().unwrap()), 1);
}

// ---- Tickets over time ----

/// The secrets that tickets are sealed under, as the service keeps them.
fn ticket_keys(data: &Path, client: &Client) -> TicketKeys {
    let mut keys = TicketKeys::new(client.service.service_udf.clone());
    for (epoch, secret) in kept_secrets(data) {
        let secret: Binary = serde_json::from_value(secret).unwrap();
        let secret: [u8; 32] = secret.as_slice().try_into().unwrap();
        keys.insert(Epoch(epoch.parse().unwrap()), secret.into());
    }
    keys
}

fn kept_secrets(data: &Path) -> Map<String, Value> {
    let text = fs::read(data.join("identity/ticket-keys.json")).unwrap();
    let kept: Value = serde_json::from_slice(&text).unwrap();
    kept["epochs"].as_object().unwrap().clone()
}

fn keep_secrets(data: &Path, secrets: Map<String, Value>) {
    let text = json::write(&serde_json::json!({"epochs": secrets}));
    fs::write(data.join("identity/ticket-keys.json"), text).unwrap();
}

/// Gives the service the secrets of the two epochs before this one, as if it had run then.
fn with_a_past(service: &mut TestService) {
    service.restart_after(|data| {
        let Epoch(current) = Epoch::at(now());
        let mut secrets = kept_secrets(data);
        for past in [current - 2, current - 1] {
            let secret: [u8; 32] = draw(&mut entropy_of(&past.to_string()));
            let secret = serde_json::to_value(Binary(secret.to_vec())).unwrap();
            secrets.insert(past.to_string(), secret);
        }
        keep_secrets(data, secrets);
    });
}

/// The client's ticket as it would be if it had been issued at another time.
fn issued_at(service: &TestService, client: &Client, time: Timestamp) -> StoredTicket {
    let keys = ticket_keys(service.data_dir(), client);
    let stored = client.ticket.clone().unwrap();
    let opened = keys.open(&stored.ticket, now()).unwrap();
    let ticket = Ticket::new(opened.secret.clone(), opened.caller.clone(), time);
    let sealed = keys.seal(&ticket, time, &mut entropy_of("a ticket"));
    StoredTicket {
        ticket: sealed.unwrap(),
        expires: ticket.expires,
        ..stored
    }
}

// X-21/22, I-P-4.3.4-a
#[test]
fn a_ticket_outlives_a_restart() {
    let (mut service, mut client) = alices_service();
    service.restart_after(|_| {});
    client.connection = service.connect();
    client.by_ticket(&frames::status()).must_be(Code::Ok);
}

// X-21/22, I-P-4.3.4-a
#[test]
fn a_ticket_of_the_epoch_before_is_good_until_it_expires() {
    let (mut service, mut client) = alices_service();
    with_a_past(&mut service);
    client.connection = service.connect();
    client.ticket = Some(issued_at(&service, &client, now() - 23 * HOUR));
    client.by_ticket(&frames::status()).must_be(Code::Ok);
    client.ticket = Some(issued_at(&service, &client, now() - 24 * HOUR - HOUR / 60));
    client
        .by_ticket(&frames::status())
        .must_be(Code::TicketInvalid);
    client.ticket = Some(issued_at(
        &service,
        &client_with_ticket(&service),
        now() - 47 * HOUR,
    ));
    client
        .by_ticket(&frames::status())
        .must_be(Code::TicketInvalid);
}

/// Alice's device with a new ticket.
fn client_with_ticket(service: &TestService) -> Client {
    let mut client = Client::new(service, alice().device.as_connected());
    client.exchange(&frames::status()).must_be(Code::Ok);
    client
}

// X-21/22
#[test]
fn a_ticket_past_half_its_life_is_renewed() {
    let (mut service, mut client) = alices_service();
    let answer = client.by_ticket(&frames::status());
    assert!(answer.ticket.is_none(), "not before");
    with_a_past(&mut service);
    client.connection = service.connect();
    client.ticket = Some(issued_at(&service, &client, now() - 13 * HOUR));
    let old = client.ticket.clone().unwrap();
    let answer = client.by_ticket(&frames::status());
    let renewed = answer.must_be(Code::Ok).ticket.clone().unwrap();
    assert!(renewed.expires > old.expires);
    assert_eq!(
        renewed.secret, old.secret,
        "a new ticket for the same secret"
    );
    client.by_ticket(&frames::status()).must_be(Code::Ok);
    client.ticket = Some(old);
    client.by_ticket(&frames::status()).must_be(Code::Ok);
}

// X-21/22
#[test]
fn lost_secrets_cost_one_exchange() {
    let (mut service, mut client) = alices_service();
    service.restart_after(|data| fs::remove_file(data.join("identity/ticket-keys.json")).unwrap());
    client.connection = service.connect();
    client
        .by_ticket(&frames::status())
        .must_be(Code::TicketInvalid);
    client.exchange(&frames::status()).must_be(Code::Ok);
    client.by_ticket(&frames::status()).must_be(Code::Ok);
}

// X-21/22
#[test]
fn a_ticket_is_for_one_account() {
    let (service, mut client) = alices_service();
    let mut bobs = Client::of_new_account(&service, &bob());
    let of_alice: Request = json::parse(br#"{"Status":{"Account":"alice@example.com"}}"#).unwrap();
    bobs.by_ticket(&of_alice).must_be(Code::NotAuthorized);
    client.by_ticket(&of_alice).must_be(Code::Ok);
}

// X-21/22, I-P-4.3.4-a
#[test]
fn a_deleted_device_is_refused_though_its_ticket_is_new() {
    let (service, mut client) = alices_service();
    let (phone, mut on_phone) = with_phone(&service, &mut client);
    on_phone.exchange(&frames::status()).must_be(Code::Ok);
    let deleted = frames::event(3, "Delete", &phone.udf(), b"");
    client
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    let refused = on_phone.by_ticket(&frames::status());
    assert!(refused.must_be(Code::DeviceRevoked).is_sealed);
}

// X-24
#[test]
fn a_device_ticket_of_the_bootstrap_device_ends_with_the_first_entry() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_device());
    client.create_account(&alice).must_be(Code::Ok);
    let own = vec![frames::first(), alice.device.frame(1, "New")];
    client
        .by_ticket(&frames::upload(frames::DEVICES, own))
        .must_be(Code::Ok);
    // Its own entry is all it is told from now on, as any device in this mode (decision Q-44).
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    client.by_ticket(&upload).must_be(Code::NotAuthorized);
    let status = client.by_ticket(&frames::status());
    let status = status.must_be(Code::Ok).status().clone();
    assert!(status.container_status.is_empty());
    assert!(status.enveloped_catalog_entry_device.is_some());
}

// ---- Replay ----

// X-23
#[test]
fn a_replayed_reading_gives_an_answer_only_its_sender_can_open() {
    let (_service, mut client) = alices_service();
    let (envelope, pending) = client.seal_ticket(br#"{"Status":{}}"#, &Circumstances::default());
    let first = client.send(Form::Ticket, Vec::new(), &envelope, &pending);
    let again = client.send(Form::Ticket, Vec::new(), &envelope, &pending);
    assert_eq!(first.must_be(Code::Ok).text, again.must_be(Code::Ok).text);
    assert_ne!(first.http.body, again.http.body, "sealed under another key");
    // Each answer opens with its own salt only: the bodies cannot be exchanged piece by piece.
    let mut mixed: Envelope = json::parse(&first.http.body).unwrap();
    let other: Envelope = json::parse(&again.http.body).unwrap();
    mixed.payload = other.payload;
    assert!(pending.open_sealed(&mixed).is_err());
}

// X-23
#[test]
fn a_write_that_is_sent_again_after_a_restart_gets_its_stored_answer() {
    let (mut service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([7; 16]),
        ..Circumstances::default()
    };
    let request = frames::upload(frames::BOOKMARKS, frames::catalog(2));
    let first = client.by_ticket_as(&request, &how);
    service.restart_after(|_| {});
    client.connection = service.connect();
    let again = client.by_ticket_as(&request, &how);
    assert_eq!(again.must_be(Code::Ok).text, first.must_be(Code::Ok).text);
    let other = frames::upload("mmm_Task", frames::catalog(1));
    client.by_ticket_as(&other, &how).must_be(Code::Replay);
    assert_eq!(
        client.ask(&frames::status()).count_of(frames::BOOKMARKS),
        Some(3)
    );
}

// X-23
#[test]
fn a_refused_write_may_be_sent_again_under_its_id() {
    let (_service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([7; 16]),
        ..Circumstances::default()
    };
    let early = frames::upload(
        frames::BOOKMARKS,
        vec![frames::event(1, "New", "entry-1", b"too early")],
    );
    let refused = client.by_ticket_as(&early, &how);
    assert_ne!(refused.code(), Some(Code::Ok));
    let right = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    client.by_ticket_as(&right, &how).must_be(Code::Ok);
}

// ---- What the client does ----

// P-4.3-b, X-20
#[test]
fn an_answer_with_one_bit_changed_is_not_believed() {
    let (_service, mut client) = alices_service();
    let (envelope, pending) = client.seal_exchange(br#"{"Status":{}}"#, Circumstances::default());
    let reply = client
        .connection
        .send(&HttpRequest::post(json::write(&envelope)));
    let answer: Envelope = json::parse(&reply.body).unwrap();
    assert!(pending.open_sealed(&answer).is_ok());
    let mut tag = answer.clone();
    *tag.payload.0.last_mut().unwrap() ^= 1;
    assert!(pending.open_sealed(&tag).is_err());
    let mut session = answer.clone();
    let text = session.header.session.as_mut().unwrap();
    text.0.extend_from_slice(b" ");
    assert!(pending.open_sealed(&session).is_err());
    let (_, other) = client.seal_exchange(br#"{"Status":{}}"#, Circumstances::default());
    assert!(
        other.open_sealed(&answer).is_err(),
        "the answer to another request"
    );
}

/// Carries one request through a session with second tries; how many requests it took.
fn carried(client: &mut Client, session: &mut ClientSession, clock: i64) -> (usize, Code) {
    let now = || Timestamp::from_secs(now().as_secs() + clock);
    let mut attempt = session.begin(&frames::status(), &mut client.entropy);
    for tries in 1.. {
        let envelope = session
            .seal(&mut attempt, now(), &mut client.entropy)
            .unwrap();
        let reply = client
            .connection
            .send(&HttpRequest::post(json::write(&envelope)));
        let date = reply.header("date").map(date_of);
        match session
            .receive(&mut attempt, &reply.body, date, now())
            .unwrap()
        {
            Step::SendAgain => {}
            Step::Done(response) | Step::Refused(response) => {
                return (tries, response.outcome().code().unwrap());
            }
            Step::HelloFirst => panic!("the host key is the present one"),
        }
    }
    unreachable!("a session ends after few tries")
}

/// The moment that HTTP's `Date` names, to the second.
fn date_of(text: &str) -> Timestamp {
    let parts: Vec<&str> = text.split(' ').collect();
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|month| *month == parts[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", parts[3], parts[1], parts[4])
        .parse()
        .unwrap()
}

// X-17
#[test]
fn a_wrong_clock_is_corrected_by_the_date_of_the_refusal() {
    let (_service, mut client) = alices_service();
    let mut session = ClientSession::new(client.service.clone(), alice().device.as_connected());
    assert_eq!(carried(&mut client, &mut session, -86_400), (2, Code::Ok));
    assert_eq!(carried(&mut client, &mut session, -86_400), (1, Code::Ok));
}

// X-17
#[test]
fn a_ticket_that_is_not_good_any_more_costs_one_exchange() {
    let (mut service, mut client) = alices_service();
    let mut session = ClientSession::new(client.service.clone(), alice().device.as_connected());
    assert_eq!(carried(&mut client, &mut session, 0), (1, Code::Ok));
    service.restart_after(|data| fs::remove_file(data.join("identity/ticket-keys.json")).unwrap());
    client.connection = service.connect();
    assert_eq!(carried(&mut client, &mut session, 0), (2, Code::Ok));
    // Somebody who is refused for good does not try for ever.
    let mut foreign = ClientSession::new(client.service.clone(), bob().device.as_connected());
    assert_eq!(
        carried(&mut client, &mut foreign, 0),
        (1, Code::AuthenticationFailed)
    );
}
