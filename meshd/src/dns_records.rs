//! `meshd dns-records`: what a domain's zone must say for other services and devices to find this one
//! (service §9.2, decision Q-17).

use std::fmt::Write as _;

use mesh_common::address::canonical_domain;
use mesh_common::discovery::{fallback_host, service_name};
use mesh_common::udf::Udf;

use crate::args::DnsRecordsArguments;
use crate::authority::Said;
use crate::config::{ConfigError, MeshdConfig};
use crate::identity::{self, IdentityError};

/// Priority and weight of every host: they share what comes.
const PRIORITY: u16 = 0;
const WEIGHT: u16 = 10;
/// Seconds for which others may remember a record.
const TTL: u32 = 3_600;
/// The port of HTTPS, for who listens at one that the system chooses.
const USUAL_PORT: u16 = 443;

/// Why there is nothing to publish.
#[derive(Debug, thiserror::Error)]
pub enum DnsRecordsError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No name of a domain.
    #[error("{domain:?} is not the name of a domain")]
    Domain {
        /// What was given.
        domain: String,
    },
    /// Another service's domain.
    #[error("{domain} is not served here: name it in frontend.domains first, which holds {served}")]
    NotServed {
        /// The domain.
        domain: String,
        /// Those that are.
        served: String,
    },
}

/// What is published for one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecords {
    domain: String,
    records: Vec<(String, Said)>,
    /// Whether the UDF is missing, because there is no identity yet.
    lacks_identity: bool,
    /// Whether the address of `mmm.<domain>` is for the operator to add.
    lacks_address: bool,
}

/// What the command prints.
///
/// # Errors
/// [`DnsRecordsError`].
pub fn print(arguments: &DnsRecordsArguments) -> Result<String, DnsRecordsError> {
    let config = MeshdConfig::load(arguments.config.config.as_deref())?;
    let folder = config.data_dir.join("identity");
    let udf = identity::udf(&folder)?;
    let records = DnsRecords::of(&arguments.domain, &config, udf, arguments.port)?;
    Ok(records.to_zone_file())
}

impl DnsRecords {
    /// The records of `domain`: targets are `frontend.host_names`, or `mmm.<domain>` if there are none, at
    /// `port` or the one that `frontend.listen` names first.
    ///
    /// # Errors
    /// [`DnsRecordsError::Domain`], [`DnsRecordsError::NotServed`].
    pub fn of(
        domain: &str,
        config: &MeshdConfig,
        udf: Option<Udf>,
        port: Option<u16>,
    ) -> Result<Self, DnsRecordsError> {
        let domain = served(domain, config)?;
        let listens_at = config.frontend.listen.first().map(|address| address.port());
        let known = [port, listens_at.filter(|port| *port != 0)];
        let port = known.into_iter().flatten().next().unwrap_or(USUAL_PORT);
        let own_host = fallback_host(&domain);
        let names = config.frontend.host_names.iter();
        let hosts: Vec<String> = names
            .map(|host| canonical_domain(host).unwrap_or_else(|_| host.clone()))
            .collect();
        let targets = if hosts.is_empty() {
            std::slice::from_ref(&own_host)
        } else {
            hosts.as_slice()
        };
        let name = service_name(&domain);
        let target = |host: &String| Said::Service {
            priority: PRIORITY,
            weight: WEIGHT,
            port,
            host: host.clone(),
        };
        let mut records: Vec<_> = targets
            .iter()
            .map(|host| (name.clone(), target(host)))
            .collect();
        let path = config.frontend.path.as_ref();
        let strings = [
            Some("version=3.0".to_owned()),
            udf.as_ref().map(|udf| format!("udf={udf}")),
            path.map(|path| format!("path={path}")),
        ];
        let strings = strings.into_iter().flatten().collect();
        records.push((name, Said::Text(strings)));
        // For who looks for no SRV record: it finds the service only at the usual port.
        if let [host, ..] = hosts.as_slice() {
            records.push((own_host, Said::Alias(host.clone())));
        }
        Ok(Self {
            domain,
            records,
            lacks_identity: udf.is_none(),
            lacks_address: hosts.is_empty(),
        })
    }

    /// Each record with its name.
    #[must_use]
    pub fn records(&self) -> &[(String, Said)] {
        &self.records
    }

