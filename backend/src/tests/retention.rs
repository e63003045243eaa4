//! What is not kept for good goes when its time has come, and nothing else does (containers §10, D28,
//! D29).

use mesh_common::account::{AccountPolicy, Retention};
use mesh_common::dare::merkle::EMPTY_PAYLOAD_DIGEST;
use mesh_common::dare::{Digest64, Header};

use super::*;
use crate::store::Faults;

const INBOUND: &str = "mmm_Inbound";
const HOUR: Duration = Duration::from_secs(3_600);
/// Longer than between two looks.
const A_LOOK: Duration = Duration::from_secs(61);

const NEVER: Retention = Retention {
    superseded_s: 0,
    deleted_s: 0,
    read_s: 0,
    purge_s: 0,
};

fn config(retention: Retention) -> BackendConfig {
    BackendConfig {
        retention_interval_s: 60,
        policy: AccountPolicy {
            retention,
            ..AccountPolicy::default()
        },
        ..BackendConfig::default()
    }
}

async fn scene(retention: Retention) -> (Scene<MemoryStore>, Person) {
    let scene = Scene::over(MemoryStore::new(), config(retention)).await;
    let alice = Person::new("alice");
    scene.create(&alice).await;
    (scene, alice)
}

fn with_meta(mut envelope: Envelope, meta: &ContentMeta) -> Envelope {
    envelope.header = envelope.header.with_content_meta(meta);
    envelope
}

/// An encrypted event of a catalog.
fn event(index: u64, event: &str, id: &str, payload: &str) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(id.into()),
        event: Some(event.into()),
        ..ContentMeta::default()
    };
    let mut envelope = with_meta(Envelope::plain(payload), &meta);
    envelope.header.container_info = Some(ContainerInfo {
        index: Some(index),
        ..ContainerInfo::default()
    });
    if event != "Delete" {
        envelope.header.enc = Some("A256CBC".into());
        envelope.header.salt = Some(Binary(vec![1; 16]));
    }
    envelope
}

fn message(tag: &str, id: &str, body: &str) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(id.into()),
        message_type: Some(tag.into()),
        ..ContentMeta::default()
    };
    with_meta(Envelope::plain(format!("{{\"{tag}\":{body}}}")), &meta)
}

fn note(id: &str) -> Envelope {
    message("RequestTask", id, &format!("{{\"MessageID\":\"{id}\"}}"))
}

fn completion(id: &str, target: &str, relationship: &str) -> Envelope {
    let reference = format!("{{\"MessageID\":\"{target}\",\"Relationship\":\"{relationship}\"}}");
    message(
        "MessageComplete",
        id,
        &format!("{{\"References\":[{reference}]}}"),
    )
}

/// What a Download of a container shows: index and header, payload, payload digest of each frame.
struct Shown {
    frames: Vec<(u64, Header, String, Digest64)>,
}

impl Shown {
    fn payloads(&self) -> Vec<&str> {
        self.frames.iter().map(|frame| frame.2.as_str()).collect()
    }

    /// Indices of the frames that had content and have none.
    fn redacted(&self) -> Vec<u64> {
        let is_redacted = |frame: &&(u64, Header, String, Digest64)| {
            frame.2.is_empty() && frame.3 != EMPTY_PAYLOAD_DIGEST
        };
        self.frames
            .iter()
            .filter(is_redacted)
            .map(|frame| frame.0)
            .collect()
    }
}

impl<S: Store> Scene<S> {
    /// Uploads and insists that it is taken.
    async fn put(&self, person: &Person, container: &str, envelopes: Vec<Envelope>) {
        let update = ContainerUpdate {
            container: Some(container.into()),
            envelopes,
            ..ContainerUpdate::default()
        };
        let upload = UploadRequest {
            updates: vec![update],
            ..UploadRequest::default()
        };
        self.upload_whole(person, upload).await;
    }

    async fn post(&self, person: &Person, self_messages: Vec<Envelope>) {
        let upload = UploadRequest {
            self_messages,
            ..UploadRequest::default()
        };
        self.upload_whole(person, upload).await;
    }

    async fn upload_whole(&self, person: &Person, upload: UploadRequest) {
        let request = person.request(self.now(), Via::Ticket, Request::Upload(upload));
        let (code, response) = self.ask(request).await;
        assert_eq!(code, Code::Ok, "{response:?}");
    }

