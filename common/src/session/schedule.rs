//! The key schedule of `mmm-kx-1`, the same for both ends (service §4.2).
//!
//! ```text
//!  exchange   es, ss ─▶ PRK1 ─▶ request key       es, ss, ee, se ─▶ PRK2 ─▶ response key, SK
//!  ticket     SK, Salt ─▶ request key             SK, Salt ‖ R ─▶ response key
//! ```

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::PublicKey;
use crate::crypto::cipher::{CipherError, gcm_open, gcm_seal};
use crate::crypto::derive::{Expander, hkdf512_extract};
use crate::crypto::digest::sha512;

/// Octets of the salt of a ticket request and of its response.
pub const SALT_BYTES: usize = 32;
/// Octets of the session secret.
pub const SECRET_BYTES: usize = 64;

/// One direction of one message: a key and the one nonce it is used with.
pub struct CipherKey {
    key: Zeroizing<[u8; 32]>,
    nonce: Zeroizing<[u8; 12]>,
}

impl CipherKey {
    /// The key from client to server that follows from `prk`.
    #[must_use]
    pub fn to_server(prk: &Expander) -> Self {
        Self {
            key: prk.expand(b"ClientToServerEncrypt"),
            nonce: prk.expand(b"ClientToServerNonce"),
        }
    }

    /// The key from server to client that follows from `prk`.
    #[must_use]
    pub fn to_client(prk: &Expander) -> Self {
        Self {
            key: prk.expand(b"ServerToClientEncrypt"),
            nonce: prk.expand(b"ServerToClientNonce"),
        }
    }

    /// The key's octets, for tests against vectors.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The nonce's octets, for tests against vectors.
    #[must_use]
    pub fn nonce(&self) -> &[u8; 12] {
        &self.nonce
    }

    /// Cipher text and tag of `text` under the session octets `aad`. Consumes the key: its nonce is
    /// good for one message.
    #[must_use]
    pub fn seal(self, aad: &[u8], text: &[u8]) -> Vec<u8> {
        gcm_seal(&self.key, &self.nonce, aad, text)
    }

    /// The text of `sealed`.
    ///
    /// # Errors
    /// It was not sealed under this key and these session octets.
    pub fn open(self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CipherError> {
        gcm_open(&self.key, &self.nonce, aad, sealed)
    }
}

impl fmt::Debug for CipherKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CipherKey(…)")
    }
}

/// SK: what a ticket seals and later requests are derived from.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl SessionSecret {
    /// Takes the octets of a secret from a ticket or a client's store.
    #[must_use]
    pub const fn from_octets(octets: Zeroizing<[u8; SECRET_BYTES]>) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub fn reveal(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The key of a ticket request with the salt `salt`.
    #[must_use]
    pub fn request_key(&self, salt: &[u8; SALT_BYTES]) -> CipherKey {
        CipherKey::to_server(&Expander::extract(salt, self.0.as_slice()))
    }

    /// The key of the response with the salt `answer_salt`.
    #[must_use]
    pub fn response_key(
        &self,
        salt: &[u8; SALT_BYTES],
        answer_salt: &[u8; SALT_BYTES],
    ) -> CipherKey {
        let mut both = [0; 2 * SALT_BYTES];
        both[..SALT_BYTES].copy_from_slice(salt);
        both[SALT_BYTES..].copy_from_slice(answer_salt);
        CipherKey::to_client(&Expander::extract(&both, self.0.as_slice()))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionSecret(…)")
    }
}

/// What both ends know once the request of an exchange is made or opened.
pub struct Handshake {
    transcript: [u8; 64],
    /// es ‖ ss.
    agreed: Zeroizing<Vec<u8>>,
}

impl Handshake {
    /// Begins the schedule with the keys S_h, S_c and E_c and the agreements es and ss.
    #[must_use]
    pub fn new(
        host: &PublicKey,
        client: &PublicKey,
        ephemeral: &PublicKey,
        es: &[u8],
        ss: &[u8],
    ) -> Self {
        let transcript = sha512(&[
            b"mmm-kx-1 request",
            host.octets(),
            client.octets(),
            ephemeral.octets(),
        ]);
        let mut agreed = Zeroizing::new(Vec::with_capacity(4 * es.len()));
        agreed.extend_from_slice(es);
        agreed.extend_from_slice(ss);
        Self { transcript, agreed }
    }

    /// T1.
    #[must_use]
    pub const fn transcript(&self) -> &[u8; 64] {
        &self.transcript
    }

    /// PRK1.
    #[must_use]
    pub fn request_prk(&self) -> Zeroizing<[u8; 64]> {
        hkdf512_extract(&self.transcript, &self.agreed)
    }

    /// The key of the request.
    #[must_use]
    pub fn request_key(&self) -> CipherKey {
        CipherKey::to_server(&Expander::of(&self.request_prk()))
    }

    /// PRK2, with E_h and the agreements ee and se.
    #[must_use]
    pub fn response_prk(
        &self,
        host_ephemeral: &PublicKey,
        ee: &[u8],
        se: &[u8],
    ) -> Zeroizing<[u8; 64]> {
        let transcript = sha512(&[
            b"mmm-kx-1 response",
            &self.transcript,
            host_ephemeral.octets(),
        ]);
        let mut agreed = Zeroizing::new(Vec::with_capacity(2 * self.agreed.len()));
        agreed.extend_from_slice(&self.agreed);
        agreed.extend_from_slice(ee);
        agreed.extend_from_slice(se);
        hkdf512_extract(&transcript, &agreed)
    }

    /// The key of the response, and SK.
    #[must_use]
    pub fn response_keys(
        &self,
        host_ephemeral: &PublicKey,
        ee: &[u8],
        se: &[u8],
    ) -> (CipherKey, SessionSecret) {
        let prk = self.response_prk(host_ephemeral, ee, se);
        let prk = Expander::of(&prk);
        let secret = prk.expand(b"mmm-kx-1 session");
        (CipherKey::to_client(&prk), SessionSecret(secret))
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handshake(…)")
    }
}

/// What a Proof signs: possession of the mesh in this very exchange (decision Q-10).
/// `service_id` is the canonical address.
#[must_use]
pub fn creation_digest(transcript: &[u8; 64], service_id: &str) -> [u8; 64] {
    sha512(&[b"mmm-kx-1 create", transcript, service_id.as_bytes()])
}
