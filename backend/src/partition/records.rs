//! Accounts as rows: which rows a [`Change`] writes (containers §12.2, decision Q-62). `store::keys` says where a row
//! lies, `forms` what is in it and how it is read again, `intakes` what is left for others.
//!
//! Every value begins with a format octet. What is rewritten with every batch is written in fixed
//! fields; the rest is JSON, which a person with a dump of the store can read.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mesh_common::account::change::{MessageRow, ReplayRow};
use mesh_common::account::intake::{DeliveryKey, ExchangeKey};
use mesh_common::account::{
    AccountId, Change, ContainerNumber, DirectoryEntry, FrameRecord, IntakeEntry, MessageKey,
    PendingConnection, ReplayKey, Tip, Transition,
};
use mesh_common::cluster::PartitionId;
use mesh_common::delivery::{QueueItem, ShardId};
use mesh_common::entropy::{self, Entropy};
use mesh_common::limits::PAYLOAD_CHUNK_BYTES;
use mesh_common::time::Timestamp;
use serde::Serialize;

use super::codec::{Reader, RowError, Writer};
use super::shared::Shared;
use crate::outbound::bell::Note;
use crate::outbound::rows;
use crate::store::keys::{self, AccountKeys, Due, DueKind, LookupKind, hash16};
use crate::store::{Tx, Versionstamp};

/// Sixteen octets drawn for each batch: a tip that carries them was written by that batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchId(pub(crate) [u8; 16]);

impl BatchId {
    pub(crate) fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(entropy::draw(entropy))
    }
}

/// Rows to be set or cleared together: absolute values, so that writing them twice is writing them
/// once. What is appended to intakes is not absolute: an entry that was appended twice is told by
/// its id (decision Q-59).
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    absolute: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// By partition, in the order of their making.
    intake: Vec<(PartitionId, Bytes)>,
    /// What is queued for other services, as the owners of the destinations are told.
    queued: Vec<Note>,
}

impl Rows {
    pub(crate) fn set(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.absolute.insert(key, Some(value.into()));
    }

    pub(crate) fn clear(&mut self, key: Vec<u8>) {
        self.absolute.insert(key, None);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.absolute.is_empty() && self.intake.is_empty()
    }

    /// Whether `key` is cleared, and not set.
    pub(crate) fn clears(&self, key: &[u8]) -> bool {
        matches!(self.absolute.get(key), Some(None))
    }

    /// Adds rows; one that is there already is replaced.
    pub(crate) fn extend(&mut self, more: Self) {
        self.absolute.extend(more.absolute);
        self.intake.extend(more.intake);
        self.queued.extend(more.queued);
    }

    /// Octets of keys and values.
    pub(crate) fn bytes(&self) -> usize {
        let value_bytes = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let rows = self.absolute.iter();
        rows.map(|(key, value)| key.len() + value_bytes(value))
            .chain(self.intake.iter().map(|(_, value)| value.len()))
            .sum()
    }

    /// Puts everything into `tx`, what is left for others into `intakes`.
    pub(crate) fn fill<T: Tx>(&self, tx: &mut T, intakes: Intakes<'_>) {
        for (key, value) in &self.absolute {
            match value {
                Some(value) => tx.set(key, value.clone()),
                None => tx.clear(key),
            }
        }
        intakes.leave(tx, &self.intake);
        let shards: BTreeSet<ShardId> = self.queued.iter().map(Note::shard).collect();
        for shard in shards {
            tx.set_stamped_value(&keys::wake(shard), b"", b"");
        }
    }

    /// Adds what `transition` writes; its tip carries `batch`. `tip_before` stands in where the
    /// transition leaves the tip as it is, so that every account written to can be probed.
    pub(crate) fn add(&mut self, transition: &Transition, batch: BatchId, tip_before: Tip) {
        let keys = AccountKeys::of(transition.account);
        self.set(keys.tip(), encode_tip(batch, tip_before));
        for change in &transition.changes {
            match change {
                Change::Tip(tip) => self.set(keys.tip(), encode_tip(batch, *tip)),
                Change::Directory(entry) => self.add_directory(transition, entry),
                Change::Purge { due } => self.add_due(&keys, *due, DueKind::Purge, Vec::new()),
                other => self.add_row(&keys, other),
            }
        }
    }

    /// Adds what receiving an entry of the intake writes, if it writes anything of the account.
    pub(crate) fn add_received(
        &mut self,
        account: AccountId,
        changes: &[Change],
        batch: BatchId,
        tip_before: Tip,
    ) {
        if changes.is_empty() {
            return;
        }
        let keys = AccountKeys::of(account);
        self.set(keys.tip(), encode_tip(batch, tip_before));
        for change in changes {
            match change {
                Change::Tip(tip) => self.set(keys.tip(), encode_tip(batch, *tip)),
                other => self.add_row(&keys, other),
            }
        }
    }

