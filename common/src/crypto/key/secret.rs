//! Secret keys: from seeds, or as the sum of two others. They sign and agree; they never print.

use std::fmt;

use zeroize::Zeroizing;

use super::public::Decoded;
use super::{Curve, KeyError, PublicKey, SEED_BYTES, SEED_BYTES_MAX, SEED_BYTES_MIN};
use crate::crypto::curve::{Ed448Provider, Provider};
use crate::crypto::ed25519::{self, Ed25519Point};
use crate::crypto::eddsa;
use crate::entropy::Entropy;
use crate::udf::Udf;

/// A secret key and its public key. Wiped when dropped; `Debug` prints the public key only.
///
/// What is wiped is what is kept: intermediate values that the curve's arithmetic leaves on the
/// stack are not.
pub struct SecretKey {
    seed: Option<Zeroizing<Vec<u8>>>,
    scalar: Expanded,
    public: PublicKey,
}

/// The scalar that signs and agrees, with its nonce prefix.
enum Expanded {
    Ed448(eddsa::SigningScalar),
    Ed25519(ed25519::SigningScalar),
}

impl SecretKey {
    /// A fresh Ed448 key from a seed of [`SEED_BYTES`] octets.
    ///
    /// # Panics
    /// Never: a clamped scalar is not zero modulo the group order.
    #[must_use]
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(seed.as_mut_slice());
        Self::from_seed(seed.as_slice()).expect("a seed of this length always gives a key")
    }

    /// The Ed448 key of a seed of [`SEED_BYTES_MIN`] to [`SEED_BYTES_MAX`] octets (crypto §3.2).
    ///
    /// # Errors
    /// [`KeyError::SeedLength`].
    pub fn from_seed(seed: &[u8]) -> Result<Self, KeyError> {
        Self::from_seed_on(Curve::Ed448, seed)
    }

    /// The key of a seed on `curve`. Ed25519 takes 32 octets.
    ///
    /// # Errors
    /// [`KeyError::SeedLength`]; [`KeyError::CurveUnused`].
    pub fn from_seed_on(curve: Curve, seed: &[u8]) -> Result<Self, KeyError> {
        let length = KeyError::SeedLength {
            curve,
            found_bytes: seed.len(),
        };
        let scalar = match curve {
            Curve::Ed448 if (SEED_BYTES_MIN..=SEED_BYTES_MAX).contains(&seed.len()) => {
                Expanded::Ed448(eddsa::expand::<Provider>(seed))
            }
            Curve::Ed25519 => {
                Expanded::Ed25519(ed25519::expand(seed.try_into().map_err(|_| length)?))
            }
            Curve::Ed448 => return Err(length),
            Curve::X448 | Curve::X25519 => return Err(KeyError::CurveUnused { curve }),
        };
        Ok(Self {
            public: scalar.public()?,
            seed: Some(Zeroizing::new(seed.to_vec())),
            scalar,
        })
    }

    /// The seed; none for a composite key, which has no encoding (crypto §3.2).
    #[must_use]
    pub fn seed(&self) -> Option<&[u8]> {
        self.seed.as_ref().map(|seed| seed.as_slice())
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The fingerprint of the public key.
    #[must_use]
    pub fn udf(&self) -> Udf {
        self.public.udf()
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.public.curve()
    }

    /// The composite key: the sum of both scalars (crypto §7). It signs with a nonce prefix that
    /// is derived from the scalar (architecture A-12).
    ///
    /// # Errors
    /// [`KeyError::CurvesDiffer`]; [`KeyError::SmallOrder`] if the keys cancel each other.
    pub fn compose(&self, overlay: &Self) -> Result<Self, KeyError> {
        let scalar = match (&self.scalar, &overlay.scalar) {
            (Expanded::Ed448(one), Expanded::Ed448(other)) => {
                let sum = Zeroizing::new(Provider::scalar_add(&one.scalar, &other.scalar));
                Expanded::Ed448(eddsa::with_derived_prefix(sum))
            }
            (Expanded::Ed25519(one), Expanded::Ed25519(other)) => {
                let sum = Zeroizing::new(ed25519::scalar_add(&one.scalar, &other.scalar));
                Expanded::Ed25519(ed25519::with_derived_prefix(sum))
            }
            _ => {
                return Err(KeyError::CurvesDiffer {
                    one: self.curve(),
                    other: overlay.curve(),
                });
            }
        };
        Ok(Self {
            public: scalar.public()?,
            seed: None,
            scalar,
        })
    }

    /// Signs a payload digest (crypto §5.2): 114 octets for Ed448.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 64]) -> Vec<u8> {
        match &self.scalar {
            Expanded::Ed448(signer) => {
                let mut public = [0; 57];
                public.copy_from_slice(self.public.octets());
                eddsa::sign::<Provider>(signer, &public, digest).to_vec()
            }
            Expanded::Ed25519(signer) => {
                let mut public = [0; 32];
                public.copy_from_slice(self.public.octets());
                ed25519::sign(signer, &public, digest).to_vec()
            }
        }
    }

    /// The agreement of envelopes (crypto §6.1): the encoded product of scalar and point.
    ///
    /// # Errors
    /// [`KeyError::CurvesDiffer`]; [`KeyError::OutsideSubgroup`] for a peer's point that is not of
    /// prime order: without a cofactor, the product would tell two bits of the scalar.
    pub fn agree(&self, peer: &PublicKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match (&self.scalar, peer.point()) {
            (Expanded::Ed448(own), Decoded::Ed448(peer)) => {
                if !Provider::is_prime_order(&peer.point) {
                    return Err(KeyError::OutsideSubgroup);
                }
                let shared = eddsa::agree::<Provider>(&own.scalar, &peer.point);
                Ok(Zeroizing::new(shared.to_vec()))
            }
            (Expanded::Ed25519(own), Decoded::Ed25519(point)) => {
                if !point.is_prime_order() {
                    return Err(KeyError::OutsideSubgroup);
                }
                Ok(Zeroizing::new(point.agree(&own.scalar).to_vec()))
            }
            _ => Err(self.differs_from(peer)),
        }
    }

    /// The agreement of sessions (service §4.2): the encoded product of scalar, 4 and point.
    ///
    /// # Errors
    /// [`KeyError::CurveUnused`] unless both keys are Ed448. A point whose quadruple is the
    /// identity is no [`PublicKey`].
    pub fn agree_cofactor(&self, peer: &PublicKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match (&self.scalar, peer.point()) {
            (Expanded::Ed448(own), Decoded::Ed448(peer)) => {
                let shared = eddsa::agree_cofactor::<Provider>(&own.scalar, &peer.point);
                Ok(Zeroizing::new(shared.to_vec()))
            }
            (Expanded::Ed448(_), _) => Err(KeyError::CurveUnused {
                curve: peer.curve(),
            }),
            _ => Err(KeyError::CurveUnused {
                curve: self.curve(),
            }),
        }
    }

    fn differs_from(&self, peer: &PublicKey) -> KeyError {
        KeyError::CurvesDiffer {
            one: self.curve(),
            other: peer.curve(),
        }
    }
}

impl Expanded {
    /// The public key; refuses the scalar zero, whose point is the identity.
    fn public(&self) -> Result<PublicKey, KeyError> {
        match self {
            Self::Ed448(signer) => {
                let point = eddsa::public::<Provider>(&signer.scalar);
                PublicKey::ed448(&Provider::encode(&point))
            }
            Self::Ed25519(signer) => {
                let point = Ed25519Point::base_times(&signer.scalar);
                PublicKey::from_octets(Curve::Ed25519, &point.encode())
            }
        }
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self {
            seed: self.seed.clone(),
            scalar: match &self.scalar {
                Expanded::Ed448(signer) => Expanded::Ed448(eddsa::SigningScalar {
                    scalar: signer.scalar.clone(),
                    prefix: signer.prefix.clone(),
                }),
                Expanded::Ed25519(signer) => Expanded::Ed25519(ed25519::SigningScalar {
                    scalar: signer.scalar.clone(),
                    prefix: signer.prefix.clone(),
                }),
            },
            public: self.public.clone(),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey({} {})", self.curve(), self.udf())
    }
}
