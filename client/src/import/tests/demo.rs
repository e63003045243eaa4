//! The demo data: every file is imported whole.

use std::path::Path;

use super::*;

fn demo(file: &str) -> ImportReport {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../meshd/demo-data");
    let octets = std::fs::read(folder.join(file)).unwrap();
    let report = imported(&octets);
    assert_eq!(report.skipped, [], "{file}");
    for entry in &report.entries {
        assert!(
            entry.entry.unique_id().is_some_and(|id| !id.is_empty()),
            "{file}"
        );
        assert!(
            entry.entry.to_json().len() < 16 * 1024,
            "{file}: an entry is large"
        );
    }
    // A second import finds every entry again.
    let live: Vec<CatalogEntry> = report
        .entries
        .iter()
        .map(|imported| imported.entry.clone())
        .collect();
    let again = reconcile(imported(&octets).entries, &live);
    assert!(
        again
            .iter()
            .all(|change| matches!(change, Change::Unchanged(_))),
        "{file}"
    );
    report
}

#[test]
fn two_hundred_contacts_are_imported() {
    let report = demo("contacts.vcf");
    assert_eq!(report.entries.len(), 200);
    let contacts: Vec<Contact> = report.entries.iter().map(contact).collect();
    for contact in &contacts {
        assert!(contact.full_name.is_some() && contact.last.is_some() && contact.first.is_some());
        assert!(contact.identifier.is_some() && contact.updated.is_some());
        let mail = contact
            .addresses
            .iter()
            .filter_map(|address| address.uri.as_deref());
        assert!(
            mail.clone()
                .any(|uri| uri.starts_with("mailto:") && uri.contains("example."))
        );
        assert!(
            mail.clone()
                .any(|uri| uri.starts_with("tel:") && uri.contains("555-01"))
        );
    }
    assert!(
        contacts
            .iter()
            .any(|contact| contact.full_name.as_deref() == Some("山野辺 小春"))
    );
    assert!(
        contacts
            .iter()
            .filter(|contact| !contact.locations.is_empty())
            .count()
            > 50
    );
    assert!(
        contacts
            .iter()
            .filter(|contact| !contact.roles.is_empty())
            .count()
            > 40
    );
}

#[test]
fn the_calendar_is_imported_with_its_zones_and_recurrences() {
    let report = demo("calendar.ics");
    assert_eq!(report.entries.len(), 60);
    let tasks: Vec<Task> = report.entries.iter().map(task).collect();
    assert!(
        tasks
            .iter()
            .all(|task| task.title.is_some() && task.key.is_some())
    );
    assert!(tasks.iter().filter(|task| task.repeat.is_some()).count() >= 10);
    assert!(tasks.iter().filter(|task| !task.trigger.is_empty()).count() >= 10);
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Tokyo"] {
        assert!(
            tasks
                .iter()
                .any(|task| task.time_zone.as_deref() == Some(zone))
        );
    }
}

#[test]
fn the_bookmarks_are_imported_with_their_folders() {
    let report = demo("bookmarks.html");
    assert_eq!(report.entries.len() + report.repeated.len(), 115);
    let paths: Vec<String> = report
        .entries
        .iter()
        .filter_map(|imported| imported.entry.unique_id())
        .collect();
    for folder in [
        "Bookmarks bar/Sailing/Weather & tides/",
        "Bookmarks bar/Küche %2F Recipes/",
    ] {
        assert!(
            paths.iter().any(|path| path.starts_with(folder)),
            "{folder}"
        );
    }
}

#[test]
fn the_logins_are_imported_and_none_is_lost() {
    for (file, count) in [("passwords.csv", 80), ("passwords-bitwarden.csv", 30)] {
        let report = demo(file);
        assert_eq!(report.entries.len(), count, "{file}");
        let ids: std::collections::HashSet<_> = report
            .entries
            .iter()
            .filter_map(|imported| imported.entry.unique_id())
            .collect();
        assert_eq!(ids.len(), count, "{file}");
    }
}
