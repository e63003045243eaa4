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
mod taking;
mod work;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::hold::{Hold, Holds};
use self::pulse::Pulse;
pub use self::steps::{Basis, Bid, Claim, ClaimOutcome, Effect, Event, ReleaseOutcome, Tables};
use self::work::Agenda;
use super::fence::Fence;
use super::node::{NodeId, NodeRecord};
use super::observer::Observer;
use super::ownership::Ownership;
use super::placement::{Candidate, Placement};
use super::routes::{RoutedNode, RoutingTable};
use super::times::Times;
use super::unit::Unit;
use crate::limits::{CLAIM_UNITS_MAX, NODE_FORGOTTEN_AFTER, REBALANCE_STABLE};

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
    /// What something may be to be done about.
    agenda: Agenda,
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
            agenda: Agenda::default(),
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
            self.work_off(now, &mut effects);
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
        if self.pulse.is_resting() || !self.agenda.has_misplaced() {
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
        self.agenda.add_all();
        let units = self.settings.units.iter();
        self.desired = units
            .filter_map(|unit| Some((*unit, self.placement.desired(*unit)?)))
            .collect();
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
