//! The rows of table 12 that owners here have in memory: each belongs to one claim of its partition, and is
//! forgotten with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
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
    /// What says, since `rows` were read, that others took nothing back of what was granted in them; nothing where
    /// nobody looked.
    recalls: Option<Recalls>,
}

/// What stands under the key of the recalls of a partition: another value each time that others took something back of
/// what it was granted.
pub(super) type Recalls = Option<Bytes>;

/// What is known of all partitions.
#[derive(Debug)]
pub(crate) struct Usages {
    partitions: Vec<Mutex<Known>>,
    /// When all rows were added up last, for the measures.
    added_up_at: Mutex<Option<Timestamp>>,
    /// Whether partitions are granted parts of the limits of any domain.
    are_granted: bool,
}

impl Usages {
    /// Nothing is known.
    pub(crate) fn new(are_granted: bool) -> Self {
        Self {
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
            added_up_at: Mutex::default(),
            are_granted,
        }
    }

    /// Whether partitions are granted parts of the limits of any domain, so that others may take something back.
    pub(crate) const fn are_granted(&self) -> bool {
        self.are_granted
    }

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
        if known.fence != Some(fence) {
            *known = Known::default();
        }
        if known.rows.len() >= USAGE_DOMAINS_KEPT_MAX {
            known.rows.clear();
        }
        known.fence = Some(fence);
        known.rows.insert(domain.into(), row);
    }

    /// Nobody knows what is committed of `domain`.
    pub(super) fn forget(&self, partition: PartitionId, domain: &str) {
        self.of(partition).rows.remove(domain);
    }

    /// Nobody knows what is committed in `partition`.
    pub(super) fn forget_all(&self, partition: PartitionId) {
        *self.of(partition) = Known::default();
    }

    /// What the owner that holds the partition under `fence` found of its recalls.
    pub(super) fn recalls(&self, partition: PartitionId, fence: Fence) -> Option<Recalls> {
        let known = self.of(partition);
        let recalls = known.recalls.clone();
        recalls.filter(|_| known.fence == Some(fence))
    }

    /// The owner that holds the partition under `fence` finds `recalls`: what it knew by others may be wrong.
    pub(super) fn found(&self, partition: PartitionId, fence: Fence, recalls: Recalls) {
        let mut known = self.of(partition);
        if known.fence != Some(fence) || known.recalls.as_ref() != Some(&recalls) {
            *known = Known {
                fence: Some(fence),
                rows: HashMap::new(),
                recalls: Some(recalls),
            };
        }
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
        grants: crate::usage::rows::Grants {
            octets: crate::usage::rows::Grant { amount: 0, max: 0 },
            day: 0,
            messages: crate::usage::rows::Grant { amount: 0, max: 0 },
        },
    };

    #[test]
    fn what_was_known_under_another_claim_is_known_no_more() {
        let usages = Usages::new(true);
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
    fn what_was_known_before_others_took_something_back_is_known_no_more() {
        let (usages, first) = (Usages::new(true), Some(Bytes::from_static(b"1")));
        assert_eq!(usages.recalls(HERE, fence(1)), None);
        usages.found(HERE, fence(1), None);
        usages.keep(HERE, fence(1), "a.example", ROW);
        usages.found(HERE, fence(1), None);
        assert_eq!(usages.row(HERE, fence(1), "a.example"), Some(ROW));
        assert_eq!(usages.recalls(HERE, fence(1)), Some(None));
        usages.found(HERE, fence(1), first.clone());
        assert_eq!(usages.row(HERE, fence(1), "a.example"), None);
        assert_eq!(usages.recalls(HERE, fence(1)), Some(first));
        assert_eq!(usages.recalls(HERE, fence(2)), None);
        usages.keep(HERE, fence(2), "a.example", ROW);
        assert_eq!(usages.recalls(HERE, fence(2)), None, "of another claim");
        usages.forget_all(HERE);
        assert_eq!(usages.row(HERE, fence(2), "a.example"), None);
    }

    #[test]
    fn no_more_domains_are_kept_than_the_bound() {
        let usages = Usages::new(true);
        for number in 0..3 * USAGE_DOMAINS_KEPT_MAX {
            usages.keep(HERE, fence(1), &format!("d{number}.example"), ROW);
            assert!(usages.of(HERE).rows.len() <= USAGE_DOMAINS_KEPT_MAX);
        }
    }
}
