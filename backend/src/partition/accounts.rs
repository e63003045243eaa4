//! The accounts a partition keeps in memory: loaded when they are asked for, bounded, and gone again
//! when nobody asks (architecture A-20, cluster §4.3).
//!
//! What is kept is what is committed, never what is planned, and all of it is [`Shown`]. An address without an account is kept
//! only while something waits for it, so that asking for unknown accounts displaces nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::time::Timestamp;
use prometheus::IntGauge;

use super::shown::{Showing, Showman, Shown};

/// How many accounts all partitions of this node keep, and may keep.
#[derive(Debug)]
pub(crate) struct NodeAccounts {
    loaded: AtomicUsize,
    loaded_max: usize,
    gauge: IntGauge,
}

impl NodeAccounts {
    pub(crate) const fn new(loaded_max: usize, gauge: IntGauge) -> Self {
        Self {
            loaded: AtomicUsize::new(0),
            loaded_max,
            gauge,
        }
    }

    fn add(&self) {
        self.loaded.fetch_add(1, Ordering::Relaxed);
        self.gauge.inc();
    }

    fn remove(&self) {
        self.loaded.fetch_sub(1, Ordering::Relaxed);
        self.gauge.dec();
    }

    fn is_over(&self) -> bool {
        self.loaded.load(Ordering::Relaxed) > self.loaded_max
    }
}

#[derive(Debug)]
struct Resident {
    showing: Arc<Showing>,
    /// Counts uses by the partition itself: which of two that were used in the same millisecond is
    /// the less recently used one.
    use_number: u64,
}

/// The accounts of one partition that are in memory.
#[derive(Debug)]
pub(crate) struct Accounts {
    resident: HashMap<AccountAddress, Resident>,
    loaded_max: usize,
    uses: u64,
    node: Arc<NodeAccounts>,
    shown: Arc<Shown>,
    /// By which `shown` knows us.
    showman: Showman,
}

impl Accounts {
    /// Nothing yet. What an earlier owner left in `shown` is taken back, and it shows nothing any more.
    pub(crate) fn new(loaded_max: usize, node: Arc<NodeAccounts>, shown: Arc<Shown>) -> Self {
        Self {
            showman: shown.begin(),
            resident: HashMap::new(),
            loaded_max,
            uses: 0,
            node,
            shown,
        }
    }

    /// What is committed under `address`, if it is in memory. Counts as a use.
    pub(crate) fn used(
        &mut self,
        address: &AccountAddress,
        now: Timestamp,
    ) -> Option<Arc<Standing>> {
        let resident = self.resident.get_mut(address)?;
        self.uses += 1;
        resident.use_number = self.uses;
        Some(resident.showing.used(now))
    }

    /// What is committed under `address`, if it is in memory.
    pub(crate) fn peek(&self, address: &AccountAddress) -> Option<&Standing> {
        self.resident
            .get(address)
            .map(|resident| resident.showing.standing().as_ref())
    }

    pub(crate) fn holds(&self, address: &AccountAddress) -> bool {
        self.resident.contains_key(address)
    }

    /// Keeps `standing`; what is then too much leaves, unless `is_busy`.
    pub(crate) fn keep(
        &mut self,
        address: AccountAddress,
        standing: Arc<Standing>,
        now: Timestamp,
        is_busy: impl Fn(&AccountAddress) -> bool,
    ) {
        self.uses += 1;
        let showing = Arc::new(Showing::new(standing, now));
        self.shown
            .show(self.showman, address.clone(), Arc::clone(&showing));
        let resident = Resident {
            showing,
            use_number: self.uses,
        };
        if self.resident.insert(address.clone(), resident).is_none() {
            self.node.add();
        }
        while self.resident.len() > self.loaded_max || self.node.is_over() {
            let least = self
                .resident
                .iter()
                .filter(|(other, _)| **other != address && !is_busy(other))
                .min_by_key(|(_, resident)| (resident.showing.used_at(), resident.use_number))
                .map(|(other, _)| other.clone());
            match least {
                Some(other) => self.forget(&other),
                None => break,
            }
        }
    }

    /// Drops one account from memory.
    pub(crate) fn forget(&mut self, address: &AccountAddress) {
        if self.resident.remove(address).is_some() {
            self.shown.withdraw(self.showman, address);
            self.node.remove();
        }
    }