    /// Everything of a container, checked: payloads that are there fit their digests, and the digests
    /// give the apex that Status states.
    async fn shown(&self, person: &Person, container: &str) -> Shown {
        let select = ConstraintsSelect {
            container: Some(container.into()),
            ..ConstraintsSelect::default()
        };
        let request = DownloadRequest {
            select: vec![select],
            ..DownloadRequest::default()
        };
        let request = person.request(self.now(), Via::Ticket, Request::Download(request));
        let (Code::Ok, Response::Download(download)) = self.ask(request).await else {
            panic!("a Download was refused");
        };
        let update = &download.updates[0];
        let (mut frames, mut digests) = (Vec::new(), DigestStack::new());
        for envelope in &update.envelopes {
            let digest: Digest64 = envelope
                .payload_digest()
                .unwrap()
                .as_slice()
                .try_into()
                .unwrap();
            if !envelope.payload.0.is_empty() {
                assert_eq!(payload_digest(envelope.payload.as_slice()), digest);
            }
            let tree = digests.append(&digest);
            let is_whole = update.index == Some(update.envelopes.len() as u64);
            if is_whole {
                assert_eq!(envelope.tree_digest(), Some(&Binary::from(tree)));
            }
            let text = String::from_utf8(envelope.payload.0.clone()).unwrap();
            frames.push((
                envelope.index().unwrap(),
                envelope.header.clone(),
                text,
                digest,
            ));
        }
        let rows = self.status(person).await;
        let row = rows
            .iter()
            .find(|row| row.container.as_deref() == Some(container));
        assert_eq!(row.unwrap().digest, update.digest);
        if update.index == Some(frames.len() as u64) {
            assert_eq!(digests.apex().map(Binary::from), update.digest);
        }
        Shown { frames }
    }

    /// Lets `time` pass, then everything is done that is due.
    async fn later(&self, time: Duration) {
        self.clock.advance(time);
        self.backend.tend().await;
    }

    fn gone(&self, reason: &str) -> u64 {
        let frames = &self.backend.metrics().retention_frames;
        frames.with_label_values(&[reason]).get()
    }
}

// S-6.1-c, X-57
#[actix::test]
async fn replaced_payloads_go_with_their_salt_and_live_ones_stay() {
    let (scene, alice) = scene(Retention {
        superseded_s: 3_600,
        ..NEVER
    })
    .await;
    let frames = vec![
        first_frame(),
        event(1, "New", "a", "first a"),
        event(2, "Update", "a", "second a"),
        event(3, "New", "b", "only b"),
        event(4, "Delete", "b", ""),
        event(5, "New", "c", "only c"),
    ];
    scene.put(&alice, BOOKMARKS, frames).await;
    let before = scene.status(&alice).await;
    scene.later(HOUR - A_LOOK).await;
    let shown = scene.shown(&alice, BOOKMARKS).await;
    assert_eq!(shown.redacted(), [0_u64; 0], "not yet");
    scene.later(2 * A_LOOK).await;
    let shown = scene.shown(&alice, BOOKMARKS).await;
    assert_eq!(shown.payloads(), ["", "", "second a", "", "", "only c"]);
    assert_eq!(shown.redacted(), [1, 3]);
    let (gone, live) = (&shown.frames[1].1, &shown.frames[2].1);
    assert!(gone.salt.is_none() && gone.malt.is_some());
    assert_eq!(gone.enc.as_deref(), Some("A256CBC"));
    assert!(live.salt.is_some() && live.malt.is_none());
    assert_eq!(
        scene.status(&alice).await,
        before,
        "nobody has anything new"
    );
    assert_eq!(scene.gone("superseded"), 2);
    assert_eq!(scene.backend.tend().await, 0, "and that is all");
}

// S-6.1-c, S-6.1-d
#[actix::test]
async fn deleted_messages_go_first_read_ones_later_and_unread_ones_stay() {
    let (scene, alice) = scene(Retention {
        deleted_s: 3_600,
        read_s: 7_200,
        ..NEVER
    })
    .await;
    let notes = ["deleted", "read", "unread", "revived", "accepted"];
    scene.post(&alice, notes.map(note).into()).await;
    let words = [
        completion("c1", "deleted", "Deleted"),
        completion("c2", "read", "Read"),
        completion("c3", "revived", "Deleted"),
        completion("c4", "revived", "Unread"),
        completion("c5", "accepted", "Accept"),
        completion("c6", "nobody", "Deleted"),
    ];
    scene.post(&alice, words.into()).await;
    scene.later(HOUR + A_LOOK).await;
    let shown = scene.shown(&alice, INBOUND).await;
    assert_eq!(shown.redacted(), [1]);
    scene.later(HOUR).await;
    let shown = scene.shown(&alice, INBOUND).await;
    assert_eq!(shown.redacted(), [1, 2, 5]);
    assert_eq!((scene.gone("deleted"), scene.gone("read")), (1, 2));
    assert_eq!(shown.frames.len(), 12, "completions stay");
}

