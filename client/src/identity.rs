//! Who this device is once its keys are open: the composite keys of its connections, and the
//! profiles that stand behind them, all verified (crypto §7, service §6.3).

use mesh_common::assertion::{
    ActivatedKeys, AssertionError, Authority, ConnectionAccount, ConnectionDevice, ProfileAccount,
    ProfileDevice, ProfileMesh, Signed, activate_account, activate_device,
};
use mesh_common::crypto::PublicKey;
use mesh_common::dare::Envelope;

use crate::keystore::{Keys, OwnedKeys, OwnerKeys};
use crate::state::State;

/// A device of an account.
#[derive(Debug)]
pub struct Identity {
    /// Everything secret.
    pub keys: Keys,
    /// The personal mesh.
    pub mesh: Signed<ProfileMesh>,
    /// The account.
    pub account: Signed<ProfileAccount>,
    /// The device.
    pub device: Signed<ProfileDevice>,
    /// Its place in the mesh.
    pub connection_device: Signed<ConnectionDevice>,
    /// Its place in the account.
    pub connection_account: Signed<ConnectionAccount>,
    /// The envelope of [`Self::connection_account`], which a session presents.
    pub enveloped_connection_account: Envelope,
    /// Its keys in the mesh.
    pub in_mesh: ActivatedKeys,
    /// Its keys in the account: what it signs entries and opens sessions with.
    pub in_account: ActivatedKeys,
    /// The online keys it administers mesh and account with, if the profiles list them now.
    pub owner: Option<OwnerKeys>,
}

impl Identity {
    /// Opens the activations in the device's entry and checks that they belong to its keys.
    ///
    /// # Errors
    /// [`AssertionError`]: profiles, connections and keys do not belong together.
    pub fn derive(keys: Keys, state: &State) -> Result<Self, AssertionError> {
        let mesh = ProfileMesh::verify(&state.profile_mesh)?;
        let authority = Authority::from(&mesh);
        let device = ProfileDevice::verify(&state.profile_device)?;
        let (connection_device, in_mesh) =
            activate_device(&keys.device, &state.device_entry, &authority)?;
        let missing = AssertionError::Missing {
            tag: "CatalogedDevice",
            member: "Accounts",
        };
        // A device may be connected to further accounts of the same mesh.
        let account = ProfileAccount::verify(&state.profile_account, Some(&authority))?;
        let account_udf = account.udf().to_string();
        let entry = state
            .device_entry
            .accounts
            .iter()
            .find(|entry| entry.account_udf.as_deref() == Some(&account_udf))
            .ok_or(missing)?;
        let (account, connection_account, in_account) =
            activate_account(&keys.device, entry, &authority)?;
        let enveloped = entry.enveloped_connection_account.clone();
        let owner = owner_of(
            &keys,
            [&in_mesh, &in_account],
            [mesh.keys(), account.keys()],
        );
        Ok(Self {
            owner,
            keys,
            mesh,
            account,
            device,
            connection_device,
            connection_account,
            enveloped_connection_account: enveloped.unwrap_or_default(),
            in_mesh,
            in_account,
        })
    }
}

/// The online keys that a device has in mesh and account: those it keeps or, if its own keys there
/// were made online keys, these. Nothing if the profiles do not list them.
fn owner_of(
    keys: &Keys,
    activated: [&ActivatedKeys; 2],
    listed: [&[PublicKey]; 2],
) -> Option<OwnerKeys> {
    let is_listed = |owner: &OwnerKeys| {
        listed[0].contains(owner.mesh.online.public())
            && listed[1].contains(owner.account.online.public())
    };
    let [in_mesh, in_account] = activated.map(|keys| keys.signature.clone());
    let own = OwnerKeys {
        mesh: OwnedKeys::administering(in_mesh),
        account: OwnedKeys::administering(in_account),
    };
    let kept = keys.owner.clone().filter(is_listed);
    kept.or_else(|| Some(own).filter(is_listed))
}
