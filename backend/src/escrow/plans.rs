//! The commits about limits that nodes share: what is taken, what is given back (cluster §9). Each reads
//! the row of its holder, so that who was closed changes nothing any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use mesh_common::account::QueuePolicy;
use mesh_common::delivery::QueueScope;
use mesh_common::escrow::{Chunks, HolderId, Ledger};
use mesh_common::limits::ESCROW_ITEMS;

use super::rows::{self, Holder};
use super::{Unspent, Wants};
use crate::partition::shared::{Shared, chain};
use crate::store::{
    Order, Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions, commit_with_probe,
    keys, walk,
};

const CHUNKS: Chunks = Chunks {
    min: ESCROW_ITEMS.0,
    max: ESCROW_ITEMS.1,
};
/// One part in this many of a limit that is left is little: what is charged is counted again.
const LITTLE: u64 = 4;

/// Why a plan about grants is not carried out.
#[derive(Debug, Clone)]
enum No {
    /// The holder was closed by others.
    Closed,
    /// There is not enough left of these limits.
    Full(BTreeSet<QueueScope>),
    /// A row does not read.
    Row(&'static str),
}

/// Nothing was granted, as far as is known.
#[derive(Debug)]
pub(super) struct NotCovered {
    pub(super) unspent: Unspent,
    /// What is granted all the same, perhaps.
    pub(super) perhaps: Wants,
}

/// Whether a holder may spend, as `tx` depends on it.
pub(crate) async fn may_spend<T: Tx>(tx: &T, holder: HolderId) -> Result<bool, StoreError> {
    let row = tx.get(&keys::holder(holder), Read::Serializable).await?;
    let found = row.and_then(|row| Holder::decode(&row).ok());
    Ok(found.is_some_and(|found| !found.is_closed))
}

async fn read_ledger<T: Tx>(tx: &T, scope: &QueueScope) -> Result<Ledger, PlanError<No>> {
    let row = tx.get(&keys::ledger(scope), Read::Serializable).await?;
    let Some(row) = row else {
        return Ok(Ledger::default());
    };
    let (_, ledger) = rows::ledger(&row)
        .map_err(|_| PlanError::Refused(No::Row("the ledger of a limit does not read")))?;
    Ok(ledger)
}

pub(super) fn write_ledger<T: Tx>(tx: &mut T, scope: &QueueScope, ledger: &Ledger) {
    let key = keys::ledger(scope);
    if ledger.is_empty() {
        tx.clear(&key);
    } else {
        tx.set(&key, rows::encode_ledger(scope, ledger));
    }
}

/// Changes the grants of one holder in the ledgers of several limits.
struct GrantPlan<'a, S, F> {
    shared: &'a Shared<S>,
    fence_key: Vec<u8>,
    holder: HolderId,
    /// Whether the row of the holder is known to be there.
    is_known: bool,
    wants: &'a Wants,
    /// What becomes of one ledger, given what is asked for.
    change: F,
    /// What the ledgers say once the plan has landed, as it was filled in last.
    filled: Mutex<Wants>,
    /// Whether little is left of one of them.
    is_little_left: Mutex<bool>,
}

