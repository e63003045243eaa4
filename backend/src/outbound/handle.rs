//! The queue to other services as the rest of the process holds it: started with a carrier, asked,
//! steered, stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::Arbiter;
use mesh_common::delivery::Class;
use mesh_common::delivery::pool::Totals;
use mesh_common::limits::{OUTBOUND_COMMANDS_MAX, OUTBOUND_STOP_TIME_MAX};
use tokio::sync::{mpsc, oneshot};

use super::carrier::Carrier;
use super::config::OutboundConfig;
use super::depths::Depth;
use super::dispatcher::orders::Command;
use super::dispatcher::{Dispatcher, End};
use super::holding::Holding;
use super::load::{Found, found};
use super::once::{Once, OnceOrder};
use super::settle::{Place, Settlement};
use super::takeover::{TakeoverError, fence_off_the_past, take_over};
use crate::config::ConfigError;
use crate::desk::{Answer, DeskError, DestinationState, PoolDesk, Selection};
use crate::handle::{BackendHandle, Inner};
use crate::partition::commands::contained_future;
use crate::partition::shared::{Shared, chain};
use crate::store::{KeyRange, Limit, Order, Page, Read, Store, Tx, TxOptions, keys};

/// Time to the next try after the owner of the shards broke, or could not take them over.
const RESTART_TIME: Duration = Duration::from_secs(1);
/// Rows that an operator's order looks at together.
const PAGE_ROWS: usize = 64;

/// Why nothing is sent to other services.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// A setting is out of bounds.
    #[error("the settings of the outbound pool are not usable")]
    Config(#[from] ConfigError),
    /// The shards could not be taken over.
    #[error("the queues to other services cannot be taken over")]
    Takeover(#[from] TakeoverError),
    /// It runs already, or the back-end is stopping.
    #[error("messages are sent to other services already, or the back-end is stopping")]
    Running,
}

/// The queue to other services, and who empties it. Cloning names the same one.
pub struct Outbound<S: Store> {
    shared: Arc<Shared<S>>,
    commands: mpsc::Sender<Command>,
}

impl<S: Store> Clone for Outbound<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            commands: self.commands.clone(),
        }
    }
}

impl<S: Store> std::fmt::Debug for Outbound<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outbound").finish_non_exhaustive()
    }
}

impl<S: Store> BackendHandle<S> {
    /// Takes over the queues to other services, and begins to empty them through `carrier`, on a thread of
    /// its own. To be called once, inside an actix system.
    ///
    /// # Errors
    /// [`OutboundError`]: nothing is sent.
    pub async fn start_outbound(
        &self,
        config: &OutboundConfig,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Outbound<S>, OutboundError> {
        config.check()?;
        let inner = &self.inner;
        let (commands, asked) = mpsc::channel(OUTBOUND_COMMANDS_MAX);
        let outbound = Outbound {
            shared: Arc::clone(&inner.shared),
            commands,
        };
        if inner.is_stopping() || inner.outbound.set(outbound.clone()).is_err() {
            return Err(OutboundError::Running);
        }
        // In a cluster shards are claimed one by one, by the loop of the node.
        let holding = match inner.shared.shards.are_shared() {
            true => Holding::default(),
            false => take_over(&inner.shared).await?,
        };
        let lives = Lives {
            shared: Arc::clone(&inner.shared),
            home: Arc::downgrade(inner),
            carrier,
            config: *config,
            asked,
        };
        let arbiter = Arbiter::new();
        arbiter.spawn(lives.run(holding));
        inner.keep_thread(arbiter);
        Ok(outbound)
    }

    /// The queue to other services, if it is emptied from here.
    #[must_use]
    pub fn outbound(&self) -> Option<&Outbound<S>> {
        self.inner.outbound.get()
    }
}

/// The owners of shards of one process, one after the other: whoever breaks is followed by another one. Since
/// a commit of the one before it may still be on its way, it claims the shards anew; or, in a cluster, writes
/// their records once more as they are, so that their epochs stay those that the loop of the node knows.
struct Lives<S: Store> {
    shared: Arc<Shared<S>>,
    home: std::sync::Weak<Inner<S>>,
    carrier: Arc<dyn Carrier>,
    config: OutboundConfig,
    asked: mpsc::Receiver<Command>,
}

/// Empties the queues of the shards that are ours through `carrier`, where everything else is simulated.
#[cfg(feature = "bottle")]
pub(crate) async fn dispatch<S: Store>(
    shared: Arc<Shared<S>>,
    carrier: Arc<dyn Carrier>,
    config: OutboundConfig,
) {
    // As long as somebody could ask, it works.
    let (_commands, asked) = mpsc::channel(1);
    let lives = Lives {
        shared,
        home: std::sync::Weak::new(),
        carrier,
        config,
        asked,
    };
    lives.run(Holding::default()).await;
}

impl<S: Store> Lives<S> {
    async fn run(mut self, holding: Holding) {
        let mut next = Some(holding);
        loop {
            let holding = match next.take() {
                Some(holding) => holding,
                None => match self.take_over_again().await {
                    Some(holding) => holding,
                    None if self.rest().await => return,
                    None => continue,
                },
            };
            let dispatcher = Dispatcher::new(
                Arc::clone(&self.shared),
                self.home.clone(),
                Arc::clone(&self.carrier),
                &self.config,
                holding,
            );
            match contained_future(dispatcher.run(&mut self.asked)).await {
                Some(End::Stopped) => return,
                Some(End::Broken) | None => self.report_end(),
            }
            if self.rest().await {
                return;
            }
        }
    }

