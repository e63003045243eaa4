//! What is to be done about units: claims and releases.
//!
//! Each step looks at the units of which something has changed, not at all of them: at one whose record or hold is
//! another, and at every one after what concerns them all (a look at the tables, another placement, the beginning and
//! the end of a rest, a drain). So the end of one of a thousand releases costs as much as that of one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::hold::Hold;
use super::{Keeper, Stage, basis};
use crate::cluster::fence::Fence;
use crate::cluster::keeper::steps::{Basis, Bid, Claim, Effect};
use crate::cluster::node::NodeId;
use crate::cluster::ownership::Ownership;
use crate::cluster::unit::Unit;
use crate::limits::{CLAIMS_IN_FLIGHT_MAX, REBALANCE_RELEASE_INTERVAL, REBALANCE_STABLE};

/// Units that something may be to be done about.
#[derive(Debug, Clone, Default)]
pub(super) struct Agenda {
    /// Those that were not looked at since something of them changed.
    due: BTreeSet<Unit>,
    are_all_due: bool,
    /// Those that are held and should be another node's: they are let go of one by one.
    misplaced: BTreeSet<Unit>,
    /// How many units were looked at since the beginning.
    #[cfg(test)]
    pub(super) looked_at: usize,
}

impl Agenda {
    pub(super) fn add(&mut self, unit: Unit) {
        self.due.insert(unit);
    }

    pub(super) const fn add_all(&mut self) {
        self.are_all_due = true;
    }

    pub(super) fn has_misplaced(&self) -> bool {
        !self.misplaced.is_empty()
    }
}

/// What is to be done about one unit.
enum Work {
    /// It is let go of now.
    Release(Fence),
    /// The same, for the first time.
    ReleaseFirst(Fence),
    /// It is let go of when its turn comes.
    Rebalance,
    /// It is claimed.
    Claim(Basis, Bid),
}

/// Bids by the node whose record they depend on: what is taken at once depends on one.
type Bids = BTreeMap<Option<NodeId>, (Basis, Vec<Bid>)>;

impl Keeper {
    /// Does what is to be done about every unit that is due.
    pub(super) fn work_off(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.agenda.are_all_due) {
            let all = self.settings.units.iter().chain(self.owners.keys());
            self.agenda.due.extend(all);
        }
        let (mut released, mut again, mut bids) = (Vec::new(), Vec::new(), Bids::new());
        for unit in std::mem::take(&mut self.agenda.due) {
            #[cfg(test)]
            {
                self.agenda.looked_at += 1;
            }
            self.agenda.misplaced.remove(&unit);
            match self.work(unit) {
                Some(Work::ReleaseFirst(fence)) => released.push((unit, fence)),
                Some(Work::Release(fence)) => again.push((unit, fence)),
                Some(Work::Rebalance) => {
                    self.agenda.misplaced.insert(unit);
                }
                Some(Work::Claim(basis, bid)) => {
                    let entry = bids.entry(basis.node());
                    entry.or_insert((basis, Vec::new())).1.push(bid);
                }
                None => {}
            }
        }
        released.extend(self.rebalance(now));
        self.let_go(released.into_iter().chain(again), effects);
        self.claim(bids, effects);
    }

    /// For tests: a unit of which something is to be done, and which is not looked at before something changes.
    #[cfg(test)]
    pub(super) fn overlooked(&self) -> Option<Unit> {
        if self.pulse.is_resting() {
            return None;
        }
        let mut all = self.settings.units.iter().chain(self.owners.keys());
        let is_overlooked = |unit: &&Unit| {
            let is_misplaced = self.agenda.misplaced.contains(unit);
            match self.work(**unit) {
                None => is_misplaced,
                Some(Work::Rebalance) => !is_misplaced,
                // There was no place for the claim.
                Some(Work::Claim(..)) => is_misplaced || !self.agenda.due.contains(unit),
                Some(Work::Release(_) | Work::ReleaseFirst(_)) => true,
            }
        };
        all.find(is_overlooked).copied()
    }

    fn work(&self, unit: Unit) -> Option<Work> {
        let (desired, me) = (self.desired(unit), Some(self.me.id));
        match (self.holds.of(unit), self.stage) {
            (Some(Hold::Overdue(fence)), _) => Some(Work::Release(fence)),
            (Some(Hold::Held(fence)), Stage::Draining { told_by }) => {
                let is_told = self.pulse.is_told(told_by);
                is_told.then_some(Work::ReleaseFirst(fence))
            }
            (Some(Hold::Held(_)), Stage::Working) => {
                let is_misplaced = desired.is_some() && desired != me;
                is_misplaced.then_some(Work::Rebalance)
            }
            (Some(_), _) => None,
            (None, _) if desired != me => Some(Work::Release(self.orphaned(unit)?)),
            (None, Stage::Working) if self.has_looked => {
                let (basis, bid) = self.bid(unit)?;
                Some(Work::Claim(basis, bid))
            }
            (None, _) => None,
        }
    }

    /// The claim of what is recorded as ours, is in no state here, and should be another node's: it landed, and its end
    /// was not learnt. Nobody else may claim it while we live.
    fn orphaned(&self, unit: Unit) -> Option<Fence> {
        let record = self.owners.get(&unit)?;
        (record.is_active && record.node == self.me.id).then_some(record.fence)
    }

    /// The next that is let go of for another node, if it is time.
    fn rebalance(&mut self, now: Duration) -> Option<(Unit, Fence)> {
        let is_time = now >= self.next_release && now >= self.stable_since + REBALANCE_STABLE;
        if self.stage != Stage::Working || !is_time {
            return None;
        }
        let unit = self.agenda.misplaced.pop_first()?;
        self.next_release = now + REBALANCE_RELEASE_INTERVAL;
        Some((unit, self.holds.fence(unit)?))
    }

    fn let_go(&mut self, released: impl Iterator<Item = (Unit, Fence)>, effects: &mut Vec<Effect>) {
        for (unit, fence) in released {
            self.holds.put(unit, Hold::Releasing(fence));
            effects.push(Effect::Release {
                unit,
                fence,
                successor: self.desired(unit).filter(|node| *node != self.me.id),
            });
        }
    }

    /// How `unit` may be claimed, if it may be.
    fn bid(&self, unit: Unit) -> Option<(Basis, Bid)> {
        let known = self.owners.get(&unit).copied();
        let is_freed = self.freed.contains_key(&unit);
        let before = known.map(|known| if is_freed { known.released() } else { known });
        let basis = basis(before.as_ref(), self.me.id, &self.observer)?;
        let after = Ownership::claimed(before.as_ref(), self.settings.generation, self.me.id)?;
        let bid = Bid {
            unit,
            before,
            after,
        };
        Some((basis, bid))
    }

    /// Claims what should be ours and is nobody's at work. What has no place is due again.
    fn claim(&mut self, bids: Bids, effects: &mut Vec<Effect>) {
        for (basis, bids) in bids.into_values() {
            for bids in bids.chunks(self.claim_units) {
                let units = bids.iter().map(|bid| bid.unit);
                if self.claims_in_flight == CLAIMS_IN_FLIGHT_MAX {
                    self.agenda.due.extend(units);
                    continue;
                }
                self.claims_in_flight += 1;
                for unit in units {
                    self.holds.put(unit, Hold::Claiming);
                    self.freed.remove(&unit);
                }
                effects.push(Effect::Claim(Claim {
                    basis: basis.clone(),
                    bids: bids.to_vec(),
                }));
            }
        }
    }
}
