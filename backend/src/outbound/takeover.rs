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

use mesh_common::cluster::Ownership;
use mesh_common::delivery::{QueueItem, ShardId};
use mesh_common::limits::INTERNAL_ATTEMPTS_MAX;
use mesh_common::time::Timestamp;

use super::holding::{Caution, Holding, Phase};
use super::load::{Found, found};
use super::rows::{Owners, encode_item};
use super::settle::{Place, Settlement, settle};
use super::shards::Tenure;
use crate::partition::records::Rows;
use crate::partition::shared::{Shared, chain};
use crate::partition::{ClaimError, encode_ownership};
use crate::store::{Read, Row, Store, StoreError, Tx, TxOptions, keys, walk};

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
    /// Others have taken shards over meanwhile.
    #[error("others hold {} of the shards by now", shards.len())]
    Lost {
        /// Which.
        shards: BTreeSet<ShardId>,
    },
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
        holding.add(shard, claimant.held(claim.fence), Phase::Working);
        if claim.was_active {
            unclean.insert(shard);
        }
    }
    let held = holding.records();
    shared.shards.hold_all(&held);
    let known = owners(shared).await?;
    for (shard, caution) in note_ends(shared, &held, &unclean, known).await? {
        holding.be_cautious(shard, caution);
    }
    report_caution(&holding);
    Ok(holding)
}

/// Looks how the owners before of `tenures`, which were claimed one by one, ended, and notes it.
///
/// Caution outlasts a planned move: whoever takes a shard on from an owner that let go of it while one item
/// was handled at a time goes on so.
///
/// # Errors
/// [`TakeoverError`], to be tried again: nobody works for these shards before.
pub(crate) async fn arrive<S: Store>(
    shared: &Shared<S>,
    tenures: &BTreeMap<ShardId, Tenure>,
) -> Result<Vec<(ShardId, Caution)>, TakeoverError> {
    let held = tenures.iter().map(|(shard, one)| (*shard, one.ownership));
    let unclean = tenures.iter().filter(|(_, one)| one.was_active);
    let unclean: BTreeSet<ShardId> = unclean.map(|(shard, _)| *shard).collect();
    let (now, known) = (shared.now(), owners(shared).await?);
    let mut cautious: Vec<(ShardId, Caution)> = tenures
        .keys()
        .filter(|shard| !unclean.contains(shard))
        .filter_map(|shard| Some((*shard, caution_of(known.get(shard)?, now)?)))
        .collect();
    let noted = note_ends(shared, &held.collect(), &unclean, known).await?;
    cautious.extend(noted);
    Ok(cautious)
}

/// What follows from how owners ended, if that is too lately and too often.
fn caution_of(owners: &Owners, now: Timestamp) -> Option<Caution> {
    let lately = |at: &&i64| **at >= (now - CAUTION_TIME).as_millis();
    let last = owners.unclean.iter().filter(lately).max()?;
    let is_often = owners.unclean.iter().filter(lately).count() >= UNCLEAN_ENDS_MAX;
    is_often.then(|| Caution {
        owners: owners.clone(),
        until: Timestamp::from_millis(*last) + CAUTION_TIME,
    })
}

/// Tells the operator that some shards are slow, and why.
pub(crate) fn report_caution(holding: &Holding) {
    if holding.is_anywhere_cautious() {
        tracing::error!(
            shards = holding.cautious_count(),
            incident = "the owners of queues ended twice without letting go of them; items are sent one at a time",
            "incident"
        );
    }
}

/// Notes which owners ended badly, and judges what they were doing. Says where one item is to be handled at a
/// time.
async fn note_ends<S: Store>(
    shared: &Shared<S>,
    held: &BTreeMap<ShardId, Ownership>,
    unclean: &BTreeSet<ShardId>,
    mut known: BTreeMap<ShardId, Owners>,
) -> Result<Vec<(ShardId, Caution)>, TakeoverError> {
    let now = shared.now();
    let (mut settlements, mut cautious) = (Vec::new(), Vec::new());
    for shard in unclean {
        let mut owners = known.remove(shard).unwrap_or_default();
        owners.note_unclean(now, now - CAUTION_TIME);
        if let Some(suspect) = owners.suspect.take() {
            settlements.extend(blame(shared, suspect, now).await?);
        }
        let mut rows = Rows::default();
        rows.set(keys::suspect(*shard), owners.encode());
        settlements.push(Settlement::of_rows(*shard, rows));
        cautious.extend(caution_of(&owners, now).map(|caution| (*shard, caution)));
    }
    if settlements.is_empty() {
        return Ok(cautious);
    }
    match settle(shared, held, settlements).await {
        Ok(_) => Ok(cautious),
        Err(unsettled) if !unsettled.lost.is_empty() => Err(TakeoverError::Lost {
            shards: unsettled.lost,
        }),
        Err(unsettled) => Err(TakeoverError::Note {
            cause: chain(&unsettled.error),
        }),
    }
}

async fn owners<S: Store>(shared: &Shared<S>) -> Result<BTreeMap<ShardId, Owners>, StoreError> {
    let tx = shared.store.begin(TxOptions::default());
    let rows = walk::rows(&tx, keys::suspects(), Read::Snapshot).await?;
    let known = rows.iter().filter_map(|row| {
        let owners = Owners::decode(&row.value).ok()?;
        Some((keys::shard_of_suspect(&row.key)?, owners))
    });
    Ok(known.collect())
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
    write_records(shared, holding.records(), |held| {
        shared.claimant.released(held.fence)
    })
    .await;
    if shared.shards.are_shared() && holding.iter().next().is_some() {
        tell_of_changes(shared).await;
    }
    for (shard, held) in holding.iter() {
        shared.shards.gone(shard, held.ownership.fence);
    }
}

/// Tells the other nodes that records have changed. Who is not told finds out with the next change.
async fn tell_of_changes<S: Store>(shared: &Shared<S>) {
    let mut tx = shared.store.begin(shared.writing());
    tx.set_stamped_value(&keys::route(), b"", b"");
    if let Err(error) = tx.commit().await {
        tracing::warn!(
            cause = chain(&error),
            "others are not told what was let go of"
        );
    }
}

/// Writes the records of the shards that are held once more, as they are. A commit of the life before that may
/// still be on its way depends on them, and cannot land any more (cluster §7.3). Shards that others hold
/// are found here.
///
/// Says whether that is done: until then nobody may write.
pub(crate) async fn fence_off_the_past<S: Store>(shared: &Shared<S>) -> bool {
    let tenures = shared.shards.tenures();
    let held = tenures.iter().map(|(shard, one)| (*shard, one.ownership));
    write_records(shared, held.collect(), |held| held).await
}

/// Replaces the records of `held` by what `after` makes of them.
async fn write_records<S: Store>(
    shared: &Shared<S>,
    mut held: BTreeMap<ShardId, Ownership>,
    after: impl Fn(Ownership) -> Ownership,
) -> bool {
    while !held.is_empty() {
        let settlements = held.iter().map(|(shard, ownership)| {
            let mut rows = Rows::default();
            rows.set(keys::shard(*shard), encode_ownership(&after(*ownership)));
            Settlement::of_rows(*shard, rows)
        });
        let Err(unsettled) = settle(shared, &held, settlements.collect()).await else {
            return true;
        };
        if unsettled.lost.is_empty() {
            tracing::warn!(
                cause = chain(&unsettled.error),
                "the records of the queue's shards could not be written"
            );
            return false;
        }
        let lost = held.extract_if(.., |shard, _| unsettled.lost.contains(shard));
        shared.shards.lose(&lost.collect());
    }
    true
}
