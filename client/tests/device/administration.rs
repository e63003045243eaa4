//! Who administers the mesh: the master key taken off a device and brought along again, online keys
//! granted, withdrawn and replaced, and what the other devices make of it.

use mesh_client::account::NewAccount;
use mesh_client::administration::{AdministrationError, CopyError, MasterKey};
use mesh_client::connect::{ConnectError, Terms};
use mesh_client::{Client, ClientError};
use mesh_common::assertion::is_administrator;
use mesh_common::entropy::SeededEntropy;
use mesh_common::protocol::Transaction;

use crate::people::{Scene, alice, connect_by_pin, contact};

fn own_rights(client: &Client) -> bool {
    let identity = client.identity().unwrap();
    is_administrator(&identity.connection_account.permissions)
}

fn online_keys(client: &mut Client) -> Vec<(bool, Option<String>)> {
    let keys = client.key_status().unwrap().online_keys;
    keys.into_iter()
        .map(|key| (key.here, key.device_udf))
        .collect()
}

/// The device opened anew, as the next command would.
fn again(scene: &Scene, name: &str, device: Client) -> Client {
    drop(device);
    scene.device(name)
}

#[tokio::test]
async fn a_master_key_goes_offline_when_a_copy_of_it_is_at_hand() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let master = laptop.master_key().unwrap();
    let other = MasterKey::generate(&mut SeededEntropy::new(3));
    assert!(matches!(
        laptop.take_master_offline(&other),
        Err(ClientError::Administration(
            AdministrationError::OtherMaster { .. }
        ))
    ));
    assert!(laptop.key_status().unwrap().master_here);
    laptop.take_master_offline(&master).unwrap();
    let mut laptop = again(&scene, "laptop", laptop);
    assert!(!laptop.key_status().unwrap().master_here);
    assert!(laptop.master_key().is_err());
    let keys = std::fs::read(scene.folder("laptop").join("keys.json")).unwrap();
    let inside: serde_json::Value = serde_json::from_slice(&keys).unwrap();
    let content = inside["Content"].as_str().unwrap();
    let content = mesh_common::encoding::base64url::decode(content).unwrap();
    assert!(!String::from_utf8(content).unwrap().contains("Master"));
    // Everyday life goes on without it.
    laptop.add(&contact("NAAA-BBBB", "Ada")).unwrap();
    laptop.sync(None).await.unwrap();
    assert!(laptop.verify().unwrap().sound);

    laptop.put_master_back(&master).unwrap();
    let laptop = again(&scene, "laptop", laptop);
    assert!(laptop.master_key().unwrap() == master);
}

// X-30/31
#[tokio::test]
async fn an_online_key_is_granted_with_the_master_key_alone_and_the_device_learns_of_it() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    let master = laptop.master_key().unwrap();
    laptop.take_master_offline(&master).unwrap();
    assert!(matches!(
        laptop.grant_key("phone", None).await,
        Err(ClientError::Administration(AdministrationError::MasterAway))
    ));
    scene.service.log();
    laptop.grant_key("phone", Some(&master)).await.unwrap();
    assert!(scene.service.log().contains(&Transaction::CreateAccount));
    assert!(laptop.master_key().is_err(), "it was brought, not left");
    assert_eq!(online_keys(&mut laptop).len(), 2);

    assert!(!own_rights(&phone));
    phone.sync(None).await.unwrap();
    let mut phone = again(&scene, "phone", phone);
    assert!(own_rights(&phone));
    let udf = phone.account_facts().unwrap().device_udf;
    assert_eq!(online_keys(&mut phone), [(false, None), (true, Some(udf))]);
    assert!(matches!(
        laptop.grant_key("phone", Some(&master)).await,
        Err(ClientError::Administration(
            AdministrationError::HasKey { .. }
        ))
    ));

    // The phone connects a device of its own accord.
    let mut tablet = scene.device("tablet");
    connect_by_pin(&mut phone, &mut tablet, "tablet", &Terms::default()).await;
    for device in [&mut laptop, &mut phone, &mut tablet] {
        device.sync(None).await.unwrap();
        assert!(device.verify().unwrap().sound);
    }
}

#[tokio::test]
async fn a_withdrawn_key_signs_no_more_and_what_it_signed_is_signed_anew() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.grant_key("phone", None).await.unwrap();
    phone.sync(None).await.unwrap();
    let mut tablet = scene.device("tablet");
    connect_by_pin(&mut phone, &mut tablet, "tablet", &Terms::default()).await;

    laptop.withdraw_key("phone", None).await.unwrap();
    assert_eq!(online_keys(&mut laptop), [(true, None)]);
    for (name, device) in [("phone", phone), ("tablet", tablet)] {
        let mut device = again(&scene, name, device);
        // Not by a ticket: the connection that the withdrawn key signed is worth nothing now.
        std::fs::remove_file(scene.folder(name).join("session.sealed")).unwrap();
        device.sync(None).await.unwrap();
        assert!(!own_rights(&device));
        assert!(device.verify().unwrap().sound);
        let refusal = device.connection_requests();
        assert!(matches!(
            refusal,
            Err(ClientError::Connect(ConnectError::NotAdministrator))
        ));
    }
    assert!(matches!(
        laptop.withdraw_key("phone", None).await,
        Err(ClientError::Administration(
            AdministrationError::HasNoKey { .. }
        ))
    ));
    assert!(matches!(
        laptop.withdraw_key("toaster", None).await,
        Err(ClientError::Administration(
            AdministrationError::NoSuchDevice { .. }
        ))
    ));
}

