//! CreateAccount: an account is bound to the service (service §5.2, X-30, X-31).

use mesh_common::assertion::{Assertion, ProfileMesh};
use mesh_common::crypto::{KeyData, SecretKey};
use mesh_common::dare::{Envelope, Header};
use mesh_common::protocol::{Code, Request};
use mesh_tests::client::Circumstances;
use mesh_tests::people::entropy_of;
use mesh_tests::{Client, Person, TestService, alice, bob, frames};
use serde_json::json;

// P-1-a, S-4.2-a, I-S-4-a
#[test]
fn one_mesh_has_accounts_under_two_names_and_at_two_services() {
    let here = TestService::start();
    let elsewhere = TestService::start();
    let second = Person::at("alice", "alice@example.net");
    for (service, person) in [(&here, &alice()), (&here, &second), (&elsewhere, &alice())] {
        let mut client = Client::of_new_account(service, person);
        client.ask(&frames::status()).must_be(Code::Ok);
    }
    assert_eq!(alice().profile_mesh, second.profile_mesh);
}

// I-P-4.3.2-a, X-24
#[test]
fn an_account_is_created_in_device_mode_and_in_profile_mode() {
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let mut alices = Client::new(&service, alice.device.as_device());
    alices.create_account(&alice).must_be(Code::Ok);
    let mut bobs = Client::new(&service, bob.device.as_connected_to_mesh());
    bobs.create_account(&bob).must_be(Code::Ok);
    // The device that created the account may use it, in either mode (decision Q-11).
    for client in [&mut alices, &mut bobs] {
        client.by_ticket(&frames::status()).must_be(Code::Ok);
        client
            .by_ticket(&frames::download("mmm_Inbound"))
            .must_be(Code::Ok);
        let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
        client.by_ticket(&upload).must_be(Code::Ok);
    }
}

// P-6-a
#[test]
fn seven_catalogs_are_uploaded_in_one_request_right_after() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::of_new_account(&service, &alice);
    let mut updates = vec![frames::update(
        frames::DEVICES,
        vec![frames::first(), alice.device.frame(1, "New")],
    )];
    let others = [
        "Contact",
        "Application",
        "Credential",
        "Bookmark",
        "Task",
        "Network",
    ];
    updates.extend(others.map(|name| frames::update(&format!("mmm_{name}"), frames::catalog(2))));
    client
        .ask(&frames::upload_all(updates, Vec::new()))
        .must_be(Code::Ok);
    let status = client.ask(&frames::status());
    assert_eq!(status.status().container_status.len(), 3 + 7);
    assert_eq!(status.count_of("mmm_Task"), Some(3));
}

// S-3.1-a, S-4.1.1-a, S-7.2.5-a
#[test]
fn a_profile_is_stored_and_served_as_it_came() {
    let service = TestService::start();
    let alice = alice();
    let escrow = SecretKey::generate(&mut entropy_of("escrow"));
    let mut profile = ProfileMesh::from_envelope(&alice.profile_mesh).unwrap();
    profile.keys_master_escrow = vec![KeyData::of(escrow.public())];
    profile
        .extra
        .insert("Conditions".into(), json!([{"Unknown": {"x": 1}}]));
    let header = Header {
        extra: [("Later".to_owned(), json!({"y": [1, null]}))]
            .into_iter()
            .collect(),
        ..Header::default()
    };
    let profile_mesh = Envelope::signed(profile.to_json(), header, &[&alice.mesh.offline]);
    let person = Person {
        profile_mesh,
        ..alice
    };
    let mut client = Client::of_new_account(&service, &person);
    let served = client.ask(&frames::status());
    let served = served.status().enveloped_profile_master.as_ref();
    assert_eq!(served, Some(&person.profile_mesh));
}

