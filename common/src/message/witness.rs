//! What both users compare when a device is connected directly, and what the answer is called
//! (service §6.1, crypto §8).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crypto::PublicKey;
use crate::crypto::digest::sha512;
use crate::encoding::base32;
use crate::encoding::base64url::Binary;
use crate::entropy::{Entropy, draw};
use crate::udf::{self, Udf};

/// Bits of a witness: 28 characters.
const WITNESS_BITS: usize = 140;

/// The octets that device and service draw for one request: 16, up to 64 are accepted
/// (service §6.2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// Octets of the shortest nonce that is accepted.
    pub const BYTES_MIN: usize = 16;
    /// Octets of the longest.
    pub const BYTES_MAX: usize = 64;

    /// Draws 16 octets.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(draw::<{ Self::BYTES_MIN }>(entropy).to_vec())
    }

    /// Reads a nonce; `None` if its length is not accepted.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        (Self::BYTES_MIN..=Self::BYTES_MAX)
            .contains(&octets.len())
            .then(|| Self(octets.to_vec()))
    }

    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// As a member of a message.
    #[must_use]
    pub fn to_binary(&self) -> Binary {
        Binary(self.0.clone())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Nonce({} octets)", self.0.len())
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_binary().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let octets = Binary::deserialize(deserializer)?;
        Self::from_octets(octets.as_slice())
            .ok_or_else(|| serde::de::Error::custom("a nonce has 16 to 64 octets"))
    }
}

/// What both users compare: 28 characters that depend on both profiles and both nonces, without a
/// type octet (service §6.1). `mesh` and `device` are the KeyOfflineSignatures of the profiles.
#[must_use]
pub fn witness(
    mesh: &PublicKey,
    server_nonce: &[u8],
    device: &PublicKey,
    client_nonce: &[u8],
) -> String {
    witness_of_binaries(
        &mesh.udf_binary(),
        server_nonce,
        &device.udf_binary(),
        client_nonce,
    )
}

/// [`witness`] of 64-octet fingerprints.
pub(super) fn witness_of_binaries(
    mesh: &[u8; 64],
    server_nonce: &[u8],
    device: &[u8; 64],
    client_nonce: &[u8],
) -> String {
    let mesh_side = sha512(&[mesh, server_nonce]);
    let device_side = sha512(&[device, client_nonce]);
    base32::present(&sha512(&[&mesh_side, &device_side]), WITNESS_BITS)
}

/// The ResponseID of March 2020: what our own devices ask by (service §6.1, confirmed).
#[must_use]
pub fn response_id_2020(message_id: &str) -> Udf {
    udf::message_response_id(message_id)
}

/// The ResponseID of later revisions; the service accepts either. `None` if `message_id` is
/// no fingerprint.
#[must_use]
pub fn response_id_later(message_id: &str) -> Option<Udf> {
    derived_id("application/mmm/responseid", message_id)
}

/// The identifier that later revisions give the envelope of a message. `None` if `message_id` is no
/// fingerprint.
#[must_use]
pub fn envelope_id_later(message_id: &str) -> Option<Udf> {
    derived_id("application/mmm/envelopeid", message_id)
}

/// The digest, as `content_type`, of what an identifier presents behind its type octet.
fn derived_id(content_type: &str, id: &str) -> Option<Udf> {
    let octets = Udf::parse(id).ok()?.octets();
    let (_, data) = octets.split_first()?;
    Some(udf::content_digest(content_type, data, udf::BITS_DEFAULT))
}
