//! The members of envelope headers and trailers, in the order in which they are written
//! (crypto §4.1 and §4.2, containers §3). Unknown members are kept (containers D4).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::encoding::base64url::Binary;
use crate::encoding::json::{self, JsonError};

/// Members this revision does not know, in the order in which they were read.
pub type Extra = Map<String, Value>;

/// What stands before the payload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Identifier of the envelope.
    #[serde(rename = "EnvelopeID", skip_serializing_if = "Option::is_none")]
    pub envelope_id: Option<String>,
    /// Content encryption; absent or `none` means plaintext (architecture A-10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enc: Option<String>,
    /// Digest algorithm of the signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dig: Option<String>,
    /// Salt of the key derivation.
    #[serde(rename = "Salt", skip_serializing_if = "Option::is_none")]
    pub salt: Option<Binary>,
    /// Digest of an erased salt.
    #[serde(rename = "Malt", skip_serializing_if = "Option::is_none")]
    pub malt: Option<Binary>,
    /// Encrypted header members; opaque here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloaked: Option<Binary>,
    /// Encoded data sequences (crypto §6.6).
    #[serde(rename = "Annotations", skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Binary>,
    /// Announced signers, or signatures of an envelope without a trailer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
    /// Who can decrypt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
    /// JSON text of a [`ContentMeta`]; never encrypted, not under any digest.
    #[serde(rename = "ContentMetaData", skip_serializing_if = "Option::is_none")]
    pub content_meta_data: Option<Binary>,
    /// Place in a container.
    #[serde(rename = "ContainerInfo", skip_serializing_if = "Option::is_none")]
    pub container_info: Option<ContainerInfo>,
    /// Content of an index frame; opaque here.
    #[serde(rename = "ContainerIndex", skip_serializing_if = "Option::is_none")]
    pub container_index: Option<Value>,
    /// Sealed session of a request or response (service §4.2).
    #[serde(rename = "Session", skip_serializing_if = "Option::is_none")]
    pub session: Option<Binary>,
    /// A trailer member that stands in the header (containers §3.1).
    #[serde(rename = "PayloadDigest", skip_serializing_if = "Option::is_none")]
    pub payload_digest: Option<Binary>,
    /// A trailer member that stands in the header.
    #[serde(rename = "ChainDigest", skip_serializing_if = "Option::is_none")]
    pub chain_digest: Option<Binary>,
    /// A trailer member that stands in the header.
    #[serde(rename = "TreeDigest", skip_serializing_if = "Option::is_none")]
    pub tree_digest: Option<Binary>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What stands behind the payload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trailer {
    /// Signatures over the payload digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
    /// Never used by anyone; kept.
    #[serde(rename = "SignedData", skip_serializing_if = "Option::is_none")]
    pub signed_data: Option<Binary>,
    /// SHA-512 of the payload octets.
    #[serde(rename = "PayloadDigest", skip_serializing_if = "Option::is_none")]
    pub payload_digest: Option<Binary>,
    /// Chain digest of the frame (containers §5.2).
    #[serde(rename = "ChainDigest", skip_serializing_if = "Option::is_none")]
    pub chain_digest: Option<Binary>,
    /// Tree digest of the frame (containers §5.3).
    #[serde(rename = "TreeDigest", skip_serializing_if = "Option::is_none")]
    pub tree_digest: Option<Binary>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One signature over a payload digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signature {
    /// Digest algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dig: Option<String>,
    /// Names the digest, not the signature scheme (crypto §4.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// UDF of the signing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The signature value: R ‖ S.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Binary>,
    /// Proof that the signer knew the master key (crypto §5.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<Binary>,
    /// Accreditation of the signing device (service §7.2, X-50; decision Q-41).
    #[serde(
        rename = "EnvelopedConnection",
        skip_serializing_if = "Option::is_none"
    )]
    pub enveloped_connection: Option<Box<super::Envelope>>,
    /// The account that accredits it.
    #[serde(rename = "EnvelopedProfile", skip_serializing_if = "Option::is_none")]
    pub enveloped_profile: Option<Box<super::Envelope>>,
    /// The mesh that signs the account (decision Q-13).
    #[serde(
        rename = "EnvelopedProfileMesh",
        skip_serializing_if = "Option::is_none"
    )]
    pub enveloped_profile_mesh: Option<Box<super::Envelope>>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One party that can decrypt (crypto §6.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipient {
    /// UDF of the encryption key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Key wrapping algorithm, if named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwd: Option<String>,
    /// Ephemeral public key, tagged: `{"PublicKeyECDH":{…}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epk: Option<Value>,
    /// The master key, wrapped (RFC 3394).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wmk: Option<Binary>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A frame's place in its container (containers §3.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerInfo {
    /// Frame 0 only: always `JSON`.
    #[serde(rename = "DataEncoding", skip_serializing_if = "Option::is_none")]
    pub data_encoding: Option<String>,
    /// Position of the frame, from 0.
    #[serde(rename = "Index", skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Frame 0 only: `List`, `Digest`, `Chain`, `Tree` or `Merkle`.
    #[serde(rename = "ContainerType", skip_serializing_if = "Option::is_none")]
    pub container_type: Option<String>,
    /// The frame carries no application payload.
    #[serde(rename = "IsMeta", skip_serializing_if = "Option::is_none")]
    pub is_meta: Option<bool>,
    /// Marks the default object.
    #[serde(rename = "Default", skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
    /// Offset in the sender's file; accepted and ignored on the wire (architecture A-9).
    #[serde(rename = "TreePosition", skip_serializing_if = "Option::is_none")]
    pub tree_position: Option<u64>,
    /// Offset of the last index frame.
    #[serde(rename = "IndexPosition", skip_serializing_if = "Option::is_none")]
    pub index_position: Option<u64>,
    /// Offset of the frame holding the key exchange.
    #[serde(rename = "ExchangePosition", skip_serializing_if = "Option::is_none")]
    pub exchange_position: Option<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a frame says about its payload (containers §3.3). A claim: it is under no digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentMeta {
    /// Identifier of the entry or message.
    #[serde(rename = "UniqueID", skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    /// Labels.
    #[serde(rename = "Labels", skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Key and value pairs; opaque here.
    #[serde(rename = "KeyValues", skip_serializing_if = "Vec::is_empty")]
    pub key_values: Vec<Value>,
    /// Spools: the message's tag.
    #[serde(rename = "MessageType", skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// Content type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cty: Option<String>,
    /// Paths.
    #[serde(rename = "Paths", skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// File name.
    #[serde(rename = "Filename", skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Catalogs: `New`, `Update` or `Delete`.
    #[serde(rename = "Event", skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// When the content was made; text, since the sender controls it.
    #[serde(rename = "Created", skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When the content was changed; text, since the sender controls it.
    #[serde(rename = "Modified", skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// Index of the frame that created this instance.
    #[serde(rename = "First", skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Index of the frame this one replaces.
    #[serde(rename = "Previous", skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Header {
    /// The content metadata; empty if there is none.
    ///
    /// # Errors
    /// `ContentMetaData` that is not the JSON text of a [`ContentMeta`].
    pub fn content_meta(&self) -> Result<ContentMeta, JsonError> {
        self.content_meta_data.as_ref().map_or_else(
            || Ok(ContentMeta::default()),
            |text| json::parse(text.as_slice()),
        )
    }

    /// Sets the content metadata.
    #[must_use]
    pub fn with_content_meta(mut self, meta: &ContentMeta) -> Self {
        self.content_meta_data = Some(Binary(json::write(meta)));
        self
    }

    /// The index in `ContainerInfo`, if there is one.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.container_info.as_ref().and_then(|info| info.index)
    }

    /// Whether the payload is encrypted (architecture A-10).
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.enc.as_deref().is_some_and(|name| name != "none")
    }
}
