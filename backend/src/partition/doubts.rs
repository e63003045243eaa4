//! What batches queue for other services until it is known whether they landed. It is counted before
//! the commit, so that bounds are never exceeded; where a commit fails it is given back, and where its
//! result stays unknown the next claim of the partition tells: after it nothing older can land, and the
//! account's tip carries the id of the last batch that did.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::cluster::PartitionId;

use super::reading::ReadError;
use super::records::{self, BatchId};
use super::shared::Shared;
use crate::outbound::bell::Note;
use crate::store::{Read, Store, Tx, TxOptions};

/// Items of one operation.
#[derive(Debug, Clone)]
struct Doubt {
    /// Where the tip of the operation's account stands.
    tip: Vec<u8>,
    batch: BatchId,
    notes: Vec<Note>,
}

/// What is in doubt, by partition.
#[derive(Debug, Default)]
pub(crate) struct Doubts(Mutex<HashMap<PartitionId, Vec<Doubt>>>);

impl Doubts {
    /// `batch` is to queue `notes` for the account whose tip stands at `tip`.
    pub(crate) fn begin(
        &self,
        partition: PartitionId,
        batch: BatchId,
        tip: Vec<u8>,
        notes: Vec<Note>,
    ) {
        let doubt = Doubt { tip, batch, notes };
        self.lock().entry(partition).or_default().push(doubt);
    }

    /// It is known what became of `batch`. Says what it was to queue.
    pub(crate) fn end(&self, partition: PartitionId, batch: BatchId) -> Vec<Note> {
        let mut doubts = self.lock();
        let Some(of_partition) = doubts.get_mut(&partition) else {
            return Vec::new();
        };
        let ended = of_partition.extract_if(.., |doubt| doubt.batch == batch);
        let notes = ended.flat_map(|doubt| doubt.notes).collect();
        if of_partition.is_empty() {
            doubts.remove(&partition);
        }
        notes
    }

    /// Whether anything of `partition` is in doubt.
    pub(crate) fn are_about(&self, partition: PartitionId) -> bool {
        self.lock().contains_key(&partition)
    }

    /// The partitions of which anything is in doubt.
    pub(crate) fn partitions(&self) -> Vec<PartitionId> {
        self.lock().keys().copied().collect()
    }

    fn of(&self, partition: PartitionId) -> Vec<Doubt> {
        self.lock().get(&partition).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Vec<Doubt>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds out what of the batches in doubt landed. To be called behind a claim of `partition`, before
/// anything else is written there.
///
/// # Errors
/// The store cannot be read: then the doubts stand, and nothing may be written.
pub(crate) async fn settle<S: Store>(
    shared: &Shared<S>,
    partition: PartitionId,
) -> Result<(), ReadError> {
    for doubt in shared.doubts.of(partition) {
        let tx = shared.store.begin(TxOptions::default());
        let row = tx.get(&doubt.tip, Read::Snapshot).await?;
        let written_by = row
            .map(|row| records::tip(&row).map(|(batch, _)| batch))
            .transpose()?;
        let notes = shared.doubts.end(partition, doubt.batch);
        if written_by != Some(doubt.batch) {
            shared.depths.give_back(&notes);
        }
        // Others may have owned the partition meanwhile and written over what would tell: what was spent counts
        // on until what is charged to us is counted again.
        if let Some(escrow) = &shared.escrow {
            escrow.landed(&notes);
        }
    }
    Ok(())
}
