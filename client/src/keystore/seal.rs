//! The file form of the keys: plain but private, or sealed under a passphrase by argon2id and
//! AES-256-GCM. Everything needed to open it later, but the passphrase, stands in the file.
//!
//! ```text
//!  {"Version":1, "Protection":{"Passphrase":{…argon2id parameters, salt, nonce}} | "None",
//!   "Content":"base64url", "Digest":"base64url of SHA-512(Content)"}
//! ```
//!
//! The digest tells a damaged file from a wrong passphrase.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use mesh_common::crypto::digest::sha512;
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json::{self, JsonError};
use mesh_common::entropy::{Entropy, draw};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The version of the file this program writes.
const VERSION: u32 = 1;
/// Memory, in KiB, that a file may ask for at most: more is an attack or damage.
const MEMORY_KIB_MAX: u32 = 2 * 1024 * 1024;
/// Passes over that memory that a file may ask for at most.
const PASSES_MAX: u32 = 64;
/// Lanes that a file may ask for at most.
const LANES_MAX: u32 = 64;

/// What a person types to open their keys. Erased when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes `text` as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase")
    }
}

/// How much work it is to try one passphrase (argon2id, RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cost {
    /// Memory in KiB.
    #[serde(rename = "MemoryKiB")]
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes that can be computed side by side.
    pub lanes: u32,
}

