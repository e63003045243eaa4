//! The Device catalog and the revocation index (decisions; ).

use super::*;
use crate::account::state::BootstrapPhase;
use crate::account::testing::{connection_key, facts_of, rows_of};
use crate::cluster::handle::{DeviceEvidence, DeviceFacts};
use crate::error::ServiceError;
use crate::session::{Mode, Via};

/// Alice's account whose Device catalog has the entry of the creating device.
pub(super) fn alice_with_laptop() -> (Shell, Device) {
    let (mut shell, mut laptop) = alice();
    let upload = first_entry(&mut laptop);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    (shell, laptop)
}

fn first_entry(device: &mut Device) -> AccountRequest {
    let entry = event(1, "New", &device.unique_id(), "first");
    let facts = vec![(1, DeviceEvidence::Valid(device.facts()))];
    device.upload_devices(vec![first_frame(), entry], facts)
}

/// Uploads one entry with these facts.
fn entry(shell: &mut Shell, by: &mut Device, kind: &str, of: &str, facts: DeviceFacts) -> Code {
    let index = count(shell, by, "mmm_Device") as u64;
    let unique_id = Device::of(ALICE, of).unique_id();
    let frame = event(index, kind, &unique_id, &format!("{of} {index}"));
    let upload = by.upload_devices(vec![frame], vec![(0, DeviceEvidence::Valid(facts))]);
    told(shell, upload)
}

fn delete(shell: &mut Shell, by: &mut Device, of: &str) -> Code {
    let index = count(shell, by, "mmm_Device") as u64;
    let frame = event(index, "Delete", &Device::of(ALICE, of).unique_id(), "");
    told(shell, by.upload("mmm_Device", vec![frame]))
}

fn nothing(shell: &mut Shell, device: &mut Device) -> Code {
    told(shell, device.upload_all(Vec::new(), Vec::new()))
}

fn permitted(name: &str, is_administrator: bool) -> DeviceFacts {
    DeviceFacts {
        lists_permissions: true,
        is_administrator,
        ..facts_of(name)
    }
}

fn invalid() -> DeviceEvidence {
    DeviceEvidence::Invalid(ServiceError::new(
        Code::InvalidSignature,
        "the entry does not verify",
    ))
}

//
#[test]
fn the_bootstrap_device_is_an_administrator_until_the_first_entry() {
    let (mut shell, _) = alice();
    for (mode, via) in [
        (Mode::Profile, Via::Ticket),
        (Mode::Profile, Via::Exchange),
        (Mode::Device, Via::Ticket),
        (Mode::Device, Via::Exchange),
    ] {
        let mut laptop = Device::of(ALICE, "laptop").authenticating(mode, via);
        assert_eq!(
            nothing(&mut shell, &mut laptop),
            Code::Ok,
            "{mode:?} {via:?}"
        );
    }
}

//
#[test]
fn device_mode_loses_its_rights_with_the_first_entry() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut bare = laptop.clone().authenticating(Mode::Device, Via::Ticket);
    assert_eq!(nothing(&mut shell, &mut bare), Code::NotAuthorized);
    assert_eq!(nothing(&mut shell, &mut laptop), Code::Ok);
}

//
#[test]
fn the_first_entry_is_that_of_the_bootstrap_device() {
    let (mut shell, mut laptop) = alice();
    let header = laptop.upload("mmm_Device", vec![first_frame()]);
    assert_eq!(told(&mut shell, header), Code::Ok);
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::InvalidProfile
    );
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "laptop", facts_of("laptop")),
        Code::Ok
    );
    assert_eq!(
        state(&shell, &laptop).record.bootstrap.phase,
        BootstrapPhase::Closed
    );
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::Ok
    );
}

//
#[test]
fn a_catalog_that_begins_with_one_entry_is_no_import() {
    let (mut shell, mut laptop) = alice();
    let (own, phone) = (laptop.clone(), Device::of(ALICE, "phone"));
    for (of, evidence, expected) in [
        (
            &phone,
            DeviceEvidence::Valid(phone.facts()),
            Code::InvalidProfile,
        ),
        (&phone, invalid(), Code::InvalidSignature),
        (&own, invalid(), Code::InvalidSignature),
        (&own, DeviceEvidence::Valid(own.facts()), Code::Ok),
    ] {
        let frames = vec![first_frame(), event(1, "New", &of.unique_id(), "entry")];
        let upload = laptop.upload_devices(frames, vec![(1, evidence)]);
        assert_eq!(told(&mut shell, upload), expected);
    }
}

/// The own entry and its successor, as the reference uploads them first.
fn two_versions(device: &Device) -> Vec<crate::dare::Envelope> {
    let own = device.unique_id();
    vec![
        first_frame(),
        event(1, "New", &own, "one"),
        event(2, "Update", &own, "two"),
    ]
}

