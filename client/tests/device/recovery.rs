//! All devices are lost: what shares of the master key bring back, and what they do not.

use mesh_client::administration::{AdministrationError, CopyError, MasterKey, Share};
use mesh_client::connect::{ConnectError, Terms};
use mesh_client::{Client, ClientError};
use mesh_common::account::testing::NOON;
use mesh_common::entropy::SeededEntropy;

use crate::people::{ALICE, Scene, alice, bookmark, connect_by_pin, contact, password};
use crate::service::Disturbance;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Alice with two devices and entries, the keys escrowed in five shares of which three are enough.
async fn escrowed() -> (Scene, Client, Client, Vec<Share>) {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    laptop.add(&contact("NAAA-BBBB", "Ada")).unwrap();
    laptop
        .add(&bookmark("Food/Bananas", "https://example.org"))
        .unwrap();
    let shares = laptop.escrow(3, 5, None).await.unwrap();
    phone
        .add(&password("mail.example.com", "open sesame"))
        .unwrap();
    phone.sync(None).await.unwrap();
    // Profiles are dated: what takes the place of another one is made later.
    scene.advance(HOUR);
    (scene, laptop, phone, shares)
}

fn lines(shares: &[&Share]) -> String {
    let lines: Vec<String> = shares
        .iter()
        .map(|share| share.to_text().to_string())
        .collect();
    lines.join("\n")
}

// S-4.1.1-a
#[tokio::test]
async fn every_quorum_brings_everything_back_on_a_new_device() {
    let (scene, laptop, _phone, shares) = escrowed().await;
    drop(laptop);
    let before = scene.service.snapshot();
    let mut quorums = 0;
    for (number, absent) in [(0, 1), (0, 4), (1, 2), (3, 4), (2, 3)]
        .into_iter()
        .enumerate()
    {
        scene.service.restore(before.clone());
        let some: Vec<&Share> = (0..5)
            .filter(|at| *at != absent.0 && *at != absent.1)
            .map(|at| &shares[at])
            .collect();
        let master = MasterKey::from_copy(lines(&some).as_bytes(), None).unwrap();
        let name = format!("new-{number}");
        let mut fresh = scene.device_with_seed(&name, 700 + number as u64);
        let report = fresh.recover(&alice(), &master, false).await.unwrap();
        assert!(report.was_there && report.readable);
        assert_eq!(report.entries, 3);
        assert_eq!(report.other_devices.len(), 2);
        drop(fresh);
        let mut fresh = scene.device(&name);
        fresh.sync(None).await.unwrap();
        let verified = fresh.verify().unwrap();
        assert!(verified.sound, "{:?}", verified.problems);
        assert!(!fresh.key_status().unwrap().master_here, "it was not left");
        quorums += 1;
    }
    assert_eq!(quorums, 5);
    let incidents = scene.service.snapshot().incidents;
    assert!(
        incidents.iter().any(|told| told.contains("recovered")),
        "{incidents:?}"
    );
}

#[tokio::test]
async fn after_a_recovery_the_other_devices_go_on_and_administer_no_more() {
    let (scene, mut laptop, phone, shares) = escrowed().await;
    laptop.grant_key("phone", None).await.unwrap();
    scene.advance(HOUR);
    let quorum = lines(&[&shares[0], &shares[2], &shares[4]]);
    let master = MasterKey::from_copy(quorum.as_bytes(), None).unwrap();
    let mut fresh = scene.device("fresh");
    fresh.recover(&alice(), &master, false).await.unwrap();
    assert_eq!(fresh.key_status().unwrap().online_keys.len(), 1);
    // Even without the tickets they had.
    for (name, device) in [("laptop", laptop), ("phone", phone)] {
        drop(device);
        std::fs::remove_file(scene.folder(name).join("session.sealed")).unwrap();
        let mut device = scene.device(name);
        device.add(&contact(&format!("N-{name}"), name)).unwrap();
        device.sync(None).await.unwrap();
        assert!(!device.key_status().unwrap().administers);
        let refusal = device.connection_requests();
        assert!(matches!(
            refusal,
            Err(ClientError::Connect(ConnectError::NotAdministrator))
        ));
        assert!(device.verify().unwrap().sound);
    }
    // The new device does administer.
    fresh.sync(None).await.unwrap();
    let mut tablet = scene.device("tablet");
    connect_by_pin(&mut fresh, &mut tablet, "tablet", &Terms::default()).await;
    fresh.grant_key("phone", Some(&master)).await.unwrap();
    assert!(fresh.verify().unwrap().sound);
}

