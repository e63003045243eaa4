//! What domains use, counted anew from records and tips of accounts, and set right where a row says otherwise
//! (cluster §9, "drift"). For `meshd verify`, beside a service that runs or over a store without one.
//!
//! The rows are read first, then the accounts, in as many transactions as it takes. Every commit that changes
//! an account counts on the row of its domain; so if the row is the same at the end, the sum is that of one
//! moment. If not, the partition is counted again, and after some times left for another day.
//!
//! Messages are not counted anew: what was sent today is in no tip.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use mesh_common::account::usage::used_by;
use mesh_common::account::{AccountId, DirectoryEntry, DomainUsage};
use mesh_common::cluster::PartitionId;
use mesh_common::limits::{PARTITIONS, USAGE_PARTITIONS_COUNTED};
use serde::{Deserialize, Serialize};

use super::rows::UsageRow;
use crate::partition::reading::ReadError;
use crate::partition::{RowError, decode_ownership, encode_ownership, records, without_owner};
use crate::store::keys::AccountKeys;
use crate::store::{
    KeyRange, Limit, Order, Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions,
    commit_with_probe, keys, walk,
};

/// How often a partition is counted that changes meanwhile.
const ATTEMPTS_MAX: usize = 4;

/// Where a pass over all partitions is, and what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountPlace {
    /// The first partition of the next step.
    pub partition: u16,
    /// Rows of this canonical domain alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whether rows that are wrong are set right.
    pub mend: bool,
}

/// What one step of a pass found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Accounts that were looked at.
    pub accounts: u64,
    /// Rows that say something else than the accounts.
    pub drifted: Vec<Drift>,
    /// Rows that changed all the time, so that nobody knows.
    pub unsettled: u64,
    /// Where the next step begins; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u16>,
}

/// A row that says something else than the accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The domain.
    pub domain: String,
    /// The partition.
    pub partition: u16,
    /// Octets that the row says.
    pub octets_said: u64,
    /// Octets that the accounts have.
    pub octets: u64,
    /// Accounts that the row says.
    pub accounts_said: u64,
    /// Accounts that there are.
    pub accounts: u64,
    /// Whether the row is right by now.
    pub is_mended: bool,
}

/// Why a step did nothing; it may be taken again.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The store gives no answer.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// Something that is stored does not read.
    #[error("a row does not read")]
    Row(#[from] RowError),
    /// What is wrong could not be set right.
    #[error("what a domain uses could not be written")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ReadError> for CountError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => Self::Store(error),
            ReadError::Row(error) => Self::Row(error),
        }
    }
}

/// Takes the next step of a pass: some partitions, each counted at one moment.
///
/// # Errors
/// [`CountError`].
pub async fn recount<S: Store>(
    store: &S,
    place: &CountPlace,
    options: TxOptions,
) -> Result<Counted, CountError> {
    let end = place
        .partition
        .saturating_add(USAGE_PARTITIONS_COUNTED)
        .min(PARTITIONS);
    let step = Step {
        store,
        place,
        options,
    };
    let mut said = step.rows(place.partition..end).await?;
    let mut counted = Counted::default();
    for partition in (place.partition..end).map(PartitionId) {
        let rows = said.remove(&partition).unwrap_or_default();
        step.partition(partition, rows, &mut counted).await?;
    }
    counted.next = (end < PARTITIONS).then_some(end);
    Ok(counted)
}

/// The rows of one partition, by domain.
type Rows = BTreeMap<String, UsageRow>;

struct Step<'a, S> {
    store: &'a S,
    place: &'a CountPlace,
    options: TxOptions,
}

