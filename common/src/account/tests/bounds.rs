//! Bounds and quotas of Upload, each below, at and above its value (X-60, architecture A-8,
//! containers §12.6).

use super::*;
use crate::account::AccountPolicy;
use crate::account::testing::{message, update};
use crate::limits;

/// Uploads one entry of `octets` to the contact catalog.
fn entry_of(shell: &mut Shell, laptop: &mut Device, octets: usize) -> Code {
    let index = count(shell, laptop, "mmm_Contact") as u64;
    let entry = event(index, "New", &index.to_string(), &"x".repeat(octets));
    told(shell, laptop.upload("mmm_Contact", vec![entry]))
}

//
#[test]
fn the_entry_limit_holds_below_at_and_above_its_value() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let max = limits::ENTRY_PAYLOAD_BYTES_MAX;
    assert_eq!(entry_of(&mut shell, &mut laptop, max - 1), Code::Ok);
    assert_eq!(entry_of(&mut shell, &mut laptop, max), Code::Ok);
    assert_eq!(entry_of(&mut shell, &mut laptop, max + 1), Code::TooLarge);
}

//
#[test]
fn the_envelope_limit_counts_updates_and_self_together() {
    for (extra, expected) in [(0, Code::Ok), (1, Code::TooLarge)] {
        let (mut shell, mut laptop) = alice();
        let mut frames = vec![first_frame()];
        let entries = limits::UPLOAD_ENVELOPES_MAX - 2 + extra;
        frames
            .extend((1..=entries as u64).map(|index| event(index, "New", &index.to_string(), "")));
        let request = laptop.upload_all(
            vec![update("mmm_Task", frames)],
            vec![message("Notice", "N1", "{}")],
        );
        assert_eq!(told(&mut shell, request), expected);
    }
}

//
#[test]
fn the_octets_of_one_upload_are_bounded() {
    for (extra, expected) in [(0, Code::Ok), (1, Code::TooLarge)] {
        let (mut shell, mut laptop) = alice_with_contacts();
        let half = "x".repeat(limits::UPLOAD_PAYLOAD_BYTES_MAX / 2);
        let rest = format!("{half}{}", "y".repeat(extra));
        let half = &half[..limits::ENTRY_PAYLOAD_BYTES_MAX];
        let entries = vec![event(3, "New", "d", half), event(4, "New", "e", &rest)];
        let answer = shell.perform(laptop.upload("mmm_Contact", entries));
        assert_eq!(code(&answer), expected);
    }
}

//
#[test]
fn header_and_trailer_are_bounded() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let mut entry = event(3, "New", "dan", "{}");
    let room = limits::FRAME_HEADER_BYTES_MAX
        - crate::encoding::json::write(&entry.header).len()
        - ",\"EnvelopeID\":\"\"".len();
    for (octets, expected) in [(room + 1, Code::Malformed), (room, Code::Ok)] {
        entry.header.envelope_id = Some("i".repeat(octets));
        let upload = laptop.upload("mmm_Contact", vec![entry.clone()]);
        assert_eq!(told(&mut shell, upload), expected);
    }
}

//
#[test]
fn an_account_has_at_most_as_many_containers_as_allowed() {
    let (mut shell, mut laptop) = alice();
    let names: Vec<String> = (0..limits::CONTAINERS_PER_ACCOUNT_MAX - 3)
        .map(|number| format!("acme_{number}"))
        .collect();
    for name in &names {
        assert_eq!(
            told(&mut shell, laptop.upload(name, vec![first_frame()])),
            Code::Ok
        );
    }
    let more = laptop.upload("acme_more", vec![first_frame()]);
    assert_eq!(told(&mut shell, more), Code::QuotaExceeded);
    assert_eq!(
        state(&shell, &laptop).heads.len(),
        limits::CONTAINERS_PER_ACCOUNT_MAX
    );
}

//
#[test]
fn a_container_has_at_most_as_many_frames_as_allowed() {
    let (mut shell, mut laptop) = alice_with_contacts();
    shell.policy.frames_per_container_max = 4;
    assert_eq!(entry_of(&mut shell, &mut laptop, 1), Code::Ok);
    assert_eq!(entry_of(&mut shell, &mut laptop, 1), Code::QuotaExceeded);
}

// X-60, containers §12.6
#[test]
fn the_quota_keeps_a_reserve_for_deletions_and_completions() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let used = state(&shell, &laptop).tip.bytes_used;
    shell.policy.account_bytes_max = (used + 1_000) * 16 / 15;
    assert_eq!(entry_of(&mut shell, &mut laptop, 500), Code::Ok);
    let full = laptop.upload(
        "mmm_Contact",
        vec![event(4, "New", "dan", &"x".repeat(500))],
    );
    let answer = shell.perform(full);
    assert_eq!(code(&answer), Code::QuotaExceeded);
    let Response::Upload(response) = &answer.response else {
        panic!()
    };
    let bounds = response.entries[0].constraints_data.as_ref().unwrap();
    assert_eq!(
        bounds.bytes_max,
        i64::try_from(shell.policy.account_bytes_max).ok()
    );
    let room = shell.policy.account_bytes_max * 15 / 16 - state(&shell, &laptop).tip.bytes_used;
    assert_eq!(
        entry_of(&mut shell, &mut laptop, usize::try_from(room).unwrap()),
        Code::QuotaExceeded
    );
    let delete = laptop.upload("mmm_Contact", vec![event(4, "Delete", "bob", "")]);
    assert_eq!(told(&mut shell, delete), Code::Ok);
}

#[test]
fn the_operator_may_give_one_account_more() {
    let (mut shell, mut laptop) = alice_with_contacts();
    shell.policy = AccountPolicy {
        account_bytes_max: 1,
        ..AccountPolicy::default()
    };
    assert_eq!(entry_of(&mut shell, &mut laptop, 1), Code::QuotaExceeded);
    let standing = shell.standings.get_mut(&laptop.address).unwrap();
    let Standing::Account(account) = standing else {
        panic!()
    };
    std::sync::Arc::make_mut(&mut account.record).bytes_max = Some(1 << 20);
    assert_eq!(entry_of(&mut shell, &mut laptop, 1), Code::Ok);
}
