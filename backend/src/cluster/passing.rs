//! Requests that a front-end cannot bring to their owner, and brings here (cluster §18, row 4).
//!
//! ```text
//!  front-end ──✕──▶ owner           the network is cut between the two alone
//!      └──▶ this node ──▶ owner     once, never further
//! ```
//!
//! The front-end says whom it believes to be the owner; this node knows as much from the store. Of the two
//! claims the later one counts. Nothing comes here twice: whoever is asked by a node and is not the owner
//! answers `Moved`, and it is the front-end that looks again. The request stays as it was: its RequestID, by
//! which the owner recognizes it if it came another way too, and its deadline.
//!
//! A watch goes the same way: this node watches at the owner, and tells the front-end what the owner tells. It
//! is asked for as any watch is, which whoever is not the owner refuses.
//!
//! Draft: decision Q-61 has owners believe front-ends alone what was verified. Here they believe a node that
//! was told by a front-end (note 9).

use mesh_common::address::AccountAddress;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend as _, CallFailure, PartitionId, PassFailure, Route, RoutedNode,
    Unit, Verified, Watch,
};
use mesh_common::limits::LINK_BUSY_PAUSE;

use super::membership::Membership;
use crate::handle::BackendHandle;
use crate::store::Store;

impl<S: Store> BackendHandle<S> {
    /// Has the owner carry out `request`: this node, if it has become it, else whoever it is by `route` or
    /// by what is known here.
    pub(super) async fn bring(
        &self,
        route: Route,
        request: Verified<AccountRequest>,
    ) -> Result<Answer, PassFailure> {
        let shared = &self.inner.shared;
        let partition = PartitionId::of(&request.account);
        let Some(membership) = &shared.membership else {
            return Ok(self.perform(request).await?);
        };
        if shared.owns(partition) {
            return Ok(self.perform(request).await?);
        }
        let passed = membership.bring(route, partition, &request).await;
        let result = match &passed {
            Ok(_) => "answered",
            Err(PassFailure::Call(CallFailure::Moved(_))) => "moved",
            Err(PassFailure::Call(CallFailure::Away(_))) => "lost",
            Err(PassFailure::Call(_)) => "refused",
            Err(PassFailure::Unreached(_)) => "unreached",
        };
        let metrics = &shared.metrics.cluster;
        metrics.passed_on.with_label_values(&[result]).inc();
        passed
    }

    /// Watches `account` at its owner: here, if this node has become it, else at whoever it is by `route` or
    /// by what is known here.
    pub(super) async fn watch_for(&self, route: Route, account: &AccountAddress) -> Option<Watch> {
        let shared = &self.inner.shared;
        let partition = PartitionId::of(account);
        let Some(membership) = &shared.membership else {
            return self.watch(account).await;
        };
        if shared.owns(partition) {
            return self.watch(account).await;
        }
        let address = membership.way_to(route, partition.into()).ok()?;
        membership.neighbours.watch(&address, account).await
    }
}

impl Membership {
    async fn bring(
        &self,
        route: Route,
        partition: PartitionId,
        request: &Verified<AccountRequest>,
    ) -> Result<Answer, PassFailure> {
        let address = self.way_to(route, partition.into())?;
        // An error would say that the semaphore was closed, which nobody does.
        let _place = self
            .passing
            .try_acquire()
            .map_err(|_| CallFailure::Busy(LINK_BUSY_PAUSE))?;
        self.neighbours.pass_on(&address, request).await
    }

    /// Where the owner of `unit` answers, by the later claim of `route` and what is known here.
    fn way_to(&self, route: Route, unit: Unit) -> Result<String, PassFailure> {
        let told = self.told();
        let known = told.routes.owners.get(&unit).copied();
        let owner = known
            .filter(|known| known.fence > route.fence)
            .unwrap_or(route);
        if owner.node == self.id {
            // It was ours, or is about to be: the one who asks knows no more than we.
            return Err(CallFailure::Moved(None).into());
        }
        let node = told.routes.nodes.get(&owner.node);
        let reached = node.filter(|node: &&RoutedNode| !node.address.is_empty());
        let unknown = || PassFailure::Unreached("the owner is no node that is alive".to_owned());
        Ok(reached.ok_or_else(unknown)?.address.clone())
    }
}
