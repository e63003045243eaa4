//! What happens when there is too much of something: requests, failures, work, octets, time
//! (service §8, X-60, P 9.1.2.1).

use mesh_common::protocol::{Code, Transaction};
use mesh_tests::client::bare as say;
use mesh_tests::wire::{Connection, Framing, HttpRequest};
use mesh_tests::{Answer, Client, TestService, alice, bob, connecting, frames, mallet};

use crate::{refused, sealed};

const HELLO: &[u8] = br#"{"Hello":{}}"#;

// X-60, P-9.1.2.1-a
#[test]
fn a_device_that_asks_too_often_waits() {
    let service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.device_per_second = 1;
        config.limits.rate.device_burst = 4;
    });
    let mut client = Client::of_new_account(&service, &alice());
    client.by_ticket(&frames::status()).must_be(Code::Ok);
    let refusal = (0..100)
        .map(|_| client.by_ticket(&frames::status()))
        .find(|answer| answer.code() != Some(Code::Ok))
        .unwrap();
    sealed(
        Transaction::Status,
        Code::RateLimited,
        "too-many-requests",
        &refusal,
    );
    let wait: u64 = refusal.http.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    // Another device of this service is not concerned.
    let mut bobs = Client::of_new_account(&service, &bob());
    bobs.by_ticket(&frames::status()).must_be(Code::Ok);
}

// X-60
#[test]
fn a_source_makes_so_many_accounts_an_hour() {
    let service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.create_per_hour = 1;
    });
    let mut alices = Client::of_new_account(&service, &alice());
    let bob = bob();
    let mut bobs = Client::new(&service, bob.device.as_device());
    let answer = bobs.create_account(&bob);
    let slug = "too-many-accounts";
    sealed(Transaction::CreateAccount, Code::RateLimited, slug, &answer);
    alices.by_ticket(&frames::status()).must_be(Code::Ok);
}

// P-9.1.2.1-c
#[test]
fn a_source_that_fails_too_often_is_paused() {
    let service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.failed_authentication_per_minute = 3;
    });
    let mut alices = Client::of_new_account(&service, &alice());
    let mut mallets = Client::new(&service, mallet().device.as_connected());
    for _ in 0..4 {
        mallets
            .exchange(&frames::status())
            .must_be(Code::AuthenticationFailed);
    }
    let refusal = mallets.exchange(&frames::status());
    crate::bare(None, Code::RateLimited, "too-many-failures", &refusal);
    let wait: u64 = refusal.http.header("retry-after").unwrap().parse().unwrap();
    assert!((600..=631).contains(&wait), "{wait}");
    // The pause is for the address, whoever speaks from there; a Hello is free.
    alices
        .by_ticket(&frames::status())
        .must_be(Code::RateLimited);
    say(&mut service.connect(), HELLO).must_be(Code::Ok);
}

/// A request whose body does not end: it is in work now, and stays so for as long as the connection
/// is open.
pub(crate) fn unfinished(service: &TestService) -> Connection {
    let mut connection = service.connect();
    let request = HttpRequest::post(HELLO).framing(Framing::Announce(100));
    connection.write(&request.octets()).unwrap();
    // Nobody else asks meanwhile, so it is this request that is seen, and none takes its place.
    while service.measured("mesh_frontend_requests_in_flight", "") < 1.0 {
        std::thread::yield_now();
    }
    connection
}

// P-9.1.2.1-a
#[test]
fn too_many_requests_in_work_are_shed() {
    let service = TestService::with(|config| config.frontend.in_flight_max = 1);
    let hello = HttpRequest::post(HELLO);
    let mut connection = service.connect();
    assert_eq!(connection.send(&hello).status, 201);
    let _held = unfinished(&service);
    let reply = connection.send(&hello);
    refused(Code::Overload, "all-places-taken", &hello, &reply);
}

