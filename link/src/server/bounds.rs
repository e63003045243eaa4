//! How much is under way at once: calls per process, octets in all (cluster §14).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mesh_common::limits::{
    LINK_CALLS_BYTES_MAX, LINK_CALLS_MAX, LINK_SILENCE_MAX, LINK_STREAMS_MAX,
    LINK_STREAMS_PER_PROCESS_MAX,
};

/// The sixteen octets that a process drew when it started.
pub(crate) type ProcessId = [u8; 16];

/// Bounds that tests make small.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// How long a connection is left open on which nothing comes.
    pub(crate) silence: Duration,
    /// Streams of events.
    pub(crate) streams: usize,
    /// Those of one process.
    pub(crate) streams_per_process: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            silence: LINK_SILENCE_MAX,
            streams: LINK_STREAMS_MAX,
            streams_per_process: LINK_STREAMS_PER_PROCESS_MAX,
        }
    }
}

/// What is counted over all connections.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pairs: Mutex<HashMap<ProcessId, Weak<Pair>>>,
    octets: Arc<AtomicUsize>,
}

/// This node and one process that asks it.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) process: ProcessId,
    under_way: Arc<AtomicUsize>,
}

/// A share of something bounded, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<AtomicUsize>,
    amount: usize,
}

impl Bounds {
    /// The pair with `process`, the same for all its connections.
    pub(crate) fn pair(&self, process: ProcessId) -> Arc<Pair> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = pairs.get(&process).and_then(Weak::upgrade) {
            return pair;
        }
        pairs.retain(|_, pair| pair.strong_count() > 0);
        let pair = Arc::new(Pair {
            process,
            under_way: Arc::default(),
        });
        pairs.insert(process, Arc::downgrade(&pair));
        pair
    }

    /// Room for `octets` more, if there is any.
    pub(crate) fn room(&self, octets: usize) -> Option<Share> {
        Share::of(&self.octets, octets, LINK_CALLS_BYTES_MAX)
    }
}

impl Pair {
    /// A place for one more call, if there is any.
    pub(crate) fn place(&self) -> Option<Share> {
        Share::of(&self.under_way, 1, LINK_CALLS_MAX)
    }
}

impl Share {
    /// `amount` of at most `max`.
    pub(crate) fn of(of: &Arc<AtomicUsize>, amount: usize, max: usize) -> Option<Self> {
        let taken = of.fetch_add(amount, Ordering::Relaxed) + amount;
        let share = Self {
            of: Arc::clone(of),
            amount,
        };
        (taken <= max).then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_process_are_counted_over_all_its_connections() {
        let bounds = Bounds::default();
        let (one, again) = (bounds.pair([1; 16]), bounds.pair([1; 16]));
        let places: Vec<_> = (0..LINK_CALLS_MAX).map(|_| one.place()).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(again.place().is_none());
        assert!(bounds.pair([2; 16]).place().is_some());
        drop(places);
        assert!(again.place().is_some());
    }

    #[test]
    fn octets_are_bounded_and_given_back() {
        let bounds = Bounds::default();
        let all = bounds.room(LINK_CALLS_BYTES_MAX).unwrap();
        assert!(bounds.room(1).is_none());
        drop(all);
        assert!(bounds.room(1).is_some());
    }
}
