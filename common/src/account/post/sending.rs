//! What of a message is new, and the rows it becomes: the Outbound frame once per message, an intake
//! entry or a queue item once per recipient, the answer that is awaited (cluster §7.4 and §8; architecture A-13;
//! decisions ).
//!
//! A message that comes again is recognized by its UniqueID and payload: recipients who had it get
//! nothing, others that the repetition names do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::outgoing::Outgoing;
use super::recipients::Recipients;
use super::remote::{self, Load};
use crate::account::change::{Change, RecipientRow, SendingRow};
use crate::account::intake::{
    ExchangeKey, ExchangeKind, ExchangeRow, IntakeBody, IntakeEntry, IntakeId, IntakeMessage,
    MessageSender, told,
};
use crate::account::state::Import;
use crate::account::upload::{Ledger, Upload, Verdict};
use crate::account::usage::MessageRoom;
use crate::address::AccountAddress;
use crate::conduct::Level;
use crate::crypto::digest::sha512;
use crate::dare::ContainerName;
use crate::error::ServiceError;
use crate::limits::{INTAKE_CLOSED_PAUSE, MESSAGE_RECIPIENTS_MAX};
use crate::protocol::Code;
use crate::spool::MessageState;

/// A recipient's row is written again after this time at the earliest.
const RENEWED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// The messages of one Post on their way out.
pub(super) struct Sending<'a> {
    upload: &'a Upload<'a>,
    outbound: &'a ContainerName,
    recipients: &'a Recipients,
    /// To whom the messages of this request have been sent, the stored rows included.
    rows: BTreeMap<String, SendingRow>,
    /// Messages that are sent to anybody who did not have them.
    messages: u32,
    /// Recipients written to, each with whether the account had never written to it.
    written: BTreeMap<String, bool>,
    /// What is put into the queue.
    load: Load,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        upload: &'a Upload<'a>,
        outbound: &'a ContainerName,
        recipients: &'a Recipients,
    ) -> Self {
        Self {
            upload,
            outbound,
            recipients,
            rows: BTreeMap::new(),
            messages: 0,
            written: BTreeMap::new(),
            load: Load::default(),
        }
    }

    /// Sends one message to all recipients that have not got it.
    ///
    /// # Errors
    /// The Reject: 409/118 for the id of another message, 413/8 for too many recipients of one
    /// message, 507/113 for the quota.
    pub(super) fn send(
        &mut self,
        ledger: &mut Ledger,
        message: &Outgoing<'_>,
    ) -> Result<Verdict, Verdict> {
        let known =
            self.upload
                .duplicate(ledger, self.outbound, &message.unique_id, &message.one)?;
        let mut row = self.row_of(message, known.is_some());
        let missing: Vec<&AccountAddress> = self
            .recipients
            .iter()
            .filter(|recipient| !row.recipients.contains(recipient.canonical()))
            .collect();
        if row.recipients.len() + missing.len() > MESSAGE_RECIPIENTS_MAX {
            return Err(Verdict::reject(
                Code::TooLarge,
                format!("a message has at most {MESSAGE_RECIPIENTS_MAX} recipients"),
            ));
        }
        let verdict = match known {
            Some(verdict) => verdict,
            None => self.record(ledger, message)?,
        };
        if missing.is_empty() {
            return Ok(verdict);
        }
        for recipient in missing {
            self.leave(ledger, message, recipient);
            row.recipients.insert(recipient.canonical().to_owned());
        }
        self.messages += 1;
        self.rows.insert(message.unique_id.clone(), row);
        Ok(verdict)
    }

    /// To whom the message went before: nobody, if it is not known any more.
    fn row_of(&self, message: &Outgoing<'_>, is_known: bool) -> SendingRow {
        let now = self.upload.scene.now;
        let stored = &self.upload.scene.lookups.sendings;
        self.rows
            .get(&message.unique_id)
            .or_else(|| stored.get(&message.unique_id))
            .filter(|row| is_known && now < row.expires_at())
            .cloned()
            .unwrap_or_else(|| SendingRow {
                committed_at: now,
                recipients: BTreeSet::new(),
            })
    }

    /// Appends the message to Outbound.
    fn record(&self, ledger: &mut Ledger, message: &Outgoing<'_>) -> Result<Verdict, Verdict> {
        let (upload, one) = (self.upload, &message.one);
        let index = upload.write(ledger, self.outbound, one, |_| Ok(()))?;
        ledger.draft_mut(self.outbound).head.import = Import::Closed;
        upload.note_sender_at(ledger, self.outbound, &message.unique_id, one, index);
        Ok(Verdict::Accept(index))
    }

    /// Leaves the message for one recipient, here or in the queue of another service, and notes the
    /// answer that is awaited from there.
    fn leave(&mut self, ledger: &mut Ledger, message: &Outgoing<'_>, recipient: &AccountAddress) {
        let (scene, record) = (self.upload.scene, &self.upload.state.record);
        if scene.policy.domains_served.contains(recipient.domain()) {
            self.leave_here(ledger, message, recipient);
        } else {
            let queued = remote::queued(self.upload, message, recipient);
            self.load.add(&queued.item);
            ledger.add(Change::Enqueue(Box::new(queued)));
        }
        let canonical = recipient.canonical().to_owned();
        let known = scene.lookups.recipients.get(&canonical);
        let is_new = known.is_none_or(|row| row.expires_at() <= scene.now);
        self.written
            .insert(canonical.clone(), is_new && recipient != &record.address);
        if let Some(kind) = ExchangeKind::begun_by(&message.tag) {
            let begun_at = scene.now;
            for key in [
                ExchangeKey::Recipient(kind, canonical),
                ExchangeKey::Message(kind, message.unique_id.clone()),
            ] {
                ledger.await_answer(key, ExchangeRow { begun_at });
            }
        }
    }

    /// Leaves the message for a recipient who lives here, and tells the sender that it is on its way
    /// (decision Q-6).
    fn leave_here(&self, ledger: &mut Ledger, message: &Outgoing<'_>, recipient: &AccountAddress) {
        let (scene, record) = (self.upload.scene, &self.upload.state.record);
        let entry = IntakeEntry {
            id: self.entry_id(message, recipient),
            account: recipient.clone(),
            left_at: scene.now,
            body: IntakeBody::Message(Box::new(IntakeMessage {
                sender: MessageSender {
                    address: record.address.clone(),
                    account_udf: record.keys.account_udf.clone(),
                    mesh_udf: Some(record.keys.mesh_udf.clone()),
                    signed_by: message.signed_by(),
                },
                service: None,
                unique_id: message.unique_id.clone(),
                message_type: Some(message.tag.clone()),
                payload_digest: message.one.payload_digest,
                envelope: message.one.envelope.clone(),
                block_bytes: message.block_octets(),
            })),
        };
        let sent = told(&entry, MessageState::Sent, scene.now);
        ledger.add(Change::Intake(Box::new(entry)));
        if let Some(sent) = sent {
            ledger.add(Change::Intake(Box::new(sent)));
        }
    }

    /// The same message for the same recipient has the same id, so that whatever leaves it twice
    /// leaves it once (decision Q-59).
    fn entry_id(&self, message: &Outgoing<'_>, recipient: &AccountAddress) -> IntakeId {
        let digest = sha512(&[
            b"message left",
            self.upload.state.record.id.octets(),
            &message.one.payload_digest,
            message.unique_id.as_bytes(),
            &[0],
            recipient.canonical().as_bytes(),
        ]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        IntakeId(id)
    }

    /// What is left to the account's domain for today (cluster §9).
    fn check_domain(&self) -> Result<(), ServiceError> {
        let scene = self.upload.scene;
        let Some(MessageRoom { left, until }) = scene.lookups.room.messages else {
            return Ok(());
        };
        if self.rows.len() as u64 <= left {
            return Ok(());
        }
        let max = scene.policy.domain.messages_per_day_max.unwrap_or(0);
        let sentence = format!("the accounts of the domain may send {max} messages per day");
        Err(ServiceError::new(Code::RateLimited, sentence).retry_after(until.since(scene.now)))
    }

    /// Counts what is sent against the rates of the account and of its domain, what waits against its bounds, and adds the
    /// rows that remember it.
    ///
    /// # Errors
    /// 429/114, 503/120.
    pub(super) fn count(self, ledger: &mut Ledger, level: Level) -> Result<(), ServiceError> {
        if self.messages == 0 {
            return Ok(());
        }
        let scene = self.upload.scene;
        let new = self.written.values().filter(|is_new| **is_new).count();
        let mut counts = scene.lookups.posting.clone().unwrap_or_default();
        counts.add(
            scene.now,
            self.messages,
            u32::try_from(new).unwrap_or(u32::MAX),
        );
        if let Some(rates) = scene.policy.outbound_rates {
            let rates = match level {
                Level::Normal => rates,
                _ => rates.throttled(),
            };
            counts.check(&rates, self.upload.state.record.created_at, scene.now)?;
        }
        let policy = scene.policy;
        self.check_domain()?;
        let tenants = policy.domains_served.len();
        let waiting = &scene.lookups.waiting;
        self.load.check(waiting, &policy.queue, tenants)?;
        if let Some(recipient) = self
            .written
            .keys()
            .find(|one| scene.lookups.closed.contains(*one))
        {
            let sentence = format!("too much waits for {recipient}, try again later");
            let error = ServiceError::new(Code::RateLimited, sentence);
            return Err(error.retry_after(INTAKE_CLOSED_PAUSE));
        }
        ledger.add(Change::Posting(Box::new(counts)));
        for (unique_id, row) in self.rows {
            let row = Box::new(row);
            ledger.add(Change::Sending { unique_id, row });
        }
        for (recipient, _) in self.written {
            let stored = scene.lookups.recipients.get(&recipient);
            if stored.is_none_or(|row| row.written_at + RENEWED_AFTER <= scene.now) {
                let written_at = scene.now;
                let row = RecipientRow { written_at };
                ledger.add(Change::Recipient { recipient, row });
            }
        }
        Ok(())
    }
}
