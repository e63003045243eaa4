//! Upload (service §5.6; decisions Q-9, Q-19, Q-20, Q-24 to Q-29, Q-38).

use mesh_common::assertion::make::{cataloged_device, connect_to_mesh};
use mesh_common::assertion::{Assertion, ProfileDevice};
use mesh_common::dare::{ContentMeta, DigestStack, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::limits::{
    ENTRY_PAYLOAD_BYTES_MAX, MESSAGE_PAYLOAD_BYTES_MAX, UPLOAD_ENVELOPES_MAX,
    UPLOAD_PAYLOAD_BYTES_MAX,
};
use mesh_common::protocol::{Code, ContainerUpdate, Request, Transaction, UploadRequest};
use mesh_tests::frames::BOOKMARKS;
use mesh_tests::people::entropy_of;
use mesh_tests::{Client, Device, TestService, alice, bob, frames};

use crate::{alices_service, sealed};

const UPLOAD: Transaction = Transaction::Upload;

/// Alice's device, with two entries in the catalog of bookmarks.
fn alices_bookmarks() -> (TestService, Client) {
    let (service, mut client) = alices_service();
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(2)))
        .must_be(Code::Ok);
    (service, client)
}

fn entry(index: u64, payload: &[u8]) -> Envelope {
    frames::event(index, "New", &format!("entry-{index}"), payload)
}

fn indexed(update: ContainerUpdate, index: u64) -> Request {
    let update = ContainerUpdate {
        index: Some(index),
        ..update
    };
    frames::upload_all(vec![update], Vec::new())
}

// I-P-7.3-a, P-7.3-a
#[test]
fn frames_with_their_digests_are_accepted() {
    let (_service, mut client) = alices_service();
    let catalog = frames::with_digests(&mut DigestStack::new(), frames::catalog(2));
    let update = ContainerUpdate {
        digest: frames::apex(&catalog),
        ..frames::update(BOOKMARKS, catalog)
    };
    let message = frames::completion("complete-1", "message-1", "Read");
    let answer = client.ask(&frames::upload_all(vec![update], vec![message]));
    sealed(UPLOAD, Code::Ok, "of-a-catalog-and-a-message", &answer);
}

// P-7.3-c
#[test]
fn a_probe_is_answered_with_the_bounds() {
    let (_service, mut client) = alices_bookmarks();
    let answer = client.ask(&indexed(frames::update(BOOKMARKS, vec![]), 3));
    sealed(UPLOAD, Code::Ok, "a-probe", &answer);
    let answer = client.ask(&indexed(frames::update(BOOKMARKS, vec![]), 2));
    sealed(UPLOAD, Code::Conflict, "a-probe-at-another-index", &answer);
}

// P-7.2.1-a, X-36/38
#[test]
fn frames_that_belong_elsewhere_conflict() {
    let (_service, mut client) = alices_bookmarks();
    let stale = indexed(frames::update(BOOKMARKS, vec![entry(2, b"another")]), 2);
    sealed(UPLOAD, Code::Conflict, "a-stale-index", &client.ask(&stale));
    let ahead = indexed(frames::update(BOOKMARKS, vec![entry(9, b"too early")]), 9);
    sealed(
        UPLOAD,
        Code::Conflict,
        "an-index-ahead",
        &client.ask(&ahead),
    );
    let digest = ContainerUpdate {
        digest: Some(Binary(vec![1; 64])),
        ..frames::update(BOOKMARKS, vec![entry(3, b"new")])
    };
    let answer = client.ask(&frames::upload_all(vec![digest], Vec::new()));
    sealed(UPLOAD, Code::Conflict, "another-apex", &answer);
    let twice = frames::upload(
        BOOKMARKS,
        vec![frames::event(3, "New", "entry-1", b"again")],
    );
    sealed(
        UPLOAD,
        Code::Conflict,
        "new-of-an-entry-that-is-there",
        &client.ask(&twice),
    );
}

