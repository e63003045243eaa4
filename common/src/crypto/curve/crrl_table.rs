//! Multiples of a point that are kept, so that a signature by a key that signs again and again is
//! verified in less than half the time.
//!
//! A scalar of 446 bits is cut into eight strips of 56. With the odd multiples of `2^56i` times the
//! point at hand, all strips go through the same 55 doublings, where a bare point takes 445. The
//! group law is crrl's; what is here is the choice of what to add. **Public data only**: the time
//! depends on the scalar.

use std::sync::OnceLock;

use crrl::ed448::{Point, Scalar as Number};

/// Strips of a scalar.
const STRIPS: usize = 8;
/// Bits of a strip: together they hold 447 digits.
const STRIP_BITS: usize = 56;
const DIGITS: usize = STRIPS * STRIP_BITS;

/// Window of the base point's table, which there is once: 32 multiples in a strip.
const BASE_WINDOW: u32 = 7;
/// Window of a key's table: 8 multiples in a strip, 11 KiB in all. Wider ones would save one addition
/// in seven for twice the memory.
const KEY_WINDOW: u32 = 5;

/// Odd multiples of one point, strip by strip; of a key, those of its negative.
#[derive(Debug)]
pub struct Table {
    window: u32,
    /// `multiples` per strip: those by 1, 3, 5, …
    points: Vec<Point>,
}

impl Table {
    /// The table of a key. Costs a little less than one verification without.
    pub(super) fn of(point: &Point) -> Self {
        // Less a multiple of the key: by its negative, since a scalar's negative is no integer's.
        Self::new(&-point, KEY_WINDOW)
    }

    /// The table of the base point.
    fn of_base() -> &'static Self {
        static BASE: OnceLock<Table> = OnceLock::new();
        BASE.get_or_init(|| Self::new(&Point::BASE, BASE_WINDOW))
    }

    fn new(point: &Point, window: u32) -> Self {
        let multiples = 1 << (window - 2);
        let mut points = Vec::with_capacity(STRIPS * multiples);
        let mut base = *point;
        for strip in 0..STRIPS {
            if strip > 0 {
                base.set_xdouble(STRIP_BITS as u32);
            }
            let twice = base.double();
            let odd = std::iter::successors(Some(base), |last| Some(*last + twice));
            points.extend(odd.take(multiples));
        }
        Self { window, points }
    }

    /// Adds to `sum` what the scalar with these `digits` has at `place` of each strip.
    fn add_to(&self, sum: &mut Point, digits: &[i8; DIGITS], place: usize) {
        let strips = self.points.chunks_exact(1 << (self.window - 2));
        for (strip, multiples) in strips.enumerate() {
            let digit = digits[strip * STRIP_BITS + place];
            let multiple = &multiples[usize::from(digit.unsigned_abs() >> 1)];
            match digit.signum() {
                1 => *sum += multiple,
                -1 => *sum -= multiple,
                _ => {}
            }
        }
    }
}

/// `s` times the base point less `k` times the key of `table`.
pub(super) fn verification_point(s: &Number, k: &Number, table: &Table) -> Point {
    let base = Table::of_base();
    let (s, k) = (digits(s, base.window), digits(k, table.window));
    let mut sum = Point::NEUTRAL;
    for place in (0..STRIP_BITS).rev() {
        sum.set_double();
        base.add_to(&mut sum, &s, place);
        table.add_to(&mut sum, &k, place);
    }
    sum
}

/// Signed digits of a scalar, most of them zero: the others are odd, below half the window's range,
/// and followed by `window - 1` zeros.
fn digits(scalar: &Number, window: u32) -> [i8; DIGITS] {
    let octets = scalar.encode();
    let range: u16 = 1 << window;
    let mut digits = [0; DIGITS];
    let (mut place, mut carry) = (0, 0);
    while place < DIGITS {
        let bits = bits_at(&octets, place);
        // A carry over a bit that is set goes on as it is.
        if bits & 1 == carry {
            place += 1;
            continue;
        }
        let value = bits % range + carry;
        carry = u16::from(value >= range / 2);
        digits[place] = (i32::from(value) - i32::from(carry) * i32::from(range)) as i8;
        place += window as usize;
    }
    digits
}

/// At least nine bits of a scalar from `place` on; none are set behind its last.
fn bits_at(octets: &[u8; 56], place: usize) -> u16 {
    let octet = |at: usize| octets.get(at).copied().map_or(0, u16::from);
    let at = place / 8;
    (octet(at) | octet(at + 1) << 8) >> (place % 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(octets: &[u8]) -> Number {
        Number::decode_reduce(octets)
    }

    /// Points of the curve, also those outside the subgroup of prime order.
    fn points() -> impl Strategy<Value = Point> {
        let small = Point::decode(&[0; 57]).expect("the point of order 4");
        (any::<[u8; 32]>(), 0..4_u64)
            .prop_map(move |(seed, times)| Point::mulgen(&number(&seed)) + small * times)
    }

    /// Scalars of all lengths, and those near the order of the group.
    fn scalars() -> impl Strategy<Value = Number> {
        let any_length = prop::collection::vec(any::<u8>(), 0..=56);
        let near_order = (0..600_u32).prop_map(|distance| -number(&distance.to_le_bytes()));
        prop_oneof![any_length.prop_map(|octets| number(&octets)), near_order]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_table_gives_what_the_bare_point_gives(
            point in points(), s in scalars(), k in scalars(),
        ) {
            let bare = (-point).mul_add_mulgen_vartime(&k, &s);
            let found = verification_point(&s, &k, &Table::of(&point));
            prop_assert_eq!(found.encode(), bare.encode());
        }

        #[test]
        fn digits_are_the_scalar(scalar in scalars(), window in 3..=8_u32) {
            let digits = digits(&scalar, window);
            let sum = digits.iter().rev().fold(Number::ZERO, |sum, digit| {
                sum + sum + Number::from_i32(i32::from(*digit))
            });
            prop_assert_eq!(sum.encode(), scalar.encode());
            for (place, digit) in digits.iter().enumerate().filter(|(_, digit)| **digit != 0) {
                prop_assert_eq!(digit & 1, 1, "place {}", place);
                prop_assert!(i32::from(*digit).abs() < 1 << (window - 1));
            }
        }
    }
}
