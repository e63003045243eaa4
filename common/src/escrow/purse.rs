//! What one holder knows of its own grants: what it may spend, what it has spent, what it gives back
//! (cluster §9).

use std::collections::{BTreeMap, BTreeSet};

use super::HolderId;
use crate::limits::ESCROW_IDLE;
use crate::time::Timestamp;

/// A moment within a count of what is charged, or between two. What leaves is taken off what is used only if no
/// count has begun or ended since the moment before it left: that count may have missed it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountStamp(u64);

/// More is to be granted before something can be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage<S>(
    /// By limit, how much has to be granted in all.
    pub BTreeMap<S, u64>,
);

/// What is known of one limit.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// What may be charged to us: never more than the ledger says.
    granted: u64,
    /// What the ledger says at most.
    recorded: u64,
    /// What is charged to us at most.
    used: u64,
    /// What of that is spent and not known to be there.
    in_flight: u64,
    /// When something was spent last.
    spent_at: Timestamp,
}

impl Held {
    const fn is_nothing(&self) -> bool {
        self.granted == 0 && self.recorded == 0 && self.used == 0 && self.in_flight == 0
    }
}

/// The grants of one holder, by limit.
#[derive(Debug)]
pub struct Purse<S> {
    holder: HolderId,
    held: BTreeMap<S, Held>,
    /// How often a count began or ended.
    counts: u64,
    /// While one is under way: what was in flight when it began, and what was spent since.
    meanwhile: Option<BTreeMap<S, u64>>,
}

