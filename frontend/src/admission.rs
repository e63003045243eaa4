//! Who may come in: rates per source and per device, and what is shed first under load
//! (service §8, P 9.1.2.1).
//!
//! Rates are kept in memory per front-end, keyed by source network or device, for a bounded number of
//! keys: a flood of sources costs no more memory, and no more time per request.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use mesh_common::error::ServiceError;
use mesh_common::limits::{BODIES_BYTES_MAX, RATE_FAILED_AUTHENTICATION_PAUSE, RATE_KEYS_MAX};
use mesh_common::protocol::{Code, Transaction};
use mesh_common::session::Mode;
use mesh_common::udf::Udf;
use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::{FrontendConfig, RateConfig};

mod forwarding;

use forwarding::Forwarding;

/// Octets of the portions in which bodies take their room.
const ROOM_BYTES: usize = 16 * 1024;

/// The doorkeeper of one front-end.
pub(crate) struct Admission {
    in_flight: Arc<AtomicUsize>,
    in_flight_max: usize,
    rooms: Semaphore,
    rates: Option<Rates>,
}

struct Rates {
    create: Rate<Source>,
    connect: Rate<Source>,
    fetch: Rate<Source>,
    failed: Rate<Source>,
    device: Rate<Udf>,
    forwarding: Forwarding,
    paused: Cache<Source, ()>,
}

/// One rate for each of the keys seen lately.
struct Rate<K> {
    quota: Quota,
    seen: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl<K: Clone + Eq + std::hash::Hash + Send + Sync + 'static> Rate<K> {
    fn new(quota: Quota) -> Self {
        Self::with_keys_max(quota, RATE_KEYS_MAX)
    }

    /// A key is forgotten once it has its whole quota again.
    fn with_keys_max(quota: Quota, keys_max: u64) -> Self {
        let seen = Cache::builder()
            .max_capacity(keys_max)
            .time_to_idle(quota.burst_size_replenished_in())
            .build();
        Self { quota, seen }
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    /// The time to wait.
    fn count(&self, key: &K) -> Result<(), Duration> {
        self.seen
            .get_with_by_ref(key, || Arc::new(RateLimiter::direct(self.quota)))
            .check()
            .map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Where a request comes from: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source([u8; 8]);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        let mut key = [0; 8];
        match address.to_canonical() {
            // No routed IPv6 network begins with 0xffff: the two kinds never meet.
            IpAddr::V4(four) => {
                key[..2].fill(0xff);
                key[4..].copy_from_slice(&four.octets());
            }
            IpAddr::V6(six) => key.copy_from_slice(&six.octets()[..8]),
        }
        Self(key)
    }
}

/// One request in work; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The memory one body takes, out of that for all of them; giving it back is dropping it.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    rooms: &'a Semaphore,
    taken: Option<SemaphorePermit<'a>>,
}

