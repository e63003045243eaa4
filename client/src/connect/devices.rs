//! The devices of an account, as its Device catalog has them, and removing one (service §4.6,
//! decision Q-9).

use mesh_common::assertion::{
    Assertion, Authority, CatalogedDevice, Connection, ConnectionDevice, ProfileAccount,
    ProfileDevice, is_administrator,
};
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::udf::Udf;
use serde::Serialize;

use super::ConnectError;
use crate::catalogs::name_of;
use crate::changes::{Change, Decisions, arrange};
use crate::client::Client;
use crate::error::ClientError;
use crate::limits::REBASES_MAX;
use crate::sync::Parcel;

/// Characters of what a person calls a device by that are enough.
const TYPED_MIN: usize = 4;

/// A device of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceFacts {
    /// UDF of the device: the UniqueID of its entry.
    pub device_udf: String,
    /// What it is called.
    pub device: Option<String>,
    /// Whether it administers the account.
    pub administrator: bool,
    /// What else it may do.
    pub permissions: Vec<String>,
    /// The accounts it is connected to.
    pub accounts: Vec<String>,
    /// Whether it is the one we are on.
    pub this: bool,
    /// Whether mesh and account signed what its entry says; otherwise nothing of it is told.
    pub verified: bool,
}

impl Client {
    /// The devices of the account that have an entry in the replica, this one first.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Replica`].
    pub fn devices(&mut self) -> Result<Vec<DeviceFacts>, ClientError> {
        let own = self.device()?.identity.device.udf().to_string();
        let replica = self.replica(&name_of(ContainerName::DEVICE))?;
        let live: Vec<_> = replica
            .index()
            .entries()
            .filter_map(|(id, frames)| Some((id.to_owned(), replica.frame(frames.last)?.clone())))
            .collect();
        let mut found: Vec<_> = live
            .into_iter()
            .map(|(id, frame)| {
                let entry = self.verified_entry(&id, &frame);
                described(id, entry, &own)
            })
            .collect();
        found.sort_by_key(|device| (!device.this, device.device.clone()));
        Ok(found)
    }

    /// Removes the device that goes by `wanted`: its UDF, the beginning of it, or what it is called.
    /// It is refused from its next request on.
    ///
    /// # Errors
    /// [`ConnectError::NotAdministrator`], [`ConnectError::NoDevice`],
    /// [`ConnectError::AmbiguousDevice`], [`ConnectError::OwnDevice`]; what keeps the service from
    /// doing it.
    pub async fn remove_device(&mut self, wanted: &str) -> Result<DeviceFacts, ClientError> {
        self.check_administrator()?;
        for _ in 0..=REBASES_MAX {
            Box::pin(self.synchronize(&Decisions::default())).await?;
            let device = self.find_device(wanted)?;
            if device.this {
                return Err(ConnectError::OwnDevice.into());
            }
            let change = Change {
                unique_id: device.device_udf.clone(),
                content: None,
            };
            if self.change_devices(vec![change], Vec::new()).await? {
                return Ok(device);
            }
        }
        Err(ClientError::Outrun {
            container: ContainerName::DEVICE.to_owned(),
        })
    }

    fn find_device(&mut self, wanted: &str) -> Result<DeviceFacts, ClientError> {
        let devices = self.devices()?;
        let letters = |text: &str| -> String {
            let kept = text.chars().filter(|letter| *letter != '-');
            kept.collect::<String>().to_uppercase()
        };
        let typed = letters(wanted);
        let called = |device: &&DeviceFacts| {
            let name = device.device.as_deref().unwrap_or_default();
            name.to_lowercase() == wanted.to_lowercase()
        };
        let begins = |device: &&DeviceFacts| {
            typed.len() >= TYPED_MIN && letters(&device.device_udf).starts_with(&typed)
        };
        let mut found: Vec<_> = devices.iter().filter(called).collect();
        if found.is_empty() {
            found = devices.iter().filter(begins).collect();
        }
        match found.as_slice() {
            [] => Err(ConnectError::NoDevice {
                wanted: wanted.to_owned(),
            }
            .into()),
            [one] => Ok((*one).clone()),
            many => Err(ConnectError::AmbiguousDevice {
                wanted: wanted.to_owned(),
                found: many.iter().map(|one| one.device_udf.clone()).collect(),
            }
            .into()),
        }
    }

