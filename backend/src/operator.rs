//! What an operator, and the process around the back-end, ask of it: whether it is ready, that it stops,
//! what it holds, and that it does now what is due (architecture A-15, cluster §15).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use mesh_common::account::{AccountId, DirectoryEntry};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{CallFailure, PartitionId};
use mesh_common::delivery::Class;
use mesh_common::error::ServiceError;
use mesh_common::limits::LEAVE_TIME_MAX;
use tokio::sync::oneshot;

use crate::desk::{self, DeskError, PoolDesk as _};
use crate::handle::{BackendHandle, lock};
use crate::node::LevelError;
use crate::partition;
use crate::partition::commands::Stop;
use crate::partition::reading::ReadError;
use crate::partition::shared::chain;
use crate::store::{Limit, Order, Page, Read, Store, Tx, TxOptions, keys};

/// Why the back-end should get no requests at present.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It was told to stop.
    #[error("the back-end is stopping")]
    Stopping,
    /// The store takes no writes.
    #[error("the store takes no writes: {reason}")]
    Store {
        /// What the store said.
        reason: String,
    },
    /// It lets go of everything, and leaves the cluster.
    #[error("the node is leaving the cluster")]
    Leaving,
    /// It has not said yet that it lives, or does not know yet who owns what.
    #[error("the node has not joined the cluster yet")]
    Joining,
    /// The store was raised to a feature level that this release does not read (cluster §15).
    #[error(transparent)]
    Outdated(LevelError),
    /// It could not say that it lives for so long that others may take what it owns.
    #[error("the node could not write its heartbeat for {age:?}")]
    Silent {
        /// Since its last heartbeat.
        age: Duration,
    },
}

/// One address of a domain, as an operator lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAccount {
    /// The canonical address.
    pub address: String,
    /// Where the rows of the account lie, or lay.
    pub account: AccountId,
    /// Whether the account was deleted and its address is only reserved.
    pub is_reserved: bool,
}

impl<S: Store> BackendHandle<S> {
    /// Whether requests can be carried out. After a write that failed, tries one that changes nothing.
    ///
    /// # Errors
    /// [`NotReady`]: why not.
    pub async fn ready(&self) -> Result<(), NotReady> {
        if self.inner.is_stopping() {
            return Err(NotReady::Stopping);
        }
        let shared = &self.inner.shared;
        shared.level.check().map_err(NotReady::Outdated)?;
        if let Some(membership) = &shared.membership {
            membership.ready()?;
        }
        let Some(reason) = shared.health.trouble() else {
            return Ok(());
        };
        match self.write_nothing().await {
            Ok(()) => {
                shared.health.up(&shared.metrics);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(
                    cause = chain(error.as_ref()),
                    "the store still takes no writes"
                );
                Err(NotReady::Store { reason })
            }
        }
    }

    async fn write_nothing(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let shared = &self.inner.shared;
        let mut tx = shared.store.begin(shared.writing());
        if let Some(row) = tx.get(&keys::meta(), Read::Serializable).await? {
            tx.set(&keys::meta(), row);
        }
        tx.commit().await?;
        Ok(())
    }

    /// Leaves the cluster, if it is in one; sends nothing more to other services, refuses new work, waits for
    /// what is being committed, and ends every partition and its thread.
    pub async fn stop(&self) {
        let membership = self.inner.shared.membership.as_ref();
        // Whoever had it leave before has waited for that.
        if membership.is_some_and(|one| !one.is_leaving())
            && tokio::time::timeout(LEAVE_TIME_MAX, self.leave())
                .await
                .is_err()
        {
            tracing::warn!("the node could not let go of everything; others will take it over");
        }
        if let Some(outbound) = self.outbound() {
            // First: what is in flight may still tell partitions something.
            outbound.stop().await;
        }
        self.inner.is_stopping.store(true, Ordering::SeqCst);
        let mut stopped = Vec::new();
        for slot in &self.inner.partitions {
            let running = lock(slot).running.take();
            if let Some(running) = running.filter(Addr::connected) {
                let (reply, done) = oneshot::channel();
                let refusal =
                    CallFailure::Away(ServiceError::unavailable("the back-end is stopping"));
                stopped.push((running.send(Stop { refusal, reply }), done));
            }
        }
        for (sent, done) in stopped {
            if sent.await.is_ok() {
                // An actor that ended otherwise has stopped as well.
                let _ended = done.await;
            }
        }
        let arbiters = self.inner.end_threads();
        let ended = tokio::task::spawn_blocking(move || {
            arbiters
                .into_iter()
                .map(Arbiter::join)
                .all(|ended| ended.is_ok())
        });
        if !ended.await.unwrap_or(false) {
            tracing::error!("a thread of the back-end ended in a panic");
        }
    }

