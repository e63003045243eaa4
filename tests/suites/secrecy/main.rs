//! The service never stores or logs plaintext of an encrypted entry, nor a secret (issue "What must
//! hold"; architecture A-10, A-16): markers are planted in entries of every kind by the client
//! library, the service logs everything it can, and then its files, logs and measures are searched.
//!
//! | file | holds |
//! | --- | --- |
//! | `planted.rs` | entries of every kind with a marker in each of their texts |
//! | `search.rs` | the forms a marker or key is looked for in |
//!
//! What identifies an entry, its UniqueID, is no secret: containers §6.2 puts it into the header,
//! which the service reads. For passwords and networks it names protocol and service.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what cannot be made or read fails its test; figures are for who wants to see them"
)]

mod planted;
mod search;

use std::fs;
use std::path::Path;

use mesh_client::Client;
use mesh_client::account::NewAccount;
use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::DeviceKeys;
use mesh_common::crypto::{PrivateParameters, SecretKey};
use mesh_common::encoding::json;
use mesh_tests::device::{Account, Device, Reach, first_frame};
use mesh_tests::process::{Place, Process};

/// What stands in the Device catalog is for the service to read.
const READABLE: &str = "readable-by-design-4b1d";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plaintext_and_no_secret_is_stored_logged_or_measured_with_readable_logs() {
    search_everything_of_a_service("text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plaintext_and_no_secret_is_stored_logged_or_measured_with_json_logs() {
    search_everything_of_a_service("json").await;
}

async fn search_everything_of_a_service(format: &str) {
    let place = Place::new(&format!(
        "limits.rate.enabled = false\ntelemetry.filter = \"trace\"\ntelemetry.format = {format:?}\n"
    ));
    let mut shown = Vec::new();
    let mut secrets = planted::markers();
    let process = place.start();
    let reach = Reach::of(&process);
    secrets.extend(use_the_client(&process, READABLE).await);
    let mut device = use_single_transactions(&reach, &mut secrets).await;
    shown.extend(process.admin("/metrics").1.into_bytes());
    assert!(process.stop().success());
    let process = place.start();
    device.reach = Reach::of(&process);
    device.frames(planted::CATALOG).await;
    session_secrets(&device, &mut secrets);
    shown.extend(process.admin("/metrics").1.into_bytes());
    assert!(process.stop().success());
    service_secrets(&place, &mut secrets);

    let logs = place.logs();
    assert!(
        String::from_utf8_lossy(&logs).contains("TRACE"),
        "the log is verbose"
    );
    let mut stored = Vec::new();
    read_below(&place.data().join("store"), &mut stored);
    for (what, secret) in &secrets {
        assert!(secret.len() >= 8, "{what} is too short to be looked for");
        for (name, octets) in [("store", &stored), ("log", &logs), ("metrics", &shown)] {
            let found = search::found(octets, secret);
            assert!(found.is_empty(), "{what} is in the {name} as {found:?}");
        }
    }
    // The search works: what is readable by design is found, where it is stored.
    assert!(!search::found(&stored, READABLE.as_bytes()).is_empty());
    println!(
        "{} secrets looked for in {} octets of store and {} of {format} logs",
        secrets.len(),
        stored.len(),
        logs.len()
    );
}

/// A person's whole client: every kind of entry added, synchronized, read back; its keys.
async fn use_the_client(process: &Process, device: &str) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::open(folder.path().join("home")).unwrap();
    let new = NewAccount {
        service_url: Some(process.url()),
        authorities: Some(process.ca().to_owned()),
        device: Some(device.to_owned()),
        ..NewAccount::at(AccountAddress::parse("keeper@localhost").unwrap())
    };
    client.create_account(&new).await.unwrap();
    for entry in planted::entries() {
        client.add(&entry).unwrap();
    }
    let report = client.sync(None).await.unwrap();
    assert!(
        report
            .containers
            .iter()
            .map(|one| one.uploaded)
            .sum::<u64>()
            > 0
    );
    client.account_status().await.unwrap();
    let keys = &client.identity().unwrap().keys;
    let owner = keys.owner.as_ref().unwrap();
    let mut secrets = device_secrets(&keys.device);
    for key in [
        &keys.account_encryption,
        &owner.mesh.online,
        &owner.account.online,
    ] {
        secrets.push(seed_of("a key of the owner", key));
    }
    let master = keys.master.as_ref().expect("it made the mesh");
    secrets.push(("the master key".into(), master.octets().to_vec()));
    secrets.push(seed_of("what follows from it", &master.mesh_key()));
    secrets
}

fn device_secrets(keys: &DeviceKeys) -> Vec<(String, Vec<u8>)> {
    [&keys.signature, &keys.encryption, &keys.authentication]
        .map(|key| seed_of("a key of the device", key))
        .into()
}

fn seed_of(what: &str, key: &SecretKey) -> (String, Vec<u8>) {
    let seed = key.seed().expect("it was made from a seed");
    (what.to_owned(), seed.to_vec())
}

/// Requests by exchange and by ticket, and what their session holds.
async fn use_single_transactions(reach: &Reach, secrets: &mut Vec<(String, Vec<u8>)>) -> Device {
    let (_, mut device) = Account::create(reach, "single@localhost", 3).await;
    let (what, content) = planted::plain_marker();
    let entry = device.entry("New", "id", &content);
    let frames = vec![first_frame(), entry];
    let response = device.upload(planted::CATALOG, Some(0), frames).await;
    assert!(response.outcome().is_success(), "{response:?}");
    assert_eq!(device.frames(planted::CATALOG).await.len(), 2);
    secrets.push((what, content));
    session_secrets(&device, secrets);
    device
}

/// What is secret about a session: the ticket, and the secret both sides derive keys from.
fn session_secrets(device: &Device, secrets: &mut Vec<(String, Vec<u8>)>) {
    let ticket = device.session().ticket().expect("a session in use has one");
    secrets.push(("a ticket".to_owned(), ticket.ticket.clone()));
    secrets.push((
        "a session's secret".to_owned(),
        ticket.secret.reveal().to_vec(),
    ));
}

/// The service's own secrets: its keys, and what tickets are sealed under.
fn service_secrets(place: &Place, secrets: &mut Vec<(String, Vec<u8>)>) {
    let folder = place.data().join("identity");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let octets = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".key") {
            let kept: PrivateParameters = json::parse(&octets).unwrap();
            secrets.push(seed_of(&name, &kept.secret_key().unwrap()));
        } else if name == "ticket-keys.json" {
            let kept: serde_json::Value = serde_json::from_slice(&octets).unwrap();
            for secret in kept["epochs"].as_object().unwrap().values() {
                let text = secret.as_str().unwrap();
                let octets = mesh_common::encoding::base64url::decode(text).unwrap();
                secrets.push((name.clone(), octets));
            }
        }
    }
    let key = fs::read_to_string(place.data().join("tls/development.key")).unwrap();
    let line = key.lines().nth(1).expect("a PEM file has lines");
    secrets.push((
        "the key of the certificate".to_owned(),
        line.as_bytes().to_vec(),
    ));
}

fn read_below(folder: &Path, octets: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_below(&path, octets);
        } else {
            octets.extend(fs::read(&path).unwrap());
        }
    }
}