    /// Drops what nobody asked for since `idle`, and addresses without an account, unless `is_busy`.
    pub(crate) fn retire(
        &mut self,
        now: Timestamp,
        idle: Duration,
        is_busy: impl Fn(&AccountAddress) -> bool,
    ) {
        let (node, shown, showman) = (&self.node, &self.shown, self.showman);
        self.resident.retain(|address, resident| {
            let is_idle = now.since(resident.showing.used_at()) >= idle
                || resident.showing.standing().account().is_none();
            let leaves = is_idle && !is_busy(address);
            if leaves {
                shown.withdraw(showman, address);
                node.remove();
            }
            !leaves
        });
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.shown.clear(self.showman);
        for _ in self.resident.drain() {
            self.node.remove();
        }
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(max: usize) -> Arc<NodeAccounts> {
        Arc::new(NodeAccounts::new(
            max,
            IntGauge::new("loaded", "Loaded.").unwrap(),
        ))
    }

    fn address(number: usize) -> AccountAddress {
        AccountAddress::parse(&format!("a{number}@example.com")).unwrap()
    }

    fn keep(accounts: &mut Accounts, number: usize, busy: &[usize]) {
        let busy: Vec<AccountAddress> = busy.iter().copied().map(address).collect();
        accounts.keep(
            address(number),
            Arc::default(),
            Timestamp::from_secs(0),
            |one| busy.contains(one),
        );
    }

    fn held(accounts: &Accounts) -> Vec<usize> {
        (0..10)
            .filter(|&number| accounts.holds(&address(number)))
            .collect()
    }

    #[test]
    fn the_least_recently_used_idle_account_leaves_at_the_bound() {
        let mut accounts = Accounts::new(3, node(100), Arc::default());
        for number in 0..3 {
            keep(&mut accounts, number, &[]);
        }
        assert_eq!(held(&accounts), [0, 1, 2]);
        accounts.used(&address(0), Timestamp::from_secs(1));
        keep(&mut accounts, 3, &[1]);
        assert_eq!(held(&accounts), [0, 1, 3]);
        keep(&mut accounts, 4, &[0, 1, 3]);
        assert_eq!(held(&accounts), [0, 1, 3, 4]);
    }

    #[test]
    fn the_node_has_a_bound_of_its_own() {
        let node = node(3);
        let mut one = Accounts::new(100, Arc::clone(&node), Arc::default());
        let mut other = Accounts::new(100, Arc::clone(&node), Arc::default());
        keep(&mut one, 0, &[]);
        keep(&mut one, 1, &[]);
        keep(&mut other, 2, &[]);
        keep(&mut other, 3, &[]);
        assert_eq!((held(&one), held(&other)), (vec![0, 1], vec![3]));
        drop(one);
        assert_eq!(node.gauge.get(), 1);
    }

    #[test]
    fn idle_accounts_retire_at_their_second() {
        let mut accounts = Accounts::new(100, node(100), Arc::default());
        keep(&mut accounts, 0, &[]);
        accounts.retire(Timestamp::from_secs(0), Duration::from_secs(10), |_| true);
        assert_eq!(held(&accounts), [0]);
        accounts.retire(Timestamp::from_secs(10), Duration::from_secs(10), |_| false);
        assert_eq!(held(&accounts), [0_usize; 0]);
        assert_eq!(accounts.node.gauge.get(), 0);
    }
    #[test]
    fn what_is_kept_is_shown_and_what_leaves_is_not() {
        let shown = Arc::new(Shown::default());
        let is_shown = |number| {
            shown
                .used(&address(number), Timestamp::from_secs(5))
                .is_some()
        };
        let mut accounts = Accounts::new(2, node(100), Arc::clone(&shown));
        keep(&mut accounts, 0, &[]);
        keep(&mut accounts, 1, &[]);
        assert!(is_shown(0));
        keep(&mut accounts, 2, &[]);
        assert_eq!(held(&accounts), [0, 2], "a reader used 0 last");
        assert!(is_shown(0) && !is_shown(1));
        accounts.forget(&address(0));
        assert!(!is_shown(0) && is_shown(2));
        accounts.retire(Timestamp::from_secs(10), Duration::from_secs(6), |_| false);
        assert!(!is_shown(2));
        keep(&mut accounts, 3, &[]);
        drop(accounts);
        assert!(!is_shown(3), "nobody owns the partition");
    }

    #[test]
    fn a_new_owner_shows_nothing_of_the_one_before() {
        let shown = Arc::new(Shown::default());
        let mut before = Accounts::new(2, node(100), Arc::clone(&shown));
        keep(&mut before, 0, &[]);
        let mut after = Accounts::new(2, node(100), Arc::clone(&shown));
        let is_shown = |number| {
            let now = Timestamp::from_secs(0);
            shown.used(&address(number), now).is_some()
        };
        assert!(!is_shown(0));
        keep(&mut after, 1, &[]);
        // The one before does not know yet, and brings what it read.
        keep(&mut before, 2, &[]);
        before.forget(&address(1));
        drop(before);
        assert!(is_shown(1) && !is_shown(2));
        shown.begin();
        assert!(!is_shown(1), "nobody owns the partition");
    }
}
