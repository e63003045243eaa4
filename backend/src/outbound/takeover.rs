//! Taking shards over, and letting go of them (cluster §4.3 and §15; delivery §13, "poison").
//!
//! Whoever takes over a shard that its owner had not let go of notes it. Two such ends within ten minutes
//! may have been caused by an item that ends whoever handles it: then one item is handled at a time, and
//! noted before, so that it is known which one it was. An item that was being handled at such an end has
//! failed here once, as if handling it had panicked, and the third time sets it aside.
//!
//! Draft: delivery §13 has the first item found so set aside at once. A process that is killed from
//! outside looks the same, so three ends have to agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_common::cluster::{Fence, Ownership};
use mesh_common::delivery::{QueueItem, ShardId};
use mesh_common::limits::INTERNAL_ATTEMPTS_MAX;
use mesh_common::time::Timestamp;

use super::load::{Found, found};
use super::rows::{Owners, encode_item};
use super::settle::{Place, Settlement, settle};
use crate::partition::records::Rows;
use crate::partition::shared::{Shared, chain};
use crate::partition::{ClaimError, encode_ownership};
use crate::store::{Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions, keys};

/// Unclean ends further apart say nothing about items.
pub(crate) const CAUTION_TIME: Duration = Duration::from_secs(600);
/// Unclean ends within [`CAUTION_TIME`] from which on one item is handled at a time.
const UNCLEAN_ENDS_MAX: usize = 2;

/// Why shards could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The ownership records.
    #[error("the shards cannot be claimed")]
    Claim(#[from] ClaimError),
    /// What is known of the owners before.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// What is to be noted of them.
    #[error("the end of the owners before cannot be noted: {cause}")]
    Note {
        /// Why.
        cause: String,
    },
}

/// Shards that are ours.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// The records by which they are.
    pub(crate) held: BTreeMap<ShardId, Ownership>,
    /// What is known of the owners of the shards where one item is handled at a time.
    pub(crate) cautious: BTreeMap<ShardId, Owners>,
}

impl Holding {
    pub(crate) fn holds(&self, shard: ShardId) -> bool {
        self.held.contains_key(&shard)
    }

    /// The records of the shards that `settlements` are about, as far as they are ours.
    pub(crate) fn held_by(&self, settlements: &[Settlement]) -> BTreeMap<ShardId, Ownership> {
        let held = |one: &Settlement| Some((one.shard, *self.held.get(&one.shard)?));
        settlements.iter().filter_map(held).collect()
    }

    /// Notes in `rows` which item of `shard` is being handled, or that none is.
    pub(crate) fn note_suspect(&self, shard: ShardId, suspect: Option<&[u8]>, rows: &mut Rows) {
        if let Some(owners) = self.cautious.get(&shard) {
            let owners = Owners {
                suspect: suspect.map(<[u8]>::to_vec),
                ..owners.clone()
            };
            rows.set(keys::suspect(shard), owners.encode());
        }
    }
}

/// Claims every shard.
///
/// # Errors
/// [`TakeoverError`]: nothing is held.
pub(crate) async fn take_over<S: Store>(shared: &Shared<S>) -> Result<Holding, TakeoverError> {
    let shards: Vec<ShardId> = ShardId::all().collect();
    let claimant = shared.claimant;
    let claims = claimant
        .claim_shards(&shared.store, shared.writing(), &shards)
        .await?;
    let mut holding = Holding::default();
    let mut unclean = BTreeSet::new();
    for (shard, claim) in shards.into_iter().zip(claims) {
        let fence: Fence = claim.fence;
        holding.held.insert(shard, claimant.held(fence));
        if claim.was_active {
            unclean.insert(shard);
        }
    }
    note_ends(shared, &mut holding, &unclean).await?;
    if !holding.cautious.is_empty() {
        tracing::error!(
            shards = holding.cautious.len(),
            incident = "the owners of queues ended twice without letting go of them; items are sent one at a time",
            "incident"
        );
    }
    Ok(holding)
}

