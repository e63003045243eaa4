//! Two devices: races, collisions, large uploads, histories that cannot be.

use std::sync::Arc;

use mesh_client::ClientError;
use mesh_client::changes::{Collision, Keep, Side};
use mesh_client::entries::EntryKind;
use mesh_common::limits::UPLOAD_ENVELOPES_MAX;
use mesh_common::protocol::Transaction;

use crate::people::{ALICE, Scene, alice, bookmark};
use crate::service::{Disturbance, LocalService};

fn paths(device: &mut mesh_client::Client) -> Vec<String> {
    let entries = device.list(EntryKind::Bookmark).unwrap().entries;
    entries.into_iter().map(|listed| listed.id).collect()
}

// S-4.1.1.3-a
#[tokio::test]
async fn what_one_device_adds_the_other_reads() {
    let (_scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    let report = phone.sync(None).await.unwrap();
    let bookmarks = report
        .containers
        .iter()
        .find(|one| one.container == "mmm_Bookmark");
    assert_eq!(bookmarks.unwrap().downloaded, 1);
    assert_eq!(paths(&mut phone), ["a"]);
    assert!(phone.verify().unwrap().sound);
    for name in ["mmm_Bookmark", "mmm_Device"] {
        let name = name.parse().unwrap();
        let apex = laptop.replica(&name).unwrap().apex();
        assert_eq!(apex, phone.replica(&name).unwrap().apex(), "{name}");
    }
}

#[tokio::test]
async fn agreeing_devices_ask_for_the_status_and_for_nothing_else() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let report = laptop.sync(None).await.unwrap();
    assert_eq!(scene.service.log(), [Transaction::Status]);
    assert_eq!(report.rebases, 0);
}

// P-7.2.1-a: one wins each round, the loser gets 409 with what it needs to go on.
#[tokio::test]
async fn two_devices_racing_for_one_index_both_get_through() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    for round in 0..5 {
        laptop
            .add(&bookmark(&format!("laptop {round}"), "https://l.example"))
            .unwrap();
        phone
            .add(&bookmark(&format!("phone {round}"), "https://p.example"))
            .unwrap();
        phone
            .add(&bookmark(
                &format!("phone {round} too"),
                "https://p.example",
            ))
            .unwrap();
        laptop.sync(None).await.unwrap();
        phone.sync(None).await.unwrap();
        laptop.sync(None).await.unwrap();
    }
    assert_eq!(paths(&mut laptop).len(), 15);
    assert_eq!(paths(&mut laptop), paths(&mut phone));
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 16);
    assert!(laptop.verify().unwrap().sound && phone.verify().unwrap().sound);
}

#[tokio::test]
async fn the_loser_of_a_race_after_its_status_puts_its_frames_behind() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.add(&bookmark("mine", "https://l.example")).unwrap();
    phone.add(&bookmark("theirs", "https://p.example")).unwrap();
    // The laptop's Status is answered, then the phone is faster, then the laptop uploads.
    let transport = Arc::new(crate::service::Overtaking::new(&scene.service, phone, 1));
    let mut laptop = scene.device_over("laptop", laptop, Arc::clone(&transport));
    let report = laptop.sync(None).await.unwrap();
    assert_eq!(report.rebases, 1);
    assert_eq!(paths(&mut laptop), ["mine", "theirs"]);
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 3);
}

#[tokio::test]
async fn a_change_on_both_sides_is_told_and_nothing_of_it_is_sent() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    phone.sync(None).await.unwrap();
    laptop
        .replace("a", &bookmark("a", "https://mine.example"))
        .unwrap();
    laptop.add(&crate::people::password("x", "y")).unwrap();
    phone.delete(EntryKind::Bookmark, "a").unwrap();
    phone.sync(None).await.unwrap();
    let error = laptop.sync(None).await.unwrap_err();
    let ClientError::Collisions(collisions) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        *collisions,
        [Collision {
            container: "mmm_Bookmark".into(),
            id: "a".into(),
            mine: Side::Changed,
            theirs: Side::Deleted,
        }]
    );
    assert!(error.is_refusal());
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 3);
    // Other catalogs were synchronized, and what was changed here is still here.
    assert_eq!(scene.service.frames(ALICE, "mmm_Credential").len(), 2);
    assert_eq!(paths(&mut laptop), ["a"]);
    laptop.sync(Some(Keep::Mine)).await.unwrap();
    phone.sync(None).await.unwrap();
    assert_eq!(paths(&mut phone), ["a"]);
    assert!(phone.verify().unwrap().sound);
}

