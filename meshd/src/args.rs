//! The command line of `meshd`. Its help text is the manual.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Role;
use crate::operate::args::{
    Aside, Cluster, Domains, Explain, Export, Health, Import, Incidents, Migrate, Peer, Quarantine,
    Queue, RestoreCheck, Verify,
};

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
    /// SIGHUP makes it read the certificates again.
    Run(RunArguments),
    /// Read a configuration and say what is wrong with it, without starting anything.
    CheckConfig(ConfigArguments),
    /// Show the whole story in one process: a service, two people, their devices, real files.
    ///
    /// Exits with 0 only if every step went as it should.
    Demo(DemoArguments),
    /// Print the DNS records by which others find the service of a domain, as lines of a zone file.
    DnsRecords(DnsRecordsArguments),
    /// The private certificate authority of a cluster, for those who have none.
    Ca(CaArguments),
    /// The service's identity: make it beforehand, and give it to the processes of a cluster.
    Identity(IdentityArguments),
    /// The nodes of a cluster: who owns how much, and taking one out.
    Cluster(Cluster),
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
    /// The domains that are served here: what each of them uses.
    Domain(Domains),
    /// Other services: who the one of a domain is, and forgetting it when it became another.
    Peer(Peer),
    /// Ask the running service whether it is ready: 0 if it is, 1 with the reason if it is not.
    Health(Health),
    /// Recompute every digest of accounts, or of a sample of them, from what is stored.
    Verify(Verify),
    /// Write an account, or the accounts of a domain, to files that can be checked and read back.
    Export(Export),
    /// Read accounts back that `meshd export` wrote, here or at another service.
    Import(Import),
    /// Move everything to another store, of whatever engine, while the service runs.
    Migrate(Migrate),
    /// Look at a store that was restored from a backup, and open it.
    RestoreCheck(RestoreCheck),
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

/// What `ca` is told.
#[derive(Debug, Clone, Args)]
pub struct CaArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: CaCommand,
}

/// What `meshd ca` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum CaCommand {
    /// Make a certificate authority, and the secret of the cluster.
    ///
    /// Writes ca.pem, ca.key and cluster.secret into the folder. Only ca.pem and cluster.secret are needed by the
    /// processes of the cluster: keep ca.key where certificates are made.
    Init(CaInitArguments),
    /// Make a certificate for one process.
    ///
    /// Writes NAME.pem and NAME.key into the folder of the authority. Give both to the process, name them in
    /// [cluster.tls], and tell a process that runs by SIGHUP.
    Node(CaNodeArguments),
}

/// What `ca init` is told.
#[derive(Debug, Clone, Args)]
pub struct CaInitArguments {
    /// Folder for what is made; made if it is not there.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The cluster's name, as in cluster.name.
    #[arg(long, value_name = "NAME", default_value = "mesh")]
    pub cluster: String,
    /// Days for which the authority is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 3_650,
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// What `ca node` is told.
#[derive(Debug, Clone, Args)]
pub struct CaNodeArguments {
    /// The folder of the authority, as `ca init` made it.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// What the files are called.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What the process is there for; may be given several times.
    #[arg(
        long = "role",
        value_name = "ROLE",
        value_enum,
        required = true,
        value_delimiter = ','
    )]
    pub roles: Vec<Role>,
    /// A name or address of the process, for other programs to check; the processes of the cluster do not. May
    /// be given several times.
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// The cluster's name, as in cluster.name.
    #[arg(long, value_name = "NAME", default_value = "mesh")]
    pub cluster: String,
    /// Days for which the certificate is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
}

/// What `identity` is told.
#[derive(Debug, Clone, Args)]
pub struct IdentityArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: IdentityCommand,
}

/// What `meshd identity` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum IdentityCommand {
    /// Make the identity of a new service, or say which one there is.
    ///
    /// `meshd run` does so by itself for a service of one process. A process of a cluster never does.
    Init(IdentityPlace),
    /// Copy what every process of a cluster needs into a folder, without the keys that belong offline.
    Copy(IdentityCopy),
}

/// Which identity.
#[derive(Debug, Clone, Args)]
pub struct IdentityPlace {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// The data folder, overriding the configuration's `data_dir`.
    #[arg(long, env = "MESHD_HOME", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Where the copy goes.
#[derive(Debug, Clone, Args)]
pub struct IdentityCopy {
    /// Folder for the copy; made if it is not there.
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
    /// Which identity.
    #[command(flatten)]
    pub place: IdentityPlace,
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
