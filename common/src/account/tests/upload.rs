//! Upload to catalogs: index, digest, retry, events, offers, bounds (containers §8.4).

use super::*;
use crate::account::testing::{at, message, rows_of, update};
use crate::dare::merkle::{DigestStack, payload_digest};
use crate::dare::{Envelope, Trailer};
use crate::encoding::base64url::Binary;
use crate::limits;
use crate::protocol::ContainerUpdate;

const ENTRY: &str = "{\"CatalogedContact\":{\"y\":2}}";

fn at_index(index: u64, mut update: ContainerUpdate) -> ContainerUpdate {
    update.index = Some(index);
    update
}

fn apex(shell: &Shell, device: &Device, container: &str) -> Binary {
    let frames = shell.frames(&device.address, container);
    Binary::from(frames.last().unwrap().tree_digest)
}

fn with_trailer(mut envelope: Envelope, trailer: Trailer) -> Envelope {
    envelope.trailer = Some(trailer);
    envelope
}

#[test]
fn upload_with_stale_index_is_a_conflict() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let answer = shell.perform(laptop.upload("mmm_Contact", vec![event(2, "New", "dan", ENTRY)]));
    assert_eq!(code(&answer), Code::Conflict);
    assert_eq!(rows_of(&answer), [(CONFLICT, Some(3))]);
    assert_eq!(
        description(&answer),
        "container mmm_Contact is at index 3, the upload expects 2"
    );
    assert_eq!(count(&shell, &laptop, "mmm_Contact"), 3);
}

#[test]
fn an_index_beyond_the_end_is_a_conflict() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let answer = shell.perform(laptop.upload("mmm_Contact", vec![event(4, "New", "dan", ENTRY)]));
    assert_eq!(rows_of(&answer), [(CONFLICT, Some(3))]);
}

// P-7.2.1-a
#[test]
fn of_two_devices_at_the_same_index_exactly_one_is_accepted() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let one = laptop.upload("mmm_Contact", vec![event(3, "New", "dan", ENTRY)]);
    let other = laptop.upload("mmm_Contact", vec![event(3, "New", "eve", ENTRY)]);
    assert_eq!(told(&mut shell, one), Code::Ok);
    assert_eq!(told(&mut shell, other), Code::Conflict);
}

#[test]
fn a_repeated_upload_under_a_new_request_id_writes_nothing() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let entry = event(3, "New", "dan", ENTRY);
    assert_eq!(
        told(
            &mut shell,
            laptop.upload("mmm_Contact", vec![entry.clone()])
        ),
        Code::Ok
    );
    let commits = shell.commits;
    let answer = shell.perform(laptop.upload("mmm_Contact", vec![entry]));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(3))]);
    assert_eq!(shell.commits, commits);
}

// all deletions have the same payload digest.
#[test]
fn a_retry_is_recognized_by_digest_and_metadata_together() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let delete = |id| event(3, "Delete", id, "");
    assert_eq!(
        told(
            &mut shell,
            laptop.upload("mmm_Contact", vec![delete("bob")])
        ),
        Code::Ok
    );
    assert_eq!(
        told(
            &mut shell,
            laptop.upload("mmm_Contact", vec![delete("bob")])
        ),
        Code::Ok
    );
    assert_eq!(
        told(
            &mut shell,
            laptop.upload("mmm_Contact", vec![delete("carol")])
        ),
        Code::Conflict
    );
}

//
#[test]
fn content_metadata_are_compared_as_parsed() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let entry = event(3, "New", "dan", ENTRY);
    assert_eq!(
        told(
            &mut shell,
            laptop.upload("mmm_Contact", vec![entry.clone()])
        ),
        Code::Ok
    );
    let mut respaced = entry;
    respaced.header.content_meta_data = Some(Binary(
        b"{ \"Event\" : \"New\", \"UniqueID\" : \"dan\" }".to_vec(),
    ));
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Contact", vec![respaced])),
        Code::Ok
    );
    assert_eq!(count(&shell, &laptop, "mmm_Contact"), 4);
}

