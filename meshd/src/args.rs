//! The command line of `meshd`. Its help text is the manual.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Role;
use crate::operate::args::{Aside, Explain, Health, Incidents, Peer, Quarantine, Queue};

/// A Mathematical Mesh service: people's devices keep their catalogs and messages on it,
/// end-to-end encrypted.
#[derive(Debug, Parser)]
#[command(name = "meshd", version, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `meshd` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service until it is told to stop (SIGTERM or Ctrl-C).
    ///
    /// Without a configuration it serves accounts of `localhost` on this host only: it makes a data
    /// folder, an identity, a development CA and a certificate, and says what to type next.
    /// SIGHUP makes it read the certificate again.
    Run(RunArguments),
    /// Read a configuration and say what is wrong with it, without starting anything.
    CheckConfig(ConfigArguments),
    /// Show the whole story in one process: a service, two people, their devices, real files.
    ///
    /// Exits with 0 only if every step went as it should.
    Demo(DemoArguments),
    /// Print the DNS records by which others find the service of a domain, as lines of a zone file.
    DnsRecords(DnsRecordsArguments),
    /// Messages that wait for other services: look, hold, retry, end, send another way.
    Queue(Queue),
    /// Say where a message is, what it waits for, and when it is tried next.
    Explain(Explain),
    /// Messages that cannot be sent because handling them failed here.
    Quarantine(Quarantine),
    /// What came for accounts here and could not be received.
    Aside(Aside),
    /// Complaints about accounts and services, and what follows from them.
    Incidents(Incidents),
    /// Other services: who the one of a domain is, and forgetting it when it became another.
    Peer(Peer),
    /// Ask the running service whether it is ready: 0 if it is, 1 with the reason if it is not.
    Health(Health),
}

/// Which configuration to use.
#[derive(Debug, Clone, Args)]
pub struct ConfigArguments {
    /// The configuration: one TOML file. Absent: the defaults, for this host only.
    #[arg(long, short, env = "MESHD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What `run` is told.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// Folder for everything that is kept; overrides the configuration's `data_dir`.
    #[arg(long, env = "MESHD_HOME", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What this process of a cluster is there for; may be given several times. Without it, what
    /// `cluster.roles` says, or else everything in one process.
    #[arg(
        long = "role",
        env = "MESHD_ROLE",
        value_name = "ROLE",
        value_enum,
        value_delimiter = ','
    )]
    pub roles: Vec<Role>,
}

/// What `dns-records` is told.
#[derive(Debug, Clone, Args)]
pub struct DnsRecordsArguments {
    /// The domain, one of frontend.domains.
    pub domain: String,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// The port others connect to, if it is not the first one of frontend.listen.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

/// What `demo` is told.
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// Keep the demo's folders there instead of in a temporary place that is removed.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}
