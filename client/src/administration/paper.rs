//! Octets as words that can be written down, read out and typed: the English list of BIP-39, 2,048
//! words that differ in their first four letters, with its checksum.

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use super::master::MASTER_BYTES;

/// Words of a key.
pub const KEY_WORDS: usize = 24;

/// Words that are a secret together. Their numbers are wiped when dropped, never printed.
#[derive(Clone)]
pub struct Words(Zeroizing<Vec<u16>>);

impl std::fmt::Debug for Words {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Words({})", self.0.len())
    }
}

impl Words {
    /// The words, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|number| word(*number))
    }

    /// One more word, before the others.
    pub(super) fn behind(mut self, number: u16) -> Self {
        self.0.insert(0, number);
        self
    }
}

/// Words that are not right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    /// More or fewer words than there must be.
    #[error("there are {found} words, {expected} belong together")]
    Number {
        /// Words found.
        found: usize,
        /// Words that belong together.
        expected: usize,
    },
    /// A word that is not in the list.
    #[error("word {position} ({word:?}) is not one of the list{}", meant(.near))]
    Unknown {
        /// Its position, from 1.
        position: usize,
        /// The word.
        word: String,
        /// A word of the list that begins alike.
        near: Option<&'static str>,
    },
    /// All words are in the list, and they do not belong together.
    #[error("the words do not belong together: one is another one, or two are exchanged")]
    Checksum,
}

fn meant(near: &Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!("; {near:?} may be meant"))
}

/// The words of `octets`; the last one holds a checksum of 8 bits.
#[must_use]
pub(super) fn words_of(octets: &[u8; MASTER_BYTES]) -> Words {
    let mnemonic = Mnemonic::from_entropy(octets).expect("the list has words for 32 octets");
    let mut numbers = Vec::with_capacity(KEY_WORDS + 1);
    numbers.extend(mnemonic.word_indices().map(|number| number as u16));
    Words(Zeroizing::new(numbers))
}

/// The octets of 24 words in any case.
///
/// # Errors
/// [`PaperError`]: its variants say when.
pub(super) fn octets_of<'a>(
    words: impl Iterator<Item = &'a str>,
) -> Result<Zeroizing<[u8; MASTER_BYTES]>, PaperError> {
    let words: Vec<Zeroizing<String>> = words
        .map(|word| Zeroizing::new(word.to_ascii_lowercase()))
        .collect();
    if words.len() != KEY_WORDS {
        return Err(PaperError::Number {
            found: words.len(),
            expected: KEY_WORDS,
        });
    }
    for (position, word) in (1..).zip(&words) {
        number_of(word, position)?;
    }
    let mut text = Zeroizing::new(String::with_capacity(KEY_WORDS * 9));
    for word in &words {
        text.push_str(word);
        text.push(' ');
    }
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &text)
        .map_err(|_| PaperError::Checksum)?;
    let (octets, _) = mnemonic.to_entropy_array();
    let octets = Zeroizing::new(octets);
    let mut kept = Zeroizing::new([0; MASTER_BYTES]);
    kept.copy_from_slice(&octets[..MASTER_BYTES]);
    Ok(kept)
}

/// The word with the number `number` below 2,048.
fn word(number: u16) -> &'static str {
    Language::English.word_list()[usize::from(number % 2_048)]
}

/// The number of a word, which is the `position`th.
///
/// # Errors
/// [`PaperError::Unknown`].
pub(super) fn number_of(word: &str, position: usize) -> Result<u16, PaperError> {
    Language::English
        .find_word(word)
        .ok_or_else(|| PaperError::Unknown {
            position,
            word: word.to_owned(),
            near: near(word),
        })
}

/// A word of the list that agrees with `word` in its first letters, four or three.
fn near(word: &str) -> Option<&'static str> {
    [4, 3].into_iter().find_map(|letters| {
        let start = word.get(..letters)?;
        let list = Language::English.word_list().iter();
        list.copied().find(|known| known.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_phrases_are_made_and_read() {
        for (octet, last) in [(0, "art"), (0xff, "vote")] {
            let words = words_of(&[octet; MASTER_BYTES]);
            assert_eq!(words.iter().last(), Some(last));
            let octets = octets_of(words.iter()).unwrap();
            assert_eq!(*octets, [octet; MASTER_BYTES]);
        }
    }

    #[test]
    fn a_wrong_word_is_named_and_a_likely_one_offered() {
        let words = words_of(&[7; MASTER_BYTES]);
        let mut typed: Vec<&str> = words.iter().collect();
        typed[4] = "abandn";
        let error = octets_of(typed.into_iter()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "word 5 (\"abandn\") is not one of the list; \"abandon\" may be meant"
        );
    }

    #[test]
    fn words_that_are_missing_or_exchanged_are_told() {
        let words = words_of(&[7; MASTER_BYTES]);
        assert_eq!(
            octets_of(words.iter().skip(1)),
            Err(PaperError::Number {
                found: 23,
                expected: 24
            })
        );
        let octets: [u8; MASTER_BYTES] = std::array::from_fn(|at| at as u8);
        let mut exchanged: Vec<&str> = words_of(&octets).iter().collect();
        exchanged.swap(2, 9);
        assert_eq!(octets_of(exchanged.into_iter()), Err(PaperError::Checksum));
        let loud: Vec<String> = words.iter().map(str::to_uppercase).collect();
        assert!(octets_of(loud.iter().map(String::as_str)).is_ok());
    }
}