// P-7.3-b, X-38
#[test]
fn one_bad_update_of_three_undoes_all() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let request = laptop.upload_all(
        vec![
            update("mmm_Contact", vec![event(3, "New", "dan", ENTRY)]),
            update(
                "mmm_Bookmark",
                vec![first_frame(), event(9, "New", "p", "{}")],
            ),
            update("mmm_Task", vec![first_frame()]),
        ],
        vec![message("Notice", "N1", "{}")],
    );
    let answer = shell.perform(request);
    assert_eq!(code(&answer), Code::Conflict);
    assert_eq!(
        rows_of(&answer),
        [
            (CONFLICT, Some(3)),
            (CONFLICT, Some(0)),
            (CONFLICT, Some(0)),
            (CONFLICT, Some(0)),
            (CONFLICT, Some(1))
        ]
    );
    assert_eq!(count(&shell, &laptop, "mmm_Contact"), 3);
    assert_eq!(count(&shell, &laptop, "mmm_Task"), 0);
    assert_eq!(count(&shell, &laptop, "mmm_Inbound"), 1);
}

// P-6-a
#[test]
fn seven_new_catalogs_arrive_in_one_request() {
    let (mut shell, mut laptop) = alice();
    let names = [
        "Contact",
        "Credential",
        "Bookmark",
        "Task",
        "Network",
        "Application",
        "Member",
    ];
    let updates = names
        .iter()
        .map(|name| {
            update(
                &format!("mmm_{name}"),
                vec![first_frame(), event(1, "New", "a", "{}")],
            )
        })
        .collect();
    let answer = shell.perform(laptop.upload_all(updates, Vec::new()));
    assert_eq!(code(&answer), Code::Ok);
    assert_eq!(state(&shell, &laptop).heads.len(), 10);
    shell.check();
}

#[test]
fn a_reject_outranks_a_conflict() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let answer = shell.perform(laptop.upload_all(
        vec![
            update("mmm_Contact", vec![event(9, "New", "dan", ENTRY)]),
            update("mmm_Task", vec![event(0, "New", "t", "{}")]),
        ],
        Vec::new(),
    ));
    assert_eq!(code(&answer), Code::InvalidProfile);
    assert_eq!(rows_of(&answer), [(CONFLICT, Some(3)), (REJECT, None)]);
}

#[test]
fn two_updates_of_one_container_apply_in_order() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let answer = shell.perform(laptop.upload_all(
        vec![
            update("mmm_Contact", vec![event(3, "New", "dan", ENTRY)]),
            update("mmm_CatalogContact", vec![event(4, "Delete", "dan", "")]),
        ],
        Vec::new(),
    ));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(3)), (ACCEPT, Some(4))]);
    shell.check();
}

#[test]
fn envelopes_that_all_claim_the_base_are_renumbered() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let batch = vec![
        event(3, "New", "d", "1"),
        event(3, "New", "e", "2"),
        event(3, "New", "f", "3"),
    ];
    let answer = shell.perform(laptop.upload("mmm_Contact", batch));
    assert_eq!(
        rows_of(&answer),
        [(ACCEPT, Some(3)), (ACCEPT, Some(4)), (ACCEPT, Some(5))]
    );
    let mixed = vec![
        event(6, "New", "g", "1"),
        event(6, "New", "h", "2"),
        event(7, "New", "i", "3"),
    ];
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Contact", mixed)),
        Code::Conflict
    );
}

#[test]
fn index_and_first_envelope_must_agree() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let bad = at_index(
        4,
        update("mmm_Contact", vec![event(3, "New", "dan", ENTRY)]),
    );
    assert_eq!(
        told(&mut shell, laptop.upload_all(vec![bad], Vec::new())),
        Code::Conflict
    );
}

