//! Tests of the entries: the drafts' own examples, tags, members that pass through, envelopes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(value: &Value) -> CatalogEntry {
    CatalogEntry::from_json(&serde_json::to_vec(value).unwrap()).unwrap()
}

fn written(entry: &CatalogEntry) -> Value {
    serde_json::from_slice(&entry.to_json()).unwrap()
}

/// One full entry of each kind, with the unique id and catalog it must have.
fn examples() -> Vec<(Value, &'static str, &'static str)> {
    let key = "NC3E-S2UN-L6M4-BOHA-WCLT-6IBP-USBD";
    vec![
        // Schema draft §5.4, §5.5 and §5.6 print these three.
        (
            json!({"CatalogedCredential": {"Service": "ftp.example.com", "Username": "alice1",
                "Password": "newpassword"}}),
            ":ftp.example.com",
            "mmm_Credential",
        ),
        (
            json!({"CatalogedBookmark": {"Uri": "http://example.net/Bananas",
                "Title": "\"Banana", "Path": "Folder1/2"}}),
            "Folder1/2",
            "mmm_Bookmark",
        ),
        (
            json!({"CatalogedTask": {"Key": "CalID1"}}),
            "CalID1",
            "mmm_Task",
        ),
        (
            json!({"CatalogedContact": {"Self": true, "Key": key,
                "Permissions": [{"Name": "Confirm", "Role": "Accept", "Capabilities": [{}, "AA"]}],
                "EnvelopedContact": [{}, "eyJDb250YWN0Ijp7fX0"]}}),
            key,
            "mmm_Contact",
        ),
        (
            json!({"CatalogedContactRecryption": {"Key": key}}),
            key,
            "mmm_Contact",
        ),
        (
            json!({"CatalogedNetwork": {"Protocol": "wifi", "Service": "Harbour", "Username": "a",
                "Password": "b"}}),
            "wifi:Harbour",
            "mmm_Network",
        ),
        (
            json!({"CatalogedApplication": {"Key": "x"}}),
            "x",
            "mmm_Application",
        ),
        (
            json!({"CatalogedGroup": {"Key": "g"}}),
            "g",
            "mmm_Application",
        ),
        (
            json!({"CatalogedApplicationSSH": {"Key": "ssh:work", "KnownHosts": ["h k"],
                "AuthorizedKeys": ["ssh-ed25519 AAAA a@b"]}}),
            "ssh:work",
            "mmm_Application",
        ),
        (
            json!({"CatalogedApplicationMail": {"Key": "mail:a", "Addresses": ["a@example.com"],
                "Inbound": [{"Protocol": "imap", "Host": "imap.example.com", "Port": 993,
                    "Security": "tls", "Username": "a", "Password": "p"}],
                "Outbound": [{"Protocol": "smtp", "Host": "smtp.example.com"}],
                "EncryptionKeys": [{"Format": "OpenPGP", "Key": "-----BEGIN"}]}}),
            "mail:a",
            "mmm_Application",
        ),
        (
            json!({"CatalogedApplicationNetwork": {"Key": "n"}}),
            "n",
            "mmm_Application",
        ),
        (
            json!({"CatalogedMember": {"UDF": "MAAA"}}),
            "MAAA",
            "mmm_Member",
        ),
    ]
}

// S-5.1-a
#[test]
fn every_kind_keeps_its_tag_its_members_and_its_place() {
    for (value, unique_id, catalog) in examples() {
        let entry = read(&value);
        assert_eq!(written(&entry), value);
        assert_eq!(entry.unique_id().as_deref(), Some(unique_id), "{value}");
        assert_eq!(entry.catalog(), catalog, "{value}");
        assert_eq!(
            value.as_object().unwrap().keys().next().unwrap(),
            entry.tag()
        );
    }
}

// S-5-a
#[test]
fn members_of_no_schema_pass_through_in_every_kind() {
    for (mut value, _, _) in examples() {
        let inner = value.as_object_mut().unwrap().values_mut().next().unwrap();
        inner["Colour"] = json!({"Depth": [1, 2.5, "three"]});
        inner["Original"] = json!({"MediaType": "text/x", "Source": "s", "ImportId": "i",
            "Text": "BEGIN", "Part": 1, "Parts": 2, "Later": true});
        let entry = read(&value);
        assert_eq!(written(&entry), value);
        assert_eq!(entry.extra().0.len(), 1);
        assert_eq!(entry.original().unwrap().part, Some(1));
    }
}

