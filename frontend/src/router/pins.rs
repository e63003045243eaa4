//! Which service each domain had before, for a front-end without a store: back-ends remember it (service §4.3,
//! decision Q-52).
//!
//! A front-end calls back whoever posts to it. Whether the service that answers is the one the domain had
//! before, is known to those who have the store; so a front-end that has just been started, and all the
//! front-ends of one service, believe the same. Without a back-end nobody is believed, and nothing could be taken in
//! either.
//!
//! Back-ends of an older release remember nothing. While none of a newer one is there, this front-end remembers by
//! itself what it has seen, for as long as it lives, and tells it when there is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_common::cluster::PartitionId;
use mesh_common::delivery::ShardId;
use mesh_common::discovery::Pinned;
use mesh_common::limits::{PINS_OF_FRONT_END_MAX, TRANSACTION_TIME_MAX};
use mesh_peer::{PinFuture, Pins, StoreError};
use moka::sync::Cache;

use super::Router;
use super::asking::{PinnedFor, Remembered};

/// The pins that back-ends keep.
#[derive(Debug, Clone)]
pub struct RoutedPins {
    router: Router,
    own: Arc<Own>,
}

/// What is remembered here, since no back-end does.
#[derive(Debug)]
struct Own {
    pins: Cache<String, Pinned>,
    /// Whether that was so when a back-end was asked last.
    is_alone: AtomicBool,
}

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
    pub fn new(router: Router) -> Self {
        let own = Own {
            pins: Cache::new(PINS_OF_FRONT_END_MAX),
            is_alone: AtomicBool::new(false),
        };
        Self {
            router,
            own: Arc::new(own),
        }
    }

    async fn ask(&self, domain: &str, seen: Option<&Pinned>) -> Result<Remembered, StoreError> {
        let inner = &self.router.inner;
        let deadline = inner.clock.now() + TRANSACTION_TIME_MAX;
        let ask = PinnedFor(domain, seen, deadline);
        // Any node will do: domains are spread over them as their queues are.
        let ShardId(shard) = ShardId::of(domain);
        let asked = inner.ask_anybody(PartitionId(shard), &ask);
        let asked = inner.in_time(deadline, asked).await;
        let remembered = asked.map_err(|failure| {
            let refusal = super::asking::refusal(failure);
            StoreError(refusal.context.unwrap_or(refusal.message).into())
        })?;
        self.own.note(matches!(remembered, Remembered::Nothing));
        Ok(remembered)
    }

    async fn remembered(&self, domain: &str) -> Result<Option<Pinned>, StoreError> {
        let known = self.ask(domain, None).await?;
        let own = self.own.pins.get(domain);
        match (known, own) {
            (Remembered::Nothing, own) => Ok(own),
            (Remembered::As(None), Some(own)) => {
                // It was seen when there was nobody to tell.
                self.remember(domain, &own).await?;
                Ok(Some(own))
            }
            (Remembered::As(known), _) => Ok(known.map(|known| *known)),
        }
    }

    async fn remember(&self, domain: &str, seen: &Pinned) -> Result<(), StoreError> {
        match self.ask(domain, Some(seen)).await? {
            Remembered::As(Some(kept)) if kept.host_key == seen.host_key => {
                self.own.pins.invalidate(domain);
                Ok(())
            }
            Remembered::As(_) => Err(StoreError(Box::new(Otherwise))),
            Remembered::Nothing => {
                self.own.pins.insert(domain.to_owned(), seen.clone());
                Ok(())
            }
        }
    }
}

impl Own {
    /// Says so when it has changed.
    fn note(&self, is_alone: bool) {
        if self.is_alone.swap(is_alone, Ordering::Relaxed) == is_alone {
            return;
        }
        if is_alone {
            tracing::warn!(
                "the back-ends are of an older release and do not remember which service a domain has: this \
                 process does, until it ends or one of them is replaced"
            );
        } else {
            tracing::info!("back-ends remember which service a domain has");
        }
    }
}

impl Pins for RoutedPins {
    fn pinned<'a>(&'a self, domain: &'a str) -> PinFuture<'a, Option<Pinned>> {
        Box::pin(self.remembered(domain))
    }

    fn pin<'a>(&'a self, domain: &'a str, pinned: &'a Pinned) -> PinFuture<'a, ()> {
        Box::pin(self.remember(domain, pinned))
    }

    fn forget<'a>(&'a self, _: &'a str) -> PinFuture<'a, ()> {
        Box::pin(std::future::ready(Err(StoreError(Box::new(NotHere)))))
    }
}
