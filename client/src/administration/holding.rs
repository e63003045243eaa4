//! The master key on a device: copied, taken off it, put back, or brought along for one operation
//! and forgotten with it (schema draft §4.1.1).

use serde::Serialize;

use super::error::AdministrationError;
use super::master::MasterKey;
use crate::catalogs::name_of;
use crate::client::Client;
use crate::error::ClientError;
use mesh_common::assertion::{
    Assertion, CatalogedDevice, ConnectionDevice, ProfileDevice, is_administrator,
};
use mesh_common::dare::ContainerName;

/// How the mesh is administered, as far as this device knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// UDF of the mesh: of its KeyOfflineSignature.
    pub mesh_udf: String,
    /// UDF of the account: of its KeyOfflineSignature.
    pub account_udf: String,
    /// When the profile of the mesh was last changed.
    pub updated: Option<String>,
    /// Whether the master key is on this device.
    pub master_here: bool,
    /// Whether this device holds online keys that the profiles list.
    pub administers: bool,
    /// UDFs of the keys in KeysMasterEscrow.
    pub escrow_keys: Vec<String>,
    /// The online keys of the mesh.
    pub online_keys: Vec<OnlineKey>,
    /// The devices of the account, this one first.
    pub devices: Vec<DeviceStanding>,
    /// Whether changed profiles wait for the next synchronization.
    pub waiting: bool,
}

/// One of KeysOnlineSignature of the ProfileMesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnlineKey {
    /// Its UDF.
    pub udf: String,
    /// Whether this device signs with it.
    pub here: bool,
    /// The device whose own key it is, if it is one's.
    pub device_udf: Option<String>,
}

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceStanding {
    /// UDF of its profile.
    pub device_udf: String,
    /// What its owner calls it.
    pub description: Option<String>,
    /// Whether its connection says that it administers.
    pub administrator: bool,
    /// UDF of the key its connection signs with, by which it may stand among the online keys.
    pub signature_udf: Option<String>,
    /// Whether it is this device.
    pub this: bool,
}

impl Client {
    /// How the mesh is administered, without asking anybody.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`]; the Device catalog cannot be used.
    pub fn key_status(&mut self) -> Result<KeyStatus, ClientError> {
        let mut devices: Vec<DeviceStanding> = self
            .device_entries()?
            .into_iter()
            .map(|(udf, entry)| self.standing_of(udf, &entry))
            .collect::<Result<_, _>>()?;
        devices.sort_by_key(|device| (!device.this, device.description.clone()));
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let identity = &device.identity;
        let (offline, online) = identity
            .mesh
            .keys()
            .split_last()
            .expect("a verified profile has the key that it was verified with");
        let ours = identity.owner.as_ref().map(|owner| owner.mesh.online.udf());
        let online_keys = online
            .iter()
            .map(|key| {
                let udf = key.udf();
                let of = |device: &&DeviceStanding| {
                    device.signature_udf.as_deref() == Some(udf.as_str())
                };
                OnlineKey {
                    here: ours.as_ref() == Some(&udf),
                    device_udf: devices.iter().find(of).map(|one| one.device_udf.clone()),
                    udf: udf.to_string(),
                }
            })
            .collect();
        Ok(KeyStatus {
            mesh_udf: offline.udf().to_string(),
            account_udf: identity.account.udf().to_string(),
            updated: identity.mesh.updated.map(|updated| updated.to_text()),
            master_here: identity.keys.master.is_some(),
            administers: ours.is_some(),
            escrow_keys: identity
                .mesh
                .keys_master_escrow
                .iter()
                .filter_map(|key| key.udf.clone())
                .collect(),
            online_keys,
            devices,
            waiting: device.state.replaced.is_some() || device.state.entries_wait.is_some(),
        })
    }

