//! One destination: its window, its breaker, what waits and what is under way (delivery §11–§13).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lanes::{Lane, Ring};
use super::remembered::{Remembered, Standing};
use super::stock::Stock;
use crate::delivery::attempt::Trouble;
use crate::delivery::breaker::{Breaker, Permit};
use crate::delivery::controller::{Controller, Outcome, Rule};
use crate::delivery::fairness::{Added, Due, Waiting};
use crate::delivery::judge::{Judgement, Lasting, Sample};
use crate::delivery::retry::RetryBudget;
use crate::delivery::{Class, Fate, ItemId};
use crate::entropy::Entropy;
use crate::limits::{
    DESTINATION_IDLE, ITEMS_KEPT_WHILE_OPEN, ITEMS_LOADED_MAX, QUANTUM_BYTES, TRANSFER_FAST,
    WINDOW_REMEMBERED_MAX,
};
use crate::time::Timestamp;

/// Time to the next try at a peer that fails at once, again and again: nobody is called in a loop.
const FALTERING_PAUSE: Duration = Duration::from_secs(1);
/// A destination that took something this recently, in another life, is held to answer still.
const PROVEN_TIME: Duration = Duration::from_secs(3_600);

/// One destination.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    pub(super) name: Arc<str>,
    pub(super) waiting: Waiting,
    pub(super) in_flight: BTreeMap<ItemId, Flight>,
    /// Finished, and not yet committed; with the time at which they are due again.
    settling: BTreeMap<ItemId, Option<Timestamp>>,
    pub(super) stock: Stock,
    window: Controller,
    pub(super) breaker: Breaker,
    /// The window before the breaker opened.
    limit_before: f64,
    retries: RetryBudget,
    /// It has answered since it last fell silent.
    proven: bool,
    /// How long its exchanges take, the latest ones before all others.
    typical: Option<Duration>,
    pub(super) held: bool,
    paused_until: Timestamp,
    lasting: Option<(Lasting, Timestamp)>,
    trouble: Option<Trouble>,
    /// Octets it may still send in its turn; below zero it waits a round.
    deficit: i64,
    idle_since: Option<Timestamp>,
    /// Where the pool has it.
    pub(super) place: Place,
}

/// Where the pool has a destination.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) lane: Lane,
    pub(super) ring: Option<Ring>,
    pub(super) stamp: u64,
    pub(super) alarm: Option<Timestamp>,
    pub(super) refill_queued: bool,
    /// It was named as having nothing to do.
    pub(super) is_idle: bool,
}

/// A transfer under way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) due: Due,
    pub(super) is_probe: bool,
}

/// Whether a transfer can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Now.
    Ready,
    /// Not before this moment.
    NotBefore(Timestamp),
    /// Not before something happens.
    AfterEvent,
}

/// What an attempt changed, for whoever counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) rule: Option<Rule>,
    pub(super) opened: bool,
}

impl Destination {
    pub(super) fn new(
        now: Timestamp,
        name: Arc<str>,
        window_max: u32,
        remembered: Option<&Remembered>,
    ) -> Self {
        let mut window = Controller::new(now, window_max);
        let mut breaker = Breaker::default();
        let mut proven = false;
        if let Some(remembered) = remembered {
            window.start_at(remembered.window.min(WINDOW_REMEMBERED_MAX));
            let open = remembered.open();
            breaker = Breaker::remembered(remembered.last_success, open);
            proven = open.is_none()
                && remembered
                    .last_success
                    .is_some_and(|success| now.since(success) < PROVEN_TIME);
        }
        Self {
            name,
            waiting: Waiting::default(),
            in_flight: BTreeMap::new(),
            settling: BTreeMap::new(),
            stock: Stock::default(),
            window,
            breaker,
            limit_before: remembered.map_or(0.0, |remembered| f64::from(remembered.window)),
            retries: RetryBudget::default(),
            proven,
            typical: None,
            held: remembered.is_some_and(|remembered| remembered.held),
            paused_until: remembered
                .and_then(|remembered| remembered.paused_until)
                .unwrap_or_default(),
            lasting: remembered.and_then(|remembered| remembered.lasting),
            trouble: remembered.and_then(|remembered| remembered.trouble.clone()),
            deficit: 0,
            idle_since: Some(now),
            place: Place {
                lane: Lane::Unproven,
                ring: None,
                stamp: 0,
                alarm: None,
                refill_queued: false,
                is_idle: false,
            },
        }
    }