    /// The lines of a zone file, with what else is to be done as comments.
    #[must_use]
    pub fn to_zone_file(&self) -> String {
        let domain = &self.domain;
        let host = fallback_host(domain);
        let mut text = format!("; {domain}: where its Mesh service is\n");
        for (name, said) in &self.records {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{name}. {TTL} IN {said}");
        }
        if self.lacks_address {
            let _ = writeln!(text, "; add the addresses of this host:");
            let _ = writeln!(text, "; {host}. {TTL} IN A ...");
            let _ = writeln!(text, "; {host}. {TTL} IN AAAA ...");
        }
        if self.lacks_identity {
            let _ = writeln!(
                text,
                "; \"udf=...\" is missing: start the service once, which makes its identity, and repeat this"
            );
        }
        let _ = writeln!(text, "; the certificate must name {domain} or {host}");
        text
    }
}

fn served(domain: &str, config: &MeshdConfig) -> Result<String, DnsRecordsError> {
    let canonical = canonical_domain(domain).map_err(|_| DnsRecordsError::Domain {
        domain: domain.to_owned(),
    })?;
    let domains = &config.frontend.domains;
    let is_served = domains
        .iter()
        .any(|served| canonical_domain(served).as_deref() == Ok(&canonical));
    if is_served {
        return Ok(canonical);
    }
    Err(DnsRecordsError::NotServed {
        domain: canonical,
        served: domains.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host_names: &[&str]) -> MeshdConfig {
        let mut config = MeshdConfig::default();
        config.frontend.domains = vec!["Example.com".into(), "bücher.example".into()];
        config.frontend.host_names = host_names.iter().map(|&name| name.to_owned()).collect();
        config.frontend.listen = vec!["0.0.0.0:443".parse().unwrap()];
        config
    }

    fn udf() -> Option<Udf> {
        Udf::parse("MBSC-YIGU-GPCJ-YQGJ-763A-X6Y4-DDZN").ok()
    }

    #[test]
    fn a_host_of_its_own_is_published_with_what_is_left_to_do() {
        let records = DnsRecords::of("example.com", &config(&[]), None, None).unwrap();
        assert_eq!(
            records.to_zone_file(),
            "; example.com: where its Mesh service is\n\
             _mmm._tcp.example.com. 3600 IN SRV 0 10 443 mmm.example.com.\n\
             _mmm._tcp.example.com. 3600 IN TXT \"version=3.0\"\n\
             ; add the addresses of this host:\n\
             ; mmm.example.com. 3600 IN A ...\n\
             ; mmm.example.com. 3600 IN AAAA ...\n\
             ; \"udf=...\" is missing: start the service once, which makes its identity, and repeat this\n\
             ; the certificate must name example.com or mmm.example.com\n"
        );
    }

    #[test]
    fn named_hosts_share_what_comes() {
        let mut config = config(&["host1.example.org", "host2.example.org"]);
        config.frontend.path = Some("/service".into());
        let records = DnsRecords::of("BÜCHER.example", &config, udf(), Some(8_443)).unwrap();
        assert_eq!(
            records.to_zone_file(),
            "; xn--bcher-kva.example: where its Mesh service is\n\
             _mmm._tcp.xn--bcher-kva.example. 3600 IN SRV 0 10 8443 host1.example.org.\n\
             _mmm._tcp.xn--bcher-kva.example. 3600 IN SRV 0 10 8443 host2.example.org.\n\
             _mmm._tcp.xn--bcher-kva.example. 3600 IN TXT \"version=3.0\" \
             \"udf=MBSC-YIGU-GPCJ-YQGJ-763A-X6Y4-DDZN\" \"path=/service\"\n\
             mmm.xn--bcher-kva.example. 3600 IN CNAME host1.example.org.\n\
             ; the certificate must name xn--bcher-kva.example or mmm.xn--bcher-kva.example\n"
        );
    }

    #[test]
    fn nothing_is_published_for_a_domain_of_somebody_else() {
        let refused = |domain| DnsRecords::of(domain, &config(&[]), None, None).unwrap_err();
        assert!(matches!(
            refused("example.net"),
            DnsRecordsError::NotServed { .. }
        ));
        assert!(matches!(refused("a..b"), DnsRecordsError::Domain { .. }));
    }
}
