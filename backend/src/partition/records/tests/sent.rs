//! The rows that sending leaves: each is read as it was written, and the largest message fits into
//! one row of an intake.

use std::collections::BTreeSet;

use mesh_common::account::intake::IntakeMessage;
use mesh_common::account::{
    Change, IntakeBody, IntakeEntry, IntakeId, MessageSender, PostingCounts, RecipientRow,
    SendingRow,
};
use mesh_common::address::AccountAddress;
use mesh_common::dare::Envelope;
use mesh_common::limits::{
    ADDRESS_BYTES_MAX, MESSAGE_BLOCK_BYTES_MAX, MESSAGE_PAYLOAD_BYTES_MAX, UNIQUE_ID_BYTES_MAX,
};

use super::{account_id, moment, rows_of, udf};
use crate::partition::records;
use crate::store::keys::{AccountKeys, hash16};
use crate::store::limits::VALUE_BYTES_MAX;

#[test]
fn what_sending_leaves_is_read_again() {
    let keys = AccountKeys::of(account_id());
    let sending = SendingRow {
        committed_at: moment(),
        recipients: BTreeSet::from(["bob@example.com".to_owned()]),
    };
    let recipient = RecipientRow {
        written_at: moment(),
    };
    let counts = PostingCounts::default();
    let rows = rows_of(vec![
        Change::Sending {
            unique_id: "message".into(),
            row: Box::new(sending.clone()),
        },
        Change::Recipient {
            recipient: "bob@example.com".into(),
            row: recipient,
        },
        Change::Posting(Box::new(counts.clone())),
    ]);
    let value = |key: Vec<u8>| rows.absolute[&key].clone().unwrap();
    let place = keys.sending(hash16(&[b"message"]));
    assert_eq!(records::sending(&value(place)), Ok(sending));
    let place = keys.recipient(hash16(&[b"bob@example.com"]));
    assert_eq!(records::recipient(&value(place)), Ok(recipient));
    assert_eq!(records::posting(&value(keys.posting())), Ok(counts));
    // The tip, and one row each that says when the first two expire.
    assert_eq!(rows.absolute.len(), 1 + 3 + 2);
}

/// A message at every bound it has.
fn largest() -> IntakeEntry {
    let domain = "@example.com";
    let user = "u".repeat(ADDRESS_BYTES_MAX - domain.len());
    let address = AccountAddress::parse(&format!("{user}{domain}")).unwrap();
    let mut envelope = Envelope::plain(vec![0xff; MESSAGE_PAYLOAD_BYTES_MAX]);
    let weight = "x".repeat(MESSAGE_BLOCK_BYTES_MAX - 16);
    envelope.header.extra.insert("Weight".into(), weight.into());
    IntakeEntry {
        id: IntakeId([0xff; 16]),
        account: address.clone(),
        left_at: moment(),
        body: IntakeBody::Message(Box::new(IntakeMessage {
            sender: MessageSender {
                address,
                account_udf: udf("account"),
                mesh_udf: Some(udf("mesh")),
                signed_by: Some(udf("device")),
            },
            service: None,
            unique_id: "\"".repeat(UNIQUE_ID_BYTES_MAX),
            message_type: Some("RequestConfirmation".into()),
            payload_digest: [0xff; 64],
            envelope,
            block_bytes: MESSAGE_BLOCK_BYTES_MAX,
        })),
    }
}

#[test]
fn the_largest_message_fits_into_one_row_of_an_intake() {
    let entry = largest();
    let rows = rows_of(vec![Change::Intake(Box::new(entry.clone()))]);
    let (_, value) = &rows.intake[0];
    assert!(value.len() <= VALUE_BYTES_MAX, "{} octets", value.len());
    assert!(
        value.len() <= entry.bytes() + 8 * 1024,
        "it is counted as what it takes"
    );
    assert_eq!(records::intake(value), Ok(entry));
}
