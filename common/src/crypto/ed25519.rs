//! Ed25519 as far as the published examples need it: Ed25519ctx with an empty context for
//! signatures, agreement, and addition of keys (crypto §5.2, §6.1, §7). The drafts' own keys are
//! all Ed448.

use crrl::ed25519::{Point, Scalar as Number};
use zeroize::Zeroizing;

use super::digest::sha512;

/// Octets of an encoded point and of an encoded scalar.
pub const POINT_BYTES: usize = 32;
/// Octets of a signature: R and S.
pub const SIGNATURE_BYTES: usize = 64;

/// Domain of Ed25519ctx with flag 0 and an empty context (RFC 8032 §5.1, `dom2`).
const DOMAIN: &[u8] = b"SigEd25519 no Ed25519 collisions\0\0";

/// A point of edwards25519, decoded strictly.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519Point(Point);

/// What signs: a scalar below the group order, and the secret that nonces are made from.
pub struct SigningScalar {
    /// The secret scalar.
    pub scalar: Zeroizing<[u8; POINT_BYTES]>,
    /// Prefix of the nonce's derivation.
    pub prefix: Zeroizing<[u8; POINT_BYTES]>,
}

impl Ed25519Point {
    /// Decodes a point from its one canonical encoding.
    #[must_use]
    pub fn decode(octets: &[u8; POINT_BYTES]) -> Option<Self> {
        let point = Point::decode(octets)?;
        (point.encode() == *octets).then_some(Self(point))
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> [u8; POINT_BYTES] {
        self.0.encode()
    }

    /// Whether eight times the point is the identity.
    #[must_use]
    pub fn is_small_order(&self) -> bool {
        self.0.has_low_order() != 0
    }

    /// Whether the point is in the subgroup of prime order.
    #[must_use]
    pub fn is_prime_order(&self) -> bool {
        self.0.is_in_subgroup() != 0
    }

    /// The sum of two points.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        Self(self.0 + other.0)
    }

    /// `scalar` times the base point.
    #[must_use]
    pub fn base_times(scalar: &[u8; POINT_BYTES]) -> Self {
        Self(Point::mulgen(&number(scalar)))
    }

    /// `scalar` times this point, encoded.
    #[must_use]
    pub fn agree(&self, scalar: &[u8; POINT_BYTES]) -> Zeroizing<[u8; POINT_BYTES]> {
        Zeroizing::new((self.0 * number(scalar)).encode())
    }

    /// Whether `signature` is one of `message` by this key: without cofactor, S below the group
    /// order, R canonical.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let (commitment, response) = signature.split_at(POINT_BYTES);
        let Some(response) = Number::decode(response) else {
            return false;
        };
        let challenge = challenge(commitment, &self.encode(), message);
        (-self.0)
            .mul_add_mulgen_vartime(&challenge, &response)
            .encode()
            == commitment
    }
}

/// Expands a seed of 32 octets (RFC 8032 §5.1.5).
#[must_use]
pub fn expand(seed: &[u8; 32]) -> SigningScalar {
    let hash = Zeroizing::new(sha512(&[seed]));
    let mut clamped = Zeroizing::new([0; POINT_BYTES]);
    clamped.copy_from_slice(&hash[..POINT_BYTES]);
    clamped[0] &= 0xf8;
    clamped[31] = clamped[31] & 0x7f | 0x40;
    let mut prefix = Zeroizing::new([0; POINT_BYTES]);
    prefix.copy_from_slice(&hash[POINT_BYTES..]);
    SigningScalar {
        scalar: Zeroizing::new(number(&clamped).encode()),
        prefix,
    }
}

/// Makes a signing scalar of a bare one: the prefix is derived from the scalar (architecture A-12).
#[must_use]
pub fn with_derived_prefix(scalar: Zeroizing<[u8; POINT_BYTES]>) -> SigningScalar {
    let hash = Zeroizing::new(sha512(&[scalar.as_slice()]));
    let mut prefix = Zeroizing::new([0; POINT_BYTES]);
    prefix.copy_from_slice(&hash[..POINT_BYTES]);
    SigningScalar { scalar, prefix }
}

/// The sum of two scalars modulo the group order.
#[must_use]
pub fn scalar_add(one: &[u8; POINT_BYTES], other: &[u8; POINT_BYTES]) -> [u8; POINT_BYTES] {
    (number(one) + number(other)).encode()
}

/// Signs `message`; `public` is the encoded public key of the scalar.
#[must_use]
pub fn sign(
    signer: &SigningScalar,
    public: &[u8; POINT_BYTES],
    message: &[u8],
) -> [u8; SIGNATURE_BYTES] {
    let nonce_octets = Zeroizing::new(sha512(&[DOMAIN, signer.prefix.as_slice(), message]));
    let nonce = Number::decode_reduce(nonce_octets.as_slice());
    let commitment = Point::mulgen(&nonce).encode();
    let challenge = challenge(&commitment, public, message);
    let response = challenge * number(&signer.scalar) + nonce;
    let mut signature = [0; SIGNATURE_BYTES];
    signature[..POINT_BYTES].copy_from_slice(&commitment);
    signature[POINT_BYTES..].copy_from_slice(&response.encode());
    signature
}

fn challenge(commitment: &[u8], public: &[u8], message: &[u8]) -> Number {
    Number::decode_reduce(&sha512(&[DOMAIN, commitment, public, message]))
}

fn number(octets: &[u8; POINT_BYTES]) -> Number {
    Number::decode_reduce(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::key::{Curve, PublicKey, SecretKey};

    /// Only the variant with a context signs in the Mesh (crypto §5.2); plain Ed25519 is refused.
    #[test]
    fn plain_ed25519_is_no_signature() {
        let seed = [9; 32];
        let key = SecretKey::from_seed_on(Curve::Ed25519, &seed).unwrap();
        let other = crrl::ed25519::PrivateKey::from_seed(&seed);
        assert_eq!(key.public().octets(), other.public_key.encode());
        assert_eq!(key.sign(&[1; 64]), other.sign_ctx(&[], &[1; 64]));
        let verdict = |signature: [u8; SIGNATURE_BYTES]| key.public().verify(&[1; 64], &signature);
        assert_eq!(verdict(other.sign_ctx(&[], &[1; 64])), Ok(()));
        assert!(verdict(other.sign_raw(&[1; 64])).is_err());
        assert!(verdict(other.sign_ph(&[], &[1; 64])).is_err());
        assert!(verdict(other.sign_ctx(b"context", &[1; 64])).is_err());
    }

    #[test]
    fn a_scalar_above_the_group_order_is_refused() {
        let key = SecretKey::from_seed_on(Curve::Ed25519, &[9; 32]).unwrap();
        let mut signature = key.sign(&[1; 64]);
        // The group order, little endian.
        let mut order = [0; 32];
        order[..16].copy_from_slice(&0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes());
        order[31] = 0x10;
        let mut carry = 0;
        for (octet, addend) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*octet) + u16::from(addend) + carry;
            *octet = sum as u8;
            carry = sum >> 8;
        }
        assert!(key.public().verify(&[1; 64], &signature).is_err());
    }

    #[test]
    fn only_canonical_points_of_large_order_are_keys() {
        let identity = std::array::from_fn::<u8, 32, _>(|index| u8::from(index == 0));
        let mut negative_zero = identity;
        negative_zero[31] = 0x80;
        let mut above_prime = [0xff; 32];
        above_prime[31] = 0x7f;
        for octets in [identity, negative_zero, above_prime, [0; 32]] {
            assert!(PublicKey::from_octets(Curve::Ed25519, &octets).is_err());
        }
    }
}
