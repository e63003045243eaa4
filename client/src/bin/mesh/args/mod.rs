//! What can be typed: one structure per command, and the manual in its help texts. Completions and
//! man pages are made from the same structures.

mod account;
mod device;
mod entry;
mod everyday;
mod key;
mod messages;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::account::{Account, AccountCommand, Add as AddAccount, Create, Delete};
pub(crate) use self::device::{
    Device, DeviceCommand, DeviceDelete, DeviceEarl, DevicePending, DevicePin, DeviceRequest,
    EarlAccept, EarlMake, Target, TermsFields,
};
pub(crate) use self::entry::{
    Add, BookmarkFields, ContactFields, Fields, List, MailFields, NetworkFields, PasswordFields,
    SecretFields, Select, SshFields, TaskFields, Update, Verb,
};
pub(crate) use self::everyday::{Completions, Export, Import, Keep, Kind, Man, Sync, Verify};
pub(crate) use self::key::{
    Brought, Key, KeyCommand, KeyCopy, KeyEscrow, KeyExport, KeyOf, KeyRecover,
};
pub(crate) use self::messages::{
    Confirm, ConfirmCommand, ContactAccept, ContactCommand, ContactRequest, MessageCommand,
    MessageList, MessageStatus, Messages, TaskCommand, TaskSend,
};

const AFTER: &str = "\
Start here:
  mesh account create alice@example.com      make an account, and this device its first
  mesh contact add \"Ada Lovelace\" --email ada@example.org
  mesh import contacts.vcf bookmarks.html    bring what other programs exported
  mesh sync                                  exchange changes with the service
  mesh contact request bob@example.net       ask somebody for their contact data
  mesh device request alice@example.com      on your next device: ask to be connected
  mesh verify                                recompute every digest and signature

Every change is made on this device first and reaches the service with the next `mesh sync`.";

const AFTER_LONG: &str = "\
Start here:
  mesh account create alice@example.com      make an account, and this device its first
  mesh contact add \"Ada Lovelace\" --email ada@example.org
  mesh import contacts.vcf bookmarks.html    bring what other programs exported
  mesh sync                                  exchange changes with the service
  mesh contact request bob@example.net       ask somebody for their contact data
  mesh device request alice@example.com      on your next device: ask to be connected
  mesh verify                                recompute every digest and signature

Every change is made on this device first and reaches the service with the next `mesh sync`.

Exit codes:
  0  done
  1  the answer is no: the service refused, nothing was found, something does not verify
  2  it could not be asked: wrong usage, a file that cannot be used, no connection

With --json a command prints one JSON object on standard output and nothing else. Done:
  {\"command\": \"contact add\", \"result\": {...}}
Not done:
  {\"error\": {\"message\": \"...\", \"caused_by\": [\"...\"], \"try\": \"...\", \"exit_code\": 1}}
Members may be added to these objects in later versions; none is renamed or removed.";

/// Your contacts, passwords, bookmarks, tasks and settings, on all your devices, readable by you
/// alone.
///
/// A device keeps them in one folder, in containers whose digests prove that nothing was lost or
/// changed. What leaves the device is encrypted; the service that carries it from one of your
/// devices to the next cannot read it. (It can read your contacts' addresses, in order to know
/// who may write to you.)
#[derive(Debug, Parser)]
#[command(name = "mesh", version, propagate_version = false)]
#[command(after_help = AFTER, after_long_help = AFTER_LONG)]
#[command(
    disable_help_subcommand = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What is to be done.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What holds for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The folder this device keeps everything in
    ///
    /// It is made if it is not there, and only you can read it. Without this option it is the
    /// folder `mesh` below the place where your system keeps the data of programs.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MESH_HOME",
        hide_env_values = true
    )]
    pub(crate) home: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The file whose first line is the passphrase of the keys; `-` is standard input
    ///
    /// Without it the passphrase is asked for at the terminal, if the keys have one.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "MESH_PASSPHRASE_FILE",
        hide_env_values = true
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Say what happens behind the scenes, on standard error; twice says more
    ///
    /// Secrets are never printed, however often you give it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Account(Account),
    Device(Device),
    Sync(Sync),
    Import(Import),
    Export(Export),
    Verify(Verify),
    /// People and organizations
    #[command(subcommand)]
    Contact(ContactCommand),
    Message(Messages),
    Confirm(Confirm),
    /// Usernames and passwords
    #[command(subcommand)]
    Password(Verb<PasswordFields>),
    /// Pages worth finding again
    #[command(subcommand)]
    Bookmark(Verb<BookmarkFields>),
    /// Events and things to be done
    #[command(subcommand)]
    Task(TaskCommand),
    /// Access to networks
    #[command(subcommand)]
    Network(Verb<NetworkFields>),
    /// Settings of SSH: known hosts and authorized keys
    #[command(subcommand)]
    Ssh(Verb<SshFields>),
    /// Settings of mail accounts
    #[command(subcommand)]
    Mail(Verb<MailFields>),
    Key(Key),
    Completions(Completions),
    Man(Man),
}

impl Command {
    /// The words that name the command, for the JSON object.
    pub(crate) fn name(&self) -> String {
        let (noun, verb) = match self {
            Self::Account(account) => ("account", account.command.name()),
            Self::Device(device) => ("device", device.command.name()),
            Self::Sync(_) => ("sync", ""),
            Self::Import(_) => ("import", ""),
            Self::Export(_) => ("export", ""),
            Self::Verify(_) => ("verify", ""),
            Self::Contact(verb) => ("contact", verb.name()),
            Self::Message(message) => ("message", message.command.name()),
            Self::Confirm(confirm) => ("confirm", confirm.command.name()),
            Self::Password(verb) => ("password", verb.name()),
            Self::Bookmark(verb) => ("bookmark", verb.name()),
            Self::Task(verb) => ("task", verb.name()),
            Self::Network(verb) => ("network", verb.name()),
            Self::Ssh(verb) => ("ssh", verb.name()),
            Self::Mail(verb) => ("mail", verb.name()),
            Self::Key(key) => ("key", key.command.name()),
            Self::Completions(_) => ("completions", ""),
            Self::Man(_) => ("man", ""),
        };
        format!("{noun} {verb}").trim_end().to_owned()
    }
}
