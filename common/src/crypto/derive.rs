//! Keys from keys: HMAC and HKDF (RFC 5869) with the two digests the Mesh uses (crypto §6,
//! service §4.2).

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

/// A pseudo-random key of HKDF-SHA512 from which several outputs are expanded: its two digest blocks
/// are worked through once, not once per output.
pub struct Expander(Hkdf<Sha512>);

impl Expander {
    /// HKDF-Extract: the pseudo-random key of `ikm` under `salt`.
    #[must_use]
    pub fn extract(salt: &[u8], ikm: &[u8]) -> Self {
        Self(Hkdf::new(Some(salt), ikm))
    }

    /// The pseudo-random key `prk`.
    ///
    /// # Panics
    /// Never: 64 octets are a whole pseudo-random key.
    #[must_use]
    pub fn of(prk: &[u8; 64]) -> Self {
        Self(Hkdf::from_prk(prk).expect("64 octets are a whole pseudo-random key"))
    }

    /// HKDF-Expand to `N` octets.
    ///
    /// # Panics
    /// If `N` exceeds 16 320, which no use in the Mesh approaches.
    #[must_use]
    pub fn expand<const N: usize>(&self, info: &[u8]) -> Zeroizing<[u8; N]> {
        let mut okm = Zeroizing::new([0; N]);
        self.0
            .expand(info, okm.as_mut_slice())
            .expect("every length in use is below 255 digests");
        okm
    }
}

impl fmt::Debug for Expander {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Expander(…)")
    }
}

/// HKDF-Extract with SHA-512: the pseudo-random key of `ikm` under `salt`.
#[must_use]
pub fn hkdf512_extract(salt: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 64]> {
    let (prk, _) = Hkdf::<Sha512>::extract(Some(salt), ikm);
    Zeroizing::new(prk.into())
}

/// HKDF-Expand with SHA-512 to `N` octets.
///
/// # Panics
/// If `N` exceeds 16 320, which no use in the Mesh approaches.
#[must_use]
pub fn hkdf512_expand<const N: usize>(prk: &[u8; 64], info: &[u8]) -> Zeroizing<[u8; N]> {
    Expander::of(prk).expand(info)
}

/// HKDF with SHA-512: `N` octets from `ikm`; an empty `salt` means none.
#[must_use]
pub fn hkdf512<const N: usize>(ikm: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    Expander::extract(salt, ikm).expand(info)
}

/// HKDF with SHA-256: `N` octets from `ikm`; an empty `salt` means none.
///
/// # Panics
/// If `N` exceeds 8 160, which no use in the Mesh approaches.
#[must_use]
pub fn hkdf256<const N: usize>(ikm: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    let mut okm = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(info, okm.as_mut_slice())
        .expect("every length in use is below 255 digests");
    okm
}

/// HMAC-SHA-512 over the parts, one after the other.
///
/// # Panics
/// Never: HMAC takes keys of every length.
#[must_use]
pub fn hmac512(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 5869, test cases 1 and 3.
    #[test]
    fn hkdf256_is_rfc_5869() {
        let salt: Vec<u8> = (0..13).collect();
        let info: Vec<u8> = (0xf0..0xfa).collect();
        let okm = hkdf256::<42>(&[0x0b; 22], &salt, &info);
        assert!(
            HEXLOWER
                .encode(okm.as_slice())
                .starts_with("3cb25f25faacd57a90434f64d0362f2a")
        );
        let okm = hkdf256::<42>(&[0x0b; 22], &[], &[]);
        assert!(
            HEXLOWER
                .encode(okm.as_slice())
                .starts_with("8da4e775a563c18f715f802a063c5a31")
        );
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac512_is_rfc_4231() {
        let mac = hmac512(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(HEXLOWER.encode(&mac[..8]), "164b7a7bfcf819e2");
    }

    #[test]
    fn one_step_is_extract_and_expand() {
        let prk = hkdf512_extract(b"salt", b"key");
        assert_eq!(
            hkdf512::<80>(b"key", b"salt", b"use"),
            hkdf512_expand::<80>(&prk, b"use")
        );
    }
}
