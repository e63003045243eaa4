//! Arithmetic modulo a public number of up to 543 bits, in the same time for every secret: what
//! derived scalars need, which is one reduction, and what shares need, which is a prime field.

use zeroize::Zeroizing;

/// 32-bit limbs of a number, the lowest first.
const LIMBS: usize = 17;

/// A number below a modulus. Wiped when dropped.
pub(super) type Number = Zeroizing<[u32; LIMBS]>;

/// A modulus of more than one bit and less than 2^543.
pub(super) struct Modulus([u32; LIMBS]);

impl Modulus {
    /// `2^exponent + addend`.
    pub(super) fn power_of_two_plus(exponent: usize, addend: i64) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[exponent / 32] = 1 << (exponent % 32);
        Self(limbs).plus(0, addend)
    }

    /// This modulus and `sign · 2^exponent`, for the primes that are sums of few powers of two.
    pub(super) fn and_power_of_two(self, exponent: usize, sign: i64) -> Self {
        let unit = sign << (exponent % 32);
        self.plus(exponent / 32, unit)
    }

    fn plus(mut self, first_limb: usize, addend: i64) -> Self {
        let mut carry = addend;
        for limb in &mut self.0[first_limb..] {
            let sum = i64::from(*limb) + carry;
            *limb = sum as u32;
            carry = sum >> 32;
        }
        self
    }

    /// Big-endian octets of any length, reduced.
    pub(super) fn reduce(&self, octets: &[u8]) -> Number {
        let mut value = zero();
        for octet in octets {
            for bit in (0..8).rev() {
                self.double(&mut value);
                let mut one = zero();
                one[0] = u32::from(octet >> bit & 1);
                self.add_assign(&mut value, &one);
            }
        }
        value
    }

    fn add_assign(&self, value: &mut Number, addend: &Number) {
        let mut carry = 0;
        for (limb, addend) in value.iter_mut().zip(addend.iter()) {
            let sum = u64::from(*limb) + u64::from(*addend) + carry;
            *limb = sum as u32;
            carry = sum >> 32;
        }
        self.subtract_once(value);
    }

    fn negate(&self, value: &Number) -> Number {
        let mut negative = Zeroizing::new(self.0);
        subtract(&mut negative, value);
        // The modulus itself, where the value was zero.
        self.subtract_once(&mut negative);
        negative
    }

    fn double(&self, value: &mut Number) {
        let copy = value.clone();
        self.add_assign(value, &copy);
    }

    /// Subtracts the modulus if the value is not below it.
    fn subtract_once(&self, value: &mut Number) {
        let mut reduced = value.clone();
        let keep = subtract(&mut reduced, &self.0).wrapping_neg();
        for (limb, reduced) in value.iter_mut().zip(reduced.iter()) {
            *limb = *limb & keep | reduced & !keep;
        }
    }
}

/// The field of the prime `2^(32·words) + addend`.
pub(super) struct Field {
    modulus: Modulus,
    words: usize,
    addend: u32,
}

impl Field {
    /// The field of that prime; `words` is 1 to 16, `addend` below 1024.
    pub(super) fn new(words: usize, addend: u32) -> Self {
        Self {
            modulus: Modulus::power_of_two_plus(32 * words, addend.into()),
            words,
            addend,
        }
    }

    /// Big-endian octets of any length as an element.
    pub(super) fn element(&self, octets: &[u8]) -> Number {
        self.modulus.reduce(octets)
    }

    /// A small number as an element.
    pub(super) fn small(&self, value: u32) -> Number {
        self.element(&value.to_be_bytes())
    }

    pub(super) fn add_assign(&self, value: &mut Number, addend: &Number) {
        self.modulus.add_assign(value, addend);
    }

    pub(super) fn subtract(&self, value: &Number, subtrahend: &Number) -> Number {
        let mut difference = self.modulus.negate(subtrahend);
        self.add_assign(&mut difference, value);
        difference
    }

    /// The product: limb by limb, then twice `2^(32·words)` replaced by `-addend`.
    pub(super) fn multiply(&self, one: &Number, other: &Number) -> Number {
        let mut product = Zeroizing::new([0_u32; 2 * LIMBS]);
        for (index, factor) in one.iter().enumerate() {
            let mut carry = 0;
            for (limb, other) in product[index..].iter_mut().zip(other.iter()) {
                let sum = u64::from(*factor) * u64::from(*other) + u64::from(*limb) + carry;
                *limb = sum as u32;
                carry = sum >> 32;
            }
            product[index + LIMBS] = carry as u32;
        }
        let (low, high) = self.split(product.as_slice());
        let (fold_low, fold_high) = self.split(self.times_addend(&high).as_slice());
        let mut result = self.subtract(&low, &fold_low);
        self.add_assign(&mut result, &self.times_addend(&fold_high));
        result
    }

