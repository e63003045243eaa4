//! DeleteAccount: ends the binding of an account to this service (P 10.7, service §5.3).

use serde::{Deserialize, Serialize};

use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks that the account be deleted here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeleteRequest {
    /// Name of the service addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Transaction id; equals the RequestID (decision Q-25).
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<Binary>,
    /// The account the request is for (P 10.1.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Profile of the requesting device (P 10.1.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_profile: Option<Box<Envelope>>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeleteResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}