#[actix::test]
async fn without_room_everything_stays_whole_and_goes_later() {
    let (scene, alice) = scene(Retention {
        superseded_s: 3_600,
        ..NEVER
    })
    .await;
    all_replaced(&scene, &alice, 5).await;
    let before = scene.status(&alice).await;
    scene.store.set_faults(Faults {
        full: 1_000,
        ..Faults::default()
    });
    scene.later(HOUR + A_LOOK).await;
    let shown = scene.shown(&alice, BOOKMARKS).await;
    assert_eq!(shown.redacted(), [0_u64; 0]);
    assert_eq!(scene.gone("superseded"), 0);
    scene.store.set_faults(Faults::default());
    scene.later(A_LOOK).await;
    let shown = scene.shown(&alice, BOOKMARKS).await;
    assert_eq!(shown.redacted(), [1, 2, 3, 4, 5]);
    assert_eq!(scene.gone("superseded"), 5);
    assert_eq!(scene.status(&alice).await, before);
}

#[actix::test]
async fn a_completion_that_cannot_be_read_marks_nothing() {
    let (scene, alice) = scene(Retention {
        deleted_s: 60,
        read_s: 60,
        ..NEVER
    })
    .await;
    let mut sealed = completion("c1", "one", "Deleted");
    sealed.header.enc = Some("A256CBC".into());
    scene.post(&alice, vec![note("one"), sealed]).await;
    scene.later(HOUR).await;
    let shown = scene.shown(&alice, INBOUND).await;
    assert_eq!(shown.redacted(), [0_u64; 0]);
}

#[actix::test]
async fn what_is_gone_gives_its_octets_back() {
    let mut settings = config(Retention {
        superseded_s: 60,
        ..NEVER
    });
    settings.policy.account_bytes_max = 100_000;
    let scene = Scene::over(MemoryStore::new(), settings).await;
    let alice = Person::new("alice");
    scene.create(&alice).await;
    let large = "x".repeat(60_000);
    let frames = vec![first_frame(), event(1, "New", "a", &large)];
    scene.put(&alice, BOOKMARKS, frames).await;
    let deleted = vec![event(2, "Delete", "a", "")];
    scene.put(&alice, BOOKMARKS, deleted).await;
    let update = ContainerUpdate {
        container: Some(BOOKMARKS.into()),
        envelopes: vec![event(3, "New", "b", &large)],
        ..ContainerUpdate::default()
    };
    let upload = || {
        let upload = UploadRequest {
            updates: vec![update.clone()],
            ..UploadRequest::default()
        };
        alice.request(scene.now(), Via::Ticket, Request::Upload(upload))
    };
    assert_eq!(scene.ask(upload()).await.0, Code::QuotaExceeded);
    scene.later(2 * A_LOOK).await;
    assert!(scene.backend.metrics().retention_octets.get() >= 59_000);
    assert_eq!(scene.ask(upload()).await.0, Code::Ok);
    // A retry of what is redacted is still known for what it is.
    let again = vec![event(1, "New", "a", &large)];
    scene.put(&alice, BOOKMARKS, again).await;
    assert_eq!(scene.bookmarks(&alice).await.0, 4);
}

/// A catalog with `count` entries, all of them replaced.
async fn all_replaced<S: Store>(scene: &Scene<S>, person: &Person, count: u64) {
    scene.put(person, BOOKMARKS, vec![first_frame()]).await;
    for (word, base) in [("New", 1), ("Update", 1 + count)] {
        let events = (0..count).map(|number| {
            let payload = format!("{word} {number}");
            event(base + number, word, &format!("e{number}"), &payload)
        });
        scene.put(person, BOOKMARKS, events.collect()).await;
    }
}

#[actix::test]
async fn the_work_goes_on_after_a_restart_where_it_stopped() {
    let retention = Retention {
        superseded_s: 60,
        ..NEVER
    };
    let (mut scene, alice) = scene(retention).await;
    all_replaced(&scene, &alice, 200).await;
    // The partition does not run: nobody but these rounds does the work.
    scene.backend.stop().await;
    scene.clock.advance(2 * A_LOOK);
    let home = PartitionId::of(&alice.address);
    let mut restarts = 0;
    loop {
        scene.backend = start(&scene.store, config(retention), &scene.clock).await;
        let more = scene.backend.tend_one(home).await.more;
        let redacted = scene.shown(&alice, BOOKMARKS).await.redacted();
        let whole: Vec<u64> = (1..=redacted.len() as u64).collect();
        assert_eq!(redacted, whole, "in their order, none twice, none left out");
        if !more && redacted.len() == 200 {
            break;
        }
        scene.backend.stop().await;
        restarts += 1;
        assert!(restarts < 20, "the work comes to an end");
    }
}

