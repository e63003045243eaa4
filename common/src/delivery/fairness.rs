//! In which order the items of one destination go: classes by weight, within a class tenants in
//! turn, within a tenant by the time they are due (delivery §13).
//!
//! Retries wait beside first attempts, since a destination's retries have a budget of their own
//! ([`super::retry::RetryBudget`]); where there is budget they go before first attempts, being older.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::item::{Class, ItemId, QueueItem};
use crate::limits::{INTERACTIVE_WEIGHT, ITEMS_LOADED_MAX, RETRIES_LOADED_MAX};
use crate::time::Timestamp;

/// An item that is due, as far as the pool needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: ItemId,
    /// Whose: the domain of its sender.
    pub tenant: Arc<str>,
    /// How urgent it is.
    pub class: Class,
    /// Octets of the message.
    pub bytes: u64,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// Whether it was tried before, with an attempt that counted.
    pub is_retry: bool,
}

impl Due {
    /// What the pool needs to know of `item`.
    #[must_use]
    pub fn of(item: &QueueItem) -> Self {
        Self {
            id: item.id,
            tenant: item.tenant().into(),
            class: item.class,
            bytes: item.bytes,
            due_at: item.due_at,
            is_retry: item.attempts > 0,
        }
    }
}

/// What waits for one destination in memory: at most [`ITEMS_LOADED_MAX`] items, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    interactive: ClassQueue,
    bulk: ClassQueue,
    /// Interactive items since the last bulk one, while both waited.
    interactive_in_row: u32,
    ids: BTreeSet<ItemId>,
    retries: usize,
}

#[derive(Debug, Clone, Default)]
struct ClassQueue {
    first: Turns,
    retries: Turns,
}

/// Tenants in turn.
#[derive(Debug, Clone, Default)]
struct Turns {
    order: VecDeque<Arc<str>>,
    items: BTreeMap<Arc<str>, BTreeMap<(Timestamp, ItemId), Due>>,
}

/// What became of an item that was to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Added {
    /// It waits.
    Waits,
    /// It waited already.
    Known,
    /// There is no room: it, or the one that made room for it, stays in the store, due at that time.
    LeftInStore(Timestamp),
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn holds(&self, id: ItemId) -> bool {
        self.ids.contains(&id)
    }

    /// Whether anything urgent waits.
    pub(super) fn is_urgent(&self) -> bool {
        !self.interactive.is_empty()
    }

    /// How many wait that were not tried before.
    pub(super) fn first_attempts(&self) -> usize {
        self.len() - self.retries
    }

    /// Whether so many retries wait that there is no room for more.
    pub(super) fn is_full_of_retries(&self) -> bool {
        self.retries >= RETRIES_LOADED_MAX
    }

    /// Whether a tenant has clearly less in memory than the one that has most: then what it queues need not
    /// stand behind what that one has in the store.
    pub(super) fn is_short_of(&self, tenant: &str) -> bool {
        self.bulk.first.items_of(tenant) + 1 < self.bulk.first.most_items()
    }

    /// Adds an item. Where there is no room, it takes that of the last bulk one if it is interactive, or if its
    /// tenant has clearly less in memory than the tenant who has most.
    pub(super) fn add(&mut self, due: Due) -> Added {
        if self.holds(due.id) {
            return Added::Known;
        }
        if due.is_retry && self.is_full_of_retries() {
            return Added::LeftInStore(due.due_at);
        }
        let mut left = None;
        if self.len() >= ITEMS_LOADED_MAX {
            let may_displace = due.class == Class::Interactive || self.is_short_of(&due.tenant);
            let Some(displaced) = may_displace.then(|| self.bulk.take_last()).flatten() else {
                return Added::LeftInStore(due.due_at);
            };
            self.forget(&displaced);
            left = Some(displaced.due_at);
        }
        self.ids.insert(due.id);
        self.retries += usize::from(due.is_retry);
        self.class_mut(due.class).add(due);
        left.map_or(Added::Waits, Added::LeftInStore)
    }

    /// Takes the item whose turn it is. Without `retries_may_go` only first attempts are taken.
    pub(super) fn take(&mut self, retries_may_go: bool) -> Option<Due> {
        let urgent_waits = self.interactive.has_any(retries_may_go);
        let bulk_waits = self.bulk.has_any(retries_may_go);
        let class = match (urgent_waits, bulk_waits) {
            (false, false) => return None,
            (true, false) => Class::Interactive,
            (false, true) => Class::Bulk,
            (true, true) if self.interactive_in_row < INTERACTIVE_WEIGHT => {
                self.interactive_in_row += 1;
                Class::Interactive
            }
            (true, true) => {
                self.interactive_in_row = 0;
                Class::Bulk
            }
        };
        let due = self.class_mut(class).take(retries_may_go)?;
        self.forget(&due);
        Some(due)
    }

    /// Drops all but `kept` items from memory, and says since when the first of the others is due.
    pub(super) fn shrink_to(&mut self, kept: usize) -> Option<Timestamp> {
        let mut earliest: Option<Timestamp> = None;
        while self.len() > kept {
            let last = self
                .bulk
                .take_last()
                .or_else(|| self.interactive.take_last())?;
            self.forget(&last);
            earliest = Some(earliest.map_or(last.due_at, |due_at| due_at.min(last.due_at)));
        }
        earliest
    }

    /// Drops one item, if it waits.
    pub(super) fn remove(&mut self, id: ItemId) -> bool {
        let Some(due) = self.interactive.remove(id).or_else(|| self.bulk.remove(id)) else {
            return false;
        };
        self.forget(&due);
        true
    }

    fn forget(&mut self, due: &Due) {
        self.ids.remove(&due.id);
        self.retries -= usize::from(due.is_retry);
    }

    fn class_mut(&mut self, class: Class) -> &mut ClassQueue {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk => &mut self.bulk,
        }
    }
}

