//! Download (service §5.5, containers §8.3, decisions ).

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::account::testing::NOON;
use crate::cluster::Evidence;
use crate::protocol::{ConstraintsData, ConstraintsSelect, DownloadRequest, Request};

fn select(container: &str) -> ConstraintsSelect {
    ConstraintsSelect {
        container: Some(container.into()),
        ..ConstraintsSelect::default()
    }
}

fn between(container: &str, min: i64, max: i64) -> ConstraintsSelect {
    ConstraintsSelect {
        index_min: Some(min),
        index_max: Some(max),
        ..select(container)
    }
}

fn ask(
    shell: &mut Shell,
    device: &mut Device,
    select: Vec<ConstraintsSelect>,
    constraints: ConstraintsData,
) -> Answer {
    let request = DownloadRequest {
        select,
        constraints_post: Some(constraints),
        ..DownloadRequest::default()
    };
    shell.perform(device.ask(Request::Download(request), Evidence::Nothing))
}

fn indices(answer: &Answer) -> Vec<Vec<u64>> {
    updates(answer)
        .iter()
        .map(|update| {
            update
                .envelopes
                .iter()
                .filter_map(|one| one.index())
                .collect()
        })
        .collect()
}

// P-7.2-a, I-P-7.2-a
#[test]
fn selections_are_answered_in_their_order() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let selections = vec![
        between("mmm/Contact", 1, 1),
        select("mmm_Inbound"),
        select("mmm_Task"),
    ];
    let answer = ask(
        &mut shell,
        &mut laptop,
        selections,
        ConstraintsData::default(),
    );
    assert_eq!(indices(&answer), [vec![1], vec![0], vec![]]);
    let names: Vec<_> = updates(&answer)
        .iter()
        .map(|one| one.container.as_deref())
        .collect();
    assert_eq!(
        names,
        [Some("mmm/Contact"), Some("mmm_Inbound"), Some("mmm_Task")]
    );
    assert_eq!(updates(&answer)[0].index, Some(3));
    assert_eq!(
        (updates(&answer)[2].index, &updates(&answer)[2].digest),
        (Some(0), &None)
    );
}

//
#[test]
fn bounds_beyond_the_container_select_what_there_is() {
    let (mut shell, mut laptop) = alice_with_contacts();
    for (min, max, expected) in [
        (-1, 3, vec![0, 1, 2]),
        (i64::MIN, i64::MAX, vec![0, 1, 2]),
        (2, 1, vec![]),
        (3, 9, vec![]),
        (0, -1, vec![]),
    ] {
        let selections = vec![between("mmm_Contact", min, max)];
        let answer = ask(
            &mut shell,
            &mut laptop,
            selections,
            ConstraintsData::default(),
        );
        assert_eq!(indices(&answer), [expected], "{min}..={max}");
    }
    let answer = ask(
        &mut shell,
        &mut laptop,
        Vec::new(),
        ConstraintsData::default(),
    );
    assert_eq!((code(&answer), updates(&answer).len()), (Code::Ok, 0));
}

// P-7.2-b, P-10.10.2-a
#[test]
fn budgets_bound_the_whole_response_but_one_frame_is_always_sent() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let both = || vec![select("mmm_Contact"), select("mmm_Inbound")];
    let entries = |max_entries, bytes_max| ConstraintsData {
        max_entries,
        bytes_max,
        ..ConstraintsData::default()
    };
    let answer = ask(&mut shell, &mut laptop, both(), entries(Some(2), None));
    assert_eq!(indices(&answer), [vec![0, 1], vec![]]);
    let answer = ask(&mut shell, &mut laptop, both(), entries(None, Some(24)));
    assert_eq!(
        indices(&answer),
        [vec![0, 1], vec![]],
        "24 octets are frame 1 alone"
    );
    let from_1 = vec![between("mmm_Contact", 1, 9)];
    let answer = ask(&mut shell, &mut laptop, from_1, entries(None, Some(1)));
    assert_eq!(indices(&answer), [vec![1]]);
    shell.policy.download_entries_max = 1;
    let answer = ask(&mut shell, &mut laptop, both(), entries(Some(100), None));
    assert_eq!(indices(&answer), [vec![0], vec![]]);
}

// P-10.10.1-b, D17
#[test]
fn part_flags_select_positively_if_any_is_true() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let mut parts = |header, payload, trailer| {
        let constraints = ConstraintsData {
            header,
            payload,
            trailer,
            ..ConstraintsData::default()
        };
        let answer = ask(
            &mut shell,
            &mut laptop,
            vec![between("mmm_Contact", 1, 1)],
            constraints,
        );
        let envelope = updates(&answer)[0].envelopes[0].clone();
        assert_eq!(envelope.index(), Some(1));
        (
            envelope.header.content_meta_data.is_some(),
            !envelope.payload.0.is_empty(),
            envelope.trailer.is_some(),
        )
    };
    assert_eq!(parts(None, None, None), (true, true, true));
    assert_eq!(parts(None, Some(false), None), (true, false, true));
    assert_eq!(parts(Some(true), None, None), (true, false, false));
    assert_eq!(parts(None, Some(true), Some(false)), (false, true, false));
    assert_eq!(
        parts(Some(false), Some(false), Some(false)),
        (false, false, false)
    );
}

