//! What became of items is written here, and nowhere else: at most 64 outcomes in one commit, under the
//! fence of every shard they are about (delivery §11, cluster §4.4).
//!
//! Each [`Settlement`] depends on the row of its item: where that is gone, or is not what was read, there
//! is nothing to settle any more, and the rest of the batch lands all the same. So a transfer, an
//! operator and the round over the queue may decide about the same item at the same time: the first one
//! to be committed decides, and the others find nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mesh_common::cluster::{Ownership, PartitionId};
use mesh_common::delivery::{ItemId, QueueItem, ShardId, Trouble};
use mesh_common::escrow::CountStamp;
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;
use tokio::sync::oneshot;

use super::bell::Note;
use super::load::Unreadable;
use super::rows;
use super::transfer::Errand;
use crate::escrow::Escrow;
use crate::partition::records::{Intakes, Rows};
use crate::partition::shared::Shared;
use crate::partition::{Fenced, check_held, commit, encode_ownership};
use crate::store::{Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions, keys};

/// The row of an item that something is to be written about.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) key: Vec<u8>,
    /// What it must still hold; `None`: it must be there.
    pub(crate) expected: Option<Bytes>,
}

impl Place {
    /// Wherever the item stands now, as long as it stands there.
    pub(crate) fn of(item: &QueueItem) -> Self {
        Self {
            key: keys::queue_item(item.destination(), item.due_at, item.id),
            expected: None,
        }
    }
}

/// What follows once a settlement is durable.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// The pool learns that what became of an item after its transfer is written.
    Settled { domain: Arc<str>, id: ItemId },
    /// The pool learns that somebody else changed an item: it is read again.
    Changed { domain: Arc<str>, id: ItemId },
    /// The transfer begins that was noted.
    Carry(Errand),
    /// An errand is over that came to nothing.
    Released(Errand),
}

/// Something to be written about one item, or about a destination.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) shard: ShardId,
    /// The item it is about, if it is about one.
    pub(crate) place: Option<Place>,
    pub(crate) rows: Rows,
    /// The item as it is counted no more.
    pub(crate) leaves: Option<Note>,
    pub(crate) then: Then,
    /// Who waits for it: told whether it was done.
    pub(crate) reply: Option<oneshot::Sender<bool>>,
}

impl Settlement {
    /// Rows of `shard` that are about no item.
    pub(crate) fn of_rows(shard: ShardId, rows: Rows) -> Self {
        Self {
            shard,
            place: None,
            rows,
            leaves: None,
            then: Then::Nothing,
            reply: None,
        }
    }

    /// Something about `item`, as it stands, by somebody else than who sends it.
    fn about(item: &QueueItem, place: Place, rows: Rows) -> Self {
        Self {
            place: Some(place),
            then: Then::Changed {
                domain: item.destination().into(),
                id: item.id,
            },
            ..Self::of_rows(item.shard(), rows)
        }
    }

    /// The same, as what became of the item after its transfer.
    pub(crate) fn after_transfer(mut self) -> Self {
        if let Then::Changed { domain, id } = self.then {
            self.then = Then::Settled { domain, id };
        }
        self
    }

    /// The item leaves the queue, and its sender is told why.
    pub(crate) fn over(
        item: &QueueItem,
        place: Place,
        (state, reason): (MessageState, Option<&str>),
        now: Timestamp,
    ) -> Self {
        let mut rows = Rows::default();
        rows.leave(&item.told(state, reason, now));
        Self::gone(item, place, rows)
    }

    /// The item leaves the queue; `rows` say what becomes of it.
    pub(crate) fn gone(item: &QueueItem, place: Place, mut rows: Rows) -> Self {
        rows.clear(place.key.clone());
        rows.clear(keys::queue_body(item.shard(), item.id));
        Self {
            leaves: Some(Note::of(item)),
            ..Self::about(item, place, rows)
        }
    }

    /// The item waits on as `after`, which may be due at another time.
    pub(crate) fn waits(before: &QueueItem, place: Place, after: &QueueItem) -> Self {
        let mut rows = Rows::default();
        rows.clear(place.key.clone());
        let next = keys::queue_item(after.destination(), after.due_at, after.id);
        rows.set(next, rows::encode_item(after));
        Self::about(before, place, rows)
    }

