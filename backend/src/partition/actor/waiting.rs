//! The partition's actor as it lets operations wait, and gives up those that nobody waits for or that find no place
//! (cluster §14).

use std::sync::Arc;

use actix::prelude::*;
use mesh_common::cluster::CallFailure;
use mesh_common::limits::BUSY_TIME;
use mesh_common::time::Timestamp;

use super::{Claim, PartitionActor};
use crate::partition::batch;
use crate::partition::commands::{Operation, Perform};
use crate::store::Store;

impl<S: Store> PartitionActor<S> {
    /// Lets an operation wait, or says why not: nothing is done for what is late, and where there is no place, what is
    /// late gives way first, under overload then what has waited longest (cluster §14).
    fn admit(&mut self, operation: Operation) {
        let (now, shared) = (self.shared.now(), Arc::clone(&self.shared));
        let metrics = &shared.metrics.mailbox;
        if operation.is_late(now) {
            metrics.refused("late");
            return operation.refuse(batch::too_late());
        }
        metrics.depth.observe(self.queue.len() as f64);
        if self.queue.is_full_for(&operation) {
            self.refuse_what_is_late(now);
        }
        let given_up = match self.queue.push(operation, now) {
            Ok(oldest) => oldest.map(|oldest| (oldest, "oldest")),
            Err((operation, full)) => {
                tracing::debug!(partition = self.partition.0, %full, "a request finds no place");
                Some((operation, full.name()))
            }
        };
        if let Some((operation, why)) = given_up {
            metrics.refused(why);
            operation.answer(Err(CallFailure::Busy(BUSY_TIME)));
        }
    }

    /// Refuses what nobody waits for any more, before anything is done for it.
    pub(super) fn refuse_what_is_late(&mut self, now: Timestamp) {
        for operation in self.queue.remove(|one| one.is_late(now)) {
            self.shared.metrics.mailbox.refused("late");
            operation.refuse(batch::too_late());
        }
    }
}

impl<S: Store> Handler<Perform> for PartitionActor<S> {
    type Result = ();

    fn handle(&mut self, Perform(operation): Perform, ctx: &mut Self::Context) {
        if let Some(stop) = &self.stopping {
            return operation.answer(Err(stop.refusal.clone()));
        }
        if matches!(self.ownership, Claim::Lost) {
            return operation.answer(Err(self.shared.moved(self.partition)));
        }
        self.admit(operation);
        self.go_on(ctx);
    }
}
