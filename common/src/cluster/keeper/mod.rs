//! The Keeper: everything that one node decides about ownership, in one machine that knows no clock,
//! no chance, no store and no socket (cluster §4.3).
//!
//! ```text
//!               ┌───────────────── step(now, event) ─────────────────┐
//!  what a look at tables 01 and 02 showed ─▶ observer ─▶ placement ─▶ claims, releases
//!  how heartbeats, claims, releases ended ─▶ holds                 ─▶ begin, end
//!  a commit that was fenced, a drain      ─▶                       ─▶ routes, rest, leave
//!               └────────────────────────────────────────────────────┘
//! ```
//!
//! The shell carries effects out, tells how they ended, and calls [`Keeper::step`] with [`Event::Tick`]
//! at the moment that [`Keeper::wakes_at`] names. Time is a [`Duration`] since whatever beginning the
//! shell has, by a clock that only goes forward; it is compared with itself alone.
//!
//! Nothing here makes the cluster safe: that the store does, by refusing every claim whose records are
//! not as [`Claim`] says and every write that [`Ownership::permits`] does not. A Keeper that decides
//! wrongly, late or on old news costs time, never a write (note 0008).

mod hold;
mod pulse;
mod steps;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::hold::{Hold, Holds};
use self::pulse::Pulse;
pub use self::steps::{Basis, Bid, Claim, ClaimOutcome, Effect, Event, ReleaseOutcome, Tables};
use super::fence::Fence;
use super::node::{NodeId, NodeRecord};
use super::observer::Observer;
use super::ownership::Ownership;
use super::placement::{Candidate, Placement};
use super::routes::{RoutedNode, RoutingTable};
use super::times::Times;
use super::unit::Unit;
use crate::limits::{
    CLAIM_UNITS_MAX, CLAIMS_IN_FLIGHT_MAX, NODE_FORGOTTEN_AFTER, REBALANCE_RELEASE_INTERVAL,
    REBALANCE_STABLE,
};

/// What a Keeper is told once.
#[derive(Debug, Clone)]
pub struct KeeperSettings {
    /// How the cluster keeps time.
    pub times: Times,
    /// The generation of the store (row `meta`): claims are made in it.
    pub generation: u32,
    /// Everything that is owned by somebody, in this cluster: [`Unit::all`].
    pub units: Vec<Unit>,
}

impl KeeperSettings {
    /// For a service's whole store, of this generation.
    #[must_use]
    pub fn new(times: Times, generation: u32) -> Self {
        Self {
            times,
            generation,
            units: Unit::all().collect(),
        }
    }
}

/// How far a node is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Working,
    /// It lets go of everything; others know once the heartbeat with this number is committed.
    Draining {
        told_by: u64,
    },
    /// Its own record is being removed.
    Leaving,
    /// That failed: it is tried again after the next look.
    Lingering,
    Gone,
}

/// How many nodes stand how, as one of them sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Alive and at work, this one included.
    pub active: usize,
    /// Alive and about to leave.
    pub draining: usize,
    /// Not heard of for their lease.
    pub silent: usize,
}

/// One node's share in keeping every unit owned by exactly one node; see the module.
#[derive(Debug, Clone)]
pub struct Keeper {
    settings: KeeperSettings,
    me: NodeRecord,
    stage: Stage,
    pulse: Pulse,
    observer: Observer,
    /// The newest that is known of each record, from looks and from what was committed here.
    owners: BTreeMap<Unit, Ownership>,
    /// Whether table 02 was ever read.
    has_looked: bool,
    holds: Holds,
    placement: Placement,
    /// What others say that they let go of and when they said so, until it is claimed or a look that began
    /// later has shown how it is.
    freed: BTreeMap<Unit, Duration>,
    /// Who should own each unit, by `placement`.
    desired: BTreeMap<Unit, NodeId>,
    stable_since: Duration,
    claims_in_flight: usize,
    /// Units in one claim: fewer after a refusal, so that one that others want holds up no others.
    claim_units: usize,
    next_release: Duration,
    routes: RoutingTable,
    /// Whether they have changed since they were told.
    is_rerouted: bool,
    /// Whether nodes may have come, gone or changed since.
    is_regrouped: bool,
}

