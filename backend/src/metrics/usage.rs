//! Measures of what domains use (cluster §17, 34).

use prometheus::{IntGaugeVec, Opts, Registry};

use super::Row;
use crate::desk::DomainView;

const BYTES: Row = (
    "mesh_containers_bytes",
    &["tenant"],
    "Octets that the accounts of a domain store: of the domains that store most; the rest is `other`. \
     The same at every node of a cluster.",
);

/// Every measure of this file.
pub(super) const TABLE: &[Row] = &[BYTES];

/// Domains that are shown by name.
const NAMED_MAX: usize = 50;

/// The measures of one node.
#[derive(Debug, Clone)]
pub(crate) struct UsageMetrics {
    pub(crate) bytes: IntGaugeVec,
}

impl UsageMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            bytes: IntGaugeVec::new(Opts::new(BYTES.0, BYTES.2), BYTES.1)?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.bytes.clone()))
    }

    /// Shows these domains, those that store most in front.
    pub(crate) fn show(&self, domains: &[DomainView]) {
        let gauge = |octets: u64| i64::try_from(octets).unwrap_or(i64::MAX);
        let (named, rest) = domains.split_at(domains.len().min(NAMED_MAX));
        self.bytes.reset();
        for one in named {
            let bytes = self.bytes.with_label_values(&[&one.domain]);
            bytes.set(gauge(one.octets));
        }
        if !rest.is_empty() {
            let octets = rest.iter().map(|one| one.octets);
            let octets = octets.fold(0, u64::saturating_add);
            self.bytes.with_label_values(&["other"]).set(gauge(octets));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domains_that_store_most_are_shown_and_the_rest_together() {
        let view = |number: u64| DomainView {
            domain: format!("d{number}.example"),
            accounts: 1,
            accounts_max: None,
            octets_max: None,
            messages_per_day_max: None,
            octets: 1_000 - number,
            messages_today: 0,
        };
        let domains: Vec<DomainView> = (0..NAMED_MAX as u64 + 2).map(view).collect();
        let metrics = UsageMetrics::new().unwrap();
        metrics.show(&domains);
        let shown = |name: &str| metrics.bytes.with_label_values(&[name]).get();
        assert_eq!((shown("d0.example"), shown("other")), (1_000, 950 + 949));
        metrics.show(&domains[1..2]);
        assert_eq!(
            (shown("d0.example"), shown("d1.example"), shown("other")),
            (0, 999, 0),
            "what is shown no more is gone"
        );
    }
}
