//! Who is alive: a node whose record has not changed for its lease, on the observer's own clock, is
//! silent (cluster §4.3).
//!
//! No clock is compared between machines, and no time stands in a record. What is measured is how long
//! *this* process has seen one and the same record: from the end of the look that showed it first to
//! the beginning of the latest look that showed it still.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::{NodeId, NodeRecord};

/// What is known of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sighting {
    /// As the latest look showed it.
    record: NodeRecord,
    /// The highest number that any look showed. A lower one is no sign of life: it is an old view of
    /// the table, or a heartbeat that landed after the ones that were sent later.
    highest: u64,
    /// When the look ended that showed the highest number first.
    since: Duration,
    /// When the latest look began that showed no higher one.
    until: Duration,
}

impl Sighting {
    fn unchanged(&self) -> Duration {
        self.until.saturating_sub(self.since)
    }

    fn is_silent(&self) -> bool {
        self.unchanged() >= self.record.lease
    }
}

/// All nodes that were there at the latest look. Times are those of a monotonic clock since a beginning
/// of the observer's own choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observer {
    sightings: BTreeMap<NodeId, Sighting>,
}

impl Observer {
    /// Takes what a look at the table of nodes showed that began and ended at these times.
    pub fn observe(&mut self, begun: Duration, ended: Duration, records: Vec<NodeRecord>) {
        let mut before = std::mem::take(&mut self.sightings);
        for record in records {
            let known = before.remove(&record.id);
            let sighting = match known.filter(|known| record.seq <= known.highest) {
                Some(known) => Sighting {
                    record,
                    until: begun.max(known.until),
                    ..known
                },
                None => Sighting {
                    highest: record.seq,
                    record,
                    since: ended,
                    until: ended,
                },
            };
            self.sightings.insert(sighting.record.id, sighting);
        }
    }

    /// Starts all measurements again: what happened before `now` says nothing. For an observer that
    /// could itself not say that it lives, and so cannot tell whose fault the silence was.
    pub fn restart(&mut self, now: Duration) {
        for sighting in self.sightings.values_mut() {
            sighting.since = now;
            sighting.until = now;
        }
    }

    /// Whether the node's record stood unchanged for its lease.
    #[must_use]
    pub fn is_silent(&self, node: NodeId) -> bool {
        self.sightings.get(&node).is_some_and(Sighting::is_silent)
    }

    /// For how long the node's record has been seen unchanged.
    #[must_use]
    pub fn unchanged(&self, node: NodeId) -> Duration {
        let sighting = self.sightings.get(&node);
        sighting.map_or(Duration::ZERO, Sighting::unchanged)
    }

    /// The node's record, as of the latest look.
    #[must_use]
    pub fn record(&self, node: NodeId) -> Option<&NodeRecord> {
        Some(&self.sightings.get(&node)?.record)
    }

    /// The nodes that are not silent.
    pub fn alive(&self) -> impl Iterator<Item = &NodeRecord> {
        let alive = self.sightings.values().filter(|one| !one.is_silent());
        alive.map(|one| &one.record)
    }

    /// The nodes that are.
    pub fn silent(&self) -> impl Iterator<Item = &NodeRecord> {
        let silent = self.sightings.values().filter(|one| one.is_silent());
        silent.map(|one| &one.record)
    }
}

#[cfg(test)]
mod tests;
