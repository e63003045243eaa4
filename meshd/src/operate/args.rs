//! What operators type: `meshd queue`, `explain`, `quarantine`, `aside`, `incidents`, `peer`. The help texts are
//! the manual.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const QUEUE_HELP: &str = "\
A destination does not get its messages:
  meshd queue list                  which ones, and since when
  meshd queue show example.net      why, and when it is tried next
  meshd explain MESSAGE-ID          the same, for one message
  meshd queue retry example.net     once they say that it is back
  meshd queue hold example.net --reason \"moves on Friday\"
  meshd queue fail example.net --reason \"the domain is gone\"

Exit codes: 0 done, 1 the answer is no, 2 it could not be asked.
Every order is recorded in admin/audit.jsonl of the data folder, with who gave it.";

const MIGRATE_HELP: &str = "\
From one machine to a cluster:
  meshd migrate --to cluster.toml             while the service runs; again, as often as you like
  systemctl stop meshd
  meshd migrate --to cluster.toml --finish    what changed since; then the other store has everything
  meshd run --role backend --config cluster.toml

The store moves; the identity is files, and goes along: meshd identity copy. The same way leads back. What was copied is not copied again, and until the end of --finish the service may go on
where it was.";

/// Which service is asked, and how the answer is written.
#[derive(Debug, Clone, Args)]
pub struct Desk {
    /// The configuration of the service: says where its data folder is.
    #[arg(
        long,
        short,
        env = "MESHD_CONFIG",
        value_name = "FILE",
        global = true,
        help_heading = "Service"
    )]
    pub config: Option<PathBuf>,
    /// The data folder of the service; overrides the configuration's `data_dir`.
    #[arg(
        long,
        env = "MESHD_HOME",
        value_name = "DIR",
        global = true,
        help_heading = "Service"
    )]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object, for programs.
    #[arg(long, global = true, help_heading = "Service")]
    pub json: bool,
}

/// `meshd queue`.
#[derive(Debug, Clone, Args)]
#[command(after_help = QUEUE_HELP)]
pub struct Queue {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// What can be asked about the queue, and ordered.
#[derive(Debug, Clone, Subcommand)]
pub enum QueueCommand {
    /// Show every destination with something queued, held or away: those that wait longest first.
    List,
    /// Show one destination and the messages that wait for it, or the messages of a tenant.
    Show(Show),
    /// Send nothing of what is selected, from now on and until `meshd queue resume`.
    ///
    /// Messages that come later are held as well. What is in flight ends as it ends. Held messages still
    /// expire, and their senders are told after four hours that they are late.
    Hold(WithReason),
    /// Send again what `meshd queue hold` holds; the same is to be selected as was held.
    Resume(Selected),
    /// Try now what is selected, instead of at its time; a destination that is away is probed at once.
    ///
    /// A destination that does not answer that either is left alone for three times as long, at most 30
    /// minutes.
    Retry(Selected),
    /// End what is selected: senders are told `Failed`, with the reason.
    ///
    /// This cannot be undone. Without --yes it only says how many messages that would be.
    Fail(Fail),
    /// Send what is selected to another host and port than discovery finds, or by discovery again.
    ///
    /// The host must show a certificate for the destination, and the profile the destination is known by.
    Reroute(Reroute),
}

/// Which messages are meant. What is given together must hold together.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "selection", required = true, multiple = true)]
pub struct Selected {
    /// Messages to accounts of this domain.
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,
    /// Messages from accounts of this domain.
    #[arg(long, value_name = "DOMAIN")]
    pub tenant: Option<String>,
    /// One message, by its id; or one item of the queue, by its own.
    #[arg(long, value_name = "ID")]
    pub message: Option<String>,
}

/// `meshd queue show`.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// Which messages.
    #[command(flatten)]
    pub selected: Selected,
    /// Show so many messages at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub max: usize,
}

