//! How the front-end of this process reaches nodes: others over the network, its own without.

use std::sync::Arc;

use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend as _, NodeService as _, Nudge, Route, SigningKeys, Verified,
    Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use mesh_link::{Connector, Heard, LinkFailure, NodeLink};
use tokio::sync::watch;

use super::late::LateNode;

/// Links to others over the network, and to this process without.
pub(super) struct Reach {
    own_address: String,
    own: Arc<OwnLink>,
    others: Arc<dyn Connector>,
}

impl Reach {
    /// Others are reached by `others`; `node`, which others call `own_address`, directly. To be called
    /// inside an actix system.
    pub(super) fn new(
        own_address: String,
        node: Arc<LateNode>,
        others: Arc<dyn Connector>,
    ) -> Self {
        let heard = watch::Sender::new(Heard::default());
        let receiver = heard.subscribe();
        actix_rt::spawn(listen(Arc::clone(&node), heard));
        let own = Arc::new(OwnLink {
            address: own_address.clone(),
            node,
            heard: receiver,
        });
        Self {
            own_address,
            own,
            others,
        }
    }
}

impl Connector for Reach {
    fn link(&self, address: &str) -> Arc<dyn NodeLink> {
        if address == self.own_address {
            Arc::clone(&self.own) as Arc<dyn NodeLink>
        } else {
            self.others.link(address)
        }
    }
}

/// Passes on what the node tells, for as long as anybody may hear it.
async fn listen(node: Arc<LateNode>, heard: watch::Sender<Heard>) {
    loop {
        let seen = heard.borrow().told.revision;
        let told = node.told_anew(seen).await;
        let heard_now = Heard {
            is_open: true,
            opened: 1,
            told,
        };
        if heard.send(heard_now).is_err() {
            return;
        }
    }
}

/// The way to this process's own node.
struct OwnLink {
    address: String,
    node: Arc<LateNode>,
    heard: watch::Receiver<Heard>,
}

fn refused(error: ServiceError) -> LinkFailure {
    LinkFailure::Call(error.into())
}

impl NodeLink for OwnLink {
    fn address(&self) -> &str {
        &self.address
    }

    fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.clone()
    }

    fn perform<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        Box::pin(async move { Ok(self.node.perform(request.clone()).await?) })
    }

    fn receive<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        Box::pin(async move { Ok(self.node.receive(request.clone()).await?) })
    }

    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, LinkFailure>> {
        Box::pin(async move {
            let asked = self.node.signing_keys(account, deadline).await;
            asked.map_err(refused)
        })
    }

    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, LinkFailure>> {
        Box::pin(async move {
            let asked = self.node.published(account, id, deadline).await;
            asked.map_err(refused)
        })
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        self.node.watch(account)
    }

    /// As with [`pass_on`](Self::pass_on).
    fn watch_on<'a>(&'a self, _: Route, _: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(None))
    }

    fn nudge(&self, nudge: Nudge) -> BoxFuture<'_, Result<(), LinkFailure>> {
        self.node.nudged(nudge);
        Box::pin(std::future::ready(Ok(())))
    }

    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, LinkFailure>> {
        Box::pin(async move {
            let asked = self.node.pinned(domain, seen, deadline).await;
            asked.map_err(refused)
        })
    }

    /// Whatever this process cannot reach, its own node cannot reach either.
    fn pass_on<'a>(
        &'a self,
        _: Route,
        _: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        let why = "the node of this process stands where this process stands";
        Box::pin(std::future::ready(Err(LinkFailure::Refused(
            why.to_owned(),
        ))))
    }
}
