//! Measures of what waits and of what is refused because too much waits (cluster §14; §17, 18, 19, 29 and 32).

use mesh_common::time::Timestamp;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};

use super::Row;
use crate::partition::commands::Operation;

const DEPTH: Row = (
    "mesh_mailbox_depth",
    &[],
    "Requests already waiting for a partition when one more arrived.",
);
const WAIT: Row = (
    "mesh_mailbox_wait_seconds",
    &[],
    "Time that requests waited for a partition until they were taken into a batch.",
);
const REFUSED: Row = (
    "mesh_mailbox_refused_total",
    &["reason"],
    "Requests that a partition gave up before any work: it had as many or as large ones waiting as it may (partition, octets), their account had (account), a newer one took their place under overload (oldest), or they were past their deadline (late).",
);
const NEWEST_FIRST: Row = (
    "mesh_mailbox_newest_first_total",
    &[],
    "Batches taken newest first because requests had waited without a pause.",
);
const COMMITS: Row = (
    "mesh_commits_in_flight",
    &[],
    "Commits of this process that are on their way to the store.",
);
const COMMIT_WAITS: Row = (
    "mesh_commit_waits_total",
    &[],
    "Commits that waited because as many were on their way as may be.",
);
const PUT_OFF: Row = (
    "mesh_background_put_off_total",
    &[],
    "Times that work in the background was put off because commits for requests took the room.",
);
const INTAKE_DEPTH: Row = (
    "mesh_intake_depth",
    &[],
    "Entries that wait in intakes which are not drained as fast as they fill, as the last look counted.",
);
const INTAKE_REFUSED: Row = (
    "mesh_intake_refused_total",
    &["gate"],
    "Messages of other services sent away because too much waits for their recipients, by how far their gates were shut: slow or closed.",
);
const INTAKE_GATES: Row = (
    "mesh_intake_gates",
    &["gate"],
    "Accounts with something in their intakes whose gates are slow or closed.",
);

/// Every measure of this file.
pub(super) const TABLE: &[Row] = &[
    DEPTH,
    WAIT,
    REFUSED,
    NEWEST_FIRST,
    COMMITS,
    COMMIT_WAITS,
    PUT_OFF,
    INTAKE_DEPTH,
    INTAKE_REFUSED,
    INTAKE_GATES,
];

/// What waits for the partitions of one back-end.
#[derive(Debug, Clone)]
pub(crate) struct MailboxMetrics {
    pub(crate) depth: Histogram,
    pub(crate) wait: Histogram,
    pub(crate) refused: IntCounterVec,
    pub(crate) newest_first: IntCounter,
}

impl MailboxMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let steps = |row: Row, buckets: Vec<f64>| {
            Histogram::with_opts(HistogramOpts::new(row.0, row.2).buckets(buckets))
        };
        Ok(Self {
            depth: steps(DEPTH, exponential_buckets(1.0, 2.0, 10)?)?,
            wait: steps(WAIT, exponential_buckets(0.001, 2.0, 13)?)?,
            refused: IntCounterVec::new(Opts::new(REFUSED.0, REFUSED.2), REFUSED.1)?,
            newest_first: IntCounter::new(NEWEST_FIRST.0, NEWEST_FIRST.2)?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.depth.clone()))?;
        registry.register(Box::new(self.wait.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.newest_first.clone()))
    }

    /// Counts a request that is given up.
    pub(crate) fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// Counts a batch of requests that waited until `now`.
    pub(crate) fn taken(&self, operations: &[Operation], now: Timestamp, is_newest_first: bool) {
        for operation in operations {
            self.wait.observe(operation.waited(now).as_secs_f64());
        }
        self.newest_first.inc_by(u64::from(is_newest_first));
    }
}

/// What is on its way to the store.
#[derive(Debug, Clone)]
pub(crate) struct CommitMetrics {
    pub(crate) in_flight: IntGauge,
    pub(crate) waits: IntCounter,
    pub(crate) put_off: IntCounter,
}

impl CommitMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            in_flight: IntGauge::new(COMMITS.0, COMMITS.2)?,
            waits: IntCounter::new(COMMIT_WAITS.0, COMMIT_WAITS.2)?,
            put_off: IntCounter::new(PUT_OFF.0, PUT_OFF.2)?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.in_flight.clone()))?;
        registry.register(Box::new(self.waits.clone()))?;
        registry.register(Box::new(self.put_off.clone()))
    }
}

/// What waits in intakes.
#[derive(Debug, Clone)]
pub(crate) struct IntakeMetrics {
    pub(crate) depth: IntGauge,
    pub(crate) refused: IntCounterVec,
    pub(crate) gates: IntGaugeVec,
}

impl IntakeMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let refused = Opts::new(INTAKE_REFUSED.0, INTAKE_REFUSED.2);
        let gates = Opts::new(INTAKE_GATES.0, INTAKE_GATES.2);
        Ok(Self {
            depth: IntGauge::new(INTAKE_DEPTH.0, INTAKE_DEPTH.2)?,
            refused: IntCounterVec::new(refused, INTAKE_REFUSED.1)?,
            gates: IntGaugeVec::new(gates, INTAKE_GATES.1)?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.depth.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.gates.clone()))
    }
}
