//! Names and help of every measure this crate keeps, in one table (cluster §17), and the values.
//!
//! Labels are few and closed: no account and no partition is ever one, and of peers only the busiest.

pub(crate) mod cluster;
mod destinations;
mod escrow;
pub(crate) mod outbound;
pub(crate) mod pressure;
mod usage;

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
};

use self::cluster::ClusterMetrics;
use self::escrow::EscrowMetrics;
use self::outbound::OutboundMetrics;
use self::pressure::{CommitMetrics, IntakeMetrics, MailboxMetrics};
use self::usage::UsageMetrics;

/// One measure: name, labels, help.
type Row = (&'static str, &'static [&'static str], &'static str);

const OPERATIONS: Row = (
    "mesh_operations_total",
    &["transaction", "status"],
    "Transactions answered by partitions, by transaction and Mesh status/extended status.",
);
const BATCH_OPERATIONS: Row = (
    "mesh_batch_operations",
    &[],
    "Operations committed together in one batch.",
);
const BATCH_BYTES: Row = ("mesh_batch_bytes", &[], "Octets written by one batch.");
const COMMIT_SECONDS: Row = (
    "mesh_commit_seconds",
    &["result"],
    "Time from a batch being built to its result: committed, refused, failed or unknown.",
);
const PARTITIONS_STARTED: Row = (
    "mesh_partitions_started",
    &[],
    "Partitions whose actor is running.",
);
const ACCOUNTS_LOADED: Row = (
    "mesh_accounts_loaded",
    &[],
    "Accounts kept in memory by all partitions.",
);
const PANICS: Row = (
    "mesh_panics_contained_total",
    &["where"],
    "Panics that were contained: in one operation, or in a partition that was then started anew.",
);
const STORE_ERRORS: Row = (
    "mesh_store_errors_total",
    &["what"],
    "Reads and commits the store could not carry out.",
);
const FENCE_REJECTIONS: Row = (
    "mesh_fence_rejections_total",
    &[],
    "Batches refused because another owner holds the partition.",
);
const UPKEEP: Row = (
    "mesh_upkeep_total",
    &["kind"],
    "Rows forgotten and accounts purged because their time had come.",
);
const RETENTION_FRAMES: Row = (
    "mesh_retention_frames_total",
    &["reason"],
    "Frames whose payload was removed (superseded, deleted, read), or that were removed (purged).",
);
const RETENTION_OCTETS: Row = (
    "mesh_retention_octets_total",
    &[],
    "Octets that accounts have back through retention.",
);
const STORE_UP: Row = (
    "mesh_store_up",
    &[],
    "1 while the last commit was answered, else 0.",
);
const INTAKE_WAITING: Row = (
    "mesh_intake_partitions_waiting",
    &[],
    "Partitions with entries in their intakes when somebody looked last.",
);
const INTAKE_AGE: Row = (
    "mesh_intake_age_seconds",
    &[],
    "Age of the oldest entry found at the head of an intake when somebody looked last.",
);
const INTAKE_DRAIN_SECONDS: Row = (
    "mesh_intake_drain_seconds",
    &[],
    "Time from deciding a page of an intake to its commit.",
);
const INTAKE_ENTRIES: Row = (
    "mesh_intake_entries_total",
    &["result"],
    "Entries of intakes drained, by what became of them.",
);
const INTAKE_SET_ASIDE: Row = (
    "mesh_intake_set_aside_total",
    &[],
    "Entries of intakes that could be received in no way and wait for the operator.",
);

const FORWARDED: Row = (
    "mesh_forwarded_total",
    &["status"],
    "Messages that other services posted, by Mesh status/extended status.",
);

/// Every measure of this crate.
const TABLE: &[Row] = &[
    OPERATIONS,
    BATCH_OPERATIONS,
    BATCH_BYTES,
    COMMIT_SECONDS,
    PARTITIONS_STARTED,
    ACCOUNTS_LOADED,
    PANICS,
    STORE_ERRORS,
    FENCE_REJECTIONS,
    UPKEEP,
    RETENTION_FRAMES,
    RETENTION_OCTETS,
    STORE_UP,
    INTAKE_WAITING,
    INTAKE_AGE,
    INTAKE_DRAIN_SECONDS,
    INTAKE_ENTRIES,
    INTAKE_SET_ASIDE,
    FORWARDED,
];

/// The measures of one back-end. Cloning names the same values.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// See the table.
    pub(crate) operations: IntCounterVec,
    pub(crate) mailbox: MailboxMetrics,
    pub(crate) commits: CommitMetrics,
    pub(crate) intake: IntakeMetrics,
    pub(crate) batch_operations: Histogram,
    pub(crate) batch_bytes: Histogram,
    pub(crate) commit_seconds: HistogramVec,
    pub(crate) partitions_started: IntGauge,
    pub(crate) accounts_loaded: IntGauge,
    pub(crate) panics: IntCounterVec,
    pub(crate) store_errors: IntCounterVec,
    pub(crate) fence_rejections: IntCounter,
    pub(crate) upkeep: IntCounterVec,
    pub(crate) retention_frames: IntCounterVec,
    pub(crate) retention_octets: IntCounter,
    pub(crate) store_up: IntGauge,
    pub(crate) intake_waiting: IntGauge,
    pub(crate) intake_age: Gauge,
    pub(crate) intake_drain_seconds: Histogram,
    pub(crate) intake_entries: IntCounterVec,
    pub(crate) intake_set_aside: IntCounter,
    pub(crate) forwarded: IntCounterVec,
    /// Who owns what.
    pub(crate) cluster: ClusterMetrics,
    /// Limits that nodes share.
    pub(crate) escrow: EscrowMetrics,
    /// What leaves for other services.
    pub(crate) outbound: OutboundMetrics,
    /// What domains use.
    pub(crate) usage: UsageMetrics,
}

