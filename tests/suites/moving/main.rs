//! Accounts as a whole, as an operator moves them with the real program: verified, exported, imported at another
//! service, migrated into another store, restored. What is printed is compared with golden files; sizes and times in it
//! are replaced, since they differ from run to run.

use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_common::dare::Envelope;
use mesh_tests::device::{Account, Answered as _, Device, Reach, first_frame};
use mesh_tests::process::{Place, Process, program};

const CATALOG: &str = "mmm_Bookmark";
const SETTINGS: &str = "limits.rate.enabled = false\n";

/// What was typed, and what was printed.
#[derive(Default)]
struct Transcript(String);

impl Transcript {
    /// Types `meshd` with these words, and gives the exit code.
    fn types(&mut self, place: &Place, words: &[&str]) -> Option<i32> {
        let output = Command::new(program())
            .args(words)
            .arg("--config")
            .arg(place.config())
            .output()
            .expect("meshd can be run");
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).expect("what is printed is text");
        let typed: Vec<&str> = words.iter().map(|word| name_of(word)).collect();
        self.0
            .push_str(&format!("$ meshd {}\n{printed}", typed.join(" ")));
        if output.status.code() != Some(0) {
            let code = output.status.code().expect("meshd was not killed");
            self.0.push_str(&format!("[exit code {code}]\n"));
        }
        self.0.push('\n');
        output.status.code()
    }

    /// A service there does not start, and says why.
    fn is_refused(&mut self, place: &Place) {
        let refused = place.try_start().expect_err("its store is not served from");
        let errors = refused.stderr.lines();
        let errors = errors.skip_while(|line| !line.starts_with("error:"));
        self.0.extend(errors.flat_map(|line| [line, "\n"]));
        self.0.push('\n');
    }

    /// Compares with a golden file; `GOLDEN=write` rewrites it.
    #[track_caller]
    fn check(&self, name: &str, folders: &[&Path]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("suites/moving/golden")
            .join(format!("{name}.txt"));
        let found = plain(&self.0, folders);
        if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
            std::fs::write(&path, &found).expect("the golden file can be written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "differs from {}", path.display());
    }
}

