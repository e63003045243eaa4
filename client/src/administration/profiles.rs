//! Changed profiles of mesh and account: online keys added and withdrawn. Only the master key signs
//! them; the devices' entries follow, so that every device stays what it is (X-31, decisions Q-9,
//! Q-10, Q-31).
//!
//! ```text
//!  sync ─▶ profiles signed and kept ─▶ CreateAccount for the existing name ─▶ entries made anew ─▶ sync
//!          (State::replaced)             (Proof by an online key)               (State::entries_wait)
//! ```
//!
//! A command that was interrupted anywhere is finished by the next `mesh sync`; the master key is
//! needed for the first step alone.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_common::assertion::reissue::{Reissue, signed_profile};
use mesh_common::assertion::{
    Assertion, CatalogedDevice, Permission, ProfileAccount, ProfileMesh, is_administrator,
};
use mesh_common::crypto::{KeyData, SecretKey};
use mesh_common::dare::{ContainerName, Envelope, Header};
use mesh_common::protocol::{Code, CreateRequest, Request, Response};
use mesh_common::time::Timestamp;

use super::error::AdministrationError;
use super::holding::{DeviceStanding, KeyStatus};
use super::master::MasterKey;
use crate::catalogs::name_of;
use crate::changes::Change;
use crate::client::Client;
use crate::error::ClientError;
use crate::identity::Identity;
use crate::keystore::{Keys, OwnedKeys, OwnerKeys};
use crate::service::ServiceFailure;
use crate::state::{Replaced, State};

/// The least that a profile is later than the one before: they are dated in whole seconds
/// (decision Q-3).
const STEP: Duration = Duration::from_secs(1);

/// What a profile of mesh and account is to list from now on.
pub(super) struct Listed {
    /// Online keys of the mesh and of the account.
    pub(super) online: [Vec<KeyData>; 2],
    /// KeysMasterEscrow of the mesh.
    pub(super) escrow: Vec<KeyData>,
    /// Devices whose rights change, and whether they administer from now on.
    pub(super) rights: BTreeMap<String, bool>,
}

/// Profiles that are being changed, and what follows from them.
pub(super) struct Draft {
    pub(super) mesh: ProfileMesh,
    pub(super) account: ProfileAccount,
    pub(super) keys: Keys,
    /// The online keys that sign for both.
    pub(super) signing: OwnerKeys,
    pub(super) state: State,
}

impl Client {
    /// Makes the keys that a device signs with online keys of mesh and account: from then on it can
    /// connect devices, and change what they may do.
    ///
    /// # Errors
    /// [`ClientError::NotOwner`] on a device that does not administer;
    /// [`AdministrationError::MasterAway`] and its siblings about the master key; what a
    /// synchronization can meet.
    pub async fn grant_key(
        &mut self,
        wanted: &str,
        brought: Option<&MasterKey>,
    ) -> Result<KeyStatus, ClientError> {
        let master = self.prepare(brought).await?;
        let device = self.standing_named(wanted)?;
        let own = self.own_keys_of(&device)?;
        let mut listed = self.listed()?;
        if listed.online[0].iter().any(|key| is_key(key, &own[0])) {
            let device = name(&device);
            return Err(AdministrationError::HasKey { device }.into());
        }
        for (list, key) in listed.online.iter_mut().zip(own) {
            list.push(key);
        }
        listed.rights.insert(device.device_udf, true);
        self.list_anew(&master, listed, None)?;
        self.settle_with_service().await?;
        self.key_status()
    }

    /// Takes a device's keys out of the online keys again. It stays connected.
    ///
    /// # Errors
    /// As [`Self::grant_key`]; [`AdministrationError::HasNoKey`].
    pub async fn withdraw_key(
        &mut self,
        wanted: &str,
        brought: Option<&MasterKey>,
    ) -> Result<KeyStatus, ClientError> {
        let master = self.prepare(brought).await?;
        let device = self.standing_named(wanted)?;
        let own = self.own_keys_of(&device)?;
        let mut listed = self.listed()?;
        let before = listed.online[0].len();
        for (list, key) in listed.online.iter_mut().zip(&own) {
            list.retain(|listed| !is_key(listed, key));
        }
        if listed.online[0].len() == before {
            let device = name(&device);
            return Err(AdministrationError::HasNoKey { device }.into());
        }
        listed.rights.insert(device.device_udf, false);
        self.list_anew(&master, listed, None)?;
        self.settle_with_service().await?;
        self.key_status()
    }

