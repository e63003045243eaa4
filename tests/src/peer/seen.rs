//! What peers saw, and waiting for it. Whoever waits is woken by each event, never by a clock, and has
//! a deadline.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::moment;

/// What one peer saw so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Connections that were made to it, whatever became of them.
    pub connections: u64,
    /// Those that are open.
    pub connections_open: u64,
    /// The most that were open at once.
    pub connections_peak: u64,
    /// Hellos it answered.
    pub hellos: u64,
    /// Key exchanges it opened.
    pub exchanges: u64,
    /// Posts that reached it, repeated ones included, whatever became of them.
    pub posts: u64,
    /// Posts that it has not answered yet.
    pub in_flight: u64,
    /// The most it had not answered at once.
    pub in_flight_peak: u64,
    /// Requests it refused for what they were: an unread body, a forged credential, a wrong recipient.
    pub refused: u64,
    /// Messages it kept, by recipient and message id.
    pub messages: BTreeMap<(String, String), Arrival>,
}

/// How a message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it was kept for the first time.
    pub first: Instant,
    /// How often it came.
    pub copies: u32,
}

impl Seen {
    /// Notes a message that is kept; true if it is there for the first time.
    pub(super) fn keep(&mut self, recipient: &str, id: &str, now: Instant) -> bool {
        let key = (recipient.to_owned(), id.to_owned());
        let arrival = self.messages.entry(key).or_insert(Arrival {
            first: now,
            copies: 0,
        });
        arrival.copies += 1;
        arrival.copies == 1
    }
}

/// Sums over all peers of a simulator.
#[derive(Debug, Default)]
pub struct Totals {
    connections_open: AtomicU64,
    connections_peak: AtomicU64,
    posts: AtomicU64,
    in_flight: AtomicU64,
    in_flight_peak: AtomicU64,
    kept: AtomicU64,
}

impl Totals {
    /// Connections that are open.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.connections_open.load(Ordering::SeqCst)
    }

    /// The most connections that were open at once.
    #[must_use]
    pub fn connections_peak(&self) -> u64 {
        self.connections_peak.load(Ordering::SeqCst)
    }

    /// Posts that reached any peer.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.posts.load(Ordering::SeqCst)
    }

    /// The most Posts that were not answered yet at once.
    #[must_use]
    pub fn in_flight_peak(&self) -> u64 {
        self.in_flight_peak.load(Ordering::SeqCst)
    }

    /// Messages that any peer kept, each counted once per recipient.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::SeqCst)
    }

    pub(super) fn opened(&self) {
        let open = 1 + self.connections_open.fetch_add(1, Ordering::SeqCst);
        self.connections_peak.fetch_max(open, Ordering::SeqCst);
    }

    pub(super) fn closed(&self) {
        self.connections_open.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn posted(&self) {
        self.posts.fetch_add(1, Ordering::SeqCst);
        let in_flight = 1 + self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.in_flight_peak.fetch_max(in_flight, Ordering::SeqCst);
    }

    pub(super) fn answered(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn kept_one(&self) {
        self.kept.fetch_add(1, Ordering::SeqCst);
    }
}

/// Tells those who wait that something happened.
#[derive(Debug, Default)]
pub(super) struct News {
    events: Mutex<u64>,
    happened: Condvar,
}

impl News {
    /// Something happened.
    pub(super) fn tell(&self) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.happened.notify_all();
    }

    /// Waits until `holds`, which is asked again after each event; false if it does not within
    /// `patience`.
    pub(super) fn wait(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let deadline = moment() + patience;
        loop {
            let known = *self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if holds() {
                return true;
            }
            let left = deadline.saturating_duration_since(moment());
            let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            let (events, ended) = self
                .happened
                .wait_timeout_while(events, left, |events| *events == known)
                .unwrap_or_else(PoisonError::into_inner);
            drop(events);
            if ended.timed_out() {
                return holds();
            }
        }
    }
}
