//! What a Connect proves, and the acknowledgement that is made of it (service §6.2 steps 2 and 3).
//!
//! All signatures of a Connect are computed here, for a front-end: the device's are verified, the
//! service's is made with the mesh key as the account's home knows it (decision Q-51).

use super::credential::Authenticated;
use super::evidence::nobody;
use crate::address::AccountAddress;
use crate::assertion::Authority;
use crate::cluster::{ConnectEvidence, Evidence, SigningKeys};
use crate::crypto::SecretKey;
use crate::dare::Envelope;
use crate::entropy::Entropy;
use crate::error::ServiceError;
use crate::message::{self, ConnectionRequest, Message, MessageError, Nonce};
use crate::protocol::{Code, ConnectRequest};
use crate::udf;

/// The account that a Connect is for, which only its message names. Nothing else is checked.
///
/// # Errors
/// 400/100 if there is no RequestConnection that can be read, 422/117 if it names no account.
pub fn connection_account(request: &ConnectRequest) -> Result<AccountAddress, ServiceError> {
    let Message::RequestConnection(message) = Message::from_envelope(message_of(request)?)? else {
        return Err(MessageError::TypeDiffers.into());
    };
    let text = message.service_id.unwrap_or_default();
    AccountAddress::parse(&text)
        .map_err(|error| ServiceError::new(Code::InvalidName, error.to_string()))
}

fn message_of(request: &ConnectRequest) -> Result<&Envelope, ServiceError> {
    request
        .message_connection_request_client
        .as_ref()
        .ok_or_else(|| ServiceError::new(Code::Malformed, "a Connect has a RequestConnection"))
}

/// Checks the RequestConnection of a Connect and acknowledges it, signed by `signer`, an online key
/// of the service (decision Q-7). `authenticated` is `None` for bare requests in interop mode, which
/// may be unsigned (decision Q-39).
///
/// Without `keys` there is no such account: the same work is done for nothing.
///
/// # Errors
/// 400/100 for a message, an identifier or a nonce that is none, 413/8 for one that is too large, 422/115 to 422/117
/// by what does not verify, 422/116 for another device than the one authenticated.
pub fn connect_evidence(
    request: &ConnectRequest,
    authenticated: Option<&Authenticated>,
    keys: Option<&SigningKeys>,
    message_bytes_max: usize,
    signer: &SecretKey,
    entropy: &mut dyn Entropy,
) -> Result<Evidence, ServiceError> {
    let envelope = message_of(request)?;
    if envelope.payload.as_slice().len() > message_bytes_max {
        return Err(ServiceError::new(
            Code::TooLarge,
            format!("a message has at most {message_bytes_max} octets"),
        ));
    }
    if authenticated.is_some() {
        // The reference implementation gives its requests none (decisions ).
        message::identify(envelope)?;
    }
    let verified = ConnectionRequest::verify(envelope, authenticated.is_none())?;
    let asking = authenticated.map(|authenticated| &authenticated.caller.profile_udf);
    if asking.is_some_and(|udf| udf.as_ref() != Some(verified.profile.udf())) {
        return Err(ServiceError::new(
            Code::InvalidProfile,
            "a device asks for itself: the ProfileDevice is not the one authenticated",
        ));
    }
    let mesh =
        Authority::mesh(&keys.cloned().unwrap_or_else(nobody)).map_err(ServiceError::internal)?;
    let offline = mesh
        .keys()
        .last()
        .ok_or_else(|| ServiceError::internal("a ProfileMesh has an offline key"))?;
    let message_id = udf::nonce(entropy);
    let nonce = Nonce::draw(entropy);
    let acknowledgement = verified.acknowledge(envelope, offline, &message_id, &nonce, signer);
    Ok(match keys {
        None => Evidence::Nothing,
        Some(keys) => Evidence::Connection(Box::new(ConnectEvidence {
            profile_version: keys.profile_version,
            device_udf: verified.profile.udf().clone(),
            published_id: verified.request.message_id.clone(),
            message_id,
            acknowledgement: acknowledgement.envelope,
        })),
    })
}