/// An order with its reason.
#[derive(Debug, Clone, Args)]
pub struct WithReason {
    /// Which messages.
    #[command(flatten)]
    pub selected: Selected,
    /// Why: shown to other operators, and kept in the record of orders.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `meshd queue fail`.
#[derive(Debug, Clone, Args)]
pub struct Fail {
    /// Which messages.
    #[command(flatten)]
    pub selected: Selected,
    /// Why: the senders read it.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// `meshd queue reroute`.
#[derive(Debug, Clone, Args)]
pub struct Reroute {
    /// Which messages.
    #[command(flatten)]
    pub selected: Selected,
    /// Where to: a host name or an address, and a port.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "by_dns")]
    pub via: Option<String>,
    /// By discovery again: revokes the route of exactly this selection.
    #[arg(long, conflicts_with = "via")]
    pub by_dns: bool,
    /// Why: shown to other operators, and kept in the record of orders.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `meshd explain`.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// Id of the message, as `mesh message list` prints it; or of an item of the queue.
    #[arg(value_name = "MESSAGE-ID")]
    pub message: String,
    /// The account that sent it: then what its sender was told is known also of a message that waits
    /// nowhere any more.
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
}

/// `meshd quarantine`.
#[derive(Debug, Clone, Args)]
pub struct Quarantine {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: QuarantineCommand,
}

/// What can be done about items that cannot be sent.
#[derive(Debug, Clone, Subcommand)]
pub enum QuarantineCommand {
    /// Show what was taken out of the queue because handling it failed here.
    List(List),
    /// Show one of them.
    Show(One),
    /// Put one back into the queue, due now, with its failures forgotten.
    Requeue(One),
    /// Drop one. Its sender is told that it failed.
    Drop(One),
}

/// `meshd aside`.
#[derive(Debug, Clone, Args)]
pub struct Aside {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: AsideCommand,
}

/// What can be done about what could not be received.
#[derive(Debug, Clone, Subcommand)]
pub enum AsideCommand {
    /// Show what came for accounts of this service and could be received in no way.
    List(List),
    /// Show one of them.
    Show(One),
    /// Have one received again: after its account was repaired, or has room again.
    ///
    /// The sender was told that the message failed, and is told nothing else.
    Requeue(One),
    /// Drop one. Its sender was told that it failed when it was set aside.
    Drop(One),
}

/// `meshd incidents`.
#[derive(Debug, Clone, Args)]
pub struct Incidents {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: IncidentsCommand,
}

/// Complaints, and what follows from them.
#[derive(Debug, Clone, Subcommand)]
pub enum IncidentsCommand {
    /// Show the newest incidents, about one account or service or about all.
    List(IncidentsList),
    /// File a complaint: it counts against the account or service that it is about.
    File(File),
    /// Show how an account or service stands; without one, everybody who does not stand as normal.
    ///
    /// Incidents add to a score that halves in seven days. What follows: throttled sends a tenth of its
    /// rates, restricted writes to contacts only, suspended sends nothing. Synchronization always goes on.
    Level(Level),
    /// Set the score of an account or service to nothing. Its incidents stay on record.
    Forgive(Forgive),
}

/// `meshd incidents list`.
#[derive(Debug, Clone, Args)]
pub struct IncidentsList {
    /// Address of an account, or domain of a service.
    #[arg(value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// Show so many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub max: usize,
}

/// `meshd incidents file`.
#[derive(Debug, Clone, Args)]
pub struct File {
    /// Address of the account, or domain of the service, that it is about.
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
    /// What happened, in a phrase.
    #[arg(long, value_name = "TEXT")]
    pub what: String,
    /// Who complained.
    #[arg(long, value_name = "WHO")]
    pub reporter: String,
    /// Id of the message that it is about.
    #[arg(long, value_name = "ID")]
    pub message: Option<String>,
}

/// `meshd incidents level`.
#[derive(Debug, Clone, Args)]
pub struct Level {
    /// Address of an account, or domain of a service.
    #[arg(value_name = "SUBJECT")]
    pub subject: Option<String>,
}

/// `meshd incidents forgive`.
#[derive(Debug, Clone, Args)]
pub struct Forgive {
    /// Address of an account, or domain of a service.
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
}

/// `meshd peer`.
#[derive(Debug, Clone, Args)]
pub struct Peer {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: PeerCommand,
}

/// Other services.
#[derive(Debug, Clone, Subcommand)]
pub enum PeerCommand {
    /// Show who the service of a domain is, where it is found, and whether it answers now.
    Show(Domain),
    /// Forget who the service of a domain was: the next one that answers there is believed.
    ///
    /// For when you know from its operator that it has another one now. Until then a domain that shows
    /// another service than before gets nothing.
    Forget(Domain),
}

/// Which service, and whether it runs.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// The service does not run: open its store instead of asking it.
    #[arg(long, help_heading = "Service")]
    pub stopped: bool,
}

/// `meshd verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Which service.
    #[command(flatten)]
    pub place: Place,
    /// Accounts of this domain alone.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// A sample: one account in so many, the same ones each time.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub one_in: u64,
    /// Set right what domains are said to use, where their accounts say otherwise.
    #[arg(long, conflicts_with = "one_in")]
    pub mend: bool,
}

