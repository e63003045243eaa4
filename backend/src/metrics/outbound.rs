//! The measures of what leaves for other services (cluster §17, numbers 39 to 54). Destinations are labels
//! within bounds: see [`super::destinations`].
//!
//! What happens is counted when it happens. What stands (windows, breakers, depths) is written when
//! somebody looks: [`OutboundMetrics::show`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_common::delivery::controller::Rule;
use mesh_common::delivery::judge::Fate;
use mesh_common::delivery::pool::Totals;
use mesh_common::delivery::{Attempt, Class, End};
use mesh_common::limits::TRANSFER_SLOW;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::Row;
use super::destinations::{Destinations, OTHER};
use crate::desk::{DestinationState, Phase};
use crate::outbound::Depth;

const ITEMS: Row = (
    "mesh_outq_items",
    &["class"],
    "Messages that wait for other services, each counted once per recipient.",
);
const BYTES: Row = (
    "mesh_outq_bytes",
    &["class"],
    "Octets of the messages that wait for other services.",
);
const DESTINATIONS: Row = (
    "mesh_outq_destinations",
    &[],
    "Destinations that anything waits for.",
);
const OLDEST: Row = (
    "mesh_outq_oldest_seconds",
    &[],
    "Age of the oldest message that waits for another service, at the last look through the queue.",
);
const ENQUEUED: Row = (
    "mesh_outq_enqueued_total",
    &[],
    "Messages that were put into the queue, each counted once per recipient.",
);
const FINISHED: Row = (
    "mesh_outq_finished_total",
    &["result"],
    "Messages that left the queue: received, sent, refused, failed, poison.",
);
const TRANSFER_SECONDS: Row = (
    "mesh_transfer_seconds",
    &["dest", "phase"],
    "Time of transfers: the exchange alone, and all of it with lookup and connection.",
);
const TRANSFER_IN_FLIGHT: Row = ("mesh_transfer_inflight", &["dest"], "Transfers in flight.");
const TRANSFER_LIMIT: Row = (
    "mesh_transfer_limit",
    &["dest"],
    "Transfers that may be in flight at once to a destination.",
);
const SLOW_RATIO: Row = (
    "mesh_transfer_slow_ratio",
    &["dest"],
    "Share of transfers since the last look that timed out or took four seconds or more.",
);
const TRANSFERS: Row = (
    "mesh_transfers_total",
    &["end"],
    "Transfers by how they ended: answered, foreign, timed-out, unreachable, internal.",
);
const BUDGET: Row = (
    "mesh_transfer_budget",
    &[],
    "Transfers that this node may have in flight at once.",
);
const RULES: Row = (
    "mesh_controller_changes_total",
    &["rule"],
    "Windows that were decided by each rule of the controller: A to F, early, governor.",
);
const BREAKER_STATE: Row = (
    "mesh_breaker_state",
    &["dest"],
    "0 while a destination is spoken to, 1 while it is probed, 2 while it is left alone; under other, how many are.",
);
const BREAKER_OPENS: Row = (
    "mesh_breaker_opens_total",
    &[],
    "Destinations that stopped answering.",
);
const RETRIES_PUT_OFF: Row = (
    "mesh_retry_budget_exhausted_total",
    &[],
    "Retries that were put off because their destination had its share of them.",
);
const QUARANTINE: Row = (
    "mesh_quarantine_items",
    &[],
    "Items that were taken out of the queue because handling them failed, and wait for the operator.",
);
const BOUNCES: Row = (
    "mesh_bounces_total",
    &["reason"],
    "Messages that were given up or refused, by the kind of reason.",
);

/// Every measure of what leaves.
pub(super) const TABLE: &[Row] = &[
    ITEMS,
    BYTES,
    DESTINATIONS,
    OLDEST,
    ENQUEUED,
    FINISHED,
    TRANSFER_SECONDS,
    TRANSFER_IN_FLIGHT,
    TRANSFER_LIMIT,
    SLOW_RATIO,
    TRANSFERS,
    BUDGET,
    RULES,
    BREAKER_STATE,
    BREAKER_OPENS,
    RETRIES_PUT_OFF,
    QUARANTINE,
    BOUNCES,
];

