//! CreateAccount: binds an account to a service address (P 10.6, service §5.2).

use serde::{Deserialize, Serialize};

use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks that the account be served here under `service_id`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CreateRequest {
    /// Name of the service addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Transaction id; equals the RequestID (decision Q-25).
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<Binary>,
    /// The address wanted: `user@domain`.
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// The personal mesh that owns the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_profile_mesh: Option<Envelope>,
    /// The account's profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_assertion_account: Option<Envelope>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CreateResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why the account is on hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where that can be changed.
    #[serde(rename = "URL", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
