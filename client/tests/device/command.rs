//! The command `mesh` as it is typed: help, results, errors, exit codes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::golden;
use crate::people::{Scene, bookmark, contact, password};

/// What a command printed and how it ended.
struct Ended {
    out: String,
    err: String,
    code: i32,
}

/// Runs `mesh` with `arguments` on the folder `home`.
fn mesh(home: &Path, arguments: &[&str]) -> Ended {
    mesh_with_input(home, arguments, "")
}

fn mesh_with_input(home: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mesh"))
        .args(arguments)
        .env_clear()
        .env("MESH_HOME", home)
        .env("COLUMNS", "100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

impl Ended {
    /// Both outputs and the code, with `home` and everything random made the same in every run.
    fn golden(&self, name: &str, home: &Path) {
        let text = format!("{}{}exit code {}\n", self.out, self.err, self.code);
        let text = text.replace(&home.display().to_string(), "HOME");
        golden::compare(name, &text);
    }

    fn json(&self) -> Value {
        assert_eq!(self.err, "");
        serde_json::from_str(&self.out).unwrap()
    }
}

/// A folder in which Alice has an account and three entries.
async fn alice_with_entries() -> (Scene, std::path::PathBuf) {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&contact("NAAA-BBBB", "Ada Lovelace")).unwrap();
    laptop
        .add(&bookmark("Food/Bananas", "https://example.org"))
        .unwrap();
    laptop
        .add(&password("mail.example.com", "open sesame"))
        .unwrap();
    let home = scene.folder("laptop");
    (scene, home)
}

/// The commands below `path`, by its help.
fn subcommands(path: &[String]) -> Vec<Vec<String>> {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("-h");
    let help = mesh(Path::new("/nowhere"), &arguments).out;
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(|word| [path, &[word.to_owned()]].concat())
        .collect()
}

#[test]
fn every_help_text_is_the_one_that_was_reviewed() {
    let mut seen = Vec::new();
    let mut next = vec![vec![]];
    while let Some(path) = next.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = mesh(Path::new("/nowhere"), &arguments);
        assert_eq!((help.code, help.err.as_str()), (0, ""));
        let name = format!(
            "{}.txt",
            [&["mesh".to_owned()], &path[..]].concat().join("-")
        );
        golden::compare(&format!("help/{name}"), &help.out);
        seen.push(name);
        next.extend(subcommands(&path));
    }
    seen.sort();
    assert_eq!(seen.len(), 1 + 18 + 5 + 10 + 7 * 5 + 5 + 2 + 4 + 5 + 9);
    assert_eq!(golden::names("help"), seen, "a golden file has no command");
}

#[test]
fn errors_say_what_why_and_what_next() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    for (name, arguments) in [
        ("no-account", &["sync"][..]),
        ("no-account-add", &["contact", "add", "Ada"]),
        ("not-an-address", &["account", "create", "alice"]),
        (
            "not-https",
            &["account", "create", "a@b.org", "--service", "http://b.org"],
        ),
        (
            "no-such-ca",
            &["account", "create", "a@b.org", "--ca", "/nowhere/ca.pem"],
        ),
        ("delete-without-yes", &["account", "delete"]),
        ("no-such-file", &["import", "/nowhere/contacts.vcf"]),
        ("no-such-export", &["verify", "/nowhere"]),
        (
            "no-such-passphrase-file",
            &["sync", "--passphrase-file", "/nowhere/p"],
        ),
        ("unknown-command", &["contcat", "list"]),
        (
            "unknown-option",
            &["contact", "add", "Ada", "--mail", "a@b.org"],
        ),
        ("not-a-time", &["task", "add", "x", "--start", "tomorrow"]),
        (
            "not-a-mail-server",
            &["mail", "add", "x", "--inbound", "imap.example.com"],
        ),
        ("no-password", &["password", "add", "x.example"]),
    ] {
        let ended = mesh(&home, arguments);
        assert_eq!(ended.code, 2, "{name}: {}", ended.err);
        ended.golden(&format!("errors/{name}.txt"), &home);
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    mesh(&file, &["sync"]).golden("errors/home-is-a-file.txt", &file);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = place.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::write(open.join("letter.txt"), "").unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        mesh(&open, &["sync"]).golden("errors/home-is-open.txt", &open);
    }
}