//
#[test]
fn the_digest_is_the_apex_before_or_after() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let before = apex(&shell, &laptop, "mmm_Contact");
    let mut stack = DigestStack::new();
    for frame in shell.frames(&laptop.address, "mmm_Contact") {
        stack.append(&frame.payload_digest);
    }
    let after = Binary::from(stack.append(&payload_digest(ENTRY.as_bytes())));
    let with = |digest: Binary| {
        let mut one = update("mmm_Contact", vec![event(3, "New", "dan", ENTRY)]);
        one.digest = Some(digest);
        vec![one]
    };
    let wrong = laptop.upload_all(with(Binary(vec![7; 64])), Vec::new());
    assert_eq!(told(&mut shell, wrong), Code::Conflict);
    for digest in [after, before] {
        let upload = laptop.upload_all(with(digest), Vec::new());
        assert_eq!(told(&mut shell, upload), Code::Ok, "also as a retry");
    }
}

//
#[test]
fn a_tree_digest_of_another_history_is_a_conflict() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let trailer = Trailer {
        tree_digest: Some(Binary(vec![1; 64])),
        ..Trailer::default()
    };
    let entry = with_trailer(event(3, "New", "dan", ENTRY), trailer);
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Contact", vec![entry])),
        Code::Conflict
    );
}

// A-9, D7
#[test]
fn unlinked_digests_count_only_under_the_switch_and_stay_as_they_were_sent() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let digest = payload_digest(ENTRY.as_bytes());
    let sent = Binary::from(crate::dare::legacy::tree_digest_deferred(3, &digest));
    let trailer = Trailer {
        tree_digest: Some(sent.clone()),
        ..Trailer::default()
    };
    let entry = with_trailer(event(3, "New", "dan", ENTRY), trailer);
    let refused = laptop.upload("mmm_Contact", vec![entry.clone()]);
    assert_eq!(told(&mut shell, refused), Code::Conflict);
    shell.policy.legacy_digests = true;
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Contact", vec![entry])),
        Code::Ok
    );
    let frames = shell.frames(&laptop.address, "mmm_Contact");
    let envelope = frames[3].envelope(3, Vec::new());
    assert_eq!(envelope.tree_digest(), Some(&sent));
    assert_ne!(sent.as_slice(), frames[3].tree_digest);
}

#[test]
fn digests_that_were_left_out_are_inserted() {
    let (shell, laptop) = alice_with_contacts();
    let frames = shell.frames(&laptop.address, "mmm_Contact");
    let trailer = frames[1].whole_trailer();
    assert_eq!(
        trailer.payload_digest,
        Some(Binary::from(frames[1].payload_digest))
    );
    assert_eq!(
        trailer.tree_digest,
        Some(Binary::from(frames[1].tree_digest))
    );
}

#[test]
fn offsets_of_the_senders_file_are_forgotten_and_unknown_members_kept() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let mut entry = event(3, "New", "dan", ENTRY);
    let info = entry.header.container_info.as_mut().unwrap();
    info.tree_position = Some(361);
    info.extra.insert("Later".into(), true.into());
    entry.header.extra.insert("Future".into(), "x".into());
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Contact", vec![entry])),
        Code::Ok
    );
    let header = shell.frames(&laptop.address, "mmm_Contact")[3].header_at(3);
    let info = header.container_info.unwrap();
    assert_eq!((info.index, info.tree_position), (Some(3), None));
    assert!(info.extra.contains_key("Later") && header.extra.contains_key("Future"));
}

#[test]
fn events_follow_the_life_of_their_entry() {
    let (mut shell, mut laptop) = alice_with_contacts();
    for (name, id, expected) in [
        ("New", "bob", Code::Conflict),
        ("Delete", "dan", Code::Conflict),
        ("Erase", "bob", Code::Malformed),
        ("Delete", "bob", Code::Ok),
        ("Delete", "bob", Code::Conflict),
        ("New", "bob", Code::Ok),
        ("Update", "dan", Code::Ok),
    ] {
        let index = count(&shell, &laptop, "mmm_Contact") as u64;
        let payload = format!("{{\"{name}\":{index}}}");
        let payload = if name == "Delete" { "" } else { &payload };
        let upload = laptop.upload("mmm_Contact", vec![event(index, name, id, payload)]);
        assert_eq!(told(&mut shell, upload), expected, "{name} {id}");
    }
    let account = state(&shell, &laptop).record.id;
    let older: Vec<u64> = shell.superseded(account).iter().map(|row| row.1).collect();
    assert_eq!(older, [1, 3], "the entry, then its deletion");
}

