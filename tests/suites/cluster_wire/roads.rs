//! Networks that are cut in part: a front-end has a road of its own to each node, beside those by which nodes
//! reach each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_backend::cluster::Neighbours;
use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Nudge, PassFailure, Route, SigningKeys, Verified, Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use mesh_link::{Connector, Heard, LinkConnector, LinkFailure, NodeLink, Nudges};
use mesh_tests::proxy::Proxy;
use tokio::sync::watch;

/// What makes links of one front-end, each by a road of its own.
pub(crate) struct Roads {
    pub(crate) connector: LinkConnector,
    pub(crate) by_node: BTreeMap<String, Arc<Proxy>>,
}

impl Connector for Roads {
    fn link(&self, address: &str) -> Arc<dyn NodeLink> {
        let road = self.by_node.get(address);
        let way = road.map_or_else(|| address.to_owned(), |road| road.address().to_string());
        Arc::new(ByRoad {
            address: address.to_owned(),
            link: self.connector.link(&way),
        })
    }
}

/// A node under its own name, whatever road leads there.
struct ByRoad {
    address: String,
    link: Arc<dyn NodeLink>,
}

impl NodeLink for ByRoad {
    fn address(&self) -> &str {
        &self.address
    }

    fn heard(&self) -> watch::Receiver<Heard> {
        self.link.heard()
    }

    fn perform<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        self.link.perform(request)
    }

    fn receive<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        self.link.receive(request)
    }

    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, LinkFailure>> {
        self.link.signing_keys(account, deadline)
    }

    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, LinkFailure>> {
        self.link.published(account, id, deadline)
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        self.link.watch(account)
    }

    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        self.link.watch_on(route, account)
    }

    fn nudge(&self, nudge: Nudge) -> BoxFuture<'_, Result<(), LinkFailure>> {
        self.link.nudge(nudge)
    }

    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, LinkFailure>> {
        self.link.pinned(domain, seen, deadline)
    }

    fn pass_on<'a>(
        &'a self,
        route: Route,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        self.link.pass_on(route, request)
    }
}

/// The way of a node to the others.
pub(crate) struct Street(pub(crate) Nudges);

impl Neighbours for Street {
    fn nudge(&self, address: &str, nudge: Nudge) {
        self.0.nudge(address, nudge);
    }

    fn pass_on<'a>(
        &'a self,
        address: &'a str,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, PassFailure>> {
        Box::pin(async move {
            let answer = self.0.pass_on(address, request).await;
            answer.map_err(LinkFailure::into_pass_failure)
        })
    }

    fn watch<'a>(
        &'a self,
        address: &'a str,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(self.0.watch(address, account))
    }
}
