//! Reading accounts, lookups and frames from the store (containers §12.3 and §12.4).
//!
//! Nothing here writes, and nothing here needs the partition: frames never change, so whoever answers
//! a Download reads them on its own time, in transactions of bounded length.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use mesh_common::account::download::Wanted;
use mesh_common::account::{
    AccountId, AccountState, Connections, ContainerNumber, DeviceIndex, DirectoryEntry,
    DownloadAssembly, DownloadPlan, FrameRecord, Lookups, Needs, Standing, StoredFrame, UniqueRow,
};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::Answer;
use mesh_common::conduct::{Conduct, Subject};
use mesh_common::error::ServiceError;
use mesh_common::limits::{CONDUCT_INCIDENTS_COUNTED, READ_TX_BYTES_MAX, READ_TX_FRAMES_MAX};
use mesh_common::time::Timestamp;

use super::codec::RowError;
use super::records::{self, FrameRow};
use crate::store::keys::{self, AccountKeys, LookupKind, hash16};
use crate::store::{Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions, walk};

/// Why something could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ReadError {
    /// The store gave no answer.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// The store gave an answer that does not read.
    #[error("a stored row does not read")]
    Row(#[from] RowError),
}

impl ReadError {
    /// What the peer gets: try again, or that we failed.
    pub(crate) fn to_refusal(&self) -> ServiceError {
        match self {
            Self::Store(error) => ServiceError::unavailable(error),
            Self::Row(error) => ServiceError::internal(error),
        }
    }
}

/// What is committed under `address`.
pub(crate) async fn standing<T: Tx>(
    tx: &T,
    address: &AccountAddress,
) -> Result<Standing, ReadError> {
    let Some(row) = tx.get(&keys::dir(address), Read::Snapshot).await? else {
        return Ok(Standing::Unknown);
    };
    match records::directory(&row)? {
        DirectoryEntry::Reserved(tombstone) => Ok(Standing::Reserved(tombstone)),
        DirectoryEntry::Account(id) => Ok(Standing::Account(Box::new(state(tx, id).await?))),
    }
}

/// What is committed of the account `id`, whatever the directory says.
pub(crate) async fn state<T: Tx>(tx: &T, id: AccountId) -> Result<AccountState, ReadError> {
    let keys = AccountKeys::of(id);
    let (record_key, tip_key) = (keys.record(), keys.tip());
    let (record, tip, heads, devices, retired, connections) = tokio::try_join!(
        tx.get(&record_key, Read::Snapshot),
        tx.get(&tip_key, Read::Snapshot),
        walk::rows(tx, keys.heads(), Read::Snapshot),
        walk::rows(tx, keys.devices(), Read::Snapshot),
        walk::rows(tx, keys.all_retired(), Read::Snapshot),
        walk::rows(tx, keys.connections(), Read::Snapshot),
    )?;
    let missing = |what| RowError::Missing { what };
    let record = records::account(&record.ok_or_else(|| missing("account record"))?)?;
    let mut state = AccountState::new(Arc::new(record));
    state.tip = records::tip(&tip.ok_or_else(|| missing("tip"))?)?.1;
    for row in heads {
        state.heads.insert(Arc::new(records::head(&row.value)?));
    }
    let mut index = DeviceIndex::default();
    for row in devices {
        let device = records::device(&row.value)?;
        index.live.insert(device.unique_id, device.entry);
    }
    for row in retired {
        index.retired.insert(records::retired(&row.value)?);
    }
    state.devices = Arc::new(index);
    let mut waiting = Connections::default();
    for row in connections {
        let connection = records::connection(&row.value)?;
        waiting.set(&connection.message_id, Some(connection.row));
    }
    state.connections = Arc::new(waiting);
    Ok(state)
}

