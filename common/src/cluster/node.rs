//! One process of a cluster, as the others know it: its name, what it is there for, where it answers
//! (cluster §4.2).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unit::Unit;
use crate::entropy::{self, Entropy};

/// Sixteen octets drawn by each process when it starts, so that it never mistakes itself for its past.
///
/// Draft: cluster §4.2 has a name and an incarnation. Here the name *is* the incarnation: nothing needs
/// a name that outlives the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 16]);

impl NodeId {
    /// Draws one.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(entropy::draw(entropy))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = self.0.iter();
        octets.try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02x}{:02x}..", self.0[0], self.0[1])
    }
}

/// What a process is there for (architecture §2). A front-end alone is no node: it has no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Roles {
    /// It owns partitions.
    pub backend: bool,
    /// It owns shards of destinations, and sends to other services.
    pub outbound: bool,
}

impl Roles {
    /// Whether a node with these roles may own `unit`.
    #[must_use]
    pub const fn may_own(self, unit: Unit) -> bool {
        match unit {
            Unit::Partition(_) => self.backend,
            Unit::Shard(_) => self.outbound,
        }
    }
}

/// What a node says of itself, written anew with every heartbeat (cluster §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Who.
    pub id: NodeId,
    /// Counts its heartbeats: a record that has not changed was not renewed.
    pub seq: u64,
    /// How long others have to see the record unchanged before they may suspect the node.
    pub lease: Duration,
    /// What it is there for.
    pub roles: Roles,
    /// `host:port` of its internal link; empty while it has none.
    pub address: String,
    /// Where it stands: front-ends prefer those of their own zone for reads.
    pub zone: String,
    /// Its share of partitions and shards beside that of others, at least 1; 100 is usual.
    pub weight: u32,
    /// It is about to leave: it gets nothing more, and lets go of what it has.
    pub draining: bool,
    /// The release it runs, for people.
    pub build: String,
    /// The lowest and the highest feature level whose rows it reads (cluster §15).
    pub levels: (u16, u16),
}
