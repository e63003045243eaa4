//! The pool: everything that is on its way to other services, in one machine that knows no clock, no
//! chance, no store and no socket (delivery §11–§13, architecture A-6).
//!
//! Whoever drives it owns shards of destinations, reads items, carries them and commits what became
//! of them. Its methods are of four kinds:
//!
//! * *getters* take `&self`;
//! * *commands* come from operators and owners: [`Pool::add_destination`], [`Pool::remove_destination`],
//!   [`Pool::hold`], [`Pool::resume`], [`Pool::try_now`];
//! * `handle_*` take what arrives: a bell, items that were read, the end of a transfer, the end of a
//!   commit, a peer that spoke;
//! * `poll_*` say what is to be done now. Each is called until it says `None`, after anything else was
//!   called and at the moment that [`Pool::poll_timeout`] named:
//!
//! ```text
//!  loop:  poll_start   ─▶ read the message, carry it     ─▶ handle_finished (or handle_released)
//!                                                            commit what it says ─▶ handle_settled
//!         poll_refill  ─▶ read the destination's next items ─▶ handle_offer
//!         poll_idle    ─▶ write its row, remove_destination
//!         poll_timeout ─▶ sleep, at most until then
//! ```
//!
//! What holds, whatever is called in whatever order: transfers in flight are never more than the
//! budget; no item is in flight twice; destinations that do not answer never hold more than the slow
//! lane, nor together with those that have not answered yet more than three fifths. Starting a transfer takes O(log n) for n destinations, and mostly O(1).

mod destination;
mod lanes;
mod placing;
mod remembered;
mod stock;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use self::destination::{Destination, Exchange, Readiness};
pub use self::lanes::Lane;
use self::lanes::Lanes;
pub use self::remembered::{Remembered, Standing};
use super::attempt::Attempt;
use super::controller::Rule;
use super::fairness::Due;
use super::governor::Governor;
use super::item::{ItemId, QueueItem};
use super::judge::{Failure, Judgement, judge};
use super::retry;
use crate::entropy::Entropy;
use crate::limits::{TRANSFERS_MAX, WINDOW_MAX};
use crate::time::Timestamp;

/// How large a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Transfers in flight to all destinations together: connections, at most. At least 1.
    pub transfers_max: u32,
    /// Transfers in flight to one destination. At least 1.
    pub window_max: u32,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            transfers_max: TRANSFERS_MAX,
            window_max: WINDOW_MAX,
        }
    }
}

/// A transfer that is to begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Where to.
    pub domain: Arc<str>,
    /// Which item.
    pub item: ItemId,
    /// Since when the item is due: with the id, its place in the store.
    pub due_at: Timestamp,
    /// Whether it finds out if the peer answers again.
    pub is_probe: bool,
}

/// A destination whose next items are to be read now: the first `rows_max` in the order in which
/// they are due, as far as they are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refill {
    /// Which.
    pub domain: Arc<str>,
    /// How many rows. Those that are in flight are among them, and known here.
    pub rows_max: usize,
}

/// What the whole pool does, for measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Transfers that may be in flight at once.
    pub budget: u32,
    /// Transfers in flight.
    pub in_flight: u32,
    /// Of these, to destinations that do not answer, or bear one slow transfer at a time.
    pub in_flight_slow: u32,
    /// Of these, to destinations that have not answered yet.
    pub in_flight_unproven: u32,
    /// Destinations in memory.
    pub destinations: usize,
    /// Whether what goes wrong is held to be our own trouble.
    pub is_ours: bool,
    /// How often each rule was applied, in the order of [`Rule::ALL`].
    pub rules: [u64; Rule::ALL.len()],
    /// How often breakers opened.
    pub opened: u64,
    /// How many retries were put off because their destination had its share of them.
    pub retries_put_off: u64,
    /// How often the budget was cut since the trouble was ours.
    pub budget_cuts: u64,
}