    /// What is known of it decides which lane it is in.
    pub(super) fn lane(&self) -> Lane {
        if !self.breaker.is_closed() || self.window.is_crawling() {
            Lane::Slow
        } else if !self.proven {
            Lane::Unproven
        } else if self.typical.is_some_and(|took| took >= TRANSFER_FAST) {
            Lane::Unhurried
        } else {
            Lane::Proven
        }
    }

    pub(super) fn ring(&self) -> Ring {
        Ring {
            lane: self.lane(),
            urgent: self.waiting.is_urgent(),
        }
    }

    /// Whether it is known to answer, so that its silence would say something.
    pub(super) fn is_proven(&self) -> bool {
        self.proven && self.breaker.is_closed()
    }

    pub(super) fn readiness(&self, now: Timestamp) -> Readiness {
        if self.held || self.waiting.is_empty() {
            return Readiness::AfterEvent;
        }
        if now < self.paused_until {
            return Readiness::NotBefore(self.paused_until);
        }
        match self.breaker.permit(now) {
            Permit::AfterProbe => return Readiness::AfterEvent,
            Permit::NotBefore(at) => return Readiness::NotBefore(at),
            Permit::Window if self.transfers() >= self.limit() => {
                return Readiness::AfterEvent;
            }
            Permit::Window | Permit::Probe => {}
        }
        if self.waiting.first_attempts() > 0 {
            return Readiness::Ready;
        }
        match self.retries_may_go(now) {
            Ok(()) => Readiness::Ready,
            Err(at) => Readiness::NotBefore(at),
        }
    }

    /// Whether the budget has room for a retry. Where retries crowd in memory they go at the pace of the
    /// window, since others can only come after them.
    fn retries_may_go(&self, now: Timestamp) -> Result<(), Timestamp> {
        if self.waiting.is_full_of_retries() {
            return Ok(());
        }
        self.retries.check(now)
    }

    /// Transfers that may be in flight while the breaker is closed. First contact is one alone, so that
    /// a great many destinations that turn out to be dead cost one place each.
    fn limit(&self) -> u32 {
        if self.proven { self.window.limit() } else { 1 }
    }

