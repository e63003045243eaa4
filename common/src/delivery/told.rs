//! What the sender of a queued message is told: an entry for the intake of the sender's partition,
//! left in the commit that settles the item (delivery §13, decisions ).

use super::item::{ItemId, QueueItem};
use crate::account::intake::{IntakeBody, IntakeEntry, IntakeId, MessageOutcome};
use crate::crypto::digest::sha512;
use crate::limits::PEER_TEXT_BYTES_MAX;
use crate::spool::MessageState;
use crate::time::Timestamp;

impl QueueItem {
    /// What is left for the sender once the delivery came to `state`: `Sent`, `Delayed`, `Received`,
    /// `Refused` or `Failed`. `reason` is for people, and cut to [`PEER_TEXT_BYTES_MAX`].
    ///
    /// The entry's id follows from item and state, so that whoever tells the same twice tells it once.
    #[must_use]
    pub fn told(&self, state: MessageState, reason: Option<&str>, now: Timestamp) -> IntakeEntry {
        IntakeEntry {
            id: self.id.telling(state),
            account: self.sender.clone(),
            left_at: now,
            body: IntakeBody::Outcome(MessageOutcome {
                unique_id: self.unique_id.clone(),
                recipient: self.recipient.clone(),
                state,
                reason: reason.map(|reason| cut(reason).to_owned()),
            }),
        }
    }
}

impl ItemId {
    fn telling(self, state: MessageState) -> IntakeId {
        let state = format!("{state:?}");
        let digest = sha512(&[b"outcome of queued message", &self.0, state.as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        IntakeId(id)
    }
}

/// The beginning of `text`, at most [`PEER_TEXT_BYTES_MAX`] octets of whole characters.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(PEER_TEXT_BYTES_MAX);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AccountAddress;
    use crate::delivery::Class;

    fn item() -> QueueItem {
        let address = |text: &str| AccountAddress::parse(text).unwrap();
        QueueItem {
            id: ItemId([7; 16]),
            sender: address("alice@a.example"),
            recipient: address("bob@b.example"),
            unique_id: "M1".to_owned(),
            message_type: "RequestContact".to_owned(),
            class: Class::Interactive,
            bytes: 10,
            enqueued_at: Timestamp::from_millis(0),
            expires_at: Timestamp::from_millis(1),
            due_at: Timestamp::from_millis(0),
            attempts: 0,
            attempts_internal: 0,
            told_delayed: false,
            last_trouble: None,
            charged_to: None,
        }
    }

    //
    #[test]
    fn the_same_is_told_under_the_same_id_and_another_state_under_another() {
        let now = Timestamp::from_millis(5);
        let later = Timestamp::from_millis(6);
        let delayed = item().told(MessageState::Delayed, Some("no connection"), now);
        assert_eq!(delayed.account.canonical(), "alice@a.example");
        assert_eq!(
            delayed.id,
            item().told(MessageState::Delayed, None, later).id
        );
        assert_ne!(
            delayed.id,
            item().told(MessageState::Failed, None, later).id
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = format!("{}ä", "x".repeat(PEER_TEXT_BYTES_MAX - 1));
        let told = item().told(MessageState::Failed, Some(&long), Timestamp::from_millis(0));
        let IntakeBody::Outcome(outcome) = told.body else {
            panic!("an outcome is told");
        };
        assert_eq!(outcome.reason.unwrap().len(), PEER_TEXT_BYTES_MAX - 1);
    }
}
