//! What operators, the front-end and the process around it ask of the owner of shards.

use std::sync::Arc;

use mesh_common::delivery::pool::{Standing, Totals};
use mesh_common::delivery::{BreakerState, ShardId};
use mesh_common::time::Timestamp;
use tokio::sync::oneshot;

use super::{Dispatcher, Done, complain};
use crate::desk::{DestinationState, Phase, TroubleView};
use crate::outbound::once::{self, CarriedOut, Left};
use crate::outbound::settle::Settlement;
use crate::partition::records::Rows;
use crate::store::{Store, StoreError};

/// Something asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// How the destinations in memory stand.
    Destinations(oneshot::Sender<Vec<DestinationState>>),
    /// What the whole pool does.
    Totals(oneshot::Sender<Totals>),
    /// Something about items, decided by an operator.
    Settle(Vec<Settlement>),
    /// Destinations are to be tried now.
    TryNow(Vec<String>),
    /// Standing orders have changed.
    OrdersChanged,
    /// Tell when there is nothing to be done.
    WhenIdle(oneshot::Sender<()>),
    /// Start nothing more, let what is in flight end, and let go of the shards.
    Stop(oneshot::Sender<()>),
}

impl<S: Store> Dispatcher<S> {
    pub(super) fn handle_command(&mut self, command: Command) {
        let now = self.shared.now();
        match command {
            Command::Destinations(reply) => {
                let _gone = reply.send(self.states(now));
            }
            Command::Totals(reply) => {
                let _gone = reply.send(self.pool.totals(now));
            }
            Command::Settle(settlements) => self.settle_for_operator(settlements),
            Command::TryNow(domains) => {
                for domain in domains {
                    self.handle_news(now, &domain);
                    self.pool.try_now(now, &domain);
                }
            }
            Command::OrdersChanged => self.handle_orders_changed(now),
            Command::WhenIdle(reply) => self.idlers.push(reply),
            Command::Stop(reply) => self.begin_to_stop(Some(reply)),
        }
    }

    /// What an operator decided goes to the ledger like everything else; who asks about shards that are
    /// not ours learns that nothing was done.
    fn settle_for_operator(&mut self, settlements: Vec<Settlement>) {
        for settlement in settlements {
            if self.holding.works_for(settlement.shard) {
                self.ledger.add(settlement, self.moment());
            } else if let Some(reply) = settlement.reply {
                let _gone = reply.send(false);
            }
        }
    }

    /// Begins to carry out what was left for the owner of a shard, if that is us.
    pub(super) fn carry_out(&mut self, left: Left) {
        let Left { shard, key, order } = left;
        if !self.holding.works_for(shard) || !self.once.insert(key.clone()) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let done = match &order {
                Some(order) => once::carry_out(&shared, shard, order).await,
                None => {
                    tracing::error!(
                        incident = "an order of an operator does not read and is dropped",
                        "incident"
                    );
                    Ok(CarriedOut::default())
                }
            };
            Done::CarriedOut { shard, key, done }
        });
    }

    pub(super) fn handle_carried_out(
        &mut self,
        now: Timestamp,
        shard: ShardId,
        key: Vec<u8>,
        done: Result<CarriedOut, StoreError>,
    ) {
        self.once.remove(&key);
        let done = match done {
            Ok(done) => done,
            // The next look finds the order again.
            Err(error) => return complain(&error, "order"),
        };
        self.shared.metrics.outbound.ended_by_operator(done.failed);
        for settlement in done.settlements {
            self.write(settlement);
        }
        for domain in done.domains {
            self.handle_news(now, &domain);
            self.pool.try_now(now, &domain);
        }
        if !done.more {
            let mut rows = Rows::default();
            rows.clear(key);
            self.write(Settlement::of_rows(shard, rows));
        }
    }

    /// Whole destinations are held or let go; what else is held is found when it is read, or about to be
    /// sent; what is no longer held is read again.
    pub(super) fn handle_orders_changed(&mut self, now: Timestamp) {
        let domains: Vec<_> = self.pool.domains().cloned().collect();
        for domain in domains {
            self.obey(now, &domain);
            self.pool.handle_news(now, &domain);
        }
    }

    fn states(&self, now: Timestamp) -> Vec<DestinationState> {
        let domains = self.pool.domains();
        let standing = |domain| self.pool.describe(now, domain);
        domains
            .filter_map(|domain| Some(state_of(now, standing(domain)?)))
            .collect()
    }
}

/// A destination, as operators are shown it.
fn state_of(now: Timestamp, standing: Standing) -> DestinationState {
    let phase = phase_of(now, &standing);
    let remembered = standing.remembered;
    DestinationState {
        domain: remembered.domain,
        phase,
        limit: standing.limit,
        in_flight: standing.in_flight,
        last_success_at: remembered.last_success,
        last_trouble: remembered.trouble.map(|trouble| TroubleView {
            at: trouble.at,
            text: trouble.text,
        }),
    }
}

fn phase_of(now: Timestamp, standing: &Standing) -> Phase {
    let remembered = &standing.remembered;
    match standing.breaker {
        BreakerState::HalfOpen => Phase::Probing,
        BreakerState::Open => Phase::Away {
            next_try_at: remembered.reopens_at.unwrap_or(now),
        },
        BreakerState::Closed => match remembered.paused_until.filter(|until| *until > now) {
            Some(until) => Phase::Paused { until },
            None if standing.in_flight == 0 && standing.waiting == 0 => Phase::Idle,
            None => Phase::Flowing,
        },
    }
}
