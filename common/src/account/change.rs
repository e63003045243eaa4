//! What a transaction writes: absolute rows, each of which the shell can set or clear without
//! reading anything (cluster §7.3, containers §12.2, decision Q-62).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compact;
use super::connect::PendingConnection;
use super::devices::DeviceEntry;
use super::frame::FrameRecord;
use super::intake::{
    DeliveryKey, DeliveryRow, ExchangeKey, ExchangeRow, IntakeEntry, IntakeId, SeenRow, Tally,
};
use super::post::PostingCounts;
use super::state::{AccountId, AccountRecord, ContainerNumber, Head, ProfileVersion, Tip};
use crate::address::AccountAddress;
use crate::cluster::Answer;
use crate::conduct::Incident;
use crate::dare::Digest64;
use crate::delivery::Queued;
use crate::limits::{MESSAGE_ID_REMEMBERED, RECIPIENT_REMEMBERED, REPLAY_TIME};
use crate::protocol::Response;
use crate::session::RequestId;
use crate::time::Timestamp;
use crate::udf::Udf;

/// What a decided transaction does: all of it or none, then the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Whose rows are written.
    pub account: AccountId,
    /// Under which address.
    pub address: AccountAddress,
    /// The rows, in no particular order; no row occurs twice.
    pub changes: Vec<Change>,
    /// What the client gets once they are durable.
    pub answer: Answer,
    /// What the operator must learn of (decision Q-48); for the Incident spool.
    pub incidents: Vec<String>,
}

impl Transition {
    /// Octets that the rows take, roughly: what a batch is measured by (cluster §7.1).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(Change::bytes).sum()
    }
}

/// One row, set or cleared, or appended to an intake.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// What stands under the transition's address.
    Directory(DirectoryEntry),
    /// The account record.
    Account(Arc<AccountRecord>),
    /// The tip.
    Tip(Tip),
    /// The head of one container.
    Head(Arc<Head>),
    /// One frame: its record, its payload, and its place in the order of commit times.
    Frame {
        /// In which container.
        container: ContainerNumber,
        /// At which index.
        index: u64,
        /// Everything but the payload.
        record: Box<FrameRecord>,
        /// The payload octets, as they are stored.
        payload: Arc<[u8]>,
    },
    /// What a container knows under a unique id.
    Unique {
        /// In which container.
        container: ContainerNumber,
        /// The id.
        unique_id: String,
        /// The row.
        row: UniqueRow,
    },
    /// A catalog frame that a later one replaced or deleted: what redaction works from.
    Superseded {
        /// In which container.
        container: ContainerNumber,
        /// The older frame.
        index: u64,
        /// The newer frame.
        by: u64,
    },
    /// A message, for recognizing its duplicates until [`MESSAGE_ID_REMEMBERED`] has passed.
    Message {
        /// Which.
        key: MessageKey,
        /// Where it is.
        row: MessageRow,
    },
    /// A live entry of the Device catalog; `None` clears it.
    Device {
        /// UniqueID of the entry.
        unique_id: String,
        /// What is known of it.
        entry: Option<DeviceEntry>,
    },
    /// A key that never lives again (decision Q-9).
    Retired(Udf),
    /// To whom a message of Outbound was sent, until [`MESSAGE_ID_REMEMBERED`] has passed.
    Sending {
        /// UniqueID of the message.
        unique_id: String,
        /// Its recipients.
        row: Box<SendingRow>,
    },
    /// Somebody the account has written to, until [`RECIPIENT_REMEMBERED`] has passed.
    Recipient {
        /// Canonical address.
        recipient: String,
        /// When last.
        row: RecipientRow,
    },
    /// What the account has sent lately, as its outbound rates count it.
    Posting(Box<PostingCounts>),
    /// A committed request, for its retries until [`REPLAY_TIME`] has passed.
    Replay {
        /// Which.
        key: ReplayKey,
        /// Its digest and its response.
        row: Box<ReplayRow>,
    },
    /// Something left in the intake of the partition of another account, or of this one (cluster
    /// §8). Entries of one commit keep their order.
    Intake(Box<IntakeEntry>),
    /// A message for an account at another service, put into the queue of its destination (delivery
    /// §11).
    Enqueue(Box<Queued>),
    /// Something that counts against an account or a service, whoever it is.
    Incident(Box<Incident>),
    /// An entry of this account's intake was drained (decision Q-59).
    Seen {
        /// Which.
        id: IntakeId,
        /// When.
        row: SeenRow,
    },
    /// An exchange that may be answered (service §7.5 rule 4).
    Exchange {
        /// By what the answer is recognized.
        key: ExchangeKey,
        /// When it was begun.
        row: ExchangeRow,
    },
    /// What the sender of a message was told last (decision Q-59).
    Delivery {
        /// Of which message, for which recipient.
        key: DeliveryKey,
        /// What.
        row: DeliveryRow,
    },
    /// What the account has taken today.
    Tally(Box<Tally>),
    /// A device's request to be connected; `None` forgets it.
    Connection {
        /// MessageID of its acknowledgement.
        message_id: String,
        /// What is known of it.
        row: Option<PendingConnection>,
    },
    /// From this moment on the account's rows are to be purged (architecture A-15).
    Purge {
        /// When.
        due: Timestamp,
    },
}

