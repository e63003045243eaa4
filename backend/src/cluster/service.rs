//! What a node tells front-ends and other nodes over the internal link, and what it lets itself be told
//! (decisions ).

use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend as _, NodeService, Nudge, PassFailure, Route, Told, Verified,
    Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::time::Timestamp;

use crate::handle::BackendHandle;
use crate::store::Store;

impl<S: Store> NodeService for BackendHandle<S> {
    fn told(&self) -> Told {
        let membership = self.inner.shared.membership.as_ref();
        membership.map(|one| one.told()).unwrap_or_default()
    }

    fn told_anew(&self, seen: u64) -> BoxFuture<'_, Told> {
        Box::pin(async move {
            let Some(membership) = &self.inner.shared.membership else {
                // Whoever is alone with the store has nothing to tell.
                return std::future::pending().await;
            };
            let mut told = membership.subscribe();
            // The sender lives as long as we do.
            let _told = told.wait_for(|told| told.revision != seen).await.is_ok();
            membership.told()
        })
    }

    fn nudged(&self, nudge: Nudge) {
        let (inner, shared) = (&self.inner, &self.inner.shared);
        for partition in nudge.intakes {
            // Never passed on: whoever sent it to the wrong node is found out by the next look.
            if shared.owns(partition) {
                inner.nudge(partition);
            }
        }
        if !nudge.queues.is_empty() {
            shared.queue_bell.nudged(nudge.queues);
        }
        if let Some(membership) = shared
            .membership
            .as_ref()
            .filter(|_| !nudge.released.is_empty())
        {
            membership.freed(nudge.released);
        }
        for domain in nudge.heard {
            self.heard_from(&domain);
        }
    }
    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, ServiceError>> {
        Box::pin(self.inner.in_time(deadline, self.remembered(domain, seen)))
    }

    fn pass_on(
        &self,
        route: Route,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, PassFailure>> {
        Box::pin(self.bring(route, request))
    }

    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(self.watch_for(route, account))
    }
}