//
#[test]
fn times_are_compared_by_whole_seconds() {
    let (mut shell, mut laptop) = alice_with_contacts();
    shell.advance(Duration::from_millis(5_300));
    let later = laptop.upload("mmm_Contact", vec![event(3, "New", "dan", "{}")]);
    assert_eq!(told(&mut shell, later), Code::Ok);
    let mut timed = |not_before, before| {
        let selection = ConstraintsSelect {
            not_before,
            before,
            ..select("mmm_Contact")
        };
        let answer = ask(
            &mut shell,
            &mut laptop,
            vec![selection],
            ConstraintsData::default(),
        );
        indices(&answer).remove(0)
    };
    let second = |seconds| Some(NOON + Duration::from_secs(seconds));
    assert_eq!(timed(second(5), None), [3]);
    assert_eq!(timed(second(6), None), [0; 0]);
    assert_eq!(timed(None, second(5)), [0, 1, 2]);
    assert_eq!(timed(second(0), second(6)), [0, 1, 2, 3]);
}

//
#[test]
fn an_offset_goes_with_exactly_one_entry_and_the_trailer_with_the_last_part() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let mut part = |selection, offset, max| {
        let constraints = ConstraintsData {
            bytes_offset: Some(offset),
            bytes_max: Some(max),
            ..ConstraintsData::default()
        };
        ask(&mut shell, &mut laptop, vec![selection], constraints)
    };
    let whole = "{\"CatalogedContact\":{}}";
    let mut read = Vec::new();
    while read.len() < whole.len() {
        let answer = part(between("mmm_Contact", 1, 1), read.len() as i64, 10);
        let envelope = &updates(&answer)[0].envelopes[0];
        read.extend_from_slice(envelope.payload.as_slice());
        assert_eq!(envelope.trailer.is_some(), read.len() == whole.len());
    }
    assert_eq!(read, whole.as_bytes());
    assert_eq!(
        code(&part(between("mmm_Contact", 1, 2), 0, 10)),
        Code::Malformed
    );
    assert_eq!(
        code(&part(between("mmm_Contact", 1, 1), -1, 10)),
        Code::Malformed
    );
}

// D29
#[test]
fn below_the_floor_frame_0_comes_first_and_then_the_floor() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let Some(Standing::Account(account)) = shell.standings.get_mut(&laptop.address) else {
        panic!()
    };
    let heads: Vec<_> = account.heads.values().cloned().collect();
    for mut head in heads {
        Arc::make_mut(&mut head).floor = 2;
        account.heads.insert(head);
    }
    for (min, expected) in [(0, vec![0, 2]), (1, vec![0, 2]), (2, vec![2])] {
        let selections = vec![between("mmm_Contact", min, 9)];
        let answer = ask(
            &mut shell,
            &mut laptop,
            selections,
            ConstraintsData::default(),
        );
        assert_eq!(indices(&answer), [expected]);
    }
}

// I-P-9.1.2-a in small
#[test]
fn what_was_uploaded_comes_back_as_it_was() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let answer = ask(
        &mut shell,
        &mut laptop,
        vec![between("mmm_Contact", 2, 2)],
        ConstraintsData::default(),
    );
    let envelope = &updates(&answer)[0].envelopes[0];
    let sent = event(2, "New", "carol", "{\"CatalogedContact\":{\"x\":1}}");
    assert_eq!(envelope.header, sent.header);
    assert_eq!(envelope.payload, sent.payload);
    let frames = shell.frames(&laptop.address, "mmm_Contact");
    assert_eq!(envelope.trailer, Some(frames[2].whole_trailer()));
}

#[test]
fn a_container_of_three_thousand_frames_is_paged_by_index() {
    let (mut shell, mut laptop) = alice();
    let mut next = 1;
    let mut frames = vec![first_frame()];
    while next < 3_000_u64 {
        frames.extend((next..next + 499).map(|index| event(index, "New", &index.to_string(), "x")));
        next += 499;
        let upload = laptop.upload("mmm_Task", std::mem::take(&mut frames));
        assert_eq!(code(&shell.perform(upload)), Code::Ok);
    }
    let mut seen = 0;
    let mut pages = 0;
    while seen < next {
        let selections = vec![between("mmm_Task", seen as i64, i64::MAX)];
        let answer = ask(
            &mut shell,
            &mut laptop,
            selections,
            ConstraintsData::default(),
        );
        let page = indices(&answer).remove(0);
        assert!(page.len() <= crate::limits::DOWNLOAD_ENTRIES_MAX);
        assert!(page.iter().copied().eq(seen..seen + page.len() as u64));
        seen += page.len() as u64;
        pages += 1;
    }
    let pages_expected = next.div_ceil(crate::limits::DOWNLOAD_ENTRIES_MAX as u64);
    assert_eq!((seen, pages), (next, pages_expected));
}
