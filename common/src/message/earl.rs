//! Connecting a device by what is printed on it: an EARL names a place and carries the key of what
//! is published there (service §6.5, X-44, decision Q-49, crypto §2.8).
//!
//! ```text
//!  udf://maker.example/EA…   ─key─▶ content identifier   what the publication is asked for by
//!                            ─────▶ master key           what it is encrypted under
//!                            ─────▶ PIN                  what request and answer are proved with
//! ```

use zeroize::Zeroizing;

use super::Pin;
use crate::crypto::derive::hkdf512;
use crate::dare::encrypt::{MasterKey, SALT_BYTES};
use crate::dare::{Envelope, EnvelopeError, Header};
use crate::encoding::base32;
use crate::encoding::json;
use crate::entropy::{Entropy, draw};
use crate::udf::Udf;
use crate::udf::name::{NameError, UdfUri};
use crate::udf::nonce::{TYPE_ENCRYPTION, encryption_key};

/// Octets that stand for the ServerNonce in the Witness of an answer to a published request
/// (decision Q-49).
pub const EARL_SERVER_NONCE: [u8; 16] = [0; 16];

/// Bits of the shortest key that is used, its type octet included.
const KEY_BITS_MIN: usize = 8 + 80;

/// The key of a publication and the domain where it is. The key is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Earl {
    domain: String,
    key: Zeroizing<String>,
}

/// A text that is no EARL, or a publication that is not the one it names.
#[derive(Debug, thiserror::Error)]
pub enum EarlError {
    /// Not a URI that carries a fingerprint.
    #[error("not a udf:// URI")]
    Uri(#[source] NameError),
    /// The fingerprint is no encryption key, or a very short one.
    #[error("the udf:// URI carries no encryption key")]
    Key,
    /// There is no domain to ask.
    #[error("the udf:// URI names no domain")]
    Domain,
    /// The publication does not open.
    #[error("what is published does not open under this key")]
    Closed(#[source] EnvelopeError),
    /// The publication is no envelope.
    #[error("what is published is no envelope")]
    Unreadable,
}

impl Earl {
    /// Draws a key for a publication at `domain`.
    pub fn draw(domain: &str, entropy: &mut dyn Entropy) -> Self {
        Self {
            domain: domain.to_owned(),
            key: Zeroizing::new(encryption_key(entropy).to_string()),
        }
    }

    /// Reads the URI that was printed or scanned.
    ///
    /// # Errors
    /// [`EarlError::Uri`], [`EarlError::Key`], [`EarlError::Domain`].
    pub fn parse(text: &str) -> Result<Self, EarlError> {
        let uri: UdfUri = text.trim().parse().map_err(EarlError::Uri)?;
        let letters = uri.udf.as_str().bytes().filter(|octet| *octet != b'-');
        if uri.udf.type_octet() != TYPE_ENCRYPTION || letters.count() * 5 < KEY_BITS_MIN {
            return Err(EarlError::Key);
        }
        Ok(Self {
            domain: uri.domain.ok_or(EarlError::Domain)?,
            key: Zeroizing::new(uri.udf.to_string()),
        })
    }

    /// Where the publication is.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The URI, for who is to scan or type it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("udf://{}/{}", self.domain, *self.key))
    }

    /// What the publication is asked for by; it tells nothing about the key.
    #[must_use]
    pub fn content_id(&self) -> Udf {
        Udf::of_encryption_key(&self.udf())
    }

    /// The key as a PIN: proves request and answer (service §6.5 step 5).
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin::parse(&self.key).expect("a key is longer than the shortest PIN")
    }

    /// `content` as it is published: an envelope encrypted under the key.
    pub fn seal(&self, content: &Envelope, entropy: &mut dyn Entropy) -> Envelope {
        let salt: [u8; SALT_BYTES] = draw(entropy);
        let plaintext = json::write(content);
        Envelope::encrypted_under(&plaintext, Header::default(), &self.master_key(), salt)
    }

    /// What was published.
    ///
    /// # Errors
    /// [`EarlError::Closed`], [`EarlError::Unreadable`].
    pub fn open(&self, publication: &Envelope) -> Result<Envelope, EarlError> {
        if !publication.header.is_encrypted() {
            return Err(EarlError::Unreadable);
        }
        let plaintext = publication
            .decrypt_under(&self.master_key())
            .map_err(EarlError::Closed)?;
        json::parse(&plaintext).map_err(|_| EarlError::Unreadable)
    }

    fn udf(&self) -> Udf {
        Udf::parse(&self.key).expect("a key was a fingerprint when it was read")
    }

    fn master_key(&self) -> MasterKey {
        let secret = Zeroizing::new(base32::read(&self.key));
        let octets: Zeroizing<[u8; 32]> = hkdf512(&secret, b"mmm-earl-1", b"master");
        MasterKey::from_octets(*octets)
    }
}

impl std::fmt::Debug for Earl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Earl({}, …)", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn what_is_published_opens_by_what_is_printed_and_by_nothing_else() {
        let entropy = &mut SeededEntropy::new(1);
        let earl = Earl::draw("maker.example", entropy);
        let content = Envelope::plain(*b"a request");
        let publication = earl.seal(&content, entropy);
        let printed = earl.reveal();
        assert!(printed.starts_with("udf://maker.example/E"), "{}", *printed);
        let scanned = Earl::parse(&printed).unwrap();
        assert_eq!(scanned.content_id(), earl.content_id());
        assert_eq!(scanned.open(&publication).unwrap(), content);
        let other = Earl::draw("maker.example", entropy);
        assert_ne!(other.content_id(), earl.content_id());
        assert!(other.open(&publication).is_err());
        assert!(earl.open(&content).is_err(), "plaintext is not believed");
        assert_eq!(format!("{earl:?}"), "Earl(maker.example, …)");
    }

    #[test]
    fn only_a_uri_with_a_domain_and_a_key_is_an_earl() {
        let key = encryption_key(&mut SeededEntropy::new(1));
        let nonce = crate::udf::nonce(&mut SeededEntropy::new(1));
        assert!(Earl::parse(&format!("udf://maker.example/{key}")).is_ok());
        for text in [
            format!("udf:{key}"),
            format!("udf://maker.example/{nonce}"),
            "udf://maker.example/EAAA-AAAA".to_owned(),
            key.to_string(),
        ] {
            assert!(Earl::parse(&text).is_err(), "{text}");
        }
    }
}