#[actix::test]
async fn a_period_that_is_set_later_is_for_what_was_there_before() {
    let (mut scene, alice) = scene(NEVER).await;
    all_replaced(&scene, &alice, 3).await;
    scene.later(HOUR).await;
    assert_eq!(scene.shown(&alice, BOOKMARKS).await.redacted(), [0_u64; 0]);
    scene.backend.stop().await;
    let retention = Retention {
        superseded_s: 60,
        ..NEVER
    };
    scene.backend = start(&scene.store, config(retention), &scene.clock).await;
    scene.later(31 * A_LOOK).await;
    assert_eq!(scene.shown(&alice, BOOKMARKS).await.redacted(), [1, 2, 3]);
}

#[actix::test]
async fn a_beginning_that_is_gone_through_is_removed_and_digests_go_on() {
    let (scene, alice) = scene(Retention {
        deleted_s: 60,
        purge_s: 3_600,
        ..NEVER
    })
    .await;
    for number in 0..80 {
        let id = format!("n{number}");
        scene.post(&alice, vec![note(&id)]).await;
        let word = completion(&format!("c{number}"), &id, "Deleted");
        scene.post(&alice, vec![word]).await;
    }
    scene.post(&alice, vec![note("kept"), note("other")]).await;
    let whole = scene.shown(&alice, INBOUND).await;
    let before = scene.status(&alice).await;
    scene.later(2 * A_LOOK).await;
    assert_eq!(scene.shown(&alice, INBOUND).await.redacted().len(), 80);
    scene.later(HOUR).await;
    assert_eq!(scene.status(&alice).await, before);
    let shown = scene.shown(&alice, INBOUND).await;
    let indices: Vec<u64> = shown.frames.iter().map(|frame| frame.0).collect();
    assert_eq!(indices, [0, 161, 162], "frame 0, then the floor");
    assert_eq!(scene.gone("purged"), 160);
    // The container goes on as if nothing had happened.
    scene.post(&alice, vec![note("later")]).await;
    let mut digests = DigestStack::new();
    for frame in &whole.frames {
        digests.append(&frame.3);
    }
    digests.append(&payload_digest(note("later").payload.as_slice()));
    let rows = scene.status(&alice).await;
    let row = rows
        .iter()
        .find(|row| row.container.as_deref() == Some(INBOUND));
    let row = row.unwrap();
    assert_eq!(
        (row.index, row.digest.clone()),
        (Some(164), digests.apex().map(Binary::from))
    );
    // A message whose id was purged is a new one.
    scene
        .post(&alice, vec![completion("last", "kept", "Read")])
        .await;
}

/// Any order of writing, retrying and letting time pass leaves a history that proves itself
/// (containers §13).
#[actix::test]
async fn whatever_goes_the_history_stays_the_one_that_was_written() {
    for seed in 0..8_u64 {
        let (scene, alice) = scene(Retention {
            superseded_s: 120,
            ..NEVER
        })
        .await;
        scene.put(&alice, BOOKMARKS, vec![first_frame()]).await;
        let (mut written, mut live) = (vec![String::new()], [false; 4]);
        let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for _ in 0..40 {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let (entry, index) = ((chance % 4) as usize, written.len() as u64);
            let payload = format!("payload {index}");
            let word = match ((chance >> 8) % 4, live[entry]) {
                (0, _) => {
                    scene.later(Duration::from_secs(chance >> 16 & 0x7f)).await;
                    continue;
                }
                (1, true) => "Delete",
                (_, true) => "Update",
                (_, false) => "New",
            };
            live[entry] = word != "Delete";
            let payload = if live[entry] { payload } else { String::new() };
            let frame = event(index, word, &format!("e{entry}"), &payload);
            scene.put(&alice, BOOKMARKS, vec![frame.clone()]).await;
            written.push(payload);
            if chance >> 32 & 1 == 1 {
                scene.put(&alice, BOOKMARKS, vec![frame]).await;
            }
        }
        let shown = scene.shown(&alice, BOOKMARKS).await;
        let mut digests = DigestStack::new();
        for (payload, frame) in written.iter().zip(&shown.frames) {
            digests.append(&payload_digest(payload.as_bytes()));
            assert!(frame.2.is_empty() || frame.2 == *payload);
        }
        assert_eq!(
            scene.bookmarks(&alice).await.1,
            digests.apex().map(Binary::from)
        );
    }
}
