//! Two people over one service: contact data, confirmations, tasks, a blocked sender; two devices of
//! one of them; and a device that stays.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use serde_json::Value;

use crate::desk::{Desk, Transcript};

/// How often a device asks whether its messages have arrived.
const QUESTIONS_MAX: usize = 400;

/// A desk with Alice and Bob, Alice's first request with Bob.
fn alice_asks_bob() -> Desk {
    let desk = Desk::new("");
    desk.with_account("alice", "alice@localhost");
    desk.with_account("bob", "bob@localhost");
    desk.done("alice", "mesh contact add \"Alice Liddell\" --self");
    desk.done(
        "alice",
        "mesh contact request bob@localhost --message \"Alice from the choir\" --allow Confirm",
    );
    desk.settle("alice", "mesh");
    desk
}

/// A desk with Alice and Bob, who know each other.
fn friends() -> Desk {
    let desk = alice_asks_bob();
    desk.done("bob", "mesh sync");
    desk.done(
        "bob",
        "mesh contact accept alice@localhost --allow Confirm --allow Task",
    );
    desk.settle("bob", "mesh");
    desk.done("alice", "mesh sync");
    desk
}

impl Desk {
    /// Synchronizes the device that `mesh` starts until the way of every message it sent has come to
    /// an end: then they are where they were going.
    pub(crate) fn settle(&self, device: &str, mesh: &str) {
        for _ in 0..QUESTIONS_MAX {
            self.done(device, &format!("{mesh} sync"));
            let sent = self.result(device, &format!("{mesh} message list --outbound --all"));
            let sent = sent["messages"].as_array().expect("a list of messages");
            let is_final = |message: &Value| {
                let state = message["state"].as_str().expect("a state");
                matches!(state, "received" | "refused" | "failed")
            };
            if sent.iter().all(is_final) {
                return;
            }
        }
        panic!("messages of {device} are on their way for ever");
    }

    /// The identifier of the last message in a list.
    fn last_message(&self, device: &str, line: &str) -> String {
        let list = self.result(device, line);
        let list = list["messages"].as_array().expect("a list of messages");
        let last = list.last().expect("there are messages");
        last["id"].as_str().expect("an identifier").to_owned()
    }
}

// I-S-6-a
#[test]
fn two_people_exchange_contact_data() {
    let desk = alice_asks_bob();
    let mut told = Transcript::of(&desk, "alice");
    told.done("mesh contact pending");
    told.done("mesh message list --outbound");
    told.at("bob").done("mesh sync");
    told.done("mesh contact list");
    told.done("mesh contact pending");
    told.done("mesh contact accept alice@localhost --allow Confirm --allow Task");
    told.refused("mesh contact accept alice@localhost");
    desk.settle("bob", "mesh");
    told.done("mesh contact list");
    told.at("alice").done("mesh sync");
    told.done("mesh contact list");
    told.done("mesh contact pending");
    told.done("mesh message list --all");
    told.done("mesh verify");
    told.check("two-people");
}

// S-6.4-a
#[test]
fn a_question_is_answered_by_the_one_who_was_asked() {
    let desk = friends();
    let mut told = Transcript::of(&desk, "alice");
    told.done("mesh confirm ask bob@localhost \"Transfer 100 to the choir?\"");
    desk.settle("alice", "mesh");
    told.done("mesh confirm pending");
    told.at("bob").done("mesh sync");
    told.done("mesh confirm pending");
    told.done("mesh confirm accept alice@localhost");
    desk.settle("bob", "mesh");
    told.refused("mesh confirm reject alice@localhost");
    told.at("alice").done("mesh sync");
    told.done("mesh confirm pending");
    let id = desk.last_message("alice", "mesh message list");
    told.done(&format!("mesh message read {id}"));
    told.done(&format!("mesh message delete {id}"));
    told.done("mesh message list");
    told.done("mesh sync");
    told.done("mesh message list --all");
    told.done("mesh confirm pending --json");
    told.check("confirmation");
}

