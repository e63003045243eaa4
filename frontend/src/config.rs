//! Every setting of the front-end: its unit, its default, its reason. Unknown keys are refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mesh_common::account::{AccountPolicy, OutboundRates};
use mesh_common::address::{AddressError, canonical_domain};
use mesh_common::limits;
use serde::{Deserialize, Serialize};

/// What a front-end serves, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontendConfig {
    /// Addresses that answer HTTPS. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Addresses that answer plain HTTP; none unless a proxy on this host ends TLS. Only Hello and
    /// sealed requests are answered there (service §2.1, X-09).
    pub listen_plain: Vec<SocketAddr>,
    /// Domains served: what stands behind the `@` of their accounts.
    pub domains: Vec<String>,
    /// Further names by which hosts of this service are reached.
    pub host_names: Vec<String>,
    /// A further path that answers, as published in DNS TXT `path=`.
    pub path: Option<String>,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Connections at once, over all listeners.
    pub connections_max: usize,
    /// Requests in work at once. Shedding begins at half of it (service §8).
    pub in_flight_max: usize,
    /// HTTP details; the file's `[http]`.
    #[serde(skip)]
    pub http: HttpConfig,
    /// Rates per source and per device; the file's `[limits.rate]` (decision Q-22).
    #[serde(skip)]
    pub rate: RateConfig,
    /// Requests that wait for news at once, at most [`POLLS_MAX`](limits::POLLS_MAX); 0: none waits.
    /// The file's `[limits]`.
    #[serde(skip)]
    pub polls_max: usize,
    /// Interoperability switches, all off by default; the file's `[interop]` (service §11).
    #[serde(skip)]
    pub interop: InteropConfig,
    /// What holds for accounts, as Hello announces it; the back-end's `policy`.
    #[serde(skip)]
    pub policy: AccountPolicy,
    /// The same for domains with a policy of their own, by canonical name.
    #[serde(skip)]
    pub domain_policies: BTreeMap<String, AccountPolicy>,
}

/// HTTP details.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Whether the HTTP code repeats the Mesh status; off: 200 for everything that was parsed.
    pub mirror_status: bool,
    /// Milliseconds for a whole request to arrive; at most those of
    /// [`REQUEST_TIME_MAX`](limits::REQUEST_TIME_MAX). Beyond: 408/9.
    pub request_ms: u64,
    /// Octets per second that must arrive of a body, on average after its first second; at the first look there is
    /// time for [`BODY_UNHURRIED_BYTES`](limits::BODY_UNHURRIED_BYTES) at this pace, and at least
    /// [`BODY_TIME`](limits::BODY_TIME). For devices on slow links it may be less. Beyond: 408/9.
    pub body_bytes_per_second_min: u32,
}

/// Rates per source and per device (service §8, decision Q-22).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// Whether rates are limited at all. `false` is accepted only on loopback.
    pub enabled: bool,
    /// CreateAccount per source address and hour.
    pub create_per_hour: u32,
    /// Connect per source address and hour.
    pub connect_per_hour: u32,
    /// Fetches of what hailing accounts publish per source address and minute.
    pub fetch_per_minute: u32,
    /// Failed authentications per source address and minute, before a pause of ten minutes.
    pub failed_authentication_per_minute: u32,
    /// Requests per device and second, sustained.
    pub device_per_second: u32,
    /// Requests a device may make at once.
    pub device_burst: u32,
    /// Requests of one forwarding service per second, sustained.
    pub forwarding_per_second: u32,
    /// Requests a forwarding service may make at once.
    pub forwarding_burst: u32,
    /// Messages of one forwarding service per minute to accounts that do not exist, before a pause
    /// of a minute.
    pub forwarding_unknown_per_minute: u32,
    /// Forwarding services, by domain or by UDF of their ProfileService, that get another rate than
    /// all: requests per second. Those that get none are blocked by `backend.policy.inbound`.
    pub throttled_services: BTreeMap<String, u32>,
    /// Messages to others per account and day. Counted by the account's home.
    pub outbound_per_day: u32,
    /// Messages to others per account and minute. Counted by the account's home.
    pub outbound_per_minute: u32,
    /// Days for which an account is new.
    pub new_account_days: u32,
    /// One part in this many of both is left to a new account.
    pub new_account_share: u32,
    /// Recipients per account and day that it has not written to before.
    pub new_recipients_per_day: u32,
}

