//! Inbound checks of a message, in the order of service §7.4. What needs signatures was checked where
//! the message was accepted; this is everything that needs the recipient's account.
//!
//! Whatever the reason, the sender of a message that is turned away learns `Refused` and no more
//! an account that does not exist refuses in the same way. Draft: decision Q-6 has
//! `Failed` for an unknown account; a sender served here would learn from it which addresses exist,
//! from which only services are exempt (decision Q-57): they have their answers from
//! [`crate::account::inbound`], which asks the same questions.

use super::append::{self, AppendError, Appended};
use super::complaint;
use super::contacts::Standpoint;
use super::control::{self, Inputs, StrangerFacts};
use super::exchange::{ExchangeKey, ExchangeKind};
use super::reception::{Reception, ReceptionResult, Setting};
use super::tally::Tally;
use super::{IntakeEntry, IntakeMessage};
use crate::account::change::{Change, MessageKey, MessageRow};
use crate::account::connect::{self, answers_pending};
use crate::account::needs::{Lookups, Needs};
use crate::account::state::{AccountState, AccountStatus, Standing, Tip};
use crate::address::AccountAddress;
use crate::assertion::{Assertion, ConnectionAccount, grants};
use crate::dare::{ContainerKind, Envelope};
use crate::encoding::json;
use crate::message::{Identified, Message, identify};
use crate::spool::MessageState;

/// The tag of the message that tells a device that it is connected.
const RESPOND_CONNECTION: &str = "RespondConnection";
/// References of an answer that are looked up.
const REFERENCES_MAX: usize = 8;

/// What must be looked up before `message` can be decided.
pub(in crate::account) fn add_needs(
    state: &AccountState,
    message: &IntakeMessage,
    needs: &mut Needs,
) {
    for kind in [ContainerKind::Inbound, ContainerKind::Local] {
        needs.messages.extend(key_in(kind, state, message));
    }
    needs.tally = true;
    needs.exchanges.extend(exchanges(message));
}

/// How a spool of the recipient knows a message: by sender account and UniqueID (decision Q-26).
fn key_in(
    kind: ContainerKind,
    state: &AccountState,
    message: &IntakeMessage,
) -> Option<MessageKey> {
    let head = state.head(&kind.name()?)?;
    Some(MessageKey {
        container: head.number,
        sender: message.sender.address.canonical().to_owned(),
        unique_id: message.unique_id.clone(),
    })
}

/// The exchanges that `message` may answer.
fn exchanges(message: &IntakeMessage) -> Vec<ExchangeKey> {
    let kind = message
        .message_type
        .as_deref()
        .and_then(ExchangeKind::answered_by);
    let Some(kind) = kind else { return Vec::new() };
    let sender = message.sender.address.canonical().to_owned();
    let mut keys = vec![ExchangeKey::Recipient(kind, sender)];
    if let Ok(readable) = Message::from_envelope(&message.envelope) {
        let named = readable.references().iter().take(REFERENCES_MAX);
        keys.extend(
            named
                .filter_map(|reference| reference.message_id.clone())
                .map(|id| ExchangeKey::Message(kind, id)),
        );
    }
    keys
}

/// Decides what becomes of a message.
pub(super) fn receive(
    standing: &Standing,
    entry: &IntakeEntry,
    message: &IntakeMessage,
    lookups: &Lookups,
    setting: &Setting<'_>,
) -> Reception {
    let now = setting.now;
    // Check 2. The same for an account that is not here as for one that is closed to the sender.
    let Some(state) = standing.account() else {
        return Reception::nothing(ReceptionResult::NoRecipient).telling(
            entry,
            MessageState::Refused,
            now,
        );
    };
    let check = Check {
        state,
        recipient: &entry.account,
        message,
        lookups,
        setting,
    };
    match check.decide() {
        Ok(Fate::Taken { tip, mut changes }) => {
            connect::follow(state, &mut changes, now);
            Reception::of(state, entry, tip, changes, now, ReceptionResult::Taken).telling(
                entry,
                MessageState::Received,
                now,
            )
        }
        Ok(Fate::Repeated) => Reception::noted(entry, now, ReceptionResult::Repeated).telling(
            entry,
            MessageState::Received,
            now,
        ),
        Err(refusal) => {
            let mut reception =
                Reception::noted(entry, now, refusal).telling(entry, MessageState::Refused, now);
            let complaint = complaint::of_refusal(message, &entry.account, lookups, refusal, now);
            reception.changes.extend(complaint);
            reception.incidents.extend(check.incident(refusal));
            reception
        }
    }
}

