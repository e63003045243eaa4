//! Which service each domain had before, for a front-end without a store: back-ends remember it (service §4.3,
//! decision Q-52).
//!
//! A front-end calls back whoever posts to it. Whether the service that answers is the one the domain had
//! before, is known to those who have the store; so a front-end that has just been started, and all the
//! front-ends of one service, believe the same. Without a back-end nobody is believed, and nothing could be taken in
//! either.

use mesh_common::cluster::PartitionId;
use mesh_common::delivery::ShardId;
use mesh_common::discovery::Pinned;
use mesh_common::limits::TRANSACTION_TIME_MAX;
use mesh_peer::{PinFuture, Pins, StoreError};

use super::Router;
use super::asking::PinnedFor;

/// The pins that back-ends keep.
#[derive(Debug, Clone)]
pub struct RoutedPins(Router);

/// A front-end does not undo what operators decide.
#[derive(Debug, thiserror::Error)]
#[error("a back-end or outbound process is to be asked to forget a domain")]
struct NotHere;

/// Another service has the domain, or a newer profile of it was seen.
#[derive(Debug, thiserror::Error)]
#[error("something else is remembered of the domain by now")]
struct Otherwise;

impl RoutedPins {
    /// Pins that the nodes behind `router` keep.
    #[must_use]
    pub const fn new(router: Router) -> Self {
        Self(router)
    }

    async fn ask(&self, domain: &str, seen: Option<&Pinned>) -> Result<Option<Pinned>, StoreError> {
        let inner = &self.0.inner;
        let deadline = inner.clock.now() + TRANSACTION_TIME_MAX;
        let ask = PinnedFor(domain, seen, deadline);
        // Any node will do: domains are spread over them as their queues are.
        let ShardId(shard) = ShardId::of(domain);
        let asked = inner.ask_anybody(PartitionId(shard), &ask);
        let asked = inner.in_time(deadline, asked).await;
        asked.map_err(|failure| {
            let refusal = super::asking::refusal(failure);
            StoreError(refusal.context.unwrap_or(refusal.message).into())
        })
    }
}

impl Pins for RoutedPins {
    fn pinned<'a>(&'a self, domain: &'a str) -> PinFuture<'a, Option<Pinned>> {
        Box::pin(self.ask(domain, None))
    }

    fn pin<'a>(&'a self, domain: &'a str, pinned: &'a Pinned) -> PinFuture<'a, ()> {
        Box::pin(async move {
            let kept = self.ask(domain, Some(pinned)).await?;
            let is_same = kept.is_some_and(|kept| kept.host_key == pinned.host_key);
            is_same
                .then_some(())
                .ok_or_else(|| StoreError(Box::new(Otherwise)))
        })
    }

    fn forget<'a>(&'a self, _: &'a str) -> PinFuture<'a, ()> {
        Box::pin(std::future::ready(Err(StoreError(Box::new(NotHere)))))
    }
}
