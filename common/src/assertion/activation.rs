//! Activations: the overlays from which a device makes the keys of its connection (schema draft
//! §7.2.19 to §7.2.22, crypto §7). Encrypted to the device; a service never sees inside.

use serde::{Deserialize, Serialize};

use super::{Assertion, assertion};
use crate::crypto::{
    KeyError, KeyOverlay, PrivateParameters, PublicKey, PublicParameters, SecretKey,
};
use crate::dare::Envelope;
use crate::dare::header::Extra;

/// The overlays of an activation, by the key of the device they are for.
pub trait Activation: Assertion {
    /// For KeyOfflineSignature of the ProfileDevice.
    fn key_signature(&self) -> Option<&KeyOverlay>;
    /// For KeyEncryption of the ProfileDevice.
    fn key_encryption(&self) -> Option<&KeyOverlay>;
    /// For KeyAuthentication of the ProfileDevice.
    fn key_authentication(&self) -> Option<&KeyOverlay>;
    /// An online key of the one that the device is to administer.
    fn key_administration(&self) -> Option<&KeyComposite>;
}

assertion! {
    /// What a device gets to act in a personal mesh (schema draft §7.2.21).
    ActivationDevice {
        /// The connection that it goes with.
        #[serde(skip_serializing_if = "Option::is_none")]
        enveloped_assertion_device_connection: Option<Envelope>,
        /// Makes ConnectionDevice.KeySignature.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_signature: Option<KeyOverlay>,
        /// Makes ConnectionDevice.KeyEncryption.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyOverlay>,
        /// Makes ConnectionDevice.KeyAuthentication.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyOverlay>,
        /// An online key of the mesh, for a device that is to administer it.
        // Draft: schema draft §4.1.2.2 has devices administer a mesh and no member that makes them.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_administration: Option<KeyComposite>,
    }
}

assertion! {
    /// What a device gets to act in an account (schema draft §7.2.22).
    ActivationAccount {
        /// UDF of the account.
        #[serde(rename = "AccountUDF", skip_serializing_if = "Option::is_none")]
        account_udf: Option<String>,
        /// The device's part of the account's decryption key; all of it, where no service holds
        /// another part.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_group: Option<KeyComposite>,
        /// Makes ConnectionAccount.KeyEncryption.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyOverlay>,
        /// Makes ConnectionAccount.KeyAuthentication.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyOverlay>,
        /// Makes ConnectionAccount.KeySignature.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_signature: Option<KeyOverlay>,
        /// An online key of the account, for a device that is to administer it.
        // Draft: as in ActivationDevice.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_administration: Option<KeyComposite>,
    }
}

/// A key of which each of several holders has a part (schema draft §7.1.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct KeyComposite {
    /// The whole key's public part, tagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<PublicParameters>,
    /// The holder's part, tagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PrivateParameters>,
    /// The service that holds the other part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Members this revision does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl KeyComposite {
    /// All of `key`: no service holds a part of it.
    ///
    /// # Errors
    /// [`KeyError::NoParameters`] for a key that has no encoding.
    pub fn whole(key: &SecretKey) -> Result<Self, KeyError> {
        Ok(Self {
            public: Some(PublicParameters::of(key.public())),
            part: Some(PrivateParameters::of(key)?),
            ..Self::default()
        })
    }

    /// The key, if all of it is here and its public key is one of `profile_keys`.
    ///
    /// # Errors
    /// [`KeyError::NoParameters`] if a service holds a part; [`KeyError::FingerprintDiffers`]; those
    /// of the seed.
    pub fn whole_key(&self, profile_keys: &[PublicKey]) -> Result<SecretKey, KeyError> {
        let part = self.part.as_ref().filter(|_| self.service.is_none());
        let key = part.ok_or(KeyError::NoParameters)?.secret_key()?;
        if profile_keys.contains(key.public()) {
            Ok(key)
        } else {
            Err(KeyError::FingerprintDiffers {
                claimed: "a key of the profile".into(),
                actual: key.udf(),
            })
        }
    }
}

/// Implements [`Activation`] by the members of the same names.
macro_rules! activates {
    ($name:ident) => {
        impl Activation for $name {
            fn key_signature(&self) -> Option<&KeyOverlay> {
                self.key_signature.as_ref()
            }

            fn key_encryption(&self) -> Option<&KeyOverlay> {
                self.key_encryption.as_ref()
            }

            fn key_authentication(&self) -> Option<&KeyOverlay> {
                self.key_authentication.as_ref()
            }

            fn key_administration(&self) -> Option<&KeyComposite> {
                self.key_administration.as_ref()
            }
        }
    };
}

activates!(ActivationDevice);
activates!(ActivationAccount);
