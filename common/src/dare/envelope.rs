//! One envelope in its JSON form: `[header, payload, trailer]` (crypto §4, containers §3.6).

use std::fmt;

use serde::de::{self, SeqAccess};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::header::{Header, Signature, Trailer};
use crate::encoding::base64url::{self, Binary};
use crate::encoding::json;

/// Octets of a header as sealed answers have it, with brackets: only a first guess.
const HEADER_BYTES_USUAL: usize = 512;

/// A header, a payload as it is stored (after encryption, before base64url), perhaps a trailer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Envelope {
    /// What stands before the payload.
    pub header: Header,
    /// The payload octets.
    pub payload: Binary,
    /// What stands behind the payload.
    pub trailer: Option<Trailer>,
}

impl Envelope {
    /// An unsigned, unencrypted envelope around `payload`.
    #[must_use]
    pub fn plain(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: Binary(payload.into()),
            ..Self::default()
        }
    }

    /// All signatures: those of the trailer, or else those of the header (containers §3.1).
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        match &self.trailer {
            Some(trailer) if !trailer.signatures.is_empty() => &trailer.signatures,
            _ => &self.header.signatures,
        }
    }

    /// The claimed payload digest: the trailer's, or else the header's.
    #[must_use]
    pub fn payload_digest(&self) -> Option<&Binary> {
        self.trailer
            .as_ref()
            .and_then(|trailer| trailer.payload_digest.as_ref())
            .or(self.header.payload_digest.as_ref())
    }

    /// The claimed tree digest: the trailer's, or else the header's.
    #[must_use]
    pub fn tree_digest(&self) -> Option<&Binary> {
        self.trailer
            .as_ref()
            .and_then(|trailer| trailer.tree_digest.as_ref())
            .or(self.header.tree_digest.as_ref())
    }

    /// Index that the header claims, if any.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.header.index()
    }
}

impl Envelope {
    /// The JSON text, as [`json::write`] makes it: written into one buffer, the payload without the
    /// search for what must be escaped, of which base64url has nothing.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text =
            Vec::with_capacity(HEADER_BYTES_USUAL + 4 * self.payload.0.len().div_ceil(3));
        text.push(b'[');
        json::append(&self.header, &mut text);
        text.extend_from_slice(b",\"");
        base64url::append(self.payload.as_slice(), &mut text);
        text.push(b'"');
        if let Some(trailer) = &self.trailer {
            text.push(b',');
            json::append(trailer, &mut text);
        }
        text.push(b']');
        text
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence =
            serializer.serialize_seq(Some(2 + usize::from(self.trailer.is_some())))?;
        sequence.serialize_element(&self.header)?;
        sequence.serialize_element(&self.payload)?;
        if let Some(trailer) = &self.trailer {
            sequence.serialize_element(trailer)?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Envelope;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an envelope: an array of header, payload and trailer")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Envelope, A::Error> {
                let header = parts
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let payload = parts.next_element()?.unwrap_or_default();
                let trailer = parts.next_element()?;
                if parts.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(4, &self));
                }
                Ok(Envelope {
                    header,
                    payload,
                    trailer,
                })
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_three_elements_are_read() {
        for text in ["[{}]", "[{},\"\"]", "[{},\"\",{}]"] {
            let envelope: Envelope = json::parse(text.as_bytes()).unwrap();
            assert!(envelope.payload.0.is_empty());
        }
        for text in ["[]", "[{},\"\",{},{}]", "{}", "[1]", "[{},1]"] {
            assert!(json::parse::<Envelope>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_members_are_kept() {
        let text =
            r#"[{"enc":"A256CBC","Later":{"x":[1]}},"AA",{"signatures":[{"kid":"M","path":"p"}]}]"#;
        let envelope: Envelope = json::parse(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(json::write(&envelope)).unwrap(), text);
        assert_eq!(String::from_utf8(envelope.to_json()).unwrap(), text);
    }
    #[test]
    fn both_ways_of_writing_agree() {
        let mut envelope = Envelope::plain([0xff; 70]);
        assert_eq!(envelope.to_json(), json::write(&envelope));
        envelope.header.session = Some(Binary::from(*b"{}"));
        envelope.trailer = Some(Trailer::default());
        assert_eq!(envelope.to_json(), json::write(&envelope));
        assert_eq!(Envelope::default().to_json(), b"[{},\"\"]");
    }
}
