//! The spools, read as messages: what each one says, who it is from, and in which state it is
//! (containers §7). Local: `sync` brings the spools here.
//!
//! In Inbound a MessageComplete counts only if a device of this account signed it, so that nobody
//! who may write to the account marks its messages. What waits in the outbox counts already.

use std::collections::BTreeMap;

use mesh_common::dare::{ContainerKind, Envelope};
use mesh_common::message::{Message, Reference};
use mesh_common::spool::{MessageState, Spool, SpoolItem};
use serde::Serialize;
use serde_json::{Map, Value};

use super::book::Book;
use super::failure::MessageFailure;
use super::origin::{Judge, Origin, tagged};
use crate::client::Client;
use crate::error::ClientError;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It was received.
    Inbound,
    /// It was sent.
    Outbound,
}

impl Direction {
    const fn kind(self) -> ContainerKind {
        match self {
            Self::Inbound => ContainerKind::Inbound,
            Self::Outbound => ContainerKind::Outbound,
        }
    }
}

/// One message, its origin and its state.
#[derive(Debug, Clone, Serialize)]
pub struct MessageFacts {
    /// Its UniqueID.
    pub id: String,
    /// Which way it went.
    pub direction: Direction,
    /// Its tag; none if even that cannot be told.
    pub kind: Option<String>,
    /// Who it is from; none for messages this account sent.
    pub origin: Option<Origin>,
    /// Who it is for, as it says.
    pub to: Option<String>,
    /// Its state: `unread`, `read`, `deleted`; `waiting`, `pending`, `sent`, `delayed`, `received`,
    /// `refused`, `failed`.
    pub state: String,
    /// `Accept` or `Reject`, where it was answered.
    pub answer: Option<String>,
    /// Identifier of the answer, where there is one.
    pub response: Option<String>,
    /// How its delivery went, by recipient.
    pub deliveries: BTreeMap<String, String>,
    /// Why a delivery is late, was refused or failed, by recipient, where the service says so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// What it says, in one line.
    pub summary: String,
    /// Everything it says; none if it cannot be read here.
    pub content: Option<Value>,
}

/// A message of a spool, as commands work with it.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) id: String,
    /// Index of its frame; none while it waits in the outbox.
    pub(crate) index: Option<u64>,
    pub(crate) direction: Direction,
    pub(crate) tag: Option<String>,
    pub(crate) body: Option<Map<String, Value>>,
    pub(crate) envelope: Envelope,
    pub(crate) state: Option<MessageState>,
    pub(crate) answer: Option<String>,
    pub(crate) response: Option<String>,
    pub(crate) deliveries: BTreeMap<String, MessageState>,
    /// Why they are not done, where the service says so.
    pub(crate) reasons: BTreeMap<String, String>,
}

impl Letter {
    /// The message, where it is of a kind this revision knows.
    pub(crate) fn message(&self) -> Option<Message> {
        let tagged = Map::from_iter([(self.tag.clone()?, Value::Object(self.body.clone()?))]);
        serde_json::from_value(Value::Object(tagged)).ok()
    }

    /// `Accept` or `Reject`, where it was answered; also if it was read or deleted since.
    pub(crate) fn answer(&self) -> Option<&str> {
        self.answer.as_deref()
    }

    /// A member of the message that is text.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.body.as_ref()?.get(member)?.as_str()
    }

    /// The identifiers of the messages it is about.
    pub(crate) fn references(&self) -> Vec<String> {
        let list = self.body.as_ref().and_then(|body| body.get("References"));
        let list: Vec<Reference> = list
            .and_then(|list| serde_json::from_value(list.clone()).ok())
            .unwrap_or_default();
        list.into_iter().filter_map(|one| one.message_id).collect()
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state == Some(MessageState::Deleted)
    }

    fn facts(&self, origin: Option<Origin>) -> MessageFacts {
        MessageFacts {
            id: self.id.clone(),
            direction: self.direction,
            kind: self.tag.clone(),
            to: self.text("Recipient").map(str::to_owned),
            state: self.state.map_or("waiting", word_of).to_owned(),
            answer: self.answer().map(str::to_owned),
            response: self.response.clone(),
            deliveries: self
                .deliveries
                .iter()
                .map(|(to, state)| (to.clone(), word_of(*state).to_owned()))
                .collect(),
            reasons: self.reasons.clone(),
            summary: summary_of(self),
            content: self.body.clone().map(Value::Object),
            origin,
        }
    }
}

