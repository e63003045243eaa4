//! What a Contact catalog says of senders: how entries are found, which permission wins, and what
//! follows from what cannot be read (decisions ).

use crate::account::testing::udf;
use serde_json::json;

use super::bob;
use crate::account::frame::FrameRecord;
use crate::account::intake::{ContactIndex, MessageSender, Opened, Standpoint};
use crate::assertion::ProfileAccount;
use crate::catalog::entry::{Address, CatalogEntry, CatalogedContact, Contact, Permission};
use crate::crypto::{KeyData, SecretKey};
use crate::dare::{Envelope, Header};
use crate::entropy::SeededEntropy;

fn key(seed: u64) -> SecretKey {
    SecretKey::generate(&mut SeededEntropy::new(seed))
}

fn frame(unique_id: &str, event: &str) -> FrameRecord {
    serde_json::from_value(json!({
        "at": 0, "ev": event, "id": unique_id, "pn": 0, "en": 0,
        "pd": "A".repeat(86), "td": "A".repeat(86),
    }))
    .unwrap()
}

/// A contact with these permissions, found as `contact` says.
fn entry(contact: &Contact, permissions: &[(&str, &str)]) -> Vec<u8> {
    let permission = |(name, role): &(&str, &str)| Permission {
        name: Some((*name).to_owned()),
        role: (!role.is_empty()).then(|| (*role).to_owned()),
        ..Permission::default()
    };
    let mut entry = CatalogedContact {
        permissions: permissions.iter().map(permission).collect(),
        ..CatalogedContact::default()
    };
    entry.enclose(contact);
    CatalogEntry::CatalogedContact(entry).to_json()
}

fn by_address(address: &str) -> Contact {
    Contact {
        addresses: vec![Address {
            uri: Some(address.to_owned()),
            ..Address::default()
        }],
        ..Contact::default()
    }
}

/// Somebody whose profile's key is made of `seed`.
fn by_profile(seed: u64) -> Contact {
    let profile = ProfileAccount {
        key_offline_signature: Some(KeyData::of(key(seed).public())),
        service_ids: vec!["bob@example.com".to_owned()],
        mesh_profile_udf: Some(udf("mesh of bob").to_string()),
        ..ProfileAccount::default()
    };
    Contact {
        assertion_accounts: vec![serde_json::to_value(&profile).unwrap()],
        ..Contact::default()
    }
}

fn bob_of(seed: u64) -> MessageSender {
    MessageSender {
        account_udf: key(seed).udf(),
        ..bob()
    }
}

/// Entries in the clear, in frames from 1 on.
fn index(entries: &[(&str, Vec<u8>)]) -> ContactIndex {
    let mut index = ContactIndex::default();
    index.follow(0, &frame("", ""));
    for (number, (unique_id, payload)) in (1..).zip(entries) {
        index.follow(number, &frame(unique_id, "New"));
        let envelope = Envelope::plain(payload.as_slice());
        index.open(unique_id, Opened::read(&envelope, &[]));
    }
    index
}

/// Contacts by address, each with its permissions.
pub(in crate::account) fn contacts_of(entries: &[(&str, &[(&str, &str)])]) -> ContactIndex {
    let payload = |(address, permissions): &(&str, &[(&str, &str)])| {
        entry(&by_address(&format!("mmm:{address}")), permissions)
    };
    let entries: Vec<(&str, Vec<u8>)> = entries
        .iter()
        .map(|entry| (entry.0, payload(entry)))
        .collect();
    index(&entries)
}

// I-S-4.4-c
#[test]
fn whom_one_writes_to_is_found_by_address_whatever_profile_the_entry_names() {
    let index = index(&[
        ("profile", entry(&by_profile(7), &[("Task", "Reject")])),
        (
            "carol",
            entry(&by_address("mmm:carol@example.com"), &[("*", "Accept")]),
        ),
    ]);
    let to = |address: &str, tag| {
        index.standpoint_to(
            &crate::address::AccountAddress::parse(address).unwrap(),
            tag,
        )
    };
    let task = "RequestTask";
    assert_eq!(to("Bob@example.com", task), Standpoint::Reject);
    assert_eq!(to("bob@example.com", "RequestContact"), Standpoint::Silent);
    assert_eq!(to("carol@example.com", task), Standpoint::Accept);
    assert_eq!(to("dave@example.com", task), Standpoint::Unknown);
}

