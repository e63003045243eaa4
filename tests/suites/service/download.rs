//! Download: the frames of some containers (service §5.5, containers §8.3, decision Q-30).

use mesh_common::dare::merkle::payload_digest;
use mesh_common::dare::{DigestStack, Envelope};
use mesh_common::limits::DOWNLOAD_ENTRIES_MAX;
use mesh_common::protocol::{
    Code, ConstraintsData, ConstraintsSelect, ContainerUpdate, DownloadRequest, Request,
};
use mesh_tests::client::now;
use mesh_tests::frames::BOOKMARKS;
use mesh_tests::{Client, TestService, frames};
use serde_json::json;

use crate::{alices_service, with_phone};

fn alices_bookmarks(count: u64) -> (TestService, Client) {
    let (service, mut client) = alices_service();
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(count)))
        .must_be(Code::Ok);
    (service, client)
}

fn selected(min: Option<i64>, max: Option<i64>) -> ConstraintsSelect {
    ConstraintsSelect {
        container: Some(BOOKMARKS.into()),
        index_min: min,
        index_max: max,
        ..ConstraintsSelect::default()
    }
}

fn constrained(select: ConstraintsSelect, constraints: ConstraintsData) -> Request {
    Request::Download(DownloadRequest {
        select: vec![select],
        constraints_post: Some(constraints),
        ..DownloadRequest::default()
    })
}

/// The one update of an answer.
fn update_of(client: &mut Client, request: &Request) -> ContainerUpdate {
    let answer = client.ask(request);
    answer.must_be(Code::Ok).download().updates[0].clone()
}

fn indices(update: &ContainerUpdate) -> Vec<u64> {
    update
        .envelopes
        .iter()
        .map(|frame| frame.index().unwrap())
        .collect()
}

// P-7.2-a, P-10.10.1-a
#[test]
fn an_index_selects_from_and_to() {
    let (_service, mut client) = alices_bookmarks(4);
    for (min, max, expected) in [
        (None, None, vec![0, 1, 2, 3, 4]),
        (Some(-1), Some(5), vec![0, 1, 2, 3, 4]),
        (Some(2), Some(3), vec![2, 3]),
        (Some(4), None, vec![4]),
        (Some(5), None, vec![]),
        (Some(3), Some(1), vec![]),
        (Some(0), Some(0), vec![0]),
    ] {
        let request = frames::download_select(vec![selected(min, max)]);
        let update = update_of(&mut client, &request);
        assert_eq!(indices(&update), expected, "{min:?} to {max:?}");
        assert_eq!(update.index, Some(5));
        assert_eq!(update.digest, frames::apex(&frames::catalog(4)));
    }
}

// P-7.2-a, I-P-7.2.2-a
#[test]
fn a_time_selects_by_when_frames_were_committed() {
    let (_service, mut client) = alices_bookmarks(2);
    let message = frames::completion("complete-1", "message-1", "Read");
    client
        .ask(&frames::upload_all(Vec::new(), vec![message]))
        .must_be(Code::Ok);
    let hour = std::time::Duration::from_secs(3_600);
    for container in [BOOKMARKS, "mmm_Inbound"] {
        let all = update_of(&mut client, &frames::download(container))
            .envelopes
            .len();
        for (not_before, before, expected) in [
            (Some(now() - hour), None, all),
            (Some(now() + hour), None, 0),
            (None, Some(now() + hour), all),
            (None, Some(now() - hour), 0),
            (Some(now() - hour), Some(now() + hour), all),
        ] {
            let select = ConstraintsSelect {
                container: Some(container.into()),
                not_before,
                before,
                ..ConstraintsSelect::default()
            };
            let update = update_of(&mut client, &frames::download_select(vec![select]));
            assert_eq!(update.envelopes.len(), expected, "{container}");
        }
    }
}

// P-10.10.1-b, P-7.2-a
#[test]
fn parts_of_frames_are_left_out_when_some_are_asked_for() {
    let (_service, mut client) = alices_bookmarks(1);
    let parts = |header, payload, trailer| ConstraintsData {
        header,
        payload,
        trailer,
        ..ConstraintsData::default()
    };
    let one = || selected(Some(1), Some(1));
    let frame = |client: &mut Client, constraints| {
        update_of(client, &constrained(one(), constraints))
            .envelopes
            .remove(0)
    };
    let whole = frame(&mut client, parts(None, None, None));
    assert_eq!(whole.payload.as_slice(), b"sealed entry 1");
    let trailer = whole.trailer.clone().unwrap();
    assert!(trailer.payload_digest.is_some() && trailer.tree_digest.is_some());
    let header_only = frame(&mut client, parts(Some(true), None, None));
    assert!(header_only.payload.0.is_empty() && header_only.trailer.is_none());
    assert_eq!(header_only.header, whole.header);
    let payload_only = frame(&mut client, parts(None, Some(true), Some(false)));
    assert_eq!(payload_only.payload, whole.payload);
    assert!(payload_only.trailer.is_none());
    assert_eq!(payload_only.index(), Some(1), "the index always comes");
}

