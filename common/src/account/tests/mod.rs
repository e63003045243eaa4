//! The account machine from outside, over the shell in memory: one module per subject, one table of
//! all refusals, and properties.

mod bounds;
mod connect;
mod create;
mod devices;
mod download;
mod post;
mod properties;
mod refusals;
mod replay;
mod spools;
mod status;
mod upload;

use super::testing::{Device, Person, Shell, event, first_frame};
use super::{AccountState, Standing};
use crate::cluster::{AccountRequest, Answer};
use crate::protocol::{Code, EntryResult, Response};

pub(super) const ALICE: &str = "alice@example.com";
pub(super) const ACCEPT: EntryResult = EntryResult::Accept;
pub(super) const CONFLICT: EntryResult = EntryResult::Conflict;
pub(super) const REJECT: EntryResult = EntryResult::Reject;

/// An account of Alice, and the device that created it.
fn alice() -> (Shell, Device) {
    let mut shell = Shell::default();
    let mut laptop = Device::of(ALICE, "laptop");
    let created = laptop.create(&Person::named("alice"));
    assert_eq!(code(&shell.perform(created)), Code::Ok);
    (shell, laptop)
}

/// Alice's account with a contact catalog of two entries.
fn alice_with_contacts() -> (Shell, Device) {
    let (mut shell, mut laptop) = alice();
    let frames = vec![
        first_frame(),
        event(1, "New", "bob", "{\"CatalogedContact\":{}}"),
        event(2, "New", "carol", "{\"CatalogedContact\":{\"x\":1}}"),
    ];
    let answer = shell.perform(laptop.upload("mmm_Contact", frames));
    assert_eq!(code(&answer), Code::Ok);
    (shell, laptop)
}

/// Performs a request and returns its code.
fn told(shell: &mut Shell, request: AccountRequest) -> Code {
    let answer = shell.perform(request);
    shell.check();
    code(&answer)
}

fn code(answer: &Answer) -> Code {
    answer
        .response
        .outcome()
        .code()
        .unwrap_or_else(|| panic!("no code of ours: {answer:?}"))
}

fn description(answer: &Answer) -> &str {
    answer
        .response
        .outcome()
        .status_description
        .as_deref()
        .unwrap_or_default()
}

fn state(shell: &Shell, device: &Device) -> AccountState {
    match shell.standing(&device.address) {
        Standing::Account(state) => *state,
        other => panic!("no account: {other:?}"),
    }
}

fn count(shell: &Shell, device: &Device, container: &str) -> usize {
    shell.frames(&device.address, container).len()
}

/// The envelopes of a Download's updates.
fn updates(answer: &Answer) -> &[crate::protocol::ContainerUpdate] {
    match &answer.response {
        Response::Download(response) => &response.updates,
        other => panic!("not a Download: {other:?}"),
    }
}
