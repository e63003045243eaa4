//! From a file of another program into the catalogs: read, compared with the entries that are there,
//! put behind the replica in one step per catalog. A second import of a file changes nothing.

use std::collections::BTreeMap;

use mesh_common::catalog::entry::CatalogEntry;
use mesh_common::dare::ContainerName;
use mesh_common::udf;
use serde::Serialize;

use crate::catalogs::name_of;
use crate::changes::Change;
use crate::client::Client;
use crate::entries::EntryKind;
use crate::error::ClientError;
use crate::import::{self, Format, ImportReport, ImportedEntry, Tally, reconcile};

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The file.
    pub file: String,
    /// What it was read as.
    pub format: &'static str,
    /// What became of its entries, by kind.
    pub kinds: Vec<ImportedKind>,
    /// What no member of an entry can say and is kept verbatim, counted.
    pub kept_verbatim: Vec<Tally>,
    /// Records that could not be read and are kept as text, counted.
    pub skipped: Vec<Tally>,
    /// Records that stand in the file more than once, counted.
    pub repeated: Vec<Tally>,
}

/// What became of the entries of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedKind {
    /// The kind.
    pub kind: EntryKind,
    /// Entries that were not there.
    pub added: u64,
    /// Entries that were there and say something else now.
    pub updated: u64,
    /// Entries that were there and say the same.
    pub unchanged: u64,
}

impl Client {
    /// Imports `file`, which goes by `name` in reports. `format` is `None` where the file shows
    /// itself what it is; `dry_run` reports and changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Import`] if the file as a whole is not imported;
    /// [`ClientError::EntryTooLarge`], [`ClientError::NoAccount`], [`ClientError::Replica`].
    pub fn import(
        &mut self,
        name: &str,
        file: &[u8],
        format: Option<Format>,
        dry_run: bool,
    ) -> Result<Imported, ClientError> {
        let format = format.or_else(|| import::recognize_format(file));
        let entropy = self.entropy.as_mut();
        let report = import::import(file, format, &mut || udf::nonce(entropy).to_string())
            .map_err(|source| ClientError::Import {
                name: name.to_owned(),
                source,
            })?;
        let mut imported = Imported {
            file: name.to_owned(),
            format: format.map_or("nothing", word_of),
            kinds: Vec::new(),
            kept_verbatim: ImportReport::tally(&report.kept_verbatim),
            skipped: ImportReport::tally(&report.skipped),
            repeated: ImportReport::tally(&report.repeated),
        };
        let mut by_catalog: BTreeMap<&str, Vec<ImportedEntry>> = BTreeMap::new();
        for entry in report.entries {
            by_catalog
                .entry(entry.entry.catalog())
                .or_default()
                .push(entry);
        }
        for (catalog, entries) in by_catalog {
            let container = name_of(catalog);
            let (changes, known) = self.compare(&container, entries)?;
            imported.kinds.extend(count(&changes, &known));
            if !dry_run {
                self.carry_out(&container, changes)?;
            }
        }
        Ok(imported)
    }

    /// What the imported entries mean for the catalog, and the kinds of the entries in it.
    fn compare(
        &mut self,
        container: &ContainerName,
        entries: Vec<ImportedEntry>,
    ) -> Result<(Vec<import::Change>, KnownKinds), ClientError> {
        let existing: Vec<CatalogEntry> = self
            .listing(container)?
            .entries
            .into_iter()
            .map(|listed| listed.entry)
            .collect();
        let known = existing
            .iter()
            .filter_map(|entry| Some((entry.unique_id()?, shown_kind(entry)?)))
            .collect();
        Ok((reconcile(entries, &existing), known))
    }

    /// Seals all changes, then puts them behind the replica in one step.
    fn carry_out(
        &mut self,
        container: &ContainerName,
        changes: Vec<import::Change>,
    ) -> Result<(), ClientError> {
        let total = changes.len() as u64;
        let mut sealed = Vec::with_capacity(changes.len());
        for (done, change) in (1..).zip(changes) {
            match change {
                import::Change::New(entry) | import::Change::Update(entry) => {
                    sealed.push(self.sealed(&entry)?);
                }
                import::Change::Delete(unique_id) => sealed.push(Change {
                    unique_id,
                    content: None,
                }),
                import::Change::Unchanged(_) => {}
            }
            self.tell("encrypting", done, total);
        }
        if !sealed.is_empty() {
            self.change(container, sealed)?;
        }
        Ok(())
    }
}

/// The kinds of the entries of a catalog, by UniqueID.
type KnownKinds = BTreeMap<String, EntryKind>;

/// The kind of an entry, unless it is a further part of another one.
fn shown_kind(entry: &CatalogEntry) -> Option<EntryKind> {
    EntryKind::of(entry).filter(|_| !entry.is_continuation())
}

fn count(changes: &[import::Change], known: &KnownKinds) -> Vec<ImportedKind> {
    let mut kinds: BTreeMap<EntryKind, ImportedKind> = BTreeMap::new();
    for change in changes {
        let (kind, place): (_, fn(&mut ImportedKind) -> &mut u64) = match change {
            import::Change::New(entry) => (shown_kind(entry), |kind| &mut kind.added),
            import::Change::Update(entry) => (shown_kind(entry), |kind| &mut kind.updated),
            import::Change::Unchanged(id) => (known.get(id).copied(), |kind| &mut kind.unchanged),
            import::Change::Delete(_) => continue,
        };
        if let Some(kind) = kind {
            let counts = kinds.entry(kind).or_insert(ImportedKind {
                kind,
                added: 0,
                updated: 0,
                unchanged: 0,
            });
            *place(counts) += 1;
        }
    }
    kinds.into_values().collect()
}

const fn word_of(format: Format) -> &'static str {
    match format {
        Format::VCard => "vcard",
        Format::ICalendar => "icalendar",
        Format::Bookmarks => "bookmarks",
        Format::Logins => "passwords",
    }
}