    /// The same, and its sender learns that it is late.
    pub(crate) fn delayed(
        before: &QueueItem,
        place: Place,
        after: QueueItem,
        now: Timestamp,
    ) -> Self {
        let after = QueueItem {
            told_delayed: true,
            ..after
        };
        let reason = after.last_trouble.as_ref().map(|one| one.text.as_str());
        let told = after.told(MessageState::Delayed, reason, now);
        let mut settlement = Self::waits(before, place, &after);
        settlement.rows.leave(&told);
        settlement
    }

    /// The item is taken out of the queue since it cannot be handled; nothing of it is lost. Its sender
    /// learns that it is late: an operator may still put it back (delivery §13, "poison").
    pub(crate) fn quarantined(
        item: &QueueItem,
        place: Place,
        body: Option<Bytes>,
        reason: &str,
        now: Timestamp,
    ) -> Self {
        let mut rows = Rows::default();
        let [entry, message, why] = keys::quarantined(item.shard(), item.id);
        let kept = QueueItem {
            told_delayed: true,
            last_trouble: Some(Trouble {
                at: now,
                text: reason.to_owned(),
            }),
            ..item.clone()
        };
        rows.set(entry, rows::encode_item(&kept));
        if let Some(body) = body {
            rows.set(message, body);
        }
        rows.set(why, reason.to_owned());
        let told = "the service could not handle it and has set it aside";
        rows.leave(&item.told(MessageState::Delayed, Some(told), now));
        Self::gone(item, place, rows)
    }

    /// A row of table 30 that does not read is moved aside with its octets, never retried (delivery §13).
    pub(crate) fn moved_aside(unreadable: &Unreadable, body: Option<Bytes>) -> Self {
        let mut rows = Rows::default();
        let ((shard, id), row) = (unreadable.id, &unreadable.row);
        let [entry, message, why] = keys::quarantined(shard, id);
        rows.set(entry, row.value.clone());
        rows.set(why, unreadable.reason.clone());
        if let Some(body) = body {
            rows.set(message, body);
            rows.clear(keys::queue_body(shard, id));
        }
        rows.clear(row.key.to_vec());
        Self {
            place: Some(Place {
                key: row.key.to_vec(),
                expected: Some(row.value.clone()),
            }),
            ..Self::of_rows(shard, rows)
        }
    }

    /// Octets that it writes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    /// Whether the item's row is not there any more once this is committed.
    fn clears_its_place(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| self.rows.clears(&place.key))
    }
}

/// What a batch did.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Its settlements, each with whether it was done: `false` where there was nothing to settle.
    pub(crate) settlements: Vec<(Settlement, bool)>,
}

/// A batch that is not durable.
#[derive(Debug)]
pub(crate) struct Unsettled {
    /// Its settlements, to be tried again.
    pub(crate) settlements: Vec<Settlement>,
    pub(crate) error: ProbeError<Fenced>,
    /// The shards that others hold by now.
    pub(crate) lost: BTreeSet<ShardId>,
}

/// Commits `settlements` together, each under the fence of its shard.
///
/// # Cancellation
/// Leaves the result unknown: whoever drops this must claim the shards anew.
pub(crate) async fn settle<S: Store>(
    shared: &Shared<S>,
    held: &BTreeMap<ShardId, Ownership>,
    settlements: Vec<Settlement>,
) -> Result<Settled, Unsettled> {
    let mut fences = BTreeMap::new();
    let mut lost = BTreeSet::new();
    for one in &settlements {
        match held.get(&one.shard) {
            Some(ownership) => {
                fences.insert(keys::shard(one.shard), *ownership);
            }
            None => {
                lost.insert(one.shard);
            }
        }
    }
    let Some(fence_key) = fences.keys().next().cloned().filter(|_| lost.is_empty()) else {
        return Err(Unsettled {
            settlements,
            error: ProbeError::Refused(Fenced),
            lost,
        });
    };
    let plan = SettlePlan {
        fence_key,
        fences,
        settlements: &settlements,
        intakes: shared.intakes(),
        filled: Mutex::default(),
    };
    let stamp = shared.escrow.as_ref().map(Escrow::stamp);
    let result = commit(shared, &plan).await;
    let filled = plan
        .filled
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(_) => Ok(tell(shared, settlements, filled, stamp)),
        Err(error) => {
            if matches!(error, ProbeError::Refused(Fenced)) {
                lost = lost_of(shared, held, &settlements).await;
            }
            Err(Unsettled {
                settlements,
                error,
                lost,
            })
        }
    }
}

