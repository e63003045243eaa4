//! What is refused before anything is sent, and why a message that came is not acted upon.

use mesh_common::address::AccountAddress;
use mesh_common::limits::MESSAGE_ORIGINATED_BYTES_MAX;

use crate::limits::CONTACT_CARD_BYTES_MAX;

/// Why nothing is done with a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageFailure {
    /// No message goes by what was typed.
    #[error("no message goes by {wanted:?}")]
    NotFound {
        /// What was typed.
        wanted: String,
    },
    /// Nothing that somebody sent waits for such an answer.
    #[error("nothing from {address} waits for that answer")]
    NothingOpen {
        /// Their address.
        address: AccountAddress,
    },
    /// More than one message goes by what was typed.
    #[error("{} messages go by {wanted:?}: {}", .found.len(), .found.join(", "))]
    Ambiguous {
        /// What was typed.
        wanted: String,
        /// Their identifiers.
        found: Vec<String>,
    },
    /// The message is of another kind than the command works on.
    #[error("the message {id} is a {found}")]
    OtherKind {
        /// The message.
        id: String,
        /// Its tag, made printable.
        found: String,
    },
    /// Nobody can say who the message is from.
    #[error("the message {id} does not prove who it is from")]
    NotProven {
        /// The message.
        id: String,
        /// Why not.
        why: String,
    },
    /// It has an answer already.
    #[error("the message {id} was answered already: {answer}")]
    Answered {
        /// The message.
        id: String,
        /// `Accept` or `Reject`.
        answer: String,
    },
    /// The message cannot be read on this device.
    #[error("the message {id} cannot be read here")]
    Unreadable {
        /// The message.
        id: String,
    },
    /// The contact data in a message is not what its sender could have made.
    #[error("the contact data in the message {id} is not its sender's")]
    Card {
        /// The message.
        id: String,
        /// Why not.
        why: String,
    },
    /// Another account was known under the sender's address.
    #[error("{address} is in your contacts as another account ({known})")]
    OtherAccount {
        /// The address.
        address: AccountAddress,
        /// UDF of the account that was known.
        known: String,
    },
    /// Somebody whose account is not known: nothing can be encrypted to them.
    #[error("the account of {address} is not known")]
    NotAContact {
        /// The address.
        address: AccountAddress,
    },
    /// The address is this account's own.
    #[error("{address} is your own address")]
    Myself {
        /// The address.
        address: AccountAddress,
    },
    /// The connection of this device does not let it send such messages.
    #[error("this device may not send a {tag}")]
    NotPermitted {
        /// The tag.
        tag: &'static str,
    },
    /// The message is larger than what is sent.
    #[error(
        "the message has {found_bytes} octets, at most {MESSAGE_ORIGINATED_BYTES_MAX} are sent"
    )]
    TooLarge {
        /// Its size.
        found_bytes: usize,
    },
    /// Subject and contact data are larger than strangers may send.
    #[error(
        "subject and contact data have {found_bytes} octets, at most {CONTACT_CARD_BYTES_MAX} are \
         accepted of strangers"
    )]
    CardTooLarge {
        /// Their size.
        found_bytes: usize,
    },
    /// The message waits: the service could not be asked.
    #[error("the message {id} was not sent yet")]
    Waits {
        /// The message.
        id: String,
        /// Why not.
        #[source]
        source: Box<crate::error::ClientError>,
    },
    /// The service refused the message for good; it is not kept.
    #[error("the message {id} was not sent")]
    Refused {
        /// The message.
        id: String,
        /// The service's answer.
        #[source]
        source: Box<crate::service::ServiceFailure>,
    },
}

impl MessageFailure {
    /// What to do next, if that can be said.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "mesh message list --all".into(),
            Self::NothingOpen { .. } => "mesh sync, then mesh message list".into(),
            Self::Ambiguous { .. } => "repeat with the whole id of one of them".into(),
            Self::OtherKind { id, .. } | Self::Unreadable { id } => {
                format!("mesh message read {id}")
            }
            Self::NotProven { id, .. } | Self::Card { id, .. } => format!(
                "do not act on it; `mesh message read {id}` shows what it claims, ask the person by \
                 another way"
            ),
            Self::Answered { .. } => return None,
            Self::OtherAccount { address, .. } => format!(
                "ask the person whether they have a new account; if so, `mesh contact delete` the \
                 old entry for {address} and repeat"
            ),
            Self::NotAContact { address } => format!("mesh contact request {address}"),
            Self::Myself { .. } => "name somebody else's address".into(),
            Self::NotPermitted { .. } => "repeat this on another of your devices".into(),
            Self::TooLarge { .. } => {
                "send a shorter text, and say where the rest can be found".into()
            }
            Self::CardTooLarge { .. } => {
                "send a shorter --message, or shorten the contact marked as yourself".into()
            }
            Self::Waits { .. } => "mesh sync, which sends it".into(),
            Self::Refused { source, .. } => return source.advice(),
        })
    }

    /// Whether the question was understood and the answer is no.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(self, Self::Waits { .. })
    }
}