/// The rows that `needs` names, below `account`.
pub(crate) async fn look_up<T: Tx>(
    tx: &T,
    account: Option<AccountId>,
    needs: &Needs,
) -> Result<Lookups, ReadError> {
    let mut found = Lookups::default();
    let Some(account) = account.filter(|_| !needs.is_empty()) else {
        return Ok(found);
    };
    let keys = AccountKeys::of(account);
    if let Some(key) = &needs.replay {
        let place = keys.replay(records::replay_hash(key));
        if let Some(row) = tx.get(&place, Read::Snapshot).await? {
            found.replays.insert(key.clone(), records::replay(&row)?);
        }
    }
    let ids = needs.unique_ids.iter().map(async |(container, id)| {
        let place = records::unique_key(&keys, *container, id);
        let row = tx.get(&place, Read::Snapshot).await?;
        Ok::<_, ReadError>(row.map(|row| ((*container, id.clone()), row)))
    });
    for (key, row) in try_join_all(ids).await?.into_iter().flatten() {
        found.unique_ids.insert(key, records::unique(&row)?);
    }
    for key in &needs.newest {
        let newest = newest(tx, &keys, key.0, &key.1).await?;
        if let Some((row, record, payload)) = newest {
            let place = (key.0, row.last);
            found.unique_ids.insert(key.clone(), row);
            found.records.insert(place, Arc::new(record));
            found.payloads.insert(place, payload);
        }
    }
    for key in &needs.messages {
        let hash = records::message_hash(key);
        let place = keys.lookup(LookupKind::Message, key.container, hash);
        if let Some(row) = tx.get(&place, Read::Snapshot).await? {
            found.messages.insert(key.clone(), records::message(&row)?);
        }
    }
    look_up_sent(tx, &keys, needs, &mut found).await?;
    for &(container, first, end) in &needs.records {
        for row in walk::rows(tx, keys.frames(container, first, end), Read::Snapshot).await? {
            let (index, _, record) = frame(&keys, container, &row)?;
            found.records.insert((container, index), Arc::new(record));
        }
    }
    for &(container, index) in &needs.payloads {
        let stored = one_frame(tx, &keys, container, index).await?;
        if let Some((_, payload)) = stored {
            found.payloads.insert((container, index), payload);
        }
    }
    look_up_received(tx, &keys, needs, &mut found).await?;
    if let Some((subject, now)) = &needs.conduct {
        found.conduct = conduct(tx, subject, *now).await?;
    }
    Ok(found)
}

/// What counts against `subject` at `now`.
pub(crate) async fn conduct<T: Tx>(
    tx: &T,
    subject: &Subject,
    now: Timestamp,
) -> Result<Conduct, ReadError> {
    let range = keys::conduct::conduct(subject, Conduct::horizon(now));
    let limit = Limit::rows(CONDUCT_INCIDENTS_COUNTED);
    let page = tx
        .range(&range, limit, Order::Reverse, Read::Snapshot)
        .await?;
    let counted = page.rows.iter().filter_map(|row| {
        let at = keys::conduct::time_of_conduct(&row.key)?;
        Some(records::weight(&row.value).map(|weight| (at, weight)))
    });
    Ok(Conduct(counted.collect::<Result<_, _>>()?))
}

/// What the account has sent lately, and to whom.
async fn look_up_sent<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    needs: &Needs,
    found: &mut Lookups,
) -> Result<(), ReadError> {
    for id in &needs.sendings {
        let place = keys.sending(hash16(&[id.as_bytes()]));
        if let Some(row) = tx.get(&place, Read::Snapshot).await? {
            found.sendings.insert(id.clone(), records::sending(&row)?);
        }
    }
    for recipient in &needs.recipients {
        let place = keys.recipient(hash16(&[recipient.as_bytes()]));
        if let Some(row) = tx.get(&place, Read::Snapshot).await? {
            let row = records::recipient(&row)?;
            found.recipients.insert(recipient.clone(), row);
        }
    }
    if needs.posting
        && let Some(row) = tx.get(&keys.posting(), Read::Snapshot).await?
    {
        found.posting = Some(records::posting(&row)?);
    }
    Ok(())
}

/// The rows that receiving an entry of the intake needs.
async fn look_up_received<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    needs: &Needs,
    found: &mut Lookups,
) -> Result<(), ReadError> {
    if let Some(id) = needs.intake
        && let Some(row) = tx.get(&keys.seen(id.0), Read::Snapshot).await?
    {
        found.intake.insert(id, records::seen(&row)?);
    }
    if needs.tally
        && let Some(row) = tx.get(&keys.tally(), Read::Snapshot).await?
    {
        found.tally = Some(records::tally(&row)?);
    }
    for key in &needs.exchanges {
        let place = keys.exchange(records::exchange_hash(key));
        if let Some(row) = tx.get(&place, Read::Snapshot).await? {
            let row = records::exchange(&row)?;
            found.exchanges.insert(key.clone(), row);
        }
    }
    for key in &needs.deliveries {
        let place = keys.delivery(records::delivery_hash(key));
        if let Some(row) = tx.get(&place, Read::Snapshot).await? {
            let row = records::delivery(&row)?;
            found.deliveries.insert(key.clone(), row);
        }
    }
    Ok(())
}

