//! Where the pool has its destinations: in a lane and its ring if they are ready, among those to be read
//! for, on the clock. Whatever changes a destination ends here.

use std::time::Duration;

use super::destination::{Destination, Effect, Flight, Readiness};
use super::lanes::Entry;
use super::{ItemId, Pool};
use crate::delivery::Judgement;
use crate::delivery::controller::Outcome;
use crate::delivery::governor::Governor;
use crate::delivery::judge::Sample;
use crate::limits::{FIRST_CONTACTS_SPREAD, FIRST_CONTACTS_SPREAD_OVER, TRANSFER_SLOW};
use crate::time::Timestamp;

impl Pool {
    /// Takes an item out of the air: its destination, and how many transfers that had, itself included.
    pub(super) fn land(
        &mut self,
        now: Timestamp,
        domain: &str,
        id: ItemId,
    ) -> Option<(u64, Flight, u32)> {
        if self.orphans.remove(&id) {
            // Its destination was removed, and may be back: then the item's row is to be seen again.
            self.handle_news(now, domain);
            return None;
        }
        let key = *self.keys.get(domain)?;
        let destination = self.destinations.get_mut(&key)?;
        let in_flight = destination.transfers();
        let flight = destination.in_flight.remove(&id)?;
        self.lanes.count_end(destination.place.lane, 1);
        Some((key, flight, in_flight))
    }

    /// Lets the governor look at a transfer to a destination that is known to answer.
    pub(super) fn ask_governor(
        &mut self,
        now: Timestamp,
        key: u64,
        judgement: &Judgement,
        took: Duration,
    ) {
        let is_proven = self
            .destinations
            .get(&key)
            .is_some_and(Destination::is_proven);
        let is_slow = match judgement.sample {
            Sample::Nothing => return,
            Sample::Unreachable if judgement.lasting.is_some() => return,
            Sample::Unreachable | Sample::Exchange(Outcome::Silent) => true,
            Sample::Exchange(_) => took >= TRANSFER_SLOW,
        };
        if is_proven && self.governor.handle_sample(now, key, is_slow) {
            self.totals.budget_cuts += 1;
            self.forgive(now);
        }
    }

    /// What failed in the last seconds was our own trouble: breakers that it opened let a probe through.
    pub(super) fn forgive(&mut self, now: Timestamp) {
        let keys: Vec<u64> = self.destinations.keys().copied().collect();
        for key in keys {
            if let Some(destination) = self.destinations.get_mut(&key) {
                destination.breaker.forgive(now, now - Governor::VOTE_TIME);
            }
            self.place(now, key);
        }
    }

    pub(super) fn count(&mut self, effect: Effect) {
        if let Some(rule) = effect.rule {
            self.totals.rules[rule as usize] += 1;
        }
        self.totals.opened += u64::from(effect.opened);
    }

    /// How long the first contact of one more remembered destination waits: few begin at once, ten
    /// thousand over half a minute.
    pub(super) fn place_in_spread(&mut self, now: Timestamp) -> Duration {
        if now.since(self.spread.0) >= FIRST_CONTACTS_SPREAD {
            self.spread = (now, 0);
        }
        let place = self.spread.1 % FIRST_CONTACTS_SPREAD_OVER;
        self.spread.1 += 1;
        FIRST_CONTACTS_SPREAD * place / FIRST_CONTACTS_SPREAD_OVER
    }

    /// Looks after every destination whose time has come.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some(&(at, key)) = self.alarms.first()
            && at <= now
        {
            self.alarms.pop_first();
            if let Some(destination) = self.destinations.get_mut(&key) {
                destination.place.alarm = None;
            }
            self.place(now, key);
        }
    }

    /// Puts a destination where it belongs after something about it changed: into its lane, into a ring
    /// if it is ready, among those to be read for, and onto the clock.
    pub(super) fn place(&mut self, now: Timestamp, key: u64) {
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        let lane = destination.lane();
        if lane != destination.place.lane {
            self.lanes
                .count_move(destination.place.lane, lane, destination.transfers());
            destination.place.lane = lane;
        }
        let readiness = destination.readiness(now);
        let ring = destination.ring();
        if readiness == Readiness::Ready && destination.place.ring != Some(ring) {
            destination.place.ring = Some(ring);
            destination.place.stamp += 1;
            let entry = Entry {
                key,
                stamp: destination.place.stamp,
            };
            self.lanes.push_back(ring, entry);
        }
        let read_at = destination.read_at();
        if read_at.is_some_and(|at| at <= now) && !destination.place.refill_queued {
            destination.place.refill_queued = true;
            self.refills.push_back(key);
        }
        let idle_at = destination.note_idleness(now);
        if idle_at.is_some_and(|at| at <= now) {
            destination.place.is_idle = true;
            self.idle.push_back(key);
        }
        let ready_at = match readiness {
            Readiness::NotBefore(at) => Some(at),
            Readiness::Ready | Readiness::AfterEvent => None,
        };
        let alarm = [ready_at, read_at, idle_at]
            .into_iter()
            .flatten()
            .filter(|&at| at > now)
            .min();
        if alarm != destination.place.alarm {
            if let Some(before) = destination.place.alarm {
                self.alarms.remove(&(before, key));
            }
            self.alarms.extend(alarm.map(|at| (at, key)));
            destination.place.alarm = alarm;
        }
    }
}