    /// Replaces the online keys that this device signs with by new ones. Every connection is signed
    /// anew; other devices that held the old keys administer no longer, and stay connected.
    ///
    /// # Errors
    /// As [`Self::grant_key`].
    pub async fn rotate_keys(
        &mut self,
        brought: Option<&MasterKey>,
    ) -> Result<KeyStatus, ClientError> {
        let master = self.prepare(brought).await?;
        let old = self.owner()?;
        let fresh = [
            SecretKey::generate(self.entropy.as_mut()),
            SecretKey::generate(self.entropy.as_mut()),
        ];
        let mut listed = self.listed()?;
        let before = [&old.mesh.online, &old.account.online];
        for ((list, old), new) in listed.online.iter_mut().zip(before).zip(&fresh) {
            let old = KeyData::of(old.public());
            list.retain(|listed| !is_key(listed, &old));
            list.insert(0, KeyData::of(new.public()));
        }
        let [mesh, account] = fresh;
        let owner = OwnerKeys {
            mesh: OwnedKeys {
                online: mesh,
                ..old.mesh
            },
            account: OwnedKeys {
                online: account,
                ..old.account
            },
        };
        self.list_anew(&master, listed, Some(owner))?;
        self.settle_with_service().await?;
        self.key_status()
    }

    /// [`Self::sync`]; on the heap, for these operations synchronize before and after.
    pub(super) async fn settle_with_service(&mut self) -> Result<(), ClientError> {
        Box::pin(self.sync(None)).await.map(drop)
    }

    /// Everything newest here, and the master key at hand.
    pub(super) async fn prepare(
        &mut self,
        brought: Option<&MasterKey>,
    ) -> Result<MasterKey, ClientError> {
        let master = self.master_for_now(brought)?;
        self.settle_with_service().await?;
        self.owner()?;
        Ok(master)
    }

