//! Spools through Upload: completions, imports, Self, duplicates (containers §7, §8.4; decisions
//!

use std::time::Duration;

use super::*;
use crate::account::AccountPolicy;
use crate::account::state::Import;
use crate::account::testing::{at, completion, message, rows_of, update};
use crate::dare::{Envelope, Signature, Trailer};
use crate::encoding::base64url::Binary;
use crate::limits;

fn keep(shell: &mut Shell, device: &mut Device, messages: Vec<Envelope>) -> Answer {
    let answer = shell.perform(device.upload_all(Vec::new(), messages));
    shell.check();
    answer
}

fn to(shell: &mut Shell, device: &mut Device, spool: &str, envelope: Envelope) -> Code {
    told(shell, device.upload(spool, vec![envelope]))
}

//
#[test]
fn own_messages_go_to_inbound_and_completions_to_what_they_refer_to() {
    let (mut shell, mut laptop) = alice();
    let notice = message("Notice", "L1", "{}");
    assert_eq!(to(&mut shell, &mut laptop, "mmm_Local", notice), Code::Ok);
    let answer = keep(
        &mut shell,
        &mut laptop,
        vec![
            message("Notice", "I1", "{}"),
            completion("C1", "I1", "Read"),
            completion("C2", "L1", "Deleted"),
            completion("C3", "nobody knows", "Read"),
        ],
    );
    assert_eq!(
        rows_of(&answer),
        [
            (ACCEPT, Some(1)),
            (ACCEPT, Some(2)),
            (ACCEPT, Some(2)),
            (ACCEPT, Some(3))
        ]
    );
    assert_eq!(count(&shell, &laptop, "mmm_Inbound"), 4);
    assert_eq!(count(&shell, &laptop, "mmm_Local"), 3);
}

// S-6.1-b, Q-20
#[test]
fn a_device_cannot_forge_deliveries_in_outbound() {
    let (mut shell, mut laptop) = alice();
    for (place, relationship, expected) in [
        (1, "Sent", Code::InvalidProfile),
        (1, "Received", Code::InvalidProfile),
        (1, "Accept", Code::InvalidProfile),
        (1, "Read", Code::Ok),
        (2, "Unread", Code::Ok),
        (3, "Deleted", Code::Ok),
    ] {
        let envelope = completion(&format!("C{place}"), "M1", relationship);
        assert_eq!(
            to(&mut shell, &mut laptop, "mmm_Outbound", envelope),
            expected,
            "{relationship}"
        );
    }
    let mut sealed = completion("C9", "M1", "Read");
    sealed.header.enc = Some("A256CBC".into());
    assert_eq!(
        to(&mut shell, &mut laptop, "mmm_Outbound", sealed.clone()),
        Code::InvalidProfile
    );
    assert_eq!(to(&mut shell, &mut laptop, "mmm_Inbound", sealed), Code::Ok);
}

//
#[test]
fn a_completion_in_self_obeys_the_rules_of_the_spool_it_goes_to() {
    let (mut shell, mut laptop) = alice();
    let moved = vec![first_frame(), at(1, message("RequestContact", "M1", "{}"))];
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Outbound", moved)),
        Code::Ok
    );
    let forged = keep(
        &mut shell,
        &mut laptop,
        vec![completion("C1", "M1", "Received")],
    );
    assert_eq!(code(&forged), Code::InvalidProfile);
    let read = keep(
        &mut shell,
        &mut laptop,
        vec![completion("C1", "M1", "Deleted")],
    );
    assert_eq!(rows_of(&read), [(ACCEPT, Some(2))]);
    assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 3);
}

// S-6.1-a
#[test]
fn every_state_of_a_message_can_be_written_to_inbound() {
    let (mut shell, mut laptop) = alice();
    for (place, relationship) in (1_u64..).zip(["Read", "Unread", "Deleted", "Accept", "Reject"]) {
        let envelope = at(place, completion(&format!("C{place}"), "M1", relationship));
        assert_eq!(
            to(&mut shell, &mut laptop, "mmm_Inbound", envelope),
            Code::Ok
        );
    }
    let other = message("RequestContact", "X1", "{}");
    assert_eq!(
        to(&mut shell, &mut laptop, "mmm_Inbound", other),
        Code::InvalidProfile
    );
}

