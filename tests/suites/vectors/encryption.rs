//! `encryption.json`: published envelopes that decrypt, derived ones that are made again octet for
//! octet, annotations, and the wrapped key of nothing (crypto §6, §5.6).

use std::collections::BTreeMap;

use mesh_common::crypto::curve::{Ed448Provider, Provider};
use mesh_common::crypto::derive::{hkdf256, hkdf512};
use mesh_common::crypto::ed25519::Ed25519Point;
use mesh_common::crypto::key::{Curve, PublicKey, PublicParameters, SecretKey};
use mesh_common::dare::annotation::EncodedData;
use mesh_common::dare::encrypt::{ENCRYPTION_NAME, WRAPPED_NOTHING};
use mesh_common::dare::{Envelope, Header, MasterKey, Recipient};
use mesh_common::encoding::base64url::Binary;
use serde::Deserialize;

use crate::count::Tally;
use crate::hex::{Hex, decimal};
use crate::json_of;

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("encryption.json"));
    tally.each("/published", |_, case: PublishedCase| case.check());
    tally.each("/derived", |_, case: DerivedCase| case.check());
    tally.each("/annotations", |_, case: AnnotationCase| case.check());
    tally.each("/placeholder", |_, case: PlaceholderCase| case.check());
    assert_eq!(tally.finish(), 16);
}

/// The keys of one content (crypto §6.3).
fn check_content_keys(master: &Hex, salt: &[u8], content_key: &Hex, iv: &Hex) {
    assert_eq!(*content_key, hkdf256::<32>(&master.0, salt, b"encrypt")[..]);
    assert_eq!(*iv, hkdf256::<16>(&master.0, salt, b"iv")[..]);
}

/// Agreement and wrapping key of one recipient (crypto §6.1, §6.2).
fn check_wrapping(own: &SecretKey, peer: &PublicKey, agreement: &Hex, kek: &Hex) {
    let shared = own.agree(peer).unwrap();
    assert_eq!(*agreement, shared[..]);
    assert_eq!(*kek, hkdf512::<32>(&shared, b"", b"master")[..]);
}

