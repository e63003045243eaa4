//! A further device of the same person whose folder can be reached from here: a second disk, a
//! drive that is carried over. The device that made the account draws the other's keys in the
//! other's folder, gives it its place and its entry, and the next synchronization makes it known
//! (service §6.3 step 7, decision Q-9). Devices that cannot be reached connect by the protocol.

use std::path::Path;

use mesh_common::assertion::make::{
    DeviceKeys, account_entry, cataloged_device, connect_to_account, connect_to_mesh,
};
use mesh_common::assertion::{Assertion, CatalogedDevice, Permission, ProfileDevice};
use mesh_common::dare::{ContainerName, Envelope, Header};

use crate::catalogs::name_of;
use crate::changes::Change;
use crate::client::Client;
use crate::error::ClientError;
use crate::keystore::{self, Keys, OwnerKeys};
use crate::state::State;

impl Client {
    /// Gives the device whose folder is `folder`, and which is not set up yet, a place in this
    /// account. Its entry waits here until the next [`Client::sync`]; only then is it known to the
    /// service.
    ///
    /// # Errors
    /// [`ClientError::NotOwner`] on a device that does not hold the keys of the mesh;
    /// [`ClientError::AccountExists`] if the other device has an account; what keeps either folder
    /// from being used.
    pub fn connect_device(
        &mut self,
        folder: &Path,
        description: Option<String>,
    ) -> Result<(), ClientError> {
        let other = Self::open(folder)?;
        if let Some(state) = other.state() {
            return Err(ClientError::AccountExists {
                address: state.address.clone(),
            });
        }
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let owner = self.owner()?;
        let shared = device.identity.keys.account_encryption.clone();
        let keys = Keys::of_further_device(&shared, self.entropy.as_mut());
        let profile = keys.device.profile(description);
        let entry = self.entry_for(&keys.device, &profile, &owner)?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let state = State {
            profile_device: profile,
            device_entry: entry.clone(),
            synced: std::collections::BTreeMap::new(),
            synced_at: None,
            replaced: None,
            entries_wait: None,
            ..device.state.clone()
        };
        keystore::save(&other.home, &keys, None, self.entropy.as_mut())?;
        state.save(&other.home)?;
        let signer = &self.device()?.identity.in_account.signature;
        let change = Change {
            unique_id: keys.device.signature.udf().to_string(),
            content: Some(Envelope::signed(
                entry.to_json(),
                Header::default(),
                &[signer],
            )),
        };
        self.change(&name_of(ContainerName::DEVICE), vec![change])?;
        Ok(())
    }

    /// The entry of another device: connected to the mesh and the account, not administering them.
    fn entry_for(
        &mut self,
        keys: &DeviceKeys,
        profile: &Envelope,
        owner: &OwnerKeys,
    ) -> Result<CatalogedDevice, ClientError> {
        let making = ClientError::Making;
        let described = ProfileDevice::verify(profile).map_err(making)?;
        debug_assert_eq!(described.udf(), &keys.signature.udf());
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let rights = [Permission {
            name: Some("Confirm".into()),
            ..Permission::default()
        }];
        let in_mesh = connect_to_mesh(
            &described,
            device.identity.mesh.udf(),
            &owner.mesh.online,
            &rights,
            self.entropy.as_mut(),
        )
        .map_err(making)?;
        let account = &device.identity.account;
        let in_account = connect_to_account(
            &described,
            account,
            &owner.account.online,
            &rights,
            self.entropy.as_mut(),
        )
        .map_err(making)?;
        let accounts = vec![account_entry(
            account.udf(),
            &device.state.profile_account,
            in_account,
        )];
        cataloged_device(profile, in_mesh, accounts).map_err(making)
    }
}
