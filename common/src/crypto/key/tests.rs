//! Keys: RFC 8032, strictness of decoding and verification, composition, agreement, JSON.

use data_encoding::HEXLOWER;

use super::*;
use crate::crypto::curve::{Ed448Provider, Provider};
use crate::crypto::eddsa;
use crate::encoding::json;
use crate::entropy::SeededEntropy;

/// The field prime 2^448 - 2^224 - 1, little endian.
fn prime() -> [u8; 57] {
    let mut octets = [0xff; 57];
    octets[28] = 0xfe;
    octets[56] = 0;
    octets
}

/// The group order, little endian.
fn order() -> [u8; 57] {
    let mut octets = [0; 57];
    octets[..28].copy_from_slice(
        &HEXLOWER
            .decode(b"f34458ab92c27823558fc58d72c26c219036d6ae49db4ec4e923ca7c")
            .unwrap(),
    );
    octets[28..55].fill(0xff);
    octets[55] = 0x3f;
    octets
}

fn identity() -> [u8; 57] {
    let mut octets = [0; 57];
    octets[0] = 1;
    octets
}

/// A point of order 4: (1, 0).
const ORDER_4: [u8; 57] = [0; 57];

fn key(seed: u64) -> SecretKey {
    SecretKey::generate(&mut SeededEntropy::new(seed))
}

/// RFC 8032 §7.4, "1 octet".
#[test]
fn seeds_of_57_octets_sign_as_rfc_8032_says() {
    let seed = HEXLOWER
        .decode(
            b"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397\
              a659949ef8021e954e0a12274e",
        )
        .unwrap();
    let secret = SecretKey::from_seed(&seed).unwrap();
    assert_eq!(
        HEXLOWER.encode(secret.public().octets()),
        "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82\
         169c235160627b4c3a9480"
    );
    let mut public = [0; 57];
    public.copy_from_slice(secret.public().octets());
    let signature = eddsa::sign::<Provider>(&eddsa::expand::<Provider>(&seed), &public, &[3]);
    assert_eq!(
        HEXLOWER.encode(&signature),
        "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccd\
         f633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1\
         953d2a0ff3348ab21aa4adafd1d234441cf807c03a00"
    );
}

#[test]
fn seeds_of_32_to_64_octets_are_keys() {
    for length in SEED_BYTES_MIN..=SEED_BYTES_MAX {
        let secret = SecretKey::from_seed(&vec![length as u8; length]).unwrap();
        let signature = secret.sign(&[7; 64]);
        assert_eq!(secret.public().verify(&[7; 64], &signature), Ok(()));
        assert_eq!(secret.seed().unwrap().len(), length);
    }
    for length in [0, 31, 65] {
        assert!(SecretKey::from_seed(&vec![0; length]).is_err());
    }
    assert!(SecretKey::from_seed_on(Curve::Ed25519, &[0; 31]).is_err());
    assert!(SecretKey::from_seed_on(Curve::X448, &[0; 56]).is_err());
}

#[test]
fn only_canonical_points_of_large_order_are_keys() {
    let refused = |octets: &[u8]| PublicKey::ed448(octets).unwrap_err();
    let not_a_point = KeyError::NotAPoint {
        curve: Curve::Ed448,
    };
    assert_eq!(refused(&identity()), KeyError::SmallOrder);
    assert_eq!(refused(&ORDER_4), KeyError::SmallOrder);
    let mut minus_one = prime();
    minus_one[0] -= 1;
    assert_eq!(refused(&minus_one), KeyError::SmallOrder);

    let mut signed_identity = identity();
    signed_identity[56] = 0x80;
    assert_eq!(refused(&signed_identity), not_a_point);
    assert_eq!(refused(&prime()), not_a_point);
    let mut above_prime = [0xff; 57];
    above_prime[..28].fill(0);
    above_prime[56] = 0;
    assert_eq!(refused(&above_prime), not_a_point);
    for bit in 0..7 {
        let mut stray = [0; 57];
        stray.copy_from_slice(key(1).public().octets());
        stray[56] |= 1 << bit;
        assert_eq!(refused(&stray), not_a_point);
    }
    assert!(matches!(refused(&[1; 56]), KeyError::PublicLength { .. }));
}

