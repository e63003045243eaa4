//! Commands about everything at once: synchronize, import, export, verify, and the manual itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Exchange changes with the service
///
/// What other devices uploaded is downloaded and checked against its digests, then what waits here
/// is put behind it and uploaded. Where another device changed the same entry in the meantime,
/// nothing of yours is overwritten or sent: the entry is named, and you decide, at the terminal or
/// with --keep.
///
/// Then messages that wait are sent, and answers to your requests for contact data are taken into
/// your contacts if they prove whom they are from.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh sync
  mesh sync --keep mine      where both sides changed an entry, mine is the newer change
  mesh sync --keep theirs    where both sides changed an entry, drop my change
  mesh sync --watch          stay, and fetch what is new as soon as the service has it")]
pub(crate) struct Sync {
    /// Whose change counts where an entry was changed here and elsewhere
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(crate) keep: Option<Keep>,
    /// Stay, and fetch what is new as soon as the service has it, until Ctrl-C
    ///
    /// Other commands can be used meanwhile. A connection that was lost is tried again, after a
    /// second at first and after a minute at last. With --json, one object per line.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Whose change counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// The change made on this device
    Mine,
    /// The change another device uploaded
    Theirs,
}

/// Bring in what other programs exported: vCard, iCalendar, bookmarks, passwords
///
/// The kind of each file is told from its content. Nothing in a file is dropped: what no member of
/// an entry can say is kept verbatim with the entry and reported. A second import of the same file
/// changes nothing; a newer export of the same data updates the entries it changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh import contacts.vcf calendar.ics bookmarks.html
  mesh import logins.csv --as passwords
  mesh import contacts.vcf --dry-run")]
pub(crate) struct Import {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files are, where that cannot be told from their content
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// Report what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Kinds of files that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// vCard 2.1, 3.0 and 4.0: contacts
    Vcard,
    /// iCalendar: events, to-dos and journals
    Icalendar,
    /// Bookmarks as browsers export them (Netscape format)
    Bookmarks,
    /// CSV as browsers and password managers export it
    Passwords,
}

/// Write all containers into a folder, in file form, with a manifest
///
/// The folder can be checked with `mesh verify DIR` on any machine, without keys and without the
/// service. Entries in it are as encrypted as they are here.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The folder; it must be empty or not there
    pub(crate) dir: PathBuf,
}

/// Recompute every digest and signature of this device or of an export
///
/// Every frame's payload is hashed, the tree over every container is computed anew and compared,
/// every signature is checked against the device that made it. On this device, every entry is also
/// decrypted and compared with the name its frame gives it.
///
/// Ends with 1 if anything is not as it should be.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The folder of an export; without it the containers of this device
    pub(crate) dir: Option<PathBuf>,
}

/// Print the completions of a shell
///
/// For bash: mesh completions bash > ~/.local/share/bash-completion/completions/mesh
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder; it is made if it is not there
    pub(crate) dir: PathBuf,
}
