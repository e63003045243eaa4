//! The service shows devices another profile of their mesh, or another entry of theirs (service
//! §4.3, decisions ).

use mesh_common::assertion::Assertion;
use mesh_common::assertion::reissue::signed_profile;
use mesh_common::dare::Envelope;
use mesh_common::protocol::{Code, Response};
use mesh_common::time::Timestamp;

use crate::device::Mallet;
use crate::people::Scene;
use crate::service::Disturbance;
use crate::told::told;

/// Every Status shows `profile` from now on.
fn show(scene: &Scene, profile: Envelope) {
    scene.service.lie(move |_, response| {
        if let Response::Status(status) = response {
            status.enveloped_profile_master = Some(profile.clone());
        }
    });
}

#[tokio::test]
async fn a_profile_that_was_replaced_is_not_believed_again() {
    let (scene, mut laptop, mut phone) = Scene::with_two_devices().await;
    let old = laptop.state().unwrap().profile_mesh.clone();
    laptop.rotate_keys(None).await.unwrap();
    phone.sync(None).await.unwrap();
    show(&scene, old);
    for (name, device) in [("laptop", &mut laptop), ("phone", &mut phone)] {
        let error = device.sync(None).await.unwrap_err();
        told(&format!("profiles/rollback-at-the-{name}"), &error);
    }
    let error = laptop.account_status().await.unwrap_err();
    assert!(error.to_string().contains("older profile"), "{error}");
    scene.service.repent();
    laptop.sync(None).await.unwrap();
}

#[tokio::test]
async fn another_profile_of_the_same_moment_is_a_fork() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let master = laptop.master_key().unwrap();
    let mesh = laptop.identity().unwrap().mesh.clone();
    let mut forked = mesh.into_inner();
    forked.keys_online_signature.clear();
    show(&scene, signed_profile(&forked, &[&master.mesh_key()]));
    told("profiles/forked", &laptop.sync(None).await.unwrap_err());
}

#[tokio::test]
async fn the_profile_of_another_mesh_is_not_taken_over() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let (theirs, _, _) = Mallet::new().profiles();
    show(&scene, theirs);
    told(
        "profiles/another-mesh",
        &laptop.sync(None).await.unwrap_err(),
    );
}

// S-3.2-b
#[tokio::test]
async fn a_newer_profile_that_the_master_key_did_not_sign_is_not_taken_over() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mallet = Mallet::new();
    let mesh = laptop.identity().unwrap().mesh.clone();
    let mut forged = mesh.into_inner();
    forged.updated = Some(Timestamp::from_secs(2_000_000_000));
    let key = mesh_common::crypto::KeyData::of(mallet.mesh.online.public());
    forged.keys_online_signature.push(key);
    // An online key is in the profile that it signs: that does not make it the master key.
    show(&scene, signed_profile(&forged, &[&mallet.mesh.online]));
    told("profiles/forged", &laptop.sync(None).await.unwrap_err());
    let keys = laptop.key_status().unwrap().online_keys;
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn an_entry_of_this_device_that_the_service_made_is_not_taken_over() {
    let (scene, _laptop, mut phone) = Scene::with_two_devices().await;
    let mallet = Mallet::new();
    let mut entry = phone.state().unwrap().device_entry.clone();
    let connection = entry.enveloped_connection_device.as_mut().unwrap();
    connection.trailer = None;
    connection.header.signatures.clear();
    connection.add_signature(&mallet.mesh.online);
    let forged = Envelope::plain(Assertion::to_json(&entry));
    scene.service.lie(move |_, response| {
        if let Response::Status(status) = response {
            status.enveloped_catalog_entry_device = Some(forged.clone());
        }
    });
    // The device's own connection is refused, by ticket and by exchange: it asks for its place anew.
    let refused = || Disturbance::Hint(Code::AuthenticationFailed, None);
    scene.service.disturb([refused(), refused()]);
    told(
        "profiles/forged-entry",
        &phone.sync(None).await.unwrap_err(),
    );
}