#[test]
fn signatures_verify_for_their_key_and_digest_only() {
    let (one, other) = (key(1), key(2));
    let signature = one.sign(&[1; 64]);
    assert_eq!(one.public().verify(&[1; 64], &signature), Ok(()));
    assert_eq!(
        one.public().verify(&[2; 64], &signature),
        Err(SignatureError::Invalid)
    );
    assert_eq!(
        other.public().verify(&[1; 64], &signature),
        Err(SignatureError::Invalid)
    );
    assert!(matches!(
        one.public().verify(&[1; 64], &signature[1..]),
        Err(SignatureError::Length { .. })
    ));
    for position in [0, 55, 56, 57, 60, 112, 113] {
        let mut damaged = signature.clone();
        damaged[position] ^= 0x40;
        assert!(
            one.public().verify(&[1; 64], &damaged).is_err(),
            "octet {position}"
        );
    }
}

/// S and S + L satisfy the same equation; only the first is a signature (decision Q-18).
#[test]
fn a_scalar_above_the_group_order_is_refused() {
    let secret = key(3);
    let mut signature = secret.sign(&[1; 64]);
    let mut carry = 0;
    for (octet, addend) in signature[57..].iter_mut().zip(order()) {
        let sum = u16::from(*octet) + u16::from(addend) + carry;
        *octet = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(
        secret.public().verify(&[1; 64], &signature),
        Err(SignatureError::Invalid)
    );
}

/// R plus a point of small order passes a check with cofactor; ours is without (decision Q-18).
#[test]
fn a_commitment_with_a_small_component_is_refused() {
    let secret = key(4);
    let small = Provider::decode(&ORDER_4).unwrap();
    let mut public = [0; 57];
    public.copy_from_slice(secret.public().octets());
    let signer = eddsa::expand::<Provider>(secret.seed().unwrap());
    let nonce = eddsa::expand::<Provider>(&[9; 56]).scalar;
    for add_small in [false, true] {
        let mut point = Provider::base_times(&nonce);
        if add_small {
            point = Provider::add(&point, &small);
        }
        let commitment = Provider::encode(&point);
        let hash =
            crate::crypto::digest::shake256(&[b"SigEd448\0\0", &commitment, &public, &[1; 64]]);
        let challenge = Provider::reduce(&hash);
        let response = Provider::scalar_multiply_add(&challenge, &signer.scalar, &nonce);
        let signature = [commitment, response].concat();
        let verdict = secret.public().verify(&[1; 64], &signature);
        assert_eq!(verdict.is_err(), add_small);
    }
}

#[test]
fn composite_keys_are_sums_on_both_sides() {
    for curve in [Curve::Ed448, Curve::Ed25519] {
        let device = SecretKey::from_seed_on(curve, &[1; 32]).unwrap();
        let overlay = SecretKey::from_seed_on(curve, &[2; 32]).unwrap();
        let composite = device.compose(&overlay).unwrap();
        let public = device.public().compose(overlay.public()).unwrap();
        assert_eq!(*composite.public(), public);
        assert!(composite.seed().is_none());
        assert_eq!(public.verify(&[5; 64], &composite.sign(&[5; 64])), Ok(()));

        let peer = SecretKey::from_seed_on(curve, &[3; 32]).unwrap();
        assert_eq!(
            composite.agree(peer.public()).unwrap(),
            peer.agree(&public).unwrap()
        );
    }
    let ed25519 = SecretKey::from_seed_on(Curve::Ed25519, &[1; 32]).unwrap();
    assert!(matches!(
        ed25519.compose(&key(1)),
        Err(KeyError::CurvesDiffer { .. })
    ));
    assert!(matches!(
        ed25519.public().compose(key(1).public()),
        Err(KeyError::CurvesDiffer { .. })
    ));
}

/// Two signatures of a composite key over different digests must not share a nonce.
#[test]
fn composite_nonces_depend_on_digest_and_scalar() {
    let composite = key(1).compose(&key(2)).unwrap();
    let other = key(1).compose(&key(3)).unwrap();
    let commitment = |key: &SecretKey, digest: u8| key.sign(&[digest; 64])[..57].to_vec();
    assert_ne!(commitment(&composite, 1), commitment(&composite, 2));
    assert_ne!(commitment(&composite, 1), commitment(&other, 1));
    assert_eq!(commitment(&composite, 1), commitment(&composite, 1));
}

#[test]
fn agreement_is_symmetric_and_refuses_points_outside_the_subgroup() {
    let (one, other) = (key(1), key(2));
    assert_eq!(
        one.agree(other.public()).unwrap(),
        other.agree(one.public()).unwrap()
    );
    assert_eq!(
        one.agree_cofactor(other.public()).unwrap(),
        other.agree_cofactor(one.public()).unwrap()
    );
    assert_ne!(
        one.agree(other.public()).unwrap(),
        one.agree_cofactor(other.public()).unwrap()
    );

    let small = Provider::decode(&ORDER_4).unwrap();
    let mut octets = [0; 57];
    octets.copy_from_slice(other.public().octets());
    let shifted = Provider::add(&Provider::decode(&octets).unwrap(), &small);
    let shifted = PublicKey::ed448(&Provider::encode(&shifted)).unwrap();
    assert_eq!(one.agree(&shifted), Err(KeyError::OutsideSubgroup));
    assert_eq!(
        one.agree_cofactor(&shifted).unwrap(),
        one.agree_cofactor(other.public()).unwrap()
    );
}

#[test]
fn x448_keys_are_carried_but_not_used() {
    let mut octets = [5; 57];
    octets[56] = 0x80;
    let carried = PublicKey::from_octets(Curve::X448, &octets).unwrap();
    assert_eq!(carried.octets(), octets);
    assert!(matches!(
        carried.verify(&[0; 64], &[0; 114]),
        Err(SignatureError::CurveUnused { .. })
    ));
    assert!(key(1).agree(&carried).is_err());
    assert_eq!(
        key(1).agree_cofactor(&carried),
        Err(KeyError::CurveUnused { curve: Curve::X448 })
    );
    octets[56] = 1;
    assert!(PublicKey::from_octets(Curve::X448, &octets).is_err());
    assert!(PublicKey::from_octets(Curve::X448, &octets[..56]).is_err());
}

// I-S-7.2.4-a
#[test]
fn keys_are_read_from_the_json_they_are_written_to() {
    let public = key(1).public().clone();
    let text = json::write(&public);
    assert!(text.starts_with(br#"{"PublicKeyECDH":{"crv":"Ed448","Public":""#));
    assert_eq!(json::parse::<PublicKey>(&text).unwrap(), public);

    let data = KeyData::of(&public);
    let read: KeyData = json::parse(&json::write(&data)).unwrap();
    assert_eq!(read.public_key().unwrap(), public);
    let lying = KeyData {
        udf: Some(key(2).udf().to_string()),
        ..data.clone()
    };
    assert!(matches!(
        lying.public_key(),
        Err(KeyError::FingerprintDiffers { .. })
    ));
    let prefix = KeyData {
        udf: Some(public.udf().as_str()[..24].to_owned()),
        ..data
    };
    assert!(
        prefix.public_key().is_err(),
        "identities are compared whole"
    );

    for text in [
        r#"{"PublicKeyECDH":{"crv":"P-256","Public":"AAAA"}}"#,
        r#"{"PublicKeyECDH":{"crv":"Ed448","Public":"AAAA"}}"#,
        r#"{"PublicKeyRSA":{"n":"AAAA","e":"AQAB"}}"#,
        r#"{"PublicKeyECDH":{"crv":"X25519","Public":"AAAA"},"Second":{}}"#,
    ] {
        assert!(json::parse::<PublicKey>(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn overlays_are_checked_at_both_ends() {
    let (device, overlay) = (key(1), key(2));
    let structure = KeyOverlay::of(device.public(), &overlay).unwrap();
    let read: KeyOverlay = json::parse(&json::write(&structure)).unwrap();
    assert_eq!(read, structure);
    let composite = read.composite_secret(&device).unwrap();
    assert_eq!(
        *composite.public(),
        read.composite_public(device.public()).unwrap()
    );
    assert!(matches!(
        read.composite_public(key(3).public()),
        Err(KeyError::FingerprintDiffers { .. })
    ));
    let lying = KeyOverlay {
        udf: read.base_udf.clone(),
        ..read
    };
    assert!(lying.composite_secret(&device).is_err());
    assert!(KeyOverlay::of(device.public(), &composite).is_err());
}

#[test]
fn secrets_do_not_print() {
    let secret = key(1);
    let seed = HEXLOWER.encode(secret.seed().unwrap());
    let parameters = PrivateParameters::of(&secret).unwrap();
    for text in [format!("{secret:?}"), format!("{parameters:?}")] {
        assert!(!text.to_lowercase().contains(&seed[..8]), "{text}");
        assert!(!text.contains(&crate::encoding::base64url::encode(secret.seed().unwrap())[..8]));
    }
}
