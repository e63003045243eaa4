//! Messages: what people ask of each other, and how their devices tell who is asking.
//!
//! ```text
//!  contact, confirm, task ─▶ compose ─▶ outbox ─▶ Post        (with the next exchange)
//!           ▲                                       │
//!         folder ◀── spools ◀────────── sync ◀──────┘
//!           └─ origin: the chain, the sender, the contacts (book)
//! ```
//!
//! Everything is local until [`exchange`](crate::Client::exchange): a request waits in the outbox, a
//! spool is read from its replica. Schema draft §6 and §7.5, service §7, containers §7.

mod book;
mod cards;
mod compose;
mod confirm;
mod contact;
mod delivery;
mod exchange;
mod failure;
mod folder;
mod marks;
mod origin;
mod outbox;
mod task;

pub use cards::Acquaintance;
pub use confirm::{Asked, Confirmations, Doubtful};
pub use contact::{Accepted, PendingContacts, Queued};
pub use delivery::DeliveryFacts;
pub use exchange::Exchange;
pub use failure::MessageFailure;
pub use folder::{Direction, MessageFacts};
pub use origin::{Origin, Trust};
pub use outbox::{Posted, Rejected};
