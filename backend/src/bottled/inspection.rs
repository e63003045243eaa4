//! What lies in a store, for who looks at the end of a story, or while it is told: which unit a write is a
//! matter of, what is committed of an account, and what still waits for somebody (cluster §20.4).

use std::collections::BTreeSet;

use mesh_common::account::intake::DeliveryKey;
use mesh_common::account::state::ACCOUNT_ID_BYTES;
use mesh_common::account::{AccountId, ContainerNumber, Standing};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{NodeId, Ownership, Unit};
use mesh_common::dare::Envelope;
use mesh_common::delivery::ShardId;
use mesh_common::spool::MessageState;

use crate::outbound::rows;
use crate::partition::shared::chain;
use crate::partition::{decode_ownership, encode_ownership, reading, records};
use crate::store::keys::{self, AccountKeys, LookupKind, QueuePlace};
use crate::store::{KeyRange, Limit, Order, Read, Store, StoreError, Tx, TxOptions, walk};

/// What is committed under `address`; none if it cannot be read.
pub async fn standing<S: Store>(store: &S, address: &AccountAddress) -> Option<Standing> {
    let tx = store.begin(TxOptions::default());
    reading::standing(&tx, address).await.ok()
}

/// The frames of a container that has `count` of them, from frame 1 on.
///
/// # Errors
/// A sentence about the first that is not there, or does not read.
pub async fn frames<S: Store>(
    store: &S,
    account: AccountId,
    container: ContainerNumber,
    count: u64,
) -> Result<Vec<Envelope>, String> {
    let tx = store.begin(TxOptions::default());
    let account = AccountKeys::of(account);
    let mut frames = Vec::new();
    for index in 1..count {
        match reading::one_frame(&tx, &account, container, index).await {
            Ok(Some((record, payload))) => frames.push(record.envelope(index, payload)),
            Ok(None) => return Err(format!("frame {index} of {count} is missing")),
            Err(error) => return Err(format!("frame {index}: {}", chain(&error))),
        }
    }
    Ok(frames)
}

/// What the sender of a message was told last of what became of it for one recipient (canonical).
///
/// # Errors
/// A sentence about what does not read.
pub async fn deliveries<S: Store>(
    store: &S,
    sender: AccountId,
    unique_id: &str,
    recipient: &str,
) -> Result<Option<MessageState>, String> {
    let hash = records::delivery_hash(&DeliveryKey {
        unique_id: unique_id.to_owned(),
        recipient: recipient.to_owned(),
    });
    let tx = store.begin(TxOptions::default());
    let row = tx
        .get(&AccountKeys::of(sender).delivery(hash), Read::Snapshot)
        .await
        .map_err(|error| chain(&error))?;
    let row = row.map(|row| records::delivery(&row)).transpose();
    Ok(row.map_err(|error| chain(&error))?.map(|row| row.state))
}

/// How many rows wait for somebody, or were set aside, by what they are.
///
/// # Errors
/// The store cannot be read.
pub async fn leftovers<S: Store>(store: &S) -> Result<Vec<(&'static str, usize)>, StoreError> {
    let tables = [
        ("entries in intakes", keys::intakes()),
        ("entries set aside", keys::all_set_aside()),
        ("messages of items", keys::bodies()),
        ("orders for owners of shards", keys::all_once()),
        ("standing orders", keys::standing_orders()),
    ];
    let tx = store.begin(TxOptions::default());
    let mut found = Vec::new();
    for (what, range) in tables {
        found.push((what, keys_in(&tx, range).await?.len()));
    }
    let queue = keys_in(&tx, keys::all_queues()).await?;
    let is_item = |key: &&Vec<u8>| keys::parse_queue_item(key).is_some();
    found.push(("items in queues", queue.iter().filter(is_item).count()));
    Ok(found)
}

/// What waits in the queues, for people.
///
/// # Errors
/// The store cannot be read.
pub async fn queued<S: Store>(store: &S) -> Result<Vec<String>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let mut found = Vec::new();
    for key in keys_in(&tx, keys::all_queues()).await? {
        let row = match keys::parse_queue_item(&key) {
            Some(_) => tx.get(&key, Read::Snapshot).await?,
            None => None,
        };
        found.extend(row.map(|row| format!("{:?}", rows::item(&row))));
    }
    Ok(found)
}