/// One message before the account it is for.
pub(in crate::account) struct Check<'a> {
    pub(in crate::account) state: &'a AccountState,
    pub(in crate::account) recipient: &'a AccountAddress,
    pub(in crate::account) message: &'a IntakeMessage,
    pub(in crate::account) lookups: &'a Lookups,
    pub(in crate::account) setting: &'a Setting<'a>,
}

/// What becomes of a message that is not turned away.
#[derive(Debug)]
pub(in crate::account) enum Fate {
    /// It is new, and these rows put it into its spool.
    Taken {
        /// The tip with the octets used; its sequence is not counted on yet.
        tip: Tip,
        /// Everything but the tip.
        changes: Vec<Change>,
    },
    /// It is there already (architecture A-13).
    Repeated,
}

impl Check<'_> {
    /// Checks 2 to 9 of service §7.4, as far as they need the account.
    pub(in crate::account) fn decide(&self) -> Result<Fate, ReceptionResult> {
        if self.state.record.status != AccountStatus::Connected {
            return Err(ReceptionResult::NoRecipient);
        }
        let identified = self.identified()?;
        self.check_addresses(&identified)?;
        let spool = self.spool(&identified);
        if self.is_there(spool)? {
            return Ok(Fate::Repeated);
        }
        let tally = self.tally();
        let is_stranger = spool == ContainerKind::Inbound && self.control(&identified, &tally)?;
        if tally.taken() >= self.setting.policy.inbound.per_recipient_day {
            return Err(ReceptionResult::Quota);
        }
        self.append(spool, tally, is_stranger)
    }

    /// Inbound; for the answer to a device that asked this hailing account, and only for that, Local
    /// (service §6.5).
    fn spool(&self, identified: &Identified) -> ContainerKind {
        let policy = self.setting.policy;
        let is_answer = identified.message_type.as_deref() == Some(RESPOND_CONNECTION)
            && !policy
                .inbound
                .blocks(&self.message.sender, self.message.service.as_ref())
            && answers_pending(self.state, policy, &identified.unique_id, self.setting.now);
        if is_answer {
            ContainerKind::Local
        } else {
            ContainerKind::Inbound
        }
    }

    /// Check 3: the message says which it is, as its evidence does.
    fn identified(&self) -> Result<Identified, ReceptionResult> {
        identify(&self.message.envelope)
            .ok()
            .filter(|found| found.unique_id == self.message.unique_id)
            .ok_or(ReceptionResult::Unacceptable)
    }

    /// Check 5: a service speaks for its own accounts only, and what can be read agrees.
    fn check_addresses(&self, identified: &Identified) -> Result<(), ReceptionResult> {
        let sender = &self.message.sender.address;
        let is_its_own = self
            .message
            .service
            .as_ref()
            .is_none_or(|service| service.domain == sender.domain());
        let readable = identified.message.as_ref();
        let agrees = |text: Option<&str>, address: &AccountAddress| {
            text.is_none_or(|text| AccountAddress::parse(text).as_ref() == Ok(address))
        };
        let is_well_addressed = is_its_own
            && agrees(readable.and_then(Message::sender), sender)
            && agrees(readable.and_then(Message::recipient), self.recipient);
        if is_well_addressed {
            Ok(())
        } else {
            Err(ReceptionResult::Misaddressed)
        }
    }

    /// Check 6: the same message again is a success without a second copy; another one under its id
    /// is refused (architecture A-13, decision Q-26).
    fn is_there(&self, spool: ContainerKind) -> Result<bool, ReceptionResult> {
        let known = key_in(spool, self.state, self.message)
            .and_then(|key| self.lookups.messages.get(&key))
            .filter(|row| self.setting.now < row.expires_at());
        match known {
            None => Ok(false),
            Some(row) if row.payload_digest == self.message.payload_digest => Ok(true),
            // In Local the newest entry of an id counts.
            Some(_) if spool == ContainerKind::Local => Ok(false),
            Some(_) => Err(ReceptionResult::IdReused),
        }
    }

    fn tally(&self) -> Tally {
        let stored = self.lookups.tally.clone().unwrap_or_default();
        stored.on(self.setting.now)
    }

    /// Check 7. Whether the message came in by rule 6.
    fn control(&self, identified: &Identified, tally: &Tally) -> Result<bool, ReceptionResult> {
        let sender = &self.message.sender;
        let message_type = identified.message_type.as_deref();
        let contacts = self.setting.contacts;
        let inputs = Inputs {
            sender,
            service: self.message.service.as_ref(),
            service_level: self.setting.service_level,
            message_type,
            standpoint: contacts.map_or(Standpoint::Unknown, |contacts| {
                contacts.standpoint(sender, message_type.unwrap_or_default())
            }),
            has_unreadable_contacts: contacts.is_some_and(|contacts| contacts.has_unreadable()),
            site: &self.setting.policy.inbound,
            answers: self.answers(),
            stranger: StrangerFacts {
                from_sender_today: tally.from_stranger(&sender.account_udf),
                to_recipient_today: tally.from_strangers(),
                content_bytes: introduction_bytes(&self.message.envelope, identified),
            },
        };
        let ruling = control::rule(&inputs);
        ruling.verdict.map_err(ReceptionResult::Ruled)?;
        if !device_may_send(&self.message.envelope, message_type.unwrap_or_default()) {
            return Err(ReceptionResult::Ruled(control::Reason::NotPermitted));
        }
        Ok(ruling.rule == control::Rule::Stranger)
    }

    /// Rule 4.
    fn answers(&self) -> bool {
        exchanges(self.message)
            .iter()
            .filter_map(|key| self.lookups.exchanges.get(key))
            .any(|row| self.setting.now < row.expires_at())
    }

    /// Checks 8 and 9.
    fn append(
        &self,
        spool: ContainerKind,
        mut tally: Tally,
        is_stranger: bool,
    ) -> Result<Fate, ReceptionResult> {
        let now = self.setting.now;
        let appended = append::message(
            self.state,
            spool,
            &self.message.envelope,
            (self.setting.policy, self.lookups.room),
            now,
        );
        let Appended {
            container,
            index,
            tip,
            mut changes,
        } = appended.map_err(|error| match error {
            AppendError::Quota => ReceptionResult::Quota,
            AppendError::Envelope | AppendError::NoSpool => ReceptionResult::Unacceptable,
        })?;
        let sender = &self.message.sender;
        changes.push(Change::Message {
            key: MessageKey {
                container,
                sender: sender.address.canonical().to_owned(),
                unique_id: self.message.unique_id.clone(),
            },
            row: MessageRow {
                index,
                payload_digest: self.message.payload_digest,
                committed_at: now,
            },
        });
        tally.count(is_stranger.then_some(&sender.account_udf));
        changes.push(Change::Tally(Box::new(tally)));
        Ok(Fate::Taken { tip, changes })
    }

    /// What the operator must learn of a refusal (architecture ); with a peer waiting for
    /// no answer, of every one (decision Q-5).
    fn incident(&self, refusal: ReceptionResult) -> Option<String> {
        let is_abuse = refusal.is_incident() || self.message.service.is_some();
        is_abuse.then(|| incident(self.message, refusal))
    }
}