#[test]
fn every_form_of_an_address_finds_its_contact() {
    let mesh_accounts: Contact =
        serde_json::from_value(json!({"MeshAccounts": ["Bob@Example.com"]})).unwrap();
    for contact in [
        by_address("mmm:Bob@example.com"),
        by_address("mailto:bob@EXAMPLE.com"),
        mesh_accounts,
    ] {
        let index = index(&[("b", entry(&contact, &[("Task", "")]))]);
        assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Accept);
        assert_eq!(
            index.standpoint(&bob(), "RequestContact"),
            Standpoint::Silent
        );
    }
    let other = index(&[("b", entry(&by_address("tel:+4989"), &[("*", "")]))]);
    assert_eq!(other.standpoint(&bob(), "RequestTask"), Standpoint::Unknown);
}

#[test]
fn an_entry_with_a_profile_is_found_by_it_alone() {
    let index = index(&[
        ("profile", entry(&by_profile(7), &[("*", "Reject")])),
        (
            "address",
            entry(&by_address("mmm:bob@example.com"), &[("*", "Accept")]),
        ),
    ]);
    let task = "RequestTask";
    assert_eq!(index.standpoint(&bob_of(7), task), Standpoint::Reject);
    assert_eq!(index.standpoint(&bob_of(8), task), Standpoint::Accept);
}

#[test]
fn an_account_of_another_mesh_is_not_the_one_whose_key_it_names() {
    let mut contact = by_profile(7);
    let index_of = |contact: &Contact| index(&[("profile", entry(contact, &[("*", "Accept")]))]);
    let index = index_of(&contact);
    let task = "RequestTask";
    assert_eq!(index.standpoint(&bob_of(7), task), Standpoint::Accept);
    let of_mallet = |mesh_udf| MessageSender {
        mesh_udf,
        ..bob_of(7)
    };
    let forged = of_mallet(Some(udf("mesh of mallet")));
    assert_eq!(index.standpoint(&forged, task), Standpoint::Unknown);
    // What proved itself by its own key has no need of a mesh.
    assert_eq!(index.standpoint(&of_mallet(None), task), Standpoint::Accept);
    // Whoever's mesh is not known is nobody whom a mesh vouches for.
    contact.assertion_accounts[0]["MeshProfileUDF"] = json!(null);
    let index = index_of(&contact);
    assert_eq!(index.standpoint(&forged, task), Standpoint::Unknown);
    assert_eq!(index.standpoint(&of_mallet(None), task), Standpoint::Accept);
}

#[test]
fn the_most_specific_permission_wins_and_then_reject() {
    let contact = by_address("mmm:bob@example.com");
    for (permissions, tag, expected) in [
        (
            &[("*", "Reject"), ("Task", "Accept")][..],
            "RequestTask",
            Standpoint::Accept,
        ),
        (
            &[("Contact", "Reject"), ("ReplyContact", "")][..],
            "ReplyContact",
            Standpoint::Accept,
        ),
        (
            &[("Contact", "Reject"), ("ReplyContact", "")][..],
            "RequestContact",
            Standpoint::Reject,
        ),
        (
            &[("*", "Accept"), ("*", "Reject")][..],
            "RequestTask",
            Standpoint::Reject,
        ),
        (
            &[("Task", "Reject"), ("Task", "Accept")][..],
            "RequestTask",
            Standpoint::Reject,
        ),
        (
            &[("Confirm", "Accept")][..],
            "ResponseConfirmation",
            Standpoint::Accept,
        ),
        (
            &[("Group", "Accept")][..],
            "GroupInvitation",
            Standpoint::Accept,
        ),
        (
            &[("Task", "Perhaps")][..],
            "RequestTask",
            Standpoint::Silent,
        ),
        (&[][..], "RequestTask", Standpoint::Silent),
    ] {
        let index = index(&[("b", entry(&contact, permissions))]);
        assert_eq!(
            index.standpoint(&bob(), tag),
            expected,
            "{permissions:?} for {tag}"
        );
    }
    // Several entries for one sender speak together.
    let two = index(&[
        ("b", entry(&contact, &[("RequestTask", "Accept")])),
        ("c", entry(&contact, &[("RequestTask", "Reject")])),
    ]);
    assert_eq!(two.standpoint(&bob(), "RequestTask"), Standpoint::Reject);
}

