//! Holders whose nodes are gone: they are closed, and what was granted to them follows what is charged to
//! them, until that is nothing (cluster §9). Any node does it, as often as it likes: every write is what
//! was counted after the holder could spend no more.

use std::collections::{BTreeMap, BTreeSet};

use mesh_common::cluster::NodeId;
use mesh_common::delivery::QueueScope;
use mesh_common::escrow::{HolderId, Ledger};

use super::rows::{self, Holder};
use super::{Charges, Escrow, TRIES_MAX, plans};
use crate::partition::shared::{Shared, chain};
use crate::store::{Read, Store, StoreError, Tx, keys};

impl Escrow {
    /// Closes holders whose nodes are not among `alive`, nor were at the last look. Says who is closed by now:
    /// what is charged to them only shrinks from here on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn close_the_silent<S: Store>(
        &self,
        shared: &Shared<S>,
        alive: &BTreeSet<NodeId>,
    ) -> Result<BTreeSet<HolderId>, StoreError> {
        let mut holders = plans::holders(&shared.store).await?;
        let is_silent = |holder: &Holder| !holder.is_closed && !alive.contains(&holder.node);
        let silent = holders.iter().filter(|(_, holder)| is_silent(holder));
        // Who has not heard of itself has not heard of others either.
        let silent: BTreeSet<HolderId> = match alive.contains(&shared.claimant.node) {
            true => silent.map(|(id, _)| *id).collect(),
            false => BTreeSet::new(),
        };
        let before = std::mem::replace(&mut self.lock().silent, silent.clone());
        for id in silent.intersection(&before) {
            if close(shared, *id).await?
                && let Some(holder) = holders.get_mut(id)
            {
                tracing::warn!(node = %holder.node, "the grants of a node that is gone are counted");
                holder.is_closed = true;
            }
        }
        let closed = holders.into_iter().filter(|(_, holder)| holder.is_closed);
        Ok(closed.map(|(id, _)| id).collect())
    }

    /// Closes our own holder: this node spends no more. Whether it is closed now, if anything was ever granted to it;
    /// if not, others close it once this node is gone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn close_own<S: Store>(&self, shared: &Shared<S>) -> Result<bool, StoreError> {
        let (holder, is_known) = {
            let state = self.lock();
            (state.purse.holder(), state.is_known)
        };
        for _ in 0..TRIES_MAX {
            if is_known && close(shared, holder).await? {
                self.begin_anew(shared, holder);
                self.measure(shared);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves the holders in `closed` what is charged to them, by `charges`, which were counted after they were
    /// closed. What is charged to nobody who is known counts as well.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn follow<S: Store>(
        &self,
        shared: &Shared<S>,
        closed: &BTreeSet<HolderId>,
        charges: &Charges,
    ) -> Result<(), StoreError> {
        let known = plans::holders(&shared.store).await?;
        let strangers = charges.iter().filter(|(id, _)| !known.contains_key(id));
        let mut unowned: BTreeMap<&QueueScope, u64> = BTreeMap::new();
        for (scope, count) in strangers.flat_map(|(_, wants)| wants) {
            *unowned.entry(scope).or_default() += count;
        }
        let ledgers = plans::ledgers(&shared.store).await?;
        let mut stranded = 0_u64;
        let scopes: BTreeSet<&QueueScope> = ledgers.keys().chain(unowned.keys().copied()).collect();
        for scope in scopes {
            let charged = |id: &HolderId| charges.get(id).and_then(|wants| wants.get(scope));
            let mut targets: BTreeMap<HolderId, u64> = closed
                .iter()
                .map(|id| (*id, charged(id).copied().unwrap_or(0)))
                .collect();
            let nobody = unowned.get(scope).copied().unwrap_or(0);
            targets.insert(HolderId::NOBODY, nobody);
            let ledger = ledgers.get(scope).cloned().unwrap_or_default();
            let more = |(id, target): (&HolderId, &u64)| ledger.of(*id).saturating_sub(*target);
            stranded += targets.iter().map(more).sum::<u64>();
            if followed(&ledger, &targets) != ledger {
                settle(shared, scope, &targets).await?;
            }
        }
        let gauge = &shared.metrics.escrow.stranded;
        gauge.set(i64::try_from(stranded).unwrap_or(i64::MAX));
        forget(shared, closed, &ledgers, charges).await
    }
}

/// `ledger` as it is once `targets` are followed: the closed keep no more than that, nobody has exactly that.
fn followed(ledger: &Ledger, targets: &BTreeMap<HolderId, u64>) -> Ledger {
    let mut ledger = ledger.clone();
    for (id, target) in targets {
        if *id == HolderId::NOBODY {
            ledger.set(*id, *target);
        } else {
            ledger.keep(*id, *target);
        }
    }
    ledger
}

/// Closes a holder. Whether it is closed now.
async fn close<S: Store>(shared: &Shared<S>, id: HolderId) -> Result<bool, StoreError> {
    let mut tx = shared.store.begin(shared.writing());
    let key = keys::holder(id);
    let row = tx.get(&key, Read::Serializable).await?;
    let Some(holder) = row.and_then(|row| Holder::decode(&row).ok()) else {
        return Ok(false);
    };
    let closed = Holder {
        is_closed: true,
        ..holder
    };
    tx.set(&key, closed.encode());
    Ok(committed(tx).await)
}

/// Has one ledger follow `targets`. What does not land is tried again, and by the next count.
async fn settle<S: Store>(
    shared: &Shared<S>,
    scope: &QueueScope,
    targets: &BTreeMap<HolderId, u64>,
) -> Result<(), StoreError> {
    for _ in 0..TRIES_MAX {
        let mut tx = shared.store.begin(shared.writing());
        let row = tx.get(&keys::ledger(scope), Read::Serializable).await?;
        let before = match row.map(|row| rows::ledger(&row)) {
            None => Ledger::default(),
            Some(Ok((_, ledger))) => ledger,
            Some(Err(_)) => return Ok(()),
        };
        let after = followed(&before, targets);
        if after == before {
            return Ok(());
        }
        plans::write_ledger(&mut tx, scope, &after);
        if committed(tx).await {
            return Ok(());
        }
    }
    Ok(())
}

/// Removes the rows of closed holders to whom nothing is granted and nothing charged.
async fn forget<S: Store>(
    shared: &Shared<S>,
    closed: &BTreeSet<HolderId>,
    ledgers: &BTreeMap<QueueScope, Ledger>,
    charges: &Charges,
) -> Result<(), StoreError> {
    let granted = ledgers.values().flat_map(Ledger::grants);
    let granted: BTreeSet<HolderId> = granted.map(|(id, _)| id).collect();
    let is_over = |id: &&HolderId| !granted.contains(id) && !charges.contains_key(id);
    for id in closed.iter().filter(is_over) {
        let mut tx = shared.store.begin(shared.writing());
        tx.clear(&keys::holder(*id));
        committed(tx).await;
    }
    Ok(())
}

async fn committed<T: Tx>(tx: T) -> bool {
    let committed = tx.commit().await;
    if let Err(error) = &committed {
        tracing::debug!(
            cause = chain(error),
            "what is left of grants is settled later"
        );
    }
    committed.is_ok()
}
