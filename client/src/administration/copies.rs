//! Copies of a master key outside of any device: what is printed on a sheet of paper or written into
//! a file, and how either is read again. A person need not say which form it is.
//!
//! ```text
//!  # lines that begin like this are for people            ignored
//!  ZAAQ-…                                                 the key as a UDF
//!   1 abandon   2 ability  … 24 words                     the key in words
//!  SAQC-…:K3PA                                            a share, one per line
//!   1 crouch    2 zoo      … 25 words                     a share in words; a blank line between two
//!  {"Version":1,"Protection":{"Passphrase":…},…}          the key in a file that a passphrase seals
//! ```

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use mesh_common::encoding::json;
use mesh_common::entropy::Entropy;
use mesh_common::udf::shamir::ShareError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::master::{MasterError, MasterKey};
use super::paper::{KEY_WORDS, PaperError, Words};
use super::share::{DamagedShare, SHARE_WORDS, Share};
use crate::home::private_options;
use crate::keystore::{Cost, Passphrase, SealError, open_sealed, seal};

/// Words of one line of a sheet.
const WORDS_PER_LINE: usize = 6;

/// A copy that does not give a master key.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing in it.
    #[error("there is no key and no share in it")]
    Empty,
    /// It is neither of the forms.
    #[error("{what:?} is neither words, nor a UDF, nor a file that this program wrote")]
    Form {
        /// How it begins.
        what: String,
    },
    /// The key is not as it was written.
    #[error("the master key is damaged")]
    Master(#[source] MasterError),
    /// A share is not as it was printed.
    #[error("share number {place} in it is damaged")]
    Share {
        /// Which one, from 1, in the order they stand in.
        place: usize,
        /// What is wrong with it.
        #[source]
        source: DamagedShare,
    },
    /// Too few shares.
    #[error("{} in it, and {quorum} are needed", shares(*.found))]
    TooFew {
        /// Shares in it.
        found: usize,
        /// Shares that are needed.
        quorum: usize,
    },
    /// The same share twice, or shares of different keys.
    #[error("the shares do not belong together: one is there twice, or one is of another key")]
    Mixed,
    /// The file does not open.
    #[error("the file cannot be opened")]
    Seal(#[source] SealError),
    /// The file opens, and holds something else.
    #[error("the file holds no master key")]
    Content,
}

fn shares(number: usize) -> String {
    match number {
        1 => "there is one share".into(),
        number => format!("there are {number} shares"),
    }
}

impl CopyError {
    /// Whether another passphrase may help.
    #[must_use]
    pub const fn is_about_passphrase(&self) -> bool {
        matches!(
            self,
            Self::Seal(SealError::PassphraseNeeded | SealError::PassphraseWrong)
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Empty | Self::Form { .. } | Self::Content => {
                "name the file that `mesh key export` or `mesh key escrow` wrote, or type its words"
            }
            Self::Master(_) => "compare it with the paper, word by word",
            Self::Share { .. } => {
                "compare it with the paper, or leave it out and use another share"
            }
            Self::TooFew { .. } => "add more of the shares that were made together",
            Self::Mixed => "use shares that were made together, each once",
            Self::Seal(SealError::PassphraseNeeded) => {
                "name its passphrase with --copy-passphrase-file FILE"
            }
            Self::Seal(SealError::PassphraseWrong) => "repeat with the right passphrase",
            Self::Seal(_) => "use another copy",
        }
        .into()
    }
}

impl From<PaperError> for CopyError {
    fn from(error: PaperError) -> Self {
        Self::Master(error.into())
    }
}

/// What stands in a sealed file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    master_key: String,
}

impl Drop for Content {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.master_key);
    }
}

impl MasterKey {
    /// The key as a file that opens with `passphrase`.
    pub fn to_file(
        &self,
        passphrase: &Passphrase,
        cost: Cost,
        entropy: &mut dyn Entropy,
    ) -> Zeroizing<Vec<u8>> {
        let content = Content {
            master_key: self.to_udf().to_string(),
        };
        let text = Zeroizing::new(json::write(&content));
        seal(&text, Some((passphrase, cost)), entropy)
    }

