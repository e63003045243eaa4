//! `meshd export` and `meshd import`: an account comes back as it was, or not at all; and what is done before a
//! restored store is served from.

use std::path::Path;

use mesh_common::dare::manifest::Manifest;
use mesh_common::encoding::json;
use mesh_common::entropy::SeededEntropy;

use super::*;
use crate::moving::archive::{ArchiveError, Exported, Imported, export_account, import_account};
use crate::moving::restored::{self, RestoreError};
use crate::store::{Fault, keys};
use crate::tests::usage::used;

async fn export(scene: &Scene<MemoryStore>, person: &Person, folder: &Path) -> Exported {
    let exported = export_account(&scene.store, &person.address, folder, scene.now());
    exported.await.unwrap()
}

async fn import(scene: &Scene<MemoryStore>, folder: &Path) -> Result<Imported, ArchiveError> {
    let mut entropy = SeededEntropy::new(3);
    import_account(&scene.store, folder, TxOptions::default(), &mut entropy).await
}

/// Alice with a bookmark of several chunks and one that is short, and her archive.
async fn archived() -> (Scene<MemoryStore>, Person, tempfile::TempDir) {
    let scene = Scene::new().await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    let long = vec![7; 150_000];
    let upload = alice.upload(scene.now(), 1, &[b"one", &long]);
    assert_eq!(scene.ask(upload).await.0, Code::Ok);
    let folder = tempfile::tempdir().unwrap();
    export(&scene, &alice, folder.path()).await;
    (scene, alice, folder)
}

#[actix::test]
async fn an_account_comes_back_as_it_was_at_a_service_that_runs() {
    let (here, alice, folder) = archived().await;
    let before = (here.status(&alice).await, here.payloads(&alice).await);
    let there = Scene::new().await;
    // Its owner remembers that nobody lives there.
    let unknown = there.perform(alice.status(there.now())).await;
    assert_ne!(code_of(&unknown), Code::Ok);
    let imported = import(&there, folder.path()).await.unwrap();
    assert_eq!(imported.address, "alice@example.com");
    let after = (there.status(&alice).await, there.payloads(&alice).await);
    assert_eq!(after, before);
    let counted = used(&there.store, there.now()).await;
    assert!(counted.accounts == 1 && counted.octets > 0, "{counted:?}");
    // The import took the partition from its owner, who finds out now: the client's one retry cures it.
    let upload = alice.upload(there.now(), 3, &[b"goes on"]);
    let fenced = there.perform(upload.clone()).await;
    assert_eq!(code_of(&fenced), Code::Overload);
    assert_eq!(there.ask(upload).await.0, Code::Ok);
    assert!(used(&there.store, there.now()).await.octets > counted.octets);
    assert_eq!(verify_all(&there.store).await[0].problems, []);
}

/// Alice, for whom two messages were accepted of which the first is received, left in a service that has ended; the first
/// was left twice.
async fn with_waiting(folder: &Path) -> (Person, Exported) {
    let here = Scene::new().await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    here.create(&alice).await;
    let entry = |number| intake::forwarded(&bob, &alice, number);
    here.leave(&[entry(1)]).await;
    here.drain().await;
    here.backend.stop().await;
    let other = intake::forwarded(&alice, &bob, 9);
    here.leave(&[entry(1), other, entry(2)]).await;
    let exported = export(&here, &alice, folder).await;
    (alice, exported)
}

