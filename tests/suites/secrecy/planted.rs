//! Entries of every kind, a marker in each text that is not the entry's id.

use mesh_common::catalog::entry::{CatalogEntry, CatalogedContact, CatalogedTask, Contact, Task};

/// The catalog that single transactions write to.
pub(crate) const CATALOG: &str = "mmm_Bookmark";

/// The texts the markers stand in, by kind and member.
const PLACES: [&str; 16] = [
    "contact-full-name",
    "contact-last",
    "task-title",
    "task-description",
    "bookmark-uri",
    "bookmark-title",
    "credential-password",
    "credential-unknown-member",
    "network-password",
    "network-unknown-member",
    "application-unknown-member",
    "ssh-known-host",
    "ssh-authorized-key",
    "mail-address",
    "mail-host",
    "mail-password",
];

fn marker(place: &str) -> String {
    assert!(PLACES.contains(&place), "{place}");
    format!("marker-{place}-7f3a9c")
}

/// Every marker, with what it is.
pub(crate) fn markers() -> Vec<(String, Vec<u8>)> {
    PLACES
        .iter()
        .map(|place| ((*place).to_owned(), marker(place).into_bytes()))
        .collect()
}

/// A marker for an entry that is no catalog's.
pub(crate) fn plain_marker() -> (String, Vec<u8>) {
    ("content".to_owned(), b"marker-content-7f3a9c".to_vec())
}

/// One entry of every kind a device writes.
pub(crate) fn entries() -> Vec<CatalogEntry> {
    let mut contact = CatalogedContact {
        key: Some("contact-id".to_owned()),
        ..CatalogedContact::default()
    };
    contact.enclose(&Contact {
        full_name: Some(marker("contact-full-name")),
        last: Some(marker("contact-last")),
        ..Contact::default()
    });
    let mut task = CatalogedTask {
        key: Some("task-id".to_owned()),
        ..CatalogedTask::default()
    };
    task.enclose(&Task {
        key: Some("task-id".to_owned()),
        title: Some(marker("task-title")),
        description: Some(marker("task-description")),
        ..Task::default()
    });
    let mut entries = vec![
        CatalogEntry::CatalogedContact(contact),
        CatalogEntry::CatalogedTask(task),
    ];
    let texts = [
        format!(
            r#"{{"CatalogedBookmark":{{"Uri":"{}","Title":"{}","Path":"bookmark-id"}}}}"#,
            marker("bookmark-uri"),
            marker("bookmark-title")
        ),
        format!(
            r#"{{"CatalogedCredential":{{"Protocol":"https","Service":"example.com","Username":"u","Password":"{}","Note":"{}"}}}}"#,
            marker("credential-password"),
            marker("credential-unknown-member")
        ),
        format!(
            r#"{{"CatalogedNetwork":{{"Protocol":"wifi","Service":"home","Username":"u","Password":"{}","Note":"{}"}}}}"#,
            marker("network-password"),
            marker("network-unknown-member")
        ),
        format!(
            r#"{{"CatalogedApplication":{{"Key":"application-id","Note":"{}"}}}}"#,
            marker("application-unknown-member")
        ),
        format!(
            r#"{{"CatalogedApplicationSSH":{{"Key":"ssh-id","KnownHosts":["{}"],"AuthorizedKeys":["{}"]}}}}"#,
            marker("ssh-known-host"),
            marker("ssh-authorized-key")
        ),
        format!(
            r#"{{"CatalogedApplicationMail":{{"Key":"mail-id","Addresses":["{}"],"Inbound":[{{"Host":"{}","Password":"{}"}}]}}}}"#,
            marker("mail-address"),
            marker("mail-host"),
            marker("mail-password")
        ),
    ];
    entries.extend(
        texts
            .iter()
            .map(|text| CatalogEntry::from_json(text.as_bytes()).expect("these are entries")),
    );
    let written: String = entries
        .iter()
        .map(|entry| readable(&entry.to_json()))
        .collect();
    for place in PLACES {
        assert!(
            written.contains(&marker(place)),
            "{place} is planted nowhere"
        );
    }
    entries
}

/// The JSON of an entry, with what is enclosed in it.
fn readable(text: &[u8]) -> String {
    let entry = CatalogEntry::from_json(text).expect("it was just written");
    let enclosed = match &entry {
        CatalogEntry::CatalogedContact(contact) => {
            format!("{:?}", contact.contact().expect("it is in the clear"))
        }
        CatalogEntry::CatalogedTask(task) => {
            format!("{:?}", task.task().expect("it is in the clear"))
        }
        _ => String::new(),
    };
    String::from_utf8_lossy(text).into_owned() + &enclosed
}
