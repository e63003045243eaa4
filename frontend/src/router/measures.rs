//! What a router measures (cluster §17, 7 to 10).

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// The measures of one router.
#[derive(Debug, Clone)]
pub struct Measures {
    pub(crate) cache_age: Gauge,
    pub(crate) moved: IntCounter,
    pub(crate) parked: IntGauge,
    pub(crate) park_seconds: Histogram,
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
        registry.register(Box::new(cache_age.clone()))?;
        registry.register(Box::new(moved.clone()))?;
        registry.register(Box::new(parked.clone()))?;
        registry.register(Box::new(park_seconds.clone()))?;
        Ok(Self {
            cache_age,
            moved,
            parked,
            park_seconds,
        })
    }
}