impl ClassQueue {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.retries.is_empty()
    }

    fn has_any(&self, retries_may_go: bool) -> bool {
        !self.first.is_empty() || (retries_may_go && !self.retries.is_empty())
    }

    fn add(&mut self, due: Due) {
        if due.is_retry {
            self.retries.add(due);
        } else {
            self.first.add(due);
        }
    }

    fn take(&mut self, retries_may_go: bool) -> Option<Due> {
        let retry = if retries_may_go {
            self.retries.take()
        } else {
            None
        };
        retry.or_else(|| self.first.take())
    }

    fn take_last(&mut self) -> Option<Due> {
        self.first.take_last().or_else(|| self.retries.take_last())
    }

    fn remove(&mut self, id: ItemId) -> Option<Due> {
        self.first.remove(id).or_else(|| self.retries.remove(id))
    }
}

impl Turns {
    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn items_of(&self, tenant: &str) -> usize {
        self.items.get(tenant).map_or(0, BTreeMap::len)
    }

    fn most_items(&self) -> usize {
        self.items.values().map(BTreeMap::len).max().unwrap_or(0)
    }

    fn add(&mut self, due: Due) {
        let tenant = Arc::clone(&due.tenant);
        let items = self.items.entry(Arc::clone(&tenant)).or_default();
        if items.is_empty() {
            self.order.push_back(tenant);
        }
        items.insert((due.due_at, due.id), due);
    }