impl Room<'_> {
    /// Makes room for a body of `octets`.
    ///
    /// # Errors
    /// 503 when all bodies together would take more than
    /// [`BODIES_BYTES_MAX`].
    pub(crate) fn grow_to(&mut self, octets: usize) -> Result<(), ServiceError> {
        let taken = self.taken.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = octets.div_ceil(ROOM_BYTES).saturating_sub(taken);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let permit = self
            .rooms
            .try_acquire_many(more)
            .map_err(|_| ServiceError::unavailable("shed: bodies take all their memory"))?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

impl Admission {
    pub(crate) fn new(config: &FrontendConfig) -> Self {
        Self {
            in_flight: Arc::default(),
            in_flight_max: config.in_flight_max,
            rooms: Semaphore::new(BODIES_BYTES_MAX / ROOM_BYTES),
            rates: config.rate.enabled.then(|| Rates::new(&config.rate)),
        }
    }

    /// Lets one more request in.
    ///
    /// # Errors
    /// 503 when as many are in work as may be.
    pub(crate) fn enter(&self) -> Result<InFlight, ServiceError> {
        let guard = InFlight(Arc::clone(&self.in_flight));
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= self.in_flight_max {
            return Err(overloaded());
        }
        Ok(guard)
    }

    /// Room for one body, none of it taken yet.
    pub(crate) const fn room(&self) -> Room<'_> {
        Room {
            rooms: &self.rooms,
            taken: None,
        }
    }

    /// Lets a request through whose transaction is known now: under load, CreateAccount and Connect
    /// are shed first, then inbound Post, then writes, last reads (service §8).
    ///
    /// # Errors
    /// 503 when the load is above what this kind of request may see.
    pub(crate) fn shed(&self, transaction: Transaction, mode: Mode) -> Result<(), ServiceError> {
        let permitted = self.in_flight_max * load_percent_max(transaction, mode) / 100;
        if self.in_flight.load(Ordering::Relaxed) > permitted.max(1) {
            return Err(overloaded());
        }
        Ok(())
    }

    /// Turns away a source that failed to authenticate too often.
    ///
    /// # Errors
    /// 429 while the pause lasts.
    pub(crate) fn source(&self, source: Source) -> Result<(), ServiceError> {
        match &self.rates {
            Some(rates) if rates.paused.contains_key(&source) => Err(too_often(
                "too many failed authentications from this address",
                RATE_FAILED_AUTHENTICATION_PAUSE,
            )),
            _ => Ok(()),
        }
    }

    /// Notes that a request of this source failed to authenticate.
    pub(crate) fn failed_authentication(&self, source: Source) {
        if let Some(rates) = &self.rates
            && rates.failed.count(&source).is_err()
        {
            rates.paused.insert(source, ());
        }
    }

    /// Counts a fetch of something published, which nobody authenticates.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn count_fetch(&self, source: Source) -> Result<(), ServiceError> {
        match &self.rates {
            Some(rates) => check(&rates.fetch, &source, "too many fetches from this address"),
            None => Ok(()),
        }
    }

    /// Counts an authenticated request against its device's rate, and the rare transactions against
    /// their source's.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn count(
        &self,
        source: Source,
        device: &Udf,
        transaction: Transaction,
    ) -> Result<(), ServiceError> {
        let Some(rates) = &self.rates else {
            return Ok(());
        };
        check(&rates.device, device, "too many requests from this device")?;
        match transaction {
            Transaction::CreateAccount => check(
                &rates.create,
                &source,
                "too many accounts created from this address",
            ),
            Transaction::Connect => check(
                &rates.connect,
                &source,
                "too many connection requests from this address",
            ),
            _ => Ok(()),
        }
    }
}

impl Admission {
    /// Counts a request of a service, instead of its device.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn count_service(&self, domain: &str, service: &Udf) -> Result<(), ServiceError> {
        match &self.rates {
            Some(rates) => rates.forwarding.count(domain, service),
            None => Ok(()),
        }
    }

    /// Notes that a service posted for an account that does not exist.
    pub(crate) fn unknown_recipient(&self, domain: &str) {
        if let Some(rates) = &self.rates {
            rates.forwarding.unknown(domain);
        }
    }

    /// Counts a domain that `source` makes us call back.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn new_domain(&self, source: Source) -> Result<(), ServiceError> {
        match &self.rates {
            Some(rates) => rates.forwarding.new_domain(source),
            None => Ok(()),
        }
    }
}

impl Rates {
    fn new(config: &RateConfig) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let device = Quota::per_second(at_least_one(config.device_per_second))
            .allow_burst(at_least_one(config.device_burst));
        let failed = at_least_one(config.failed_authentication_per_minute);
        Self {
            create: Rate::new(Quota::per_hour(at_least_one(config.create_per_hour))),
            fetch: Rate::new(Quota::per_minute(at_least_one(config.fetch_per_minute))),
            connect: Rate::new(Quota::per_hour(at_least_one(config.connect_per_hour))),
            failed: Rate::new(Quota::per_minute(failed)),
            device: Rate::new(device),
            forwarding: Forwarding::new(config),
            paused: Cache::builder()
                .max_capacity(RATE_KEYS_MAX)
                .time_to_live(RATE_FAILED_AUTHENTICATION_PAUSE)
                .build(),
        }
    }
}

/// Percent of the requests in work up to which a kind of request is let through.
const fn load_percent_max(transaction: Transaction, mode: Mode) -> usize {
    match (transaction, mode) {
        (Transaction::CreateAccount | Transaction::Connect, _) => 50,
        (Transaction::Post, Mode::Service) => 70,
        (
            Transaction::Upload
            | Transaction::Post
            | Transaction::DeleteAccount
            | Transaction::Complete,
            _,
        ) => 85,
        (Transaction::Hello | Transaction::Status | Transaction::Download, _) => 100,
    }
}

fn check<K: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(
    rate: &Rate<K>,
    key: &K,
    sentence: &str,
) -> Result<(), ServiceError> {
    rate.count(key).map_err(|wait| too_often(sentence, wait))
}

