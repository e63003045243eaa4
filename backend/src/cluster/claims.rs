//! What the Keeper asks to be read and committed (cluster §4.3, §6): each a transaction of its own, with
//! the serializable reads that make it safe.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::cluster::keeper::{Claim, ClaimOutcome, ReleaseOutcome, Tables};
use mesh_common::cluster::{NodeId, NodeRecord, Ownership, Readiness, Unit, level};

use super::level::{all_nodes, level_of};
use super::rows;
use crate::node::Meta;
use crate::partition::reading::ReadError;
use crate::partition::{Contended, Fenced, decode_ownership, encode_ownership};
use crate::store::{
    Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions, commit_with_probe, keys,
    walk,
};

/// What a look at the tables showed.
pub(crate) struct Look {
    pub(crate) tables: Tables,
    /// What the key held that every change of an owner writes.
    pub(crate) route: Option<Bytes>,
    /// The level of the store, and who holds it there; as if everybody read it where nothing says one.
    pub(crate) readiness: Readiness,
    /// Which levels each node reads: what that follows from.
    levels: Vec<(NodeId, Option<(u16, u16)>)>,
    /// The nodes that were ordered to leave, and where the order was given.
    pub(crate) ordered_out: BTreeMap<NodeId, NodeId>,
}

/// Reads tables 01 and 02 at one version. Where the key of changes holds what `known` says, no owner has
/// changed, and table 02 is not read.
///
/// # Errors
/// The store cannot be read, or an ownership record does not read.
pub(crate) async fn look<S: Store>(
    store: &S,
    begun: Duration,
    known: Option<&Bytes>,
) -> Result<Look, ReadError> {
    let mut look = look_at_tables(store, begun, known).await?;
    let tx = store.begin(TxOptions::default());
    let row = tx.get(&keys::meta(), Read::Snapshot).await?;
    let meta = row.map(|row| Meta::decode(&row)).transpose()?;
    let levels = std::mem::take(&mut look.levels);
    look.readiness = Readiness::of(meta.map_or(1, |meta| meta.level), levels);
    Ok(look)
}

/// The same over a store that has no `meta`, and so no level.
///
/// # Errors
/// As [`look`].
pub(crate) async fn look_at_tables<S: Store>(
    store: &S,
    begun: Duration,
    known: Option<&Bytes>,
) -> Result<Look, ReadError> {
    let tx = store.begin(TxOptions::default());
    let mut tables = Tables {
        begun,
        ..Tables::default()
    };
    let (mut levels, mut ordered_out) = (Vec::new(), BTreeMap::new());
    for row in all_nodes(&tx, Read::Snapshot).await? {
        if let Some(node) = keys::node_of_drain_order(&row.key) {
            match rows::decode_order(&row.value) {
                Ok(by) => drop(ordered_out.insert(node, by)),
                Err(error) => tracing::warn!(%node, %error, "an order to a node does not read"),
            }
        }
        let Some(id) = keys::node_of_key(&row.key) else {
            continue;
        };
        let record = rows::decode(id, &row.value);
        levels.push((id, record.as_ref().ok().map(|record| record.levels)));
        match record {
            Ok(record) => tables.nodes.push(record),
            // Of another release, or damaged: nothing may be taken from it, and nothing given to it.
            Err(error) => tracing::warn!(node = %id, %error, "the record of a node does not read"),
        }
    }
    let route = tx.get(&keys::route(), Read::Snapshot).await?;
    if known.is_none() || route.as_ref() != known {
        let mut owners = Vec::new();
        for row in walk::rows(&tx, keys::parts(), Read::Snapshot).await? {
            if let Some(unit) = keys::unit_of_part(&row.key) {
                owners.push((unit, decode_ownership(&row.value)?));
            }
        }
        tables.owners = Some(owners);
    }
    Ok(Look {
        tables,
        route,
        readiness: Readiness::default(),
        levels,
        ordered_out,
    })
}

