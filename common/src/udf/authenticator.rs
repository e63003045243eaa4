//! Fingerprints under a key: who has the key and the content can check that they belong together
//! (crypto §2.5).

use super::Udf;
use crate::crypto::derive::{hkdf512, hmac512};
use crate::crypto::digest::sha512;

/// Type octet of an authenticator by HMAC-SHA-2-512: letter A.
pub const TYPE_HMAC_SHA2: u8 = 0;

/// The authenticator of `data` as `content_type` under the text of the fingerprint `key`, dashes
/// included.
#[must_use]
pub fn authenticator(key: &str, content_type: &str, data: &[u8], bits: usize) -> Udf {
    let mac_key = mac_key(key);
    let mut octets = [TYPE_HMAC_SHA2; 65];
    octets[1..].copy_from_slice(&hmac512(
        mac_key.as_slice(),
        &[content_type.as_bytes(), b":", &sha512(&[data])],
    ));
    Udf::present(&octets, bits)
}

/// The key of the MAC.
fn mac_key(key: &str) -> zeroize::Zeroizing<[u8; 64]> {
    hkdf512(key.as_bytes(), b"KeyedUDFMaster", b"KeyedUDFExpand")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// draft-hallambaker-mesh-udf-09 §5.2.2.
    #[test]
    fn the_published_example_is_reproduced() {
        let udf = authenticator(
            "NDD7-6CMX-H2FW-ISAL-K4VB-DQ3E-PEDM",
            "text/plain",
            b"Konrad is the traitor",
            140,
        );
        assert_eq!(udf.as_str(), "ABGM-G76T-7GPF-FTYH-SB2F-HBDF-SW6B");
    }
}