impl RateConfig {
    /// How much an account may send to others; `None` if rates are not limited.
    #[must_use]
    pub fn outbound(&self) -> Option<OutboundRates> {
        self.enabled.then_some(OutboundRates {
            messages_per_day: self.outbound_per_day,
            messages_per_minute: self.outbound_per_minute,
            new_account_days: self.new_account_days,
            new_account_share: self.new_account_share,
            new_recipients_per_day: self.new_recipients_per_day,
        })
    }
}

/// Interoperability switches (service §11, decision Q-39).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InteropConfig {
    /// Bare JSON for every transaction: `"loopback"`, and then every listener must be on loopback.
    pub bare_json: Option<BareJson>,
    /// Accept the unsigned ProfileMesh of the protocol draft's example (architecture A-11).
    pub unsigned_profile_mesh: bool,
    /// Accept the unlinked digests the reference implementation writes (architecture A-9).
    pub legacy_digests: bool,
}

/// From where bare JSON is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BareJson {
    /// From this host only.
    Loopback,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nothing to listen on.
    #[error("frontend.listen is empty: name at least one address, for example \"127.0.0.1:8443\"")]
    NoListener,
    /// No domain to serve.
    #[error("frontend.domains is empty: name at least one domain whose accounts live here")]
    NoDomain,
    /// A domain that is none.
    #[error("frontend.domains: {domain:?} is not a domain name")]
    Domain {
        /// The text.
        domain: String,
        /// Why.
        #[source]
        cause: AddressError,
    },
    /// Something only loopback may have.
    #[error("{setting} is accepted only when every listener is on loopback, and {listener} is not")]
    NeedsLoopback {
        /// The setting.
        setting: &'static str,
        /// The listener that is not on loopback.
        listener: SocketAddr,
    },
    /// A number above its bound.
    #[error("{setting} must be at most {max}")]
    TooGreat {
        /// The setting.
        setting: &'static str,
        /// Its greatest value.
        max: u64,
    },
    /// A number that must not be zero.
    #[error("{setting} must be at least 1")]
    Zero {
        /// The setting.
        setting: &'static str,
    },
}

impl Default for FrontendConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8443))],
            listen_plain: Vec::new(),
            domains: vec!["localhost".into()],
            host_names: Vec::new(),
            path: None,
            workers: 0,
            connections_max: 50_000,
            in_flight_max: 4_096,
            http: HttpConfig::default(),
            rate: RateConfig::default(),
            polls_max: limits::POLLS_MAX,
            interop: InteropConfig::default(),
            policy: AccountPolicy::default(),
            domain_policies: BTreeMap::new(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            mirror_status: true,
            request_ms: limits::REQUEST_TIME_MAX.as_millis() as u64,
            body_bytes_per_second_min: limits::BODY_BYTES_PER_SECOND_MIN,
        }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            create_per_hour: limits::RATE_CREATE_PER_HOUR,
            connect_per_hour: limits::RATE_CONNECT_PER_HOUR,
            fetch_per_minute: limits::RATE_FETCH_PER_MINUTE,
            failed_authentication_per_minute: limits::RATE_FAILED_AUTHENTICATION_PER_MINUTE,
            device_per_second: limits::RATE_DEVICE_PER_SECOND,
            device_burst: limits::RATE_DEVICE_BURST,
            forwarding_per_second: limits::RATE_FORWARDING_PER_SECOND,
            forwarding_burst: limits::RATE_FORWARDING_BURST,
            forwarding_unknown_per_minute: limits::RATE_UNKNOWN_PER_MINUTE,
            throttled_services: BTreeMap::new(),
            outbound_per_day: limits::RATE_OUTBOUND_PER_DAY,
            outbound_per_minute: limits::RATE_OUTBOUND_PER_MINUTE,
            new_account_days: limits::RATE_NEW_ACCOUNT_DAYS,
            new_account_share: limits::RATE_NEW_ACCOUNT_SHARE,
            new_recipients_per_day: limits::RATE_NEW_RECIPIENTS_PER_DAY,
        }
    }
}