/// The messages that are in quarantine: UniqueID and recipient (canonical).
///
/// # Errors
/// The store cannot be read.
pub async fn quarantined<S: Store>(store: &S) -> Result<Vec<(String, String)>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let mut found = Vec::new();
    for key in keys_in(&tx, keys::all_quarantined()).await? {
        let is_item = keys::parse_quarantined(&key).is_some_and(|(_, _, kind)| kind == b'e');
        let row = if is_item {
            tx.get(&key, Read::Snapshot).await?
        } else {
            None
        };
        if let Some(Ok(item)) = row.map(|row| rows::item(&row)) {
            found.push((item.unique_id, item.recipient.canonical().to_owned()));
        }
    }
    Ok(found)
}

/// Whether nothing waits for anybody in intakes and queues, and no order is in force: few reads, for who asks
/// often.
///
/// # Errors
/// The store cannot be read.
pub async fn is_empty<S: Store>(store: &S) -> Result<bool, StoreError> {
    let tx = store.begin(TxOptions::default());
    let tables = [
        keys::intakes(),
        keys::bodies(),
        keys::all_once(),
        keys::standing_orders(),
    ];
    for range in tables {
        let page = tx
            .range(&range, Limit::rows(1), Order::Forward, Read::Snapshot)
            .await?;
        if !page.rows.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether an order stands in the store that messages are held.
///
/// # Errors
/// The store cannot be read.
pub async fn is_anything_ordered<S: Store>(store: &S) -> Result<bool, StoreError> {
    let tx = store.begin(TxOptions::default());
    let rows = keys_in(&tx, keys::standing_orders()).await?;
    Ok(!rows.is_empty())
}

/// The nodes to which an order to leave is in the store.
///
/// # Errors
/// The store cannot be read.
pub async fn ordered_out<S: Store>(store: &S) -> Result<BTreeSet<NodeId>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let rows = keys_in(&tx, keys::nodes()).await?;
    let nodes = rows.iter().filter_map(|key| keys::node_of_drain_order(key));
    Ok(nodes.collect())
}

async fn keys_in<T: Tx>(tx: &T, range: KeyRange) -> Result<Vec<Vec<u8>>, StoreError> {
    let rows = walk::rows(tx, range, Read::Snapshot).await?;
    Ok(rows.into_iter().map(|row| row.key.to_vec()).collect())
}

/// The unit whose owner alone may write `key`, or clear it; none where anybody may. To queue and to leave
/// something in an intake is everybody's right, to take it out is the owner's.
#[must_use]
pub fn owner_of_write(key: &[u8], is_cleared: bool) -> Option<Unit> {
    if let Some(account) = keys::account_of(key) {
        return Some(account.partition().into());
    }
    if let Some(partition) = keys::partition_of_intake(key) {
        return is_cleared.then_some(partition.into());
    }
    if let Some((_, partition)) = keys::parse_usage(key) {
        return Some(partition.into());
    }
    match QueuePlace::parse(key) {
        Some(QueuePlace::Record(zone)) => return Some(zone.shard.into()),
        Some(QueuePlace::Item { zone, .. }) => return is_cleared.then_some(zone.shard.into()),
        None => {}
    }
    let body: Option<ShardId> = keys::shard_of_body(key);
    body.filter(|_| is_cleared).map(Unit::from)
}

/// Whether `key` is that of a row by which an owner knows what it has received before: a message by its sender
/// and id, or an entry of the intake.
#[must_use]
pub fn is_memory(key: &[u8]) -> bool {
    const MESSAGE: u8 = LookupKind::Message as u8;
    let kind = keys::account_of(key).and_then(|_| key.get(1 + ACCOUNT_ID_BYTES..));
    matches!(kind, Some([b'i', ..] | [b'k', MESSAGE, ..]))
}

/// Whether `key` is that of a row by which nodes learn what operators have ordered elsewhere.
#[must_use]
pub fn is_order(key: &[u8]) -> bool {
    key == keys::standing_orders_changed()
        || keys::shard_of_once(key).is_some()
        || keys::node_of_drain_order(key).is_some()
}

/// The row of a unit's ownership record under its key: for stores that watch who owns what.
#[must_use]
pub fn ownership_row(unit: Unit, record: &Ownership) -> (Vec<u8>, Vec<u8>) {
    (keys::unit(unit), encode_ownership(record))
}

/// The ownership record of `unit`; none if there is none, or it cannot be read.
pub async fn ownership_in<S: Store>(store: &S, unit: Unit) -> Option<Ownership> {
    let tx = store.begin(TxOptions::default());
    let row = tx.get(&keys::unit(unit), Read::Snapshot).await.ok()??;
    decode_ownership(&row).ok()
}
