//! The README, typed: every line of its console blocks that starts a program of ours is run, with
//! the ports that the system chose and with a password where one is asked for at the terminal. A line
//! that is not done, or that is not known here, fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mesh_tests::golden;
use mesh_tests::process::{Place, program};

use crate::desk::{Desk, Transcript, words};

pub(crate) fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the crate lies in the workspace")
        .into()
}

/// The lines behind `$ ` in the console blocks below `heading`, without their remarks.
pub(crate) fn typed_below(heading: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap_or_else(|| panic!("the README has no section {heading:?}"));
    let mut is_console = false;
    let mut lines = Vec::new();
    for line in section.lines() {
        match line.strip_prefix("```") {
            Some(language) => is_console = language == "console",
            None if is_console => lines.extend(line.strip_prefix("$ ").map(without_remark)),
            None => {}
        }
    }
    assert!(!lines.is_empty(), "{heading:?} has no console block");
    lines
}

/// The line with what the command before it has shown, where the README names that in capitals.
fn with_what_was_shown(line: &str, shown: &str) -> String {
    let of_line = |label: &str| {
        let mut lines = shown.lines().map(str::trim);
        lines
            .find_map(|line| line.strip_prefix(label))
            .unwrap_or("")
            .trim()
            .to_owned()
    };
    line.replace(" WITNESS", &format!(" {}", of_line("witness")))
        .replace(
            " PIN ",
            &format!(" {} ", shown.lines().next().unwrap_or("")),
        )
}

/// How the command of whoever sends a message with `line` begins.
fn sender_of(line: &str) -> Option<String> {
    let is_sending = |words: &[String]| {
        matches!(
            (words[0].as_str(), words[1].as_str()),
            ("contact", "request" | "accept") | ("confirm", "ask" | "accept" | "reject")
        )
    };
    let words = words(line);
    let options = if words[1] == "--home" { 2 } else { 0 };
    let (start, rest) = words.split_at(1 + options);
    (rest.len() >= 2 && is_sending(rest)).then(|| start.join(" "))
}

fn without_remark(line: &str) -> String {
    let line = line.split("  #").next().unwrap_or(line);
    line.trim_end().to_owned()
}

#[test]
fn every_line_of_the_tour_does_what_the_readme_says() {
    let desk = Desk::with_defaults();
    std::os::unix::fs::symlink(workspace().join("meshd"), desk.folder().join("meshd"))
        .expect("a link can be made");
    let mut told = Transcript::of(&desk, "alice");
    let mut typed = 0;
    let mut last = String::new();
    let mut sent: Vec<String> = Vec::new();
    for line in typed_below("A tour by hand") {
        if line.starts_with("mesh ") {
            let line = line.replace("https://localhost:8443", &desk.url());
            let line = with_what_was_shown(&line, &last);
            // Who reads this types slower than the service delivers.
            if line.ends_with(" sync") {
                for who in sent.drain(..) {
                    desk.settle("alice", &who);
                }
            }
            sent.extend(sender_of(&line));
            last = if line.starts_with("mesh password add ") {
                told.ends_with(0, &format!("{line} --password-stdin"), "open sesame\n")
            } else {
                told.ends_with(0, &line, "")
            }
            .out;
            typed += 1;
        } else if let Some(arguments) = line.strip_prefix("cargo run --release -- ") {
            // The desk's service was started by just that.
            assert_eq!(arguments, "run");
        } else if let Some(folder) = line.strip_prefix("cargo install --path ") {
            let manifest = workspace().join(folder).join("Cargo.toml");
            let manifest = std::fs::read_to_string(manifest).expect("there is a package");
            assert!(manifest.contains("name = \"mesh\""), "{line}");
        } else {
            panic!("nobody knows whether this works: {line}");
        }
    }
    assert!(typed >= 8, "the tour has only {typed} lines");
    told.check("tour");
    assert!(desk.home("alice").join("keys.json").exists());
    let status = desk.result("alice", "mesh account status");
    let containers = status["containers"].as_array().expect("a list");
    assert_eq!(containers.len(), 10, "seven catalogs and three spools");
}

#[test]
fn what_the_service_says_to_type_next_can_be_typed() {
    let desk = Desk::with_defaults();
    desk.done("alice", &desk.line_to_type_next());
    desk.done("alice", "mesh sync");
}

#[test]
fn the_lines_for_a_real_service_work_with_the_shipped_configuration() {
    let shipped = workspace().join("deploy/config/meshd.toml");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for line in typed_below("A real service") {
        let words = words(&line);
        assert_eq!(words[0], "meshd", "{line}");
        if words[1..3] == ["queue", "list"] {
            // Typed by `operate`, beside a service with a queue.
            continue;
        }
        assert_eq!(words[2..], ["--config", "/etc/meshd/meshd.toml"], "{line}");
        match words[1].as_str() {
            "check-config" => {
                let status = Command::new(program())
                    .arg("check-config")
                    .arg("--config")
                    .arg(&shipped)
                    .current_dir(folder.path())
                    .env_clear()
                    .stdout(Stdio::null())
                    .status()
                    .expect("the program can be started");
                assert!(status.success(), "{line}");
            }
            "run" => {
                let service = Place::with_configuration(folder.path(), &shipped).start();
                assert_eq!(service.admin("/readyz").0, 200);
                assert!(service.stop().success(), "{line}");
            }
            _ => panic!("nobody knows whether this works: {line}"),
        }
    }
}

#[test]
fn the_commands_at_the_readmes_top_are_those_that_exist() {
    for line in typed_below("Two commands") {
        match line.as_str() {
            // Both are run by what calls this test.
            "cargo test --workspace" => {}
            "cargo run --release -- demo" => {
                let told = Command::new(program())
                    .arg("demo")
                    .env_clear()
                    .output()
                    .expect("the program can be started");
                let story = String::from_utf8_lossy(&told.stdout);
                assert!(told.status.success(), "{line}: {story}");
                golden::check("cli/demo", &outline(&story));
            }
            _ => panic!("nobody knows whether this works: {line}"),
        }
    }
}

/// The steps of the demo and what they checked, without numbers: what it tells each time.
fn outline(story: &str) -> String {
    let tells = |line: &&str| line.starts_with("      checked") || !line.starts_with("      ");
    let mut outline = String::new();
    for line in story.lines().filter(tells) {
        let mut is_number = false;
        for letter in line.chars() {
            match (letter.is_ascii_digit(), is_number) {
                (true, true) => {}
                (true, false) => outline.push('#'),
                (false, _) => outline.push(letter),
            }
            is_number = letter.is_ascii_digit();
        }
        outline.push('\n');
    }
    outline
}
