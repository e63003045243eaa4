//! Devices that ask to be connected: by witness and by PIN, interrupted anywhere, and removed again.

use std::sync::Arc;
use std::time::Duration;

use mesh_client::connect::{ConnectError, NewRequest, PinStanding, Requested, Standing, Terms};
use mesh_client::entries::EntryKind;
use mesh_client::{Client, ClientError};
use mesh_common::message::Pin;
use mesh_common::protocol::{Code, Transaction};

use crate::people::{ALICE, Scene, bookmark, connect_by_pin};
use crate::service::{Disturbance, Overtaking, URL};

const DAY: Duration = Duration::from_secs(86_400);

fn request(name: &str) -> NewRequest {
    NewRequest {
        service_url: Some(URL.into()),
        device: Some(name.into()),
        ..NewRequest::to(ALICE.parse().unwrap())
    }
}

fn request_with(pin: &Pin, name: &str) -> NewRequest {
    NewRequest {
        pin: Some(pin.clone()),
        ..request(name)
    }
}

async fn ask(device: &mut Client, name: &str) -> Requested {
    device
        .request_connection(Some(&request(name)))
        .await
        .unwrap()
}

async fn pin_of(administrator: &mut Client) -> Pin {
    let made = administrator.make_pin(DAY, &Terms::default()).await;
    made.unwrap().uri.pin
}

fn titles(device: &mut Client) -> Vec<String> {
    let entries = device.list(EntryKind::Bookmark).unwrap().entries;
    entries.into_iter().map(|listed| listed.id).collect()
}

#[track_caller]
fn connect_error(error: ClientError) -> ConnectError {
    match error {
        ClientError::Connect(error) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refusal(error: ClientError) -> Code {
    match error {
        ClientError::Service(failure) => failure.code().unwrap(),
        other => panic!("{other:?}"),
    }
}

// I-P-8.1-a, I-P-8-b
#[tokio::test]
async fn both_devices_show_one_witness_and_the_new_one_reads_what_the_account_has() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&bookmark("a", "https://a.example")).unwrap();
    laptop.sync(None).await.unwrap();
    let mut phone = scene.device("phone");
    let requested = ask(&mut phone, "phone").await;
    assert_eq!(phone.poll_connection().await.unwrap(), None);
    laptop.sync(None).await.unwrap();
    let inbox = laptop.connection_requests().unwrap();
    let [asked] = inbox.requests.as_slice() else {
        panic!("{inbox:?}");
    };
    assert_eq!(Some(&asked.witness), requested.witness.as_ref());
    assert_eq!(asked.witness.len(), 28 + 6, "seven groups of four");
    assert_eq!((asked.standing, asked.pin), (Standing::Waiting, None));
    let wanted = asked.witness[..9].to_lowercase();
    let answered = laptop.accept_connection(&wanted, &Terms::default()).await;
    let answered = answered.unwrap();
    assert!(answered.accepted && !answered.administrator);
    let facts = phone.poll_connection().await.unwrap().unwrap();
    assert_eq!(facts.device_udf, answered.device_udf);
    assert!(facts.ready);
    phone.sync(None).await.unwrap();
    assert_eq!(titles(&mut phone), ["a"]);
    // What it adds, the others read; what it may not, it does not.
    phone.add(&bookmark("b", "https://b.example")).unwrap();
    phone.sync(None).await.unwrap();
    laptop.sync(None).await.unwrap();
    assert_eq!(titles(&mut laptop), ["a", "b"]);
    assert!(phone.verify().unwrap().sound && laptop.verify().unwrap().sound);
    assert!(!phone.folder().join("request.json").exists());
    let error = phone.make_pin(DAY, &Terms::default()).await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::NotAdministrator
    ));
    let again = laptop.accept_connection(&wanted, &Terms::default()).await;
    assert_eq!(again.unwrap().device_udf, answered.device_udf);
}