//
#[test]
fn the_same_message_again_is_where_it_was_and_another_of_its_id_is_refused() {
    let (mut shell, mut laptop) = alice();
    let notice = || message("Notice", "I1", "{}");
    let next = message("Notice", "I2", "{}");
    assert_eq!(
        rows_of(&keep(&mut shell, &mut laptop, vec![notice()])),
        [(ACCEPT, Some(1))]
    );
    let again = keep(&mut shell, &mut laptop, vec![next, notice()]);
    assert_eq!(rows_of(&again), [(ACCEPT, Some(2)), (ACCEPT, Some(1))]);
    let commits = shell.commits;
    keep(&mut shell, &mut laptop, vec![notice()]);
    assert_eq!(shell.commits, commits);
    let other = || message("Notice", "I1", "{\"x\":1}");
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![other()])),
        Code::IdReused
    );
    shell.advance(limits::MESSAGE_ID_REMEMBERED - Duration::from_millis(1));
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![other()])),
        Code::IdReused
    );
    shell.advance(Duration::from_millis(1));
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![other()])),
        Code::Ok
    );
}

//
#[test]
fn in_local_the_newest_message_of_an_id_counts() {
    let (mut shell, mut laptop) = alice();
    for (body, expected) in [("{}", 2), ("{}", 2), ("{\"x\":1}", 3)] {
        let envelope = message("Notice", "L1", body);
        assert_eq!(to(&mut shell, &mut laptop, "mmm_Local", envelope), Code::Ok);
        assert_eq!(count(&shell, &laptop, "mmm_Local"), expected);
    }
}

//
#[test]
fn a_message_needs_one_identifier() {
    let (mut shell, mut laptop) = alice();
    let mut nameless = message("Notice", "I1", "{}");
    nameless.header.content_meta_data = None;
    let two = message("Notice", "I1", "{\"MessageID\":\"I2\"}");
    let control = message("Notice", "I\u{7}", "{}");
    let long = message("Notice", &"i".repeat(limits::UNIQUE_ID_BYTES_MAX + 1), "{}");
    let mut mistyped = message("Notice", "I1", "{}");
    mistyped.payload = Binary(b"{\"Other\":{}}".to_vec());
    for envelope in [nameless, two, control, long, mistyped] {
        let answer = keep(&mut shell, &mut laptop, vec![envelope]);
        assert_eq!(
            (code(&answer), rows_of(&answer)),
            (Code::Malformed, vec![(REJECT, None)])
        );
    }
    let longest = message("Notice", &"i".repeat(limits::UNIQUE_ID_BYTES_MAX), "{}");
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![longest])),
        Code::Ok
    );
    let one = message("Notice", "I3", "{\"MessageID\":\"I3\"}");
    assert_eq!(code(&keep(&mut shell, &mut laptop, vec![one])), Code::Ok);
}

// I-P-7-a
#[test]
fn a_message_has_at_most_65536_octets() {
    let (mut shell, mut laptop) = alice();
    let of = |octets: usize, id: &str| {
        let frame = message("Notice", id, "").payload.0.len();
        let body = format!("\"{}\"", "x".repeat(octets - frame - 2));
        message("Notice", id, &body)
    };
    let max = limits::MESSAGE_PAYLOAD_BYTES_MAX;
    assert_eq!(of(max, "I1").payload.0.len(), 65_536);
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![of(max, "I1")])),
        Code::Ok
    );
    let answer = keep(&mut shell, &mut laptop, vec![of(max + 1, "I2")]);
    assert_eq!(code(&answer), Code::TooLarge);
    let Response::Upload(response) = &answer.response else {
        panic!()
    };
    let bounds = response.entries[0].constraints_data.as_ref().unwrap();
    assert_eq!(bounds.bytes_max, Some(65_536));
}

