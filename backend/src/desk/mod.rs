//! What an operator asks of the back-end about messages on their way, and orders (delivery §13,
//! service §8): the queue to other services, what was set aside, who draws complaints.
//!
//! ```text
//!  meshd queue … ─HTTP, loopback─▶ admin API ─▶ QueueDesk ─┬▶ the store: what waits, what was set aside
//!                                               AsideDesk  ├▶ standing orders: holds and routes
//!                                               ConductDesk└▶ PoolDesk: each shard's owner, in turn with its work
//! ```
//!
//! The admin API knows these traits alone, so its pages are tested without a network. What an operator
//! orders for good (hold, route) stands in the store as a [`StandingOrder`] and is looked up for each item;
//! what is done once (retry, fail) is carried out by the owner of the item's shard under its fence. Where
//! there are several nodes, each shows everything that waits, and says who works for it; what is ordered at
//! one is left in the store for the others.
//!
//! | module | holds |
//! | --- | --- |
//! | [`select`] | which messages an order is about |
//! | `queue`, `explain` | what waits, and where one message is |
//! | `owner` | who has what, where there are several nodes; what is done by others |
//! | `aside`, `quarantine` | what can be handled in no way, listed, put back, dropped |
//! | `conduct` | who draws complaints |
//! | `domains` | what domains use |
//! | `standing` | orders that stand until they are revoked |
//! | [`view`] | what operators are shown, as the API writes it |

mod aside;
mod conduct;
pub(crate) mod domains;
mod explain;
mod owner;
mod quarantine;
mod queue;
mod scan;
pub mod select;
pub(crate) mod standing;
pub mod view;

use mesh_common::cluster::handle::BoxFuture;

use crate::partition::reading::ReadError;
use crate::partition::shared::chain;
use crate::store::{CommitError, StoreError};

pub use domains::{DomainView, DomainsView};
pub use owner::NoPool;
pub(crate) use quarantine::count_quarantined;
pub use queue::OutboundDesk;
pub use select::{Scope, Selection, SelectionError};
pub use view::{
    Aside, ConductLevel, ConductView, DestinationState, DestinationView, Explanation, IncidentView,
    Item, NewIncident, Overview, Owner, Phase, Quarantined, Route, StandingOrder, TroubleView,
    What, Whereabouts,
};

/// Why an operator's wish was not carried out; the sentence is for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// There is no such thing, or nothing matches.
    #[error("{what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// It is there, and cannot be done to it.
    #[error("{why}")]
    Refused {
        /// Why not.
        why: String,
    },
    /// The store or an owner is away; the same may be asked again.
    #[error("this cannot be done now: {cause}")]
    Unavailable {
        /// What failed.
        cause: String,
    },
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable {
            cause: chain(&error),
        }
    }
}

impl From<ReadError> for DeskError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable {
            cause: chain(&error),
        }
    }
}

impl From<CommitError> for DeskError {
    fn from(error: CommitError) -> Self {
        Self::Unavailable {
            cause: chain(&error),
        }
    }
}

/// An answer of a desk.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

/// What the outbound pool tells, and does when an operator says so. The pool implements this and nothing
/// else of this module: everything that stands in the store is read beside it.
pub trait PoolDesk: Send + Sync + 'static {
    /// The destinations that the pool has in memory, as their owners see them; in no order.
    fn destinations(&self) -> Answer<'_, Vec<DestinationState>>;

    /// Makes the matching items due now, and has a destination whose breaker is open probed at once.
    /// Says how many items that were. What is in flight is left alone.
    fn retry<'a>(&'a self, selection: &'a Selection) -> Answer<'a, u64>;

    /// Ends the matching items as `Failed` with `reason`, which their senders are told. Says how many
    /// that were. What is in flight ends so unless its transfer succeeds first.
    fn fail<'a>(&'a self, selection: &'a Selection, reason: &'a str) -> Answer<'a, u64>;

    /// Standing orders have changed: what is held is to be left, what is no longer held to be looked at.
    fn orders_changed(&self);
}