// P-7.2-b, P-10.10.2-a, P-10.10.2-b, P-10.10.2-c
#[test]
fn three_thousand_frames_come_in_pages() {
    let (_service, mut client) = alices_bookmarks(499);
    for upload in 1..6 {
        let first = upload * 500;
        let entries = (first..first + 500)
            .map(|index| frames::event(index, "New", &format!("entry-{index}"), b"sealed"))
            .collect();
        client
            .ask(&frames::upload(BOOKMARKS, entries))
            .must_be(Code::Ok);
    }
    let mut replica: Vec<Envelope> = Vec::new();
    let mut pages = Vec::new();
    let apex = loop {
        let next = replica.len() as i64;
        let request = frames::download_select(vec![selected(Some(next), None)]);
        let update = update_of(&mut client, &request);
        pages.push(update.envelopes.len());
        replica.extend(update.envelopes);
        if replica.len() as u64 == update.index.unwrap() {
            break update.digest;
        }
    };
    assert_eq!(
        pages,
        [
            DOWNLOAD_ENTRIES_MAX,
            DOWNLOAD_ENTRIES_MAX,
            3_000 - 2 * 1_024
        ]
    );
    assert!(
        replica
            .iter()
            .enumerate()
            .all(|(at, frame)| frame.index() == Some(at as u64))
    );
    assert_eq!(frames::apex(&replica), apex);
}

// P-10.10.2-a, X-60
#[test]
fn a_response_has_at_most_4_mib_of_payload_and_at_least_one_frame() {
    let (_service, mut client) = alices_bookmarks(0);
    let large = |index: u64| {
        frames::event(
            index,
            "New",
            &format!("large-{index}"),
            &vec![7; 256 * 1024],
        )
    };
    for pair in 0..9 {
        let entries = vec![large(2 * pair + 1), large(2 * pair + 2)];
        client
            .ask(&frames::upload(BOOKMARKS, entries))
            .must_be(Code::Ok);
    }
    let all = update_of(&mut client, &frames::download(BOOKMARKS));
    assert_eq!(
        indices(&all),
        (0..=16).collect::<Vec<_>>(),
        "16 times 256 KiB are 4 MiB"
    );
    let little = ConstraintsData {
        bytes_max: Some(10),
        ..ConstraintsData::default()
    };
    let one = update_of(&mut client, &constrained(selected(Some(3), None), little));
    assert_eq!(indices(&one), [3]);
    let two = ConstraintsData {
        max_entries: Some(2),
        ..ConstraintsData::default()
    };
    let some = update_of(&mut client, &constrained(selected(Some(3), None), two));
    assert_eq!(indices(&some), [3, 4]);
}

#[test]
fn one_payload_comes_in_parts() {
    let (_service, mut client) = alices_bookmarks(1);
    let mut payload = Vec::new();
    for offset in [0, 5, 10] {
        let part = ConstraintsData {
            bytes_offset: Some(offset),
            bytes_max: Some(5),
            ..ConstraintsData::default()
        };
        let request = constrained(selected(Some(1), Some(1)), part);
        let update = update_of(&mut client, &request);
        payload.extend_from_slice(update.envelopes[0].payload.as_slice());
        assert_eq!(
            update.envelopes[0].trailer.is_some(),
            offset == 10,
            "with the last part"
        );
    }
    assert_eq!(payload, b"sealed entry 1");
}

// I-P-7.2-a
#[test]
fn each_selection_has_its_update_in_the_same_order() {
    let (_service, mut client) = alices_bookmarks(2);
    let select = |container: &str| ConstraintsSelect {
        container: Some(container.into()),
        ..ConstraintsSelect::default()
    };
    let names = ["mmm_Bookmark", "mmm_Inbound", "mmm_Network", "mmm_Device"];
    let answer = client.ask(&frames::download_select(names.map(select).into()));
    let updates = &answer.must_be(Code::Ok).download().updates;
    assert!(
        updates
            .iter()
            .map(|update| update.container.as_deref())
            .eq(names.map(Some))
    );
    let counts: Vec<_> = updates
        .iter()
        .map(|update| update.envelopes.len())
        .collect();
    assert_eq!(counts, [3, 1, 0, 2], "what is absent has no frames");
}

// S-5-a
#[test]
fn a_frame_comes_back_as_it_went() {
    let (_service, mut client) = alices_bookmarks(0);
    let mut frame = frames::event(1, "New", "entry-1", b"\x00\xff sealed");
    frame
        .header
        .extra
        .insert("Later".into(), json!({"x": [1, {"y": null}]}));
    let mut meta = frame.header.content_meta().unwrap();
    meta.extra.insert("Rating".into(), json!(5));
    meta.labels = vec!["one".into(), "two".into()];
    frame.header = frame.header.clone().with_content_meta(&meta);
    client
        .ask(&frames::upload(BOOKMARKS, vec![frame.clone()]))
        .must_be(Code::Ok);
    let update = update_of(&mut client, &frames::download(BOOKMARKS));
    assert_eq!(update.envelopes[1].payload, frame.payload);
    assert_eq!(update.envelopes[1].header, frame.header);
}

// S-4.1.1.3-a, S-4.1.1.3-b
#[test]
fn a_second_device_has_the_same_device_catalog() {
    let (service, mut client) = alices_service();
    let (_phone, mut on_phone) = with_phone(&service, &mut client);
    let mine = update_of(&mut client, &frames::download(frames::DEVICES));
    let theirs = update_of(&mut on_phone, &frames::download(frames::DEVICES));
    assert_eq!(mine, theirs);
    let mut digests = DigestStack::new();
    for frame in &theirs.envelopes {
        digests.append(&payload_digest(frame.payload.as_slice()));
    }
    let apex = digests.apex().map(|apex| apex.to_vec());
    assert_eq!(theirs.digest.map(|digest| digest.0), apex);
}
