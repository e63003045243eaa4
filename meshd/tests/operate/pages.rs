//! What people and programs read: every command, with and without anything to show, and every refusal.

use super::desks::Desks;
use super::{Office, Transcript, words};

#[test]
fn what_waits_is_shown() {
    let office = Office::open(Desks::busy());
    let shown = office.transcript(&[
        "meshd queue list",
        "meshd queue show dead.example",
        "meshd queue show dead.example --max 2",
        "meshd queue show example.net",
        "meshd queue show --tenant example.edu",
        "meshd queue show --message NCAA-MSG8",
    ]);
    shown.check("queue-show");
}

#[test]
fn programs_read_one_object() {
    let office = Office::open(Desks::busy());
    let shown = office.transcript(&[
        "meshd queue show example.net --json",
        "meshd queue show nowhere.example --json",
        "meshd explain NCAA-MSG7 --json",
    ]);
    shown.check("json");
}

#[test]
fn orders_are_given_and_revoked() {
    let office = Office::open(Desks::busy());
    let given = office.transcript(&[
        "meshd queue hold dead.example --reason \"they move house\"",
        "meshd queue hold --tenant example.com",
        "meshd queue reroute example.net --via relay.example.net:8443 --reason \"their DNS is broken\"",
        "meshd queue list",
        "meshd queue show dead.example",
        "meshd explain NCAA-MSG1",
        "meshd queue resume dead.example",
        "meshd queue resume dead.example",
        "meshd queue reroute example.net --by-dns",
        "meshd queue retry dead.example",
        "meshd queue retry nowhere.example",
        "meshd queue fail dead.example --reason \"the domain is gone\"",
        "meshd queue fail dead.example --reason \"the domain is gone\" --yes",
        "meshd queue fail dead.example --reason \"the domain is gone\"",
        "meshd queue fail dead.example --reason \"the domain is gone\" --yes",
    ]);
    given.check("queue-orders");
}

#[test]
fn a_message_is_explained_wherever_it_is() {
    let office = Office::open(Desks::busy());
    let explained = office.transcript(&[
        "meshd explain NCAA-MSG0",
        "meshd explain NCAA-MSG7",
        "meshd explain NCAA-MSG8",
        "meshd explain NCAA-MSG9",
        "meshd explain NCAA-GONE",
        "meshd explain NCAA-GONE --sender alice@example.com",
        "meshd explain NCAA-GONE --sender bob@example.com",
    ]);
    explained.check("explain");
}

#[test]
fn what_can_be_handled_in_no_way_is_put_back_or_dropped() {
    let office = Office::open(Desks::busy());
    let poison = "0f".repeat(16);
    let unreadable = "ee".repeat(16);
    let lines = [
        "meshd quarantine list".to_owned(),
        format!("meshd quarantine show {poison}"),
        format!("meshd quarantine show {unreadable}"),
        format!("meshd quarantine requeue {poison}"),
        format!("meshd quarantine requeue {poison}"),
        format!("meshd quarantine requeue {unreadable}"),
        format!("meshd quarantine drop {unreadable}"),
        "meshd quarantine list".to_owned(),
        format!("meshd quarantine show {poison}"),
        "meshd aside list".to_owned(),
        "meshd aside show 0003".to_owned(),
        "meshd aside show 0004".to_owned(),
        "meshd aside requeue 0003".to_owned(),
        "meshd aside requeue 0003".to_owned(),
        "meshd aside drop 0004".to_owned(),
        "meshd aside list".to_owned(),
        "meshd aside show 0003".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    office.transcript(&lines).check("leftovers");
}

#[test]
fn complaints_count_and_are_forgiven() {
    let office = Office::open(Desks::busy());
    let filed = office.transcript(&[
        "meshd incidents list",
        "meshd incidents level",
        "meshd incidents file mallory@example.com --what \"unasked for advertising\" --reporter bob@example.net --message NCAA-MSG2",
        "meshd incidents file spam.example --what \"forwards whatever it is given\" --reporter ops",
        "meshd incidents file spam.example --what \"and again\" --reporter ops",
        "meshd incidents list",
        "meshd incidents list spam.example --max 1",
        "meshd incidents level",
        "meshd incidents level alice@example.com",
        "meshd incidents forgive spam.example",
    ]);
    filed.check("incidents");
}

#[test]
fn where_nothing_is_it_is_said() {
    let office = Office::open(Desks::empty());
    let shown = office.transcript(&[
        "meshd queue list",
        "meshd queue show example.net",
        "meshd queue show --tenant example.com",
        "meshd quarantine list",
        "meshd aside list",
    ]);
    shown.check("nothing");
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let office = Office::open(Desks::away());
    let mut told = office.transcript(&[
        "meshd queue list",
        "meshd queue show \"not a domain\"",
        "meshd queue reroute example.net --via example.net",
        "meshd queue hold --tenant a..b",
    ]);
    let folder = tempfile::tempdir().unwrap();
    never_started(folder.path(), &mut told);
    nobody_there(&mut told);
    told.check("trouble");
}

/// Types a line about another folder than the office's.
fn typed(line: &str, folder: &std::path::Path, told: &mut Transcript) {
    use clap::Parser;
    let mut all = words(line);
    all.extend(["--data-dir".to_owned(), folder.to_str().unwrap().to_owned()]);
    let arguments = meshd::args::Arguments::try_parse_from(all).unwrap();
    let mut printed = super::command(arguments.command).run(super::noon());
    printed.err = printed.err.replace(folder.to_str().unwrap(), "FOLDER");
    told.add(line, &printed);
}

fn never_started(folder: &std::path::Path, told: &mut Transcript) {
    typed("meshd queue list", folder, told);
}

fn nobody_there(told: &mut Transcript) {
    let office = Office::open(Desks::empty());
    let kept = tempfile::tempdir().unwrap();
    let admin = kept.path().join("admin");
    std::fs::create_dir(&admin).unwrap();
    for name in ["token", "address"] {
        std::fs::copy(
            office.folder.path().join("admin").join(name),
            admin.join(name),
        )
        .unwrap();
    }
    let port = office.address.port();
    drop(office);
    let mut there = Transcript::default();
    typed("meshd explain NCAA-MSG0", kept.path(), &mut there);
    told.0.push_str(&there.0.replace(&port.to_string(), "PORT"));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(admin.join("token"), open).unwrap();
    typed("meshd queue list", kept.path(), told);
}

#[test]
fn whether_it_is_ready_is_a_question() {
    let ready = Office::open(Desks::empty());
    let mut said = ready.transcript(&["meshd health", "meshd health --json"]);
    let reasons = [
        "the store takes no writes: its disk is full",
        "the service is stopping",
    ];
    let not_ready = Office::open_with(Desks::empty(), reasons.map(str::to_owned).to_vec());
    for line in ["meshd health", "meshd health --json"] {
        said.add(line, &not_ready.run(line));
    }
    said.check("health");
}