impl<S: Ord + Clone> Purse<S> {
    /// The empty purse of `holder`.
    #[must_use]
    pub const fn new(holder: HolderId) -> Self {
        Self {
            holder,
            held: BTreeMap::new(),
            counts: 0,
            meanwhile: None,
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn holder(&self) -> HolderId {
        self.holder
    }

    /// `closed` spends no more: everything is begun anew as `holder`, unless that has been done.
    pub fn renew(&mut self, closed: HolderId, holder: HolderId) {
        if self.holder == closed {
            let counts = self.counts + 1;
            *self = Self::new(holder);
            self.counts = counts;
        }
    }

    /// What is granted and not used, of all limits for which `counts_in` holds.
    pub fn unspent(&self, mut counts_in: impl FnMut(&S) -> bool) -> u64 {
        let held = self.held.iter().filter(|(scope, _)| counts_in(scope));
        held.map(|(_, one)| one.granted.saturating_sub(one.used))
            .fold(0, u64::saturating_add)
    }

    /// What is used of `scope` at most.
    #[must_use]
    pub fn used(&self, scope: &S) -> u64 {
        self.held.get(scope).map_or(0, |held| held.used)
    }

    /// What has to be granted before all of `wants` can be spent.
    #[must_use]
    pub fn shortage(&self, wants: &BTreeMap<S, u64>) -> Option<Shortage<S>> {
        let short = wants.iter().filter_map(|(scope, more)| {
            let held = self.held.get(scope).copied().unwrap_or_default();
            let total = held.used.saturating_add(*more);
            (total > held.granted).then(|| (scope.clone(), total))
        });
        let short: BTreeMap<S, u64> = short.collect();
        (!short.is_empty()).then_some(Shortage(short))
    }

    /// Spends all of `wants`, or nothing. To be called before what is charged can be anywhere.
    ///
    /// # Errors
    /// What has to be granted before.
    pub fn spend(&mut self, wants: &BTreeMap<S, u64>, now: Timestamp) -> Result<(), Shortage<S>> {
        if let Some(shortage) = self.shortage(wants) {
            return Err(shortage);
        }
        for (scope, more) in wants {
            let held = self.held.entry(scope.clone()).or_default();
            held.used += more;
            held.in_flight += more;
            held.spent_at = now;
            if let Some(meanwhile) = &mut self.meanwhile {
                *meanwhile.entry(scope.clone()).or_default() += more;
            }
        }
        Ok(())
    }

    /// What `holder` spent is there.
    pub fn landed(&mut self, holder: HolderId, wants: &BTreeMap<S, u64>) {
        for (scope, more) in wants.iter().filter(|_| self.holder == holder) {
            if let Some(held) = self.held.get_mut(scope) {
                held.in_flight = held.in_flight.saturating_sub(*more);
            }
        }
    }

    /// What `holder` spent is not there, and never will be.
    pub fn undo(&mut self, holder: HolderId, wants: &BTreeMap<S, u64>) {
        for (scope, more) in wants.iter().filter(|_| self.holder == holder) {
            if let Some(held) = self.held.get_mut(scope) {
                held.in_flight = held.in_flight.saturating_sub(*more);
                held.used = held.used.saturating_sub(*more);
            }
            let counted = self.meanwhile.as_mut().and_then(|some| some.get_mut(scope));
            if let Some(counted) = counted {
                *counted = counted.saturating_sub(*more);
            }
        }
    }

    // ---- What leaves ----

    /// The moment before something leaves.
    #[must_use]
    pub const fn stamp(&self) -> CountStamp {
        CountStamp(self.counts)
    }

    /// One that is charged to `holder` has left, not before `stamp`. If a count has begun or ended since, the next
    /// one tells.
    pub fn left<'a>(
        &mut self,
        holder: HolderId,
        scopes: impl IntoIterator<Item = &'a S>,
        stamp: CountStamp,
    ) where
        S: 'a,
    {
        if self.holder != holder || stamp != self.stamp() {
            return;
        }
        for scope in scopes {
            if let Some(held) = self.held.get_mut(scope) {
                held.used = held.used.saturating_sub(1).max(held.in_flight);
            }
        }
    }

    /// What is charged is counted from now on. Each limit has to be counted at one moment after this.
    pub fn begin_count(&mut self) -> CountStamp {
        self.counts += 1;
        let in_flight = |(scope, held): (&S, &Held)| (scope.clone(), held.in_flight);
        self.meanwhile = Some(self.held.iter().map(in_flight).collect());
        self.stamp()
    }

    /// So much was found to be charged to us by the count that began at `stamp`. What was spent meanwhile is
    /// added, seen or not.
    pub fn end_count(&mut self, stamp: CountStamp, found: &BTreeMap<S, u64>) {
        if stamp != self.stamp() {
            return;
        }
        self.counts += 1;
        let meanwhile = self.meanwhile.take().unwrap_or_default();
        for scope in found.keys() {
            self.held.entry(scope.clone()).or_default();
        }
        for (scope, held) in &mut self.held {
            let of = |counts: &BTreeMap<S, u64>| counts.get(scope).copied().unwrap_or(0);
            held.used = of(found) + of(&meanwhile);
        }
        self.held.retain(|_, held| !held.is_nothing());
    }

    // ---- Grants ----

    /// The ledger of `scope` says that `recorded` is granted to us.
    pub fn granted(&mut self, scope: S, recorded: u64, now: Timestamp) {
        let held = self.held.entry(scope).or_default();
        (held.granted, held.recorded) = (recorded, recorded);
        held.spent_at = held.spent_at.max(now);
    }

    /// Nobody knows what the ledger of `scope` says by now, but at most this.
    pub fn may_be_granted(&mut self, scope: S, recorded: u64) {
        let held = self.held.entry(scope).or_default();
        held.recorded = held.recorded.max(recorded);
    }

    /// The limits of which something is to be given back: that nothing was spent of for [`ESCROW_IDLE`], and
    /// those of `wanted`.
    pub fn to_give_back(&self, wanted: &BTreeSet<S>, now: Timestamp) -> Vec<S> {
        let is_due = |scope: &S, held: &Held| {
            let is_idle = now.since(held.spent_at) >= ESCROW_IDLE;
            held.recorded > held.used && (is_idle || wanted.contains(scope))
        };
        let due = self.held.iter().filter(|(scope, held)| is_due(scope, held));
        due.map(|(scope, _)| scope.clone()).collect()
    }

    /// What is not used of `scope` is not spent any more; says what is kept, which the ledger is to be told.
    pub fn begin_to_give_back(&mut self, scope: &S) -> u64 {
        let Some(held) = self.held.get_mut(scope) else {
            return 0;
        };
        held.granted = held.granted.min(held.used);
        held.granted
    }

    /// The ledger of `scope` has been told that this is kept.
    pub fn given_back(&mut self, scope: &S, kept: u64) {
        if let Some(held) = self.held.get_mut(scope) {
            held.recorded = kept;
            if held.is_nothing() {
                self.held.remove(scope);
            }
        }
    }

    /// Whether nothing is granted, used or recorded of anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
