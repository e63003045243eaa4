//! The forms of a body and the tags in it (service §2.2 and §2.4, X-12, X-14, decisions Q-2, Q-16,
//! Q-37, Q-38).

use mesh_common::dare::{Envelope, Header};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Response, Transaction};
use mesh_tests::client::{Answer, Circumstances, bare as say};
use mesh_tests::wire::HttpRequest;
use mesh_tests::{Client, Form, Person, TestService, alice, bob, frames, golden, mallet};

use crate::{alices_service, bare, name_of};

// X-12, P-4.5-a
#[test]
fn an_unknown_tag_is_an_unknown_operation() {
    let service = TestService::start();
    let mut connection = service.connect();
    let answer = say(&mut connection, br#"{"Publish":{}}"#);
    bare(None, Code::UnknownOperation, "no-such-transaction", &answer);
    for tag in ["hello", "HELLO", "Hello ", "MeshHelloResponse", "Goodbye"] {
        let text = format!("{{\"{tag}\":{{}}}}");
        say(&mut connection, text.as_bytes()).must_be(Code::UnknownOperation);
    }
}

// X-12
#[test]
fn class_names_are_tags_too() {
    let (_service, mut client) = alices_service();
    let hello = say(&mut client.connection, br#"{"HelloRequest":{}}"#);
    bare(
        Some(Transaction::Hello),
        Code::Ok,
        "by-its-class-name",
        &hello,
    );
    for (tag, text) in [
        (Transaction::Status, r#"{"StatusRequest":{}}"#),
        (Transaction::Download, r#"{"DownloadRequest":{}}"#),
        (Transaction::Upload, r#"{"UploadRequest":{}}"#),
    ] {
        let (envelope, pending) = client.seal_ticket(text.as_bytes(), &Circumstances::default());
        let answer = client.send(Form::Ticket, text.into(), &envelope, &pending);
        answer.must_be(Code::Ok);
        assert_eq!(answer.response.tag(), tag.response_tag());
    }
    for (transaction, class) in Transaction::ALL.map(|one| (one, one.request_class())) {
        if transaction != Transaction::Hello {
            let text = format!("{{\"{class}\":{{}}}}");
            let answer = say(&mut client.connection, text.as_bytes());
            answer.must_be(Code::AuthenticationRequired);
            assert_eq!(answer.response.tag(), transaction.response_tag());
        }
    }
}

// P-4.5-a
#[test]
fn what_is_no_json_object_is_malformed() {
    let service = TestService::start();
    let mut connection = service.connect();
    for (slug, text) in [
        ("nothing-at-all", ""),
        ("no-json", "hello"),
        ("an-array-of-numbers", "[1,2]"),
        ("an-object-without-members", "{}"),
        ("an-unfinished-object", "{"),
        ("an-envelope-without-members", "[]"),
    ] {
        let answer = say(&mut connection, text.as_bytes());
        bare(None, Code::Malformed, slug, &answer);
    }
    let deep = format!("{{\"Hello\":{}{}}}", "[".repeat(70), "]".repeat(70));
    let answer = say(&mut connection, deep.as_bytes());
    bare(
        Some(Transaction::Hello),
        Code::Malformed,
        "too-many-levels",
        &answer,
    );
}

// P-4.5-a
#[test]
fn a_malformed_request_of_a_known_tag_is_answered_in_its_class() {
    let service = TestService::start();
    let mut connection = service.connect();
    for (slug, text) in [
        (
            "a-member-twice",
            &br#"{"Hello":{"Service":"a","Service":"b"}}"#[..],
        ),
        ("a-second-member", br#"{"Hello":{},"Status":{}}"#),
        (
            "a-control-octet-in-a-string",
            b"{\"Hello\":{\"Service\":\"a\x01b\"}}",
        ),
        (
            "something-behind-the-object",
            br#"{"Hello":{}} {"Hello":{}}"#,
        ),
        ("a-member-of-another-type", br#"{"Hello":{"Service":1}}"#),
        ("no-object-under-the-tag", br#"{"Hello":7}"#),
        ("no-utf-8", b"{\"Hello\":{\"Service\":\"\xff\"}}"),
        ("stray-bits-in-a-binary", br#"{"Hello":{"ID":"AB"}}"#),
    ] {
        let answer = say(&mut connection, text);
        bare(Some(Transaction::Hello), Code::Malformed, slug, &answer);
    }
}

// X-14
#[test]
fn line_breaks_and_tabs_are_tolerated_in_strings_and_padding_in_binaries() {
    let service = TestService::start();
    let mut connection = service.connect();
    let id = Binary(vec![7; 16]);
    for text in [
        "{\"Hello\":{\"Service\":\"a\n  b\r\tc\"}}".to_owned(),
        "{\"Hello\":{\"ID\":\"BwcHBwcHBwcH\n  BwcHBwcHBw\"}}".to_owned(),
        "{\"Hello\":{\"ID\":\"BwcHBwcHBwcHBwcHBwcHBw==\"}}".to_owned(),
        "\n {\"Hello\":{\"Unknown\":{\"x\":[1,null]}}}\n".to_owned(),
    ] {
        let answer = say(&mut connection, text.as_bytes());
        answer.must_be(Code::Ok);
        if text.contains("ID") {
            assert_eq!(answer.outcome().id.as_ref(), Some(&id), "{text:?}");
        }
    }
}

// P-4.4-a, P-4.4-b
#[test]
fn an_encoding_that_was_not_advertised_is_refused() {
    let service = TestService::start();
    let mut connection = service.connect();
    // JSON-B: the string code 0x80, its length, its octets.
    for (slug, octets) in [
        ("hello-in-json-b", &b"{\x80\x05Hello{}}"[..]),
        (
            "an-envelope-in-json-b",
            b"[{\x80\x03enc\x80\x07A256GCM}\x88\x01\x00]",
        ),
        ("json-b-from-the-first-octet", b"\x80\x05Hello"),
    ] {
        bare(None, Code::Encoding, slug, &say(&mut connection, octets));
    }
}

#[test]
fn an_envelope_sealed_in_another_way_is_refused() {
    let (_service, mut client) = alices_service();
    let envelope = Envelope {
        header: Header {
            enc: Some("A256CBC".into()),
            ..Header::default()
        },
        ..Envelope::plain("sixteen octets!!")
    };
    let answer = say(&mut client.connection, &json::write(&envelope));
    bare(None, Code::Encoding, "encrypted-without-a-session", &answer);
    let (mut sealed, _) = client.seal_ticket(br#"{"Status":{}}"#, &Circumstances::default());
    sealed.header.enc = Some("A256CBC".into());
    let mut answer = say(&mut client.connection, &json::write(&sealed));
    (answer.form, answer.asked) = (Form::Ticket, br#"{"Status":{}}"#.to_vec());
    bare(
        None,
        Code::Encoding,
        "a-session-with-another-cipher",
        &answer,
    );
}

// P-4.3.1-b, P-4.3-b
#[test]
fn only_hello_may_come_unauthenticated() {
    let (service, mut client) = alices_service();
    client
        .ask(&frames::upload(frames::BOOKMARKS, frames::catalog(2)))
        .must_be(Code::Ok);
    let before = client.ask(&frames::status()).told();
    let mut connection = service.connect();
    for transaction in Transaction::ALL {
        if transaction == Transaction::Hello {
            continue;
        }
        let text = unauthenticated(transaction);
        let answer = say(&mut connection, &text);
        bare(
            Some(transaction),
            Code::AuthenticationRequired,
            "unauthenticated",
            &answer,
        );
        assert_eq!(
            client.ask(&frames::status()).told(),
            before,
            "after {transaction:?}"
        );
    }
    // Nobody took bob's name, so bob gets it.
    let mut bobs = Client::of_new_account(&service, &bob());
    bobs.ask(&frames::status()).must_be(Code::Ok);
}

/// A request of `transaction` that would change something if anybody acted on it.
fn unauthenticated(transaction: Transaction) -> Vec<u8> {
    let account = alice().address;
    match transaction {
        Transaction::CreateAccount => json::write(&Person::at("mallet", &bob().address).creation()),
        Transaction::Upload => {
            let entry = frames::event(3, "New", "entry-3", b"forged");
            let mut request = serde_json::to_value(frames::upload(frames::BOOKMARKS, vec![entry]));
            request.as_mut().unwrap()["Upload"]["Account"] = account.into();
            json::write(&request.unwrap())
        }
        Transaction::Post => {
            let message = frames::message("RequestTask", "task-1", "{}");
            let message = serde_json::to_value(message).unwrap();
            json::write(&serde_json::json!({"Post": {"Accounts": [account], "Message": [message]}}))
        }
        Transaction::Connect => {
            let request = Envelope::plain(r#"{"RequestConnection":{}}"#);
            let request = serde_json::to_value(request).unwrap();
            json::write(&serde_json::json!({
                "Connect": {"MessageConnectionRequestClient": request}
            }))
        }
        other => json::write(&serde_json::json!({other.request_tag(): {"Account": account}})),
    }
}

// P-4.4-e, P-4.3-d, I-P-4.3-a
#[test]
fn hello_in_an_unencrypted_envelope_is_answered_in_one() {
    let service = TestService::start();
    let mut connection = service.connect();
    let asked = json::write(&Envelope::plain(r#"{"Hello":{}}"#));
    let http = connection.send(&HttpRequest::post(asked.clone()));
    let envelope: Envelope = json::parse(&http.body).unwrap();
    let response: Response = json::parse(envelope.payload.as_slice()).unwrap();
    assert_eq!(response.tag(), "MeshHelloResponse");
    assert_eq!(response.outcome().code(), Some(Code::Ok));
    let answer = Answer {
        form: Form::Bare,
        asked,
        text: http.body.clone(),
        http,
        is_sealed: false,
        response,
        ticket: None,
    };
    let name = name_of(
        Some(Transaction::Hello),
        Code::Ok,
        "in-an-unencrypted-envelope",
    );
    golden::check_answer(&name, &answer);
}

// P-4.3-b
#[test]
fn anything_else_in_an_unencrypted_envelope_needs_authentication() {
    let (service, _client) = alices_service();
    let mut connection = service.connect();
    for transaction in Transaction::ALL {
        if transaction == Transaction::Hello {
            continue;
        }
        let asked = json::write(&Envelope::plain(unauthenticated(transaction)));
        let answer = say(&mut connection, &asked);
        answer.must_be(Code::AuthenticationRequired);
        if transaction == Transaction::Status {
            let slug = "in-an-unencrypted-envelope";
            bare(
                Some(transaction),
                Code::AuthenticationRequired,
                slug,
                &answer,
            );
        }
    }
    // Signed is not sealed: a signature authenticates no request.
    let mallet = mallet();
    let signed = Envelope::signed(
        unauthenticated(Transaction::Status),
        Header::default(),
        &[&mallet.device.keys.signature],
    );
    let answer = say(&mut connection, &json::write(&signed));
    answer.must_be(Code::AuthenticationRequired);
}
