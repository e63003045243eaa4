//! Which back-end is asked: the [`Backend`] of a front-end that has links instead of a store
//! (cluster §4.6, §10, §14; architecture A-3, A-4; decisions Q-5, Q-54, Q-63).
//!
//! ```text
//!  edge ─▶ Router ─┬─ reads, keys, fetches ─▶ owner, else the next one ──┐
//!                  ├─ posts of services ────▶ owner, else any intake ────┤
//!                  ├─ writes ─▶ owner ◀── wait here while there is none ─┼─▶ NodeLink ═▶ back-end
//!                  └─ watches ─▶ owner, followed as it changes ──────────┘
//!                       ▲
//!      routing ◀── tables, ticket secrets ◀── one stream of events from each node
//! ```
//!
//! A front-end knows where partitions are by what nodes tell; it asks, and whoever is asked knows
//! better. Nothing here makes the service right or wrong: one owner per partition is the store's doing
//! (cluster §4.4), and a request that arrives twice is recognized at home. What a router does is find
//! the way quickly, and give up in time:
//!
//! * **Deadlines.** Each request has one; every wait below it ends with it.
//! * **Repetition.** `asking` has the table: what may be asked for again, and why that is safe.
//! * **Handovers.** Writes wait at most three seconds for an owner, so many for a partition and in all
//!   (`parking`), and go on in turn when one is there. Reads and posts never wait for one.
//! * **Networks cut in part.** A write whose owner others can reach goes through one of them (`passing`).
//! * **Memory.** Links, places, watches and all tables are bounded; bodies of requests that wait count
//!   among those that the front-end holds.
//!
//! | module | holds |
//! | --- | --- |
//! | `routing` | what is known of nodes and owners; sans-IO |
//! | `asking` | how one request is asked for |
//! | `passing` | what goes to its owner through another node |
//! | `parking` | where writes wait |
//! | `links` | the links, and what they tell |
//! | `watches` | who waits for which account |
//! | `pins` | which service each domain had, as back-ends remember it |
//! | `tickets` | the secrets of tickets, as they are told |
//! | `finder` | where the first back-ends are |
//! | `measures` | what is measured |

mod asking;
mod finder;
mod links;
mod measures;
mod parking;
mod passing;
mod pins;
mod routing;
mod tickets;
mod watches;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use mesh_common::account::connect::Publication;
use mesh_common::account::is_recognized;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend, CallFailure, Nudge, PartitionId, SigningKeys, Unit, Verified,
    Watch,
};
use mesh_common::delivery::ShardId;
use mesh_common::error::ServiceError;
use mesh_common::limits::{HEARD_DOMAINS_MAX, HEARD_TOLD_INTERVAL, PARTITIONS};
use mesh_common::session::TicketKeys;
use mesh_common::time::{Clock, Timestamp};
use mesh_common::udf::Udf;
use mesh_link::Connector;
use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use asking::{KeysOf, PublishedBy, Reading, Receiving, refusal};
pub use finder::{Finder, Listed};
use links::Links;
pub use measures::Measures;
use parking::Parking;
pub use pins::RoutedPins;
use routing::Routing;
use tickets::ToldTickets;
use watches::Watches;

/// How often it is measured how old the routes are.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// What a router is made of.
pub struct Components {
    /// Where this front-end stands: reads prefer back-ends of the same zone.
    pub zone: String,
    /// Makes links to nodes.
    pub connector: Arc<dyn Connector>,
    /// Finds the first ones.
    pub finder: Arc<dyn Finder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The service whose tickets are sealed under what back-ends tell.
    pub service: Udf,
    /// Where those secrets are put.
    pub tickets: Arc<ArcSwap<TicketKeys>>,
    /// Where measures go.
    pub measures: Measures,
}

/// The back-ends of a cluster, as one. Cloning names the same; the links end with the last clone.
#[derive(Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

/// What a router knows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterState {
    /// Whether any back-end is heard.
    pub is_heard: bool,
    /// How many back-ends are known.
    pub back_ends: usize,
    /// Whether there are secrets for tickets.
    pub has_tickets: bool,
}

struct Inner {
    routing: RwLock<Routing>,
    links: Arc<Links>,
    /// Rung for a partition when something is known of its owner that was not.
    bells: Vec<Notify>,
    parking: Parking,
    watches: Arc<Watches>,
    tickets: ToldTickets,
    shared_tickets: Arc<ArcSwap<TicketKeys>>,
    /// Domains whose services spoke lately.
    heard: Cache<String, ()>,
    connector: Arc<dyn Connector>,
    finder: Arc<dyn Finder>,
    clock: Arc<dyn Clock>,
    measures: Measures,
    started: Instant,
}

