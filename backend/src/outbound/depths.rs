//! How much waits, by destination and by tenant: what a Post is refused by before it is stored
//! (cluster §14), and what operators and measures are told.
//!
//! The counts are in memory alone, and exact where one process has the store alone. They grow before the commit that queues an item, if the
//! bounds allow it, and shrink with the one that ends it; what was there before this life is counted
//! once, before anything is taken in. Where it is unknown whether a commit landed, what it would have
//! queued counts on until the partition is claimed again, which tells.
//!
//! A node of a cluster counts what it queues itself at once, and what others queue and what leaves every
//! 30 s, when it looks through the whole queue ([`super::survey`]); and within two seconds when a bound is
//! met. There these counts are what operators and measures are told, no more: what may be queued is what the
//! node was granted ([`crate::escrow`]), which keeps the bounds exactly however many nodes there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::account::QueuePolicy;
use mesh_common::delivery::{Class, QueueItem, QueueScope};
use mesh_common::time::Timestamp;
use tokio::sync::Notify;

use super::bell::Note;
use super::load::{Found, found};
use crate::store::{Order, Store, StoreError, keys, walk};

/// How much waits somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages, each counted once per recipient.
    pub items: u64,
    /// Octets of them.
    pub bytes: u64,
}

/// The same while it is counted: what ends may be counted before what it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    items: i64,
    bytes: i64,
}

impl Count {
    fn add(&mut self, items: i64, bytes: i64) {
        self.items += items;
        self.bytes += bytes;
    }

    const fn is_nothing(self) -> bool {
        self.items == 0 && self.bytes == 0
    }

    fn depth(self) -> Depth {
        Depth {
            items: u64::try_from(self.items).unwrap_or(0),
            bytes: u64::try_from(self.bytes).unwrap_or(0),
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    destinations: HashMap<Box<str>, Count>,
    tenants: HashMap<Box<str>, Count>,
    /// Of a tenant for a destination: their names with a blank between.
    shares: HashMap<Box<str>, Count>,
    interactive: Count,
    bulk: Count,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    /// What was queued here since a look through the queue began.
    meanwhile: Option<Counts>,
    tally: Tally,
}

impl State {
    fn add(&mut self, one: Counted<'_>, items: i64) {
        self.counts.add(one, items);
        if let Some(meanwhile) = self.meanwhile.as_mut() {
            meanwhile.add(one, items);
        }
    }
}

impl Counts {
    fn add(&mut self, one: Counted<'_>, items: i64) {
        let bytes = items * i64::try_from(one.bytes).unwrap_or(i64::MAX);
        add(&mut self.destinations, one.destination, (items, bytes));
        add(&mut self.tenants, one.tenant, (items, bytes));
        let share = share(one.tenant, one.destination);
        add(&mut self.shares, &share, (items, bytes));
        match one.class {
            Class::Interactive => self.interactive.add(items, bytes),
            Class::Bulk => self.bulk.add(items, bytes),
        }
    }
}

fn share(tenant: &str, destination: &str) -> String {
    format!("{tenant} {destination}")
}

impl Counts {
    fn absorb(&mut self, other: Self) {
        let of_domains = [
            (&mut self.destinations, other.destinations),
            (&mut self.tenants, other.tenants),
            (&mut self.shares, other.shares),
        ];
        for (counts, others) in of_domains {
            for (name, count) in others {
                add(counts, &name, (count.items, count.bytes));
            }
        }
        self.interactive
            .add(other.interactive.items, other.interactive.bytes);
        self.bulk.add(other.bulk.items, other.bulk.bytes);
    }

    fn of(&self, scope: &QueueScope) -> u64 {
        let count = match scope {
            QueueScope::Destination(domain) => self.destinations.get(domain.as_str()),
            QueueScope::Tenant(domain) => self.tenants.get(domain.as_str()),
            QueueScope::Share {
                tenant,
                destination,
            } => self.shares.get(share(tenant, destination).as_str()),
        };
        count.copied().unwrap_or_default().depth().items
    }
}

/// What waits in the shards that are worked for here, as the last round over their queues found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) interactive: Depth,
    pub(crate) bulk: Depth,
    pub(crate) destinations: usize,
    /// When the oldest item was accepted.
    pub(crate) oldest_at: Option<Timestamp>,
}

impl Tally {
    /// Counts an item.
    pub(crate) fn count(&mut self, class: Class, bytes: u64, enqueued_at: Timestamp) {
        let depth = match class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk => &mut self.bulk,
        };
        depth.items += 1;
        depth.bytes += bytes;
        let oldest_at = self.oldest_at.get_or_insert(enqueued_at);
        *oldest_at = enqueued_at.min(*oldest_at);
    }

