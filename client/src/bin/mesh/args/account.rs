//! `mesh account`: the account, and this device as part of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_common::address::AccountAddress;

/// Make an account, see how it stands, delete it
#[derive(Debug, Args)]
pub(crate) struct Account {
    /// What is to be done with the account.
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

/// What is to be done with the account.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    Create(Create),
    /// Make another account of the same mesh, with this device as its first
    Add(Add),
    /// List the accounts of this device and their folders
    List,
    /// See how the account and its containers stand, here and at the service
    Status,
    Delete(Delete),
}

impl AccountCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Add(_) => "add",
            Self::List => "list",
            Self::Status => "status",
            Self::Delete(_) => "delete",
        }
    }
}

/// Make an account at a service, with this device as its first
///
/// Keys are made for you (your personal mesh), for the account and for this device, and are kept
/// in the folder of --home and nowhere else. The service gets the public profiles only. The
/// identity of the service is remembered; a service that later shows another one is refused.
///
/// A command that was interrupted is typed again: it goes on with the same keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh account create alice@example.com
  mesh account create alice@localhost --service https://localhost:8443 --ca ca.pem
  mesh account create alice@example.com --ask-passphrase")]
pub(crate) struct Create {
    /// The address the account is to have, user@domain
    pub(crate) address: AccountAddress,
    /// Where the service is; without it at mmm.DOMAIN, port 443
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// A PEM file of certificate authorities to trust besides those of the system
    ///
    /// The certificates are copied into the folder of --home.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// What to call this device in the list of your devices
    #[arg(long, value_name = "TEXT")]
    pub(crate) device: Option<String>,
    /// Ask for a passphrase at the terminal and seal the keys with it
    ///
    /// Without a passphrase (this option or --passphrase-file) the keys are kept in the clear, in
    /// a file that only you can read.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) ask_passphrase: bool,
}

/// Make another account of the same mesh, with this device as its first
///
/// The account has entries and messages of its own; the mesh behind it, and this device, are the
/// same. It is kept in a folder below that of --home; give that folder with --home to work on it.
/// `mesh device accept --with-account` connects a device to both accounts at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mesh account add alice@work.example")]
pub(crate) struct Add {
    /// The address the account is to have, user@domain
    pub(crate) address: AccountAddress,
    /// Where the service is; without it where the first account's is, or at mmm.DOMAIN, port 443
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// A PEM file of certificate authorities to trust besides those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// Delete the account at the service
///
/// The service keeps the data for 30 days, in which its operator can restore it, and keeps the
/// address for you for 90. The keys and containers on this device stay as they are; remove the
/// folder of --home when you do not need them any more.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Do it; without this option nothing happens
    #[arg(long)]
    pub(crate) yes: bool,
}