#[tokio::test]
async fn keeping_theirs_drops_only_what_collides() {
    let (_scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    for device in [&mut laptop, &mut phone] {
        let folder = device.folder().display().to_string();
        device.add(&bookmark("both", &folder)).unwrap();
        device.add(&bookmark(&folder, "https://x.example")).unwrap();
    }
    phone.sync(None).await.unwrap();
    assert!(laptop.sync(None).await.is_err());
    laptop.sync(Some(Keep::Theirs)).await.unwrap();
    phone.sync(None).await.unwrap();
    let entries = laptop.list(EntryKind::Bookmark).unwrap().entries;
    assert_eq!(entries, phone.list(EntryKind::Bookmark).unwrap().entries);
    assert_eq!(entries.len(), 3);
    let both = laptop.find(EntryKind::Bookmark, "both").unwrap();
    let json = mesh_client::entries::to_json(&both.entry, mesh_client::entries::Secrets::Hide);
    assert_eq!(json["Uri"], phone.folder().display().to_string());
}

#[tokio::test]
async fn an_upload_is_split_at_what_one_request_may_carry() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let file: String = (0..UPLOAD_ENVELOPES_MAX + 20)
        .map(|number| format!("n,https://x.example/{number},u{number},p{number}\n"))
        .collect();
    let file = format!("name,url,username,password\n{file}");
    let format = Some(mesh_client::import::Format::Logins);
    laptop
        .import("logins.csv", file.as_bytes(), format, false)
        .unwrap();
    let large = "x".repeat(150 * 1024);
    for number in 0..5 {
        laptop
            .add(&bookmark(&format!("large {number}"), &large))
            .unwrap();
    }
    laptop.sync(None).await.unwrap();
    let uploads = scene.service.log().into_iter();
    let uploads = uploads.filter(|transaction| *transaction == Transaction::Upload);
    assert_eq!(uploads.count(), 3);
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 6);
    assert_eq!(
        scene.service.frames(ALICE, "mmm_Credential").len(),
        UPLOAD_ENVELOPES_MAX + 21
    );
}

#[tokio::test]
async fn a_large_download_comes_in_pages() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    for number in 0..7 {
        laptop
            .add(&bookmark(&number.to_string(), "https://x.example"))
            .unwrap();
    }
    laptop.sync(None).await.unwrap();
    scene.service.log();
    scene
        .service
        .set_policy(mesh_common::account::AccountPolicy {
            download_entries_max: 3,
            ..mesh_common::account::AccountPolicy::default()
        });
    phone.sync(None).await.unwrap();
    assert_eq!(paths(&mut phone).len(), 7);
    let downloads = scene.service.log().into_iter();
    let downloads = downloads.filter(|transaction| *transaction == Transaction::Download);
    assert_eq!(downloads.count(), 3);
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_not_made_twice() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    scene
        .service
        .disturb([Disturbance::HttpStatus(200), Disturbance::AnswerLost]);
    laptop.sync(None).await.unwrap();
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 2);
}

#[tokio::test]
async fn a_command_that_died_after_its_upload_finds_its_frames_at_the_service() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    let lost = [Disturbance::HttpStatus(200), Disturbance::AnswerLost];
    let never = std::iter::repeat_n(Disturbance::Lost, 10);
    scene.service.disturb(lost.into_iter().chain(never));
    assert!(laptop.sync(None).await.is_err());
    drop(laptop);
    let mut laptop = scene.device_with_seed("laptop", 4_711);
    laptop.add(&bookmark("b", "https://b.example")).unwrap();
    while laptop.sync(None).await.is_err() {}
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 3);
    assert!(laptop.verify().unwrap().sound);
}

#[tokio::test]
async fn a_service_that_lost_frames_is_not_followed() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    let before = scene.service.snapshot();
    laptop.add(&bookmark("b", "https://b.example")).unwrap();
    laptop.sync(None).await.unwrap();
    scene.service.restore(before);
    let error = laptop.sync(None).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Rewound {
                found: 2,
                known: 3,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.is_refusal());
}

#[tokio::test]
async fn a_service_that_shows_another_history_is_not_followed() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    let before = scene.service.snapshot();
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    scene.service.restore(before);
    phone.add(&bookmark("b", "https://b.example")).unwrap();
    phone.sync(None).await.unwrap();
    let error = laptop.sync(None).await.unwrap_err();
    assert!(matches!(error, ClientError::Forked { .. }), "{error:?}");
    phone.add(&bookmark("c", "https://c.example")).unwrap();
    phone.sync(None).await.unwrap();
    let error = laptop.sync(None).await.unwrap_err();
    let is_history = matches!(&error, ClientError::Forked { .. } | ClientError::Replica(_));
    assert!(is_history && error.is_refusal(), "{error:?}");
    assert_eq!(paths(&mut laptop), ["a"]);
}

#[tokio::test]
async fn a_rejected_frame_is_named() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("large", &"x".repeat(4_000))).unwrap();
    scene
        .service
        .set_policy(mesh_common::account::AccountPolicy {
            entry_payload_bytes_max: 1_000,
            ..mesh_common::account::AccountPolicy::default()
        });
    let error = laptop.sync(None).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("frame 1 of mmm_Bookmark: the service says no"),
        "{error}"
    );
    assert_eq!(error.advice().as_deref(), Some("make the entry smaller"));
}

#[tokio::test]
async fn another_service_under_the_same_address_gets_nothing() {
    let (scene, laptop) = Scene::with_alice().await;
    let impostor = LocalService::new(666, mesh_common::account::testing::NOON);
    let mut laptop = scene.device_over("laptop", laptop, impostor.clone());
    assert!(laptop.sync(None).await.is_err());
    assert!(laptop.create_account(&alice()).await.is_err());
    assert_eq!(impostor.log(), []);
}
