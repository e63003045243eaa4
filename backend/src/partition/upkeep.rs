//! Forgetting what expired and purging what was deleted, a bounded piece at a time (architecture
//! A-15, service §4.7, decision Q-26).
//!
//! Table 23 says what is due. A row of it leaves in the same commit as the work it asks for, so after
//! a restart the work goes on where it stopped.

use std::collections::HashSet;

use mesh_common::account::{AccountId, AccountStatus, DirectoryEntry, UsageChange};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::limits::{
    DELETED_DATA_KEPT, READ_TX_BYTES_MAX, RETENTION_STEPS_MAX, UPKEEP_ROWS_MAX,
};
use mesh_common::time::Timestamp;

use super::batch::{BatchPlan, commit_in, is_conflict};
use super::ownership::Fenced;
use super::reading::ReadError;
use super::records::{self, Rows};
use super::retention::{self, Retained};
use super::shared::Shared;
use crate::commits::Place;
use crate::config::BackendConfig;
use crate::metrics::Metrics;
use crate::store::keys::{self, AccountKeys, Due, DueKind, LookupKind};
use crate::store::{KeyRange, Limit, Order, ProbeError, Read, Store, Tx, TxOptions};
use crate::usage::UsageDraft;

/// What one round of upkeep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tended {
    /// Rows of table 23 that were carried out.
    pub done: usize,
    /// Whether there is more to be done at once.
    pub more: bool,
}