/// The last part of a path, or the word.
fn name_of(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The text without the folders it happened in, and without sizes.
fn plain(text: &str, folders: &[&Path]) -> String {
    let mut text = text.to_owned();
    for folder in folders {
        text = text.replace(&folder.display().to_string(), "FOLDER");
    }
    let mut lines = String::new();
    for line in text.lines() {
        // A port that the system chose.
        let line = match line.split_once("127.0.0.1:") {
            Some((before, _)) => format!("{before}127.0.0.1:PORT"),
            None => line.to_owned(),
        };
        // The name that a migration drew.
        let line = match line
            .split_once("(migration ")
            .map(|(before, after)| (before, after.split_once(')')))
        {
            Some((before, Some((_, after)))) => format!("{before}(migration NAME){after}"),
            _ => line,
        };
        let mut words: Vec<&str> = line.split(' ').collect();
        for place in 1..words.len() {
            if ["KiB", "MiB", "octets"].contains(&words[place].trim_end_matches([',', ';', '\n']))
                && words[place - 1].starts_with(|letter: char| letter.is_ascii_digit())
            {
                words[place - 1] = "N";
            }
        }
        lines.push_str(&words.join(" "));
        lines.push('\n');
    }
    lines
}

/// An account with a bookmark that takes several chunks, at a service that runs.
async fn somebody(process: &Process, address: &str, seed: u64) -> Device {
    let (_, mut device) = Account::create(&Reach::of(process), address, seed).await;
    let long = device.entry("New", "long", &[7; 150_000]);
    let short = device.entry("New", "short", b"a line");
    let response = device
        .upload(CATALOG, Some(0), vec![first_frame(), long, short])
        .await;
    assert!(response.outcome().is_success(), "{:?}", response.code());
    device
}

fn payloads(frames: &[Envelope]) -> Vec<&[u8]> {
    frames
        .iter()
        .map(|frame| frame.payload.as_slice())
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

// P-3.1-a
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_verified_exported_and_imported_while_services_run() {
    let (here, there) = (Place::new(SETTINGS), Place::new(SETTINGS));
    let process = here.start();
    somebody(&process, "alice@localhost", 1).await;
    somebody(&process, "bob@localhost", 2).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (alice, domain) = (folder.path().join("alice"), folder.path().join("domain"));
    let mut said = Transcript::default();
    said.types(&here, &["verify"]);
    said.types(&here, &["verify", "--domain", "nowhere.example"]);
    said.types(&here, &["export", "alice@localhost", "--to", text(&alice)]);
    said.types(&here, &["export", "alice@localhost", "--to", text(&alice)]);
    said.types(
        &here,
        &[
            "export",
            "carol@localhost",
            "--to",
            text(&domain.join("carol")),
        ],
    );
    said.types(&here, &["export", "localhost", "--to", text(&domain)]);
    let other = there.start();
    said.types(&there, &["import", text(&alice)]);
    said.types(&there, &["import", text(&alice)]);
    said.types(&there, &["import", text(&folder.path().join("nothing"))]);
    said.types(&there, &["verify"]);
    assert!(process.stop().success());
    assert!(other.stop().success());
    said.check("export-import", &[folder.path(), here.data(), there.data()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_moves_into_another_store_and_devices_notice_nothing() {
    let (here, there) = (Place::new(SETTINGS), Place::new(SETTINGS));
    let process = here.start();
    let mut alice = somebody(&process, "alice@localhost", 1).await;
    let mut said = Transcript::default();
    let to = PathBuf::from(there.config());
    assert_eq!(said.types(&here, &["migrate", "--to", text(&to)]), Some(0));
    let later = alice.entry("New", "later", b"while it is copied");
    let response = alice.upload(CATALOG, Some(3), vec![later]).await;
    assert!(response.outcome().is_success(), "{:?}", response.code());
    // The service still has its store open.
    assert_eq!(
        said.types(&here, &["migrate", "--to", text(&to), "--finish"]),
        Some(2)
    );
    let before = alice.frames(CATALOG).await;
    assert!(process.stop().success());
    said.is_refused(&there);
    assert_eq!(
        said.types(&here, &["migrate", "--to", text(&to), "--finish"]),
        Some(0)
    );
    said.types(&here, &["migrate", "--to", text(&to), "--finish"]);
    said.is_refused(&here);
    // Identity and certificates are files, and go along.
    for part in ["identity", "tls"] {
        copy(&here.data().join(part), &there.data().join(part));
    }
    let process = there.start();
    alice.reach = Reach::of(&process);
    let after = alice.frames(CATALOG).await;
    assert_eq!(payloads(&after), payloads(&before));
    let entry = alice.entry("New", "there", b"at the other end");
    let response = alice.upload(CATALOG, Some(4), vec![entry]).await;
    assert!(response.outcome().is_success(), "{:?}", response.code());
    said.types(&there, &["verify"]);
    assert!(process.stop().success());
    let folders = [&to, here.config()].map(|path| path.parent().expect("a file lies in a folder"));
    said.check("migrate", &folders);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_is_looked_at_and_opened_before_it_is_served_from() {
    let place = Place::new(SETTINGS);
    let process = place.start();
    let mut alice = somebody(&process, "alice@localhost", 1).await;
    assert!(process.stop().success());
    let mut said = Transcript::default();
    said.types(&place, &["restore-check"]);
    said.types(&place, &["restore-check", "--open"]);
    said.types(&place, &["verify", "--stopped"]);
    said.types(&place, &["verify"]);
    let process = place.start();
    alice.reach = Reach::of(&process);
    let entry = alice.entry("New", "after", b"after the restore");
    let response = alice.upload(CATALOG, Some(3), vec![entry]).await;
    assert!(response.outcome().is_success(), "{:?}", response.code());
    said.types(&place, &["restore-check"]);
    assert!(process.stop().success());
    let folder = place
        .config()
        .parent()
        .expect("the configuration lies in a folder");
    said.check("restore", &[folder]);
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-rT").args([from, to]).status();
    assert!(status.expect("cp can be run").success());
}
