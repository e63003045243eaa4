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
        let throttled = config.throttled_services.iter().map(|(name, per_second)| {
            let quota = Quota::per_second(at_least_one(*per_second));
            (canonical_name(name), Arc::new(RateLimiter::direct(quota)))
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

/// A UDF or a domain as they are compared.
fn canonical_name(name: &str) -> String {
    Udf::parse(name)
        .map(|udf| udf.to_string())
        .or_else(|_| canonical_domain(name))
        .unwrap_or_else(|_| name.to_owned())
}