#[tokio::test]
async fn a_profile_that_was_dated_ahead_of_our_clock_does_not_stand_in_the_way() {
    let (scene, _laptop, _phone, shares) = escrowed().await;
    // The device that recovers is an hour behind: its profiles are older than those there are.
    scene.clock.set(NOON);
    scene.service.set_time(NOON);
    let quorum = lines(&[&shares[0], &shares[1], &shares[2]]);
    let master = MasterKey::from_copy(quorum.as_bytes(), None).unwrap();
    let mut fresh = scene.device("fresh");
    let report = fresh.recover(&alice(), &master, false).await.unwrap();
    assert!(report.readable);
    assert!(fresh.verify().unwrap().sound);
}

#[tokio::test]
async fn fewer_shares_than_the_quorum_and_damaged_ones_do_not_get_as_far_as_the_service() {
    let (scene, _laptop, _phone, shares) = escrowed().await;
    scene.service.log();
    let two = lines(&[&shares[1], &shares[3]]);
    assert!(matches!(
        MasterKey::from_copy(two.as_bytes(), None),
        Err(CopyError::TooFew {
            found: 2,
            quorum: 3
        })
    ));
    let damaged = lines(&[&shares[1], &shares[3], &shares[4]]);
    let at = damaged.rfind('-').unwrap() + 1;
    let letter = if damaged.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    let mut damaged = damaged;
    damaged.replace_range(at..=at, letter);
    assert!(matches!(
        MasterKey::from_copy(damaged.as_bytes(), None),
        Err(CopyError::Share { place: 3, .. })
    ));
    assert_eq!(scene.service.log(), []);
}

#[tokio::test]
async fn the_key_of_somebody_else_takes_nothing_over_and_leaves_nothing_behind() {
    let (scene, mut laptop, _phone, _) = escrowed().await;
    let other = MasterKey::generate(&mut SeededEntropy::new(8));
    let mut fresh = scene.device("fresh");
    let refusal = fresh.recover(&alice(), &other, false).await.unwrap_err();
    assert!(matches!(
        refusal,
        ClientError::Administration(AdministrationError::OtherAccount { .. })
    ));
    assert!(!scene.folder("fresh").join("keys.json").exists());
    assert!(!scene.folder("fresh").join("account.json").exists());
    laptop.sync(None).await.unwrap();
    let taken = laptop.recover(&alice(), &other, false).await.unwrap_err();
    assert!(matches!(
        taken,
        ClientError::Administration(AdministrationError::HasAccount { .. })
    ));
}

#[tokio::test]
async fn without_escrow_the_address_comes_back_and_the_entries_do_not() {
    let (scene, mut laptop) = Scene::with_alice().await;
    laptop.add(&contact("NAAA-BBBB", "Ada")).unwrap();
    laptop.sync(None).await.unwrap();
    let master = laptop.master_key().unwrap();
    drop(laptop);
    scene.advance(HOUR);
    let mut fresh = scene.device("fresh");
    let refusal = fresh.recover(&alice(), &master, false).await.unwrap_err();
    assert!(matches!(
        refusal,
        ClientError::Administration(AdministrationError::NoEscrow { .. })
    ));
    let unfinished = fresh.sync(None).await.unwrap_err();
    assert!(
        unfinished.to_string().contains("not finished"),
        "{unfinished}"
    );
    drop(fresh);
    let mut fresh = scene.device_with_seed("fresh", 77);
    let report = fresh.recover(&alice(), &master, true).await.unwrap();
    assert!(report.was_there && !report.readable);
    fresh.add(&contact("NAAA-CCCC", "Bob")).unwrap();
    fresh.sync(None).await.unwrap();
}

