//! Partitions that come and go: what the loop of the node does with the places where they run
//! (cluster §4.3).

use actix::prelude::*;
use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::limits::RELEASE_TIME_MAX;
use tokio::sync::oneshot;

use super::{Inner, lock};
use crate::cluster::membership::Membership;
use crate::partition::PartitionActor;
use crate::partition::commands::{Stop, Wake};
use crate::store::Store;

impl<S: Store> Inner<S> {
    /// `partition` is ours by this claim: whoever asks for it next starts an actor.
    pub(crate) fn begin_partition(
        &self,
        membership: &Membership,
        partition: PartitionId,
        fence: Fence,
    ) {
        let mut slot = lock(&self.partitions[usize::from(partition.0)]);
        let before = slot.running.take();
        slot.held = Some(fence);
        slot.fence = Some(fence);
        slot.is_open = true;
        // What an actor of an earlier claim brings yet is not shown.
        self.shared.shown(partition).begin();
        membership.begin(partition, fence);
        drop(slot);
        wake(before);
    }

    /// `partition` is not ours any more by this claim: nothing is kept of it.
    pub(crate) fn end_partition(&self, partition: PartitionId, fence: Fence) {
        let mut slot = lock(&self.partitions[usize::from(partition.0)]);
        if slot.held != Some(fence) {
            return;
        }
        slot.held = None;
        slot.fence = None;
        slot.is_open = false;
        let before = slot.running.take();
        self.forget_partition(partition, fence);
        drop(slot);
        // It sends away what waits, and ends.
        wake(before);
    }

    /// Has `partition` take nothing more and finish what is being committed, within
    /// [`RELEASE_TIME_MAX`]; what takes longer is fenced off by the release.
    pub(crate) async fn let_go_of_partition(&self, partition: PartitionId, fence: Fence) {
        let running = {
            let mut slot = lock(&self.partitions[usize::from(partition.0)]);
            if slot.held != Some(fence) {
                return;
            }
            slot.is_open = false;
            slot.fence = None;
            slot.running.take()
        };
        if let Some(running) = running.filter(Addr::connected) {
            let (reply, done) = oneshot::channel();
            let refusal = self.shared.moved(partition);
            let stopped = async {
                if running.send(Stop { refusal, reply }).await.is_ok() {
                    // An actor that ended otherwise has stopped as well.
                    let _ended = done.await;
                }
            };
            if tokio::time::timeout(RELEASE_TIME_MAX, stopped)
                .await
                .is_err()
            {
                tracing::warn!(
                    partition = partition.0,
                    "a partition is let go of while it commits"
                );
            }
        }
        // Before the record is released: from then on others may write.
        self.forget_partition(partition, fence);
    }

    fn forget_partition(&self, partition: PartitionId, fence: Fence) {
        if let Some(membership) = &self.shared.membership {
            membership.end(partition, fence);
        }
        self.shared.shown(partition).begin();
    }

    /// Has every partition that runs look whether it may go on.
    pub(crate) fn wake_partitions(&self) {
        for slot in &self.partitions {
            wake(lock(slot).running.clone());
        }
    }
}

/// Has an actor look whether it may go on. One whose mailbox is full is looking all the time.
fn wake<S: Store>(actor: Option<Addr<PartitionActor<S>>>) {
    if let Some(actor) = actor
        && actor.try_send(Wake).is_err()
    {
        tracing::debug!("a partition was not woken");
    }
}