//
#[test]
fn an_import_that_ends_with_an_unverified_own_entry_is_refused() {
    let (mut shell, mut laptop) = alice();
    let evidence = vec![(1, invalid()), (2, invalid())];
    let upload = laptop.upload_devices(two_versions(&laptop), evidence);
    assert_eq!(told(&mut shell, upload), Code::InvalidProfile);
}

// the first version was made before a service was bound.
#[test]
fn an_older_version_of_the_own_entry_need_not_verify() {
    let (mut shell, mut laptop) = alice();
    let evidence = vec![(1, invalid()), (2, DeviceEvidence::Valid(laptop.facts()))];
    let upload = laptop.upload_devices(two_versions(&laptop), evidence);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    let phase = state(&shell, &laptop).record.bootstrap.phase;
    assert_eq!(phase, BootstrapPhase::Closed);
}

//
#[test]
fn a_deleted_device_is_refused_with_its_next_request() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = Device::of(ALICE, "phone");
    assert_eq!(
        nothing(&mut shell, &mut phone),
        Code::DeviceRevoked,
        "no entry yet"
    );
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::Ok
    );
    assert_eq!(nothing(&mut shell, &mut phone), Code::Ok);
    assert_eq!(delete(&mut shell, &mut laptop, "phone"), Code::Ok);
    assert_eq!(nothing(&mut shell, &mut phone), Code::DeviceRevoked);
}

//
#[test]
fn a_key_that_was_deleted_never_lives_again() {
    let (mut shell, mut laptop) = alice_with_laptop();
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::Ok
    );
    assert_eq!(delete(&mut shell, &mut laptop, "phone"), Code::Ok);
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::InvalidProfile
    );
    let renewed = DeviceFacts {
        profile_keys: vec![connection_key("phone again")],
        ..facts_of("phone")
    };
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", renewed),
        Code::Ok
    );
}

//
#[test]
fn an_update_that_replaces_a_key_retires_the_old_one() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = Device::of(ALICE, "phone");
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::Ok
    );
    let renewed = DeviceFacts {
        profile_keys: vec![connection_key("phone again")],
        ..facts_of("phone")
    };
    assert_eq!(
        entry(&mut shell, &mut laptop, "Update", "phone", renewed),
        Code::Ok
    );
    assert_eq!(nothing(&mut shell, &mut phone), Code::DeviceRevoked);
    phone.caller.key_udf = connection_key("phone again");
    assert_eq!(nothing(&mut shell, &mut phone), Code::Ok);
    assert_eq!(
        entry(
            &mut shell,
            &mut laptop,
            "Update",
            "phone",
            facts_of("phone")
        ),
        Code::InvalidProfile
    );
}

//
#[test]
fn an_empty_device_catalog_admits_nobody() {
    let (mut shell, mut laptop) = alice_with_laptop();
    assert_eq!(delete(&mut shell, &mut laptop, "laptop"), Code::Ok);
    assert_eq!(nothing(&mut shell, &mut laptop), Code::DeviceRevoked);
}

//
#[test]
fn administrators_are_told_in_three_ways() {
    let (mut shell, mut laptop) = alice();
    // The bootstrap device.
    let upload = first_entry(&mut laptop);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    // While no entry lists a Permission: every connected device.
    let mut phone = Device::of(ALICE, "phone");
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "phone", facts_of("phone")),
        Code::Ok
    );
    assert_eq!(
        entry(
            &mut shell,
            &mut phone,
            "New",
            "tablet",
            permitted("tablet", true)
        ),
        Code::Ok
    );
    // Once one does: those that list Admin.
    assert_eq!(
        delete(&mut shell, &mut phone, "laptop"),
        Code::NotAdministrator
    );
    assert_eq!(told(&mut shell, phone.delete()), Code::NotAdministrator);
    let mut tablet = Device::of(ALICE, "tablet");
    assert_eq!(
        entry(
            &mut shell,
            &mut tablet,
            "New",
            "watch",
            permitted("watch", false)
        ),
        Code::Ok
    );
    assert_eq!(told(&mut shell, tablet.delete()), Code::Ok);
}

#[test]
fn an_entry_must_verify_and_be_the_one_it_says() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let frame = || {
        vec![event(
            2,
            "New",
            &Device::of(ALICE, "phone").unique_id(),
            "phone",
        )]
    };
    let refused = laptop.upload_devices(frame(), vec![(0, invalid())]);
    let answer = shell.perform(refused);
    assert_eq!(
        (code(&answer), rows_of(&answer)),
        (Code::InvalidSignature, vec![(REJECT, None)])
    );
    let unverified = laptop.upload("mmm_Device", frame());
    assert_eq!(told(&mut shell, unverified), Code::InvalidProfile);
    let other = laptop.upload_devices(
        frame(),
        vec![(0, DeviceEvidence::Valid(facts_of("tablet")))],
    );
    assert_eq!(told(&mut shell, other), Code::InvalidProfile);
}

