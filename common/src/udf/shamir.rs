//! Secrets in shares, of which a quorum is enough: fingerprints of letter S (crypto §2.7).
//!
//! The secret is the value at 0 of a polynomial over a prime field a little larger than the
//! secret; a share is its value at 1, 2, 3 ….

use zeroize::Zeroizing;

use super::modular::{Field, Number, to_octets};
use super::{Udf, nonce};
use crate::entropy::Entropy;

/// Type octet of a share: letter S.
pub const TYPE_SHARE: u8 = 144;
/// Octets of the longest secret.
pub const SECRET_BYTES_MAX: usize = 64;
/// The largest quorum.
pub const THRESHOLD_MAX: usize = 15;
/// The largest number of shares.
pub const SHARES_MAX: usize = 16;

/// The field prime for a secret of w words is `2^(32·w) + PRIME_ADDENDS[w - 1]`.
const PRIME_ADDENDS: [u32; 16] = [
    15, 13, 61, 51, 7, 133, 735, 297, 127, 27, 55, 231, 235, 211, 165, 75,
];

/// Why a secret cannot be divided, or shares do not give one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A secret of no octets, or of more than [`SECRET_BYTES_MAX`].
    #[error("a secret has 1 to {SECRET_BYTES_MAX} octets, found {found_bytes}")]
    SecretLength {
        /// Octets found.
        found_bytes: usize,
    },
    /// A quorum that is not 1 to [`THRESHOLD_MAX`], or not reached by so many shares.
    #[error("{threshold} of {count} is no division")]
    Division {
        /// Shares that are needed.
        threshold: usize,
        /// Shares there are.
        count: usize,
    },
    /// A text that is no share.
    #[error("not a share")]
    NotAShare,
    /// Shares of different secrets, or one share twice.
    #[error("the shares do not belong together")]
    Mixed,
}

