//! How much other services may post, and how often they may make us call somebody (service §8, site
//! policy of §7.3: allow, throttle, block; decisions ).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use mesh_common::address::canonical_domain;
use mesh_common::error::ServiceError;
use mesh_common::limits::{RATE_KEYS_MAX, RATE_NEW_DOMAINS_PER_SECOND, RATE_UNKNOWN_PAUSE};
use mesh_common::udf::Udf;
use moka::sync::Cache;

use super::{Rate, Source, check, too_often};
use crate::config::RateConfig;

/// The rates of forwarding services.
pub(super) struct Forwarding {
    each: Rate<String>,
    /// Services with a rate of their own, by canonical domain or by UDF.
    throttled: BTreeMap<String, Arc<DefaultDirectRateLimiter>>,
    unknown: Rate<String>,
    /// Domains that posted for too many accounts that do not exist.
    paused: Cache<String, ()>,
    new_domains: Rate<Source>,
}

impl Forwarding {
    pub(super) fn new(config: &RateConfig) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let each = Quota::per_second(at_least_one(config.forwarding_per_second))
            .allow_burst(at_least_one(config.forwarding_burst));
        let unknown = at_least_one(config.forwarding_unknown_per_minute);
        let throttled = config
            .throttled_services
            .iter()
            .flat_map(|(name, per_second)| {
                let quota = Quota::per_second(at_least_one(*per_second));
                let limiter = Arc::new(RateLimiter::direct(quota));
                names(name).map(move |name| (name, Arc::clone(&limiter)))
            });
        Self {
            each: Rate::new(each),
            throttled: throttled.collect(),
            unknown: Rate::new(Quota::per_minute(unknown)),
            paused: Cache::builder()
                .max_capacity(RATE_KEYS_MAX)
                .time_to_live(RATE_UNKNOWN_PAUSE)
                .build(),
            new_domains: Rate::new(Quota::per_second(at_least_one(RATE_NEW_DOMAINS_PER_SECOND))),
        }
    }

    /// Counts one request of the service of `domain`.
    pub(super) fn count(&self, domain: &str, service: &Udf) -> Result<(), ServiceError> {
        if self.paused.contains_key(domain) {
            let sentence = "too many messages of your service are for accounts that do not exist";
            return Err(too_often(sentence, RATE_UNKNOWN_PAUSE));
        }
        let own = self.throttled.get(domain);
        let own = own.or_else(|| self.throttled.get(service.as_str()));
        let sentence = "too many requests from your service";
        match own {
            Some(limiter) => limiter.check().map_err(|until| {
                let wait = until.wait_time_from(DefaultClock::default().now());
                too_often(sentence, wait)
            }),
            None => check(&self.each, &domain.to_owned(), sentence),
        }
    }

    /// Counts one message for an account that does not exist.
    pub(super) fn unknown(&self, domain: &str) {
        let domain = domain.to_owned();
        if self.unknown.count(&domain).is_err() {
            self.paused.insert(domain, ());
        }
    }

    /// Counts one domain that we are made to call back.
    pub(super) fn new_domain(&self, source: Source) -> Result<(), ServiceError> {
        let sentence = "too many services that are not known here, from this address";
        check(&self.new_domains, &source, sentence)
    }
}

/// What a setting may name: a domain, or a UDF. Most texts can be read as either.
fn names(name: &str) -> impl Iterator<Item = String> {
    let udf = Udf::parse(name).ok().map(|udf| udf.to_string());
    canonical_domain(name).ok().into_iter().chain(udf)
}

#[cfg(test)]
mod tests {
    use super::*;

    //
    #[test]
    fn a_service_is_throttled_by_its_domain_or_its_udf_and_no_other_is() {
        let udf = Udf::present(b"the service of slow.example", 140);
        let (other, named) = (Udf::present(b"another service", 140), udf.to_string());
        for name in ["Slow.Example", named.as_str(), &named.to_lowercase()] {
            let config = RateConfig {
                throttled_services: BTreeMap::from([(name.to_owned(), 1)]),
                ..RateConfig::default()
            };
            let rates = Forwarding::new(&config);
            assert!(rates.count("slow.example", &udf).is_ok());
            assert!(rates.count("slow.example", &udf).is_err(), "{name}");
            assert!((0..9).all(|_| rates.count("other.example", &other).is_ok()));
        }
    }

    // Decision Q-57
    #[test]
    fn a_service_that_tries_too_many_addresses_pauses_and_no_other_does() {
        let config = RateConfig {
            forwarding_unknown_per_minute: 3,
            ..RateConfig::default()
        };
        let (rates, udf) = (Forwarding::new(&config), Udf::present(b"service", 140));
        for _ in 0..3 {
            rates.unknown("a.example");
            assert!(rates.count("a.example", &udf).is_ok());
        }
        rates.unknown("a.example");
        let refusal = rates.count("a.example", &udf).unwrap_err();
        assert!(
            refusal
                .retry_after
                .is_some_and(|wait| wait >= RATE_UNKNOWN_PAUSE)
        );
        assert!(rates.count("b.example", &udf).is_ok());
    }
}
