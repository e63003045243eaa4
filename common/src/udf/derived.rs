//! Key pairs from a seed that is short enough to print: fingerprints of letter Z (crypto §2.6).
//!
//! RSA keys are not derived: the published example is no usable key (crypto §2.6, §11).

use std::fmt;

use zeroize::Zeroizing;

use super::modular::{Modulus, to_octets};
use super::{Udf, nonce};
use crate::crypto::derive::hkdf512;
use crate::crypto::key::{Curve, KeyError, SecretKey};
use crate::encoding::base32;
use crate::entropy::Entropy;

/// Type octet of a derivation seed: letter Z.
pub const TYPE_DERIVATION: u8 = 200;
/// Octets of the specifier before the seed.
const SPECIFIER_BYTES: usize = 2;
/// Specifiers from here on say what a seed is for, not which algorithm it is for.
const SPECIFIER_USE_MIN: u16 = 256;

/// What a key is derived for; the value is the specifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Algorithm {
    /// X25519.
    X25519 = 1,
    /// X448.
    X448 = 2,
    /// Ed25519.
    Ed25519 = 3,
    /// Ed448.
    Ed448 = 4,
    /// NIST P-256.
    P256 = 5,
    /// NIST P-384.
    P384 = 6,
    /// NIST P-521.
    P521 = 7,
}

/// What a seed is for, beside an algorithm; the value is the specifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum SeedUse {
    /// Any algorithm.
    Any = 0,
    /// The profile of a mesh.
    ProfileMesh = 256,
    /// The profile of a device.
    ProfileDevice = 257,
    /// The profile of an account.
    ProfileAccount = 258,
    /// The activation of a device.
    ActivationDevice = 259,
    /// The activation of an account.
    ActivationAccount = 260,
}

/// Why no key can be derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DerivationError {
    /// The text is no fingerprint of letter Z.
    #[error("not a derivation seed")]
    NotASeed,
    /// The seed is for another algorithm.
    #[error("the seed is for algorithm {found}, not {wanted}")]
    Algorithm {
        /// Specifier wanted.
        wanted: u16,
        /// Specifier found.
        found: u16,
    },
    /// Keys of the curve are not computed with here.
    #[error("no key pair on that curve")]
    Key(#[source] KeyError),
}

/// A specifier and a seed. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct DerivationSeed(Zeroizing<Vec<u8>>);

impl DerivationSeed {
    /// Reads a fingerprint of letter Z.
    ///
    /// # Errors
    /// [`DerivationError::NotASeed`].
    pub fn parse(text: &str) -> Result<Self, DerivationError> {
        let octets = Zeroizing::new(base32::read(text));
        match octets.split_first() {
            Some((&TYPE_DERIVATION, data)) if data.len() > SPECIFIER_BYTES => {
                Ok(Self(Zeroizing::new(data.to_vec())))
            }
            _ => Err(DerivationError::NotASeed),
        }
    }

    /// A fresh seed of `N` octets for `seed_use`.
    pub fn generate<const N: usize>(seed_use: SeedUse, entropy: &mut dyn Entropy) -> Self {
        let mut data = Zeroizing::new(vec![0; SPECIFIER_BYTES + N]);
        data[..SPECIFIER_BYTES].copy_from_slice(&(seed_use as u16).to_be_bytes());
        entropy.fill(&mut data[SPECIFIER_BYTES..]);
        Self(data)
    }

    /// The seed `seed` for `seed_use`.
    #[must_use]
    pub fn of(seed_use: SeedUse, seed: &[u8]) -> Self {
        let mut data = Zeroizing::new(Vec::with_capacity(SPECIFIER_BYTES + seed.len()));
        data.extend_from_slice(&(seed_use as u16).to_be_bytes());
        data.extend_from_slice(seed);
        Self(data)
    }

    /// The octets behind the specifier.
    #[must_use]
    pub fn seed(&self) -> &[u8] {
        &self.0[SPECIFIER_BYTES..]
    }

    /// The seed as text. It is a secret.
    #[must_use]
    pub fn to_udf(&self) -> Udf {
        nonce::of_data(TYPE_DERIVATION, &self.0)
    }

    /// What the seed says it is for.
    #[must_use]
    pub fn specifier(&self) -> u16 {
        u16::from(self.0[0]) << 8 | u16::from(self.0[1])
    }

    /// The seed of the key on one of the four curves of the Mesh.
    ///
    /// # Errors
    /// [`DerivationError::Algorithm`] if the seed is for another.
    pub fn key_seed(&self, curve: Curve) -> Result<Zeroizing<Vec<u8>>, DerivationError> {
        let octets = match curve {
            Curve::X25519 => self.derive::<32>(Algorithm::X25519)?.to_vec(),
            Curve::X448 => self.derive::<56>(Algorithm::X448)?.to_vec(),
            Curve::Ed25519 => self.derive::<32>(Algorithm::Ed25519)?.to_vec(),
            Curve::Ed448 => self.derive::<56>(Algorithm::Ed448)?.to_vec(),
        };
        Ok(Zeroizing::new(octets))
    }

