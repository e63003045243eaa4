//! What waits to be committed: outcomes are collected until there are enough for a batch, or nobody is
//! under way to join it, or the oldest has waited long enough (delivery §11).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use mesh_common::delivery::ShardId;
use mesh_common::limits::{BATCH_BYTES_MAX, OUTBOUND_OUTCOMES_MAX, OUTBOUND_OUTCOMES_TIME_MAX};
use tokio::time::Instant;

use crate::outbound::settle::Settlement;

/// Time to the next try after a commit that failed.
const RETRY_TIME: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Ledger {
    waiting: VecDeque<Settlement>,
    /// Settlements of the commit in flight.
    in_flight: usize,
    /// Their shards.
    committing: BTreeSet<ShardId>,
    /// When the oldest came.
    since: Option<Instant>,
    not_before: Option<Instant>,
    /// Settlements of the next batch at most: fewer while the store finds batches too large.
    batch_max: usize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: 0,
            committing: BTreeSet::new(),
            since: None,
            not_before: None,
            batch_max: OUTBOUND_OUTCOMES_MAX,
        }
    }
}

impl Ledger {
    pub(super) fn add(&mut self, settlement: Settlement, moment: Instant) {
        self.waiting.push_back(settlement);
        self.since.get_or_insert(moment);
    }

    /// Settlements that are not durable yet.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight
    }

    /// Whether something about `shard` waits to be committed.
    pub(super) fn has_waiting(&self, shard: ShardId) -> bool {
        self.waiting.iter().any(|one| one.shard == shard)
    }

    /// Whether something about `shard` is being committed.
    pub(super) fn is_committing(&self, shard: ShardId) -> bool {
        self.committing.contains(&shard)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next batch is to be committed, if there is one and none is in flight. With `alone`
    /// nobody is under way who could join it.
    pub(super) fn due_at(&self, alone: bool) -> Option<Instant> {
        let since = self.since.filter(|_| self.in_flight == 0)?;
        let is_full = self.waiting.len() >= self.batch_max;
        let at = if is_full || alone {
            since
        } else {
            since + OUTBOUND_OUTCOMES_TIME_MAX
        };
        Some(self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// The next batch.
    pub(super) fn take(&mut self, moment: Instant) -> Vec<Settlement> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            bytes += next.bytes();
            let is_full = batch.len() >= self.batch_max || bytes > BATCH_BYTES_MAX;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(self.waiting.pop_front());
        }
        self.in_flight = batch.len();
        self.committing = batch.iter().map(|one| one.shard).collect();
        self.since = (!self.waiting.is_empty()).then_some(moment);
        batch
    }

    /// The batch is durable.
    pub(super) fn landed(&mut self) {
        self.in_flight = 0;
        self.committing.clear();
        self.not_before = None;
        self.batch_max = (self.batch_max * 2).min(OUTBOUND_OUTCOMES_MAX);
    }

    /// The batch is not durable, and is to be tried again: at once without the settlements that were taken
    /// out of it, else after a moment. One that is too large is halved.
    pub(super) fn put_back(
        &mut self,
        batch: Vec<Settlement>,
        moment: Instant,
        (at_once, is_too_large): (bool, bool),
    ) {
        self.in_flight = 0;
        self.committing.clear();
        if is_too_large {
            self.batch_max = (self.batch_max / 2).max(1);
        } else if !at_once {
            self.not_before = Some(moment + RETRY_TIME);
        }
        for settlement in batch.into_iter().rev() {
            self.waiting.push_front(settlement);
        }
        self.since = (!self.waiting.is_empty()).then_some(moment);
    }

    /// Takes out what is about `shards`, which others hold.
    pub(super) fn take_out(&mut self, shards: &BTreeSet<ShardId>) -> Vec<Settlement> {
        let waiting = std::mem::take(&mut self.waiting);
        let (out, waiting) = waiting
            .into_iter()
            .partition::<Vec<_>, _>(|one| shards.contains(&one.shard));
        self.waiting = waiting.into();
        out
    }
}
