//! What becomes of a sent message, told in the sender's Outbound spool: one plain MessageComplete
//! per recipient, signed by the service (architecture A-16, decisions ).
//!
//! The entry is made and signed outside the partition; here it is decided whether it is still news.

use serde::{Deserialize, Serialize};

use super::append::{self, Appended};
use super::complaint;
use super::reception::{Reception, ReceptionResult, Setting, Unfit};
use super::{IntakeEntry, IntakeId, MessageOutcome};
use crate::account::change::Change;
use crate::account::compact;
use crate::account::needs::{Lookups, Needs};
use crate::account::state::{AccountStatus, Standing};
use crate::crypto::SecretKey;
use crate::dare::{ContainerKind, Envelope};
use crate::limits::DELIVERY_REMEMBERED;
use crate::message::{Message, MessageComplete, Reference, Relationship};
use crate::spool::MessageState;
use crate::time::Timestamp;
use crate::udf::nonce::{TYPE_NONCE, of_data};

/// A sent message and one of its recipients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// UniqueID of the message in the Outbound spool.
    pub unique_id: String,
    /// Canonical address of the recipient.
    pub recipient: String,
}

/// How far the delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// What was told last.
    pub state: MessageState,
    /// When.
    #[serde(with = "compact::millis")]
    pub told_at: Timestamp,
}

impl DeliveryRow {
    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.told_at + DELIVERY_REMEMBERED
    }
}

impl MessageOutcome {
    /// The message and the recipient it is about.
    #[must_use]
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey {
            unique_id: self.unique_id.clone(),
            recipient: self.recipient.canonical().to_owned(),
        }
    }

    /// The MessageComplete that tells it, signed by an online key of the service. Its identifier
    /// follows from that of the intake entry: the same entry never makes two different messages.
    #[must_use]
    pub fn completion(&self, id: IntakeId, signer: &SecretKey) -> Envelope {
        let unique_id = of_data(TYPE_NONCE, &id.0).to_string();
        let reference = Reference {
            message_id: Some(self.unique_id.clone()),
            relationship: Some(relationship(self.state)),
            reason: self.reason.clone(),
            ..Reference::default()
        };
        let message = Message::MessageComplete(MessageComplete {
            message_id: Some(unique_id.clone()),
            recipient: Some(self.recipient.canonical().to_owned()),
            references: vec![reference],
            ..MessageComplete::default()
        });
        message.to_envelope(&unique_id, &[signer])
    }
}

/// The word for a state of delivery.
fn relationship(state: MessageState) -> Relationship {
    match state {
        MessageState::Received => Relationship::Received,
        MessageState::Refused => Relationship::Refused,
        MessageState::Failed => Relationship::Failed,
        MessageState::Delayed => Relationship::Delayed,
        MessageState::Sent
        | MessageState::Pending
        | MessageState::Unread
        | MessageState::Read
        | MessageState::Deleted => Relationship::Sent,
    }
}

pub(super) fn add_needs(outcome: &MessageOutcome, needs: &mut Needs) {
    needs.deliveries.insert(outcome.key());
    needs.tally = outcome.state == MessageState::Refused;
}

/// Decides whether `outcome` is still news, and appends the completion to Outbound if it is.
pub(super) fn receive(
    standing: &Standing,
    entry: &IntakeEntry,
    outcome: &MessageOutcome,
    lookups: &Lookups,
    setting: &Setting<'_>,
) -> Result<Reception, Unfit> {
    let now = setting.now;
    let is_deleted = |status| matches!(status, AccountStatus::Deleted { .. });
    let account = standing.account();
    let Some(state) = account.filter(|state| !is_deleted(state.record.status)) else {
        return Ok(Reception::nothing(ReceptionResult::NobodyThere));
    };
    let key = outcome.key();
    let known = lookups
        .deliveries
        .get(&key)
        .filter(|row| now < row.expires_at())
        .map(|row| row.state);
    // What is final stays so, and the same is not told twice (decision Q-59).
    if known.is_some_and(|known| known.is_final() || known == outcome.state) {
        return Ok(Reception::noted(entry, now, ReceptionResult::Stale));
    }
    let completion = setting.completion.ok_or(Unfit {
        reason: "nobody signed what it tells",
    })?;
    let appended = append::own(
        state,
        ContainerKind::Outbound,
        completion,
        setting.policy,
        now,
    );
    let Appended {
        tip, mut changes, ..
    } = appended.map_err(|_| Unfit {
        reason: "there is no room for it in Outbound",
    })?;
    let row = DeliveryRow {
        state: outcome.state,
        told_at: now,
    };
    changes.push(Change::Delivery { key, row });
    let address = &state.record.address;
    changes.extend(complaint::of_outcome(address, outcome, lookups, setting));
    let result = ReceptionResult::Told;
    Ok(Reception::of(state, entry, tip, changes, now, result))
}
