//! The rows that receiving leaves: each is read as it was written, and none lies where another does.

use std::collections::BTreeSet;

use mesh_common::account::intake::{
    DeliveryKey, DeliveryRow, ExchangeKey, ExchangeKind, ExchangeRow, SeenRow, Tally,
};
use mesh_common::account::{Change, IntakeId};
use mesh_common::spool::MessageState;

use super::{account_id, moment, rows_of};
use crate::partition::records::{self, delivery_hash, exchange_hash};
use crate::store::keys::AccountKeys;

fn delivery() -> (DeliveryKey, DeliveryRow) {
    let key = DeliveryKey {
        unique_id: "message".into(),
        recipient: "bob@example.com".into(),
    };
    let row = DeliveryRow {
        state: MessageState::Refused,
        told_at: moment(),
    };
    (key, row)
}

#[test]
fn what_receiving_leaves_is_read_again() {
    let keys = AccountKeys::of(account_id());
    let (id, seen) = (
        IntakeId([3; 16]),
        SeenRow {
            drained_at: moment(),
        },
    );
    let (key, told) = delivery();
    let row = ExchangeRow { begun_at: moment() };
    let address = "bob@example.com".to_owned();
    let exchanges = [
        ExchangeKey::Recipient(ExchangeKind::Contact, address.clone()),
        ExchangeKey::Recipient(ExchangeKind::Confirmation, address.clone()),
        ExchangeKey::Message(ExchangeKind::Contact, address.clone()),
        ExchangeKey::Message(ExchangeKind::Confirmation, address),
    ];
    let tally = Tally::default().on(moment());
    let mut changes = vec![
        Change::Seen { id, row: seen },
        Change::Delivery {
            key: key.clone(),
            row: told,
        },
        Change::Tally(Box::new(tally.clone())),
    ];
    changes.extend(exchanges.iter().map(|key| Change::Exchange {
        key: key.clone(),
        row,
    }));
    let rows = rows_of(changes);
    let value = |key: Vec<u8>| rows.absolute[&key].clone().unwrap();
    assert_eq!(records::seen(&value(keys.seen(id.0))), Ok(seen));
    let place = keys.delivery(delivery_hash(&key));
    assert_eq!(records::delivery(&value(place)), Ok(told));
    assert_eq!(records::tally(&value(keys.tally())), Ok(tally));
    let places: BTreeSet<Vec<u8>> = exchanges
        .iter()
        .map(|key| keys.exchange(exchange_hash(key)))
        .collect();
    assert_eq!(places.len(), exchanges.len());
    for place in places {
        assert_eq!(records::exchange(&value(place)), Ok(row));
    }
    // One row of the tip, and one that says when each expires but the tally.
    assert_eq!(rows.absolute.len(), 1 + 7 + 6);
}
