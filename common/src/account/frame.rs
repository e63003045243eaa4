//! One stored frame: the record that is kept of an envelope beside its payload, and the way back
//! to the envelope (containers §5.4, §12.2).
//!
//! What the client sent stays; ContainerInfo is written anew from the index, without the offsets
//! that only meant something in the sender's file; digests the client left out are inserted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::compact;
use super::state::ContainerNumber;
use crate::dare::merkle::EMPTY_PAYLOAD_DIGEST;
use crate::dare::{ContainerInfo, ContentMeta, Digest64, DigestStack, Envelope, Header, Trailer};
use crate::encoding::base64url::Binary;
use crate::encoding::json;
use crate::time::Timestamp;

/// Everything of a frame but its payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameRecord {
    /// When the service committed it: the publication time (X-33, containers D15).
    #[serde(rename = "at", with = "compact::millis")]
    pub committed_at: Timestamp,
    /// What it does to a catalog's entry.
    #[serde(rename = "ev", default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Of which entry, or which message it is.
    #[serde(rename = "id", default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    /// The message's tag.
    #[serde(rename = "mt", default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// SHA-512 of the payload octets, also after they are gone.
    #[serde(rename = "pd", with = "compact::digest")]
    pub payload_digest: Digest64,
    /// The canonical tree digest.
    #[serde(rename = "td", with = "compact::digest")]
    pub tree_digest: Digest64,
    /// Octets of the payload.
    #[serde(rename = "pn")]
    pub payload_octets: u64,
    /// Octets of header and trailer.
    #[serde(rename = "en")]
    pub envelope_octets: u64,
    /// Whether the payload was elided (containers D28).
    #[serde(rename = "rd", default, skip_serializing_if = "is_false")]
    pub redacted: bool,
    /// The header without ContainerInfo.
    #[serde(rename = "h", default)]
    pub header: Header,
    /// What of ContainerInfo is no index and no offset.
    #[serde(rename = "ci", default)]
    pub info: ContainerInfo,
    /// The trailer without the digests that are canonical.
    #[serde(rename = "t", default)]
    pub trailer: Trailer,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A frame as it is read for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFrame {
    /// Its index.
    pub index: u64,
    /// Everything but the payload.
    pub record: Arc<FrameRecord>,
    /// The payload; empty if it was elided or not asked for.
    pub payload: Vec<u8>,
}

impl StoredFrame {
    /// The frame's envelope, with its place in the container.
    #[must_use]
    pub fn into_envelope(self) -> Envelope {
        self.record.envelope(self.index, self.payload)
    }
}

/// The content type of catalogs and spools alike (containers §3.5).
const CONTAINER_CONTENT_TYPE: &str = "application/mmm-catalog";
/// The only type of container that accounts have (containers D5).
pub(super) const CONTAINER_TYPE: &str = "Merkle";

/// The change that writes a frame.
pub(super) fn change(
    container: ContainerNumber,
    index: u64,
    record: FrameRecord,
    payload: Arc<[u8]>,
) -> Change {
    Change::Frame {
        container,
        index,
        record: Box::new(record),
        payload,
    }
}

impl FrameRecord {
    /// Frame 0 of a spool that the service makes, appended to `digests` (containers D25).
    #[must_use]
    pub(super) fn own_first(digests: &mut DigestStack, now: Timestamp) -> Self {
        let header = Header::default().with_content_meta(&ContentMeta {
            cty: Some(CONTAINER_CONTENT_TYPE.to_owned()),
            ..ContentMeta::default()
        });
        let info = ContainerInfo {
            data_encoding: Some("JSON".to_owned()),
            container_type: Some(CONTAINER_TYPE.to_owned()),
            ..ContainerInfo::default()
        };
        Self {
            committed_at: now,
            event: None,
            unique_id: None,
            message_type: None,
            payload_digest: EMPTY_PAYLOAD_DIGEST,
            tree_digest: digests.append(&EMPTY_PAYLOAD_DIGEST),
            payload_octets: 0,
            envelope_octets: octets_of(&header) + octets_of(&info),
            redacted: false,
            header,
            info,
            trailer: Trailer::default(),
        }
    }

    /// The envelope of this frame, with its place in the container.
    #[must_use]
    pub fn envelope(&self, index: u64, payload: Vec<u8>) -> Envelope {
        Envelope {
            header: self.header_at(index),
            payload: Binary(payload),
            trailer: Some(self.whole_trailer()),
        }
    }

    /// The header, with the frame's place in the container.
    #[must_use]
    pub fn header_at(&self, index: u64) -> Header {
        let mut header = self.header.clone();
        header.container_info = Some(ContainerInfo {
            index: Some(index),
            ..self.info.clone()
        });
        header
    }

    /// The trailer, with both digests unless the header has them.
    #[must_use]
    pub fn whole_trailer(&self) -> Trailer {
        let mut trailer = self.trailer.clone();
        if self.header.payload_digest.is_none() {
            trailer
                .payload_digest
                .get_or_insert_with(|| Binary::from(self.payload_digest));
        }
        if self.header.tree_digest.is_none() {
            trailer
                .tree_digest
                .get_or_insert_with(|| Binary::from(self.tree_digest));
        }
        trailer
    }

    /// Octets that count against the quota.
    #[must_use]
    pub const fn live_octets(&self) -> u64 {
        if self.redacted {
            self.envelope_octets
        } else {
            self.envelope_octets + self.payload_octets
        }
    }
}

/// Octets of a part of an envelope in its JSON form.
pub(super) fn octets_of<T: Serialize>(part: &T) -> u64 {
    json::write(part).len() as u64
}
