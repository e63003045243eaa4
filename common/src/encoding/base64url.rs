//! Octets as text: base64url without padding when writing; when reading, either alphabet, padding
//! and white space are accepted and stray bits are refused (decision Q-16).

use std::fmt;
use std::sync::LazyLock;

use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    specification.translate.from.push_str("+/");
    specification.translate.to.push_str("-_");
    specification.ignore.push_str(" \t\r\n=");
    specification
        .encoding()
        .expect("the alphabet above has 64 distinct symbols")
});

/// A text that is not base64url.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not base64url: {reason} at character {position}")]
pub struct Base64Error {
    reason: &'static str,
    position: usize,
}

/// Writes `octets` without padding and without line breaks.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    BASE64URL_NOPAD.encode(octets)
}

/// Reads `text`: unfolded base64url fast, anything else that [decision Q-16](self) accepts slowly.
///
/// # Errors
/// A character outside both alphabets, a length no octets can have, or stray bits at the end.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    BASE64URL_NOPAD.decode(text.as_bytes()).or_else(|_| {
        LENIENT
            .decode(text.as_bytes())
            .map_err(|error| Base64Error {
                reason: match error.kind {
                    data_encoding::DecodeKind::Length => "impossible length",
                    data_encoding::DecodeKind::Trailing => "stray bits",
                    _ => "foreign character",
                },
                position: error.position,
            })
    })
}

/// A Binary member of a Mesh object.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Binary(pub Vec<u8>);

impl Binary {
    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Binary {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl From<&[u8]> for Binary {
    fn from(octets: &[u8]) -> Self {
        Self(octets.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Binary {
    fn from(octets: [u8; N]) -> Self {
        Self(octets.to_vec())
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Binary({} octets)", self.0.len())
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Binary;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("base64url text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Binary, E> {
                decode(text).map(Binary).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_padded_and_standard_alphabet_are_read() {
        assert_eq!(decode("_-8\n  =").unwrap(), [0xff, 0xef]);
        assert_eq!(decode("/+8=").unwrap(), [0xff, 0xef]);
        assert_eq!(encode(&[0xff, 0xef]), "_-8");
    }

    #[test]
    fn stray_bits_and_foreign_characters_are_refused() {
        for text in ["_-9", "A", "AA!A", "AAA\u{e9}"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