// S-7.4.6-a
#[test]
fn an_entry_about_the_owner_names_no_sender() {
    let contact = by_address("mmm:bob@example.com");
    let mut entry = CatalogedContact {
        is_self: Some(true),
        permissions: vec![Permission {
            name: Some("*".to_owned()),
            ..Permission::default()
        }],
        ..CatalogedContact::default()
    };
    entry.enclose(&contact);
    let index = index(&[("me", CatalogEntry::CatalogedContact(entry).to_json())]);
    assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Unknown);
    assert!(!index.has_unreadable());
}

// S-5.3-a
#[test]
fn entries_are_read_with_present_and_retired_keys_and_others_are_told_unreadable() {
    let contact = entry(&by_address("mmm:bob@example.com"), &[("*", "")]);
    let (present, retired, foreign) = (key(1), key(2), key(3));
    let sealed = |key: &SecretKey| {
        let mut entropy = SeededEntropy::new(9);
        let header = Header::default();
        Envelope::encrypted(&contact, header, &[key.public()], &mut entropy).unwrap()
    };
    let mut index = ContactIndex::default();
    index.follow(1, &frame("b", "New"));
    assert_eq!(index.closed().collect::<Vec<_>>(), [("b", 1)]);
    for key in [&present, &retired] {
        index.open("b", Opened::read(&sealed(key), &[&present, &retired]));
        assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Accept);
        assert!(!index.has_unreadable());
    }
    index.open("b", Opened::read(&sealed(&foreign), &[&present, &retired]));
    assert!(index.has_unreadable());
    assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Unknown);
    for damaged in ["", "{}", "{\"CatalogedBookmark\":{}}", "\u{0}"] {
        index.open("b", Opened::read(&Envelope::plain(damaged), &[]));
        assert!(index.has_unreadable(), "{damaged:?}");
    }
    index.follow(2, &frame("b", "Delete"));
    assert!(!index.has_unreadable(), "it lives no more");
}

#[test]
fn only_live_frames_are_opened_and_an_index_follows_the_catalog() {
    let accept = entry(&by_address("mmm:bob@example.com"), &[("*", "")]);
    let reject = entry(&by_address("mmm:bob@example.com"), &[("*", "Reject")]);
    let mut index = index(&[("b", accept.clone())]);
    let bytes = index.bytes();
    assert!(index.is_at(2, index.apex()) && index.next_frame() == 2);
    index.follow(2, &frame("b", "Update"));
    assert!(!index.is_at(2, index.apex()));
    assert_eq!(index.closed().collect::<Vec<_>>(), [("b", 2)]);
    index.open("b", Opened::read(&Envelope::plain(reject.as_slice()), &[]));
    assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Reject);
    index.follow(3, &frame("b", "Delete"));
    assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Unknown);
    assert_eq!(index.closed().count(), 0);
    assert_eq!(index.bytes(), 0, "{bytes} before");
    index.follow(4, &frame("b", "New"));
    index.open("b", Opened::read(&Envelope::plain(accept.as_slice()), &[]));
    assert_eq!(index.standpoint(&bob(), "RequestTask"), Standpoint::Accept);
    assert_eq!(index.bytes(), bytes);
    index.open("b", Opened::unreadable());
    assert!(index.has_unreadable(), "a frame whose payload is gone");
}
