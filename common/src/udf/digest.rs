//! Fingerprints of content: SHA-2 and SHA-3 digests with their compression, and what is built on
//! them (crypto §2.2 to §2.4, §2.8).

use super::{BITS_DEFAULT, Udf};
use crate::crypto::digest::{sha3_512, sha512};
use crate::crypto::key::PublicKey;

/// Type octet of a SHA-2-512 content digest without compression: letter M.
pub const TYPE_SHA2: u8 = 96;
/// Type octet of a SHA-3-512 content digest without compression: letter K.
pub const TYPE_SHA3: u8 = 80;
/// Bits a content digest is presented with at most (crypto §2.8).
pub const BITS_MAX: usize = 440;
/// Content digests have a multiple of so many bits (crypto §2.1).
pub const BITS_STEP: usize = 20;
/// Bits of a response identifier: 26 characters (crypto §2.8).
pub const BITS_RESPONSE_ID: usize = 128;

/// Content type of key fingerprints.
///
/// Draft: mesh-udf-09 §5.3.1 says `application/pkix-keyinfo`; the published values are made with
/// this one (crypto §11).
pub const CONTENT_TYPE_KEY: &str = "application/x509-keyinfo";
/// Content type of fingerprints of fingerprints.
pub const CONTENT_TYPE_UDF: &str = "application/udf-encryption";

/// Which digest a content fingerprint uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// SHA-2-512, types 96 to 100, letter M.
    Sha2,
    /// SHA-3-512, types 80 to 84, letter K.
    Sha3,
}

impl DigestAlgorithm {
    fn digest(self, parts: &[&[u8]]) -> [u8; 64] {
        match self {
            Self::Sha2 => sha512(parts),
            Self::Sha3 => sha3_512(parts),
        }
    }

    const fn type_octet(self) -> u8 {
        match self {
            Self::Sha2 => TYPE_SHA2,
            Self::Sha3 => TYPE_SHA3,
        }
    }
}

/// The fingerprint of `data` as `content_type` by SHA-2-512.
#[must_use]
pub fn content_digest(content_type: &str, data: &[u8], bits: usize) -> Udf {
    content_digest_with(DigestAlgorithm::Sha2, content_type, data, bits)
}

/// The fingerprint of `data` as `content_type` by either algorithm (crypto §2.2).
#[must_use]
pub fn content_digest_with(
    algorithm: DigestAlgorithm,
    content_type: &str,
    data: &[u8],
    bits: usize,
) -> Udf {
    Udf::present(&content_octets(algorithm, content_type, data), bits)
}

/// Type octet and digest of the fingerprint of `data`: 65 octets.
fn content_octets(algorithm: DigestAlgorithm, content_type: &str, data: &[u8]) -> [u8; 65] {
    let inner = algorithm.digest(&[data]);
    typed(
        algorithm,
        algorithm.digest(&[content_type.as_bytes(), b":", &inner]),
    )
}

fn typed(algorithm: DigestAlgorithm, digest: [u8; 64]) -> [u8; 65] {
    let mut octets = [0; 65];
    octets[0] = algorithm.type_octet() + compression(&digest);
    octets[1..].copy_from_slice(&digest);
    octets
}

/// How many trailing zero bits the digest has, as the type octet counts them (crypto §2.2).
fn compression(digest: &[u8; 64]) -> u8 {
    let zero_octets = digest.iter().rev().take_while(|octet| **octet == 0).count();
    let last = digest.len().checked_sub(zero_octets + 1);
    let zero_bits = 8 * zero_octets + last.map_or(0, |last| digest[last].trailing_zeros() as usize);
    match zero_bits {
        0..20 => 0,
        20..30 => 1,
        30..40 => 2,
        40..50 => 3,
        _ => 4,
    }
}

/// The key information that key fingerprints are made of (crypto §2.3).
///
/// Draft: not the SubjectPublicKeyInfo of RFC 8410: there are NULL parameters, and an OCTET STRING
/// inside the BIT STRING (crypto §11).
#[must_use]
pub fn key_info(key: &PublicKey) -> Vec<u8> {
    // Public keys have at most 57 octets, so every length below fits one octet.
    let bytes = key.octets().len() as u8;
    let mut der = vec![0x30, bytes + 14, 0x30, 0x07, 0x06, 0x03, 0x2b, 0x65];
    der.extend([key.curve().oid_octet(), 0x05, 0x00]);
    der.extend([0x03, bytes + 3, 0x00, 0x04, bytes]);
    der.extend(key.octets());
    der
}

/// The binary fingerprint of a key, 512 bits: what witnesses are made of (crypto §2.3, §8.1).
#[must_use]
pub fn binary_of_key(key: &PublicKey) -> [u8; 64] {
    let octets = content_octets(DigestAlgorithm::Sha2, CONTENT_TYPE_KEY, &key_info(key));
    let mut binary = [0; 64];
    binary.copy_from_slice(&octets[..64]);
    binary
}

impl Udf {
    /// The fingerprint of a public key, 140 bits (crypto §2.3).
    #[must_use]
    pub fn of_key(key: &PublicKey) -> Self {
        content_digest(CONTENT_TYPE_KEY, &key_info(key), BITS_DEFAULT)
    }

    /// The content identifier of an EARL: the fingerprint of the key's text at twice the key's
    /// precision, which counts in steps of 20 bits (crypto §2.8).
    #[must_use]
    pub fn of_encryption_key(key: &Self) -> Self {
        let letters = key.as_str().bytes().filter(|octet| *octet != b'-').count();
        let key_bits = (5 * letters).saturating_sub(8) / BITS_STEP * BITS_STEP;
        let bits = (2 * key_bits).clamp(BITS_STEP, BITS_MAX);
        content_digest(CONTENT_TYPE_UDF, key.as_str().as_bytes(), bits)
    }
}

/// The identifier under which the answer to the message `message_id` is known: one digest of the
/// text as it stands, 128 bits, with SHA-3-512 for identifiers of that type (crypto §2.8).
#[must_use]
pub fn message_response_id(message_id: &str) -> Udf {
    let algorithm = match super::base32::read(message_id).first() {
        Some(&TYPE_SHA3) => DigestAlgorithm::Sha3,
        _ => DigestAlgorithm::Sha2,
    };
    let digest = algorithm.digest(&[CONTENT_TYPE_UDF.as_bytes(), b":", message_id.as_bytes()]);
    Udf::present(&typed(algorithm, digest), BITS_RESPONSE_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_counts_trailing_zero_bits() {
        let with_zero_bits = |bits: usize| {
            let mut digest = [0xff_u8; 64];
            for bit in 0..bits {
                digest[63 - bit / 8] &= !(1 << (bit % 8));
            }
            compression(&digest)
        };
        let levels = [
            (0, 0),
            (19, 0),
            (20, 1),
            (29, 1),
            (30, 2),
            (39, 2),
            (40, 3),
            (49, 3),
            (50, 4),
            (512, 4),
        ];
        for (bits, level) in levels {
            assert_eq!(with_zero_bits(bits), level, "{bits} bits");
        }
    }

    #[test]
    fn response_ids_have_26_characters_and_keep_the_algorithm() {
        let id = message_response_id("ND34-CJRL-G3XJ-4MRV-RWLS-4ECL-BD3C");
        assert_eq!(id.as_str().replace('-', "").len(), 26);
        assert_eq!(id.type_octet(), TYPE_SHA2);
        let sha3 = content_digest_with(DigestAlgorithm::Sha3, "text/plain", b"x", 140);
        assert_eq!(message_response_id(sha3.as_str()).type_octet(), TYPE_SHA3);
    }
}
