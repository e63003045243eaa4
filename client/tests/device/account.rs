//! Making an account, being interrupted, deleting it.

use mesh_client::ClientError;
use mesh_client::catalogs::CATALOGS;
use mesh_client::entries::EntryKind;
use mesh_client::state::Stage;
use mesh_common::account::policy::AccountPolicy;
use mesh_common::protocol::{Code, Transaction};

use crate::people::{ALICE, Scene, alice, bookmark};
use crate::service::Disturbance;

#[tokio::test]
async fn an_account_is_made_with_all_its_catalogs_in_one_upload() {
    let scene = Scene::new();
    let mut laptop = scene.device("laptop");
    let report = laptop.create_account(&alice()).await.unwrap();
    assert_eq!(
        scene.service.log(),
        [
            Transaction::CreateAccount,
            Transaction::Status,
            Transaction::Download,
            Transaction::Download,
            Transaction::Download,
            Transaction::Upload,
        ]
    );
    for catalog in CATALOGS {
        let frames = if catalog == "mmm_Device" { 2 } else { 1 };
        assert_eq!(
            scene.service.frames(ALICE, catalog).len(),
            frames,
            "{catalog}"
        );
    }
    assert_eq!(report.containers.len(), CATALOGS.len() + 3);
    let facts = laptop.account_facts().unwrap();
    assert!(facts.ready && !facts.deleted);
    assert_eq!(facts.device.as_deref(), Some("laptop"));
}

#[tokio::test]
async fn the_device_remembers_its_account() {
    let (scene, laptop) = Scene::with_alice().await;
    let before = laptop.account_facts().unwrap();
    drop(laptop);
    let mut laptop = scene.device("laptop");
    assert_eq!(laptop.account_facts().unwrap(), before);
    let status = laptop.account_status().await.unwrap();
    assert!(status.containers.iter().all(|one| one.agrees == Some(true)));
    assert!(matches!(
        laptop.create_account(&alice()).await,
        Err(ClientError::AccountExists { .. })
    ));
}

#[tokio::test]
async fn an_account_is_finished_wherever_its_making_was_interrupted() {
    // 401/104 and the like end a command; the requests are Hello, CreateAccount, Status, three
    // Downloads, Upload.
    for at in 1..7 {
        let scene = Scene::new();
        let mut laptop = scene.device("laptop");
        let undisturbed = (0..at).map(|_| Disturbance::HttpStatus(200));
        let interruption = Disturbance::NotMesh("<html>proxy</html>");
        scene.service.disturb(undisturbed.chain([interruption]));
        assert!(laptop.create_account(&alice()).await.is_err(), "{at}");
        drop(laptop);
        let mut laptop = scene.device_with_seed("laptop", 1_000 + at);
        let begun = laptop.state().unwrap().stage;
        assert!(begun != Stage::Ready, "{at}");
        laptop.create_account(&alice()).await.unwrap();
        assert_eq!(laptop.state().unwrap().stage, Stage::Ready);
        assert_eq!(scene.service.frames(ALICE, "mmm_Device").len(), 2, "{at}");
    }
}

#[tokio::test]
async fn lost_answers_do_not_make_an_account_twice() {
    // Every request is sent again as long as it is answered by nobody (service §4.7).
    for at in 1..7 {
        let scene = Scene::new();
        let undisturbed = (0..at).map(|_| Disturbance::HttpStatus(200));
        scene
            .service
            .disturb(undisturbed.chain([Disturbance::AnswerLost, Disturbance::Lost]));
        let mut laptop = scene.device("laptop");
        laptop.create_account(&alice()).await.unwrap();
        assert_eq!(scene.service.frames(ALICE, "mmm_Device").len(), 2, "{at}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_leaves_a_folder_that_can_be_used_for_another() {
    let (scene, _laptop) = Scene::with_alice().await;
    let mut other = scene.device_with_seed("other", 77);
    let error = other.create_account(&alice()).await.unwrap_err();
    let ClientError::Service(failure) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code(), Some(Code::AccountRegistered));
    assert!(error.is_refusal());
    assert_eq!(error.advice().as_deref(), Some("choose another address"));
    let bob = mesh_client::account::NewAccount {
        address: "bob@example.com".parse().unwrap(),
        ..alice()
    };
    other.create_account(&bob).await.unwrap();
    assert_eq!(other.account_facts().unwrap().address, "bob@example.com");
}

#[tokio::test]
async fn an_account_on_hold_is_finished_once_the_operator_approved() {
    let scene = Scene::new();
    scene.service.set_policy(on_hold());
    let mut laptop = scene.device("laptop");
    let error = laptop.create_account(&alice()).await.unwrap_err();
    let ClientError::Service(failure) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code(), Some(Code::Pending));
    assert_eq!(laptop.state().unwrap().stage, Stage::Begun);
}

fn on_hold() -> AccountPolicy {
    use mesh_common::account::policy::Creation;
    AccountPolicy {
        creation: Creation::Approval,
        ..AccountPolicy::default()
    }
}

#[tokio::test]
async fn what_is_added_before_the_service_knows_the_account_is_not_lost() {
    let scene = Scene::new();
    let mut laptop = scene.device("laptop");
    scene
        .service
        .disturb([Disturbance::HttpStatus(200), Disturbance::NotMesh("")]);
    assert!(laptop.create_account(&alice()).await.is_err());
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    assert_eq!(scene.service.frames(ALICE, "mmm_Bookmark").len(), 2);
    assert_eq!(laptop.list(EntryKind::Bookmark).unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_deleted_account_stays_readable_on_the_device_and_answers_no_more() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    let facts = laptop.delete_account().await.unwrap();
    assert!(facts.deleted);
    let log = scene.service.log();
    assert_eq!(log.last(), Some(&Transaction::DeleteAccount));
    assert!(matches!(
        laptop.sync(None).await,
        Err(ClientError::AccountDeleted { .. })
    ));
    assert_eq!(laptop.list(EntryKind::Bookmark).unwrap().entries.len(), 1);
    assert!(laptop.verify().unwrap().sound);
}

#[tokio::test]
async fn a_lost_answer_to_a_deletion_is_settled_by_the_next() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.account_status().await.unwrap();
    scene.service.disturb([Disturbance::AnswerLost]);
    assert!(laptop.delete_account().await.unwrap().deleted);
}

#[tokio::test]
async fn an_unreachable_service_leaves_nothing_behind_but_the_lock() {
    let scene = Scene::new();
    let mut laptop = scene.device("laptop");
    scene.service.disturb([Disturbance::Lost]);
    let error = laptop.create_account(&alice()).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport(_)) && !error.is_refusal());
    assert!(laptop.state().is_none());
    let files: Vec<_> = std::fs::read_dir(scene.folder("laptop")).unwrap().collect();
    assert_eq!(files.len(), 1);
}