/// The queue to other services, as operators see and steer it.
pub trait QueueDesk: Send + Sync + 'static {
    /// All destinations with something queued, held or away.
    fn overview(&self) -> Answer<'_, Overview>;

    /// One destination, or nothing if nothing is known of it.
    fn destination<'a>(&'a self, domain: &'a str) -> Answer<'a, Option<DestinationView>>;

    /// Matching items that wait, those due first in front, at most `max`.
    fn items<'a>(&'a self, selection: &'a Selection, max: usize) -> Answer<'a, Vec<Item>>;

    /// Where a message is, by its UniqueID; with its sender also when it waits nowhere any more.
    fn explain<'a>(&'a self, message: &'a str, sender: Option<&'a str>) -> Answer<'a, Explanation>;

    /// The orders in force.
    fn orders(&self) -> Answer<'_, Vec<StandingOrder>>;

    /// Has the matching messages, those to come included, wait or take another way, until revoked. An
    /// order of the same kind for the same selection is replaced.
    fn order<'a>(&'a self, order: StandingOrder) -> Answer<'a, ()>;

    /// Revokes the orders of this kind for exactly this selection; says how many those were.
    fn revoke<'a>(&'a self, selection: &'a Selection, what: What) -> Answer<'a, u64>;

    /// See [`PoolDesk::retry`].
    fn retry<'a>(&'a self, selection: &'a Selection) -> Answer<'a, u64>;

    /// See [`PoolDesk::fail`].
    fn fail<'a>(&'a self, selection: &'a Selection, reason: &'a str) -> Answer<'a, u64>;

    /// Items that were taken out of the queue because handling them failed, the newest first.
    fn quarantined(&self, max: usize) -> Answer<'_, Vec<Quarantined>>;

    /// Puts an item of the quarantine back into the queue, due now.
    fn requeue<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;

    /// Drops an item of the quarantine; its sender is told that it failed, if it still reads.
    fn drop_quarantined<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
}

/// Entries of intakes that could not be received and wait for the operator (table 24).
pub trait AsideDesk: Send + Sync + 'static {
    /// The entries, the oldest first, at most `max`.
    fn aside(&self, max: usize) -> Answer<'_, Vec<Aside>>;

    /// Puts an entry back into its intake, to be received again.
    fn requeue<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;

    /// Forgets an entry. Its sender was told that it failed when it was set aside.
    fn drop_aside<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
}

/// Who draws complaints, and what follows (service §8, X-61).
pub trait ConductDesk: Send + Sync + 'static {
    /// The newest incidents about `subject` (an account's address or a service's domain), or about anybody.
    fn incidents<'a>(
        &'a self,
        subject: Option<&'a str>,
        max: usize,
    ) -> Answer<'a, Vec<IncidentView>>;

    /// Records what an operator was told of, and counts it.
    fn file<'a>(&'a self, incident: &'a NewIncident) -> Answer<'a, ConductView>;

    /// How a subject stands.
    fn conduct<'a>(&'a self, subject: &'a str) -> Answer<'a, ConductView>;

    /// Everybody who does not stand at [`ConductLevel::Normal`], the worst first, at most `max`.
    fn conspicuous(&self, max: usize) -> Answer<'_, Vec<ConductView>>;

    /// Sets a subject's score to nothing. Its incidents stay on record.
    fn forgive<'a>(&'a self, subject: &'a str) -> Answer<'a, ConductView>;
}

/// What domains use of the service (cluster §9).
pub trait DomainDesk: Send + Sync + 'static {
    /// All domains, those that store most in front, at most `max` of them.
    fn domains(&self, max: usize) -> Answer<'_, DomainsView>;

    /// One domain.
    fn domain<'a>(&'a self, domain: &'a str) -> Answer<'a, DomainView>;
}
