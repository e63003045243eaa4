//! What waits for another service: one message for one recipient (decision Q-14), with everything
//! that is known of its delivery so far (delivery §11 and §13).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::attempt::Trouble;
use super::shard::ShardId;
use crate::account::compact;
use crate::address::AccountAddress;
use crate::dare::Envelope;
use crate::escrow::HolderId;
use crate::time::Timestamp;

/// Sixteen octets that follow from message and recipient: whatever queues it twice queues it once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId(pub [u8; 16]);

impl fmt::Display for ItemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// How urgent a message is: weights 8 to 1, no strict priority (delivery §13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Somebody waits for it: connections, confirmations, contacts.
    Interactive,
    /// Everything else.
    Bulk,
}

impl Class {
    /// The class of messages with this tag.
    #[must_use]
    pub fn of(tag: &str) -> Self {
        match tag {
            "RequestContact"
            | "ReplyContact"
            | "RequestConfirmation"
            | "ResponseConfirmation"
            | "RespondConnection" => Self::Interactive,
            _ => Self::Bulk,
        }
    }
}

/// One message for one recipient, as it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueItem {
    /// Its id.
    pub id: ItemId,
    /// The account whose Outbound it stands in, which is told what becomes of it. Its domain is the
    /// tenant, and the domain this service speaks for.
    pub sender: AccountAddress,
    /// To whom. Its domain is the destination.
    pub recipient: AccountAddress,
    /// UniqueID of the message.
    pub unique_id: String,
    /// Its tag.
    pub message_type: String,
    /// How urgent it is.
    pub class: Class,
    /// Octets of the message: header, payload and trailer.
    pub bytes: u64,
    /// When it was accepted.
    #[serde(with = "compact::millis")]
    pub enqueued_at: Timestamp,
    /// From this moment on it is not sent any more: `Failed`.
    #[serde(with = "compact::millis")]
    pub expires_at: Timestamp,
    /// When it is to be sent, at the earliest.
    #[serde(with = "compact::millis")]
    pub due_at: Timestamp,
    /// Transfers that counted against the message.
    #[serde(default)]
    pub attempts: u32,
    /// Times that handling it failed here: three make it poison.
    #[serde(default)]
    pub attempts_internal: u32,
    /// Whether its sender was told that it is late.
    #[serde(default)]
    pub told_delayed: bool,
    /// What the last transfer came to, unless it has not been tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_trouble: Option<Trouble>,
    /// Who has the grants that it is charged to, where several nodes share the limits of the queue (cluster §9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_to: Option<HolderId>,
}

impl QueueItem {
    /// The domain it goes to, canonical.
    #[must_use]
    pub fn destination(&self) -> &str {
        self.recipient.domain()
    }

    /// The domain it comes from, canonical: whose share of the queue it counts against.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.sender.domain()
    }

    /// The shard of its destination.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        ShardId::of(self.destination())
    }
}

/// An item with the message it is about, as it is put into the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// The item.
    pub item: QueueItem,
    /// The message verbatim.
    pub envelope: Envelope,
}
