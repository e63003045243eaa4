//! What operators are shown. The admin API writes these structures as JSON; the command line prints them
//! for people, or hands them on with `--json`. Members may be added; none is renamed or removed.

use mesh_common::address::AccountAddress;
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::select::Selection;

/// Everything that waits for other services, by destination.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// Destinations with something queued, held, or away; those with the oldest message first.
    pub destinations: Vec<DestinationView>,
    /// Transfers in flight, to all destinations.
    pub in_flight: u64,
    /// Items in quarantine.
    pub quarantined: u64,
    /// Orders in force.
    pub orders: Vec<StandingOrder>,
}

/// One destination, with what waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DestinationView {
    /// As the owner of its shard sees it.
    #[serde(flatten)]
    pub state: DestinationState,
    /// Items that wait.
    pub waiting: u64,
    /// Octets of their messages.
    pub waiting_bytes: u64,
    /// When the oldest was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<Timestamp>,
    /// Domains that they come from.
    pub tenants: u64,
    /// The order that holds the whole destination, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<StandingOrder>,
    /// The order that sends everything for it another way, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<StandingOrder>,
    /// Who works for it. Where that is another node, its state is what was last written of it: limit and
    /// transfers in flight are known there alone.
    #[serde(default, skip_serializing_if = "Owner::is_here")]
    pub owner: Owner,
}

/// Who owns a shard of the queue, or a partition of accounts, as the node that was asked knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Owner {
    /// The node that was asked.
    #[default]
    Here,
    /// Another one.
    Node {
        /// Its id, 32 hexadecimal digits.
        node: String,
        /// Where its internal link answers; empty if that is not known.
        address: String,
    },
    /// Nobody at present: it is about to be taken over.
    Nobody,
}

impl Owner {
    /// Whether it is the node that was asked.
    #[must_use]
    pub fn is_here(&self) -> bool {
        *self == Self::Here
    }
}

/// One destination as the pool sees it (delivery §12).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DestinationState {
    /// Its domain, canonical.
    pub domain: String,
    /// Whether it is spoken to.
    pub phase: Phase,
    /// Transfers that may be in flight at once, at present.
    pub limit: u32,
    /// Transfers in flight.
    pub in_flight: u32,
    /// When a transfer last succeeded, if one did since this is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// What went wrong last, unless something succeeded since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_trouble: Option<TroubleView>,
}

impl DestinationState {
    /// A destination that the pool has not in memory.
    #[must_use]
    pub fn unknown(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            phase: Phase::Idle,
            limit: 0,
            in_flight: 0,
            last_success_at: None,
            last_trouble: None,
        }
    }
}

impl Phase {
    /// When something that is due at `due_at` is tried, as things are.
    #[must_use]
    pub fn next_try_at(self, due_at: Timestamp) -> Timestamp {
        match self {
            Self::Paused { until } => due_at.max(until),
            Self::Away { next_try_at } => due_at.max(next_try_at),
            Self::Idle | Self::Flowing | Self::Probing => due_at,
        }
    }
}

/// Whether a destination is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Phase {
    /// The pool has nothing to do with it at present.
    Idle,
    /// Transfers are made as they become due.
    Flowing,
    /// It asked to be left alone.
    Paused {
        /// Until then.
        until: Timestamp,
    },
    /// It does not answer: the breaker is open, nothing is sent.
    Away {
        /// When it is tried again, with one message.
        next_try_at: Timestamp,
    },
    /// One message finds out whether it is back.
    Probing,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleView {
    /// When.
    pub at: Timestamp,
    /// What, in a phrase.
    pub text: String,
}

/// One message for one recipient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// UniqueID of the message.
    pub message: String,
    /// Its tag.
    pub message_type: String,
    /// From whom.
    pub sender: AccountAddress,
    /// To whom.
    pub recipient: AccountAddress,
    /// `interactive` or `bulk`.
    pub class: String,
    /// Octets of the message.
    pub bytes: u64,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// When it is to be sent, at the earliest.
    pub due_at: Timestamp,
    /// When it is tried next, as far as the pool knows now; none while it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Transfers that counted against the message.
    pub attempts: u32,
    /// What the last transfer came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_trouble: Option<TroubleView>,
    /// The order that holds it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<StandingOrder>,
}

