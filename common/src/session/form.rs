//! What stands in the `Session` member of a sealed envelope (service §4.2). Its octets are the
//! associated data of the cipher, so they are kept as they were received.

use serde::{Deserialize, Serialize, Serializer};

use crate::dare::{Envelope, Signature};
use crate::encoding::base64url::Binary;
use crate::encoding::json;
use crate::time::Timestamp;

/// The one version there is.
pub const VERSION: &str = "mmm-kx-1";
/// Value of `enc` in a sealed envelope.
pub const ENCRYPTION: &str = "A256GCM";

/// One of the three kinds, under its tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SessionForm {
    /// A request that makes a key exchange.
    SessionExchange(Box<ExchangeForm>),
    /// A request by a ticket.
    SessionTicket(TicketForm),
    /// A response to either.
    SessionResponse(ResponseForm),
}

impl SessionForm {
    /// The octets for the header.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        json::write(self)
    }
}

/// The session of an exchange request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExchangeForm {
    /// [`VERSION`].
    pub version: String,
    /// As what the client authenticates.
    pub mode: ExchangeMode,
    /// UDF of the service's KeyAuthentication that was used.
    pub host_key: String,
    /// The account; absent in Service mode, and optional in a Device-mode Hello.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The client's clock.
    #[serde(serialize_with = "millis")]
    pub time: Timestamp,
    /// Sixteen octets the client drew.
    #[serde(rename = "RequestID")]
    pub request_id: Binary,
    /// E_c.
    pub ephemeral: Binary,
    /// What says whose key the client used.
    pub credential: CredentialForm,
}

/// As what a client authenticates in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeMode {
    /// As a device.
    Device,
    /// As a device connected to the account.
    Profile,
    /// As a service.
    Service,
}

/// The credential of an exchange; which members there must be depends on the mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CredentialForm {
    /// Profile mode, preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_connection_account: Option<Envelope>,
    /// Profile mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_connection_device: Option<Envelope>,
    /// Device mode; optional in Profile mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_device: Option<Envelope>,
    /// Service mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_service: Option<Envelope>,
    /// Service mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_host: Option<Envelope>,
    /// Service mode: the domain it speaks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// CreateAccount: possession of the mesh (decision Q-10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Signature>,
}

/// The session of a request by a ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TicketForm {
    /// [`VERSION`].
    pub version: String,
    /// The ticket.
    pub ticket: Binary,
    /// The client's clock.
    #[serde(serialize_with = "millis")]
    pub time: Timestamp,
    /// Sixteen octets the client drew.
    #[serde(rename = "RequestID")]
    pub request_id: Binary,
}

/// The session of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResponseForm {
    /// [`VERSION`].
    pub version: String,
    /// The request's.
    #[serde(rename = "RequestID")]
    pub request_id: Binary,
    /// E_h, in a response to an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Binary>,
    /// A ticket for further requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Binary>,
    /// Until when it is good.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_millis"
    )]
    pub expires: Option<Timestamp>,
}

/// Sessions carry milliseconds (decision Q-3).
fn millis<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_text_millis())
}

#[expect(clippy::ref_option, reason = "serde passes the member as it is")]
fn optional_millis<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => millis(time, serializer),
        None => serializer.serialize_none(),
    }
}
