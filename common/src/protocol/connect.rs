//! Connect: a device asks to be connected to an account (P 10.13, service §6.2).

use serde::{Deserialize, Serialize};

use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks that a RequestConnection be put before the account's administrators.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConnectRequest {
    /// Name of the service addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Transaction id; equals the RequestID (decision Q-25).
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<Binary>,
    /// The signed RequestConnection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_connection_request_client: Option<Envelope>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConnectResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The AcknowledgeConnection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_connection_response: Option<Envelope>,
    /// The account's ProfileMesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_master: Option<Envelope>,
    /// The account's ProfileAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_account_assertion: Option<Envelope>,
}
