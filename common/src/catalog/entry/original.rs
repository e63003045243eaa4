//! What an entry keeps besides the members of its schema: the data it was imported from, and
//! members of later schemas.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SecretText;
use crate::encoding::base64url;

/// The data an entry was imported from, verbatim.
///
/// It makes an import lossless: what the schema has no member for is still here, an export can
/// give back the octets that came in, and a second import of the same file finds the entry again.
// Draft: schema §5 says "the original data representation MAY be attached verbatim" and names no
// member (S-5-a). We write it as the member `Original` of every kind of entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Original {
    /// The media type of the text, such as `text/vcard`.
    pub media_type: String,
    /// The dialect it was read as, such as `vCard 3.0` or `Bitwarden`.
    pub source: String,
    /// What identifies the record in its source, such as `vcard:` and the UID; equal in every
    /// import of the same record.
    pub import_id: String,
    /// The record itself, or a part of it.
    #[serde(flatten)]
    pub text: OriginalText,
    /// Which part this is, counted from 1; absent when the record is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// How many parts the record has; absent when the record is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// In the second part and later: the unique id of the entry that holds the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// The octets of an original, as text where they are UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginalText {
    /// The text as it stood in the source.
    Text(SecretText),
    /// Base64url of octets that are no UTF-8.
    Data(SecretText),
}

impl Default for OriginalText {
    fn default() -> Self {
        Self::Text(SecretText::default())
    }
}

impl OriginalText {
    /// Keeps octets: as text when they are UTF-8, else as base64url.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        match std::str::from_utf8(octets) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Data(base64url::encode(octets).into()),
        }
    }

    /// The octets that were kept; `None` when the base64url is damaged.
    #[must_use]
    pub fn to_octets(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.reveal().as_bytes().to_vec()),
            Self::Data(data) => base64url::decode(data.reveal()).ok(),
        }
    }
}

/// Members that no schema names, kept in their order so that an entry of a newer program passes
/// through unharmed (S-5-a). Their values may be anything, so only their names are ever printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Members(pub Map<String, Value>);

impl fmt::Debug for Members {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
