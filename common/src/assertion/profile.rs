//! Profiles: who someone is, signed by the one it describes (schema draft §7.2.3 to §7.2.10).
//!
//! The UDF of a profile is the fingerprint of its KeyOfflineSignature, which never changes
//! (crypto §2.4).

use super::{Assertion, AssertionError, assertion};
use crate::crypto::{KeyData, PublicKey};

/// What every profile has: the key that is its identity and the keys used in its place.
pub trait Profile: Assertion {
    /// `KeyOfflineSignature`.
    fn key_offline_signature(&self) -> Option<&KeyData>;

    /// `KeysOnlineSignature`.
    fn keys_online_signature(&self) -> &[KeyData];

    /// Keys for other uses, with the names of their members.
    fn other_keys(&self) -> Vec<(&'static str, &KeyData)>;
}

/// Adds the members of Profile (schema draft §7.2.4) before a profile's own, and implements
/// [`Profile`].
macro_rules! profile {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* } keys($this:ident) $keys:expr) => {
        assertion! {
            $(#[$doc])*
            $name {
                /// The key that signs the profile; its UDF is the profile's.
                #[serde(skip_serializing_if = "Option::is_none")]
                key_offline_signature: Option<KeyData>,
                /// Keys that sign for the profile's owner day by day.
                #[serde(skip_serializing_if = "Vec::is_empty")]
                keys_online_signature: Vec<KeyData>,
                $($(#[$meta])* $field: $type,)*
            }
        }

        impl Profile for $name {
            fn key_offline_signature(&self) -> Option<&KeyData> {
                self.key_offline_signature.as_ref()
            }

            fn keys_online_signature(&self) -> &[KeyData] {
                &self.keys_online_signature
            }

            fn other_keys(&self) -> Vec<(&'static str, &KeyData)> {
                let $this = self;
                $keys
            }
        }
    };
}

/// `member` with its name, if there is one.
fn named<'a>(
    name: &'static str,
    member: &'a Option<KeyData>,
) -> impl Iterator<Item = (&'static str, &'a KeyData)> {
    member.iter().map(move |key| (name, key))
}

profile! {
    /// A personal mesh: what a person's devices and accounts belong to (schema draft §7.2.5).
    ProfileMesh {
        /// Keys under which private keys are escrowed.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        keys_master_escrow: Vec<KeyData>,
        /// Key that data for the mesh is encrypted to.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyData>,
    }
    keys(profile) profile
        .keys_master_escrow
        .iter()
        .map(|key| ("KeysMasterEscrow", key))
        .chain(named("KeyEncryption", &profile.key_encryption))
        .collect()
}

profile! {
    /// A device, as it was made (schema draft §7.2.6).
    ProfileDevice {
        /// What its owner calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Key that data for the device is encrypted to.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyData>,
        /// Key that the device authenticates with before it is connected.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyData>,
    }
    keys(profile) named("KeyEncryption", &profile.key_encryption)
        .chain(named("KeyAuthentication", &profile.key_authentication))
        .collect()
}

profile! {
    /// A Mesh service (schema draft §7.2.7).
    ProfileService {
        /// Key that all its hosts authenticate with (service §9.1).
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyData>,
    }
    keys(profile) named("KeyAuthentication", &profile.key_authentication).collect()
}

profile! {
    /// An account of a mesh (schema draft §7.2.8).
    ProfileAccount {
        /// Addresses at which services serve it.
        #[serde(rename = "ServiceIDs", skip_serializing_if = "Vec::is_empty")]
        service_ids: Vec<String>,
        /// UDF of the ProfileMesh it belongs to.
        #[serde(rename = "MeshProfileUDF", skip_serializing_if = "Option::is_none")]
        mesh_profile_udf: Option<String>,
        /// Key that data for the account is encrypted to.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_encryption: Option<KeyData>,
    }
    keys(profile) named("KeyEncryption", &profile.key_encryption).collect()
}

profile! {
    /// A group of accounts (schema draft §7.2.9); carried, not interpreted (decision Q-40).
    ProfileGroup {}
    keys(_profile) Vec::new()
}

profile! {
    /// One host of a service (schema draft §7.2.10).
    ProfileHost {
        /// Key that clients use where the service's profile has none (service §9.1).
        #[serde(skip_serializing_if = "Option::is_none")]
        key_authentication: Option<KeyData>,
    }
    keys(profile) named("KeyAuthentication", &profile.key_authentication).collect()
}

/// The key in `member` of a structure with the tag `tag`, its fingerprint recomputed.
///
/// # Errors
/// [`AssertionError::Missing`] or [`AssertionError::Key`].
pub(super) fn key_of(
    tag: &'static str,
    name: &'static str,
    member: Option<&KeyData>,
) -> Result<PublicKey, AssertionError> {
    member
        .ok_or(AssertionError::Missing { tag, member: name })?
        .public_key()
        .map_err(|source| AssertionError::Key {
            tag,
            member: name,
            source,
        })
}

/// Gives a structure with `key_authentication` and `key_encryption` members access to the keys.
macro_rules! key_access {
    ($name:ident: $($function:ident = $member:literal from $field:ident),+) => {
        impl $name {
            $(
                #[doc = concat!("The key in `", $member, "`, its fingerprint recomputed.")]
                ///
                /// # Errors
                /// There is none, or it is no usable key.
                pub fn $function(&self) -> Result<PublicKey, AssertionError> {
                    super::profile::key_of(
                        <Self as Assertion>::TAG,
                        $member,
                        self.$field.as_ref(),
                    )
                }
            )+
        }
    };
}
pub(super) use key_access;

key_access!(ProfileMesh: encryption_key = "KeyEncryption" from key_encryption);
key_access!(ProfileDevice:
    encryption_key = "KeyEncryption" from key_encryption,
    authentication_key = "KeyAuthentication" from key_authentication);
key_access!(ProfileService: authentication_key = "KeyAuthentication" from key_authentication);
key_access!(ProfileAccount: encryption_key = "KeyEncryption" from key_encryption);
key_access!(ProfileHost: authentication_key = "KeyAuthentication" from key_authentication);
