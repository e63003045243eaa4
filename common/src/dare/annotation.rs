//! Annotations: encoded data sequences in a header, each with a salt prefix of its own (crypto
//! §6.6).
//!
//! ```text
//!  88 len prefix | 88.. len body | 88 len tag      three JSON-B binary values
//! ```
//!
//! Draft: mesh-dare-07 §3.3 has three fields always; under `A256CBC` the tag is missing, and it is
//! empty where nothing is encrypted. Both are read.

use zeroize::Zeroizing;

use super::encrypt::MasterKey;
use super::sign::EnvelopeError;
use super::{Envelope, Header};
use crate::crypto::cipher::{cbc_decrypt, cbc_encrypt};
use crate::encoding::base64url::Binary;
use crate::encoding::jsonb::{JsonBError, read_binary, write_binary};

/// One encoded data sequence, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedData {
    /// Stands before the envelope's salt when keys are derived.
    pub prefix: Vec<u8>,
    /// The body, encrypted or in clear.
    pub body: Vec<u8>,
    /// An authentication tag, if there is such a field. Nothing here makes or checks one.
    pub tag: Option<Vec<u8>>,
}

impl EncodedData {
    /// A body in clear, with its empty tag.
    #[must_use]
    pub fn clear(prefix: Vec<u8>, body: &[u8]) -> Self {
        Self {
            prefix,
            body: body.to_vec(),
            tag: Some(Vec::new()),
        }
    }

    /// A body encrypted under `master` and the envelope's salt; it has no tag.
    #[must_use]
    pub fn encrypted(prefix: Vec<u8>, body: &[u8], master: &MasterKey, salt: &[u8]) -> Self {
        let keys = master.content_keys(&[&prefix, salt].concat());
        Self {
            body: cbc_encrypt(&keys.key, &keys.iv, body),
            prefix,
            tag: None,
        }
    }

    /// Takes a sequence apart: two or three fields.
    ///
    /// # Errors
    /// [`JsonBError`] for anything else.
    pub fn read(octets: &[u8]) -> Result<Self, JsonBError> {
        let (prefix, rest) = read_binary(octets)?;
        let (body, rest) = read_binary(rest)?;
        let (tag, rest) = if rest.is_empty() {
            (None, rest)
        } else {
            let (tag, rest) = read_binary(rest)?;
            (Some(tag), rest)
        };
        if rest.is_empty() {
            Ok(Self { prefix, body, tag })
        } else {
            Err(JsonBError::Trailing {
                position: octets.len() - rest.len(),
            })
        }
    }

    /// Puts the sequence together.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = [write_binary(&self.prefix), write_binary(&self.body)].concat();
        if let Some(tag) = &self.tag {
            octets.extend(write_binary(tag));
        }
        octets
    }

    /// The body in clear, decrypted under `master` and the envelope's salt.
    ///
    /// # Errors
    /// [`EnvelopeError::Cipher`].
    pub fn decrypt(
        &self,
        master: &MasterKey,
        salt: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let keys = master.content_keys(&[&self.prefix, salt].concat());
        cbc_decrypt(&keys.key, &keys.iv, &self.body).map_err(EnvelopeError::Cipher)
    }
}

impl Header {
    /// Adds an annotation in clear, for envelopes that are not encrypted.
    pub fn add_annotation(&mut self, body: &[u8]) {
        let prefix = next_prefix(self.annotations.len());
        let annotation = EncodedData::clear(prefix, body);
        self.annotations.push(Binary(annotation.to_octets()));
    }
}

impl Envelope {
    /// Adds an annotation to an envelope that is encrypted under `master`.
    ///
    /// # Errors
    /// [`EnvelopeError::Encryption`], [`EnvelopeError::Member`]: the envelope is not encrypted.
    pub fn add_encrypted_annotation(
        &mut self,
        body: &[u8],
        master: &MasterKey,
    ) -> Result<(), EnvelopeError> {
        let prefix = next_prefix(self.header.annotations.len());
        let annotation = EncodedData::encrypted(prefix, body, master, self.salt()?);
        self.header.annotations.push(Binary(annotation.to_octets()));
        Ok(())
    }

    /// The bodies of all annotations; `master` opens those of an encrypted envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::Member`] for a sequence that cannot be taken apart;
    /// [`EnvelopeError::NoRecipient`] if the envelope is encrypted and there is no master key;
    /// [`EnvelopeError::Encryption`], [`EnvelopeError::Cipher`].
    pub fn annotations(
        &self,
        master: Option<&MasterKey>,
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, EnvelopeError> {
        self.header
            .annotations
            .iter()
            .map(|octets| {
                let annotation =
                    EncodedData::read(octets.as_slice()).map_err(|_| EnvelopeError::Member {
                        member: "Annotations",
                    })?;
                if !self.header.is_encrypted() {
                    return Ok(Zeroizing::new(annotation.body));
                }
                annotation.decrypt(master.ok_or(EnvelopeError::NoRecipient)?, self.salt()?)
            })
            .collect()
    }
}

/// The prefixes are 01, 02, 03 … in order.
fn next_prefix(count: usize) -> Vec<u8> {
    let number = (count + 1).to_be_bytes();
    let start = number.iter().take_while(|octet| **octet == 0).count();
    number[start..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_read_back_in_clear_and_encrypted() {
        let mut clear = Envelope::plain(b"body");
        clear.header.add_annotation(b"first");
        clear.header.add_annotation(b"second");
        let read = clear.annotations(None).unwrap();
        assert_eq!(*read[0], b"first");
        assert_eq!(*read[1], b"second");

        let master = MasterKey::from_octets([7; 32]);
        let mut sealed = Envelope::encrypted_under(b"body", Header::default(), &master, [1; 16]);
        for _ in 0..300 {
            sealed.add_encrypted_annotation(b"same", &master).unwrap();
        }
        assert!(sealed.annotations(None).is_err());
        let read = sealed.annotations(Some(&master)).unwrap();
        assert!(read.iter().all(|body| **body == b"same"));
        let mut bodies: Vec<_> = sealed.header.annotations.clone();
        bodies.dedup();
        assert_eq!(bodies.len(), 300, "every annotation has keys of its own");
        assert!(clear.add_encrypted_annotation(b"", &master).is_err());
    }

    #[test]
    fn two_or_three_fields_are_a_sequence() {
        let octets = |fields: usize| [0x88, 1, 9].repeat(fields);
        assert_eq!(EncodedData::read(&octets(2)).unwrap().tag, None);
        let three = EncodedData::read(&octets(3)).unwrap();
        assert_eq!(three.tag, Some(vec![9]));
        assert_eq!(three.to_octets(), octets(3));
        for bad in [octets(0), octets(1), octets(4), vec![0x80, 0, 0x88, 0]] {
            assert!(EncodedData::read(&bad).is_err());
        }
    }
}
