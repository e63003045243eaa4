//! Orders of operators that are carried out once, about messages in shards that others work for: left in the
//! store for the owner of each shard (cluster §8: admin commands go by an append, as everything does that is
//! meant for somebody else). The owner finds them within two seconds, whoever it is by then, and clears each
//! with the last of what follows from it.
//!
//! An order that was carried out in part is carried out again: what it was carried out for already is not as it
//! was any more, and is left alone.

use std::collections::BTreeSet;

use mesh_common::delivery::{QueueItem, ShardId};
use mesh_common::limits::OUTBOUND_UNCOMMITTED_MAX;
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::load::{Found, found};
use super::settle::{Place, Settlement};
use crate::desk::Selection;
use crate::partition::shared::Shared;
use crate::partition::{Reader, RowError, Writer};
use crate::store::{
    CommitError, KeyRange, Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions, keys,
};

/// Format of an order.
const ONCE: u8 = 1;
/// Rows that are read together.
const PAGE_ROWS: usize = 256;

/// What is to be done about messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub(crate) enum Once {
    /// They are due now.
    Retry,
    /// They have failed.
    Fail {
        /// What their senders are told.
        reason: String,
    },
}

/// An order, and which messages it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OnceOrder {
    pub(crate) selection: Selection,
    pub(crate) once: Once,
}

impl OnceOrder {
    fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("orders hold no maps");
        Writer::new(ONCE).octets(&json).finish()
    }

    fn decode(value: &[u8]) -> Result<Self, RowError> {
        let mut row = Reader::new("order", value, ONCE)?;
        let order = serde_json::from_slice(row.octets()?).map_err(|_| row.impossible("text"))?;
        row.finish()?;
        Ok(order)
    }

    /// Whether there is anything to do about `item`.
    pub(crate) fn is_about(&self, item: &QueueItem, now: Timestamp) -> bool {
        let is_open = match self.once {
            Once::Retry => item.due_at > now,
            Once::Fail { .. } => true,
        };
        is_open && self.selection.matches(item)
    }

    /// What is written about `item`.
    pub(crate) fn settlement(&self, item: &QueueItem, place: Place, now: Timestamp) -> Settlement {
        match &self.once {
            Once::Retry => {
                let after = QueueItem {
                    due_at: now,
                    ..item.clone()
                };
                Settlement::waits(item, place, &after)
            }
            Once::Fail { reason } => {
                let told = (MessageState::Failed, Some(reason.as_str()));
                Settlement::over(item, place, told, now)
            }
        }
    }

    fn range(&self, shard: ShardId) -> KeyRange {
        match self.selection.destination() {
            Some(domain) => keys::queue(domain),
            None => keys::queues(shard),
        }
    }
}

/// Leaves `order` for the owners of `shards`.
///
/// # Errors
/// [`CommitError`]: where it is unknown whether it was left, it may be left once more.
pub(crate) async fn leave<S: Store>(
    shared: &Shared<S>,
    shards: &BTreeSet<ShardId>,
    order: &OnceOrder,
) -> Result<(), CommitError> {
    let mut tx = shared.store.begin(shared.writing());
    for (place, shard) in (0_u32..).zip(shards) {
        let prefix = keys::once_prefix(*shard);
        tx.set_stamped_key(&prefix, &place.to_be_bytes(), order.encode());
    }
    tx.commit().await.map(drop)
}

/// An order that was left for the owner of a shard.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) shard: ShardId,
    pub(crate) key: Vec<u8>,
    /// None if it does not read.
    pub(crate) order: Option<OnceOrder>,
}

/// The orders that were left for anybody.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn left<S: Store>(store: &S) -> Result<Vec<Left>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let page = tx
        .range(
            &keys::all_once(),
            Limit::default(),
            Order::Forward,
            Read::Snapshot,
        )
        .await?;
    let left = |row: Row| {
        Some(Left {
            shard: keys::shard_of_once(&row.key)?,
            order: OnceOrder::decode(&row.value).ok(),
            key: row.key.to_vec(),
        })
    };
    Ok(page.rows.into_iter().filter_map(left).collect())
}

/// What is to be written to carry an order out.
#[derive(Debug, Default)]
pub(crate) struct CarriedOut {
    pub(crate) settlements: Vec<Settlement>,
    /// The destinations that are to be tried now.
    pub(crate) domains: BTreeSet<String>,
    /// How many messages fail by it.
    pub(crate) failed: u64,
    /// Whether there is more to do than this.
    pub(crate) more: bool,
}

/// Says what follows from `order` in `shard`, for a bounded number of messages.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn carry_out<S: Store>(
    shared: &Shared<S>,
    shard: ShardId,
    order: &OnceOrder,
) -> Result<CarriedOut, StoreError> {
    let now = shared.now();
    let mut done = CarriedOut::default();
    let mut rest = Some(order.range(shard));
    while let Some(range) = rest {
        let tx = shared.store.begin(TxOptions::default());
        let limit = Limit::rows(PAGE_ROWS);
        let page = tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await?;
        rest = page.rest(&range, Order::Forward);
        for row in page.rows {
            let (key, value) = (row.key.to_vec(), row.value.clone());
            let Found::Item(item) = found(row) else {
                continue;
            };
            if item.shard() != shard || !order.selection.matches(&item) {
                continue;
            }
            match order.once {
                Once::Retry => {
                    done.domains.insert(item.destination().to_owned());
                }
                Once::Fail { .. } => done.failed += 1,
            }
            let place = Place {
                key,
                expected: Some(value),
            };
            if order.is_about(&item, now) {
                done.settlements.push(order.settlement(&item, place, now));
            }
        }
        if done.settlements.len() >= OUTBOUND_UNCOMMITTED_MAX {
            done.more = rest.is_some();
            break;
        }
    }
    Ok(done)
}
