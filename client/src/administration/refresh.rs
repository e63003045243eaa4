//! What a device does when the service shows it other profiles than it knows: newer ones of its own
//! mesh are taken over, everything else is an alarm (service §4.3, decisions ).

use mesh_common::assertion::{
    Assertion, AssertionError, CatalogedDevice, ProfileAccount, ProfileMesh, Signed,
};
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{Request, Response, StatusRequest};
use mesh_common::time::Timestamp;

use super::error::AdministrationError;
use crate::catalogs::name_of;
use crate::client::Client;
use crate::error::ClientError;
use crate::identity::Identity;
use crate::service::ServiceFailure;

/// How a profile follows the one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    Newer,
}

impl Client {
    /// Looks at the profile of the mesh that came with a Status. A newer one waits for the entry of
    /// this device that goes with it ([`Self::settle`]).
    ///
    /// # Errors
    /// [`AdministrationError::Forged`], [`AdministrationError::OtherMesh`],
    /// [`AdministrationError::Rollback`], [`AdministrationError::Forked`].
    pub(crate) fn take_profile(&mut self, shown: Option<Envelope>) -> Result<(), ClientError> {
        let device = self.device()?;
        device.offered = None;
        // While ours is on its way, the service has the one before.
        let Some(envelope) = shown.filter(|_| device.state.replaced.is_none()) else {
            return Ok(());
        };
        let shown = ProfileMesh::verify(&envelope).map_err(AdministrationError::Forged)?;
        let known = &device.identity.mesh;
        if shown.udf() != known.udf() {
            return Err(AdministrationError::OtherMesh {
                known: known.udf().clone(),
                found: shown.udf().clone(),
            }
            .into());
        }
        if step(known, known.updated, &shown, shown.updated)? == Step::Newer {
            device.offered = Some(envelope);
        }
        Ok(())
    }

    /// Takes over the profile that was offered and this device's entry in the Device catalog, once
    /// both fit each other. Until the entry was made anew the device stays with what it has.
    ///
    /// # Errors
    /// [`AdministrationError::ForgedEntry`]: the entry does not belong to this device, its keys or
    /// its mesh.
    pub(crate) fn settle(&mut self) -> Result<(), ClientError> {
        let own = self.own_catalog_entry()?;
        self.settle_with(own)
    }

    /// Asks, as the device alone, for this device's entry and the profile of its mesh: its
    /// connection may have been signed by a key that was withdrawn, and be signed anew.
    ///
    /// # Errors
    /// As [`Self::take_profile`] and [`Self::settle`]; what the service refuses.
    pub(crate) async fn renew_place(&mut self) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let request = Request::Status(StatusRequest {
            account: Some(self.account_name()?),
            device_udf: Some(device.identity.device.udf().to_string()),
            profile_master_digest: Some(Binary::from(*device.identity.mesh.digest())),
            ..StatusRequest::default()
        });
        let response = match self.ask_as_device(&request).await? {
            Response::Status(response) if response.outcome.is_success() => response,
            Response::Status(response) => {
                return Err(ServiceFailure::refusal(&response.outcome).into());
            }
            other => return Err(ServiceFailure::other_class(&other).into()),
        };
        self.take_profile(response.enveloped_profile_master)?;
        let entry = response.enveloped_catalog_entry_device.as_ref();
        let entry = entry.map(CatalogedDevice::from_envelope).transpose();
        self.settle_with(entry.map_err(AdministrationError::ForgedEntry)?)
    }

    fn settle_with(&mut self, own: Option<CatalogedDevice>) -> Result<(), ClientError> {
        let device = self.device()?;
        let is_offered = device.offered.is_some();
        let entry = own.filter(|entry| *entry != device.state.device_entry);
        if device.state.replaced.is_some() || (entry.is_none() && !is_offered) {
            return Ok(());
        }
        let mut state = device.state.clone();
        if let Some(offered) = device.offered.take() {
            state.profile_mesh = offered;
        }
        if let Some(entry) = entry {
            let ours = device.identity.account.udf().as_str();
            let part = entry
                .accounts
                .iter()
                .find(|part| part.account_udf.as_deref() == Some(ours));
            let profile = part.and_then(|part| part.enveloped_profile_account.clone());
            state.profile_account = profile.unwrap_or(state.profile_account);
            state.device_entry = entry;
        }
        match Identity::derive(device.identity.keys.clone(), &state) {
            Ok(identity) => {
                check_account(&device.identity.account, &identity.account)?;
                self.adopt(identity, state)
            }
            // The administrator has changed the profile, and not yet this device's entry.
            Err(_) if is_offered => Ok(()),
            Err(error) => Err(AdministrationError::ForgedEntry(error).into()),
        }
    }

    /// This device's living entry in the Device catalog.
    fn own_catalog_entry(&mut self) -> Result<Option<CatalogedDevice>, ClientError> {
        let device = self.device()?;
        let udf = device.identity.device.udf().to_string();
        let replica = self.replica(&name_of(ContainerName::DEVICE))?;
        let live = replica.index().live(&udf);
        let Some(frame) = live.and_then(|frames| replica.frame(frames.last)) else {
            return Ok(None);
        };
        let entry = CatalogedDevice::from_envelope(frame);
        Ok(Some(entry.map_err(AdministrationError::ForgedEntry)?))
    }
}

/// The account is still the same one, in a profile that is not older.
fn check_account(
    known: &Signed<ProfileAccount>,
    shown: &Signed<ProfileAccount>,
) -> Result<(), ClientError> {
    if shown.udf() != known.udf() {
        let other = AssertionError::Mismatch {
            tag: "CatalogedDevice",
            member: "Accounts",
        };
        return Err(AdministrationError::ForgedEntry(other).into());
    }
    step(known, known.updated, shown, shown.updated).map(drop)
}

fn step<T>(
    known: &Signed<T>,
    known_at: Option<Timestamp>,
    shown: &Signed<T>,
    shown_at: Option<Timestamp>,
) -> Result<Step, ClientError> {
    match (known_at, shown_at) {
        _ if known.digest() == shown.digest() => Ok(Step::Same),
        (Some(known), Some(shown)) if shown > known => Ok(Step::Newer),
        (None, Some(_)) => Ok(Step::Newer),
        (known, shown) if known == shown => {
            Err(AdministrationError::Forked { updated: shown }.into())
        }
        (known, found) => Err(AdministrationError::Rollback { known, found }.into()),
    }
}
