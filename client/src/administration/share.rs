//! One share of a master key: a UDF of letter S with four letters behind it that tell a damaged
//! share from a whole one, or 25 words (crypto §2.7).
//!
//! ```text
//!  SAQC-…-XY:K3PA        the UDF, a colon, 20 bits of its SHA-512 digest
//!  word 1                threshold and position (8 bits), 3 bits of that digest
//!  words 2 to 25         the value of the polynomial, as BIP-39 writes 32 octets
//! ```
//!
//! Draft: the UDF draft gives a share no check of its own, so that one mistyped letter makes another
//! key. A UDF without a check is read as well.

use mesh_common::crypto::digest::sha512;
use mesh_common::udf::Udf;
use mesh_common::udf::nonce::of_data;
use mesh_common::udf::shamir::TYPE_SHARE;
use zeroize::Zeroizing;

use super::master::MASTER_BYTES;
use super::paper::{self, PaperError, Words};

/// Words of a share.
pub const SHARE_WORDS: usize = paper::KEY_WORDS + 1;
/// Bits of the check behind a UDF: four letters.
const CHECK_BITS: usize = 20;
/// Octets of a share: type, position, value.
const SHARE_BYTES: usize = 2 + MASTER_BYTES;

/// One share of a master key. It is a secret; `Debug` tells its number only.
#[derive(Clone, PartialEq, Eq)]
pub struct Share(Udf);

impl std::fmt::Debug for Share {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Share({})", self.number())
    }
}

/// What is no whole share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamagedShare {
    /// Its letters are not those that were printed.
    #[error("a letter or two are wrong, or some are missing")]
    Letters,
    /// Its words are not those that were printed.
    #[error(transparent)]
    Words(#[from] PaperError),
}

impl Share {
    /// The share that `udf` is.
    pub(super) const fn new(udf: Udf) -> Self {
        Self(udf)
    }

    /// The UDF of letter S.
    #[must_use]
    pub const fn udf(&self) -> &Udf {
        &self.0
    }

    /// How many shares give the key.
    #[must_use]
    pub fn quorum(&self) -> u8 {
        self.position() >> 4
    }

    /// Which share it is, from 1.
    #[must_use]
    pub fn number(&self) -> u8 {
        (self.position() & 0x0f) + 1
    }

    /// The UDF and its check, for a line or a QR code.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}:{}", self.0, check_of(&self.0)))
    }

    /// The share as 25 words.
    #[must_use]
    pub fn to_words(&self) -> Words {
        let octets = Zeroizing::new(self.0.octets());
        let mut value = Zeroizing::new([0; MASTER_BYTES]);
        value.copy_from_slice(&octets[2..SHARE_BYTES]);
        paper::words_of(&value).behind(first_number(&octets))
    }

    /// Reads a line: the UDF, with or without its check.
    ///
    /// # Errors
    /// [`DamagedShare::Letters`].
    pub fn from_text(text: &str) -> Result<Self, DamagedShare> {
        let (udf, check) = match text.split_once(':') {
            Some((udf, check)) => (udf, Some(check.trim())),
            None => (text, None),
        };
        let udf = Udf::parse(udf).map_err(|_| DamagedShare::Letters)?;
        let octets = Zeroizing::new(udf.octets());
        let is_whole = octets.len() == SHARE_BYTES
            && octets[0] == TYPE_SHARE
            && check.is_none_or(|check| check.eq_ignore_ascii_case(&check_of(&udf)));
        // Letters behind the last octet would be dropped silently.
        if is_whole && of_data(TYPE_SHARE, &octets[1..]) == udf {
            Ok(Self(udf))
        } else {
            Err(DamagedShare::Letters)
        }
    }

    /// Reads 25 words.
    ///
    /// # Errors
    /// [`DamagedShare::Words`].
    pub fn from_words<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self, DamagedShare> {
        let first = words.next().unwrap_or_default().to_ascii_lowercase();
        let number = paper::number_of(&first, 1)?;
        let value = paper::octets_of(words).map_err(counted_from_two)?;
        let mut octets = Zeroizing::new(vec![TYPE_SHARE, (number >> 3) as u8]);
        octets.extend_from_slice(value.as_slice());
        if first_number(&octets) == number {
            Ok(Self(of_data(TYPE_SHARE, &octets[1..])))
        } else {
            Err(PaperError::Checksum.into())
        }
    }

    fn position(&self) -> u8 {
        Zeroizing::new(self.0.octets())
            .get(1)
            .copied()
            .unwrap_or_default()
    }
}

/// The value's words are counted behind the first one.
fn counted_from_two(error: PaperError) -> PaperError {
    match error {
        PaperError::Number { found, expected } => PaperError::Number {
            found: found + 1,
            expected: expected + 1,
        },
        PaperError::Unknown {
            position,
            word,
            near,
        } => PaperError::Unknown {
            position: position + 1,
            word,
            near,
        },
        PaperError::Checksum => PaperError::Checksum,
    }
}

/// Threshold and position, and three bits of the digest.
fn first_number(octets: &[u8]) -> u16 {
    u16::from(octets[1]) << 3 | u16::from(sha512(&[octets])[0] >> 5)
}

fn check_of(udf: &Udf) -> String {
    let octets = Zeroizing::new(udf.octets());
    Udf::present(&sha512(&[&octets]), CHECK_BITS).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::master::MasterKey;
    use super::*;
    use mesh_common::entropy::SeededEntropy;

    fn shares() -> Vec<Share> {
        let mut entropy = SeededEntropy::new(21);
        let master = MasterKey::generate(&mut entropy);
        master.divide(2, 3, &mut entropy).unwrap()
    }

    #[test]
    fn a_share_is_read_back_from_its_line_and_from_its_words() {
        for (number, share) in (1..).zip(shares()) {
            assert_eq!((share.number(), share.quorum()), (number, 2));
            assert!(share.udf().as_str().starts_with('S'));
            assert_eq!(Share::from_text(&share.to_text()).as_ref(), Ok(&share));
            assert_eq!(Share::from_text(share.udf().as_str()).as_ref(), Ok(&share));
            let words = share.to_words();
            assert_eq!(words.iter().count(), SHARE_WORDS);
            let read = Share::from_words(words.iter());
            assert_eq!(read.as_ref(), Ok(&share));
        }
    }

    #[test]
    fn every_single_wrong_letter_is_told() {
        let text = shares()[0].to_text();
        for (position, letter) in text.char_indices() {
            if !letter.is_ascii_alphanumeric() {
                continue;
            }
            let other = if letter == 'A' { 'B' } else { 'A' };
            let mut typed = text.to_string();
            typed.replace_range(position..=position, &other.to_string());
            assert_eq!(
                Share::from_text(&typed),
                Err(DamagedShare::Letters),
                "{position}"
            );
            assert!(Share::from_text(&text[..position]).is_err() || position > 60);
        }
    }

    #[test]
    fn exchanged_and_foreign_words_are_told() {
        let share = shares()[0].clone();
        let words = share.to_words();
        let mut typed: Vec<&str> = words.iter().collect();
        typed[3] = "xylophon";
        let error = Share::from_words(typed.into_iter()).unwrap_err();
        assert!(error.to_string().starts_with("word 4 (\"xylophon\")"));
        let error = Share::from_words(words.iter().take(20)).unwrap_err();
        assert_eq!(error.to_string(), "there are 20 words, 25 belong together");
    }

    #[test]
    fn a_share_does_not_print() {
        let share = shares()[1].clone();
        assert_eq!(format!("{share:?}"), "Share(2)");
    }
}
