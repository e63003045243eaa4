//! Signing envelopes and verifying them (crypto §5). A signature covers the payload octets as they
//! are stored, through their SHA-512 digest, and nothing else: headers are claims (crypto §4.4).

use super::{Envelope, Header, Signature, Trailer};
use crate::crypto::cipher::CipherError;
use crate::crypto::digest::sha512;
use crate::crypto::key::{KeyError, PublicKey, SecretKey, SignatureError};
use crate::encoding::base64url::Binary;
use crate::udf::Udf;

/// Name of SHA-2-512 as we write it (architecture A-10).
pub const DIGEST_NAME: &str = "S512";
/// Names of SHA-2-512 that are read (architecture A-10).
pub const DIGEST_NAMES: [&str; 3] = [DIGEST_NAME, "SHA2", "SHA512"];

/// Why an envelope does not verify or does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// `dig` or `alg` names another digest than SHA-2-512.
    #[error("digest algorithm {name:?} is not read")]
    DigestAlgorithm {
        /// What it names.
        name: String,
    },
    /// `PayloadDigest` is not the digest of the payload.
    #[error("the payload digest is not the payload's")]
    DigestDiffers,
    /// No signature names the key that should have signed.
    #[error("not signed by {kid}")]
    NotSignedBy {
        /// The key.
        kid: Udf,
    },
    /// A signature that is present does not verify (architecture A-11).
    #[error("the signature by {kid} is refused")]
    Signature {
        /// The key.
        kid: Udf,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// `enc` names something else than `A256CBC` (architecture A-10).
    #[error("content encryption {name:?} is not read")]
    Encryption {
        /// What it names.
        name: String,
    },
    /// None of the keys at hand is a recipient's.
    #[error("not encrypted to any of these keys")]
    NoRecipient,
    /// A member that the encryption needs is missing or misshapen.
    #[error("the encrypted envelope has no usable {member}")]
    Member {
        /// The member.
        member: &'static str,
    },
    /// The sender's ephemeral key, or a recipient's key, cannot be used.
    #[error("no agreement with that key")]
    Agreement(#[source] KeyError),
    /// The wrapped master key or the payload does not open.
    #[error("the envelope does not open")]
    Cipher(#[source] CipherError),
    /// The witness does not prove that the signer knew the master key (crypto §5.6).
    #[error("the witness of the signature by {kid} is refused")]
    Witness {
        /// The key.
        kid: Udf,
    },
}

impl Envelope {
    /// `payload` in an envelope signed by all of `signers`; without any it is unsigned.
    #[must_use]
    pub fn signed(payload: impl Into<Vec<u8>>, header: Header, signers: &[&SecretKey]) -> Self {
        let mut envelope = Self {
            header,
            payload: Binary(payload.into()),
            trailer: None,
        };
        for signer in signers {
            envelope.add_signature(signer);
        }
        envelope
    }

    /// Signs the payload as it is, in addition to the signatures that are there.
    pub fn add_signature(&mut self, signer: &SecretKey) {
        self.append_signature(signer, |_| None);
    }

    /// Checks that `key` signed this payload. Every signature that names the key must verify, and
    /// there must be one; signatures that name other keys are not looked at (crypto §5.3).
    ///
    /// # Errors
    /// Those of [`Self::check_digest`]; [`EnvelopeError::NotSignedBy`];
    /// [`EnvelopeError::DigestAlgorithm`]; [`EnvelopeError::Signature`].
    pub fn verify_by(&self, key: &PublicKey) -> Result<(), EnvelopeError> {
        let digest = self.check_digest()?;
        let kid = key.udf();
        let mut is_signed = false;
        for signature in self.signatures().iter().filter(|one| one.names(&kid)) {
            check_digest_name(signature.dig.as_deref())?;
            check_digest_name(signature.alg.as_deref())?;
            let value = signature
                .signature
                .as_ref()
                .map_or(&[][..], |value| &value.0);
            key.verify(&digest, value)
                .map_err(|source| EnvelopeError::Signature {
                    kid: kid.clone(),
                    source,
                })?;
            is_signed = true;
        }
        if is_signed {
            Ok(())
        } else {
            Err(EnvelopeError::NotSignedBy { kid })
        }
    }

    /// The SHA-512 digest of the payload, compared with `PayloadDigest` where that is present.
    ///
    /// # Errors
    /// [`EnvelopeError::DigestAlgorithm`] if `dig` names another; [`EnvelopeError::DigestDiffers`].
    pub fn check_digest(&self) -> Result<[u8; 64], EnvelopeError> {
        check_digest_name(self.header.dig.as_deref())?;
        let digest = sha512(&[&self.payload.0]);
        match self.payload_digest() {
            Some(claimed) if claimed.as_slice() != digest => Err(EnvelopeError::DigestDiffers),
            _ => Ok(digest),
        }
    }

    /// Whether there is any signature. It may not verify.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !self.signatures().is_empty()
    }

    /// Signs; `witness` makes the witness of the signature's octets, where one belongs.
    pub(super) fn append_signature(
        &mut self,
        signer: &SecretKey,
        witness: impl FnOnce(&[u8]) -> Option<Binary>,
    ) {
        let digest = sha512(&[&self.payload.0]);
        self.header.dig = Some(DIGEST_NAME.to_owned());
        let value = signer.sign(&digest);
        let trailer = self.trailer.get_or_insert_with(Trailer::default);
        // Where signatures stood in the header, they stay together with the new one.
        if trailer.signatures.is_empty() {
            trailer.signatures.append(&mut self.header.signatures);
        }
        trailer.signatures.push(Signature {
            alg: Some(DIGEST_NAME.to_owned()),
            kid: Some(signer.udf().to_string()),
            witness: witness(&value),
            signature: Some(Binary(value)),
            ..Signature::default()
        });
        trailer.payload_digest = Some(Binary::from(digest));
    }
}

impl Signature {
    /// Whether `kid` is this key's fingerprint, compared whole (decision Q-18).
    #[must_use]
    pub fn names(&self, kid: &Udf) -> bool {
        self.kid
            .as_deref()
            .is_some_and(|named| Udf::parse(named).is_ok_and(|named| named == *kid))
    }
}

fn check_digest_name(name: Option<&str>) -> Result<(), EnvelopeError> {
    match name {
        Some(name) if !DIGEST_NAMES.contains(&name) => Err(EnvelopeError::DigestAlgorithm {
            name: name.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::json;
    use crate::entropy::SeededEntropy;

    fn key(seed: u64) -> SecretKey {
        SecretKey::generate(&mut SeededEntropy::new(seed))
    }

    fn signed(signers: &[&SecretKey]) -> Envelope {
        Envelope::signed(*b"payload", Header::default(), signers)
    }

    #[test]
    fn each_signer_is_found_and_nobody_else() {
        let (alice, bob, mallet) = (key(1), key(2), key(3));
        let text = json::write(&signed(&[&alice, &bob]));
        let envelope: Envelope = json::parse(&text).unwrap();
        assert_eq!(envelope.header.dig.as_deref(), Some("S512"));
        assert_eq!(envelope.signatures()[0].alg.as_deref(), Some("S512"));
        assert_eq!(envelope.verify_by(alice.public()), Ok(()));
        assert_eq!(envelope.verify_by(bob.public()), Ok(()));
        assert_eq!(
            envelope.verify_by(mallet.public()),
            Err(EnvelopeError::NotSignedBy { kid: mallet.udf() })
        );
        assert!(!signed(&[]).is_signed());
        assert!(signed(&[]).trailer.is_none());
    }

    #[test]
    fn a_changed_payload_is_refused_with_and_without_its_digest() {
        let alice = key(1);
        let mut envelope = signed(&[&alice]);
        envelope.payload.0[0] ^= 1;
        assert_eq!(
            envelope.verify_by(alice.public()),
            Err(EnvelopeError::DigestDiffers)
        );
        envelope.trailer.as_mut().unwrap().payload_digest = None;
        assert!(matches!(
            envelope.verify_by(alice.public()),
            Err(EnvelopeError::Signature { .. })
        ));
    }

    #[test]
    fn digests_are_read_by_three_names() {
        let alice = key(1);
        let mut envelope = signed(&[&alice]);
        for (name, accepted) in [
            ("S512", true),
            ("SHA2", true),
            ("SHA512", true),
            ("S256", false),
        ] {
            envelope.header.dig = Some(name.to_owned());
            assert_eq!(
                envelope.verify_by(alice.public()).is_ok(),
                accepted,
                "{name}"
            );
        }
        envelope.header.dig = None;
        assert_eq!(envelope.verify_by(alice.public()), Ok(()));
        envelope.trailer.as_mut().unwrap().signatures[0].alg = Some("SHA3".to_owned());
        assert_eq!(
            envelope.verify_by(alice.public()),
            Err(EnvelopeError::DigestAlgorithm {
                name: "SHA3".to_owned()
            })
        );
    }

    #[test]
    fn every_signature_in_the_name_of_a_key_must_be_by_it() {
        let (alice, mallet) = (key(1), key(2));
        let mut envelope = signed(&[&alice, &mallet]);
        let signatures = &mut envelope.trailer.as_mut().unwrap().signatures;
        signatures[1].kid = Some(alice.udf().to_string());
        assert!(matches!(
            envelope.verify_by(alice.public()),
            Err(EnvelopeError::Signature { .. })
        ));
        envelope.trailer.as_mut().unwrap().signatures[0].kid = None;
        assert!(
            envelope.verify_by(mallet.public()).is_err(),
            "no kid, no claim"
        );
    }

    #[test]
    fn signatures_of_the_header_stay_when_one_is_added() {
        let (alice, bob) = (key(1), key(2));
        let mut envelope = signed(&[&alice]);
        let trailer = envelope.trailer.take().unwrap();
        envelope.header.signatures = trailer.signatures;
        assert_eq!(envelope.verify_by(alice.public()), Ok(()));
        envelope.add_signature(&bob);
        assert_eq!(envelope.verify_by(alice.public()), Ok(()));
        assert_eq!(envelope.verify_by(bob.public()), Ok(()));
    }
}
