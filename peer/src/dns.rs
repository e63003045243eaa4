//! One lookup of a domain's service: the queries, and what their answers come to together
//! (service §9.2, delivery §11, decision Q-17).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use mesh_common::discovery::{
    Absence, AddressRules, Located, Lookup, ServiceText, Target, fallback_host, service_name,
};
use mesh_common::limits::{
    DISCOVERY_ADDRESSES_MAX, DISCOVERY_LOOKUPS_MAX, DISCOVERY_TARGETS_MAX, DISCOVERY_TTL_MAX,
};

use crate::settings::DiscoverySettings;

/// Time after which a query is repeated. It is asked twice, within the time of a lookup.
const QUERY_TIME: Duration = Duration::from_millis(800);

/// Asks DNS.
pub(crate) struct Dns {
    /// The resolver, or why there is none.
    resolver: Result<TokioResolver, String>,
    rules: AddressRules,
    fallback_port: u16,
}

/// What one query came to.
enum Answer<T> {
    Records {
        records: Vec<T>,
        ttl: Duration,
    },
    /// The name exists, with no such record.
    Nothing,
    /// The name does not exist, says the zone.
    NoName,
    Failed(String),
}

/// What the addresses of one target came to.
struct Resolved {
    target: Target,
    ttl: Duration,
    /// Whether there are addresses that we do not connect to.
    has_forbidden: bool,
    failure: Option<String>,
}

impl Dns {
    pub(crate) fn new(settings: &DiscoverySettings) -> Self {
        let resolver = resolver(settings).map_err(|error| {
            tracing::warn!(%error, "there is no DNS resolver: only discovery.domains are found");
            format!("this host has no DNS resolver: {error}")
        });
        Self {
            resolver,
            rules: settings.address_rules(),
            fallback_port: settings.fallback_port,
        }
    }

    /// Where the service of `domain` is.
    pub(crate) async fn service(&self, domain: &str) -> Lookup {
        let name = service_name(domain);
        let (targets, text) = join(self.targets(&name), self.text(&name)).await;
        let (text, text_ttl) = match text {
            Answer::Records { records, ttl } => (records, ttl),
            Answer::Nothing | Answer::NoName => (Vec::new(), DISCOVERY_TTL_MAX),
            Answer::Failed(why) => return Lookup::Failed(why),
        };
        let text = text.into_iter().next().unwrap_or_default();
        match targets {
            Answer::Failed(why) => Lookup::Failed(why),
            Answer::Records { records, ttl } => {
                let targets = wanted(records);
                if targets.is_empty() {
                    return Lookup::Absent(Absence::NoService);
                }
                self.resolve(targets, text, ttl.min(text_ttl)).await
            }
            Answer::Nothing | Answer::NoName => {
                let fallback = unresolved(fallback_host(domain), self.fallback_port);
                match self.resolve(vec![fallback], text, text_ttl).await {
                    Lookup::Absent(Absence::NoHost) => self.absence(domain).await,
                    lookup => lookup,
                }
            }
        }
    }

    /// Where `host` is, which somebody has named together with a port.
    pub(crate) async fn host(&self, host: &str, port: u16) -> Lookup {
        let target = unresolved(host.to_owned(), port);
        let targets = match host.parse::<IpAddr>() {
            Ok(address) => {
                let mut resolved = Resolved::of(target);
                resolved.add(&[address], self.rules);
                vec![resolved]
            }
            Err(_) => vec![self.addresses(target).await],
        };
        concluded(targets, ServiceText::default(), DISCOVERY_TTL_MAX)
    }

    /// The addresses of all targets that are listed for `name`, without any fallback.
    ///
    /// # Errors
    /// What DNS said instead.
    pub(crate) async fn listed(&self, name: &str) -> Result<Vec<SocketAddr>, String> {
        let targets = match self.targets(&service_name(name)).await {
            Answer::Records { records, .. } => wanted(records),
            Answer::Nothing => return Err("there is no SRV record".into()),
            Answer::NoName => return Err("there is no such name".into()),
            Answer::Failed(why) => return Err(why),
        };
        let resolved = join_all(targets.iter().map(|target| async move {
            let (host, port) = (&target.host, target.port);
            let v6 = self.ask(host, RecordType::AAAA, address);
            let v4 = self.ask(host, RecordType::A, address);
            let (v6, v4) = join(v6, v4).await;
            let found = [v4, v6].into_iter().filter_map(Answer::records).flatten();
            let permitted = found.filter(|found| self.rules.permit(*found));
            permitted
                .take(DISCOVERY_ADDRESSES_MAX)
                .map(|found| SocketAddr::new(found, port))
                .collect::<Vec<_>>()
        }));
        Ok(resolved.await.concat())
    }