    /// Leaves `entry` in the intake of its account's partition.
    pub(crate) fn leave(&mut self, entry: &IntakeEntry) {
        self.intake
            .push((entry.partition(), intakes::encode(entry).into()));
    }

    /// Puts a message into the queue of its destination; `body` is written already.
    pub(crate) fn enqueue(&mut self, item: &QueueItem, body: impl Into<Bytes>) {
        let place = keys::queue_item(item.destination(), item.due_at, item.id);
        self.set(place, rows::encode_item(item));
        self.set(keys::queue_body(item.shard(), item.id), body);
        self.queued.push(Note::of(item));
    }

    /// Counts what was queued by the commit of this stamp, and tells the owners of the destinations.
    pub(crate) fn tell_queued<S>(&self, shared: &Shared<S>, stamp: Option<Versionstamp>) {
        for note in &self.queued {
            shared.depths.enter(note.counted());
            shared.metrics.outbound.enqueued.inc();
        }
        shared.queue_bell.ring(&self.queued, stamp);
    }

    /// What is queued for other services.
    pub(crate) fn queued(&self) -> &[Note] {
        &self.queued
    }

    /// The partitions for whose accounts something is left.
    pub(crate) fn left_for(&self) -> impl Iterator<Item = PartitionId> {
        self.intake.iter().map(|(partition, _)| *partition)
    }

    fn add_directory(&mut self, transition: &Transition, entry: &DirectoryEntry) {
        self.set(keys::dir(&transition.address), encode(entry));
        if let DirectoryEntry::Reserved(tombstone) = entry {
            let account = AccountKeys::of(tombstone.account);
            let address = transition.address.canonical().as_bytes().to_vec();
            self.add_due(
                &account,
                tombstone.reserved_until,
                DueKind::Release,
                address,
            );
        }
    }

    fn add_row(&mut self, keys: &AccountKeys, change: &Change) {
        match change {
            Change::Account(record) => self.set(keys.record(), encode(record.as_ref())),
            Change::Head(head) => self.set(keys.head(head.number), encode(head.as_ref())),
            Change::Frame {
                container,
                index,
                record,
                payload,
            } => self.add_frame(keys, (*container, *index), record, payload),
            Change::Unique {
                container,
                unique_id,
                row,
            } => self.set(unique_key(keys, *container, unique_id), encode(row)),
            Change::Superseded {
                container,
                index,
                by,
            } => self.set(
                keys.superseded(*container, *index),
                Writer::new(JSON).u64(*by).finish(),
            ),
            Change::Message { key, row } => self.add_message(keys, key, row),
            Change::Device { unique_id, entry } => match entry {
                Some(entry) => {
                    let row = DeviceRow {
                        unique_id: unique_id.clone(),
                        entry: entry.clone(),
                    };
                    self.set(keys.device(unique_id), encode(&row));
                }
                None => self.clear(keys.device(unique_id)),
            },
            Change::Retired(key) => self.set(keys.retired(key.as_str()), encode(key)),
            Change::Replay { key, row } => self.add_replay(keys, key, row),
            Change::Posting(counts) => self.set(keys.posting(), encode(counts.as_ref())),
            Change::Sending { unique_id, row } => {
                let hash = hash16(&[unique_id.as_bytes()]);
                let due = (row.expires_at(), DueKind::Sending, hash.to_vec());
                self.add_expiring(keys, keys.sending(hash), row.as_ref(), due);
            }
            Change::Recipient { recipient, row } => {
                let hash = hash16(&[recipient.as_bytes()]);
                let due = (row.expires_at(), DueKind::Recipient, hash.to_vec());
                self.add_expiring(keys, keys.recipient(hash), row, due);
            }
            Change::Intake(entry) => self.leave(entry),
            Change::Enqueue(queued) => {
                self.enqueue(&queued.item, rows::encode_body(&queued.envelope));
            }
            Change::Incident(incident) => self.record_incident(incident),
            Change::Seen { id, row } => {
                let due = (row.expires_at(), DueKind::Seen, id.0.to_vec());
                self.add_expiring(keys, keys.seen(id.0), row, due);
            }
            Change::Delivery { key, row } => {
                let hash = delivery_hash(key);
                let due = (row.expires_at(), DueKind::Delivery, hash.to_vec());
                self.add_expiring(keys, keys.delivery(hash), row, due);
            }
            Change::Exchange { key, row } => {
                let hash = exchange_hash(key);
                let due = (row.expires_at(), DueKind::Exchange, hash.to_vec());
                self.add_expiring(keys, keys.exchange(hash), row, due);
            }
            Change::Tally(tally) => self.set(keys.tally(), encode(tally.as_ref())),
            Change::Connection { message_id, row } => self.add_connection(keys, message_id, row),
            Change::Tip(_) | Change::Directory(_) | Change::Purge { .. } => {}
        }
    }

