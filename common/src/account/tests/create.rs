//! CreateAccount and DeleteAccount (service §5.2 and §5.3, X-30, X-31, architecture A-15).

use std::time::Duration;

use super::*;
use crate::account::policy::Creation;
use crate::account::state::{AccountStatus, BootstrapPhase};
use crate::account::testing::{at, connection_key, message, rows_of, update};
use crate::account::{AccountId, AccountPolicy};
use crate::cluster::PartitionId;
use crate::dare::merkle::DigestStack;
use crate::limits;
use crate::protocol::Request;
use crate::session::{Mode, Via};
use crate::time::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

fn version(number: u64, updated: Option<Timestamp>) -> Person {
    Person {
        version: number,
        updated,
        ..Person::named("alice")
    }
}

fn approve(shell: &mut Shell, device: &Device, status: AccountStatus) {
    let Some(Standing::Account(account)) = shell.standings.get_mut(&device.address) else {
        panic!()
    };
    std::sync::Arc::make_mut(&mut account.record).status = status;
}

// I-P-4.3.2-a, D25
#[test]
fn a_new_account_has_three_spools_with_frame_0() {
    for mode in [Mode::Device, Mode::Profile] {
        let mut shell = Shell::default();
        let mut laptop =
            Device::of("Alice@Example.COM", "laptop").authenticating(mode, Via::Exchange);
        assert_eq!(
            told(&mut shell, laptop.create(&Person::named("alice"))),
            Code::Ok
        );
        let state = state(&shell, &laptop);
        assert_eq!(state.record.address.as_written(), "Alice@Example.COM");
        assert_eq!(
            state.record.id.partition(),
            PartitionId::of(&laptop.address)
        );
        let names: Vec<_> = state
            .heads
            .keys()
            .map(|name| name.canonical().to_owned())
            .collect();
        assert_eq!(names, ["mmm_Inbound", "mmm_Outbound", "mmm_Local"]);
        let mut stack = DigestStack::new();
        let apex = stack.append(&crate::dare::merkle::EMPTY_PAYLOAD_DIGEST);
        assert!(state.heads.values().all(|head| head.apex() == Some(apex)));
        let first = shell.frames(&laptop.address, "mmm_Local").remove(0);
        let header = first.header_at(0);
        assert_eq!(header, first_frame().header);
    }
}

// I-P-6-a
#[test]
fn a_repeated_creation_is_success_and_another_profile_is_refused() {
    let (mut shell, mut laptop) = alice();
    let commits = shell.commits;
    assert_eq!(
        told(&mut shell, laptop.create(&Person::named("alice"))),
        Code::Ok
    );
    assert_eq!(shell.commits, commits);
    assert_eq!(
        told(&mut shell, laptop.create(&Person::named("mallet"))),
        Code::AccountRegistered
    );
    let mut same = Device::of("ALICE@EXAMPLE.com", "tablet");
    assert_eq!(
        told(&mut shell, same.create(&Person::named("mallet"))),
        Code::AccountRegistered
    );
}

// P-1-a, S-4.2-a
#[test]
fn one_mesh_has_accounts_under_two_names() {
    let (mut shell, _) = alice();
    let mut other = Device::of("alice.work@example.com", "laptop");
    assert_eq!(
        told(&mut shell, other.create(&Person::named("alice"))),
        Code::Ok
    );
}

//
#[test]
fn a_repeated_creation_never_changes_the_bootstrap_device() {
    let (mut shell, laptop) = alice();
    let mut phone = Device::of(ALICE, "phone");
    let newer = version(2, Some(shell.now + SECOND));
    assert_eq!(told(&mut shell, phone.create(&newer)), Code::Ok);
    let bootstrap = state(&shell, &laptop).record.bootstrap.clone();
    assert!(bootstrap.keys.contains(&connection_key("laptop")));
    assert!(!bootstrap.keys.contains(&connection_key("phone")));
}

//
#[test]
fn newer_profiles_replace_and_older_ones_change_nothing() {
    let (mut shell, mut laptop) = alice();
    let noon = shell.now;
    for (number, updated, expected, profile_version) in [
        (2, Some(noon + SECOND), Code::Ok, 2),
        (2, Some(noon + SECOND), Code::Ok, 2),
        (1, Some(noon), Code::Conflict, 2),
        (3, Some(noon + SECOND), Code::Conflict, 2),
        (3, None, Code::Conflict, 2),
        (3, Some(noon + 2 * SECOND), Code::Ok, 3),
    ] {
        let request = laptop.create(&version(number, updated));
        assert_eq!(told(&mut shell, request), expected, "version {number}");
        let state = state(&shell, &laptop);
        assert_eq!(state.record.keys.profile_version, profile_version);
        let payload = state.record.profile_mesh.payload.as_slice().to_vec();
        assert_eq!(
            payload,
            format!("alice mesh {profile_version}").into_bytes()
        );
    }
}