/// Everything that is on its way to other services.
#[derive(Debug, Clone)]
pub struct Pool {
    settings: PoolSettings,
    destinations: BTreeMap<u64, Destination>,
    keys: HashMap<Arc<str>, u64>,
    next_key: u64,
    lanes: Lanes,
    alarms: BTreeSet<(Timestamp, u64)>,
    refills: VecDeque<u64>,
    idle: VecDeque<u64>,
    governor: Governor,
    /// Transfers of destinations that were removed meanwhile.
    orphans: BTreeSet<ItemId>,
    /// First contacts that are spread: since when, and how many.
    spread: (Timestamp, u32),
    totals: Totals,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(now: Timestamp, settings: PoolSettings) -> Self {
        Self {
            settings,
            destinations: BTreeMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            lanes: Lanes::default(),
            alarms: BTreeSet::new(),
            refills: VecDeque::new(),
            idle: VecDeque::new(),
            governor: Governor::new(now, settings.transfers_max),
            orphans: BTreeSet::new(),
            spread: (now, 0),
            totals: Totals::default(),
        }
    }

    // ---- Commands ----

    /// Takes a destination on; one that is known already stays as it is. What is `remembered` of it is
    /// begun with, and its first contact then has its place in the spread after a start (delivery §12.2).
    /// Nothing is known of what waits for it: [`Pool::handle_news`] says that something does.
    pub fn add_destination(
        &mut self,
        now: Timestamp,
        domain: &str,
        remembered: Option<&Remembered>,
    ) {
        if self.keys.contains_key(domain) {
            return;
        }
        let name: Arc<str> = domain.into();
        let mut destination =
            Destination::new(now, Arc::clone(&name), self.settings.window_max, remembered);
        if remembered.is_some() {
            destination.pause_until(now + self.place_in_spread(now));
        }
        let key = self.next_key;
        self.next_key += 1;
        self.keys.insert(name, key);
        self.destinations.insert(key, destination);
        self.place(now, key);
    }

    /// Forgets a destination, since its shard has another owner or nothing waits for it any more. What
    /// is in flight counts towards the budget until it has ended. Gives what is to be kept of it.
    pub fn remove_destination(&mut self, now: Timestamp, domain: &str) -> Option<Remembered> {
        let key = self.keys.remove(domain)?;
        let destination = self.destinations.remove(&key)?;
        if let Some(alarm) = destination.place.alarm {
            self.alarms.remove(&(alarm, key));
        }
        self.lanes
            .count_end(destination.place.lane, destination.transfers());
        self.orphans.extend(destination.in_flight.keys());
        Some(destination.remembered(now))
    }

    /// Sends nothing more to a destination until [`Pool::resume`]; what is under way ends.
    pub fn hold(&mut self, now: Timestamp, domain: &str) {
        self.change(now, domain, |destination| destination.held = true);
    }

    /// Sends again.
    pub fn resume(&mut self, now: Timestamp, domain: &str) {
        self.change(now, domain, |destination| destination.held = false);
    }

    /// Ends the destination's pause, and lets a probe go now if its breaker is open.
    pub fn try_now(&mut self, now: Timestamp, domain: &str) {
        self.change(now, domain, |destination| {
            destination.try_now(now);
            destination.stock.announce(now);
        });
    }

    /// Forgets an item that waits in memory, since it was taken out of the queue. One that is in flight
    /// goes on; then `false`.
    pub fn withdraw(&mut self, now: Timestamp, domain: &str, id: ItemId) -> bool {
        let mut was_waiting = false;
        self.change(now, domain, |destination| {
            was_waiting = destination.waiting.remove(id);
        });
        was_waiting
    }

    // ---- What arrives ----

    /// Something for `domain` is in the store, due now: the bell rang, or the regular look found it.
    pub fn handle_news(&mut self, now: Timestamp, domain: &str) {
        self.change(now, domain, |destination| destination.stock.announce(now));
    }

