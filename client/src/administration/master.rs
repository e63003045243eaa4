//! The master key: one secret of 32 octets from which the keys follow that a person is by. Short
//! enough for paper: 24 words, one QR code, or shares (schema draft §4.1.1, crypto §2.6).
//!
//! ```text
//!  master ──Z, use 256──▶ KeyOfflineSignature of the ProfileMesh
//!     ├─ "account ADDRESS" ──Z, use 258──▶ KeyOfflineSignature of the ProfileAccount
//!     └─ "escrow" ──Z, use 0──▶ the key of KeysMasterEscrow
//! ```
//!
//! Encryption keys do not follow from it: they are drawn, can be replaced, and are escrowed if the
//! person wants that ([`escrow`](super::escrow)).
//!
//! Draft: the reference gives every key of a profile that is derived from one seed the same value
//! (crypto §2.6). Here each derived key has a seed of its own.

use mesh_common::address::AccountAddress;
use mesh_common::crypto::SecretKey;
use mesh_common::crypto::derive::hkdf512;
use mesh_common::crypto::key::Curve;
use mesh_common::entropy::{Entropy, draw};
use mesh_common::udf::Udf;
use mesh_common::udf::derived::{DerivationSeed, SeedUse};
use mesh_common::udf::shamir::{self, ShareError};
use zeroize::Zeroizing;

use super::paper::{self, PaperError, Words};
use super::share::Share;

/// Octets of a master key.
pub const MASTER_BYTES: usize = 32;
/// Tells what is derived from a master key from anything else.
const SALT: &[u8] = b"mmm-master-1";

/// The master key. Wiped when dropped, never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; MASTER_BYTES]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MasterKey")
    }
}

/// What is no master key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterError {
    /// The words are not right.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// The shares do not give a key.
    #[error("the shares do not give a key")]
    Shares(#[source] ShareError),
    /// Neither a UDF of letter Z for a mesh, nor words.
    #[error("this is no master key: it is neither 24 words nor a UDF that begins with Z")]
    Form,
}

impl MasterKey {
    /// Draws a master key.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Zeroizing::new(draw(entropy)))
    }

    /// The master key of these octets.
    #[must_use]
    pub const fn from_octets(octets: Zeroizing<[u8; MASTER_BYTES]>) -> Self {
        Self(octets)
    }

    /// The octets. They are the secret.
    #[must_use]
    pub fn octets(&self) -> &[u8; MASTER_BYTES] {
        &self.0
    }

    /// The key as a UDF of letter Z. It is a secret.
    #[must_use]
    pub fn to_udf(&self) -> Udf {
        DerivationSeed::of(SeedUse::ProfileMesh, self.0.as_slice()).to_udf()
    }

    /// The key as 24 words, the last of which holds a checksum (BIP-39). They are a secret.
    #[must_use]
    pub fn to_words(&self) -> Words {
        paper::words_of(&self.0)
    }

    /// Reads a UDF of letter Z.
    ///
    /// # Errors
    /// [`MasterError::Form`].
    pub fn from_udf(text: &str) -> Result<Self, MasterError> {
        let seed = DerivationSeed::parse(text).map_err(|_| MasterError::Form)?;
        let octets = seed.seed().try_into().map_err(|_| MasterError::Form)?;
        let key = Self(Zeroizing::new(octets));
        // A specifier of another use, or letters beyond the seed.
        if seed.to_udf() == key.to_udf() {
            Ok(key)
        } else {
            Err(MasterError::Form)
        }
    }

    /// Reads 24 words.
    ///
    /// # Errors
    /// [`MasterError::Paper`].
    pub fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, MasterError> {
        Ok(Self(paper::octets_of(words)?))
    }

    /// KeyOfflineSignature of the ProfileMesh; its UDF is the mesh's.
    #[must_use]
    pub fn mesh_key(&self) -> SecretKey {
        key_of(SeedUse::ProfileMesh, self.0.as_slice())
    }

    /// KeyOfflineSignature of the ProfileAccount that was made under `address`; its UDF is the
    /// account's.
    #[must_use]
    pub fn account_key(&self, address: &AccountAddress) -> SecretKey {
        let purpose = format!("account {}", address.canonical());
        key_of(SeedUse::ProfileAccount, self.part(&purpose).as_slice())
    }

    /// The key that encryption keys are escrowed under: its public half stands in KeysMasterEscrow.
    #[must_use]
    pub fn escrow_key(&self) -> SecretKey {
        key_of(SeedUse::Any, self.part("escrow").as_slice())
    }

    /// Divides the key into `count` shares, any `quorum` of which give it back (crypto §2.7).
    ///
    /// # Errors
    /// [`ShareError::Division`] for numbers that are no division.
    pub fn divide(
        &self,
        quorum: usize,
        count: usize,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Share>, ShareError> {
        let shares = shamir::split(self.0.as_slice(), quorum, count, entropy)?;
        Ok(shares.into_iter().map(Share::new).collect())
    }

    /// The key that enough `shares` give. That they are shares of one key, and of which, shows in
    /// the identity of the mesh that follows from it.
    ///
    /// # Errors
    /// [`MasterError::Shares`]: too few, one twice, or of different keys.
    pub fn of_shares(shares: &[Share]) -> Result<Self, MasterError> {
        let udfs: Vec<Udf> = shares.iter().map(|share| share.udf().clone()).collect();
        let secret = shamir::combine(&udfs).map_err(MasterError::Shares)?;
        let octets = secret.as_slice().try_into();
        octets
            .map(|octets| Self(Zeroizing::new(octets)))
            .map_err(|_| MasterError::Shares(ShareError::NotAShare))
    }

    fn part(&self, purpose: &str) -> Zeroizing<[u8; MASTER_BYTES]> {
        hkdf512(self.0.as_slice(), SALT, purpose.as_bytes())
    }
}