//
#[test]
fn without_dates_an_administrators_word_counts() {
    let mut shell = Shell::default();
    let mut laptop = Device::of(ALICE, "laptop");
    assert_eq!(told(&mut shell, laptop.create(&version(1, None))), Code::Ok);
    let mut stranger = Device::of(ALICE, "stranger").authenticating(Mode::Device, Via::Exchange);
    assert_eq!(
        told(&mut shell, stranger.create(&version(2, None))),
        Code::NotAuthorized
    );
    assert_eq!(told(&mut shell, laptop.create(&version(2, None))), Code::Ok);
    let dated = version(3, Some(shell.now));
    assert_eq!(told(&mut shell, laptop.create(&dated)), Code::Ok);
}

//
#[test]
fn the_offline_key_recovers_an_account_and_operators_are_told() {
    let (mut shell, mut laptop) = devices::alice_with_laptop();
    let mut rescue = Device::of(ALICE, "rescue");
    let upload = |device: &mut Device, index| {
        let entry = event(index, "New", &device.unique_id(), "rescue");
        let facts = crate::cluster::handle::DeviceEvidence::Valid(device.facts());
        device.upload_devices(vec![entry], vec![(0, facts)])
    };
    assert_eq!(
        told(&mut shell, upload(&mut rescue, 2)),
        Code::DeviceRevoked
    );
    let person = Person {
        by_offline_key: true,
        ..Person::named("alice")
    };
    assert_eq!(told(&mut shell, rescue.create(&person)), Code::Ok);
    assert_eq!(shell.incidents.len(), 1);
    assert_eq!(
        state(&shell, &laptop).record.bootstrap.phase,
        BootstrapPhase::Recovering
    );
    let delete = rescue.upload(
        "mmm_Device",
        vec![event(2, "Delete", &laptop.unique_id(), "")],
    );
    assert_eq!(told(&mut shell, delete), Code::Ok);
    let denied = laptop.upload_all(Vec::new(), Vec::new());
    assert_eq!(told(&mut shell, denied), Code::DeviceRevoked);
    assert_eq!(told(&mut shell, upload(&mut rescue, 3)), Code::Ok);
    assert_eq!(
        state(&shell, &laptop).record.bootstrap.phase,
        BootstrapPhase::Closed
    );
    assert_eq!(
        told(&mut shell, rescue.upload_all(Vec::new(), Vec::new())),
        Code::Ok
    );
}

#[test]
fn an_account_on_hold_can_only_be_deleted() {
    let mut shell = Shell::with_policy(AccountPolicy {
        creation: Creation::Approval,
        ..AccountPolicy::default()
    });
    let mut laptop = Device::of(ALICE, "laptop");
    let answer = shell.perform(laptop.create(&Person::named("alice")));
    assert_eq!(code(&answer), Code::Pending);
    let Response::CreateAccount(response) = &answer.response else {
        panic!()
    };
    assert!(response.reason.is_some());
    assert_eq!(
        told(&mut shell, laptop.create(&Person::named("alice"))),
        Code::Pending
    );
    assert_eq!(
        told(&mut shell, laptop.upload_all(Vec::new(), Vec::new())),
        Code::Refused
    );
    approve(&mut shell, &laptop, AccountStatus::Connected);
    assert_eq!(
        told(&mut shell, laptop.upload_all(Vec::new(), Vec::new())),
        Code::Ok
    );
    approve(&mut shell, &laptop, AccountStatus::Pending);
    assert_eq!(told(&mut shell, laptop.delete()), Code::Ok);
}

//
#[test]
fn a_blocked_account_cannot_even_be_deleted() {
    let (mut shell, mut laptop) = alice();
    approve(&mut shell, &laptop, AccountStatus::Blocked);
    assert_eq!(told(&mut shell, laptop.delete()), Code::Refused);
    assert_eq!(
        told(&mut shell, laptop.create(&Person::named("alice"))),
        Code::Refused
    );
}

#[test]
fn where_creation_is_closed_only_existing_accounts_are_answered() {
    let (mut shell, mut laptop) = alice();
    shell.policy.creation = Creation::Closed;
    assert_eq!(
        told(&mut shell, laptop.create(&Person::named("alice"))),
        Code::Ok
    );
    let mut bob = Device::of("bob@example.com", "desktop");
    assert_eq!(
        told(&mut shell, bob.create(&Person::named("bob"))),
        Code::Refused
    );
}

//
#[test]
fn names_are_checked_before_anything_else() {
    let mut shell = Shell::default();
    shell.policy.names.characters_min = 2;
    shell.policy.names.characters_max = 4;
    shell.policy.names.characters_invalid = "!".into();
    shell.policy.names.reserved = vec!["root".into()];
    for (name, expected) in [
        ("a", Code::InvalidName),
        ("ab", Code::Ok),
        ("\u{e9}\u{e9}\u{e9}\u{e9}", Code::Ok),
        ("abcde", Code::InvalidName),
        ("a!b", Code::InvalidName),
        ("ROOT", Code::InvalidName),
    ] {
        let mut device = Device::of(&format!("{name}@example.com"), "laptop");
        assert_eq!(
            told(&mut shell, device.create(&Person::named(name))),
            expected,
            "{name}"
        );
    }
    for text in [None, Some("nobody"), Some("a b@example.com")] {
        let mut device = Device::of("ok@example.com", "laptop");
        let mut request = device.create(&Person::named("ok"));
        if let Request::CreateAccount(create) = &mut request.request {
            create.service_id = text.map(str::to_owned);
        }
        assert_eq!(told(&mut shell, request), Code::InvalidName, "{text:?}");
    }
}

