//! Encrypting envelopes and opening them (crypto §6): one master key per envelope, wrapped for
//! each recipient under an agreement with a fresh ephemeral key; content under keys derived from
//! master key and salt. Only `A256CBC` is read and written (architecture A-10).

use std::fmt;

use zeroize::Zeroizing;

use super::sign::EnvelopeError;
use super::{Envelope, Header, Recipient};
use crate::crypto::cipher::{cbc_decrypt, cbc_encrypt, key_unwrap, key_wrap};
use crate::crypto::derive::{hkdf256, hkdf512};
use crate::crypto::key::{Curve, KeyError, PublicKey, PublicParameters, SecretKey};
use crate::encoding::base64url::Binary;
use crate::entropy::{Entropy, draw};
use crate::udf::Udf;

/// The one content encryption of stored envelopes (architecture A-10).
pub const ENCRYPTION_NAME: &str = "A256CBC";
/// Octets of a salt (crypto §10).
pub const SALT_BYTES: usize = 16;
/// The `wmk` of October 2019, when the encryption was left unset: a key of no octets, wrapped. It
/// stands with `enc` `none` only and opens nothing (crypto §6.4).
pub const WRAPPED_NOTHING: [u8; 8] = [0xa6; 8];

/// What encrypts the payload and annotations of one envelope, or of a run of container frames.
/// Wiped when dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Key and initialization vector of one content.
pub(super) struct ContentKeys {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) iv: Zeroizing<[u8; 16]>,
}

