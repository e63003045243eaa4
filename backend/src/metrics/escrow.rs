//! Measures of limits that nodes share (cluster §17, 35 and 36).

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::Row;

const REFUSALS: Row = (
    "mesh_quota_refusals_total",
    &["scope"],
    "Times that a limit was met which nodes share, by its kind.",
);
const GRANTS: Row = (
    "mesh_escrow_grants_total",
    &[],
    "Commits by which this node was granted parts of limits that nodes share.",
);
const UNSPENT: Row = (
    "mesh_escrow_unspent",
    &[],
    "Messages that this node may still queue by what it was granted, over all limits.",
);
const STRANDED: Row = (
    "mesh_escrow_stranded",
    &[],
    "Messages granted to nodes that are gone and not in the queue, as the last count found.",
);

/// Every measure of this file.
pub(super) const TABLE: &[Row] = &[REFUSALS, GRANTS, UNSPENT, STRANDED];

/// The measures of one node.
#[derive(Debug, Clone)]
pub(crate) struct EscrowMetrics {
    pub(crate) refusals: IntCounterVec,
    pub(crate) grants: IntCounter,
    pub(crate) unspent: IntGauge,
    pub(crate) stranded: IntGauge,
}

impl EscrowMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            refusals: IntCounterVec::new(Opts::new(REFUSALS.0, REFUSALS.2), REFUSALS.1)?,
            grants: IntCounter::new(GRANTS.0, GRANTS.2)?,
            unspent: IntGauge::new(UNSPENT.0, UNSPENT.2)?,
            stranded: IntGauge::new(STRANDED.0, STRANDED.2)?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.refusals.clone()))?;
        registry.register(Box::new(self.grants.clone()))?;
        registry.register(Box::new(self.unspent.clone()))?;
        registry.register(Box::new(self.stranded.clone()))
    }
}
