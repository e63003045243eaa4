//! `udf.json`: fingerprints of keys, content and data, authenticators, derived keys, shares,
//! connection witnesses (crypto §2, §8).

use mesh_common::crypto::derive::{hkdf512, hmac512};
use mesh_common::crypto::digest::sha512;
use mesh_common::crypto::key::{Curve, PublicKey};
use mesh_common::encoding::base32;
use mesh_common::encoding::base64url::Binary;
use mesh_common::message::witness;
use mesh_common::udf::derived::DerivationSeed;
use mesh_common::udf::digest::key_info;
use mesh_common::udf::{
    DigestAlgorithm, Udf, authenticator, content_digest_with, message_response_id, nonce, shamir,
};
use num_bigint::BigUint;
use serde::Deserialize;

use crate::count::Tally;
use crate::hex::{Hex, decimal};
use crate::json_of;

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("udf.json"));
    tally.each("/key_fingerprints", |_, case: KeyCase| case.check());
    tally.each("/content_digests", |_, case: DigestCase| case.check());
    tally.each("/authenticators", |_, case: AuthenticatorCase| case.check());
    tally.each("/data_udfs", |_, case: DataCase| case.check());
    tally.each("/fingerprint_of_udf", |_, case: EarlCase| case.check());
    tally.each("/derived_keys", |_, case: DerivedCase| case.check());
    tally.each("/shamir", |_, case: ShamirCase| case.check());
    tally.each("/witness", |_, case: WitnessCase| case.check());
    tally.each("/pin", |_, case: PinCase| case.check());
    tally.each("/response_id", |_, case: ResponseCase| case.check());
    tally.each("/parsing", |_, case: ParsingCase| case.check());
    assert_eq!(tally.finish(), 84);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyCase {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "where")]
    _places: Option<Vec<String>>,
    crv: String,
    public_b64url: Binary,
    public: Hex,
    key_info_der: Hex,
    udf_binary_512: Hex,
    udf: String,
}

