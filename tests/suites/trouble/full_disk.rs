//! A disk that fills up: a small one in memory, in a mount namespace of its own, which is gone with
//! the process that holds it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mesh_common::protocol::{Code, Response};
use mesh_tests::device::{Answered as _, Device, Reach};
use mesh_tests::process::{Place, Process};

use super::{CATALOG, SETTINGS, check, fill};

const DISK_MEBIBYTES: u64 = 160;

/// A small disk.
struct Disk {
    holder: Child,
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounts it; `None` where this user may not.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "mount -t tmpfs -o size={DISK_MEBIBYTES}m tmpfs \"$0\" && echo mounted && exec cat"
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let stdout = holder.stdout.take()?;
        BufReader::new(stdout).read_line(&mut line).ok()?;
        let disk = Self { holder, folder };
        (line == "mounted\n").then_some(disk)
    }

    /// The words before a program that make it see the disk.
    fn entering(&self) -> [String; 2] {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        ["nsenter".to_owned(), namespace]
    }

    /// The disk as this process sees it.
    fn seen(&self) -> PathBuf {
        let path = self.folder.path().strip_prefix("/").unwrap();
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(path)
    }

    /// Writes until nothing more fits but `left` octets.
    fn fill_up_to(&self, left: u64) -> PathBuf {
        let path = self.seen().join("ballast");
        let mut ballast = File::create(&path).unwrap();
        let octets = vec![0; 64 * 1_024];
        while ballast.write_all(&octets).is_ok() {}
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length.saturating_sub(left)).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn place_on(disk: &Disk, settings: &str) -> Place {
    let entering = disk.entering();
    let words: Vec<&str> = entering.iter().map(String::as_str).collect();
    Place::with_data(&disk.folder.path().join("data"), settings)
        .under(&words)
        .seen_at(&disk.seen().join("data"))
}

async fn try_upload(device: &mut Device, id: &str) -> Response {
    let entry = device.entry("New", id, &[7; 50_000]);
    device.upload(CATALOG, None, vec![entry]).await
}

/// Reading goes on, writing does not, and the service says so.
async fn check_that_it_only_reads(process: &Process, device: &mut Device, count: u64) {
    assert_eq!(device.frames(CATALOG).await.len() as u64, count);
    assert!(device.reach.hello().await.unwrap().outcome.is_success());
    let (status, reason) = process.admin("/readyz");
    assert_eq!(status, 503, "{reason}");
    assert!(!reason.trim().is_empty());
    assert_eq!(process.admin("/livez").0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writing_until_there_is_room_again() {
    let Some(disk) = Disk::mount() else {
        println!("not tested: this user may not mount a small disk");
        return;
    };
    let place = place_on(
        &disk,
        &format!("{SETTINGS}store.reserve_bytes = 33554432\n"),
    );
    let process = place.start();
    let (mut device, mut count) = fill(&Reach::of(&process), 5).await;
    assert_eq!(process.admin("/readyz").0, 200);
    let ballast = disk.fill_up_to(1_024 * 1_024);
    for round in 0..3 {
        let refused = try_upload(&mut device, &format!("full{round}")).await;
        assert_eq!(refused.code(), Some(Code::Overload), "{refused:?}");
    }
    check_that_it_only_reads(&process, &mut device, count).await;
    fs::remove_file(&ballast).unwrap();
    assert_eq!(process.admin("/readyz"), (200, "ready\n".to_owned()));
    let accepted = try_upload(&mut device, "room").await;
    assert_eq!(accepted.code(), Some(Code::Ok), "{accepted:?}");
    count += 1;
    assert_eq!(device.frames(CATALOG).await.len() as u64, count);
    process.kill();
    let process = place.start();
    device.reach = Reach::of(&process);
    assert_eq!(device.frames(CATALOG).await.len() as u64, count);
    assert!(process.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_others_fill_to_the_last_octet_costs_nothing_acknowledged() {
    let Some(disk) = Disk::mount() else {
        println!("not tested: this user may not mount a small disk");
        return;
    };
    // Nothing is kept free: writing meets the end of the disk.
    let place = place_on(&disk, &format!("{SETTINGS}store.reserve_bytes = 0\n"));
    let process = place.start();
    let (mut device, mut count) = fill(&Reach::of(&process), 5).await;
    let ballast = disk.fill_up_to(0);
    let mut refusals = 0;
    // The journal has room of its own for a while.
    for round in 0..3_000 {
        match try_upload(&mut device, &format!("last{round}"))
            .await
            .code()
        {
            Some(Code::Ok) => count += 1,
            Some(Code::Overload) => refusals += 1,
            other => panic!("{other:?}"),
        }
        if refusals == 2 {
            break;
        }
    }
    assert_eq!(refusals, 2, "the disk never was full");
    check_that_it_only_reads(&process, &mut device, count).await;
    process.kill();
    fs::remove_file(&ballast).unwrap();
    let process = place.start();
    device.reach = Reach::of(&process);
    let frames = device.frames(CATALOG).await.len() as u64;
    // A refused one may be there: its answer said that the result is unknown.
    assert!((count..=count + 1).contains(&frames), "{count} {frames}");
    assert_eq!(
        try_upload(&mut device, "again").await.code(),
        Some(Code::Ok)
    );
    assert!(process.stop().success());
}

#[test]
fn a_start_on_a_full_disk_is_a_sentence() {
    let Some(disk) = Disk::mount() else {
        println!("not tested: this user may not mount a small disk");
        return;
    };
    let place = place_on(&disk, SETTINGS);
    let ballast = disk.fill_up_to(0);
    let failed = place.try_start().expect_err("there is no room at all");
    check("full-disk-new", &place, &failed, &[]);
    fs::remove_file(&ballast).unwrap();
    assert!(place.start().stop().success());
    let ballast = disk.fill_up_to(1_024 * 1_024);
    let failed = place.try_start().expect_err("there is hardly any room");
    let left = number_before(&failed.stderr, " octets are left");
    check("full-disk", &place, &failed, &[(&left, "N")]);
    fs::remove_file(&ballast).unwrap();
    assert!(place.start().stop().success());
}

fn number_before(text: &str, words: &str) -> String {
    let before = text.split_once(words).map_or("", |(before, _)| before);
    let digits = before.rsplit(|letter: char| !letter.is_ascii_digit());
    format!("{}{words}", digits.into_iter().next().unwrap_or_default())
}

/// The holder of a disk ends when nobody holds its input any more, even if this process is killed.
#[test]
fn a_disk_goes_with_its_holder() {
    let Some(mut disk) = Disk::mount() else {
        println!("not tested: this user may not mount a small disk");
        return;
    };
    drop(disk.holder.stdin.take());
    assert!(disk.holder.wait().unwrap().success());
    let mut rest = String::new();
    assert!(
        File::open(disk.seen())
            .and_then(|mut file| file.read_to_string(&mut rest))
            .is_err()
    );
}