    /// The master key that is on this device, to be copied.
    ///
    /// # Errors
    /// [`AdministrationError::NoMaster`].
    pub fn master_key(&self) -> Result<MasterKey, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let master = device.identity.keys.master.clone();
        Ok(master.ok_or(AdministrationError::NoMaster)?)
    }

    /// Takes the master key off this device. `copy` is what was read from a copy outside of it: the
    /// key goes only when it is known to be somewhere else.
    ///
    /// # Errors
    /// [`AdministrationError::NoMaster`], [`AdministrationError::OtherMaster`]; what keeps the keys
    /// from being written.
    pub fn take_master_offline(&mut self, copy: &MasterKey) -> Result<(), ClientError> {
        let here = self.master_key()?;
        self.check_master(copy)?;
        debug_assert!(here == *copy, "one mesh follows from one key");
        // Further accounts of the mesh, in folders of their own, have it as well. Here it goes last:
        // a command that was interrupted is repeated.
        for (address, _) in self.accounts()?.into_iter().skip(1) {
            let mut other = self.open_further(&address)?;
            if other.device()?.identity.keys.master.take().is_some() {
                other.save_keys()?;
            }
        }
        self.device()?.identity.keys.master = None;
        self.save_keys()
    }

    /// Puts the master key back on this device, where it stays.
    ///
    /// # Errors
    /// [`AdministrationError::OtherMaster`]; what keeps the keys from being written.
    pub fn put_master_back(&mut self, copy: &MasterKey) -> Result<(), ClientError> {
        self.check_master(copy)?;
        self.device()?.identity.keys.master = Some(copy.clone());
        self.save_keys()
    }

    /// Checks that `key` is this mesh's and this account's.
    ///
    /// # Errors
    /// [`AdministrationError::OtherMaster`], [`AdministrationError::OtherAccount`].
    pub fn check_master(&self, key: &MasterKey) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let (expected, found) = (device.identity.mesh.udf(), key.mesh_key().udf());
        if *expected != found {
            return Err(AdministrationError::OtherMaster {
                expected: expected.clone(),
                found,
            }
            .into());
        }
        let address = &device.state.address;
        if key.account_key(address).udf() == *device.identity.account.udf() {
            Ok(())
        } else {
            Err(AdministrationError::OtherAccount {
                address: address.as_written().to_owned(),
            }
            .into())
        }
    }

    /// The master key for one operation: the one that was brought along, or the one that is here.
    pub(super) fn master_for_now(
        &self,
        brought: Option<&MasterKey>,
    ) -> Result<MasterKey, ClientError> {
        let master = match brought {
            Some(master) => master.clone(),
            None => self
                .device
                .as_ref()
                .ok_or(ClientError::NoAccount)?
                .identity
                .keys
                .master
                .clone()
                .ok_or(AdministrationError::MasterAway)?,
        };
        self.check_master(&master)?;
        Ok(master)
    }

    /// The living entries of the Device catalog as it is here, by UniqueID.
    pub(crate) fn device_entries(&mut self) -> Result<Vec<(String, CatalogedDevice)>, ClientError> {
        let replica = self.replica(&name_of(ContainerName::DEVICE))?;
        let mut entries = Vec::new();
        for (id, frames) in replica.index().entries() {
            let Some(frame) = replica.frame(frames.last) else {
                continue;
            };
            let entry = CatalogedDevice::from_envelope(frame).map_err(|source| {
                AdministrationError::Entry {
                    device: id.to_owned(),
                    source,
                }
            })?;
            entries.push((id.to_owned(), entry));
        }
        Ok(entries)
    }

    fn standing_of(
        &self,
        device_udf: String,
        entry: &CatalogedDevice,
    ) -> Result<DeviceStanding, ClientError> {
        let broken = |source| AdministrationError::Entry {
            device: device_udf.clone(),
            source,
        };
        let profile = entry.enveloped_profile_device.as_ref();
        let profile = profile.map(ProfileDevice::from_envelope).transpose();
        let connection = entry.enveloped_connection_device.as_ref();
        let connection = connection.map(ConnectionDevice::from_envelope).transpose();
        let connection = connection.map_err(broken)?.unwrap_or_default();
        let signature = connection.key_signature.and_then(|key| key.udf);
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        Ok(DeviceStanding {
            description: profile.map_err(broken)?.and_then(|one| one.description),
            administrator: is_administrator(&connection.permissions),
            signature_udf: signature,
            this: device_udf == device.identity.device.udf().as_str(),
            device_udf,
        })
    }
}
