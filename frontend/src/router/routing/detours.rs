//! By whom a write is brought to an owner that is alive and cannot be reached from here, and by whom it is watched
//! (cluster §18, row 4). `passing` and `watches` have it done.
//!
//! ```text
//!  in doubt, and not heard or not reached a moment ago ─▶ somebody lists it as alive? ─▶ one tries ─▶ all go
//!                                                            └─ nobody reaches it: one tries, now and then
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_common::cluster::{NodeId, Route, Unit};
use mesh_common::limits::{NODE_REFUSES_PAUSE, OWNER_PAUSE_MAX};

use super::{Address, Known, Pause, Routing, Target, Turn, View};

/// The way to an owner through other nodes.
#[derive(Debug)]
pub(super) struct Detour {
    is_way: bool,
    /// While it is none: when to try again.
    pause: Pause,
}

/// A node that brings a request to an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Through {
    /// Where that node answers.
    pub(crate) by: Address,
    /// The owner, as it is told.
    pub(crate) route: Route,
}

impl Routing {
    /// A request came to the node at `address` through another one. Returns the units for which that is
    /// news.
    pub(crate) fn passed(&mut self, address: &Address) -> BTreeSet<Unit> {
        match self.detours.get_mut(address) {
            Some(detour) if !detour.is_way => detour.is_way = true,
            _ => return BTreeSet::new(),
        }
        self.owned_at(address).into_iter().collect()
    }

    /// Nobody else could bring a request to the node at `address`.
    pub(crate) fn not_passed(&mut self, address: &Address, now: Duration) {
        if let Some(detour) = self.detours.get_mut(address) {
            if std::mem::take(&mut detour.is_way) {
                detour.pause = Pause::first(now);
            }
            if detour.pause.is_due(now) {
                detour.pause.take(now);
            }
        }
        // The way from here is the one that is left.
        if let Some(doubt) = self.doubts.get_mut(address)
            && doubt.until <= now + OWNER_PAUSE_MAX
        {
            doubt.until = now;
        }
    }

    /// The node that was to bring a request to `address` was no help; another one may be, at once.
    pub(crate) fn pass_otherwise(&mut self, address: &Address) {
        self.detours.remove(address);
    }

    /// The node at `by` does not pass on what is for the one at `address`, nor anything else.
    pub(crate) fn passes_nothing(&mut self, by: &Address, address: &Address, now: Duration) {
        self.pass_nothing
            .insert(Address::clone(by), now + NODE_REFUSES_PAUSE);
        self.pass_otherwise(address);
    }

    /// What a write for `unit` may do if it goes to `target` through another node. That is tried when the
    /// way from here is in doubt, and it is not time to look whether it is open again.
    pub(super) fn turn_aside(
        &mut self,
        unit: Unit,
        target: &Target,
        is_unreached: bool,
        now: Duration,
    ) -> Option<Turn> {
        let doubt = self.doubts.get(&target.address)?;
        // While it is not heard, opening its stream is how to find out that it can be reached.
        let is_closed = is_unreached || !self.is_open(&target.address);
        if !is_closed && (doubt.is_due(now) || !self.is_way(&target.address)) {
            return None;
        }
        let owner = self.owners.get(&unit)?;
        if owner.denied.is_some_and(|denied| !denied.is_due(now)) {
            return None;
        }
        let by = self.passer(unit, owner.route.node, &target.address, &[], now)?;
        let through = Target {
            through: Some(Through {
                by,
                route: owner.route,
            }),
            ..target.clone()
        };
        let first = Detour {
            is_way: false,
            pause: Pause::first(now),
        };
        let address = Address::clone(&target.address);
        let detour = self.detours.entry(address).or_insert(first);
        let is_due = detour.pause.is_due(now);
        let denied = self.owners.get_mut(&unit)?.denied.as_mut();
        match (denied, detour.is_way) {
            (None, true) => Some(Turn::Ask(through)),
            (_, false) if !is_due => None,
            (denied, is_way) => {
                if !is_way {
                    detour.pause.take(now);
                }
                // Whoever looks at one way looks for all.
                let doubt = self.doubts.get_mut(&target.address);
                for pause in denied.into_iter().chain(doubt) {
                    if pause.is_due(now) {
                        pause.take(now);
                    }
                }
                Some(Turn::Probe(through))
            }
        }
    }

    /// Who is asked to bring a request for `unit` to its owner, the node `owner` at `address`: somebody who is
    /// heard, and says that it is alive; nobody in `tried`.
    fn passer(
        &self,
        unit: Unit,
        owner: NodeId,
        address: &Address,
        tried: &[Address],
        now: Duration,
    ) -> Option<Address> {
        let is_able = |node: &&Known| {
            let view = self.views.get(&node.address);
            let lists = |view: &View| view.is_open && view.table.nodes.contains_key(&owner);
            let refused = self.pass_nothing.get(&node.address);
            node.address != *address
                && !tried.contains(&node.address)
                && view.is_some_and(lists)
                && self.is_worth_asking(&node.address, now)
                && refused.is_none_or(|until| *until <= now)
        };
        let order = self.placement.order(unit);
        let nodes = order.iter().filter_map(|id| self.nodes.get(id));
        let best = nodes.filter(is_able).min_by_key(|node| {
            let is_in_doubt = self.doubts.contains_key(&node.address);
            let is_slow = self.is_slow(&node.address, now);
            (is_in_doubt, is_slow, !node.is_near, node.is_draining)
        });
        best.map(|node| Address::clone(&node.address))
    }

    /// Whether somebody could bring requests for `unit` to the node at `address`, if that is its owner.
    pub(crate) fn has_way(&self, unit: Unit, address: &Address, now: Duration) -> bool {
        let owner = self.owners.get(&unit);
        let owner = owner.filter(|owner| {
            let target = self.target(owner);
            target.is_some_and(|target| target.address == *address)
        });
        owner.is_some_and(|owner| {
            self.passer(unit, owner.route.node, address, &[], now)
                .is_some()
        })
    }

    /// By whom the owner of `unit` is watched, since it is not heard from here: somebody who hears us and
    /// says that it is alive, and nobody in `tried`.
    pub(crate) fn watched_by(
        &self,
        unit: Unit,
        tried: &[Address],
        now: Duration,
    ) -> Option<Through> {
        let owner = self.owners.get(&unit)?;
        let target = self.target(owner)?;
        if owner.denied.is_some() || self.is_open(&target.address) {
            return None;
        }
        let by = self.passer(unit, owner.route.node, &target.address, tried, now)?;
        Some(Through {
            by,
            route: owner.route,
        })
    }

    /// Whether the owner of `unit` is still the one by `route`, alive, and not heard from here.
    pub(crate) fn is_unheard(&self, unit: Unit, route: Route) -> bool {
        let owner = self.owners.get(&unit);
        owner.is_some_and(|owner| {
            let target = self.target(owner);
            owner.route == route && target.is_some_and(|target| !self.is_open(&target.address))
        })
    }

    /// Whether requests come to the node at `address` through others.
    pub(crate) fn is_way(&self, address: &Address) -> bool {
        let detour = self.detours.get(address);
        detour.is_some_and(|detour| detour.is_way)
    }
}