#[tokio::test]
async fn an_administrator_that_was_connected_connects_others() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let administrator = Terms {
        administrator: true,
        ..Terms::default()
    };
    connect_by_pin(&mut laptop, &mut phone, "phone", &administrator).await;
    let mut tablet = scene.device("tablet");
    connect_by_pin(&mut phone, &mut tablet, "tablet", &Terms::default()).await;
    laptop.sync(None).await.unwrap();
    let devices = laptop.devices().unwrap();
    let told: Vec<_> = devices
        .iter()
        .map(|one| (one.device.as_deref(), one.administrator, one.this))
        .collect();
    assert_eq!(
        told,
        [
            (Some("laptop"), true, true),
            (Some("phone"), true, false),
            (Some("tablet"), false, false)
        ]
    );
    assert!(devices.iter().all(|one| one.verified));
    for device in [&mut laptop, &mut phone, &mut tablet] {
        device.sync(None).await.unwrap();
        assert!(device.verify().unwrap().sound);
    }
}

// I-P-8.2-a
// Any administrator finishes, not only the one that made the PIN.
#[tokio::test]
async fn a_pin_is_answered_by_whichever_administrator_synchronizes_first() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let administrator = Terms {
        administrator: true,
        ..Terms::default()
    };
    connect_by_pin(&mut laptop, &mut phone, "phone", &administrator).await;
    laptop.sync(None).await.unwrap();
    let pin = pin_of(&mut laptop).await;
    let mut tablet = scene.device("tablet");
    let asked = request_with(&pin, "tablet");
    let requested = tablet.request_connection(Some(&asked)).await.unwrap();
    assert_eq!((requested.witness, requested.by), (None, "pin"));
    let report = phone.sync(None).await.unwrap();
    assert!(report.devices[0].connected, "{:?}", report.devices);
    let report = laptop.sync(None).await.unwrap();
    assert!(report.devices.is_empty(), "{:?}", report.devices);
    assert!(tablet.poll_connection().await.unwrap().is_some());
}

// I-P-8.2-a
// Two administrators race: whichever request of the one the other overtakes, a PIN connects one device.
#[tokio::test]
async fn a_pin_that_two_administrators_answer_at_once_connects_one_device() {
    let mut overtaken = 0;
    loop {
        let (scene, mut laptop) = Scene::with_alice().await;
        let mut phone = scene.device("phone");
        let administrator = Terms {
            administrator: true,
            ..Terms::default()
        };
        connect_by_pin(&mut laptop, &mut phone, "phone", &administrator).await;
        laptop.sync(None).await.unwrap();
        let pin = pin_of(&mut laptop).await;
        phone.sync(None).await.unwrap();
        for name in ["tablet", "thief"] {
            let mut device = scene.device(name);
            let asked = request_with(&pin, name);
            device.request_connection(Some(&asked)).await.unwrap();
        }
        let race = Arc::new(Overtaking::new(&scene.service, phone, overtaken));
        let mut laptop = scene.device_over("laptop", laptop, Arc::clone(&race));
        laptop.sync(None).await.unwrap();
        if race.requests() <= overtaken {
            assert!(overtaken > 3, "a race with some requests");
            return;
        }
        let mut phone = scene.device("phone");
        phone.sync(None).await.unwrap();
        laptop.sync(None).await.unwrap();
        for administrator in [&mut laptop, &mut phone] {
            let names: Vec<_> = administrator.devices().unwrap();
            assert_eq!(names.len(), 3, "request {overtaken} overtaken: {names:?}");
        }
        let connected = scene.device("tablet").poll_connection().await.unwrap();
        assert!(connected.is_some(), "request {overtaken}: the first to ask");
        let thief = scene.device("thief").poll_connection().await;
        assert!(
            !matches!(thief, Ok(Some(_))),
            "request {overtaken}: {thief:?}"
        );
        overtaken += 1;
    }
}