    /// Reads any copy: a file, a UDF, words, or shares.
    ///
    /// # Errors
    /// [`CopyError`]: its variants say when.
    pub fn from_copy(copy: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, CopyError> {
        if copy.trim_ascii_start().starts_with(b"{") {
            return from_file(copy, passphrase);
        }
        let text = std::str::from_utf8(copy).map_err(|_| CopyError::Form {
            what: "binary data".into(),
        })?;
        let mut read = Read::default();
        for piece in pieces(text) {
            read.take(&piece)?;
        }
        read.finish()
    }
}

/// The pieces found so far.
#[derive(Default)]
struct Read {
    master: Option<MasterKey>,
    shares: Vec<Share>,
}

impl Read {
    fn take(&mut self, piece: &[&str]) -> Result<(), CopyError> {
        let first = piece.first().copied().unwrap_or_default();
        let place = self.shares.len() + 1;
        let damaged = |source| CopyError::Share { place, source };
        let is_udf = first.contains('-') || first.contains(':');
        match first
            .chars()
            .next()
            .map(|letter| letter.to_ascii_uppercase())
        {
            Some('Z') if is_udf => {
                let key = MasterKey::from_udf(&piece.concat()).map_err(CopyError::Master)?;
                self.master = Some(key);
            }
            Some('S') if is_udf => {
                let share = Share::from_text(&piece.concat()).map_err(damaged)?;
                self.shares.push(share);
            }
            Some(letter) if letter.is_ascii_alphabetic() && !is_udf => {
                // One word too few of a share is a key's number of words: whoever has shares before
                // or a first word that no key can have is told of the share.
                if piece.len() >= SHARE_WORDS || !self.shares.is_empty() {
                    let share = Share::from_words(piece.iter().copied()).map_err(damaged)?;
                    self.shares.push(share);
                } else {
                    let key = MasterKey::from_words(piece.iter().copied());
                    self.master = Some(key.map_err(CopyError::Master)?);
                }
            }
            _ => {
                return Err(CopyError::Form {
                    what: first.chars().take(20).collect(),
                });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<MasterKey, CopyError> {
        if let Some(master) = self.master {
            return Ok(master);
        }
        let quorum = usize::from(self.shares.first().ok_or(CopyError::Empty)?.quorum());
        match MasterKey::of_shares(&self.shares) {
            Ok(master) => Ok(master),
            Err(MasterError::Shares(ShareError::Division { .. })) => Err(CopyError::TooFew {
                found: self.shares.len(),
                quorum,
            }),
            Err(_) => Err(CopyError::Mixed),
        }
    }
}

fn from_file(file: &[u8], passphrase: Option<&Passphrase>) -> Result<MasterKey, CopyError> {
    let text = open_sealed(file, passphrase).map_err(CopyError::Seal)?;
    let content: Content = json::parse(&text).map_err(|_| CopyError::Content)?;
    MasterKey::from_udf(&content.master_key).map_err(|_| CopyError::Content)
}

/// The words of each piece: UDFs stand one to a line, words in paragraphs. Numbers before words, and
/// lines for people, are left out.
fn pieces(text: &str) -> Vec<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for line in text.lines() {
        let is_end = line.trim().is_empty() || line.trim_start().starts_with('#');
        let words: Vec<&str> = match line {
            _ if is_end => Vec::new(),
            line => line
                .split_whitespace()
                .filter(|word| word.chars().any(char::is_alphabetic))
                .collect(),
        };
        let is_udf = words.first().is_some_and(|word| word.contains('-'));
        if (is_end || is_udf) && !open.is_empty() {
            pieces.push(std::mem::take(&mut open));
        }
        if is_udf {
            pieces.push(words);
        } else {
            open.extend(words);
        }
    }
    if !open.is_empty() {
        pieces.push(open);
    }
    pieces
}

/// Writes a new file that only the user can read. One that is there already stays as it is.
///
/// # Errors
/// What the operating system says.
pub fn write_new(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = private_options().create_new(true).open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

/// Words in numbered columns, for a sheet of paper.
#[must_use]
pub fn sheet_of(words: &Words) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_WORDS * 13));
    for (number, word) in (1..).zip(words.iter()) {
        let _ = write!(text, "{number:>3} {word:<8} ");
        if number % WORDS_PER_LINE == 0 {
            end_line(&mut text);
        }
    }
    if !text.ends_with('\n') {
        end_line(&mut text);
    }
    text
}

fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
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

    fn master() -> MasterKey {
        MasterKey::generate(&mut SeededEntropy::new(31))
    }