//
#[test]
fn in_containers_of_unknown_name_only_events_are_events() {
    let (mut shell, mut laptop) = alice();
    let mut free = event(1, "New", "a", "1");
    free.header.content_meta_data = None;
    let frames = vec![first_frame(), free, event(2, "New", "a", "2")];
    assert_eq!(
        told(&mut shell, laptop.upload("acme_plans", frames)),
        Code::Ok
    );
    let again = laptop.upload("acme_plans", vec![event(3, "New", "a", "3")]);
    assert_eq!(told(&mut shell, again), Code::Conflict);
}

//
#[test]
fn meta_frames_are_exempt_from_event_rules() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let mut frame = at(3, Envelope::plain("index"));
    frame.header.container_info.as_mut().unwrap().is_meta = Some(true);
    assert_eq!(
        told(&mut shell, laptop.upload("mmm_Contact", vec![frame])),
        Code::Ok
    );
}

// P-7.3-c, Q-24
#[test]
fn a_probe_tells_the_position_and_the_bounds_and_writes_nothing() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let commits = shell.commits;
    let probe = |index| vec![at_index(index, update("mmm_Contact", Vec::new()))];
    let answer = shell.perform(laptop.upload_all(probe(3), Vec::new()));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(3))]);
    let Response::Upload(response) = &answer.response else {
        panic!()
    };
    let bounds = response.constraints_data.as_ref().unwrap();
    assert_eq!(
        bounds.max_entries,
        Some(limits::UPLOAD_ENVELOPES_MAX as i64)
    );
    let answer = shell.perform(laptop.upload_all(probe(2), Vec::new()));
    assert_eq!(
        (code(&answer), rows_of(&answer)),
        (Code::Conflict, vec![(CONFLICT, Some(3))])
    );
    let mut mixed = probe(2);
    mixed.push(update("mmm_Contact", vec![event(3, "New", "dan", ENTRY)]));
    assert_eq!(
        told(&mut shell, laptop.upload_all(mixed, Vec::new())),
        Code::Conflict
    );
    assert_eq!(shell.commits, commits);
}

// D23
#[test]
fn an_offer_is_evaluated_and_forgotten() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let commits = shell.commits;
    let trailer = Trailer {
        payload_digest: Some(Binary::from(payload_digest(b"large"))),
        ..Trailer::default()
    };
    let offer = |index, id| with_trailer(event(index, "New", id, ""), trailer.clone());
    let offers = vec![offer(3, "dan"), offer(4, "eve")];
    let answer = shell.perform(laptop.upload("mmm_Contact", offers));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(3)), (ACCEPT, Some(4))]);
    let stale = laptop.upload("mmm_Contact", vec![offer(3, "bob")]);
    assert_eq!(told(&mut shell, stale), Code::Conflict);
    assert_eq!(shell.commits, commits);
    let mixed = vec![offer(3, "dan"), event(4, "New", "eve", ENTRY)];
    let answer = shell.perform(laptop.upload("mmm_Contact", mixed));
    assert_eq!(rows_of(&answer), [(REJECT, None), (REJECT, None)]);
}

//
#[test]
fn an_upload_of_nothing_is_done() {
    let (mut shell, mut laptop) = alice();
    let commits = shell.commits;
    assert_eq!(
        told(&mut shell, laptop.upload_all(Vec::new(), Vec::new())),
        Code::Ok
    );
    assert_eq!(shell.commits, commits);
}
