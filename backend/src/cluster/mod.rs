//! One node among several over one store: which partitions and shards are its own, and what follows
//! when that changes (cluster §4, architecture A-1).
//!
//! ```text
//!            tables 01, 02, 03                       partition actors ── serve what is ours
//!                 ▲  │                                      ▲
//!        commits  │  ▼  looks            begin, release, end│
//!   Keeper ◀── keeping ────────────────────────────────────┤
//!  (decides)      │  ▲ lost: a commit was fenced            ▼
//!                 ▼  └────────────── Membership        outbound::shards ── the queues
//!            told to front-ends       (what every thread may ask)
//! ```
//!
//! [`mesh_common::cluster::keeper`] decides, without a clock and without a store, and
//! [`mesh_common::cluster::belief`] until when our memory may be believed; `keeping` carries out what was
//! decided, and tells both what came of it. Nothing here makes a write safe: every write carries
//! the fence (cluster §4.4). What is here makes a node stop when it should, and know where to send whom.
//!
//! What a node has in memory of a partition goes with the partition: the actor, the accounts it shows,
//! the signing keys that were asked for. What is read for an account whose partition is not ours is read
//! from the store for that one request, and kept by nobody.
//!
//! | module | holds |
//! | --- | --- |
//! | `join` | starting as one of several |
//! | `membership` | what the rest of the node may ask: is it ours, who has it, may we believe our memory |
//! | `keeping` | the loop around the Keeper |
//! | `claims` | what is committed for it, and the look at the tables |
//! | `service` | what other nodes and front-ends are told |
//! | `passing` | what a front-end cannot bring to the owner itself |
//! | `rows` | table 01 |
//! | `view` | the cluster as its operator sees it |
//!
//! Draft: cluster §5 has a key to wake the owner of an intake by (table 22), written where a nudge
//! failed. Here the owner looks every two seconds, which is the bound that the key would give.

pub(crate) mod claims;
pub(crate) mod join;
pub(crate) mod keeping;
pub(crate) mod level;
pub(crate) mod membership;
mod passing;
mod rows;
mod service;
mod view;

use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Nudge, PassFailure, Roles, Times, TimesError, Verified, Watch,
};
use mesh_common::limits::{NODE_TEXT_BYTES_MAX, NODE_WEIGHT_MAX};

pub use self::level::Raised;
pub use self::membership::Holdings;
pub use self::view::{ClusterDesk, ClusterView, Draining, NodeState, NodeView};

/// How this process takes part in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// `host:port` at which other nodes and front-ends reach its internal link; empty if they cannot.
    pub address: String,
    /// Where it stands: front-ends prefer back-ends of their own zone for reads.
    pub zone: String,
    /// Its share of partitions and shards beside that of others: from 1 to [`NODE_WEIGHT_MAX`].
    pub weight: u32,
    /// What it is there for: at least one of the two.
    pub roles: Roles,
    /// How the cluster keeps time; every node should have the same.
    pub times: Times,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            zone: String::new(),
            weight: 100,
            roles: Roles {
                backend: true,
                outbound: true,
            },
            times: Times::default(),
        }
    }
}

/// A setting of the cluster that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClusterConfigError {
    /// Nothing would ever be owned.
    #[error("a node of a cluster has the role backend, the role outbound, or both")]
    NoRole,
    /// A share that is none, or too large to be compared.
    #[error("the weight of a node must be from 1 to {NODE_WEIGHT_MAX}, found {found}")]
    Weight {
        /// What was set.
        found: u32,
    },
    /// The text does not fit into the node's record.
    #[error("the {name} of a node must not be longer than {NODE_TEXT_BYTES_MAX} octets")]
    TooLong {
        /// Which setting.
        name: &'static str,
    },
    /// The times do not go together.
    #[error("the times of the cluster do not go together")]
    Times(#[from] TimesError),
}

impl ClusterConfig {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// The first setting that cannot.
    pub fn check(&self) -> Result<(), ClusterConfigError> {
        if !self.roles.backend && !self.roles.outbound {
            return Err(ClusterConfigError::NoRole);
        }
        if self.weight == 0 || self.weight > NODE_WEIGHT_MAX {
            return Err(ClusterConfigError::Weight { found: self.weight });
        }
        for (name, text) in [("address", &self.address), ("zone", &self.zone)] {
            if text.len() > NODE_TEXT_BYTES_MAX {
                return Err(ClusterConfigError::TooLong { name });
            }
        }
        Ok(self.times.check()?)
    }
}

/// The way to the other nodes of the cluster, as far as a back-end needs one.
pub trait Neighbours: Send + Sync + 'static {
    /// Has the node that answers at `address` (`host:port` of its internal link) look at what `nudge`
    /// names. Returns at once, and promises nothing: whoever is not reached looks at the store
    /// regularly.
    fn nudge(&self, address: &str, nudge: Nudge);

    /// Has the node that answers at `address` carry out what a front-end sent here, if it is the owner;
    /// it brings it to nobody else (cluster §18, row 4).
    ///
    /// # Errors
    /// [`PassFailure`].
    fn pass_on<'a>(
        &'a self,
        address: &'a str,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, PassFailure>>;

    /// Watches `account` at the node that answers at `address`, if it is the owner. The loss of that node
    /// wakes as its news do; `None` if it does not watch, or is not heard.
    fn watch<'a>(
        &'a self,
        address: &'a str,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>>;
}

/// No way to any other node: everybody finds what concerns them when they look.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNeighbours;

impl Neighbours for NoNeighbours {
    fn nudge(&self, _address: &str, _nudge: Nudge) {}

    fn pass_on<'a>(
        &'a self,
        _address: &'a str,
        _request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, PassFailure>> {
        let why = "there is no way to other nodes";
        Box::pin(std::future::ready(Err(PassFailure::Unreached(
            why.to_owned(),
        ))))
    }

    fn watch<'a>(
        &'a self,
        _address: &'a str,
        _account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(None))
    }
}

/// Time since a beginning of its own choice, which only grows: what leases are measured by. It is never
/// compared between machines (cluster §4.3).
pub trait Stopwatch: Send + Sync + 'static {
    /// Time since the beginning.
    fn elapsed(&self) -> Duration;
}
