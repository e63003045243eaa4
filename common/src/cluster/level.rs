//! Feature levels: which kinds of rows may be in the store, so that two releases that know different ones serve side by
//! side while one replaces the other (cluster §15).
//!
//! The store is at one level. Each node says in its record which levels it reads
//! ([`NodeRecord::levels`](super::NodeRecord::levels)); whoever writes obeys the level, and writes no row that a node
//! could find and not read. The level rises by one at a time: when an operator says so, or by itself when every node has
//! been able to read the next one for [`FEATURE_LEVEL_RAISED_AFTER`]. Until then the former release may be put back.
//!
//! Nothing here makes a raise safe. The commit does: it reads every node's record serializably, as the commit of a
//! node's record reads the level.

use std::time::Duration;

use super::node::NodeId;
use crate::limits::FEATURE_LEVEL_RAISED_AFTER;

/// Whether rows of a store at `level` are read by whoever reads these `levels`, the lowest and the highest.
#[must_use]
pub const fn reads(levels: (u16, u16), level: u16) -> bool {
    levels.0 <= level && level <= levels.1
}

/// How far the nodes of a store are from its next level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readiness {
    /// The level of the store.
    pub level: u16,
    /// The one above, if any node reads it.
    pub next: Option<u16>,
    /// The nodes that do not read that one, in the order of their names.
    pub behind: Vec<NodeId>,
}

impl Readiness {
    /// Of a store at `level`, and of everybody who has a record there, with the levels each reads; none where a
    /// record does not read: nothing may be taken from it. Who is silent counts as well: it may only sleep.
    pub fn of(level: u16, nodes: impl IntoIterator<Item = (NodeId, Option<(u16, u16)>)>) -> Self {
        let Some(next) = level.checked_add(1) else {
            return Self {
                level,
                ..Self::default()
            };
        };
        let (mut is_read, mut behind) = (false, Vec::new());
        for (node, levels) in nodes {
            match levels.is_some_and(|levels| reads(levels, next)) {
                true => is_read = true,
                false => behind.push(node),
            }
        }
        behind.sort_unstable();
        Self {
            level,
            next: is_read.then_some(next),
            behind,
        }
    }

    /// The level to which the store may be raised: every node reads it.
    #[must_use]
    pub fn reached(&self) -> Option<u16> {
        self.next.filter(|_| self.behind.is_empty())
    }
}

/// For how long one node has seen that every node reads the next level. Times are those of its own monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelWatch {
    /// The level, and when the first look ended that showed it within reach.
    since: Option<(u16, Duration)>,
}

impl LevelWatch {
    /// Takes what a look that began and ended at these times showed. Gives the level to which the store is to be
    /// raised, each time anew until a look shows that it was, or that somebody does not read it after all.
    pub fn looked(
        &mut self,
        begun: Duration,
        ended: Duration,
        readiness: &Readiness,
    ) -> Option<u16> {
        let reached = readiness.reached();
        let Some(level) = reached else {
            self.since = None;
            return None;
        };
        match self.since.filter(|(seen, _)| *seen == level) {
            Some((_, since)) => {
                let time = begun.saturating_sub(since);
                (time >= FEATURE_LEVEL_RAISED_AFTER).then_some(level)
            }
            None => {
                self.since = Some((level, ended));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn node(number: u8) -> NodeId {
        NodeId([number; 16])
    }

    fn readiness(level: u16, levels: &[Option<(u16, u16)>]) -> Readiness {
        let named = |(place, levels): (usize, &Option<(u16, u16)>)| {
            let number = u8::try_from(place).expect("there are few");
            (node(number + 1), *levels)
        };
        // The last comes first: the order is that of names.
        Readiness::of(level, levels.iter().enumerate().rev().map(named))
    }

    #[test]
    fn the_next_level_is_reached_when_everybody_reads_it() {
        let all = readiness(1, &[Some((1, 2)), Some((2, 3))]);
        assert_eq!(all.reached(), Some(2));
        let mixed = readiness(1, &[Some((1, 2)), Some((1, 1)), Some((3, 4))]);
        assert_eq!((mixed.next, mixed.reached()), (Some(2), None));
        assert_eq!(mixed.behind, [node(2), node(3)]);
        let unread = readiness(1, &[Some((1, 2)), None]);
        assert_eq!(unread.behind, [node(2)]);
        let nobody = readiness(2, &[Some((1, 2)), Some((2, 2))]);
        assert_eq!((nobody.next, nobody.reached()), (None, None));
        assert_eq!(readiness(1, &[]).reached(), None);
        assert_eq!(readiness(u16::MAX, &[Some((1, u16::MAX))]).reached(), None);
    }

    #[test]
    fn a_level_is_raised_when_everybody_was_able_for_an_hour() {
        let (able, mut watch) = (readiness(1, &[Some((1, 2))]), LevelWatch::default());
        let hour = FEATURE_LEVEL_RAISED_AFTER;
        assert_eq!(watch.looked(Duration::ZERO, SECOND, &able), None);
        assert_eq!(
            watch.looked(hour, hour + SECOND * 2, &able),
            None,
            "begun too early"
        );
        assert_eq!(watch.looked(hour + SECOND, hour + SECOND, &able), Some(2));
        assert_eq!(
            watch.looked(hour + SECOND * 2, hour + SECOND * 2, &able),
            Some(2)
        );
        let raised = readiness(2, &[Some((1, 2))]);
        assert_eq!(watch.looked(hour * 2, hour * 2, &raised), None);
    }

    #[test]
    fn one_who_is_behind_starts_the_hour_again() {
        let (able, mut watch) = (readiness(1, &[Some((1, 2))]), LevelWatch::default());
        let behind = readiness(1, &[Some((1, 2)), Some((1, 1))]);
        let hour = FEATURE_LEVEL_RAISED_AFTER;
        assert_eq!(watch.looked(SECOND, SECOND, &able), None);
        assert_eq!(watch.looked(hour, hour, &behind), None);
        assert_eq!(watch.looked(hour + SECOND, hour + SECOND, &able), None);
        assert_eq!(watch.looked(hour * 2, hour * 2, &able), None);
        assert_eq!(
            watch.looked(hour * 2 + SECOND, hour * 2 + SECOND, &able),
            Some(2)
        );
    }

    #[test]
    fn the_hour_of_one_level_is_not_that_of_the_next() {
        let mut watch = LevelWatch::default();
        let hour = FEATURE_LEVEL_RAISED_AFTER;
        let able = |level| readiness(level, &[Some((1, 9))]);
        assert_eq!(watch.looked(Duration::ZERO, Duration::ZERO, &able(1)), None);
        assert_eq!(
            watch.looked(hour, hour, &able(2)),
            None,
            "somebody raised it"
        );
        assert_eq!(watch.looked(hour * 2, hour * 2, &able(2)), Some(3));
    }
}