impl<S, F> GrantPlan<'_, S, F> {
    fn filled(&self) -> Wants {
        let filled = self.filled.lock();
        filled.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S, F> Plan<S> for GrantPlan<'_, S, F>
where
    S: Store,
    F: Fn(&mut Ledger, &QueueScope, u64) -> Result<bool, ()> + Sync,
{
    type Refusal = No;

    fn fence_key(&self) -> &[u8] {
        &self.fence_key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<No>> {
        let key = keys::holder(self.holder);
        let row = tx.get(&key, Read::Serializable).await?;
        match row.as_deref().map(Holder::decode) {
            Some(Ok(found)) if !found.is_closed => {}
            None if !self.is_known => {
                let holder = Holder {
                    node: self.shared.claimant.node,
                    is_closed: false,
                };
                tx.set(&key, holder.encode());
            }
            _ => return Err(PlanError::Refused(No::Closed)),
        }
        let (mut filled, mut full, mut little) = (Wants::new(), BTreeSet::new(), false);
        for (scope, wanted) in self.wants {
            let mut ledger = read_ledger(tx, scope).await?;
            match (self.change)(&mut ledger, scope, *wanted) {
                Ok(is_little_left) => little |= is_little_left,
                Err(()) => {
                    full.insert(scope.clone());
                    continue;
                }
            }
            filled.insert(scope.clone(), ledger.of(self.holder));
            write_ledger(tx, scope, &ledger);
        }
        if !full.is_empty() {
            return Err(PlanError::Refused(No::Full(full)));
        }
        *self.filled.lock().unwrap_or_else(PoisonError::into_inner) = filled;
        let mut is_little_left = self
            .is_little_left
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *is_little_left = little;
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        // Nobody else changes what is granted to us while we live: one ledger tells.
        let Some((scope, grant)) = self.filled().into_iter().next() else {
            return Ok(true);
        };
        let row = tx.get(&keys::ledger(&scope), Read::Snapshot).await?;
        let found = row.map(|row| rows::ledger(&row).map(|(_, ledger)| ledger.of(self.holder)));
        Ok(found.transpose().ok().flatten().unwrap_or(0) == grant)
    }
}

/// Has `totals` granted to `holder`, in all. Says what is granted to it now.
pub(super) async fn cover<S: Store>(
    shared: &Shared<S>,
    (holder, is_known): (HolderId, bool),
    totals: Wants,
    (policy, tenants): (&QueuePolicy, usize),
) -> Result<Wants, NotCovered> {
    let change = |ledger: &mut Ledger, scope: &QueueScope, total: u64| {
        let cap = policy.max_of(scope, tenants);
        ledger.cover(holder, total, cap, CHUNKS).map_err(|_| ())?;
        Ok(cap.saturating_sub(ledger.granted()) < cap / LITTLE)
    };
    let first = totals.keys().next().map(keys::ledger).unwrap_or_default();
    let plan = GrantPlan {
        shared,
        fence_key: first,
        holder,
        is_known,
        wants: &totals,
        change,
        filled: Mutex::default(),
        is_little_left: Mutex::new(false),
    };
    let result = commit_with_probe(&shared.store, shared.writing(), &plan).await;
    let filled = plan.filled();
    let little = plan.is_little_left.into_inner();
    match result {
        Ok(_) => {
            shared.metrics.escrow.grants.inc();
            if little.unwrap_or_else(PoisonError::into_inner) {
                shared.depths.look_again();
            }
            Ok(filled)
        }
        Err(error) => {
            let is_unknown = matches!(error, ProbeError::Unresolved(_));
            let unspent = unspent(error);
            if let Unspent::Full(scopes) = &unspent {
                let kinds = scopes.iter().map(kind_of);
                let refusals = &shared.metrics.escrow.refusals;
                kinds.for_each(|kind| refusals.with_label_values(&[kind]).inc());
                want(shared, scopes).await;
            }
            Err(NotCovered {
                unspent,
                perhaps: if is_unknown { filled } else { Wants::new() },
            })
        }
    }
}

/// Tells the ledgers that `holder` keeps so much of each limit.
pub(super) async fn give_back<S: Store>(
    shared: &Shared<S>,
    holder: HolderId,
    kept: &Wants,
) -> Result<(), Unspent> {
    let change = |ledger: &mut Ledger, _: &QueueScope, kept: u64| {
        ledger.keep(holder, kept);
        Ok(false)
    };
    let first = kept.keys().next().map(keys::ledger).unwrap_or_default();
    let plan = GrantPlan {
        shared,
        fence_key: first,
        holder,
        is_known: true,
        wants: kept,
        change,
        filled: Mutex::default(),
        is_little_left: Mutex::new(false),
    };
    let result = commit_with_probe(&shared.store, shared.writing(), &plan).await;
    result.map(|_| ()).map_err(unspent)
}

fn unspent(error: ProbeError<No>) -> Unspent {
    match error {
        ProbeError::Refused(No::Closed) => Unspent::Again,
        ProbeError::Refused(No::Full(scopes)) => Unspent::Full(scopes),
        ProbeError::Refused(No::Row(reason)) => Unspent::Store(reason.to_owned()),
        ProbeError::NotCommitted(error) | ProbeError::Unresolved(error) => {
            Unspent::Store(chain(&error))
        }
        ProbeError::Store(error) => Unspent::Store(chain(&error)),
    }
}

const fn kind_of(scope: &QueueScope) -> &'static str {
    match scope {
        QueueScope::Destination(_) => "destination",
        QueueScope::Tenant(_) => "tenant",
        QueueScope::Share { .. } => "share",
    }
}

// ---- Limits that were met ----

/// Says that these limits were met. Best effort: who meets them again says it again.
async fn want<S: Store>(shared: &Shared<S>, scopes: &BTreeSet<QueueScope>) {
    let mut tx = shared.store.begin(shared.writing());
    for scope in scopes {
        tx.set_stamped_value(&keys::wanted(scope), &rows::encode_wanted(scope), b"");
    }
    if let Err(error) = tx.commit().await {
        tracing::debug!(cause = chain(&error), "others are not told of a limit");
    }
}

/// The limits that somebody met, with what says so.
pub(super) async fn wanted<S: Store>(store: &S) -> Result<HashMap<QueueScope, Bytes>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let mut found = HashMap::new();
    for row in walk::rows(&tx, keys::all_wanted(), Read::Snapshot).await? {
        if let Ok(scope) = rows::wanted(&row.value) {
            found.insert(scope, row.value);
        }
    }
    Ok(found)
}

/// Removes what says that these limits were met, where nobody has said it again.
pub(super) async fn forget_wanted<S: Store>(
    shared: &Shared<S>,
    old: &[(QueueScope, Bytes)],
) -> Result<(), StoreError> {
    if old.is_empty() {
        return Ok(());
    }
    let mut tx = shared.store.begin(shared.writing());
    for (scope, value) in old {
        let key = keys::wanted(scope);
        if tx.get(&key, Read::Serializable).await?.as_ref() == Some(value) {
            tx.clear(&key);
        }
    }
    if let Err(error) = tx.commit().await {
        tracing::debug!(cause = chain(&error), "limits are forgotten later");
    }
    Ok(())
}

/// All ledgers, as of one look.
pub(super) async fn ledgers<S: Store>(
    store: &S,
) -> Result<BTreeMap<QueueScope, Ledger>, StoreError> {
    let mut found = BTreeMap::new();
    walk::each_row(store, keys::ledgers(), Order::Forward, |row| {
        match rows::ledger(&row.value) {
            Ok((scope, ledger)) => drop(found.insert(scope, ledger)),
            Err(error) => tracing::error!(cause = chain(&error), "a ledger does not read"),
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(found)
}

/// All holders.
pub(super) async fn holders<S: Store>(store: &S) -> Result<BTreeMap<HolderId, Holder>, StoreError> {
    let mut found = BTreeMap::new();
    walk::each_row(store, keys::holders(), Order::Forward, |row| {
        found.extend(keys::parse_holder(&row.key).zip(Holder::decode(&row.value).ok()));
        ControlFlow::Continue(())
    })
    .await?;
    Ok(found)
}
