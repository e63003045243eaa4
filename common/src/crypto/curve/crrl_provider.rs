//! The default provider: crrl, a research library by a respected author, constant time, fast, not
//! audited (architecture A-24).

use crrl::ed448::{Point, Scalar as Number};

use super::crrl_table::{self, Table};
use super::{Ed448Provider, POINT_BYTES, Scalar};

/// Arithmetic by the crate `crrl`.
#[derive(Debug, Clone, Copy)]
pub struct Crrl;

impl Ed448Provider for Crrl {
    type Point = Point;
    type Table = Table;

    fn decode(octets: &[u8; POINT_BYTES]) -> Option<Point> {
        let point = Point::decode(octets)?;
        // crrl decodes strictly; comparing costs little and does not depend on that staying so.
        (point.encode() == *octets).then_some(point)
    }

    fn encode(point: &Point) -> [u8; POINT_BYTES] {
        point.encode()
    }

    fn is_small_order(point: &Point) -> bool {
        point.has_low_order() != 0
    }

    fn is_prime_order(point: &Point) -> bool {
        point.is_in_subgroup() != 0
    }

    fn add(one: &Point, other: &Point) -> Point {
        one + other
    }

    fn times_cofactor(point: &Point) -> Point {
        point.xdouble(2)
    }

    fn base_times(scalar: &Scalar) -> Point {
        Point::mulgen(&number(scalar))
    }

    fn times(point: &Point, scalar: &Scalar) -> Point {
        point * number(scalar)
    }

    fn verification_point(s: &Scalar, k: &Scalar, point: &Point) -> Point {
        (-point).mul_add_mulgen_vartime(&number(k), &number(s))
    }

    fn table(point: &Point) -> Table {
        Table::of(point)
    }

    fn verification_point_by(s: &Scalar, k: &Scalar, table: &Table) -> Point {
        crrl_table::verification_point(&number(s), &number(k), table)
    }

    fn reduce(octets: &[u8; 2 * POINT_BYTES]) -> Scalar {
        scalar(Number::decode_reduce(octets))
    }

    fn scalar_add(one: &Scalar, other: &Scalar) -> Scalar {
        scalar(number(one) + number(other))
    }

    fn scalar_multiply_add(factor: &Scalar, other: &Scalar, addend: &Scalar) -> Scalar {
        scalar(number(factor) * number(other) + number(addend))
    }
}

fn number(octets: &Scalar) -> Number {
    Number::decode_reduce(octets)
}

fn scalar(number: Number) -> Scalar {
    let mut octets = [0; POINT_BYTES];
    octets[..56].copy_from_slice(&number.encode());
    octets
}
