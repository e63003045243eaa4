//! For how long the certificates of this process are good yet (cluster §17, measure 52).
//!
//! Computed when it is asked for: nothing has to be told when a certificate is replaced.

use mesh_backend::SystemClock;
use mesh_common::time::{Clock as _, Timestamp};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Opts, Registry};

/// Says when a certificate ends, if that is known.
type NotAfter = Box<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// The life that is left of one certificate.
struct Expiry {
    seconds: Gauge,
    not_after: NotAfter,
}

/// Measures in `registry` the certificate that ends at `not_after`. `dir` says to whom it is shown: `in`, to devices
/// and other services that come; `link`, to processes of the cluster that come to this node; `out`, to the nodes
/// that this process goes to. Other services are shown none: they learn who posts to them by calling back.
pub(super) fn measure(
    registry: &Registry,
    dir: &str,
    not_after: impl Fn() -> Option<Timestamp> + Send + Sync + 'static,
) -> Result<(), prometheus::Error> {
    let opts = Opts::new(
        "mesh_tls_expiry_seconds",
        "Time until the certificate ends that is shown to devices and services (in), to processes of the cluster that come here (link), or to nodes that are called (out).",
    );
    registry.register(Box::new(Expiry {
        seconds: Gauge::with_opts(opts.const_label("dir", dir))?,
        not_after: Box::new(not_after),
    }))
}

impl Collector for Expiry {
    fn desc(&self) -> Vec<&Desc> {
        self.seconds.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(end) = (self.not_after)() else {
            return Vec::new();
        };
        let left = end.as_millis() - SystemClock.now().as_millis();
        self.seconds.set(left as f64 / 1_000.0);
        self.seconds.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_left_is_measured_for_each_certificate_and_is_negative_once_it_has_ended() {
        let registry = Registry::new();
        let (hour, now) = (Duration::from_secs(3_600), SystemClock.now());
        measure(&registry, "in", move || Some(now + hour)).unwrap();
        measure(&registry, "link", || Some(Timestamp::from_secs(0))).unwrap();
        measure(&registry, "unknown", || None).unwrap();
        let families = registry.gather();
        assert_eq!(families.len(), 1);
        let metrics = families[0].get_metric();
        let seconds: Vec<f64> = metrics
            .iter()
            .map(|metric| metric.get_gauge().get_value())
            .collect();
        assert_eq!(seconds.len(), 2, "{metrics:?}");
        assert!(seconds.iter().any(|left| (0.0..=3_600.0).contains(left)));
        assert!(seconds.iter().any(|left| *left < -1_000_000_000.0));
    }
}
