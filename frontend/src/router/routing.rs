//! What a front-end knows of nodes and owners, and whom it asks (cluster §4.6). Sans-IO: the time is
//! an argument, counted from the start of the process.
//!
//! ```text
//!  tables told by nodes ─▶ merged by fence ─▶ the owner ─┬─ writes: it alone
//!  a node says `Moved`  ─▶ learned, or denied            └─ reads: it first, then others
//!  a node is not there  ─▶ in doubt                         in the order of zone and rendezvous
//! ```
//!
//! Every node tells the whole table, as it read the store last. Of two claims of one unit the higher
//! fence is the newer, whoever told it, so tables may come in any order. All of it is a hint: the node
//! that is asked knows best, and the store decides (cluster §4.4). So nothing here can do harm; at
//! worst somebody is asked in vain, which is what *denials* and *doubts* keep rare:
//!
//! * An owner is denied when it says itself that it is not the owner under that fence, or when a node
//!   that listed it lists it no more. It may have been asked a moment too early, so after a pause it
//!   is asked again, by one write at a time.
//! * A node is in doubt when it could not be reached, or its stream broke. Reads go elsewhere, and
//!   one request at a time finds out whether it is back.
//!
//! What changes for whom is returned by whatever learns it, so that those who wait look again.
//! By whom a write is brought on whose owner cannot be reached from here is `detours`' to say.

mod detours;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mesh_common::cluster::placement::{Candidate, Placement};
use mesh_common::cluster::{
    Fence, NodeId, PartitionId, Roles, Route, RoutedNode, RoutingTable, Unit,
};
use mesh_common::limits::{OWNER_PAUSE_MAX, OWNER_PAUSE_MIN, ROUTED_SLOW_LIFE};

use detours::Detour;
pub(crate) use detours::Through;

/// `host:port` of a node's internal link.
pub(crate) type Address = Arc<str>;

/// What is known of nodes and owners.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    zone: String,
    views: BTreeMap<Address, View>,
    /// The nodes of all views that count.
    nodes: BTreeMap<NodeId, Known>,
    /// The back-ends among them.
    placement: Placement,
    owners: HashMap<Unit, Owner>,
    /// Nodes that could not be reached.
    doubts: HashMap<Address, Pause>,
    /// Until when nodes count as slow.
    slow: HashMap<Address, Duration>,
    /// Owners that cannot be reached from here, and whether others reach them.
    detours: HashMap<Address, Detour>,
    /// Until when nodes are not asked to pass anything on, since they do not.
    pass_nothing: HashMap<Address, Duration>,
}

/// What one node told last.
#[derive(Debug)]
struct View {
    table: Arc<RoutingTable>,
    is_open: bool,
}

/// A node that is alive, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    address: Address,
    is_near: bool,
    is_draining: bool,
    is_backend: bool,
}

#[derive(Debug)]
struct Owner {
    route: Route,
    denied: Option<Pause>,
}

/// When the next question is due, and how long the pause after it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    until: Duration,
    next: Duration,
}

/// An owner to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where it answers.
    pub(crate) address: Address,
    /// The claim it is asked under.
    pub(crate) fence: Fence,
    /// Who brings it there, if it cannot be reached from here.
    pub(crate) through: Option<Through>,
}

impl Target {
    /// Who is asked.
    pub(crate) const fn asked(&self) -> &Address {
        match &self.through {
            Some(through) => &through.by,
            None => &self.address,
        }
    }
}

/// What a write may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Ask: all is well.
    Ask(Target),
    /// Ask, alone: the next one asks when this one knows more, or after a pause.
    Probe(Target),
    /// Wait for the next change, at most until this time.
    Wait(Option<Duration>),
}

impl Pause {
    /// A first question at `until`.
    const fn first(until: Duration) -> Self {
        Self {
            until,
            next: OWNER_PAUSE_MIN,
        }
    }

    /// Takes the question that is due.
    fn take(&mut self, now: Duration) {
        self.until = now + self.next;
        self.next = (self.next * 2).min(OWNER_PAUSE_MAX);
    }

    fn is_due(&self, now: Duration) -> bool {
        self.until <= now
    }
}

impl Routing {
    /// Nothing is known yet. Nodes of `zone` are asked before others.
    pub(crate) fn new(zone: impl Into<String>) -> Self {
        Self {
            zone: zone.into(),
            ..Self::default()
        }
    }

    // ---- What is learned ----

