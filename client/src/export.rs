//! Exports: every container in file form, a manifest with their apexes, and the profiles that say
//! whose signatures count. An export can be checked anywhere, without keys (containers §9.4, §11).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_common::dare::Envelope;
use mesh_common::dare::manifest::{Manifest, ManifestEntry, ManifestError};
use mesh_common::encoding::base64url;
use mesh_common::encoding::json::{self, JsonError};
use serde::{Deserialize, Serialize};

use crate::client::{CONTAINERS, Client};
use crate::error::ClientError;
use crate::home::{HomeError, make_private, write_whole};

/// The file of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// The file of the profiles.
pub const PROFILES: &str = "profiles.json";

/// An export that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is something in the folder already.
    #[error("{} is not empty", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder or a file cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// There is no manifest in the folder.
    #[error("{} is no export: it has no {MANIFEST}", folder.display())]
    NoExport {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the export is not what it should be.
    #[error("{} is no part of an export", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        #[source]
        source: JsonError,
    },
    /// The manifest itself is not acceptable, or a replica is damaged.
    #[error("the export is not acceptable")]
    Manifest(#[source] ManifestError),
}

impl ExportError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::NotEmpty { .. } => "name a folder that does not exist yet".into(),
            Self::Home(error) => error.advice(),
            Self::NoExport { .. } | Self::Unreadable { .. } => {
                "name the folder that `mesh export` wrote".into()
            }
            Self::Manifest(_) => "mesh verify".into(),
        }
    }
}

/// The profiles of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExportedProfiles {
    /// The personal mesh.
    pub profile_mesh: Envelope,
    /// The account.
    pub profile_account: Envelope,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// The folder.
    pub folder: String,
    /// The account's address.
    pub account: String,
    /// The containers, in the order of a Status.
    pub containers: Vec<ExportedContainer>,
}

/// One exported container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedContainer {
    /// Its canonical name.
    pub container: String,
    /// Its file.
    pub file: String,
    /// Its frames.
    pub frames: u64,
    /// Octets of the file.
    pub bytes: u64,
    /// Frames among them that the service does not have yet.
    pub waiting: u64,
    /// The tree digest of its last frame, as base64url.
    pub apex: String,
}

impl Client {
    /// Writes all containers of this device into `folder`.
    ///
    /// # Errors
    /// [`ClientError::Export`], [`ClientError::NoAccount`], [`ClientError::Replica`] for a replica
    /// that is damaged.
    pub fn export(&mut self, folder: &Path) -> Result<ExportReport, ClientError> {
        prepare(folder)?;
        let state = self.state().ok_or(ClientError::NoAccount)?;
        let profiles = ExportedProfiles {
            profile_mesh: state.profile_mesh.clone(),
            profile_account: state.profile_account.clone(),
        };
        let account = state.address.as_written().to_owned();
        let mut manifest = Manifest::new(account.clone(), self.clock.now());
        let mut containers = Vec::new();
        let names = self.containers()?;
        let total = names.len() as u64;
        for (done, name) in (1..).zip(names) {
            let waiting = self.waiting(&name)?;
            let path = self.home.path(CONTAINERS).join(name.file_name());
            let octets = match fs::read(&path) {
                Ok(octets) => octets,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(HomeError::reading(&path, source).into()),
            };
            let row = ManifestEntry::describe(&name, &octets).map_err(ExportError::Manifest)?;
            write_whole(&folder.join(&row.file), &octets)?;
            containers.push(ExportedContainer {
                container: name.canonical().to_owned(),
                file: row.file.clone(),
                frames: row.frames,
                bytes: row.bytes,
                waiting,
                apex: base64url::encode(row.apex.as_slice()),
            });
            manifest.containers.push(row);
            self.tell("exporting", done, total);
        }
        write_whole(&folder.join(PROFILES), &json::write(&profiles))?;
        write_whole(&folder.join(MANIFEST), &json::write(&manifest))?;
        Ok(ExportReport {
            folder: folder.display().to_string(),
            account,
            containers,
        })
    }
}

/// Makes the folder, private and empty.
fn prepare(folder: &Path) -> Result<(), ExportError> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut files) => files.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(source) => return Err(HomeError::reading(folder, source).into()),
    };
    if is_empty {
        Ok(make_private(folder)?)
    } else {
        Err(ExportError::NotEmpty {
            folder: folder.to_owned(),
        })
    }
}

/// The manifest and the profiles of the export in `folder`.
pub(crate) fn open(folder: &Path) -> Result<(Manifest, ExportedProfiles), ExportError> {
    if !folder.join(MANIFEST).exists() {
        return Err(ExportError::NoExport {
            folder: folder.to_owned(),
        });
    }
    let manifest: Manifest = read(&folder.join(MANIFEST))?;
    manifest.check().map_err(ExportError::Manifest)?;
    Ok((manifest, read(&folder.join(PROFILES))?))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ExportError> {
    let octets = fs::read(path).map_err(|source| HomeError::reading(path, source))?;
    json::parse(&octets).map_err(|source| ExportError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
