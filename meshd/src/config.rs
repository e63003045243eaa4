//! Every setting of `meshd`: one TOML file, overridden by `MESHD_…` variables.
//!
//! Unknown keys are refused with the nearest known one. An empty file, or none, means the defaults:
//! a service for `localhost` on this host only.

mod cluster;
mod store;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use mesh_backend::config::{BackendConfig, ConfigError as BackendError};
use mesh_backend::outbound::OutboundConfig;
use mesh_common::address::canonical_domain;
use mesh_common::cluster::TimesError;
use mesh_common::limits::POLLS_MAX;
use mesh_frontend::config::{
    ConfigError as FrontendError, FrontendConfig, HttpConfig, InteropConfig, RateConfig,
};
use mesh_peer::{DiscoverySettings, SettingsError};
use serde::{Deserialize, Serialize};

pub use self::cluster::{ClusterSettings, LinkFiles, Role, RoleSet};
pub use self::store::{Engine, FoundationSettings, StoreConfig, TestStoreSettings};
use crate::telemetry::TelemetryConfig;

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshdConfig {
    /// Folder for the store, the service's keys and the development certificates.
    pub data_dir: PathBuf,
    /// The certificate HTTPS shows; the development CA makes one if this is absent.
    pub tls: Option<TlsFiles>,
    /// The admin listener.
    pub admin: AdminConfig,
    /// Listeners and domains.
    pub frontend: FrontendConfig,
    /// Partitions, and what holds for accounts.
    pub backend: BackendConfig,
    /// Sending to other services.
    pub outbound: OutboundConfig,
    /// Where everything is kept.
    pub store: StoreConfig,
    /// Roles, and the other processes of the cluster.
    pub cluster: ClusterSettings,
    /// How other services are found.
    pub discovery: DiscoverySettings,
    /// HTTP details.
    pub http: HttpConfig,
    /// Rates and bounds.
    pub limits: LimitsConfig,
    /// Interoperability switches, all off by default (service §11).
    pub interop: InteropConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// How many processes the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// This one, over a store of its own.
    Alone,
    /// Several over one store; this one has these roles.
    Cluster(RoleSet),
}

/// Where the certificate lies. Both files are read again when `meshd` gets SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM: the host's certificate, then the chain.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Rates and bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests that wait for news at once (architecture A-14); 0: none waits. More than there may be
    /// connections do not come.
    pub polls_max: usize,
    /// Rates per source and per device (decision Q-22).
    pub rate: RateConfig,
}

/// The listener for operators.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Loopback address of `/metrics`, `/livez`, `/readyz` and of the API. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` are answered besides, for those who watch from other hosts.
    pub observe: Option<SocketAddr>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("cannot read {}: check the path, or run without --config for the defaults", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The text does not say what it should.
    #[error("{message}")]
    Invalid {
        /// Which key, what was found, what is expected.
        message: String,
    },
    /// A setting of the front-end cannot be.
    #[error(transparent)]
    Frontend(#[from] FrontendError),
    /// A setting of the back-end cannot be.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A setting of discovery cannot be.
    #[error(transparent)]
    Discovery(#[from] SettingsError),
    /// A setting of the store cannot be.
    #[error("{sentence}")]
    Store {
        /// Which, and what to write instead.
        sentence: String,
    },
    /// A setting of the cluster cannot be.
    #[error("{sentence}")]
    Cluster {
        /// Which, and what to write instead.
        sentence: String,
    },
    /// The cluster's times cannot be.
    #[error(
        "the times of [cluster] do not fit together: see heartbeat_ms, poll_ms, lease_ms, takeover_ms"
    )]
    Times(#[from] TimesError),
    /// Several processes, and a store for one.
    #[error(
        "a process with the roles {roles} alone shares its store with other processes, and store.engine = \
         \"embedded\" is for one process: run without --role, or set store.engine = \"foundationdb\""
    )]
    StoreNotShared {
        /// The roles.
        roles: RoleSet,
    },
    /// The admin listener is open to others.
    #[error(
        "admin.listen = {listen} is not on loopback: it shows internals to whoever reaches it; write 127.0.0.1 and a port"
    )]
    AdminExposed {
        /// The address.
        listen: SocketAddr,
    },
}

