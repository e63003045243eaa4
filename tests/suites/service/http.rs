//! HTTP/1.1 as any client may speak it, and the status it mirrors (service §2, P 4.2.2, X-11).

use mesh_common::protocol::Code;
use mesh_common::session::ClientSession;
use mesh_tests::client::bare;
use mesh_tests::wire::{Framing, HttpRequest};
use mesh_tests::{Client, TestService, bob, frames};

use crate::alices_service;

const HELLO: &str = r#"{"Hello":{}}"#;

// P-4.2.2-a
#[test]
fn a_body_may_have_a_length_or_come_in_chunks() {
    let service = TestService::start();
    let mut connection = service.connect();
    let whole = connection.send(&HttpRequest::post(HELLO));
    assert_eq!(whole.status, 201);
    for size in [1, 5, 4_096] {
        let chunked = HttpRequest::post(HELLO).framing(Framing::Chunked(size));
        assert_eq!(
            connection.send(&chunked).body,
            whole.body,
            "chunks of {size}"
        );
    }
}

// P-4.2.2-a
#[test]
fn a_connection_serves_many_requests_until_it_is_told_to_close() {
    let service = TestService::start();
    let mut connection = service.connect();
    for _ in 0..50 {
        assert_eq!(connection.send(&HttpRequest::post(HELLO)).status, 201);
    }
    let last = connection.send(&HttpRequest::post(HELLO).header("Connection", "close"));
    assert_eq!(last.status, 201);
    assert!(connection.is_closed_by_peer());
}

// P-4.2.2-a
#[test]
fn a_client_that_asks_first_is_told_to_continue() {
    let service = TestService::start();
    let mut connection = service.connect();
    let request = HttpRequest::post(HELLO).header("Expect", "100-continue");
    connection.write(&request.head()).unwrap();
    assert_eq!(connection.reply(false).status, 100);
    connection.write(&request.body).unwrap();
    assert_eq!(connection.reply(false).status, 201);
}

// P-4.2.2-a, I-P-10-a
#[test]
fn pipelined_requests_are_answered_one_by_one_in_their_order() {
    let service = TestService::start();
    let mut connection = service.connect();
    let requests = [
        HELLO,
        r#"{"Status":{}}"#,
        "{",
        r#"{"Hello":{"ID":"BwcHBwcHBwcHBwcHBwcHBw"}}"#,
    ];
    let octets: Vec<u8> = requests
        .iter()
        .flat_map(|body| HttpRequest::post(*body).octets())
        .collect();
    connection.write(&octets).unwrap();
    let statuses: Vec<u16> = requests
        .iter()
        .map(|_| connection.reply(false).status)
        .collect();
    assert_eq!(statuses, [201, 401, 400, 201]);
}

// P-4.2.4-a
#[test]
fn responses_carry_what_a_peer_needs_and_no_cookie() {
    let (_service, mut client) = alices_service();
    for answer in [
        client.by_ticket(&frames::status()),
        client.exchange(&frames::status()),
    ] {
        let http = &answer.must_be(Code::Ok).http;
        assert_eq!(http.header("content-type"), Some("application/json"));
        assert_eq!(http.header("cache-control"), Some("no-store"));
        assert_eq!(
            http.header("content-length"),
            Some(&*http.body.len().to_string())
        );
        assert!(http.header("date").is_some());
        assert_eq!(http.header("set-cookie"), None);
    }
}

// X-11, P-10.2-a
#[test]
fn without_the_mirror_everything_that_was_parsed_has_http_200() {
    let service = TestService::with(|config| config.http.mirror_status = false);
    let mut connection = service.connect();
    let statuses = |connection: &mut _, text: &[u8]| {
        let answer = bare(connection, text);
        (answer.http.status, answer.outcome().status.unwrap())
    };
    assert_eq!(statuses(&mut connection, HELLO.as_bytes()), (200, 201));
    assert_eq!(statuses(&mut connection, br#"{"Status":{}}"#), (200, 401));
    assert_eq!(statuses(&mut connection, br#"{"Publish":{}}"#), (200, 501));
    let mut client = Client::new(&service, bob().device.as_connected());
    let refused = client.exchange(&frames::status());
    assert_eq!(
        (refused.http.status, refused.outcome().status),
        (200, Some(401))
    );
    // What HTTP itself refuses keeps its code.
    let get = HttpRequest::post(HELLO).method("GET");
    assert_eq!(service.connect().send(&get).status, 405);
}

// P-10.2-a, P-10.2-b, P-4.5-b, X-11
#[test]
fn the_http_code_repeats_the_status() {
    let (_service, mut client) = alices_service();
    for (request, status) in [
        (frames::status(), 201),
        (frames::download("mmm_Network"), 404),
        (frames::status_of("no name"), 400),
    ] {
        let answer = client.ask(&request);
        assert_eq!(
            (answer.http.status, answer.outcome().status),
            (status, Some(status))
        );
    }
}

// P-4.4-e, P-4.4-c
#[test]
fn an_answer_has_the_form_of_its_request() {
    let (service, mut client) = alices_service();
    let mut connection = service.connect();
    let bare = connection.send(&HttpRequest::post(ClientSession::bare_hello()));
    assert_eq!(bare.body[0], b'{');
    let sealed = client.by_ticket(&frames::status());
    assert_eq!(sealed.http.body[0], b'[');
    assert!(sealed.is_sealed);
}