    fn read(text: &str) -> Result<MasterKey, CopyError> {
        MasterKey::from_copy(text.as_bytes(), None)
    }

    fn shares_of(master: &MasterKey) -> Vec<Share> {
        master.divide(3, 5, &mut SeededEntropy::new(32)).unwrap()
    }

    #[test]
    fn every_form_of_a_copy_is_read_without_being_named() {
        let master = master();
        let words = sheet_of(&master.to_words());
        assert_eq!(words.lines().count(), 4);
        let shares = shares_of(&master);
        let lines: Vec<String> = shares[1..4]
            .iter()
            .map(|share| share.to_text().to_string())
            .collect();
        let sheets: Vec<String> = shares[..3]
            .iter()
            .map(|share| format!("# a share\n{}", *sheet_of(&share.to_words())))
            .collect();
        for text in [
            format!("# for people\n\n{}", *words),
            words.to_uppercase(),
            format!("{}\n", master.to_udf()),
            lines.join("\n"),
            lines.join("\n\n# the next one\n"),
            sheets.join("\n"),
            format!("{}\n{}{}", lines[2], sheets[0], sheets[1]),
        ] {
            assert!(read(&text).unwrap() == master, "{text}");
        }
    }

    #[test]
    fn a_file_opens_with_its_passphrase_only() {
        let master = master();
        let right = Passphrase::new("open sesame");
        let file = master.to_file(&right, CHEAP, &mut SeededEntropy::new(33));
        let text = String::from_utf8(file.to_vec()).unwrap();
        assert!(!text.contains(master.to_udf().as_str()));
        assert!(MasterKey::from_copy(&file, Some(&right)).unwrap() == master);
        let wrong = Passphrase::new("open barley");
        let error = MasterKey::from_copy(&file, Some(&wrong)).unwrap_err();
        assert!(error.is_about_passphrase());
        assert!(read(&text).unwrap_err().is_about_passphrase());
        let torn = MasterKey::from_copy(&file[..80], Some(&right)).unwrap_err();
        assert!(!torn.is_about_passphrase());
    }

    #[test]
    fn a_damaged_share_is_named_by_its_place() {
        let shares = shares_of(&master());
        let mut lines: Vec<String> = shares[..3]
            .iter()
            .map(|share| share.to_text().to_string())
            .collect();
        let letter = if lines[1].contains("-B") { "-C" } else { "-B" };
        lines[1].replace_range(4..6, letter);
        let error = read(&lines.join("\n")).unwrap_err();
        assert_eq!(error.to_string(), "share number 2 in it is damaged");
        let error = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error, "a letter or two are wrong, or some are missing");
    }

    #[test]
    fn too_few_shares_and_shares_of_two_keys_are_told() {
        let shares = shares_of(&master());
        let other = MasterKey::generate(&mut SeededEntropy::new(34));
        let foreign = shares_of(&other);
        let text = |shares: &[&Share]| {
            let lines: Vec<String> = shares
                .iter()
                .map(|share| share.to_text().to_string())
                .collect();
            lines.join("\n")
        };
        let error = read(&text(&[&shares[0], &shares[4]])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there are 2 shares in it, and 3 are needed"
        );
        for mixed in [
            text(&[&shares[0], &shares[0], &shares[1]]),
            text(&[&shares[0], &shares[1], &shares[2], &foreign[3]]),
        ] {
            assert!(matches!(read(&mixed), Err(CopyError::Mixed)));
        }
        // Nothing in three shares tells that one is of another key, but for the key itself.
        let wrong = read(&text(&[&shares[0], &shares[1], &foreign[2]]));
        assert!(wrong.is_err() || wrong.unwrap() != master());
    }

    #[test]
    fn anything_else_is_told() {
        assert!(matches!(read("# nothing\n\n"), Err(CopyError::Empty)));
        assert!(matches!(read("12345 678"), Err(CopyError::Empty)));
        assert!(matches!(
            read("MDMD-6XEI-XYZA"),
            Err(CopyError::Form { .. })
        ));
        assert!(matches!(
            read("abandon abandon"),
            Err(CopyError::Master(MasterError::Paper(PaperError::Number {
                found: 2,
                ..
            })))
        ));
        assert!(MasterKey::from_copy(&[0xff, 0xfe], None).is_err());
    }
}
