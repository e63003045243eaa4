//! What can be wrong where a service runs, and what it says then (issue "What must hold"): each
//! trouble ends the program with exit code 2 and a sentence that says what to do, and none costs
//! anything that was acknowledged.
//!
//! | file | holds |
//! | --- | --- |
//! | `starts.rs` | settings, ports, folders, keys, certificates that cannot be used |
//! | `damage.rs` | files of the store that were changed behind its back |
//! | `full_disk.rs` | a disk that is full while the service runs, and before it starts |
//!
//! What a person reads lies in `tests/data/trouble`; `GOLDEN=write` writes it anew.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made or read fails its test; figures are for who wants to see them"
)]

mod damage;
mod full_disk;
mod starts;

use std::path::PathBuf;

use mesh_tests::device::{Account, Answered as _, Device, Reach, first_frame};
use mesh_tests::process::{Failed, Place};

pub(crate) const CATALOG: &str = "mmm_Bookmark";
/// Without log lines standard error holds what a person is told and nothing else.
pub(crate) const SETTINGS: &str = "limits.rate.enabled = false\ntelemetry.filter = \"off\"\n";

/// Compares what the program said with the golden file `name`, and its exit code with 2. Folders of
/// this run are shown as `PLACE`, numbers that differ from run to run as `N`.
pub(crate) fn check(name: &str, place: &Place, failed: &Failed, masked: &[(&str, &str)]) {
    assert_eq!(failed.status.code(), Some(2), "{}", failed.stderr);
    let folder = place.config().parent().expect("a file is in a folder");
    let mut said = failed
        .stderr
        .replace(&place.data().display().to_string(), "DATA")
        .replace(&folder.display().to_string(), "PLACE");
    if let Some((before, _)) = said.split_once(".tmp") {
        // The name of a file that was to be renamed once it is whole.
        let (from, to) = (before.len() + 4, before.len() + 10);
        said.replace_range(from..to, "NAME");
    }
    for (found, shown) in masked {
        said = said.replace(found, shown);
    }
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "data", "trouble"]
        .iter()
        .collect::<PathBuf>()
        .join(format!("{name}.txt"));
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        std::fs::create_dir_all(path.parent().expect("it is in a folder"))
            .and_then(|()| std::fs::write(&path, &said))
            .expect("golden files can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(said, expected, "{name}: GOLDEN=write writes it anew");
}

/// An account with some entries, on a service that was stopped since.
pub(crate) async fn filled(place: &Place) -> (Device, u64) {
    let process = place.start();
    let (mut device, count) = fill(&Reach::of(&process), 10).await;
    assert_eq!(device.frames(CATALOG).await.len() as u64, count);
    assert!(process.stop().success());
    (device, count)
}

/// An account whose catalog has `entries` entries of 5,000 octets; the number of its frames.
pub(crate) async fn fill(reach: &Reach, entries: u64) -> (Device, u64) {
    let (_, mut device) = Account::create(reach, "owner@localhost", 5).await;
    let response = device.upload(CATALOG, Some(0), vec![first_frame()]).await;
    assert!(response.outcome().is_success(), "{response:?}");
    for number in 0..entries {
        let entry = device.entry("New", &format!("id{number}"), &[7; 5_000]);
        let response = device.upload(CATALOG, None, vec![entry]).await;
        assert!(response.outcome().is_success(), "{:?}", response.code());
    }
    (device, entries + 1)
}

/// The words before `meshd` that take from it the right to read and write what its user may not,
/// where the tests run as root; otherwise none.
pub(crate) fn without_privileges() -> Vec<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if is_root {
        vec!["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    } else {
        Vec::new()
    }
}
