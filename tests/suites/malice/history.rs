//! The service shows another history than before: frames are missing, others stand in their place,
//! or they are kept back (containers §5, §8.5).

use mesh_common::protocol::{Request, Response};

use crate::people::{Scene, bookmark};
use crate::told::told;

/// Alice's laptop with an entry that the service has, and her phone that knows it.
async fn scene() -> (Scene, mesh_client::Client, mesh_client::Client) {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    phone.sync(None).await.unwrap();
    (scene, laptop, phone)
}

#[tokio::test]
async fn a_container_that_was_cut_is_found_by_every_device_that_knew_more() {
    let (scene, mut laptop, _phone) = scene().await;
    scene.service.lie(|_, response| {
        if let Response::Status(status) = response {
            let mut rows = status.container_status.to_vec();
            for row in &mut rows {
                if row.container.as_deref() == Some("mmm_Bookmark") {
                    row.index = Some(1);
                    row.digest = None;
                }
            }
            status.container_status = rows.into();
        }
    });
    told("history/cut", &laptop.sync(None).await.unwrap_err());
}

#[tokio::test]
async fn a_container_with_another_history_is_found_by_every_device_that_knew_the_first() {
    let (scene, laptop, mut phone) = scene().await;
    let before = scene.service.snapshot();
    drop(laptop);
    phone.add(&bookmark("b", "https://b.example")).unwrap();
    phone.sync(None).await.unwrap();
    // Another device is shown a history in which the phone's entry never was.
    scene.service.restore(before);
    let mut laptop = scene.device_with_seed("laptop", 5);
    laptop.add(&bookmark("c", "https://c.example")).unwrap();
    laptop.sync(None).await.unwrap();
    told("history/forked", &phone.sync(None).await.unwrap_err());
}

#[tokio::test]
async fn a_frame_that_was_changed_is_found_by_whoever_downloads_it() {
    let (scene, mut laptop, mut phone) = scene().await;
    laptop.add(&bookmark("b", "https://b.example")).unwrap();
    laptop.sync(None).await.unwrap();
    scene.service.lie(|_, response| {
        if let Response::Download(download) = response {
            for envelope in download
                .updates
                .iter_mut()
                .flat_map(|one| &mut one.envelopes)
            {
                if let Some(last) = envelope.payload.0.last_mut() {
                    *last ^= 1;
                }
            }
        }
    });
    told(
        "history/changed-frame",
        &phone.sync(None).await.unwrap_err(),
    );
    scene.service.repent();
    phone.sync(None).await.unwrap();
    assert!(phone.verify().unwrap().sound);
}

#[tokio::test]
async fn frames_that_are_kept_back_are_missed() {
    let (scene, mut laptop, mut phone) = scene().await;
    laptop.add(&bookmark("b", "https://b.example")).unwrap();
    laptop.sync(None).await.unwrap();
    scene.service.lie(|asked, response| {
        if let (Request::Download(_), Response::Download(download)) = (asked, response) {
            for update in &mut download.updates {
                update.envelopes.clear();
            }
        }
    });
    told("history/kept-back", &phone.sync(None).await.unwrap_err());
}

#[tokio::test]
async fn an_entry_that_no_device_signed_is_found_by_verification() {
    use crate::people::ALICE;
    use mesh_common::dare::{Envelope, Header};
    use mesh_common::entropy::SeededEntropy;
    let (scene, mut laptop, _phone) = scene().await;
    // The service knows the public key that entries are encrypted to: it is in the profile.
    let key = laptop.identity().unwrap().account.encryption_key().unwrap();
    let forged = mesh_common::catalog::entry::CatalogEntry::to_json(&bookmark("a", "https://evil"));
    let forged = Envelope::encrypted(
        &forged,
        Header::default(),
        &[&key],
        &mut SeededEntropy::new(5),
    );
    scene
        .service
        .forge_entry(ALICE, "mmm_Bookmark", "a", forged.unwrap());
    laptop.sync(None).await.unwrap();
    let report = laptop.verify().unwrap();
    assert!(!report.sound);
    let problems: Vec<_> = report
        .problems
        .iter()
        .map(|one| one.what.as_str())
        .collect();
    assert_eq!(problems, ["no device of the account signed it"]);
}