/// Notes which owners ended badly, and judges what they were doing.
async fn note_ends<S: Store>(
    shared: &Shared<S>,
    holding: &mut Holding,
    unclean: &BTreeSet<ShardId>,
) -> Result<(), TakeoverError> {
    let now = shared.now();
    let mut known = owners(shared).await?;
    let mut settlements = Vec::new();
    for shard in unclean {
        let mut owners = known.remove(shard).unwrap_or_default();
        owners.note_unclean(now, now - CAUTION_TIME);
        if let Some(suspect) = owners.suspect.take() {
            settlements.extend(blame(shared, suspect, now).await?);
        }
        let mut rows = Rows::default();
        rows.set(keys::suspect(*shard), owners.encode());
        settlements.push(Settlement::of_rows(*shard, rows));
        if owners.unclean.len() >= UNCLEAN_ENDS_MAX {
            holding.cautious.insert(*shard, owners);
        }
    }
    if settlements.is_empty() {
        return Ok(());
    }
    match settle(shared, &holding.held, settlements).await {
        Ok(_) => Ok(()),
        Err(unsettled) => Err(TakeoverError::Note {
            cause: chain(&unsettled.error),
        }),
    }
}

async fn owners<S: Store>(shared: &Shared<S>) -> Result<BTreeMap<ShardId, Owners>, StoreError> {
    let tx = shared.store.begin(TxOptions::default());
    let limit = Limit::rows(usize::from(mesh_common::limits::OUTBOUND_SHARDS));
    let (mut known, mut rest) = (BTreeMap::new(), Some(keys::suspects()));
    while let Some(range) = rest {
        let page = tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await?;
        for row in &page.rows {
            let owners = Owners::decode(&row.value);
            if let (Some(shard), Ok(owners)) = (keys::shard_of_suspect(&row.key), owners) {
                known.insert(shard, owners);
            }
        }
        rest = page.rest(&range, Order::Forward);
    }
    Ok(known)
}

/// The item that was being handled when an owner ended has failed here once more.
async fn blame<S: Store>(
    shared: &Shared<S>,
    key: Vec<u8>,
    now: Timestamp,
) -> Result<Option<Settlement>, StoreError> {
    let tx = shared.store.begin(TxOptions::default());
    let Some(value) = tx.get(&key, Read::Snapshot).await? else {
        return Ok(None);
    };
    let row = Row {
        key: key.clone().into(),
        value: value.clone(),
    };
    let Found::Item(item) = found(row) else {
        // The round over the queue moves it aside.
        return Ok(None);
    };
    let place = Place {
        key,
        expected: Some(value),
    };
    let item = QueueItem {
        attempts_internal: item.attempts_internal + 1,
        ..*item
    };
    tracing::error!(
        item = %item.id,
        destination = item.destination(),
        times = item.attempts_internal,
        "an item was being handled when its owner ended"
    );
    if item.attempts_internal < INTERNAL_ATTEMPTS_MAX {
        let mut rows = Rows::default();
        rows.set(place.key.clone(), encode_item(&item));
        let shard = item.shard();
        return Ok(Some(Settlement {
            place: Some(place),
            ..Settlement::of_rows(shard, rows)
        }));
    }
    let body = tx
        .get(&keys::queue_body(item.shard(), item.id), Read::Snapshot)
        .await?;
    let reason = "the service ended three times while it was being handled";
    tracing::error!(
        item = %item.id,
        incident = "an item of the queue was set aside",
        "incident"
    );
    Ok(Some(Settlement::quarantined(
        &item, place, body, reason, now,
    )))
}

/// Lets go of every shard, so that whoever comes next knows that this was no bad end.
pub(crate) async fn release<S: Store>(shared: &Shared<S>, holding: &Holding) {
    let settlements = holding.held.iter().map(|(shard, held)| {
        let mut rows = Rows::default();
        let released = shared.claimant.released(held.fence);
        rows.set(keys::shard(*shard), encode_ownership(&released));
        Settlement::of_rows(*shard, rows)
    });
    let settlements: Vec<Settlement> = settlements.collect();
    if settlements.is_empty() {
        return;
    }
    if let Err(unsettled) = settle(shared, &holding.held, settlements).await {
        tracing::warn!(
            cause = chain(&unsettled.error),
            "the shards of the queue could not be let go of"
        );
    }
}
