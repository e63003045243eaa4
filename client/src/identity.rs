//! Who this device is once its keys are open: the composite keys of its connections, and the
//! profiles that stand behind them, all verified (crypto §7, service §6.3).

use mesh_common::assertion::{
    ActivatedKeys, AssertionError, Authority, ConnectionAccount, ConnectionDevice, ProfileAccount,
    ProfileDevice, ProfileMesh, Signed, activate_account, activate_device,
};
use mesh_common::dare::Envelope;

use crate::keystore::Keys;
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
        let entry = state.device_entry.accounts.first().ok_or(missing)?;
        let (account, connection_account, in_account) =
            activate_account(&keys.device, entry, &authority)?;
        let enveloped = entry.enveloped_connection_account.clone();
        Ok(Self {
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