// I-P-8.2-a
// Expired, used and wrong PINs are told apart, and a second use is an alert.
#[tokio::test]
async fn pins_that_are_not_good_are_told_apart_and_connect_nobody() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let expired = pin_of(&mut laptop).await;
    scene.advance(DAY);
    let used = pin_of(&mut laptop).await;
    let mut phone = scene.device("phone");
    let asked = request_with(&used, "phone");
    phone.request_connection(Some(&asked)).await.unwrap();
    laptop.sync(None).await.unwrap();
    phone.poll_connection().await.unwrap().unwrap();
    let wrong = Pin::parse("NAAA-AAAA-AAAA-AAAA-AA").unwrap();
    for (name, pin) in [("late", &expired), ("second", &used), ("wrong", &wrong)] {
        let mut device = scene.device(name);
        let asked = request_with(pin, name);
        device.request_connection(Some(&asked)).await.unwrap();
    }
    let report = laptop.sync(None).await.unwrap();
    let told: Vec<_> = report
        .devices
        .iter()
        .map(|one| (one.device.as_deref().unwrap(), one.pin, one.connected))
        .collect();
    assert_eq!(
        told,
        [
            ("late", PinStanding::Expired, false),
            ("second", PinStanding::Used, false),
            ("wrong", PinStanding::Invalid, false)
        ]
    );
    let alerts = report.devices.iter().filter(|one| one.is_alert());
    assert_eq!(alerts.count(), 1);
    let id = report.devices[1].id.clone();
    let accepted = laptop.accept_connection(&id, &Terms::default()).await;
    assert!(matches!(
        connect_error(accepted.unwrap_err()),
        ConnectError::PinStanding {
            standing: PinStanding::Used,
            ..
        }
    ));
    assert_eq!(laptop.devices().unwrap().len(), 2);
    let rejected = laptop.reject_connection(&id).await.unwrap();
    assert!(!rejected.accepted);
    let error = scene.device("second").poll_connection().await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::Rejected { .. }
    ));
}

#[tokio::test]
async fn a_rejected_device_is_told_and_may_ask_again() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let requested = ask(&mut phone, "phone").await;
    laptop
        .reject_connection(&requested.witness.unwrap())
        .await
        .unwrap();
    let error = phone.poll_connection().await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::Rejected { .. }
    ));
    assert!(phone.requested().unwrap().is_none());
    let second = ask(&mut phone, "phone").await;
    let wanted = second.witness.unwrap();
    laptop
        .accept_connection(&wanted, &Terms::default())
        .await
        .unwrap();
    assert!(phone.poll_connection().await.unwrap().is_some());
    laptop.sync(None).await.unwrap();
    let standings: Vec<_> = laptop
        .connection_requests()
        .unwrap()
        .requests
        .iter()
        .map(|asked| asked.standing)
        .collect();
    assert_eq!(standings, [Standing::Rejected, Standing::Accepted]);
}

#[tokio::test]
async fn a_request_that_nobody_answers_expires() {
    let (scene, _laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    ask(&mut phone, "phone").await;
    scene.advance(DAY);
    let error = phone.poll_connection().await.unwrap_err();
    assert!(matches!(connect_error(error), ConnectError::Expired { .. }));
    ask(&mut phone, "phone").await;
    assert_eq!(phone.poll_connection().await.unwrap(), None);
}

#[tokio::test]
async fn lost_answers_cost_nothing() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let lost = || [Disturbance::HttpStatus(200), Disturbance::AnswerLost];
    // Hello, then the answer to Connect.
    scene.service.disturb(lost());
    let requested = ask(&mut phone, "phone").await;
    laptop.sync(None).await.unwrap();
    assert_eq!(laptop.connection_requests().unwrap().requests.len(), 1);
    // Status of the synchronization, then the answers to the Upload and to the Post.
    let answers = [
        Disturbance::HttpStatus(200),
        Disturbance::AnswerLost,
        Disturbance::HttpStatus(200),
        Disturbance::AnswerLost,
    ];
    scene.service.disturb(answers);
    let wanted = requested.witness.unwrap();
    laptop
        .accept_connection(&wanted, &Terms::default())
        .await
        .unwrap();
    scene.service.disturb([Disturbance::AnswerLost]);
    assert!(phone.poll_connection().await.unwrap().is_some());
    assert_eq!(scene.service.frames(ALICE, "mmm_Device").len(), 3);
    assert_eq!(scene.service.frames(ALICE, "mmm_Local").len(), 2);
}