    /// What the next life begins with; nothing while the store does not take that.
    async fn take_over_again(&self) -> Option<Holding> {
        let shared = &self.shared;
        if shared.shards.are_shared() {
            let is_done = fence_off_the_past(shared).await;
            shared.shards.note_bad_end();
            return is_done.then(Holding::default);
        }
        match take_over(shared).await {
            Ok(holding) => Some(holding),
            Err(error) => {
                tracing::error!(cause = chain(&error), "the queue cannot be taken over");
                None
            }
        }
    }

    fn report_end(&self) {
        let panics = &self.shared.metrics.panics;
        panics.with_label_values(&["outbound"]).inc();
        tracing::error!("the owner of the queue panicked and is started anew");
    }

    /// Waits before the next life; says whether there is to be none.
    async fn rest(&mut self) -> bool {
        let pace = &self.shared.pace;
        let until = pace.moment() + RESTART_TIME;
        let left = || until.saturating_duration_since(pace.moment());
        while let Some(command) = pace.within(left(), self.asked.recv()).await {
            match command {
                None => return true,
                Some(Command::Stop(reply)) => {
                    let _gone = reply.send(());
                    return true;
                }
                // Whoever asked anything else is told that nobody answers.
                Some(_) => {}
            }
        }
        false
    }
}

impl<S: Store> Outbound<S> {
    /// How much waits for `destination` (canonical).
    #[must_use]
    pub fn depth_of_destination(&self, destination: &str) -> Depth {
        self.shared.depths.of_destination(destination)
    }

    /// How much waits that senders of `tenant` (canonical) posted.
    #[must_use]
    pub fn depth_of_tenant(&self, tenant: &str) -> Depth {
        self.shared.depths.of_tenant(tenant)
    }

    /// How much waits of one class.
    #[must_use]
    pub fn depth_of_class(&self, class: Class) -> Depth {
        self.shared.depths.of_class(class)
    }

    /// What the whole pool does.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn totals(&self) -> Result<Totals, DeskError> {
        self.ask(Command::Totals).await
    }

