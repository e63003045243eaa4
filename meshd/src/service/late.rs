//! The node of this process, as others and its own front-end hold it from the start: until it has joined
//! its cluster it owns nothing, tells nothing, and says so.
//!
//! So the internal link answers, and has an address to be found by, before the store is reached.

use std::sync::{Arc, OnceLock};

use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend, CallFailure, NodeService, Nudge, PassFailure, Route,
    SigningKeys, Told, Verified, Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use tokio::sync::Notify;

/// A node that may not be there yet.
#[derive(Default)]
pub(super) struct LateNode {
    node: OnceLock<Arc<dyn NodeService>>,
    arrived: Notify,
}

impl LateNode {
    /// From now on `node` answers.
    pub(super) fn joined(&self, node: Arc<dyn NodeService>) {
        if self.node.set(node).is_ok() {
            self.arrived.notify_waiters();
        }
    }

    fn get(&self) -> Option<&Arc<dyn NodeService>> {
        self.node.get()
    }

    fn known(&self) -> Result<&Arc<dyn NodeService>, ServiceError> {
        self.get()
            .ok_or_else(|| ServiceError::unavailable("this node has not joined its cluster yet"))
    }

    async fn arrival(&self) -> &Arc<dyn NodeService> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(node) = self.get() {
                return node;
            }
            arrived.await;
        }
    }
}

impl Backend for LateNode {
    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>> {
        Box::pin(async move { self.known()?.signing_keys(account, deadline).await })
    }

    fn perform(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        match self.get() {
            Some(node) => node.perform(request),
            None => Box::pin(std::future::ready(Err(CallFailure::Moved(None)))),
        }
    }

    fn receive(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        match self.get() {
            Some(node) => node.receive(request),
            None => Box::pin(std::future::ready(Err(CallFailure::Moved(None)))),
        }
    }

    fn heard_from(&self, domain: &str) {
        if let Some(node) = self.get() {
            node.heard_from(domain);
        }
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        match self.get() {
            Some(node) => node.watch(account),
            None => Box::pin(std::future::ready(None)),
        }
    }

    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>> {
        Box::pin(async move { self.known()?.published(account, id, deadline).await })
    }
}

impl NodeService for LateNode {
    fn told(&self) -> Told {
        self.get().map(|node| node.told()).unwrap_or_default()
    }

    fn told_anew(&self, seen: u64) -> BoxFuture<'_, Told> {
        Box::pin(async move { self.arrival().await.told_anew(seen).await })
    }

    fn nudged(&self, nudge: Nudge) {
        if let Some(node) = self.get() {
            node.nudged(nudge);
        }
    }

    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, ServiceError>> {
        Box::pin(async move { self.known()?.pinned(domain, seen, deadline).await })
    }

    fn pass_on(
        &self,
        route: Route,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, PassFailure>> {
        match self.get() {
            Some(node) => node.pass_on(route, request),
            None => Box::pin(std::future::ready(Err(PassFailure::Unreached(
                "this node has not joined its cluster yet".to_owned(),
            )))),
        }
    }

    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        match self.get() {
            Some(node) => node.watch_on(route, account),
            None => Box::pin(std::future::ready(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_not_joined_tells_nothing_and_owns_nothing() {
        let node = LateNode::default();
        assert_eq!(node.told().revision, 0);
        assert!(node.told().routes.nodes.is_empty());
        assert!(node.known().is_err());
        node.nudged(Nudge::default());
    }
}
