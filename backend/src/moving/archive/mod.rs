//! One account as a folder of files (cluster §16): every container as a DARE file, the profiles and a manifest, as a
//! device's own export has them, so that whoever owns the account can check all of it without us; and `account.rows`,
//! what the service knows besides, from which the account comes back as it was.
//!
//! | file | for |
//! | --- | --- |
//! | `manifest.json` | number of frames, apex and digest of each container |
//! | `profiles.json` | whose signatures count |
//! | `*.dare` | the containers; one of which a prefix was purged has none (containers D29) |
//! | `account.rows` | the rows of the account, and what is due of it |
//! | `intake.rows` | what waits to be received for it; only if anything does |
//!
//! A container whose first frames were purged is in `account.rows` alone. No header of a DARE file says that it begins
//! at a later frame, or keeps the digests of those that are gone; whoever reads such a file finds a gap in the indices,
//! tree positions that lead nowhere, and no way to the apex.
//!
//! What waits for other services is not part of it: this service has accepted to deliver it, does so after the archive
//! was written, and tells the account what came of it. An account at another place that sent it once more would send
//! what was delivered meanwhile, from a service that its recipients have not heard of; and where the archive is a
//! backup, whatever was sent since it was made. So whoever moves away lets it be delivered first: `meshd queue list`.

mod export;
mod import;
mod intake;

use std::io;
use std::path::{Path, PathBuf};

use mesh_common::dare::Envelope;
use mesh_common::dare::container::ContainerError;
use serde::{Deserialize, Serialize};

pub use self::export::{Exported, export_account};
pub use self::import::{Imported, import_account};
use super::rows::RowsError;
use super::sync::SyncError;
use crate::partition::RowError;
use crate::partition::reading::ReadError;
use crate::store::StoreError;

/// The file of the manifest.
const MANIFEST: &str = "manifest.json";
/// The file of the profiles.
const PROFILES: &str = "profiles.json";
/// The file of what waits to be received.
const INTAKE: &str = "intake.rows";
/// The file of the rows.
const ROWS: &str = "account.rows";

/// Why an account was not written to files, or not read back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No account has this address.
    #[error("there is no account {address} here")]
    NoAccount {
        /// The address.
        address: String,
    },
    /// It changed every time it was read.
    #[error("the account changes all the time: try again when it is quiet")]
    Busy,
    /// More waits for it than comes back in one commit.
    #[error("too much waits to be received for {address}: let the service receive it first")]
    MuchWaits {
        /// The account.
        address: String,
    },
    /// There is something in the folder already.
    #[error("{} is not empty: name a folder that does not exist yet", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is no part of an archive: {what}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The rows are not those of one account.
    #[error("{} is not whole", path.display())]
    Rows {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: RowsError,
    },
    /// The address is somebody's.
    #[error(
        "the address {address} is taken here, or reserved: delete that account and purge it first"
    )]
    Taken {
        /// The address.
        address: String,
    },
    /// What arrived is not what the manifest says.
    #[error("{address} was not imported: {what}")]
    Differs {
        /// The account.
        address: String,
        /// The first thing that is wrong.
        what: String,
    },
    /// A container cannot be written as a file.
    #[error("the container {container} cannot be written as a file")]
    Container {
        /// Its name.
        container: String,
        /// Why.
        #[source]
        cause: ContainerError,
    },
    /// A row of the store does not read.
    #[error("the account does not read: see meshd verify")]
    Row(#[from] RowError),
    /// The store gives no answer.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The store takes no writes.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Its rows are there, and its address was not given: nobody sees them.
    #[error("the account could not be given its address")]
    Settle(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ReadError> for ArchiveError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => Self::Store(error),
            ReadError::Row(error) => Self::Row(error),
        }
    }
}

/// The profiles of an account, as a device's export has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Profiles {
    profile_mesh: Envelope,
    profile_account: Envelope,
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError + '_ {
    move |cause| ArchiveError::File {
        path: path.to_owned(),
        cause,
    }
}
