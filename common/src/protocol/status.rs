//! Status: where the account's containers stand (P 10.9, service §5.4).

use serde::{Deserialize, Serialize};

use super::response::Outcome;
use super::status_rows::StatusRows;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks for the state of some containers, or of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct StatusRequest {
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
    /// The device asking, in Device mode.
    #[serde(rename = "DeviceUDF", skip_serializing_if = "Option::is_none")]
    pub device_udf: Option<String>,
    /// SHA-512 of the ProfileMesh payload the device has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_master_digest: Option<Binary>,
    /// Catalogs asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub catalogs: Vec<String>,
    /// Spools asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spools: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct StatusResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The ProfileMesh, unless the device has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_master: Option<Envelope>,
    /// The device's entry, if its connection changed (decision Q-23).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_catalog_entry_device: Option<Envelope>,
    /// One row per container. The array itself is always present (containers §8.2).
    pub container_status: StatusRows,
}
