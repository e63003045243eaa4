//! `[discovery]` of the configuration: how other services are found, and whom we connect to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use mesh_common::address::canonical_domain;
use mesh_common::discovery::AddressRules;
use serde::{Deserialize, Serialize};

/// How other services are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoverySettings {
    /// The DNS resolver that is asked; absent: those of the system.
    pub resolver: Option<SocketAddr>,
    /// Domains whose service is where this says, `host:port`, whatever DNS says. An address written
    /// here may be a private one.
    pub domains: BTreeMap<String, String>,
    /// Files with certificates, PEM, that are trusted beside those the system trusts. Read again on SIGHUP.
    pub authorities: Vec<PathBuf>,
    /// Whether addresses of this host, found in DNS, are connected to.
    pub allow_loopback: bool,
    /// Whether addresses of private networks, found in DNS, are connected to.
    pub allow_private: bool,
    /// Port of `mmm.<domain>` where a domain has no SRV record (decision Q-68).
    pub fallback_port: u16,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No domain name.
    #[error("discovery.domains: {domain:?} is not the name of a domain")]
    Domain {
        /// What is written there.
        domain: String,
    },
    /// No host and port.
    #[error("discovery.domains: {place:?} of {domain} is not written host:port")]
    Place {
        /// Of which domain.
        domain: String,
        /// What is written there.
        place: String,
    },
    /// Port 0.
    #[error("discovery.fallback_port = 0 is not a port that can be connected to; 443 is usual")]
    Port,
}

impl Default for DiscoverySettings {
    fn default() -> Self {
        Self {
            resolver: None,
            domains: BTreeMap::new(),
            authorities: Vec::new(),
            allow_loopback: false,
            allow_private: false,
            fallback_port: 443,
        }
    }
}

impl DiscoverySettings {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// [`SettingsError`], with the setting's name.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.fallback_port == 0 {
            return Err(SettingsError::Port);
        }
        self.places().map(drop)
    }

    /// Which addresses found in DNS are connected to.
    #[must_use]
    pub const fn address_rules(&self) -> AddressRules {
        AddressRules {
            allow_loopback: self.allow_loopback,
            allow_private: self.allow_private,
        }
    }

    /// Host and port of each domain in [`domains`](Self::domains), by its canonical name.
    ///
    /// # Errors
    /// [`SettingsError::Domain`], [`SettingsError::Place`].
    pub fn places(&self) -> Result<BTreeMap<String, (String, u16)>, SettingsError> {
        let place_of = |(domain, place): (&String, &String)| {
            let canonical = canonical_domain(domain).map_err(|_| SettingsError::Domain {
                domain: domain.clone(),
            })?;
            let place = host_and_port(place).ok_or_else(|| SettingsError::Place {
                domain: domain.clone(),
                place: place.clone(),
            })?;
            Ok((canonical, place))
        };
        self.domains.iter().map(place_of).collect()
    }
}

/// `host:port`, or `[address]:port`. The brackets are taken off.
pub(crate) fn host_and_port(text: &str) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0).then(|| (address.ip().to_string(), address.port()));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some((canonical_domain(host).ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_place(domain: &str, place: &str) -> DiscoverySettings {
        DiscoverySettings {
            domains: BTreeMap::from([(domain.to_owned(), place.to_owned())]),
            ..DiscoverySettings::default()
        }
    }

    #[test]
    fn places_are_hosts_or_addresses_with_a_port() {
        for (place, host, port) in [
            ("127.0.0.1:8443", "127.0.0.1", 8_443),
            ("[::1]:443", "::1", 443),
            ("Mesh.Example.org:443", "mesh.example.org", 443),
        ] {
            let places = with_place("Example.COM", place).places().unwrap();
            assert_eq!(places["example.com"], (host.to_owned(), port));
        }
    }

    #[test]
    fn a_setting_that_cannot_be_is_named() {
        for place in [
            "",
            "host",
            "host:",
            "host:0",
            "127.0.0.1:0",
            "host:65536",
            "a b:1",
        ] {
            assert!(
                matches!(
                    with_place("example.com", place).check(),
                    Err(SettingsError::Place { .. })
                ),
                "{place}"
            );
        }
        assert!(matches!(
            with_place("a..b", "host:1").check(),
            Err(SettingsError::Domain { .. })
        ));
        let zero = DiscoverySettings {
            fallback_port: 0,
            ..DiscoverySettings::default()
        };
        assert_eq!(zero.check(), Err(SettingsError::Port));
        assert_eq!(DiscoverySettings::default().check(), Ok(()));
    }
}