impl Keeper {
    /// A node that is about to join at `now`: `me` as it will be in table 01, its lease excepted, which
    /// is that of the settings. It owns nothing and rests until its first heartbeat is committed.
    #[must_use]
    pub fn new(settings: KeeperSettings, me: NodeRecord, now: Duration) -> Self {
        let me = NodeRecord {
            lease: settings.times.lease,
            ..me
        };
        Self {
            pulse: Pulse::new(settings.times, now),
            settings,
            me,
            stage: Stage::Working,
            observer: Observer::default(),
            owners: BTreeMap::new(),
            has_looked: false,
            holds: Holds::default(),
            placement: Placement::default(),
            freed: BTreeMap::new(),
            desired: BTreeMap::new(),
            stable_since: now,
            claims_in_flight: 0,
            claim_units: CLAIM_UNITS_MAX,
            next_release: now,
            routes: RoutingTable::default(),
            is_rerouted: false,
            is_regrouped: false,
        }
    }

    /// Takes what happened and says what is to be done.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        if self.is_gone() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        self.take(now, event, &mut effects);
        self.keep_pulse(now, &mut effects);
        self.place(now);
        if !self.pulse.is_resting() {
            self.let_go(now, &mut effects);
            self.claim(&mut effects);
            self.leave(&mut effects);
        }
        self.tell_routes(&mut effects);
        effects
    }

    /// When [`Event::Tick`] is due, unless something else happens before.
    #[must_use]
    pub fn wakes_at(&self) -> Duration {
        if matches!(self.stage, Stage::Leaving | Stage::Gone) {
            return Duration::MAX;
        }
        let wakes_at = self.pulse.wakes_at();
        if self.pulse.is_resting() || self.misplaced().next().is_none() {
            return wakes_at;
        }
        let releases_at = self.next_release.max(self.stable_since + REBALANCE_STABLE);
        wakes_at.min(releases_at)
    }

    /// The node's name.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.me.id
    }

    /// The node as it is in table 01, or will be by its next heartbeat.
    #[must_use]
    pub const fn record(&self) -> &NodeRecord {
        &self.me
    }

    /// What this node works for, and by which claim.
    pub fn held(&self) -> impl Iterator<Item = (Unit, Fence)> {
        self.holds.held()
    }

    /// The claim by which this node works for `unit`, if it does.
    #[must_use]
    pub fn fence(&self, unit: Unit) -> Option<Fence> {
        match self.holds.of(unit) {
            Some(Hold::Held(fence)) => Some(fence),
            _ => None,
        }
    }

    /// Where everything is, as far as this node knows.
    #[must_use]
    pub const fn routes(&self) -> &RoutingTable {
        &self.routes
    }

    /// Who should own `unit`, as this node sees it.
    #[must_use]
    pub fn desired(&self, unit: Unit) -> Option<NodeId> {
        self.desired.get(&unit).copied()
    }

    /// Whether no work may be started for want of a heartbeat.
    #[must_use]
    pub const fn is_resting(&self) -> bool {
        self.pulse.is_resting()
    }

    /// Whether the node is about to leave, or has left.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.stage != Stage::Working
    }

    /// Whether the node has left: nothing is asked for any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// How long ago the last committed heartbeat began; none before the first.
    #[must_use]
    pub fn heartbeat_age(&self, now: Duration) -> Option<Duration> {
        self.pulse.age(now)
    }

    /// How many nodes stand how.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census {
            silent: self.observer.silent().count(),
            ..Census::default()
        };
        for node in self.observer.alive().chain([&self.me]) {
            let count = if node.draining {
                &mut census.draining
            } else {
                &mut census.active
            };
            *count += 1;
        }
        census
    }

    fn take(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick => {}
            Event::Looked(tables) => self.take_tables(now, tables, effects),
            Event::LookFailed => self.pulse.looked(),
            Event::Nudged => self.pulse.look_soon(now),
            Event::Freed(units) => self.take_freed(now, units),
            Event::HeartbeatEnded { seq, is_committed } => {
                if self.pulse.beaten(now, seq, is_committed) {
                    // What was silent while nothing could be written may have been so for that reason.
                    self.observer.restart(now);
                    self.is_regrouped = true;
                    self.pulse.look_soon(now);
                    effects.push(Effect::Resume);
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
            self.holds.remove(unit);
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
        let owners = &mut self.routes.owners;
        let before = match record.route() {
            Some(route) => owners.insert(unit, route),
            None => owners.remove(&unit),
        };
        self.is_rerouted |= before != record.route();
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
                units.for_each(|unit| self.holds.put(unit, Hold::Unclear { since: now }));
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
            return self.holds.remove(unit);
        }
        self.holds.put(unit, Hold::Held(fence));
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
                self.holds.remove(unit);
                effects.push(Effect::End { unit, fence });
            }
            ReleaseOutcome::Fenced => self.lose(now, unit, fence, effects),
            ReleaseOutcome::Failed => self.holds.put(unit, Hold::Stuck { fence, since: now }),
        }
    }

    /// Gives up what somebody else owns, and looks who.
    fn lose(&mut self, now: Duration, unit: Unit, fence: Fence, effects: &mut Vec<Effect>) {
        self.holds.put(unit, Hold::Unclear { since: now });
        self.pulse.look_soon(now);
        effects.push(Effect::End { unit, fence });
    }

    fn begin_drain(&mut self, now: Duration) {
        if self.stage == Stage::Working {
            self.me.draining = true;
            self.is_regrouped = true;
            self.stage = Stage::Draining {
                told_by: self.me.seq + 1,
            };
            self.pulse.beat_soon(now);
        }
    }

    fn keep_pulse(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if matches!(self.stage, Stage::Leaving | Stage::Gone) {
            return;
        }
        if self.pulse.begin_beat(now, self.me.seq + 1) {
            self.me.seq += 1;
            effects.push(Effect::Heartbeat(self.me.clone()));
        }
        if self.pulse.begin_look(now) {
            effects.push(Effect::Look);
        }
        if self.pulse.begin_rest(now) {
            effects.push(Effect::Rest);
        }
    }

    /// Finds out among whom units are placed now.
    fn place(&mut self, now: Duration) {
        let alive = self.observer.alive().chain([&self.me]);
        let candidates: BTreeMap<NodeId, Candidate> = alive
            .filter(|node| !node.draining)
            .map(|node| (node.id, Candidate::from(node)))
            .collect();
        if candidates == *self.placement.candidates() {
            return;
        }
        self.placement = Placement::among(candidates);
        self.stable_since = now;
        let units = self.settings.units.iter();
        self.desired = units
            .filter_map(|unit| Some((*unit, self.placement.desired(*unit)?)))
            .collect();
    }

    /// What is held and should be another node's.
    fn misplaced(&self) -> impl Iterator<Item = (Unit, Fence)> {
        let held = self.holds.held();
        held.filter(|(unit, _)| {
            self.desired
                .get(unit)
                .is_some_and(|node| *node != self.me.id)
        })
    }

    /// Releases: everything when the node drains, else gently what should be another node's.
    fn let_go(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let released: Vec<(Unit, Fence)> = match self.stage {
            Stage::Working if self.may_rebalance(now) => self.misplaced().take(1).collect(),
            Stage::Draining { told_by } if self.pulse.is_told(told_by) => {
                self.holds.held().collect()
            }
            _ => Vec::new(),
        };
        if self.stage == Stage::Working && !released.is_empty() {
            self.next_release = now + REBALANCE_RELEASE_INTERVAL;
        }
        let again: Vec<(Unit, Fence)> = self.holds.overdue().chain(self.orphans()).collect();
        for (unit, fence) in released.into_iter().chain(again) {
            self.holds.put(unit, Hold::Releasing(fence));
            effects.push(Effect::Release {
                unit,
                fence,
                successor: self.desired(unit).filter(|node| *node != self.me.id),
            });
        }
    }

    /// What is recorded as ours, is in no state here, and should be another node's: a claim landed whose
    /// end was not learnt. Nobody else may claim it while we live.
    fn orphans(&self) -> impl Iterator<Item = (Unit, Fence)> {
        let recorded = self.owners.iter();
        let ours = recorded.filter(|(_, record)| record.is_active && record.node == self.me.id);
        ours.filter(|(unit, _)| {
            self.holds.of(**unit).is_none() && self.desired(**unit) != Some(self.me.id)
        })
        .map(|(unit, record)| (*unit, record.fence))
    }

    fn may_rebalance(&self, now: Duration) -> bool {
        now >= self.next_release && now >= self.stable_since + REBALANCE_STABLE
    }

    /// Claims what should be ours and is nobody's at work.
    fn claim(&mut self, effects: &mut Vec<Effect>) {
        if self.stage != Stage::Working || !self.has_looked {
            return;
        }
        // By owner: what is taken at once depends on one node's record.
        let mut bids: BTreeMap<Option<NodeId>, (Basis, Vec<Bid>)> = BTreeMap::new();
        for (unit, _) in self.desired.iter().filter(|(_, node)| **node == self.me.id) {
            if let Some((basis, bid)) = self.bid(*unit) {
                let entry = bids.entry(basis.node());
                entry.or_insert((basis, Vec::new())).1.push(bid);
            }
        }
        for (basis, bids) in bids.into_values() {
            for bids in bids.chunks(self.claim_units) {
                if self.claims_in_flight == CLAIMS_IN_FLIGHT_MAX {
                    return;
                }
                self.claims_in_flight += 1;
                let units = bids.iter().map(|bid| bid.unit);
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

    /// How `unit` may be claimed, if it may be.
    fn bid(&self, unit: Unit) -> Option<(Basis, Bid)> {
        if self.holds.of(unit).is_some() {
            return None;
        }
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

    /// Has records of nodes removed that are long dead and own nothing. One node does it for all.
    fn forget_dead(&self, effects: &mut Vec<Effect>) {
        let is_least = self.observer.alive().all(|node| self.me.id < node.id);
        if self.pulse.is_resting() || !is_least || !self.has_looked {
            return;
        }
        for record in self.observer.silent() {
            let is_owner = |owned: &Ownership| owned.is_active && owned.node == record.id;
            if self.observer.unchanged(record.id) >= NODE_FORGOTTEN_AFTER
                && !self.owners.values().any(is_owner)
            {
                effects.push(Effect::Forget(record.clone()));
            }
        }
    }

    fn leave(&mut self, effects: &mut Vec<Effect>) {
        let Stage::Draining { told_by } = self.stage else {
            return;
        };
        // Nothing of ours may be on its way when the record goes: a heartbeat would bring it back, and a
        // claim of which nothing is known may have landed.
        let is_done =
            self.pulse.is_told(told_by) && !self.pulse.is_beating() && self.holds.is_empty();
        if is_done {
            self.stage = Stage::Leaving;
            effects.push(Effect::Leave);
        }
    }

    fn tell_routes(&mut self, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.is_regrouped) {
            let alive = self.observer.alive().map(routed);
            let mut nodes: BTreeMap<NodeId, RoutedNode> = alive.collect();
            if self.pulse.is_known() {
                nodes.extend([routed(&self.me)]);
            }
            self.is_rerouted |= nodes != self.routes.nodes;
            self.routes.nodes = nodes;
        }
        if std::mem::take(&mut self.is_rerouted) {
            effects.push(Effect::Routes);
        }
    }
}

fn routed(node: &NodeRecord) -> (NodeId, RoutedNode) {
    let routed = RoutedNode {
        address: node.address.clone(),
        zone: node.zone.clone(),
        roles: node.roles,
        draining: node.draining,
    };
    (node.id, routed)
}

/// On what grounds `me` may claim a unit with this record, if it may (cluster §4.3): nobody is at work
/// there; or its owner is silent, or gone; or the record says that we are at work there, of which
/// nothing is known here, because the claim's end was never learnt. Over its own record a node may
/// always claim: it fences off nobody but itself.
#[must_use]
pub fn basis(record: Option<&Ownership>, me: NodeId, observer: &Observer) -> Option<Basis> {
    let Some(owner) = record.filter(|record| record.is_active && record.node != me) else {
        return Some(Basis::Free);
    };
    match observer.record(owner.node) {
        None => Some(Basis::Gone(owner.node)),
        Some(record) if observer.is_silent(owner.node) => Some(Basis::Silent(record.clone())),
        Some(_) => None,
    }
}