impl Default for MeshdConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("meshd-data"),
            tls: None,
            admin: AdminConfig::default(),
            frontend: FrontendConfig::default(),
            backend: BackendConfig::default(),
            outbound: OutboundConfig::default(),
            store: StoreConfig::default(),
            cluster: ClusterSettings::default(),
            discovery: DiscoverySettings::default(),
            http: HttpConfig::default(),
            limits: LimitsConfig::default(),
            interop: InteropConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            polls_max: POLLS_MAX,
            rate: RateConfig::default(),
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8444)),
            observe: None,
        }
    }
}

impl MeshdConfig {
    /// Reads `file` over the defaults, then `MESHD_…` variables over both, and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`]: the key, what was found, and what to write instead.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, |_| {})
    }

    /// The same, with what the command line says over everything.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(
        file: Option<&Path>,
        adjust: impl FnOnce(&mut Self),
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable {
                path: path.to_owned(),
                cause,
            })?;
            figment = figment.merge(Toml::string(&text));
        }
        let mut config: Self = figment
            .merge(
                Env::prefixed("MESHD_")
                    .split("__")
                    .ignore(&["config", "home", "role"]),
            )
            .extract()
            .map_err(|error| ConfigError::Invalid {
                message: explain(error, file),
            })?;
        adjust(&mut config);
        config.check()?;
        Ok(config)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// [`ConfigError`], with the setting's name.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.effective_frontend().check()?;
        self.effective_backend().check()?;
        self.discovery.check()?;
        self.outbound.check()?;
        self.store.check()?;
        match self.shape() {
            Shape::Alone => {}
            Shape::Cluster(roles) => {
                if roles.is_node() && !self.store.engine.is_shared() {
                    return Err(ConfigError::StoreNotShared { roles });
                }
                self.cluster.check(roles)?;
            }
        }
        if !self.admin.listen.ip().is_loopback() {
            return Err(ConfigError::AdminExposed {
                listen: self.admin.listen,
            });
        }
        Ok(())
    }
}

impl MeshdConfig {
    /// Whether this process is the whole service, or one of several.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let roles = RoleSet::of(&self.cluster.roles);
        if roles == RoleSet::ALL && !self.store.engine.is_shared() {
            Shape::Alone
        } else {
            Shape::Cluster(roles)
        }
    }

    /// Where the service's identity lies.
    #[must_use]
    pub fn identity_folder(&self) -> PathBuf {
        let set = self.cluster.identity.clone();
        set.unwrap_or_else(|| crate::data_dir::identity_of(&self.data_dir))
    }

    /// The front-end's settings, with the tables that stand apart in the file.
    #[must_use]
    pub fn effective_frontend(&self) -> FrontendConfig {
        let backend = self.effective_backend();
        FrontendConfig {
            http: self.http.clone(),
            rate: self.limits.rate.clone(),
            polls_max: self.limits.polls_max,
            interop: self.interop.clone(),
            policy: backend.policy,
            domain_policies: backend.domains,
            ..self.frontend.clone()
        }
    }

    /// The back-end's settings, with the switches that stand apart in the file.
    #[must_use]
    pub fn effective_backend(&self) -> BackendConfig {
        let mut backend = self.backend.clone();
        let domains: BTreeSet<String> = self
            .frontend
            .domains
            .iter()
            .filter_map(|domain| canonical_domain(domain).ok())
            .collect();
        for policy in backend.domains.values_mut().chain([&mut backend.policy]) {
            policy.legacy_digests |= self.interop.legacy_digests;
            policy.outbound_rates = self.limits.rate.outbound();
            policy.domains_served = domains.clone();
        }
        backend
    }
}