#[test]
fn an_event_is_new_update_or_delete_of_an_entry() {
    let (_service, mut client) = alices_bookmarks();
    let renamed = frames::upload(BOOKMARKS, vec![frames::event(3, "Rename", "entry-3", b"x")]);
    sealed(
        UPLOAD,
        Code::Malformed,
        "an-unknown-event",
        &client.ask(&renamed),
    );
    let mut eventless = entry(3, b"x");
    let meta = ContentMeta {
        event: None,
        ..eventless.header.content_meta().unwrap()
    };
    eventless.header = eventless.header.with_content_meta(&meta);
    let answer = client.ask(&frames::upload(BOOKMARKS, vec![eventless]));
    sealed(UPLOAD, Code::Malformed, "no-event", &answer);
    let mut outdated = frames::event(3, "Update", "entry-1", b"x");
    let meta = ContentMeta {
        previous: Some(2),
        ..outdated.header.content_meta().unwrap()
    };
    outdated.header = outdated.header.with_content_meta(&meta);
    let answer = client.ask(&frames::upload(BOOKMARKS, vec![outdated]));
    sealed(
        UPLOAD,
        Code::Conflict,
        "an-update-of-another-frame",
        &answer,
    );
    let nameless = frames::upload(BOOKMARKS, vec![frames::event(3, "New", "", b"x")]);
    sealed(
        UPLOAD,
        Code::Malformed,
        "an-entry-without-id",
        &client.ask(&nameless),
    );
}

#[test]
fn an_update_names_its_container() {
    let (_service, mut client) = alices_bookmarks();
    let nameless = ContainerUpdate {
        container: None,
        ..frames::update("", vec![])
    };
    let answer = client.ask(&frames::upload_all(vec![nameless], Vec::new()));
    sealed(
        UPLOAD,
        Code::Malformed,
        "an-update-without-container",
        &answer,
    );
    let answer = client.ask(&frames::upload("no name", frames::catalog(1)));
    sealed(UPLOAD, Code::UnknownStore, "a-name-with-a-blank", &answer);
}

#[test]
fn a_message_has_an_identifier() {
    let (_service, mut client) = alices_bookmarks();
    let nameless = frames::message("MessageComplete", "", "{}");
    let answer = client.ask(&frames::upload_all(Vec::new(), vec![nameless]));
    sealed(UPLOAD, Code::Malformed, "a-message-without-id", &answer);
}

#[test]
fn a_message_id_is_used_for_one_message() {
    let (_service, mut client) = alices_bookmarks();
    let first = frames::completion("complete-1", "message-1", "Read");
    client
        .ask(&frames::upload_all(Vec::new(), vec![first.clone()]))
        .must_be(Code::Ok);
    let again = client.ask(&frames::upload_all(Vec::new(), vec![first]));
    sealed(UPLOAD, Code::Ok, "a-message-again", &again);
    let other = frames::completion("complete-1", "message-1", "Deleted");
    let answer = client.ask(&frames::upload_all(Vec::new(), vec![other]));
    sealed(UPLOAD, Code::IdReused, "the-id-of-another-message", &answer);
}

#[test]
fn a_device_writes_no_foreign_messages_into_inbound() {
    let (_service, mut client) = alices_bookmarks();
    let forged = frames::message("RequestContact", "contact-1", "{}");
    let answer = client.ask(&frames::upload("mmm_Inbound", vec![forged]));
    sealed(
        UPLOAD,
        Code::InvalidProfile,
        "a-forged-message-in-inbound",
        &answer,
    );
    let forged = frames::completion("complete-1", "message-1", "Received");
    let answer = client.ask(&frames::upload("mmm_Outbound", vec![forged]));
    sealed(
        UPLOAD,
        Code::InvalidProfile,
        "a-forged-delivery-in-outbound",
        &answer,
    );
}