    pub(super) fn transfers(&self) -> u32 {
        u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX)
    }

    /// Whether it may go on in this round; else it gets its quantum for the next one.
    pub(super) fn has_turn(&mut self) -> bool {
        let has_turn = self.deficit >= 0;
        if !has_turn {
            self.deficit += i64::from(QUANTUM_BYTES);
        }
        has_turn
    }

    /// Whether its turn goes on after a start.
    pub(super) fn turn_goes_on(&self) -> bool {
        self.deficit >= 0
    }

    /// Takes the next item and puts it under way. `None` if there is none that may go.
    pub(super) fn start(&mut self, now: Timestamp) -> Option<(ItemId, Timestamp, bool)> {
        let retries_may_go = self.retries_may_go(now).is_ok();
        let due = self.waiting.take(retries_may_go)?;
        if due.is_retry {
            self.retries.handle_retry(now);
        } else {
            self.retries.handle_first(now);
        }
        let is_probe = !self.breaker.is_closed();
        if is_probe {
            self.breaker.handle_probe_started();
        }
        self.deficit -= i64::try_from(due.bytes.max(1)).unwrap_or(i64::MAX / 2);
        if self.waiting.is_empty() {
            self.deficit = self.deficit.min(0);
        }
        let (id, due_at) = (due.id, due.due_at);
        self.in_flight.insert(id, Flight { due, is_probe });
        Some((id, due_at, is_probe))
    }

    /// Whether an item is in memory, under way, or not yet committed.
    fn knows(&self, id: ItemId) -> bool {
        self.in_flight.contains_key(&id) || self.settling.contains_key(&id)
    }

    /// Lets an item wait that was read from the store.
    pub(super) fn add(&mut self, due: Due) {
        if !self.knows(due.id) && !self.stock.was_settled(due.id) {
            self.put_back(due);
        }
    }

    /// Lets an item wait that was put into the store just now. A bulk one takes its place behind those
    /// that are only there, unless its tenant has less than its share in memory.
    pub(super) fn add_fresh(&mut self, now: Timestamp, due: Due) {
        let others_come_first = self.stock.next_due().is_some_and(|next| next <= due.due_at);
        let is_in_turn = due.class == Class::Interactive
            || !others_come_first
            || self.waiting.is_short_of(&due.tenant);
        if is_in_turn {
            self.add(due);
        } else {
            self.stock.expect(now.max(due.due_at));
        }
    }

    /// Lets an item wait again.
    pub(super) fn put_back(&mut self, due: Due) {
        if let Added::LeftInStore(due_at) = self.waiting.add(due) {
            self.stock.expect(due_at);
        }
    }

    /// Takes in what became of an item after its transfer, and finds a place for it among the retries. Says
    /// whether that is later than it would be without others.
    pub(super) fn handle_fate(&mut self, now: Timestamp, flight: Flight, fate: &mut Fate) -> bool {
        let mut put_off = false;
        if let Fate::Later { due_at } = fate {
            let wanted = *due_at;
            *due_at = self.retries.slot(now, wanted);
            put_off = *due_at > wanted;
        }
        match *fate {
            Fate::Stays => self.put_back(flight.due),
            Fate::Later { due_at } | Fate::Mishandled { due_at } => {
                self.settling.insert(flight.due.id, Some(due_at));
            }
            _ => {
                self.settling.insert(flight.due.id, None);
            }
        }
        put_off
    }

    /// What became of an item is committed.
    pub(super) fn handle_settled(&mut self, id: ItemId) {
        if let Some(due_again_at) = self.settling.remove(&id) {
            self.stock.settle(id, due_again_at);
        }
    }

    /// How many rows a reading is to show, those included that are not to be taken. Where only probes go,
    /// few are wanted.
    pub(super) fn rows_wanted(&self) -> usize {
        let busy = self.in_flight.len() + self.settling.len() + self.waiting.len();
        let wanted = if self.breaker.is_closed() {
            ITEMS_LOADED_MAX
        } else {
            ITEMS_KEPT_WHILE_OPEN
        };
        wanted + busy
    }

    /// Takes in what a transfer says about the destination. Nobody is blamed while the trouble is
    /// `ours`.
    pub(super) fn handle_judgement(
        &mut self,
        now: Timestamp,
        judgement: &Judgement,
        exchange: Exchange,
        ours: bool,
        entropy: &mut dyn Entropy,
    ) -> Effect {
        if let Some(pause) = judgement.pause {
            self.pause_until(now + pause);
        }
        self.remember_trouble(now, judgement);
        match judgement.sample {
            Sample::Nothing => {
                self.void_probe(exchange.is_probe);
                Effect::default()
            }
            Sample::Exchange(Outcome::Served) => self.handle_success(now, exchange, ours, entropy),
            Sample::Exchange(_) | Sample::Unreachable if ours => {
                self.void_probe(exchange.is_probe);
                self.pause_if_quick(now, judgement.sample);
                Effect::default()
            }
            Sample::Exchange(outcome) => {
                let opened = self.handle_failure(now, exchange, judgement.sample, entropy);
                let rule = self.sample(now, exchange, outcome);
                Effect { rule, opened }
            }
            Sample::Unreachable => Effect {
                rule: None,
                opened: self.handle_failure(now, exchange, judgement.sample, entropy),
            },
        }
    }

    fn handle_success(
        &mut self,
        now: Timestamp,
        exchange: Exchange,
        ours: bool,
        entropy: &mut dyn Entropy,
    ) -> Effect {
        let closed = self
            .breaker
            .handle_success(now, exchange.took, exchange.is_probe, entropy);
        self.proven = self.breaker.is_closed();
        self.typical = Some(match self.typical {
            Some(typical) => (typical * 3 + exchange.took) / 4,
            None => exchange.took,
        });
        if closed {
            self.window.handle_recovery(now, self.limit_before);
            return Effect::default();
        }
        if ours {
            return Effect::default();
        }
        Effect {
            rule: self.sample(now, exchange, Outcome::Served),
            opened: false,
        }
    }

    fn handle_failure(
        &mut self,
        now: Timestamp,
        exchange: Exchange,
        sample: Sample,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let opened = self
            .breaker
            .handle_failure(now, self.limit(), exchange.is_probe, entropy);
        if opened {
            self.limit_before = self.window.exact_limit();
            self.proven = false;
            if let Some(due_at) = self.waiting.shrink_to(ITEMS_KEPT_WHILE_OPEN) {
                self.stock.expect(due_at);
            }
        } else if self.breaker.is_faltering() {
            self.pause_if_quick(now, sample);
        }
        opened
    }

    fn sample(&mut self, now: Timestamp, exchange: Exchange, outcome: Outcome) -> Option<Rule> {
        if !self.breaker.is_closed() {
            return None;
        }
        self.window
            .handle_sample(now, exchange.took, outcome, exchange.in_flight)
    }

    /// A peer that fails without taking time is not called again at once.
    fn pause_if_quick(&mut self, now: Timestamp, sample: Sample) {
        if sample != Sample::Exchange(Outcome::Silent) {
            self.pause_until(now + FALTERING_PAUSE);
        }
    }

    pub(super) fn pause_until(&mut self, at: Timestamp) {
        self.paused_until = self.paused_until.max(at);
    }

    /// An operator wants to see what happens now.
    pub(super) fn try_now(&mut self, now: Timestamp) {
        self.paused_until = self.paused_until.min(now);
        self.breaker.probe_now(now);
    }

    pub(super) fn void_probe(&mut self, was_probe: bool) {
        if was_probe {
            self.breaker.handle_probe_void();
        }
    }

    fn remember_trouble(&mut self, now: Timestamp, judgement: &Judgement) {
        match (judgement.sample, judgement.lasting) {
            (_, Some(lasting)) if self.lasting.is_none_or(|(known, _)| known != lasting) => {
                self.lasting = Some((lasting, now));
            }
            (Sample::Exchange(_), None) => self.lasting = None,
            _ => {}
        }
        if judgement.sample != Sample::Exchange(Outcome::Served) && judgement.trouble.is_some() {
            self.trouble.clone_from(&judgement.trouble);
        }
    }

    /// When its next items are to be read, if they are.
    pub(super) fn read_at(&self) -> Option<Timestamp> {
        if self.held {
            return None;
        }
        self.stock.read_at(&self.waiting, !self.breaker.is_closed())
    }

    /// Since when it has nothing to do.
    pub(super) fn note_idleness(&mut self, now: Timestamp) -> Option<Timestamp> {
        let idle = self.waiting.is_empty()
            && self.in_flight.is_empty()
            && self.settling.is_empty()
            && self.stock.is_empty();
        if !idle {
            self.idle_since = None;
            self.place.is_idle = false;
            return None;
        }
        let since = *self.idle_since.get_or_insert(now);
        (!self.place.is_idle).then_some(since + DESTINATION_IDLE)
    }

    pub(super) fn lasting(&self) -> Option<(Lasting, Timestamp)> {
        self.lasting
    }

    /// What is kept of it in its row.
    pub(super) fn remembered(&self, now: Timestamp) -> Remembered {
        let reopens_at = self.breaker.reopens_at();
        let window = match reopens_at {
            Some(_) => self.limit_before,
            None => self.window.exact_limit(),
        };
        Remembered {
            domain: self.name.to_string(),
            window: whole(window),
            reopens_at,
            open_time_s: reopens_at.map_or(0, |_| self.breaker.open_time().as_secs()),
            paused_until: (self.paused_until > now).then_some(self.paused_until),
            last_success: self.breaker.last_success(),
            held: self.held,
            lasting: self.lasting,
            trouble: self.trouble.clone(),
        }
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let readiness = self.readiness(now);
        Standing {
            lane: self.lane(),
            limit: self.limit(),
            in_flight: self.transfers(),
            waiting: self.waiting.len(),
            next_due: self.stock.next_due(),
            breaker: self.breaker.state(now),
            ready_at: match readiness {
                Readiness::Ready => Some(now),
                Readiness::NotBefore(at) => Some(at),
                Readiness::AfterEvent => None,
            },
            remembered: self.remembered(now),
        }
    }
}

/// A window as it is written down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a window is between zero and a u32"
)]
fn whole(window: f64) -> u32 {
    window as u32
}

/// How long an exchange took, and beside what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) took: Duration,
    /// Transfers in flight to the destination when it ended, itself included.
    pub(super) in_flight: u32,
    pub(super) is_probe: bool,
}
