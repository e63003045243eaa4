//! What others leave for an account: messages, and what became of the account's own messages.
//!
//! An owner writes only into the partitions it owns. What is meant for an account elsewhere is
//! appended, unread, to the intake of that account's partition, in the commit that accepts it; the
//! owner there drains the intake in its own time (cluster §8, decision Q-5).
//!
//! ```text
//!  Post ─▶ sender's partition: Outbound frame, one IntakeEntry per recipient     one commit
//!                                          │
//!  recipient's partition: drain ─▶ checks (service §7.4) ─▶ Inbound frame, Outcome   one commit
//!                                                                          │
//!  sender's partition: drain ─▶ MessageComplete in Outbound (architecture A-16)
//! ```

pub(super) mod append;
pub(super) mod checks;
pub(super) mod complaint;
pub mod contacts;
pub mod control;
pub mod exchange;
pub mod outcome;
pub mod reception;
pub mod site;
pub mod tally;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::compact;
use crate::address::AccountAddress;
use crate::cluster::PartitionId;
use crate::crypto::digest::sha512;
use crate::dare::{Digest64, Envelope};
use crate::entropy::{self, Entropy};
use crate::spool::MessageState;
use crate::time::Timestamp;
use crate::udf::Udf;

pub use contacts::{ContactIndex, Opened, Standpoint};
pub use exchange::{ExchangeKey, ExchangeKind, ExchangeRow};
pub use outcome::{DeliveryKey, DeliveryRow};
pub use reception::{Reception, ReceptionResult, Setting, Unfit, needs, receive, told};
pub use site::InboundPolicy;
pub use tally::Tally;

/// What tells an entry from one that was appended twice; remembered for 30 days after the drain
/// (decision Q-59).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IntakeId(pub [u8; 16]);

impl IntakeId {
    /// Draws an id.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(entropy::draw(entropy))
    }
}

impl IntakeMessage {
    /// The id of the entry by which the message is left for `recipient`: however often it is left,
    /// it is drained once (decision Q-59).
    #[must_use]
    pub fn entry_id(&self, recipient: &AccountAddress) -> IntakeId {
        let digest = sha512(&[
            b"message forwarded",
            self.sender.account_udf.as_str().as_bytes(),
            &[0],
            &self.payload_digest,
            self.unique_id.as_bytes(),
            &[0],
            recipient.canonical().as_bytes(),
        ]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        IntakeId(id)
    }
}

impl fmt::Debug for IntakeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

/// An entry that was drained, for as long as it might be appended again (decision Q-59).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRow {
    /// When.
    #[serde(with = "compact::millis")]
    pub drained_at: Timestamp,
}

/// One thing left for an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntakeEntry {
    /// Its id.
    pub id: IntakeId,
    /// For whom: a recipient, or the sender whom an outcome is told to.
    pub account: AccountAddress,
    /// When it was left.
    #[serde(with = "compact::millis")]
    pub left_at: Timestamp,
    /// What it is.
    pub body: IntakeBody,
}

impl IntakeEntry {
    /// In whose intake it lies.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        PartitionId::of(&self.account)
    }

    /// Octets that it takes, roughly: what a commit and a drain are measured by.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// Octets counted for an entry beyond its message.
        const ENTRY_BYTES: usize = 512;
        match &self.body {
            IntakeBody::Message(message) => {
                ENTRY_BYTES + message.envelope.payload.0.len() + message.block_bytes
            }
            IntakeBody::Outcome(_) => ENTRY_BYTES,
        }
    }

    /// The entry with the payload of its message apart, as it is stored: octets that need no text.
    #[must_use]
    pub fn without_payload(mut self) -> (Self, Vec<u8>) {
        let payload = match &mut self.body {
            IntakeBody::Message(message) => std::mem::take(&mut message.envelope.payload.0),
            IntakeBody::Outcome(_) => Vec::new(),
        };
        (self, payload)
    }

    /// The entry whose payload was kept apart.
    #[must_use]
    pub fn with_payload(mut self, payload: Vec<u8>) -> Self {
        if let IntakeBody::Message(message) = &mut self.body {
            message.envelope.payload.0 = payload;
        }
        self
    }
}

/// What can be left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum IntakeBody {
    /// A message, accepted for delivery and verified where it was accepted.
    Message(Box<IntakeMessage>),
    /// What became of a message of the account's Outbound spool.
    Outcome(MessageOutcome),
}

/// A message on its way, with what was established where it was accepted (service §7.2, §7.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntakeMessage {
    /// From whom.
    pub sender: MessageSender,
    /// The service that forwarded it; none when the sender's account is served here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ForwardingService>,
    /// Its identifier: UniqueID, which is its MessageID (decision Q-26).
    pub unique_id: String,
    /// Its tag, where the envelope states it or the payload is readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// SHA-512 of its payload.
    #[serde(with = "compact::digest")]
    pub payload_digest: Digest64,
    /// The message verbatim.
    pub envelope: Envelope,
    /// Octets of its header and trailer.
    #[serde(default)]
    pub block_bytes: usize,
}

/// Who sent a message, as its signature block proves (X-50).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSender {
    /// The address it is sent from.
    pub address: AccountAddress,
    /// UDF of the ProfileAccount.
    pub account_udf: Udf,
    /// UDF of the ProfileMesh behind it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_udf: Option<Udf>,
    /// UDF of the device key that signed; none for a message that need not be signed (decision
    /// Q-39).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<Udf>,
}

/// Who forwarded a message (service §7.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingService {
    /// Its domain, as the call-back confirmed it (decision Q-60).
    pub domain: String,
    /// UDF of its ProfileService.
    pub udf: Udf,
}

/// What became of a message for one recipient (decision Q-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOutcome {
    /// UniqueID of the message in the Outbound spool.
    pub unique_id: String,
    /// For which recipient.
    pub recipient: AccountAddress,
    /// `Sent`, `Delayed`, `Received`, `Refused` or `Failed`.
    pub state: MessageState,
    /// Why, in a phrase for the sender, where that may be told: never for what this service refuses
    /// (X-52). At most [`crate::limits::PEER_TEXT_BYTES_MAX`] octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
