//! The pace at which owners are told that outcomes were left for senders of theirs. A commit for each
//! outcome is what telling costs beside the signature, so whoever sends a lot is told of many at once:
//! the first at once, what follows it closely together a moment later. Messages do not wait.

use std::collections::{BTreeMap, BTreeSet};

use mesh_common::cluster::PartitionId;
use mesh_common::limits::OUTCOMES_TOLD_INTERVAL;
use tokio::time::Instant;

/// Which owners wait to be told of outcomes, and since when they were not.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waiting: BTreeSet<PartitionId>,
    /// Those that were told lately, each until it may be told again.
    not_before: BTreeMap<PartitionId, Instant>,
}

impl Pace {
    /// Outcomes were left for `partitions`.
    pub(crate) fn add(&mut self, partitions: BTreeSet<PartitionId>) {
        self.waiting.extend(partitions);
    }

    /// The owners of `partitions` are told of something else: they find outcomes as well.
    pub(crate) fn told_otherwise(&mut self, partitions: &BTreeSet<PartitionId>) {
        self.waiting.retain(|one| !partitions.contains(one));
    }

    /// Those whose owners are to be told now.
    pub(crate) fn take(&mut self, now: Instant) -> BTreeSet<PartitionId> {
        self.not_before.retain(|_, until| *until > now);
        let waiting = std::mem::take(&mut self.waiting);
        let (later, due): (BTreeSet<_>, BTreeSet<_>) = waiting
            .into_iter()
            .partition(|one| self.not_before.contains_key(one));
        self.waiting = later;
        let until = now + OUTCOMES_TOLD_INTERVAL;
        self.not_before.extend(due.iter().map(|one| (*one, until)));
        due
    }

    /// When the next are to be told, if any wait.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let times = self.waiting.iter().map(|one| self.not_before.get(one));
        times.flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn set(partitions: &[u16]) -> BTreeSet<PartitionId> {
        partitions.iter().copied().map(PartitionId).collect()
    }

    #[test]
    fn the_first_outcome_is_told_at_once_and_the_next_ones_together() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.add(set(&[1]));
        assert_eq!(pace.take(start), set(&[1]));
        assert_eq!(pace.due_at(), None);
        let soon = start + Duration::from_millis(1);
        pace.add(set(&[1, 2]));
        assert_eq!(pace.take(soon), set(&[2]), "another partition is not held");
        pace.add(set(&[1]));
        assert_eq!(pace.take(soon), set(&[]));
        let later = start + OUTCOMES_TOLD_INTERVAL;
        assert_eq!(pace.due_at(), Some(later));
        assert_eq!(pace.take(later), set(&[1]));
        assert_eq!(pace.due_at(), None);
        pace.add(set(&[1]));
        assert_eq!(pace.take(later), set(&[]), "it was told a moment ago");
        let at_rest = later + OUTCOMES_TOLD_INTERVAL;
        assert_eq!(pace.take(at_rest), set(&[1]));
        assert!(pace.take(at_rest + OUTCOMES_TOLD_INTERVAL).is_empty());
        assert!(pace.not_before.is_empty(), "nothing is remembered for long");
    }

    #[test]
    fn who_is_told_of_a_message_is_not_told_again_of_outcomes() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.add(set(&[1, 2]));
        pace.told_otherwise(&set(&[2, 3]));
        assert_eq!(pace.take(start), set(&[1]));
    }
}
