//! Upload: frames appended, all of them or none (service §5.6, X-36 to X-40).

use std::path::{Path, PathBuf};
use std::{fs, thread};

use mesh_common::dare::{DigestStack, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{Code, ContainerUpdate, EntryResult, Request};
use mesh_tests::frames::BOOKMARKS;
use mesh_tests::people::entropy_of;
use mesh_tests::{Answer, alice, bob, frames};

use crate::{alices_service, with_phone};

fn results(answer: &Answer) -> Vec<(EntryResult, Option<u64>)> {
    let entries = &answer.upload().entries;
    for (position, entry) in (0..).zip(entries) {
        assert_eq!(entry.index_request, Some(position));
    }
    entries
        .iter()
        .map(|entry| (entry.result.unwrap(), entry.index_container))
        .collect()
}

fn at_index(index: u64, payload: &[u8]) -> Request {
    let frame = frames::event(index, "New", &format!("entry-{index}"), payload);
    let update = ContainerUpdate {
        index: Some(index),
        ..frames::update(BOOKMARKS, vec![frame])
    };
    frames::upload_all(vec![update], Vec::new())
}

// P-7.3-a, I-P-7.3-a, S-5.1-a
#[test]
fn several_containers_take_several_frames_at_once() {
    let (_service, mut client) = alices_service();
    let updates = vec![
        frames::update("mmm_Contact", frames::catalog(2)),
        frames::update("mmm_Archive", frames::catalog(0)),
        frames::update("mmm_Application", frames::catalog(3)),
    ];
    let completion = frames::completion("complete-1", "message-1", "Read");
    let answer = client.ask(&frames::upload_all(updates, vec![completion]));
    let accept = |index| (EntryResult::Accept, Some(index));
    let expected = [0, 1, 2, 0, 0, 1, 2, 3, 1].map(accept);
    assert_eq!(results(answer.must_be(Code::Ok)), expected);
    let status = client.ask(&frames::status());
    assert_eq!(status.count_of("mmm_Contact"), Some(3));
    assert_eq!(status.count_of("mmm_Archive"), Some(1));
    assert_eq!(status.count_of("mmm_Inbound"), Some(2));
}

// P-7.3-b, X-36/38
#[test]
fn one_bad_update_of_three_undoes_all() {
    let (_service, mut client) = alices_service();
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(1)))
        .must_be(Code::Ok);
    let before = client.ask(&frames::status());
    let stale = ContainerUpdate {
        index: Some(1),
        ..frames::update(BOOKMARKS, vec![frames::event(1, "New", "other", b"x")])
    };
    let updates = vec![
        frames::update("mmm_Contact", frames::catalog(1)),
        stale,
        frames::update("mmm_Task", frames::catalog(1)),
    ];
    let completion = frames::completion("complete-1", "message-1", "Read");
    let answer = client.ask(&frames::upload_all(updates, vec![completion]));
    let rows = results(answer.must_be(Code::Conflict));
    assert!(
        rows.iter().all(|row| row.0 == EntryResult::Conflict),
        "{rows:?}"
    );
    assert_eq!(rows[2].1, Some(2), "where the bookmarks are");
    assert_eq!(client.ask(&frames::status()).text, before.text);
}

// P-7.3-c
#[test]
fn a_probe_tells_and_writes_nothing() {
    let (_service, mut client) = alices_service();
    let catalog = frames::catalog(2);
    client
        .ask(&frames::upload(BOOKMARKS, catalog.clone()))
        .must_be(Code::Ok);
    let before = client.ask(&frames::status());
    let probe = |index, digest| {
        let update = ContainerUpdate {
            index,
            digest,
            ..frames::update(BOOKMARKS, vec![])
        };
        frames::upload_all(vec![update], Vec::new())
    };
    let right = client.ask(&probe(Some(3), frames::apex(&catalog)));
    assert_eq!(
        results(right.must_be(Code::Ok)),
        [(EntryResult::Accept, Some(3))]
    );
    assert!(right.upload().constraints_data.is_some());
    let behind = client.ask(&probe(Some(2), None));
    assert_eq!(
        results(behind.must_be(Code::Conflict)),
        [(EntryResult::Conflict, Some(3))]
    );
    client
        .ask(&probe(None, Some(Binary(vec![0; 64]))))
        .must_be(Code::Conflict);
    assert_eq!(client.ask(&frames::status()).text, before.text);
}

