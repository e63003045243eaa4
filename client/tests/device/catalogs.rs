//! Entries added, found, changed, deleted, imported.

use mesh_client::ClientError;
use mesh_client::entries::{EntryKind, Secrets};
use mesh_common::assertion::ProfileService;
use mesh_common::catalog::entry::CatalogEntry;

use crate::people::{ALICE, Scene, bookmark, contact, password};

#[tokio::test]
async fn an_entry_is_found_by_its_id_its_title_or_the_start_of_either() {
    let (_scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&contact("NAAA-BBBB", "Ada Lovelace")).unwrap();
    laptop
        .add(&contact("NAAA-CCCC", "Charles Babbage"))
        .unwrap();
    for wanted in ["NAAA-BBBB", "ada lovelace", "naaa-b", "ADA"] {
        let found = laptop.find(EntryKind::Contact, wanted).unwrap();
        assert_eq!(found.id, "NAAA-BBBB", "{wanted}");
    }
    assert!(matches!(
        laptop.find(EntryKind::Contact, "NAAA"),
        Err(ClientError::Ambiguous { found, .. }) if found.len() == 2
    ));
    for wanted in ["", "Lovelace", "bob"] {
        assert!(
            matches!(
                laptop.find(EntryKind::Contact, wanted),
                Err(ClientError::NotFound { .. })
            ),
            "{wanted:?}"
        );
    }
}

#[tokio::test]
async fn entries_live_through_add_update_and_delete() {
    let (_scene, mut laptop) = Scene::with_alice().await;
    let place = laptop.add(&bookmark("a", "https://one.example")).unwrap();
    assert_eq!((place.index, place.id.as_str()), (1, "a"));
    assert!(matches!(
        laptop.add(&bookmark("a", "https://two.example")),
        Err(ClientError::Exists { .. })
    ));
    let changed = laptop.replace("a", &bookmark("a", "https://two.example"));
    assert_eq!(changed.unwrap().index, 2);
    assert!(matches!(
        laptop.replace("a", &bookmark("b", "https://two.example")),
        Err(ClientError::OtherId { .. })
    ));
    assert_eq!(laptop.delete(EntryKind::Bookmark, "a").unwrap().index, 3);
    assert!(laptop.list(EntryKind::Bookmark).unwrap().entries.is_empty());
    assert_eq!(
        laptop
            .add(&bookmark("a", "https://x.example"))
            .unwrap()
            .index,
        4
    );
    assert!(laptop.verify().unwrap().sound);
}

#[tokio::test]
async fn nothing_of_an_entry_is_readable_on_the_disk() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&contact("NAAA", "Marker-Name-7391")).unwrap();
    laptop
        .add(&password("x.example", "Marker-Secret-7391"))
        .unwrap();
    let folder = scene.folder("laptop").join("containers");
    for file in std::fs::read_dir(folder).unwrap() {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!octets.windows(7).any(|part| part == b"Marker-"));
    }
}

// Architecture A-10, service §7.6.
#[tokio::test]
async fn contacts_are_encrypted_to_the_service_too_and_passwords_are_not() {
    let (_scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&contact("NAAA", "Ada")).unwrap();
    laptop.add(&password("x.example", "secret")).unwrap();
    let pinned = laptop.state().unwrap().service.clone().unwrap();
    let service = ProfileService::verify(&pinned.profile_service).unwrap();
    let service = service.authentication_key().unwrap().udf().to_string();
    let account = laptop.identity().unwrap().keys.account_encryption.udf();
    let mut recipients_of = |container: &str| -> Vec<String> {
        let name = container.parse().unwrap();
        let frame = laptop.replica(&name).unwrap().frame(1).unwrap().clone();
        let recipients = frame.header.recipients.into_iter();
        recipients.filter_map(|recipient| recipient.kid).collect()
    };
    assert_eq!(recipients_of("mmm_Contact"), [account.to_string(), service]);
    assert_eq!(recipients_of("mmm_Credential"), [account.to_string()]);
}

#[tokio::test]
async fn an_entry_that_no_service_accepts_is_refused_here() {
    let (_scene, mut laptop) = Scene::with_alice().await;
    let huge = bookmark(
        "a",
        &"x".repeat(mesh_common::limits::ENTRY_PAYLOAD_BYTES_MAX),
    );
    let error = laptop.add(&huge).unwrap_err();
    assert!(matches!(error, ClientError::EntryTooLarge { .. }) && error.is_refusal());
    let nameless = CatalogEntry::CatalogedBookmark(Default::default());
    assert!(matches!(
        laptop.add(&nameless),
        Err(ClientError::NoId {
            tag: "CatalogedBookmark"
        })
    ));
}

#[tokio::test]
async fn a_second_import_changes_nothing_and_a_newer_one_only_what_changed() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let cards = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Ada\r\nEND:VCARD\r\n\
                 BEGIN:VCARD\r\nVERSION:3.0\r\nUID:2\r\nFN:Charles\r\nBDAY:1791-12-26\r\n\
                 END:VCARD\r\n";
    let dry = laptop
        .import("a.vcf", cards.as_bytes(), None, true)
        .unwrap();
    assert_eq!(dry.kinds[0].added, 2);
    assert!(laptop.list(EntryKind::Contact).unwrap().entries.is_empty());
    let first = laptop
        .import("a.vcf", cards.as_bytes(), None, false)
        .unwrap();
    assert_eq!((first.kinds[0].added, first.format), (2, "vcard"));
    assert!(first.kept_verbatim.iter().any(|tally| tally.what == "BDAY"));
    let again = laptop
        .import("a.vcf", cards.as_bytes(), None, false)
        .unwrap();
    let counts = &again.kinds[0];
    assert_eq!((counts.added, counts.updated, counts.unchanged), (0, 0, 2));
    laptop.sync(None).await.unwrap();
    assert_eq!(scene.service.frames(ALICE, "mmm_Contact").len(), 3);
    let newer = cards.replace("FN:Ada", "FN:Ada King");
    let newer = laptop
        .import("a.vcf", newer.as_bytes(), None, false)
        .unwrap();
    let counts = &newer.kinds[0];
    assert_eq!((counts.added, counts.updated, counts.unchanged), (0, 1, 1));
    let found = laptop.find(EntryKind::Contact, "Ada King").unwrap();
    assert!(found.waits);
    assert!(found.summary(Secrets::Hide).mentions("king"));
}

#[tokio::test]
async fn a_file_of_no_known_kind_is_refused_with_what_to_do() {
    let (_scene, mut laptop) = Scene::with_alice().await;
    let error = laptop
        .import("x.bin", b"\x00\x01\x02", None, false)
        .unwrap_err();
    assert!(matches!(error, ClientError::Import { .. }) && !error.is_refusal());
    assert_eq!(error.advice().as_deref(), Some("say what it is with --as"));
}
