//! What a batch queues for other services, against the bounds of the queue (cluster §9, §14): counted before
//! the commit, and given back where nothing lands.

use mesh_common::account::{Change, Transition, needs};
use mesh_common::cluster::PartitionId;
use mesh_common::escrow::HolderId;

use super::super::commands::Operation;
use super::super::ownership::Fenced;
use super::super::records::{BatchId, Rows};
use super::super::shared::Shared;
use super::Draft;
use crate::escrow::{self, Unspent, Wants};
use crate::outbound::bell::Note;
use crate::store::{Landing, ProbeError, Store};

impl Draft {
    /// Has granted what `operations` will queue, as far as that can be told, where other nodes queue too.
    pub(super) async fn prepare<S: Store>(&mut self, shared: &Shared<S>, operations: &[Operation]) {
        let Some(escrow) = &shared.escrow else {
            return;
        };
        self.holder = Some(escrow.holder());
        let (mut wants, mut policy) = (Wants::new(), None);
        for operation in operations {
            let Some(working) = self.working.get(operation.account()) else {
                continue;
            };
            for scope in needs(&working.standing, operation.request()).waiting {
                policy = Some(shared.config.policy_of(operation.account()));
                *wants.entry(scope).or_default() += 1;
            }
        }
        // Bounds that differ by domain are asked for as those of the last one: whoever spends asks exactly.
        if let Some(policy) = policy {
            let bounds = (&policy.queue, policy.domains_served.len());
            escrow.prepare(shared, &wants, bounds).await;
        }
    }

    /// Counts what `operation` queues, if the bounds allow it: in memory where this process is alone, else
    /// of what this node was granted.
    ///
    /// # Errors
    /// [`Unspent`]: nothing is counted.
    pub(super) async fn spend<S: Store>(
        &self,
        shared: &Shared<S>,
        operation: &Operation,
        notes: &[Note],
    ) -> Result<(), Unspent> {
        let policy = shared.config.policy_of(operation.account());
        let tenants = policy.domains_served.len();
        let Some((escrow, holder)) = shared.escrow.as_ref().zip(self.holder) else {
            // Another partition took the room since this was decided: it is decided again.
            let fits = shared.depths.try_enter(notes, &policy.queue, tenants);
            return if fits { Ok(()) } else { Err(Unspent::Again) };
        };
        let wants = escrow::wants_of(notes, tenants);
        escrow
            .spend(shared, holder, &wants, (&policy.queue, tenants))
            .await?;
        for note in notes {
            shared.depths.enter(note.counted());
        }
        Ok(())
    }
}

/// Notes whom what `transition` queues is charged to.
pub(super) fn charge(transition: &mut Transition, holder: Option<HolderId>) {
    for change in &mut transition.changes {
        if let Change::Enqueue(queued) = change {
            queued.item.charged_to = holder;
        }
    }
}

/// Tells the owners of the destinations what was queued for other services, or counts it no longer.
pub(super) fn tell_queues<S: Store>(
    shared: &Shared<S>,
    partition: PartitionId,
    batch: BatchId,
    rows: &Rows,
    landing: &Result<Landing, ProbeError<Fenced>>,
) {
    let stamp = match landing {
        Ok(Landing::Answered(committed)) => committed.stamp,
        Ok(Landing::Found) => None,
        Err(ProbeError::Unresolved(_)) => {
            let shards = rows.queued().iter().map(Note::shard);
            return shared.queue_bell.doubt(shards);
        }
        Err(_) => {
            let notes = shared.doubts.end(partition, batch);
            if let Some(escrow) = &shared.escrow {
                escrow.undo(&notes);
            }
            return shared.depths.give_back(&notes);
        }
    };
    let notes = shared.doubts.end(partition, batch);
    if let Some(escrow) = &shared.escrow {
        escrow.landed(&notes);
    }
    shared.queue_bell.ring(rows.queued(), stamp);
}
