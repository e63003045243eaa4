//! `envelopes.json`: every published envelope verifies, every damaged one is refused, and the
//! signatures that give their keys away are found (crypto §4, §5).

use mesh_common::crypto::curve::{Ed448Provider, Provider};
use mesh_common::crypto::digest::{sha512, shake256};
use mesh_common::crypto::eddsa;
use mesh_common::crypto::key::{Curve, KeyOverlay, PublicKey, SecretKey};
use mesh_common::dare::{Envelope, EnvelopeError, Header, Trailer};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use num_bigint::BigUint;
use serde::Deserialize;
use serde_json::Value;

use crate::cogeneration::order_of;
use crate::count::Tally;
use crate::full_objects::check_type;
use crate::hex::Hex;
use crate::{json_of, layout};

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("envelopes.json"));
    tally.each("/envelopes", |_, case: EnvelopeCase| case.check());
    assert_eq!(tally.finish(), 26);
}

/// The entries of the file, for other modules that meet the same envelopes.
pub(crate) fn cases() -> Vec<EnvelopeCase> {
    serde_json::from_value(json_of("envelopes.json")["envelopes"].take()).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvelopeCase {
    pub(crate) id: String,
    #[serde(rename = "source")]
    _source: String,
    pub(crate) envelope: Value,
    header: Header,
    payload_b64url: Binary,
    payload_utf8: Option<String>,
    payload_object: Option<Value>,
    payload_hex: Option<Hex>,
    payload_layout: Option<String>,
    trailer: Option<Trailer>,
    payload_sha512_b64url: Option<Binary>,
    #[serde(default)]
    signers: Vec<SignerCase>,
    expect: ExpectCase,
    #[serde(rename = "also_printed")]
    _also_printed: Option<Vec<String>>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerCase {
    kid: String,
    crv: String,
    public_b64url: Binary,
    #[serde(rename = "key_from")]
    _key_from: String,
    predictable_nonce: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectCase {
    payload_digest: Option<bool>,
    signatures: Option<Vec<bool>>,
}

impl EnvelopeCase {
    fn check(&self) {
        let envelope: Envelope = json::parse(&json::write(&self.envelope)).unwrap();
        assert_eq!(serde_json::to_value(&envelope).unwrap(), self.envelope);
        assert_eq!(envelope.header, self.header);
        assert_eq!(envelope.payload, self.payload_b64url);
        assert_eq!(envelope.trailer, self.trailer);
        self.check_payload(&envelope.payload.0);
        self.check_verdicts(&envelope);
    }

    fn check_payload(&self, payload: &[u8]) {
        if let Some(digest) = &self.payload_sha512_b64url {
            assert_eq!(sha512(&[payload])[..], digest.0);
        }
        if let Some(hex) = &self.payload_hex {
            assert_eq!(*hex, *payload);
        }
        if let Some(text) = &self.payload_utf8 {
            assert_eq!(text.as_bytes(), payload);
        }
        if let Some(object) = &self.payload_object {
            // Folds inside Binary values are no part of the value.
            let read: Value = json::parse(payload).unwrap();
            assert_eq!(unfolded(&read), *object, "{}", self.id);
            check_type(object.as_object().unwrap().keys().next().unwrap(), object);
        }
        if let Some(layout) = &self.payload_layout {
            assert_eq!(layout, "reproduced by the layout rules");
            let object = self.payload_object.as_ref().unwrap();
            let text = layout::write(object, is_binary);
            assert_eq!(String::from_utf8(text).unwrap().as_bytes(), payload);
        }
    }

    /// Checks what crypto §5.3 says of the digest and of each signature.
    pub(crate) fn check_verdicts(&self, envelope: &Envelope) {
        let digest = envelope.check_digest();
        match self.expect.payload_digest {
            None => assert!(envelope.payload_digest().is_none() && digest.is_ok()),
            Some(true) => assert!(envelope.payload_digest().is_some() && digest.is_ok()),
            Some(false) => assert_eq!(digest, Err(EnvelopeError::DigestDiffers)),
        }
        let verdicts = self.expect.signatures.clone().unwrap_or_default();
        assert_eq!(verdicts.len(), envelope.signatures().len());
        assert_eq!(verdicts.len(), self.signers.len());
        for ((signature, signer), valid) in envelope
            .signatures()
            .iter()
            .zip(&self.signers)
            .zip(verdicts)
        {
            assert_eq!(signature.kid.as_deref(), Some(signer.kid.as_str()));
            let key = signer.key();
            let value = signature.signature.as_ref().unwrap();
            let message = sha512(&[&envelope.payload.0]);
            assert_eq!(key.verify(&message, &value.0).is_ok(), valid, "{}", self.id);
            let whole = envelope.verify_by(&key).is_ok();
            assert_eq!(whole, valid && self.expect.payload_digest == Some(true));
            if let (Some(predictable), Ok(value)) =
                (signer.predictable_nonce, value.0.as_slice().try_into())
            {
                let found = eddsa::has_public_nonce::<Provider>(&message, value);
                assert_eq!(found, predictable && valid, "{}", self.id);
            }
        }
        if self.signers.is_empty() {
            let stranger = SecretKey::from_seed(&[1; 56]).unwrap();
            assert!(matches!(
                envelope.verify_by(stranger.public()),
                Err(EnvelopeError::NotSignedBy { .. })
            ));
        }
    }
}

impl SignerCase {
    fn key(&self) -> PublicKey {
        let curve = Curve::named(&self.crv).unwrap();
        let key = PublicKey::from_octets(curve, &self.public_b64url.0).unwrap();
        assert_eq!(key.udf().as_str(), self.kid);
        key
    }
}

/// The same value without the line breaks that the reference folds Binary values with.
pub(crate) fn unfolded(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("\n  ", "")),
        Value::Array(elements) => Value::Array(elements.iter().map(unfolded).collect()),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), unfolded(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Members of the payloads whose text is a Binary value.
fn is_binary(name: &str) -> bool {
    matches!(
        name,
        "Public"
            | "Private"
            | "signature"
            | "PayloadDigest"
            | "ClientNonce"
            | "ServerNonce"
            | "Salt"
            | "wmk"
    )
}

/// Architecture A-12: the drafts' signatures by composite keys give the private scalar away, since
/// their nonce is public; ours by the same kind of key do not.
#[test]
fn the_drafts_leak_their_private_keys_and_we_do_not() {
    let mut leaks = 0;
    for case in cases() {
        let envelope: Envelope = serde_json::from_value(case.envelope.clone()).unwrap();
        for (signature, signer) in envelope.signatures().iter().zip(&case.signers) {
            if signer.predictable_nonce != Some(true) {
                continue;
            }
            let value = &signature.signature.as_ref().unwrap().0;
            let scalar = scalar_if_nonce_is_public(&signer.key(), &envelope.payload.0, value);
            assert_eq!(
                public_of(&scalar)[..],
                *signer.key().octets(),
                "{}",
                case.id
            );
            leaks += 1;
        }
    }
    assert_eq!(leaks, 3, "two in the drafts, one in the user guide");

    let device = SecretKey::from_seed(&[1; 56]).unwrap();
    let overlay = SecretKey::from_seed(&[2; 56]).unwrap();
    // As an activation makes it, and as the sum of two keys.
    let activated = KeyOverlay::of(device.public(), &overlay).unwrap();
    let activated = activated.composite_secret(&device).unwrap();
    for composite in [device.compose(&overlay).unwrap(), activated] {
        let signed = |payload: &[u8]| {
            let ours = Envelope::signed(payload, Header::default(), &[&composite]);
            ours.signatures()[0].signature.as_ref().unwrap().0.clone()
        };
        let payloads: [&[u8]; 3] = [b"payload", b"another one", b""];
        for payload in payloads {
            let value = signed(payload);
            let scalar = scalar_if_nonce_is_public(composite.public(), payload, &value);
            assert_ne!(public_of(&scalar)[..], *composite.public().octets());
            let message = sha512(&[payload]);
            let value = value.as_slice().try_into().unwrap();
            assert!(!eddsa::has_public_nonce::<Provider>(&message, value));
        }
        let [one, other, _] = payloads.map(|payload| (payload, signed(payload)));
        assert_ne!(one.1[..57], other.1[..57], "no nonce is used twice");
        let scalar = scalar_if_nonce_is_reused(composite.public(), [&one, &other]);
        assert_ne!(public_of(&scalar)[..], *composite.public().octets());
    }
}

/// `(S1 - S2) / (k1 - k2)`: the private scalar, if one nonce stands behind both signatures.
fn scalar_if_nonce_is_reused(key: &PublicKey, signed: [&(&[u8], Vec<u8>); 2]) -> BigUint {
    let order = order_of(Curve::Ed448);
    let number = |octets: &[u8]| BigUint::from_bytes_le(octets) % &order;
    let [(response, challenge), (other_response, other_challenge)] =
        signed.map(|(payload, value)| {
            let (commitment, response) = value.split_at(57);
            let challenge = challenge_of(key, &sha512(&[payload]), commitment);
            (number(response), challenge)
        });
    let inverse =
        (challenge + &order - other_challenge).modpow(&(&order - BigUint::from(2_u8)), &order);
    (response + &order - other_response) * inverse % &order
}

/// k of a signature with the commitment R.
fn challenge_of(key: &PublicKey, message: &[u8], commitment: &[u8]) -> BigUint {
    let hash = shake256::<114>(&[DOMAIN, commitment, key.octets(), message]);
    BigUint::from_bytes_le(&hash) % order_of(Curve::Ed448)
}

const DOMAIN: &[u8] = b"SigEd448\0\0";

/// `(S - r) / k` with the nonce r that depends on the message alone (crypto §5.5), by another
/// library's arithmetic.
fn scalar_if_nonce_is_public(key: &PublicKey, payload: &[u8], signature: &[u8]) -> BigUint {
    let order = order_of(Curve::Ed448);
    let message = sha512(&[payload]);
    let (commitment, response) = signature.split_at(57);
    let number = |octets: &[u8]| BigUint::from_bytes_le(octets) % &order;
    let nonce = number(&shake256::<114>(&[DOMAIN, &message]));
    let challenge = challenge_of(key, &message, commitment);
    let inverse = challenge.modpow(&(&order - BigUint::from(2_u8)), &order);
    (number(response) + &order - nonce) * inverse % &order
}

fn public_of(scalar: &BigUint) -> [u8; 57] {
    let mut octets = scalar.to_bytes_le();
    octets.resize(57, 0);
    let scalar = octets.as_slice().try_into().unwrap();
    Provider::encode(&Provider::base_times(scalar))
}
