//! What stands in the store stays readable: one row of every kind against a file that only changes
//! with a migration, and every row read back.

use std::fmt::Write as _;
use std::sync::Arc;

use mesh_common::account::change::{Tombstone, UniqueRow};
use mesh_common::account::state::{
    AccountStatus, Bootstrap, BootstrapPhase, Import, ProfileVersion,
};
use mesh_common::account::{
    AccountId, AccountRecord, DeviceEntry, Head, IntakeBody, IntakeId, MessageOutcome, Needs,
    Standing,
};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::DeviceFacts;
use mesh_common::cluster::{Answer, SigningKeys};
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::protocol::{Outcome, Response, Transaction};
use mesh_common::session::RequestId;
use mesh_common::spool::MessageState;
use mesh_common::udf::Udf;

use super::*;
use crate::partition::reading;
use crate::store::{MemoryStore, Store as _, TxOptions};

mod received;
mod sent;

const GOLDEN: &str = include_str!("golden.txt");

const BATCH: BatchId = BatchId([0xbb; 16]);

fn account_id() -> AccountId {
    let mut octets = [0xaa; 16];
    octets[..2].copy_from_slice(&[0x01, 0x02]);
    AccountId::from_octets(octets)
}

fn udf(text: &str) -> Udf {
    Udf::present(text.as_bytes(), 140)
}

fn moment() -> Timestamp {
    "2026-02-03T04:05:06.789Z".parse().unwrap()
}

fn version() -> ProfileVersion {
    ProfileVersion {
        updated: Some(moment()),
        digest: [1; 64],
    }
}

fn record() -> AccountRecord {
    AccountRecord {
        id: account_id(),
        address: AccountAddress::parse("Alice@example.com").unwrap(),
        status: AccountStatus::Connected,
        created_at: moment(),
        profile_mesh: Envelope::plain(b"mesh".as_slice()),
        profile_account: Envelope::plain(b"account".as_slice()),
        keys: SigningKeys {
            profile_version: 3,
            mesh_udf: udf("mesh"),
            mesh_keys: vec![vec![1, 2, 3]],
            account_udf: udf("account"),
            account_keys: vec![vec![4, 5, 6]],
        },
        mesh: version(),
        account: version(),
        bootstrap: Bootstrap {
            keys: vec![udf("bootstrap")],
            phase: BootstrapPhase::Closed,
        },
        bytes_max: None,
    }
}

fn head() -> Head {
    let name = ContainerName::parse("mmm_Bookmark").unwrap();
    let mut head = Head::new(3, &name, Import::Closed);
    head.digests.append(&[2; 64]);
    head.live_octets = 77;
    head.committed_at = moment();
    head
}

fn frame() -> FrameRecord {
    let envelope: Envelope = mesh_common::encoding::json::parse(
        br#"[{"enc":"A256CBC","Later":[1]},"",{"signatures":[{"kid":"M"}]}]"#,
    )
    .unwrap();
    FrameRecord {
        committed_at: moment(),
        event: Some("New".into()),
        unique_id: Some("entry".into()),
        message_type: None,
        payload_digest: [3; 64],
        tree_digest: [4; 64],
        payload_octets: 5,
        envelope_octets: 60,
        redacted: false,
        header: envelope.header,
        info: mesh_common::dare::ContainerInfo::default(),
        trailer: envelope.trailer.unwrap(),
    }
}

fn device() -> DeviceEntry {
    DeviceEntry {
        frame: 1,
        facts: Some(DeviceFacts {
            device_udf: udf("device"),
            profile_keys: vec![udf("profile key")],
            device_key: Some(udf("device key")),
            connection_digests: vec![[6; 32]],
            lists_permissions: true,
            is_administrator: true,
        }),
    }
}

fn message() -> (MessageKey, MessageRow) {
    let key = MessageKey {
        container: 0,
        sender: "bob@example.com".into(),
        unique_id: "message".into(),
    };
    let row = MessageRow {
        index: 4,
        payload_digest: [7; 64],
        committed_at: moment(),
    };
    (key, row)
}

fn replay() -> (ReplayKey, ReplayRow) {
    let key = ReplayKey {
        key_udf: udf("profile key"),
        request_id: RequestId([8; 16]),
    };
    let row = ReplayRow {
        request_digest: [9; 64],
        committed_at: moment(),
        response: Response::with_outcome(Some(Transaction::Upload), Outcome::ok()),
    };
    (key, row)
}