/// What a container knows under a unique id, and the newest frame of it.
async fn newest<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    container: ContainerNumber,
    unique_id: &str,
) -> Result<Option<(UniqueRow, FrameRecord, Vec<u8>)>, ReadError> {
    let place = records::unique_key(keys, container, unique_id);
    let Some(row) = tx.get(&place, Read::Snapshot).await? else {
        return Ok(None);
    };
    let row = records::unique(&row)?;
    let stored = one_frame(tx, keys, container, row.last).await?;
    Ok(stored.map(|(record, payload)| (row, record, payload)))
}

fn frame(
    keys: &AccountKeys,
    container: ContainerNumber,
    row: &Row,
) -> Result<(u64, FrameRow, FrameRecord), RowError> {
    let index = keys
        .index_of_frame(container, &row.key)
        .ok_or(RowError::Field {
            what: "frame record",
            field: "key",
        })?;
    let (head, record) = records::frame(&row.value)?;
    Ok((index, head, record))
}

/// The records of the frames of a container from `first` up to but without `end`.
pub(crate) async fn frame_records<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    container: ContainerNumber,
    first: u64,
    end: u64,
) -> Result<Vec<(u64, FrameRecord)>, ReadError> {
    let found = walk::rows(tx, keys.frames(container, first, end), Read::Snapshot).await?;
    let records = found.iter().map(|row| {
        let (index, _, record) = frame(keys, container, row)?;
        Ok((index, record))
    });
    records.collect()
}

/// One frame with its payload, if it is there.
pub(crate) async fn one_frame<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    container: ContainerNumber,
    index: u64,
) -> Result<Option<(FrameRecord, Vec<u8>)>, ReadError> {
    let key = keys.frame(container, index);
    let Some(value) = tx.get(&key, Read::Snapshot).await? else {
        return Ok(None);
    };
    let (head, record) = records::frame(&value)?;
    let mut payloads = payloads(tx, keys, container, index, index + 1).await?;
    let payload = payloads.remove(&index).unwrap_or_default();
    head.check(&payload)?;
    Ok(Some((record, payload)))
}

/// The payloads of the frames from `first` up to but without `end`.
async fn payloads<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    container: ContainerNumber,
    first: u64,
    end: u64,
) -> Result<BTreeMap<u64, Vec<u8>>, ReadError> {
    let mut found: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for row in walk::rows(tx, keys.chunks(container, first, end), Read::Snapshot).await? {
        let place = keys.place_of_chunk(container, &row.key);
        let (index, _) = place.ok_or(RowError::Field {
            what: "payload chunk",
            field: "key",
        })?;
        found
            .entry(index)
            .or_default()
            .extend_from_slice(&row.value);
    }
    Ok(found)
}

/// Reads what `plan` asks for and makes the response of it.
///
/// # Cancellation
/// Harmless: nothing is written.
pub(crate) async fn download<S: Store>(
    store: &S,
    account: AccountId,
    mut plan: DownloadPlan,
) -> Result<Answer, ReadError> {
    let keys = AccountKeys::of(account);
    narrow(store, &keys, &mut plan).await?;
    let mut assembly = DownloadAssembly::new(plan);
    while let Some(wanted) = assembly.wanted() {
        let tx = store.begin(TxOptions::default());
        let frames = some_frames(&tx, &keys, wanted).await?;
        match frames.first() {
            Some(frame) if frame.index == wanted.first => {
                frames.into_iter().for_each(|frame| assembly.push(frame));
            }
            // A purge came between: what is gone is not waited for.
            _ => assembly.skip_run(),
        }
    }
    Ok(assembly.finish())
}

/// Frames of one container that follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) container: ContainerNumber,
    /// From which index.
    pub(crate) first: u64,
    /// Up to but without this index.
    pub(crate) end: u64,
}

