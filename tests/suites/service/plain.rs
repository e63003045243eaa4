//! The listener without TLS: closed unless configured, and then for Hello and sealed requests only
//! (P 4.2.1, X-09).

use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Transaction};
use mesh_tests::client::{Circumstances, bare};
use mesh_tests::wire::{Connection, HttpRequest};
use mesh_tests::{Client, TestService, alice, frames};

// P-4.2.1-b
#[test]
fn by_default_nobody_listens_without_tls() {
    let service = TestService::start();
    assert!(service.plain_address().is_none());
    // The listener with TLS does not understand it.
    let mut connection = Connection::plain(service.address());
    connection
        .write(&HttpRequest::post(r#"{"Hello":{}}"#).octets())
        .unwrap();
    assert!(connection.try_reply(false).is_err());
}

// P-4.2.1-b
#[test]
fn where_it_is_configured_only_hello_comes_in_the_clear() {
    let service = TestService::with_plain_listener();
    let mut connection = service.connect_plain();
    bare(&mut connection, br#"{"Hello":{}}"#).must_be(Code::Ok);
    for transaction in Transaction::ALL {
        if transaction != Transaction::Hello {
            let text = format!("{{\"{}\":{{}}}}", transaction.request_tag());
            let answer = bare(&mut connection, text.as_bytes());
            answer.must_be(Code::AuthenticationRequired);
        }
    }
}

// P-4.3-c
#[test]
fn nothing_after_hello_is_readable_on_it() {
    let service = TestService::with_plain_listener();
    let alice = alice();
    let mut client = Client::on(service.connect_plain(), alice.device.as_connected());
    client.create_account(&alice).must_be(Code::Ok);
    let catalog = frames::upload(frames::BOOKMARKS, frames::catalog(2));
    for request in [
        catalog,
        frames::status(),
        frames::download(frames::BOOKMARKS),
    ] {
        let text = json::write(&request);
        let (envelope, pending) = client.seal_ticket(&text, &Circumstances::default());
        let sent = json::write(&envelope);
        let answer = client.send(mesh_tests::Form::Ticket, text, &envelope, &pending);
        assert!(answer.must_be(Code::Ok).is_sealed);
        for body in [&sent, &answer.http.body] {
            let body = String::from_utf8_lossy(body);
            for name in [
                "Upload",
                "Status",
                "Download",
                "Updates",
                "Envelopes",
                "Container",
                "Response",
                "mmm_",
                "alice",
                "sealed entry",
            ] {
                assert!(!body.contains(name), "{name} in {body}");
            }
        }
    }
}