    /// How much waits of one class.
    pub(crate) const fn of_class(&self, class: Class) -> Depth {
        match class {
            Class::Interactive => self.interactive,
            Class::Bulk => self.bulk,
        }
    }
}

/// Names that nothing waits for are not kept.
fn add(counts: &mut HashMap<Box<str>, Count>, name: &str, (items, bytes): (i64, i64)) {
    let count = match counts.get_mut(name) {
        Some(count) => count,
        None => counts.entry(name.into()).or_default(),
    };
    count.add(items, bytes);
    if count.is_nothing() {
        counts.remove(name);
    }
}

/// An item, as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) destination: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) class: Class,
    pub(crate) bytes: u64,
}

/// What a look through the whole queue counts.
#[derive(Debug, Default)]
pub(crate) struct Survey(Counts);

impl Survey {
    /// Counts an item that was found.
    pub(crate) fn count(&mut self, item: &QueueItem) {
        self.0.add(Note::of(item).counted(), 1);
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn absorb(&mut self, Self(other): Self) {
        self.0.absorb(other);
    }
}

/// The counts of one node.
#[derive(Debug, Default)]
pub(crate) struct Depths {
    state: Mutex<State>,
    full: Notify,
}

impl Depths {
    /// The counts of what waits in `store`: to be made before anything is taken in.
    ///
    /// # Errors
    /// The store cannot be read. An item that does not read is left out.
    pub(crate) async fn count<S: Store>(store: &S) -> Result<Self, StoreError> {
        let depths = Self::default();
        walk::each_row(store, keys::all_queues(), Order::Forward, |row| {
            if let Found::Item(item) = found(row) {
                depths.enter(Note::of(&item).counted());
            }
            ControlFlow::Continue(())
        })
        .await?;
        Ok(depths)
    }

    /// An item is in the queue.
    pub(crate) fn enter(&self, item: Counted<'_>) {
        self.lock().add(item, 1);
    }

    /// A look through the whole queue begins.
    pub(crate) fn begin_survey(&self) -> Survey {
        self.lock().meanwhile = Some(Counts::default());
        Survey::default()
    }

    /// What a look found takes the place of what was counted before. What was queued here meanwhile is added,
    /// seen or not: the next look corrects that.
    pub(crate) fn end_survey(&self, Survey(found): Survey) {
        let mut state = self.lock();
        let meanwhile = state.meanwhile.take().unwrap_or_default();
        state.counts = found;
        state.counts.absorb(meanwhile);
    }

    /// Has what waits counted again soon: a bound is met, or nearly so.
    pub(crate) fn look_again(&self) {
        self.full.notify_one();
    }

    /// Waits until somebody wants it counted again.
    pub(crate) async fn full(&self) {
        self.full.notified().await;
    }

    /// Counts items that are about to be queued, if the bounds of `policy` allow all of them, where
    /// `tenants` domains are served. Whether they do.
    pub(crate) fn try_enter(&self, notes: &[Note], policy: &QueuePolicy, tenants: usize) -> bool {
        let mut state = self.lock();
        for note in notes {
            state.add(note.counted(), 1);
        }
        let scopes: BTreeSet<QueueScope> = notes
            .iter()
            .flat_map(|note| QueueScope::of(&note.due.tenant, &note.destination))
            .collect();
        let fits = scopes
            .iter()
            .all(|scope| state.counts.of(scope) <= policy.max_of(scope, tenants));
        if !fits {
            for note in notes {
                state.add(note.counted(), -1);
            }
        }
        fits
    }