impl Client {
    /// The messages received, or those sent, oldest first.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Replica`], [`ClientError::Home`].
    pub fn messages(&mut self, direction: Direction) -> Result<Vec<MessageFacts>, ClientError> {
        let book = self.book()?;
        self.letters(&book, direction)?
            .iter()
            .map(|letter| self.facts_of(&book, letter))
            .collect()
    }

    /// The messages received in the frames `first` and behind.
    pub(crate) fn messages_from(&mut self, first: u64) -> Result<Vec<MessageFacts>, ClientError> {
        let book = self.book()?;
        self.letters(&book, Direction::Inbound)?
            .iter()
            .filter(|letter| letter.index.is_some_and(|index| index >= first))
            .map(|letter| self.facts_of(&book, letter))
            .collect()
    }

    /// The one message, received or sent, that goes by `wanted`: its identifier or the start of it,
    /// ignoring case and grouping.
    ///
    /// # Errors
    /// [`MessageFailure::NotFound`], [`MessageFailure::Ambiguous`]; as [`Self::messages`].
    pub fn message(&mut self, wanted: &str) -> Result<MessageFacts, ClientError> {
        let book = self.book()?;
        let letter = self.find_letter(&book, wanted, None)?;
        self.facts_of(&book, &letter)
    }

    pub(crate) fn facts_of(
        &self,
        book: &Book,
        letter: &Letter,
    ) -> Result<MessageFacts, ClientError> {
        let origin = match letter.direction {
            Direction::Inbound => Some(self.origin_of(book, letter)?),
            Direction::Outbound => None,
        };
        Ok(letter.facts(origin))
    }

    /// Who a received message is from.
    pub(crate) fn origin_of(&self, book: &Book, letter: &Letter) -> Result<Origin, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let judge = Judge {
            book,
            own_address: &device.state.address,
            own_account: device.identity.account.udf(),
            own_mesh: device.identity.mesh.udf(),
            service_keys: self.service_signing_keys()?,
        };
        Ok(judge.judge(&letter.envelope, letter.body.as_ref()))
    }

    /// All messages of a spool with their states, oldest first, but for those that say nothing but
    /// states; behind them those that wait to be sent.
    pub(crate) fn letters(
        &mut self,
        book: &Book,
        direction: Direction,
    ) -> Result<Vec<Letter>, ClientError> {
        let outbox = self.outbox()?;
        let Some(name) = direction.kind().name() else {
            return Ok(Vec::new());
        };
        self.replica(&name)?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let key = &device.identity.keys.account_encryption;
        let mut folded = Spool::new(direction.kind());
        let mut answers = BTreeMap::new();
        let mut letters = Vec::new();
        let mut next = 0;
        if let Some(replica) = device.replicas.get(&name) {
            next = replica.count();
            for (index, frame) in (0..).zip(replica.frames()) {
                let plaintext = frame.decrypt(&[key]).ok();
                let item = SpoolItem::read(
                    index,
                    &frame.header,
                    plaintext.as_deref().map(Vec::as_slice),
                );
                let is_forged = direction == Direction::Inbound
                    && matches!(item, SpoolItem::Completion { .. })
                    && !book.signers.signed(frame);
                if is_forged {
                    continue;
                }
                if let SpoolItem::Message { .. } = &item {
                    letters.push(letter_of(direction, index, frame, plaintext.as_deref()));
                }
                note_answers(&mut answers, &item);
                folded.fold(index, item);
            }
        }
        for envelope in outbox.iter().flat_map(|parcel| &parcel.own) {
            let payload = Some(envelope.payload.as_slice());
            let item = SpoolItem::read(next.max(1), &envelope.header, payload);
            if let SpoolItem::Completion { .. } = &item {
                note_answers(&mut answers, &item);
                folded.fold(next.max(1), item);
                next += 1;
            }
        }
        for letter in &mut letters {
            letter.take_state(&folded, &answers);
        }
        if direction == Direction::Outbound {
            letters.extend(outbox.iter().filter_map(|parcel| {
                let envelope = parcel.message.as_ref()?;
                let plaintext = envelope.decrypt(&[key]).ok();
                let plaintext = plaintext.as_deref();
                Some(Letter {
                    index: None,
                    ..letter_of(direction, 0, envelope, plaintext)
                })
            }));
        }
        Ok(letters)
    }

    /// The one message that goes by `wanted`, of `direction` if that is given.
    pub(crate) fn find_letter(
        &mut self,
        book: &Book,
        wanted: &str,
        direction: Option<Direction>,
    ) -> Result<Letter, ClientError> {
        let folded = fold_id(wanted);
        let mut all = Vec::new();
        for way in [Direction::Inbound, Direction::Outbound] {
            if direction.is_none_or(|direction| direction == way) {
                all.extend(self.letters(book, way)?);
            }
        }
        let exact = |letter: &&Letter| letter.id == wanted || fold_id(&letter.id) == folded;
        let start = |letter: &&Letter| fold_id(&letter.id).starts_with(&folded);
        let mut found: Vec<&Letter> = all.iter().filter(exact).collect();
        if found.is_empty() && !folded.is_empty() {
            found = all.iter().filter(start).collect();
        }
        match found.as_slice() {
            [] => Err(MessageFailure::NotFound {
                wanted: wanted.to_owned(),
            }
            .into()),
            [one] => Ok((*one).clone()),
            several => Err(MessageFailure::Ambiguous {
                wanted: wanted.to_owned(),
                found: several.iter().map(|letter| letter.id.clone()).collect(),
            }
            .into()),
        }
    }
}