/// Frames from the first of `run` on, with payloads, as many as one transaction may read.
pub(crate) async fn run_of_frames<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    run: &Run,
) -> Result<Vec<StoredFrame>, ReadError> {
    let wanted = Wanted {
        container: run.container,
        first: run.first,
        end: run.end,
        entries: READ_TX_FRAMES_MAX,
        payload_bytes: READ_TX_BYTES_MAX,
        payload: true,
    };
    some_frames(tx, keys, wanted).await
}

/// The record of one frame, if it is there.
pub(crate) async fn frame_record<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    container: ContainerNumber,
    index: u64,
) -> Result<Option<FrameRecord>, ReadError> {
    let value = tx
        .get(&keys.frame(container, index), Read::Snapshot)
        .await?;
    Ok(value
        .map(|value| records::frame(&value))
        .transpose()?
        .map(|(_, record)| record))
}

/// Frames from the first wanted one on, as many as one transaction may read.
async fn some_frames<T: Tx>(
    tx: &T,
    keys: &AccountKeys,
    wanted: Wanted,
) -> Result<Vec<StoredFrame>, ReadError> {
    let limit = Limit {
        rows: wanted.entries.clamp(1, READ_TX_FRAMES_MAX),
        bytes: READ_TX_BYTES_MAX,
    };
    let range = keys.frames(wanted.container, wanted.first, wanted.end);
    let page = tx
        .range(&range, limit, Order::Forward, Read::Snapshot)
        .await?;
    let (mut heads, mut bytes) = (Vec::with_capacity(page.rows.len()), 0_u64);
    for row in &page.rows {
        let found = frame(keys, wanted.container, row)?;
        bytes += found.1.payload_bytes;
        if wanted.payload && !heads.is_empty() && bytes > READ_TX_BYTES_MAX as u64 {
            break;
        }
        heads.push(found);
    }
    let (Some(first), Some(last)) = (heads.first(), heads.last()) else {
        return Ok(Vec::new());
    };
    let mut stored = if wanted.payload {
        payloads(tx, keys, wanted.container, first.0, last.0 + 1).await?
    } else {
        BTreeMap::new()
    };
    let mut frames = Vec::with_capacity(heads.len());
    for (index, head, record) in heads {
        let payload = stored.remove(&index).unwrap_or_default();
        if wanted.payload {
            head.check(&payload)?;
        }
        frames.push(StoredFrame {
            index,
            record: Arc::new(record),
            payload,
        });
    }
    Ok(frames)
}

/// Runs shorter than this are read through rather than searched.
const SEARCHED_FRAMES_MIN: u64 = 64;

/// Cuts from long runs what the bounds of time leave out anyway. Commit times never decrease along a
/// container, so the bounds are found by halving.
async fn narrow<S: Store>(
    store: &S,
    keys: &AccountKeys,
    plan: &mut DownloadPlan,
) -> Result<(), ReadError> {
    for selection in &mut plan.selections {
        for (container, first, end) in &mut selection.runs {
            if end.saturating_sub(*first) < SEARCHED_FRAMES_MIN {
                continue;
            }
            if let Some(before) = selection.before {
                *end = search(store, keys, *container, (*first, *end), before).await?;
            }
            if let Some(not_before) = selection.not_before {
                *first = search(store, keys, *container, (*first, *end), not_before).await?;
            }
        }
    }
    Ok(())
}

/// The first index of `[first, end)` that was committed in the second of `bound` or later; `end` if
/// none was.
async fn search<S: Store>(
    store: &S,
    keys: &AccountKeys,
    container: ContainerNumber,
    (mut first, mut end): (u64, u64),
    bound: Timestamp,
) -> Result<u64, ReadError> {
    let tx = store.begin(TxOptions::default());
    while first < end {
        let middle = first + (end - first) / 2;
        let value = tx
            .get(&keys.frame(container, middle), Read::Snapshot)
            .await?;
        let record = match value {
            Some(value) => records::frame(&value)?.1,
            // What was purged was older than what is kept.
            None => {
                first = middle + 1;
                continue;
            }
        };
        if record.committed_at.as_secs() < bound.as_secs() {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(first)
}
