//! Accounts as they are committed, where every thread sees them: what a request that only reads
//! begins with (architecture A-2).
//!
//! The owner of a partition shows here what it keeps in memory and takes back what it forgets; nobody
//! else writes. It shows a commit before it answers for it, so whoever has an answer finds its effect
//! here. Who finds nothing here asks the owner, who loads the account. Going to the owner for every
//! read would wake its thread and then the reader's: as much work as the whole Status.
//!
//! One owner at a time shows something. Whoever comes later begins by [`Shown::begin`]; what an earlier
//! one still brings, because it does not know yet that its time is over, is not shown.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Changes, Watch};
use mesh_common::time::Timestamp;

/// What is committed under one address, and when somebody last asked for it.
#[derive(Debug)]
pub(crate) struct Showing {
    standing: Arc<Standing>,
    used_at: AtomicI64,
}

impl Showing {
    pub(crate) fn new(standing: Arc<Standing>, now: Timestamp) -> Self {
        Self {
            standing,
            used_at: AtomicI64::new(now.as_millis()),
        }
    }

    /// What is committed. Counts as a use.
    pub(crate) fn used(&self, now: Timestamp) -> Arc<Standing> {
        self.used_at.fetch_max(now.as_millis(), Ordering::Relaxed);
        Arc::clone(&self.standing)
    }

    pub(crate) const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    pub(crate) fn used_at(&self) -> Timestamp {
        Timestamp::from_millis(self.used_at.load(Ordering::Relaxed))
    }
}

/// Which of the owners of a partition, one after the other, shows its accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Showman(u64);

/// What the present owner shows.
#[derive(Debug, Default)]
struct Stage {
    owner: u64,
    accounts: HashMap<AccountAddress, Arc<Showing>>,
}

/// The accounts that one partition shows.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    stage: RwLock<Stage>,
    changes: Arc<Changes>,
}

impl Shown {
    /// What is committed under `address`, if the owner shows it. Counts as a use.
    pub(crate) fn used(&self, address: &AccountAddress, now: Timestamp) -> Option<Arc<Standing>> {
        let stage = self.stage.read().unwrap_or_else(PoisonError::into_inner);
        stage.accounts.get(address).map(|showing| showing.used(now))
    }

    /// Whether nothing is shown.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let stage = self.stage.read().unwrap_or_else(PoisonError::into_inner);
        stage.accounts.is_empty()
    }

    /// Takes everything back and lets nobody but the caller show from now on. Whoever waits looks again:
    /// what was committed meanwhile is not known.
    pub(crate) fn begin(&self) -> Showman {
        let mut stage = self.stage.write().unwrap_or_else(PoisonError::into_inner);
        stage.owner += 1;
        let (owner, before) = (stage.owner, std::mem::take(&mut stage.accounts));
        drop(stage);
        drop(before);
        self.changes.tell_all();
        Showman(owner)
    }

    /// Begins to watch `address`, shown or not.
    pub(crate) fn watch(&self, address: &AccountAddress) -> Option<Watch> {
        self.changes.watch(address)
    }

    /// For the owner: shows what is committed, instead of what was shown under `address` before, and
    /// wakes whoever waits for it. An account that comes back into memory wakes them as well.
    pub(super) fn show(&self, owner: Showman, address: AccountAddress, showing: Arc<Showing>) {
        self.change(owner, |accounts| accounts.insert(address.clone(), showing));
        self.changes.tell(&address);
    }

    /// For the owner: takes one account back.
    pub(super) fn withdraw(&self, owner: Showman, address: &AccountAddress) {
        self.change(owner, |accounts| accounts.remove(address));
    }

    /// For the owner: takes everything back. Whoever waits looks again: what was committed meanwhile
    /// is not known.
    pub(super) fn clear(&self, owner: Showman) {
        self.change(owner, HashMap::clear);
        self.changes.tell_all();
    }

    fn change<T>(
        &self,
        owner: Showman,
        change: impl FnOnce(&mut HashMap<AccountAddress, Arc<Showing>>) -> T,
    ) {
        let mut stage = self.stage.write().unwrap_or_else(PoisonError::into_inner);
        if stage.owner == owner.0 {
            drop(change(&mut stage.accounts));
        }
    }
}
