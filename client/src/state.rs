//! What a device knows of its account besides secrets: addresses, profiles, the pinned service, and
//! how far each replica agrees with the service. One file, replaced whole.

use std::collections::BTreeMap;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::CatalogedDevice;
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::encoding::json::{self, JsonError};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError};

const FILE: &str = "account.json";
const VERSION: u32 = 1;

/// A state that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or the file cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The file is not what this program writes.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What the reader says.
        #[source]
        source: JsonError,
    },
    /// Written by a later program.
    #[error("{} is of version {found}, this program reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: std::path::PathBuf,
        /// The version in it.
        found: u32,
    },
}

impl StateError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Home(error) => error.advice(),
            Self::Damaged { .. } => "put back the file from a backup of the folder".into(),
            Self::Version { .. } => "use a newer version of this program".into(),
        }
    }
}

/// How far the making of an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The keys are drawn; the service may or may not know of the account.
    Begun,
    /// The service has the account, but not yet all of its catalogs.
    Created,
    /// The service has everything.
    Ready,
    /// The account is being taken back with the master key (decision Q-48).
    Recovering,
    /// It is ours again, and this device's entry is on its way: until then it acts as a device that
    /// is not connected (decision Q-48).
    Recovered,
    /// The account was deleted at the service.
    Deleted,
}

impl Stage {
    /// Whether the account is on its way back: the device is not connected yet.
    #[must_use]
    pub const fn is_recovery(self) -> bool {
        matches!(self, Self::Recovering | Self::Recovered)
    }
}

/// The service as it was when it was last seen (service §4.3, decision Q-52).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PinnedService {
    /// UDF of its ProfileService: it never changes.
    #[serde(rename = "UDF")]
    pub udf: Udf,
    /// The newest ProfileService seen.
    pub profile_service: Envelope,
    /// The ProfileHost seen with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_host: Option<Envelope>,
}

/// Everything but secrets and containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    pub(crate) version: u32,
    /// The account's address.
    pub address: AccountAddress,
    /// How far the making of the account has come.
    pub stage: Stage,
    /// Where the service is.
    pub service_url: String,
    /// Certificate authorities trusted besides the system's, in PEM form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// The personal mesh.
    pub profile_mesh: Envelope,
    /// The account.
    pub profile_account: Envelope,
    /// This device.
    pub profile_device: Envelope,
    /// This device's entry, its activations encrypted to it.
    pub device_entry: CatalogedDevice,
    /// The service, once it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<PinnedService>,
    /// Frames of each replica that the service has too.
    #[serde(default)]
    pub synced: BTreeMap<ContainerName, u64>,
    /// When the last synchronization ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<Timestamp>,
    /// What these profiles take the place of, while the service does not have them yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Box<Replaced>>,
    /// Entries of devices have yet to be made anew for these profiles: for each device whose
    /// rights change, whether it administers from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_wait: Option<BTreeMap<String, bool>>,
}

/// Profiles that were replaced here and not yet at the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Replaced {
    /// The personal mesh as it was.
    pub profile_mesh: Envelope,
    /// The account as it was.
    pub profile_account: Envelope,
    /// This device's entry as it was.
    pub device_entry: CatalogedDevice,
}

/// What a new account starts with.
#[derive(Debug)]
pub struct Beginning {
    /// The account's address.
    pub address: AccountAddress,
    /// Where the service is.
    pub service_url: String,
    /// Certificate authorities trusted besides the system's, in PEM form.
    pub authorities: Option<String>,
    /// The personal mesh.
    pub profile_mesh: Envelope,
    /// The account.
    pub profile_account: Envelope,
    /// This device.
    pub profile_device: Envelope,
    /// This device's entry.
    pub device_entry: CatalogedDevice,
}

impl State {
    /// The state of a device whose account has just begun.
    #[must_use]
    pub fn new(beginning: Beginning) -> Self {
        let Beginning {
            address,
            service_url,
            authorities,
            profile_mesh,
            profile_account,
            profile_device,
            device_entry,
        } = beginning;
        Self {
            version: VERSION,
            address,
            stage: Stage::Begun,
            service_url,
            authorities,
            profile_mesh,
            profile_account,
            profile_device,
            device_entry,
            service: None,
            synced: BTreeMap::new(),
            synced_at: None,
            replaced: None,
            entries_wait: None,
        }
    }

    /// The state kept in `home`; none if there is none.
    ///
    /// # Errors
    /// [`StateError`]: its variants say when.
    pub fn load(home: &Home) -> Result<Option<Self>, StateError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Numbered {
            version: u32,
        }
        let Some(file) = home.read(FILE)? else {
            return Ok(None);
        };
        let damaged = |source| StateError::Damaged {
            path: home.path(FILE),
            source,
        };
        let Numbered { version } = json::parse(&file).map_err(damaged)?;
        if version != VERSION {
            return Err(StateError::Version {
                path: home.path(FILE),
                found: version,
            });
        }
        json::parse(&file).map(Some).map_err(damaged)
    }

    /// Keeps the state in `home`.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn save(&self, home: &Home) -> Result<(), HomeError> {
        home.write(FILE, &json::write(self))
    }

    /// Removes the state kept in `home`.
    pub(crate) fn remove(home: &Home) -> Result<(), HomeError> {
        home.remove(FILE)
    }

    /// Frames of the replica `name` that the service has too.
    #[must_use]
    pub fn synced(&self, name: &ContainerName) -> u64 {
        self.synced.get(name).copied().unwrap_or(0)
    }
}
