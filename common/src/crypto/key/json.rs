//! Key parameters as they are written: `{"PublicKeyECDH":{"crv":…,"Public":…}}` and
//! `{"PrivateKeyECDH":{"crv":…,"Private":…}}` (crypto §3.1).

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Curve, KeyError, PublicKey, SecretKey};
use crate::dare::header::Extra;
use crate::encoding::base64url::Binary;

/// The parameters of a public key, not yet decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PublicParameters {
    /// A key on one of the curves.
    #[serde(rename = "PublicKeyECDH")]
    Ecdh {
        /// The curve.
        crv: String,
        /// The encoded point.
        #[serde(rename = "Public")]
        public: Binary,
        /// Inherited members that nobody here reads.
        #[serde(flatten)]
        extra: Extra,
    },
}

impl PublicParameters {
    /// The parameters of `key`.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self::Ecdh {
            crv: key.curve().name().to_owned(),
            public: Binary(key.octets().to_vec()),
            extra: Extra::new(),
        }
    }

    /// Decodes the key.
    ///
    /// # Errors
    /// [`KeyError::UnknownCurve`] and those of [`PublicKey::from_octets`].
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let Self::Ecdh { crv, public, .. } = self;
        PublicKey::from_octets(Curve::named(crv)?, public.as_slice())
    }
}

/// The parameters of a secret key: a seed. Wiped when dropped; `Debug` tells the curve only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum PrivateParameters {
    /// A key on one of the curves.
    #[serde(rename = "PrivateKeyECDH")]
    Ecdh {
        /// The curve.
        crv: String,
        /// The seed.
        #[serde(rename = "Private")]
        private: Binary,
        /// The public key, if the writer added it; it is recomputed, not believed.
        #[serde(rename = "Public", skip_serializing_if = "Option::is_none", default)]
        public: Option<Binary>,
    },
}

impl PrivateParameters {
    /// The parameters of `key`.
    ///
    /// # Errors
    /// [`KeyError::NoParameters`] for a composite key, which has no encoding (crypto §3.2).
    pub fn of(key: &SecretKey) -> Result<Self, KeyError> {
        Ok(Self::Ecdh {
            crv: key.curve().name().to_owned(),
            private: Binary(key.seed().ok_or(KeyError::NoParameters)?.to_vec()),
            public: None,
        })
    }

    /// Expands the key.
    ///
    /// # Errors
    /// [`KeyError::UnknownCurve`], [`KeyError::SeedLength`], [`KeyError::CurveUnused`];
    /// [`KeyError::FingerprintDiffers`] if `Public` is there and not this key's.
    pub fn secret_key(&self) -> Result<SecretKey, KeyError> {
        let Self::Ecdh {
            crv,
            private,
            public,
        } = self;
        let key = SecretKey::from_seed_on(Curve::named(crv)?, private.as_slice())?;
        match public {
            Some(public) if public.as_slice() != key.public().octets() => {
                Err(KeyError::FingerprintDiffers {
                    claimed: "another public key".into(),
                    actual: key.udf(),
                })
            }
            _ => Ok(key),
        }
    }
}

impl Zeroize for PrivateParameters {
    fn zeroize(&mut self) {
        let Self::Ecdh { private, .. } = self;
        private.0.zeroize();
    }
}

impl Drop for PrivateParameters {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for PrivateParameters {}

impl fmt::Debug for PrivateParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ecdh { crv, .. } = self;
        write!(formatter, "PrivateParameters({crv})")
    }
}
