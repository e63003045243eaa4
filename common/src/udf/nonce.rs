//! Fingerprints that carry their data: message identifiers, PINs, encryption keys, object
//! identifiers (crypto §2.1, §2.8).

use zeroize::Zeroizing;

use super::{BITS_DEFAULT, Udf};
use crate::entropy::{Entropy, draw};

/// Type octet of an encryption or authentication key: letter E.
pub const TYPE_ENCRYPTION: u8 = 32;
/// Type octet of a nonce: letter N.
pub const TYPE_NONCE: u8 = 104;
/// Type octet of an OID sequence: letter O.
///
/// Draft: mesh-udf-09 §4.2 says 108; the published value has this one (crypto §11).
pub const TYPE_OID: u8 = 112;
/// Type octet of a random generation seed: letter R.
pub const TYPE_SEED: u8 = 136;

/// Random octets of a message identifier; the last four bits are not shown.
pub const NONCE_BYTES: usize = 17;
/// Bits of the key of an EARL, without the type octet (crypto §2.8).
pub const ENCRYPTION_KEY_BITS: usize = 140;
/// Random octets of a PIN (crypto §10).
pub const PIN_BYTES: usize = 10;

/// A fresh identifier of a message or entry: 28 characters, 132 random bits.
pub fn nonce(entropy: &mut dyn Entropy) -> Udf {
    let random = draw::<NONCE_BYTES>(entropy);
    Udf::present(&typed(TYPE_NONCE, &random), BITS_DEFAULT)
}

/// A fresh PIN: 18 characters, 80 random bits.
pub fn pin(entropy: &mut dyn Entropy) -> Udf {
    let random = Zeroizing::new(draw::<PIN_BYTES>(entropy));
    of_data(TYPE_NONCE, random.as_slice())
}

/// A fresh encryption key of 140 bits as EARLs carry it: 30 characters.
pub fn encryption_key(entropy: &mut dyn Entropy) -> Udf {
    let random = Zeroizing::new(draw::<{ ENCRYPTION_KEY_BITS.div_ceil(8) }>(entropy));
    let octets = typed(TYPE_ENCRYPTION, random.as_slice());
    Udf::present(&octets, 8 + ENCRYPTION_KEY_BITS)
}

/// Whole octets under a type octet: what fixed-length fingerprints are.
#[must_use]
pub fn of_data(type_octet: u8, data: &[u8]) -> Udf {
    Udf::present(&typed(type_octet, data), 8 * (data.len() + 1))
}

fn typed(type_octet: u8, data: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(data.len() + 1));
    octets.push(type_octet);
    octets.extend_from_slice(data);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn lengths_and_letters_are_those_of_the_examples() {
        let mut entropy = SeededEntropy::new(1);
        let letters = |udf: &Udf| udf.as_str().replace('-', "").len();
        let (nonce, pin) = (nonce(&mut entropy), pin(&mut entropy));
        let key = encryption_key(&mut entropy);
        assert_eq!((letters(&nonce), &nonce.as_str()[..1]), (28, "N"));
        assert_eq!((letters(&pin), &pin.as_str()[..1]), (18, "N"));
        assert_eq!((letters(&key), &key.as_str()[..1]), (30, "E"));
        assert_eq!(of_data(TYPE_OID, &[1, 2, 3]).octets(), [TYPE_OID, 1, 2, 3]);
    }
}
