//! Octets as text: base64url without padding when writing; when reading, either alphabet, padding
//! and white space are accepted and stray bits are refused (decision Q-16).

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::NO_PAD;
use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// What we write, and what nearly everybody writes: read and written by vector instructions.
static STRICT: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));

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

/// Characters of the longest text that is made without a string of its own: a signature of Ed448.
const SHORT_CHARACTERS: usize = 152;

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
    STRICT.encode(octets)
}

/// Writes `octets` behind what stands in `text`.
///
/// # Panics
/// Never: the room is made here.
pub fn append(octets: &[u8], text: &mut Vec<u8>) {
    let begin = text.len();
    text.resize(begin + characters(octets), 0);
    STRICT
        .encode_slice(octets, &mut text[begin..])
        .expect("there is room for as many characters");
}

/// Characters that `octets` become.
#[must_use]
pub const fn characters(octets: &[u8]) -> usize {
    (4 * octets.len()).div_ceil(3)
}

/// Reads `text`: unfolded base64url fast, anything else that [decision Q-16](self) accepts slowly.
///
/// # Errors
/// A character outside both alphabets, a length no octets can have, or stray bits at the end.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    STRICT.decode(text).or_else(|_| {
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
        // Digests, keys and signatures need no string of their own on the heap.
        let mut short = [0; SHORT_CHARACTERS];
        let Some(text) = short.get_mut(..characters(&self.0)) else {
            return serializer.serialize_str(&encode(&self.0));
        };
        STRICT
            .encode_slice(&self.0, text)
            .map_err(ser::Error::custom)?;
        serializer.serialize_str(std::str::from_utf8(text).map_err(ser::Error::custom)?)
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
    use crate::encoding::json;

    #[test]
    fn folded_padded_and_standard_alphabet_are_read() {
        assert_eq!(decode("_-8\n  =").unwrap(), [0xff, 0xef]);
        assert_eq!(decode("/+8=").unwrap(), [0xff, 0xef]);
        assert_eq!(encode(&[0xff, 0xef]), "_-8");
    }

    #[test]
    fn short_and_long_octets_are_written_alike() {
        for length in 0..200 {
            let octets: Vec<u8> = (0..length).collect();
            let quoted = format!("\"{}\"", encode(&octets));
            assert_eq!(json::write(&Binary(octets.clone())), quoted.as_bytes());
            let mut behind = b"\"".to_vec();
            append(&octets, &mut behind);
            behind.push(b'"');
            assert_eq!(behind, quoted.as_bytes());
        }
    }

    #[test]
    fn the_fast_way_reads_what_the_lenient_one_reads() {
        let octets: Vec<u8> = (0..=255).rev().cycle().take(300).collect();
        for length in 0..octets.len() {
            let text = encode(&octets[..length]);
            assert_eq!(LENIENT.decode(text.as_bytes()).unwrap(), octets[..length]);
            assert_eq!(decode(&text).unwrap(), octets[..length]);
        }
        // Every octet at every place of a text longer than one step of any vector instruction.
        let text = encode(&octets[..97]).into_bytes();
        for place in 0..text.len() {
            for octet in 0..128 {
                let mut changed = text.clone();
                changed[place] = octet;
                let changed = std::str::from_utf8(&changed).unwrap();
                let expected = LENIENT.decode(changed.as_bytes()).ok();
                assert_eq!(decode(changed).ok(), expected, "{changed}");
                assert!(
                    STRICT
                        .decode(changed)
                        .ok()
                        .is_none_or(|read| Some(read) == expected),
                    "{changed}"
                );
            }
        }
    }

    #[test]
    fn stray_bits_and_foreign_characters_are_refused() {
        for text in ["_-9", "A", "AA!A", "AAA\u{e9}"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
