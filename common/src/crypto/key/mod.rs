//! Public and secret keys, their fingerprints and their JSON (crypto §3, §7).

mod data;
mod json;
mod public;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;

pub use data::{KeyData, KeyOverlay};
pub use json::{PrivateParameters, PublicParameters};
pub use public::PublicKey;
pub use secret::SecretKey;

use crate::udf::Udf;

/// Octets of a seed that [`SecretKey::generate`] draws (crypto §3.2).
pub const SEED_BYTES: usize = 56;
/// Octets of the shortest Ed448 seed that is read (crypto §3.2).
pub const SEED_BYTES_MIN: usize = 32;
/// Octets of the longest Ed448 seed that is read (crypto §3.2).
pub const SEED_BYTES_MAX: usize = 64;

/// The curve of a key: the member `crv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Curve {
    /// All keys of the drafts: signatures and agreement.
    Ed448,
    /// Keys of some published examples: signatures and agreement.
    Ed25519,
    /// Carried and fingerprinted only (decision Q-39); 57 octets on the wire.
    X448,
    /// Carried and fingerprinted only.
    X25519,
}

impl Curve {
    /// Every curve.
    pub const ALL: [Self; 4] = [Self::Ed448, Self::Ed25519, Self::X448, Self::X25519];

    /// The value of `crv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed448 => "Ed448",
            Self::Ed25519 => "Ed25519",
            Self::X448 => "X448",
            Self::X25519 => "X25519",
        }
    }

    /// The curve that `crv` names.
    ///
    /// # Errors
    /// [`KeyError::UnknownCurve`].
    pub fn named(name: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|curve| curve.name() == name)
            .ok_or_else(|| KeyError::UnknownCurve { name: name.into() })
    }

    /// Octets of a public key on the wire.
    #[must_use]
    pub const fn public_bytes(self) -> usize {
        match self {
            Self::Ed448 | Self::X448 => 57,
            Self::Ed25519 | Self::X25519 => 32,
        }
    }

    /// Last octet of the object identifier 1.3.101.x (crypto §2.3).
    #[must_use]
    pub const fn oid_octet(self) -> u8 {
        match self {
            Self::X25519 => 0x6e,
            Self::X448 => 0x6f,
            Self::Ed25519 => 0x70,
            Self::Ed448 => 0x71,
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why octets are no key, or a key cannot do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `crv` names no curve of the Mesh.
    #[error("unknown curve {name:?}")]
    UnknownCurve {
        /// What it names.
        name: String,
    },
    /// A public key of another length than its curve has.
    #[error("a public key of {curve} has {expected_bytes} octets, found {found_bytes}")]
    PublicLength {
        /// The curve.
        curve: Curve,
        /// Octets of its public keys.
        expected_bytes: usize,
        /// Octets found.
        found_bytes: usize,
    },
    /// A seed of a length that is not read.
    #[error("{found_bytes} octets are no seed of {curve}")]
    SeedLength {
        /// The curve.
        curve: Curve,
        /// Octets found.
        found_bytes: usize,
    },
    /// Not the canonical encoding of a point of the curve.
    #[error("not a canonical point of {curve}")]
    NotAPoint {
        /// The curve.
        curve: Curve,
    },
    /// A point whose small multiple is the identity: it is nobody's key.
    #[error("a point of small order is no key")]
    SmallOrder,
    /// A point outside the subgroup of prime order, in an agreement that could leak by it.
    #[error("the point is outside the subgroup of prime order")]
    OutsideSubgroup,
    /// The curve is carried, but not computed with (decision Q-39).
    #[error("keys of {curve} are carried but not used")]
    CurveUnused {
        /// The curve.
        curve: Curve,
    },
    /// Two keys that must be of one curve are not.
    #[error("keys of {one} and {other} do not go together")]
    CurvesDiffer {
        /// One curve.
        one: Curve,
        /// The other.
        other: Curve,
    },
    /// A structure without key parameters.
    #[error("the key has no parameters")]
    NoParameters,
    /// The `UDF` member is not the fingerprint of the key (crypto §2.4).
    #[error("the key is {actual}, its UDF member says {claimed}")]
    FingerprintDiffers {
        /// What the structure says.
        claimed: String,
        /// What the key is.
        actual: Udf,
    },
}

/// Why a signature is not one by the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Another length than signatures of the curve have.
    #[error("a signature by a key of {curve} has {expected_bytes} octets, found {found_bytes}")]
    Length {
        /// The curve of the key.
        curve: Curve,
        /// Octets of its signatures.
        expected_bytes: usize,
        /// Octets found.
        found_bytes: usize,
    },
    /// It was not made by this key over this digest, or is not canonical (decision Q-18).
    #[error("the signature does not verify")]
    Invalid,
    /// Keys of this curve do not sign.
    #[error("keys of {curve} do not sign")]
    CurveUnused {
        /// The curve.
        curve: Curve,
    },
}
