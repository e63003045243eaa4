//! Retention as devices see it: what is gone is gone, and everything proves itself all the same
//! (containers §10, D28).

use std::path::Path;

use mesh_client::Client;
use mesh_client::entries::EntryKind;
use mesh_client::verify::{VerifyReport, verify_export};
use mesh_common::dare::container::is_redacted;
use mesh_common::dare::{ContainerKind, Envelope};
use mesh_common::protocol::{Code, ConstraintsData, ConstraintsSelect, DownloadRequest, Request};
use mesh_tests::polling::find_measure;
use mesh_tests::{Client as Device, TestService, alice, frames};

use crate::hearing::{bookmark, on_its_own, two_folders};

const SUPERSEDED: &str = "mesh_retention_frames_total{reason=\"superseded\"}";
const DELETED: &str = "mesh_retention_frames_total{reason=\"deleted\"}";

/// Waits until so many frames have gone.
fn wait_until_gone(service: &TestService, measure: &str, frames: u64) {
    while find_measure(service.admin_address(), measure).unwrap_or(0) < frames {
        std::thread::yield_now();
    }
}

/// Indices of the redacted frames among `frames`.
fn redacted(frames: &[Envelope]) -> Vec<u64> {
    frames
        .iter()
        .filter_map(|frame| Some((frame.index()?, frame)))
        .filter(|&(index, frame)| is_redacted(index, frame))
        .map(|(index, _)| index)
        .collect()
}

fn must_be_sound(report: &VerifyReport) {
    assert!(report.sound, "{:?}", report.problems);
}

/// Synchronizes the device in `folder`, verifies it, exports it and verifies the export. Returns the
/// indices of the bookmarks that are redacted there, and how many live.
fn looked_through(folder: &Path, export: &Path) -> (Vec<u64>, usize) {
    on_its_own(async || {
        let mut client = Client::open(folder).unwrap();
        client.sync(None).await.unwrap();
        must_be_sound(&client.verify().unwrap());
        client.export(export).unwrap();
        must_be_sound(&verify_export(export).unwrap());
        let name = ContainerKind::Bookmark.name().unwrap();
        let gone = redacted(client.replica(&name).unwrap().frames());
        let live = client.list(EntryKind::Bookmark).unwrap().entries.len();
        (gone, live)
    })
}

// S-6.1-c
#[test]
fn a_device_that_comes_late_proves_what_it_never_saw() {
    let (service, one, other) = two_folders(|config| {
        config.backend.retention_interval_s = 1;
        config.backend.upkeep_interval_s = 1;
        config.backend.policy.retention.superseded_s = 1;
    });
    on_its_own(async || {
        let mut client = Client::open(&one).unwrap();
        for path in ["a", "b", "c"] {
            client
                .add(&bookmark(path, "https://example.org/first"))
                .unwrap();
        }
        client
            .replace("a", &bookmark("a", "https://example.org/second"))
            .unwrap();
        client.delete(EntryKind::Bookmark, "b").unwrap();
        client.sync(None).await.unwrap();
    });
    wait_until_gone(&service, SUPERSEDED, 2);
    let late = looked_through(&other, &service.scratch().join("late"));
    assert_eq!(late, (vec![1, 2], 2), "frames 1 and 2 were a and b");
    let early = looked_through(&one, &service.scratch().join("early"));
    assert_eq!(early, (vec![], 2), "who has them keeps them");
    // Both go on from there.
    on_its_own(async || {
        let mut client = Client::open(&other).unwrap();
        client.add(&bookmark("d", "https://example.org")).unwrap();
        client.sync(None).await.unwrap();
    });
    let early = looked_through(&one, &service.scratch().join("again"));
    assert_eq!(early, (vec![], 3));
}

// S-6.1-d
#[test]
fn a_deleted_message_is_served_without_its_payload() {
    let service = TestService::with(|config| {
        config.backend.retention_interval_s = 1;
        config.backend.upkeep_interval_s = 1;
        config.backend.policy.retention.deleted_s = 1;
    });
    let mut client = Device::of_new_account_with_device(&service, &alice());
    let note = |id| frames::message("RequestTask", id, &format!("{{\"MessageID\":\"{id}\"}}"));
    let messages = vec![
        note("one"),
        note("two"),
        frames::completion("done", "one", "Deleted"),
    ];
    let upload = frames::upload_all(Vec::new(), messages);
    client.ask(&upload).must_be(Code::Ok);
    let before = client.ask(&frames::status_of("mmm_Inbound"));
    wait_until_gone(&service, DELETED, 1);
    let answer = client.ask(&frames::download("mmm_Inbound"));
    let update = &answer.must_be(Code::Ok).download().updates[0];
    assert_eq!(redacted(&update.envelopes), [1]);
    let row = &before.status().container_status[0];
    assert_eq!((update.index, &update.digest), (row.index, &row.digest));
    // A slice of nothing is nothing.
    let slice = Request::Download(DownloadRequest {
        constraints_post: Some(ConstraintsData {
            bytes_offset: Some(0),
            bytes_max: Some(10),
            ..ConstraintsData::default()
        }),
        select: vec![ConstraintsSelect {
            container: Some("mmm_Inbound".into()),
            index_min: Some(1),
            index_max: Some(1),
            ..ConstraintsSelect::default()
        }],
        ..DownloadRequest::default()
    });
    let answer = client.ask(&slice);
    let update = &answer.must_be(Code::Ok).download().updates[0];
    assert_eq!(redacted(&update.envelopes), [1]);
}
