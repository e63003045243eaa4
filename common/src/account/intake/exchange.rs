//! Exchanges an account has begun: what it asked somebody, and may be answered for 30 days without
//! any further permission (service §7.5 rule 4, decision Q-62 kind `x`).
//!
//! A Post writes the rows, for each recipient and for the message itself; the drain looks them up.
//! Whoever names the message that was sent, or answers from the address it was sent to, is answering.

use serde::{Deserialize, Serialize};

use crate::account::compact;
use crate::limits::EXCHANGE_REMEMBERED;
use crate::time::Timestamp;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExchangeKind {
    /// Contact data: RequestContact, answered by ReplyContact.
    Contact,
    /// A confirmation: RequestConfirmation, answered by ResponseConfirmation.
    Confirmation,
}

impl ExchangeKind {
    /// What a message with this tag begins, if anything.
    #[must_use]
    pub fn begun_by(message_type: &str) -> Option<Self> {
        match message_type {
            "RequestContact" => Some(Self::Contact),
            "RequestConfirmation" => Some(Self::Confirmation),
            _ => None,
        }
    }

    /// What a message with this tag answers, if anything.
    #[must_use]
    pub fn answered_by(message_type: &str) -> Option<Self> {
        match message_type {
            "ReplyContact" => Some(Self::Contact),
            "ResponseConfirmation" => Some(Self::Confirmation),
            _ => None,
        }
    }

    /// An octet that stands for it in keys of the store.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Contact => b'c',
            Self::Confirmation => b'o',
        }
    }
}

/// By what an answer is recognized.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExchangeKey {
    /// By who answers: the canonical address of the one who was asked.
    Recipient(ExchangeKind, String),
    /// By what it refers to: the UniqueID of the message that was sent.
    Message(ExchangeKind, String),
}

/// An exchange that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRow {
    /// When; the last time, if several times.
    #[serde(with = "compact::millis")]
    pub begun_at: Timestamp,
}

impl ExchangeRow {
    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.begun_at + EXCHANGE_REMEMBERED
    }
}
