//! Bounds at, below and above their value (X-60); those of HTTP, of single requests and of load stand
//! with their transcripts in the `wire` suite.

use mesh_common::assertion::{Assertion, ProfileMesh};
use mesh_common::crypto::KeyData;
use mesh_common::dare::{Envelope, Header};
use mesh_common::encoding::json;
use mesh_common::limits::{
    COMPLETION_REFERENCES_MAX, CONTAINER_NAME_BYTES_MAX, CONTAINER_PREFIX_BYTES_MAX,
    CONTAINERS_PER_ACCOUNT_MAX, FRAME_HEADER_BYTES_MAX, JSON_DEPTH_MAX, KEYS_PER_PROFILE_MAX,
    SIGNATURES_PER_ENVELOPE_MAX, UNIQUE_ID_BYTES_MAX,
};
use mesh_common::protocol::Code;
use mesh_tests::client::bare;
use mesh_tests::{Client, Person, TestService, alice, frames, mallet};

use crate::alices_service;

// X-60
#[test]
fn an_account_has_at_most_64_containers() {
    let (_service, mut client) = alices_service();
    let there = client
        .ask(&frames::status())
        .status()
        .container_status
        .len();
    let upload = |number: usize| frames::upload(&format!("app_Store{number}"), frames::catalog(0));
    for number in there..CONTAINERS_PER_ACCOUNT_MAX {
        client.ask(&upload(number)).must_be(Code::Ok);
    }
    client
        .ask(&upload(CONTAINERS_PER_ACCOUNT_MAX))
        .must_be(Code::QuotaExceeded);
    let rows = client
        .ask(&frames::status())
        .status()
        .container_status
        .len();
    assert_eq!(rows, CONTAINERS_PER_ACCOUNT_MAX);
}

// X-60
#[test]
fn a_unique_id_has_at_most_1024_octets() {
    let (_service, mut client) = alices_service();
    let entry = |index, octets| frames::event(index, "New", &"x".repeat(octets), b"sealed");
    let entries = vec![
        frames::first(),
        entry(1, UNIQUE_ID_BYTES_MAX - 1),
        entry(2, UNIQUE_ID_BYTES_MAX),
    ];
    client
        .ask(&frames::upload(frames::BOOKMARKS, entries))
        .must_be(Code::Ok);
    let above = vec![entry(3, UNIQUE_ID_BYTES_MAX + 1)];
    client
        .ask(&frames::upload(frames::BOOKMARKS, above))
        .must_be(Code::Malformed);
}

// X-60
#[test]
fn the_header_of_a_frame_has_at_most_16_kib() {
    let (_service, mut client) = alices_service();
    client
        .ask(&frames::upload(frames::BOOKMARKS, frames::catalog(0)))
        .must_be(Code::Ok);
    let with_header = |index: u64, octets: usize| -> Envelope {
        let mut frame = frames::event(index, "New", &format!("entry-{index}"), b"sealed");
        frame.header.extra.insert("Padding".into(), "".into());
        let empty = json::write(&frame.header).len();
        frame
            .header
            .extra
            .insert("Padding".into(), "x".repeat(octets - empty).into());
        frame
    };
    for (index, octets) in [(1, FRAME_HEADER_BYTES_MAX - 1), (2, FRAME_HEADER_BYTES_MAX)] {
        let request = frames::upload(frames::BOOKMARKS, vec![with_header(index, octets)]);
        client.ask(&request).must_be(Code::Ok);
    }
    let above = with_header(3, FRAME_HEADER_BYTES_MAX + 1);
    client
        .ask(&frames::upload(frames::BOOKMARKS, vec![above]))
        .must_be(Code::Malformed);
}