/// One sentence per problem: where, what was found, what is expected, and the nearest known key.
fn explain(error: figment::Error, file: Option<&Path>) -> String {
    let place = file.map_or_else(
        || "the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let sentences: Vec<String> = error
        .into_iter()
        .map(|problem| format!("{place}: {}", explain_one(&problem)))
        .collect();
    sentences.join("\n")
}

fn explain_one(problem: &figment::Error) -> String {
    let path = problem.path.join(".");
    match &problem.kind {
        figment::error::Kind::UnknownField(found, known) => {
            let parent = problem
                .path
                .split_last()
                .map_or(&[][..], |(_, parent)| parent)
                .join(".");
            let shown = if parent.is_empty() {
                found.clone()
            } else {
                format!("{parent}.{found}")
            };
            nearest(found, known).map_or_else(
                || format!("unknown setting {shown}; known here: {}", known.join(", ")),
                |near| format!("unknown setting {shown}; did you mean {near}?"),
            )
        }
        kind if path.is_empty() => kind.to_string(),
        kind => format!("{path}: {kind}"),
    }
}

/// The known name closest to `found`, if any is close.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|&name| (edits(found, name), name))
        .min()
        .filter(|&(distance, name)| distance <= name.len().max(3) / 3)
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<MeshdConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meshd.toml");
        std::fs::write(&path, text).unwrap();
        MeshdConfig::load(Some(&path))
    }

    fn sentence(text: &str) -> String {
        let sentence = load(text).unwrap_err().to_string();
        sentence
            .split_once("meshd.toml: ")
            .map_or_else(|| sentence.clone(), |(_, rest)| rest.to_owned())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = load("").unwrap();
        assert_eq!(config.data_dir, MeshdConfig::default().data_dir);
        assert_eq!(
            config.frontend.listen,
            MeshdConfig::default().frontend.listen
        );
    }

    #[test]
    fn what_a_domain_may_use_is_set_for_all_and_for_each() {
        let text = "[backend.policy.domain]\noctets_max = 1000\nmessages_per_day_max = 0\n\
                    [backend.domains.\"small.example\"]\ndomain.octets_max = 10\n";
        let backend = load(text).unwrap().effective_backend();
        let of = |domain| backend.policy_of_domain(domain).domain;
        let all = of("example.com");
        assert_eq!(
            (all.octets_max, all.messages_per_day_max),
            (Some(1000), Some(0))
        );
        assert_eq!(all.accounts_max, None);
        let small = of("small.example");
        assert_eq!(
            (small.octets_max, small.messages_per_day_max),
            (Some(10), None)
        );
        assert!(backend.grants_to_partitions());
        assert!(!load("").unwrap().effective_backend().grants_to_partitions());
        let said = sentence("[backend.policy.domain]\noctet_max = 1");
        assert!(said.contains("did you mean octets_max?"), "{said}");
    }

    #[test]
    fn a_misspelt_setting_is_named_with_the_nearest_known_one() {
        assert_eq!(
            sentence("data_dri = \"x\""),
            "unknown setting data_dri; did you mean data_dir?"
        );
        assert_eq!(
            sentence("[frontend]\ndomain = [\"example.com\"]"),
            "unknown setting frontend.domain; did you mean domains?"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named() {
        let text = sentence("[frontend]\nworkers = \"many\"");
        assert!(text.starts_with("frontend.workers: "), "{text}");
    }

    #[test]
    fn the_admin_listener_stays_on_loopback() {
        assert!(matches!(
            load("[admin]\nlisten = \"192.0.2.1:9000\""),
            Err(ConfigError::AdminExposed { .. })
        ));
    }

    #[test]
    fn a_missing_file_is_a_sentence() {
        let error = MeshdConfig::load(Some(Path::new("/nonexistent/meshd.toml"))).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot read /nonexistent/meshd.toml")
        );
    }
}