impl MasterKey {
    /// A fresh master key.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Zeroizing::new(draw(entropy)))
    }

    /// The master key with these octets.
    #[must_use]
    pub fn from_octets(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// Wraps this key for the owner of `recipient`, with an ephemeral key of its own (crypto §6.2).
    ///
    /// # Errors
    /// [`EnvelopeError::Agreement`] for keys that do not agree (X448, points outside the subgroup).
    pub fn wrapped_for(
        &self,
        recipient: &PublicKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Recipient, EnvelopeError> {
        let ephemeral = ephemeral(recipient.curve(), entropy).map_err(EnvelopeError::Agreement)?;
        self.wrapped_with(recipient, &ephemeral)
    }

    /// Wraps this key for the owner of `recipient` with a given ephemeral key, which must be used
    /// for this once only.
    ///
    /// # Errors
    /// [`EnvelopeError::Agreement`].
    pub fn wrapped_with(
        &self,
        recipient: &PublicKey,
        ephemeral: &SecretKey,
    ) -> Result<Recipient, EnvelopeError> {
        let kek = wrapping_key(ephemeral, recipient)?;
        let epk = serde_json::to_value(PublicParameters::of(ephemeral.public()))
            .expect("key parameters have text keys and always serialize");
        Ok(Recipient {
            kid: Some(recipient.udf().to_string()),
            epk: Some(epk),
            wmk: Some(Binary(key_wrap(&kek, &self.0).to_vec())),
            ..Recipient::default()
        })
    }

    /// The proof that whoever signed knew this key (crypto §5.6).
    #[must_use]
    pub fn witness(&self, salt: &[u8], signature: &[u8]) -> [u8; 32] {
        *hkdf256(self.0.as_slice(), salt, signature)
    }

    pub(super) fn content_keys(&self, salt: &[u8]) -> ContentKeys {
        ContentKeys {
            key: hkdf256(self.0.as_slice(), salt, b"encrypt"),
            iv: hkdf256(self.0.as_slice(), salt, b"iv"),
        }
    }

    /// Opens what `recipient` carries with its key (crypto §6.2).
    fn unwrapped(recipient: &Recipient, key: &SecretKey) -> Result<Self, EnvelopeError> {
        let epk = recipient
            .epk
            .as_ref()
            .ok_or(EnvelopeError::Member { member: "epk" })?;
        let parameters: PublicParameters = serde_json::from_value(epk.clone())
            .map_err(|_| EnvelopeError::Member { member: "epk" })?;
        let ephemeral = parameters.public_key().map_err(EnvelopeError::Agreement)?;
        let kek = wrapping_key(key, &ephemeral)?;
        let wmk = recipient
            .wmk
            .as_ref()
            .ok_or(EnvelopeError::Member { member: "wmk" })?;
        key_unwrap(&kek, wmk.as_slice())
            .map(Self)
            .map_err(EnvelopeError::Cipher)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterKey")
    }
}

impl Envelope {
    /// `plaintext` encrypted to all of `recipients` under a fresh master key.
    ///
    /// # Errors
    /// [`EnvelopeError::NoRecipient`] without recipients; [`EnvelopeError::Agreement`].
    pub fn encrypted(
        plaintext: &[u8],
        header: Header,
        recipients: &[&PublicKey],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, EnvelopeError> {
        Self::encrypted_and_signed(plaintext, header, recipients, &[], entropy)
    }

    /// `plaintext` encrypted to all of `recipients`; the ciphertext signed by all of `signers`,
    /// with witnesses (crypto §5.6).
    ///
    /// # Errors
    /// [`EnvelopeError::NoRecipient`] without recipients; [`EnvelopeError::Agreement`].
    pub fn encrypted_and_signed(
        plaintext: &[u8],
        header: Header,
        recipients: &[&PublicKey],
        signers: &[&SecretKey],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, EnvelopeError> {
        if recipients.is_empty() {
            return Err(EnvelopeError::NoRecipient);
        }
        let master = MasterKey::generate(entropy);
        let wrapped: Result<_, _> = recipients
            .iter()
            .map(|recipient| master.wrapped_for(recipient, entropy))
            .collect();
        let mut envelope = Self::encrypted_under(plaintext, header, &master, draw(entropy));
        envelope.header.recipients = wrapped?;
        for signer in signers {
            envelope.add_witnessed_signature(signer, &master);
        }
        Ok(envelope)
    }

    /// `plaintext` encrypted under a master key that readers have from elsewhere, as container
    /// frames after the first are (crypto §6.6). `salt` must be fresh for each envelope.
    #[must_use]
    pub fn encrypted_under(
        plaintext: &[u8],
        mut header: Header,
        master: &MasterKey,
        salt: [u8; SALT_BYTES],
    ) -> Self {
        let keys = master.content_keys(&salt);
        header.enc = Some(ENCRYPTION_NAME.to_owned());
        header.salt = Some(Binary::from(salt));
        Self {
            header,
            payload: Binary(cbc_encrypt(&keys.key, &keys.iv, plaintext)),
            trailer: None,
        }
    }

    /// Signs the ciphertext, with the witness that the signer knew the master key.
    pub fn add_witnessed_signature(&mut self, signer: &SecretKey, master: &MasterKey) {
        let salt = self.header.salt.clone().unwrap_or_default();
        self.append_signature(signer, |signature| {
            Some(Binary::from(master.witness(salt.as_slice(), signature)))
        });
    }

    /// The plaintext, by the first recipient whose key is among `keys`. An envelope with `enc`
    /// absent or `none` is plaintext, whatever its recipients say (crypto §6.4).
    ///
    /// # Errors
    /// Those of [`Self::master_key`]; [`EnvelopeError::Cipher`].
    pub fn decrypt(&self, keys: &[&SecretKey]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        if self.header.is_encrypted() {
            self.decrypt_under(&self.master_key(keys)?)
        } else {
            Ok(Zeroizing::new(self.payload.0.clone()))
        }
    }

    /// The plaintext, under a master key that is known. Plaintext stays what it is.
    ///
    /// # Errors
    /// [`EnvelopeError::Encryption`], [`EnvelopeError::Member`], [`EnvelopeError::Cipher`].
    pub fn decrypt_under(&self, master: &MasterKey) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        if !self.header.is_encrypted() {
            return Ok(Zeroizing::new(self.payload.0.clone()));
        }
        let keys = master.content_keys(self.salt()?);
        cbc_decrypt(&keys.key, &keys.iv, self.payload.as_slice()).map_err(EnvelopeError::Cipher)
    }

    /// The master key, by the first recipient whose key is among `keys`.
    ///
    /// # Errors
    /// [`EnvelopeError::Encryption`] for another `enc` than `A256CBC`;
    /// [`EnvelopeError::NoRecipient`]; [`EnvelopeError::Member`]; [`EnvelopeError::Agreement`],
    /// also for an ephemeral key of small order; [`EnvelopeError::Cipher`].
    pub fn master_key(&self, keys: &[&SecretKey]) -> Result<MasterKey, EnvelopeError> {
        self.salt()?;
        let held: Vec<(Udf, &SecretKey)> = keys.iter().map(|key| (key.udf(), *key)).collect();
        let (recipient, key) = self
            .header
            .recipients
            .iter()
            .find_map(|recipient| {
                let kid = Udf::parse(recipient.kid.as_deref()?).ok()?;
                let (_, key) = held.iter().find(|(udf, _)| *udf == kid)?;
                Some((recipient, *key))
            })
            .ok_or(EnvelopeError::NoRecipient)?;
        MasterKey::unwrapped(recipient, key)
    }

    /// Checks the witness of the signature by `signer`: it must be there and prove that the signer
    /// knew the master key (crypto §5.6). Only a recipient can check that; it is for envelopes
    /// that are both encrypted and signed, and comes after [`Self::verify_by`].
    ///
    /// # Errors
    /// [`EnvelopeError::NotSignedBy`], [`EnvelopeError::Witness`], [`EnvelopeError::Member`].
    pub fn check_witness(
        &self,
        signer: &PublicKey,
        master: &MasterKey,
    ) -> Result<(), EnvelopeError> {
        let salt = self.salt()?;
        let kid = signer.udf();
        let signature = self
            .signatures()
            .iter()
            .find(|signature| signature.names(&kid))
            .ok_or_else(|| EnvelopeError::NotSignedBy { kid: kid.clone() })?;
        let value = signature.signature.clone().unwrap_or_default();
        match &signature.witness {
            Some(witness) if witness.as_slice() == master.witness(salt, value.as_slice()) => Ok(()),
            _ => Err(EnvelopeError::Witness { kid }),
        }
    }

    /// The salt of an envelope that is encrypted as we read it.
    pub(super) fn salt(&self) -> Result<&[u8], EnvelopeError> {
        match self.header.enc.as_deref() {
            Some(ENCRYPTION_NAME) => {}
            name => {
                return Err(EnvelopeError::Encryption {
                    name: name.unwrap_or("none").to_owned(),
                });
            }
        }
        self.header
            .salt
            .as_ref()
            .map(Binary::as_slice)
            .ok_or(EnvelopeError::Member { member: "Salt" })
    }
}

/// A fresh key to agree with keys of `curve`.
fn ephemeral(curve: Curve, entropy: &mut dyn Entropy) -> Result<SecretKey, KeyError> {
    match curve {
        Curve::Ed448 => Ok(SecretKey::generate(entropy)),
        curve => SecretKey::from_seed_on(curve, Zeroizing::new(draw::<32>(entropy)).as_slice()),
    }
}

/// The key that wraps the master key (crypto §6.2).
///
/// Draft: mesh-dare-07 §3.4.1 and §3.6.1 say `dare-master` with SHA-2-256; the published values
/// are made this way (crypto §11).
fn wrapping_key(own: &SecretKey, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, EnvelopeError> {
    let agreement = own.agree(peer).map_err(EnvelopeError::Agreement)?;
    Ok(hkdf512(&agreement, &[], b"master"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::CipherError;
    use crate::entropy::SeededEntropy;

    fn key(seed: u64) -> SecretKey {
        SecretKey::generate(&mut SeededEntropy::new(seed))
    }

    fn sealed(recipients: &[&PublicKey], signers: &[&SecretKey]) -> Envelope {
        let mut entropy = SeededEntropy::new(99);
        Envelope::encrypted_and_signed(
            b"text",
            Header::default(),
            recipients,
            signers,
            &mut entropy,
        )
        .unwrap()
    }

    #[test]
    fn every_recipient_and_nobody_else_reads() {
        let (alice, bob, mallet) = (key(1), key(2), key(3));
        let envelope = sealed(&[alice.public(), bob.public()], &[]);
        for keys in [&[&alice][..], &[&mallet, &bob]] {
            assert_eq!(*envelope.decrypt(keys).unwrap(), b"text");
        }
        assert_eq!(
            envelope.decrypt(&[&mallet]),
            Err(EnvelopeError::NoRecipient)
        );
        assert_ne!(
            envelope.header.recipients[0].epk,
            envelope.header.recipients[1].epk
        );
        assert_eq!(
            Envelope::encrypted(b"", Header::default(), &[], &mut SeededEntropy::new(1)),
            Err(EnvelopeError::NoRecipient)
        );
    }

    #[test]
    fn witnesses_prove_knowledge_of_the_master_key() {
        let (alice, signer) = (key(1), key(2));
        let mut envelope = sealed(&[alice.public()], &[&signer]);
        let master = envelope.master_key(&[&alice]).unwrap();
        assert_eq!(envelope.verify_by(signer.public()), Ok(()));
        assert_eq!(envelope.check_witness(signer.public(), &master), Ok(()));
        let other = MasterKey::from_octets([0; 32]);
        assert!(envelope.check_witness(signer.public(), &other).is_err());

        let mallet = key(3);
        envelope.add_signature(&mallet);
        assert_eq!(envelope.verify_by(mallet.public()), Ok(()));
        assert!(matches!(
            envelope.check_witness(mallet.public(), &master),
            Err(EnvelopeError::Witness { .. })
        ));
    }

    #[test]
    fn other_encryptions_are_refused_and_none_is_plaintext() {
        let alice = key(1);
        let mut envelope = sealed(&[alice.public()], &[]);
        for name in ["A256GCM", "A128CBC", "A256CBC-HS512", "a256cbc"] {
            envelope.header.enc = Some(name.into());
            assert_eq!(
                envelope.decrypt(&[&alice]),
                Err(EnvelopeError::Encryption { name: name.into() })
            );
        }
        for name in [None, Some("none".to_owned())] {
            envelope.header.enc = name;
            assert_eq!(*envelope.decrypt(&[]).unwrap(), envelope.payload.0);
        }
    }

    #[test]
    fn damaged_members_are_refused() {
        let alice = key(1);
        let envelope = sealed(&[alice.public()], &[]);
        let damaged = |damage: &dyn Fn(&mut Envelope)| {
            let mut copy = envelope.clone();
            damage(&mut copy);
            copy.decrypt(&[&alice]).unwrap_err()
        };
        let wmk = |octets: Vec<u8>| {
            damaged(&|copy| copy.header.recipients[0].wmk = Some(Binary(octets.clone())))
        };
        assert_eq!(wmk(vec![0; 40]), EnvelopeError::Cipher(CipherError::Wrap));
        assert_eq!(
            wmk(WRAPPED_NOTHING.to_vec()),
            EnvelopeError::Cipher(CipherError::Wrap)
        );
        assert_eq!(
            damaged(&|copy| copy.header.salt = None),
            EnvelopeError::Member { member: "Salt" }
        );
        assert_eq!(
            damaged(&|copy| copy.header.recipients[0].epk = None),
            EnvelopeError::Member { member: "epk" }
        );
        assert_eq!(
            damaged(&|copy| copy.payload.0.truncate(3)),
            EnvelopeError::Cipher(CipherError::Padding)
        );
        let small_order = serde_json::json!({"PublicKeyECDH": {"crv": "Ed448",
            "Public": crate::encoding::base64url::encode(&[0; 57])}});
        assert_eq!(
            damaged(&|copy| copy.header.recipients[0].epk = Some(small_order.clone())),
            EnvelopeError::Agreement(KeyError::SmallOrder)
        );
    }
}
