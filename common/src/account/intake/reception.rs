//! What becomes of one entry of the intake: the rows it leads to, what is told to the sender, and
//! what the operator learns (cluster §8, decision Q-59).

use sha2::{Digest, Sha512};

use super::contacts::ContactIndex;
use super::control::Reason;
use super::{IntakeBody, IntakeEntry, IntakeId, MessageOutcome, checks, outcome};
use crate::account::change::Change;
use crate::account::needs::{Lookups, Needs};
use crate::account::policy::AccountPolicy;
use crate::account::state::{AccountState, Standing, Tip};
use crate::conduct::Level;
use crate::dare::Envelope;
use crate::limits::INTAKE_ID_REMEMBERED;
use crate::spool::MessageState;
use crate::time::Timestamp;

/// What an entry comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reception {
    /// Rows of the account; none if nothing of it is written.
    pub changes: Vec<Change>,
    /// What is left for the sender.
    pub told: Option<Box<IntakeEntry>>,
    /// What the operator must learn.
    pub incidents: Vec<String>,
    /// For measures.
    pub result: ReceptionResult,
}

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceptionResult {
    /// The message stands in a spool.
    Taken,
    /// It stood there already, with the same content.
    Repeated,
    /// Another message of the same id stands there (architecture A-13).
    IdReused,
    /// Access control refused it.
    Ruled(Reason),
    /// The account is unknown, deleted, on hold or blocked.
    NoRecipient,
    /// The message does not say who it is from, or to whom, as its evidence does.
    Misaddressed,
    /// The message is no message, or not acceptable in a spool.
    Unacceptable,
    /// The recipient's quota or rate.
    Quota,
    /// The outcome stands in Outbound.
    Told,
    /// The outcome is no news.
    Stale,
    /// The account whom an outcome is for is gone.
    NobodyThere,
    /// The same entry was drained before.
    Seen,
}

impl ReceptionResult {
    /// A short name, for measures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::IdReused => "id-reused",
            Self::Ruled(reason) => reason.name(),
            Self::NoRecipient => "no-recipient",
            Self::Misaddressed => "misaddressed",
            Self::Unacceptable => "unacceptable",
            Self::Quota => "quota",
            Self::Told => "told",
            Self::Stale => "stale",
            Self::NobodyThere => "nobody-there",
            Self::Seen => "seen",
        }
    }

    /// Whether the refusal is recorded as an incident by itself (architecture ).
    #[must_use]
    pub const fn is_incident(self) -> bool {
        match self {
            Self::Ruled(reason) => reason.is_incident(),
            _ => matches!(self, Self::IdReused | Self::Misaddressed),
        }
    }

    /// Whether a message was turned away.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::IdReused
                | Self::Ruled(_)
                | Self::NoRecipient
                | Self::Misaddressed
                | Self::Unacceptable
                | Self::Quota
        )
    }
}

/// An entry that can be received in no way: it is set aside for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry cannot be received: {reason}")]
pub struct Unfit {
    /// Why.
    pub reason: &'static str,
}

/// What an entry is decided by, beside the account and its rows.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The settings of the account's domain.
    pub policy: &'a AccountPolicy,
    /// What its contacts say of senders; none where there is no account.
    pub contacts: Option<&'a ContactIndex>,
    /// What follows from complaints about the service that forwarded the message, if one did.
    pub service_level: Level,
    /// For an outcome: the MessageComplete that tells it, signed by the service.
    pub completion: Option<&'a Envelope>,
    /// The time.
    pub now: Timestamp,
}

/// What must be looked up before `entry` can be decided.
#[must_use]
pub fn needs(standing: &Standing, entry: &IntakeEntry) -> Needs {
    let mut needs = Needs::default();
    let Some(state) = standing.account() else {
        return needs;
    };
    needs.intake = Some(entry.id);
    match &entry.body {
        IntakeBody::Message(message) => checks::add_needs(state, message, &mut needs),
        IntakeBody::Outcome(told) => outcome::add_needs(told, &mut needs),
    }
    needs
}

/// Decides what becomes of `entry`.
///
/// # Errors
/// [`Unfit`]: it is to be set aside.
pub fn receive(
    standing: &Standing,
    entry: &IntakeEntry,
    lookups: &Lookups,
    setting: &Setting<'_>,
) -> Result<Reception, Unfit> {
    let is_seen = lookups
        .intake
        .get(&entry.id)
        .is_some_and(|row| setting.now < row.expires_at());
    if is_seen {
        return Ok(Reception::nothing(ReceptionResult::Seen));
    }
    match &entry.body {
        IntakeBody::Message(message) => {
            Ok(checks::receive(standing, entry, message, lookups, setting))
        }
        IntakeBody::Outcome(told) => outcome::receive(standing, entry, told, lookups, setting),
    }
}

impl Reception {
    /// Nothing is written, and nobody is told.
    pub(super) const fn nothing(result: ReceptionResult) -> Self {
        Self {
            changes: Vec::new(),
            told: None,
            incidents: Vec::new(),
            result,
        }
    }

    /// The account's rows change: `changes`, and those that every reception has.
    pub(super) fn of(
        state: &AccountState,
        entry: &IntakeEntry,
        tip: Tip,
        mut changes: Vec<Change>,
        now: Timestamp,
        result: ReceptionResult,
    ) -> Self {
        changes.push(Change::Tip(Tip {
            change_seq: state.tip.change_seq + 1,
            ..tip
        }));
        changes.push(seen(entry.id, now));
        Self {
            changes,
            ..Self::nothing(result)
        }
    }

    /// Nothing of the account changes, but the entry counts as drained.
    pub(super) fn noted(entry: &IntakeEntry, now: Timestamp, result: ReceptionResult) -> Self {
        Self {
            changes: vec![seen(entry.id, now)],
            ..Self::nothing(result)
        }
    }

    /// Tells the sender of `entry`, if its account is served here: peers get their answer otherwise.
    pub(super) fn telling(
        mut self,
        entry: &IntakeEntry,
        state: MessageState,
        now: Timestamp,
    ) -> Self {
        self.told = told(entry, state, now).map(Box::new);
        self
    }
}

/// What is left for the sender of a message that came to `state`. Nothing for an outcome, nor for a
/// message that another service forwarded (decision Q-5).
#[must_use]
pub fn told(entry: &IntakeEntry, state: MessageState, now: Timestamp) -> Option<IntakeEntry> {
    let IntakeBody::Message(message) = &entry.body else {
        return None;
    };
    message.service.is_none().then(|| IntakeEntry {
        id: entry.id.of_outcome(state),
        account: message.sender.address.clone(),
        left_at: now,
        body: IntakeBody::Outcome(MessageOutcome {
            unique_id: message.unique_id.clone(),
            recipient: entry.account.clone(),
            state,
            reason: None,
        }),
    })
}

impl IntakeId {
    /// The id of what is told of the entry with this one: the same however often it is drained. That
    /// it was left is told under another one than what became of it.
    fn of_outcome(self, state: MessageState) -> Self {
        let what: &[u8] = match state.is_final() {
            true => b"outcome of intake entry",
            false => b"intake entry on its way",
        };
        let digest = Sha512::new()
            .chain_update(what)
            .chain_update(self.0)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

fn seen(id: IntakeId, now: Timestamp) -> Change {
    let row = super::SeenRow { drained_at: now };
    Change::Seen { id, row }
}

impl super::SeenRow {
    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.drained_at + INTAKE_ID_REMEMBERED
    }
}
