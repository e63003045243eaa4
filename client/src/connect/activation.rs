//! The new device becomes one of the account's: it opens its activations, derives its keys, checks
//! them against its connections, and keeps them (service §6.3, crypto §7).
//!
//! ```text
//!  further accounts' folders ─▶ keys.json ─▶ account.json ─▶ request.json removed
//! ```
//!
//! Interrupted anywhere before `account.json`, the request is still there and is answered again.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::{
    AccountEntry, Authority, CatalogedDevice, ProfileMesh, Signed, activate_account,
    activate_device,
};
use mesh_common::dare::Envelope;

use super::ConnectError;
use super::kept::{self, Kept, Proof};
use crate::account::AccountFacts;
use crate::client::Client;
use crate::error::ClientError;
use crate::keystore::{self, Keys, OwnedKeys, OwnerKeys, SessionSeal};
use crate::state::{Beginning, PinnedService, Stage, State};
use crate::transport::default_url;

/// One account that the device was given.
struct Given {
    address: AccountAddress,
    profile_account: Envelope,
    keys: Keys,
}

impl Client {
    /// Makes this device one of the account's that `entry`, which `mesh` signed, names.
    pub(super) fn activate(
        &mut self,
        kept: &Kept,
        entry: CatalogedDevice,
        mesh: &Signed<ProfileMesh>,
    ) -> Result<AccountFacts, ClientError> {
        let authority = Authority::from(mesh);
        let (_, in_mesh) =
            activate_device(&kept.keys, &entry, &authority).map_err(ConnectError::Activation)?;
        let profile_mesh = mesh_envelope(kept, &entry)?;
        let mut given = Vec::new();
        for one in &entry.accounts {
            let owner = in_mesh.administration.as_ref();
            given.push(self.given(kept, one, &authority, owner)?);
        }
        let wanted =
            |one: &Given| matches!(kept.proof, Proof::Earl(_)) || one.address == kept.address;
        let first = given
            .iter()
            .position(wanted)
            .ok_or(ConnectError::Incomplete { what: "account" })?;
        let own = given.remove(first);
        for further in given {
            self.settle_further(kept, &profile_mesh, &entry, further)?;
        }
        let state = state_of(
            kept,
            profile_mesh,
            entry,
            &own,
            service_for(kept, &own.address),
        );
        let passphrase = self.passphrase.clone();
        let seal = passphrase.as_ref().map(|words| (words, self.cost));
        keystore::save(&self.home, &own.keys, seal, self.entropy.as_mut())?;
        state.save(&self.home)?;
        self.request = None;
        self.home.remove(kept::FILE)?;
        self.unlock(state)?;
        self.account_facts()
    }

    /// What one part of the entry gives this device.
    fn given(
        &mut self,
        kept: &Kept,
        entry: &AccountEntry,
        mesh: &Authority,
        administration: Option<&mesh_common::crypto::SecretKey>,
    ) -> Result<Given, ClientError> {
        let (profile, _, keys) =
            activate_account(&kept.keys, entry, mesh).map_err(ConnectError::Activation)?;
        let account_encryption = keys.decryption.ok_or(ConnectError::Incomplete {
            what: "key to read the account with",
        })?;
        let owner = administration
            .zip(keys.administration)
            .map(|(mesh, account)| OwnerKeys {
                mesh: OwnedKeys::administering(mesh.clone()),
                account: OwnedKeys::administering(account),
            });
        let named = || {
            profile
                .service_ids
                .iter()
                .map(|id| AccountAddress::parse(id))
        };
        let address = named()
            .flatten()
            .find(|address| *address == kept.address)
            .or_else(|| named().flatten().next())
            .ok_or(ConnectError::Incomplete { what: "address" })?;
        Ok(Given {
            address,
            profile_account: entry.enveloped_profile_account.clone().unwrap_or_default(),
            keys: Keys {
                device: kept.keys.clone(),
                account_encryption,
                owner,
                master: None,
                session: SessionSeal::draw(self.entropy.as_mut()),
            },
        })
    }

    /// Sets up the folder of a further account of the same mesh. One that is there stays.
    fn settle_further(
        &mut self,
        kept: &Kept,
        profile_mesh: &Envelope,
        entry: &CatalogedDevice,
        given: Given,
    ) -> Result<(), ClientError> {
        let other = self.further(&given.address)?;
        if other.state().is_some() {
            return Ok(());
        }
        let service = service_for(kept, &given.address);
        let state = state_of(kept, profile_mesh.clone(), entry.clone(), &given, service);
        let passphrase = self.passphrase.clone();
        let seal = passphrase.as_ref().map(|words| (words, self.cost));
        keystore::save(&other.home, &given.keys, seal, self.entropy.as_mut())?;
        Ok(state.save(&other.home)?)
    }
}

/// The envelope of the mesh that the device is connected to: the answer's, which may be newer, or
/// else the acknowledgement's.
fn mesh_envelope(kept: &Kept, entry: &CatalogedDevice) -> Result<Envelope, ConnectError> {
    entry
        .enveloped_profile_mesh
        .clone()
        .or_else(|| {
            let acknowledged = kept.acknowledged.as_ref()?;
            Some(acknowledged.profile_mesh.clone())
        })
        .ok_or(ConnectError::Incomplete { what: "mesh" })
}

/// Where the service of `address` is, and who it is if that is known: the one that was asked, for
/// accounts of its domain.
fn service_for(kept: &Kept, address: &AccountAddress) -> (String, Option<PinnedService>) {
    if address.domain() == kept.address.domain() {
        (kept.service_url.clone(), Some(kept.service.clone()))
    } else {
        (default_url(address.domain()), None)
    }
}

fn state_of(
    kept: &Kept,
    profile_mesh: Envelope,
    device_entry: CatalogedDevice,
    given: &Given,
    (service_url, service): (String, Option<PinnedService>),
) -> State {
    let mut state = State::new(Beginning {
        address: given.address.clone(),
        service_url,
        authorities: kept.authorities.clone(),
        profile_mesh,
        profile_account: given.profile_account.clone(),
        profile_device: kept.profile_device.clone(),
        device_entry,
    });
    state.service = service;
    state.stage = Stage::Ready;
    state
}