    /// An item was committed to the queue of `domain` a moment ago: it need not be read. An interactive one
    /// thereby overtakes a long queue of others that is still in the store.
    pub fn handle_enqueued(&mut self, now: Timestamp, domain: &str, due: Due) {
        self.change(now, domain, |destination| destination.add_fresh(now, due));
    }

    /// The items that were read for a [`Refill`], all of them due; behind them, the first one that was not
    /// read falls due at `next_due` (at once, if the reading ended at its bound), `None` if there is none.
    /// A reading that failed is an offer of nothing, due in a moment.
    pub fn handle_offer(
        &mut self,
        now: Timestamp,
        domain: &str,
        items: Vec<Due>,
        next_due: Option<Timestamp>,
    ) {
        let orphans = &self.orphans;
        let Some(&key) = self.keys.get(domain) else {
            return;
        };
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        destination.stock.answer(next_due);
        let waited = destination.waiting.len();
        for due in items {
            if !orphans.contains(&due.id) {
                destination.add(due);
            }
        }
        let brought_something = destination.waiting.len() > waited;
        destination.stock.conclude(now, brought_something);
        self.place(now, key);
    }

    /// A transfer ended. Says what is to be written about the item; unless that is nothing
    /// ([`super::Fate::Stays`]), [`Pool::handle_settled`] is to follow when it is committed.
    pub fn handle_finished(
        &mut self,
        now: Timestamp,
        domain: &str,
        item: &QueueItem,
        attempt: &Attempt,
        entropy: &mut dyn Entropy,
    ) -> Judgement {
        let mut judgement = judge(now, item, attempt, entropy);
        let Some((key, flight, in_flight)) = self.land(now, domain, item.id) else {
            return judgement;
        };
        self.ask_governor(now, key, &judgement, attempt.exchange);
        let exchange = Exchange {
            took: attempt.exchange,
            in_flight,
            is_probe: flight.is_probe,
        };
        let ours = self.governor.is_ours(now);
        if let Some(destination) = self.destinations.get_mut(&key) {
            let effect = destination.handle_judgement(now, &judgement, exchange, ours, entropy);
            let put_off = destination.handle_fate(now, flight, &mut judgement.fate);
            self.totals.retries_put_off += u64::from(put_off);
            self.count(effect);
        }
        self.place(now, key);
        judgement
    }

    /// A transfer that [`Pool::poll_start`] named came to nothing: its item is gone, or cannot be read, or
    /// the service stops. Nothing is held against anybody, and the item is forgotten here.
    pub fn handle_released(&mut self, now: Timestamp, domain: &str, id: ItemId) {
        if let Some((key, flight, _)) = self.land(now, domain, id) {
            if let Some(destination) = self.destinations.get_mut(&key) {
                destination.void_probe(flight.is_probe);
            }
            self.place(now, key);
        }
    }

    /// What became of an item is committed: its row is gone, or due at another time.
    pub fn handle_settled(&mut self, now: Timestamp, domain: &str, id: ItemId) {
        self.change(now, domain, |destination| destination.handle_settled(id));
    }

    /// The service of `domain` spoke to us, authenticated: if it did not answer lately, it may now.
    pub fn handle_peer_spoke(&mut self, now: Timestamp, domain: &str) {
        self.change(now, domain, |destination| {
            destination.breaker.handle_peer_spoke(now);
        });
    }

    // ---- What is to be done ----

