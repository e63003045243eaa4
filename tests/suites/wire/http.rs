//! What HTTP itself gets wrong (service §2.1, decisions Q-4, Q-25, Q-38, Q-43).

use mesh_common::limits::{
    BODY_BARE_BYTES_MAX, BODY_HELLO_BYTES_MAX, BODY_SEALED_BYTES_MAX, HTTP_HEADER_BYTES_MAX,
};
use mesh_common::protocol::{Code, Transaction};
use mesh_tests::service::{HOST_NAME, OTHER_DOMAIN};
use mesh_tests::wire::{Framing, HttpRequest};
use mesh_tests::{Answer, Form, TestService};

use crate::{bare, refused};

const HELLO: &str = r#"{"Hello":{}}"#;

/// `text` with blanks behind it, `length` octets in all.
fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut octets = text.as_bytes().to_vec();
    octets.resize(length, b' ');
    octets
}

// I-P-4.2.2-a, P-4.5-a
#[test]
fn other_methods_than_post_are_refused() {
    let service = TestService::start();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = HttpRequest::post(HELLO).method(method);
        let reply = service.connect().send(&request);
        assert_eq!(reply.status, 405, "{method}");
        match method {
            "GET" => refused(
                Code::MethodNotAllowed,
                "get-is-no-request",
                &request,
                &reply,
            ),
            "PUT" => refused(
                Code::MethodNotAllowed,
                "put-is-no-request",
                &request,
                &reply,
            ),
            _ => {}
        }
    }
    let head = HttpRequest::post("").method("HEAD").framing(Framing::None);
    let reply = service.connect().send(&head);
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}