impl Letter {
    fn take_state(&mut self, folded: &Spool, answers: &Answers) {
        let Some(message) = self.index.and_then(|index| folded.at(index)) else {
            return;
        };
        self.state = Some(message.state);
        if let Some((answer, response)) = answers.get(&self.id) {
            self.answer = Some(answer.clone());
            self.response = response.clone();
        }
        self.deliveries = message
            .deliveries
            .iter()
            .map(|(to, delivery)| (to.clone(), delivery.state))
            .collect();
        let deliveries = message.deliveries.iter();
        self.reasons = deliveries
            .filter_map(|(to, delivery)| Some((to.clone(), delivery.reason.clone()?)))
            .collect();
    }
}

/// What messages were answered with, by identifier: the word, and the identifier of the answer.
type Answers = BTreeMap<String, (String, Option<String>)>;

/// Remembers answers: what is said of a message later does not undo them (containers §7.3).
fn note_answers(answers: &mut Answers, item: &SpoolItem) {
    let SpoolItem::Completion { references, .. } = item else {
        return;
    };
    for reference in references {
        if matches!(reference.relationship.as_str(), "Accept" | "Reject") {
            let answer = (
                reference.relationship.clone(),
                reference.response_id.clone(),
            );
            answers.insert(reference.message_id.clone(), answer);
        }
    }
}

fn letter_of(
    direction: Direction,
    index: u64,
    frame: &Envelope,
    plaintext: Option<&Vec<u8>>,
) -> Letter {
    let meta = frame.header.content_meta().unwrap_or_default();
    let (tag, body) = plaintext
        .and_then(|plaintext| tagged(plaintext))
        .map_or((meta.message_type, None), |(tag, body)| {
            (Some(tag), Some(body))
        });
    Letter {
        id: meta.unique_id.unwrap_or_default(),
        index: Some(index),
        direction,
        tag,
        body,
        envelope: frame.clone(),
        state: None,
        answer: None,
        response: None,
        deliveries: BTreeMap::new(),
        reasons: BTreeMap::new(),
    }
}

/// An identifier without what people leave out: case and grouping.
fn fold_id(id: &str) -> String {
    id.chars()
        .filter(|letter| !matches!(letter, '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The word for a state.
pub(super) const fn word_of(state: MessageState) -> &'static str {
    match state {
        MessageState::Unread => "unread",
        MessageState::Pending => "pending",
        MessageState::Read => "read",
        MessageState::Deleted => "deleted",
        MessageState::Sent => "sent",
        MessageState::Delayed => "delayed",
        MessageState::Received => "received",
        MessageState::Refused => "refused",
        MessageState::Failed => "failed",
    }
}

/// What a message says, in one line.
fn summary_of(letter: &Letter) -> String {
    let Some(body) = &letter.body else {
        return if letter.envelope.payload.as_slice().is_empty() {
            "erased by the service".into()
        } else {
            "cannot be read here".into()
        };
    };
    let text = |member: &str| letter.text(member).unwrap_or_default().to_owned();
    match letter.tag.as_deref() {
        Some("ReplyContact") if body.get("Subject").is_none() => "contact data".into(),
        Some("RequestContact" | "ReplyContact") => text("Subject"),
        Some("RequestConfirmation") => text("Text"),
        Some("ResponseConfirmation") => {
            let accept = body.get("Accept").and_then(Value::as_bool);
            let asked = body.get("Request").and_then(|request| request.get("Text"));
            format!(
                "{}: {}",
                if accept == Some(true) { "yes" } else { "no" },
                asked.and_then(Value::as_str).unwrap_or_default()
            )
        }
        Some("RequestTask") => super::task::task_in(letter)
            .and_then(|task| task.title)
            .unwrap_or_default(),
        _ => String::new(),
    }
}