#[test]
fn a_published_contact_is_read_out_of_its_envelope() {
    let value = json!({"CatalogedContact": {"Key": "N", "EnvelopedContact":
        [{}, "eyJDb250YWN0Ijp7IkZ1bGxOYW1lIjoiQm9iIn19"]}});
    let CatalogEntry::CatalogedContact(entry) = read(&value) else {
        panic!("not a contact")
    };
    assert_eq!(
        entry.contact().unwrap().unwrap().full_name.as_deref(),
        Some("Bob")
    );
}

#[test]
fn contacts_and_tasks_come_back_out_of_their_envelopes() {
    let contact = Contact {
        full_name: Some("Ngozi Adebayo".into()),
        addresses: vec![Address {
            uri: Some("mailto:ngozi@example.com".into()),
            labels: vec!["work".into()],
            ..Address::default()
        }],
        roles: vec![Role {
            company_name: Some("Harbour".into()),
            ..Role::default()
        }],
        ..Contact::default()
    };
    let mut entry = CatalogedContact::default();
    assert_eq!(entry.contact().unwrap(), None);
    entry.enclose(&contact);
    assert_eq!(entry.contact().unwrap(), Some(contact));

    let task = Task {
        busy: Some(true),
        trigger: vec!["-PT15M".into()],
        ..Task::default()
    };
    let mut entry = CatalogedTask::default();
    entry.enclose(&task);
    assert_eq!(entry.task().unwrap(), Some(task));
}

#[test]
fn an_encrypted_or_damaged_envelope_is_told_apart() {
    let contact_in = |envelope: Value| {
        let value = json!({"CatalogedContact": {"EnvelopedContact": envelope}});
        let CatalogEntry::CatalogedContact(entry) = read(&value) else {
            panic!("not a contact")
        };
        entry.contact()
    };
    let encrypted = contact_in(json!([{"enc": "A256CBC"}, "AAAA"]));
    assert!(matches!(
        encrypted,
        Err(EntryError::Encrypted { tag: "Contact" })
    ));
    // No payload, no JSON, a task where a contact belongs.
    for envelope in [
        json!([{}]),
        json!([{}, "AAAA"]),
        json!([{}, "eyJUYXNrIjp7fX0"]),
    ] {
        let damaged = contact_in(envelope);
        assert!(matches!(
            damaged,
            Err(EntryError::Enclosed { tag: "Contact", .. })
        ));
    }
}

#[test]
fn other_forms_are_refused() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"CatalogedHouse":{}}"#,
        r#"{"CatalogedTask":{"Key":"a"},"CatalogedBookmark":{}}"#,
        r#"{"CatalogedTask":{"Key":7}}"#,
        r#"{"CatalogedTask":{"Key":"a","Key":"b"}}"#,
        r#"{"CatalogedTask":{"EnvelopedTask":{}}}"#,
    ] {
        let refusal = CatalogEntry::from_json(text.as_bytes());
        assert!(matches!(refusal, Err(EntryError::Unreadable(_))), "{text}");
    }
}

#[test]
fn nothing_absent_is_written() {
    let empty = CatalogEntry::CatalogedContact(CatalogedContact::default());
    assert_eq!(empty.to_json(), br#"{"CatalogedContact":{}}"#);
    assert_eq!(empty.unique_id(), None);
    let null = read(&json!({"CatalogedContact": {"Key": null}}));
    assert_eq!(null, empty);
}

#[test]
fn passwords_and_originals_are_never_printed() {
    let marker = "correct horse";
    let entry = read(
        &json!({"CatalogedCredential": {"Service": "s", "Password": marker,
        "Notes": marker, "Original": {"MediaType": "text/csv", "Source": "Chrome",
        "ImportId": "i", "Text": marker, "Hint": marker}}}),
    );
    assert!(!format!("{entry:?}{entry:#?}").contains(marker));
    assert!(String::from_utf8(entry.to_json()).unwrap().contains(marker));
}

proptest! {
    #[test]
    fn any_octets_come_back_out_of_an_original(octets: Vec<u8>) {
        let kept = Original { text: OriginalText::from_octets(&octets), ..Original::default() };
        let entry = CatalogEntry::CatalogedBookmark(CatalogedBookmark {
            original: Some(kept), ..CatalogedBookmark::default()
        });
        let read_back = CatalogEntry::from_json(&entry.to_json()).unwrap();
        prop_assert_eq!(read_back.original().unwrap().text.to_octets(), Some(octets));
        prop_assert_eq!(read_back, entry);
    }
}
