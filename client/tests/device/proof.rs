//! Exports and verification, and what they find.

use std::fs;
use std::path::Path;

use mesh_client::ClientError;
use mesh_client::export::{MANIFEST, PROFILES};
use mesh_client::verify::verify_export;

use crate::people::{Scene, bookmark, contact};

/// An account with some entries, exported into `export`.
async fn exported() -> (Scene, std::path::PathBuf) {
    let (scene, mut laptop, _phone) = Scene::with_two_devices().await;
    for number in 0..5 {
        laptop
            .add(&bookmark(&number.to_string(), "https://x.example"))
            .unwrap();
    }
    laptop.add(&contact("NAAA", "Ada")).unwrap();
    laptop.sync(None).await.unwrap();
    let folder = scene.folder("export");
    let report = laptop.export(&folder).unwrap();
    assert!(report.containers.iter().all(|one| one.waiting == 0));
    (scene, folder)
}

#[tokio::test]
async fn an_export_verifies_without_keys_and_without_the_service() {
    let (_scene, folder) = exported().await;
    let report = verify_export(&folder).unwrap();
    assert!(report.sound, "{report:?}");
    let bookmarks = report
        .containers
        .iter()
        .find(|one| one.container == "mmm_Bookmark");
    let bookmarks = bookmarks.unwrap();
    assert_eq!((bookmarks.frames, bookmarks.signatures), (6, 5));
    assert_eq!((bookmarks.foreign_signatures, bookmarks.unsigned), (0, 0));
}

#[tokio::test]
async fn the_replica_of_every_device_verifies_and_its_entries_open() {
    let (_scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    phone.add(&contact("NAAA", "Ada")).unwrap();
    phone.sync(None).await.unwrap();
    laptop.sync(None).await.unwrap();
    for device in [&mut laptop, &mut phone] {
        let report = device.verify().unwrap();
        assert!(report.sound, "{report:?}");
        let contacts = report
            .containers
            .iter()
            .find(|one| one.container == "mmm_Contact");
        assert_eq!(contacts.unwrap().entries, 1);
        assert_eq!(contacts.unwrap().signatures, 1);
    }
}

#[tokio::test]
async fn an_entry_that_no_device_signed_is_found() {
    use mesh_client::changes::{Change, arrange};
    use mesh_common::dare::{Envelope, Header};
    use mesh_common::entropy::SeededEntropy;
    let (_scene, mut laptop) = Scene::with_alice().await;
    // Everybody who knows the account's public key can make this, its service for one.
    let forged = Envelope::encrypted(
        &bookmark("forged", "https://evil.example").to_json(),
        Header::default(),
        &[laptop.identity().unwrap().keys.account_encryption.public()],
        &mut SeededEntropy::new(1),
    );
    let change = Change {
        unique_id: "forged".into(),
        content: Some(forged.unwrap()),
    };
    let name = "mmm_Bookmark".parse().unwrap();
    let replica = laptop.replica(&name).unwrap();
    let frames = arrange(replica.index().clone(), 1, vec![change]);
    replica.append(frames).unwrap();
    let report = laptop.verify().unwrap();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(
        report.problems[0].what,
        "no device of the account signed it"
    );
}

fn flip(path: &Path, at: usize) {
    let mut octets = fs::read(path).unwrap();
    octets[at] ^= 1;
    fs::write(path, octets).unwrap();
}

#[tokio::test]
async fn every_flipped_octet_of_an_exported_container_is_found() {
    let (_scene, folder) = exported().await;
    let path = folder.join("mmm_Bookmark.dare");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        flip(&path, at);
        let report = verify_export(&folder).unwrap();
        assert!(!report.sound, "octet {at}");
        fs::write(&path, &whole).unwrap();
    }
    assert!(verify_export(&folder).unwrap().sound);
}

#[tokio::test]
async fn a_missing_or_exchanged_file_is_found() {
    let (_scene, folder) = exported().await;
    let path = folder.join("mmm_Bookmark.dare");
    fs::copy(folder.join("mmm_Contact.dare"), &path).unwrap();
    let report = verify_export(&folder).unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|one| one.place == "mmm_Bookmark.dare")
    );
    fs::remove_file(&path).unwrap();
    assert!(!verify_export(&folder).unwrap().sound);
}

#[tokio::test]
async fn a_file_cut_at_a_frame_is_told_by_its_manifest() {
    let (_scene, folder) = exported().await;
    let path = folder.join("mmm_Bookmark.dare");
    let octets = fs::read(&path).unwrap();
    let frames = mesh_common::dare::container::read_all(&octets).unwrap();
    let end = usize::try_from(frames[3].end).unwrap();
    fs::write(&path, &octets[..end]).unwrap();
    let report = verify_export(&folder).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].what.contains("frame count"));
}

#[tokio::test]
async fn profiles_of_somebody_else_do_not_vouch_for_an_export() {
    let (_scene, folder) = exported().await;
    let (_other_scene, other) = {
        let scene = Scene::new();
        let mut other = scene.device_with_seed("laptop", 31_337);
        other.create_account(&crate::people::alice()).await.unwrap();
        let folder = scene.folder("export");
        other.export(&folder).unwrap();
        (scene, folder)
    };
    fs::copy(other.join(PROFILES), folder.join(PROFILES)).unwrap();
    let report = verify_export(&folder).unwrap();
    assert!(!report.sound);
}

#[tokio::test]
async fn what_is_no_export_is_told_as_such() {
    let (scene, folder) = exported().await;
    assert!(matches!(
        verify_export(&scene.folder("laptop")),
        Err(ClientError::Export(_))
    ));
    fs::write(folder.join(MANIFEST), "{}").unwrap();
    assert!(matches!(
        verify_export(&folder),
        Err(ClientError::Export(_))
    ));
}

#[tokio::test]
async fn an_export_never_overwrites_anything() {
    let (scene, folder) = exported().await;
    let mut laptop = scene.device("laptop");
    assert!(matches!(
        laptop.export(&folder),
        Err(ClientError::Export(_))
    ));
}

#[tokio::test]
async fn a_damaged_replica_is_told_by_verify_and_brought_back_by_sync() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    drop(laptop);
    let path = scene.folder("laptop").join("containers/mmm_Bookmark.dare");
    let octets = fs::read(&path).unwrap();
    let frames = mesh_common::dare::container::read_all(&octets).unwrap();
    let payload = frames[1].envelope.payload.as_slice();
    let at = octets
        .windows(payload.len())
        .position(|part| part == payload);
    flip(&path, at.unwrap());
    let mut laptop = scene.device_with_seed("laptop", 3);
    assert!(!laptop.verify().unwrap().sound);
    let error = laptop.sync(None).await.unwrap_err();
    assert!(
        error.advice().unwrap().contains("mmm_Bookmark.dare"),
        "{error:?}"
    );
    fs::remove_file(&path).unwrap();
    let mut laptop = {
        drop(laptop);
        scene.device_with_seed("laptop", 4)
    };
    laptop.sync(None).await.unwrap();
    assert!(laptop.verify().unwrap().sound);
    let kind = mesh_client::entries::EntryKind::Bookmark;
    assert_eq!(laptop.list(kind).unwrap().entries.len(), 1);
}
