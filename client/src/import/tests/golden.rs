//! Golden reports: what a person's file becomes. `GOLDEN=write` rewrites them; the difference is
//! read before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::*;

/// The report as text: entries with what is inside their envelopes, then the notes.
fn rendered(report: &ImportReport) -> String {
    let mut text = String::new();
    for ImportedEntry { entry, line } in &report.entries {
        let mut value: Value = serde_json::from_slice(&entry.to_json()).unwrap();
        for members in value.as_object_mut().unwrap().values_mut() {
            let members = members.as_object_mut().unwrap();
            if members.remove("EnvelopedContact").is_some() {
                let contact = contact(&ImportedEntry {
                    entry: entry.clone(),
                    line: *line,
                });
                members.insert("(Contact)".into(), serde_json::to_value(contact).unwrap());
            }
            if members.remove("EnvelopedTask").is_some() {
                let task = task(&ImportedEntry {
                    entry: entry.clone(),
                    line: *line,
                });
                members.insert("(Task)".into(), serde_json::to_value(task).unwrap());
            }
        }
        let value = serde_json::to_string_pretty(&value).unwrap();
        writeln!(
            text,
            "line {line}: {}\n{value}\n",
            entry.unique_id().unwrap()
        )
        .unwrap();
    }
    for (title, notes) in [
        ("kept verbatim", &report.kept_verbatim),
        ("skipped", &report.skipped),
        ("repeated", &report.repeated),
    ] {
        for Note { line, what, why } in notes {
            writeln!(text, "{title}: line {line}: {what}: {why}").unwrap();
        }
    }
    text
}

fn assert_golden(sample: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests");
    let file = std::fs::read(folder.join("samples").join(sample)).unwrap();
    let found = rendered(&imported(file));
    let golden = folder
        .join("golden")
        .join(sample)
        .with_added_extension("txt");
    if std::env::var("GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(expected == found, "{sample} gives another report:\n{found}");
}

#[test]
fn cards_of_all_versions_become_contacts() {
    assert_golden("cards.vcf");
}

#[test]
fn events_todos_and_journals_become_tasks() {
    assert_golden("calendar.ics");
}

#[test]
fn bookmarks_of_firefox_keep_folders_tags_and_descriptions() {
    assert_golden("firefox.html");
}

#[test]
fn bookmarks_of_safari_and_chrome_are_read() {
    assert_golden("safari.html");
    assert_golden("chrome.html");
}

#[test]
fn logins_of_every_program_become_credentials() {
    for dialect in login_dialects::DIALECTS {
        let sample = format!("{}.csv", dialect.name.to_lowercase().replace(' ', "-"));
        assert_golden(&sample);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests/samples");
        let report = imported(std::fs::read(folder.join(&sample)).unwrap());
        for entry in &report.entries {
            assert_eq!(entry.entry.original().unwrap().source, dialect.name);
        }
    }
}
