//! `mesh contact`, `mesh password` and their five siblings: the same five verbs for each catalog,
//! and the members that an entry of each can have.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_common::time::Timestamp;

/// What distinguishes the commands of one catalog from those of another.
pub(crate) trait Fields: Args {
    /// What `add` is given first, in capitals.
    const SUBJECT: &'static str;
    /// What that is.
    const SUBJECT_HELP: &'static str;
    /// The option of `update` that changes it.
    const SUBJECT_OPTION: &'static str;
    /// One line for each verb.
    const ABOUT: [&'static str; 5];
    /// Lines that can be typed.
    const EXAMPLES: &'static str;
}

/// What is to be done with the entries of one catalog.
#[derive(Debug, Subcommand)]
#[command(after_help = F::EXAMPLES)]
pub(crate) enum Verb<F: Fields> {
    /// Adds an entry.
    #[command(about = F::ABOUT[0], long_about = None, after_help = F::EXAMPLES)]
    Add(Add<F>),
    /// Shows one entry.
    #[command(about = F::ABOUT[1], long_about = None)]
    Get(Select),
    /// Lists entries.
    #[command(about = F::ABOUT[2], long_about = None)]
    List(List),
    /// Changes members of an entry.
    #[command(about = F::ABOUT[3], long_about = None)]
    Update(Update<F>),
    /// Deletes an entry.
    #[command(about = F::ABOUT[4], long_about = None)]
    Delete(Select),
}

impl<F: Fields> Verb<F> {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Get(_) => "get",
            Self::List(_) => "list",
            Self::Update(_) => "update",
            Self::Delete(_) => "delete",
        }
    }
}

/// Adds an entry.
#[derive(Debug, Args)]
pub(crate) struct Add<F: Fields> {
    #[arg(value_name = F::SUBJECT, help = F::SUBJECT_HELP)]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) fields: F,
}

/// Changes members of an entry.
#[derive(Debug, Args)]
pub(crate) struct Update<F: Fields> {
    /// Which one: its id, its title, or the start of either
    #[arg(value_name = "ENTRY")]
    pub(crate) entry: String,
    #[arg(long = F::SUBJECT_OPTION, value_name = F::SUBJECT, help = F::SUBJECT_HELP)]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) fields: F,
}

/// Names one entry.
#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Which one: its id, its title, or the start of either
    #[arg(value_name = "ENTRY")]
    pub(crate) entry: String,
    /// Print passwords and other secrets
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// Lists entries.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those whose id, title or details hold this text
    #[arg(value_name = "TEXT")]
    pub(crate) find: Option<String>,
    /// Print passwords and other secrets
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// Members of a contact.
#[derive(Debug, Default, Args)]
pub(crate) struct ContactFields {
    /// The given name
    #[arg(long, value_name = "NAME")]
    pub(crate) first: Option<String>,
    /// The family name
    #[arg(long, value_name = "NAME")]
    pub(crate) last: Option<String>,
    /// A mail address; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Vec<String>,
    /// A telephone number; repeat for more
    #[arg(long, value_name = "NUMBER")]
    pub(crate) phone: Vec<String>,
    /// A Mesh address, user@domain; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mesh: Vec<String>,
    /// A page; repeat for more
    #[arg(long, value_name = "URL")]
    pub(crate) url: Vec<String>,
    /// The company the person belongs to
    #[arg(long, value_name = "NAME")]
    pub(crate) company: Option<String>,
    /// A label to file the contact under; repeat for more
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Vec<String>,
    /// The contact is yourself: what others get of you
    ///
    /// Only a device that holds the keys of your mesh can sign it.
    #[arg(long = "self")]
    pub(crate) is_self: bool,
    /// What the contact may send you: `Contact`, `Confirm`, `Task`, `Group` or `*`; repeat for more
    #[arg(long, value_name = "WHAT")]
    pub(crate) allow: Vec<String>,
    /// What the contact may not send you; repeat for more
    #[arg(long, value_name = "WHAT")]
    pub(crate) refuse: Vec<String>,
}

