//! The measures of discovery (cluster §17, number 51): how long lookups take and how they end, and how often
//! what was known before goes on being used.

use std::time::Duration;

use mesh_common::discovery::Lookup;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, Registry};

/// The measures of one process. Cloning names the same values.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    seconds: HistogramVec,
    stale: IntCounter,
}

impl Measures {
    /// Fresh measures, nothing counted.
    ///
    /// # Errors
    /// A name that prometheus refuses; the test of this module rules that out.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let seconds = HistogramOpts::new(
            "mesh_dns_seconds",
            "Time of lookups of services in DNS, by how they ended: found, absent, failed.",
        );
        Ok(Self {
            seconds: HistogramVec::new(
                seconds.buckets(vec![0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0]),
                &["result"],
            )?,
            stale: IntCounter::new(
                "mesh_dns_stale_served_total",
                "Lookups that failed where what was known before goes on being used.",
            )?,
        })
    }

    /// Shows the measures to whoever gathers `registry`.
    pub(crate) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.stale.clone()))
    }

    /// A lookup is over.
    pub(crate) fn looked_up(&self, time: Duration, lookup: &Lookup) {
        let result = match lookup {
            Lookup::Found { .. } => "found",
            Lookup::Absent(_) => "absent",
            Lookup::Failed(_) => "failed",
        };
        let seconds = self.seconds.with_label_values(&[result]);
        seconds.observe(time.as_secs_f64());
    }

    /// A lookup failed, and the answer before it is used.
    pub(crate) fn served_stale(&self) {
        self.stale.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_measured_by_how_they_end() {
        let (measures, registry) = (Measures::new().unwrap(), Registry::new());
        measures.register(&registry).unwrap();
        let failed = Lookup::Failed("SERVFAIL".into());
        measures.looked_up(Duration::from_millis(30), &failed);
        measures.served_stale();
        let seconds = measures.seconds.with_label_values(&["failed"]);
        assert_eq!(seconds.get_sample_count(), 1);
        let families = registry.gather();
        let names: Vec<&str> = families.iter().map(|family| family.name()).collect();
        assert_eq!(names, ["mesh_dns_seconds", "mesh_dns_stale_served_total"]);
    }
}