    fn take(&mut self) -> Option<Due> {
        let tenant = self.order.pop_front()?;
        let items = self.items.get_mut(&tenant)?;
        let (_, due) = items.pop_first()?;
        if items.is_empty() {
            self.items.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        Some(due)
    }

    /// Takes the item due last, of the tenant with the most of them.
    fn take_last(&mut self) -> Option<Due> {
        let (tenant, _) = self.items.iter().max_by_key(|(_, items)| items.len())?;
        let tenant = Arc::clone(tenant);
        let (_, due) = self.items.get_mut(&tenant)?.pop_last()?;
        self.forget_if_empty(&tenant);
        Some(due)
    }

    fn remove(&mut self, id: ItemId) -> Option<Due> {
        let (tenant, key) = self.items.iter().find_map(|(tenant, items)| {
            let key = items.keys().find(|(_, other)| *other == id)?;
            Some((Arc::clone(tenant), *key))
        })?;
        let due = self.items.get_mut(&tenant)?.remove(&key);
        self.forget_if_empty(&tenant);
        due
    }

    fn forget_if_empty(&mut self, tenant: &Arc<str>) {
        if self.items.get(tenant).is_some_and(BTreeMap::is_empty) {
            self.items.remove(tenant);
            self.order.retain(|other| other != tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn due(number: u16, tenant: &str, class: Class) -> Due {
        let mut id = [0; 16];
        id[14..].copy_from_slice(&number.to_be_bytes());
        Due {
            id: ItemId(id),
            tenant: tenant.into(),
            class,
            bytes: 1,
            due_at: Timestamp::from_millis(NOW.as_millis() + i64::from(number)),
            is_retry: false,
        }
    }

    fn retry(number: u16) -> Due {
        Due {
            is_retry: true,
            ..due(number, "a.example", Class::Bulk)
        }
    }

    fn taken(waiting: &mut Waiting) -> Vec<u16> {
        std::iter::from_fn(|| waiting.take(true))
            .map(|due| u16::from_be_bytes([due.id.0[14], due.id.0[15]]))
            .collect()
    }

    #[test]
    fn items_of_a_tenant_go_as_they_are_due_and_tenants_in_turn() {
        let mut waiting = Waiting::default();
        for (number, tenant) in [(3, "a"), (1, "a"), (2, "a"), (9, "b"), (8, "b")] {
            waiting.add(due(number, tenant, Class::Bulk));
        }
        assert_eq!(taken(&mut waiting), [1, 8, 2, 9, 3]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn an_item_waits_once() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.add(due(1, "a", Class::Bulk)), Added::Waits);
        assert_eq!(waiting.add(due(1, "a", Class::Bulk)), Added::Known);
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn an_interactive_item_takes_the_place_of_the_last_bulk_one() {
        let mut waiting = Waiting::default();
        for number in 0..256 {
            waiting.add(due(number, "campaign", Class::Bulk));
        }
        let late = due(300, "campaign", Class::Bulk);
        assert_eq!(waiting.add(late.clone()), Added::LeftInStore(late.due_at));
        let displaced = due(255, "campaign", Class::Bulk);
        assert_eq!(
            waiting.add(due(301, "a", Class::Interactive)),
            Added::LeftInStore(displaced.due_at)
        );
        assert!(!waiting.holds(displaced.id));
        assert_eq!(waiting.len(), ITEMS_LOADED_MAX);
        assert_eq!(taken(&mut waiting)[0], 301);
    }

    #[test]
    fn a_small_tenant_takes_the_place_of_the_last_item_of_a_large_one() {
        let mut waiting = Waiting::default();
        for number in 0..256 {
            waiting.add(due(number, "campaign", Class::Bulk));
        }
        for number in 300..310 {
            assert!(waiting.is_short_of("small"));
            let added = waiting.add(due(number, "small", Class::Bulk));
            assert!(matches!(added, Added::LeftInStore(_)));
            assert!(waiting.holds(due(number, "small", Class::Bulk).id));
        }
        assert_eq!(waiting.len(), ITEMS_LOADED_MAX);
        assert_eq!(taken(&mut waiting)[..4], [0, 300, 1, 301]);
    }

    #[test]
    fn retries_never_fill_the_memory() {
        let mut waiting = Waiting::default();
        for number in 0..200 {
            waiting.add(retry(number));
        }
        assert_eq!(waiting.len(), RETRIES_LOADED_MAX);
        assert!(waiting.is_full_of_retries());
        assert_eq!(waiting.first_attempts(), 0);
        assert_eq!(waiting.take(false), None);
        assert!(waiting.take(true).is_some());
        assert!(!waiting.is_full_of_retries());
    }

    #[test]
    fn retries_go_first_where_there_is_budget_for_them() {
        let mut waiting = Waiting::default();
        waiting.add(due(1, "a.example", Class::Bulk));
        waiting.add(retry(2));
        assert_eq!(
            waiting.clone().take(false).unwrap().id,
            due(1, "a", Class::Bulk).id
        );
        assert_eq!(taken(&mut waiting), [2, 1]);
    }

    #[test]
    fn what_leaves_memory_is_told_with_its_time() {
        let mut waiting = Waiting::default();
        for number in 0..10 {
            waiting.add(due(number, "a", Class::Bulk));
        }
        waiting.add(retry(20));
        assert_eq!(waiting.shrink_to(8), Some(due(7, "a", Class::Bulk).due_at));
        assert!(waiting.remove(due(0, "a", Class::Bulk).id));
        assert!(!waiting.remove(due(9, "a", Class::Bulk).id));
        assert_eq!(waiting.len(), 7);
        assert_eq!(taken(&mut waiting), [20, 1, 2, 3, 4, 5, 6]);
    }
}
