//! Two devices of one account: what one of them is told to keep, the other one finds.

use std::collections::BTreeSet;

use crate::desk::{Desk, Transcript};

/// Rounds in which both devices write.
const ROUNDS: usize = 4;

#[test]
fn devices_that_take_turns_read_what_the_other_wrote() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    let mut told = Transcript::of(&desk, "laptop");
    told.done("mesh contact add Ada --email ada@example.org");
    told.done("mesh bookmark add https://example.org --path Bananas");
    told.done("mesh sync");
    told.at("phone").done("mesh sync");
    told.done("mesh contact list");
    told.done("mesh contact update Ada --phone +44207946000");
    told.done("mesh bookmark delete Bananas");
    told.done("mesh sync");
    told.at("laptop").done("mesh sync");
    told.done("mesh contact get Ada");
    told.done("mesh bookmark list");
    told.done("mesh account status");
    told.at("phone").done("mesh account status");
    told.done("mesh sync");
    told.check("two-devices");
}

#[test]
fn devices_that_write_at_once_lose_nothing_and_write_nothing_twice() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    let devices = ["laptop", "phone"];
    for round in 0..ROUNDS {
        std::thread::scope(|both| {
            for device in devices {
                let desk = &desk;
                both.spawn(move || write_and_synchronize(desk, device, round));
            }
        });
    }
    for device in ["laptop", "phone", "laptop"] {
        desk.done(device, "mesh sync");
    }
    let expected: BTreeSet<String> = devices
        .iter()
        .flat_map(|device| (0..ROUNDS).flat_map(move |round| paths(device, round)))
        .collect();
    for device in devices {
        let found = desk.listed(device, "mesh bookmark list");
        assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected);
        assert_eq!(found.len(), expected.len(), "{device}");
        desk.done(device, "mesh verify");
        // Frame 0 and one frame for each entry.
        assert_eq!(
            at_service(&desk, device, "mmm_Bookmark"),
            1 + expected.len() as u64
        );
    }
}

fn paths(device: &str, round: usize) -> [String; 2] {
    [format!("{device}/{round}/a"), format!("{device}/{round}/b")]
}

fn write_and_synchronize(desk: &Desk, device: &str, round: usize) {
    for path in paths(device, round) {
        desk.done(
            device,
            &format!("mesh bookmark add https://example.org --path {path}"),
        );
        desk.done(device, "mesh sync");
    }
}

/// Frames of a container at the service, which agree with those here.
pub(crate) fn at_service(desk: &Desk, device: &str, container: &str) -> u64 {
    let status = desk.result(device, "mesh account status");
    let containers = status["containers"].as_array().expect("there are catalogs");
    let found = containers
        .iter()
        .find(|one| one["container"] == container)
        .unwrap_or_else(|| panic!("there is no {container}"));
    assert_eq!(found["agrees"], true, "{found}");
    assert_eq!(found["here"], found["there"], "{found}");
    found["there"].as_u64().expect("frames are counted")
}

#[test]
fn commands_typed_at_once_on_one_device_wait_for_each_other() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    std::thread::scope(|all| {
        for number in 0..4 {
            let desk = &desk;
            let line = format!("mesh bookmark add https://example.org --path {number}");
            all.spawn(move || desk.done("laptop", &line));
        }
        all.spawn(|| desk.done("laptop", "mesh sync"));
    });
    desk.done("laptop", "mesh sync");
    let found = desk.listed("laptop", "mesh bookmark list");
    assert_eq!(found, ["0", "1", "2", "3"]);
    assert_eq!(at_service(&desk, "laptop", "mmm_Bookmark"), 5);
}

#[test]
fn a_copied_folder_is_the_same_device_and_both_copies_go_on() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.done("laptop", "mesh contact add Ada");
    copy(&desk.home("laptop"), &desk.home("copy"));
    desk.done("laptop", "mesh contact add Bob");
    desk.done("laptop", "mesh sync");
    desk.done("copy", "mesh contact add Charles");
    desk.done("copy", "mesh sync");
    desk.done("laptop", "mesh sync");
    // Ada waited in both copies; she is one contact, and one frame.
    for device in ["laptop", "copy"] {
        assert_eq!(
            desk.listed(device, "mesh contact list").len(),
            3,
            "{device}"
        );
        desk.done(device, "mesh verify");
    }
    assert_eq!(at_service(&desk, "copy", "mmm_Contact"), 4);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for file in std::fs::read_dir(from).expect("a folder can be read") {
        let file = file.expect("a folder can be read").path();
        let place = to.join(file.file_name().expect("a file has a name"));
        if file.is_dir() {
            copy(&file, &place);
        } else {
            std::fs::copy(&file, &place).expect("a file can be copied");
        }
    }
}