/// Divides `secret` into `count` shares of which any `threshold` give it back.
///
/// # Errors
/// [`ShareError::SecretLength`], [`ShareError::Division`].
pub fn split(
    secret: &[u8],
    threshold: usize,
    count: usize,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Udf>, ShareError> {
    if !(1..=THRESHOLD_MAX).contains(&threshold) || !(threshold..=SHARES_MAX).contains(&count) {
        return Err(ShareError::Division { threshold, count });
    }
    let words = secret.len().div_ceil(4);
    let field = field(words).ok_or(ShareError::SecretLength {
        found_bytes: secret.len(),
    })?;
    loop {
        let mut coefficients = vec![field.element(secret)];
        for _ in 1..threshold {
            // 16 octets beyond the prime's length, so that every residue is equally likely.
            let mut random = Zeroizing::new(vec![0; 4 * words + 16]);
            entropy.fill(&mut random);
            coefficients.push(field.element(&random));
        }
        let shares: Option<Vec<Udf>> = (1..=count)
            .map(|x| share(&field, &coefficients, threshold, x, words))
            .collect();
        // A value that needs one bit more than the secret has cannot be written: draw again.
        if let Some(shares) = shares {
            return Ok(shares);
        }
    }
}

/// The secret of enough shares; more than enough are checked against each other. Its length is a
/// multiple of four octets: a shorter secret comes back with zeros before it.
///
/// # Errors
/// [`ShareError::NotAShare`], [`ShareError::Mixed`], [`ShareError::Division`] if there are too few.
pub fn combine(shares: &[Udf]) -> Result<Zeroizing<Vec<u8>>, ShareError> {
    let shares: Vec<Share> = shares.iter().map(Share::read).collect::<Result<_, _>>()?;
    let first = shares.first().ok_or(ShareError::Division {
        threshold: 1,
        count: 0,
    })?;
    let (threshold, length) = (first.threshold, first.value.len());
    for (index, share) in shares.iter().enumerate() {
        let is_repeated = shares[..index].iter().any(|other| other.x == share.x);
        if is_repeated || share.threshold != threshold || share.value.len() != length {
            return Err(ShareError::Mixed);
        }
    }
    if threshold == 0 || shares.len() < threshold {
        return Err(ShareError::Division {
            threshold,
            count: shares.len(),
        });
    }
    let field = field(length / 4).ok_or(ShareError::NotAShare)?;
    let (quorum, rest) = shares.split_at(threshold);
    for share in rest {
        let expected = interpolate(&field, quorum, share.x);
        if to_octets(&expected, length) != Some(share.value.clone()) {
            return Err(ShareError::Mixed);
        }
    }
    // A polynomial that is not a secret's can pass through a value one bit too long.
    to_octets(&interpolate(&field, quorum, 0), length).ok_or(ShareError::Mixed)
}

/// One point of the polynomial.
struct Share {
    threshold: usize,
    x: u32,
    value: Zeroizing<Vec<u8>>,
}

impl Share {
    fn read(udf: &Udf) -> Result<Self, ShareError> {
        let octets = Zeroizing::new(udf.octets());
        match octets.as_slice() {
            [TYPE_SHARE, position, value @ ..] if !value.is_empty() && value.len() % 4 == 0 => {
                Ok(Self {
                    threshold: usize::from(position >> 4),
                    x: u32::from(position & 0x0f) + 1,
                    value: Zeroizing::new(value.to_vec()),
                })
            }
            _ => Err(ShareError::NotAShare),
        }
    }
}

fn field(words: usize) -> Option<Field> {
    let addend = PRIME_ADDENDS.get(words.checked_sub(1)?)?;
    Some(Field::new(words, *addend))
}

/// The share at `x`; none if the value there is one bit too long to be written.
fn share(
    field: &Field,
    coefficients: &[Number],
    threshold: usize,
    x: usize,
    words: usize,
) -> Option<Udf> {
    let position = field.small(x as u32);
    let mut value = field.small(0);
    for coefficient in coefficients.iter().rev() {
        value = field.multiply(&value, &position);
        field.add_assign(&mut value, coefficient);
    }
    let mut data = Zeroizing::new(vec![(threshold << 4 | (x - 1)) as u8]);
    data.extend_from_slice(&to_octets(&value, 4 * words)?);
    Some(nonce::of_data(TYPE_SHARE, &data))
}

/// The value at `x` of the polynomial through `shares` (Lagrange).
fn interpolate(field: &Field, shares: &[Share], x: u32) -> Number {
    let mut sum = field.small(0);
    for share in shares {
        let mut numerator = field.element(&share.value);
        let mut denominator = field.small(1);
        for other in shares.iter().filter(|other| other.x != share.x) {
            numerator = field.multiply(&numerator, &difference(field, x, other.x));
            denominator = field.multiply(&denominator, &difference(field, share.x, other.x));
        }
        let term = field.multiply(&numerator, &field.invert(&denominator));
        field.add_assign(&mut sum, &term);
    }
    sum
}

fn difference(field: &Field, one: u32, other: u32) -> Number {
    field.subtract(&field.small(one), &field.small(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn any_quorum_gives_the_secret_and_fewer_do_not() {
        let mut entropy = SeededEntropy::new(5);
        let secret = [7, 1, 2, 3, 4, 5, 6, 7];
        let shares = split(&secret, 3, 5, &mut entropy).unwrap();
        for omitted in 0..5 {
            let quorum: Vec<Udf> = (0..5)
                .filter(|index| *index != omitted && *index != (omitted + 2) % 5)
                .map(|index| shares[index].clone())
                .collect();
            assert_eq!(*combine(&quorum).unwrap(), secret);
        }
        assert_eq!(*combine(&shares).unwrap(), secret);
        assert!(matches!(
            combine(&shares[..2]),
            Err(ShareError::Division {
                threshold: 3,
                count: 2
            })
        ));
    }

    #[test]
    fn every_length_is_divided() {
        let mut entropy = SeededEntropy::new(6);
        for length in [1, 4, 5, 17, 32, 64] {
            let secret = vec![0xff; length];
            let shares = split(&secret, 2, 2, &mut entropy).unwrap();
            let combined = combine(&shares).unwrap();
            assert!(combined.ends_with(&secret));
            assert_eq!(combined.len(), length.next_multiple_of(4));
        }
        assert!(split(&[], 2, 3, &mut entropy).is_err());
        assert!(split(&[1; 65], 2, 3, &mut entropy).is_err());
    }

    #[test]
    fn impossible_divisions_and_foreign_shares_are_refused() {
        let mut entropy = SeededEntropy::new(7);
        for (threshold, count) in [(0, 3), (4, 3), (16, 16), (2, 17)] {
            assert!(split(&[1; 16], threshold, count, &mut entropy).is_err());
        }
        let one = split(&[1; 16], 2, 3, &mut entropy).unwrap();
        let other = split(&[2; 16], 3, 3, &mut entropy).unwrap();
        let third = split(&[3; 16], 2, 3, &mut entropy).unwrap();
        let mixed = |shares: &[&Udf]| {
            let shares: Vec<Udf> = shares.iter().map(|share| (*share).clone()).collect();
            combine(&shares).unwrap_err()
        };
        assert_eq!(mixed(&[&one[0], &other[1]]), ShareError::Mixed);
        assert_eq!(mixed(&[&one[0], &one[0]]), ShareError::Mixed);
        assert_eq!(mixed(&[&one[0], &one[1], &third[2]]), ShareError::Mixed);
        assert!(combine(&[]).is_err());
        let digest = super::super::content_digest("text/plain", b"x", 140);
        assert_eq!(mixed(&[&digest]), ShareError::NotAShare);
    }
}
