//! What an import means for a catalog that already has entries: which are new, which replace
//! earlier ones, which are there already. A second import of a file changes nothing.

use std::collections::{HashMap, HashSet};

use mesh_common::catalog::entry::CatalogEntry;

use super::identity::{Taken, adopt};
use super::report::ImportedEntry;

/// What to do for one entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// There is no such entry: add it.
    New(CatalogEntry),
    /// The entry of this unique id came from the same record: replace it.
    Update(CatalogEntry),
    /// The entry of this unique id says the same already.
    Unchanged(String),
    /// The entry of this unique id held a part of an original that has become shorter.
    Delete(String),
}

/// Compares imported entries with the live entries of their catalog, `existing`.
///
/// An entry is recognized by its import id. It keeps its unique id, and a contact keeps the
/// permissions it was given. Entries that were added by hand have no import id and are never
/// replaced; where one has the unique id of a new entry, the new one is filed under another.
#[must_use]
pub fn reconcile(imported: Vec<ImportedEntry>, existing: &[CatalogEntry]) -> Vec<Change> {
    let mut known: HashMap<(&str, String), &CatalogEntry> = HashMap::new();
    let mut taken = Taken::default();
    for entry in existing {
        taken.insert(entry);
        if let Some(original) = entry.original() {
            known
                .entry((entry.catalog(), original.import_id.clone()))
                .or_insert(entry);
        }
    }
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut changes = Vec::new();
    let mut kept = HashSet::new();
    for ImportedEntry { mut entry, .. } in imported {
        let came_as = entry.unique_id().unwrap_or_default();
        let import_id = entry.original().map(|original| original.import_id.clone());
        let earlier = import_id.and_then(|id| known.remove(&(entry.catalog(), id)));
        follow(&mut entry, &renamed);
        match earlier {
            Some(earlier) => replace(&mut entry, earlier),
            None => {
                taken.settle(&mut entry);
            }
        }
        let is_now = entry.unique_id().unwrap_or_default();
        kept.insert(is_now.clone());
        renamed.insert(came_as, is_now.clone());
        changes.push(match earlier {
            None => Change::New(entry),
            Some(earlier) if *earlier == entry => Change::Unchanged(is_now),
            Some(_) => Change::Update(entry),
        });
    }
    let stale = existing.iter().filter(|entry| {
        let of = entry
            .original()
            .and_then(|original| original.continues.as_ref());
        let id = entry.unique_id().unwrap_or_default();
        of.is_some_and(|first| kept.contains(first)) && !kept.contains(&id)
    });
    changes.extend(
        stale
            .filter_map(CatalogEntry::unique_id)
            .map(Change::Delete),
    );
    changes
}

/// A further part of an original follows the entry that holds the first.
fn follow(entry: &mut CatalogEntry, renamed: &HashMap<String, String>) {
    if let Some(original) = entry.original_mut()
        && let Some(first) = &mut original.continues
        && let Some(is_now) = renamed.get(first)
    {
        first.clone_from(is_now);
    }
}

/// Takes over what an import does not know of the entry it replaces.
fn replace(entry: &mut CatalogEntry, earlier: &CatalogEntry) {
    adopt(entry, earlier);
    entry.extra_mut().clone_from(earlier.extra());
    if let (CatalogEntry::CatalogedContact(new), CatalogEntry::CatalogedContact(old)) =
        (entry, earlier)
    {
        new.permissions.clone_from(&old.permissions);
        new.is_self = old.is_self;
    }
}