    fn add_frame(
        &mut self,
        keys: &AccountKeys,
        (container, index): (ContainerNumber, u64),
        record: &FrameRecord,
        payload: &std::sync::Arc<[u8]>,
    ) {
        let payload = Bytes::from_owner(SharedPayload(payload.clone()));
        let mut chunks = 0;
        while usize::from(chunks) * PAYLOAD_CHUNK_BYTES < payload.len() {
            let start = usize::from(chunks) * PAYLOAD_CHUNK_BYTES;
            let end = (start + PAYLOAD_CHUNK_BYTES).min(payload.len());
            self.set(
                keys.chunk(container, index, chunks),
                payload.slice(start..end),
            );
            chunks += 1;
        }
        let row = FrameRow {
            chunks,
            payload_bytes: payload.len() as u64,
            checksum: crc32fast::hash(&payload),
        };
        self.set(keys.frame(container, index), row.encode(record));
    }

    fn add_message(&mut self, keys: &AccountKeys, key: &MessageKey, row: &MessageRow) {
        let hash = message_hash(key);
        let place = keys.lookup(LookupKind::Message, key.container, hash);
        self.set(place, encode_expiring(row.expires_at(), row));
        let rest = [key.container.to_be_bytes().as_slice(), &hash].concat();
        self.add_due(keys, row.expires_at(), DueKind::Message, rest);
    }

    fn add_replay(&mut self, keys: &AccountKeys, key: &ReplayKey, row: &ReplayRow) {
        let hash = replay_hash(key);
        self.set(keys.replay(hash), encode_expiring(row.expires_at(), row));
        self.add_due(keys, row.expires_at(), DueKind::Replay, hash.to_vec());
    }

    fn add_connection(
        &mut self,
        keys: &AccountKeys,
        message_id: &str,
        row: &Option<PendingConnection>,
    ) {
        let hash = hash16(&[message_id.as_bytes()]);
        let place = keys.connection(hash);
        let Some(row) = row else {
            return self.clear(place);
        };
        let forgotten_at = row.forgotten_at();
        let row = ConnectionRow {
            message_id: message_id.to_owned(),
            row: row.clone(),
        };
        self.set(place, encode_expiring(forgotten_at, &row));
        self.add_due(keys, forgotten_at, DueKind::Connection, hash.to_vec());
    }

    /// A row, and the row of table 23 that ends it.
    fn add_expiring<T: Serialize>(
        &mut self,
        keys: &AccountKeys,
        place: Vec<u8>,
        row: &T,
        (at, kind, rest): (Timestamp, DueKind, Vec<u8>),
    ) {
        self.set(place, encode_expiring(at, row));
        self.add_due(keys, at, kind, rest);
    }

    fn add_due(&mut self, keys: &AccountKeys, at: Timestamp, kind: DueKind, rest: Vec<u8>) {
        let due = Due {
            at,
            kind,
            account: keys.account(),
            rest,
        };
        self.set(due.key(), Bytes::new());
    }
}

/// Lets chunks share the payload they are cut from.
struct SharedPayload(std::sync::Arc<[u8]>);

impl AsRef<[u8]> for SharedPayload {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Where a container keeps what it knows under a unique id.
pub(crate) fn unique_key(
    keys: &AccountKeys,
    container: ContainerNumber,
    unique_id: &str,
) -> Vec<u8> {
    let hash = hash16(&[unique_id.as_bytes()]);
    keys.lookup(LookupKind::UniqueId, container, hash)
}

/// What stands for a message in a key.
pub(crate) fn message_hash(key: &MessageKey) -> [u8; 16] {
    hash16(&[key.sender.as_bytes(), key.unique_id.as_bytes()])
}

/// What stands for a request in a key.
pub(crate) fn replay_hash(key: &ReplayKey) -> [u8; 16] {
    hash16(&[key.key_udf.as_str().as_bytes(), &key.request_id.0])
}

/// What stands for the delivery of a message in a key.
pub(crate) fn delivery_hash(key: &DeliveryKey) -> [u8; 16] {
    hash16(&[key.unique_id.as_bytes(), key.recipient.as_bytes()])
}

/// What stands for an exchange in a key.
pub(crate) fn exchange_hash(key: &ExchangeKey) -> [u8; 16] {
    match key {
        ExchangeKey::Recipient(kind, address) => {
            hash16(&[b"r", &[kind.octet()], address.as_bytes()])
        }
        ExchangeKey::Message(kind, unique_id) => {
            hash16(&[b"m", &[kind.octet()], unique_id.as_bytes()])
        }
    }
}

mod forms;
mod incidents;
mod intakes;
pub(crate) mod marks;

pub(crate) use forms::{
    ConnectionRow, DeviceRow, FrameRow, account, connection, delivery, device, directory, exchange,
    expires_at, frame, head, live_entry, message, posting, recipient, replay, retired, seen,
    sending, tally, tip, unique,
};
use forms::{JSON, decode, encode, encode_expiring, encode_tip};
pub(crate) use incidents::{incident, weight};
pub(crate) use intakes::{Intakes, intake};
#[cfg(test)]
mod tests;