fn unique() -> UniqueRow {
    UniqueRow {
        first: 1,
        last: 2,
        live: true,
    }
}

/// One row of every kind but those of a deletion.
fn changes() -> Vec<Change> {
    let (message_key, message_row) = message();
    let (replay_key, replay_row) = replay();
    vec![
        Change::Directory(DirectoryEntry::Account(account_id())),
        Change::Account(Arc::new(record())),
        Change::Tip(Tip {
            change_seq: 5,
            bytes_used: 1_000,
        }),
        Change::Head(Arc::new(head())),
        Change::Frame {
            container: 3,
            index: 1,
            record: Box::new(frame()),
            payload: Arc::from(b"hello".as_slice()),
        },
        Change::Unique {
            container: 3,
            unique_id: "entry".into(),
            row: unique(),
        },
        Change::Superseded {
            container: 3,
            index: 1,
            by: 2,
        },
        Change::Message {
            key: message_key,
            row: message_row,
        },
        Change::Device {
            unique_id: udf("device").to_string(),
            entry: Some(device()),
        },
        Change::Retired(udf("old key")),
        Change::Replay {
            key: replay_key,
            row: Box::new(replay_row),
        },
        Change::Connection {
            message_id: "NAAA".into(),
            row: Some(waiting()),
        },
    ]
}

fn waiting() -> PendingConnection {
    PendingConnection {
        response_ids: vec![udf("one form"), udf("other form")],
        device: udf("device"),
        expires_at: moment(),
        answered_at: Some(moment()),
    }
}

fn tombstone() -> Tombstone {
    Tombstone {
        account: account_id(),
        mesh_udf: udf("mesh"),
        mesh: version(),
        account_udf: udf("account"),
        profile: version(),
        deleted_at: moment(),
        reserved_until: moment() + std::time::Duration::from_secs(90),
    }
}

fn deletion() -> Vec<Change> {
    vec![
        Change::Directory(DirectoryEntry::Reserved(Box::new(tombstone()))),
        Change::Purge {
            due: moment() + std::time::Duration::from_secs(30),
        },
    ]
}

fn rows_of(changes: Vec<Change>) -> Rows {
    let transition = Transition {
        account: account_id(),
        address: record().address,
        changes,
        answer: Answer {
            response: Response::with_outcome(None, Outcome::ok()),
            context: None,
            retry_after: None,
        },
        incidents: Vec::new(),
    };
    let mut rows = Rows::default();
    let tip_before = Tip {
        change_seq: 4,
        bytes_used: 900,
    };
    rows.add(&transition, BATCH, tip_before);
    rows
}

/// Keys in hexadecimal, values as text where they are text.
fn shown(rows: &Rows) -> String {
    let mut text = String::new();
    for (key, value) in &rows.absolute {
        key.iter()
            .for_each(|octet| write!(text, "{octet:02x}").unwrap());
        match value {
            Some(value) if value.is_empty() => text.push_str(" (empty)\n"),
            Some(value) => writeln!(text, " {}", value.escape_ascii()).unwrap(),
            None => writeln!(text, " cleared").unwrap(),
        }
    }
    text
}

#[test]
fn rows_are_written_as_they_always_were() {
    let found = format!(
        "{}--- deletion\n{}",
        shown(&rows_of(changes())),
        shown(&rows_of(deletion()))
    );
    for (number, (found, expected)) in found.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", number + 1);
    }
    assert_eq!(found.lines().count(), GOLDEN.lines().count(), "{found}");
}

async fn store_with(changes: Vec<Change>) -> MemoryStore {
    let store = MemoryStore::new();
    let mut tx = store.begin(TxOptions::default());
    rows_of(changes).fill(&mut tx, Intakes::new(1, None));
    tx.commit().await.unwrap();
    store
}

#[actix::test]
async fn an_account_is_read_as_it_was_written() {
    let store = store_with(changes()).await;
    let tx = store.begin(TxOptions::default());
    let standing = reading::standing(&tx, &record().address).await.unwrap();
    let Standing::Account(state) = standing else {
        panic!("the account is not found: {standing:?}");
    };
    assert_eq!(*state.record, record());
    assert_eq!(state.head(&head().name), Some(&head()));
    assert_eq!(state.tip.change_seq, 5);
    assert_eq!(state.devices.live.values().collect::<Vec<_>>(), [&device()]);
    assert_eq!(
        state.connections.iter().collect::<Vec<_>>(),
        [("NAAA", &waiting())]
    );
    assert_eq!(
        state.devices.retired.iter().collect::<Vec<_>>(),
        [&udf("old key")]
    );
}