    /// The node at `address` told `table`, over an open stream. Returns the units that may have
    /// another owner now, or one that can be reached.
    pub(crate) fn told(
        &mut self,
        address: &Address,
        table: Arc<RoutingTable>,
        now: Duration,
    ) -> BTreeSet<Unit> {
        let mut changed = BTreeSet::new();
        let view = View {
            table: Arc::clone(&table),
            is_open: true,
        };
        let before = self.views.insert(Arc::clone(address), view);
        let nothing = RoutingTable::default();
        let listed = before.as_ref().map_or(&nothing, |view| &*view.table);
        // What was told before was taken then.
        for (unit, was, is) in RoutingTable::differences(listed, &table) {
            let is_changed = match (was, is) {
                (None, Some(route)) => {
                    self.take(unit, route) || (before.is_some() && self.admit(unit, route))
                }
                (Some(_), Some(route)) => self.take(unit, route),
                (Some(route), None) => {
                    self.deny(unit, route, now);
                    false
                }
                (None, None) => false,
            };
            if is_changed {
                changed.insert(unit);
            }
        }
        let is_known = |view: &View| view.is_open && view.table.nodes == table.nodes;
        if !before.as_ref().is_some_and(is_known) {
            changed.append(&mut self.rebuild());
        }
        changed.append(&mut self.answered(address, None));
        changed
    }

    /// The stream of events of the node at `address` broke: what it told may be old, and it may be
    /// gone.
    pub(crate) fn silent(&mut self, address: &Address, now: Duration) -> BTreeSet<Unit> {
        if let Some(view) = self.views.get_mut(address) {
            view.is_open = false;
        }
        self.doubt(address, now);
        self.rebuild()
    }

    /// There is no link to `address` any more.
    pub(crate) fn forget(&mut self, address: &Address) -> BTreeSet<Unit> {
        self.views.remove(address);
        self.doubts.remove(address);
        self.slow.remove(address);
        self.detours.remove(address);
        self.pass_nothing.remove(address);
        self.rebuild()
    }

    /// Whoever was asked as the owner of `unit` under `fence` is not the owner, and says who is, if
    /// it knows. Returns whether that is news.
    pub(crate) fn moved(
        &mut self,
        unit: Unit,
        fence: Fence,
        hint: Option<Route>,
        now: Duration,
    ) -> bool {
        if hint.is_some_and(|route| self.learn(unit, route)) {
            return true;
        }
        if let Some(owner) = self.owners.get_mut(&unit)
            && owner.route.fence == fence
        {
            owner.deny(now);
        }
        false
    }

    /// Somebody said who owns `unit`. Returns whether that is news.
    pub(crate) fn learn(&mut self, unit: Unit, route: Route) -> bool {
        self.take(unit, route)
    }

    /// The node at `address` could not be reached, or the connection to it broke. After the first
    /// time it may be asked again at once: a connection also breaks because it was idle for too long.
    pub(crate) fn doubt(&mut self, address: &Address, now: Duration) {
        match self.doubts.get_mut(address) {
            Some(doubt) if doubt.is_due(now) => doubt.take(now),
            Some(_) => {}
            None => {
                let doubt = Pause::first(now);
                self.doubts.insert(Arc::clone(address), doubt);
            }
        }
    }

    /// The node at `address` is not to be asked before `until`.
    pub(crate) fn doubt_until(&mut self, address: &Address, until: Duration) {
        let doubt = Pause::first(until);
        let known = self.doubts.entry(Arc::clone(address)).or_insert(doubt);
        known.until = known.until.max(until);
    }

    /// The node at `address` answered something, and as the owner of a unit under a claim, if one is
    /// named.
    pub(crate) fn answered(
        &mut self,
        address: &Address,
        owned: Option<(Unit, Fence)>,
    ) -> BTreeSet<Unit> {
        let mut changed = BTreeSet::new();
        if let Some((unit, fence)) = owned
            && let Some(owner) = self.owners.get_mut(&unit)
            && owner.route.fence == fence
            && owner.denied.take().is_some()
        {
            changed.insert(unit);
        }
        if self.doubts.remove(address).is_some() {
            self.detours.remove(address);
            changed.extend(self.owned_at(address));
        }
        changed
    }

    /// Whether [`answered`](Self::answered) would change nothing.
    pub(crate) fn is_settled(&self, address: &Address, unit: Option<Unit>) -> bool {
        let is_denied = |unit| {
            let owner = self.owners.get(&unit);
            owner.is_some_and(|owner| owner.denied.is_some())
        };
        !self.doubts.contains_key(address) && !unit.is_some_and(is_denied)
    }