impl KeyCase {
    fn check(&self) {
        assert_eq!(self.public, self.public_b64url.0[..]);
        let curve = Curve::named(&self.crv).unwrap();
        let key = PublicKey::from_octets(curve, &self.public.0).unwrap();
        assert_eq!(self.key_info_der, key_info(&key)[..]);
        assert_eq!(self.udf_binary_512, key.udf_binary()[..]);
        assert_eq!(key.udf().as_str(), self.udf);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestCase {
    #[serde(rename = "source")]
    _source: String,
    algorithm: String,
    content_type: String,
    data_utf8: String,
    data: Hex,
    bits: usize,
    udf: String,
    type_id: u8,
}

impl DigestCase {
    fn check(&self) {
        assert_eq!(self.data, *self.data_utf8.as_bytes());
        let algorithm = match self.algorithm.as_str() {
            "SHA-2-512" => DigestAlgorithm::Sha2,
            "SHA-3-512" => DigestAlgorithm::Sha3,
            other => panic!("unknown algorithm {other}"),
        };
        let udf = content_digest_with(algorithm, &self.content_type, &self.data.0, self.bits);
        assert_eq!(udf.as_str(), self.udf);
        assert_eq!(udf.type_octet(), self.type_id);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticatorCase {
    #[serde(rename = "source")]
    _source: String,
    key: String,
    content_type: String,
    data_utf8: String,
    mac_key: Hex,
    mac: Hex,
    bits: usize,
    udf: String,
}

impl AuthenticatorCase {
    fn check(&self) {
        let data = self.data_utf8.as_bytes();
        let mac_key = hkdf512::<64>(self.key.as_bytes(), b"KeyedUDFMaster", b"KeyedUDFExpand");
        assert_eq!(self.mac_key, mac_key[..]);
        let parts: [&[u8]; 3] = [self.content_type.as_bytes(), b":", &sha512(&[data])];
        assert_eq!(self.mac, hmac512(mac_key.as_slice(), &parts)[..]);
        let udf = authenticator(&self.key, &self.content_type, data, self.bits);
        assert_eq!(udf.as_str(), self.udf);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataCase {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "kind")]
    _kind: String,
    type_id: u8,
    data: Hex,
    udf: String,
}

impl DataCase {
    fn check(&self) {
        let udf = nonce::of_data(self.type_id, &self.data.0);
        let read = Udf::parse(&self.udf).unwrap();
        assert_eq!(read.type_octet(), self.type_id);
        assert_eq!(read.octets()[1..], self.data.0);
        // A message identifier shows four bits more than whole octets have.
        let letters = |text: &str| text.replace('-', "");
        let (whole, shown) = (letters(udf.as_str()), letters(&self.udf));
        let whole_letters = (8 * (self.data.0.len() + 1)) / 5;
        assert_eq!(whole[..whole_letters], shown[..whole_letters]);
        assert_eq!(whole.len(), shown.len());
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlCase {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "rule")]
    _rule: String,
    udf: String,
    fingerprint: String,
}

impl EarlCase {
    fn check(&self) {
        let key = Udf::parse(&self.udf).unwrap();
        assert_eq!(Udf::of_encryption_key(&key).as_str(), self.fingerprint);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DerivedCase {
    #[serde(rename = "source")]
    _source: String,
    algorithm: String,
    udf: String,
    ikm: Hex,
    salt: Hex,
    private_seed: Option<Hex>,
    private_scalar_decimal: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl DerivedCase {
    fn check(&self) {
        let seed = DerivationSeed::parse(&self.udf).unwrap();
        assert_eq!(self.ikm, base32::read(&self.udf)[1..]);
        assert_eq!(self.salt, seed.specifier().to_be_bytes()[..]);
        let scalar = match self.algorithm.as_str() {
            "P-256" => seed.scalar_p256().unwrap(),
            "P-384" => seed.scalar_p384().unwrap(),
            "P-521" => seed.scalar_p521().unwrap(),
            name => {
                let derived = seed.key_seed(Curve::named(name).unwrap()).unwrap();
                assert_eq!(*self.private_seed.as_ref().unwrap(), derived[..]);
                return;
            }
        };
        let expected = decimal(self.private_scalar_decimal.as_ref().unwrap());
        assert_eq!(BigUint::from_bytes_be(&scalar), expected);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShamirCase {
    #[serde(rename = "source")]
    _source: String,
    threshold: usize,
    prime: String,
    secret: Hex,
    shares: Vec<String>,
}

impl ShamirCase {
    /// Every subset of as many shares as are needed gives the secret; fewer give nothing.
    fn check(&self) {
        assert_eq!(self.prime, "2^128+51");
        let shares: Vec<Udf> = self
            .shares
            .iter()
            .map(|share| Udf::parse(share).unwrap())
            .collect();
        for subset in 1_u32..1 << shares.len() {
            let chosen: Vec<Udf> = (0..shares.len())
                .filter(|index| subset >> index & 1 == 1)
                .map(|index| shares[index].clone())
                .collect();
            if chosen.len() >= self.threshold {
                assert_eq!(self.secret, shamir::combine(&chosen).unwrap()[..]);
            } else {
                assert!(shamir::combine(&chosen).is_err());
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessCase {
    #[serde(rename = "source")]
    _source: String,
    mesh_profile_udf: String,
    mesh_public_b64url: Binary,
    mesh_udf_binary_512: Hex,
    server_nonce_b64url: Binary,
    device_profile_udf: String,
    device_public_b64url: Binary,
    device_udf_binary_512: Hex,
    client_nonce_b64url: Binary,
    witness: String,
}

impl WitnessCase {
    /// The formula of crypto §8.1, from the keys on.
    fn check(&self) {
        let mesh = PublicKey::ed448(&self.mesh_public_b64url.0).unwrap();
        let device = PublicKey::ed448(&self.device_public_b64url.0).unwrap();
        assert_eq!(mesh.udf().as_str(), self.mesh_profile_udf);
        assert_eq!(device.udf().as_str(), self.device_profile_udf);
        assert_eq!(self.mesh_udf_binary_512, mesh.udf_binary()[..]);
        assert_eq!(self.device_udf_binary_512, device.udf_binary()[..]);
        let (server_nonce, client_nonce) = (&self.server_nonce_b64url, &self.client_nonce_b64url);
        let text = witness(&mesh, &server_nonce.0, &device, &client_nonce.0);
        assert_eq!(text, self.witness);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinCase {
    #[serde(rename = "source")]
    _source: String,
    pin: String,
    type_id: u8,
    random: Hex,
    pin_udf_on_wire: String,
    #[serde(rename = "note")]
    _note: String,
}

impl PinCase {
    fn check(&self) {
        assert_eq!(self.random.0.len(), nonce::PIN_BYTES);
        let pin = nonce::of_data(self.type_id, &self.random.0);
        assert_eq!(pin.as_str(), self.pin);
        assert_eq!(self.pin_udf_on_wire, self.pin, "the text itself is sent");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseCase {
    #[serde(rename = "source")]
    _source: String,
    message_id: String,
    response_id: String,
}

impl ResponseCase {
    fn check(&self) {
        let response = message_response_id(&self.message_id);
        assert_eq!(response.as_str(), self.response_id);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsingCase {
    #[serde(rename = "source")]
    _source: String,
    text: String,
    valid: bool,
    canonical: Option<String>,
    matches: Option<String>,
    #[serde(rename = "note")]
    _note: String,
}

impl ParsingCase {
    fn check(&self) {
        let read = Udf::parse(&self.text);
        assert_eq!(read.is_ok(), self.valid);
        let read = read.unwrap();
        assert!(self.canonical.is_some() || self.matches.is_some());
        if let Some(canonical) = &self.canonical {
            assert_eq!(read.as_str(), canonical);
        }
        if let Some(longer) = &self.matches {
            let longer = Udf::parse(longer).unwrap();
            assert!(read.is_prefix_of(&longer));
            assert_ne!(read, longer, "identities are compared whole");
            assert!(!longer.is_prefix_of(&read));
        }
    }
}