//
#[test]
fn frames_that_are_there_already_are_accepted_where_they_are() {
    let (_service, mut client) = alices_service();
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(1)))
        .must_be(Code::Ok);
    let first = client.ask(&at_index(2, b"two"));
    let again = client.ask(&at_index(2, b"two"));
    assert_eq!(again.must_be(Code::Ok).text, first.text);
    assert_eq!(client.ask(&frames::status()).count_of(BOOKMARKS), Some(3));
    client
        .ask(&at_index(2, b"another two"))
        .must_be(Code::Conflict);
}

// P-7.2.1-a
#[test]
fn of_two_devices_at_one_index_one_wins_each_round() {
    let (service, mut client) = alices_service();
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(0)))
        .must_be(Code::Ok);
    let (_phone, mut on_phone) = with_phone(&service, &mut client);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    for index in 1..=20 {
        let answers = thread::scope(|scope| {
            let one = scope.spawn(|| client.ask(&at_index(index, b"the laptop's")));
            let other = scope.spawn(|| on_phone.ask(&at_index(index, b"the phone's")));
            [one.join().unwrap(), other.join().unwrap()]
        });
        let (won, lost): (Vec<_>, Vec<_>) = answers
            .iter()
            .partition(|answer| answer.code() == Some(Code::Ok));
        assert_eq!((won.len(), lost.len()), (1, 1), "round {index}");
        assert_eq!(results(won[0]), [(EntryResult::Accept, Some(index))]);
        let conflict = (EntryResult::Conflict, Some(index + 1));
        assert_eq!(results(lost[0].must_be(Code::Conflict)), [conflict]);
    }
    assert_eq!(client.ask(&frames::status()).count_of(BOOKMARKS), Some(21));
}

// X-36/38
#[test]
fn digests_are_compared_where_they_are_given() {
    let (_service, mut client) = alices_service();
    let mut digests = DigestStack::new();
    let catalog = frames::with_digests(&mut digests, frames::catalog(2));
    client
        .ask(&frames::upload(BOOKMARKS, catalog))
        .must_be(Code::Ok);
    let next = |text: &[u8]| vec![frames::event(3, "New", "entry-3", text)];
    // The digests of a container with another history.
    let forged = frames::with_digests(&mut DigestStack::new(), next(b"three"));
    let answer = client.ask(&frames::upload(BOOKMARKS, forged));
    assert_ne!(answer.code(), Some(Code::Ok), "{}", answer.told());
    let right = frames::with_digests(&mut digests, next(b"three"));
    client
        .ask(&frames::upload(BOOKMARKS, right))
        .must_be(Code::Ok);
    let apex = digests.apex().map(|apex| Binary(apex.to_vec()));
    let status = client.ask(&frames::status_of(BOOKMARKS));
    assert_eq!(status.status().container_status[0].digest, apex);
}

// X-40, S-6.1-a, I-P-9.1.3-a
#[test]
fn the_state_of_a_message_is_visible_to_a_second_device() {
    let (service, mut client) = alices_service();
    for (id, state) in [("c-1", "Read"), ("c-2", "Unread"), ("c-3", "Deleted")] {
        let completion = frames::completion(id, "message-1", state);
        client
            .ask(&frames::upload_all(Vec::new(), vec![completion]))
            .must_be(Code::Ok);
    }
    let (_phone, mut on_phone) = with_phone(&service, &mut client);
    let inbound = on_phone.ask(&frames::download("mmm_Inbound"));
    let texts: Vec<String> = inbound.must_be(Code::Ok).download().updates[0].envelopes[1..]
        .iter()
        .map(|frame| String::from_utf8(frame.payload.0.clone()).unwrap())
        .collect();
    assert_eq!(texts.len(), 3);
    for (text, state) in texts.iter().zip(["Read", "Unread", "Deleted"]) {
        assert!(
            text.contains(&format!("\"Relationship\":\"{state}\"")),
            "{text}"
        );
    }
}

//
#[test]
fn a_completion_goes_where_its_message_is() {
    let (_service, mut client) = alices_service();
    let local = frames::message("MessagePIN", "pin-1", "{}");
    let local = alice().device.signed(local);
    client
        .ask(&frames::upload("mmm_Local", vec![local]))
        .must_be(Code::Ok);
    let used = frames::completion("complete-1", "pin-1", "Deleted");
    let unknown = frames::completion("complete-2", "nobody-knows", "Read");
    client
        .ask(&frames::upload_all(Vec::new(), vec![used, unknown]))
        .must_be(Code::Ok);
    let status = client.ask(&frames::status());
    assert_eq!(status.count_of("mmm_Local"), Some(3));
    assert_eq!(status.count_of("mmm_Inbound"), Some(2));
}