impl Fields for ContactFields {
    const SUBJECT: &'static str = "NAME";
    const SUBJECT_HELP: &'static str = "The whole name, as the person writes it";
    const SUBJECT_OPTION: &'static str = "name";
    const ABOUT: [&'static str; 5] = [
        "Add a contact",
        "Show one contact",
        "List the contacts",
        "Change a contact; members that are not named stay as they are",
        "Delete a contact",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh contact add \"Ada Lovelace\" --email ada@example.org --phone +44207946000
  mesh contact list ada
  mesh contact update \"Ada Lovelace\" --company \"Analytical Engines\"
  mesh contact update \"Ada Lovelace\" --mesh ada@example.org --allow Confirm";
}

/// Members of a username and password.
#[derive(Debug, Default, Args)]
pub(crate) struct PasswordFields {
    /// The name to log in with
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// The protocol of the service, such as https
    #[arg(long, value_name = "NAME")]
    pub(crate) protocol: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretFields,
}

/// Where a password comes from.
#[derive(Debug, Default, Args)]
pub(crate) struct SecretFields {
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "password")]
    pub(crate) password_stdin: bool,
    /// The password; other users of this machine may see it while the command runs
    ///
    /// Without --password and --password-stdin, `add` asks for it at the terminal.
    #[arg(long, value_name = "TEXT", hide_env_values = true)]
    pub(crate) password: Option<String>,
}

