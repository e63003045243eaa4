//! What a Keeper is told, and what it asks for.

use std::time::Duration;

use crate::cluster::fence::Fence;
use crate::cluster::node::{NodeId, NodeRecord};
use crate::cluster::ownership::Ownership;
use crate::cluster::unit::Unit;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing but time: given at the moment that [`super::Keeper::wakes_at`] named, and harmless at any
    /// other.
    Tick,
    /// [`Effect::Look`] ended with this.
    Looked(Tables),
    /// [`Effect::Look`] ended without.
    LookFailed,
    /// Something changed that is worth a look before the next one is due: the key was written that every
    /// change of an owner writes.
    Nudged,
    /// Another node says that it let go of these. What should be ours of it is claimed at once, as released by
    /// the owner that is known; the store decides whether that is so.
    Freed(Vec<Unit>),
    /// [`Effect::Heartbeat`] ended. Given for each one, within [`super::Times::takeover`].
    HeartbeatEnded {
        /// Which.
        seq: u64,
        /// Whether it is known to be committed.
        is_committed: bool,
    },
    /// [`Effect::Claim`] ended. Given for each one, with the claim as it was asked for.
    ClaimEnded {
        /// Which.
        claim: Claim,
        /// How.
        outcome: ClaimOutcome,
    },
    /// [`Effect::Release`] ended. Given for each one.
    ReleaseEnded {
        /// What was let go of.
        unit: Unit,
        /// The claim that it was held by.
        fence: Fence,
        /// How.
        outcome: ReleaseOutcome,
    },
    /// A commit under this fence was refused: somebody else owns the unit now.
    Fenced {
        /// What is lost.
        unit: Unit,
        /// The claim that it was held by.
        fence: Fence,
    },
    /// The node shall let go of everything and leave.
    DrainOrdered,
    /// [`Effect::Leave`] ended.
    LeaveEnded {
        /// Whether the record is known to be gone.
        is_committed: bool,
    },
}

/// What a look at the store showed. All of it must be read at one version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    /// When the look began, before anything was read.
    pub begun: Duration,
    /// Table 01, whole.
    pub nodes: Vec<NodeRecord>,
    /// Table 02, whole; none if it is known that nothing in it has changed since the last look.
    pub owners: Option<Vec<(Unit, Ownership)>>,
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// Committed: everything in it is ours.
    Taken,
    /// Not committed: something was not as the claim must find it.
    Refused,
    /// Not known, or the store is in trouble. If it has landed all the same, or lands yet, the next
    /// look shows it.
    Failed,
}

/// How a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// Committed.
    Released,
    /// Somebody else owns it already.
    Fenced,
    /// Not known, or the store is in trouble. It is asked for again.
    Failed,
}

/// Something is to be done. Effects of one step are independent of each other and may be carried out
/// at once, but for [`Effect::Begin`] and [`Effect::End`], which are carried out in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Set this record into table 01, whatever is there; answered by [`Event::HeartbeatEnded`].
    Heartbeat(NodeRecord),
    /// Read tables 01 and 02 at one version, as a snapshot; answered by [`Event::Looked`] or
    /// [`Event::LookFailed`].
    Look,
    /// Commit this claim, all of it or nothing; answered by [`Event::ClaimEnded`].
    Claim(Claim),
    /// Stop taking work for the unit, finish the batch in flight (within four seconds; one that takes
    /// longer is fenced off by what follows), then set its record to [`Ownership::released`] provided
    /// that [`Ownership::permits`], and nudge the successor; answered by [`Event::ReleaseEnded`]. The
    /// unit may be one that was never begun: then there is nothing to stop.
    Release {
        /// What.
        unit: Unit,
        /// The claim that it is held by.
        fence: Fence,
        /// Who will claim it, if anybody is there.
        successor: Option<NodeId>,
    },
    /// The unit is ours: begin to work for it, from what the store holds.
    Begin {
        /// What.
        unit: Unit,
        /// The claim that it is held by.
        fence: Fence,
        /// Whether the owner before it did not let go as it should.
        was_active: bool,
    },
    /// The unit is not ours any more: forget all state of it, answer what waits with `Moved`. Nothing
    /// to do if the shell has ended it already, or holds it by another fence.
    End {
        /// What.
        unit: Unit,
        /// The claim that it was held by.
        fence: Fence,
    },
    /// No heartbeat could be committed for so long that others may take over soon: start no more work,
    /// park what comes. What is in flight goes on.
    Rest,
    /// A heartbeat is committed again: work.
    Resume,
    /// [`super::Keeper::routes`] has changed.
    Routes,
    /// Remove this record of a node that is long dead from table 01, provided that it is still exactly
    /// this. Not answered.
    Forget(NodeRecord),
    /// Nothing is owned any more: remove the node's own record; answered by [`Event::LeaveEnded`].
    Leave,
}

/// What has to be true besides the ownership records, so that a claim may be made (cluster §4.3). What
/// it names is read serializably in the claim's transaction, so a heartbeat that lands in between wins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Nothing: nobody owns what is claimed.
    Free,
    /// The record of the owner in table 01 is still exactly this one, which was seen unchanged for its
    /// lease.
    Silent(NodeRecord),
    /// The owner has no record in table 01.
    Gone(NodeId),
}

impl Basis {
    /// The node whose record has to be read.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Free => None,
            Self::Silent(record) => Some(record.id),
            Self::Gone(node) => Some(*node),
        }
    }

    /// Whether the claim may go on, where `found` is the record of [`Basis::node`].
    #[must_use]
    pub fn holds(&self, found: Option<&NodeRecord>) -> bool {
        match self {
            Self::Free => true,
            Self::Silent(record) => found == Some(record),
            Self::Gone(_) => found.is_none(),
        }
    }
}

/// One unit of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bid {
    /// What is claimed.
    pub unit: Unit,
    /// The record that has to be in the store, read serializably; none: there must be none.
    pub before: Option<Ownership>,
    /// The record to be put in its place.
    pub after: Ownership,
}

impl Bid {
    /// Whether the claim may go on, where `found` is the unit's record.
    #[must_use]
    pub fn holds(&self, found: Option<&Ownership>) -> bool {
        found == self.before.as_ref()
    }
}

/// Units to be taken in one transaction, all from the same owner. Besides writing each record, the
/// transaction writes the key that tells of changes (cluster §4.2, `route`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// What else has to be true.
    pub basis: Basis,
    /// What is taken: at least one, at most [`crate::limits::CLAIM_UNITS_MAX`].
    pub bids: Vec<Bid>,
}
