//! How many commits of this process are on their way to the store at once, and who goes first: a store that answers
//! slowly is not asked more and more, what waits fills the mailboxes of partitions, and these say so (cluster §14).
//!
//! Batches, drains and what the queue to other services settles wait for a place in order of arrival. Work in the
//! background takes one only where plenty are free, and never waits in the line: it is put off.
//! Heartbeats and claims need no place: a node must not lose what it owns because it has much to write.

use std::sync::Arc;

use mesh_common::limits::{COMMITS_LEFT_BY_BACKGROUND, COMMITS_MAX};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::pressure::CommitMetrics;

/// The places of one process.
#[derive(Debug)]
pub(crate) struct Commits {
    places: Arc<Semaphore>,
    metrics: CommitMetrics,
}

/// One commit that may be on its way; giving it back is dropping it.
#[derive(Debug)]
pub(crate) struct Place {
    in_flight: IntGauge,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

impl Commits {
    /// All places free.
    pub(crate) fn new(metrics: CommitMetrics) -> Self {
        Self {
            places: Arc::new(Semaphore::new(COMMITS_MAX)),
            metrics,
        }
    }

    /// A place for a commit that somebody waits for, once there is one.
    pub(crate) async fn place(&self) -> Place {
        if self.places.available_permits() == 0 {
            self.metrics.waits.inc();
        }
        // Nobody closes the semaphore: without it nothing would be bounded, and nothing would wait.
        let permit = Arc::clone(&self.places).acquire_owned().await;
        self.taken(permit.ok())
    }

    /// A place for work in the background, if it takes nothing away from anybody.
    pub(crate) fn background_place(&self) -> Option<Place> {
        // While somebody waits none is free.
        let permit = (self.places.available_permits() > COMMITS_LEFT_BY_BACKGROUND)
            .then(|| Arc::clone(&self.places).try_acquire_owned().ok())
            .flatten();
        if permit.is_none() {
            self.metrics.put_off.inc();
        }
        Some(self.taken(Some(permit?)))
    }

    fn taken(&self, permit: Option<OwnedSemaphorePermit>) -> Place {
        self.metrics.in_flight.inc();
        Place {
            in_flight: self.metrics.in_flight.clone(),
            _permit: permit,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::metrics::Metrics;

    fn commits() -> (Commits, CommitMetrics) {
        let metrics = Metrics::new().unwrap().commits;
        (Commits::new(metrics.clone()), metrics)
    }

    fn take(commits: &Commits, count: usize) -> Vec<Place> {
        let place = |_| commits.place().now_or_never().unwrap();
        (0..count).map(place).collect()
    }

    #[test]
    fn as_many_commits_are_on_their_way_as_may_and_the_next_waits() {
        let (commits, metrics) = commits();
        let mut all = take(&commits, COMMITS_MAX);
        assert_eq!(metrics.in_flight.get(), i64::try_from(COMMITS_MAX).unwrap());
        assert_eq!(metrics.waits.get(), 0);
        let (mut first, mut second) = (pin!(commits.place()), pin!(commits.place()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(metrics.waits.get(), 2);
        all.pop();
        assert!(second.as_mut().now_or_never().is_none(), "each in turn");
        assert!(first.as_mut().now_or_never().is_some());
        drop(all);
        assert!(second.as_mut().now_or_never().is_some());
    }

    #[test]
    fn who_waits_no_more_holds_no_place() {
        let (commits, metrics) = commits();
        let all = take(&commits, COMMITS_MAX);
        {
            let mut given_up = Box::pin(commits.place());
            assert!(given_up.as_mut().now_or_never().is_none());
            drop(all);
            // It was given a place, and has not looked yet.
        }
        assert_eq!(metrics.in_flight.get(), 0);
        assert_eq!(take(&commits, COMMITS_MAX).len(), COMMITS_MAX);
    }

    #[test]
    fn work_in_the_background_leaves_room_and_is_put_off() {
        let (commits, metrics) = commits();
        let others = take(&commits, COMMITS_MAX - COMMITS_LEFT_BY_BACKGROUND - 1);
        let last = commits.background_place();
        assert!(last.is_some());
        assert!(commits.background_place().is_none());
        assert_eq!(metrics.put_off.get(), 1);
        assert_eq!(
            take(&commits, COMMITS_LEFT_BY_BACKGROUND).len(),
            COMMITS_LEFT_BY_BACKGROUND,
            "those are left to whoever somebody waits for"
        );
        drop((others, last));
        assert!(commits.background_place().is_some());
    }
}