#[actix::test]
async fn lookups_find_what_was_written_and_nothing_else() {
    let store = store_with(changes()).await;
    let tx = store.begin(TxOptions::default());
    let (message_key, message_row) = message();
    let (replay_key, replay_row) = replay();
    let mut needs = Needs {
        replay: Some(replay_key.clone()),
        records: vec![(3, 0, 9)],
        payloads: vec![(3, 1)],
        ..Needs::default()
    };
    needs.unique_ids.insert((3, "entry".into()));
    needs.unique_ids.insert((4, "entry".into()));
    needs.messages.insert(message_key.clone());
    let found = reading::look_up(&tx, Some(account_id()), &needs)
        .await
        .unwrap();
    assert_eq!(found.replays.get(&replay_key), Some(&replay_row));
    assert_eq!(found.unique_ids.get(&(3, "entry".into())), Some(&unique()));
    assert_eq!(found.unique_ids.len(), 1);
    assert_eq!(found.messages.get(&message_key), Some(&message_row));
    assert_eq!(
        found.records.get(&(3, 1)).map(AsRef::as_ref),
        Some(&frame())
    );
    assert_eq!(
        found.payloads.get(&(3, 1)).map(Vec::as_slice),
        Some(b"hello".as_slice())
    );
}

#[actix::test]
async fn a_tombstone_is_read_as_it_was_written() {
    let store = store_with(deletion()).await;
    let tx = store.begin(TxOptions::default());
    let standing = reading::standing(&tx, &record().address).await.unwrap();
    let Standing::Reserved(found) = standing else {
        panic!("the tombstone is not found: {standing:?}");
    };
    assert_eq!(*found, tombstone());
}

#[actix::test]
async fn a_payload_that_was_changed_in_the_store_is_noticed() {
    for damaged in ["hellO", "hell", "hello!"] {
        let store = store_with(changes()).await;
        let mut tx = store.begin(TxOptions::default());
        tx.set(&AccountKeys::of(account_id()).chunk(3, 1, 0), damaged);
        tx.commit().await.unwrap();
        let needs = Needs {
            payloads: vec![(3, 1)],
            ..Needs::default()
        };
        let tx = store.begin(TxOptions::default());
        let outcome = reading::look_up(&tx, Some(account_id()), &needs).await;
        assert!(outcome.is_err(), "{damaged}");
    }
}

#[test]
fn rows_of_another_release_are_refused() {
    assert_eq!(
        super::head(b"\x02{}"),
        Err(RowError::Format {
            what: "head",
            found: 2,
            known: 1
        })
    );
    assert_eq!(super::head(b""), Err(RowError::Length { what: "head" }));
    assert_eq!(
        super::head(b"\x01{"),
        Err(RowError::Field {
            what: "head",
            field: "text"
        })
    );
}

#[test]
fn what_is_left_for_an_account_reads_as_it_was_written_and_keeps_its_order() {
    let account = AccountAddress::parse("bob@example.com").unwrap();
    let left = |octet: u8| IntakeEntry {
        id: IntakeId([octet; 16]),
        account: account.clone(),
        left_at: moment(),
        body: IntakeBody::Outcome(MessageOutcome {
            reason: Some("the domain does not exist".to_owned()),
            unique_id: "NAAA".into(),
            recipient: account.clone(),
            state: MessageState::Received,
        }),
    };
    let mut rows = Rows::default();
    let keys = AccountKeys::of(AccountId::from_octets([7; 16]));
    for octet in [2, 1] {
        rows.add_row(&keys, &Change::Intake(Box::new(left(octet))));
    }
    let found: Vec<_> = rows
        .intake
        .iter()
        .map(|(partition, value)| (*partition, intake(value).unwrap().id))
        .collect();
    let partition = PartitionId::of(&account);
    let expected = [2, 1].map(|octet| (partition, IntakeId([octet; 16])));
    assert_eq!(found, expected);
    assert!(!rows.is_empty());
}