    /// Another node answered sooner than the one at `address`, which had been asked before.
    pub(crate) fn slow(&mut self, address: &Address, now: Duration) {
        self.slow.retain(|_, until| *until > now);
        self.slow
            .insert(Arc::clone(address), now + ROUTED_SLOW_LIFE);
    }

    // ---- What is asked ----

    /// The owner of `unit`, if it can be asked without a second thought.
    pub(crate) fn owner(&self, unit: Unit) -> Option<Target> {
        let owner = self.owners.get(&unit)?;
        let target = self.target(owner)?;
        let is_well = owner.denied.is_none() && !self.doubts.contains_key(&target.address);
        is_well.then_some(target)
    }

    /// What a write for `unit` may do now; `is_unreached` if the owner could not be reached for it a
    /// moment ago. A [`Turn::Probe`] is given to one, until the next is due.
    pub(crate) fn turn(&mut self, unit: Unit, is_unreached: bool, now: Duration) -> Turn {
        let Some(owner) = self.owners.get(&unit) else {
            return Turn::Wait(None);
        };
        let Some(target) = self.target(owner) else {
            return Turn::Wait(None);
        };
        if let Some(turn) = self.turn_aside(unit, &target, is_unreached, now) {
            return turn;
        }
        let doubt = self.doubts.get_mut(&target.address);
        let owner = self.owners.get_mut(&unit);
        let denied = owner.and_then(|owner| owner.denied.as_mut());
        let mut pauses: Vec<&mut Pause> = doubt.into_iter().chain(denied).collect();
        match pauses.iter().map(|pause| pause.until).max() {
            None => Turn::Ask(target),
            Some(until) if until > now => Turn::Wait(Some(until)),
            Some(_) => {
                pauses.iter_mut().for_each(|pause| pause.take(now));
                Turn::Probe(target)
            }
        }
    }

    /// Whether another claim of `unit` than `fence` is known by now, of an owner that can be reached.
    pub(crate) fn is_superseded(&self, unit: Unit, fence: Fence) -> bool {
        let owner = self.owners.get(&unit);
        owner.is_some_and(|owner| owner.route.fence > fence && self.target(owner).is_some())
    }

    /// Whom to ask what needs no owner, the accounts of `partition` read from the store or a message
    /// left for them: the owner if all is well with it, else the best other one. Nobody in `tried`.
    pub(crate) fn anybody(
        &self,
        partition: PartitionId,
        tried: &[Address],
        now: Duration,
    ) -> Option<Address> {
        let is_new = |address: &Address| !tried.contains(address);
        let owner = self.owners.get(&partition.into());
        let owner = owner.filter(|owner| owner.denied.is_none());
        let owner = owner.and_then(|owner| self.target(owner));
        if let Some(owner) = owner
            && is_new(&owner.address)
            && !self.is_slow(&owner.address, now)
            && self.is_worth_asking(&owner.address, now)
        {
            return Some(owner.address);
        }
        // Who comes next in the order of rendezvous is the likely next owner, and the first of equals.
        let order = self.placement.order(partition.into());
        let nodes = order.iter().filter_map(|id| self.nodes.get(id));
        let best = nodes
            .filter(|node| is_new(&node.address))
            .min_by_key(|node| {
                let is_in_doubt = self.doubts.contains_key(&node.address);
                let is_slow = self.is_slow(&node.address, now);
                (is_in_doubt, is_slow, !node.is_near, node.is_draining)
            });
        best.map(|node| Arc::clone(&node.address))
    }

    /// Where a node is that can be told about `unit`: its owner, else any back-end.
    pub(crate) fn whom_to_tell(&self, unit: Unit, now: Duration) -> Option<Address> {
        let owner = self.owner(unit).map(|owner| owner.address);
        owner.or_else(|| self.anybody(PartitionId(0), &[], now))
    }

    /// To whom there should be links: to all nodes, and to `seeds` until one of the nodes is heard
    /// under the address it gives itself.
    pub(crate) fn wanted(&self, seeds: &BTreeSet<Address>) -> BTreeSet<Address> {
        let nodes = self.nodes.values();
        let mut wanted: BTreeSet<_> = nodes.map(|node| Arc::clone(&node.address)).collect();
        let mut open = self.views.iter().filter(|(_, view)| view.is_open);
        if !open.any(|(address, _)| wanted.contains(address)) {
            wanted.extend(seeds.iter().map(Arc::clone));
        }
        wanted
    }

    /// Whether any node is heard at this moment.
    pub(crate) fn is_heard(&self) -> bool {
        self.views.values().any(|view| view.is_open)
    }

    /// How many back-ends are known.
    pub(crate) fn back_ends(&self) -> usize {
        self.placement.candidates().len()
    }

