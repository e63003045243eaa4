//! Ed448 on octets, for any provider: keys from seeds of any length, signatures with any scalar,
//! verification as strict as decision Q-18 asks, agreement (crypto §3.2, §5, §6.1; RFC 8032 §5.2).

use zeroize::Zeroizing;

use super::curve::{Ed448Provider, POINT_BYTES, Scalar};
use super::digest::shake256;

/// Octets of a signature: R and S.
pub const SIGNATURE_BYTES: usize = 2 * POINT_BYTES;

/// Domain of Ed448 with flag 0 and an empty context (RFC 8032 §5.2, `dom4`).
const DOMAIN: &[u8] = b"SigEd448\0\0";

/// What signs: a scalar below the group order, and the secret that nonces are made from.
pub struct SigningScalar {
    /// The secret scalar.
    pub scalar: Zeroizing<Scalar>,
    /// Prefix of the nonce's derivation.
    pub prefix: Zeroizing<[u8; POINT_BYTES]>,
}

/// Expands a seed of any length (crypto §3.2); for 57 octets this is RFC 8032.
#[must_use]
pub fn expand<P: Ed448Provider>(seed: &[u8]) -> SigningScalar {
    let hash = Zeroizing::new(shake256::<SIGNATURE_BYTES>(&[seed]));
    let mut wide = Zeroizing::new([0; SIGNATURE_BYTES]);
    wide[..POINT_BYTES].copy_from_slice(&hash[..POINT_BYTES]);
    wide[0] &= 0xfc;
    wide[55] |= 0x80;
    wide[56] = 0;
    let mut prefix = Zeroizing::new([0; POINT_BYTES]);
    prefix.copy_from_slice(&hash[POINT_BYTES..]);
    SigningScalar {
        scalar: Zeroizing::new(P::reduce(&wide)),
        prefix,
    }
}

/// Makes a signing scalar of a bare one: the prefix is derived from the scalar itself
/// (architecture A-12), so that a nonce is as secret as the scalar.
///
/// Draft: crypto §5.5 tells how the reference made it a public value, which gives the scalar away.
#[must_use]
pub fn with_derived_prefix(scalar: Zeroizing<Scalar>) -> SigningScalar {
    let prefix = Zeroizing::new(shake256(&[scalar.as_slice()]));
    SigningScalar { scalar, prefix }
}

/// The public key of a scalar.
#[must_use]
pub fn public<P: Ed448Provider>(scalar: &Scalar) -> P::Point {
    P::base_times(scalar)
}

/// Signs `message`; `public` is the encoded public key of the scalar.
#[must_use]
pub fn sign<P: Ed448Provider>(
    signer: &SigningScalar,
    public: &[u8; POINT_BYTES],
    message: &[u8],
) -> [u8; SIGNATURE_BYTES] {
    let nonce_octets = Zeroizing::new(shake256(&[DOMAIN, signer.prefix.as_slice(), message]));
    let nonce = Zeroizing::new(P::reduce(&nonce_octets));
    let commitment = P::encode(&P::base_times(&nonce));
    let challenge = challenge::<P>(&commitment, public, message);
    let response = P::scalar_multiply_add(&challenge, &signer.scalar, &nonce);
    let mut signature = [0; SIGNATURE_BYTES];
    signature[..POINT_BYTES].copy_from_slice(&commitment);
    signature[POINT_BYTES..].copy_from_slice(&response);
    signature
}

/// Whether `signature` is one of `message` by the key that decodes to `point` and encodes as
/// `public`: without cofactor, S below the group order, R canonical (decision Q-18).
#[must_use]
pub fn verify<P: Ed448Provider>(
    point: &P::Point,
    public: &[u8; POINT_BYTES],
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> bool {
    verify_by::<P>(public, message, signature, |response, challenge| {
        P::verification_point(response, challenge, point)
    })
}

/// [`verify`] by the table of the key's point.
#[must_use]
pub fn verify_by_table<P: Ed448Provider>(
    table: &P::Table,
    public: &[u8; POINT_BYTES],
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> bool {
    verify_by::<P>(public, message, signature, |response, challenge| {
        P::verification_point_by(response, challenge, table)
    })
}

fn verify_by<P: Ed448Provider>(
    public: &[u8; POINT_BYTES],
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
    verification_point: impl FnOnce(&Scalar, &Scalar) -> P::Point,
) -> bool {
    let mut commitment = [0; POINT_BYTES];
    commitment.copy_from_slice(&signature[..POINT_BYTES]);
    let mut response = [0; POINT_BYTES];
    response.copy_from_slice(&signature[POINT_BYTES..]);
    if !is_canonical::<P>(&response) {
        return false;
    }
    let challenge = challenge::<P>(&commitment, public, message);
    // Comparing encodings accepts exactly the canonical R.
    P::encode(&verification_point(&response, &challenge)) == commitment
}

/// Whether the nonce of `signature` is the public value that the reference uses for composite keys
/// (crypto §5.5). Such a signature verifies, and gives its private key away. Worth a line in a log;
/// refusing it would shut out peers that run the reference.
#[must_use]
pub fn has_public_nonce<P: Ed448Provider>(
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> bool {
    let nonce = P::reduce(&shake256(&[DOMAIN, message]));
    P::encode(&P::base_times(&nonce)) == signature[..POINT_BYTES]
}

/// `scalar` times a point of prime order, encoded (crypto §6.1).
#[must_use]
pub fn agree<P: Ed448Provider>(scalar: &Scalar, point: &P::Point) -> Zeroizing<[u8; POINT_BYTES]> {
    Zeroizing::new(P::encode(&P::times(point, scalar)))
}

/// Four times `scalar` times any point, encoded (service §4.2).
#[must_use]
pub fn agree_cofactor<P: Ed448Provider>(
    scalar: &Scalar,
    point: &P::Point,
) -> Zeroizing<[u8; POINT_BYTES]> {
    agree::<P>(scalar, &P::times_cofactor(point))
}

/// Whether the octets are a scalar below the group order.
fn is_canonical<P: Ed448Provider>(octets: &Scalar) -> bool {
    let mut wide = [0; SIGNATURE_BYTES];
    wide[..POINT_BYTES].copy_from_slice(octets);
    P::reduce(&wide) == *octets
}

fn challenge<P: Ed448Provider>(
    commitment: &[u8; POINT_BYTES],
    public: &[u8; POINT_BYTES],
    message: &[u8],
) -> Scalar {
    P::reduce(&shake256(&[DOMAIN, commitment, public, message]))
}
