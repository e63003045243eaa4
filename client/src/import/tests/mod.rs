//! Tests of the imports: golden reports of small files in every dialect, what must hold for any
//! input, second imports, and the demo data.

mod demo;
mod encodings;
mod golden;
mod properties;
mod second_import;

use mesh_common::catalog::entry::{CatalogEntry, CatalogedCredential, Contact, Task};

use super::*;

/// Keys `K1`, `K2`, …: as good as random ones, and the same each time.
fn counting() -> impl FnMut() -> String {
    let mut count = 0;
    move || {
        count += 1;
        format!("K{count}")
    }
}

/// Imports a file that shows its format itself.
fn imported(file: impl AsRef<[u8]>) -> ImportReport {
    import(file.as_ref(), None, &mut counting()).unwrap()
}

fn contact(entry: &ImportedEntry) -> Contact {
    match &entry.entry {
        CatalogEntry::CatalogedContact(contact) => contact.contact().unwrap().unwrap_or_default(),
        other => panic!("a {} where a contact was expected", other.tag()),
    }
}

fn task(entry: &ImportedEntry) -> Task {
    match &entry.entry {
        CatalogEntry::CatalogedTask(task) => task.task().unwrap().unwrap_or_default(),
        other => panic!("a {} where a task was expected", other.tag()),
    }
}

fn login(entry: &ImportedEntry) -> &CatalogedCredential {
    match &entry.entry {
        CatalogEntry::CatalogedCredential(credential) => credential,
        other => panic!("a {} where a credential was expected", other.tag()),
    }
}

/// Whether all originals and notes together contain `text`.
fn is_kept(report: &ImportReport, text: &[u8]) -> bool {
    let entries: Vec<CatalogEntry> = report
        .entries
        .iter()
        .map(|imported| imported.entry.clone())
        .collect();
    let contains = |octets: &[u8]| octets.windows(text.len()).any(|window| window == text);
    let in_entries = entries
        .iter()
        .filter(|entry| !entry.is_continuation())
        .filter_map(|entry| original_octets(&entries, &entry.unique_id()?))
        .any(|octets| contains(&octets));
    let notes = report
        .kept_verbatim
        .iter()
        .chain(&report.skipped)
        .chain(&report.repeated);
    in_entries || notes.into_iter().any(|note| contains(note.what.as_bytes()))
}