/// What came of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// It is known to be committed.
    Committed,
    /// It is not.
    Failed,
    /// The store is at a level whose rows the node does not read: nothing was written.
    Outdated(u16),
}

/// Says that the node lives, in a store whose level it reads: a raise that lands in between conflicts with this read,
/// as its own reads do with this record.
///
/// Draft: cluster §4.3 has a blind write; that of a node whose record was forgotten while it slept would pass a raise.
pub(crate) async fn beat<S: Store>(store: &S, options: TxOptions, record: &NodeRecord) -> Beat {
    let tx = store.begin(options);
    let found = match level_of(&tx).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return not_beaten(&error),
        Err(error) => return not_beaten(&error),
    };
    if let Some(found) = found.filter(|found| !level::reads(record.levels, *found)) {
        return Beat::Outdated(found);
    }
    say(tx, record).await
}

/// The same over a store that has no `meta`, and so no level.
#[cfg(feature = "bottle")]
pub(crate) async fn beat_blindly<S: Store>(
    store: &S,
    options: TxOptions,
    record: &NodeRecord,
) -> Beat {
    say(store.begin(options), record).await
}

async fn say<T: Tx>(mut tx: T, record: &NodeRecord) -> Beat {
    tx.set(&keys::node(record.id), rows::encode(record));
    match tx.commit().await {
        Ok(_) => Beat::Committed,
        Err(error) => not_beaten(&error),
    }
}

fn not_beaten(error: &dyn std::error::Error) -> Beat {
    tracing::warn!(%error, "a heartbeat was not committed");
    Beat::Failed
}

/// Removes the node's own record, and the order that it leaves. Whether they are known to be gone.
pub(crate) async fn leave<S: Store>(store: &S, options: TxOptions, node: NodeId) -> bool {
    let mut tx = store.begin(options);
    tx.clear(&keys::node(node));
    tx.clear(&keys::drain_order(node));
    let committed = tx.commit().await;
    if let Err(error) = &committed {
        tracing::warn!(%error, "the record of this node was not removed");
    }
    committed.is_ok()
}

/// Removes the record of a node that is long dead, if it is still exactly this one.
pub(crate) async fn forget<S: Store>(store: &S, options: TxOptions, record: &NodeRecord) {
    let mut tx = store.begin(options);
    let key = keys::node(record.id);
    let found = tx.get(&key, Read::Serializable).await;
    if found.is_ok_and(|found| found.as_deref() == Some(rows::encode(record).as_slice())) {
        tx.clear(&key);
        tx.clear(&keys::drain_order(record.id));
        if let Err(error) = tx.commit().await {
            tracing::debug!(%error, "the record of a dead node stays for now");
        }
    }
}

/// Orders `node` to let go of everything and to leave: it looks at its table every second, and obeys. The row goes with
/// its record.
///
/// # Errors
/// [`ProbeError`]; refused if there is no such node any more.
pub(crate) async fn order_out<S: Store>(
    store: &S,
    options: TxOptions,
    node: NodeId,
    by: NodeId,
) -> Result<(), ProbeError<Contended>> {
    let (key, order) = (keys::drain_order(node), rows::encode_order(by));
    let plan = OrderPlan { key, node, order };
    commit_with_probe(store, options, &plan).await.map(drop)
}

struct OrderPlan {
    key: Vec<u8>,
    node: NodeId,
    order: Vec<u8>,
}

impl<S: Store> Plan<S> for OrderPlan {
    type Refusal = Contended;