    /// Waits until there is nothing to be done at present: for tests, and for who wants to see an end.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn idle(&self) -> Result<(), DeskError> {
        self.ask(Command::WhenIdle).await
    }

    /// Starts nothing more, lets what is in flight end, at most [`OUTBOUND_STOP_TIME_MAX`], and lets go of
    /// the shards. The back-end itself does so when it stops; whoever is called back by peers does it before it
    /// stops listening.
    ///
    /// A node of a cluster thereby begins to leave it, since the others are to have its shards.
    pub async fn stop(&self) {
        const GRACE: Duration = Duration::from_secs(2);
        let shared = &self.shared;
        if let Some(membership) = &shared.membership {
            membership.leave();
            let left =
                tokio::time::timeout(OUTBOUND_STOP_TIME_MAX + GRACE, shared.shards.none_left());
            if left.await.is_err() {
                tracing::warn!("shards of the queue were not let go of one by one in time");
            }
        }
        let stopped = tokio::time::timeout(OUTBOUND_STOP_TIME_MAX + GRACE, self.ask(Command::Stop));
        if stopped.await.is_err() {
            tracing::warn!(
                "the queue to other services does not stop; what was in flight is sent again"
            );
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| nobody())
    }

    async fn tell(&self, command: Command) -> Result<(), DeskError> {
        let told = self.commands.send(command).await;
        told.map_err(|_| nobody())
    }

    /// Carries `order` out in the shards that are worked for here, page by page. Says how many items it was
    /// about, and which destinations the selected ones are for.
    async fn carry_out(&self, order: &OnceOrder) -> Result<(u64, BTreeSet<String>), DeskError> {
        let now = self.shared.now();
        let (mut items, mut domains) = (0, BTreeSet::new());
        let mut rest = Some(match order.selection.destination() {
            Some(domain) => keys::queue(domain),
            None => keys::all_queues(),
        });
        while let Some(range) = rest {
            let page = self.page(&range).await?;
            rest = page.rest(&range, Order::Forward);
            let mut settlements = Vec::new();
            for row in page.rows {
                let (key, value) = (row.key.to_vec(), row.value.clone());
                let Found::Item(item) = found(row) else {
                    continue;
                };
                let is_ours = self.shared.queue_bell.is_home(item.shard());
                if !is_ours || !order.selection.matches(&item) {
                    continue;
                }
                domains.insert(item.destination().to_owned());
                let place = Place {
                    key,
                    expected: Some(value),
                };
                if order.is_about(&item, now) {
                    settlements.push(order.settlement(&item, place, now));
                } else {
                    items += 1;
                }
            }
            items += self.settle(settlements).await?;
        }
        Ok((items, domains))
    }

    async fn page(&self, range: &KeyRange) -> Result<Page, DeskError> {
        let tx = self.shared.store.begin(TxOptions::default());
        let limit = Limit::rows(PAGE_ROWS);
        Ok(tx
            .range(range, limit, Order::Forward, Read::Snapshot)
            .await?)
    }

    /// Has `settlements` committed, and says how many there still was something to settle of.
    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<u64, DeskError> {
        let mut answers = Vec::with_capacity(settlements.len());
        for settlement in &mut settlements {
            let (reply, answer) = oneshot::channel();
            settlement.reply = Some(reply);
            answers.push(answer);
        }
        if !settlements.is_empty() {
            self.tell(Command::Settle(settlements)).await?;
        }
        let mut done = 0;
        for answer in answers {
            done += u64::from(answer.await.map_err(|_| nobody())?);
        }
        Ok(done)
    }
}

impl<S: Store> PoolDesk for Outbound<S> {
    fn destinations(&self) -> Answer<'_, Vec<DestinationState>> {
        Box::pin(self.ask(Command::Destinations))
    }

    fn retry<'a>(&'a self, selection: &'a Selection) -> Answer<'a, u64> {
        Box::pin(async move {
            let order = OnceOrder {
                selection: selection.clone(),
                once: Once::Retry,
            };
            let (items, domains) = self.carry_out(&order).await?;
            let domains = domains.into_iter().collect();
            self.tell(Command::TryNow(domains)).await?;
            Ok(items)
        })
    }

    fn fail<'a>(&'a self, selection: &'a Selection, reason: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let order = OnceOrder {
                selection: selection.clone(),
                once: Once::Fail {
                    reason: reason.to_owned(),
                },
            };
            let (items, _) = self.carry_out(&order).await?;
            self.shared.metrics.outbound.ended_by_operator(items);
            Ok(items)
        })
    }

    fn orders_changed(&self) {
        if self.commands.try_send(Command::OrdersChanged).is_err() {
            tracing::warn!("nobody listens that orders have changed; the round finds what follows");
        }
    }
}

fn nobody() -> DeskError {
    DeskError::Unavailable {
        cause: "the queue is being taken over, or the service stops".to_owned(),
    }
}
