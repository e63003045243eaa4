//! The measures of the cluster, as one node sees it (cluster §17, numbers 11 to 17, 57 and 61).
//!
//! Draft: cluster §17 compares the wall clock with the store's (61). Here it is compared with the
//! machine's own monotonic one since the start, over any store: what matters is that it jumps.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::Row;

const PARTITIONS_OWNED: Row = (
    "mesh_partitions_owned",
    &[],
    "Partitions that this node owns.",
);
const TAKEOVERS: Row = (
    "mesh_partition_takeovers_total",
    &["cause"],
    "Partitions claimed: nobody's (free), let go of (released), of a node not heard of (silent) or gone (gone), our own again (renewed).",
);
const TAKEOVER_SECONDS: Row = (
    "mesh_partition_takeover_seconds",
    &[],
    "Time from deciding to claim to the end of the commit.",
);
const HEARTBEAT_AGE: Row = (
    "mesh_heartbeat_age_seconds",
    &[],
    "Time since the last heartbeat began that is known to be committed.",
);
const NODES: Row = (
    "mesh_cluster_nodes",
    &["state"],
    "Nodes as this one sees them: active, draining, silent.",
);
const FAILOVER_BOUND: Row = (
    "mesh_failover_bound_seconds",
    &[],
    "Time after which writes of a node that died are taken by others at the latest, by the settings.",
);
const FEATURE_LEVEL: Row = (
    "mesh_feature_level",
    &[],
    "Which kinds of rows may be in the store, as this process last saw.",
);
const CLOCK_SKEW: Row = (
    "mesh_clock_skew_seconds",
    &[],
    "How far the wall clock has gone from where the monotonic clock says since the start.",
);
const PASSED_ON: Row = (
    "mesh_passed_on_total",
    &["result"],
    "Requests passed on to their owner for front-ends that cannot reach it: answered, refused or busy (refused), of a node that is not the owner (moved), without an answer (lost), brought to nobody (unreached).",
);

/// Every measure of this module.
pub(super) const TABLE: &[Row] = &[
    PARTITIONS_OWNED,
    TAKEOVERS,
    TAKEOVER_SECONDS,
    HEARTBEAT_AGE,
    NODES,
    FAILOVER_BOUND,
    FEATURE_LEVEL,
    CLOCK_SKEW,
    PASSED_ON,
];

/// The measures of one node. Cloning names the same values.
#[derive(Debug, Clone)]
pub(crate) struct ClusterMetrics {
    pub(crate) partitions_owned: IntGauge,
    pub(crate) takeovers: IntCounterVec,
    pub(crate) takeover_seconds: Histogram,
    pub(crate) heartbeat_age: Gauge,
    pub(crate) nodes: IntGaugeVec,
    pub(crate) failover_bound: Gauge,
    pub(crate) feature_level: IntGauge,
    pub(crate) clock_skew: Gauge,
    pub(crate) passed_on: IntCounterVec,
}

impl ClusterMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            partitions_owned: IntGauge::new(PARTITIONS_OWNED.0, PARTITIONS_OWNED.2)?,
            takeovers: IntCounterVec::new(Opts::new(TAKEOVERS.0, TAKEOVERS.2), TAKEOVERS.1)?,
            takeover_seconds: Histogram::with_opts(
                HistogramOpts::new(TAKEOVER_SECONDS.0, TAKEOVER_SECONDS.2)
                    .buckets(prometheus::exponential_buckets(0.001, 2.0, 13)?),
            )?,
            heartbeat_age: Gauge::new(HEARTBEAT_AGE.0, HEARTBEAT_AGE.2)?,
            nodes: IntGaugeVec::new(Opts::new(NODES.0, NODES.2), NODES.1)?,
            failover_bound: Gauge::new(FAILOVER_BOUND.0, FAILOVER_BOUND.2)?,
            feature_level: IntGauge::new(FEATURE_LEVEL.0, FEATURE_LEVEL.2)?,
            clock_skew: Gauge::new(CLOCK_SKEW.0, CLOCK_SKEW.2)?,
            passed_on: IntCounterVec::new(Opts::new(PASSED_ON.0, PASSED_ON.2), PASSED_ON.1)?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.partitions_owned.clone()))?;
        registry.register(Box::new(self.takeovers.clone()))?;
        registry.register(Box::new(self.takeover_seconds.clone()))?;
        registry.register(Box::new(self.heartbeat_age.clone()))?;
        registry.register(Box::new(self.nodes.clone()))?;
        registry.register(Box::new(self.failover_bound.clone()))?;
        registry.register(Box::new(self.feature_level.clone()))?;
        registry.register(Box::new(self.clock_skew.clone()))?;
        registry.register(Box::new(self.passed_on.clone()))
    }
}
