//! Signed statements: profiles say who someone is, connections who belongs to whom, activations what
//! a device was given (schema draft §7.2 and §7.4.2).
//!
//! ```text
//!  ProfileMesh ──signs──▶ ConnectionDevice ──▶ CatalogedDevice ◀── ConnectionAccount ◀──signs── ProfileAccount
//!      └─ UDF = fingerprint of its KeyOfflineSignature              (an AccountEntry per account)
//! ```
//!
//! What was received is a bare structure; what has been checked is a [`Signed`] one. There is one
//! function per kind that makes the second from the first, and they all stand in [`verify`].
//! [`make`] is the other direction: a person's or an operator's keys become signed envelopes.

mod activate;
mod activation;
mod connection;
mod device_entry;
mod error;
pub mod make;
pub(crate) mod permission;
mod profile;
pub mod reissue;
pub mod verify;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, MapAccess};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dare::Envelope;
use crate::encoding::json;

pub use crate::catalog::entry::Permission;
pub use activate::{ActivatedKeys, activate_account, activate_device};
pub use activation::{Activation, ActivationAccount, ActivationDevice, KeyComposite};
pub use connection::{
    Connection, ConnectionAccount, ConnectionApplication, ConnectionDevice, ConnectionHost,
    ConnectionService,
};
pub use device_entry::{AccountEntry, CATALOG_DEVICE, CatalogedDevice};
pub use error::AssertionError;
pub use permission::{grants, is_administrator, names_tag};
pub use profile::{
    Profile, ProfileAccount, ProfileDevice, ProfileGroup, ProfileHost, ProfileMesh, ProfileService,
};
pub use verify::{Authorities, Authority, Signed};

/// A structure that travels alone under its tag: `{"ProfileMesh":{…}}` (crypto §1.2).
pub trait Assertion: Serialize + DeserializeOwned {
    /// The tag: the name of the structure.
    const TAG: &'static str;

    /// Reads the tagged object.
    ///
    /// # Errors
    /// [`AssertionError::Unreadable`]: another tag, a second member, or no such structure.
    fn from_json(octets: &[u8]) -> Result<Self, AssertionError> {
        json::parse::<Tagged<Self>>(octets)
            .map(|tagged| tagged.0)
            .map_err(|source| AssertionError::Unreadable {
                tag: Self::TAG,
                source,
            })
    }

    /// Writes the tagged object.
    fn to_json(&self) -> Vec<u8> {
        json::write(&TaggedRef(self))
    }

    /// Reads the tagged object in an envelope, without checking any signature.
    ///
    /// # Errors
    /// [`AssertionError::Encrypted`] and [`AssertionError::Unreadable`].
    fn from_envelope(envelope: &Envelope) -> Result<Self, AssertionError> {
        if envelope.header.is_encrypted() {
            return Err(AssertionError::Encrypted { tag: Self::TAG });
        }
        Self::from_json(envelope.payload.as_slice())
    }
}

/// `{"Tag":value}` for reading.
struct Tagged<T>(T);

/// `{"Tag":value}` for writing.
struct TaggedRef<'a, T>(&'a T);

impl<T: Assertion> Serialize for TaggedRef<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(T::TAG, self.0)?;
        map.end()
    }
}

impl<'de, T: Assertion> Deserialize<'de> for Tagged<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Assertion> de::Visitor<'de> for Visitor<T> {
            type Value = Tagged<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "an object with the one member {:?}", T::TAG)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tagged<T>, A::Error> {
                match map.next_key::<String>()? {
                    Some(tag) if tag == T::TAG => {}
                    Some(tag) => {
                        return Err(de::Error::invalid_value(de::Unexpected::Str(&tag), &self));
                    }
                    None => return Err(de::Error::invalid_length(0, &self)),
                }
                let value = map.next_value()?;
                match map.next_key::<de::IgnoredAny>()? {
                    None => Ok(Tagged(value)),
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                }
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// Declares an assertion: the members every assertion has first (schema draft §7.2.1), then its own,
/// then whatever this revision does not know.
macro_rules! assertion {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name {
            /// Fingerprints of index terms under which the assertion can be found.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub names: Vec<String>,
            /// When the assertion was last changed; decides which of two is the newer
            /// (decisions Q-31, Q-52, Q-58).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub updated: Option<crate::time::Timestamp>,
            /// Proof that it was signed after the token was made; carried, not interpreted.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub notary_token: Option<String>,
            $($(#[$meta])* pub $field: $type,)*
            /// Members this revision does not know.
            #[serde(flatten)]
            pub extra: crate::dare::header::Extra,
        }

        impl crate::assertion::Assertion for $name {
            const TAG: &'static str = stringify!($name);
        }
    };
}
use assertion;

#[cfg(test)]
mod tests;