    /// The inverse of an element other than zero (Fermat).
    pub(super) fn invert(&self, value: &Number) -> Number {
        let mut exponent = Zeroizing::new(self.modulus.0);
        let mut two = zero();
        two[0] = 2;
        subtract(&mut exponent, &two);
        let mut power = self.small(1);
        // The exponent is public, so its bits may decide what is done.
        for limb in exponent[..=self.words].iter().rev() {
            for bit in (0..32).rev() {
                power = self.multiply(&power, &power);
                if limb >> bit & 1 == 1 {
                    power = self.multiply(&power, value);
                }
            }
        }
        power
    }

    /// The limbs below `2^(32·words)`, and those from there on, which fill no more than a number.
    fn split(&self, limbs: &[u32]) -> (Number, Number) {
        let (mut low, mut high) = (zero(), zero());
        low[..self.words].copy_from_slice(&limbs[..self.words]);
        for (high, limb) in high.iter_mut().zip(&limbs[self.words..]) {
            *high = *limb;
        }
        (low, high)
    }

    fn times_addend(&self, value: &Number) -> Number {
        let mut product = zero();
        let mut carry = 0;
        for (limb, factor) in product.iter_mut().zip(value.iter()) {
            let sum = u64::from(*factor) * u64::from(self.addend) + carry;
            *limb = sum as u32;
            carry = sum >> 32;
        }
        product
    }
}

/// Big-endian octets of a number, exactly `length`; none if it does not fit.
pub(super) fn to_octets(value: &Number, length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(4 * LIMBS));
    for limb in value.iter().rev() {
        octets.extend_from_slice(&limb.to_be_bytes());
    }
    let start = octets.len().checked_sub(length)?;
    let fits = octets[..start].iter().fold(0, |all, octet| all | octet) == 0;
    fits.then(|| Zeroizing::new(octets[start..].to_vec()))
}

fn zero() -> Number {
    Zeroizing::new([0; LIMBS])
}

/// Subtracts in place; returns the borrow, 0 or 1.
fn subtract(value: &mut [u32; LIMBS], subtrahend: &[u32; LIMBS]) -> u32 {
    let mut borrow = 0;
    for (limb, subtrahend) in value.iter_mut().zip(subtrahend) {
        let difference = i64::from(*limb) - i64::from(*subtrahend) - borrow;
        *limb = difference as u32;
        borrow = i64::from(difference < 0);
    }
    borrow as u32
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    fn big(value: &Number) -> BigUint {
        BigUint::from_bytes_be(&to_octets(value, 68).unwrap())
    }

    proptest! {
        #[test]
        fn results_are_those_of_another_library(
            one in prop::collection::vec(any::<u8>(), 0..90),
            other in prop::collection::vec(any::<u8>(), 0..90),
            words in 1..=16_usize,
            addend in 1..1024_u32,
        ) {
            let field = Field::new(words, addend);
            let modulus = (BigUint::from(1_u8) << (32 * words)) + addend;
            let (a, b) = (field.element(&one), field.element(&other));
            let big_a = BigUint::from_bytes_be(&one) % &modulus;
            let big_b = BigUint::from_bytes_be(&other) % &modulus;
            prop_assert_eq!(&big(&a), &big_a);
            let mut sum = a.clone();
            field.add_assign(&mut sum, &b);
            prop_assert_eq!(big(&sum), (&big_a + &big_b) % &modulus);
            let difference = field.subtract(&a, &b);
            prop_assert_eq!(big(&difference), (&big_a + &modulus - &big_b) % &modulus);
            prop_assert_eq!(big(&field.multiply(&a, &b)), &big_a * &big_b % &modulus);
        }
    }

    #[test]
    fn the_largest_elements_are_multiplied() {
        for (words, addend) in [(1, 15), (7, 735), (16, 75)] {
            let field = Field::new(words, addend);
            let one = field.small(1);
            let minus_one = field.subtract(&field.small(0), &one);
            assert_eq!(field.multiply(&minus_one, &minus_one), one);
            assert_eq!(big(&field.subtract(&one, &one)), BigUint::ZERO);
        }
    }

    #[test]
    fn an_inverse_times_its_number_is_one() {
        let field = Field::new(16, 75);
        let value = field.element(&[0x5a; 70]);
        let product = field.multiply(&value, &field.invert(&value));
        assert_eq!(product, field.small(1));
    }

    #[test]
    fn primes_of_few_powers_are_built_from_them() {
        let p256 = Modulus::power_of_two_plus(256, -1)
            .and_power_of_two(224, -1)
            .and_power_of_two(192, 1)
            .and_power_of_two(96, 1);
        let limbs = Zeroizing::new(p256.0);
        assert_eq!(
            big(&limbs).to_str_radix(16),
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
        );
    }
}
