//! Counting: which entries a file of vectors has, and which of them were checked.
//!
//! An entry is an element of an array, or a scalar member of an object, that is not inside
//! another entry; it is named by its JSON pointer. Remarks such as `note` are no entries.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Members that say something about the vectors and are none themselves.
const REMARKS: [&str; 5] = ["about", "note", "notes", "provenance", "title"];

/// The entries of one file, and those that were checked.
pub(crate) struct Tally {
    file: Value,
    entries: BTreeSet<String>,
    checked: BTreeSet<String>,
}

impl Tally {
    /// All entries of a file, none checked.
    pub(crate) fn of(file: Value) -> Self {
        let mut entries = BTreeSet::new();
        collect(&file, "", &mut entries);
        Self {
            file,
            entries,
            checked: BTreeSet::new(),
        }
    }

    /// The value at a JSON pointer.
    pub(crate) fn value(&self, pointer: &str) -> &Value {
        self.file
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer} is not in the file"))
    }

    /// Checks each entry directly under `pointer`, read as a `T`; an entry with members that `T`
    /// does not know should not be readable as one.
    pub(crate) fn each<T: DeserializeOwned>(
        &mut self,
        pointer: &str,
        mut check: impl FnMut(&str, T),
    ) {
        let names: Vec<String> = match self.value(pointer) {
            Value::Array(elements) => (0..elements.len()).map(|place| place.to_string()).collect(),
            Value::Object(members) => members.keys().cloned().collect(),
            other => panic!("{pointer} holds no entries but {other}"),
        };
        for name in names {
            let entry = format!("{pointer}/{}", escaped(&name));
            if self.entries.contains(&entry) {
                let value = self.value(&entry).clone();
                let case: T = serde_json::from_value(value)
                    .unwrap_or_else(|error| panic!("{entry} cannot be read: {error}"));
                check(&name, case);
                self.mark(&entry);
            }
        }
    }

    /// Checks all entries at and under `pointer` at once, read as one `T`. A `T` refuses members that
    /// it does not know, and has no member that is not checked.
    pub(crate) fn whole<T: DeserializeOwned>(&mut self, pointer: &str, check: impl FnOnce(T)) {
        let value = self.value(pointer).clone();
        let part: T = serde_json::from_value(value)
            .unwrap_or_else(|error| panic!("{pointer} cannot be read: {error}"));
        check(part);
        let inside = format!("{pointer}/");
        let entries: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| *entry == pointer || entry.starts_with(&inside))
            .cloned()
            .collect();
        assert!(!entries.is_empty(), "nothing is at {pointer}");
        for entry in entries {
            self.mark(&entry);
        }
    }

    /// Notes that the entry at `pointer` was checked.
    pub(crate) fn mark(&mut self, pointer: &str) {
        assert!(self.entries.contains(pointer), "{pointer} is no entry");
        let new = self.checked.insert(pointer.to_owned());
        assert!(new, "{pointer} was checked before");
    }

    /// Leaves a part of the file to another test, which has to exist.
    pub(crate) fn leave(&mut self, pointer: &str) {
        let inside = format!("{pointer}/");
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.starts_with(&inside));
        assert!(self.entries.len() < before, "nothing is at {pointer}");
    }

    /// Fails if an entry was not checked; returns how many there are.
    pub(crate) fn finish(self) -> usize {
        let skipped: Vec<&String> = self.entries.difference(&self.checked).collect();
        assert!(skipped.is_empty(), "entries not checked: {skipped:#?}");
        self.entries.len()
    }
}

fn collect(value: &Value, pointer: &str, entries: &mut BTreeSet<String>) {
    match value {
        Value::Array(elements) => {
            entries.extend((0..elements.len()).map(|place| format!("{pointer}/{place}")));
        }
        Value::Object(members) => {
            for (name, member) in members {
                if !REMARKS.contains(&name.as_str()) {
                    collect(member, &format!("{pointer}/{}", escaped(name)), entries);
                }
            }
        }
        _ => {
            entries.insert(pointer.to_owned());
        }
    }
}

/// A member name as it stands in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tally() -> Tally {
        Tally::of(json!({"about": 1, "a": [1, 2], "b": {"c": {"note": "", "d/e": 5}}}))
    }

    #[test]
    fn entries_are_elements_and_scalars() {
        let entries: Vec<String> = tally().entries.into_iter().collect();
        assert_eq!(entries, ["/a/0", "/a/1", "/b/c/d~1e"]);
    }

    #[test]
    fn a_file_is_done_when_every_entry_was_checked() {
        let mut tally = tally();
        let mut sum = 0;
        tally.each("/a", |_, number: u32| sum += number);
        tally.mark("/b/c/d~1e");
        assert_eq!((sum, tally.finish()), (3, 3));
    }

    #[test]
    #[should_panic(expected = "entries not checked")]
    fn a_skipped_entry_fails() {
        let mut tally = tally();
        tally.each("/a", |_, _: u32| {});
        tally.finish();
    }

    #[test]
    #[should_panic(expected = "was checked before")]
    fn an_entry_counts_once() {
        let mut tally = tally();
        tally.mark("/a/0");
        tally.mark("/a/0");
    }
}