/// The measures of one node's outbound pool. Cloning names the same values.
#[derive(Debug, Clone)]
pub(crate) struct OutboundMetrics {
    items: IntGaugeVec,
    bytes: IntGaugeVec,
    pub(crate) destinations_waiting: IntGauge,
    pub(crate) oldest: Gauge,
    pub(crate) enqueued: IntCounter,
    finished: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGaugeVec,
    limit: IntGaugeVec,
    slow_ratio: GaugeVec,
    transfers: IntCounterVec,
    budget: IntGauge,
    rules: IntCounterVec,
    breaker: IntGaugeVec,
    breaker_opens: IntCounter,
    retries_put_off: IntCounter,
    pub(crate) quarantined: IntGauge,
    bounces: IntCounterVec,
    destinations: std::sync::Arc<Destinations>,
    /// The pool's own counts at the last look: they begin anew with each life of its owner.
    counted: std::sync::Arc<Mutex<Totals>>,
}

impl OutboundMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let opts = |row: Row| Opts::new(row.0, row.2);
        let gauges = |row: Row| IntGaugeVec::new(opts(row), row.1);
        let counters = |row: Row| IntCounterVec::new(opts(row), row.1);
        let counter = |row: Row| IntCounter::new(row.0, row.2);
        Ok(Self {
            items: gauges(ITEMS)?,
            bytes: gauges(BYTES)?,
            destinations_waiting: IntGauge::new(DESTINATIONS.0, DESTINATIONS.2)?,
            oldest: Gauge::new(OLDEST.0, OLDEST.2)?,
            enqueued: counter(ENQUEUED)?,
            finished: counters(FINISHED)?,
            seconds: HistogramVec::new(
                HistogramOpts::new(TRANSFER_SECONDS.0, TRANSFER_SECONDS.2)
                    .buckets(vec![0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0]),
                TRANSFER_SECONDS.1,
            )?,
            in_flight: gauges(TRANSFER_IN_FLIGHT)?,
            limit: gauges(TRANSFER_LIMIT)?,
            slow_ratio: GaugeVec::new(opts(SLOW_RATIO), SLOW_RATIO.1)?,
            transfers: counters(TRANSFERS)?,
            budget: IntGauge::new(BUDGET.0, BUDGET.2)?,
            rules: counters(RULES)?,
            breaker: gauges(BREAKER_STATE)?,
            breaker_opens: counter(BREAKER_OPENS)?,
            retries_put_off: counter(RETRIES_PUT_OFF)?,
            quarantined: IntGauge::new(QUARANTINE.0, QUARANTINE.2)?,
            bounces: counters(BOUNCES)?,
            destinations: std::sync::Arc::default(),
            counted: std::sync::Arc::default(),
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.items.clone()))?;
        registry.register(Box::new(self.bytes.clone()))?;
        registry.register(Box::new(self.destinations_waiting.clone()))?;
        registry.register(Box::new(self.oldest.clone()))?;
        registry.register(Box::new(self.enqueued.clone()))?;
        registry.register(Box::new(self.finished.clone()))?;
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.in_flight.clone()))?;
        registry.register(Box::new(self.limit.clone()))?;
        registry.register(Box::new(self.slow_ratio.clone()))?;
        registry.register(Box::new(self.transfers.clone()))?;
        registry.register(Box::new(self.budget.clone()))?;
        registry.register(Box::new(self.rules.clone()))?;
        registry.register(Box::new(self.breaker.clone()))?;
        registry.register(Box::new(self.breaker_opens.clone()))?;
        registry.register(Box::new(self.retries_put_off.clone()))?;
        registry.register(Box::new(self.quarantined.clone()))?;
        registry.register(Box::new(self.bounces.clone()))
    }

    /// A transfer to `domain` is over, which took `whole` with everything before the exchange.
    pub(crate) fn carried(&self, domain: &str, whole: Duration, attempt: &Attempt) {
        let is_slow = matches!(attempt.end, End::TimedOut) || attempt.exchange >= TRANSFER_SLOW;
        let label = self.destinations.count(domain, is_slow);
        let seconds = |phase| self.seconds.with_label_values(&[&*label, phase]);
        seconds("all").observe(whole.as_secs_f64());
        if !attempt.exchange.is_zero() {
            seconds("exchange").observe(attempt.exchange.as_secs_f64());
        }
        let end = match attempt.end {
            End::Answered(_) => "answered",
            End::Foreign { .. } => "foreign",
            End::TimedOut => "timed-out",
            End::Unreachable(_) => "unreachable",
            End::Internal(_) => "internal",
        };
        self.transfers.with_label_values(&[end]).inc();
    }

    /// Something was decided about a message. Where the commit of it fails, it is decided again.
    pub(crate) fn settled(&self, fate: &Fate) {
        let result = match fate {
            Fate::Received => "received",
            Fate::Sent => "sent",
            Fate::Refused(failure) => {
                self.bounced(failure.reason.label());
                "refused"
            }
            Fate::Failed(failure) => {
                self.bounced(failure.reason.label());
                "failed"
            }
            Fate::Poison => "poison",
            Fate::Later { .. } | Fate::Stays | Fate::Mishandled { .. } => return,
        };
        self.finished.with_label_values(&[result]).inc();
    }

    /// An operator ended so many messages.
    pub(crate) fn ended_by_operator(&self, items: u64) {
        self.finished.with_label_values(&["failed"]).inc_by(items);
        self.bounces.with_label_values(&["operator"]).inc_by(items);
    }

    fn bounced(&self, reason: &str) {
        self.bounces.with_label_values(&[reason]).inc();
    }

    /// Writes what stands: how much waits, what the pool does, and how destinations do.
    pub(crate) fn show(
        &self,
        waiting: &[(Class, Depth)],
        totals: &Totals,
        states: &[DestinationState],
    ) {
        for (class, waiting) in waiting {
            let label = match class {
                Class::Interactive => "interactive",
                Class::Bulk => "bulk",
            };
            let items = self.items.with_label_values(&[label]);
            items.set(gauge(waiting.items));
            let bytes = self.bytes.with_label_values(&[label]);
            bytes.set(gauge(waiting.bytes));
        }
        self.show_totals(totals);
        self.show_destinations(states);
    }

    fn show_totals(&self, totals: &Totals) {
        self.budget.set(i64::from(totals.budget));
        let mut before = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        // A count that has shrunk began anew.
        let since = |before: u64, now: u64| if now < before { now } else { now - before };
        for (place, rule) in Rule::ALL.iter().enumerate() {
            let more = since(before.rules[place], totals.rules[place]);
            self.rules.with_label_values(&[rule.label()]).inc_by(more);
        }
        let cuts = since(before.budget_cuts, totals.budget_cuts);
        self.rules.with_label_values(&["governor"]).inc_by(cuts);
        self.breaker_opens
            .inc_by(since(before.opened, totals.opened));
        self.retries_put_off
            .inc_by(since(before.retries_put_off, totals.retries_put_off));
        *before = *totals;
    }

    fn show_destinations(&self, states: &[DestinationState]) {
        let look = self.destinations.look();
        for domain in &look.unlabelled {
            self.forget(domain);
        }
        for (label, ratio) in &look.slow_ratios {
            self.slow_ratio.with_label_values(&[&**label]).set(*ratio);
        }
        let (mut in_flight, mut limit, mut away) = (0, 0, 0);
        for state in states {
            let breaker = match state.phase {
                Phase::Idle | Phase::Flowing | Phase::Paused { .. } => 0,
                Phase::Probing => 1,
                Phase::Away { .. } => 2,
            };
            if self.destinations.is_labelled(&state.domain) {
                self.show_one(
                    &state.domain,
                    (state.in_flight.into(), state.limit.into(), breaker),
                );
            } else {
                in_flight += i64::from(state.in_flight);
                limit += i64::from(state.limit);
                away += i64::from(breaker > 0);
            }
        }
        self.show_one(OTHER, (in_flight, limit, away));
    }

    fn show_one(&self, label: &str, (in_flight, limit, breaker): (i64, i64, i64)) {
        self.in_flight.with_label_values(&[label]).set(in_flight);
        self.limit.with_label_values(&[label]).set(limit);
        self.breaker.with_label_values(&[label]).set(breaker);
    }

    /// Removes everything of a destination that has no label any more. What was not there need not go.
    fn forget(&self, domain: &str) {
        drop(self.in_flight.remove_label_values(&[domain]));
        drop(self.limit.remove_label_values(&[domain]));
        drop(self.slow_ratio.remove_label_values(&[domain]));
        drop(self.breaker.remove_label_values(&[domain]));
        for phase in ["all", "exchange"] {
            drop(self.seconds.remove_label_values(&[domain, phase]));
        }
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use mesh_common::delivery::judge::{Failure, Reason};
    use mesh_common::delivery::{Answered, Unreachable};
    use mesh_common::limits::DESTINATIONS_LABELLED_MAX;
    use mesh_common::time::Timestamp;

    use super::*;

    fn attempt(end: End, exchange: Duration) -> Attempt {
        Attempt {
            end,
            exchange,
            at: Timestamp::from_secs(0),
        }
    }

    fn answered() -> Attempt {
        let end = End::Answered(Answered {
            status: 201,
            extended: None,
            text: String::new(),
            retry_after: None,
        });
        attempt(end, Duration::from_millis(30))
    }

    /// Has every measure say something.
    pub(in crate::metrics) fn exercise(metrics: &OutboundMetrics) {
        metrics.carried("a.example", Duration::from_millis(40), &answered());
        metrics.settled(&Fate::Refused(Failure {
            reason: Reason::Policy,
            text: String::new(),
        }));
        metrics.show(
            &[(Class::Bulk, Depth { items: 2, bytes: 9 })],
            &Totals::default(),
            &[DestinationState::unknown("a.example")],
        );
    }

    #[test]
    fn counts_of_the_pool_go_on_when_it_begins_anew() {
        let metrics = OutboundMetrics::new().unwrap();
        let opened = |opened| Totals {
            opened,
            ..Totals::default()
        };
        for count in [3, 5, 1] {
            metrics.show(&[], &opened(count), &[]);
        }
        assert_eq!(metrics.breaker_opens.get(), 6);
    }

    #[test]
    fn what_becomes_of_messages_is_counted_once_each() {
        let metrics = OutboundMetrics::new().unwrap();
        let failed = Fate::Failed(Failure {
            reason: Reason::Expired,
            text: String::new(),
        });
        let later = Fate::Later {
            due_at: Timestamp::from_secs(1),
        };
        for fate in [
            Fate::Received,
            Fate::Sent,
            failed,
            later,
            Fate::Stays,
            Fate::Poison,
        ] {
            metrics.settled(&fate);
        }
        let finished = |result| metrics.finished.with_label_values(&[result]).get();
        assert_eq!(
            ["received", "sent", "refused", "failed", "poison"].map(finished),
            [1, 1, 0, 1, 1]
        );
        assert_eq!(metrics.bounces.with_label_values(&["expired"]).get(), 1);
    }

    #[test]
    fn ten_thousand_destinations_have_as_many_labels_as_are_allowed() {
        let (metrics, registry) = (OutboundMetrics::new().unwrap(), Registry::new());
        metrics.register(&registry).unwrap();
        let unreachable = attempt(End::Unreachable(Unreachable::NoDomain), Duration::ZERO);
        let mut states = Vec::new();
        for number in 0..10_000 {
            let domain = format!("d{number}.example");
            metrics.carried(&domain, Duration::from_millis(1), &unreachable);
            states.push(DestinationState {
                in_flight: 1,
                ..DestinationState::unknown(&domain)
            });
        }
        metrics.show(&[], &Totals::default(), &states);
        let families = registry.gather();
        let of = |name: &str| {
            families
                .iter()
                .find(|family| family.name() == name)
                .unwrap()
        };
        let labels = DESTINATIONS_LABELLED_MAX + 1;
        assert_eq!(of("mesh_transfer_inflight").get_metric().len(), labels);
        assert_eq!(of("mesh_transfer_seconds").get_metric().len(), labels);
        let other = metrics.in_flight.with_label_values(&[OTHER]).get();
        assert_eq!(other, 10_000 - i64::try_from(labels - 1).unwrap());
    }
}