    // ---- How it is kept ----

    /// Takes `route` for `unit` if it is newer than what is known.
    fn take(&mut self, unit: Unit, route: Route) -> bool {
        let known = self.owners.get(&unit);
        let is_news = known.is_none_or(|known| known.route.fence < route.fence);
        if is_news {
            let denied = None;
            self.owners.insert(unit, Owner { route, denied });
        }
        is_news
    }

    /// Who is listed by one node no more, under the claim that is known, let go of it.
    fn deny(&mut self, unit: Unit, route: Route, now: Duration) {
        if let Some(owner) = self.owner_by(unit, route) {
            owner.deny(now);
        }
    }

    /// Who is listed again, under the claim that is known, has not let go of it.
    fn admit(&mut self, unit: Unit, route: Route) -> bool {
        let owner = self.owner_by(unit, route);
        owner.is_some_and(|owner| owner.denied.take().is_some())
    }

    /// The owner of `unit`, if it is known by this claim.
    fn owner_by(&mut self, unit: Unit, route: Route) -> Option<&mut Owner> {
        let owner = self.owners.get_mut(&unit);
        owner.filter(|owner| owner.route == route)
    }

    /// The units whose owner is at `address`.
    fn owned_at(&self, address: &Address) -> Vec<Unit> {
        let is_there = |id: &NodeId| {
            let node = self.nodes.get(id);
            node.is_some_and(|node| node.address == *address)
        };
        let owners = self.owners.iter();
        let there = owners.filter(|(_, owner)| is_there(&owner.route.node));
        there.map(|(unit, _)| *unit).collect()
    }

    /// Whether there is no doubt of the node at `address`, or it is time to find out.
    fn is_worth_asking(&self, address: &Address, now: Duration) -> bool {
        let doubt = self.doubts.get(address);
        doubt.is_none_or(|doubt| doubt.is_due(now) && self.is_open(address))
    }

    /// Whether the node at `address` is heard.
    fn is_open(&self, address: &Address) -> bool {
        self.views.get(address).is_some_and(|view| view.is_open)
    }

    fn target(&self, owner: &Owner) -> Option<Target> {
        let node = self.nodes.get(&owner.route.node)?;
        Some(Target {
            address: Arc::clone(&node.address),
            fence: owner.route.fence,
            through: None,
        })
    }

    fn is_slow(&self, address: &Address, now: Duration) -> bool {
        self.slow.get(address).is_some_and(|until| *until > now)
    }

    /// Puts the nodes of all views together: of the open ones, or, while there is none, of all. A node
    /// that is gone would tell for ever that it is alive. Returns the units of nodes that are new, or
    /// elsewhere.
    fn rebuild(&mut self) -> BTreeSet<Unit> {
        let is_heard = self.is_heard();
        let mut nodes = BTreeMap::new();
        for view in self.views.values().filter(|view| view.is_open || !is_heard) {
            for (&id, node) in &view.table.nodes {
                if !node.address.is_empty() {
                    let known = nodes
                        .entry(id)
                        .or_insert_with(|| Known::of(node, &self.zone));
                    known.is_draining |= node.draining;
                }
            }
        }
        let is_new = |id: &NodeId| {
            let address = |node: &Known| Arc::clone(&node.address);
            nodes.get(id).is_some_and(|node| {
                self.nodes.get(id).map(address) != Some(Arc::clone(&node.address))
            })
        };
        let owners = self.owners.iter();
        let reached = owners.filter(|(_, owner)| is_new(&owner.route.node));
        let reached = reached.map(|(unit, _)| *unit).collect();
        let back_ends = nodes.iter().filter(|(_, node)| node.is_backend);
        let back_ends = back_ends.map(|(id, _)| (*id, BACK_END));
        self.placement = Placement::among(back_ends.collect());
        self.nodes = nodes;
        reached
    }
}

impl Owner {
    /// It is asked again after a pause: it may only just have made its claim.
    fn deny(&mut self, now: Duration) {
        let first = Pause::first(now + OWNER_PAUSE_MIN);
        self.denied.get_or_insert(first);
    }
}

impl Known {
    fn of(node: &RoutedNode, zone: &str) -> Self {
        Self {
            address: Arc::from(node.address.as_str()),
            is_near: node.zone == zone,
            is_draining: node.draining,
            is_backend: node.roles.backend,
        }
    }
}

/// Every back-end may answer for every partition; front-ends are not told their weights.
const BACK_END: Candidate = Candidate {
    roles: Roles {
        backend: true,
        outbound: false,
    },
    weight: 100,
};

#[cfg(test)]
mod tests;
