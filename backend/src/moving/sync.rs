//! Making a range of one store the same as in another: both are read side by side, and only what differs is written.
//!
//! Each commit writes a mark under the migration's key and depends on it. So a commit whose answer was lost is found by
//! its mark, and one that is still on its way can never land behind a later one (cluster §7.3).

use bytes::Bytes;
use mesh_common::entropy::{self, Entropy};
use serde::{Deserialize, Serialize};

use super::pacing::Pacer;
use crate::store::{
    KeyRange, Limit, Order, Page, Plan, PlanError, ProbeError, Read, Row, Store, StoreError, Tx,
    TxOptions, commit_with_probe, keys,
};

/// Octets of one page, and so of one commit, but for rows that are only at the other end.
const PAGE_BYTES: usize = 512 * 1_024;
/// Rows of one page.
const PAGE_ROWS: usize = 2_048;
/// Rows that one commit clears.
const CLEARED_MAX: usize = 4_096;

/// Why a range is not the same yet.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The store it comes from.
    #[error("the store that is copied cannot be read")]
    From(#[source] StoreError),
    /// The store it goes to.
    #[error("the store that is written to cannot be read")]
    To(#[source] StoreError),
    /// The store it goes to.
    #[error("the store that is written to takes no writes")]
    Write(#[source] ProbeError<std::convert::Infallible>),
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Synced {
    /// Rows set.
    pub set: u64,
    /// Rows cleared.
    pub cleared: u64,
    /// Octets of the rows set.
    pub octets: u64,
}

impl std::ops::AddAssign for Synced {
    fn add_assign(&mut self, other: Self) {
        self.set += other.set;
        self.cleared += other.cleared;
        self.octets += other.octets;
    }
}

/// From one store into another.
pub(super) struct Sync<'a, F, T> {
    pub(super) from: &'a F,
    pub(super) to: &'a T,
    pub(super) options: TxOptions,
    /// Rests after each page, where a service is to stay quick.
    pub(super) pacer: Option<&'a Pacer>,
}

impl<F: Store, T: Store> Sync<'_, F, T> {
    /// Makes `range` the same at the other end.
    pub(super) async fn range(
        &self,
        range: KeyRange,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Synced, SyncError> {
        let (mut total, mut rest) = (Synced::default(), Some(range));
        while let Some(range) = rest {
            let begun = self.pacer.map(Pacer::now);
            let page = page(self.from, &range, self.options).await;
            let page = page.map_err(SyncError::From)?;
            let octets = octets_of(&page.rows);
            rest = page.rest(&range, Order::Forward);
            let end = rest.as_ref().map_or(&range.end, |rest| &rest.begin);
            let covered = KeyRange {
                begin: range.begin.clone(),
                end: end.clone(),
            };
            total += self.page(covered, page.rows, entropy).await?;
            if let Some((pacer, begun)) = self.pacer.zip(begun) {
                pacer.rest(begun, octets).await;
            }
        }
        Ok(total)
    }

    /// Makes `covered` hold exactly `rows`.
    async fn page(
        &self,
        covered: KeyRange,
        rows: Vec<Row>,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Synced, SyncError> {
        let mut wanted = rows.into_iter().peekable();
        let (mut writes, mut rest) = (Writes::default(), Some(covered));
        while let Some(range) = rest {
            let there = page(self.to, &range, self.options).await;
            let there = there.map_err(SyncError::To)?;
            rest = there.rest(&range, Order::Forward);
            for row in there.rows {
                while let Some(missing) = wanted.next_if(|one| one.key < row.key) {
                    writes.set(missing);
                }
                match wanted.next_if(|one| one.key == row.key) {
                    Some(one) if one.value == row.value => {}
                    Some(one) => writes.set(one),
                    None => writes.cleared.push(row.key),
                }
            }
            if writes.cleared.len() >= CLEARED_MAX {
                let cleared = std::mem::take(&mut writes.cleared);
                let done = Writes {
                    cleared,
                    ..Writes::default()
                };
                self.commit(done, entropy).await?;
                writes.was_cleared += CLEARED_MAX as u64;
            }
        }
        wanted.for_each(|missing| writes.set(missing));
        self.commit(writes, entropy).await
    }

    /// Sets these rows, whatever is there.
    pub(super) async fn set(
        &self,
        rows: Vec<Row>,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Synced, SyncError> {
        let mut writes = Writes::default();
        rows.into_iter().for_each(|row| writes.set(row));
        self.commit(writes, entropy).await
    }

    /// Sets `row` and clears `key` in one commit.
    pub(super) async fn set_and_clear(
        &self,
        row: Row,
        key: Vec<u8>,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Synced, SyncError> {
        let mut writes = Writes::default();
        writes.set(row);
        writes.cleared.push(key.into());
        self.commit(writes, entropy).await
    }

    /// Clears `range`, page by page.
    pub(super) async fn clear(
        &self,
        range: KeyRange,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Synced, SyncError> {
        self.page(range, Vec::new(), entropy).await
    }

    async fn commit(
        &self,
        writes: Writes,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Synced, SyncError> {
        let synced = writes.synced();
        if writes.set.is_empty() && writes.cleared.is_empty() {
            return Ok(synced);
        }
        let plan = SyncPlan {
            key: keys::migration(),
            mark: entropy::draw(entropy),
            writes,
        };
        let landed = commit_with_probe(self.to, self.options, &plan).await;
        landed.map_err(SyncError::Write)?;
        Ok(synced)
    }
}

async fn page<S: Store>(
    store: &S,
    range: &KeyRange,
    options: TxOptions,
) -> Result<Page, StoreError> {
    let limit = Limit {
        rows: PAGE_ROWS,
        bytes: PAGE_BYTES,
    };
    let tx = store.begin(TxOptions {
        is_background: options.is_background,
        ..TxOptions::default()
    });
    tx.range(range, limit, Order::Forward, Read::Snapshot).await
}

/// Octets of keys and values.
fn octets_of(rows: &[Row]) -> u64 {
    let octets = |row: &Row| row.key.len() as u64 + row.value.len() as u64;
    rows.iter().map(octets).sum()
}

#[derive(Default)]
struct Writes {
    set: Vec<Row>,
    cleared: Vec<Bytes>,
    /// Rows cleared by commits before this one.
    was_cleared: u64,
}

impl Writes {
    fn set(&mut self, row: Row) {
        self.set.push(row);
    }

    fn synced(&self) -> Synced {
        Synced {
            set: self.set.len() as u64,
            cleared: self.cleared.len() as u64 + self.was_cleared,
            octets: octets_of(&self.set),
        }
    }
}

struct SyncPlan {
    key: Vec<u8>,
    mark: [u8; 16],
    writes: Writes,
}

impl<S: Store> Plan<S> for SyncPlan {
    type Refusal = std::convert::Infallible;

    fn fence_key(&self) -> &[u8] {
        &self.key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Self::Refusal>> {
        // Read, so that two that copy at once take turns.
        tx.get(&self.key, Read::Serializable).await?;
        tx.set(&self.key, self.mark.to_vec());
        for key in &self.writes.cleared {
            tx.clear(key);
        }
        for row in &self.writes.set {
            tx.set(&row.key, row.value.clone());
        }
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let found = tx.get(&self.key, Read::Snapshot).await?;
        Ok(found.as_deref() == Some(self.mark.as_slice()))
    }
}