impl Default for Cost {
    /// The second recommended option of RFC 9106 §4: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

/// A key file that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No JSON, members missing, or parameters no program would have written.
    #[error("the key file is not in a form this program knows")]
    Form(#[source] Option<JsonError>),
    /// Written by a later program.
    #[error("the key file is of version {found}, this program reads version {VERSION}")]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The content is not what was written.
    #[error("the key file is damaged: its digest does not match its content")]
    Damaged,
    /// There is a passphrase on the file and none was given.
    #[error("the keys are sealed by a passphrase")]
    PassphraseNeeded,
    /// The content does not open under the passphrase.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyFile {
    version: u32,
    protection: Protection,
    content: Binary,
    digest: Binary,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.content.0.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
enum Protection {
    None,
    Passphrase(Sealing),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sealing {
    algorithm: String,
    #[serde(flatten)]
    cost: Cost,
    salt: Binary,
    nonce: Binary,
}

/// Writes `content` into the file form, sealed if there is a passphrase.
pub(crate) fn seal(
    content: &[u8],
    passphrase: Option<(&Passphrase, Cost)>,
    entropy: &mut dyn Entropy,
) -> Zeroizing<Vec<u8>> {
    let (protection, content) = match passphrase {
        None => (Protection::None, content.to_vec()),
        Some((passphrase, cost)) => {
            let sealing = Sealing {
                algorithm: "argon2id+A256GCM".into(),
                cost,
                salt: Binary::from(draw::<16>(entropy)),
                nonce: Binary::from(draw::<12>(entropy)),
            };
            let sealed = cipher(passphrase, &sealing)
                .and_then(|(cipher, nonce)| {
                    let text = Payload {
                        msg: content,
                        aad: &associated(&sealing),
                    };
                    cipher.encrypt(&nonce, text).ok()
                })
                .expect("the parameters are ours, and a key file is far below the bounds of GCM");
            (Protection::Passphrase(sealing), sealed)
        }
    };
    let digest = Binary::from(sha512(&[&content]));
    Zeroizing::new(json::write(&KeyFile {
        version: VERSION,
        protection,
        content: Binary(content),
        digest,
    }))
}

/// Reads the content back.
///
/// # Errors
/// [`SealError`]: its variants say when.
pub(crate) fn open(
    file: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let file: KeyFile = read(file)?;
    if file.digest.as_slice() != sha512(&[file.content.as_slice()]) {
        return Err(SealError::Damaged);
    }
    let sealing = match &file.protection {
        Protection::None => return Ok(Zeroizing::new(file.content.0.clone())),
        Protection::Passphrase(sealing) => sealing,
    };
    let passphrase = passphrase.ok_or(SealError::PassphraseNeeded)?;
    let (cipher, nonce) = cipher(passphrase, sealing).ok_or(SealError::Form(None))?;
    let text = Payload {
        msg: file.content.as_slice(),
        aad: &associated(sealing),
    };
    cipher
        .decrypt(&nonce, text)
        .map(Zeroizing::new)
        .map_err(|_| SealError::PassphraseWrong)
}

/// Whether a passphrase is needed to open `file`.
///
/// # Errors
/// [`SealError::Form`], [`SealError::Version`].
pub(super) fn is_sealed(file: &[u8]) -> Result<bool, SealError> {
    Ok(matches!(read(file)?.protection, Protection::Passphrase(_)))
}

fn read(file: &[u8]) -> Result<KeyFile, SealError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Numbered {
        version: u32,
    }
    let form = |error| SealError::Form(Some(error));
    let numbered: Numbered = json::parse(file).map_err(form)?;
    if numbered.version != VERSION {
        return Err(SealError::Version {
            found: numbered.version,
        });
    }
    json::parse(file).map_err(form)
}

/// The cipher and nonce of a sealing; `None` if its parameters are none we would have written.
fn cipher(passphrase: &Passphrase, sealing: &Sealing) -> Option<(Aes256Gcm, Nonce<NonceSize>)> {
    let cost = sealing.cost;
    let bounded = cost.memory_kib <= MEMORY_KIB_MAX
        && cost.passes <= PASSES_MAX
        && cost.lanes <= LANES_MAX
        && sealing.algorithm == "argon2id+A256GCM";
    if !bounded {
        return None;
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(
            passphrase.0.as_bytes(),
            sealing.salt.as_slice(),
            key.as_mut_slice(),
        )
        .ok()?;
    let nonce: [u8; 12] = sealing.nonce.as_slice().try_into().ok()?;
    Some((
        Aes256Gcm::new_from_slice(key.as_slice()).ok()?,
        nonce.into(),
    ))
}

type NonceSize = aes_gcm::aead::consts::U12;

/// What the cipher binds the content to, so that parameters cannot be changed under it.
fn associated(sealing: &Sealing) -> Vec<u8> {
    json::write(&(VERSION, sealing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_common::entropy::SeededEntropy;

    const CHEAP: Cost = Cost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };

    fn sealed(content: &[u8], passphrase: &str) -> Vec<u8> {
        let passphrase = Passphrase::new(passphrase);
        let entropy = &mut SeededEntropy::new(1);
        seal(content, Some((&passphrase, CHEAP)), entropy).to_vec()
    }

    #[test]
    fn plain_and_sealed_files_open_to_what_was_put_in() {
        let plain = seal(b"seeds", None, &mut SeededEntropy::new(1));
        assert_eq!(open(&plain, None).unwrap().as_slice(), b"seeds");
        assert!(!is_sealed(&plain).unwrap());
        let file = sealed(b"seeds", "correct horse");
        assert!(is_sealed(&file).unwrap());
        let right = Passphrase::new("correct horse");
        assert_eq!(open(&file, Some(&right)).unwrap().as_slice(), b"seeds");
    }

    #[test]
    fn a_sealed_file_does_not_show_its_content() {
        let file = sealed(b"a very secret seed", "p");
        let content = json::parse::<KeyFile>(&file).unwrap();
        assert!(!content.content.0.windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn a_wrong_passphrase_and_a_missing_one_are_told_apart() {
        let file = sealed(b"seeds", "right");
        let wrong = Passphrase::new("wrong");
        assert!(matches!(
            open(&file, Some(&wrong)),
            Err(SealError::PassphraseWrong)
        ));
        assert!(matches!(
            open(&file, None),
            Err(SealError::PassphraseNeeded)
        ));
    }

    #[test]
    fn every_torn_or_flipped_file_is_an_error() {
        let file = sealed(b"seeds", "p");
        let passphrase = Passphrase::new("p");
        for length in 0..file.len() {
            assert!(
                open(&file[..length], Some(&passphrase)).is_err(),
                "{length}"
            );
        }
        for position in 0..file.len() {
            let mut flipped = file.clone();
            flipped[position] ^= 1;
            let outcome = open(&flipped, Some(&passphrase));
            assert!(
                outcome.is_err() || outcome.unwrap().as_slice() == b"seeds",
                "{position}"
            );
        }
    }

    #[test]
    fn damage_is_told_from_a_wrong_passphrase() {
        let mut file: KeyFile = json::parse(&sealed(b"seeds", "p")).unwrap();
        file.content.0[0] ^= 1;
        assert!(matches!(
            open(&json::write(&file), Some(&Passphrase::new("p"))),
            Err(SealError::Damaged)
        ));
    }

    #[test]
    fn a_file_cannot_ask_for_endless_work() {
        let mut file: KeyFile = json::parse(&sealed(b"seeds", "p")).unwrap();
        if let Protection::Passphrase(sealing) = &mut file.protection {
            sealing.cost.memory_kib = u32::MAX;
        }
        assert!(matches!(
            open(&json::write(&file), Some(&Passphrase::new("p"))),
            Err(SealError::Form(None))
        ));
    }

    #[test]
    fn a_later_version_is_named() {
        let later = br#"{"Version":9,"Anything":true}"#;
        let error = open(later, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key file is of version 9, this program reads version 1"
        );
    }
}
