//! The answer to a request to connect: an administrator makes it, the device checks it
//! (service §6.2 step 7, §6.3 to §6.5, X-45).

use super::kinds::{Message, RespondConnection};
use super::{Acknowledgement, ConnectionRequest, ConnectionResult, MessageError, Pin};
use crate::address::AccountAddress;
use crate::assertion::{AssertionError, CatalogedDevice, ProfileMesh, Signed, verify};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::Envelope;
use crate::udf::Udf;

/// What a PIN is proved over: who asks whom, and what both drew.
#[derive(Debug, Clone, Copy)]
pub struct Proved<'a> {
    /// The account that was asked.
    pub account: &'a AccountAddress,
    /// What the device drew.
    pub client_nonce: &'a [u8],
    /// What the service drew; zeros for a published request (decision Q-49).
    pub server_nonce: &'a [u8],
    /// KeyOfflineSignature of the device.
    pub device: &'a PublicKey,
}

impl<'a> Proved<'a> {
    /// The values of a request that was acknowledged.
    #[must_use]
    pub fn of(request: &'a ConnectionRequest, acknowledgement: &'a Acknowledgement) -> Self {
        Self {
            server_nonce: acknowledgement.server_nonce.as_slice(),
            ..Self::published(request)
        }
    }

    /// The values of a request that was published.
    #[must_use]
    pub fn published(request: &'a ConnectionRequest) -> Self {
        Self {
            account: &request.account,
            client_nonce: request.client_nonce.as_slice(),
            server_nonce: &super::EARL_SERVER_NONCE,
            device: request.device_key(),
        }
    }

    /// Whether the device's user knows `pin`.
    #[must_use]
    pub fn is_asked_with(&self, pin: &Pin, pin_udf: &str) -> bool {
        pin.request_udf(self.account, self.client_nonce, self.device) == pin_udf
    }

    /// The proof that an administrator of `mesh` knows `pin`.
    #[must_use]
    pub fn witness(&self, pin: &Pin, mesh: &Signed<ProfileMesh>) -> String {
        let mesh = &mesh.keys()[mesh.keys().len() - 1];
        pin.respond_witness(
            self.account,
            self.client_nonce,
            self.server_nonce,
            self.device,
            mesh,
        )
    }
}

/// Why an answer is not believed.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is no answer at all.
    #[error("the answer cannot be read")]
    Unreadable(#[source] MessageError),
    /// It answers another request.
    #[error("the answer is to another request")]
    OtherRequest,
    /// It says neither yes nor no.
    #[error("the answer does not say what became of the request")]
    Undecided,
    /// It is not signed by the mesh, or what it holds does not verify.
    #[error("the answer does not verify")]
    Assertion(#[source] AssertionError),
    /// Whoever made it does not know the PIN.
    #[error("the answer does not prove that its sender knows the PIN")]
    Unproven,
}

/// An administrator's answer, checked by the device.
#[derive(Debug, Clone, PartialEq)]
pub enum ConnectionAnswer {
    /// The device is connected.
    Accepted {
        /// Its entry.
        entry: Box<CatalogedDevice>,
        /// The mesh that it is connected to.
        mesh: Box<Signed<ProfileMesh>>,
    },
    /// It will not be.
    Rejected,
}

impl ConnectionAnswer {
    /// Makes an answer, signed by `online`, an online key of the mesh (decision Q-19). With an entry
    /// it is yes, without one no.
    #[must_use]
    pub fn make(
        response_id: &str,
        entry: Option<CatalogedDevice>,
        witness: Option<String>,
        parties: Option<(&AccountAddress, &AccountAddress)>,
        online: &SecretKey,
    ) -> Envelope {
        let result = match entry {
            Some(_) => ConnectionResult::Accept,
            None => ConnectionResult::Reject,
        };
        let message = Message::RespondConnection(Box::new(RespondConnection {
            message_id: Some(response_id.to_owned()),
            sender: parties.map(|(sender, _)| sender.canonical().to_owned()),
            recipient: parties.map(|(_, recipient)| recipient.canonical().to_owned()),
            result: Some(result),
            cataloged_device: entry,
            witness,
            ..RespondConnection::default()
        }));
        message.to_envelope(response_id, &[online])
    }

    /// Checks an answer on the device. `mesh` is the one that entered the witness; none if the
    /// request was published, when the answer must bring it. With a PIN, only who knows it is
    /// believed.
    ///
    /// # Errors
    /// [`AnswerError`]: its variants say when.
    pub fn verify(
        envelope: &Envelope,
        response_id: &Udf,
        mesh: Option<&Signed<ProfileMesh>>,
        proved: &Proved<'_>,
        pin: Option<&Pin>,
    ) -> Result<Self, AnswerError> {
        let message = Message::from_envelope(envelope).map_err(AnswerError::Unreadable)?;
        let Message::RespondConnection(answer) = message else {
            return Err(AnswerError::Unreadable(MessageError::TypeDiffers));
        };
        if !super::names(answer.message_id.as_deref(), response_id) {
            return Err(AnswerError::OtherRequest);
        }
        let mesh = mesh_of(&answer, mesh)?.ok_or(AnswerError::Unproven)?;
        verify::signed_by("RespondConnection", envelope, mesh.keys())
            .map_err(AnswerError::Assertion)?;
        match (&answer.result, answer.cataloged_device) {
            (Some(ConnectionResult::Reject), _) => Ok(Self::Rejected),
            (Some(ConnectionResult::Accept), Some(entry)) => {
                let expected = pin.map(|pin| proved.witness(pin, &mesh));
                if expected.is_some() && expected != answer.witness {
                    return Err(AnswerError::Unproven);
                }
                Ok(Self::Accepted {
                    entry: Box::new(entry),
                    mesh: Box::new(mesh),
                })
            }
            _ => Err(AnswerError::Undecided),
        }
    }
}

/// The mesh that must have signed: the one that is known, which the entry must not contradict, or
/// else the one the entry brings.
fn mesh_of(
    answer: &RespondConnection,
    known: Option<&Signed<ProfileMesh>>,
) -> Result<Option<Signed<ProfileMesh>>, AnswerError> {
    let enclosed = answer
        .cataloged_device
        .as_ref()
        .and_then(|entry| entry.enveloped_profile_mesh.as_ref())
        .map(ProfileMesh::verify)
        .transpose()
        .map_err(AnswerError::Assertion)?;
    match (known, enclosed) {
        (Some(known), Some(enclosed)) if known.udf() != enclosed.udf() => {
            Err(AnswerError::Assertion(AssertionError::Mismatch {
                tag: "RespondConnection",
                member: "EnvelopedProfileMesh",
            }))
        }
        // The newer profile of the same mesh may have further online keys.
        (Some(known), Some(enclosed)) if enclosed.updated >= known.updated => Ok(Some(enclosed)),
        (Some(known), _) => Ok(Some(known.clone())),
        (None, enclosed) => Ok(enclosed),
    }
}
