//! What a router measures (cluster §17, 7 to 10).

use mesh_common::cluster::{Answer, CallFailure};
use mesh_link::LinkFailure;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The measures of one router.
#[derive(Debug, Clone)]
pub struct Measures {
    pub(crate) cache_age: Gauge,
    pub(crate) moved: IntCounter,
    pub(crate) parked: IntGauge,
    pub(crate) park_seconds: Histogram,
    pub(crate) passed_on: IntCounterVec,
}

impl Measures {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken in `registry` already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let cache_age = Gauge::new(
            "mesh_route_cache_age_seconds",
            "Time since a back-end was last heard that tells where partitions are; 0 while one is.",
        )?;
        let moved = IntCounter::new(
            "mesh_route_moved_total",
            "Requests that met a back-end which does not own the partition.",
        )?;
        let parked = IntGauge::new(
            "mesh_route_parked",
            "Writes that wait at this moment for their partition to have an owner.",
        )?;
        let park_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "mesh_route_park_seconds",
                "Time for which writes waited for their partition to have an owner.",
            )
            .buckets(prometheus::exponential_buckets(0.005, 2.0, 11)?),
        )?;
        let passed_on = IntCounterVec::new(
            Opts::new(
                "mesh_route_passed_on_total",
                "Writes given to another node to bring to an owner that cannot be reached from here: answered, refused, of a node that is not the owner (moved), perhaps carried out (lost), brought to nobody (unreached).",
            ),
            &["result"],
        )?;
        registry.register(Box::new(passed_on.clone()))?;
        registry.register(Box::new(cache_age.clone()))?;
        registry.register(Box::new(moved.clone()))?;
        registry.register(Box::new(parked.clone()))?;
        registry.register(Box::new(park_seconds.clone()))?;
        Ok(Self {
            cache_age,
            moved,
            parked,
            park_seconds,
            passed_on,
        })
    }

    /// Counts what became of a write that another node was to bring to its owner.
    pub(crate) fn count_passed(&self, outcome: &Result<Answer, LinkFailure>) {
        let result = match outcome {
            Ok(_) => "answered",
            Err(LinkFailure::Call(CallFailure::Moved(_))) => "moved",
            Err(failure) if !failure.is_nothing_done() => "lost",
            Err(LinkFailure::Call(_)) => "refused",
            Err(_) => "unreached",
        };
        self.passed_on.with_label_values(&[result]).inc();
    }
}
