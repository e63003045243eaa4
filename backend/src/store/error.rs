//! What can go wrong in a store, as sentences for the operator and kinds for the caller.
//!
//! [`StoreError`] is about reading and about the engine itself, [`CommitError`] about one commit: its
//! variants are the rows of the table in cluster §7.3, each with one thing to do next.

use std::path::PathBuf;
use std::sync::Arc;

/// Why the store could not answer.
///
/// The text is for the operator. [`StoreError::remedy`] says what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The read version is older than what the engine still remembers. Begin again.
    #[error("the transaction is too old for the store to read at its version")]
    TooOld,

    /// The transaction reads what it wrote itself with a stamp that is only known at commit.
    #[error("a stamped write of this transaction cannot be read before it is committed")]
    Unreadable,

    /// A key is empty, or lies in the range from octet FF on that belongs to the engine.
    #[error("a key of {bytes} octets is empty or begins with the octet FF, which is reserved")]
    KeyOutside {
        /// Length of the key in octets.
        bytes: usize,
    },

    /// More watches than the engine keeps. Poll instead.
    #[error("the store keeps {max} watches already")]
    TooManyWatches {
        /// The bound, [`super::limits::WATCHES_MAX`].
        max: usize,
    },

    /// The prefix of the store's keys in a FoundationDB cluster is too long, or reserved.
    #[error("the prefix of {bytes} octets is longer than {max} or begins with the octet FF", max = super::limits::PREFIX_BYTES_MAX)]
    Prefix {
        /// Its length in octets.
        bytes: usize,
    },

    /// The FoundationDB client or cluster refused, or did not answer in time.
    #[error("FoundationDB says: {detail} (error {code})")]
    Cluster {
        /// FoundationDB's error code.
        code: i32,
        /// Its own words.
        detail: &'static str,
    },

    /// The store is elsewhere, and did not answer in time. It may be back at any moment.
    #[error("the store did not answer in time")]
    Away,

    /// The engine was shut down; nothing reaches it any more.
    #[error("the store is closed")]
    Closed,

    /// Another process holds the folder.
    #[error("the store folder {} is in use by another process", folder.display())]
    InUse {
        /// The folder that was to be opened.
        folder: PathBuf,
    },

    /// The disk took no more octets. Reads go on, writes stop; what was acknowledged is on disk.
    #[error("the disk holding {} is full; nothing acknowledged was lost", folder.display())]
    DiskFull {
        /// The store's folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },

    /// The folder, or a file in it, may not be written.
    #[error("the store folder {} cannot be written", folder.display())]
    Unwritable {
        /// The store's folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },

    /// What is on disk is not what was written. Nothing was changed.
    #[error("the store file {} is damaged: {detail}", file.display())]
    Corrupt {
        /// The damaged file, or the folder of the files of which one is damaged.
        file: PathBuf,
        /// What was expected and what was found.
        detail: String,
    },

    /// A newer release wrote this folder.
    #[error("the store folder {} has format {found}, this release reads formats up to {known}", folder.display())]
    NewerFormat {
        /// The store's folder.
        folder: PathBuf,
        /// The format on disk.
        found: u8,
        /// The newest format this release knows.
        known: u8,
    },

    /// The folder holds something else than a store.
    #[error("the folder {} holds files, but no store: {detail}", folder.display())]
    NotAStore {
        /// The folder that was to be opened.
        folder: PathBuf,
        /// What was found there.
        detail: String,
    },

    /// The system refused something in a way that has no row of its own here.
    #[error("the store in {} failed to {action}", folder.display())]
    Io {
        /// The store's folder.
        folder: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },

    /// The engine below reported a state it cannot leave.
    #[error("the store in {} stopped: {detail}", folder.display())]
    Engine {
        /// The store's folder.
        folder: PathBuf,
        /// The engine's own words.
        detail: String,
    },
}

impl StoreError {
    /// What the operator can do, to be printed after `try:`; nothing where only a restart or a bug report helps.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::InUse { folder } => format!(
                "stop the other process, or name another folder than {}",
                folder.display()
            ),
            Self::DiskFull { folder, .. } => format!(
                "free space or move {} to a larger disk, then start again",
                folder.display()
            ),
            Self::Unwritable { folder, .. } => format!(
                "give the user of this process write permission on {} and all in it, or name another folder",
                folder.display()
            ),
            Self::Corrupt { file, .. } => format!(
                "keep a copy of {}, then restore the folder from a backup",
                file.display()
            ),
            Self::NewerFormat { .. } => {
                "run the release that wrote the folder, or a newer one".to_owned()
            }
            Self::NotAStore { folder, .. } => {
                format!(
                    "name an empty or new folder instead of {}",
                    folder.display()
                )
            }
            Self::Io { folder, .. } => format!("check the disk holding {}", folder.display()),
            Self::Engine { .. } => "start again; what was acknowledged is on disk".to_owned(),
            Self::Prefix { .. } => "set a shorter prefix that begins with another octet".to_owned(),
            Self::Cluster { .. } => {
                "look at the cluster with `fdbcli --exec status`, and whether the cluster file is \
                 that of the cluster"
                    .to_owned()
            }
            Self::Away => {
                "look whether the store's servers run and can be reached from here".to_owned()
            }
            Self::TooOld
            | Self::Unreadable
            | Self::KeyOutside { .. }
            | Self::TooManyWatches { .. }
            | Self::Closed => return None,
        })
    }
}

/// Why a commit was not acknowledged, by what is known about its effect.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Something the transaction read was written since. Nothing was applied: read again, plan again.
    #[error("what the transaction read has changed since")]
    Conflict,

    /// The read version is older than the conflict history. Nothing was applied: begin again.
    #[error("the transaction is too old to be checked")]
    TooOld,

    /// The answer was lost; the commit is no longer in flight. It was applied wholly or not at all:
    /// look ([`super::commit_with_probe`]) before trying again.
    #[error("the result of the commit is unknown")]
    Unknown,

    /// No answer in time, and the commit may be applied at any later moment, until a barrier is
    /// committed on a key it depends on.
    #[error("the commit was not answered in time and may still be applied")]
    MayStillLand,

    /// A key, a value or the whole transaction is over its bound. Nothing was applied.
    #[error("the transaction holds {bytes} octets in {what}, the bound is {max}")]
    TooLarge {
        /// What is too large: a key, a value, or the transaction.
        what: &'static str,
        /// Its size in octets.
        bytes: usize,
        /// The bound in octets.
        max: usize,
    },

    /// The engine takes no writes at present. Nothing was applied; reads are answered.
    #[error("the store takes no writes at present")]
    ReadOnly,

    /// The store has no room for what is written. Nothing was applied; reads are answered.
    #[error("the store is full")]
    Full,

    /// No retry helps; the cause says what does. When the cause is the disk, whether this one
    /// batch is on it shows after a restart: answer "unknown, repeat the request".
    #[error("the store can commit nothing more")]
    Fatal(#[source] StoreError),
}

impl CommitError {
    /// True where it is certain that nothing of the transaction was or will be applied.
    #[must_use]
    pub fn is_surely_not_applied(&self) -> bool {
        match self {
            Self::Conflict | Self::TooOld | Self::TooLarge { .. } | Self::ReadOnly | Self::Full => {
                true
            }
            Self::Unknown | Self::MayStillLand | Self::Fatal(_) => false,
        }
    }
}