impl<S: Store> Step<'_, S> {
    fn is_asked_for(&self, domain: &str) -> bool {
        let asked = self.place.domain.as_deref();
        asked.is_none_or(|asked| asked == domain)
    }

    /// The rows of these partitions, in one look through the table.
    async fn rows(
        &self,
        partitions: Range<u16>,
    ) -> Result<BTreeMap<PartitionId, Rows>, CountError> {
        let mut found: BTreeMap<PartitionId, Rows> = BTreeMap::new();
        let domain = self.place.domain.as_deref();
        let range = domain.map_or_else(keys::all_usage, keys::usage_of_domain);
        let mut unreadable = None;
        walk::each_row(self.store, range, Order::Forward, |row| {
            let Some((domain, partition)) = keys::parse_usage(&row.key) else {
                return ControlFlow::Continue(());
            };
            if partitions.contains(&partition.0) {
                match UsageRow::decode(&row.value) {
                    Ok(value) => {
                        let rows = found.entry(partition).or_default();
                        rows.insert(domain.to_owned(), value);
                    }
                    Err(error) => {
                        unreadable = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            ControlFlow::Continue(())
        })
        .await?;
        unreadable.map_or(Ok(()), Err)?;
        Ok(found)
    }

    /// Counts one partition until nothing changes meanwhile; tells of what is wrong.
    async fn partition(
        &self,
        partition: PartitionId,
        mut said: Rows,
        counted: &mut Counted,
    ) -> Result<(), CountError> {
        let (accounts, mut used) = self.count(partition).await?;
        counted.accounts += accounts;
        for domain in used.keys() {
            said.entry(domain.clone()).or_default();
        }
        for _ in 1..ATTEMPTS_MAX {
            said = self.compare(partition, &said, &used, counted).await?;
            if said.is_empty() {
                return Ok(());
            }
            used = self.count(partition).await?.1;
        }
        let left = self.compare(partition, &said, &used, counted).await?;
        counted.unsettled += left.len() as u64;
        Ok(())
    }

    /// Compares what rows said before the accounts were counted with what these use. Says which rows were written
    /// meanwhile, as they are now.
    async fn compare(
        &self,
        partition: PartitionId,
        said: &Rows,
        used: &BTreeMap<String, DomainUsage>,
        counted: &mut Counted,
    ) -> Result<Rows, CountError> {
        let mut changed = Rows::new();
        for (domain, row) in said {
            let used = used.get(domain).copied().unwrap_or_default();
            let is_right = (row.used.octets, row.used.accounts) == (used.octets, used.accounts);
            let mut now = self.row(domain, partition).await?;
            if now == *row && !is_right {
                match self.drifted(domain, partition, *row, used).await? {
                    Some(drift) => {
                        counted.drifted.push(drift);
                        continue;
                    }
                    None => now = self.row(domain, partition).await?,
                }
            }
            if now != *row {
                changed.insert(domain.clone(), now);
            }
        }
        Ok(changed)
    }

    async fn row(&self, domain: &str, partition: PartitionId) -> Result<UsageRow, CountError> {
        let tx = self.store.begin(TxOptions::default());
        let key = keys::usage(domain, partition);
        let found = tx.get(&key, Read::Snapshot).await?;
        Ok(UsageRow::of(found.as_deref())?)
    }

    /// What the accounts of a partition use, by domain; and how many were looked at.
    async fn count(
        &self,
        partition: PartitionId,
    ) -> Result<(u64, BTreeMap<String, DomainUsage>), CountError> {
        let mut used: BTreeMap<String, DomainUsage> = BTreeMap::new();
        let (mut accounts, mut rest) = (0, keys::accounts_of(partition));
        while let Some(account) = self.first_account(&rest).await? {
            let keys = AccountKeys::of(account);
            rest.begin = keys.all().end;
            let Some((domain, of_one)) = self.account(account, &keys).await? else {
                continue;
            };
            accounts += 1;
            if self.is_asked_for(&domain) {
                let sum = used.entry(domain).or_default();
                *sum = sum.and(of_one, 0);
            }
        }
        Ok((accounts, used))
    }

    async fn first_account(&self, range: &KeyRange) -> Result<Option<AccountId>, StoreError> {
        let tx = self.store.begin(TxOptions::default());
        let page = tx
            .range(range, Limit::rows(1), Order::Forward, Read::Snapshot)
            .await?;
        Ok(page.rows.first().and_then(|row| keys::account_of(&row.key)))
    }

    /// What one account uses, and of which domain; none if it has no record.
    async fn account(
        &self,
        account: AccountId,
        keys: &AccountKeys,
    ) -> Result<Option<(String, DomainUsage)>, CountError> {
        let tx = self.store.begin(TxOptions::default());
        let Some(record) = tx.get(&keys.record(), Read::Snapshot).await? else {
            return Ok(None);
        };
        let record = records::account(&record)?;
        let tip = tx.get(&keys.tip(), Read::Snapshot).await?;
        let tip = tip.map(|tip| records::tip(&tip)).transpose()?;
        let octets = tip.map_or(0, |(_, tip)| tip.bytes_used);
        let entry = tx.get(&keys::dir(&record.address), Read::Snapshot).await?;
        let entry = entry.map(|entry| records::directory(&entry)).transpose()?;
        let is_there = matches!(entry, Some(DirectoryEntry::Account(id)) if id == account);
        let used = used_by(record.status, octets, is_there);
        Ok(Some((record.address.domain().to_owned(), used)))
    }

    /// The drift of a row, set right if that is asked for; none if the row was written meanwhile.
    async fn drifted(
        &self,
        domain: &str,
        partition: PartitionId,
        row: UsageRow,
        used: DomainUsage,
    ) -> Result<Option<Drift>, CountError> {
        if self.place.mend {
            let right = DomainUsage {
                octets: used.octets,
                accounts: used.accounts,
                ..row.used
            };
            let plan = MendPlan {
                part: keys::part(partition),
                key: keys::usage(domain, partition),
                found: row,
                right: row.next(right),
            };
            match commit_with_probe(self.store, self.options, &plan).await {
                Ok(_) => {}
                Err(ProbeError::Refused(NotMended::Changed)) => return Ok(None),
                Err(ProbeError::Refused(NotMended::Row(error))) => return Err(error.into()),
                Err(error) => return Err(CountError::Write(Box::new(error))),
            }
        }
        Ok(Some(Drift {
            domain: domain.to_owned(),
            partition: partition.0,
            octets_said: row.used.octets,
            octets: used.octets,
            accounts_said: row.used.accounts,
            accounts: used.accounts,
            is_mended: self.place.mend,
        }))
    }
}

/// Why a row was not set right.
#[derive(Debug, thiserror::Error)]
enum NotMended {
    /// It was written meanwhile.
    #[error("the row was written meanwhile")]
    Changed,
    /// The ownership record, or the row, does not read.
    #[error("the store does not read")]
    Row(#[source] RowError),
}

/// The row as it is right, and the fence of whoever knows it as it was: its owner looks again.
struct MendPlan {
    part: Vec<u8>,
    key: Vec<u8>,
    found: UsageRow,
    right: UsageRow,
}

impl<S: Store> Plan<S> for MendPlan {
    type Refusal = NotMended;

    fn fence_key(&self) -> &[u8] {
        &self.part
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<NotMended>> {
        let row = |error| PlanError::Refused(NotMended::Row(error));
        let found = tx.get(&self.key, Read::Serializable).await?;
        if UsageRow::of(found.as_deref()).map_err(row)? != self.found {
            return Err(PlanError::Refused(NotMended::Changed));
        }
        tx.set(&self.key, self.right.encode());
        if let Some(record) = tx.get(&self.part, Read::Serializable).await? {
            let record = decode_ownership(&record).map_err(row)?;
            tx.set(&self.part, encode_ownership(&without_owner(record)));
        }
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let found = tx.get(&self.key, Read::Snapshot).await?;
        Ok(found.as_deref() == Some(self.right.encode().as_slice()))
    }
}