    /// Uploads changes of the Device catalog together with messages for the account itself, in one
    /// request and at once; false if another device was faster, and nothing has changed. The replica
    /// must have nothing waiting.
    pub(super) async fn change_devices(
        &mut self,
        changes: Vec<Change>,
        own: Vec<Envelope>,
    ) -> Result<bool, ClientError> {
        let name = name_of(ContainerName::DEVICE);
        let replica = self.replica(&name)?;
        let base = replica.count();
        let frames = arrange(replica.index().clone(), base, changes);
        let (frames, apex) = replica.placed(frames)?;
        let apex = apex.map(Binary::from).unwrap_or_default();
        let parcel = Parcel {
            name: name.clone(),
            base,
            envelopes: frames.clone(),
            apex,
        };
        if !self.upload_with(vec![parcel], own).await? {
            return Ok(false);
        }
        self.replica(&name)?.receive(frames)?;
        let count = self.replica(&name)?.count();
        self.set_synced(&name, count)?;
        self.save_state()?;
        Ok(true)
    }

    /// The live entry of a device, if everything in it verifies by this mesh and account: the service
    /// can put anything into a catalog that it can read.
    pub(super) fn entry_of(
        &mut self,
        device_udf: &str,
    ) -> Result<Option<CatalogedDevice>, ClientError> {
        let wanted = Udf::parse(device_udf).ok();
        let replica = self.replica(&name_of(ContainerName::DEVICE))?;
        let found = replica
            .index()
            .entries()
            .find(|(id, _)| wanted.is_some() && Udf::parse(id).ok() == wanted)
            .and_then(|(id, frames)| Some((id.to_owned(), replica.frame(frames.last)?.clone())));
        Ok(found.and_then(|(id, frame)| self.verified_entry(&id, &frame)))
    }

    fn verified_entry(&self, id: &str, frame: &Envelope) -> Option<CatalogedDevice> {
        let device = self.device.as_ref()?;
        let entry = CatalogedDevice::from_envelope(frame).ok()?;
        let mesh = Authority::from(&device.identity.mesh);
        let account = Authority::from(&device.identity.account);
        match entry.verify(id, &mesh, &account, &device.state.address) {
            Ok(_) => Some(entry),
            Err(error) => {
                tracing::warn!(id, %error, "an entry of the Device catalog is not believed");
                None
            }
        }
    }
}

/// An entry in a few words.
fn described(id: String, entry: Option<CatalogedDevice>, own: &str) -> DeviceFacts {
    let verified = entry.is_some();
    let entry = entry.unwrap_or_default();
    let profile = entry
        .enveloped_profile_device
        .as_ref()
        .and_then(|envelope| ProfileDevice::from_envelope(envelope).ok())
        .unwrap_or_default();
    let connection = entry
        .enveloped_connection_device
        .as_ref()
        .and_then(|envelope| ConnectionDevice::from_envelope(envelope).ok())
        .unwrap_or_default();
    let permissions = connection.permissions();
    let names = permissions
        .iter()
        .filter(|one| !is_administrator(std::slice::from_ref(one)))
        .filter_map(|one| one.name.clone());
    let accounts = entry.accounts.iter().flat_map(|account| {
        account
            .enveloped_profile_account
            .as_ref()
            .and_then(|envelope| ProfileAccount::from_envelope(envelope).ok())
            .map(|profile| profile.service_ids)
            .unwrap_or_default()
    });
    DeviceFacts {
        device: profile.description,
        administrator: is_administrator(permissions),
        permissions: names.collect(),
        accounts: accounts.collect(),
        this: id == own,
        verified,
        device_udf: id,
    }
}
