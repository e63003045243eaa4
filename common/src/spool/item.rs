//! What one frame of a spool says: a message was posted, or states changed (containers §7.2, §7.3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::dare::{ContainerKind, Header};
use crate::encoding::json;

/// The tag of the messages that change states.
const COMPLETION: &str = "MessageComplete";

/// The state of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageState {
    /// Received and not looked at.
    Unread,
    /// To be sent.
    Pending,
    /// Looked at, or answered.
    Read,
    /// Marked for removal; revived by marking it read or unread while it is there.
    Deleted,
    /// Handed to another service, or to another account's intake.
    Sent,
    /// Not handed over yet; still being tried.
    Delayed,
    /// In the recipient's spool.
    Received,
    /// The recipient's service refused it for good.
    Refused,
    /// Given up.
    Failed,
}

impl MessageState {
    /// The state in which a message of such a spool begins.
    #[must_use]
    pub const fn initial(spool: ContainerKind) -> Self {
        match spool {
            ContainerKind::Outbound => Self::Pending,
            _ => Self::Unread,
        }
    }

    /// The state a Relationship leads to; none for one that nobody defined (containers D12,
    /// decision Q-6).
    #[must_use]
    pub fn of_relationship(relationship: &str) -> Option<Self> {
        Some(match relationship {
            "Read" | "Accept" | "Reject" => Self::Read,
            "Unread" => Self::Unread,
            "Deleted" | "Delete" => Self::Deleted,
            "Sent" => Self::Sent,
            "Delayed" => Self::Delayed,
            "Received" => Self::Received,
            "Refused" => Self::Refused,
            "Failed" => Self::Failed,
            _ => return None,
        })
    }

    /// Whether the service says it about the way of a sent message.
    #[must_use]
    pub const fn is_delivery(self) -> bool {
        matches!(
            self,
            Self::Sent | Self::Delayed | Self::Received | Self::Refused | Self::Failed
        )
    }

    /// Whether nothing is said after it about the way of a sent message (decision Q-59).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Received | Self::Refused | Self::Failed)
    }
}

/// One message that a MessageComplete speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// The MessageID or the UniqueID of the message.
    #[serde(rename = "MessageID")]
    pub message_id: String,
    /// The answer to the message, if there is one.
    #[serde(rename = "ResponseID", skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// What became of it.
    #[serde(rename = "Relationship")]
    pub relationship: String,
    /// Why, in a phrase for people.
    #[serde(rename = "Reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What one frame of a spool says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpoolItem {
    /// A message was posted.
    Message {
        /// `UniqueID` of the content metadata.
        unique_id: Option<String>,
        /// `MessageID` of the message; none if it could not be read.
        message_id: Option<String>,
        /// Its tag, from the message if it could be read, else from the content metadata.
        message_type: Option<String>,
    },
    /// States changed.
    Completion {
        /// The recipient that a delivery state is about (decision Q-6).
        recipient: Option<String>,
        /// The messages it speaks of.
        references: Vec<Reference>,
    },
    /// Nothing that has a state: frame 0, an IsMeta frame, or a MessageComplete that cannot be
    /// read. What an unreadable one says stays unknown (containers §7.3).
    Nothing,
}

/// The members of any message that say something about states.
#[derive(Deserialize, Default)]
#[serde(default)]
struct MessageMembers {
    #[serde(rename = "MessageID")]
    message_id: Option<String>,
    #[serde(rename = "Recipient")]
    recipient: Option<String>,
    #[serde(rename = "References")]
    references: Vec<Reference>,
}

impl SpoolItem {
    /// Reads what frame `index` says. `plaintext` is its payload if that could be opened. Content
    /// that is no message is one whose members are not known.
    #[must_use]
    pub fn read(index: u64, header: &Header, plaintext: Option<&[u8]>) -> Self {
        let is_meta = header
            .container_info
            .as_ref()
            .is_some_and(|info| info.is_meta == Some(true));
        if index == 0 || is_meta {
            return Self::Nothing;
        }
        let meta = header.content_meta().unwrap_or_default();
        let message = plaintext.and_then(tagged_members);
        let message_type = message
            .as_ref()
            .map(|(tag, _)| tag.clone())
            .or(meta.message_type);
        match (message_type.as_deref(), message) {
            (Some(COMPLETION), None) => Self::Nothing,
            (Some(COMPLETION), Some((_, members))) => Self::Completion {
                recipient: members.recipient,
                references: members.references,
            },
            (_, message) => Self::Message {
                unique_id: meta.unique_id,
                message_id: message.and_then(|(_, members)| members.message_id),
                message_type,
            },
        }
    }
}

/// The tag of a message and those of its members that are needed here.
fn tagged_members(plaintext: &[u8]) -> Option<(String, MessageMembers)> {
    let tagged: Map<String, Value> = json::parse(plaintext).ok()?;
    let mut members = tagged.into_iter();
    match (members.next(), members.next()) {
        (Some((tag, body)), None) => Some((tag, serde_json::from_value(body).ok()?)),
        _ => None,
    }
}
