//! Where everything is: which node owns which partition or shard, and where the nodes answer
//! (cluster §4.6). Back-ends read it from the store and push it to front-ends; it is a hint, never a
//! proof: whoever is asked knows best whether it is the owner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fence::Fence;
use super::node::{NodeId, Roles};
use super::unit::Unit;

/// The owner of one unit, as of one claim. Of two that differ the higher fence is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The owner.
    pub node: NodeId,
    /// Its claim.
    pub fence: Fence,
}

/// A live node, as others reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedNode {
    /// `host:port` of its internal link.
    pub address: String,
    /// Where it stands.
    pub zone: String,
    /// What it is there for.
    pub roles: Roles,
    /// Whether it is about to leave.
    pub draining: bool,
}

/// All that is known of nodes and owners at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutingTable {
    /// The nodes that are alive, as whoever made the table sees it.
    pub nodes: BTreeMap<NodeId, RoutedNode>,
    /// The owner of each unit that has one at work.
    pub owners: BTreeMap<Unit, Route>,
}

impl RoutingTable {
    /// The owner of `unit`, and where it answers, if both are known.
    #[must_use]
    pub fn owner(&self, unit: Unit) -> Option<(NodeId, &RoutedNode)> {
        let route = self.owners.get(&unit)?;
        Some((route.node, self.nodes.get(&route.node)?))
    }

    /// Takes `route` for `unit`, unless a newer claim is known.
    pub fn learn(&mut self, unit: Unit, route: Route) {
        let known = self.owners.get(&unit);
        if known.is_none_or(|known| known.fence < route.fence) {
            self.owners.insert(unit, route);
        }
    }
}