// P-9.1.2.1-a, X-60
#[test]
fn creation_and_writing_are_shed_before_reading() {
    let service = TestService::with(|config| config.frontend.in_flight_max = 2);
    let mut client = Client::of_new_account(&service, &alice());
    let bob = bob();
    let mut bobs = Client::new(&service, bob.device.as_device());
    let _held = unfinished(&service);
    let nothing = frames::upload_all(Vec::new(), Vec::new());
    let refusal = client.by_ticket(&nothing);
    sealed(
        Transaction::Upload,
        Code::Overload,
        "half-of-the-places-taken",
        &refusal,
    );
    let answer = bobs.create_account(&bob);
    let slug = "half-of-the-places-taken";
    sealed(Transaction::CreateAccount, Code::Overload, slug, &answer);
    let asked = connecting::request(&bob.device, &bob.address, "one");
    let answer = bobs.exchange(&connecting::connect(asked));
    sealed(Transaction::Connect, Code::Overload, slug, &answer);
    client.by_ticket(&frames::status()).must_be(Code::Ok);
    client
        .by_ticket(&frames::download("mmm_Inbound"))
        .must_be(Code::Ok);
}

// X-60
#[test]
fn an_account_has_its_quota() {
    let service = TestService::with(|config| {
        config.backend.policy.account_bytes_max = 2 * 1024 * 1024;
        config.backend.policy.frames_per_container_max = 20;
        config.backend.policy.containers_per_account_max = 6;
    });
    let mut client = Client::of_new_account(&service, &alice());
    // 20 frames are taken, the 21st is not.
    client
        .ask(&frames::upload("mmm_Task", frames::catalog(19)))
        .must_be(Code::Ok);
    let next = frames::event(20, "New", "entry-20", b"x");
    let answer = client.ask(&frames::upload("mmm_Task", vec![next]));
    let code = Code::QuotaExceeded;
    sealed(Transaction::Upload, code, "the-last-frame-but-one", &answer);
    // Three spools and three catalogs are six containers.
    client
        .ask(&frames::upload("mmm_Network", frames::catalog(1)))
        .must_be(Code::Ok);
    client
        .ask(&frames::upload("mmm_Contact", frames::catalog(0)))
        .must_be(Code::Ok);
    let answer = client.ask(&frames::upload("mmm_Credential", frames::catalog(0)));
    sealed(Transaction::Upload, code, "the-seventh-container", &answer);
    let large = |index: u64| {
        let id = format!("large-{index}");
        frames::event(index, "New", &id, &vec![7; 256 * 1024])
    };
    let answers: Vec<Answer> = (1..=9)
        .map(|index| client.ask(&frames::upload("mmm_Contact", vec![large(index)])))
        .collect();
    answers[0].must_be(Code::Ok);
    let refusal = answers
        .iter()
        .find(|answer| answer.code() != Some(Code::Ok))
        .unwrap();
    sealed(Transaction::Upload, code, "octets-above-the-quota", refusal);
    // What gives space back is taken.
    let deleted = frames::event(1, "Delete", "large-1", b"");
    let count = client
        .ask(&frames::status())
        .count_of("mmm_Contact")
        .unwrap();
    client
        .ask(&frames::upload(
            "mmm_Contact",
            vec![frames::at(count, deleted)],
        ))
        .must_be(Code::Ok);
}

// P-9.1.2.1-b, X-60
#[test]
fn a_body_that_does_not_come_ends_the_request() {
    let service = TestService::with(|config| config.http.request_ms = 250);
    let request = HttpRequest::post(HELLO).framing(Framing::Announce(100));
    let mut connection = service.connect();
    connection.write(&request.octets()).unwrap();
    let reply = connection.reply(false);
    refused(Code::Timeout, "a-body-that-does-not-come", &request, &reply);
    // The rest of the body was not read, so the connection closes.
    assert!(connection.is_closed_by_peer());
}

// P-9.1.2.1-b
#[test]
fn a_body_in_chunks_that_does_not_end_ends_the_connection() {
    let service = TestService::with(|config| config.http.request_ms = 250);
    let request = HttpRequest::post(HELLO).framing(Framing::Chunked(4));
    let octets = request.octets();
    let mut connection = service.connect();
    connection
        .write(&octets[..octets.len() - b"0\r\n\r\n".len()])
        .unwrap();
    let reply = connection.reply(false);
    assert_eq!(reply.status, 408);
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(connection.is_closed_by_peer());
}
