//! What a destination still has in the store: when the next items are to be read, and which ones a
//! reading that is under way may show although they are done with.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::delivery::ItemId;
use crate::delivery::fairness::Waiting;
use crate::limits::ITEMS_LOADED_LOW;
use crate::time::Timestamp;

/// Time between two readings of which the first brought nothing new.
const IN_VAIN_PAUSE: Duration = Duration::from_secs(1);

/// What is known of the rest.
#[derive(Debug, Clone, Default)]
pub(super) struct Stock {
    /// A reading is under way.
    asked: bool,
    /// When the first item that is not in memory falls due.
    next_due: Option<Timestamp>,
    /// The same, of what came while a reading was under way that may not show it.
    next_due_since: Option<Timestamp>,
    /// Items that were committed as done, or as due later, while a reading was under way.
    settled_since: BTreeSet<ItemId>,
    /// No reading before: the last one brought nothing new.
    not_before: Timestamp,
}

impl Stock {
    /// Something in the store is due at `at`.
    pub(super) fn expect(&mut self, at: Timestamp) {
        self.next_due = earlier(self.next_due, Some(at));
        if self.asked {
            self.next_due_since = earlier(self.next_due_since, Some(at));
        }
    }

    /// Somebody knows of something in the store that is due.
    pub(super) fn announce(&mut self, now: Timestamp) {
        self.not_before = now;
        self.expect(now);
    }

    /// The commit about an item is done.
    pub(super) fn settle(&mut self, id: ItemId, due_again_at: Option<Timestamp>) {
        if self.asked {
            self.settled_since.insert(id);
        }
        if let Some(at) = due_again_at {
            self.expect(at);
        }
    }

    /// A reading begins.
    pub(super) fn ask(&mut self) {
        self.asked = true;
        self.next_due_since = None;
        self.settled_since.clear();
    }

    /// A reading is over: the rest begins at `next_due`.
    pub(super) fn answer(&mut self, next_due: Option<Timestamp>) {
        self.asked = false;
        self.next_due = earlier(next_due, self.next_due_since.take());
    }

    /// The items of a reading are in memory. One that brought nothing is not repeated at once: what it
    /// showed was in flight, or found no room.
    pub(super) fn conclude(&mut self, now: Timestamp, brought_something: bool) {
        self.settled_since.clear();
        self.not_before = if brought_something {
            now
        } else {
            now + IN_VAIN_PAUSE
        };
    }

    /// Whether a reading may show `id` though it is done with.
    pub(super) fn was_settled(&self, id: ItemId) -> bool {
        self.settled_since.contains(&id)
    }

    /// When the next reading is to be made, beside what is `waiting` in memory; `None` if none is needed
    /// now. Where only probes go, one item is enough.
    pub(super) fn read_at(&self, waiting: &Waiting, only_probes_go: bool) -> Option<Timestamp> {
        let is_enough = if only_probes_go {
            !waiting.is_empty()
        } else {
            waiting.first_attempts() >= ITEMS_LOADED_LOW
        };
        if self.asked || is_enough {
            return None;
        }
        Some(self.next_due?.max(self.not_before))
    }

    /// When the first item that is not in memory falls due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.next_due
    }

    /// Whether nothing more is known to be there.
    pub(super) fn is_empty(&self) -> bool {
        !self.asked && self.next_due.is_none()
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const LATER: Timestamp = Timestamp::from_secs(1_000_030);
    const ONE: ItemId = ItemId([1; 16]);

    fn nothing() -> Waiting {
        Waiting::default()
    }

    #[test]
    fn what_comes_during_a_reading_is_read_after_it() {
        let mut stock = Stock::default();
        assert_eq!(stock.read_at(&nothing(), false), None);
        stock.announce(NOW);
        assert_eq!(stock.read_at(&nothing(), false), Some(NOW));
        stock.ask();
        assert_eq!(stock.read_at(&nothing(), false), None);
        stock.announce(NOW);
        stock.answer(None);
        stock.conclude(NOW, true);
        assert_eq!(stock.read_at(&nothing(), false), Some(NOW));
    }

    #[test]
    fn a_retry_that_is_committed_during_a_reading_is_read_when_it_is_due() {
        let mut stock = Stock::default();
        stock.announce(NOW);
        stock.ask();
        stock.settle(ONE, Some(LATER));
        assert!(stock.was_settled(ONE));
        stock.answer(None);
        stock.conclude(NOW, true);
        assert!(!stock.was_settled(ONE));
        assert_eq!(stock.read_at(&nothing(), false), Some(LATER));
    }

    #[test]
    fn a_reading_in_vain_is_repeated_after_a_second_unless_there_is_news() {
        let mut stock = Stock::default();
        stock.announce(NOW);
        stock.ask();
        stock.answer(Some(NOW));
        stock.conclude(NOW, false);
        assert_eq!(stock.read_at(&nothing(), false), Some(NOW + IN_VAIN_PAUSE));
        stock.announce(NOW);
        assert_eq!(stock.read_at(&nothing(), false), Some(NOW));
    }

    #[test]
    fn it_is_empty_when_nothing_is_expected_and_no_reading_is_under_way() {
        let mut stock = Stock::default();
        assert!(stock.is_empty());
        stock.announce(NOW);
        assert!(!stock.is_empty());
        stock.ask();
        stock.answer(None);
        assert!(stock.is_empty());
    }
}
