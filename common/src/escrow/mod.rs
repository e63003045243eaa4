//! Limits that several nodes share and none of them exceeds (cluster §9): how much is granted at once,
//! what of it is spent, what is given back, and what is left of grants whose holder is gone.
//!
//! ```text
//!            take                      spend                  it leaves, or is counted again
//!  Ledger ─────────▶ Purse (granted) ─────────▶ used ──────────────────────────┐
//!    ▲                  │    ▲                                                 │
//!    │  give back       │    └─────────────────────────────────────────────────┘
//!    └──────────────────┘
//! ```
//!
//! The [`Ledger`] of a limit is one record that all nodes share: to whom how much is granted, never more
//! than the cap in all. A [`Purse`] is what one holder knows of its own grants. Whatever is spent is
//! *charged* to the holder that spent it, until it leaves.
//!
//! Why the cap holds, whatever is lost or late:
//! * what a purse believes to be granted is never more than the ledger says;
//! * what it counts as used is never less than what is charged to it: it counts before it spends, and
//!   what it does not know to have left counts on;
//! * a holder that is gone is closed first, so that it spends no more ever; what is charged to it only
//!   shrinks then, and its grant follows what is counted ([`Ledger::keep`]), by whoever counts, however
//!   often.
//!
//! Draft: cluster §9 has grants by partition. Here a holder is one life of a node: one grant serves all
//! its partitions, so that a message to somewhere new costs one grant of the node and not one of each
//! partition; and nothing has to follow a partition that moves.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use ledger::{Chunks, Ledger, Short};
pub use purse::{CountStamp, Purse, Shortage};
pub use shares::{Share, Taken, Want, take};

use crate::entropy::{self, Entropy};

mod ledger;
mod purse;
mod shares;
#[cfg(test)]
mod tests;

/// Who spends: drawn anew by each process, and whenever it was closed by others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HolderId(pub [u8; 16]);

impl HolderId {
    /// Whom is charged what nobody spent: what was there before limits were shared, or was put back by
    /// an operator.
    pub const NOBODY: Self = Self([0; 16]);

    /// Draws one.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(entropy::draw(entropy))
    }
}

impl fmt::Display for HolderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = self.0.iter();
        octets.try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for HolderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02x}{:02x}..", self.0[0], self.0[1])
    }
}
