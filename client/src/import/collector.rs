//! Gathers the entries of one import: folds repeated records, gives every entry identities of its
//! own, attaches originals and cuts those that are too long for one entry.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mesh_common::catalog::entry::{
    CatalogEntry, CatalogedBookmark, CatalogedContact, CatalogedCredential, CatalogedTask,
    Original, OriginalText,
};
use sha2::{Digest, Sha256};

use super::identity::Taken;
use super::limits::{
    MEMBERS_BYTES_MAX, ORIGINAL_PART_BYTES_MAX, REPEATED_BYTES_MAX, UNIQUE_ID_BYTES_MAX,
};
use super::report::{ImportReport, ImportedEntry, Note, cut, quote};

/// The growing report of one import.
pub(super) struct Collector<'k> {
    keys: &'k mut dyn FnMut() -> String,
    media_type: &'static str,
    records: HashMap<[u8; 32], usize>,
    import_ids: HashMap<String, u32>,
    taken: Taken,
    repeated_bytes: usize,
    report: ImportReport,
}

/// One record of the input, read.
pub(super) struct Record<'a> {
    /// What it says, without its original.
    pub(super) entry: CatalogEntry,
    /// The line it starts at.
    pub(super) line: usize,
    /// The record as it stands in the input, with whatever it needs to be read alone.
    pub(super) octets: Cow<'a, [u8]>,
    /// The dialect it was read as.
    pub(super) source: String,
    /// What identifies it in its source.
    pub(super) import_id: String,
}

impl<'k> Collector<'k> {
    /// Starts a report; `keys` draws random nonce UDFs.
    pub(super) fn new(media_type: &'static str, keys: &'k mut dyn FnMut() -> String) -> Self {
        Self {
            keys,
            media_type,
            records: HashMap::new(),
            import_ids: HashMap::new(),
            taken: Taken::default(),
            repeated_bytes: 0,
            report: ImportReport::default(),
        }
    }

    /// Notes what an entry's members cannot say.
    pub(super) fn kept(&mut self, line: usize, what: impl Into<String>, why: impl Into<String>) {
        self.report.kept_verbatim.push(Note::new(line, what, why));
    }

    /// Whether an original may hold `bytes` of what other originals hold too; see
    /// [`REPEATED_BYTES_MAX`].
    pub(super) fn may_repeat(&mut self, bytes: usize) -> bool {
        let sum = self.repeated_bytes.saturating_add(bytes);
        let within = sum <= REPEATED_BYTES_MAX;
        if within {
            self.repeated_bytes = sum;
        }
        within
    }

    /// Adds a record, unless it repeats an earlier one octet for octet.
    pub(super) fn add(&mut self, mut record: Record<'_>) {
        record.import_id = bounded(record.import_id);
        if self.is_repeated(&record) {
            return;
        }
        let count = self.import_ids.entry(record.import_id.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            record.import_id = format!("{} #{count}", record.import_id);
        }
        self.draw_key(&mut record.entry);
        if record.entry.to_json().len() > MEMBERS_BYTES_MAX {
            clear(&mut record.entry);
            let what = quote_safely(&record);
            self.kept(record.line, what, "too long for the members of an entry");
        }
        if self.taken.settle(&mut record.entry) {
            let id = record.entry.unique_id().unwrap_or_default();
            self.kept(
                record.line,
                id,
                "filed under this name, as the usual one was taken or long",
            );
        }
        self.attach_original(record);
    }

    /// Adds an entry of `kind` that holds text and nothing else, and reports it as skipped.
    pub(super) fn add_unread(
        &mut self,
        kind: CatalogEntry,
        line: usize,
        octets: &[u8],
        why: impl Into<String>,
    ) {
        self.report
            .skipped
            .push(Note::new(line, quote(octets), why));
        self.add(Record {
            entry: kind,
            line,
            octets: Cow::Borrowed(octets),
            source: "not read".to_owned(),
            import_id: import_id_of_text(octets),
        });
    }

    /// Ends the report.
    pub(super) fn finish(self) -> ImportReport {
        self.report
    }

