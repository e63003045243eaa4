//! Digests over parts: SHA-2, SHA-3 and the SHAKE256 of Ed448 (crypto §2.2, §3.2, §5.1).

use sha2::{Digest, Sha256, Sha512};
use sha3::Sha3_512;
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};

/// Octets of a SHA-512 digest, and of every digest in containers.
pub const SHA512_BYTES: usize = 64;

/// SHA-2-512 of the parts, one after the other.
#[must_use]
pub fn sha512(parts: &[&[u8]]) -> [u8; SHA512_BYTES] {
    hash::<Sha512>(parts).into()
}

/// SHA-2-256 of the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    hash::<Sha256>(parts).into()
}

/// SHA-3-512 of the parts, one after the other.
#[must_use]
pub fn sha3_512(parts: &[&[u8]]) -> [u8; SHA512_BYTES] {
    hash::<Sha3_512>(parts).into()
}

/// The first `N` octets of SHAKE256 of the parts, one after the other.
#[must_use]
pub fn shake256<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut state = Shake256::default();
    for part in parts {
        state.update(part);
    }
    let mut octets = [0; N];
    state.finalize_xof().read(&mut octets);
    octets
}

fn hash<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut state = D::new();
    for part in parts {
        Digest::update(&mut state, part);
    }
    state.finalize()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn parts_are_joined() {
        assert_eq!(sha512(&[b"ab", b"c"]), sha512(&[b"abc"]));
        assert_eq!(HEXLOWER.encode(&sha256(&[b"abc"])[..8]), "ba7816bf8f01cfea");
        assert_eq!(
            HEXLOWER.encode(&sha3_512(&[b"a", b"bc"])[..8]),
            "b751850b1a57168a"
        );
        assert_eq!(
            HEXLOWER.encode(&shake256::<8>(&[b"a", b"bc"])),
            "483366601360a877"
        );
    }
}