#[test]
fn a_task_is_sent_and_taken_and_a_blocked_sender_is_refused() {
    let desk = friends();
    let mut told = Transcript::of(&desk, "alice");
    told.done("mesh task send bob@localhost \"Water the ferns\" --finish 2026-07-01T18:00:00Z");
    desk.settle("alice", "mesh");
    told.at("bob").done("mesh sync");
    told.done("mesh task accept alice@localhost");
    told.done("mesh task list");
    told.done("mesh contact block alice@localhost");
    told.at("alice");
    told.done("mesh confirm ask bob@localhost \"Are you there?\"");
    desk.settle("alice", "mesh");
    told.done("mesh message list --outbound");
    told.done("mesh message status");
    told.done("mesh message status --all");
    told.at("bob").done("mesh sync");
    told.done("mesh message list");
    told.refused("mesh message status NAAA");
    told.check("task-and-block");
}

#[test]
fn what_cannot_be_sent_is_said_with_what_to_do() {
    let desk = alice_asks_bob();
    let mut told = Transcript::of(&desk, "alice");
    told.refused("mesh contact request alice@localhost");
    told.not_asked("mesh contact request alice");
    told.refused("mesh confirm ask bob@localhost \"May I?\"");
    told.refused("mesh task send bob@localhost \"Water the ferns\"");
    told.refused("mesh contact accept carol@localhost");
    told.refused("mesh message read NAAA");
    told.remark("the service stops");
    desk.stop();
    told.not_asked("mesh contact request carol@localhost");
    told.done("mesh message list --outbound --all");
    told.done("mesh message status");
    desk.start_again();
    told.check("not-sent");
    let sent = desk.result("alice", "mesh sync");
    assert_eq!(sent["posted"][0]["to"][0], "carol@localhost");
}

// S-6.1-a: two devices of one person, who both say something about one message, and both find one answer.
#[test]
fn two_devices_agree_about_messages_and_take_an_answer_in_once() {
    let desk = alice_asks_bob();
    desk.connect("bob", "bobs-phone");
    desk.done("bob", "mesh sync");
    desk.done("bobs-phone", "mesh sync");
    let id = desk.last_message("bob", "mesh message list");
    desk.done("bob", &format!("mesh message read {id}"));
    desk.done("bobs-phone", &format!("mesh message delete {id}"));
    desk.done("bob", "mesh sync");
    desk.done("bobs-phone", "mesh sync");
    desk.done("bob", "mesh sync");
    let all = "mesh message list --all";
    for device in ["bob", "bobs-phone"] {
        let list = desk.result(device, all);
        assert_eq!(list["messages"][0]["state"], "deleted", "{device}");
    }
    // The first device has the keys of the mesh and accepts; the other one sees that it did.
    desk.done("bob", &format!("mesh contact accept {id}"));
    desk.settle("bob", "mesh");
    desk.done("bobs-phone", "mesh sync");
    let late = desk.typed("bobs-phone", &format!("mesh contact accept {id}"), "");
    assert_eq!(late.code, Some(1), "{}", late.out);
    desk.connect("alice", "alices-phone");
    std::thread::scope(|both| {
        for device in ["alice", "alices-phone"] {
            let desk = &desk;
            both.spawn(move || desk.done(device, "mesh sync"));
        }
    });
    for device in ["alice", "alices-phone", "alice"] {
        desk.done(device, "mesh sync");
    }
    let contacts = desk.listed("alice", "mesh contact list");
    assert_eq!(contacts.len(), 2, "Alice herself, and Bob once");
    assert_eq!(contacts, desk.listed("alices-phone", "mesh contact list"));
    for device in ["alice", "alices-phone", "bob", "bobs-phone"] {
        desk.done(device, "mesh verify");
    }
}