    fn is_repeated(&mut self, record: &Record<'_>) -> bool {
        let digest = Sha256::new()
            .chain_update(record.import_id.len().to_be_bytes())
            .chain_update(&record.import_id)
            .chain_update(&record.octets)
            .finalize();
        match self.records.entry(digest.into()) {
            Entry::Vacant(place) => {
                place.insert(record.line);
                false
            }
            Entry::Occupied(first) => {
                let why = format!("the same as the record at line {}", first.get());
                self.report
                    .repeated
                    .push(Note::new(record.line, quote_safely(record), why));
                true
            }
        }
    }

    fn draw_key(&mut self, entry: &mut CatalogEntry) {
        match entry {
            CatalogEntry::CatalogedContact(contact) => contact.key = Some((self.keys)()),
            CatalogEntry::CatalogedTask(entry) => {
                entry.key = Some((self.keys)());
                if let Ok(Some(mut task)) = entry.task() {
                    task.key.clone_from(&entry.key);
                    entry.enclose(&task);
                }
            }
            _ => {}
        }
    }

    /// Attaches the original, in further entries where it is too long for one.
    fn attach_original(&mut self, record: Record<'_>) {
        let Record {
            mut entry,
            line,
            octets,
            source,
            import_id,
        } = record;
        let parts = cut_to_parts(&octets);
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let first_id = entry.unique_id();
        let blank = blank_of_same_kind(&entry);
        if count > 1 {
            self.kept(
                line,
                first_id.clone().unwrap_or_default(),
                format!("its original is kept in {count} entries"),
            );
        }
        for (text, part) in parts.into_iter().zip(1..) {
            if part > 1 {
                entry = self.continuation(&blank, part);
            }
            *entry.original_mut() = Some(Original {
                media_type: self.media_type.to_owned(),
                source: source.clone(),
                import_id: match part {
                    1 => import_id.clone(),
                    _ => format!("{import_id} part {part}"),
                },
                text,
                part: (count > 1).then_some(part),
                parts: (count > 1).then_some(count),
                continues: first_id.clone().filter(|_| part > 1),
                ..Original::default()
            });
            self.report.entries.push(ImportedEntry {
                entry: entry.clone(),
                line,
            });
        }
    }

    /// An entry for a further part of an original.
    fn continuation(&mut self, blank: &CatalogEntry, part: u32) -> CatalogEntry {
        let mut entry = blank.clone();
        match &mut entry {
            CatalogEntry::CatalogedBookmark(bookmark) => {
                bookmark.path = bookmark
                    .path
                    .take()
                    .map(|path| format!("{path} part {part}"));
            }
            CatalogEntry::CatalogedCredential(credential) => {
                let service = credential.service.take().unwrap_or_default();
                credential.service = Some(format!("{service} part {part}"));
            }
            _ => {}
        }
        self.draw_key(&mut entry);
        self.taken.settle(&mut entry);
        entry
    }
}

/// The octets of an original, put together again from all the parts among `entries`; `None` when
/// there is none or a part is missing. This is also how an export gives back what was imported.
pub fn original_octets(entries: &[CatalogEntry], unique_id: &str) -> Option<Vec<u8>> {
    let first = entries
        .iter()
        .find(|entry| entry.unique_id().as_deref() == Some(unique_id))?;
    let original = first.original()?;
    let mut octets = original.text.to_octets()?;
    for part in 2..=original.parts.unwrap_or(1) {
        let next = entries
            .iter()
            .filter_map(CatalogEntry::original)
            .find(|next| next.continues.as_deref() == Some(unique_id) && next.part == Some(part))?;
        octets.extend(next.text.to_octets()?);
    }
    Some(octets)
}

/// The import id of a text that could not be read: a digest of it.
fn import_id_of_text(octets: &[u8]) -> String {
    let digest = Sha256::digest(octets);
    format!("text:{}", data_encoding::BASE32_NOPAD.encode(&digest[..20]))
}

