//! What a node of a cluster does for the others over the internal link, besides what [`Backend`] says:
//! tell where everything is, take nudges, hand out the secrets of tickets, pass on what a front-end
//! cannot bring to its owner (cluster §18, decisions ).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::changes::Watch;
use super::handle::{AccountRequest, Answer, Backend, BoxFuture, CallFailure, Verified};
use super::partition::PartitionId;
use super::routes::{Route, RoutingTable};
use super::unit::Unit;
use crate::address::AccountAddress;
use crate::delivery::ShardId;
use crate::discovery::Pinned;
use crate::error::ServiceError;
use crate::time::Timestamp;

/// Something is there for whom it concerns. Best effort: whoever misses it looks at the store regularly.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Nudge {
    /// Partitions with something new in their intake.
    pub intakes: Vec<PartitionId>,
    /// Shards with something new in their queue.
    pub queues: Vec<ShardId>,
    /// What was let go of and is free to be claimed.
    pub released: Vec<Unit>,
    /// Domains whose services spoke, authenticated ([`Backend::heard_from`]).
    pub heard: Vec<String>,
}

/// The secret that tickets of one epoch are sealed under, on its way to a front-end. Zeroized, and
/// never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret {
    /// Which epoch (service §4.5).
    pub epoch: u32,
    /// Its secret.
    pub secret: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for TicketSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TicketSecret({})", self.epoch)
    }
}

/// What a node tells everybody who is linked to it, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Counts the changes of what is told, in this life of the node.
    pub revision: u64,
    /// Where everything is.
    pub routes: Arc<RoutingTable>,
    /// The secrets of the current epochs of tickets and of those ahead; none if the service keeps them
    /// elsewhere.
    pub ticket_secrets: Arc<Vec<TicketSecret>>,
}

/// Why a request that was to be passed on has no answer of the owner.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PassFailure {
    /// Whoever was asked answered so: the owner, or the node that was to pass it on.
    #[error("the request was answered by a refusal")]
    Call(CallFailure),
    /// Nothing was carried out: the owner cannot be reached from that node either.
    #[error("not passed on: {0}")]
    Unreached(String),
}

impl From<CallFailure> for PassFailure {
    fn from(failure: CallFailure) -> Self {
        Self::Call(failure)
    }
}

/// A node, as the server of its internal link holds it.
pub trait NodeService: Backend {
    /// What is told now.
    fn told(&self) -> Told;

    /// Waits until what is told has another revision than `seen`.
    fn told_anew(&self, seen: u64) -> BoxFuture<'_, Told>;

    /// Looks at what `nudge` names. Returns at once.
    fn nudged(&self, nudge: Nudge);

    /// Has the owner carry out `request`, for a front-end that cannot reach it and believes it to be
    /// by `route` (cluster §18, row 4). Never further than that: whoever is asked and is not the owner
    /// answers [`CallFailure::Moved`].
    ///
    /// # Errors
    /// [`PassFailure`].
    fn pass_on(
        &self,
        route: Route,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, PassFailure>>;

    /// Watches `account` at its owner, for a front-end that cannot reach it and believes it to be by
    /// `route`: as [`Backend::watch`] there, and never further. Whatever the owner tells wakes the watch,
    /// and so does its loss; whoever is woken asks again, to learn whether the owner is still heard.
    ///
    /// `None` if it cannot be watched there, or if the owner cannot be heard from here either.
    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>>;

    /// What is remembered for good of the service of `domain` (canonical), once `seen` is, if a front-end
    /// has seen a profile that may follow what was known (service §4.3, decision Q-52).
    ///
    /// # Errors
    /// It cannot be read or written, or another service is remembered than that of `seen`.
    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, ServiceError>>;
}
