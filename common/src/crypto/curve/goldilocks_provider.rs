//! The other provider: ed448-goldilocks, slower, and the oracle of the differential tests
//! (architecture A-24). Its own decoding is lax in four ways, so it is not believed: what it
//! decodes must encode to the same octets.

use ed448_goldilocks::{
    AffinePoint, CompressedEdwardsY, EdwardsPoint, EdwardsScalar, WideEdwardsScalarBytes,
};

use super::{Ed448Provider, POINT_BYTES, Scalar};

/// Arithmetic by the crate `ed448-goldilocks`.
#[derive(Debug, Clone, Copy)]
pub struct Goldilocks;

impl Ed448Provider for Goldilocks {
    type Point = EdwardsPoint;
    /// The point: nothing is gained here.
    type Table = EdwardsPoint;

    fn decode(octets: &[u8; POINT_BYTES]) -> Option<EdwardsPoint> {
        let point: Option<AffinePoint> = CompressedEdwardsY(*octets).decompress_unchecked().into();
        let point = point.filter(|point| bool::from(point.is_on_curve()))?;
        (point.compress().to_bytes() == *octets).then(|| point.to_edwards())
    }

    fn encode(point: &EdwardsPoint) -> [u8; POINT_BYTES] {
        point.to_affine().compress().to_bytes()
    }

    fn is_small_order(point: &EdwardsPoint) -> bool {
        Self::times_cofactor(point) == EdwardsPoint::IDENTITY
    }

    fn is_prime_order(point: &EdwardsPoint) -> bool {
        point.is_torsion_free().into()
    }

    fn add(one: &EdwardsPoint, other: &EdwardsPoint) -> EdwardsPoint {
        one.add(other)
    }

    fn times_cofactor(point: &EdwardsPoint) -> EdwardsPoint {
        point.double().double()
    }

    fn base_times(scalar: &Scalar) -> EdwardsPoint {
        EdwardsPoint::GENERATOR.scalar_mul(&number(scalar))
    }

    fn times(point: &EdwardsPoint, scalar: &Scalar) -> EdwardsPoint {
        point.scalar_mul(&number(scalar))
    }

    fn verification_point(s: &Scalar, k: &Scalar, point: &EdwardsPoint) -> EdwardsPoint {
        Self::base_times(s).add(&times_any(point, k).negate())
    }

    fn table(point: &EdwardsPoint) -> EdwardsPoint {
        *point
    }

    fn verification_point_by(s: &Scalar, k: &Scalar, table: &EdwardsPoint) -> EdwardsPoint {
        Self::verification_point(s, k, table)
    }

    fn reduce(octets: &[u8; 2 * POINT_BYTES]) -> Scalar {
        scalar(&number_wide(octets))
    }

    fn scalar_add(one: &Scalar, other: &Scalar) -> Scalar {
        scalar(&number(one).addition(&number(other)))
    }

    fn scalar_multiply_add(factor: &Scalar, other: &Scalar, addend: &Scalar) -> Scalar {
        scalar(
            &number(factor)
                .multiply(&number(other))
                .addition(&number(addend)),
        )
    }
}

/// `scalar` times any point. The crate multiplies through an isogeny that is right for the
/// subgroup of prime order only, so a point outside is split into a part of prime order and a
/// part of small order first. Takes longer for such points: public data only.
fn times_any(point: &EdwardsPoint, scalar: &Scalar) -> EdwardsPoint {
    let number = number(scalar);
    if Goldilocks::is_prime_order(point) {
        return point.scalar_mul(&number);
    }
    let quarter = EdwardsScalar::from(4_u8).invert();
    let prime_part = Goldilocks::times_cofactor(point).scalar_mul(&quarter);
    let small_part = point.add(&prime_part.negate());
    (0..scalar[0] & 3).fold(prime_part.scalar_mul(&number), |sum, _| {
        sum.add(&small_part)
    })
}

fn number(octets: &Scalar) -> EdwardsScalar {
    let mut wide = [0; 2 * POINT_BYTES];
    wide[..POINT_BYTES].copy_from_slice(octets);
    number_wide(&wide)
}

fn number_wide(octets: &[u8; 2 * POINT_BYTES]) -> EdwardsScalar {
    EdwardsScalar::from_bytes_mod_order_wide(&WideEdwardsScalarBytes::from(*octets))
}

fn scalar(number: &EdwardsScalar) -> Scalar {
    number.to_bytes_rfc_8032().into()
}