    /// Writes the measures of what stands, not of what happens: to be called before they are gathered. What
    /// does not answer at once is left as it was.
    pub async fn refresh_measures(&self) {
        const TIME_MAX: Duration = Duration::from_secs(1);
        if let Some(membership) = &self.inner.shared.membership {
            membership.show(&self.inner.shared.metrics.cluster, self.inner.shared.now());
        }
        self.measure_usage(TIME_MAX).await;
        let Some(outbound) = self.outbound() else {
            return;
        };
        let pool = async {
            let totals = outbound.totals().await?;
            let states = outbound.destinations().await?;
            Ok::<_, DeskError>((totals, states))
        };
        let shared = &self.inner.shared;
        let measures = &shared.metrics.outbound;
        // Each node of a cluster measures the shards that it works for, as of its last round over them.
        let (tally, are_shared) = (shared.depths.tally(), shared.shards.are_shared());
        let waiting = [Class::Interactive, Class::Bulk].map(|class| match are_shared {
            true => (class, tally.of_class(class)),
            false => (class, outbound.depth_of_class(class)),
        });
        if let Ok(Ok((totals, states))) = tokio::time::timeout(TIME_MAX, pool).await {
            measures.show(&waiting, &totals, &states);
        }
        let destinations = match are_shared {
            true => tally.destinations,
            false => shared.depths.destinations(),
        };
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        measures.destinations_waiting.set(gauge(destinations));
        let oldest_at = tally.oldest_at;
        let age = oldest_at.map_or(Duration::ZERO, |at| shared.now().since(at));
        measures.oldest.set(age.as_secs_f64());
        let counted = desk::count_quarantined(&shared.store);
        if let Ok(Ok(items)) = tokio::time::timeout(TIME_MAX, counted).await {
            measures
                .quarantined
                .set(i64::try_from(items).unwrap_or(i64::MAX));
        }
    }

    /// Adds up what domains use, unless that was done a short while ago. A table that takes longer than
    /// `time_max` is read to its end beside whoever asks.
    async fn measure_usage(&self, time_max: Duration) {
        let shared = Arc::clone(&self.inner.shared);
        if !shared.usages.is_to_be_added_up(shared.now()) {
            return;
        }
        let adding = tokio::spawn(async move {
            match desk::domains::all(&shared).await {
                Ok(domains) => shared.metrics.usage.show(&domains),
                Err(error) => tracing::debug!(cause = chain(&error), "usage is not measured"),
            }
        });
        let _later = tokio::time::timeout(time_max, adding).await;
    }

    /// Carries out what is due in all partitions, and says how many rows of work that was. Happens by
    /// itself as well; for operators who do not want to wait, and for tests.
    pub async fn tend(&self) -> usize {
        let mut done = 0;
        for partition in PartitionId::all() {
            while !self.inner.is_stopping() {
                let tended = self.inner.tend(partition).await;
                done += tended.done;
                if !tended.more {
                    break;
                }
            }
        }
        done
    }

    /// Drains what was left in all intakes, and what that leads to, and says how many entries that
    /// was. Happens by itself as well; for operators who do not want to wait, and for tests.
    pub async fn drain(&self) -> usize {
        let mut done = 0;
        while !self.inner.is_stopping() {
            let entries = self.inner.drain().await;
            if entries == 0 {
                break;
            }
            done += entries;
        }
        done
    }

    /// For tests: receiving the entry of this id panics.
    #[cfg(test)]
    pub(crate) fn poison_intake(&self, id: mesh_common::account::IntakeId) {
        let poison = self.inner.shared.poison_intake.lock();
        *poison.unwrap_or_else(std::sync::PoisonError::into_inner) = Some(id);
    }

    /// For tests: deciding the operation of this id panics.
    #[cfg(test)]
    pub(crate) fn poison(&self, request: mesh_common::session::RequestId) {
        let poison = &self.inner.shared.poison;
        *poison
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(request);
    }

    /// For tests: what is due in one partition.
    #[cfg(test)]
    pub(crate) async fn tend_one(&self, partition: PartitionId) -> partition::Tended {
        self.inner.tend(partition).await
    }

    /// Addresses of a canonical domain behind `after`, in their order, at most `max`.
    ///
    /// # Errors
    /// The store cannot be read: 503; a row does not read: 500.
    pub async fn accounts(
        &self,
        domain: &str,
        after: Option<&AccountAddress>,
        max: usize,
    ) -> Result<Vec<ListedAccount>, ServiceError> {
        let mut range = keys::dir_domain(domain);
        if let Some(after) = after {
            range = range.rest(&keys::dir(after), Order::Forward);
        }
        let tx = self.inner.shared.store.begin(TxOptions::default());
        let page = tx
            .range(
                &range,
                Limit::rows(max.max(1)),
                Order::Forward,
                Read::Snapshot,
            )
            .await
            .map_err(|error| ReadError::from(error).to_refusal())?;
        listed(&page).map_err(|error| error.to_refusal())
    }
}

fn listed(page: &Page) -> Result<Vec<ListedAccount>, ReadError> {
    page.rows
        .iter()
        .filter_map(|row| Some((keys::address_of_dir(&row.key)?, &row.value)))
        .map(|(address, value)| {
            let (account, is_reserved) = match partition::directory(value)? {
                DirectoryEntry::Account(account) => (account, false),
                DirectoryEntry::Reserved(tombstone) => (tombstone.account, true),
            };
            Ok(ListedAccount {
                address,
                account,
                is_reserved,
            })
        })
        .collect()
}