fn too_often(sentence: &str, wait: Duration) -> ServiceError {
    // Rounded up: a client that waits exactly as long as it was told must be let in.
    let wait = Duration::from_secs(wait.as_secs() + 1);
    ServiceError::new(Code::RateLimited, sentence).retry_after(wait)
}

fn overloaded() -> ServiceError {
    ServiceError::unavailable("shed: too many requests in work")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Source {
        IpAddr::from([127, 0, 0, 1]).into()
    }

    fn device() -> Udf {
        Udf::parse("MAAA-BBBB-CCCC").unwrap()
    }

    // P-9.1.2.1-c
    #[test]
    fn a_source_that_fails_too_often_is_paused() {
        let door = Admission::new(&FrontendConfig::default());
        for _ in 0..mesh_common::limits::RATE_FAILED_AUTHENTICATION_PER_MINUTE {
            door.failed_authentication(here());
        }
        assert!(door.source(here()).is_ok(), "as many as may be");
        door.failed_authentication(here());
        assert_eq!(door.source(here()).unwrap_err().code, Code::RateLimited);
        assert!(door.source(IpAddr::from([127, 0, 0, 2]).into()).is_ok());
    }

    //
    #[test]
    fn accounts_per_source_and_hour_are_bounded() {
        let door = Admission::new(&FrontendConfig::default());
        for _ in 0..mesh_common::limits::RATE_CREATE_PER_HOUR {
            assert!(
                door.count(here(), &device(), Transaction::CreateAccount)
                    .is_ok()
            );
        }
        let refusal = door
            .count(here(), &device(), Transaction::CreateAccount)
            .unwrap_err();
        assert_eq!(refusal.code, Code::RateLimited);
        assert!(
            refusal
                .retry_after
                .is_some_and(|wait| wait > Duration::from_secs(60))
        );
        assert!(door.count(here(), &device(), Transaction::Status).is_ok());
    }

    //
    #[test]
    fn requests_per_device_are_bounded() {
        let config = FrontendConfig {
            rate: RateConfig {
                device_per_second: 1,
                device_burst: 3,
                ..RateConfig::default()
            },
            ..FrontendConfig::default()
        };
        let door = Admission::new(&config);
        let outcomes: Vec<bool> = (0..4)
            .map(|_| door.count(here(), &device(), Transaction::Status).is_ok())
            .collect();
        assert_eq!(outcomes, [true, true, true, false]);
    }

    #[test]
    fn creation_is_shed_before_reading() {
        let config = FrontendConfig {
            in_flight_max: 4,
            ..FrontendConfig::default()
        };
        let door = Admission::new(&config);
        let guards: Vec<_> = (0..3).map(|_| door.enter().unwrap()).collect();
        assert!(door.shed(Transaction::CreateAccount, Mode::Device).is_err());
        assert!(door.shed(Transaction::Upload, Mode::Profile).is_ok());
        let fourth = door.enter().unwrap();
        assert!(door.shed(Transaction::Upload, Mode::Profile).is_err());
        assert!(door.shed(Transaction::Status, Mode::Profile).is_ok());
        assert_eq!(door.enter().unwrap_err().code, Code::Overload);
        drop((guards, fourth));
        assert!(door.enter().is_ok());
    }

    #[test]
    fn a_flood_of_sources_is_remembered_within_the_bound() {
        let rate = Rate::with_keys_max(Quota::per_hour(NonZeroU32::MIN), 64);
        for number in 0..1_024 {
            assert_eq!(rate.count(&number), Ok(()), "each for the first time");
        }
        rate.seen.run_pending_tasks();
        assert!(rate.seen.entry_count() <= 64);
    }

    #[test]
    fn bodies_share_their_memory() {
        let door = Admission::new(&FrontendConfig::default());
        let mut large = door.room();
        large.grow_to(1).unwrap();
        large.grow_to(BODIES_BYTES_MAX).unwrap();
        let mut other = door.room();
        assert_eq!(other.grow_to(1).unwrap_err().code, Code::Overload);
        drop(large);
        other.grow_to(1).unwrap();
        let mut rest = door.room();
        rest.grow_to(BODIES_BYTES_MAX - ROOM_BYTES).unwrap();
        assert_eq!(other.grow_to(ROOM_BYTES), Ok(()), "that much it has");
        assert!(other.grow_to(ROOM_BYTES + 1).is_err());
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