// S-4.1.2.1-a
#[test]
fn a_changed_profile_device_under_the_same_udf_is_refused() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let changed = DeviceFacts {
        device_key: Some(connection_key("other")),
        ..facts_of("laptop")
    };
    assert_eq!(
        entry(&mut shell, &mut laptop, "Update", "laptop", changed),
        Code::InvalidProfile
    );
}

//
#[test]
fn evidence_of_another_profile_version_is_stale() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut upload = laptop.upload_devices(vec![event(2, "New", "x", "x")], Vec::new());
    if let crate::cluster::Evidence::Content(content) = &mut upload.evidence {
        content.profile_version = 2;
    }
    assert_eq!(shell.decide(&upload), crate::account::Decision::Stale);
}

//
#[test]
fn a_device_catalog_is_imported_over_several_requests() {
    let (mut shell, mut laptop) = alice();
    let mut phone = Device::of(ALICE, "phone");
    let (phone_id, old_id) = (phone.unique_id(), Device::of(ALICE, "old").unique_id());
    let valid = |name: &str| DeviceEvidence::Valid(facts_of(name));
    // History: a device of before, deleted; a phone whose first entry no longer verifies.
    let start = laptop.upload_devices(
        vec![
            first_frame(),
            event(1, "New", &old_id, "old"),
            event(2, "New", &phone_id, "phone"),
            event(3, "Delete", &old_id, ""),
        ],
        vec![(1, valid("old")), (2, invalid())],
    );
    assert_eq!(told(&mut shell, start), Code::Ok);
    assert_eq!(
        state(&shell, &laptop).record.bootstrap.phase,
        BootstrapPhase::Importing
    );
    assert_eq!(nothing(&mut shell, &mut phone), Code::NotAuthorized);
    assert_eq!(nothing(&mut shell, &mut laptop), Code::Ok);
    // The own entry would end the import, but the phone's does not verify.
    let own = event(4, "New", &laptop.unique_id(), "laptop");
    let early = laptop.upload_devices(vec![own], vec![(0, valid("laptop"))]);
    assert_eq!(told(&mut shell, early), Code::InvalidProfile);
    let rest = laptop.upload_devices(
        vec![event(4, "Update", &phone_id, "phone again"), {
            event(5, "New", &laptop.unique_id(), "laptop")
        }],
        vec![(0, valid("phone")), (1, valid("laptop"))],
    );
    assert_eq!(told(&mut shell, rest), Code::Ok);
    assert_eq!(
        state(&shell, &laptop).record.bootstrap.phase,
        BootstrapPhase::Closed
    );
    assert_eq!(nothing(&mut shell, &mut phone), Code::Ok);
    assert_eq!(
        nothing(&mut shell, &mut Device::of(ALICE, "old")),
        Code::DeviceRevoked
    );
    assert_eq!(
        entry(&mut shell, &mut laptop, "New", "old", facts_of("old")),
        Code::InvalidProfile
    );
}

//
#[test]
fn an_import_in_one_request_ends_with_it() {
    let (mut shell, mut laptop) = alice();
    let upload = laptop.upload_devices(
        vec![
            first_frame(),
            event(1, "New", &laptop.unique_id(), "laptop"),
            event(2, "New", &Device::of(ALICE, "phone").unique_id(), "phone"),
        ],
        vec![
            (1, DeviceEvidence::Valid(facts_of("laptop"))),
            (2, invalid()),
        ],
    );
    let answer = shell.perform(upload);
    assert_eq!(code(&answer), Code::InvalidProfile);
    assert_eq!(
        rows_of(&answer)[2],
        (REJECT, None),
        "the last frame is refused"
    );
    assert_eq!(count(&shell, &laptop, "mmm_Device"), 0);
}

#[test]
fn a_device_that_deletes_itself_gets_the_lost_answer_again() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let request = laptop.upload(
        "mmm_Device",
        vec![event(2, "Delete", &laptop.unique_id(), "")],
    );
    let first = shell.perform(request.clone());
    assert_eq!(code(&first), Code::Ok);
    assert_eq!(shell.perform(request), first);
    assert_eq!(nothing(&mut shell, &mut laptop), Code::DeviceRevoked);
}

//
#[test]
fn interop_callers_act_as_administrators() {
    let mut shell = Shell::default();
    let mut bare = Device::of(ALICE, "laptop").authenticating(Mode::Interop, Via::Bare);
    bare.caller.account = None;
    assert_eq!(
        told(&mut shell, bare.create(&Person::named("alice"))),
        Code::Ok
    );
    let upload = first_entry(&mut bare);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    assert_eq!(delete(&mut shell, &mut bare, "laptop"), Code::Ok);
    assert_eq!(told(&mut shell, bare.delete()), Code::Ok);
    assert_eq!(told(&mut shell, bare.delete()), Code::NotFound);
}