/// Counts what has left the queue, and rings for whom something was left.
fn tell<S: Store>(
    shared: &Shared<S>,
    settlements: Vec<Settlement>,
    filled: Filled,
    stamp: Option<CountStamp>,
) -> Settled {
    for partition in filled.left_for {
        shared.outcome_bell.ring(partition);
    }
    let done = |place: usize| !filled.moot.contains(&place);
    let settlements: Vec<(Settlement, bool)> = settlements
        .into_iter()
        .enumerate()
        .map(|(place, one)| (one, done(place)))
        .collect();
    for (one, _) in settlements.iter().filter(|(_, done)| *done) {
        if let Some(note) = &one.leaves {
            shared.depths.leave(note.counted());
            if let Some((escrow, stamp)) = shared.escrow.as_ref().zip(stamp) {
                escrow.left(note, stamp);
            }
        }
    }
    Settled { settlements }
}

/// Of the shards in `settlements`, those whose records are not ours any more.
async fn lost_of<S: Store>(
    shared: &Shared<S>,
    held: &BTreeMap<ShardId, Ownership>,
    settlements: &[Settlement],
) -> BTreeSet<ShardId> {
    let shards: BTreeSet<ShardId> = settlements.iter().map(|one| one.shard).collect();
    let tx = shared.store.begin(TxOptions::default());
    let mut lost = BTreeSet::new();
    for shard in shards {
        let found = tx.get(&keys::shard(shard), Read::Snapshot).await;
        let ours = held.get(&shard).map(encode_ownership);
        // Who cannot read the record does not know, and tries again.
        if found.is_ok_and(|found| found.as_deref() != ours.as_deref()) {
            lost.insert(shard);
        }
    }
    lost
}

/// What the last filling in found.
#[derive(Debug, Default)]
struct Filled {
    /// Places of settlements with nothing to settle.
    moot: BTreeSet<usize>,
    /// A key that is gone once the plan has landed.
    mark: Option<Vec<u8>>,
    left_for: Vec<PartitionId>,
}

struct SettlePlan<'a> {
    fence_key: Vec<u8>,
    fences: BTreeMap<Vec<u8>, Ownership>,
    settlements: &'a [Settlement],
    /// Where the senders are told.
    intakes: Intakes<'a>,
    filled: Mutex<Filled>,
}

impl<S: Store> Plan<S> for SettlePlan<'_> {
    type Refusal = Fenced;

    fn fence_key(&self) -> &[u8] {
        &self.fence_key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Fenced>> {
        for (key, held) in &self.fences {
            check_held(tx, key, held).await?;
        }
        let (mut filled, mut rows) = (Filled::default(), Rows::default());
        let mut taken = BTreeSet::new();
        for (number, one) in self.settlements.iter().enumerate() {
            if let Some(place) = &one.place {
                let is_there = still_there(tx, place).await?;
                if !is_there || !taken.insert(&place.key) {
                    filled.moot.insert(number);
                    continue;
                }
            }
            rows.extend(one.rows.clone());
            if filled.mark.is_none() && one.clears_its_place() {
                filled.mark = one.place.as_ref().map(|place| place.key.clone());
            }
        }
        filled.left_for = rows.left_for().collect();
        rows.fill(tx, self.intakes);
        *self.filled.lock().unwrap_or_else(PoisonError::into_inner) = filled;
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let mark = {
            let filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
            filled.mark.clone()
        };
        // Without a mark the rows may be written again: they are absolute, and what is left twice is
        // told by its id.
        match mark {
            Some(key) => Ok(tx.get(&key, Read::Snapshot).await?.is_none()),
            None => Ok(false),
        }
    }
}

async fn still_there<T: Tx>(tx: &T, place: &Place) -> Result<bool, StoreError> {
    let found = tx.get(&place.key, Read::Serializable).await?;
    Ok(match (&place.expected, found) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(expected), Some(found)) => *expected == found,
    })
}
