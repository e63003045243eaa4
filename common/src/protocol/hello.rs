//! Hello: what the service speaks, and who it is (P 10.5, service §5.1).

use serde::{Deserialize, Serialize};

use super::constraints::{ConstraintsData, PolicyAccount};
use super::response::Outcome;
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;

/// Asks for version, limits and profiles; the only request that may come unauthenticated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HelloRequest {
    /// Name of the service addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Transaction id.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<Binary>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HelloResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Protocol version and encodings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Other versions offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternates: Vec<Version>,
    /// Bounds of Upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints_update: Option<ConstraintsData>,
    /// Bounds of Post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints_post: Option<ConstraintsData>,
    /// How names must look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_account: Option<PolicyAccount>,
    /// The service's profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_service: Option<Envelope>,
    /// The host's profile, countersigned by the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_host: Option<Envelope>,
}

/// A protocol version and how it is encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Version {
    /// 3.
    pub major: u64,
    /// 0.
    pub minor: u64,
    /// Encodings accepted and offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub encodings: Vec<Encoding>,
    /// Where this version is offered, if elsewhere.
    #[serde(rename = "URI", skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<String>,
}

/// One encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Encoding {
    /// Its media types.
    #[serde(rename = "ID", skip_serializing_if = "Vec::is_empty")]
    pub id: Vec<String>,
    /// Its dictionary, if it has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dictionary: Vec<String>,
}