/// What the operator reads of a message that was turned away.
pub(in crate::account) fn incident(message: &IntakeMessage, refusal: ReceptionResult) -> String {
    let service = message.service.as_ref();
    format!(
        "a message from {} by way of {} was refused: {}",
        message.sender.address,
        service.map_or("this service", |service| service.domain.as_str()),
        refusal.name()
    )
}

/// Octets of `Subject` and `Self` (rule 6); of the whole payload where they cannot be read.
fn introduction_bytes(envelope: &Envelope, identified: &Identified) -> usize {
    match &identified.message {
        Some(Message::RequestContact(request) | Message::ReplyContact(request)) => {
            let subject = request.subject.as_deref().map_or(0, str::len);
            let content = request.self_contact.as_ref();
            subject + content.map_or(0, |content| json::write(content).len())
        }
        _ => envelope.payload.0.len(),
    }
}

/// Whether the device that signed may send this type (schema draft §6.4, X-54). The signature block
/// was verified where the message was accepted; an unsigned message has none (decision Q-39).
fn device_may_send(envelope: &Envelope, message_type: &str) -> bool {
    envelope
        .signatures()
        .iter()
        .filter_map(|block| block.enveloped_connection.as_deref())
        .all(|connection| {
            ConnectionAccount::from_envelope(connection)
                .is_ok_and(|connection| grants(&connection.permissions, message_type))
        })
}
