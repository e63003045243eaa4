//! Hello: who the service is (service §5.1, §9.1).

use std::fs;

use mesh_common::assertion::{ProfileHost, ProfileService};
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::protocol::Code;
use mesh_tests::client::{bare, hello};
use mesh_tests::service::{HOST_NAME, OTHER_DOMAIN};
use mesh_tests::wire::HttpRequest;
use mesh_tests::{Client, TestService, alice, frames};

use crate::alices_service;

// P-4.3.1-a, S-4.3-a, I-P-5-a, S-3.2-b
#[test]
fn hello_brings_both_profiles_and_they_verify() {
    let service = TestService::start();
    let hello = hello(&mut service.connect());
    let profile = hello.enveloped_profile_service.unwrap();
    let verified = ProfileService::verify(&profile).unwrap();
    assert!(verified.updated.is_some(), "decision Q-52");
    let host = hello.enveloped_profile_host.unwrap();
    ProfileHost::verify(&host, &verified).unwrap();
    assert_eq!(
        host.signatures().len(),
        2,
        "its own, and the service's (X-70)"
    );
    let other = TestService::start();
    let foreign = mesh_tests::client::hello(&mut other.connect());
    let foreign = ProfileService::verify(&foreign.enveloped_profile_service.unwrap()).unwrap();
    assert!(
        ProfileHost::verify(&host, &foreign).is_err(),
        "not countersigned by another"
    );
}

// P-4.3.1-c
#[test]
fn the_key_in_hello_is_usable_at_once() {
    let (service, _client) = alices_service();
    let mut client = Client::new(&service, alice().device.as_connected());
    client.exchange(&frames::status()).must_be(Code::Ok);
}

// P-4.4-d, P-4.4-c
#[test]
fn the_encodings_in_hello_are_those_that_are_accepted() {
    let service = TestService::start();
    let mut connection = service.connect();
    let version = hello(&mut connection).version.unwrap();
    assert_eq!((version.major, version.minor), (3, 0));
    let offered: Vec<String> = version
        .encodings
        .into_iter()
        .flat_map(|one| one.id)
        .collect();
    assert_eq!(offered, ["application/json"]);
    bare(&mut connection, b"{\x80\x05Hello{}}").must_be(Code::Encoding);
}

// P-10.5-a
#[test]
fn the_bounds_in_hello_are_those_that_are_enforced() {
    let (service, mut client) = alices_service();
    let hello = hello(&mut service.connect());
    let bounds = hello.constraints_post.unwrap();
    let octets = usize::try_from(bounds.bytes_max.unwrap()).unwrap();
    let message = |id: &str, octets: usize| {
        let empty = frames::message("MessageComplete", id, r#"{"Text":""}"#)
            .payload
            .0
            .len();
        let text = "x".repeat(octets - empty);
        let message = frames::message("MessageComplete", id, &format!("{{\"Text\":\"{text}\"}}"));
        frames::upload_all(Vec::new(), vec![message])
    };
    client.ask(&message("at", octets)).must_be(Code::Ok);
    client
        .ask(&message("above", octets + 1))
        .must_be(Code::TooLarge);
    let policy = hello.policy_account.unwrap();
    assert_eq!((policy.minimum, policy.maximum), (Some(1), Some(64)));
    let bounds = hello.constraints_update.unwrap();
    let count = u64::try_from(bounds.max_entries.unwrap()).unwrap();
    client
        .ask(&frames::upload("mmm_Task", frames::catalog(count - 1)))
        .must_be(Code::Ok);
    client
        .ask(&frames::upload("mmm_Network", frames::catalog(count)))
        .must_be(Code::TooLarge);
}

#[test]
fn every_domain_and_host_has_the_same_service() {
    let service = TestService::start();
    let mut connection = service.connect();
    let bodies: Vec<_> = ["example.com", "mmm.example.com", OTHER_DOMAIN, HOST_NAME]
        .map(|host| {
            let request = HttpRequest::post(r#"{"Hello":{}}"#).header("Host", host);
            connection.send(&request).body
        })
        .into();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

// S-4.3-b
#[test]
fn a_countersigned_service_profile_is_served_and_believed() {
    let mut service = TestService::start();
    let witness = alice().mesh.offline;
    service.restart_after(|data| {
        let path = data.join("identity/profile-service.json");
        let mut profile: Envelope = json::parse(&fs::read(&path).unwrap()).unwrap();
        profile.add_signature(&witness);
        fs::write(&path, json::write(&profile)).unwrap();
    });
    let hello = hello(&mut service.connect());
    let profile = hello.enveloped_profile_service.unwrap();
    assert_eq!(profile.signatures().len(), 2);
    profile.verify_by(witness.public()).unwrap();
    Client::of_new_account(&service, &alice())
        .by_ticket(&frames::status())
        .must_be(Code::Ok);
}

// I-P-10-b
#[test]
fn hello_need_not_come_first() {
    let (service, mut client) = alices_service();
    client.connection = service.connect();
    client.by_ticket(&frames::status()).must_be(Code::Ok);
}

// P-4-b
#[test]
fn nobody_listens_on_udp() {
    let service = TestService::start();
    let free = std::net::UdpSocket::bind(service.address());
    assert!(free.is_ok(), "a UDP socket of ours would hold the port");
}