/// An import id of bounded length: of a long one the start and a digest of it all.
fn bounded(import_id: String) -> String {
    if import_id.len() <= UNIQUE_ID_BYTES_MAX {
        return import_id;
    }
    let start = cut(&import_id, UNIQUE_ID_BYTES_MAX / 2);
    format!("{start}… {}", import_id_of_text(import_id.as_bytes()))
}

/// What to call the record in a note; of a login only what may be seen.
fn quote_safely(record: &Record<'_>) -> String {
    match &record.entry {
        CatalogEntry::CatalogedCredential(_) | CatalogEntry::CatalogedBookmark(_) => {
            record.entry.unique_id().unwrap_or_default()
        }
        _ => quote(&record.octets),
    }
}

/// Removes every member but those that identify the entry.
fn clear(entry: &mut CatalogEntry) {
    let mut cleared = blank_of_same_kind(entry);
    match (&mut cleared, &*entry) {
        (CatalogEntry::CatalogedContact(new), CatalogEntry::CatalogedContact(old)) => {
            new.key.clone_from(&old.key);
        }
        (CatalogEntry::CatalogedTask(new), CatalogEntry::CatalogedTask(old)) => {
            new.key.clone_from(&old.key);
        }
        _ => {}
    }
    *entry = cleared;
}

/// An entry of the same kind, with its path or service and nothing else.
fn blank_of_same_kind(entry: &CatalogEntry) -> CatalogEntry {
    match entry {
        CatalogEntry::CatalogedBookmark(bookmark) => {
            CatalogEntry::CatalogedBookmark(CatalogedBookmark {
                path: bookmark.path.clone(),
                ..CatalogedBookmark::default()
            })
        }
        CatalogEntry::CatalogedCredential(credential) => {
            CatalogEntry::CatalogedCredential(CatalogedCredential {
                protocol: credential.protocol.clone(),
                service: credential.service.clone(),
                ..CatalogedCredential::default()
            })
        }
        CatalogEntry::CatalogedTask(_) => CatalogEntry::CatalogedTask(CatalogedTask::default()),
        _ => CatalogEntry::CatalogedContact(CatalogedContact::default()),
    }
}

/// Cuts octets so that each part fits into an entry; text is cut between letters.
fn cut_to_parts(octets: &[u8]) -> Vec<OriginalText> {
    let Ok(text) = std::str::from_utf8(octets) else {
        return octets
            .chunks(ORIGINAL_PART_BYTES_MAX / 4 * 3)
            // A part alone might be UTF-8 by chance; all of them are kept the same way.
            .map(|part| OriginalText::Data(data_encoding::BASE64URL_NOPAD.encode(part).into()))
            .collect();
    };
    let mut parts = Vec::new();
    let (mut start, mut cost) = (0, 0);
    for (place, letter) in text.char_indices() {
        cost += json_bytes(letter);
        if cost > ORIGINAL_PART_BYTES_MAX {
            parts.push(OriginalText::Text(text[start..place].into()));
            (start, cost) = (place, json_bytes(letter));
        }
    }
    parts.push(OriginalText::Text(text[start..].into()));
    parts
}

/// Octets a letter takes inside a JSON string.
const fn json_bytes(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{C}' => 2,
        '\0'..='\u{1F}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn originals_repeat_what_is_around_records_up_to_a_bound() {
        let mut keys = String::new;
        let mut collector = Collector::new("text/csv", &mut keys);
        assert!(collector.may_repeat(REPEATED_BYTES_MAX - 1));
        assert!(!collector.may_repeat(2));
        assert!(collector.may_repeat(1));
        assert!(!collector.may_repeat(1));
        assert!(!collector.may_repeat(usize::MAX));
    }

    #[test]
    fn long_import_ids_are_cut_and_stay_different() {
        let long = |end: &str| bounded("é".repeat(UNIQUE_ID_BYTES_MAX / 2) + end);
        assert_eq!(long(""), "é".repeat(UNIQUE_ID_BYTES_MAX / 2));
        assert!(long("a").len() <= UNIQUE_ID_BYTES_MAX);
        assert_ne!(long("a"), long("b"));
    }
}
