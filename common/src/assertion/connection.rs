//! Connections: that a device belongs to a mesh or an account, signed by it (schema draft §7.2.11
//! to §7.2.18).

use super::profile::key_access;
use super::{Assertion, AssertionError, Permission, assertion};
use crate::crypto::{KeyData, PublicKey};

/// What the connection of a device has in common, whether to a mesh or to an account.
pub trait Connection: Assertion {
    /// UDF of the one connected.
    fn subject_udf(&self) -> Option<&str>;
    /// UDF of the profile whose key signed.
    fn authority_udf(&self) -> Option<&str>;
    /// Addresses of the account; empty in a connection to a mesh.
    fn service_ids(&self) -> &[String];
    /// What the device may do.
    fn permissions(&self) -> &[Permission];
    /// The device's key to sign with.
    fn key_signature(&self) -> Option<&KeyData>;
    /// The device's key to authenticate with.
    fn key_authentication(&self) -> Option<&KeyData>;
    /// The device's key that data for it is encrypted to.
    fn key_encryption(&self) -> Option<&KeyData>;
}

/// Adds the members of Connection (schema draft §7.2.12) before a connection's own.
macro_rules! connection {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        assertion! {
            $(#[$doc])*
            $name {
                /// UDF of the connection's own KeySignature (decision Q-42).
                #[serde(rename = "SubjectUDF", skip_serializing_if = "Option::is_none")]
                subject_udf: Option<String>,
                /// UDF of the profile whose key signed (decision Q-42).
                #[serde(rename = "AuthorityUDF", skip_serializing_if = "Option::is_none")]
                authority_udf: Option<String>,
                $($(#[$meta])* $field: $type,)*
            }
        }
    };
}

connection! {
    /// A device's place in a personal mesh (schema draft §7.2.14).
    ConnectionDevice {
        /// What the device may do.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        permissions: Vec<Permission>,
        /// The device's key to sign with.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_signature: Option<KeyData>,
        /// The device's key that data for it is encrypted to.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyData>,
        /// The device's key to authenticate with.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyData>,
    }
}

connection! {
    /// A device's place in an account (schema draft §7.2.15).
    ConnectionAccount {
        /// Addresses of the account.
        #[serde(rename = "ServiceID", skip_serializing_if = "Vec::is_empty")]
        service_id: Vec<String>,
        /// What the device may do.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        permissions: Vec<Permission>,
        /// The device's key to sign with.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_signature: Option<KeyData>,
        /// The device's key that data for it is encrypted to.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyData>,
        /// The device's key to authenticate with.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyData>,
    }
}

connection! {
    /// A service's place under another (schema draft §7.2.16); carried, not interpreted.
    ConnectionService {}
}

connection! {
    /// A host's place in a service (schema draft §7.2.17). Not sent: the countersignature of the
    /// ProfileHost says the same.
    ConnectionHost {}
}

connection! {
    /// An application's place (schema draft §7.2.18); carried, not interpreted.
    ConnectionApplication {}
}

/// Implements [`Connection`] by the members of the same names.
macro_rules! connects {
    ($name:ident, $this:ident => $service_ids:expr) => {
        impl Connection for $name {
            fn subject_udf(&self) -> Option<&str> {
                self.subject_udf.as_deref()
            }

            fn authority_udf(&self) -> Option<&str> {
                self.authority_udf.as_deref()
            }

            fn service_ids(&self) -> &[String] {
                let $this = self;
                $service_ids
            }

            fn permissions(&self) -> &[Permission] {
                &self.permissions
            }

            fn key_signature(&self) -> Option<&KeyData> {
                self.key_signature.as_ref()
            }

            fn key_authentication(&self) -> Option<&KeyData> {
                self.key_authentication.as_ref()
            }

            fn key_encryption(&self) -> Option<&KeyData> {
                self.key_encryption.as_ref()
            }
        }
    };
}

connects!(ConnectionDevice, _connection => &[]);
connects!(ConnectionAccount, connection => &connection.service_id);

key_access!(ConnectionDevice:
    signature_key = "KeySignature" from key_signature,
    encryption_key = "KeyEncryption" from key_encryption,
    authentication_key = "KeyAuthentication" from key_authentication);
key_access!(ConnectionAccount:
    signature_key = "KeySignature" from key_signature,
    encryption_key = "KeyEncryption" from key_encryption,
    authentication_key = "KeyAuthentication" from key_authentication);
