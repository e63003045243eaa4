//! An operator at a service whose people write to somebody whose service is dead: `meshd queue`, `explain`
//! and the rest, typed against a `meshd` that runs as a process of its own.

use std::net::TcpListener;
use std::process::Command;

use mesh_tests::process::program;
use serde_json::Value;

use crate::desk::{Desk, Ended, words};

/// How often is looked whether something has happened.
const LOOKS_MAX: usize = 600;

/// A desk with Alice, beside a service for `dead.example` where nobody listens.
fn beside_a_dead_service() -> Desk {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = nobody.local_addr().expect("it has an address").port();
    drop(nobody);
    let desk = Desk::new(&format!(
        "discovery.allow_loopback = true\ndiscovery.domains.\"dead.example\" = \"127.0.0.1:{port}\"\n"
    ));
    desk.with_account("alice", "alice@localhost");
    desk.done("alice", "mesh contact request bob@dead.example");
    desk
}

impl Desk {
    /// Types a line of an operator.
    fn ordered(&self, line: &str) -> Ended {
        let words = words(line);
        assert_eq!(words[0], "meshd", "{line}");
        let output = Command::new(program())
            .args(&words[1..])
            .args(["--data-dir", "meshd-data"])
            .current_dir(self.folder())
            .env_clear()
            .env("USER", "ops")
            .output();
        output.expect("the command can be started").into()
    }

    /// What `line` with `--json` results in, done.
    #[track_caller]
    fn told(&self, line: &str) -> Value {
        let ended = self.ordered(&format!("{line} --json"));
        assert_eq!(ended.code, Some(0), "{line}: {} {}", ended.out, ended.err);
        let mut answer: Value = serde_json::from_str(&ended.out).expect("the answer is JSON");
        answer["result"].take()
    }

    /// Asks `line` until the answer is as `is_so` says.
    #[track_caller]
    fn told_in_the_end(&self, line: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..LOOKS_MAX {
            let told = self.told(line);
            if is_so(&told) {
                return told;
            }
        }
        panic!("{line} never says it");
    }

    fn away(&self) -> Value {
        self.told_in_the_end("meshd queue list", |told| {
            told["destinations"][0]["phase"]["is"] == "away"
        })
    }
}

#[test]
fn an_operator_sees_why_a_message_waits_holds_it_and_ends_it() {
    let desk = beside_a_dead_service();
    let list = desk.away();
    assert_eq!(list["destinations"][0]["domain"], "dead.example");
    assert_eq!(list["destinations"][0]["waiting"], 1);
    let shown = desk.told("meshd queue show dead.example");
    let message = shown["items"][0]["message"]
        .as_str()
        .expect("an id")
        .to_owned();
    let trouble = &shown["destination"]["last_trouble"]["text"];
    let trouble = trouble.as_str().expect("what went wrong");
    assert!(trouble.starts_with("no connection: "), "{trouble}");

    let explained = desk.told(&format!("meshd explain {message}"));
    let queued = &explained["recipients"][0];
    assert_eq!(queued["is"], "queued");
    assert_eq!(queued["item"]["sender"], "alice@localhost");
    assert_eq!(
        queued["item"]["attempts"], 0,
        "being unreachable is no attempt"
    );
    assert_eq!(
        queued["item"]["next_try_at"], queued["destination"]["phase"]["next_try_at"],
        "it waits for its destination"
    );

    let held = desk.ordered("meshd queue hold dead.example --reason \"they move house\"");
    assert_eq!(held.code, Some(0));
    let refused = desk.ordered("meshd queue retry dead.example");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("held by ops (uid "), "{}", refused.err);
    desk.stop();
    desk.start_again();
    let orders = desk.told("meshd queue list")["orders"].take();
    assert_eq!(
        orders[0]["reason"], "they move house",
        "orders outlive the process"
    );
    assert_eq!(
        desk.ordered("meshd queue resume dead.example").code,
        Some(0)
    );

    let counted = desk.ordered("meshd queue fail dead.example --reason \"they are gone\"");
    assert_eq!(counted.code, Some(1));
    assert!(
        counted.out.starts_with("1 message would be ended"),
        "{}",
        counted.out
    );
    let ended = desk.told("meshd queue fail dead.example --reason \"they are gone\" --yes");
    assert_eq!(ended["items"], 1);
    let line = format!("meshd explain {message} --sender alice@localhost");
    let told = desk.told_in_the_end(&line, |told| {
        let first = &told["recipients"][0];
        first["is"] == "told" && first["state"].is_string()
    });
    assert_eq!(told["recipients"][0]["state"], "Failed");
    desk.settle("alice", "mesh");
    let sent = desk.result("alice", "mesh message list --outbound --all");
    let is_it = |one: &&Value| one["id"] == message.as_str();
    let sent = sent["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .find(is_it);
    assert_eq!(sent.expect("the message is there")["state"], "failed");
}

#[test]
fn complaints_throttle_and_are_forgiven() {
    let desk = Desk::new("");
    desk.with_account("alice", "alice@localhost");
    assert_eq!(
        desk.ordered("meshd incidents level").out,
        "everybody stands as normal\n"
    );
    let file = "meshd incidents file alice@localhost --what advertising --reporter bob@example.net";
    let mut level = desk.told(file)["level"].take();
    for _ in 0..20 {
        level = desk.told(file)["level"].take();
    }
    assert_eq!(level, "suspended");
    let refused = desk.typed("alice", "mesh contact request bob@localhost", "");
    assert_ne!(refused.code, Some(0), "who is suspended sends nothing");
    assert_eq!(
        desk.told("meshd incidents forgive alice@localhost")["level"],
        "normal"
    );
    desk.done("alice", "mesh sync");
    let elsewhere = desk.ordered(
        "meshd incidents file somebody@example.org --what advertising --reporter bob@example.net",
    );
    assert_eq!(elsewhere.code, Some(1), "{}", elsewhere.out);
}

#[test]
fn only_who_may_read_the_token_is_answered() {
    let desk = Desk::new("");
    let token = desk.folder().join("meshd-data/admin/token");
    let text = std::fs::read_to_string(&token).expect("the service made a token");
    std::fs::write(&token, text.chars().rev().collect::<String>()).expect("it can be written");
    let other = desk.ordered("meshd queue list");
    assert_eq!(other.code, Some(2), "{}", other.out);
    std::fs::remove_file(&token).expect("it can be removed");
    let none = desk.ordered("meshd queue list");
    assert_eq!(none.code, Some(2));
    assert!(
        none.err.contains("try: name its data folder"),
        "{}",
        none.err
    );
    std::fs::write(&token, text).expect("it can be written");
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("it is ours");
    assert_eq!(desk.ordered("meshd queue list").code, Some(0));
}