// P-7.2.1-a
#[test]
fn without_a_terminal_a_collision_is_named_and_decided_by_an_option() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    for (device, page) in [("laptop", "mine"), ("phone", "theirs")] {
        for path in ["a", &format!("{device} only")] {
            let page = format!("https://{page}.example");
            desk.done(
                device,
                &format!("mesh bookmark add {page} --path \"{path}\""),
            );
        }
    }
    desk.done("phone", "mesh sync");
    let mut told = Transcript::of(&desk, "laptop");
    told.refused("mesh sync");
    told.refused("mesh sync --json");
    told.done("mesh sync --keep mine");
    told.at("phone").done("mesh sync");
    told.done("mesh bookmark list");
    told.check("collision");
}

/// A device that stays, and what it tells, line by line.
struct Staying {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Staying {
    fn at(desk: &Desk, device: &str) -> Self {
        let mut child = desk.begin(device, "mesh sync --watch --json");
        let out = child.stdout.take().expect("standard output is piped");
        Self {
            child,
            lines: BufReader::new(out).lines(),
        }
    }

    /// The next thing it tells that `wanted` says is the one.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        for line in self.lines.by_ref() {
            let line = line.expect("the command prints text");
            let told: Value = serde_json::from_str(&line).expect("one object per line");
            if wanted(&told) {
                return told;
            }
        }
        panic!("it ended before it told that");
    }

    fn event(&mut self, event: &str) -> Value {
        self.until(|told| told["result"]["event"] == event)
    }
}

fn has_arrived(told: &Value) -> bool {
    let arrived = told["result"]["news"]["arrived"].as_array();
    arrived.is_some_and(|arrived| !arrived.is_empty())
}

#[test]
fn a_device_that_stays_is_told_and_leaves_the_folder_to_others() {
    let desk = friends();
    let mut staying = Staying::at(&desk, "bob");
    staying.event("news");
    desk.done("alice", "mesh confirm ask bob@localhost \"Lunch?\"");
    let told = staying.until(has_arrived);
    assert_eq!(told["result"]["news"]["arrived"][0]["summary"], "Lunch?");
    // Another command works in the same folder meanwhile.
    desk.done("bob", "mesh confirm accept alice@localhost");
    desk.done("bob", "mesh bookmark add https://x.example --path x");
    let interrupted = Command::new("kill")
        .args(["-INT", &staying.child.id().to_string()])
        .status()
        .expect("a signal can be sent");
    assert!(interrupted.success());
    staying.event("stopped");
    let status = staying.child.wait().expect("a child can be waited for");
    assert_eq!(status.code(), Some(0));
    desk.done("bob", "mesh sync");
}

#[test]
fn a_device_that_stays_finds_the_service_again() {
    let desk = friends();
    let mut staying = Staying::at(&desk, "bob");
    staying.event("news");
    desk.stop();
    let lost = staying.event("lost");
    assert_eq!(lost["result"]["again_in_seconds"], 1);
    desk.start_again();
    staying.event("connected");
    desk.done("alice", "mesh confirm ask bob@localhost \"Back?\"");
    let told = staying.until(has_arrived);
    assert_eq!(told["result"]["news"]["arrived"][0]["summary"], "Back?");
    staying.child.kill().expect("the child runs");
    staying.child.wait().expect("a child can be waited for");
}

#[test]
fn a_device_that_was_removed_is_told_so_and_stays_no_longer() {
    let desk = Desk::new("");
    desk.with_account("laptop", "alice@localhost");
    desk.connect("laptop", "phone");
    let mut staying = Staying::at(&desk, "phone");
    staying.event("news");
    desk.done("laptop", "mesh device delete phone");
    desk.done("laptop", "mesh sync");
    let told = staying.until(|told| told.get("error").is_some());
    assert_eq!(
        told["error"]["try"],
        "connect this device again from another one"
    );
    let status = staying.child.wait().expect("a child can be waited for");
    assert_eq!(status.code(), Some(1));
}