#[test]
fn entries_are_encrypted_by_a256cbc_or_not_at_all() {
    let (_service, mut client) = alices_bookmarks();
    let mut sealed_entry = entry(3, b"sixteen octets!!");
    sealed_entry.header.enc = Some("A256GCM".into());
    let answer = client.ask(&frames::upload(BOOKMARKS, vec![sealed_entry]));
    sealed(
        UPLOAD,
        Code::Encoding,
        "an-entry-of-another-cipher",
        &answer,
    );
}

// X-36/38
#[test]
fn a_payload_has_its_digest() {
    let (_service, mut client) = alices_bookmarks();
    let mut stack = DigestStack::new();
    let forged = frames::with_digests(&mut stack, vec![entry(3, b"one")]);
    let mut forged = forged[0].clone();
    forged.payload = Binary(b"two".to_vec());
    let answer = client.ask(&frames::upload(BOOKMARKS, vec![forged]));
    sealed(
        UPLOAD,
        Code::InvalidSignature,
        "a-payload-with-another-digest",
        &answer,
    );
}

// I-S-4.1.2.2-a, S-4.1.2.1-a
#[test]
fn a_device_entry_verifies() {
    let (_service, mut client) = alices_service();
    let stranger = bob().device;
    let answer = client.ask(&frames::upload(
        frames::DEVICES,
        vec![stranger.frame(2, "New")],
    ));
    let slug = "a-device-of-another-mesh";
    sealed(UPLOAD, Code::InvalidProfile, slug, &answer);
    let forged = forged_device(&stranger);
    let answer = client.ask(&frames::upload(frames::DEVICES, vec![forged]));
    let slug = "a-device-that-another-mesh-connected";
    sealed(UPLOAD, Code::InvalidSignature, slug, &answer);
    let phone = alice().another_device("phone", &[]);
    let mut misnamed = phone.frame(2, "New");
    let meta = misnamed.header.content_meta().unwrap();
    misnamed.header = misnamed.header.with_content_meta(&ContentMeta {
        unique_id: Some(stranger.udf()),
        ..meta
    });
    let answer = client.ask(&frames::upload(frames::DEVICES, vec![misnamed]));
    sealed(
        UPLOAD,
        Code::InvalidProfile,
        "a-device-under-another-udf",
        &answer,
    );
    let unreadable = frames::event(2, "New", &phone.udf(), b"no entry");
    let answer = client.ask(&frames::upload(frames::DEVICES, vec![unreadable]));
    sealed(
        UPLOAD,
        Code::InvalidProfile,
        "an-unreadable-device",
        &answer,
    );
    client
        .ask(&frames::upload(
            frames::DEVICES,
            vec![phone.frame(2, "New")],
        ))
        .must_be(Code::Ok);
    let deleted = frames::event(3, "Delete", &phone.udf(), b"");
    client
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    let answer = client.ask(&frames::upload(
        frames::DEVICES,
        vec![phone.frame(4, "New")],
    ));
    sealed(
        UPLOAD,
        Code::InvalidProfile,
        "a-device-that-was-deleted",
        &answer,
    );
}

/// The entry of a device that bob's mesh connects to alice's.
fn forged_device(device: &Device) -> Envelope {
    let (alice, bob) = (alice(), bob());
    let profile = ProfileDevice::verify(&device.profile).unwrap();
    let mesh_udf = alice.mesh.offline.udf();
    let mut entropy = entropy_of("a forger");
    let place = connect_to_mesh(&profile, &mesh_udf, &bob.mesh.online, &[], &mut entropy);
    let entry = cataloged_device(&device.profile, place.unwrap(), Vec::new()).unwrap();
    frames::event(2, "New", &device.udf(), &entry.to_json())
}

// X-32
#[test]
fn the_device_catalog_is_written_by_administrators() {
    let (service, mut client) = alices_service();
    let alice = alice();
    let phone = alice.another_device("phone", &[]);
    client
        .ask(&frames::upload(
            frames::DEVICES,
            vec![phone.frame(2, "New")],
        ))
        .must_be(Code::Ok);
    let mut on_phone = Client::of_device(&service, &phone);
    let tablet = alice.another_device("tablet", &[]);
    let answer = on_phone.ask(&frames::upload(
        frames::DEVICES,
        vec![tablet.frame(3, "New")],
    ));
    let slug = "a-device-by-one-without-the-right";
    sealed(UPLOAD, Code::NotAdministrator, slug, &answer);
}