// X-60
#[test]
fn a_completion_has_at_most_128_references() {
    let (_service, mut client) = alices_service();
    let completion = |id: &str, count: usize| {
        let one = r#"{"MessageID":"m","Relationship":"Read"}"#;
        let all = vec![one; count].join(",");
        let message = frames::message(
            "MessageComplete",
            id,
            &format!("{{\"References\":[{all}]}}"),
        );
        frames::upload_all(Vec::new(), vec![message])
    };
    client
        .ask(&completion("below", COMPLETION_REFERENCES_MAX - 1))
        .must_be(Code::Ok);
    client
        .ask(&completion("at", COMPLETION_REFERENCES_MAX))
        .must_be(Code::Ok);
    client
        .ask(&completion("above", COMPLETION_REFERENCES_MAX + 1))
        .must_be(Code::TooLarge);
}

// X-60
#[test]
fn json_has_at_most_64_levels() {
    let service = TestService::start();
    let mut connection = service.connect();
    // The object, the Hello in it, and so many arrays below.
    let nested = |levels: usize| {
        let arrays = levels - 2;
        format!(
            "{{\"Hello\":{{\"X\":{}{}}}}}",
            "[".repeat(arrays),
            "]".repeat(arrays)
        )
    };
    for levels in [JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX] {
        bare(&mut connection, nested(levels).as_bytes()).must_be(Code::Ok);
    }
    let above = nested(JSON_DEPTH_MAX + 1);
    bare(&mut connection, above.as_bytes()).must_be(Code::Malformed);
}

// X-60
#[test]
fn the_name_of_a_container_has_two_bounded_parts() {
    let (_service, mut client) = alices_service();
    let name = |prefix: usize, rest: usize| format!("{}_{}", "a".repeat(prefix), "b".repeat(rest));
    let (prefix, rest) = (CONTAINER_PREFIX_BYTES_MAX, CONTAINER_NAME_BYTES_MAX);
    for name in [name(prefix - 1, rest - 1), name(prefix, rest)] {
        client
            .ask(&frames::upload(&name, frames::catalog(0)))
            .must_be(Code::Ok);
        client.ask(&frames::status_of(&name)).must_be(Code::Ok);
    }
    for name in [name(prefix + 1, rest), name(prefix, rest + 1)] {
        let upload = frames::upload(&name, frames::catalog(0));
        client.ask(&upload).must_be(Code::UnknownStore);
        client
            .ask(&frames::status_of(&name))
            .must_be(Code::UnknownStore);
    }
}

// X-60
#[test]
fn a_profile_has_at_most_32_keys_and_16_signatures() {
    let service = TestService::start();
    let alice = alice();
    let creation = |keys: usize, signatures: usize| {
        let mut profile = ProfileMesh::from_envelope(&alice.profile_mesh).unwrap();
        // Beside the key it is named by, its online and its encryption key.
        profile.keys_master_escrow = vec![KeyData::of(alice.account.online.public()); keys - 3];
        let signers = vec![&alice.mesh.offline; signatures];
        let profile_mesh = Envelope::signed(profile.to_json(), Header::default(), &signers);
        Person {
            profile_mesh,
            ..alice.clone()
        }
    };
    let create =
        |person: &Person| Client::new(&service, person.device.as_device()).create_account(person);
    for (keys, signatures) in [
        (KEYS_PER_PROFILE_MAX + 1, 1),
        (KEYS_PER_PROFILE_MAX, SIGNATURES_PER_ENVELOPE_MAX + 1),
    ] {
        create(&creation(keys, signatures)).must_be(Code::InvalidProfile);
    }
    create(&creation(KEYS_PER_PROFILE_MAX, SIGNATURES_PER_ENVELOPE_MAX)).must_be(Code::Ok);
}

// P-9.1.2.1-a, X-60
#[test]
fn failed_attempts_of_one_do_not_hinder_another_device() {
    let service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.failed_authentication_per_minute = 1_000;
    });
    let mut alices = Client::of_new_account(&service, &alice());
    let mut mallets = Client::new(&service, mallet().device.as_connected());
    for _ in 0..50 {
        mallets
            .exchange(&frames::status())
            .must_be(Code::AuthenticationFailed);
        alices
            .by_ticket(&frames::upload_all(Vec::new(), Vec::new()))
            .must_be(Code::Ok);
    }
}
