//! Files of the store that were changed behind its back: the service says which, changes nothing,
//! and serves again once the file is put back.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_tests::device::Reach;
use mesh_tests::process::Place;

use super::{CATALOG, SETTINGS, check, filled};

/// Every file below `folder`.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_what_was_acknowledged_is_found_and_named() {
    let place = Place::new(SETTINGS);
    let (mut device, count) = filled(&place).await;
    let store = place.data().join("store");
    // Content that is encrypted is unlike anything else in a file.
    let frame = device_payload(&mut device, &place).await;
    let place_in = |octets: &[u8]| {
        let mut windows = octets.windows(frame.len());
        windows.position(|window| window == frame.as_slice())
    };
    let (journal, whole, at) = files_below(&store)
        .into_iter()
        .find_map(|path| {
            let octets = fs::read(&path).unwrap();
            let at = place_in(&octets)?;
            Some((path, octets, at))
        })
        .expect("some file holds the entry");
    let mut damaged = whole.clone();
    damaged[at + frame.len() / 2] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    let failed = place
        .try_start()
        .expect_err("a damaged store is not served");
    let name = journal.file_name().unwrap().to_string_lossy().into_owned();
    assert!(failed.stderr.contains(&name), "{}", failed.stderr);
    assert_eq!(failed.status.code(), Some(2));
    assert!(failed.stderr.contains("restore the folder from a backup"));
    assert_eq!(fs::read(&journal).unwrap(), damaged, "nothing was changed");
    fs::write(&journal, &whole).unwrap();
    let process = place.start();
    device.reach = Reach::of(&process);
    assert_eq!(device.frames(CATALOG).await.len() as u64, count);
    assert!(process.stop().success());
}

/// The payload of an entry in the midst of the catalog.
async fn device_payload(device: &mut mesh_tests::device::Device, place: &Place) -> Vec<u8> {
    let process = place.start();
    device.reach = Reach::of(&process);
    let frames = device.frames(CATALOG).await;
    assert!(process.stop().success());
    frames[5].payload.as_slice().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_say_what_the_store_is_are_checked_first() {
    let place = Place::new(SETTINGS);
    let (mut device, count) = filled(&place).await;
    let store = place.data().join("store");
    let cases: [(&str, &str, Option<&[u8]>); 4] = [
        ("newer-format", "FORMAT", Some(b"mesh-store 9\n")),
        ("unreadable-format", "FORMAT", Some(b"mesh-stork 1\n")),
        ("no-format", "FORMAT", None),
        ("no-engine-version", "engine/version", None),
    ];
    for (golden, name, content) in cases {
        let path = store.join(name);
        let whole = fs::read(&path).unwrap();
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let failed = place.try_start().expect_err("this is no store to serve");
        let masked = mask_entry(&failed.stderr);
        let masked: Vec<_> = masked.iter().map(|one| (one.as_str(), "FILE")).collect();
        check(golden, &place, &failed, &masked);
        fs::write(&path, &whole).unwrap();
    }
    let process = place.start();
    device.reach = Reach::of(&process);
    assert_eq!(device.frames(CATALOG).await.len() as u64, count);
    assert!(process.stop().success());
}

/// Which file a folder lists first differs from system to system.
fn mask_entry(stderr: &str) -> Option<String> {
    let rest = stderr.split_once("no file FORMAT, but ")?.1;
    let name = rest.split([':', '\n']).next()?;
    Some(format!("but {name}")).filter(|_| !name.is_empty())
}
