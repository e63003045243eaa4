//! Activations: the overlays from which a device makes the keys of its connection (schema draft
//! §7.2.19 to §7.2.22, crypto §7). Encrypted to the device; a service never sees inside.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Assertion, assertion};
use crate::crypto::KeyOverlay;
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
    }
}

assertion! {
    /// What a device gets to act in an account (schema draft §7.2.22).
    ActivationAccount {
        /// UDF of the account.
        #[serde(rename = "AccountUDF", skip_serializing_if = "Option::is_none")]
        account_udf: Option<String>,
        /// The device's part of the account's decryption key.
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
    }
}

/// A key of which each of several holders has a part (schema draft §7.1.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct KeyComposite {
    /// The whole key's public part, tagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<Value>,
    /// The holder's part, tagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Value>,
    /// The service that holds the other part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Members this revision does not know.
    #[serde(flatten)]
    pub extra: Extra,
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
        }
    };
}

activates!(ActivationDevice);
activates!(ActivationAccount);
