//! `cogeneration.json`: overlays of the schema draft, sums of keys, and a printed sum that is none
//! (crypto §7).

use mesh_common::crypto::curve::{Ed448Provider, Provider};
use mesh_common::crypto::key::{Curve, KeyOverlay, PrivateParameters, PublicKey, SecretKey};
use mesh_common::crypto::{ed25519, eddsa};
use mesh_common::encoding::base64url::Binary;
use num_bigint::BigUint;
use serde::Deserialize;

use crate::count::Tally;
use crate::hex::{Hex, decimal};
use crate::json_of;

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("cogeneration.json"));
    tally.each("/overlays", |_, case: OverlayCase| case.check());
    tally.each("/scalar_addition", |_, case: SumCase| case.check());
    tally.each("/known_bad", |_, case: BadCase| case.check());
    assert_eq!(tally.finish(), 10);
}

/// The scalar of a seed, little endian, reduced.
pub(crate) fn scalar_of(curve: Curve, seed: &[u8]) -> Vec<u8> {
    match curve {
        Curve::Ed448 => eddsa::expand::<Provider>(seed).scalar.to_vec(),
        _ => ed25519::expand(seed.try_into().unwrap()).scalar.to_vec(),
    }
}

/// The order of the curve's group (crypto §7).
pub(crate) fn order_of(curve: Curve) -> BigUint {
    let two = BigUint::from(2_u8);
    match curve {
        Curve::Ed448 => {
            two.pow(446)
                - decimal("13818066809895115352007386748515426880336692474882178609894547503885")
        }
        _ => two.pow(252) + decimal("27742317777372353535851937790883648493"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayCase {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "also_printed")]
    _also_printed: Option<Vec<String>>,
    crv: String,
    base_udf: String,
    base_public_b64url: Binary,
    #[serde(rename = "base_public_from")]
    _base_public_from: String,
    overlay_private_b64url: Binary,
    overlay_scalar_le: Hex,
    overlay_public_b64url: Binary,
    composite_public_b64url: Binary,
    expect_udf: String,
    expect_public_b64url: Option<Binary>,
    #[serde(rename = "expect_public_from")]
    _expect_public_from: Option<String>,
}

impl OverlayCase {
    fn check(&self) {
        let curve = Curve::named(&self.crv).unwrap();
        let seed = self.overlay_private_b64url.as_slice();
        let overlay = SecretKey::from_seed_on(curve, seed).unwrap();
        self.check_scalar(curve);
        assert_eq!(overlay.public().octets(), self.overlay_public_b64url.0);

        let base = PublicKey::from_octets(curve, &self.base_public_b64url.0).unwrap();
        let structure = KeyOverlay {
            udf: Some(self.expect_udf.clone()),
            base_udf: Some(self.base_udf.clone()),
            overlay: Some(PrivateParameters::of(&overlay).unwrap()),
            ..KeyOverlay::default()
        };
        assert_eq!(KeyOverlay::of(&base, &overlay).unwrap(), structure);
        let composite = structure.composite_public(&base).unwrap();
        assert_eq!(composite.octets(), self.composite_public_b64url.0);
        if let Some(expected) = &self.expect_public_b64url {
            assert_eq!(composite.octets(), expected.0);
        }
    }
}

impl OverlayCase {
    /// The file has the clamped scalar; we keep it reduced.
    fn check_scalar(&self, curve: Curve) {
        let clamped = &self.overlay_scalar_le.0;
        assert_eq!(
            (clamped[0] & 3, clamped[55] & 0x80, clamped[56]),
            (0, 0x80, 0)
        );
        let scalar = scalar_of(curve, self.overlay_private_b64url.as_slice());
        assert_eq!(
            BigUint::from_bytes_le(&scalar),
            BigUint::from_bytes_le(clamped) % order_of(curve)
        );
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SumCase {
    #[serde(rename = "source")]
    _source: String,
    crv: String,
    private_seed_1: Hex,
    private_seed_2: Hex,
    #[serde(rename = "note")]
    _note: Option<String>,
    scalar_1_decimal: Option<String>,
    scalar_2_decimal: Option<String>,
    public_1: Hex,
    public_2: Hex,
    composite_scalar_decimal: Option<String>,
    composite_scalar_le: Hex,
    composite_public: Hex,
    composite_udf: Option<String>,
    prefix: Option<Hex>,
    message: Option<Hex>,
    signature: Option<Hex>,
}

impl SumCase {
    fn check(&self) {
        let curve = Curve::named(&self.crv).unwrap();
        let one = self.part(
            curve,
            &self.private_seed_1,
            &self.public_1,
            &self.scalar_1_decimal,
        );
        let other = self.part(
            curve,
            &self.private_seed_2,
            &self.public_2,
            &self.scalar_2_decimal,
        );
        let composite = one.compose(&other).unwrap();
        assert_eq!(self.composite_public, *composite.public().octets());
        assert_eq!(
            *composite.public(),
            one.public().compose(other.public()).unwrap()
        );
        self.check_scalar(curve);
        if let Some(udf) = &self.composite_udf {
            assert_eq!(composite.udf().as_str(), udf);
        }
        if let (Some(prefix), Some(message), Some(signature)) =
            (&self.prefix, &self.message, &self.signature)
        {
            let scalar = self.composite_scalar_le.sized().into();
            assert_eq!(*prefix, eddsa::with_derived_prefix(scalar).prefix[..]);
            assert_eq!(*signature, composite.sign(&message.sized())[..]);
            let verdict = composite.public().verify(&message.sized(), &signature.0);
            assert_eq!(verdict, Ok(()));
        }
    }

    fn part(
        &self,
        curve: Curve,
        seed: &Hex,
        public: &Hex,
        scalar_decimal: &Option<String>,
    ) -> SecretKey {
        let key = SecretKey::from_seed_on(curve, &seed.0).unwrap();
        assert_eq!(*public, *key.public().octets());
        if let Some(printed) = scalar_decimal {
            let reduced = decimal(printed) % order_of(curve);
            let scalar = scalar_of(curve, &seed.0);
            assert_eq!(BigUint::from_bytes_le(&scalar), reduced);
        }
        key
    }

    /// The composite scalar is the sum of both, by our arithmetic and by another library's.
    fn check_scalar(&self, curve: Curve) {
        let one = scalar_of(curve, &self.private_seed_1.0);
        let other = scalar_of(curve, &self.private_seed_2.0);
        let sum = match curve {
            Curve::Ed448 => Provider::scalar_add(
                one.as_slice().try_into().unwrap(),
                other.as_slice().try_into().unwrap(),
            )
            .to_vec(),
            _ => ed25519::scalar_add(
                one.as_slice().try_into().unwrap(),
                other.as_slice().try_into().unwrap(),
            )
            .to_vec(),
        };
        // One draft prints 56 octets, the last of ours being always zero.
        let printed = &self.composite_scalar_le.0;
        assert_eq!(sum[..printed.len()], printed[..]);
        assert!(sum[printed.len()..].iter().all(|octet| *octet == 0));
        let expected =
            (BigUint::from_bytes_le(&one) + BigUint::from_bytes_le(&other)) % order_of(curve);
        assert_eq!(BigUint::from_bytes_le(&sum), expected);
        if let Some(printed) = &self.composite_scalar_decimal {
            assert_eq!(decimal(printed), expected);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadCase {
    #[serde(rename = "source")]
    _source: String,
    crv: String,
    public_1: Hex,
    public_2: Hex,
    printed_composite: Hex,
    actual_sum: Hex,
    #[serde(rename = "note")]
    _note: String,
}

impl BadCase {
    fn check(&self) {
        let curve = Curve::named(&self.crv).unwrap();
        let key = |octets: &Hex| PublicKey::from_octets(curve, &octets.0).unwrap();
        let sum = key(&self.public_1).compose(&key(&self.public_2)).unwrap();
        assert_eq!(self.actual_sum, *sum.octets());
        assert_ne!(key(&self.printed_composite), sum);
    }
}
