//! The table `[cluster]`: which roles this process has, how its processes find and trust each other,
//! and how they keep time (architecture §2, A-4, A-5; cluster §4).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use mesh_common::cluster::Roles;
use mesh_common::cluster::Times;
use mesh_link::ClusterName;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Heaviest weight of a node.
const WEIGHT_MAX: u32 = 10_000;
/// Longest time between the first sign of stopping and the end of accepting.
const STOP_DELAY_MS_MAX: u64 = 10_000;

/// What a process of a cluster is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers devices and other services; holds no store.
    Frontend,
    /// Owns accounts.
    Backend,
    /// Owns the queues to other services, and sends.
    Outbound,
}

/// Settings of a process among others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// What this process is there for; `meshd run --role` overrides it. None: everything, in one
    /// process.
    pub roles: Vec<Role>,
    /// The cluster's name, which stands in the certificates of its processes.
    pub name: String,
    /// Where a back-end or outbound process answers the others. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// `host:port` by which the others reach that; `listen` if absent, which must then be an address.
    pub advertise: Option<String>,
    /// Where this process stands: a front-end prefers back-ends of its own zone for reads.
    pub zone: String,
    /// This node's share of partitions and queues beside that of others.
    pub weight: u32,
    /// Back-ends a front-end begins with, as `host:port`.
    pub backends: Vec<String>,
    /// Name whose SRV records `_mmm._tcp.<name>` say where the back-ends are.
    pub discover: Option<String>,
    /// The certificates of the internal link; absent: no TLS, and loopback only.
    pub tls: Option<LinkFiles>,
    /// File with the secret of the cluster, the same on every back-end and outbound process.
    pub secret_file: Option<PathBuf>,
    /// Folder of the service's identity, the same on every process; `<data_dir>/identity` if absent.
    pub identity: Option<PathBuf>,
    /// Milliseconds between two heartbeats.
    pub heartbeat_ms: u64,
    /// Milliseconds between two looks at the tables of nodes and owners.
    pub poll_ms: u64,
    /// Milliseconds of silence after which others take what a node owns.
    pub lease_ms: u64,
    /// Milliseconds a takeover may take.
    pub takeover_ms: u64,
    /// Milliseconds between `/readyz` saying that the process stops and it taking no more connections:
    /// so long whoever spreads connections has to notice.
    pub stop_delay_ms: u64,
}

/// Where the certificates of the internal link lie. All are read again on SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkFiles {
    /// PEM: the private CA of the cluster.
    pub authority: PathBuf,
    /// PEM: this process's certificate.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// The roles of one process, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleSet {
    /// Answers devices and other services.
    pub frontend: bool,
    /// What it owns, if it owns anything.
    pub node: Roles,
}

impl Role {
    /// As settings and certificates say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Outbound => "outbound",
        }
    }
}

impl RoleSet {
    /// All of them.
    pub const ALL: Self = Self {
        frontend: true,
        node: Roles {
            backend: true,
            outbound: true,
        },
    };

    /// These; all if none is named.
    #[must_use]
    pub fn of(roles: &[Role]) -> Self {
        if roles.is_empty() {
            return Self::ALL;
        }
        Self {
            frontend: roles.contains(&Role::Frontend),
            node: Roles {
                backend: roles.contains(&Role::Backend),
                outbound: roles.contains(&Role::Outbound),
            },
        }
    }

    /// Whether it owns anything, and so has a store.
    #[must_use]
    pub const fn is_node(self) -> bool {
        self.node.backend || self.node.outbound
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Role> {
        [
            (self.frontend, Role::Frontend),
            (self.node.backend, Role::Backend),
            (self.node.outbound, Role::Outbound),
        ]
        .into_iter()
        .filter_map(|(has, role)| has.then_some(role))
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, role) in self.each().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(formatter, "{separator}{}", role.name())?;
        }
        Ok(())
    }
}

impl Default for ClusterSettings {
    fn default() -> Self {
        let times = Times::default();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            roles: Vec::new(),
            name: "mesh".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8445)),
            advertise: None,
            zone: String::new(),
            weight: 100,
            backends: Vec::new(),
            discover: None,
            tls: None,
            secret_file: None,
            identity: None,
            heartbeat_ms: millis(times.heartbeat),
            poll_ms: millis(times.poll),
            lease_ms: millis(times.lease),
            takeover_ms: millis(times.takeover),
            stop_delay_ms: 3_000,
        }
    }
}

impl ClusterSettings {
    /// How the cluster keeps time.
    #[must_use]
    pub const fn times(&self) -> Times {
        Times {
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            poll: Duration::from_millis(self.poll_ms),
            lease: Duration::from_millis(self.lease_ms),
            takeover: Duration::from_millis(self.takeover_ms),
        }
    }

    /// How long a stopping process still takes connections.
    #[must_use]
    pub const fn stop_delay(&self) -> Duration {
        Duration::from_millis(self.stop_delay_ms)
    }

    /// Checks what concerns a process with these roles in a cluster.
    pub(super) fn check(&self, roles: RoleSet) -> Result<(), ConfigError> {
        self.times().check()?;
        self.check_name()?;
        if !(1..=WEIGHT_MAX).contains(&self.weight) {
            return refuse(format!(
                "cluster.weight = {} is not between 1 and {WEIGHT_MAX}; 100 is usual",
                self.weight
            ));
        }
        if self.stop_delay_ms > STOP_DELAY_MS_MAX {
            return refuse(format!(
                "cluster.stop_delay_ms = {} is more than {STOP_DELAY_MS_MAX}: a stop must end within the \
                 20 seconds that orchestrators wait",
                self.stop_delay_ms
            ));
        }
        if roles.is_node() {
            self.check_node()?;
        } else if self.backends.is_empty() && self.discover.is_none() {
            return refuse(
                "a front-end alone must be told where the back-ends are: cluster.discover = \"NAME\" for \
                 the SRV records of _mmm._tcp.NAME, or cluster.backends = [\"HOST:PORT\"]"
                    .to_owned(),
            );
        }
        for backend in &self.backends {
            if !is_place(backend) {
                return refuse(format!(
                    "cluster.backends names {backend:?}, which is not HOST:PORT"
                ));
            }
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), ConfigError> {
        match self.name.parse::<ClusterName>() {
            Ok(_) => Ok(()),
            Err(error) => refuse(format!("cluster.name: {error}")),
        }
    }

    fn check_node(&self) -> Result<(), ConfigError> {
        if self.secret_file.is_none() {
            return refuse(
                "a process of a cluster needs cluster.secret_file, the same file on every back-end and \
                 outbound process; `meshd ca init` makes one"
                    .to_owned(),
            );
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return refuse(format!(
                "cluster.listen = {} is not on loopback, and there is no [cluster.tls]: name the CA, the \
                 certificate and the key of this process; `meshd ca init` and `meshd ca node` make them",
                self.listen
            ));
        }
        match &self.advertise {
            Some(place) if !is_place(place) => refuse(format!(
                "cluster.advertise = {place:?} is not HOST:PORT, by which the others reach this process"
            )),
            None if self.listen.ip().is_unspecified() => refuse(format!(
                "cluster.listen = {} does not say where the others reach this process: write \
                 cluster.advertise = \"HOST:PORT\"",
                self.listen
            )),
            _ => Ok(()),
        }
    }
}

fn refuse(sentence: String) -> Result<(), ConfigError> {
    Err(ConfigError::Cluster { sentence })
}

/// Whether `text` is `host:port`.
fn is_place(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}