#[tokio::test]
async fn an_address_that_nobody_has_becomes_a_new_account() {
    let scene = Scene::new();
    let master = MasterKey::generate(&mut SeededEntropy::new(9));
    let mut fresh = scene.device("fresh");
    let report = fresh.recover(&alice(), &master, false).await.unwrap();
    assert!(!report.was_there);
    assert_eq!(report.facts.address, ALICE);
    fresh.sync(None).await.unwrap();
    assert!(fresh.verify().unwrap().sound);
}

#[tokio::test]
async fn a_recovery_that_was_interrupted_anywhere_goes_on() {
    let (scene, laptop, _phone, shares) = escrowed().await;
    drop(laptop);
    let quorum = lines(&[&shares[0], &shares[1], &shares[2]]);
    let master = MasterKey::from_copy(quorum.as_bytes(), None).unwrap();
    let before = scene.service.snapshot();
    let mut interrupted = 0;
    for done in 0_u64.. {
        scene.service.restore(before.clone());
        let name = format!("fresh-{done}");
        let mut fresh = scene.device_with_seed(&name, 800 + done);
        let fine = std::iter::repeat_n(Disturbance::HttpStatus(200), done as usize);
        let gone = std::iter::repeat_n(Disturbance::AnswerLost, 4);
        scene.service.disturb(fine.chain(gone));
        let outcome = fresh.recover(&alice(), &master, false).await;
        scene.service.undisturbed();
        if outcome.is_ok() {
            break;
        }
        interrupted += 1;
        drop(fresh);
        let mut fresh = scene.device_with_seed(&name, 900 + done);
        match fresh.recover(&alice(), &master, false).await {
            Ok(report) => assert!(report.readable),
            // What was left to do was done by then, or needs no master key.
            Err(ClientError::Administration(AdministrationError::HasAccount { .. })) => {
                fresh.sync(None).await.unwrap();
            }
            Err(error) => panic!("{done}: {error}"),
        }
        let verified = fresh.verify().unwrap();
        assert!(verified.sound, "{done}: {:?}", verified.problems);
    }
    assert!(interrupted > 8, "a recovery asks often: {interrupted}");
}

#[tokio::test]
async fn escrowed_keys_that_the_service_made_are_not_believed() {
    let (scene, laptop, _phone, shares) = escrowed().await;
    let profile = laptop.state().unwrap().profile_mesh.clone();
    drop(laptop);
    let quorum = lines(&[&shares[0], &shares[1], &shares[2]]);
    let master = MasterKey::from_copy(quorum.as_bytes(), None).unwrap();
    // It knows the public half of the escrow key, from the profile.
    let escrow = mesh_common::assertion::ProfileMesh::verify(&profile).unwrap();
    let escrow = escrow.keys_master_escrow[0].public_key().unwrap();
    assert_eq!(escrow, *master.escrow_key().public());
    let mut entropy = SeededEntropy::new(6);
    let mallet = mesh_common::assertion::make::MeshKeys::generate(&mut entropy);
    let forged = mesh_common::dare::Envelope::encrypted_and_signed(
        br#"{"EscrowedKeySet":{}}"#,
        mesh_common::dare::Header::default(),
        &[&escrow],
        &[&mallet.offline],
        &mut entropy,
    )
    .unwrap();
    scene
        .service
        .forge_entry(ALICE, "mmm_Escrow", escrow.udf().as_str(), forged);
    let mut fresh = scene.device("fresh");
    let refusal = fresh.recover(&alice(), &master, false).await.unwrap_err();
    assert!(
        matches!(
            &refusal,
            ClientError::Administration(AdministrationError::ForgedEscrow { .. })
        ),
        "{refusal}"
    );
}
