//! What people and devices send each other: one structure per Mesh message (schema draft §7.5), and
//! the values that go with connecting a device (service §6).
//!
//! ```text
//!  RequestConnection ─▶ service ─▶ AcknowledgeConnection ─▶ administrator ─▶ RespondConnection ─▶ device
//!  MessagePIN, MessageComplete          stay within the account
//!  Request…, Reply…, Response…          go from one account to another
//! ```
//!
//! A message travels as the payload of an envelope whose ContentMeta states its `UniqueID` and
//! `MessageType`.

mod accreditation;
mod connect;
mod earl;
mod kept_pin;
mod kinds;
mod pin;
mod proven;
mod relationship;
mod respond;
mod witness;

use crate::crypto::SecretKey;
use crate::dare::{ContentMeta, Envelope, Header};
use crate::encoding::json::{self, JsonError};
use crate::error::ServiceError;
use crate::protocol::Code;
use crate::udf::Udf;

pub use accreditation::{Accreditation, Chain, accredit, accredited_block, attach_chain};
pub use connect::{Acknowledgement, ConnectionRequest};
pub use earl::{EARL_SERVER_NONCE, Earl, EarlError};
pub use kept_pin::{KeptPin, KeptPinError};
pub use kinds::{
    AcknowledgeConnection, Message, MessageComplete, MessagePin, OfferGroup, Reference,
    RequestConfirmation, RequestConnection, RequestContact, RequestTask, RespondConnection,
    ResponseConfirmation,
};
pub use pin::{Pin, PinUri, PinUriError};
pub(crate) use proven::vouching;
pub use proven::{Follow, ProvenChain};
pub use relationship::{ConnectionResult, Relationship};
pub use respond::{AnswerError, ConnectionAnswer, Proved};
pub use witness::{Nonce, envelope_id_later, response_id_2020, response_id_later, witness};

/// Why an envelope holds no message that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Its payload is encrypted: only its recipients can tell.
    #[error("the message is encrypted")]
    Encrypted,
    /// Its payload is no message of a known kind.
    #[error("the message cannot be read")]
    Unreadable(#[source] JsonError),
    /// Its ContentMeta cannot be read.
    #[error("the content metadata of the message cannot be read")]
    ContentMeta(#[source] JsonError),
    /// It has no UniqueID (decision Q-26).
    #[error("the message has no identifier")]
    NoIdentifier,
    /// Its UniqueID is not its MessageID (decision Q-26).
    #[error("the message has two different identifiers")]
    IdentifiersDiffer,
    /// Its identifier is too long or holds a control character (decision Q-16).
    #[error("the identifier of the message is not acceptable")]
    Identifier,
    /// Its MessageType is not the tag of its payload.
    #[error("the message is not of the kind it says")]
    TypeDiffers,
}

impl From<MessageError> for ServiceError {
    /// All of them are 400/100 (decision Q-26).
    fn from(error: MessageError) -> Self {
        Self::new(Code::Malformed, error.to_string())
    }
}

impl Message {
    /// Reads a message from its JSON octets.
    ///
    /// # Errors
    /// [`MessageError::Unreadable`], also for an unknown tag.
    pub fn from_json(octets: &[u8]) -> Result<Self, MessageError> {
        json::parse(octets).map_err(MessageError::Unreadable)
    }

    /// Reads the message in an envelope, whether or not it is signed.
    ///
    /// # Errors
    /// [`MessageError::Encrypted`], [`MessageError::Unreadable`].
    pub fn from_envelope(envelope: &Envelope) -> Result<Self, MessageError> {
        if envelope.header.is_encrypted() {
            return Err(MessageError::Encrypted);
        }
        Self::from_json(envelope.payload.as_slice())
    }

    /// The message in an envelope under `unique_id`, signed by `signers`.
    #[must_use]
    pub fn to_envelope(&self, unique_id: &str, signers: &[&SecretKey]) -> Envelope {
        Envelope::signed(json::write(self), self.header(unique_id), signers)
    }

    /// The header of an envelope around this message.
    #[must_use]
    pub fn header(&self, unique_id: &str) -> Header {
        Header::default().with_content_meta(&ContentMeta {
            unique_id: Some(unique_id.to_owned()),
            message_type: Some(self.tag().to_owned()),
            ..ContentMeta::default()
        })
    }
}

/// What can be told of a message by its envelope alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Identified {
    /// The UniqueID.
    pub unique_id: String,
    /// The MessageType, where the envelope states it or the payload is readable.
    pub message_type: Option<String>,
    /// The message, where it is readable.
    pub message: Option<Message>,
}

/// Reads what `envelope` says of its message, and checks that its identifiers agree: UniqueID is
/// required, and equals MessageID where that can be read (decision Q-26).
///
/// # Errors
/// [`MessageError`], but an encrypted payload is no error here.
pub fn identify(envelope: &Envelope) -> Result<Identified, MessageError> {
    let meta = envelope
        .header
        .content_meta()
        .map_err(MessageError::ContentMeta)?;
    let unique_id = meta.unique_id.ok_or(MessageError::NoIdentifier)?;
    let is_acceptable = !unique_id.is_empty()
        && unique_id.len() <= crate::limits::UNIQUE_ID_BYTES_MAX
        && !unique_id.chars().any(char::is_control);
    if !is_acceptable {
        return Err(MessageError::Identifier);
    }
    let message = match Message::from_envelope(envelope) {
        Ok(message) => Some(message),
        Err(MessageError::Encrypted) => None,
        Err(error) => return Err(error),
    };
    let mut message_type = meta.message_type;
    if let Some(message) = &message {
        if message.message_id().is_some_and(|id| id != unique_id) {
            return Err(MessageError::IdentifiersDiffer);
        }
        if message_type
            .as_deref()
            .is_some_and(|tag| tag != message.tag())
        {
            return Err(MessageError::TypeDiffers);
        }
        message_type = Some(message.tag().to_owned());
    }
    Ok(Identified {
        unique_id,
        message_type,
        message,
    })
}

/// Whether `text` is the UDF `udf`, in whatever grouping and case.
fn names(text: Option<&str>, udf: &Udf) -> bool {
    text.is_some_and(|text| Udf::parse(text).is_ok_and(|parsed| &parsed == udf))
}

#[cfg(test)]
mod tests;