//
#[test]
fn a_completion_has_a_bounded_number_of_references() {
    let (mut shell, mut laptop) = alice();
    let of = |count: usize, id: &str| {
        let one = "{\"MessageID\":\"M\",\"Relationship\":\"Read\"}";
        let body = format!("{{\"References\":[{}]}}", vec![one; count].join(","));
        message("MessageComplete", id, &body)
    };
    let max = limits::COMPLETION_REFERENCES_MAX;
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![of(max, "C1")])),
        Code::Ok
    );
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![of(max + 1, "C2")])),
        Code::TooLarge
    );
}

//
#[test]
fn pins_and_connection_answers_are_an_administrators() {
    let (mut shell, mut laptop) = devices::alice_with_laptop();
    let mut phone = Device::of(ALICE, "phone");
    let facts = crate::cluster::handle::DeviceFacts {
        lists_permissions: true,
        ..phone.facts()
    };
    let entry = vec![event(2, "New", &phone.unique_id(), "phone")];
    let valid = crate::cluster::handle::DeviceEvidence::Valid(facts);
    let upload = laptop.upload_devices(entry, vec![(0, valid)]);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    for tag in ["MessagePIN", "RespondConnection"] {
        let envelope = message(tag, tag, "{}");
        assert_eq!(
            to(&mut shell, &mut phone, "mmm_Local", envelope),
            Code::NotAdministrator
        );
    }
    let notice = message("Notice", "L1", "{}");
    assert_eq!(to(&mut shell, &mut phone, "mmm_Local", notice), Code::Ok);
}

//
#[test]
fn a_spool_is_imported_until_the_service_appends() {
    let (mut shell, mut laptop) = alice();
    let history = |index: u64| {
        at(
            index,
            message(
                "RequestContact",
                &format!("U{index}"),
                "{\"MessageID\":\"other\"}",
            ),
        )
    };
    let import = |device: &mut Device, from: u64, to: u64| {
        let frames = if from == 0 {
            vec![first_frame()]
        } else {
            Vec::new()
        };
        let rest = (from.max(1)..to).map(history);
        device.upload("mmm_Inbound", frames.into_iter().chain(rest).collect())
    };
    assert_eq!(told(&mut shell, import(&mut laptop, 0, 3)), Code::Ok);
    assert_eq!(told(&mut shell, import(&mut laptop, 3, 5)), Code::Ok);
    assert_eq!(
        told(&mut shell, import(&mut laptop, 0, 5)),
        Code::Ok,
        "again, from the start"
    );
    let head = |shell: &Shell| {
        let name = crate::dare::ContainerName::parse("mmm_Inbound").unwrap();
        state(shell, &Device::of(ALICE, "laptop"))
            .head(&name)
            .unwrap()
            .import
    };
    assert_eq!(head(&shell), Import::Running);
    assert_eq!(
        code(&keep(
            &mut shell,
            &mut laptop,
            vec![message("Notice", "N1", "{}")]
        )),
        Code::Ok
    );
    assert_eq!(head(&shell), Import::Closed);
    assert_eq!(told(&mut shell, import(&mut laptop, 6, 7)), Code::Malformed);
    let foreign = at(6, message("RequestContact", "U6", "{}"));
    assert_eq!(
        to(&mut shell, &mut laptop, "mmm_Inbound", foreign),
        Code::InvalidProfile
    );
    assert_eq!(count(&shell, &laptop, "mmm_Inbound"), 6);
}

// containers §8.4 step 5
#[test]
fn the_services_own_frame_0_gives_way_to_the_imported_one() {
    let (mut shell, mut laptop) = alice();
    let mut own = first_frame();
    own.header.salt = Some(Binary(vec![1; 16]));
    own.header.enc = Some("A256CBC".into());
    let answer = shell.perform(laptop.upload("mmm_Outbound", vec![own.clone()]));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(0))]);
    shell.check();
    let frames = shell.frames(&laptop.address, "mmm_Outbound");
    assert_eq!(
        (frames.len(), &frames[0].header.salt),
        (1, &own.header.salt)
    );
    let commits = shell.commits;
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Outbound", vec![own])),
        Code::Ok
    );
    assert_eq!(shell.commits, commits);
}