/// `meshd export`.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// Which service.
    #[command(flatten)]
    pub place: Place,
    /// Address of an account, or a domain: then each account has a folder of its own.
    #[arg(value_name = "ADDRESS|DOMAIN")]
    pub what: String,
    /// Folder for what is written, on the host of the service; it must not exist, or be empty.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

/// `meshd import`.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// Which service.
    #[command(flatten)]
    pub place: Place,
    /// Folders that `meshd export` wrote, one of each account, on the host of the service.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
}

/// `meshd migrate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = MIGRATE_HELP)]
pub struct Migrate {
    /// Which service.
    #[command(flatten)]
    pub place: Place,
    /// Configuration whose `store` everything is to go to.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// The service is stopped: copy what changed since, check everything, and hand over.
    #[arg(long)]
    pub finish: bool,
    /// Take at most so many hundredths of the time: 25, and 100 where the service is stopped. The rest is for the
    /// service, which stays quick; what takes longer since it is busy is followed by a longer rest.
    #[arg(long, value_name = "PERCENT", conflicts_with = "finish")]
    pub share: Option<u8>,
    /// Copy at most so many octets a second, besides.
    #[arg(long, value_name = "OCTETS", conflicts_with = "finish")]
    pub rate: Option<u64>,
}

/// `meshd restore-check`.
#[derive(Debug, Clone, Args)]
pub struct RestoreCheck {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// Recompute the digests of a sample: one account in so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub one_in: u64,
    /// Raise the generation, so that nothing from before the restore can write any more. Once after each restore.
    #[arg(long)]
    pub open: bool,
    /// Open it although something is damaged or missing.
    #[arg(long, requires = "open")]
    pub in_spite_of_damage: bool,
}

/// `meshd health`.
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
}

/// `meshd cluster`.
#[derive(Debug, Clone, Args)]
pub struct Cluster {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: ClusterCommand,
}

/// The nodes of the cluster.
#[derive(Debug, Clone, Subcommand)]
pub enum ClusterCommand {
    /// Show the nodes: where they are, how they are, how much each owns.
    Show,
    /// Have a node let go of everything it owns, and leave.
    ///
    /// Others take over at once, and nobody notices but for some milliseconds. The process goes on answering
    /// reads until it is stopped; started again, it joins anew.
    Drain(Drain),
    /// Raise the store to the next feature level, once no node of a release is left that does not read it.
    ///
    /// It is raised by itself when every node has been able for an hour. Not to be taken back: from then on the release
    /// before cannot be started any more.
    Raise,
}

/// Which node is drained.
#[derive(Debug, Clone, Args)]
pub struct Drain {
    /// The node's name, or how it begins, as `meshd cluster show` lists it; without it, the node of this configuration.
    #[arg(value_name = "NODE")]
    pub node: Option<String>,
    /// Wait until it has left, and say how much it still owns.
    #[arg(long)]
    pub wait: bool,
}

/// `meshd domain`.
#[derive(Debug, Clone, Args)]
pub struct Domains {
    /// Which service.
    #[command(flatten)]
    pub desk: Desk,
    /// What is asked.
    #[command(subcommand)]
    pub command: DomainCommand,
}

/// The domains that are served here.
#[derive(Debug, Clone, Subcommand)]
pub enum DomainCommand {
    /// Show how many accounts domains have, how much these store, and how much they sent today.
    ///
    /// Accounts that were deleted count no more; what they stored counts until it is purged. Days are those of UTC.
    Usage(Usage),
}

/// `meshd domain usage`.
#[derive(Debug, Clone, Args)]
pub struct Usage {
    /// This domain alone.
    #[arg(value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Show so many at most, those that store most in front.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub max: usize,
}

/// A domain.
#[derive(Debug, Clone, Args)]
pub struct Domain {
    /// The domain.
    #[arg(value_name = "DOMAIN")]
    pub domain: String,
}

/// A listing.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// Show so many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub max: usize,
}

/// One thing by its id.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// Its id, as the list shows it.
    #[arg(value_name = "ID")]
    pub id: String,
}
