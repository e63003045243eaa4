//! Connecting a device: the service checks the request and acknowledges it, the device checks the
//! acknowledgement (service §6.2).

use super::{
    AcknowledgeConnection, Message, MessageError, Nonce, RequestConnection, response_id_2020,
    witness,
};
use crate::address::AccountAddress;
use crate::assertion::{AssertionError, ProfileDevice, ProfileMesh, Signed, verify};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::Envelope;
use crate::error::ServiceError;
use crate::protocol::Code;
use crate::udf::Udf;

/// A request to connect a device, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionRequest {
    /// The account it is for.
    pub account: AccountAddress,
    /// The device.
    pub profile: Signed<ProfileDevice>,
    /// What the device drew.
    pub client_nonce: Nonce,
    /// The request.
    pub request: RequestConnection,
}

impl ConnectionRequest {
    /// Makes a request, signed by the device's KeyAuthentication. `pin_udf` is what [`super::Pin`]
    /// gives.
    #[must_use]
    pub fn make(
        account: &AccountAddress,
        profile_device: &Envelope,
        authentication: &SecretKey,
        message_id: &Udf,
        client_nonce: &Nonce,
        pin_udf: Option<String>,
    ) -> Envelope {
        let message = Message::RequestConnection(Box::new(RequestConnection {
            message_id: Some(message_id.to_string()),
            service_id: Some(account.as_written().to_owned()),
            enveloped_profile_device: Some(profile_device.clone()),
            client_nonce: Some(client_nonce.to_binary()),
            pin_udf,
            ..RequestConnection::default()
        }));
        message.to_envelope(message_id.as_str(), &[authentication])
    }

    /// Checks a request: its profile verifies, its nonce has 16 to 64 octets, and KeyAuthentication
    /// or KeyOfflineSignature of the profile signed it. `unsigned_accepted` waives the signature
    /// in interop mode (decision Q-39).
    ///
    /// # Errors
    /// 400/100 if it is no RequestConnection, 422/115 to 422/117 by what does not verify.
    pub fn verify(envelope: &Envelope, unsigned_accepted: bool) -> Result<Self, ServiceError> {
        let tag = "RequestConnection";
        let Message::RequestConnection(request) = Message::from_envelope(envelope)? else {
            return Err(MessageError::TypeDiffers.into());
        };
        let account = request
            .service_id
            .as_deref()
            .and_then(|text| AccountAddress::parse(text).ok())
            .ok_or_else(|| {
                ServiceError::new(Code::InvalidName, "the request names no account address")
            })?;
        let client_nonce = request
            .client_nonce
            .as_ref()
            .and_then(|octets| Nonce::from_octets(octets.as_slice()))
            .ok_or_else(|| {
                ServiceError::new(Code::Malformed, "a client nonce has 16 to 64 octets")
            })?;
        let profile = request
            .enveloped_profile_device
            .as_ref()
            .ok_or(AssertionError::Missing {
                tag,
                member: "EnvelopedProfileDevice",
            })
            .and_then(ProfileDevice::verify)
            .map_err(|error| error.refusal())?;
        if !(unsigned_accepted && envelope.signatures().is_empty()) {
            let mut keys = profile.keys()[profile.keys().len() - 1..].to_vec();
            keys.extend(profile.authentication_key());
            verify::signed_by(tag, envelope, &keys).map_err(|error| error.refusal())?;
        }
        Ok(Self {
            account,
            profile,
            client_nonce,
            request: *request,
        })
    }

    /// The device's KeyOfflineSignature, which enters the witness.
    #[must_use]
    pub fn device_key(&self) -> &PublicKey {
        &self.profile.keys()[self.profile.keys().len() - 1]
    }

    /// Acknowledges the request, which came in `envelope`, for the account of `mesh` (its
    /// KeyOfflineSignature). `signer` is an online key of the service (decision Q-7).
    #[must_use]
    pub fn acknowledge(
        &self,
        envelope: &Envelope,
        mesh: &PublicKey,
        message_id: &Udf,
        server_nonce: &Nonce,
        signer: &SecretKey,
    ) -> Acknowledgement {
        let witness = witness(
            mesh,
            server_nonce.as_slice(),
            self.device_key(),
            self.client_nonce.as_slice(),
        );
        let message = Message::AcknowledgeConnection(Box::new(AcknowledgeConnection {
            message_id: Some(message_id.to_string()),
            enveloped_request_connection: Some(envelope.clone()),
            server_nonce: Some(server_nonce.to_binary()),
            witness: Some(witness.clone()),
            ..AcknowledgeConnection::default()
        }));
        Acknowledgement {
            envelope: message.to_envelope(message_id.as_str(), &[signer]),
            message_id: message_id.to_string(),
            response_id: response_id_2020(message_id.as_str()),
            server_nonce: server_nonce.clone(),
            witness,
        }
    }
}

/// A service's acknowledgement of a request to connect a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledgement {
    /// The signed AcknowledgeConnection.
    pub envelope: Envelope,
    /// Its MessageID.
    pub message_id: String,
    /// What the answer is asked for by.
    pub response_id: Udf,
    /// What the service drew.
    pub server_nonce: Nonce,
    /// What the users compare.
    pub witness: String,
}

impl Acknowledgement {
    /// Checks an acknowledgement on the device or on an administrator's: it is signed by one of
    /// `service_keys`, holds `request` unchanged if that is known, and its witness is the one of
    /// both profiles and nonces.
    ///
    /// # Errors
    /// 400/100 if it is no AcknowledgeConnection, 422/115 or 422/116 by what does not verify.
    pub fn verify(
        envelope: &Envelope,
        service_keys: &[PublicKey],
        mesh: &Signed<ProfileMesh>,
        request: Option<&Envelope>,
    ) -> Result<(Self, ConnectionRequest), ServiceError> {
        let tag = "AcknowledgeConnection";
        let mismatch = |member| AssertionError::Mismatch { tag, member }.refusal();
        verify::signed_by(tag, envelope, service_keys).map_err(|error| error.refusal())?;
        let Message::AcknowledgeConnection(message) = Message::from_envelope(envelope)? else {
            return Err(MessageError::TypeDiffers.into());
        };
        let enclosed = message
            .enveloped_request_connection
            .as_ref()
            .ok_or_else(|| mismatch("EnvelopedRequestConnection"))?;
        if request.is_some_and(|request| request.payload != enclosed.payload) {
            return Err(mismatch("EnvelopedRequestConnection"));
        }
        let checked = ConnectionRequest::verify(enclosed, false)?;
        let server_nonce = message
            .server_nonce
            .as_ref()
            .and_then(|octets| Nonce::from_octets(octets.as_slice()))
            .ok_or_else(|| mismatch("ServerNonce"))?;
        let expected = witness(
            &mesh.keys()[mesh.keys().len() - 1],
            server_nonce.as_slice(),
            checked.device_key(),
            checked.client_nonce.as_slice(),
        );
        if message.witness.as_deref() != Some(&expected) {
            return Err(mismatch("Witness"));
        }
        let message_id = message.message_id.ok_or(MessageError::NoIdentifier)?;
        let acknowledgement = Self {
            envelope: envelope.clone(),
            response_id: response_id_2020(&message_id),
            message_id,
            server_nonce,
            witness: expected,
        };
        Ok((acknowledgement, checked))
    }
}
