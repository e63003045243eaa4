//! Upload: frames appended to the account's containers (P 10.11, service §5.6, containers §8.4).

use serde::{Deserialize, Serialize};

use super::constraints::{ConstraintsData, ContainerUpdate};
use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks that frames be appended, all of them or none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct UploadRequest {
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
    /// Frames by container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<ContainerUpdate>,
    /// Messages for the account's own Inbound spool (decision Q-27).
    #[serde(rename = "Self", skip_serializing_if = "Vec::is_empty")]
    pub self_messages: Vec<Envelope>,
}

/// The answer: one row per envelope, in request order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct UploadResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// One row per envelope (containers §8.4).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryResponse>,
    /// Bounds for the real upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints_data: Option<ConstraintsData>,
}

/// What became of one envelope (P 10.11.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EntryResponse {
    /// Position in the request, from 0, over all envelopes, then Self.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_request: Option<u64>,
    /// Accept: index in the container. Conflict: the container's frame count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_container: Option<u64>,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<EntryResult>,
    /// The bounds that caused a Reject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints_data: Option<ConstraintsData>,
}

/// What became of one envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryResult {
    /// It is in the container.
    Accept,
    /// It is refused as it stands.
    Reject,
    /// Resynchronize and repeat.
    Conflict,
}