//
#[test]
fn archive_is_created_by_the_clients_frame_0() {
    let (mut shell, mut laptop) = alice();
    let put_away = message("RequestContact", "A1", "{\"MessageID\":\"M1\"}");
    assert_eq!(
        to(&mut shell, &mut laptop, "mmm_Archive", put_away.clone()),
        Code::InvalidProfile
    );
    let both = laptop.upload("mmm_Archive", vec![first_frame(), at(1, put_away)]);
    assert_eq!(told(&mut shell, both), Code::Ok);
}

// D10, Q-28
#[test]
fn the_service_rewrites_the_place_of_a_message_and_keeps_everything_else() {
    let (mut shell, mut laptop) = alice();
    let signature = Signature {
        kid: Some("M".into()),
        signature: Some(Binary(vec![3; 114])),
        ..Signature::default()
    };
    let mut envelope = message("Notice", "I1", "{}");
    envelope.header.dig = Some("S512".into());
    envelope.header.extra.insert("Future".into(), 1.into());
    envelope.header.container_info = Some(crate::dare::ContainerInfo {
        index: Some(77),
        ..Default::default()
    });
    envelope.trailer = Some(Trailer {
        signatures: vec![signature.clone()],
        tree_digest: Some(Binary(vec![9; 64])),
        ..Trailer::default()
    });
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![envelope.clone()])),
        Code::Ok
    );
    let frame = shell.frames(&laptop.address, "mmm_Inbound").remove(1);
    let kept = frame.envelope(1, envelope.payload.0.clone());
    assert_eq!(kept.index(), Some(1));
    assert_eq!(kept.signatures(), [signature]);
    assert_eq!(kept.header.extra, envelope.header.extra);
    assert_eq!(kept.tree_digest(), Some(&Binary::from(frame.tree_digest)));
    assert_eq!(
        kept.payload_digest(),
        Some(&Binary::from(frame.payload_digest))
    );
}

// D10
#[test]
fn a_digest_of_another_algorithm_is_kept_beside_ours() {
    let (mut shell, mut laptop) = alice();
    let mut envelope = message("Notice", "I1", "{}");
    envelope.header.dig = Some("S256".into());
    envelope.trailer = Some(Trailer {
        payload_digest: Some(Binary(vec![5; 32])),
        ..Trailer::default()
    });
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, vec![envelope])),
        Code::Ok
    );
    let frame = shell.frames(&laptop.address, "mmm_Inbound").remove(1);
    assert_eq!(
        frame.whole_trailer().payload_digest,
        Some(Binary(vec![5; 32]))
    );
}

// containers §12.6
#[test]
fn completions_fit_into_the_reserve() {
    let (mut shell, mut laptop) = alice();
    let large = message("Notice", "I1", &format!("\"{}\"", "x".repeat(30_000)));
    assert_eq!(code(&keep(&mut shell, &mut laptop, vec![large])), Code::Ok);
    let used = state(&shell, &laptop).tip.bytes_used;
    shell.policy = AccountPolicy {
        account_bytes_max: used * 16 / 15,
        ..AccountPolicy::default()
    };
    let notice = vec![message("Notice", "I2", "{}")];
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, notice)),
        Code::QuotaExceeded
    );
    let deleted = vec![completion("C1", "I1", "Deleted")];
    assert_eq!(code(&keep(&mut shell, &mut laptop, deleted)), Code::Ok);
    shell.policy.account_bytes_max = used;
    let read = vec![completion("C2", "I1", "Read")];
    assert_eq!(
        code(&keep(&mut shell, &mut laptop, read)),
        Code::QuotaExceeded
    );
}

#[test]
fn updates_and_self_are_one_request() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let updates = vec![update("mmm_Contact", vec![event(3, "Delete", "bob", "")])];
    let answer = shell.perform(laptop.upload_all(updates, vec![completion("C1", "M1", "Read")]));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(3)), (ACCEPT, Some(1))]);
}