// I-P-4.1-a, X-07/08, I-P-4.2.2-b
#[test]
fn every_accepted_path_and_host_answers_every_tag() {
    let service = TestService::with(|config| config.frontend.path = Some("/service".into()));
    for target in [
        "/.well-known/mmm",
        "/.well-known/mmm/",
        "/.well-known/srv/mmm",
        "/.well-known/srv/mmm/",
        "/service",
        "/service/",
        "/.well-known/mmm?transaction=Status",
    ] {
        for host in [
            "example.com",
            "EXAMPLE.com:8443",
            "mmm.example.com",
            OTHER_DOMAIN,
            HOST_NAME,
        ] {
            let mut connection = service.connect();
            let to = |body| HttpRequest::post(body).target(target).header("Host", host);
            assert_eq!(connection.send(&to(HELLO)).status, 201, "{target} {host}");
            let status = connection.send(&to(r#"{"Status":{}}"#));
            assert_eq!(status.status, 401, "{target} {host}");
        }
    }
}

// I-P-4.1-a, P-4.5-a
#[test]
fn other_paths_lead_nowhere() {
    let service = TestService::start();
    for target in [
        "/",
        "/.well-known",
        "/.well-known/mmm/x",
        "/service",
        "/hello",
    ] {
        let request = HttpRequest::post(HELLO).target(target);
        let reply = service.connect().send(&request);
        assert_eq!(reply.status, 404, "{target}");
        if target == "/" {
            refused(Code::NotFound, "nothing-at-this-path", &request, &reply);
        }
    }
}

// P-10.1-a, X-07/08
#[test]
fn a_foreign_host_is_misdirected() {
    let service = TestService::start();
    for host in [
        "example.org",
        "x.example.com",
        "127.0.0.1",
        "example.com.example.org",
    ] {
        let request = HttpRequest::post(HELLO).header("Host", host);
        let reply = service.connect().send(&request);
        assert_eq!(reply.status, 421, "{host}");
        if host == "example.org" {
            refused(Code::Misdirected, "another-host", &request, &reply);
        }
    }
}

// P-10.1-a
#[test]
fn a_request_without_host_is_malformed() {
    let service = TestService::start();
    let mut connection = service.connect();
    // The HTTP library refuses it by itself, so there is no body to compare.
    let reply = connection.send(&HttpRequest::post(HELLO).without("Host"));
    assert_eq!(reply.status, Code::Malformed.http());
    let empty = HttpRequest::post(HELLO).header("Host", "");
    let reply = service.connect().send(&empty);
    refused(Code::Malformed, "an-empty-host", &empty, &reply);
}

// P-4.5-a
#[test]
fn the_type_of_a_request_is_json() {
    let service = TestService::start();
    let mut connection = service.connect();
    for accepted in ["application/json", "Application/JSON; charset=utf-8"] {
        let request = HttpRequest::post(HELLO).header("Content-Type", accepted);
        assert_eq!(connection.send(&request).status, 201, "{accepted}");
    }
    let other = HttpRequest::post(HELLO).header("Content-Type", "text/plain");
    let reply = service.connect().send(&other);
    refused(Code::UnsupportedMediaType, "another-type", &other, &reply);
    let none = HttpRequest::post(HELLO).without("Content-Type");
    let reply = service.connect().send(&none);
    refused(Code::UnsupportedMediaType, "no-type", &none, &reply);
}

#[test]
fn a_request_has_no_content_encoding() {
    let service = TestService::start();
    let identity = HttpRequest::post(HELLO).header("Content-Encoding", "identity");
    assert_eq!(service.connect().send(&identity).status, 201);
    let gzip = HttpRequest::post(HELLO).header("Content-Encoding", "gzip");
    let reply = service.connect().send(&gzip);
    refused(
        Code::UnsupportedMediaType,
        "a-content-encoding",
        &gzip,
        &reply,
    );
}

// X-60
#[test]
fn a_bare_hello_has_at_most_4_kib() {
    let service = TestService::start();
    let mut connection = service.connect();
    for length in [BODY_HELLO_BYTES_MAX - 1, BODY_HELLO_BYTES_MAX] {
        let request = HttpRequest::post(padded(HELLO, length));
        assert_eq!(connection.send(&request).status, 201, "{length}");
    }
    let body = padded(HELLO, BODY_HELLO_BYTES_MAX + 1);
    let http = connection.send(&HttpRequest::post(body.clone()));
    let answer = Answer::bare(Form::Bare, body, http);
    bare(
        Some(Transaction::Hello),
        Code::TooLarge,
        "one-octet-above-4-kib",
        &answer,
    );
    // Its body was read, so the connection goes on (decision Q-4).
    assert_eq!(connection.send(&HttpRequest::post(HELLO)).status, 201);
}

// X-60
#[test]
fn another_bare_request_has_at_most_64_kib() {
    let service = TestService::start();
    let status = r#"{"Status":{}}"#;
    for length in [BODY_BARE_BYTES_MAX - 1, BODY_BARE_BYTES_MAX] {
        let request = HttpRequest::post(padded(status, length));
        assert_eq!(service.connect().send(&request).status, 401, "{length}");
    }
    let request = HttpRequest::post(padded(status, BODY_BARE_BYTES_MAX + 1));
    let reply = service.connect().send(&request);
    refused(
        Code::TooLarge,
        "one-octet-above-64-kib-bare",
        &request,
        &reply,
    );
}

// X-60, P-4.5-a
#[test]
fn a_request_in_an_envelope_has_at_most_2_mib() {
    let service = TestService::start();
    for length in [BODY_SEALED_BYTES_MAX - 1, BODY_SEALED_BYTES_MAX] {
        // No envelope, but as large as one may be: it is read, and found to be none.
        let request = HttpRequest::post(padded("[1", length));
        assert_eq!(service.connect().send(&request).status, 400, "{length}");
    }
    let over = padded("[1", BODY_SEALED_BYTES_MAX + 1);
    let announced = HttpRequest::post(over.clone());
    let reply = service.connect().send(&announced);
    refused(Code::TooLarge, "one-octet-above-2-mib", &announced, &reply);
    let chunked = HttpRequest::post(over).framing(Framing::Chunked(64 * 1024));
    let reply = service.connect().send(&chunked);
    refused(Code::TooLarge, "above-2-mib-in-chunks", &chunked, &reply);
}

// P-4.2.2-a
#[test]
fn an_announced_length_is_refused_before_the_body_is_sent() {
    let service = TestService::start();
    let length = BODY_SEALED_BYTES_MAX as u64 + 1;
    let request = HttpRequest::post("")
        .header("Expect", "100-continue")
        .framing(Framing::Announce(length));
    let mut connection = service.connect();
    connection.write(&request.octets()).unwrap();
    let mut reply = connection.reply(false);
    if reply.status == 100 {
        // The HTTP library may have let the body come before anybody looked at the length.
        reply = connection.reply(false);
    }
    refused(Code::TooLarge, "announced-above-2-mib", &request, &reply);
}

// X-60, P-4.2.3-a
#[test]
fn headers_have_at_most_16_kib() {
    let service = TestService::start();
    let with_octets = |octets: usize| {
        let request = HttpRequest::post(HELLO).header("X-Long", "");
        let length = HELLO.len().to_string();
        let framing = ("Content-Length".to_owned(), length);
        let fixed: usize = request
            .headers
            .iter()
            .chain([&framing])
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        request.header("X-Long", "x".repeat(octets - fixed))
    };
    for octets in [HTTP_HEADER_BYTES_MAX - 1, HTTP_HEADER_BYTES_MAX] {
        assert_eq!(
            service.connect().send(&with_octets(octets)).status,
            201,
            "{octets}"
        );
    }
    let request = with_octets(HTTP_HEADER_BYTES_MAX + 1);
    let reply = service.connect().send(&request);
    refused(
        Code::HeadersTooLarge,
        "one-octet-above-16-kib",
        &request,
        &reply,
    );
}

// P-4.2.3-a
#[test]
fn unknown_long_and_repeated_headers_change_nothing() {
    let service = TestService::start();
    let request = HttpRequest::post(HELLO)
        .also("X-Unknown", "yes")
        .also("Accept", "text/html")
        .also("X-Twice", "1")
        .also("X-Twice", "2")
        .also("Cookie", "a=b")
        .also("Cache-Control", "no-store")
        .also("X-Long", &"long ".repeat(1_000));
    let reply = service.connect().send(&request);
    let plain = service.connect().send(&HttpRequest::post(HELLO));
    assert_eq!(reply.status, 201);
    assert_eq!(reply.body, plain.body);
    assert_eq!(plain.header("set-cookie"), None);
}
