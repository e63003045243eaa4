//! The structures of the schema that hold keys: `PublicKey` and `KeyOverlay` (schema §7.1.2,
//! §7.1.4; crypto §3.1, §7).

use serde::{Deserialize, Serialize};

use super::json::{PrivateParameters, PublicParameters};
use super::{KeyError, PublicKey, SecretKey};
use crate::dare::header::Extra;
use crate::encoding::base64url::Binary;
use crate::udf::Udf;

/// A public key with its fingerprint and certificates: the schema's structure `PublicKey`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyData {
    /// What the sender says the fingerprint is.
    #[serde(rename = "UDF", skip_serializing_if = "Option::is_none")]
    pub udf: Option<String>,
    /// A certificate; carried.
    #[serde(rename = "X509Certificate", skip_serializing_if = "Option::is_none")]
    pub x509_certificate: Option<Binary>,
    /// Its chain; carried.
    #[serde(rename = "X509Chain", skip_serializing_if = "Vec::is_empty")]
    pub x509_chain: Vec<Binary>,
    /// A signing request; carried.
    #[serde(rename = "X509CSR", skip_serializing_if = "Option::is_none")]
    pub x509_csr: Option<Binary>,
    /// The key itself.
    #[serde(rename = "PublicParameters", skip_serializing_if = "Option::is_none")]
    pub public_parameters: Option<PublicParameters>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl KeyData {
    /// The structure of `key`.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self {
            udf: Some(key.udf().to_string()),
            public_parameters: Some(PublicParameters::of(key)),
            ..Self::default()
        }
    }

    /// Decodes the key and recomputes its fingerprint: the member `UDF` is never believed
    /// (architecture A-11).
    ///
    /// # Errors
    /// [`KeyError::NoParameters`], those of decoding, [`KeyError::FingerprintDiffers`].
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let key = self
            .public_parameters
            .as_ref()
            .ok_or(KeyError::NoParameters)?
            .public_key()?;
        check_claim(self.udf.as_deref(), &key)?;
        Ok(key)
    }
}

/// What an activation adds to a key of the device: the schema's structure `KeyOverlay`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyOverlay {
    /// Fingerprint of the composite key.
    #[serde(rename = "UDF", skip_serializing_if = "Option::is_none")]
    pub udf: Option<String>,
    /// Fingerprint of the device's key.
    #[serde(rename = "BaseUDF", skip_serializing_if = "Option::is_none")]
    pub base_udf: Option<String>,
    /// The seed of the overlay.
    #[serde(rename = "Overlay", skip_serializing_if = "Option::is_none")]
    pub overlay: Option<PrivateParameters>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl KeyOverlay {
    /// The structure that makes `overlay` and the device's key `base` one composite key.
    ///
    /// # Errors
    /// Those of [`PublicKey::compose`]; [`KeyError::NoParameters`] if `overlay` has no seed.
    pub fn of(base: &PublicKey, overlay: &SecretKey) -> Result<Self, KeyError> {
        Ok(Self {
            udf: Some(base.compose(overlay.public())?.udf().to_string()),
            base_udf: Some(base.udf().to_string()),
            overlay: Some(PrivateParameters::of(overlay)?),
            extra: Extra::new(),
        })
    }

    /// The composite public key over `base`, with both fingerprints checked (crypto §7).
    ///
    /// # Errors
    /// [`KeyError::NoParameters`], those of the seed and of composing,
    /// [`KeyError::FingerprintDiffers`].
    pub fn composite_public(&self, base: &PublicKey) -> Result<PublicKey, KeyError> {
        check_claim(self.base_udf.as_deref(), base)?;
        let composite = base.compose(self.overlay_key()?.public())?;
        check_claim(self.udf.as_deref(), &composite)?;
        Ok(composite)
    }

    /// The composite secret key over `base`, with both fingerprints checked.
    ///
    /// # Errors
    /// Those of [`Self::composite_public`].
    pub fn composite_secret(&self, base: &SecretKey) -> Result<SecretKey, KeyError> {
        check_claim(self.base_udf.as_deref(), base.public())?;
        let composite = base.compose(&self.overlay_key()?)?;
        check_claim(self.udf.as_deref(), composite.public())?;
        Ok(composite)
    }

    fn overlay_key(&self) -> Result<SecretKey, KeyError> {
        self.overlay
            .as_ref()
            .ok_or(KeyError::NoParameters)?
            .secret_key()
    }
}

/// Compares a claimed fingerprint, whole (decision Q-18), with the key's. None is no claim.
fn check_claim(claimed: Option<&str>, key: &PublicKey) -> Result<(), KeyError> {
    let Some(claimed) = claimed else {
        return Ok(());
    };
    let actual = key.udf();
    if Udf::parse(claimed).is_ok_and(|claimed| claimed == actual) {
        Ok(())
    } else {
        Err(KeyError::FingerprintDiffers {
            claimed: claimed.to_owned(),
            actual,
        })
    }
}
