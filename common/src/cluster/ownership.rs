//! Who may write into a partition or a shard: the record of table 02, and the three questions that
//! everything in cluster §4 comes down to: what a claim leaves behind, what a release leaves behind,
//! and whether a write may pass.

use serde::{Deserialize, Serialize};

use super::fence::Fence;
use super::node::NodeId;
use super::routes::Route;

/// The ownership record of one unit (cluster §4.2).
///
/// It is changed by a claim, which raises the fence, and by a release, which keeps it; by nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ownership {
    /// The claim it was written by.
    pub fence: Fence,
    /// Who claimed.
    pub node: NodeId,
    /// Whether the owner is at work; a released unit is free to be claimed.
    pub is_active: bool,
}

impl Ownership {
    /// The record that a claim by `node` puts in the place of `before`; none if `before` is of a later
    /// generation, that is if this process belongs to a past that a restore has undone (cluster §16).
    #[must_use]
    pub fn claimed(before: Option<&Self>, generation: u32, node: NodeId) -> Option<Self> {
        let epoch = before.map_or(0, |before| before.fence.epoch);
        let is_past = before.is_some_and(|before| before.fence.generation > generation);
        (!is_past).then(|| Self {
            fence: Fence {
                generation,
                epoch: epoch.saturating_add(1),
            },
            node,
            is_active: true,
        })
    }

    /// The record that its owner leaves when it lets go.
    #[must_use]
    pub const fn released(self) -> Self {
        Self {
            is_active: false,
            ..self
        }
    }

    /// The fence of cluster §4.4: whether whoever holds a unit by `held` may write while the record in
    /// the store is `found`.
    #[must_use]
    pub fn permits(found: Option<&Self>, held: &Self) -> bool {
        held.is_active && found == Some(held)
    }

    /// Whether this is what the record became after it was `other`: a later claim, or the release of
    /// the same one.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        (self.fence, !self.is_active) > (other.fence, !other.is_active)
    }

    /// Where requests for the unit go, if somebody is at work.
    #[must_use]
    pub const fn route(&self) -> Option<Route> {
        if self.is_active {
            Some(Route {
                node: self.node,
                fence: self.fence,
            })
        } else {
            None
        }
    }
}
