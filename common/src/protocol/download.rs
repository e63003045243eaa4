//! Download: frames of some containers (P 10.10, service §5.5, containers §8.3).

use serde::{Deserialize, Serialize};

use super::constraints::{ConstraintsData, ConstraintsSelect, ContainerUpdate};
use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks for frames.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DownloadRequest {
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
    /// Which frames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<ConstraintsSelect>,
    /// How much of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints_post: Option<ConstraintsData>,
}

/// The answer: one update per selection, in their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DownloadResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The frames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<ContainerUpdate>,
}