    /// The online keys that this device administers with.
    pub(crate) fn owner(&self) -> Result<OwnerKeys, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let identity = &device.identity;
        let administers = is_administrator(&identity.connection_account.permissions)
            || is_administrator(&identity.connection_device.permissions);
        let owner = identity.owner.clone().filter(|_| administers);
        owner.ok_or(ClientError::NotOwner)
    }

    /// What the profiles list now.
    pub(super) fn listed(&self) -> Result<Listed, ClientError> {
        let identity = &self.device.as_ref().ok_or(ClientError::NoAccount)?.identity;
        Ok(Listed {
            online: [
                identity.mesh.keys_online_signature.clone(),
                identity.account.keys_online_signature.clone(),
            ],
            escrow: identity.mesh.keys_master_escrow.clone(),
            rights: BTreeMap::new(),
        })
    }

    /// Signs profiles that list something else, and keeps them. The next synchronization carries
    /// them to the service. With `owner`, this device signs with these keys from now on.
    pub(super) fn list_anew(
        &mut self,
        master: &MasterKey,
        listed: Listed,
        owner: Option<OwnerKeys>,
    ) -> Result<(), ClientError> {
        let updated = self.next_update()?;
        let signing = match owner.clone() {
            Some(owner) => owner,
            None => self.owner()?,
        };
        let mut draft = self.draft(signing)?;
        [
            draft.mesh.keys_online_signature,
            draft.account.keys_online_signature,
        ] = listed.online;
        draft.mesh.keys_master_escrow = listed.escrow;
        draft.state.entries_wait = Some(listed.rights);
        if owner.is_some() {
            draft.keys.owner = owner;
        }
        self.sign(draft, master, updated)
    }

    /// What is here, to be changed and signed again.
    pub(super) fn draft(&self, signing: OwnerKeys) -> Result<Draft, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let (identity, mut state) = (&device.identity, device.state.clone());
        state.replaced = Some(Box::new(Replaced {
            profile_mesh: state.profile_mesh.clone(),
            profile_account: state.profile_account.clone(),
            device_entry: state.device_entry.clone(),
        }));
        Ok(Draft {
            mesh: identity.mesh.clone().into_inner(),
            account: identity.account.clone().into_inner(),
            keys: identity.keys.clone(),
            signing,
            state,
        })
    }

    /// Signs what was drafted and keeps it, with this device's entry made anew for it.
    pub(super) fn sign(
        &mut self,
        draft: Draft,
        master: &MasterKey,
        updated: Timestamp,
    ) -> Result<(), ClientError> {
        let Draft {
            mut mesh,
            mut account,
            keys,
            signing,
            mut state,
        } = draft;
        mesh.updated = Some(updated);
        account.updated = Some(updated);
        state.profile_mesh = signed_profile(&mesh, &[&master.mesh_key()]);
        let account_key = master.account_key(&state.address);
        state.profile_account = signed_profile(&account, &[&account_key, &signing.mesh.online]);
        let reissue = Reissue {
            mesh: &signing.mesh.online,
            account: &signing.account.online,
            account_udf: &account_key.udf(),
            profile_account: &state.profile_account,
        };
        let entry = reissue.entry(&state.device_entry, None);
        state.device_entry = entry.map_err(ClientError::Making)?;
        let identity = Identity::derive(keys, &state).map_err(ClientError::Making)?;
        self.adopt(identity, state)
    }

    /// Takes an identity and what belongs to it: keys first, for a profile whose keys are lost is
    /// worth nothing.
    pub(super) fn adopt(&mut self, identity: Identity, state: State) -> Result<(), ClientError> {
        let device = self.device()?;
        device.identity = identity;
        device.state = state;
        // The next request presents the connection as it is now.
        device.service = None;
        self.save_keys()?;
        self.save_state()
    }

    /// Later than both profiles, and now if that is later still.
    pub(super) fn next_update(&self) -> Result<Timestamp, ClientError> {
        let identity = &self.device.as_ref().ok_or(ClientError::NoAccount)?.identity;
        let now = Timestamp::from_secs(self.clock.now().as_millis().div_euclid(1_000));
        let dates = [identity.mesh.updated, identity.account.updated];
        let after = dates.into_iter().flatten().map(|date| date + STEP);
        Ok(after.fold(now, Ord::max))
    }

    /// Brings changed profiles to the service and makes the entries that follow from them; what was
    /// begun and interrupted is finished.
    pub(crate) async fn finish_profiles(&mut self) -> Result<(), ClientError> {
        let state = self.state().ok_or(ClientError::NoAccount)?;
        if state.replaced.is_some() {
            self.upload_profiles().await?;
            self.device()?.state.replaced = None;
            self.save_state()?;
        }
        if let Some(rights) = self.device()?.state.entries_wait.clone() {
            self.make_entries_anew(&rights)?;
            self.device()?.state.entries_wait = None;
            self.save_state()?;
        }
        Ok(())
    }

    /// CreateAccount for the name that exists already (X-31). Profiles that another administrator
    /// was faster with stay; ours are forgotten then.
    async fn upload_profiles(&mut self) -> Result<(), ClientError> {
        let state = self.state().ok_or(ClientError::NoAccount)?;
        let request = CreateRequest {
            service_id: Some(state.address.as_written().to_owned()),
            signed_profile_mesh: Some(state.profile_mesh.clone()),
            signed_assertion_account: Some(state.profile_account.clone()),
            ..CreateRequest::default()
        };
        let request = Request::CreateAccount(Box::new(request));
        let signer = self.owner()?.mesh.online;
        match self.ask_to_create_by(request, &signer).await? {
            Response::CreateAccount(response) if response.outcome.is_success() => Ok(()),
            Response::CreateAccount(response) => {
                if response.outcome.code() == Some(Code::Conflict) {
                    self.restore_profiles()?;
                }
                let refusal = ServiceFailure::refusal(&response.outcome);
                Err(refusal.about("the changed profiles").into())
            }
            other => Err(ServiceFailure::other_class(&other).into()),
        }
    }

    fn restore_profiles(&mut self) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let mut state = device.state.clone();
        let Some(replaced) = state.replaced.take() else {
            return Ok(());
        };
        state.profile_mesh = replaced.profile_mesh;
        state.profile_account = replaced.profile_account;
        state.device_entry = replaced.device_entry;
        state.entries_wait = None;
        let keys = device.identity.keys.clone();
        let identity = Identity::derive(keys, &state).map_err(ClientError::Identity)?;
        self.adopt(identity, state)
    }

    /// Puts every device's entry behind the catalog again: with the present ProfileAccount, signed
    /// by this device's online keys, with the rights that change. This device's own comes last.
    fn make_entries_anew(&mut self, rights: &BTreeMap<String, bool>) -> Result<(), ClientError> {
        let owner = self.owner()?;
        let entries = self.device_entries()?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let (identity, state) = (&device.identity, &device.state);
        let reissue = Reissue {
            mesh: &owner.mesh.online,
            account: &owner.account.online,
            account_udf: identity.account.udf(),
            profile_account: &state.profile_account,
        };
        let own = identity.device.udf().as_str();
        let mut changes = Vec::new();
        for (id, entry) in entries.iter().filter(|(id, _)| id != own) {
            let changed = rights
                .get(id)
                .map(|administers| permissions_of(entry, *administers));
            let again = reissue.entry(entry, changed.as_deref());
            let again = again.map_err(|source| AdministrationError::Entry {
                device: id.clone(),
                source,
            })?;
            changes.push(self.entry_change(id, &again)?);
        }
        changes.push(self.entry_change(own, &state.device_entry)?);
        self.change(&name_of(ContainerName::DEVICE), changes)?;
        Ok(())
    }

    /// The change that a device's entry is.
    pub(crate) fn entry_change(
        &self,
        id: &str,
        entry: &CatalogedDevice,
    ) -> Result<Change, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let signer = &device.identity.in_account.signature;
        Ok(Change {
            unique_id: id.to_owned(),
            content: Some(Envelope::signed(
                entry.to_json(),
                Header::default(),
                &[signer],
            )),
        })
    }

    /// The one other device that goes by `wanted`: its UDF, its description, or the start of either.
    pub(super) fn standing_named(&mut self, wanted: &str) -> Result<DeviceStanding, ClientError> {
        let devices = self.key_status()?.devices;
        let folded = wanted.to_lowercase();
        let texts = |device: &DeviceStanding| {
            let description = device.description.clone().unwrap_or_default();
            [device.device_udf.to_lowercase(), description.to_lowercase()]
        };
        let whole = |device: &&DeviceStanding| texts(device).contains(&folded);
        let start = |device: &&DeviceStanding| {
            let begins = |text: &String| text.starts_with(&folded);
            !folded.is_empty() && texts(device).iter().any(begins)
        };
        let mut found: Vec<_> = devices.iter().filter(whole).cloned().collect();
        if found.is_empty() {
            found = devices.iter().filter(start).cloned().collect();
        }
        match found.len() {
            0 => Err(AdministrationError::NoSuchDevice {
                wanted: wanted.to_owned(),
            }
            .into()),
            1 => Ok(found.remove(0)),
            _ => Err(AdministrationError::Ambiguous {
                wanted: wanted.to_owned(),
                found: found.into_iter().map(|device| device.device_udf).collect(),
            }
            .into()),
        }
    }

    /// The keys that a device signs with in mesh and account.
    fn own_keys_of(&mut self, device: &DeviceStanding) -> Result<[KeyData; 2], ClientError> {
        let entries = self.device_entries()?;
        let udf = &device.device_udf;
        let entry = entries.iter().find(|(id, _)| id == udf);
        let keys = entry.and_then(|(_, entry)| self.signature_keys(entry));
        keys.ok_or_else(|| {
            AdministrationError::NoSuchDevice {
                wanted: udf.clone(),
            }
            .into()
        })
    }

    fn signature_keys(&self, entry: &CatalogedDevice) -> Option<[KeyData; 2]> {
        use mesh_common::assertion::{ConnectionAccount, ConnectionDevice};
        let ours = self.device.as_ref()?.identity.account.udf().as_str();
        let in_mesh = entry.enveloped_connection_device.as_ref()?;
        let in_mesh = ConnectionDevice::from_envelope(in_mesh).ok()?;
        let part = |part: &&mesh_common::assertion::AccountEntry| {
            part.account_udf.as_deref() == Some(ours)
        };
        let in_account = entry.accounts.iter().find(part)?;
        let in_account = in_account.enveloped_connection_account.as_ref()?;
        let in_account = ConnectionAccount::from_envelope(in_account).ok()?;
        Some([in_mesh.key_signature?, in_account.key_signature?])
    }
}

fn name(device: &DeviceStanding) -> String {
    let description = device.description.clone();
    description.unwrap_or_else(|| device.device_udf.clone())
}

/// Whether both describe one key, by what their parameters say.
fn is_key(one: &KeyData, other: &KeyData) -> bool {
    let udfs = [one, other].map(|key| key.public_key().map(|key| key.udf()));
    matches!(&udfs, [Ok(one), Ok(other)] if one == other)
}

/// The rights of a device with or without administration.
fn permissions_of(entry: &CatalogedDevice, administers: bool) -> Vec<Permission> {
    use mesh_common::assertion::ConnectionDevice;
    let connection = entry.enveloped_connection_device.as_ref();
    let connection = connection.and_then(|one| ConnectionDevice::from_envelope(one).ok());
    let mut rights = connection.map_or_else(Vec::new, |one| one.permissions);
    rights.retain(|right| !is_administrator(std::slice::from_ref(right)));
    if administers {
        rights.insert(
            0,
            Permission {
                name: Some("Admin".into()),
                ..Permission::default()
            },
        );
    }
    rights
}
