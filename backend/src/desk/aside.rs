//! Entries of intakes that could be received in no way, for the operator: listed, put back, dropped
//! (cluster §8). Only operators clear table 24, each row in one commit with what follows from it.

use std::ops::ControlFlow;

use mesh_common::account::IntakeBody;

use super::scan::{each, hexadecimal, octets_of};
use super::{Answer, Aside, AsideDesk, DeskError};
use crate::handle::BackendHandle;
use crate::partition::records;
use crate::store::{Read, Store, Tx, keys};

impl<S: Store> AsideDesk for BackendHandle<S> {
    fn aside(&self, max: usize) -> Answer<'_, Vec<Aside>> {
        Box::pin(read(&self.inner.shared.store, max))
    }

    fn requeue<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.take_aside(id, true).await })
    }

    fn drop_aside<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.take_aside(id, false).await })
    }
}

impl<S: Store> BackendHandle<S> {
    /// Clears the rows of an entry, and appends it to its intake again if it `is_to_be_received`. A
    /// commit whose answer was lost may have landed: whoever repeats it finds nothing any more, and an
    /// entry that was appended is received once (decision Q-59).
    async fn take_aside(&self, id: &str, is_to_be_received: bool) -> Result<(), DeskError> {
        let unknown = || DeskError::NotFound {
            what: format!("no entry {id} is set aside"),
        };
        let key = octets_of(id).ok_or_else(unknown)?;
        let partition = keys::partition_of_intake(&key).ok_or_else(unknown)?;
        let (entry, why) = keys::set_aside(partition, &key);
        let shared = &self.inner.shared;
        let mut tx = shared.store.begin(shared.writing());
        let Some(value) = tx.get(&entry, Read::Serializable).await? else {
            return Err(unknown());
        };
        if is_to_be_received {
            if records::intake(&value).is_err() {
                return Err(DeskError::Refused {
                    why: format!("entry {id} does not read, so it can never be received"),
                });
            }
            shared.intakes().leave(&mut tx, &[(partition, value)]);
        }
        tx.clear(&entry);
        tx.clear(&why);
        tx.commit().await?;
        if is_to_be_received {
            shared.bell.ring(partition);
        }
        Ok(())
    }
}

/// What was set aside. Kinds of one entry come in the order of their octets: entry, reason.
pub(super) async fn read<S: Store>(store: &S, max: usize) -> Result<Vec<Aside>, DeskError> {
    let mut found = Vec::new();
    let mut entry: Option<Aside> = None;
    each(store, keys::all_set_aside(), |row| {
        match keys::parse_set_aside(&row.key) {
            Some((_, key, b'e')) => entry = Some(shown(&key, &row.value)),
            Some((_, _, b'w')) => found.extend(entry.take().map(|entry| Aside {
                reason: String::from_utf8_lossy(&row.value).into_owned(),
                ..entry
            })),
            _ => {}
        }
        if found.len() < max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
    .await?;
    Ok(found)
}

/// An entry without its reason.
fn shown(key: &[u8], value: &[u8]) -> Aside {
    let entry = records::intake(value).ok();
    let body = entry.as_ref().map(|entry| &entry.body);
    let (kind, message, other) = match body {
        Some(IntakeBody::Message(message)) => (
            Some("message"),
            Some(message.unique_id.clone()),
            Some(message.sender.address.clone()),
        ),
        Some(IntakeBody::Outcome(outcome)) => (
            Some("outcome"),
            Some(outcome.unique_id.clone()),
            Some(outcome.recipient.clone()),
        ),
        None => (None, None, None),
    };
    Aside {
        id: hexadecimal(key),
        reason: String::new(),
        bytes: value.len() as u64,
        kind: kind.map(str::to_owned),
        message,
        other,
        account: entry.as_ref().map(|entry| entry.account.clone()),
        left_at: entry.as_ref().map(|entry| entry.left_at),
    }
}
