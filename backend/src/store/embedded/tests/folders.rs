//! Folders that cannot be opened, and the sentence for each.

use super::*;

fn tried(error: &StoreError) -> String {
    error
        .remedy()
        .expect("every folder that cannot be opened has a remedy")
}

#[tokio::test]
async fn a_folder_is_opened_once_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::InUse { .. }));
    let path = folder.path().display();
    assert_eq!(
        error.to_string(),
        format!("the store folder {path} is in use by another process")
    );
    assert!(tried(&error).contains("stop the other process"));
    // A transaction keeps the folder too.
    let tx = store.begin(TxOptions::default());
    drop(store);
    assert!(matches!(refusal(folder.path()), StoreError::InUse { .. }));
    drop(tx);
    open(folder.path());
}

#[test]
fn a_folder_is_made_with_its_parents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c");
    let store = open(&path);
    assert_eq!(store.folder(), path);
    assert_eq!(
        std::fs::read_to_string(path.join("FORMAT")).unwrap(),
        "mesh-store 1\n"
    );
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let before = std::fs::metadata(folder.path().join("engine/version"))
        .unwrap()
        .modified()
        .unwrap();
    std::fs::write(folder.path().join("FORMAT"), "mesh-store 2\n").unwrap();
    let error = refusal(folder.path());
    let path = folder.path().display();
    let expected =
        format!("the store folder {path} has format 2, this release reads formats up to 1");
    assert_eq!(error.to_string(), expected);
    assert!(tried(&error).contains("newer"));
    let after = std::fs::metadata(folder.path().join("engine/version"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
}

#[test]
fn an_illegible_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    for text in [
        "",
        "mesh-store",
        "mesh-store one",
        "store 1",
        "mesh-store 256",
    ] {
        std::fs::write(folder.path().join("FORMAT"), text).unwrap();
        match refusal(folder.path()) {
            StoreError::Corrupt { file, .. } => assert_eq!(file, folder.path().join("FORMAT")),
            other => panic!("expected damage, found {other}"),
        }
    }
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::NotAStore { .. }));
    assert!(error.to_string().contains("letter.txt"));
    assert!(tried(&error).contains("empty or new folder"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_store_whose_making_was_interrupted_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lock"), "").unwrap();
    std::fs::write(folder.path().join("FORMAT.new"), "mesh-st").unwrap();
    drop(open(folder.path()));
    // The engine had begun, but not come to its last step.
    std::fs::remove_file(folder.path().join("engine/version")).unwrap();
    open(folder.path());
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error = refusal(&path.join("store"));
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
    assert!(tried(&error).contains("write permission"));
}

#[test]
fn errors_of_the_system_are_sorted() {
    use std::io::{Error, ErrorKind};
    let sorted = |kind| io_error(Path::new("/data"), "write", Error::from(kind));
    for kind in [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::FileTooLarge,
    ] {
        assert!(matches!(sorted(kind), StoreError::DiskFull { .. }));
    }
    for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
        assert!(matches!(sorted(kind), StoreError::Unwritable { .. }));
    }
    let other = sorted(ErrorKind::TimedOut);
    assert_eq!(other.to_string(), "the store in /data failed to write");
    assert_eq!(tried(&other), "check the disk holding /data");
}