    /// Adds addresses and paths to `targets`.
    async fn resolve(&self, targets: Vec<Target>, text: ServiceText, ttl: Duration) -> Lookup {
        let resolved = targets.into_iter().map(|target| self.addresses(target));
        concluded(join_all(resolved).await, text, ttl)
    }

    async fn addresses(&self, target: Target) -> Resolved {
        let name = service_name(&target.host);
        let (v6, v4, text) = join3(
            self.ask(&target.host, RecordType::AAAA, address),
            self.ask(&target.host, RecordType::A, address),
            self.text(&name),
        )
        .await;
        let mut resolved = Resolved::of(target);
        match text {
            Answer::Records { records, ttl } => {
                resolved.ttl = ttl;
                resolved.target.path = records.into_iter().find_map(|text| text.path);
            }
            Answer::Nothing | Answer::NoName => {}
            // Its requests might go to the wrong path: as good as unreachable.
            Answer::Failed(why) => {
                resolved.failure = Some(why);
                return resolved;
            }
        }
        for answer in [v6, v4] {
            match answer {
                Answer::Records { records, ttl } => {
                    resolved.ttl = resolved.ttl.min(ttl);
                    resolved.add(&records, self.rules);
                }
                Answer::Nothing | Answer::NoName => {}
                Answer::Failed(why) => resolved.failure = Some(why),
            }
        }
        resolved.target.addresses.truncate(DISCOVERY_ADDRESSES_MAX);
        resolved
    }

    /// Why a domain has neither targets nor the fallback host: it does not exist, or has no service.
    async fn absence(&self, domain: &str) -> Lookup {
        match self.ask(domain, RecordType::SOA, |_| Some(())).await {
            Answer::NoName => Lookup::Absent(Absence::NoDomain),
            Answer::Records { .. } | Answer::Nothing => Lookup::Absent(Absence::NoHost),
            Answer::Failed(why) => Lookup::Failed(why),
        }
    }

    async fn targets(&self, name: &str) -> Answer<Target> {
        self.ask(name, RecordType::SRV, |data| {
            let RData::SRV(record) = data else {
                return None;
            };
            Some(Target {
                priority: record.priority,
                weight: record.weight,
                ..unresolved(text_of(&record.target), record.port)
            })
        })
        .await
    }

    /// What the texts at `name` say, all of them together in one.
    async fn text(&self, name: &str) -> Answer<ServiceText> {
        let strings = self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(record) => Some(record.txt_data.clone()),
            _ => None,
        });
        match strings.await {
            Answer::Records { records, ttl } => {
                let strings = records.iter().flat_map(|record| record.iter());
                Answer::Records {
                    records: vec![ServiceText::read(strings.map(|string| &**string))],
                    ttl,
                }
            }
            Answer::Nothing => Answer::Nothing,
            Answer::NoName => Answer::NoName,
            Answer::Failed(why) => Answer::Failed(why),
        }
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Answer<T> {
        let resolver = match &self.resolver {
            Ok(resolver) => resolver,
            Err(why) => return Answer::Failed(why.clone()),
        };
        let Ok(name) = Name::from_ascii(format!("{name}.")) else {
            return Answer::Failed(format!("{name} cannot be asked for"));
        };
        match resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                let answers = lookup.answers();
                let records: Vec<T> = answers
                    .iter()
                    .filter_map(|record| read(&record.data))
                    .collect();
                if records.is_empty() {
                    return Answer::Nothing;
                }
                let ttl = answers.iter().map(|record| record.ttl).min();
                Answer::Records {
                    records,
                    ttl: Duration::from_secs(u64::from(ttl.unwrap_or(0))),
                }
            }
            Err(error) => without_records(&error, &name, kind),
        }
    }
}

