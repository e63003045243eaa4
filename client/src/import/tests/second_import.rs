//! Importing a file again, or a newer export of it.

use super::*;

fn applied(changes: &[Change], existing: &[CatalogEntry]) -> Vec<CatalogEntry> {
    let mut live: Vec<CatalogEntry> = existing.to_vec();
    for change in changes {
        match change {
            Change::New(entry) => {
                let id = entry.unique_id();
                assert!(
                    live.iter().all(|other| other.unique_id() != id),
                    "{id:?} is taken"
                );
                live.push(entry.clone());
            }
            Change::Update(entry) => {
                let id = entry.unique_id();
                let place = live
                    .iter_mut()
                    .find(|other| other.unique_id() == id)
                    .unwrap();
                *place = entry.clone();
            }
            Change::Delete(id) => live.retain(|other| other.unique_id().as_ref() != Some(id)),
            Change::Unchanged(id) => {
                assert!(
                    live.iter()
                        .any(|other| other.unique_id().as_ref() == Some(id))
                );
            }
        }
    }
    live
}

fn counts(changes: &[Change]) -> [usize; 4] {
    let mut counts = [0; 4];
    for change in changes {
        counts[match change {
            Change::New(_) => 0,
            Change::Update(_) => 1,
            Change::Unchanged(_) => 2,
            Change::Delete(_) => 3,
        }] += 1;
    }
    counts
}

/// Imports with keys that differ from those of every other import.
fn imported_as(prefix: &str, file: &str) -> Vec<ImportedEntry> {
    let mut keys = counting();
    import(file.as_bytes(), None, &mut || format!("{prefix}{}", keys()))
        .unwrap()
        .entries
}

#[test]
fn the_same_file_again_changes_nothing() {
    let photo = "QUJD".repeat(100_000);
    for file in [
        format!("BEGIN:VCARD\nVERSION:3.0\nFN:A\nPHOTO;ENCODING=b:{photo}\nEND:VCARD\n"),
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nSUMMARY:Tea\nEND:VEVENT\nEND:VCALENDAR\n".into(),
        "<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p><DT><A HREF=\"a:\">x</A><DT><A HREF=\"b:\">x</A>"
            .into(),
        format!("name,url,username,password,note\na,https://e.example,u,p,\na,https://e.example,v,p,{photo}\n"),
    ] {
        let live = applied(&reconcile(imported_as("a", &file), &[]), &[]);
        let changes = reconcile(imported_as("b", &file), &live);
        assert_eq!(counts(&changes), [0, 0, live.len(), 0]);
    }
}

#[test]
fn a_newer_export_updates_in_place_and_keeps_permissions() {
    let card = |name: &str| format!("BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:{name}\nEND:VCARD\n");
    let mut live = applied(&reconcile(imported_as("a", &card("Old")), &[]), &[]);
    let granted = mesh_common::catalog::entry::Permission {
        name: Some("Confirm".into()),
        role: Some("Accept".into()),
        ..Default::default()
    };
    if let CatalogEntry::CatalogedContact(contact) = &mut live[0] {
        contact.permissions.push(granted.clone());
        contact.extra.0.insert("Later".into(), true.into());
    }
    let changes = reconcile(imported_as("b", &card("New")), &live);
    assert_eq!(counts(&changes), [0, 1, 0, 0]);
    let live = applied(&changes, &live);
    let CatalogEntry::CatalogedContact(contact) = &live[0] else {
        panic!("not a contact")
    };
    assert_eq!(contact.key.as_deref(), Some("aK1"));
    assert_eq!(contact.permissions, [granted]);
    assert_eq!(contact.extra.0["Later"], true);
    assert_eq!(
        contact.contact().unwrap().unwrap().full_name.as_deref(),
        Some("New")
    );
}

#[test]
fn logins_keep_their_place_when_the_order_changes_and_others_come_between() {
    let header = "name,url,username,password\n";
    let row = |user: &str, word: &str| format!("x,https://mail.example.com/,{user},{word}\n");
    let first = format!("{header}{}{}", row("alice", "1"), row("bob", "2"));
    let second = format!(
        "{header}{}{}{}",
        row("carol", "3"),
        row("bob", "2"),
        row("alice", "9")
    );
    let live = applied(&reconcile(imported_as("", &first), &[]), &[]);
    let changes = reconcile(imported_as("", &second), &live);
    assert_eq!(counts(&changes), [1, 1, 1, 0]);
    let live = applied(&changes, &live);
    let mut logins: Vec<(String, String, String)> = live
        .into_iter()
        .map(|entry| {
            let id = entry.unique_id().unwrap();
            let imported = ImportedEntry { entry, line: 0 };
            let credential = login(&imported);
            let password = credential.password.as_ref().unwrap().reveal().to_owned();
            (id, credential.username.clone().unwrap(), password)
        })
        .collect();
    logins.sort();
    let expected = [
        ("https:bob@mail.example.com", "bob", "2"),
        ("https:carol@mail.example.com", "carol", "3"),
        ("https:mail.example.com", "alice", "9"),
    ];
    assert_eq!(
        logins,
        expected.map(|(a, b, c)| (a.into(), b.into(), c.into()))
    );
}

#[test]
fn an_entry_added_by_hand_is_never_replaced() {
    let by_hand = CatalogEntry::CatalogedCredential(CatalogedCredential {
        protocol: Some("https".into()),
        service: Some("mail.example.com".into()),
        username: Some("alice".into()),
        password: Some("by hand".into()),
        ..CatalogedCredential::default()
    });
    let file = "name,url,username,password\nx,https://mail.example.com/,alice,imported\n";
    let changes = reconcile(imported_as("", file), std::slice::from_ref(&by_hand));
    let live = applied(&changes, std::slice::from_ref(&by_hand));
    assert_eq!(live[0], by_hand);
    assert_eq!(
        live[1].unique_id().as_deref(),
        Some("https:alice@mail.example.com")
    );
}

#[test]
fn parts_of_an_original_that_became_shorter_are_deleted() {
    let card = |bytes: usize| {
        let photo = "QUJD".repeat(bytes / 4);
        format!("BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:A\nPHOTO;ENCODING=b:{photo}\nEND:VCARD\n")
    };
    let live = applied(&reconcile(imported_as("a", &card(300_000)), &[]), &[]);
    assert_eq!(live.len(), 3);
    let changes = reconcile(imported_as("b", &card(150_000)), &live);
    assert_eq!(counts(&changes), [0, 2, 0, 1]);
    let live = applied(&changes, &live);
    assert_eq!(
        original_octets(&live, "aK1").unwrap(),
        card(150_000).as_bytes()
    );
}