// X-60, I-P-7-a
#[test]
fn entries_and_messages_have_their_bounds() {
    let (_service, mut client) = alices_bookmarks();
    for octets in [ENTRY_PAYLOAD_BYTES_MAX - 1, ENTRY_PAYLOAD_BYTES_MAX] {
        let index = 3 + (octets == ENTRY_PAYLOAD_BYTES_MAX) as u64;
        let request = frames::upload(BOOKMARKS, vec![entry(index, &vec![7; octets])]);
        client.ask(&request).must_be(Code::Ok);
    }
    let over = entry(5, &vec![7; ENTRY_PAYLOAD_BYTES_MAX + 1]);
    let answer = client.ask(&frames::upload(BOOKMARKS, vec![over]));
    sealed(UPLOAD, Code::TooLarge, "an-entry-above-256-kib", &answer);
    let message = |id: &str, octets: usize| {
        let overhead = frames::message("MessageComplete", id, r#"{"Text":""}"#)
            .payload
            .0
            .len();
        let text = "x".repeat(octets - overhead);
        frames::message("MessageComplete", id, &format!("{{\"Text\":\"{text}\"}}"))
    };
    for (id, octets) in [
        ("below", MESSAGE_PAYLOAD_BYTES_MAX - 1),
        ("at", MESSAGE_PAYLOAD_BYTES_MAX),
    ] {
        let request = frames::upload_all(Vec::new(), vec![message(id, octets)]);
        client.ask(&request).must_be(Code::Ok);
    }
    let over = message("above", MESSAGE_PAYLOAD_BYTES_MAX + 1);
    let answer = client.ask(&frames::upload_all(Vec::new(), vec![over]));
    sealed(UPLOAD, Code::TooLarge, "a-message-above-64-kib", &answer);
}

// X-60
#[test]
fn an_upload_has_its_bounds() {
    let (_service, mut client) = alices_service();
    let count = UPLOAD_ENVELOPES_MAX as u64;
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(count - 1)))
        .must_be(Code::Ok);
    let answer = client.ask(&frames::upload("mmm_Task", frames::catalog(count)));
    sealed(UPLOAD, Code::TooLarge, "of-501-envelopes", &answer);
    let halves = |octets: usize| {
        let parts = [ENTRY_PAYLOAD_BYTES_MAX, octets - ENTRY_PAYLOAD_BYTES_MAX];
        let entries = parts
            .iter()
            .zip(1..)
            .map(|(&part, index)| entry(index, &vec![7; part]));
        [frames::first()]
            .into_iter()
            .chain(entries)
            .collect::<Vec<_>>()
    };
    let at = frames::upload("mmm_Network", halves(UPLOAD_PAYLOAD_BYTES_MAX));
    client.ask(&at).must_be(Code::Ok);
    let mut over = halves(UPLOAD_PAYLOAD_BYTES_MAX);
    over.push(entry(3, b"x"));
    let answer = client.ask(&frames::upload("mmm_Contact", over));
    sealed(UPLOAD, Code::TooLarge, "of-512-kib-and-one-octet", &answer);
}

// I-P-10.11.1-a
#[test]
fn an_upload_is_for_the_account_of_the_session() {
    let (service, _client) = alices_service();
    let mut bobs = Client::of_new_account(&service, &bob());
    let request = Request::Upload(UploadRequest {
        account: Some(alice().address),
        updates: vec![frames::update(BOOKMARKS, frames::catalog(1))],
        ..UploadRequest::default()
    });
    let slug = "for-another-account-than-the-session";
    sealed(UPLOAD, Code::NotAuthorized, slug, &bobs.ask(&request));
}