    /// The key on `curve`.
    ///
    /// # Errors
    /// [`DerivationError::Algorithm`]; [`DerivationError::Key`] for X448 and X25519.
    pub fn secret_key(&self, curve: Curve) -> Result<SecretKey, DerivationError> {
        SecretKey::from_seed_on(curve, &self.key_seed(curve)?).map_err(DerivationError::Key)
    }

    /// The secret scalar on P-256: 32 octets, big endian.
    ///
    /// # Errors
    /// [`DerivationError::Algorithm`].
    pub fn scalar_p256(&self) -> Result<Zeroizing<Vec<u8>>, DerivationError> {
        let prime_less_one = Modulus::power_of_two_plus(256, -2)
            .and_power_of_two(224, -1)
            .and_power_of_two(192, 1)
            .and_power_of_two(96, 1);
        let material = self.derive::<40>(Algorithm::P256)?;
        Ok(scalar(&prime_less_one, material.as_slice(), 32))
    }

    /// The secret scalar on P-384: 48 octets, big endian.
    ///
    /// # Errors
    /// [`DerivationError::Algorithm`].
    pub fn scalar_p384(&self) -> Result<Zeroizing<Vec<u8>>, DerivationError> {
        let prime_less_one = Modulus::power_of_two_plus(384, -2)
            .and_power_of_two(128, -1)
            .and_power_of_two(96, -1)
            .and_power_of_two(32, 1);
        let material = self.derive::<56>(Algorithm::P384)?;
        Ok(scalar(&prime_less_one, material.as_slice(), 48))
    }

    /// The secret scalar on P-521: 66 octets, big endian.
    ///
    /// # Errors
    /// [`DerivationError::Algorithm`].
    pub fn scalar_p521(&self) -> Result<Zeroizing<Vec<u8>>, DerivationError> {
        let prime_less_one = Modulus::power_of_two_plus(521, -2);
        let material = self.derive::<74>(Algorithm::P521)?;
        Ok(scalar(&prime_less_one, material.as_slice(), 66))
    }

    fn derive<const N: usize>(
        &self,
        algorithm: Algorithm,
    ) -> Result<Zeroizing<[u8; N]>, DerivationError> {
        let wanted = algorithm as u16;
        let found = self.specifier();
        if found != wanted && found != SeedUse::Any as u16 && found < SPECIFIER_USE_MIN {
            return Err(DerivationError::Algorithm { wanted, found });
        }
        Ok(hkdf512(&self.0, &wanted.to_be_bytes(), b""))
    }
}

impl fmt::Debug for DerivationSeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DerivationSeed({})", self.specifier())
    }
}

/// `material` modulo the field prime less one, and one (crypto §2.6).
fn scalar(prime_less_one: &Modulus, material: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let reduced = prime_less_one.reduce(material);
    let mut octets =
        to_octets(&reduced, length).expect("a number below the prime has the prime's length");
    for octet in octets.iter_mut().rev() {
        let (sum, carries) = octet.overflowing_add(1);
        *octet = sum;
        if !carries {
            break;
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_seed_serves_its_own_algorithm_or_all() {
        let ed448 = "ZAAA-ILZB-KTQV-YWUK-FO7E-MQVV-EWPR-UPA";
        let seed = DerivationSeed::parse(ed448).unwrap();
        assert!(seed.secret_key(Curve::Ed448).is_ok());
        assert!(matches!(
            seed.secret_key(Curve::Ed25519),
            Err(DerivationError::Algorithm {
                wanted: 3,
                found: 4
            })
        ));
        assert!(seed.scalar_p256().is_err());
        assert_eq!(seed.to_udf().as_str(), ed448);

        let mut entropy = SeededEntropy::new(1);
        for seed_use in [
            SeedUse::Any,
            SeedUse::ProfileMesh,
            SeedUse::ActivationAccount,
        ] {
            let seed = DerivationSeed::generate::<16>(seed_use, &mut entropy);
            let again = DerivationSeed::parse(seed.to_udf().as_str()).unwrap();
            assert_eq!(
                again.secret_key(Curve::Ed448).unwrap().udf(),
                seed.secret_key(Curve::Ed448).unwrap().udf()
            );
            assert_ne!(
                seed.key_seed(Curve::Ed25519).unwrap(),
                seed.key_seed(Curve::X25519).unwrap()
            );
            assert!(seed.scalar_p521().is_ok());
            let copy = DerivationSeed::of(seed_use, seed.seed());
            assert_eq!(copy.to_udf(), seed.to_udf());
        }
    }

    #[test]
    fn other_fingerprints_are_no_seeds() {
        for text in ["", "ZAAA", "NDD7-6CMX-H2FW-ISAL-K4VB-DQ3E-PEDM"] {
            assert!(DerivationSeed::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seeds_do_not_print() {
        let seed = DerivationSeed::parse("ZAAA-ILZB-KTQV-YWUK-FO7E-MQVV-EWPR-UPA").unwrap();
        assert_eq!(format!("{seed:?}"), "DerivationSeed(4)");
    }
}