    /// The next transfer that may begin.
    pub fn poll_start(&mut self, now: Timestamp) -> Option<Start> {
        self.wake(now);
        while self.in_flight() < self.governor.budget() {
            let (ring, entry) = self.lanes.pop(self.governor.budget())?;
            let Some(destination) = self.destinations.get_mut(&entry.key) else {
                continue;
            };
            if destination.place.stamp != entry.stamp || destination.place.ring != Some(ring) {
                continue;
            }
            if destination.readiness(now) != Readiness::Ready || destination.ring() != ring {
                destination.place.ring = None;
                self.place(now, entry.key);
                continue;
            }
            if !destination.has_turn() {
                self.lanes.push_back(ring, entry);
                continue;
            }
            let name = Arc::clone(&destination.name);
            let started = destination.start(now);
            let goes_on = destination.turn_goes_on()
                && destination.ring() == ring
                && destination.readiness(now) == Readiness::Ready;
            if goes_on {
                self.lanes.push_front(ring, entry);
            } else {
                destination.place.ring = None;
            }
            if started.is_some() {
                self.lanes.count_start(ring.lane);
                self.lanes.turn_used(ring);
            }
            self.place(now, entry.key);
            if let Some((item, due_at, is_probe)) = started {
                return Some(Start {
                    domain: name,
                    item,
                    due_at,
                    is_probe,
                });
            }
        }
        None
    }

    /// The next destination whose items are to be read.
    pub fn poll_refill(&mut self, now: Timestamp) -> Option<Refill> {
        self.wake(now);
        while let Some(key) = self.refills.pop_front() {
            let Some(destination) = self.destinations.get_mut(&key) else {
                continue;
            };
            destination.place.refill_queued = false;
            if destination.read_at().is_none_or(|at| at > now) {
                continue;
            }
            destination.stock.ask();
            let refill = Refill {
                domain: Arc::clone(&destination.name),
                rows_max: destination.rows_wanted(),
            };
            self.place(now, key);
            return Some(refill);
        }
        None
    }

    /// The next destination that has had nothing to do for so long that it need not be in memory. Each
    /// is named once per idle time.
    pub fn poll_idle(&mut self, now: Timestamp) -> Option<Arc<str>> {
        self.wake(now);
        while let Some(key) = self.idle.pop_front() {
            if let Some(destination) = self.destinations.get(&key)
                && destination.place.is_idle
            {
                return Some(Arc::clone(&destination.name));
            }
        }
        None
    }

    /// When something is to be done if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.alarms.first().map(|&(at, _)| at)
    }

    // ---- Getters ----

    /// How a destination stands.
    #[must_use]
    pub fn describe(&self, now: Timestamp, domain: &str) -> Option<Standing> {
        Some(self.destination(domain)?.standing(now))
    }

    /// Whether a destination is in memory.
    #[must_use]
    pub fn knows(&self, domain: &str) -> bool {
        self.keys.contains_key(domain)
    }

    /// All destinations in memory, in the order in which they came.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<str>> {
        self.destinations
            .values()
            .map(|destination| &destination.name)
    }

    /// Why `item`, which waits, is not to be sent any more, if so: its time is over, or its domain has been
    /// out of order for too long.
    #[must_use]
    pub fn given_up(&self, now: Timestamp, item: &QueueItem) -> Option<Failure> {
        let lasting = self
            .destination(item.destination())
            .and_then(Destination::lasting);
        retry::given_up(now, item, lasting)
    }

    /// Transfers in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        let orphans = u32::try_from(self.orphans.len()).unwrap_or(u32::MAX);
        self.lanes.in_flight_in_all() + orphans
    }

    /// What the whole pool does.
    #[must_use]
    pub fn totals(&self, now: Timestamp) -> Totals {
        Totals {
            budget: self.governor.budget(),
            in_flight: self.in_flight(),
            in_flight_slow: self.lanes.in_flight(Lane::Slow),
            in_flight_unproven: self.lanes.in_flight(Lane::Unproven),
            destinations: self.destinations.len(),
            is_ours: self.governor.is_ours(now),
            ..self.totals
        }
    }

    // ---- Inside ----

    fn destination(&self, domain: &str) -> Option<&Destination> {
        self.destinations.get(self.keys.get(domain)?)
    }

    fn change(&mut self, now: Timestamp, domain: &str, change: impl FnOnce(&mut Destination)) {
        if let Some(&key) = self.keys.get(domain)
            && let Some(destination) = self.destinations.get_mut(&key)
        {
            change(destination);
            self.place(now, key);
        }
    }
}
