//! Intakes at work (cluster §8): whoever left something nudges the owner, everybody looks every two
//! seconds, and the owner drains page by page, in turn with its batches.

use mesh_backend::bottled::{BatchEnd, IntakeReady};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::limits::INTAKE_POLL_INTERVAL;

use super::Node;
use super::slots::Standings;

/// How far the drain of a partition is.
pub(super) struct Drain {
    stage: Stage,
    /// Whether somebody said that there is something.
    is_due: bool,
    /// Whether the last commit was a drain's: then requests go first.
    pub(super) had_turn: bool,
}

enum Stage {
    Idle,
    /// The page is read, and what takes long is made.
    Preparing,
    /// It waits for its turn.
    Ready(Ready),
    Committing,
}

/// A page that can be committed.
pub(super) struct Ready {
    page: IntakeReady,
    accounts: Vec<AccountAddress>,
}

impl Drain {
    /// Of a partition that has just come: nobody knows what is in its intake.
    pub(super) const fn due() -> Self {
        Self {
            stage: Stage::Idle,
            is_due: true,
            had_turn: false,
        }
    }

    /// Whether a look is to begin now.
    pub(super) fn begin_look(&mut self) -> bool {
        let begins = self.is_due && matches!(self.stage, Stage::Idle);
        if begins {
            self.is_due = false;
            self.stage = Stage::Preparing;
        }
        begins
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    /// The page that is to be committed now.
    pub(super) fn begin_commit(&mut self) -> Option<Ready> {
        match std::mem::replace(&mut self.stage, Stage::Committing) {
            Stage::Ready(ready) => {
                self.had_turn = true;
                Some(ready)
            }
            stage => {
                self.stage = stage;
                None
            }
        }
    }
}

impl Node {
    /// Somebody says that there is something in the intake of `partition`.
    pub fn nudge(&self, partition: PartitionId) {
        if let Some(slot) = self.lock().slots.get_mut(&partition) {
            slot.drain.is_due = true;
        }
        self.go_on(partition);
    }

    /// Tells owners of what was left, and looks now and then for what nobody told of.
    pub(super) fn begin_nudging(&self) {
        let node = self.clone();
        self.spawn(async move {
            loop {
                let rung = node.0.pieces.rung().await;
                for partition in rung {
                    node.nudge_owner(partition);
                }
            }
        });
        let node = self.clone();
        self.spawn(async move {
            loop {
                let is_ours = |partition| node.lock().slots.contains_key(&partition);
                for partition in node.0.pieces.waiting(is_ours).await {
                    node.nudge(partition);
                }
                node.0.world.sleep(INTAKE_POLL_INTERVAL).await;
            }
        });
    }

    fn nudge_owner(&self, partition: PartitionId) {
        if self.lock().slots.contains_key(&partition) {
            return self.nudge(partition);
        }
        if let Some(route) = self.route(partition.into()) {
            let roads = &self.0.roads;
            roads.tell(route.node, move |owner| owner.nudge(partition));
        }
    }

    /// Reads a page and makes what it is decided by.
    pub(super) async fn look_into_intake(&self, partition: PartitionId, fence: Fence) {
        let ready = self.prepare(partition, fence).await;
        self.with_slot(partition, fence, |slot| {
            slot.drain.stage = ready.map_or(Stage::Idle, Stage::Ready);
        });
        self.go_on(partition);
    }

    async fn prepare(&self, partition: PartitionId, fence: Fence) -> Option<Ready> {
        let page = self.0.pieces.open_intake(partition).await?;
        let mut accounts: Vec<AccountAddress> = page.accounts().into_iter().collect();
        // A set has no order of its own: the same story twice reads in the same order.
        accounts.sort_by(|one, other| one.canonical().cmp(other.canonical()));
        let known = |slot: &mut super::slots::Slot| slot.standings.clone();
        let mut standings: Standings = self.with_slot(partition, fence, known)?;
        self.load(accounts.iter(), &mut standings).await;
        if !accounts.iter().all(|one| standings.contains_key(one)) {
            // The store did not answer: the next look finds the page again.
            return None;
        }
        standings.retain(|address, _| accounts.contains(address));
        self.with_slot(partition, fence, |slot| {
            for (address, standing) in &standings {
                // What was committed meanwhile is newer.
                let known = slot.standings.entry(address.clone());
                known.or_insert_with(|| standing.clone());
            }
        })?;
        let page = self.0.pieces.prepare(page, standings).await?;
        Some(Ready { page, accounts })
    }

    /// Commits a page.
    pub(super) async fn drain_page(
        &self,
        partition: PartitionId,
        fence: Fence,
        ready: Ready,
        mut standings: Standings,
    ) {
        let Ready { page, accounts } = ready;
        self.work(1).await;
        standings.retain(|address, _| accounts.contains(address));
        let pieces = &self.0.pieces;
        let drained = pieces.drain(partition, fence, page, standings).await;
        self.lock().counts.drained += drained.entries;
        self.with_slot(partition, fence, |slot| {
            slot.is_busy = false;
            slot.drain.stage = Stage::Idle;
            slot.drain.is_due |= drained.more;
            if drained.end == BatchEnd::Committed {
                slot.standings.extend(drained.standings);
            }
        });
        self.ended(partition, fence, drained.end);
    }
}
