//! AES-256 in the modes the Mesh uses: GCM for requests and responses, CBC for stored envelopes,
//! key wrap for their master keys (architecture A-10, crypto §6, service §4.2).

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aes_kw::KwAes256;
use zeroize::Zeroizing;

/// Octets that [`gcm_seal`] adds: the authentication tag.
pub const GCM_TAG_BYTES: usize = 16;
/// Octets that [`key_wrap`] adds: the integrity block.
pub const WRAP_BYTES: usize = 8;

/// A ciphertext was refused. It does not say where: that would help only whoever forged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// The authentication tag does not belong to key, nonce, associated data and text.
    #[error("the sealed text does not open")]
    NotAuthentic,
    /// The text is no whole number of blocks, or its padding is not PKCS#7.
    #[error("the encrypted text has no valid padding")]
    Padding,
    /// The wrapped key is damaged, or wrapped under another key.
    #[error("the wrapped key does not open")]
    Wrap,
}

/// Seals `text` with AES-256-GCM: the result is the ciphertext and the tag.
///
/// A pair of key and nonce must be used once only.
///
/// # Panics
/// If text or associated data exceed 64 GiB.
#[must_use]
pub fn gcm_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], text: &[u8]) -> Vec<u8> {
    Aes256Gcm::new(key.into())
        .encrypt(nonce.into(), Payload { msg: text, aad })
        .expect("every text in use is far below the bound of GCM")
}

/// Opens what [`gcm_seal`] made.
///
/// # Errors
/// [`CipherError::NotAuthentic`].
pub fn gcm_open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CipherError> {
    Aes256Gcm::new(key.into())
        .decrypt(nonce.into(), Payload { msg: sealed, aad })
        .map(Zeroizing::new)
        .map_err(|_| CipherError::NotAuthentic)
}

/// Encrypts with AES-256-CBC and PKCS#7 padding, which is always added (crypto §6.3).
#[must_use]
pub fn cbc_encrypt(key: &[u8; 32], iv: &[u8; 16], text: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_padded_vec::<Pkcs7>(text)
}

/// Decrypts what [`cbc_encrypt`] made. CBC proves nothing about who made the text (crypto §6.5).
///
/// # Errors
/// [`CipherError::Padding`].
pub fn cbc_decrypt(
    key: &[u8; 32],
    iv: &[u8; 16],
    encrypted: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CipherError> {
    cbc::Decryptor::<Aes256>::new(key.into(), iv.into())
        .decrypt_padded_vec::<Pkcs7>(encrypted)
        .map(Zeroizing::new)
        .map_err(|_| CipherError::Padding)
}

/// Wraps a 32-octet key with AES-256 (RFC 3394): 40 octets.
///
/// # Panics
/// Never: 32 octets are four whole blocks.
#[must_use]
pub fn key_wrap(kek: &[u8; 32], key: &[u8; 32]) -> [u8; 40] {
    let mut wrapped = [0; 40];
    KwAes256::new(kek.into())
        .wrap_key(key, &mut wrapped)
        .expect("32 octets are four whole blocks, and 40 hold them wrapped");
    wrapped
}

/// Opens what [`key_wrap`] made.
///
/// # Errors
/// [`CipherError::Wrap`], also for a key of another length than 32 octets.
pub fn key_unwrap(kek: &[u8; 32], wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, CipherError> {
    let mut key = Zeroizing::new([0; 32]);
    if wrapped.len() != key.len() + WRAP_BYTES {
        return Err(CipherError::Wrap);
    }
    KwAes256::new(kek.into())
        .unwrap_key(wrapped, key.as_mut_slice())
        .map_err(|_| CipherError::Wrap)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXUPPER;

    use super::*;

    #[test]
    fn gcm_opens_only_what_was_sealed() {
        let sealed = gcm_seal(&[1; 32], &[2; 12], b"aad", b"text");
        assert_eq!(sealed.len(), 4 + GCM_TAG_BYTES);
        assert_eq!(
            *gcm_open(&[1; 32], &[2; 12], b"aad", &sealed).unwrap(),
            b"text"
        );
        assert!(gcm_open(&[1; 32], &[2; 12], b"aae", &sealed).is_err());
        assert!(gcm_open(&[1; 32], &[3; 12], b"aad", &sealed).is_err());
        assert!(gcm_open(&[0; 32], &[2; 12], b"aad", &sealed).is_err());
        assert!(gcm_open(&[1; 32], &[2; 12], b"aad", &sealed[1..]).is_err());
        assert!(gcm_open(&[1; 32], &[2; 12], b"aad", b"short").is_err());
    }

    #[test]
    fn cbc_always_pads() {
        for length in [0, 1, 15, 16, 17] {
            let text = vec![7; length];
            let encrypted = cbc_encrypt(&[1; 32], &[2; 16], &text);
            assert_eq!(encrypted.len(), 16 * (length / 16 + 1));
            assert_eq!(*cbc_decrypt(&[1; 32], &[2; 16], &encrypted).unwrap(), text);
        }
        assert_eq!(
            cbc_decrypt(&[1; 32], &[2; 16], b""),
            Err(CipherError::Padding)
        );
        assert_eq!(
            cbc_decrypt(&[1; 32], &[2; 16], &[0; 17]),
            Err(CipherError::Padding)
        );
    }

    /// RFC 3394 §4.6.
    #[test]
    fn key_wrap_is_rfc_3394() {
        let kek: [u8; 32] = std::array::from_fn(|index| index as u8);
        let key: Vec<u8> = HEXUPPER
            .decode(b"00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
            .unwrap();
        let wrapped = key_wrap(&kek, key.as_slice().try_into().unwrap());
        assert_eq!(
            HEXUPPER.encode(&wrapped),
            "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
        );
        assert_eq!(key_unwrap(&kek, &wrapped).unwrap().as_slice(), key);
        assert_eq!(key_unwrap(&[9; 32], &wrapped), Err(CipherError::Wrap));
        assert_eq!(key_unwrap(&kek, &[0xa6; 8]), Err(CipherError::Wrap));
        assert_eq!(key_unwrap(&kek, b""), Err(CipherError::Wrap));
    }
}
