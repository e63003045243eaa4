//! The service as its peers use it, over HTTPS: one module per transaction, then what holds for all of
//! them, then the trace of the reference implementation, then the checklist of the drafts. One
//! binary, so that it links once.
//!
//! | module | asks |
//! | --- | --- |
//! | `hello`, `create_account`, `delete_account`, `status`, `download`, `upload`, `post` | what each transaction does |
//! | `waiting`, `hearing` | a Status that waits for news; the device library that asks so |
//! | `retention` | what a service does not keep for good, and what devices make of it |
//! | `sessions` | exchanges and tickets over time: renewal, restart, epochs, revocation, replay |
//! | `tls` | TLS 1.3 only, its key exchange, certificates that change |
//! | `http` | HTTP/1.1: framing, keep-alive, pipelining, the mirrored status |
//! | `plain` | the listener without TLS |
//! | `limits` | bounds at, below and above their value |
//! | `trace` | recorded requests of April 2020, in interop mode |
//! | `conformance` | whether every row of the checklist names a test that exists |

#![expect(
    clippy::unwrap_used,
    reason = "a scene that cannot be set fails its test, and that is all there is to do"
)]

mod conformance;
mod create_account;
mod delete_account;
mod download;
mod hearing;
mod hello;
mod http;
mod limits;
mod plain;
mod post;
mod retention;
mod sessions;
mod status;
mod tls;
mod trace;
mod upload;
mod waiting;

use mesh_common::protocol::Code;
use mesh_tests::{Client, Device, TestService, alice, frames};

/// A service with alice's account and her device, which is in the Device catalog and holds a ticket.
fn alices_service() -> (TestService, Client) {
    let service = TestService::start();
    let client = Client::of_new_account_with_device(&service, &alice());
    (service, client)
}

/// Connects another of alice's devices, without the right of an administrator.
fn with_phone(service: &TestService, client: &mut Client) -> (Device, Client) {
    let phone = alice().another_device("phone", &[]);
    let count = client
        .ask(&frames::status())
        .count_of(frames::DEVICES)
        .unwrap();
    let added = frames::upload(frames::DEVICES, vec![phone.frame(count, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let on_phone = Client::of_device(service, &phone);
    (phone, on_phone)
}
