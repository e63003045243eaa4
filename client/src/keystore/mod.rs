//! The secret keys of a device in their file, sealed by a passphrase when one was given.
//!
//! ```text
//!  keys.json ──seal::open──▶ text ──Keys──▶ secret keys       (and back)
//!            passphrase, argon2id, A256GCM
//! ```

mod keys;
mod seal;

use mesh_common::entropy::Entropy;
use zeroize::Zeroizing;

pub(crate) use self::keys::StoredDevice;
pub use self::keys::{Keys, NewKeys, OwnedKeys, OwnerKeys, SessionSeal};
pub use self::seal::{Cost, Passphrase, SealError};
pub(crate) use self::seal::{open as open_sealed, seal};
use crate::home::{Home, HomeError};

const FILE: &str = "keys.json";

/// Keys that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The folder or the file cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The file does not open.
    #[error("the keys in {} cannot be opened", path.display())]
    Seal {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: SealError,
    },
    /// The file opens, but it does not hold keys.
    #[error("the key file holds no keys this program knows")]
    Content,
}

impl KeystoreError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Home(error) => error.advice(),
            Self::Seal { source, .. } => match source {
                SealError::PassphraseNeeded => "name its file with --passphrase-file FILE".into(),
                SealError::PassphraseWrong => "repeat with the right passphrase".into(),
                SealError::Version { .. } => "use a newer version of this program".into(),
                SealError::Form(_) | SealError::Damaged => DAMAGED.into(),
            },
            Self::Content => DAMAGED.into(),
        }
    }

    /// Whether another passphrase may help.
    #[must_use]
    pub const fn is_about_passphrase(&self) -> bool {
        matches!(
            self,
            Self::Seal {
                source: SealError::PassphraseNeeded | SealError::PassphraseWrong,
                ..
            }
        )
    }
}

const DAMAGED: &str = "put back the key file from a backup; without it the account cannot be used \
                       from this device";

/// The keys of the device whose folder is `home`; none if it has no keys yet.
///
/// # Errors
/// [`KeystoreError`]: its variants say when.
pub fn load(home: &Home, passphrase: Option<&Passphrase>) -> Result<Option<Keys>, KeystoreError> {
    load_sealed(home, FILE, passphrase)?
        .map(|text| Keys::from_text(&text))
        .transpose()
}

