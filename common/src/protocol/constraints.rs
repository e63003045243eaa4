//! What a requester may ask to be left out, and how containers are named in transactions
//! (protocol draft §10.4).

use serde::{Deserialize, Serialize};

use crate::dare::Envelope;
use crate::encoding::base64url::Binary;
use crate::time::Timestamp;

/// A key and a value to select records by (P 10.4.1); no transaction uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct KeyValue {
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Which frames of a container are asked for (P 10.4.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConstraintsSelect {
    /// The container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// First index, inclusive; negative means 0 (decision Q-30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_min: Option<i64>,
    /// Last index, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_max: Option<i64>,
    /// Commit time, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Commit time, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Never issued; refused unless empty (decision Q-30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_key: Option<String>,
}

/// How much is asked for, and which parts (P 10.4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConstraintsData {
    /// Entries at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<i64>,
    /// Payload octets to skip, of one selected entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_offset: Option<i64>,
    /// Payload octets at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<i64>,
    /// Whether headers are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Whether payloads are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<bool>,
    /// Whether trailers are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailer: Option<bool>,
}

/// How account names must look (P 10.4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PolicyAccount {
    /// Characters at least, of the user part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u64>,
    /// Characters at most, of the user part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u64>,
    /// Characters that must not occur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_characters: Option<String>,
}

/// Where a container stands (P 10.4.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerStatus {
    /// The container's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Number of frames, frame 0 included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Apex: the tree digest of the last frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Binary>,
}

/// Frames of a container, sent up or down (P 10.4.6).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerUpdate {
    /// The container's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Upload: index of the first new frame. Download: number of frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Upload: apex before or after (architecture A-9). Download: apex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Binary>,
    /// The frames; present even when empty (containers §8.3.1).
    pub envelopes: Vec<Envelope>,
}
