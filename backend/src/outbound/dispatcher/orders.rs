//! What operators, the front-end and the process around it ask of the owner of shards.

use mesh_common::delivery::BreakerState;
use mesh_common::delivery::pool::{Standing, Totals};
use mesh_common::time::Timestamp;
use tokio::sync::oneshot;

use super::Dispatcher;
use crate::desk::{DestinationState, Phase, TroubleView};
use crate::outbound::settle::Settlement;
use crate::store::Store;

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
                self.ledger.add(settlement);
            } else if let Some(reply) = settlement.reply {
                let _gone = reply.send(false);
            }
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
