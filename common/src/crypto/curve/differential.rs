//! Both providers, side by side: whatever octets come, they accept the same points, reject the
//! same rest and compute the same values (architecture A-24).

use proptest::prelude::*;

use super::*;
use crate::crypto::digest::shake256;
use crate::crypto::eddsa;

type Octets = [u8; POINT_BYTES];

fn octets() -> impl Strategy<Value = Octets> {
    prop::collection::vec(any::<u8>(), POINT_BYTES)
        .prop_map(|octets| octets.try_into().expect("57 octets were asked for"))
}

/// Encodings of points, damaged encodings, and encodings near the edges of the field.
fn encodings() -> impl Strategy<Value = Octets> {
    let valid = octets().prop_map(|seed| public(&seed));
    let shifted = (octets(), 0..4_usize).prop_map(|(seed, times)| shifted(&public(&seed), times));
    let damaged = (octets(), 0..POINT_BYTES, 0..8_u8).prop_map(|(seed, position, bit)| {
        let mut encoding = public(&seed);
        encoding[position] ^= 1 << bit;
        encoding
    });
    let edge = (any::<bool>(), 0..6_u8, any::<bool>(), 0..4_u8).prop_map(
        |(from_prime, distance, sign, stray)| {
            let mut encoding = [0; POINT_BYTES];
            if from_prime {
                // The field prime less three, and up to p + 2.
                encoding[..56].fill(0xff);
                encoding[28] = 0xfe;
                encoding[0] = 0xfc;
            }
            let mut carry = u16::from(distance);
            for octet in &mut encoding[..56] {
                let sum = u16::from(*octet) + carry;
                *octet = sum as u8;
                carry = sum >> 8;
            }
            encoding[56] = u8::from(sign) << 7 | stray;
            encoding
        },
    );
    prop_oneof![octets(), valid, shifted, damaged, edge]
}

fn public(seed: &[u8]) -> Octets {
    let signer = eddsa::expand::<Crrl>(seed);
    Crrl::encode(&eddsa::public::<Crrl>(&signer.scalar))
}

/// The point plus `times` the point of order 4.
fn shifted(encoding: &Octets, times: usize) -> Octets {
    let small = Crrl::decode(&[0; POINT_BYTES]).unwrap();
    let mut point = Crrl::decode(encoding).unwrap();
    for _ in 0..times {
        point = Crrl::add(&point, &small);
    }
    Crrl::encode(&point)
}

fn scalar(seed: &[u8]) -> Scalar {
    Crrl::reduce(&shake256(&[seed]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_octets_are_points(encoding in encodings()) {
        let (one, other) = (Crrl::decode(&encoding), Goldilocks::decode(&encoding));
        prop_assert_eq!(one.is_some(), other.is_some());
        if let (Some(one), Some(other)) = (one, other) {
            prop_assert_eq!(Crrl::encode(&one), encoding);
            prop_assert_eq!(Goldilocks::encode(&other), encoding);
            prop_assert_eq!(Crrl::is_small_order(&one), Goldilocks::is_small_order(&other));
            prop_assert_eq!(Crrl::is_prime_order(&one), Goldilocks::is_prime_order(&other));
            prop_assert_eq!(
                Crrl::encode(&Crrl::times_cofactor(&one)),
                Goldilocks::encode(&Goldilocks::times_cofactor(&other))
            );
        }
    }

    #[test]
    fn sums_are_the_same(one in octets(), other in octets(), times in 0..4_usize) {
        let (one, other) = (public(&one), shifted(&public(&other), times));
        let sum = Crrl::add(&Crrl::decode(&one).unwrap(), &Crrl::decode(&other).unwrap());
        let again = Goldilocks::add(
            &Goldilocks::decode(&one).unwrap(),
            &Goldilocks::decode(&other).unwrap(),
        );
        prop_assert_eq!(Crrl::encode(&sum), Goldilocks::encode(&again));
    }

    #[test]
    fn scalars_are_the_same(
        wide in prop::collection::vec(any::<u8>(), 2 * POINT_BYTES),
        one in octets(),
        other in octets(),
    ) {
        let wide: [u8; 2 * POINT_BYTES] = wide.try_into().unwrap();
        let addend = Crrl::reduce(&wide);
        prop_assert_eq!(addend, Goldilocks::reduce(&wide));
        let (one, other) = (scalar(&one), scalar(&other));
        prop_assert_eq!(Crrl::scalar_add(&one, &other), Goldilocks::scalar_add(&one, &other));
        prop_assert_eq!(
            Crrl::scalar_multiply_add(&one, &other, &addend),
            Goldilocks::scalar_multiply_add(&one, &other, &addend)
        );
    }

    #[test]
    fn agreements_are_the_same(own in octets(), peer in octets(), times in 0..4_usize) {
        let own = scalar(&own);
        let peer = shifted(&public(&peer), times);
        let (one, other) = (Crrl::decode(&peer).unwrap(), Goldilocks::decode(&peer).unwrap());
        prop_assert_eq!(
            eddsa::agree_cofactor::<Crrl>(&own, &one),
            eddsa::agree_cofactor::<Goldilocks>(&own, &other)
        );
        if times == 0 {
            prop_assert_eq!(
                eddsa::agree::<Crrl>(&own, &one),
                eddsa::agree::<Goldilocks>(&own, &other)
            );
        }
    }

    #[test]
    fn signatures_are_the_same_and_judged_alike(
        seed in prop::collection::vec(any::<u8>(), 32..=64),
        message in prop::collection::vec(any::<u8>(), 0..80),
        damage in prop::option::of((0..114_usize, 0..8_u8)),
        times in 0..4_usize,
    ) {
        let signer = eddsa::expand::<Crrl>(&seed);
        let again = eddsa::expand::<Goldilocks>(&seed);
        prop_assert_eq!(&signer.scalar, &again.scalar);
        let key = public(&seed);
        let mut signature = eddsa::sign::<Crrl>(&signer, &key, &message);
        prop_assert_eq!(signature, eddsa::sign::<Goldilocks>(&again, &key, &message));
        if let Some((position, bit)) = damage {
            signature[position] ^= 1 << bit;
        }
        // A key outside the subgroup, so that the answer depends on the missing cofactor.
        let key = shifted(&key, times);
        let one = eddsa::verify::<Crrl>(&Crrl::decode(&key).unwrap(), &key, &message, &signature);
        let point = Goldilocks::decode(&key).unwrap();
        prop_assert_eq!(one, eddsa::verify::<Goldilocks>(&point, &key, &message, &signature));
        prop_assert_eq!(one, damage.is_none() && times == 0);
    }

    /// Keys outside the subgroup can have valid signatures; both providers must find the same.
    #[test]
    fn verification_points_are_the_same(
        s in octets(), k in octets(), point in octets(), times in 0..4_usize,
    ) {
        let (s, k, point) = (scalar(&s), scalar(&k), shifted(&public(&point), times));
        prop_assert_eq!(
            Crrl::encode(&Crrl::verification_point(&s, &k, &Crrl::decode(&point).unwrap())),
            Goldilocks::encode(&Goldilocks::verification_point(
                &s, &k, &Goldilocks::decode(&point).unwrap(),
            ))
        );
    }
}