/// Host and port that a peer is reached at in place of what discovery finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// A host name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What a standing order does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Matching messages are not sent. They expire all the same.
    Hold,
    /// Matching messages are sent to another host and port; it must show the destination's certificate and
    /// profile nevertheless.
    Route,
}

/// What an operator ordered until it is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingOrder {
    /// For which messages.
    pub selection: Selection,
    /// What.
    pub what: What,
    /// Where to, for [`What::Route`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Since when.
    pub since: Timestamp,
    /// Who ordered it, as they said.
    pub by: String,
    /// Why, as they said.
    pub reason: String,
}

/// An item that was taken out of the queue because handling it failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Why.
    pub reason: String,
    /// The item, unless it does not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
}

/// An entry of an intake that could not be received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Names the entry: hexadecimal digits.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Octets of the entry.
    pub bytes: u64,
    /// For whom it was left, unless it does not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountAddress>,
    /// When it was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
    /// `message` or `outcome`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// UniqueID of the message that it is, or is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who sent it; of an outcome, the recipient that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<AccountAddress>,
}

/// What is known of a message, for each of its recipients.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// UniqueID of the message.
    pub message: String,
    /// What is known, by recipient.
    pub recipients: Vec<Whereabouts>,
}

/// Where a message is on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Whereabouts {
    /// It waits for another service.
    Queued {
        /// As it waits.
        item: Box<Item>,
        /// Shard of the queue; its owner is said of the destination.
        shard: u16,
        /// What it waits for.
        destination: Box<DestinationView>,
    },
    /// It was taken out of the queue because handling it failed.
    Quarantined {
        /// As it lies there.
        entry: Box<Quarantined>,
    },
    /// It waits for its recipient's partition, on this service.
    Intake {
        /// For whom.
        recipient: AccountAddress,
        /// When it was left.
        left_at: Timestamp,
        /// In which partition.
        partition: u16,
        /// Who receives what is left there.
        #[serde(default, skip_serializing_if = "Owner::is_here")]
        owner: Owner,
    },
    /// It could not be received here.
    SetAside {
        /// As it lies there.
        entry: Box<Aside>,
    },
    /// It waits nowhere: this is what its sender was told.
    Told {
        /// To whom.
        recipient: String,
        /// `Sent`, `Delayed`, `Received`, `Refused` or `Failed`; none if nothing yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<MessageState>,
        /// When.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
}

/// What follows from complaints (service §8, X-61).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConductLevel {
    /// Nothing.
    Normal,
    /// A tenth of the outbound rates.
    Throttled,
    /// Only contacts are written to.
    Restricted,
    /// Nothing is sent: 403/5 for Post. Synchronization goes on.
    Suspended,
}

/// How an account or a service stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConductView {
    /// Address of the account, or domain of the service.
    pub subject: String,
    /// What follows.
    pub level: ConductLevel,
    /// What the level follows from: halves in seven days.
    pub score: f64,
    /// Incidents on record.
    pub incidents: u64,
    /// When the newest happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
}

/// Something that happened and counts against an account or a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentView {
    /// When.
    pub at: Timestamp,
    /// Against whom it counts.
    pub subject: String,
    /// What happened, in a phrase.
    pub what: String,
    /// What it adds to the score.
    pub weight: f64,
    /// Who reported it: an account, a service, an operator, or this service itself.
    pub reporter: String,
    /// UniqueID of the message, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An incident that an operator files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// Against whom it counts: address of an account, or domain of a service.
    pub subject: String,
    /// What happened, in a phrase.
    pub what: String,
    /// Who complained.
    pub reporter: String,
    /// UniqueID of the message, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
