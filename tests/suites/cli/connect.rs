//! Connecting devices as people do: two screens side by side, a PIN, a code on the back of a device;
//! and what a removed device is told.

use std::fs;

use crate::desk::{Desk, Ended, Transcript};

/// What follows `label` in what a command said.
fn said<'a>(ended: &'a Ended, label: &str) -> &'a str {
    let line = ended.out.lines().find_map(|line| {
        let line = line.trim();
        line.strip_prefix(label).map(str::trim)
    });
    line.unwrap_or_else(|| panic!("no {label:?} in {}", ended.out))
}

/// The witness that a request shows.
fn witness_of(ended: &Ended) -> &str {
    let line = ended.out.lines().find(|line| line.starts_with("    "));
    line.expect("a request shows its witness").trim()
}

// I-P-8.1-a
#[test]
fn two_screens_side_by_side_connect_a_device() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.done("laptop", "mesh contact add Ada --email ada@example.org");
    desk.done("laptop", "mesh sync");
    let mut told = Transcript::of(&desk, "phone");
    let line = desk.request_line("alice@localhost", "phone") + " --no-wait";
    let asked = told.ends_with(0, &line, "");
    told.done("mesh device request --no-wait");
    told.done("mesh device request --no-wait --json");
    let pending = told.at("laptop").ends_with(0, "mesh device pending", "");
    assert_eq!(said(&pending, "witness"), witness_of(&asked));
    told.done("mesh device pending --json");
    told.refused("mesh device accept AAAA-AAAA");
    told.done(&format!("mesh device accept {}", witness_of(&asked)));
    told.done("mesh device pending");
    told.refused(&format!("mesh device reject {}", witness_of(&asked)));
    told.done("mesh device list");
    told.at("phone").done("mesh device request");
    told.refused("mesh device request");
    told.done("mesh contact list");
    told.refused("mesh device pending");
    told.refused("mesh device pin");
    told.check("connect/witness");
    desk.done("phone", "mesh verify");
}

// I-P-8.2-a
#[test]
fn a_pin_connects_one_device_and_its_second_use_is_an_alert() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    let mut told = Transcript::of(&desk, "laptop");
    let made = told.ends_with(0, "mesh device pin --life 10m --png pin.png", "");
    let pin = made
        .out
        .lines()
        .next()
        .expect("the PIN comes first")
        .to_owned();
    told.not_asked("mesh device pin --life soon");
    let picture = fs::read(desk.folder().join("pin.png")).expect("the code is in a file");
    assert!(picture.starts_with(b"\x89PNG"));
    told.at("phone");
    let line = desk.request_line("alice@localhost", "phone");
    told.ends_with(0, &format!("{line} --no-wait --pin -"), &format!("{pin}\n"));
    told.at("laptop").done("mesh sync");
    told.at("phone").done("mesh device request");
    told.at("tablet");
    let line = desk.request_line("alice@localhost", "tablet");
    told.done(&format!("{line} --no-wait --pin {pin}"));
    told.at("laptop");
    let pending = told.ends_with(0, "mesh device pending", "");
    told.refused(&format!(
        "mesh device accept {}",
        said(&pending, "request is")
    ));
    told.done(&format!(
        "mesh device reject {}",
        said(&pending, "request is")
    ));
    told.done("mesh device pending --all");
    told.at("tablet").refused("mesh device request");
    told.not_asked("mesh device request --json");
    told.check("connect/pin");
}

// I-P-8.3-a
#[test]
fn a_device_that_is_sold_waits_for_whoever_scans_its_code() {
    let desk = Desk::new("backend.policy.connections.hailing = [\"devices\"]\n");
    desk.with_account("maker", "devices@localhost");
    desk.with_account("laptop", "alice@localhost");
    desk.done("laptop", "mesh contact add Ada --email ada@example.org");
    desk.done("laptop", "mesh sync");
    let mut told = Transcript::of(&desk, "maker");
    let folder = desk.home("coffee-maker").display().to_string();
    let line = format!("mesh device earl make {folder} --name \"coffee maker\"");
    let made = told.ends_with(0, &line, "");
    told.refused(&line);
    let uri = made
        .out
        .lines()
        .next()
        .expect("the URI comes first")
        .trim()
        .to_owned();
    told.at("coffee-maker").remark("it is switched on");
    told.done("mesh device request --no-wait");
    told.at("laptop").remark("its owner scans the code");
    told.done(&format!("mesh device earl accept {uri}"));
    told.done("mesh device list");
    let other = "udf://localhost/ECQK-A6YC-XNMR-MJ5E-2ZKM-H5QS-7ACZ-HI";
    told.refused(&format!("mesh device earl accept {other}"));
    told.not_asked("mesh device earl accept coffee-maker");
    // What became of the answer stands in Outbound, and is downloaded with it.
    desk.settle("laptop", "mesh");
    told.at("coffee-maker").done("mesh device request");
    told.done("mesh contact list");
    told.check("connect/earl");
    desk.done("coffee-maker", "mesh verify");
}

#[test]
fn a_command_that_waits_ends_when_it_is_answered() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    let line = desk.request_line("alice@localhost", "phone");
    let child = desk.begin("phone", &line);
    let witness = loop {
        let pending = desk.result("laptop", "mesh device pending");
        if let Some(witness) = pending["requests"][0]["witness"].as_str() {
            break witness.to_owned();
        }
    };
    desk.done(
        "laptop",
        &format!("mesh device accept {witness} --administrator"),
    );
    let output = child.wait_with_output().expect("a child can be waited for");
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    assert!(ended.err.contains(&witness), "{}", ended.err);
    assert!(
        ended.out.starts_with("connected to alice@localhost"),
        "{}",
        ended.out
    );
    // It administers the account now.
    desk.connect("phone", "tablet");
    assert_eq!(
        desk.result("phone", "mesh device list")["devices"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

#[test]
fn a_removed_device_is_told_and_keeps_what_it_has() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.done("laptop", "mesh contact add Ada --email ada@example.org");
    desk.done("laptop", "mesh sync");
    desk.connect("laptop", "phone");
    let mut told = Transcript::of(&desk, "laptop");
    told.refused("mesh device delete toaster");
    told.done("mesh device delete phone");
    told.done("mesh device list");
    told.at("phone").refused("mesh sync");
    told.refused("mesh account status");
    told.done("mesh contact list");
    told.check("connect/removed");
}

#[test]
fn the_keys_of_a_second_device_are_sealed_by_a_passphrase_of_its_own() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.write("words", "open sesame\n");
    let line = desk.request_line("alice@localhost", "phone");
    let asked = desk.done(
        "phone",
        &format!("{line} --no-wait --passphrase-file words"),
    );
    let kept = fs::read_to_string(desk.home("phone").join("request.json")).expect("it is kept");
    assert!(kept.contains("\"Passphrase\""), "{kept}");
    let ended = desk.typed("phone", "mesh device request --no-wait", "");
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    desk.done(
        "laptop",
        &format!("mesh device accept {}", witness_of(&asked)),
    );
    desk.done("phone", "mesh device request --passphrase-file words");
    let keys = fs::read_to_string(desk.home("phone").join("keys.json")).expect("there are keys");
    assert!(keys.contains("\"Passphrase\""), "{keys}");
    desk.done("phone", "mesh verify --passphrase-file words");
}
