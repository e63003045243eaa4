//! What is read of the queue: the items of a destination that are due, what is remembered of it, and
//! which destinations a shard has. Rows that do not read are handed back, to be moved aside.

use mesh_common::delivery::pool::Remembered;
use mesh_common::delivery::{ItemId, QueueItem, ShardId};
use mesh_common::limits::OUTBOUND_LOAD_ROWS_MAX;
use mesh_common::time::Timestamp;

use super::rows;
use crate::partition::RowError;
use crate::partition::commands::contained;
use crate::partition::shared::chain;
use crate::store::keys::{self, QueuePlace, Zone};
use crate::store::{
    KeyRange, Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions, Versionstamp, walk,
};

/// Rows that are read at once.
const PAGE_ROWS: usize = 256;

/// What a destination has to send.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Items that are due, in that order. Those that are held are not among them.
    pub(crate) items: Vec<QueueItem>,
    /// When the first item behind them is due, if there is one.
    pub(crate) next_due: Option<Timestamp>,
    /// Rows that do not read.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A row of the queue that does not read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) id: (ShardId, ItemId),
    pub(crate) row: Row,
    pub(crate) reason: String,
}

/// One row of the queue.
#[derive(Debug)]
pub(crate) enum Found {
    /// An item.
    Item(Box<QueueItem>),
    /// What is remembered of a destination.
    Record,
    /// Nothing that reads.
    Unreadable(Unreadable),
}

/// Reads one row of table 30. An item lies where it says, or it does not read.
pub(crate) fn found(row: Row) -> Found {
    let place = QueuePlace::parse(&row.key);
    let (zone, due_at, id) = match place {
        Some(QueuePlace::Record(_)) => return Found::Record,
        Some(QueuePlace::Item { zone, due_at, id }) => (zone, due_at, id),
        None => {
            let id = (shard_in(&row.key), ItemId(keys::hash16(&[&row.key])));
            return Found::Unreadable(Unreadable {
                id,
                row,
                reason: "the row has no key of the queue".to_owned(),
            });
        }
    };
    let read = contained(|| rows::item(&row.value)).unwrap_or(Err(RowError::Field {
        what: "queue item",
        field: "whole",
    }));
    let reason = match read {
        Ok(item) if item.id == id && item.due_at == due_at && zone_of(&item) == zone => {
            return Found::Item(Box::new(item));
        }
        Ok(_) => "the item belongs elsewhere".to_owned(),
        Err(error) => chain(&error),
    };
    Found::Unreadable(Unreadable {
        id: (zone.shard, id),
        row,
        reason,
    })
}

fn zone_of(item: &QueueItem) -> Zone {
    Zone::of(item.destination())
}

/// The shard that a damaged key of table 30 still names.
fn shard_in(key: &[u8]) -> ShardId {
    let octets = key.get(1..3).and_then(|octets| octets.try_into().ok());
    ShardId(octets.map_or(0, u16::from_be_bytes))
}

/// The first `rows_max` items for `domain` that are due at `now` and not held.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn due<S: Store>(
    store: &S,
    domain: &str,
    now: Timestamp,
    rows_max: usize,
    is_held: impl Fn(&QueueItem) -> bool + Send,
) -> Result<Loaded, StoreError> {
    let (mut loaded, mut seen) = (Loaded::default(), 0);
    let mut rest = Some(keys::queue(domain));
    let tx = store.begin(TxOptions::default());
    while let Some(range) = rest {
        let limit = Limit::rows(PAGE_ROWS);
        let page = tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await?;
        rest = page.rest(&range, Order::Forward);
        for row in page.rows {
            seen += 1;
            match found(row) {
                Found::Record => {}
                Found::Unreadable(unreadable) => loaded.unreadable.push(unreadable),
                Found::Item(item) => {
                    let is_enough = loaded.items.len() >= rows_max;
                    if item.due_at > now || is_enough || seen > OUTBOUND_LOAD_ROWS_MAX {
                        loaded.next_due = Some(item.due_at);
                        return Ok(loaded);
                    }
                    if !is_held(&item) {
                        loaded.items.push(*item);
                    }
                }
            }
        }
    }
    Ok(loaded)
}

/// What is remembered of `domain`. A record that does not read is no record: nothing is lost but a hint.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn remembered<S: Store>(
    store: &S,
    domain: &str,
) -> Result<Option<Remembered>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let row = tx.get(&keys::destination(domain), Read::Snapshot).await?;
    Ok(row.and_then(|row| match rows::destination(&row) {
        Ok(remembered) => Some(remembered),
        Err(error) => {
            tracing::warn!(domain, %error, "what was remembered of a destination does not read");
            None
        }
    }))
}

/// The destinations of `shard` with items, one read for each.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn destinations<S: Store>(
    store: &S,
    shard: ShardId,
) -> Result<Vec<String>, StoreError> {
    let whole = keys::queues(shard);
    let (mut domains, mut begin) = (Vec::new(), whole.begin.clone());
    let tx = store.begin(TxOptions::default());
    loop {
        let range = KeyRange {
            begin: begin.clone(),
            end: whole.end.clone(),
        };
        let page = tx
            .range(&range, Limit::rows(1), Order::Forward, Read::Snapshot)
            .await?;
        let Some(row) = page.rows.into_iter().next() else {
            return Ok(domains);
        };
        let zone = match QueuePlace::parse(&row.key) {
            Some(QueuePlace::Record(zone)) => {
                begin = zone.items().begin;
                continue;
            }
            Some(QueuePlace::Item { zone, .. }) => zone,
            None => {
                begin = KeyRange::key(&row.key).end;
                continue;
            }
        };
        begin = match found(row) {
            Found::Item(item) => {
                domains.push(item.destination().to_owned());
                zone.all().end
            }
            // The round over the queue moves it aside; another one of the same destination may read.
            Found::Unreadable(unreadable) => KeyRange::key(&unreadable.row.key).end,
            Found::Record => zone.items().begin,
        };
    }
}

/// When something was queued last, by shard (table 32).
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn wakes<S: Store>(store: &S) -> Result<Vec<(ShardId, Versionstamp)>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let stamp = |row: &Row| {
        let octets = row.value.as_ref().try_into().ok()?;
        Some((keys::shard_of_wake(&row.key)?, Versionstamp(octets)))
    };
    let rows = walk::rows(&tx, keys::wakes(), Read::Snapshot).await?;
    Ok(rows.iter().filter_map(stamp).collect())
}