#[tokio::test]
async fn replaced_online_keys_leave_every_device_connected() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    let before = laptop.key_status().unwrap().online_keys;
    laptop.rotate_keys(None).await.unwrap();
    let mut laptop = again(&scene, "laptop", laptop);
    let after = laptop.key_status().unwrap().online_keys;
    assert_eq!((before.len(), after.len()), (1, 1));
    assert!(after[0].here && after[0].udf != before[0].udf);
    phone.sync(None).await.unwrap();
    let mut phone = again(&scene, "phone", phone);
    phone.add(&contact("NAAA-CCCC", "Bob")).unwrap();
    phone.sync(None).await.unwrap();
    laptop.sync(None).await.unwrap();
    for device in [&mut laptop, &mut phone] {
        assert!(device.verify().unwrap().sound);
    }
    let mut tablet = scene.device("tablet");
    connect_by_pin(&mut laptop, &mut tablet, "tablet", &Terms::default()).await;
}

#[tokio::test]
async fn an_interrupted_change_is_finished_by_the_next_synchronization() {
    use crate::service::Disturbance;
    for (lost, answer) in [(true, false), (false, true)] {
        let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
        laptop.sync(None).await.unwrap();
        // Status of the synchronization before, then CreateAccount and its retries.
        let trouble = std::iter::repeat_n(
            if answer {
                Disturbance::AnswerLost
            } else {
                Disturbance::Lost
            },
            4,
        );
        let status = [Disturbance::HttpStatus(200)];
        scene.service.disturb(status.into_iter().chain(trouble));
        let outcome = laptop.rotate_keys(None).await;
        assert!(matches!(outcome, Err(ClientError::Transport(_))), "{lost}");
        let mut laptop = again(&scene, "laptop", laptop);
        assert!(laptop.key_status().unwrap().waiting);
        laptop.sync(None).await.unwrap();
        assert!(!laptop.key_status().unwrap().waiting);
        phone.sync(None).await.unwrap();
        assert!(laptop.verify().unwrap().sound && phone.verify().unwrap().sound);
    }
}

// X-30/31
#[tokio::test]
async fn of_two_administrators_at_once_the_second_starts_again() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.grant_key("phone", None).await.unwrap();
    phone.sync(None).await.unwrap();
    let master = laptop.master_key().unwrap();
    // Both change the profile in the same second: the phone has the later word.
    let snapshot_of_laptop = scene.service.snapshot();
    laptop.rotate_keys(None).await.unwrap();
    let later = scene.service.snapshot();
    scene.service.restore(snapshot_of_laptop);
    scene
        .service
        .disturb([crate::service::Disturbance::HttpStatus(200)]);
    scene.service.swap_behind(1, later);
    let refusal = phone.rotate_keys(Some(&master)).await.unwrap_err();
    assert!(matches!(&refusal, ClientError::Service(_)), "{refusal}");
    // What was refused is forgotten, what the other did is taken over.
    phone.sync(None).await.unwrap();
    phone.rotate_keys(Some(&master)).await.unwrap();
    laptop.sync(None).await.unwrap();
    assert!(laptop.verify().unwrap().sound && phone.verify().unwrap().sound);
}

#[tokio::test]
async fn a_copy_of_another_meshs_key_is_told_before_anything_is_asked() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let other = MasterKey::generate(&mut SeededEntropy::new(4));
    let refusal = laptop.rotate_keys(Some(&other)).await.unwrap_err();
    assert!(refusal.to_string().contains("another mesh"), "{refusal}");
    assert_eq!(scene.service.log(), []);
    let text = other.to_udf().to_string();
    let damaged = text.replace("ZAAQ", "ZAAR");
    assert!(matches!(
        MasterKey::from_copy(damaged.as_bytes(), None),
        Err(CopyError::Master(_))
    ));
}

#[tokio::test]
async fn the_master_key_leaves_the_folders_of_further_accounts_too() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let work = |address: &str| NewAccount {
        address: address.parse().unwrap(),
        ..alice()
    };
    let office = work("alice.work@example.com");
    let other = laptop.create_further_account(&office).await.unwrap();
    let master = other.master_key().unwrap();
    assert!(master == laptop.master_key().unwrap());
    other.check_master(&master).unwrap();
    drop(other);
    laptop.take_master_offline(&master).unwrap();
    let mut laptop = again(&scene, "laptop", laptop);
    let mut other = laptop.open_further(&office.address).unwrap();
    assert!(other.master_key().is_err() && laptop.master_key().is_err());
    // Its identity follows from the key all the same; a third account's would as well.
    other.check_master(&master).unwrap();
    other.rotate_keys(Some(&master)).await.unwrap();
    let third = work("alice.club@example.com");
    let refusal = laptop.create_further_account(&third).await;
    assert!(matches!(
        refusal,
        Err(ClientError::Administration(
            AdministrationError::MasterNeeded
        ))
    ));
}