    fn fence_key(&self) -> &[u8] {
        &self.key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Contended>> {
        // Read, so that no order stays behind for one that leaves at this moment.
        let record = tx.get(&keys::node(self.node), Read::Serializable).await?;
        if record.is_none() {
            return Err(PlanError::Refused(Contended));
        }
        tx.set(&self.key, self.order.clone());
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let found = tx.get(&self.key, Read::Snapshot).await?;
        // Whoever gave it: it is the same order.
        Ok(found.is_some())
    }
}

/// Commits a claim, all of it or nothing.
pub(crate) async fn claim<S: Store>(store: &S, options: TxOptions, claim: &Claim) -> ClaimOutcome {
    let Some(first) = claim.bids.first() else {
        return ClaimOutcome::Refused;
    };
    let plan = ClaimPlan {
        fence_key: keys::unit(first.unit),
        claim,
    };
    match commit_with_probe(store, options, &plan).await {
        Ok(_) => ClaimOutcome::Taken,
        Err(ProbeError::Refused(Contended)) => ClaimOutcome::Refused,
        Err(error) => {
            tracing::warn!(%error, units = claim.bids.len(), "a claim was not committed");
            ClaimOutcome::Failed
        }
    }
}

struct ClaimPlan<'a> {
    fence_key: Vec<u8>,
    claim: &'a Claim,
}

impl<S: Store> Plan<S> for ClaimPlan<'_> {
    type Refusal = Contended;

    fn fence_key(&self) -> &[u8] {
        &self.fence_key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Contended>> {
        for bid in &self.claim.bids {
            let key = keys::unit(bid.unit);
            if !bid.holds(ownership(tx, &key).await?.as_ref()) {
                return Err(PlanError::Refused(Contended));
            }
            tx.set(&key, encode_ownership(&bid.after));
        }
        if let Some(node) = self.claim.basis.node() {
            // A heartbeat that lands in between conflicts with this read: whoever lives is not robbed.
            let row = tx.get(&keys::node(node), Read::Serializable).await?;
            let found = row.map(|row| rows::decode(node, &row)).transpose();
            let found = found.map_err(|_| PlanError::Refused(Contended))?;
            if !self.claim.basis.holds(found.as_ref()) {
                return Err(PlanError::Refused(Contended));
            }
        }
        tx.set_stamped_value(&keys::route(), &[], &[]);
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        for bid in &self.claim.bids {
            let found = tx.get(&keys::unit(bid.unit), Read::Snapshot).await?;
            if found.as_deref() != Some(encode_ownership(&bid.after).as_slice()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The ownership record under `key`. One that does not read is nobody's to change.
async fn ownership<T: Tx>(tx: &T, key: &[u8]) -> Result<Option<Ownership>, PlanError<Contended>> {
    let row = tx.get(key, Read::Serializable).await?;
    let found = row.map(|row| decode_ownership(&row)).transpose();
    found.map_err(|_| PlanError::Refused(Contended))
}

/// Sets the record of `unit` to released, if it is still `held`.
pub(crate) async fn release<S: Store>(
    store: &S,
    options: TxOptions,
    unit: Unit,
    held: &Ownership,
) -> ReleaseOutcome {
    let plan = ReleasePlan {
        key: keys::unit(unit),
        held,
    };
    match commit_with_probe(store, options, &plan).await {
        Ok(_) => ReleaseOutcome::Released,
        Err(ProbeError::Refused(Fenced)) => ReleaseOutcome::Fenced,
        Err(error) => {
            tracing::warn!(%error, ?unit, "a release was not committed");
            ReleaseOutcome::Failed
        }
    }
}

struct ReleasePlan<'a> {
    key: Vec<u8>,
    held: &'a Ownership,
}

impl<S: Store> Plan<S> for ReleasePlan<'_> {
    type Refusal = Fenced;

    fn fence_key(&self) -> &[u8] {
        &self.key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Fenced>> {
        let row = tx.get(&self.key, Read::Serializable).await?;
        let found = row.and_then(|row| decode_ownership(&row).ok());
        if !Ownership::permits(found.as_ref(), self.held) {
            return Err(PlanError::Refused(Fenced));
        }
        tx.set(&self.key, encode_ownership(&self.held.released()));
        tx.set_stamped_value(&keys::route(), &[], &[]);
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let found = tx.get(&self.key, Read::Snapshot).await?;
        Ok(found.as_deref() == Some(encode_ownership(&self.held.released()).as_slice()))
    }
}