impl FrontendConfig {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// [`ConfigError`], with the setting's name.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() && self.listen_plain.is_empty() {
            return Err(ConfigError::NoListener);
        }
        if self.domains.is_empty() {
            return Err(ConfigError::NoDomain);
        }
        for domain in self.domains.iter().chain(&self.host_names) {
            canonical_domain(domain).map_err(|cause| ConfigError::Domain {
                domain: domain.clone(),
                cause,
            })?;
        }
        if self.interop.bare_json.is_some() {
            self.needs_loopback("interop.bare_json")?;
        }
        if !self.rate.enabled {
            self.needs_loopback("limits.rate.enabled = false")?;
        }
        self.numbers_are_in_bounds()
    }

    fn needs_loopback(&self, setting: &'static str) -> Result<(), ConfigError> {
        let mut listeners = self.listen.iter().chain(&self.listen_plain);
        listeners
            .find(|listener| !listener.ip().is_loopback())
            .map_or(Ok(()), |&listener| {
                Err(ConfigError::NeedsLoopback { setting, listener })
            })
    }

    fn numbers_are_in_bounds(&self) -> Result<(), ConfigError> {
        let request_ms_max = limits::REQUEST_TIME_MAX.as_millis() as u64;
        if self.http.request_ms > request_ms_max {
            return Err(ConfigError::TooGreat {
                setting: "http.request_ms",
                max: request_ms_max,
            });
        }
        if self.polls_max > limits::POLLS_MAX {
            return Err(ConfigError::TooGreat {
                setting: "limits.polls_max",
                max: limits::POLLS_MAX as u64,
            });
        }
        let numbers = [
            ("http.request_ms", self.http.request_ms as usize),
            (
                "http.body_bytes_per_second_min",
                self.http.body_bytes_per_second_min as usize,
            ),
            ("frontend.connections_max", self.connections_max),
            ("frontend.in_flight_max", self.in_flight_max),
            (
                "limits.rate.create_per_hour",
                self.rate.create_per_hour as usize,
            ),
            (
                "limits.rate.connect_per_hour",
                self.rate.connect_per_hour as usize,
            ),
            (
                "limits.rate.fetch_per_minute",
                self.rate.fetch_per_minute as usize,
            ),
            (
                "limits.rate.failed_authentication_per_minute",
                self.rate.failed_authentication_per_minute as usize,
            ),
            (
                "limits.rate.device_per_second",
                self.rate.device_per_second as usize,
            ),
            ("limits.rate.device_burst", self.rate.device_burst as usize),
            (
                "limits.rate.forwarding_per_second",
                self.rate.forwarding_per_second as usize,
            ),
            (
                "limits.rate.forwarding_burst",
                self.rate.forwarding_burst as usize,
            ),
            (
                "limits.rate.forwarding_unknown_per_minute",
                self.rate.forwarding_unknown_per_minute as usize,
            ),
            (
                "limits.rate.throttled_services",
                self.rate
                    .throttled_services
                    .values()
                    .copied()
                    .min()
                    .unwrap_or(1) as usize,
            ),
            (
                "limits.rate.outbound_per_day",
                self.rate.outbound_per_day as usize,
            ),
            (
                "limits.rate.outbound_per_minute",
                self.rate.outbound_per_minute as usize,
            ),
            (
                "limits.rate.new_account_share",
                self.rate.new_account_share as usize,
            ),
            (
                "limits.rate.new_recipients_per_day",
                self.rate.new_recipients_per_day as usize,
            ),
        ];
        numbers
            .into_iter()
            .find(|&(_, value)| value == 0)
            .map_or(Ok(()), |(setting, _)| Err(ConfigError::Zero { setting }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> FrontendConfig {
        FrontendConfig {
            listen: vec!["192.0.2.1:443".parse().unwrap()],
            ..Default::default()
        }
    }

    #[test]
    fn the_defaults_hold() {
        assert_eq!(FrontendConfig::default().check(), Ok(()));
        assert_eq!(public().check(), Ok(()));
    }

    #[test]
    fn what_only_loopback_may_have_is_refused_elsewhere() {
        let mut bare = public();
        bare.interop.bare_json = Some(BareJson::Loopback);
        let mut unlimited = public();
        unlimited.rate.enabled = false;
        for config in [bare, unlimited] {
            assert!(matches!(
                config.check(),
                Err(ConfigError::NeedsLoopback { .. })
            ));
        }
    }

    #[test]
    fn wrong_values_are_named() {
        let no_listener = FrontendConfig {
            listen: vec![],
            ..Default::default()
        };
        assert_eq!(no_listener.check(), Err(ConfigError::NoListener));
        let no_domain = FrontendConfig {
            domains: vec![],
            ..Default::default()
        };
        assert_eq!(no_domain.check(), Err(ConfigError::NoDomain));
        let bad_domain = FrontendConfig {
            domains: vec!["a..b".into()],
            ..Default::default()
        };
        assert!(matches!(
            bad_domain.check(),
            Err(ConfigError::Domain { .. })
        ));
        let zero = FrontendConfig {
            in_flight_max: 0,
            ..Default::default()
        };
        assert_eq!(
            zero.check(),
            Err(ConfigError::Zero {
                setting: "frontend.in_flight_max"
            })
        );
    }
}