impl Metrics {
    /// Fresh measures, nothing counted.
    ///
    /// # Errors
    /// A name of the table that prometheus refuses; the test of this module rules that out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counts = |row: Row| IntCounterVec::new(Opts::new(row.0, row.2), row.1);
        let steps = |row: Row, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(row.0, row.2).buckets(buckets.to_vec()))
        };
        let powers = prometheus::exponential_buckets(1.0, 2.0, 10)?;
        Ok(Self {
            operations: counts(OPERATIONS)?,
            mailbox: MailboxMetrics::new()?,
            commits: CommitMetrics::new()?,
            intake: IntakeMetrics::new()?,
            batch_operations: steps(BATCH_OPERATIONS, &powers)?,
            batch_bytes: steps(
                BATCH_BYTES,
                &prometheus::exponential_buckets(1_024.0, 4.0, 7)?,
            )?,
            commit_seconds: HistogramVec::new(
                HistogramOpts::new(COMMIT_SECONDS.0, COMMIT_SECONDS.2)
                    .buckets(prometheus::exponential_buckets(0.000_25, 2.0, 15)?),
                COMMIT_SECONDS.1,
            )?,
            partitions_started: IntGauge::new(PARTITIONS_STARTED.0, PARTITIONS_STARTED.2)?,
            accounts_loaded: IntGauge::new(ACCOUNTS_LOADED.0, ACCOUNTS_LOADED.2)?,
            panics: counts(PANICS)?,
            store_errors: counts(STORE_ERRORS)?,
            fence_rejections: IntCounter::new(FENCE_REJECTIONS.0, FENCE_REJECTIONS.2)?,
            upkeep: counts(UPKEEP)?,
            retention_frames: counts(RETENTION_FRAMES)?,
            retention_octets: IntCounter::new(RETENTION_OCTETS.0, RETENTION_OCTETS.2)?,
            store_up: IntGauge::new(STORE_UP.0, STORE_UP.2)?,
            intake_waiting: IntGauge::new(INTAKE_WAITING.0, INTAKE_WAITING.2)?,
            intake_age: Gauge::new(INTAKE_AGE.0, INTAKE_AGE.2)?,
            intake_drain_seconds: steps(
                INTAKE_DRAIN_SECONDS,
                &prometheus::exponential_buckets(0.000_5, 2.0, 15)?,
            )?,
            intake_entries: counts(INTAKE_ENTRIES)?,
            intake_set_aside: IntCounter::new(INTAKE_SET_ASIDE.0, INTAKE_SET_ASIDE.2)?,
            forwarded: counts(FORWARDED)?,
            cluster: ClusterMetrics::new()?,
            escrow: EscrowMetrics::new()?,
            outbound: OutboundMetrics::new()?,
            usage: UsageMetrics::new()?,
        })
    }

    /// Shows the measures to whoever gathers `registry`.
    ///
    /// # Errors
    /// A name that `registry` has already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.operations.clone()))?;
        self.mailbox.register(registry)?;
        self.commits.register(registry)?;
        self.intake.register(registry)?;
        registry.register(Box::new(self.batch_operations.clone()))?;
        registry.register(Box::new(self.batch_bytes.clone()))?;
        registry.register(Box::new(self.commit_seconds.clone()))?;
        registry.register(Box::new(self.partitions_started.clone()))?;
        registry.register(Box::new(self.accounts_loaded.clone()))?;
        registry.register(Box::new(self.panics.clone()))?;
        registry.register(Box::new(self.store_errors.clone()))?;
        registry.register(Box::new(self.fence_rejections.clone()))?;
        registry.register(Box::new(self.upkeep.clone()))?;
        registry.register(Box::new(self.retention_frames.clone()))?;
        registry.register(Box::new(self.retention_octets.clone()))?;
        registry.register(Box::new(self.store_up.clone()))?;
        registry.register(Box::new(self.intake_waiting.clone()))?;
        registry.register(Box::new(self.intake_age.clone()))?;
        registry.register(Box::new(self.intake_drain_seconds.clone()))?;
        registry.register(Box::new(self.intake_entries.clone()))?;
        registry.register(Box::new(self.intake_set_aside.clone()))?;
        registry.register(Box::new(self.forwarded.clone()))?;
        self.cluster.register(registry)?;
        self.escrow.register(registry)?;
        self.outbound.register(registry)?;
        self.usage.register(registry)
    }

    /// Name, labels and help of every measure, for the operator's documentation.
    pub fn table() -> impl Iterator<Item = (&'static str, &'static [&'static str], &'static str)> {
        let parts = cluster::TABLE.iter().chain(escrow::TABLE);
        let parts = parts.chain(outbound::TABLE).chain(usage::TABLE);
        let parts = parts.chain(pressure::TABLE);
        TABLE.iter().chain(parts).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dashboards and alert rules hang on these names.
    const NAMES: &str = "\
mesh_accounts_loaded
mesh_background_put_off_total
mesh_batch_bytes
mesh_batch_operations
mesh_bounces_total reason
mesh_breaker_opens_total
mesh_breaker_state dest
mesh_clock_skew_seconds
mesh_cluster_nodes state
mesh_commit_seconds result
mesh_commit_waits_total
mesh_commits_in_flight
mesh_containers_bytes tenant
mesh_controller_changes_total rule
mesh_escrow_grants_total
mesh_escrow_stranded
mesh_escrow_unspent
mesh_failover_bound_seconds
mesh_feature_level
mesh_fence_rejections_total
mesh_forwarded_total status
mesh_heartbeat_age_seconds
mesh_intake_age_seconds
mesh_intake_depth
mesh_intake_drain_seconds
mesh_intake_entries_total result
mesh_intake_gates gate
mesh_intake_partitions_waiting
mesh_intake_refused_total gate
mesh_intake_set_aside_total
mesh_mailbox_depth
mesh_mailbox_newest_first_total
mesh_mailbox_refused_total reason
mesh_mailbox_wait_seconds
mesh_operations_total transaction,status
mesh_outq_bytes class
mesh_outq_destinations
mesh_outq_enqueued_total
mesh_outq_finished_total result
mesh_outq_items class
mesh_outq_oldest_seconds
mesh_panics_contained_total where
mesh_partition_takeover_seconds
mesh_partition_takeovers_total cause
mesh_partitions_owned
mesh_partitions_started
mesh_passed_on_total result
mesh_quarantine_items
mesh_quota_refusals_total scope
mesh_retention_frames_total reason
mesh_retention_octets_total
mesh_retry_budget_exhausted_total
mesh_store_errors_total what
mesh_store_up
mesh_transfer_budget
mesh_transfer_inflight dest
mesh_transfer_limit dest
mesh_transfer_seconds dest,phase
mesh_transfer_slow_ratio dest
mesh_transfers_total end
mesh_upkeep_total kind
";

    #[test]
    fn the_names_are_as_dashboards_know_them() {
        let mut lines: Vec<String> = Metrics::table()
            .map(|(name, labels, _)| format!("{name} {}", labels.join(",")).trim().to_owned())
            .collect();
        lines.sort();
        assert_eq!(lines.join("\n") + "\n", NAMES);
        assert!(Metrics::table().all(|(_, _, help)| help.ends_with('.')));
    }

    #[test]
    fn every_measure_of_the_table_is_registered_and_shown() {
        let (metrics, registry) = (Metrics::new().unwrap(), Registry::new());
        metrics.register(&registry).unwrap();
        metrics
            .operations
            .with_label_values(&["Status", "201"])
            .inc();
        metrics
            .commit_seconds
            .with_label_values(&["committed"])
            .observe(0.1);
        metrics.mailbox.refused("late");
        metrics.intake.refused.with_label_values(&["slow"]).inc();
        metrics.intake.gates.with_label_values(&["slow"]).set(1);
        metrics.panics.with_label_values(&["operation"]).inc();
        metrics.store_errors.with_label_values(&["commit"]).inc();
        metrics.upkeep.with_label_values(&["replay"]).inc();
        metrics.intake_entries.with_label_values(&["taken"]).inc();
        metrics.forwarded.with_label_values(&["201"]).inc();
        let cluster = &metrics.cluster;
        cluster.takeovers.with_label_values(&["free"]).inc();
        cluster.nodes.with_label_values(&["active"]).set(1);
        cluster.passed_on.with_label_values(&["answered"]).inc();
        metrics.escrow.refusals.with_label_values(&["tenant"]).inc();
        outbound::tests::exercise(&metrics.outbound);
        metrics.usage.bytes.with_label_values(&["other"]).set(1);
        let frames = &metrics.retention_frames;
        frames.with_label_values(&["deleted"]).inc();
        let mut shown: Vec<String> = registry
            .gather()
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        shown.sort();
        let mut known: Vec<String> = Metrics::table().map(|row| row.0.to_owned()).collect();
        known.sort();
        assert_eq!(shown, known);
    }
}