/// The messages of `person`, once there are `count`. The owner also drains by itself; what its commit has taken out of the
/// intake is shown when the owner has learnt how the commit ended, a moment later.
async fn received(scene: &Scene<MemoryStore>, person: &Person, count: usize) -> Vec<String> {
    let patience = Patience::begin();
    loop {
        scene.drain().await;
        let found = scene.inbound(person).await;
        if found.len() >= count {
            return found;
        }
        patience.check("all messages are received");
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn what_was_accepted_for_an_account_goes_with_it_and_is_received_once() {
    let folder = tempfile::tempdir().unwrap();
    let (alice, exported) = with_waiting(folder.path()).await;
    assert_eq!(exported.waiting, 2, "what waits for others stays");
    let there = Scene::new().await;
    let imported = import(&there, folder.path()).await.unwrap();
    assert_eq!(imported.waiting, 2);
    assert_eq!(received(&there, &alice, 2).await, ["bob-1", "bob-2"]);
    assert_eq!(there.backend.metrics().intake_set_aside.get(), 0);
    let again = import(&there, folder.path()).await;
    assert!(
        matches!(again, Err(ArchiveError::Taken { .. })),
        "{again:?}"
    );
    assert_eq!(rows(&there.store, keys::intakes()).await, []);
}

#[actix::test]
async fn an_archive_whose_waiting_entries_were_changed_is_not_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (alice, _) = with_waiting(folder.path()).await;
    let path = folder.path().join("intake.rows");
    let octets = std::fs::read(&path).unwrap();
    let mut changed = octets.clone();
    let place = changed.len() / 2;
    changed[place] ^= 1;
    std::fs::write(&path, changed).unwrap();
    let there = Scene::new().await;
    let refused = import(&there, folder.path()).await;
    assert!(
        matches!(refused, Err(ArchiveError::Rows { .. })),
        "{refused:?}"
    );
    // Those of another account are none of this one.
    let other = Person::new("carol");
    let elsewhere = tempfile::tempdir().unwrap();
    let here = Scene::new().await;
    here.create(&other).await;
    export(&here, &other, elsewhere.path()).await;
    std::fs::write(elsewhere.path().join("intake.rows"), octets).unwrap();
    let refused = import(&there, elsewhere.path()).await;
    assert!(
        matches!(refused, Err(ArchiveError::Foreign { .. })),
        "{refused:?}"
    );
    assert_eq!(rows(&there.store, keys::accounts()).await, []);
    assert_eq!(rows(&there.store, keys::intakes()).await, []);
    let unknown = there.perform(alice.status(there.now())).await;
    assert_ne!(code_of(&unknown), Code::Ok);
}

// I-P-3.1-a
#[actix::test]
async fn an_archive_can_be_checked_by_whoever_owns_the_account() {
    let (_, _, folder) = archived().await;
    let octets = std::fs::read(folder.path().join("manifest.json")).unwrap();
    let manifest: Manifest = json::parse(&octets).unwrap();
    manifest.check().unwrap();
    assert!(manifest.containers.len() > 1);
    for entry in &manifest.containers {
        let octets = std::fs::read(folder.path().join(&entry.file)).unwrap();
        assert!(entry.verify(&octets).unwrap().is_sound(), "{}", entry.file);
    }
}

#[actix::test]
async fn an_address_that_is_somebodys_is_not_written_over() {
    let (here, _, folder) = archived().await;
    let before = rows(&here.store, KeyRange::all()).await;
    let taken = import(&here, folder.path()).await;
    assert!(
        matches!(taken, Err(ArchiveError::Taken { .. })),
        "{taken:?}"
    );
    assert_eq!(rows(&here.store, KeyRange::all()).await, before);
}

#[actix::test]
async fn nobody_is_exported_over_what_is_there_and_nobody_who_does_not_live_here() {
    let (here, alice, folder) = archived().await;
    let again = export_account(&here.store, &alice.address, folder.path(), here.now()).await;
    assert!(matches!(again, Err(ArchiveError::NotEmpty { .. })));
    let bob = Person::new("bob");
    let nowhere = folder.path().join("bob");
    let nobody = export_account(&here.store, &bob.address, &nowhere, here.now()).await;
    assert!(matches!(nobody, Err(ArchiveError::NoAccount { .. })));
}

#[actix::test]
async fn an_archive_that_was_changed_is_not_imported_and_leaves_nothing() {
    let (_, alice, folder) = archived().await;
    let path = folder.path().join("account.rows");
    let mut octets = std::fs::read(&path).unwrap();
    let place = octets.len() / 2;
    octets[place] ^= 1;
    std::fs::write(&path, octets).unwrap();
    let there = Scene::new().await;
    let refused = import(&there, folder.path()).await;
    assert!(
        matches!(refused, Err(ArchiveError::Rows { .. })),
        "{refused:?}"
    );
    assert_eq!(rows(&there.store, keys::accounts()).await, []);
    assert_ne!(
        code_of(&there.perform(alice.status(there.now())).await),
        Code::Ok
    );
}

#[actix::test]
async fn rows_of_another_day_than_the_manifest_are_not_imported_and_leave_nothing() {
    let (here, alice, folder) = archived().await;
    let upload = alice.upload(here.now(), 3, &[b"later"]);
    assert_eq!(here.ask(upload).await.0, Code::Ok);
    let later = tempfile::tempdir().unwrap();
    export(&here, &alice, later.path()).await;
    let name = "account.rows";
    std::fs::copy(later.path().join(name), folder.path().join(name)).unwrap();
    let there = Scene::new().await;
    let refused = import(&there, folder.path()).await;
    let Err(ArchiveError::Differs { what, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(what, "mmm_Bookmark has not the apex of the manifest");
    assert_eq!(rows(&there.store, keys::accounts()).await, []);
}

/// The manifest of an archive, as of another address.
fn rename(folder: &Path, address: &str) {
    let path = folder.join("manifest.json");
    let mut manifest: Manifest = json::parse(&std::fs::read(&path).unwrap()).unwrap();
    manifest.account = address.to_owned();
    std::fs::write(&path, json::write(&manifest)).unwrap();
}

#[actix::test]
async fn rows_of_an_account_that_lives_here_are_not_written_over_under_another_address() {
    let (here, alice, folder) = archived().await;
    let upload = alice.upload(here.now(), 3, &[b"newer than the archive"]);
    assert_eq!(here.ask(upload).await.0, Code::Ok);
    rename(folder.path(), "somebody@example.com");
    let before = rows(&here.store, KeyRange::all()).await;
    let refused = import(&here, folder.path()).await;
    let Err(ArchiveError::Taken { address }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(address, alice.address.canonical());
    assert_eq!(rows(&here.store, KeyRange::all()).await, before);
}

#[actix::test]
async fn an_archive_under_another_address_is_not_imported_and_leaves_nothing() {
    let (_, _, folder) = archived().await;
    rename(folder.path(), "somebody@example.com");
    let there = Scene::new().await;
    let refused = import(&there, folder.path()).await;
    assert!(
        matches!(refused, Err(ArchiveError::Differs { .. })),
        "{refused:?}"
    );
    assert_eq!(rows(&there.store, keys::accounts()).await, []);
}

#[actix::test]
async fn an_import_that_broke_off_shows_nobody_half_an_account_and_is_repeated() {
    let (here, alice, folder) = archived().await;
    let before = here.payloads(&alice).await;
    let there = Scene::new().await;
    // At the first commit; and at the last, when everything is written and no address leads there.
    for faults in [
        &[Fault::ReadOnly][..],
        &[Fault::UnknownApplied, Fault::ReadOnly],
    ] {
        faults.iter().for_each(|fault| there.store.inject(*fault));
        let broken = import(&there, folder.path()).await;
        assert!(broken.is_err(), "{broken:?}");
        assert_ne!(
            code_of(&there.perform(alice.status(there.now())).await),
            Code::Ok
        );
    }
    import(&there, folder.path()).await.unwrap();
    assert_eq!(there.payloads(&alice).await, before);
}

#[actix::test]
async fn lost_and_late_answers_of_the_store_import_an_account_once() {
    let (here, alice, folder) = archived().await;
    let before = here.payloads(&alice).await;
    for fault in [
        Fault::UnknownApplied,
        Fault::UnknownLost,
        Fault::LandsAfter(1),
        Fault::Conflict,
    ] {
        for place in 0..3 {
            let there = Scene::new().await;
            // Commits before the one that meets the fault only lose a race, and are tried again.
            (0..place).for_each(|_| there.store.inject(Fault::Conflict));
            there.store.inject(fault);
            import(&there, folder.path()).await.unwrap();
            assert_eq!(there.payloads(&alice).await, before, "{fault:?} {place}");
        }
    }
}

#[actix::test]
async fn a_restored_store_is_opened_once_under_a_higher_generation() {
    let (mut scene, alice, _folder) = archived().await;
    scene.backend.stop().await;
    let standing = restored::standing(&scene.store).await.unwrap();
    assert_eq!((standing.generation, standing.later_owners), (1, 0));
    let page = restored::accounts(&scene.store, &Listing::default(), 1, 10)
        .await
        .unwrap();
    assert_eq!(page.accounts.len(), 1);
    assert_eq!(page.accounts[0].problems, []);
    let options = TxOptions::default();
    let generation = restored::open(&scene.store, &standing, options)
        .await
        .unwrap();
    assert_eq!(generation, 2);
    let again = restored::open(&scene.store, &standing, options).await;
    assert!(matches!(again, Err(RestoreError::Commit(_))), "{again:?}");
    scene.restart().await;
    let upload = alice.upload(scene.now(), 3, &[b"after the restore"]);
    assert_eq!(scene.ask(upload).await.0, Code::Ok);
}

#[actix::test]
async fn a_store_that_was_not_restored_whole_is_noticed() {
    let scene = Scene::new().await;
    scene.backend.stop().await;
    let before = rows(&scene.store, KeyRange::key(&keys::meta())).await;
    let standing = restored::standing(&scene.store).await.unwrap();
    let options = TxOptions::default();
    restored::open(&scene.store, &standing, options)
        .await
        .unwrap();
    start(&scene.store, BackendConfig::default(), &scene.clock)
        .await
        .stop()
        .await;
    // The rest is of a later day than `meta`.
    overwrite(&scene.store, &keys::meta(), Some(before[0].value.to_vec())).await;
    let standing = restored::standing(&scene.store).await.unwrap();
    assert_eq!(standing.later_owners, 1_024);
    let empty = restored::standing(&MemoryStore::new()).await;
    assert!(matches!(empty, Err(RestoreError::Empty)));
}
