//! What happened, taken in: what looks showed, how heartbeats, claims and releases ended. What is to be done then
//! is found by `work`.

use std::time::Duration;

use super::hold::Hold;
use super::steps::{Bid, Claim, ClaimOutcome, Effect, Event, ReleaseOutcome, Tables};
use super::{Keeper, Stage};
use crate::cluster::fence::Fence;
use crate::cluster::ownership::Ownership;
use crate::cluster::unit::Unit;
use crate::limits::CLAIM_UNITS_MAX;

impl Keeper {
    /// Takes what happened.
    pub(super) fn take(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick => {}
            Event::Looked(tables) => self.take_tables(now, tables, effects),
            Event::LookFailed => self.pulse.looked(),
            Event::Nudged => self.pulse.look_soon(now),
            Event::Freed(units) => self.take_freed(now, units),
            Event::HeartbeatEnded { seq, is_committed } => {
                let was_told = self.is_drain_told();
                if self.pulse.beaten(now, seq, is_committed) {
                    // What was silent while nothing could be written may have been so for that reason.
                    self.observer.restart(now);
                    self.is_regrouped = true;
                    self.agenda.add_all();
                    self.pulse.look_soon(now);
                    effects.push(Effect::Resume);
                }
                if !was_told && self.is_drain_told() {
                    self.agenda.add_all();
                }
            }
            Event::ClaimEnded { claim, outcome } => self.take_claim(now, &claim, outcome, effects),
            Event::ReleaseEnded {
                unit,
                fence,
                outcome,
            } => self.take_release(now, unit, fence, outcome, effects),
            Event::Fenced { unit, fence } => {
                if self.holds.fence(unit) == Some(fence) {
                    self.lose(now, unit, fence, effects);
                }
            }
            Event::DrainOrdered => self.begin_drain(now),
            Event::LeaveEnded { is_committed } => {
                self.stage = if is_committed {
                    Stage::Gone
                } else {
                    Stage::Lingering
                };
            }
        }
    }

    fn take_tables(&mut self, now: Duration, tables: Tables, effects: &mut Vec<Effect>) {
        self.pulse.looked();
        let others = tables.nodes.into_iter().filter(|one| one.id != self.me.id);
        self.observer.observe(tables.begun, now, others.collect());
        self.is_regrouped = true;
        self.agenda.add_all();
        self.has_looked |= tables.owners.is_some();
        for (unit, record) in tables.owners.unwrap_or_default() {
            self.learn(unit, record);
        }
        self.freed.retain(|_, told| *told > tables.begun);
        self.holds.looked(tables.begun);
        let lost: Vec<(Unit, Fence)> = self
            .holds
            .fences()
            .filter(|one| self.is_lost(one))
            .collect();
        for (unit, fence) in lost {
            self.remove(unit);
            effects.push(Effect::End { unit, fence });
        }
        if self.stage == Stage::Lingering {
            self.stage = Stage::Draining { told_by: 0 };
        }
        self.forget_dead(effects);
    }

    /// Takes what another node says that it let go of. It tells whom each should belong to, as it sees it; who
    /// does not see it so, or does not know how things are, has to look.
    fn take_freed(&mut self, now: Duration, units: Vec<Unit>) {
        for unit in units {
            let is_owned = self.owners.get(&unit).is_some_and(|one| one.is_active);
            let is_ours = self.desired(unit) == Some(self.me.id);
            if is_owned && is_ours && self.holds.of(unit).is_none() {
                self.freed.insert(unit, now);
                self.agenda.add(unit);
            } else {
                self.pulse.look_soon(now);
            }
        }
    }

    /// Takes a record, unless a later one is known.
    fn learn(&mut self, unit: Unit, record: Ownership) {
        let known = self.owners.get(&unit);
        if known.is_some_and(|known| !record.is_after(known)) {
            return;
        }
        self.owners.insert(unit, record);
        self.agenda.add(unit);
        let (route, owners) = (record.route(), &mut self.routes.owners);
        if owners.get(&unit).copied() == route {
            return;
        }
        match route {
            Some(route) => owners.insert(unit, route),
            None => owners.remove(&unit),
        }
        self.is_rerouted = true;
    }

    fn put(&mut self, unit: Unit, hold: Hold) {
        self.holds.put(unit, hold);
        self.agenda.add(unit);
    }

    fn remove(&mut self, unit: Unit) {
        self.holds.remove(unit);
        self.agenda.add(unit);
    }

    /// Whether what is held by this fence is known to be somebody else's, or free.
    fn is_lost(&self, (unit, fence): &(Unit, Fence)) -> bool {
        let record = self.owners.get(unit);
        record.is_some_and(|record| {
            record.fence > *fence || (record.fence == *fence && !record.is_active)
        })
    }

    fn take_claim(
        &mut self,
        now: Duration,
        claim: &Claim,
        outcome: ClaimOutcome,
        effects: &mut Vec<Effect>,
    ) {
        self.claims_in_flight = self.claims_in_flight.saturating_sub(1);
        match outcome {
            ClaimOutcome::Taken => {
                self.claim_units = (self.claim_units * 2).min(CLAIM_UNITS_MAX);
                claim.bids.iter().for_each(|bid| self.begin(bid, effects));
            }
            ClaimOutcome::Refused | ClaimOutcome::Failed => {
                let units = claim.bids.iter().map(|bid| bid.unit);
                units.for_each(|unit| self.put(unit, Hold::Unclear { since: now }));
                if outcome == ClaimOutcome::Refused {
                    self.claim_units = (claim.bids.len() / 2).max(1);
                    self.pulse.look_soon(now);
                }
            }
        }
    }

    fn begin(&mut self, bid: &Bid, effects: &mut Vec<Effect>) {
        let (unit, fence) = (bid.unit, bid.after.fence);
        self.learn(unit, bid.after);
        if self.is_lost(&(unit, fence)) {
            return self.remove(unit);
        }
        self.put(unit, Hold::Held(fence));
        let before = bid.before.filter(|before| before.node != self.me.id);
        effects.push(Effect::Begin {
            unit,
            fence,
            was_active: before.is_some_and(|before| before.is_active),
        });
    }

    fn take_release(
        &mut self,
        now: Duration,
        unit: Unit,
        fence: Fence,
        outcome: ReleaseOutcome,
        effects: &mut Vec<Effect>,
    ) {
        if self.holds.fence(unit) != Some(fence) {
            return;
        }
        match outcome {
            ReleaseOutcome::Released => {
                let held = Ownership {
                    fence,
                    node: self.me.id,
                    is_active: true,
                };
                self.learn(unit, held.released());
                self.remove(unit);
                effects.push(Effect::End { unit, fence });
            }
            ReleaseOutcome::Fenced => self.lose(now, unit, fence, effects),
            ReleaseOutcome::Failed => self.put(unit, Hold::Stuck { fence, since: now }),
        }
    }

    /// Gives up what somebody else owns, and looks who.
    fn lose(&mut self, now: Duration, unit: Unit, fence: Fence, effects: &mut Vec<Effect>) {
        self.put(unit, Hold::Unclear { since: now });
        self.pulse.look_soon(now);
        effects.push(Effect::End { unit, fence });
    }

    fn begin_drain(&mut self, now: Duration) {
        if self.stage == Stage::Working {
            self.me.draining = true;
            self.is_regrouped = true;
            self.agenda.add_all();
            self.stage = Stage::Draining {
                told_by: self.me.seq + 1,
            };
            self.pulse.beat_soon(now);
        }
    }

    /// Whether others know that this node drains.
    fn is_drain_told(&self) -> bool {
        matches!(self.stage, Stage::Draining { told_by } if self.pulse.is_told(told_by))
    }
}