// Service §6.2 step 7 and §6.3: a lost b is repaired by the second way.
#[tokio::test]
async fn a_device_whose_answer_was_never_left_finds_its_entry() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let wanted = ask(&mut phone, "phone").await.witness.unwrap();
    laptop.sync(None).await.unwrap();
    scene.service.log();
    // Status and Upload; then nothing reaches the service for as long as the command tries.
    let through = std::iter::repeat_n(Disturbance::HttpStatus(200), 2);
    let never = std::iter::repeat_n(Disturbance::Lost, 4);
    scene.service.disturb(through.chain(never));
    let terms = Terms::default();
    assert!(laptop.accept_connection(&wanted, &terms).await.is_err());
    assert_eq!(
        scene.service.log(),
        [Transaction::Status, Transaction::Upload]
    );
    assert!(phone.poll_connection().await.unwrap().is_some());
    phone.sync(None).await.unwrap();
    laptop.sync(None).await.unwrap();
    let requests = laptop.connection_requests().unwrap().requests;
    assert_eq!(requests[0].standing, Standing::Granted);
    laptop
        .accept_connection(&wanted, &Terms::default())
        .await
        .unwrap();
    let requests = laptop.connection_requests().unwrap().requests;
    assert_eq!(requests[0].standing, Standing::Accepted);
    assert_eq!(scene.service.frames(ALICE, "mmm_Device").len(), 3);
}

// an entry proves nothing to a device that has a PIN; it waits for the proof.
#[tokio::test]
async fn a_pin_whose_answer_was_interrupted_is_answered_by_the_next_synchronization() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let pin = pin_of(&mut laptop).await;
    let mut phone = scene.device("phone");
    let asked = request_with(&pin, "phone");
    phone.request_connection(Some(&asked)).await.unwrap();
    // Status, two Downloads, Upload; then the line is down.
    let through = std::iter::repeat_n(Disturbance::HttpStatus(200), 3);
    let never = std::iter::repeat_n(Disturbance::Lost, 4);
    scene.service.disturb(through.chain(never));
    let report = laptop.sync(None).await.unwrap();
    assert!(!report.devices[0].connected, "{:?}", report.devices);
    assert_eq!(report.devices[0].pin, PinStanding::Valid);
    assert_eq!(phone.poll_connection().await.unwrap(), None);
    // The laptop is gone; its folder is opened by the next command.
    drop(laptop);
    let mut laptop = scene.device_with_seed("laptop", 4_712);
    let report = laptop.sync(None).await.unwrap();
    assert!(report.devices[0].connected, "{:?}", report.devices);
    assert!(phone.poll_connection().await.unwrap().is_some());
    assert_eq!(scene.service.frames(ALICE, "mmm_Device").len(), 3);
}

#[tokio::test]
async fn a_new_device_that_is_killed_goes_on_where_it_was() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    // Killed while it asked: the service may or may not have heard.
    let lost = [Disturbance::HttpStatus(200), Disturbance::AnswerLost];
    let never = std::iter::repeat_n(Disturbance::Lost, 4);
    scene.service.disturb(lost.into_iter().chain(never));
    let asked = request("phone");
    assert!(phone.request_connection(Some(&asked)).await.is_err());
    drop(phone);
    let mut phone = scene.device_with_seed("phone", 1);
    let requested = phone.request_connection(None).await.unwrap();
    drop(phone);
    let mut phone = scene.device_with_seed("phone", 2);
    assert_eq!(phone.requested().unwrap(), Some(requested.clone()));
    let wanted = requested.witness.unwrap();
    laptop
        .accept_connection(&wanted, &Terms::default())
        .await
        .unwrap();
    let kept = std::fs::read(phone.folder().join("request.json")).unwrap();
    let facts = phone.poll_connection().await.unwrap().unwrap();
    // Killed before the request was forgotten, and before the account was kept.
    let folder = phone.folder().to_owned();
    drop(phone);
    std::fs::write(folder.join("request.json"), &kept).unwrap();
    std::fs::remove_file(folder.join("account.json")).unwrap();
    let mut phone = scene.device_with_seed("phone", 3);
    assert_eq!(phone.poll_connection().await.unwrap(), Some(facts));
    phone.sync(None).await.unwrap();
    assert!(phone.verify().unwrap().sound);
    // Killed after the account was kept: the request means nothing any more.
    drop(phone);
    std::fs::write(folder.join("request.json"), &kept).unwrap();
    let mut phone = scene.device_with_seed("phone", 4);
    assert!(phone.requested().unwrap().is_none());
    phone.sync(None).await.unwrap();
}

