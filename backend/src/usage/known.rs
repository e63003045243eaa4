//! The rows of table 12 that owners here have in memory: each belongs to one claim of its partition, and is
//! forgotten with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::limits::{PARTITIONS, USAGE_DOMAINS_KEPT_MAX, USAGE_MEASURED_INTERVAL};
use mesh_common::time::Timestamp;

use super::rows::UsageRow;

/// What is known of one partition.
#[derive(Debug, Default)]
struct Known {
    /// By which claim: what was known under another one may have been written by others since.
    fence: Option<Fence>,
    rows: HashMap<Box<str>, UsageRow>,
}

/// What is known of all partitions.
#[derive(Debug)]
pub(crate) struct Usages {
    partitions: Vec<Mutex<Known>>,
    /// When all rows were added up last, for the measures.
    added_up_at: Mutex<Option<Timestamp>>,
}

impl Default for Usages {
    fn default() -> Self {
        Self {
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
            added_up_at: Mutex::default(),
        }
    }
}

impl Usages {
    /// The row of `domain`, if the owner that holds the partition under `fence` knows it.
    pub(super) fn row(
        &self,
        partition: PartitionId,
        fence: Fence,
        domain: &str,
    ) -> Option<UsageRow> {
        let known = self.of(partition);
        let row = known.rows.get(domain).copied();
        row.filter(|_| known.fence == Some(fence))
    }

    /// The owner that holds the partition under `fence` knows that `row` is committed.
    pub(super) fn keep(&self, partition: PartitionId, fence: Fence, domain: &str, row: UsageRow) {
        let mut known = self.of(partition);
        if known.fence != Some(fence) || known.rows.len() >= USAGE_DOMAINS_KEPT_MAX {
            known.rows.clear();
        }
        known.fence = Some(fence);
        known.rows.insert(domain.into(), row);
    }

    /// Nobody knows what is committed of `domain`.
    pub(super) fn forget(&self, partition: PartitionId, domain: &str) {
        self.of(partition).rows.remove(domain);
    }

    /// Whether all rows are to be added up at `now`: then whoever asked does it.
    pub(crate) fn is_to_be_added_up(&self, now: Timestamp) -> bool {
        let last = self.added_up_at.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.since(last) >= USAGE_MEASURED_INTERVAL);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    fn of(&self, partition: PartitionId) -> MutexGuard<'_, Known> {
        let known = &self.partitions[usize::from(partition.0)];
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: PartitionId = PartitionId(7);

    const fn fence(epoch: u64) -> Fence {
        Fence {
            generation: 1,
            epoch,
        }
    }

    const ROW: UsageRow = UsageRow {
        change: 3,
        used: mesh_common::account::DomainUsage {
            octets: 9,
            accounts: 1,
            day: 0,
            messages: 0,
        },
    };

    #[test]
    fn what_was_known_under_another_claim_is_known_no_more() {
        let usages = Usages::default();
        usages.keep(HERE, fence(1), "a.example", ROW);
        assert_eq!(usages.row(HERE, fence(1), "a.example"), Some(ROW));
        assert_eq!(usages.row(HERE, fence(2), "a.example"), None);
        assert_eq!(usages.row(PartitionId(8), fence(1), "a.example"), None);
        usages.keep(HERE, fence(2), "b.example", ROW);
        assert_eq!(usages.row(HERE, fence(2), "a.example"), None);
        usages.forget(HERE, "b.example");
        assert_eq!(usages.row(HERE, fence(2), "b.example"), None);
    }

    #[test]
    fn no_more_domains_are_kept_than_the_bound() {
        let usages = Usages::default();
        for number in 0..3 * USAGE_DOMAINS_KEPT_MAX {
            usages.keep(HERE, fence(1), &format!("d{number}.example"), ROW);
            assert!(usages.of(HERE).rows.len() <= USAGE_DOMAINS_KEPT_MAX);
        }
    }
}
