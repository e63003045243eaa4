//! Tells owners that something was left for them: a nudge in process after the commit, a key of the store that
//! owners on other nodes watch (`handle::waking`), and a look at the store every two seconds as the last net
//! (cluster §8).
//!
//! A nudge that is lost costs two seconds, never an entry. What is rung for one partition many times
//! before somebody listens is rung once.

mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use mesh_common::cluster::PartitionId;
use mesh_common::time::Timestamp;
use tokio::sync::Notify;

pub(crate) use self::pace::Pace;
use crate::partition::reading::ReadError;
use crate::partition::records;
use crate::store::{KeyRange, Limit, Order, Read, Store, Tx, TxOptions, keys};

/// Which partitions or shards have something to do, as far as anybody said.
#[derive(Debug)]
pub(crate) struct Bell<T> {
    rung: Mutex<BTreeSet<T>>,
    notify: Notify,
}

impl<T> Default for Bell<T> {
    fn default() -> Self {
        Self {
            rung: Mutex::default(),
            notify: Notify::new(),
        }
    }
}

impl<T: Ord> Bell<T> {
    /// Something was left for `owned`.
    pub(crate) fn ring(&self, owned: T) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if rung.insert(owned) {
            self.notify.notify_one();
        }
    }

    /// Waits until somebody rings.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// What was rung for since the last time.
    pub(crate) fn take(&self) -> BTreeSet<T> {
        std::mem::take(&mut self.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The partitions with entries in their intakes, and since when the oldest is there, if it reads: one
/// read where there are none, one more for each partition that has some.
pub(crate) async fn look<S: Store>(
    store: &S,
) -> Result<BTreeMap<PartitionId, Option<Timestamp>>, ReadError> {
    let mut found = BTreeMap::new();
    let mut range = keys::intakes();
    let tx = store.begin(TxOptions::default());
    loop {
        let page = tx
            .range(&range, Limit::rows(1), Order::Forward, Read::Snapshot)
            .await?;
        let Some(row) = page.rows.first() else { break };
        let Some(partition) = keys::partition_of_intake(&row.key) else {
            break;
        };
        let entry = records::intake(&row.value);
        found.insert(partition, entry.ok().map(|entry| entry.left_at));
        range = KeyRange {
            begin: keys::intake(partition).end,
            end: range.end,
        };
    }
    Ok(found)
}