impl Fields for PasswordFields {
    const SUBJECT: &'static str = "SERVICE";
    const SUBJECT_HELP: &'static str = "The service it is for, such as mail.example.com";
    const SUBJECT_OPTION: &'static str = "service";
    const ABOUT: [&'static str; 5] = [
        "Add a username and password",
        "Show one of them; the password only with --show-secrets",
        "List them; the passwords only with --show-secrets",
        "Change one of them; members that are not named stay as they are",
        "Delete one of them",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh password add mail.example.com --username alice --password-stdin < file
  mesh password get mail.example.com --show-secrets
  mesh password update mail.example.com --password-stdin < file";
}

/// Members of a bookmark.
#[derive(Debug, Default, Args)]
pub(crate) struct BookmarkFields {
    /// The title to show
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Folders and name, separated by `/`; the bookmark is found by it
    ///
    /// Without it, the title or else the address of the page.
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
}

impl Fields for BookmarkFields {
    const SUBJECT: &'static str = "URL";
    const SUBJECT_HELP: &'static str = "The address of the page";
    const SUBJECT_OPTION: &'static str = "url";
    const ABOUT: [&'static str; 5] = [
        "Add a bookmark",
        "Show one bookmark",
        "List the bookmarks",
        "Change a bookmark; members that are not named stay as they are",
        "Delete a bookmark",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh bookmark add https://example.org/bananas --title Bananas --path Food/Fruit/Bananas
  mesh bookmark list Fruit";
}

/// Members of a task.
#[derive(Debug, Default, Args)]
pub(crate) struct TaskFields {
    /// When it starts, in UTC, as 2026-07-01T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<Timestamp>,
    /// When it ends or is due, in UTC
    #[arg(long, value_name = "TIME")]
    pub(crate) finish: Option<Timestamp>,
    /// Where it is
    #[arg(long, value_name = "TEXT")]
    pub(crate) location: Option<String>,
    /// More about it
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// When it happens again, as RRULE:FREQ=WEEKLY (RFC 5545)
    #[arg(long, value_name = "RULE")]
    pub(crate) repeat: Option<String>,
    /// When to be reminded, as -PT15M (RFC 5545); repeat for more
    #[arg(long, value_name = "TRIGGER", allow_hyphen_values = true)]
    pub(crate) remind: Vec<String>,
    /// Whether the time counts as taken
    #[arg(long, value_name = "BOOL")]
    pub(crate) busy: Option<bool>,
}

impl Fields for TaskFields {
    const SUBJECT: &'static str = "TITLE";
    const SUBJECT_HELP: &'static str = "What it is";
    const SUBJECT_OPTION: &'static str = "title";
    const ABOUT: [&'static str; 5] = [
        "Add an event or something to be done",
        "Show one task",
        "List the tasks",
        "Change a task; members that are not named stay as they are",
        "Delete a task",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh task add \"Water the ferns\" --finish 2026-07-01T18:00:00Z --repeat RRULE:FREQ=WEEKLY
  mesh task list ferns";
}

/// Members of the access to a network.
#[derive(Debug, Default, Args)]
pub(crate) struct NetworkFields {
    /// The kind of network, such as wifi or ipsec; without it wifi
    #[arg(long, value_name = "NAME")]
    pub(crate) protocol: Option<String>,
    /// The name to log in with
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretFields,
}

impl Fields for NetworkFields {
    const SUBJECT: &'static str = "NAME";
    const SUBJECT_HELP: &'static str = "The name of the network";
    const SUBJECT_OPTION: &'static str = "name";
    const ABOUT: [&'static str; 5] = [
        "Add access to a network",
        "Show one network; the password only with --show-secrets",
        "List the networks; the passwords only with --show-secrets",
        "Change a network; members that are not named stay as they are",
        "Delete a network",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh network add Harbour --password-stdin < file
  mesh network get Harbour --show-secrets";
}

/// Members of an SSH profile.
#[derive(Debug, Default, Args)]
pub(crate) struct SshFields {
    /// A line of a known_hosts file; repeat for more
    #[arg(long, value_name = "LINE")]
    pub(crate) known_host: Vec<String>,
    /// A known_hosts file whose lines are taken
    #[arg(long, value_name = "FILE")]
    pub(crate) known_hosts: Option<PathBuf>,
    /// A line of an authorized_keys file; repeat for more
    #[arg(long, value_name = "LINE")]
    pub(crate) authorized_key: Vec<String>,
    /// An authorized_keys file whose lines are taken
    #[arg(long, value_name = "FILE")]
    pub(crate) authorized_keys: Option<PathBuf>,
}

impl Fields for SshFields {
    const SUBJECT: &'static str = "NAME";
    const SUBJECT_HELP: &'static str = "What to call the profile";
    const SUBJECT_OPTION: &'static str = "name";
    const ABOUT: [&'static str; 5] = [
        "Add an SSH profile",
        "Show one SSH profile",
        "List the SSH profiles",
        "Change an SSH profile; members that are not named stay as they are",
        "Delete an SSH profile",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh ssh add work --known-hosts ~/.ssh/known_hosts --authorized-keys ~/.ssh/authorized_keys
  mesh ssh get work";
}

/// Members of a mail account.
#[derive(Debug, Default, Args)]
pub(crate) struct MailFields {
    /// An address of the account; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Vec<String>,
    /// A server mail is read from, as imap://user@host:port; repeat for more
    ///
    /// The scheme says how: imaps, pop3s and jmap with TLS, imap and pop3 with STARTTLS.
    #[arg(long, value_name = "URL")]
    pub(crate) inbound: Vec<String>,
    /// A server mail is handed to, as smtp://user@host:port; repeat for more
    ///
    /// The scheme says how: smtps with TLS, smtp with STARTTLS.
    #[arg(long, value_name = "URL")]
    pub(crate) outbound: Vec<String>,
    #[command(flatten)]
    pub(crate) secret: SecretFields,
}

impl Fields for MailFields {
    const SUBJECT: &'static str = "NAME";
    const SUBJECT_HELP: &'static str = "What to call the mail account";
    const SUBJECT_OPTION: &'static str = "name";
    const ABOUT: [&'static str; 5] = [
        "Add the settings of a mail account",
        "Show one mail account; passwords only with --show-secrets",
        "List the mail accounts; passwords only with --show-secrets",
        "Change a mail account; members that are not named stay as they are",
        "Delete a mail account",
    ];
    const EXAMPLES: &'static str = "\
Examples:
  mesh mail add work --address alice@example.com \\
      --inbound imaps://alice@imap.example.com --outbound smtps://alice@smtp.example.com
  mesh mail get work";
}
