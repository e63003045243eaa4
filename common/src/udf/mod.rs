//! Uniform Data Fingerprints: what keys, messages and content are called (crypto §2).
//!
//! | module | holds |
//! | --- | --- |
//! | [`digest`] | fingerprints of content and of keys, EARL content identifiers, response identifiers |
//! | [`nonce`](mod@nonce) | message identifiers, PINs, encryption keys, object identifiers: data as a fingerprint |
//! | [`authenticator`](mod@authenticator) | fingerprints under a key |
//! | [`derived`] | key pairs from a seed |
//! | [`shamir`] | secrets in shares |
//! | [`name`] | URIs, strong names, and what a person types |

pub mod authenticator;
pub mod derived;
pub mod digest;
mod modular;
pub mod name;
pub mod nonce;
pub mod shamir;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoding::base32;

pub use authenticator::authenticator;
pub use digest::{
    DigestAlgorithm, binary_of_key, content_digest, content_digest_with, message_response_id,
};
pub use nonce::{nonce, pin};

/// A fingerprint in its canonical text: upper-case Base32 in groups of four.
///
/// Two fingerprints are equal when their canonical texts are; identities are compared whole
/// (decision Q-18).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Udf(String);

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has at least {BITS_MIN} bits of Base32, found {found_bits}")]
pub struct UdfError {
    found_bits: usize,
}

/// Bits of the shortest fingerprint that names anything (crypto §2.4).
pub const BITS_MIN: usize = 20;
/// Bits of a fingerprint unless stated otherwise: 28 characters.
pub const BITS_DEFAULT: usize = 140;

impl Udf {
    /// Presents the first `bits` bits of `type ‖ data`.
    #[must_use]
    pub fn present(octets: &[u8], bits: usize) -> Self {
        Self(base32::present(octets, bits))
    }

    /// Reads a fingerprint, ignoring case and everything outside the alphabet.
    ///
    /// # Errors
    /// [`UdfError`] if fewer than [`BITS_MIN`] bits are left.
    pub fn parse(text: &str) -> Result<Self, UdfError> {
        let letters = text
            .chars()
            .map(|character| character.to_ascii_uppercase())
            .filter(|character| matches!(character, 'A'..='Z' | '2'..='7'));
        let mut canonical = String::with_capacity(text.len() + text.len() / 4);
        let mut count = 0;
        for letter in letters {
            if count > 0 && count % 4 == 0 {
                canonical.push('-');
            }
            canonical.push(letter);
            count += 1;
        }
        if count * 5 < BITS_MIN {
            return Err(UdfError {
                found_bits: count * 5,
            });
        }
        Ok(Self(canonical))
    }

    /// The type octet, which says what the rest is (crypto §2.1).
    #[must_use]
    pub fn type_octet(&self) -> u8 {
        self.octets().first().copied().unwrap_or_default()
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The octets it presents, the type octet first; an incomplete last octet is dropped.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        base32::read(&self.0)
    }
}

impl fmt::Display for Udf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Udf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Udf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Udf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
