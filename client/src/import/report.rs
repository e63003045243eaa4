//! What an import found: entries, and notes about everything that is not in their members.

use mesh_common::catalog::entry::CatalogEntry;
use serde::Serialize;

use super::limits::NOTE_QUOTE_BYTES_MAX;
use super::source::legible;

/// The outcome of an import, before anything is put into a catalog.
///
/// Nothing of the input is lost: every record is in an entry, and what its members cannot say is
/// in the entry's original and in a note.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// The entries in the order of the input.
    pub entries: Vec<ImportedEntry>,
    /// What the members of an entry cannot say and its original keeps.
    pub kept_verbatim: Vec<Note>,
    /// Records that could not be read; entries hold their text and nothing else.
    pub skipped: Vec<Note>,
    /// Records that are octet for octet the same as an earlier one, and so need no second entry.
    pub repeated: Vec<Note>,
}

/// One entry and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedEntry {
    /// The entry, ready to be put into its catalog.
    pub entry: CatalogEntry,
    /// The line of the input where its record starts, counted from 1.
    pub line: usize,
}

/// Something a person may want to know about an import. Notes about passwords name columns and
/// services, never values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The line of the input where the record starts, counted from 1.
    pub line: usize,
    /// What it is about: a property, a column, or the start of a text.
    pub what: String,
    /// What happened to it, as a phrase.
    pub why: String,
}

/// Notes that say the same of the same thing, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// What the notes are about.
    pub what: String,
    /// What they say.
    pub why: String,
    /// How many there are.
    pub count: usize,
    /// The line of the first.
    pub first_line: usize,
}

impl Note {
    pub(super) fn new(line: usize, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
            why: why.into(),
        }
    }
}

impl ImportReport {
    /// Notes counted by what they are about and what they say, in order of first appearance: a
    /// report for people.
    #[must_use]
    pub fn tally(notes: &[Note]) -> Vec<Tally> {
        let mut places = std::collections::HashMap::new();
        let mut tallies: Vec<Tally> = Vec::new();
        for note in notes {
            let place = *places
                .entry((&note.what, &note.why))
                .or_insert(tallies.len());
            match tallies.get_mut(place) {
                Some(tally) => tally.count += 1,
                None => tallies.push(Tally {
                    what: note.what.clone(),
                    why: note.why.clone(),
                    count: 1,
                    first_line: note.line,
                }),
            }
        }
        tallies
    }
}

/// The start of a text, on one line, for a note.
pub(super) fn quote(octets: &[u8]) -> String {
    let start = &octets[..octets.len().min(4 * NOTE_QUOTE_BYTES_MAX)];
    let text = legible(start);
    let mut quoted = String::new();
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if word.is_empty() {
            continue;
        }
        let space = if quoted.is_empty() { "" } else { " " };
        if quoted.len() + space.len() + word.len() > NOTE_QUOTE_BYTES_MAX {
            let room = NOTE_QUOTE_BYTES_MAX.saturating_sub(quoted.len() + space.len());
            quoted.push_str(space);
            quoted.push_str(cut(word, room));
            quoted.push('…');
            return quoted;
        }
        quoted.push_str(space);
        quoted.push_str(word);
    }
    if start.len() < octets.len() {
        quoted.push('…');
    }
    quoted
}

/// The longest start of `text` of at most `bytes_max` octets.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_that_say_the_same_are_counted_together() {
        let notes = [
            Note::new(1, "BDAY", "no member"),
            Note::new(9, "NOTE", "no member"),
            Note::new(12, "BDAY", "no member"),
        ];
        let tallies = ImportReport::tally(&notes);
        assert_eq!(tallies.len(), 2);
        assert_eq!((tallies[0].count, tallies[0].first_line), (2, 1));
        assert_eq!((tallies[1].count, tallies[1].first_line), (1, 9));
    }

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(quote(b"a\r\n  b\tc"), "a b c");
        let long = quote("é".repeat(500).as_bytes());
        assert!(long.ends_with('…') && long.len() <= NOTE_QUOTE_BYTES_MAX + '…'.len_utf8());
    }
}
