//! What one commit makes of what domains use: collected while it is planned, written with it, and known once it
//! has landed.

use std::collections::BTreeMap;

use mesh_common::account::usage::day_of;
use mesh_common::account::{DomainUsage, UsageChange};
use mesh_common::cluster::{Fence, PartitionId};

use super::rows::UsageRow;
use crate::partition::reading::ReadError;
use crate::partition::shared::Shared;
use crate::store::{Read, Store, Tx, TxOptions, keys};

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
}

impl Planned {
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

    /// The rows that the commit writes.
    fn rows(&self) -> impl Iterator<Item = (&str, UsageRow)> {
        let planned = self.planned.iter();
        planned.filter_map(|(domain, planned)| Some((&**domain, planned.row()?)))
    }

    /// Puts the rows into the commit.
    pub(crate) fn fill<T: Tx>(&self, tx: &mut T) {
        for (domain, row) in self.rows() {
            tx.set(&keys::usage(domain, self.partition), row.encode());
        }
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