impl<T> Answer<T> {
    fn records(self) -> Option<Vec<T>> {
        match self {
            Self::Records { records, .. } => Some(records),
            Self::Nothing | Self::NoName | Self::Failed(_) => None,
        }
    }
}

impl Resolved {
    fn of(target: Target) -> Self {
        Self {
            target,
            ttl: DISCOVERY_TTL_MAX,
            has_forbidden: false,
            failure: None,
        }
    }

    fn add(&mut self, addresses: &[IpAddr], rules: AddressRules) {
        for &address in addresses {
            if rules.permit(address) {
                self.target.addresses.push(address);
            } else {
                self.has_forbidden = true;
            }
        }
    }
}

fn resolver(settings: &DiscoverySettings) -> Result<TokioResolver, NetError> {
    let config = match settings.resolver {
        Some(address) => {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = address.port();
            }
            let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
            ResolverConfig::from_name_servers(vec![server])
        }
        None => hickory_resolver::system_conf::read_system_conf()?.0,
    };
    let mut options = ResolverOpts::default();
    options.timeout = QUERY_TIME;
    options.attempts = 1;
    // What is remembered, and for how long, is the business of `DiscoveryCache`.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = DISCOVERY_LOOKUPS_MAX * 3 * DISCOVERY_TARGETS_MAX;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(record) => Some(IpAddr::V4(record.0)),
        RData::AAAA(record) => Some(IpAddr::V6(record.0)),
        _ => None,
    }
}

/// A name as our addresses are written: lower case, without the last dot.
fn text_of(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

fn unresolved(host: String, port: u16) -> Target {
    Target {
        priority: 0,
        weight: 0,
        host,
        port,
        addresses: Vec::new(),
        path: None,
    }
}

/// The targets that name a host, the most wanted ones.
fn wanted(mut targets: Vec<Target>) -> Vec<Target> {
    targets.retain(|target| !target.host.is_empty() && target.port != 0);
    targets.sort_by_key(|target| (target.priority, u16::MAX - target.weight));
    targets.truncate(DISCOVERY_TARGETS_MAX);
    targets
}

/// What the targets with their addresses come to.
fn concluded(resolved: Vec<Resolved>, text: ServiceText, ttl: Duration) -> Lookup {
    let ttl = resolved.iter().map(|one| one.ttl).fold(ttl, Duration::min);
    let has_forbidden = resolved.iter().any(|one| one.has_forbidden);
    let failure = resolved.iter().find_map(|one| one.failure.clone());
    let targets: Vec<Target> = resolved
        .into_iter()
        .map(|one| one.target)
        .filter(|target| !target.addresses.is_empty())
        .map(|target| Target {
            path: target.path.or_else(|| text.path.clone()),
            ..target
        })
        .collect();
    if !targets.is_empty() {
        let located = Located {
            targets,
            udf: text.udf,
        };
        return Lookup::Found {
            located: located.into(),
            ttl,
        };
    }
    match failure {
        Some(why) => Lookup::Failed(why),
        None if has_forbidden => Lookup::Absent(Absence::Forbidden),
        None => Lookup::Absent(Absence::NoHost),
    }
}

/// A query without records: the zone says so, or something failed.
fn without_records<T>(error: &NetError, name: &Name, kind: RecordType) -> Answer<T> {
    let failed = |why: &str| Answer::Failed(format!("{why} ({kind} of {name})"));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            response_code,
            soa,
            ns,
            ..
        })) => match (*response_code, soa.is_some(), ns.is_some()) {
            (ResponseCode::NXDomain, true, _) => Answer::NoName,
            // Anybody could say that; only the zone above knows (delivery §11).
            (ResponseCode::NXDomain, false, _) => failed("NXDOMAIN, but no zone says so"),
            (ResponseCode::NoError, false, true) => {
                failed("lame: a referral in place of an answer")
            }
            (ResponseCode::NoError, ..) => Answer::Nothing,
            (code, ..) => failed(&format!("the name server answers {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            failed(&format!("the name server answers {code}"))
        }
        NetError::Timeout => failed("no name server answered in time"),
        error => failed(&error.to_string()),
    }
}