#[tokio::test]
async fn a_removed_device_is_refused_and_the_others_are_not() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    connect_by_pin(&mut laptop, &mut phone, "phone", &Terms::default()).await;
    laptop.sync(None).await.unwrap();
    let error = laptop.remove_device("telephone").await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::NoDevice { .. }
    ));
    let own = laptop.devices().unwrap()[0].device_udf.clone();
    let error = laptop.remove_device(&own).await.unwrap_err();
    assert!(matches!(connect_error(error), ConnectError::OwnDevice));
    let error = phone.remove_device(&own).await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::NotAdministrator
    ));
    let removed = laptop.remove_device("Phone").await.unwrap();
    assert_eq!(removed.device.as_deref(), Some("phone"));
    let error = phone.sync(None).await.unwrap_err();
    assert_eq!(refusal(error), Code::DeviceRevoked);
    laptop.sync(None).await.unwrap();
    assert_eq!(laptop.devices().unwrap().len(), 1);
    // Another request, of a folder of its own, is another device.
    let mut successor = scene.device("successor");
    connect_by_pin(&mut laptop, &mut successor, "phone", &Terms::default()).await;
}

#[tokio::test]
async fn an_account_that_is_not_there_leaves_the_folder_as_it_was() {
    let (scene, _laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let other = NewRequest {
        address: "nobody@example.com".parse().unwrap(),
        ..request("phone")
    };
    let error = phone.request_connection(Some(&other)).await.unwrap_err();
    assert_eq!(refusal(error), Code::Refused);
    assert!(!phone.folder().join("request.json").exists());
    let error = phone.request_connection(None).await.unwrap_err();
    assert!(matches!(connect_error(error), ConnectError::NothingAsked));
    ask(&mut phone, "phone").await;
    let error = phone.request_connection(Some(&other)).await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::OtherAsked { .. }
    ));
}

// S-4.2-a
// One mesh, two accounts, and a device that is connected to both by one answer.
#[tokio::test]
async fn one_mesh_has_several_accounts_and_a_device_is_connected_to_all_it_is_given() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let work = mesh_client::account::NewAccount {
        service_url: Some(URL.into()),
        ..mesh_client::account::NewAccount::at("work@example.com".parse().unwrap())
    };
    let mut office = laptop.create_further_account(&work).await.unwrap();
    office.add(&bookmark("w", "https://w.example")).unwrap();
    office.sync(None).await.unwrap();
    let facts = (
        laptop.account_facts().unwrap(),
        office.account_facts().unwrap(),
    );
    assert_eq!(facts.0.mesh_udf, facts.1.mesh_udf);
    assert_eq!(facts.0.device_udf, facts.1.device_udf);
    assert_ne!(facts.0.account_udf, facts.1.account_udf);
    drop(office);
    let mut phone = scene.device("phone");
    let wanted = ask(&mut phone, "phone").await.witness.unwrap();
    let mut terms = Terms {
        accounts: vec!["nobody@example.com".parse().unwrap()],
        ..Terms::default()
    };
    let error = laptop.accept_connection(&wanted, &terms).await.unwrap_err();
    assert!(matches!(
        connect_error(error),
        ConnectError::NoSuchAccount { .. }
    ));
    terms.accounts = vec![work.address.clone()];
    laptop.accept_connection(&wanted, &terms).await.unwrap();
    phone.poll_connection().await.unwrap().unwrap();
    phone.sync(None).await.unwrap();
    let mut office = phone.open_further(&work.address).unwrap();
    office.sync(None).await.unwrap();
    assert_eq!(titles(&mut office), ["w"]);
    assert!(office.verify().unwrap().sound && phone.verify().unwrap().sound);
}