/// The secret text in the file `name`; none if there is no such file.
pub(crate) fn load_sealed(
    home: &Home,
    name: &str,
    passphrase: Option<&Passphrase>,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeystoreError> {
    let Some(file) = home.read(name)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    seal::open(&file, passphrase)
        .map(Some)
        .map_err(|source| KeystoreError::Seal {
            path: home.path(name),
            source,
        })
}

/// Keeps a secret text in the file `name`, sealed if there is a passphrase.
pub(crate) fn save_sealed(
    home: &Home,
    name: &str,
    text: &[u8],
    passphrase: Option<(&Passphrase, Cost)>,
    entropy: &mut dyn Entropy,
) -> Result<(), HomeError> {
    home.write(name, &seal(text, passphrase, entropy))
}

/// Whether there are keys and a passphrase on them.
///
/// # Errors
/// [`KeystoreError`]: its variants say when.
pub fn needs_passphrase(home: &Home) -> Result<bool, KeystoreError> {
    let Some(file) = home.read(FILE)?.map(Zeroizing::new) else {
        return Ok(false);
    };
    seal::is_sealed(&file).map_err(|source| KeystoreError::Seal {
        path: home.path(FILE),
        source,
    })
}

/// Whether there are keys.
pub(crate) fn exists(home: &Home) -> Result<bool, HomeError> {
    Ok(home.read(FILE)?.is_some())
}

/// Removes the keys.
pub(crate) fn remove(home: &Home) -> Result<(), HomeError> {
    home.remove(FILE)
}

/// Keeps `keys`, sealed if there is a passphrase.
///
/// # Errors
/// [`KeystoreError::Home`].
pub fn save(
    home: &Home,
    keys: &Keys,
    passphrase: Option<(&Passphrase, Cost)>,
    entropy: &mut dyn Entropy,
) -> Result<(), KeystoreError> {
    Ok(save_sealed(
        home,
        FILE,
        &keys.to_text(),
        passphrase,
        entropy,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_common::address::AccountAddress;
    use mesh_common::entropy::SeededEntropy;
    use std::time::Duration;

    const CHEAP: Cost = Cost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };

    fn generate(entropy: &mut SeededEntropy) -> Keys {
        let address = AccountAddress::parse("alice@example.com").unwrap();
        NewKeys::generate(&address, entropy).into_keys(entropy)
    }

    fn place() -> (tempfile::TempDir, Home) {
        let place = tempfile::tempdir().unwrap();
        let home = Home::open(&place.path().join("home"), Duration::ZERO).unwrap();
        (place, home)
    }

    #[test]
    fn keys_are_found_again_with_and_without_a_passphrase() {
        let (_place, home) = place();
        let entropy = &mut SeededEntropy::new(1);
        let keys = generate(entropy);
        assert!(load(&home, None).unwrap().is_none());
        assert!(!needs_passphrase(&home).unwrap());
        let passphrase = Passphrase::new("open sesame");
        for chosen in [None, Some((&passphrase, CHEAP))] {
            save(&home, &keys, chosen, entropy).unwrap();
            assert_eq!(needs_passphrase(&home).unwrap(), chosen.is_some());
            let found = load(&home, Some(&passphrase)).unwrap().unwrap();
            assert_eq!(found.device.signature.udf(), keys.device.signature.udf());
            assert_eq!(found.session.0, keys.session.0);
            let (owner, kept) = (found.owner.unwrap(), keys.owner.clone().unwrap());
            assert_eq!(owner.mesh.online.udf(), kept.mesh.online.udf());
            assert!(found.master == keys.master && found.master.is_some());
        }
    }

    #[test]
    fn a_further_device_reads_the_account_and_owns_nothing() {
        let (_place, home) = place();
        let entropy = &mut SeededEntropy::new(1);
        let first = generate(entropy);
        let further = Keys::of_further_device(&first.account_encryption, entropy);
        save(&home, &further, None, entropy).unwrap();
        let found = load(&home, None).unwrap().unwrap();
        assert!(found.owner.is_none());
        assert_eq!(
            found.account_encryption.udf(),
            first.account_encryption.udf()
        );
        assert_ne!(found.device.signature.udf(), first.device.signature.udf());
    }

    #[test]
    fn a_wrong_passphrase_says_what_to_do() {
        let (_place, home) = place();
        let entropy = &mut SeededEntropy::new(1);
        let keys = generate(entropy);
        let right = Passphrase::new("right");
        save(&home, &keys, Some((&right, CHEAP)), entropy).unwrap();
        let error = load(&home, Some(&Passphrase::new("wrong"))).unwrap_err();
        assert!(error.is_about_passphrase());
        assert_eq!(error.advice(), "repeat with the right passphrase");
        assert!(load(&home, None).unwrap_err().is_about_passphrase());
    }

    #[test]
    fn a_torn_key_file_is_a_sentence() {
        let (_place, home) = place();
        let entropy = &mut SeededEntropy::new(1);
        save(&home, &generate(entropy), None, entropy).unwrap();
        let whole = home.read(FILE).unwrap().unwrap();
        home.write(FILE, &whole[..whole.len() / 2]).unwrap();
        let error = load(&home, None).unwrap_err();
        assert!(error.to_string().ends_with("keys.json cannot be opened"));
        assert_eq!(error.advice(), DAMAGED);
        home.write(FILE, b"something else").unwrap();
        assert!(load(&home, None).is_err());
    }

    #[test]
    fn keys_do_not_print() {
        let keys = generate(&mut SeededEntropy::new(1));
        let text = format!("{keys:?}");
        let seed = keys.device.signature.seed().unwrap();
        assert!(!text.contains(&mesh_common::encoding::base64url::encode(seed)));
        assert!(!text.contains(&format!("{:?}", &seed[..4])));
    }
}
