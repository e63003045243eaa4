//! `mesh key`: the master key of the personal mesh and its copies, the keys that administer, and the
//! way back when all devices are lost.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use mesh_common::address::AccountAddress;

/// The master key of your mesh: copy it, take it offline, share it out, recover with it
///
/// Your mesh is what one key says it is: the master key. It signs the list of keys that may connect
/// devices, and nothing else, so it need not lie on a device from day to day. Whoever has it can
/// take your account over; whoever lost it, and all devices, cannot come back.
#[derive(Debug, Args)]
#[command(after_help = "\
To keep the master key on paper only:
  mesh key export --words                     write the 24 words down
  mesh key offline -                          type them in again; only then the key goes
To share it out, so that any three of five people bring you back:
  mesh key escrow --quorum 3 --shares 5
  mesh key recover alice@example.com --from -   on a new device, with three of them")]
pub(crate) struct Key {
    /// What is to be done with the keys.
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

/// What is to be done with the keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// See which keys administer the mesh, and whether the master key is here
    Status,
    /// Copy the master key: into a file, as words for paper, as a QR code
    Export(KeyExport),
    /// Take the master key off this device, once a copy of it has been read
    Offline(KeyCopy),
    /// Put the master key back on this device, where it stays
    Import(KeyCopy),
    /// Let another device administer the mesh with a key of its own
    Grant(KeyOf),
    /// Withdraw a device's key again; the device stays connected
    Withdraw(KeyOf),
    /// Replace the keys that this device administers with
    Rotate(KeyRotate),
    /// Share the master key out, and keep what is needed to read your entries with it
    Escrow(KeyEscrow),
    /// Take an account back on a new device, with the master key or enough shares of it
    Recover(KeyRecover),
}

impl KeyCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Export(_) => "export",
            Self::Offline(_) => "offline",
            Self::Import(_) => "import",
            Self::Grant(_) => "grant",
            Self::Withdraw(_) => "withdraw",
            Self::Rotate(_) => "rotate",
            Self::Escrow(_) => "escrow",
            Self::Recover(_) => "recover",
        }
    }
}

/// Copy the master key: into a file, as words for paper, as a QR code
///
/// Every form can be read again by the commands that need the key, without being named: they tell
/// them apart. The file is sealed by a passphrase; words and QR code are the key itself.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("form").required(true).multiple(true))]
#[command(after_help = "\
Examples:
  mesh key export --words
  mesh key export --file /media/stick/master.json
  mesh key export --qr
  mesh key export --png master.png")]
pub(crate) struct KeyExport {
    /// Write it into a new file that a passphrase seals
    #[arg(long, value_name = "FILE", group = "form")]
    pub(crate) file: Option<PathBuf>,
    /// Print it as 24 words; the last one holds a checksum
    #[arg(long, group = "form")]
    pub(crate) words: bool,
    /// Draw it as a QR code in the terminal
    #[arg(long, group = "form")]
    pub(crate) qr: bool,
    /// Draw it as a QR code into a new PNG file
    #[arg(long, value_name = "FILE", group = "form")]
    pub(crate) png: Option<PathBuf>,
    /// The file whose first line is the passphrase for --file; without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) copy_passphrase_file: Option<PathBuf>,
}

/// A copy of the master key, read to the end
///
/// What `mesh key export` wrote, 24 words, or enough shares; it is told which from what it is.
#[derive(Debug, Args)]
pub(crate) struct KeyCopy {
    /// The file with the copy; `-` is what you type, to the end of input
    pub(crate) copy: PathBuf,
    /// The file whose first line is the passphrase of the copy; without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) copy_passphrase_file: Option<PathBuf>,
}

/// The master key where it is not on this device.
#[derive(Debug, Args)]
pub(crate) struct Brought {
    /// A file with a copy of the master key, if it is not on this device; `-` is what you type
    ///
    /// It is used for this command and not kept.
    #[arg(long, value_name = "FILE")]
    pub(crate) master: Option<PathBuf>,
    /// The file whose first line is the passphrase of that copy; without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) copy_passphrase_file: Option<PathBuf>,
}

/// A device whose key is granted or withdrawn
///
/// Every other device is told by the service, checks the new profile of the mesh, and takes it over
/// with its next synchronization. A profile that is older than one it knows, or of another mesh, is
/// refused.
#[derive(Debug, Args)]
pub(crate) struct KeyOf {
    /// What the device is called, its UDF, or the start of either
    pub(crate) device: String,
    /// The master key.
    #[command(flatten)]
    pub(crate) brought: Brought,
}

/// Replace the keys that this device administers with
///
/// Do this when a device that administered was lost: remove it, then rotate. All other devices stay
/// connected; those that administered with the old keys need to be granted keys again.
#[derive(Debug, Args)]
pub(crate) struct KeyRotate {
    /// The master key.
    #[command(flatten)]
    pub(crate) brought: Brought,
}

/// Share the master key out, and keep what is needed to read your entries with it
///
/// Give each share to somebody else. Fewer than the quorum say nothing about the key; the quorum is
/// the key. The keys that your entries are encrypted to are kept at the service, readable with the
/// master key alone. Shares that were made before stay good: the master key never changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh key escrow --quorum 3 --shares 5
  mesh key escrow --quorum 2 --shares 3 --words
  mesh key escrow --quorum 2 --shares 3 --png-dir shares")]
pub(crate) struct KeyEscrow {
    /// How many shares give the key back, 1 to 15
    #[arg(long, value_name = "N")]
    pub(crate) quorum: usize,
    /// How many shares there are, 16 at most
    #[arg(long, value_name = "N")]
    pub(crate) shares: usize,
    /// Print each share as 25 words as well
    #[arg(long)]
    pub(crate) words: bool,
    /// Draw each share as a QR code in the terminal as well
    #[arg(long)]
    pub(crate) qr: bool,
    /// Draw each share as a QR code into a PNG file of its own, in a folder
    #[arg(long, value_name = "DIR")]
    pub(crate) png_dir: Option<PathBuf>,
    /// The master key.
    #[command(flatten)]
    pub(crate) brought: Brought,
}

/// Take an account back on a new device, with the master key or enough shares of it
///
/// The folder of --home must be new. This device becomes the one that administers; the other devices
/// stay connected and administer no more, until you grant them keys. Remove those that were lost. The
/// master key is not kept on this device.
///
/// A command that was interrupted is typed again: it goes on with the same keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh key recover alice@example.com --from share-1.txt --from share-4.txt --from share-5.txt
  mesh key recover alice@example.com --from -
  mesh key recover alice@localhost --from words.txt --service https://localhost:8443 --ca ca.pem")]
pub(crate) struct KeyRecover {
    /// The address of the account
    pub(crate) address: AccountAddress,
    /// A file with the master key or with shares of it; may be repeated; `-` is what you type
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) from: Vec<PathBuf>,
    /// The file whose first line is the passphrase of the copy; without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) copy_passphrase_file: Option<PathBuf>,
    /// Where the service is; without it at mmm.DOMAIN, port 443
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// A PEM file of certificate authorities to trust besides those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// What to call this device in the list of your devices
    #[arg(long, value_name = "TEXT")]
    pub(crate) device: Option<String>,
    /// Ask for a passphrase at the terminal and seal this device's keys with it
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) ask_passphrase: bool,
    /// Take the address back even if its entries can never be read again
    ///
    /// They cannot be read if `mesh key escrow` was never used.
    #[arg(long)]
    pub(crate) without_entries: bool,
}
