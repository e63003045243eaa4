//! Complete: whether a pending connection has been answered (P 10.8, service §6.3).

use serde::{Deserialize, Serialize};

use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks for the answer to a RequestConnection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CompleteRequest {
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
    /// The device asking.
    #[serde(rename = "DeviceUDF", skip_serializing_if = "Option::is_none")]
    pub device_udf: Option<String>,
    /// SHA-512 of the ProfileMesh payload the device has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_master_digest: Option<Binary>,
    /// Catalogs; inherited from Status, not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub catalogs: Vec<String>,
    /// Spools; inherited from Status, not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spools: Vec<String>,
    /// The account's address.
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// Computed from the request's MessageID (service §6.1).
    #[serde(rename = "ResponseID", skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CompleteResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The RespondConnection, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_response: Option<Envelope>,
}