//
#[test]
fn a_creation_that_was_sent_twice_happens_once() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_connected());
    let how = || Circumstances {
        request_id: Some([5; 16]),
        proof: Some((&alice.mesh.online, &alice.address)),
        ..Circumstances::default()
    };
    let first = client.exchange_as(&alice.creation(), how());
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    client.ask(&upload).must_be(Code::Ok);
    let again = client.exchange_as(&alice.creation(), how());
    assert_eq!(again.must_be(Code::Ok).text, first.text);
    assert_eq!(
        client.ask(&frames::status()).count_of(frames::BOOKMARKS),
        Some(2)
    );
}

// X-30/31
#[test]
fn the_bootstrap_device_stays_who_it_was() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::of_new_account(&service, &alice);
    // The same profiles again, by another device of the mesh: a retry, and no more (decision Q-11).
    let phone = alice.another_device("phone", &[]);
    let mut on_phone = Client::new(&service, phone.as_device());
    on_phone.create_account(&alice).must_be(Code::Ok);
    on_phone
        .by_ticket(&frames::download("mmm_Inbound"))
        .must_be(Code::NotAuthorized);
    client
        .by_ticket(&frames::download("mmm_Inbound"))
        .must_be(Code::Ok);
}

#[test]
fn the_offline_key_recovers_an_account() {
    let (service, mut client) = crate::alices_service();
    let alice = alice();
    let tablet = alice.another_device("tablet", &crate::delete_account::admin());
    let mut on_tablet = Client::new(&service, tablet.as_connected());
    on_tablet
        .exchange(&frames::status())
        .must_be(Code::DeviceRevoked);
    let how = Circumstances {
        proof: Some((&alice.mesh.offline, &alice.address)),
        ..Circumstances::default()
    };
    on_tablet
        .exchange_as(&alice.creation(), how)
        .must_be(Code::Ok);
    on_tablet.by_ticket(&frames::status()).must_be(Code::Ok);
    let added = frames::upload(frames::DEVICES, vec![tablet.frame(2, "New")]);
    on_tablet.by_ticket(&added).must_be(Code::Ok);
    client.by_ticket(&frames::status()).must_be(Code::Ok);
}

// S-4.2-b
#[test]
fn an_account_moves_to_another_service_by_its_replica() {
    let (_here, mut client) = crate::alices_service();
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(5));
    client.ask(&upload).must_be(Code::Ok);
    let status = client.ask(&frames::status());
    let elsewhere = TestService::start();
    let mut moved = Client::of_new_account(&elsewhere, &alice());
    for row in status.status().container_status.iter() {
        let name = row.container.as_deref().unwrap();
        let replica = client.ask(&frames::download(name));
        let envelopes = replica.download().updates[0].envelopes.clone();
        if name.starts_with("mmm_B") || name == frames::DEVICES {
            moved
                .ask(&frames::upload(name, envelopes))
                .must_be(Code::Ok);
        }
    }
    let there = moved.ask(&frames::status());
    assert_eq!(
        there.status().container_status,
        status.status().container_status
    );
    let deletion = Request::DeleteAccount(mesh_common::protocol::DeleteRequest::default());
    client.ask(&deletion).must_be(Code::Ok);
    moved.ask(&frames::status()).must_be(Code::Ok);
}

// I-P-1-a
#[test]
fn an_account_and_its_frames_outlive_a_restart() {
    let (mut service, mut client) = crate::alices_service();
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(3));
    client.ask(&upload).must_be(Code::Ok);
    let before = client.ask(&frames::status());
    let frames_before = client.ask(&frames::download(frames::BOOKMARKS));
    service.restart_after(|_| {});
    client.connection = service.connect();
    assert_eq!(client.ask(&frames::status()).text, before.text);
    let frames_after = client.ask(&frames::download(frames::BOOKMARKS));
    assert_eq!(frames_after.text, frames_before.text);
}

#[test]
fn a_service_id_is_compared_in_its_canonical_form() {
    let (service, _client) = crate::alices_service();
    let other = Person::at("mallet", "ALICE@Example.COM");
    let mut client = Client::new(&service, other.device.as_device());
    client
        .create_account(&other)
        .must_be(Code::AccountRegistered);
}
