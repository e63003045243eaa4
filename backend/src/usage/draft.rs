//! What one commit makes of what domains use: collected while it is planned, written with it, and known once it
//! has landed.

use std::collections::BTreeMap;

use mesh_common::account::usage::day_of;
use mesh_common::account::{DomainUsage, UsageChange};
use mesh_common::cluster::{Fence, PartitionId};

use super::rows::UsageRow;
use crate::partition::reading::ReadError;
use crate::partition::shared::Shared;
use crate::store::{PlanError, Read, Store, StoreError, Tx, TxOptions, keys, walk};

/// What a commit under one fence makes of what domains use in one partition.
#[derive(Debug)]
pub(crate) struct UsageDraft {
    partition: PartitionId,
    fence: Fence,
    planned: BTreeMap<Box<str>, Planned>,
}

/// One row, as it is and as it will be.
#[derive(Debug, Clone, Copy)]
struct Planned {
    committed: UsageRow,
    used: DomainUsage,
    /// Whether the commit changes an account of the domain, be it that the sum stays the same: whoever counts
    /// the accounts meanwhile is to see it.
    is_changed: bool,
    /// Accounts that the domain may have in all, where that was asked for.
    accounts_max: Option<u64>,
}

impl Planned {
    /// Accounts that the domain may have in all, if the commit adds some to it.
    fn turn(&self) -> Option<u64> {
        let adds_some = self.used.accounts > self.committed.used.accounts;
        self.accounts_max.filter(|_| adds_some)
    }

    /// The row that is to be written, if any is.
    fn row(&self) -> Option<UsageRow> {
        self.is_changed.then(|| self.committed.next(self.used))
    }
}

impl UsageDraft {
    /// Nothing changes yet.
    pub(crate) const fn new(partition: PartitionId, fence: Fence) -> Self {
        Self {
            partition,
            fence,
            planned: BTreeMap::new(),
        }
    }

    /// Makes sure that it is known what `domain` uses: reads its row if the owner does not know it.
    ///
    /// # Errors
    /// The row cannot be read.
    pub(crate) async fn look_at<S: Store>(
        &mut self,
        shared: &Shared<S>,
        domain: &str,
    ) -> Result<(), ReadError> {
        if self.planned.contains_key(domain) {
            return Ok(());
        }
        let (partition, fence) = (self.partition, self.fence);
        let committed = match shared.usages.row(partition, fence, domain) {
            Some(known) => known,
            None => {
                let tx = shared.store.begin(TxOptions::default());
                let key = keys::usage(domain, partition);
                let found = tx.get(&key, Read::Snapshot).await?;
                let row = UsageRow::of(found.as_deref())?;
                shared.usages.keep(partition, fence, domain, row);
                row
            }
        };
        let planned = Planned {
            committed,
            used: committed.used,
            is_changed: false,
            accounts_max: None,
        };
        self.planned.insert(domain.into(), planned);
        Ok(())
    }

    /// `domain`, which was looked at, uses so much more, or less.
    pub(crate) fn add<S: Store>(&mut self, shared: &Shared<S>, domain: &str, change: UsageChange) {
        if let Some(planned) = self.planned.get_mut(domain)
            && !change.is_nothing()
        {
            planned.used = planned.used.after(change, day_of(shared.now()));
            planned.is_changed = true;
        }
    }

    /// Whether `domain`, which was looked at, may have so many accounts more, of `max` at most. If so, the commit
    /// depends on it.
    ///
    /// # Errors
    /// The sum cannot be read.
    pub(crate) async fn has_room<S: Store>(
        &mut self,
        shared: &Shared<S>,
        domain: &str,
        (more, max): (u64, u64),
    ) -> Result<bool, StoreError> {
        let Some(planned) = self.planned.get_mut(domain) else {
            return Ok(false);
        };
        let tx = shared.store.begin(TxOptions::default());
        let elsewhere = accounts_elsewhere(&tx, domain, self.partition).await?;
        let total = planned.used.accounts.saturating_add(more);
        let has_room = elsewhere.saturating_add(total) <= max;
        if has_room {
            planned.accounts_max = Some(max);
        }
        Ok(has_room)
    }

    /// Whether the commit takes turns with others: then it may be overtaken.
    pub(crate) fn takes_turns(&self) -> bool {
        self.planned.values().any(|one| one.turn().is_some())
    }

    /// The rows that the commit writes.
    fn rows(&self) -> impl Iterator<Item = (&str, UsageRow)> {
        let planned = self.planned.iter();
        planned.filter_map(|(domain, planned)| Some((&**domain, planned.row()?)))
    }

    /// Puts the rows into the commit.
    ///
    /// # Errors
    /// [`PlanError::Outdated`] if others took the room meanwhile; the store cannot be read.
    pub(crate) async fn fill<T: Tx, R>(&self, tx: &mut T) -> Result<(), PlanError<R>> {
        for (domain, planned) in &self.planned {
            if let Some(max) = planned.turn() {
                // Of those who add accounts at once one lands: each reads what all before it added.
                let turn = keys::accounts_turn(domain);
                tx.get(&turn, Read::Serializable).await?;
                let elsewhere = accounts_elsewhere(tx, domain, self.partition).await?;
                if elsewhere.saturating_add(planned.used.accounts) > max {
                    return Err(PlanError::Outdated);
                }
                tx.set(&turn, self.partition.0.to_be_bytes().to_vec());
            }
        }
        for (domain, row) in self.rows() {
            tx.set(&keys::usage(domain, self.partition), row.encode());
        }
        Ok(())
    }

    /// The commit has ended. What did not surely land is read again by whoever needs it.
    pub(crate) fn settle<S>(&self, shared: &Shared<S>, has_landed: bool) {
        for (domain, row) in self.rows() {
            if has_landed {
                let (partition, fence) = (self.partition, self.fence);
                shared.usages.keep(partition, fence, domain, row);
            } else {
                shared.usages.forget(self.partition, domain);
            }
        }
    }
}

/// The accounts that `domain` has in other partitions than `here`, as `tx` sees them.
async fn accounts_elsewhere<T: Tx>(
    tx: &T,
    domain: &str,
    here: PartitionId,
) -> Result<u64, StoreError> {
    let rows = walk::rows(tx, keys::usage_of_domain(domain), Read::Snapshot).await?;
    let mut sum = 0_u64;
    for row in rows {
        if keys::parse_usage(&row.key).is_some_and(|(_, partition)| partition != here) {
            // One that does not read is told of by whoever verifies, and counts nothing.
            let accounts = UsageRow::decode(&row.value).map_or(0, |row| row.used.accounts);
            sum = sum.saturating_add(accounts);
        }
    }
    Ok(sum)
}