//
#[test]
fn a_deleted_name_is_kept_for_its_mesh_and_then_free() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let account = state(&shell, &laptop).record.id;
    assert_eq!(told(&mut shell, laptop.delete()), Code::Ok);
    assert_eq!(
        shell.purge_of(account),
        Some(shell.now + limits::DELETED_DATA_KEPT)
    );
    let mallet = Person::named("mallet");
    assert_eq!(
        told(&mut shell, laptop.create(&mallet)),
        Code::AccountRegistered
    );
    let older = version(1, Some(shell.now - SECOND));
    assert_eq!(told(&mut shell, laptop.create(&older)), Code::Conflict);
    let changed = version(2, Some(shell.now));
    assert_eq!(told(&mut shell, laptop.create(&changed)), Code::Conflict);
    let mut again = shell_at(&shell, Duration::ZERO);
    assert_eq!(
        told(&mut again, laptop.create(&Person::named("alice"))),
        Code::Ok
    );
    let new: AccountId = state(&again, &laptop).record.id;
    assert_ne!(
        new, account,
        "an address given again opens nobody's old containers"
    );
    assert_eq!(count(&again, &laptop, "mmm_Contact"), 0);
    let last = limits::DELETED_NAME_RESERVED - Duration::from_millis(1);
    let mut before = shell_at(&shell, last);
    assert_eq!(
        told(&mut before, laptop.create(&mallet)),
        Code::AccountRegistered
    );
    let mut after = shell_at(&shell, limits::DELETED_NAME_RESERVED);
    assert_eq!(told(&mut after, laptop.create(&mallet)), Code::Ok);
}

/// The same accounts, later.
fn shell_at(shell: &Shell, later: Duration) -> Shell {
    let mut copy = shell.clone();
    copy.advance(later);
    copy
}

// I-P-6-b, Q-15
#[test]
fn after_deletion_an_old_ticket_finds_nothing() {
    let (mut shell, mut laptop) = alice();
    assert_eq!(told(&mut shell, laptop.delete()), Code::Ok);
    assert_eq!(
        told(&mut shell, laptop.upload_all(Vec::new(), Vec::new())),
        Code::NotFound
    );
    let mut exchange = laptop.clone().authenticating(Mode::Profile, Via::Exchange);
    let upload = exchange.upload_all(Vec::new(), Vec::new());
    assert_eq!(told(&mut shell, upload), Code::AuthenticationFailed);
}

// S-4.2-b, Q-28
#[test]
fn an_account_moves_in_with_all_its_containers() {
    let (mut old, mut laptop) = alice_with_contacts();
    let note = |id, body| message("Notice", id, body);
    let sent = vec![
        first_frame(),
        at(1, note("S1", "{}")),
        at(2, note("S2", "{\"MessageID\":\"M2\"}")),
    ];
    let (one, rest) = (sent[..2].to_vec(), sent[2..].to_vec());
    let answer = old.perform(laptop.upload("mmm_Outbound", one));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(0)), (ACCEPT, Some(1))]);
    assert_eq!(
        told(&mut old, laptop.upload("mmm_Outbound", rest)),
        Code::Ok
    );

    let mut new = Shell::default();
    assert_eq!(
        told(&mut new, laptop.create(&Person::named("alice"))),
        Code::Ok
    );
    let everything = |shell: &Shell, name: &str| {
        let frames = shell.frames(&laptop.address, name);
        (0..).zip(frames).collect::<Vec<_>>()
    };
    let updates: Vec<_> = ["mmm_Contact"]
        .into_iter()
        .map(|name| {
            let payloads = [
                "",
                "{\"CatalogedContact\":{}}",
                "{\"CatalogedContact\":{\"x\":1}}",
            ];
            let envelopes = everything(&old, name)
                .into_iter()
                .zip(payloads)
                .map(|((index, frame), payload)| frame.envelope(index, payload.into()))
                .collect();
            update(name, envelopes)
        })
        .chain([update("mmm_Outbound", sent)])
        .collect();
    let request = laptop.upload_all(updates, Vec::new());
    assert_eq!(told(&mut new, request), Code::Ok);
    for name in ["mmm_Contact", "mmm_Outbound"] {
        let apex = |shell: &Shell| {
            shell
                .frames(&laptop.address, name)
                .last()
                .map(|one| one.tree_digest)
        };
        assert_eq!(apex(&new), apex(&old), "{name}");
    }
}