    /// The items of `notes` are not queued after all.
    pub(crate) fn give_back(&self, notes: &[Note]) {
        let mut counts = self.lock();
        for note in notes {
            counts.add(note.counted(), -1);
        }
    }

    /// How many items wait, by what a bound is set on.
    pub(crate) fn waiting(&self, scopes: &BTreeSet<QueueScope>) -> BTreeMap<QueueScope, u64> {
        let counts = &self.lock().counts;
        scopes
            .iter()
            .map(|scope| (scope.clone(), counts.of(scope)))
            .collect()
    }

    /// An item has left the queue.
    pub(crate) fn leave(&self, item: Counted<'_>) {
        self.lock().add(item, -1);
    }

    /// What waits for `destination`.
    pub(crate) fn of_destination(&self, destination: &str) -> Depth {
        let counts = &self.lock().counts;
        let count = counts.destinations.get(destination);
        count.copied().unwrap_or_default().depth()
    }

    /// What waits that `tenant` sent.
    pub(crate) fn of_tenant(&self, tenant: &str) -> Depth {
        let counts = &self.lock().counts;
        let count = counts.tenants.get(tenant);
        count.copied().unwrap_or_default().depth()
    }

    /// What waits of `class`.
    pub(crate) fn of_class(&self, class: Class) -> Depth {
        let counts = &self.lock().counts;
        match class {
            Class::Interactive => counts.interactive.depth(),
            Class::Bulk => counts.bulk.depth(),
        }
    }

    /// What the last round over the queues of our shards found.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().tally
    }

    pub(crate) fn note_tally(&self, tally: Tally) {
        self.lock().tally = tally;
    }

    /// Destinations with anything in the queue.
    pub(crate) fn destinations(&self) -> usize {
        self.lock().counts.destinations.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const fn item(destination: &'static str, class: Class) -> Counted<'static> {
        Counted {
            destination,
            tenant: "here.example",
            class,
            bytes: 100,
        }
    }

    #[test]
    fn what_enters_is_counted_for_its_destination_its_tenant_and_its_class() {
        let depths = Depths::default();
        depths.enter(item("a.example", Class::Bulk));
        depths.enter(item("b.example", Class::Interactive));
        let one = Depth {
            items: 1,
            bytes: 100,
        };
        assert_eq!(depths.of_destination("a.example"), one);
        assert_eq!(depths.of_class(Class::Interactive), one);
        assert_eq!(depths.of_tenant("here.example").items, 2);
        assert_eq!(depths.of_destination("c.example"), Depth::default());
    }

    #[test]
    fn a_look_through_the_queue_takes_the_place_of_what_was_counted_but_for_what_came_meanwhile() {
        let depths = Depths::default();
        depths.enter(item("gone.example", Class::Bulk));
        depths.enter(item("a.example", Class::Bulk));
        let mut survey = depths.begin_survey();
        depths.enter(item("new.example", Class::Interactive));
        survey.0.add(item("a.example", Class::Bulk), 1);
        survey.0.add(item("others.example", Class::Bulk), 1);
        depths.end_survey(survey);
        let items = |name: &str| depths.of_destination(name).items;
        let names = ["gone.example", "a.example", "new.example", "others.example"];
        assert_eq!(names.map(items), [0, 1, 1, 1]);
        assert_eq!(depths.of_tenant("here.example").items, 3);
        assert_eq!(depths.of_class(Class::Bulk).items, 2);
        depths.leave(item("a.example", Class::Bulk));
        assert_eq!(depths.of_tenant("here.example").items, 2);
    }

    #[actix::test]
    async fn who_meets_a_bound_has_the_queue_counted_again() {
        let depths = Depths::default();
        assert!(depths.full().now_or_never().is_none());
        depths.look_again();
        assert!(depths.full().now_or_never().is_some());
    }

    #[test]
    fn names_that_nothing_waits_for_take_no_memory() {
        let depths = Depths::default();
        depths.enter(item("a.example", Class::Bulk));
        depths.leave(item("a.example", Class::Bulk));
        assert_eq!(depths.destinations(), 0);
        assert_eq!(depths.of_class(Class::Bulk), Depth::default());
    }
}
