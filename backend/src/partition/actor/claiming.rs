//! The partition's actor as it comes to own its partition, doubts that it does, and loses it
//! (cluster §4.3 and §7.3).

use std::sync::Arc;

use actix::prelude::*;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{CallFailure, Fence};
use mesh_common::error::ServiceError;

use super::{Claim, PartitionActor};
use crate::partition::doubts;
use crate::partition::ownership::ClaimError;
use crate::partition::reading::ReadError;
use crate::partition::shared::chain;
use crate::store::{CommitError, ProbeError, Store};

impl<S: Store> PartitionActor<S> {
    /// Ends, if the node has lost the partition, or has claimed it for another actor.
    pub(super) fn notice_loss(&mut self) {
        let (Claim::Held(fence) | Claim::Doubtful(fence)) = self.ownership else {
            return;
        };
        let membership = self.shared.membership.as_ref();
        if membership.is_some_and(|membership| !membership.holds(self.partition, fence)) {
            self.lose();
        }
    }

    /// The partition is not ours any more, or not surely: forgets it, and sends away what waits.
    pub(super) fn lose(&mut self) {
        self.ownership = Claim::Lost;
        self.life += 1;
        self.accounts.clear();
        self.loading.clear();
        // Who waits to see an account sees it in the store.
        self.viewers.clear();
        let moved = self.shared.moved(self.partition);
        self.answer_operations(&moved);
    }

    /// What the last owner of this node wanted to queue has landed, or never will: the claim is behind us.
    pub(super) fn settle_doubts(&mut self, ctx: &mut Context<Self>, fence: Fence) {
        self.ownership = Claim::Running;
        let (shared, partition) = (Arc::clone(&self.shared), self.partition);
        let settle = async move { (fence, doubts::settle(&shared, partition).await) };
        ctx.spawn(settle.into_actor(self).map(Self::doubts_settled));
    }

    pub(super) fn doubts_settled(
        (fence, settled): (Fence, Result<(), ReadError>),
        this: &mut Self,
        ctx: &mut Context<Self>,
    ) {
        this.ownership = Claim::Held(fence);
        if let Err(error) = settled {
            let cause = chain(&error);
            tracing::warn!(
                partition = this.partition.0,
                cause,
                "doubts are not settled"
            );
            this.give_up_claim();
        }
        this.go_on(ctx);
    }

    /// Believes nothing any more. Where the process is alone with the store, the next claim settles
    /// whether another owner has written, and whether a commit may still land; a node of a cluster has to
    /// claim for another actor.
    pub(super) fn give_up_claim(&mut self) {
        let Some(membership) = &self.shared.membership else {
            return self.forget_everything();
        };
        if let Claim::Held(fence) = self.ownership {
            membership.fenced(self.partition.into(), fence);
        }
        self.lose();
    }

    pub(super) fn claim(&mut self, ctx: &mut Context<Self>) {
        self.ownership = Claim::Running;
        let (shared, partition) = (Arc::clone(&self.shared), self.partition);
        let claim = async move {
            let claimed = shared
                .claimant
                .claim(&shared.store, shared.writing(), &[partition])
                .await?;
            doubts::settle(&shared, partition).await?;
            Ok(claimed)
        };
        ctx.spawn(claim.into_actor(self).map(Self::claimed));
    }

    pub(super) fn claimed(
        result: Result<Vec<Fence>, ClaimError>,
        this: &mut Self,
        ctx: &mut Context<Self>,
    ) {
        match result.map(|fences| fences.first().copied()) {
            Ok(Some(fence)) => {
                this.ownership = Claim::Held(fence);
                // What was read without owning the partition is not to be kept.
                this.life += 1;
                this.loading.clear();
                this.shared.health.up(&this.shared.metrics);
            }
            Ok(None) => this.ownership = Claim::None,
            Err(error) => {
                this.ownership = Claim::None;
                this.shared.health.down(&this.shared.metrics, &error);
                this.go_without(&error, ctx);
            }
        }
        this.go_on(ctx);
    }

    /// A claim that the store does not take ends writing. Reading goes on where nobody else can own
    /// the partition: what the store shows is true, and is not kept.
    pub(super) fn go_without(&mut self, error: &ClaimError, ctx: &mut Context<Self>) {
        let refusal = ServiceError::unavailable(chain(error));
        let takes_no_writes = matches!(
            error,
            ClaimError::Commit(
                ProbeError::NotCommitted(_) | ProbeError::Unresolved(CommitError::Fatal(_))
            )
        );
        if !takes_no_writes || self.shared.store.caps().is_shared {
            return self.refuse_all(&refusal);
        }
        self.refuse_operations(&refusal);
        let unseen = |address: &&AccountAddress| !self.loading.contains(*address);
        let missing: Vec<_> = self.viewers.keys().filter(unseen).cloned().collect();
        for address in missing {
            self.load(address, ctx);
        }
    }

    /// Believes nothing any more: another owner may have written, or a commit may still land. The
    /// next claim settles both.
    pub(super) fn forget_everything(&mut self) {
        self.life += 1;
        self.ownership = Claim::None;
        self.accounts.clear();
        self.loading.clear();
        self.draining.forget();
        self.shared.signing_keys.invalidate_all();
    }

    /// Refuses everything that waits.
    pub(super) fn refuse_all(&mut self, error: &ServiceError) {
        self.refuse_operations(error);
        for view in self.viewers.drain().flat_map(|(_, views)| views) {
            view.refuse(error.clone());
        }
    }

    /// Refuses everything that waits to write: nobody is here to do it.
    pub(super) fn refuse_operations(&mut self, error: &ServiceError) {
        self.answer_operations(&CallFailure::Away(error.clone()));
    }

    pub(super) fn answer_operations(&mut self, failure: &CallFailure) {
        for operation in self.queue.remove(|_| true) {
            operation.answer(Err(failure.clone()));
        }
        // Both are asked for again; until then nothing here asks the store again and again.
        self.tending.give_up(false);
        self.draining.give_up();
    }
}