// X-37, S-6.1-b
#[test]
fn a_device_cannot_forge_a_delivery() {
    let (_service, mut client) = alices_service();
    for state in ["Sent", "Received", "Refused"] {
        let forged = frames::completion("complete-1", "message-1", state);
        let answer = client.ask(&frames::upload("mmm_Outbound", vec![forged]));
        answer.must_be(Code::InvalidProfile);
    }
    let deleted = frames::completion("complete-1", "message-1", "Deleted");
    client
        .ask(&frames::upload("mmm_Outbound", vec![deleted]))
        .must_be(Code::Ok);
}

// S-4.1.2-a
#[test]
fn two_devices_of_one_account_are_independent() {
    let (service, mut client) = alices_service();
    let (_phone, mut on_phone) = with_phone(&service, &mut client);
    on_phone
        .ask(&frames::upload("mmm_Task", frames::catalog(1)))
        .must_be(Code::Ok);
    client
        .ask(&frames::upload("mmm_Network", frames::catalog(1)))
        .must_be(Code::Ok);
    let mine = client.ask(&frames::status());
    assert_eq!(mine.text, on_phone.ask(&frames::status()).text);
}

// S-4.1.2.1-a
#[test]
fn a_changed_profile_device_under_the_same_udf_is_refused() {
    let (service, mut client) = alices_service();
    let (phone, _on_phone) = with_phone(&service, &mut client);
    let mut other = phone.clone();
    // The same signature key, hence the same UDF, with another KeyAuthentication.
    other.keys.authentication = bob().device.keys.authentication;
    let profile = other.keys.profile(Some("not a new device".into()));
    other.entry.enveloped_profile_device = Some(profile);
    assert_eq!(other.udf(), phone.udf());
    let answer = client.ask(&frames::upload(
        frames::DEVICES,
        vec![other.frame(3, "Update")],
    ));
    answer.must_be(Code::InvalidProfile);
}

// X-21/22, I-S-4.1.2.2-a
#[test]
fn keys_that_were_replaced_never_live_again() {
    let (service, mut client) = alices_service();
    let (phone, mut on_phone) = with_phone(&service, &mut client);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    let deleted = frames::event(3, "Delete", &phone.udf(), b"");
    client
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    on_phone
        .by_ticket(&frames::status())
        .must_be(Code::DeviceRevoked);
    let again = frames::upload(frames::DEVICES, vec![phone.frame(4, "New")]);
    client.ask(&again).must_be(Code::InvalidProfile);
    on_phone
        .by_ticket(&frames::status())
        .must_be(Code::DeviceRevoked);
}

// I-P-3-a
#[test]
fn the_service_keeps_nothing_readable_of_an_encrypted_entry() {
    let (mut service, mut client) = alices_service();
    let alice = alice();
    let marker = "alice's secret, that nobody else may read";
    let recipient = alice.account.encryption.public();
    let mut entropy = entropy_of("an entry");
    let sealed = Envelope::encrypted(
        marker.as_bytes(),
        frames::event(1, "New", "entry-1", b"").header,
        &[recipient],
        &mut entropy,
    );
    let frames = vec![frames::first(), sealed.unwrap()];
    client
        .ask(&frames::upload(BOOKMARKS, frames))
        .must_be(Code::Ok);
    // Stopped, so that whatever was in memory is in the files.
    let mut searched = 0;
    service.restart_after(|data| {
        for path in files_below(data) {
            let octets = fs::read(&path).unwrap();
            searched += octets.len();
            let found = octets
                .windows(marker.len())
                .any(|part| part == marker.as_bytes());
            assert!(!found, "{}", path.display());
        }
    });
    assert!(searched > 1_000, "{searched} octets are no store");
    client.connection = service.connect();
    let answer = client.ask(&frames::download(BOOKMARKS));
    let frame = &answer.must_be(Code::Ok).download().updates[0].envelopes[1];
    let opened = frame.decrypt(&[&alice.account.encryption]).unwrap();
    assert_eq!(&opened[..], marker.as_bytes());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
