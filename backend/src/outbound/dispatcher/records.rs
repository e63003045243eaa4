//! What is written of destinations between lives: their windows, breakers, pauses and last success
//! (cluster §5), when it has changed enough to be worth a row, and never more than once a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mesh_common::delivery::ShardId;
use mesh_common::delivery::pool::Remembered;
use mesh_common::time::Timestamp;

use crate::outbound::rows;
use crate::outbound::settle::Settlement;
use crate::partition::records::Rows;
use crate::store::keys;

/// Time between two writings.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time after which a success is worth a row by itself.
const SUCCESS_RENEWED: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Records {
    /// Destinations of which something may have changed.
    changed: BTreeSet<Arc<str>>,
    /// What the store has.
    written: HashMap<Arc<str>, Remembered>,
    next_at: Timestamp,
}

impl Records {
    /// What the store has of a destination that comes into memory.
    pub(super) fn opened(&mut self, domain: &str, remembered: &Remembered) {
        self.written.insert(domain.into(), remembered.clone());
    }

    /// Something happened to a destination.
    pub(super) fn touch(&mut self, domain: &Arc<str>) {
        if !self.changed.contains(domain) {
            self.changed.insert(Arc::clone(domain));
        }
    }

    /// When the next writing is due, if anything changed.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        (!self.changed.is_empty()).then_some(self.next_at)
    }

    /// The destinations of which something may have changed since the last writing.
    pub(super) fn take_changed(&mut self, now: Timestamp) -> BTreeSet<Arc<str>> {
        self.next_at = now + INTERVAL;
        std::mem::take(&mut self.changed)
    }

    /// The row of a destination, if it is worth writing.
    pub(super) fn worth_writing(
        &mut self,
        domain: &Arc<str>,
        remembered: Remembered,
    ) -> Option<Settlement> {
        let written = self.written.get(domain);
        if written.is_some_and(|written| !is_news(written, &remembered)) {
            return None;
        }
        let settlement = row(domain, &remembered);
        self.written.insert(Arc::clone(domain), remembered);
        Some(settlement)
    }

    /// A destination leaves memory.
    pub(super) fn closed(&mut self, domain: &str) {
        self.written.remove(domain);
        self.changed.remove(domain);
    }
}

/// The row of a destination.
pub(super) fn row(domain: &str, remembered: &Remembered) -> Settlement {
    let mut rows = Rows::default();
    rows.set(
        keys::destination(domain),
        rows::encode_destination(remembered),
    );
    Settlement::of_rows(ShardId::of(domain), rows)
}

/// Whether `now` says something that matters in the next life.
fn is_news(before: &Remembered, now: &Remembered) -> bool {
    let quarter = before.window / 4;
    let window_moved = before.window.abs_diff(now.window) > quarter;
    let success_moved = match (before.last_success, now.last_success) {
        (Some(before), Some(now)) => now.since(before) >= SUCCESS_RENEWED,
        (before, now) => before != now,
    };
    let trouble_moved =
        before.trouble.as_ref().map(|one| &one.text) != now.trouble.as_ref().map(|one| &one.text);
    window_moved
        || success_moved
        || trouble_moved
        || before.reopens_at != now.reopens_at
        || before.paused_until != now.paused_until
        || before.held != now.held
        || before.lasting != now.lasting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(window: u32, last_success: i64) -> Remembered {
        let json = format!(r#"{{"domain":"a.example","window":{window}}}"#);
        Remembered {
            last_success: Some(Timestamp::from_secs(last_success)),
            ..serde_json::from_str(&json).unwrap()
        }
    }

    #[test]
    fn a_destination_that_does_as_before_is_not_written_again() {
        let (mut records, domain) = (Records::default(), Arc::from("a.example"));
        assert!(
            records
                .worth_writing(&domain, remembered(16, 100))
                .is_some()
        );
        assert!(
            records
                .worth_writing(&domain, remembered(17, 101))
                .is_none()
        );
        assert!(
            records
                .worth_writing(&domain, remembered(24, 102))
                .is_some()
        );
        assert!(
            records
                .worth_writing(&domain, remembered(24, 170))
                .is_some()
        );
    }
}
