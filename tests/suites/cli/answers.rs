//! What goes wrong for people, what they are told then, and how to go on: refusals end with 1, what
//! could not be asked with 2.

use std::fs;

use mesh_common::dare::frame::frames;

use crate::desk::{Desk, Transcript};

#[test]
fn a_device_without_an_account_says_how_to_make_one() {
    let desk = Desk::new("");
    let mut told = Transcript::of(&desk, "laptop");
    told.not_asked("mesh sync");
    told.not_asked("mesh contact list");
    told.not_asked("mesh account status");
    told.not_asked("mesh verify");
    told.not_asked("mesh sync --json");
    told.check("answers/no-account");
}

#[test]
fn a_name_that_another_person_has_is_refused_and_another_one_can_be_chosen() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    let mut told = Transcript::of(&desk, "mallet");
    told.refused(&desk.create_line("alice@localhost"));
    told.refused(&(desk.create_line("Alice@localhost") + " --json"));
    told.refused(&desk.create_line("alice@elsewhere.example"));
    told.done(&desk.create_line("mallet@localhost"));
    told.refused(&desk.create_line("mallet@localhost"));
    told.check("answers/name-taken");
}

#[test]
fn a_service_that_takes_no_new_accounts_says_so() {
    let desk = Desk::new("backend.policy.creation = \"closed\"\n");
    let mut told = Transcript::of(&desk, "laptop");
    told.refused(&desk.create_line("alice@localhost"));
    told.check("answers/creation-closed");
}

#[test]
fn a_deleted_account_is_gone_for_all_its_devices() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    let mut told = Transcript::of(&desk, "laptop");
    told.not_asked("mesh account delete");
    told.done("mesh account delete --yes");
    told.refused("mesh sync");
    told.done("mesh account status");
    told.done("mesh contact list");
    told.at("phone").refused("mesh sync");
    told.refused("mesh account status");
    told.check("answers/deleted");
}

#[test]
fn a_service_that_does_not_run_cannot_be_asked_and_nothing_is_lost() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.stop();
    let mut told = Transcript::of(&desk, "laptop");
    told.done("mesh contact add Ada");
    told.not_asked("mesh sync");
    told.not_asked("mesh account status --json");
    told.done("mesh contact list");
    told.check("answers/unreachable");
    desk.start_again();
    desk.done("laptop", "mesh sync");
}

#[test]
fn a_service_with_another_identity_is_refused_before_anything_is_sent() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.done("laptop", "mesh contact add Ada");
    desk.stop();
    let identity = desk.place.data().join("identity");
    let kept = desk.folder().join("identity-of-yesterday");
    fs::rename(&identity, &kept).expect("a folder can be renamed");
    desk.start_again();
    let mut told = Transcript::of(&desk, "laptop");
    told.refused("mesh sync");
    told.refused("mesh account status --json");
    told.remark("the operator puts the identity back");
    desk.stop();
    fs::remove_dir_all(&identity).expect("a folder can be removed");
    fs::rename(&kept, &identity).expect("a folder can be renamed");
    desk.start_again();
    told.done("mesh sync");
    told.check("answers/other-identity");
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused() {
    let desk = Desk::new("");
    let mut told = Transcript::of(&desk, "laptop");
    let line = desk.create_line("alice@localhost");
    let line = line.split(" --ca ").next().expect("a line has a beginning");
    told.not_asked(line);
    assert!(!desk.home("laptop").join("keys.json").exists());
    told.check("answers/untrusted");
}

#[test]
fn a_damaged_replica_is_told_and_comes_back_from_the_service() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.done(
        "laptop",
        "mesh bookmark add https://example.org --title Bananas",
    );
    desk.done("laptop", "mesh sync");
    let path = desk.home("laptop").join("containers/mmm_Bookmark.dare");
    let octets = fs::read(&path).expect("there is a replica");
    let middle = middle_of_payload(&octets);
    let mut damaged = octets.clone();
    damaged[middle] ^= 1;
    fs::write(&path, damaged).expect("a file can be written");
    let mut told = Transcript::of(&desk, "laptop");
    told.refused("mesh bookmark list");
    told.refused("mesh verify");
    told.refused("mesh sync");
    told.remark("mv containers/mmm_Bookmark.dare elsewhere");
    fs::rename(&path, desk.folder().join("elsewhere")).expect("a file can be moved");
    told.done("mesh sync");
    told.done("mesh bookmark list");
    told.done("mesh verify");
    told.check("answers/replica-damaged");
    assert_eq!(fs::read(&path).expect("the replica is back"), octets);
}

#[test]
fn a_damaged_export_does_not_verify() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.done(
        "laptop",
        "mesh bookmark add https://example.org --title Bananas",
    );
    desk.done("laptop", "mesh sync");
    let mut told = Transcript::of(&desk, "laptop");
    told.done("mesh export backup");
    told.done("mesh verify backup");
    told.not_asked("mesh export backup");
    told.remark("one bit of mmm_Bookmark.dare changes");
    let path = desk.folder().join("backup/mmm_Bookmark.dare");
    let mut octets = fs::read(&path).expect("there is an export");
    let middle = middle_of_payload(&octets);
    octets[middle] ^= 1;
    fs::write(&path, &octets).expect("a file can be written");
    told.refused("mesh verify backup");
    told.refused("mesh verify backup --json");
    told.remark("rm mmm_Bookmark.dare");
    fs::remove_file(&path).expect("a file can be removed");
    told.refused("mesh verify backup");
    told.remark("the manifest is gone");
    fs::remove_file(desk.folder().join("backup/manifest.json")).expect("there is a manifest");
    told.not_asked("mesh verify backup");
    told.check("answers/export-damaged");
}

/// An octet in the payload of frame 1.
fn middle_of_payload(octets: &[u8]) -> usize {
    let frame = frames(octets)
        .nth(1)
        .expect("there is an entry")
        .expect("the frame is whole");
    let middle = (frame.start + frame.end) / 2;
    usize::try_from(middle).expect("a small file")
}

#[test]
fn an_entry_changed_on_two_devices_is_settled_by_its_owner() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    for title in ["one", "two"] {
        desk.done(
            "laptop",
            &format!("mesh bookmark add https://example.org --path {title}"),
        );
    }
    desk.done("laptop", "mesh sync");
    desk.done("phone", "mesh sync");
    let mut told = Transcript::of(&desk, "laptop");
    for (title, keep) in [("one", "mine"), ("two", "theirs")] {
        told.at("laptop");
        told.done(&format!(
            "mesh bookmark update {title} --title \"of the laptop\""
        ));
        told.done("mesh sync");
        told.at("phone");
        told.done(&format!(
            "mesh bookmark update {title} --title \"of the phone\""
        ));
        told.done(&format!(
            "mesh bookmark add https://p.example --path \"phone {title}\""
        ));
        told.refused("mesh sync");
        told.refused("mesh sync --json");
        told.done(&format!("mesh sync --keep {keep}"));
        told.done("mesh bookmark list");
        told.at("laptop");
        told.done("mesh sync");
        told.done("mesh bookmark list");
    }
    told.check("answers/conflict");
    desk.done("laptop", "mesh verify");
    desk.done("phone", "mesh verify");
}