fn key_of(seed_use: SeedUse, seed: &[u8]) -> SecretKey {
    DerivationSeed::of(seed_use, seed)
        .secret_key(Curve::Ed448)
        .expect("a seed for these uses serves every algorithm, and Ed448 keys are computed with")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_common::entropy::SeededEntropy;

    fn master() -> MasterKey {
        MasterKey::generate(&mut SeededEntropy::new(11))
    }

    fn address(text: &str) -> AccountAddress {
        AccountAddress::parse(text).unwrap()
    }

    #[test]
    fn every_key_is_another_one_and_follows_from_the_master_key_alone() {
        let (master, again) = (master(), master());
        let alice = address("alice@example.com");
        let keys = [
            master.mesh_key(),
            master.account_key(&alice),
            master.account_key(&address("bob@example.com")),
            master.escrow_key(),
        ];
        for (position, key) in keys.iter().enumerate() {
            assert!(
                keys[..position]
                    .iter()
                    .all(|other| other.udf() != key.udf())
            );
        }
        assert_eq!(again.mesh_key().udf(), keys[0].udf());
        let written = address("Alice@EXAMPLE.com");
        assert_eq!(again.account_key(&written).udf(), keys[1].udf());
    }

    #[test]
    fn words_and_udf_give_the_key_back() {
        let master = master();
        let words = master.to_words();
        assert_eq!(words.iter().count(), 24);
        assert!(MasterKey::from_words(words.iter()).unwrap() == master);
        let udf = master.to_udf();
        assert!(udf.as_str().starts_with("ZAAQ-"), "{udf}");
        assert!(MasterKey::from_udf(&udf.as_str().to_lowercase()).unwrap() == master);
        let other_use = DerivationSeed::of(SeedUse::ProfileAccount, master.octets()).to_udf();
        for text in [
            "",
            "NCGD-ZOQL-JRVF-TALA-EY",
            &udf.as_str()[..40],
            other_use.as_str(),
        ] {
            assert_eq!(MasterKey::from_udf(text), Err(MasterError::Form), "{text}");
        }
    }

    #[test]
    fn every_quorum_gives_the_key_and_fewer_do_not() {
        let master = master();
        let shares = master.divide(3, 5, &mut SeededEntropy::new(12)).unwrap();
        let mut quorums = 0;
        for chosen in 0_u32..32 {
            let some: Vec<Share> = (0..5)
                .filter(|at| chosen >> at & 1 == 1)
                .map(|at| shares[at].clone())
                .collect();
            match MasterKey::of_shares(&some) {
                Ok(found) => {
                    assert!(some.len() >= 3 && found == master);
                    quorums += 1;
                }
                Err(error) => {
                    assert!(some.len() < 3, "{error}");
                    assert!(matches!(
                        error,
                        MasterError::Shares(ShareError::Division { .. })
                    ));
                }
            }
        }
        assert_eq!(quorums, 16, "ten of three, five of four, one of five");
    }

    #[test]
    fn it_does_not_print() {
        let master = master();
        assert_eq!(format!("{master:?}"), "MasterKey");
    }
}
