//! Post: messages to others, or to oneself (P 10.12, service §5.7).

use serde::{Deserialize, Serialize};

use super::constraints::ConstraintsData;
use super::response::Outcome;
use super::upload::EntryResponse;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks that messages be delivered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PostRequest {
    /// Name of the service addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Transaction id; equals the RequestID (decision Q-25).
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<Binary>,
    /// The recipients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    /// The messages (the member's name is singular).
    #[serde(rename = "Message", skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Envelope>,
    /// Messages for the account itself.
    #[serde(rename = "Self", skip_serializing_if = "Vec::is_empty")]
    pub self_messages: Vec<Envelope>,
}

/// The answer: one row per message, then per Self.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PostResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// One row per message, then per Self.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryResponse>,
    /// Bounds that were met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints_data: Option<ConstraintsData>,
}
