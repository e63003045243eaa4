//! What other transactions mean for requests to connect: a RespondConnection in Local answers one,
//! and a device whose entry is deleted has none any more.

use std::collections::BTreeMap;

use super::pending::{PendingConnection, Stage};
use crate::account::change::Change;
use crate::account::frame::FrameRecord;
use crate::account::policy::AccountPolicy;
use crate::account::state::AccountState;
use crate::dare::ContainerKind;
use crate::message::Message;
use crate::time::Timestamp;
use crate::udf::Udf;

/// The tag of an administrator's answer.
const ANSWER: &str = "RespondConnection";

/// Whether a RespondConnection that another account sent under `unique_id` answers a request that
/// waits at this hailing account. Then, and only then, it is for the account's Local spool, where
/// [`follow`] and Complete find it (service §6.5, step 4).
#[must_use]
pub fn answers_pending(
    state: &AccountState,
    policy: &AccountPolicy,
    unique_id: &str,
    now: Timestamp,
) -> bool {
    policy.connections.hails(&state.record.address)
        && Udf::parse(unique_id).is_ok_and(|response_id| {
            state
                .connections
                .waiting(now)
                .any(|row| row.is_answered_by(&response_id))
        })
}

/// Adds to `changes`, which are about to be committed at `now`, what follows for the requests to
/// connect. Whoever makes a transition of `state` outside of [`crate::account::decide()`] calls this
/// before the commit.
pub fn follow(state: &AccountState, changes: &mut Vec<Change>, now: Timestamp) {
    if state.connections.count() == 0 {
        return;
    }
    let local = ContainerKind::Local
        .name()
        .and_then(|name| state.head(&name))
        .map(|head| head.number);
    let mut rows = BTreeMap::new();
    for change in changes.iter() {
        match change {
            Change::Frame {
                container,
                record,
                payload,
                ..
            } if Some(*container) == local => rows.extend(answered(state, record, payload, now)),
            Change::Device {
                unique_id,
                entry: None,
            } => rows.extend(left(state, unique_id)),
            _ => {}
        }
    }
    changes.extend(
        rows.into_iter()
            .map(|(message_id, row)| Change::Connection { message_id, row }),
    );
}

/// Rows as they are to be, by their MessageID.
type Rows = Vec<(String, Option<PendingConnection>)>;

/// The requests that a frame of Local answers. A later answer takes the place of an earlier one
/// (decision Q-26).
fn answered(state: &AccountState, record: &FrameRecord, payload: &[u8], now: Timestamp) -> Rows {
    let Some(response_id) = record
        .unique_id
        .as_deref()
        .filter(|_| is_answer(record, payload))
        .and_then(|id| Udf::parse(id).ok())
    else {
        return Rows::new();
    };
    let rows = state.connections.iter().filter(|(_, row)| {
        row.is_answered_by(&response_id)
            && matches!(row.stage(now), Stage::Waiting | Stage::Answered)
    });
    rows.map(|(message_id, row)| {
        let answered = PendingConnection {
            answered_at: Some(now),
            ..row.clone()
        };
        (message_id.to_owned(), Some(answered))
    })
    .collect()
}

/// Whether a message says that it is an answer: in its content metadata, or as it reads.
fn is_answer(record: &FrameRecord, payload: &[u8]) -> bool {
    match &record.message_type {
        Some(tag) => tag == ANSWER,
        None => Message::from_json(payload).is_ok_and(|message| message.tag() == ANSWER),
    }
}

/// The requests of a device whose entry is gone.
fn left(state: &AccountState, unique_id: &str) -> Rows {
    let Ok(device) = Udf::parse(unique_id) else {
        return Rows::new();
    };
    let rows = state
        .connections
        .iter()
        .filter(|(_, row)| row.device == device);
    rows.map(|(message_id, _)| (message_id.to_owned(), None))
        .collect()
}
