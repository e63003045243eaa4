//! Public keys: decoded strictly once, then trusted to be points.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json::PublicParameters;
use super::{Curve, KeyError, SignatureError};
use crate::crypto::curve::{Ed448Provider, Provider};
use crate::crypto::ed25519::{self, Ed25519Point};
use crate::crypto::eddsa;
use crate::udf::{self, Udf};

/// Verifications by a key before a table is made of it, which costs about as much as one of them and
/// saves half of each that follows. Most keys verify one signature and are dropped.
const VERIFICATIONS_BARE: u8 = 2;

/// A public key that was decoded from its canonical encoding and is not of small order
/// (decision Q-18, architecture A-11). Two keys are equal when their octets are.
#[derive(Clone)]
pub struct PublicKey {
    curve: Curve,
    octets: [u8; 57],
    point: Decoded,
}

/// The point that the octets encode.
#[derive(Clone)]
pub(super) enum Decoded {
    Ed448(Arc<Ed448Key>),
    Ed25519(Ed25519Point),
    /// Keys that are only carried.
    Opaque,
}

/// A point of edwards448 that signatures are verified by, shared by all clones of its key.
pub(super) struct Ed448Key {
    pub(super) point: <Provider as Ed448Provider>::Point,
    /// Verifications so far, as far as they matter.
    verifications: AtomicU8,
    table: OnceLock<<Provider as Ed448Provider>::Table>,
    udf: OnceLock<Udf>,
}

impl Ed448Key {
    fn verify(&self, public: &[u8; 57], digest: &[u8; 64], signature: &[u8; 114]) -> bool {
        if self.verifications.load(Ordering::Relaxed) < VERIFICATIONS_BARE {
            self.verifications.fetch_add(1, Ordering::Relaxed);
            return eddsa::verify::<Provider>(&self.point, public, digest, signature);
        }
        let table = self.table.get_or_init(|| Provider::table(&self.point));
        eddsa::verify_by_table::<Provider>(table, public, digest, signature)
    }
}

impl PublicKey {
    /// Decodes an Ed448 key.
    ///
    /// # Errors
    /// Those of [`Self::from_octets`].
    pub fn ed448(octets: &[u8]) -> Result<Self, KeyError> {
        Self::from_octets(Curve::Ed448, octets)
    }

    /// Decodes a key of `curve`.
    ///
    /// # Errors
    /// [`KeyError::PublicLength`]; [`KeyError::NotAPoint`], also for an encoding that is not
    /// canonical; [`KeyError::SmallOrder`].
    pub fn from_octets(curve: Curve, octets: &[u8]) -> Result<Self, KeyError> {
        if octets.len() != curve.public_bytes() {
            return Err(KeyError::PublicLength {
                curve,
                expected_bytes: curve.public_bytes(),
                found_bytes: octets.len(),
            });
        }
        let mut padded = [0; 57];
        padded[..octets.len()].copy_from_slice(octets);
        let point = match curve {
            Curve::Ed448 => decode_ed448(&padded)?,
            Curve::Ed25519 => decode_ed25519(octets)?,
            // RFC 7748's 56 octets and the sign of the other coordinate (decision Q-39).
            Curve::X448 if !matches!(padded[56], 0 | 0x80) => {
                return Err(KeyError::NotAPoint { curve });
            }
            Curve::X448 | Curve::X25519 => Decoded::Opaque,
        };
        Ok(Self {
            curve,
            octets: padded,
            point,
        })
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The encoding: 57 or 32 octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.curve.public_bytes()]
    }

    /// The fingerprint, 140 bits (crypto §2.3).
    #[must_use]
    pub fn udf(&self) -> Udf {
        match &self.point {
            Decoded::Ed448(key) => key.udf.get_or_init(|| Udf::of_key(self)).clone(),
            Decoded::Ed25519(_) | Decoded::Opaque => Udf::of_key(self),
        }
    }

    /// The binary fingerprint of 512 bits that witnesses use (crypto §2.3).
    #[must_use]
    pub fn udf_binary(&self) -> [u8; 64] {
        udf::binary_of_key(self)
    }

    /// Checks a signature over a payload digest (crypto §5.2): without cofactor, S below the group
    /// order, R canonical (decision Q-18). For Ed25519 keys only Ed25519ctx with an empty context
    /// is a signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, digest: &[u8; 64], signature: &[u8]) -> Result<(), SignatureError> {
        let is_valid = match &self.point {
            Decoded::Ed448(key) => {
                let signature: &[u8; eddsa::SIGNATURE_BYTES] = self.sized(signature)?;
                key.verify(&self.octets, digest, signature)
            }
            Decoded::Ed25519(point) => {
                let signature: &[u8; ed25519::SIGNATURE_BYTES] = self.sized(signature)?;
                point.verify(digest, signature)
            }
            Decoded::Opaque => return Err(SignatureError::CurveUnused { curve: self.curve }),
        };
        is_valid.then_some(()).ok_or(SignatureError::Invalid)
    }

    /// The key of the sum of both secrets (crypto §7).
    ///
    /// # Errors
    /// [`KeyError::CurvesDiffer`]; [`KeyError::CurveUnused`]; [`KeyError::SmallOrder`] if the keys
    /// cancel each other.
    pub fn compose(&self, overlay: &Self) -> Result<Self, KeyError> {
        match (&self.point, &overlay.point) {
            (Decoded::Ed448(one), Decoded::Ed448(other)) => {
                Self::ed448(&Provider::encode(&Provider::add(&one.point, &other.point)))
            }
            (Decoded::Ed25519(one), Decoded::Ed25519(other)) => {
                Self::from_octets(Curve::Ed25519, &one.add(other).encode())
            }
            (Decoded::Opaque, _) if self.curve == overlay.curve => {
                Err(KeyError::CurveUnused { curve: self.curve })
            }
            _ => Err(KeyError::CurvesDiffer {
                one: self.curve,
                other: overlay.curve,
            }),
        }
    }

    pub(super) const fn point(&self) -> &Decoded {
        &self.point
    }

    fn sized<'a, const N: usize>(
        &self,
        signature: &'a [u8],
    ) -> Result<&'a [u8; N], SignatureError> {
        signature.try_into().map_err(|_| SignatureError::Length {
            curve: self.curve,
            expected_bytes: N,
            found_bytes: signature.len(),
        })
    }
}

fn decode_ed448(octets: &[u8; 57]) -> Result<Decoded, KeyError> {
    let curve = Curve::Ed448;
    let point = Provider::decode(octets).ok_or(KeyError::NotAPoint { curve })?;
    if Provider::is_small_order(&point) {
        return Err(KeyError::SmallOrder);
    }
    Ok(Decoded::Ed448(Arc::new(Ed448Key {
        point,
        verifications: AtomicU8::new(0),
        table: OnceLock::new(),
        udf: OnceLock::new(),
    })))
}

fn decode_ed25519(octets: &[u8]) -> Result<Decoded, KeyError> {
    let point = octets
        .try_into()
        .ok()
        .and_then(Ed25519Point::decode)
        .ok_or(KeyError::NotAPoint {
            curve: Curve::Ed25519,
        })?;
    if point.is_small_order() {
        return Err(KeyError::SmallOrder);
    }
    Ok(Decoded::Ed25519(point))
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.curve == other.curve && self.octets == other.octets
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.curve.hash(state);
        self.octets.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({} {})", self.curve, self.udf())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PublicParameters::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PublicParameters::deserialize(deserializer)?
            .public_key()
            .map_err(serde::de::Error::custom)
    }
}
