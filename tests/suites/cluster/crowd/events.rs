//! What somebody did, when, and with how many tries; and how far everybody is.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{PATIENCE, moment};

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Upload,
    Post,
    Status,
    Download,
    /// A Post of another service.
    Inbound,
}

impl Deed {
    /// Whether it needs the owner of the account.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Upload | Self::Post)
    }
}

/// One thing that somebody did, and that was answered as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) deed: Deed,
    /// Whose account it concerned.
    pub(crate) account: String,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Requests it took, the one that was answered included.
    pub(crate) tries: usize,
    /// Why the others were in vain.
    pub(crate) vain: Vec<String>,
}

impl Event {
    pub(crate) fn took(&self) -> Duration {
        self.ended - self.began
    }
}

/// What everybody has done so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
}

impl Progress {
    pub(crate) fn note(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
        self.changed.notify_all();
    }

    /// Waits until `holds` of what was done.
    ///
    /// # Panics
    /// If it never does.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&[Event]) -> bool) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(events, PATIENCE, |events| !holds(events));
        let (events, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timed_out.timed_out(),
            "never: {what}; {} deeds",
            events.len()
        );
    }

    /// Waits until every one of `accounts` has had a deed answered that began after this moment, of those that
    /// `counts`.
    #[track_caller]
    pub(crate) fn wait_for_each(
        &self,
        what: &str,
        accounts: &[String],
        counts: impl Fn(Deed) -> bool,
    ) {
        let now = moment();
        self.wait_until(what, |events| {
            accounts.iter().all(|account| {
                let mut of_it = events.iter().rev().take_while(|event| event.ended >= now);
                of_it.any(|event| {
                    event.account == *account && event.began >= now && counts(event.deed)
                })
            })
        });
    }

    /// Waits until so many deeds more are done.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, deeds: usize) {
        let mut until = None;
        self.wait_until("more deeds", |events| {
            events.len() >= *until.get_or_insert(events.len() + deeds)
        });
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of all but one in a hundred, how long they took.
pub(crate) fn percentile<'a>(events: impl Iterator<Item = &'a Event>) -> Duration {
    share(events, 99)
}

/// Of so many in a hundred, how long they took at most.
pub(crate) fn share<'a>(events: impl Iterator<Item = &'a Event>, percent: usize) -> Duration {
    let mut times: Vec<Duration> = events.map(Event::took).collect();
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}

/// Insists that no deed took more than one retry.
#[track_caller]
pub(crate) fn one_retry_cures(events: &[Event]) {
    let mut bad = events.iter().filter(|event| event.tries > 2);
    if let Some(event) = bad.next() {
        let count = 1 + bad.count();
        panic!(
            "{count} of {} took more than one retry, as {event:?}",
            events.len()
        );
    }
}

/// How many tries were in vain, by reason.
pub(crate) fn vain(events: &[Event]) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for reason in events.iter().flat_map(|event| &event.vain) {
        *reasons.entry(reason.as_str()).or_default() += 1;
    }
    reasons
}
