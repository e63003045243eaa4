//! What a peer sees on the wire: one golden transcript per transaction, and one per refusal of
//! service §2–5, each with its Mesh status, extended status, HTTP code, class and body. One binary,
//! so that it links once.
//!
//! | module | asks |
//! | --- | --- |
//! | `http` | what HTTP itself gets wrong: methods, paths, hosts, types, sizes, headers |
//! | `forms` | bare JSON, envelopes, tags, encodings, what may come unauthenticated |
//! | `sessions` | exchanges and tickets that are not as they should be |
//! | `permissions` | who authenticated and may not |
//! | `accounts` | CreateAccount and DeleteAccount |
//! | `connecting` | Connect, Complete, and what a device that is not connected is told |
//! | `forwarded` | Post of another service, and whether it is that |
//! | `published` | what hailing accounts publish, and devices that ask there |
//! | `reading` | Hello, Status and Download |
//! | `writing` | Upload |
//! | `posting` | Post of a device, and messages that stay within the account |
//! | `sending` | Post to other services, and what contacts and complaints leave of it |
//! | `load` | rates, shedding, quotas, time |
//! | `domains` | what the accounts of one domain may use together |
//! | `coverage` | whether every code of every transaction has its transcript |

#![expect(
    clippy::unwrap_used,
    reason = "a scene that cannot be set fails its test, and that is all there is to do"
)]

mod accounts;
mod connecting;
mod coverage;
mod domains;
mod forms;
mod forwarded;
mod http;
mod load;
mod permissions;
mod posting;
mod published;
mod reading;
mod sending;
mod sessions;
mod writing;

use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Response, Transaction};
use mesh_tests::wire::{HttpReply, HttpRequest};
use mesh_tests::{Answer, Client, TestService, alice, golden};

/// A service with alice's account and her device, which is in the Device catalog and holds a ticket.
fn alices_service() -> (TestService, Client) {
    let service = TestService::start();
    let client = Client::of_new_account_with_device(&service, &alice());
    (service, client)
}

/// An answer sealed in the class of its transaction, as in its golden file.
#[track_caller]
fn sealed(transaction: Transaction, code: Code, slug: &str, answer: &Answer) {
    assert!(answer.is_sealed, "not sealed: {}", answer.told());
    shown(Some(transaction), code, slug, answer);
}

/// An answer in bare form, of a known transaction or of none, as in its golden file.
#[track_caller]
fn bare(transaction: Option<Transaction>, code: Code, slug: &str, answer: &Answer) {
    assert!(!answer.is_sealed, "sealed: {}", answer.told());
    shown(transaction, code, slug, answer);
}

#[track_caller]
fn shown(transaction: Option<Transaction>, code: Code, slug: &str, answer: &Answer) {
    let tag = transaction.map_or("MeshResponse", Transaction::response_tag);
    assert_eq!(answer.response.tag(), tag, "{}", answer.told());
    answer.must_be(code);
    check_headers(code, &answer.http);
    golden::check_answer(&name_of(transaction, code, slug), answer);
}

/// A refusal that says nothing of a transaction, as in its golden file.
#[track_caller]
fn refused(code: Code, slug: &str, request: &HttpRequest, reply: &HttpReply) {
    assert_eq!(reply.status, code.http(), "{}", reply.text());
    let response: Response = json::parse(&reply.body).unwrap();
    assert_eq!(response.tag(), "MeshResponse");
    assert_eq!(response.outcome().code(), Some(code));
    check_headers(code, reply);
    golden::check_http(&name_of(None, code, slug), request, reply);
}

// P-4.2.4-a
/// What every response has in its headers (service §2.3).
#[track_caller]
fn check_headers(code: Code, reply: &HttpReply) {
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("date").is_some());
    assert!(reply.header("content-length").is_some());
    assert_eq!(reply.header("set-cookie"), None);
    let challenge = (code.http() == 401).then_some("Mesh");
    assert_eq!(reply.header("www-authenticate"), challenge);
    assert_eq!(
        reply.header("allow").is_some(),
        code == Code::MethodNotAllowed
    );
    let waits = matches!(code, Code::RateLimited | Code::Overload | Code::QueueFull);
    assert_eq!(reply.header("retry-after").is_some(), waits);
}

/// The file of a transcript: `Transaction/status-extended-slug`.
fn name_of(transaction: Option<Transaction>, code: Code, slug: &str) -> String {
    let folder = transaction.map_or("MeshResponse", Transaction::request_tag);
    format!("{folder}/{}-{slug}", numbers_of(code))
}

/// Status and extended status, as they begin the name of a transcript.
fn numbers_of(code: Code) -> String {
    let status = code.status();
    code.status_extended().map_or_else(
        || status.to_string(),
        |extended| format!("{status}-{extended}"),
    )
}
