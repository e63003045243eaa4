//! `kill -9` of the command itself: in the middle of an import, in the middle of a synchronization, at
//! moments that follow from a seed. The next command works, and what was acknowledged is there once.
//!
//! A moment is a number of looks at the running command: how many a command lives is found by
//! letting it end first. `MESH_KILLS` sets how many commands of each kind are killed (3 unless set),
//! `MESH_SEED` at which moments.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mesh_common::entropy::{SeededEntropy, draw};

use crate::desk::Desk;
use crate::devices::at_service;

/// Entries that one round imports.
const ENTRIES: usize = 60;

/// Looks at the command that `line` starts until it ends or `looks` are over, then kills it. How
/// many looks it lived, and whether it was killed.
fn look_and_kill(desk: &Desk, line: &str, looks: u64) -> (u64, bool) {
    let mut child = desk.begin("laptop", line);
    for look in 0..looks {
        if let Some(status) = child.try_wait().expect("a child can be asked for") {
            assert!(status.success(), "{line}: {status}");
            return (look, false);
        }
        std::thread::yield_now();
    }
    child.kill().expect("a child can be killed");
    let status = child.wait().expect("a child can be waited for");
    (looks, status.code().is_none())
}

/// Moments at which one kind of command is killed, from a seed.
struct Moments {
    chance: SeededEntropy,
    /// Looks that such a command lives, as far as is known.
    looks: u64,
    killed: u64,
}

impl Moments {
    const fn new(chance: SeededEntropy, looks: u64) -> Self {
        Self {
            chance,
            looks,
            killed: 0,
        }
    }

    /// Types `line` and kills it at the next moment; whether it was killed before it ended. How long
    /// commands live changes with what else the machine does, and is learned from each.
    fn kill(&mut self, desk: &Desk, line: &str) -> bool {
        let moment = u64::from_be_bytes(draw(&mut self.chance)) % self.looks.max(1);
        let (lived, was_killed) = look_and_kill(desk, line, moment);
        self.looks = if was_killed {
            self.looks + self.looks / 8
        } else {
            lived
        };
        self.killed += u64::from(was_killed);
        was_killed
    }
}

/// The bookmarks of one round, as a browser exports them.
fn bookmarks(round: u64) -> String {
    let mut text = "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n".to_owned();
    for path in paths(round) {
        let _ = writeln!(
            text,
            "<DT><A HREF=\"https://example.org/{path}\">{path}</A>"
        );
    }
    text + "</DL><p>\n"
}

fn paths(round: u64) -> impl Iterator<Item = String> {
    (0..ENTRIES).map(move |number| format!("r{round}n{number:02}"))
}

#[test]
fn a_command_killed_in_its_work_leaves_nothing_lost_and_nothing_twice() {
    let rounds = number_of("MESH_KILLS", 3);
    let seed = number_of("MESH_SEED", 1);
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    desk.write("r0.html", &bookmarks(0));
    let (import_looks, _) = look_and_kill(&desk, "mesh import r0.html", u64::MAX);
    let (sync_looks, _) = look_and_kill(&desk, "mesh sync", u64::MAX);
    let mut imports = Moments::new(SeededEntropy::new(seed), import_looks);
    let mut syncs = Moments::new(SeededEntropy::new(seed + 1), sync_looks);
    let mut expected: BTreeSet<String> = paths(0).collect();
    let mut round = 0;
    while imports.killed.min(syncs.killed) < rounds {
        round += 1;
        assert!(round <= 10 * rounds, "commands end before they are killed");
        let file = format!("r{round}.html");
        desk.write(&file, &bookmarks(round));
        let own = format!("own{round}");
        desk.done(
            "laptop",
            &format!("mesh bookmark add https://example.org --path {own}"),
        );
        imports.kill(&desk, &format!("mesh import {file}"));
        // The entry that was acknowledged is there; the import is done as a whole or not at all.
        let found = desk.listed("laptop", "mesh bookmark list");
        assert!(found.contains(&own), "round {round}: {own} is lost");
        let imported = paths(round).filter(|path| found.contains(path)).count();
        assert!(
            imported == 0 || imported == ENTRIES,
            "{imported} of {ENTRIES}"
        );
        desk.done("laptop", &format!("mesh import {file}"));
        syncs.kill(&desk, "mesh sync");
        syncs.kill(&desk, "mesh sync");
        desk.done("laptop", "mesh sync");
        expected.insert(own);
        expected.extend(paths(round));
        let found = desk.listed("laptop", "mesh bookmark list");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(
            at_service(&desk, "laptop", "mmm_Bookmark"),
            1 + expected.len() as u64
        );
        desk.done("laptop", "mesh verify");
    }
    desk.done("phone", "mesh sync");
    let found = desk.listed("phone", "mesh bookmark list");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    desk.done("phone", "mesh verify");
}

#[test]
fn making_an_account_can_be_killed_and_typed_again() {
    let rounds = number_of("MESH_KILLS", 3);
    let desk = Desk::new("");
    let (looks, _) = look_and_kill(&desk, &desk.create_line("first@localhost"), u64::MAX);
    let mut moments = Moments::new(SeededEntropy::new(number_of("MESH_SEED", 2)), looks);
    let mut round = 0;
    while moments.killed < rounds {
        round += 1;
        assert!(round <= 10 * rounds, "commands end before they are killed");
        std::fs::remove_dir_all(desk.home("laptop")).expect("a folder can be removed");
        let line = desk.create_line(&format!("person{round}@localhost"));
        if moments.kill(&desk, &line) {
            let again = desk.typed("laptop", &line, "");
            // It was killed after it was done, or it is done now.
            let is_there = again.err.contains("has the account");
            assert!(again.code == Some(0) || is_there, "{}", again.err);
        }
        desk.done("laptop", "mesh sync");
        assert_eq!(at_service(&desk, "laptop", "mmm_Device"), 2);
        desk.done("laptop", "mesh verify");
    }
}

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}
