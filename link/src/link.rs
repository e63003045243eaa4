//! A node as others reach it: what can be asked of it, how a call ends, and what it tells by itself.
//!
//! A [`NodeLink`] asks one node, once. Which node, and whether to ask again, is decided by whoever
//! holds links to many (cluster §4.6); for that [`LinkFailure`] tells apart what was certainly not
//! carried out from what may have been.

use std::sync::Arc;

use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, CallFailure, Nudge, PassFailure, Route, SigningKeys, Told, Verified,
    Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::protocol::Code;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use tokio::sync::watch;

/// The way to one node.
///
/// Dropping a future that was returned here does not undo what was begun.
pub trait NodeLink: Send + Sync + 'static {
    /// `host:port` of the node.
    fn address(&self) -> &str;

    /// What the node tells by itself, and whether it still can; see [`Heard`]. Changes that nobody
    /// looked at in time are overwritten by the next.
    fn heard(&self) -> watch::Receiver<Heard>;

    /// Has one transaction carried out: [`Backend::perform`](mesh_common::cluster::Backend::perform).
    /// The deadline is the request's.
    ///
    /// # Errors
    /// [`LinkFailure`].
    fn perform<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>>;

    /// Hands over the Post of another service:
    /// [`Backend::receive`](mesh_common::cluster::Backend::receive).
    ///
    /// # Errors
    /// [`LinkFailure`].
    fn receive<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>>;

    /// Asks for the keys that may sign for `account`:
    /// [`Backend::signing_keys`](mesh_common::cluster::Backend::signing_keys).
    ///
    /// # Errors
    /// [`LinkFailure`].
    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, LinkFailure>>;

    /// Asks for what a hailing account publishes:
    /// [`Backend::published`](mesh_common::cluster::Backend::published).
    ///
    /// # Errors
    /// [`LinkFailure`].
    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, LinkFailure>>;

    /// Begins to watch `account` at the node: whatever it commits for the account once this is ready
    /// wakes the watch. So does the loss of the stream of events, after which the watch hears nothing
    /// more: whoever is woken looks, and begins another watch.
    ///
    /// `None` if as many watch it as may, or if the node cannot be heard at present.
    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>>;

    /// Begins to watch `account` at its owner by way of the node, since this process cannot reach the owner
    /// and believes it to be by `route`:
    /// [`NodeService::watch_on`](mesh_common::cluster::NodeService::watch_on). It is woken as
    /// [`Self::watch`] is, and when the node hears the owner no more: whoever is woken asks for it again,
    /// to learn whether the owner is still watched, and keeps the first one if it is. `None` also if the
    /// node does not know how.
    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>>;

    /// Has the node look at what `nudge` names; ready once it knows.
    ///
    /// # Errors
    /// [`LinkFailure`]. Nothing is lost by it: the node looks by itself before long.
    fn nudge(&self, nudge: Nudge) -> BoxFuture<'_, Result<(), LinkFailure>>;

    /// Asks what is remembered of the service of `domain`, and tells what was `seen` of it:
    /// [`NodeService::pinned`](mesh_common::cluster::NodeService::pinned).
    ///
    /// # Errors
    /// [`LinkFailure`].
    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, LinkFailure>>;

    /// Has the node bring `request` to its owner, which this process cannot reach and believes to be by
    /// `route`: [`NodeService::pass_on`](mesh_common::cluster::NodeService::pass_on).
    ///
    /// # Errors
    /// [`LinkFailure`]; a node that passes nothing on does not know it.
    fn pass_on<'a>(
        &'a self,
        route: Route,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>>;
}

/// What makes links.
pub trait Connector: Send + Sync + 'static {
    /// The link to the node that answers at `address`, `host:port`. Returns at once: what can be heard
    /// of the node is heard later, or never, and calls say what is wrong. The link ends when the last
    /// reference to it is dropped.
    fn link(&self, address: &str) -> Arc<dyn NodeLink>;
}

/// What is known of a node by what it tells.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Whether its stream of events is open, and what follows was told in it. While it is not, that may
    /// be old.
    pub is_open: bool,
    /// How often the stream was opened. What was watched in an earlier one is watched no more.
    pub opened: u64,
    /// What it told last; of revision 0 as long as that is nothing.
    pub told: Told,
}

/// Why a call over a link has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LinkFailure {
    /// The node answered so: refused, moved, busy.
    #[error("the node answered that it cannot")]
    Call(CallFailure),
    /// Nothing was carried out, since the node did not get it: another may be asked at once.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The node got it, and could not bring it to whom it was to pass it on. Nothing was carried out.
    #[error("not passed on: {0}")]
    NotPassedOn(String),
    /// It was sent, and the connection broke before the answer: whether it was carried out is not
    /// known.
    #[error("sent, and no answer: {0}")]
    Lost(String),
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline {
        /// Whether the node may have begun; otherwise nothing was carried out.
        begun: bool,
    },
    /// The other side does not take it from this process: of another role or cluster. Nothing was carried
    /// out, and asking again does not help.
    #[error("refused: {0}")]
    Refused(String),
    /// The other side does not know the call: it is of another release. Nothing was carried out; whoever
    /// asks does without.
    #[error("unknown there: {0}")]
    Unknown(String),
}

impl LinkFailure {
    /// Whether it is certain that nothing was carried out.
    #[must_use]
    pub const fn is_nothing_done(&self) -> bool {
        match self {
            Self::NotSent(_)
            | Self::NotPassedOn(_)
            | Self::Refused(_)
            | Self::Unknown(_)
            | Self::Deadline { begun: false } => true,
            Self::Call(failure) => match failure {
                CallFailure::Refused(_)
                | CallFailure::Moved(_)
                | CallFailure::Busy(_)
                | CallFailure::Stale => true,
                CallFailure::Away(_) => false,
            },
            Self::Lost(_) | Self::Deadline { begun: true } => false,
        }
    }
}

impl LinkFailure {
    /// What it is to the front-end for which a node passed a request on.
    #[must_use]
    pub fn into_pass_failure(self) -> PassFailure {
        match self {
            Self::Call(failure) => PassFailure::Call(failure),
            Self::NotSent(why)
            | Self::NotPassedOn(why)
            | Self::Refused(why)
            | Self::Unknown(why) => PassFailure::Unreached(why),
            Self::Lost(why) => CallFailure::Away(
                ServiceError::unavailable("the owner did not answer").with_context(why),
            )
            .into(),
            Self::Deadline { .. } => {
                let sentence = "the transaction took too long, repeat the request";
                CallFailure::Refused(ServiceError::new(Code::Timeout, sentence)).into()
            }
        }
    }
}

impl From<CallFailure> for LinkFailure {
    fn from(failure: CallFailure) -> Self {
        Self::Call(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_carried_out_is_told_apart() {
        let away = CallFailure::Away(ServiceError::unavailable("gone"));
        for failure in [
            LinkFailure::Lost("cut".into()),
            LinkFailure::Deadline { begun: true },
            away.into(),
        ] {
            assert!(!failure.is_nothing_done(), "{failure:?}");
        }
        for failure in [
            LinkFailure::NotSent("no route".into()),
            LinkFailure::NotPassedOn("no route from there".into()),
            LinkFailure::Deadline { begun: false },
            LinkFailure::Refused("of another cluster".into()),
            LinkFailure::Unknown("of an older release".into()),
            CallFailure::Moved(None).into(),
        ] {
            assert!(failure.is_nothing_done(), "{failure:?}");
        }
    }
}
