//! Making a message: encrypted to the recipient's account and to our own where theirs is known,
//! always signed by the device with the chain to the account (service §7.2, X-50; crypto §6).

use mesh_common::address::AccountAddress;
use mesh_common::assertion::{ProfileAccount, ProfileService};
use mesh_common::crypto::PublicKey;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::limits::MESSAGE_ORIGINATED_BYTES_MAX;
use mesh_common::message::{Message, Reference, accredit, attach_chain};
use mesh_common::udf;

use super::failure::MessageFailure;
use super::outbox::Parcel;
use crate::client::Client;
use crate::error::ClientError;

/// A message on its way to somebody.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Its identifier.
    pub(crate) id: String,
    /// Who it is for.
    pub(crate) to: AccountAddress,
    /// The key it is encrypted to; none if the recipient's account is not known.
    pub(crate) key: Option<PublicKey>,
    /// What it says.
    pub(crate) message: Message,
}

impl Client {
    /// A fresh identifier for a message.
    pub(crate) fn new_message_id(&mut self) -> String {
        udf::nonce(self.entropy.as_mut()).to_string()
    }

    /// Our own address, as messages name their sender.
    pub(crate) fn own_address(&self) -> Result<AccountAddress, ClientError> {
        self.account_name()?;
        let state = self.state().ok_or(ClientError::NoAccount)?;
        Ok(state.address.clone())
    }

    /// Puts a message into the outbox, with what it changes in the state of other messages.
    pub(crate) fn enqueue_message(
        &mut self,
        draft: &Draft,
        changes: Vec<Reference>,
    ) -> Result<(), ClientError> {
        let envelope = self.compose(draft)?;
        let found_bytes = envelope.payload.as_slice().len();
        if found_bytes > MESSAGE_ORIGINATED_BYTES_MAX {
            return Err(MessageFailure::TooLarge { found_bytes }.into());
        }
        let own = match changes.is_empty() {
            true => Vec::new(),
            false => vec![self.completion(changes)?.1],
        };
        self.enqueue(Parcel {
            id: draft.id.clone(),
            to: vec![draft.to.canonical().to_owned()],
            message: Some(envelope),
            own,
        })
    }

    /// The envelope of a message.
    pub(crate) fn compose(&mut self, draft: &Draft) -> Result<Envelope, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let header = draft.message.header(&draft.id);
        let Some(key) = &draft.key else {
            let mut envelope = Envelope::signed(json::write(&draft.message), header, &[]);
            self.sign_accredited(&mut envelope)?;
            return Ok(envelope);
        };
        let signer = device.identity.in_account.signature.clone();
        let own_key = device.identity.keys.account_encryption.public().clone();
        let plaintext = zeroize::Zeroizing::new(json::write(&draft.message));
        let mut envelope = Envelope::encrypted_and_signed(
            &plaintext,
            header,
            &[key, &own_key],
            &[&signer],
            self.entropy.as_mut(),
        )
        .map_err(|source| ClientError::Sealing {
            container: mesh_common::dare::ContainerName::OUTBOUND.to_owned(),
            source,
        })?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        attach_chain(
            &mut envelope,
            &signer.udf(),
            &device.identity.enveloped_connection_account,
            &device.state.profile_account,
            self.mesh_that_vouches(),
        );
        Ok(envelope)
    }

    /// Signs by this device, with the chain to the account.
    pub(crate) fn sign_accredited(&self, envelope: &mut Envelope) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        accredit(
            envelope,
            &device.identity.in_account.signature,
            &device.identity.enveloped_connection_account,
            &device.state.profile_account,
            self.mesh_that_vouches(),
        );
        Ok(())
    }

    /// The profile of the mesh, where the account is signed by it alone (decision Q-13).
    fn mesh_that_vouches(&self) -> Option<&Envelope> {
        let state = self.state()?;
        ProfileAccount::verify(&state.profile_account, None)
            .is_err()
            .then_some(&state.profile_mesh)
    }

    /// The keys the account's service signs with (decision Q-7).
    pub(crate) fn service_signing_keys(&self) -> Result<Vec<PublicKey>, ClientError> {
        let Some(pinned) = self.state().and_then(|state| state.service.as_ref()) else {
            return Ok(Vec::new());
        };
        let profile =
            ProfileService::verify(&pinned.profile_service).map_err(ClientError::Identity)?;
        Ok(profile.keys().to_vec())
    }
}