impl Router {
    /// Begins to look for back-ends, and to hear them. To be called inside a tokio runtime that lives as
    /// long as the router.
    #[must_use]
    pub fn start(components: Components) -> Self {
        let Components {
            zone,
            connector,
            finder,
            clock,
            service,
            tickets,
            measures,
        } = components;
        let heard = Cache::builder()
            .max_capacity(HEARD_DOMAINS_MAX)
            .time_to_live(HEARD_TOLD_INTERVAL);
        let inner = Arc::new(Inner {
            routing: RwLock::new(Routing::new(zone)),
            links: Arc::default(),
            bells: (0..PARTITIONS).map(|_| Notify::new()).collect(),
            parking: Parking::new(measures.clone()),
            watches: Arc::new(Watches::new()),
            tickets: ToldTickets::new(service, Arc::clone(&tickets)),
            shared_tickets: tickets,
            heard: heard.build(),
            connector,
            finder,
            clock,
            measures,
            started: Instant::now(),
        });
        tokio::spawn(links::keep_links(Arc::downgrade(&inner)));
        tokio::spawn(links::seek(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// What is known now; for those who ask whether the front-end is ready.
    #[must_use]
    pub fn state(&self) -> RouterState {
        let routing = self.inner.routing();
        RouterState {
            is_heard: routing.is_heard(),
            back_ends: routing.back_ends(),
            has_tickets: self.inner.shared_tickets.load().epochs().next().is_some(),
        }
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Router")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn routing(&self) -> RwLockReadGuard<'_, Routing> {
        // Whoever panicked while holding it left a table that is a hint, as ever.
        self.routing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn routing_mut(&self) -> RwLockWriteGuard<'_, Routing> {
        self.routing.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the start.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn bell(&self, PartitionId(partition): PartitionId) -> &Notify {
        &self.bells[usize::from(partition % PARTITIONS)]
    }

    /// Has everybody look again who waits for one of `units`.
    fn wake(&self, units: &BTreeSet<Unit>) {
        for unit in units {
            if let Unit::Partition(partition) = unit {
                self.bell(*partition).notify_waiters();
            }
        }
    }

    /// Tells that the service of `domain` spoke to whoever sends there. Nothing depends on it.
    async fn tell_heard(&self, domain: String) {
        let shard = Unit::Shard(ShardId::of(&domain));
        let address = self.routing().whom_to_tell(shard, self.now());
        let Some(linked) = address.and_then(|address| self.links.get(&address)) else {
            return;
        };
        let nudge = Nudge {
            heard: vec![domain],
            ..Nudge::default()
        };
        if let Err(error) = linked.link.nudge(nudge).await {
            tracing::debug!(node = %linked.address, %error, "a node could not be nudged");
        }
    }
}

impl Backend for Router {
    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>> {
        Box::pin(async move {
            let (inner, ask) = (&self.inner, KeysOf(account, deadline));
            let asked = inner.ask_anybody(PartitionId::of(account), &ask);
            inner.in_time(deadline, asked).await.map_err(refusal)
        })
    }

    fn perform(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        Box::pin(async move {
            let (inner, deadline) = (&self.inner, request.deadline);
            if is_recognized(&request.request) {
                return inner.in_time(deadline, inner.write(&request)).await;
            }
            let ask = Reading(&request);
            let asked = inner.ask_anybody(PartitionId::of(&request.account), &ask);
            inner.in_time(deadline, asked).await
        })
    }

    fn receive(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        Box::pin(async move {
            let (inner, ask) = (&self.inner, Receiving(&request));
            let asked = inner.ask_anybody(PartitionId::of(&request.account), &ask);
            inner.in_time(request.deadline, asked).await
        })
    }

    fn heard_from(&self, domain: &str) {
        if self.inner.heard.contains_key(domain) {
            return;
        }
        let domain = domain.to_owned();
        self.inner.heard.insert(domain.clone(), ());
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.tell_heard(domain).await });
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(self.inner.begin_watch(account))
    }

    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>> {
        Box::pin(async move {
            let (inner, ask) = (&self.inner, PublishedBy(account, id, deadline));
            let asked = inner.ask_anybody(PartitionId::of(account), &ask);
            inner.in_time(deadline, asked).await.map_err(refusal)
        })
    }
}

#[cfg(test)]
mod tests;