/// Octets counted for a row beyond its payload.
const ROW_BYTES: usize = 256;

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame {
                record, payload, ..
            } => ROW_BYTES + payload.len() + usize::try_from(record.envelope_octets).unwrap_or(0),
            Self::Account(record) => {
                ROW_BYTES
                    + 2 * (record.profile_mesh.payload.0.len()
                        + record.profile_account.payload.0.len())
            }
            Self::Intake(entry) => ROW_BYTES + entry.bytes(),
            Self::Enqueue(queued) => {
                2 * ROW_BYTES + usize::try_from(queued.item.bytes).unwrap_or(usize::MAX / 2)
            }
            Self::Head(head) => ROW_BYTES + 64 * head.count().count_ones() as usize,
            _ => ROW_BYTES,
        }
    }
}

/// What stands under an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectoryEntry {
    /// An account.
    Account(AccountId),
    /// The address of a deleted account, kept for its ProfileMesh until `reserved_until`.
    Reserved(Box<Tombstone>),
}

/// What is remembered of a deleted account (architecture A-15, decision Q-58).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Where its rows lie until they are purged.
    pub account: AccountId,
    /// UDF of its ProfileMesh.
    pub mesh_udf: Udf,
    /// Which ProfileMesh it was.
    pub mesh: ProfileVersion,
    /// UDF of its ProfileAccount.
    pub account_udf: Udf,
    /// Which ProfileAccount it was.
    pub profile: ProfileVersion,
    /// When it was deleted.
    #[serde(with = "compact::millis")]
    pub deleted_at: Timestamp,
    /// From this moment on anybody may have the address.
    #[serde(with = "compact::millis")]
    pub reserved_until: Timestamp,
}

/// What a container knows under a unique id. In a catalog: the life of the entry. In a spool:
/// `last` is the newest message of that id, `live` is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueRow {
    /// Index of the frame that created the instance.
    pub first: u64,
    /// Index of the newest frame.
    pub last: u64,
    /// Whether the entry exists.
    pub live: bool,
}

/// A message as its duplicates are recognized (decision Q-26).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// In which container.
    pub container: ContainerNumber,
    /// Canonical address of the sending account.
    pub sender: String,
    /// UniqueID of the message.
    pub unique_id: String,
}

/// Where a message is that may come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Its index.
    pub index: u64,
    /// Its payload digest.
    #[serde(with = "compact::digest")]
    pub payload_digest: Digest64,
    /// When it was committed.
    #[serde(with = "compact::millis")]
    pub committed_at: Timestamp,
}

impl MessageRow {
    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.committed_at + MESSAGE_ID_REMEMBERED
    }
}

/// To whom a message was sent, so that one that comes again goes to nobody twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendingRow {
    /// When it was sent first.
    #[serde(with = "compact::millis")]
    pub committed_at: Timestamp,
    /// Canonical addresses of the recipients.
    pub recipients: BTreeSet<String>,
}

impl SendingRow {
    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.committed_at + MESSAGE_ID_REMEMBERED
    }
}

/// Somebody the account has written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientRow {
    /// When last; not renewed more than once a day.
    #[serde(with = "compact::millis")]
    pub written_at: Timestamp,
}

impl RecipientRow {
    /// From this moment on it is a new recipient again.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.written_at + RECIPIENT_REMEMBERED
    }
}

/// A request as its retries are recognized (service §4.7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayKey {
    /// KeyAuthentication UDF of the requester.
    pub key_udf: Udf,
    /// The id the client drew.
    pub request_id: RequestId,
}

/// A committed request and its response (decision Q-33).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayRow {
    /// SHA-512 of the plaintext request.
    #[serde(with = "compact::digest")]
    pub request_digest: Digest64,
    /// When it was committed.
    #[serde(with = "compact::millis")]
    pub committed_at: Timestamp,
    /// What was answered.
    pub response: Response,
}

impl ReplayRow {
    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.committed_at + REPLAY_TIME
    }
}