/// Why a round of upkeep did nothing. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    /// What is due could not be read.
    #[error("what is due could not be read")]
    Read(#[from] ReadError),
    /// The work was not committed.
    #[error("the work that is due was not committed")]
    Commit(#[source] ProbeError<Fenced>),
}

/// The work of one round: what is cleared, and which addresses it concerns.
#[derive(Default)]
struct Work {
    rows: Rows,
    tended: Tended,
    kinds: Vec<&'static str>,
    /// Whether this round has purged a page: one is enough.
    has_purged: bool,
    /// Accounts over which retention has taken its step of this round.
    stepped: HashSet<AccountId>,
    retained: Vec<Retained>,
    /// The account whose record goes with this page of its purge, and the octets it had.
    purged: Option<(AccountAddress, u64)>,
}

/// Carries out at most [`UPKEEP_ROWS_MAX`] rows of what is due at `now`, in this place among the commits of the
/// process.
pub(crate) async fn tend<S: Store>(
    shared: &Shared<S>,
    partition: PartitionId,
    fence: Fence,
    now: Timestamp,
    place: Place,
) -> Result<(Tended, Vec<AccountAddress>), UpkeepError> {
    let tx = shared.store.begin(TxOptions::default());
    let work = plan(&tx, &shared.config, partition, now).await?;
    drop(tx);
    if work.rows.is_empty() {
        return Ok((work.tended, Vec::new()));
    }
    let mut usage = UsageDraft::new(partition, fence);
    for (domain, octets) in work.freed() {
        let change = UsageChange::octets_gone(octets);
        // Nobody may refuse what redaction takes for a moment.
        usage.weigh(shared, domain, change, true).await?;
        usage.add(domain, change);
    }
    let plan = BatchPlan {
        fence_key: keys::part(partition),
        partition,
        fence,
        shared,
        rows: &work.rows,
        mark: None,
        holder: None,
        usage: &usage,
    };
    let landing = commit_in(shared, &plan, place).await;
    usage.settle(shared, landing.is_ok());
    if is_conflict(&landing) && shared.usages.are_granted() {
        // Others took back what a domain was granted here, or were faster with it.
        let tended = Tended {
            done: 0,
            more: true,
        };
        return Ok((tended, Vec::new()));
    }
    landing.map_err(UpkeepError::Commit)?;
    for kind in work.kinds {
        shared.metrics.upkeep.with_label_values(&[kind]).inc();
    }
    for one in &work.retained {
        report(&shared.metrics, one);
    }
    let touched = work.retained.into_iter().map(|one| one.address).collect();
    Ok((work.tended, touched))
}

/// Tells the operator what is gone.
fn report(metrics: &Metrics, retained: &Retained) {
    for reason in &retained.gone {
        let frames = &metrics.retention_frames;
        frames.with_label_values(&[reason.name()]).inc();
    }
    metrics
        .retention_octets
        .inc_by(u64::try_from(retained.octets).unwrap_or(0));
    tracing::info!(
        account = %retained.address,
        container = retained.container,
        frames = retained.gone.len(),
        octets = retained.octets,
        "retention has removed what is not kept any longer"
    );
}

async fn plan<T: Tx>(
    tx: &T,
    config: &BackendConfig,
    partition: PartitionId,
    now: Timestamp,
) -> Result<Work, ReadError> {
    let page = tx
        .range(
            &keys::due(partition, now),
            Limit::rows(UPKEEP_ROWS_MAX),
            Order::Forward,
            Read::Snapshot,
        )
        .await?;
    let mut work = Work::default();
    work.tended.more = page.more;
    for row in page.rows {
        match Due::parse(&row.key) {
            Some(due) if due.kind == DueKind::Retention => {
                work.retain(tx, config, &due, now).await?;
            }
            Some(due) => work.add(tx, due, now).await?,
            // Nobody can act on it, now or later.
            None => work.rows.clear(row.key.to_vec()),
        }
    }
    Ok(work)
}

impl Work {
    /// Octets that go, by domain.
    fn freed(&self) -> impl Iterator<Item = (&str, i64)> {
        let retained = self.retained.iter();
        let retained = retained.map(|one| (one.address.domain(), one.octets));
        let purged = self.purged.iter();
        retained.chain(purged.map(|(address, octets)| {
            let octets = i64::try_from(*octets).unwrap_or(i64::MAX);
            (address.domain(), octets)
        }))
    }

    async fn add<T: Tx>(&mut self, tx: &T, due: Due, now: Timestamp) -> Result<(), ReadError> {
        let keys = AccountKeys::of(due.account);
        let (is_done, kind) = match due.kind {
            DueKind::Replay => (
                self.forget(tx, replay_key(&keys, &due), now).await?,
                "replay",
            ),
            DueKind::Message => (
                self.forget(tx, message_key(&keys, &due), now).await?,
                "message",
            ),
            DueKind::Seen => {
                let key = hash_of(&due).map(|hash| keys.seen(hash));
                (self.forget(tx, key, now).await?, "seen")
            }
            DueKind::Delivery => {
                let key = hash_of(&due).map(|hash| keys.delivery(hash));
                (self.forget(tx, key, now).await?, "delivery")
            }
            DueKind::Exchange => {
                let key = hash_of(&due).map(|hash| keys.exchange(hash));
                (self.forget(tx, key, now).await?, "exchange")
            }
            DueKind::Connection => {
                let key = hash_of(&due).map(|hash| keys.connection(hash));
                (self.forget(tx, key, now).await?, "connection")
            }
            DueKind::Sending => {
                let key = hash_of(&due).map(|hash| keys.sending(hash));
                (self.forget(tx, key, now).await?, "sending")
            }
            DueKind::Recipient => {
                let key = hash_of(&due).map(|hash| keys.recipient(hash));
                (self.forget(tx, key, now).await?, "recipient")
            }
            DueKind::Release => (self.release(tx, &due, now).await?, "release"),
            DueKind::Purge => (self.purge(tx, &keys, now).await?, "purge"),
            // Has a way of its own: it needs the settings, and leaves a row for its next step.
            DueKind::Retention => (false, "retention"),
        };
        if is_done {
            self.rows.clear(due.key());
            self.tended.done += 1;
            self.kinds.push(kind);
        } else {
            self.tended.more = true;
        }
        Ok(())
    }

    /// Takes a step of retention: one for each account in a round, since the next one goes on from what
    /// this one writes.
    async fn retain<T: Tx>(
        &mut self,
        tx: &T,
        config: &BackendConfig,
        due: &Due,
        now: Timestamp,
    ) -> Result<(), ReadError> {
        if self.stepped.len() >= RETENTION_STEPS_MAX || !self.stepped.insert(due.account) {
            self.tended.more = true;
            return Ok(());
        }
        let stepped = retention::step(tx, config, due, now).await?;
        // The step may leave the same row for the next one.
        self.rows.clear(due.key());
        self.rows.extend(stepped.rows);
        self.retained.extend(stepped.retained);
        self.tended.more |= stepped.more;
        self.tended.done += 1;
        self.kinds.push("retention");
        Ok(())
    }

    /// Clears a row that has expired. One that was written again since stays: its new expiry has a row
    /// of its own.
    async fn forget<T: Tx>(
        &mut self,
        tx: &T,
        key: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<bool, ReadError> {
        let Some(key) = key else { return Ok(true) };
        if let Some(row) = tx.get(&key, Read::Snapshot).await?
            && records::expires_at(&row)? <= now
        {
            self.rows.clear(key);
        }
        Ok(true)
    }

    /// Releases the address of a deleted account, unless somebody has it again.
    async fn release<T: Tx>(
        &mut self,
        tx: &T,
        due: &Due,
        now: Timestamp,
    ) -> Result<bool, ReadError> {
        let address = std::str::from_utf8(&due.rest)
            .ok()
            .and_then(|text| AccountAddress::parse(text).ok());
        let Some(address) = address else {
            return Ok(true);
        };
        let key = keys::dir(&address);
        let Some(row) = tx.get(&key, Read::Snapshot).await? else {
            return Ok(true);
        };
        if let DirectoryEntry::Reserved(tombstone) = records::directory(&row)?
            && tombstone.account == due.account
            && tombstone.reserved_until <= now
        {
            self.rows.clear(key);
        }
        Ok(true)
    }

    /// Clears one page of a deleted account's rows; done once there is none left. An account without
    /// a record is one whose purge has begun; one that lives again is left alone.
    async fn purge<T: Tx>(
        &mut self,
        tx: &T,
        keys: &AccountKeys,
        now: Timestamp,
    ) -> Result<bool, ReadError> {
        if std::mem::replace(&mut self.has_purged, true) {
            return Ok(false);
        }
        let mut address = None;
        if let Some(row) = tx.get(&keys.record(), Read::Snapshot).await? {
            let record = records::account(&row)?;
            let is_due = match record.status {
                AccountStatus::Deleted { at } => at + DELETED_DATA_KEPT <= now,
                AccountStatus::Pending | AccountStatus::Connected | AccountStatus::Blocked => false,
            };
            if !is_due {
                return Ok(true);
            }
            address = Some(record.address);
        }
        let limit = Limit {
            rows: UPKEEP_ROWS_MAX,
            bytes: READ_TX_BYTES_MAX,
        };
        let page = tx
            .range(&keys.all(), limit, Order::Forward, Read::Snapshot)
            .await?;
        for row in &page.rows {
            self.rows.clear(row.key.to_vec());
        }
        // Its octets count until its record goes.
        let record = keys.record();
        let goes = page.rows.iter().any(|row| row.key[..] == record[..]);
        if let Some(address) = address.filter(|_| goes) {
            let tip = tx.get(&keys.tip(), Read::Snapshot).await?;
            let tip = tip.map(|row| records::tip(&row)).transpose()?;
            self.purged = tip.map(|(_, tip)| (address, tip.bytes_used));
        }
        Ok(!page.more)
    }
}

fn replay_key(keys: &AccountKeys, due: &Due) -> Option<Vec<u8>> {
    Some(keys.replay(hash_of(due)?))
}

/// The sixteen octets that name the row.
fn hash_of(due: &Due) -> Option<[u8; 16]> {
    due.rest.as_slice().try_into().ok()
}

fn message_key(keys: &AccountKeys, due: &Due) -> Option<Vec<u8>> {
    let (container, hash) = due.rest.split_at_checked(2)?;
    let container = u16::from_be_bytes(container.try_into().ok()?);
    Some(keys.lookup(LookupKind::Message, container, hash.try_into().ok()?))
}

/// Whether anything of `partition` is due at `now`.
pub(crate) async fn is_due<S: Store>(
    store: &S,
    partition: PartitionId,
    now: Timestamp,
) -> Result<bool, ReadError> {
    let tx = store.begin(TxOptions::default());
    let range: KeyRange = keys::due(partition, now);
    let page = tx
        .range(&range, Limit::rows(1), Order::Forward, Read::Snapshot)
        .await?;
    Ok(!page.rows.is_empty())
}