fn ephemeral_of(recipient: &Recipient) -> PublicKey {
    let epk = recipient.epk.clone().expect("an ephemeral key");
    let parameters: PublicParameters = serde_json::from_value(epk).unwrap();
    parameters.public_key().unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedCase {
    #[serde(rename = "source")]
    _source: String,
    crv: String,
    recipient_private_seed: Hex,
    recipient_public_b64url: Binary,
    envelope: Envelope,
    agreement: Hex,
    kek: Hex,
    master_key: Hex,
    content_key: Hex,
    iv: Hex,
    plaintext_utf8: String,
    #[serde(rename = "values_also_printed_in_source")]
    _printed: Option<Vec<String>>,
    #[serde(rename = "witness_rule")]
    _witness_rule: Option<String>,
    witness_b64url: Option<Binary>,
    split_decryption: Option<SplitCase>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl PublishedCase {
    fn check(&self) {
        let curve = Curve::named(&self.crv).unwrap();
        let key = SecretKey::from_seed_on(curve, &self.recipient_private_seed.0).unwrap();
        assert_eq!(key.public().octets(), self.recipient_public_b64url.0);
        let ephemeral = ephemeral_of(&self.envelope.header.recipients[0]);
        check_wrapping(&key, &ephemeral, &self.agreement, &self.kek);

        let master = self.envelope.master_key(&[&key]).unwrap();
        assert_eq!(self.master_key, master.octets()[..]);
        let salt = self.envelope.header.salt.as_ref().unwrap();
        check_content_keys(&self.master_key, &salt.0, &self.content_key, &self.iv);
        let plaintext = self.envelope.decrypt(&[&key]).unwrap();
        assert_eq!(*plaintext, self.plaintext_utf8.as_bytes());
        if let Some(witness) = &self.witness_b64url {
            let signature = &self.envelope.signatures()[0];
            assert_eq!(signature.witness.as_ref(), Some(witness));
            let value = signature.signature.as_ref().unwrap();
            assert_eq!(master.witness(&salt.0, &value.0)[..], witness.0);
        }
        if let Some(split) = &self.split_decryption {
            split.check(&ephemeral, &self.agreement);
        }
        // One master key opens, another does not.
        let mut other = *master.octets();
        other[0] ^= 1;
        let opened = self.envelope.decrypt_under(&MasterKey::from_octets(other));
        assert!(opened.map_or(true, |text| *text != self.plaintext_utf8.as_bytes()));
    }
}

/// Two parties hold a part of the key each; their agreements add up (crypto §7).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitCase {
    member_private_seed: Hex,
    service_scalar_decimal: String,
    member_agreement: Hex,
    service_agreement: Hex,
    #[serde(rename = "rule")]
    _rule: String,
}

impl SplitCase {
    fn check(&self, ephemeral: &PublicKey, agreement: &Hex) {
        let member = SecretKey::from_seed_on(Curve::Ed25519, &self.member_private_seed.0).unwrap();
        assert_eq!(self.member_agreement, member.agree(ephemeral).unwrap()[..]);
        let mut scalar = decimal(&self.service_scalar_decimal).to_bytes_le();
        scalar.resize(32, 0);
        let point = Ed25519Point::decode(ephemeral.octets().try_into().unwrap()).unwrap();
        let service = point.agree(scalar.as_slice().try_into().unwrap());
        assert_eq!(self.service_agreement, service[..]);
        let decode = |octets: &Hex| Ed25519Point::decode(&octets.sized()).unwrap();
        let sum = decode(&self.member_agreement).add(&decode(&self.service_agreement));
        assert_eq!(*agreement, sum.encode()[..]);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipientCase {
    name: String,
    recipient_public_b64url: Binary,
    ephemeral_private_seed: Hex,
    ephemeral_public: Hex,
    agreement: Hex,
    kek: Hex,
    wmk: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DerivedCase {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: String,
    crv: String,
    master_key: Hex,
    salt: Hex,
    content_key: Hex,
    iv: Hex,
    plaintext_hex: Hex,
    recipients: Vec<RecipientCase>,
    signer_private_seed: Option<Hex>,
    signer_public_b64url: Option<Binary>,
    envelope: Envelope,
    recipient_private_seeds: BTreeMap<String, Hex>,
    annotations_plaintext: Option<Vec<Hex>>,
    composite_scalar_le: Option<Hex>,
    partial_agreements: Option<Vec<Hex>>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl DerivedCase {
    fn check(&self) {
        assert_eq!(self.crv, "Ed448");
        check_content_keys(&self.master_key, &self.salt.0, &self.content_key, &self.iv);
        let master = MasterKey::from_octets(self.master_key.sized());
        let made = self.made_again(&master);
        assert_eq!(made.header.enc.as_deref(), Some(ENCRYPTION_NAME));
        assert_eq!(made.header.salt, self.envelope.header.salt);
        assert_eq!(made.header.annotations, self.envelope.header.annotations);
        assert_eq!(made.header.recipients, self.envelope.header.recipients);
        assert_eq!(made.payload, self.envelope.payload);

        for recipient in &self.recipients {
            let key = self.key_of(&recipient.name);
            let ephemeral = PublicKey::ed448(&recipient.ephemeral_public.0).unwrap();
            assert_eq!(key.public().octets(), recipient.recipient_public_b64url.0);
            check_wrapping(&key, &ephemeral, &recipient.agreement, &recipient.kek);
            assert_eq!(self.envelope.master_key(&[&key]), Ok(master.clone()));
            let plaintext = self.envelope.decrypt(&[&key]).unwrap();
            assert_eq!(self.plaintext_hex, plaintext[..]);
        }
        self.check_signature(&made, &master);
        self.check_parts();
    }

    /// The same envelope, from master key, salt and ephemeral seeds.
    fn made_again(&self, master: &MasterKey) -> Envelope {
        let header = Header::default();
        let salt = self.salt.sized();
        let mut made = Envelope::encrypted_under(&self.plaintext_hex.0, header, master, salt);
        for case in &self.recipients {
            let recipient = PublicKey::ed448(&case.recipient_public_b64url.0).unwrap();
            let ephemeral = SecretKey::from_seed(&case.ephemeral_private_seed.0).unwrap();
            assert_eq!(case.ephemeral_public, *ephemeral.public().octets());
            let wrapped = master.wrapped_with(&recipient, &ephemeral).unwrap();
            assert_eq!(case.wmk, *wrapped.wmk.as_ref().unwrap().as_slice());
            made.header.recipients.push(wrapped);
        }
        for body in self.annotations_plaintext.iter().flatten() {
            made.add_encrypted_annotation(&body.0, master).unwrap();
        }
        let read = self.envelope.annotations(Some(master)).unwrap();
        let read: Vec<Hex> = read.iter().map(|body| Hex(body.to_vec())).collect();
        assert_eq!(read, self.annotations_plaintext.clone().unwrap_or_default());
        made
    }

    /// The key of a recipient; `composite` is the sum of all keys of the case.
    fn key_of(&self, name: &str) -> SecretKey {
        let key = |seed: &Hex| SecretKey::from_seed(&seed.0).unwrap();
        match self.recipient_private_seeds.get(name) {
            Some(seed) => key(seed),
            None => {
                let device = key(&self.recipient_private_seeds["device"]);
                device
                    .compose(&key(&self.recipient_private_seeds["overlay"]))
                    .unwrap()
            }
        }
    }

    fn check_signature(&self, made: &Envelope, master: &MasterKey) {
        let Some(seed) = &self.signer_private_seed else {
            assert!(!self.envelope.is_signed());
            return;
        };
        let signer = SecretKey::from_seed(&seed.0).unwrap();
        let public = self.signer_public_b64url.as_ref().unwrap();
        assert_eq!(signer.public().octets(), public.0);
        assert_eq!(self.envelope.verify_by(signer.public()), Ok(()));
        assert_eq!(self.envelope.check_witness(signer.public(), master), Ok(()));
        let mut made = made.clone();
        made.add_witnessed_signature(&signer, master);
        let (ours, theirs) = (&made.signatures()[0], &self.envelope.signatures()[0]);
        assert_eq!(ours.signature, theirs.signature);
        assert_eq!(ours.witness, theirs.witness);
        assert_eq!(ours.kid, theirs.kid);
        assert_eq!(made.payload_digest(), self.envelope.payload_digest());
    }

    /// The agreement of a composite key, in two parts.
    fn check_parts(&self) {
        let (Some(scalar), Some(parts)) = (&self.composite_scalar_le, &self.partial_agreements)
        else {
            return;
        };
        let composite = self.key_of("composite");
        let point = Provider::base_times(&scalar.sized());
        assert_eq!(Provider::encode(&point)[..], *composite.public().octets());
        let ephemeral = ephemeral_of(&self.envelope.header.recipients[0]);
        let agreements = ["device", "overlay"].map(|name| {
            let part = self.key_of(name).agree(&ephemeral).unwrap();
            Hex(part.to_vec())
        });
        assert_eq!(*parts, agreements);
        let decode = |octets: &Hex| Provider::decode(&octets.sized()).unwrap();
        let sum = Provider::add(&decode(&parts[0]), &decode(&parts[1]));
        assert_eq!(self.recipients[0].agreement, Provider::encode(&sum)[..]);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnnotationCase {
    #[serde(rename = "source")]
    _source: String,
    encrypted: bool,
    eds: Hex,
    salt_prefix: Hex,
    body: Hex,
    fields: usize,
    derivation_salt: Option<Hex>,
    master_key: Option<Hex>,
    content_key: Option<Hex>,
    iv: Option<Hex>,
    plaintext_utf8: String,
}

impl AnnotationCase {
    fn check(&self) {
        let annotation = EncodedData::read(&self.eds.0).unwrap();
        assert_eq!(self.salt_prefix, annotation.prefix[..]);
        assert_eq!(self.body, annotation.body[..]);
        assert_eq!(self.fields, 2 + usize::from(annotation.tag.is_some()));
        assert_eq!(self.eds, annotation.to_octets()[..]);
        let text = self.plaintext_utf8.as_bytes();
        let prefix = annotation.prefix.clone();
        if !self.encrypted {
            assert_eq!(annotation, EncodedData::clear(prefix, text));
            return;
        }
        let (Some(salt), Some(master), Some(key), Some(iv)) = (
            &self.derivation_salt,
            &self.master_key,
            &self.content_key,
            &self.iv,
        ) else {
            panic!("an encrypted annotation has all its keys");
        };
        check_content_keys(master, &salt.0, key, iv);
        let envelope_salt = salt.0.strip_prefix(prefix.as_slice()).unwrap();
        let master = MasterKey::from_octets(master.sized());
        assert_eq!(*annotation.decrypt(&master, envelope_salt).unwrap(), text);
        let made = EncodedData::encrypted(prefix, text, &master, envelope_salt);
        assert_eq!(made, annotation);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceholderCase {
    #[serde(rename = "source")]
    _source: String,
    wmk_b64url: Binary,
    wmk: Hex,
    #[serde(rename = "meaning")]
    _meaning: String,
}

impl PlaceholderCase {
    /// It stands beside plaintext; under `A256CBC` it opens nothing.
    fn check(&self) {
        assert_eq!(self.wmk, self.wmk_b64url.0[..]);
        assert_eq!(self.wmk, WRAPPED_NOTHING[..]);
        let key = SecretKey::from_seed(&[1; 56]).unwrap();
        let ephemeral = SecretKey::from_seed(&[2; 56]).unwrap();
        let master = MasterKey::from_octets([3; 32]);
        let mut recipient = master.wrapped_with(key.public(), &ephemeral).unwrap();
        recipient.wmk = Some(self.wmk_b64url.clone());
        let mut envelope = Envelope::encrypted_under(b"text", Header::default(), &master, [4; 16]);
        envelope.header.recipients.push(recipient);
        assert!(envelope.decrypt(&[&key]).is_err());
        envelope.header.enc = Some("none".to_owned());
        assert_eq!(*envelope.decrypt(&[&key]).unwrap(), envelope.payload.0);
    }
}