#[tokio::test]
async fn a_wrong_key_file_is_a_sentence() {
    let (_scene, home) = alice_with_entries().await;
    let path = home.join("keys.json");
    let keys = fs::read(&path).unwrap();
    for (name, octets) in [
        ("keys-torn", &keys[..keys.len() / 2]),
        ("keys-of-a-later-version", br#"{"Version":2}"#),
        ("keys-something-else", b"hello"),
    ] {
        fs::write(&path, octets).unwrap();
        let ended = mesh(&home, &["contact", "list"]);
        assert_eq!(ended.code, 2, "{name}");
        ended.golden(&format!("errors/{name}.txt"), &home);
    }
    fs::write(&path, keys).unwrap();
    assert_eq!(mesh(&home, &["contact", "list"]).code, 0);
}

#[tokio::test]
async fn answers_that_are_no_end_with_one() {
    let (scene, home) = alice_with_entries().await;
    let mut laptop = scene.device("laptop");
    laptop
        .add(&contact("NAAA-CCCC", "Charles Babbage"))
        .unwrap();
    drop(laptop);
    for (name, arguments) in [
        ("not-found", &["contact", "get", "Bob"][..]),
        ("ambiguous", &["contact", "get", "NAAA"]),
        (
            "exists",
            &["bookmark", "add", "https://x.org", "--path", "Food/Bananas"],
        ),
        (
            "other-id",
            &["password", "update", "mail.example.com", "--service", "x"],
        ),
    ] {
        let ended = mesh(&home, arguments);
        assert_eq!(ended.code, 1, "{name}: {}", ended.err);
        ended.golden(&format!("errors/{name}.txt"), &home);
    }
}

#[tokio::test]
async fn a_damaged_replica_is_told_and_ends_with_one() {
    let (_scene, home) = alice_with_entries().await;
    let path = home.join("containers/mmm_Bookmark.dare");
    let mut octets = fs::read(&path).unwrap();
    let frames = mesh_common::dare::container::read_all(&octets).unwrap();
    octets[usize::try_from(frames[1].start).unwrap()] = 0;
    fs::write(&path, &octets).unwrap();
    let ended = mesh(&home, &["bookmark", "list"]);
    assert_eq!(ended.code, 1);
    ended.golden("errors/replica-damaged.txt", &home);
    let verified = mesh(&home, &["verify", "--json"]);
    assert_eq!(verified.code, 1);
    assert_eq!(verified.json()["result"]["sound"], false);
}

#[tokio::test]
async fn results_are_printed_for_people() {
    let (_scene, home) = alice_with_entries().await;
    for (name, arguments) in [
        ("contact-get", &["contact", "get", "ada lovelace"][..]),
        ("contact-list", &["contact", "list"]),
        ("bookmark-list-nothing", &["bookmark", "list", "apples"]),
        ("password-list", &["password", "list"]),
        (
            "password-get-shown",
            &["password", "get", "mail", "--show-secrets"],
        ),
        (
            "contact-update",
            &[
                "contact",
                "update",
                "Ada Lovelace",
                "--email",
                "ada@example.org",
            ],
        ),
        ("contact-delete", &["contact", "delete", "NAAA"]),
        (
            "ssh-add",
            &[
                "ssh",
                "add",
                "work",
                "--known-host",
                "host ssh-ed25519 AAAA",
            ],
        ),
        (
            "mail-add",
            &["mail", "add", "work", "--inbound", "imaps://a@x.org"],
        ),
        ("nothing-to-update", &["bookmark", "update", "Food/Bananas"]),
    ] {
        mesh(&home, arguments).golden(&format!("results/{name}.txt"), &home);
    }
}

#[tokio::test]
async fn json_has_the_shape_the_manual_promises() {
    let (_scene, home) = alice_with_entries().await;
    let list = mesh(&home, &["contact", "list", "--json"]).json();
    assert_eq!(list["command"], "contact list");
    let entry = &list["result"]["entries"][0];
    assert_eq!(entry["title"], "Ada Lovelace");
    assert_eq!(entry["entry"]["Contact"]["FullName"], "Ada Lovelace");
    assert_eq!(entry["waiting"], true);
    let hidden = mesh(&home, &["password", "list", "--json"]);
    assert!(!hidden.out.contains("sesame"));
    let shown = mesh(&home, &["password", "list", "--json", "--show-secrets"]).json();
    assert_eq!(
        shown["result"]["entries"][0]["entry"]["Password"],
        "open sesame"
    );
    let failure = mesh(&home, &["contact", "get", "Bob", "--json"]);
    assert_eq!(failure.code, 1);
    let failure = failure.json();
    assert_eq!(failure["error"]["exit_code"], 1);
    assert_eq!(failure["error"]["try"], "mesh contact list");
    assert!(failure["error"]["caused_by"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn secrets_come_from_standard_input_and_never_from_the_arguments() {
    let (_scene, home) = alice_with_entries().await;
    let add = [
        "password",
        "add",
        "x.example",
        "--username",
        "a",
        "--password-stdin",
    ];
    assert_eq!(mesh_with_input(&home, &add, "hunter2\nmore\n").code, 0);
    let shown = mesh(&home, &["password", "get", "x.example", "--show-secrets"]);
    assert!(shown.out.contains("hunter2") && !shown.out.contains("more"));
    assert!(
        !mesh(&home, &["password", "get", "x.example"])
            .out
            .contains("hunter2")
    );
    let verbose = mesh(&home, &["-vv", "password", "list"]);
    assert!(!verbose.err.contains("hunter2"));
}

#[tokio::test]
async fn sealed_keys_open_with_the_right_passphrase_only() {
    use mesh_client::keystore::{Cost, Passphrase};
    let scene = Scene::new();
    let home = scene.folder("sealed");
    let cheap = Cost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };
    let mut client = mesh_client::Client::builder(&home)
        .passphrase(Some(Passphrase::new("open sesame")))
        .cost(cheap)
        .clock(scene.clock.clone())
        .transport(scene.service.clone())
        .open()
        .unwrap();
    client
        .create_account(&crate::people::alice())
        .await
        .unwrap();
    drop(client);
    let list = |input: &str| {
        let arguments = ["contact", "list", "--passphrase-file", "-"];
        mesh_with_input(&home, &arguments, input)
    };
    assert_eq!(list("open sesame\n").code, 0);
    list("open barley\n").golden("errors/passphrase-wrong.txt", &home);
    list("").golden("errors/passphrase-empty.txt", &home);
    mesh(&home, &["contact", "list"]).golden("errors/passphrase-needed.txt", &home);
}

#[tokio::test]
async fn two_commands_at_once_wait_for_each_other() {
    let (scene, home) = alice_with_entries().await;
    let laptop = scene.device("laptop");
    let waiting = std::thread::spawn(move || mesh(&home, &["contact", "list"]));
    drop(laptop);
    assert_eq!(waiting.join().unwrap().code, 0);
}

#[test]
fn an_unreachable_service_is_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let ended = mesh(&home, &["account", "create", "a@b.org", "--service", &url]);
    assert_eq!(ended.code, 2);
    let start = format!("error: the service at {url} cannot be reached\ncaused by: ");
    assert!(ended.err.starts_with(&start), "{}", ended.err);
    assert!(ended.err.contains("\ntry: check that the service runs"));
    assert!(!home.join("keys.json").exists());
}

#[test]
fn completions_and_pages_are_made_from_the_same_structures() {
    let place = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = mesh(place.path(), &["completions", shell]);
        assert_eq!(ended.code, 0);
        assert!(ended.out.contains("bookmark"), "{shell}");
    }
    let pages = place.path().join("man");
    let ended = mesh(place.path(), &["man", pages.to_str().unwrap(), "--json"]).json();
    let names = ended["result"]["pages"].as_array().unwrap();
    assert!(names.len() > 50);
    let page = fs::read_to_string(pages.join("mesh-contact-add.1")).unwrap();
    assert!(page.contains("Add a contact"));
}

#[tokio::test]
async fn imports_and_exports_work_from_the_command_line() {
    let (_scene, home) = alice_with_entries().await;
    let cards = home.join("cards.vcf");
    fs::write(
        &cards,
        "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:7\r\nFN:Grace\r\nBDAY:19061209\r\nEND:VCARD\r\n",
    )
    .unwrap();
    let cards = cards.to_str().unwrap();
    mesh(&home, &["import", cards, "--dry-run"]).golden("results/import-dry-run.txt", &home);
    mesh(&home, &["import", cards]).golden("results/import.txt", &home);
    mesh(&home, &["import", cards]).golden("results/import-again.txt", &home);
    let folder = home.join("export");
    let folder = folder.to_str().unwrap();
    let exported = mesh(&home, &["export", folder, "--json"]).json();
    assert_eq!(exported["result"]["account"], "alice@example.com");
    assert_eq!(mesh(Path::new("/nowhere"), &["verify", folder]).code, 0);
    let again = mesh(&home, &["export", folder]);
    again.golden("errors/export-not-empty.txt", &home);
}
