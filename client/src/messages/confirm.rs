//! Confirmations: somebody is asked to say yes or no, and whoever asked can tell that the answer is
//! theirs (schema draft §6.4).

use mesh_common::address::AccountAddress;
use mesh_common::assertion::{Connection, grants};
use mesh_common::message::{Message, Relationship, RequestConfirmation, ResponseConfirmation};
use mesh_common::spool::MessageState;
use serde::Serialize;

use super::book::{Book, KnownAccount};
use super::compose::Draft;
use super::contact::{Queued, canonical, is};
use super::failure::MessageFailure;
use super::folder::{Direction, Letter, MessageFacts};
use super::origin::Trust;
use super::outbox::reference;
use crate::client::Client;
use crate::error::ClientError;

/// The tag of an answer, which a device's connection has to permit.
const RESPONSE: &str = "ResponseConfirmation";

/// Confirmations in both directions.
#[derive(Debug, Serialize)]
pub struct Confirmations {
    /// Requests that wait for an answer from here.
    pub received: Vec<MessageFacts>,
    /// What was asked here, and the answers.
    pub asked: Vec<Asked>,
}

/// A question, and what came of it.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The question.
    #[serde(flatten)]
    pub request: MessageFacts,
    /// The answer: yes or no. None until one came that proves itself.
    pub confirmed: Option<bool>,
    /// Identifier of that answer.
    pub answered_by: Option<String>,
    /// Answers that count for nothing, and why.
    pub doubtful: Vec<Doubtful>,
}

/// An answer that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubtful {
    /// Its identifier.
    pub id: String,
    /// Why it does not count.
    pub why: String,
}

impl Client {
    /// The account known at `address`, with the key that messages for it are encrypted to.
    pub(crate) fn correspondent(
        &self,
        book: &Book,
        address: &AccountAddress,
    ) -> Result<mesh_common::crypto::PublicKey, ClientError> {
        if *address == self.own_address()? {
            return Err(MessageFailure::Myself {
                address: address.clone(),
            }
            .into());
        }
        book.account_at(address)
            .and_then(KnownAccount::encryption_key)
            .ok_or_else(|| {
                MessageFailure::NotAContact {
                    address: address.clone(),
                }
                .into()
            })
    }

    /// Asks the contact at `address` to confirm `text`. The message waits for [`Self::exchange`].
    ///
    /// # Errors
    /// [`MessageFailure::NotAContact`] if their account is not known.
    pub fn ask_confirmation(
        &mut self,
        address: &AccountAddress,
        text: &str,
    ) -> Result<Queued, ClientError> {
        let book = self.book()?;
        let key = self.correspondent(&book, address)?;
        let id = self.new_message_id();
        let message = Message::RequestConfirmation(RequestConfirmation {
            message_id: Some(id.clone()),
            sender: Some(self.own_address()?.as_written().to_owned()),
            recipient: Some(address.canonical().to_owned()),
            text: Some(text.to_owned()),
            ..RequestConfirmation::default()
        });
        let draft = Draft {
            id,
            to: address.clone(),
            key: Some(key),
            message,
        };
        self.enqueue_message(&draft, Vec::new())?;
        Ok(Queued::of(&draft))
    }

    /// What waits for an answer from here, and what was asked here.
    ///
    /// # Errors
    /// As [`Self::messages`].
    pub fn confirmations(&mut self) -> Result<Confirmations, ClientError> {
        let book = self.book()?;
        let inbound = self.letters(&book, Direction::Inbound)?;
        let outbound = self.letters(&book, Direction::Outbound)?;
        let mut received = Vec::new();
        for letter in &inbound {
            let is_open = is(letter, "RequestConfirmation") && letter.answer().is_none();
            if is_open && !letter.is_deleted() {
                received.push(self.facts_of(&book, letter)?);
            }
        }
        let answers: Vec<&Letter> = inbound.iter().filter(|one| is(one, RESPONSE)).collect();
        let mut asked = Vec::new();
        for letter in &outbound {
            if is(letter, "RequestConfirmation") && letter.state != Some(MessageState::Deleted) {
                asked.push(self.asked(&book, letter, &answers)?);
            }
        }
        Ok(Confirmations { received, asked })
    }

    /// A question with its answers, the first that counts being the answer.
    fn asked(
        &self,
        book: &Book,
        question: &Letter,
        answers: &[&Letter],
    ) -> Result<Asked, ClientError> {
        let mut asked = Asked {
            request: self.facts_of(book, question)?,
            confirmed: None,
            answered_by: None,
            doubtful: Vec::new(),
        };
        for letter in answers.iter().filter(|letter| names(letter, &question.id)) {
            match self.answer_to(book, question, letter)? {
                Ok(accept) if asked.confirmed.is_none() => {
                    asked.confirmed = Some(accept);
                    asked.answered_by = Some(letter.id.clone());
                }
                Ok(accept) if asked.confirmed == Some(accept) => {}
                Ok(_) => asked.doubtful.push(Doubtful {
                    id: letter.id.clone(),
                    why: "it was answered otherwise before".into(),
                }),
                Err(why) => asked.doubtful.push(Doubtful {
                    id: letter.id.clone(),
                    why,
                }),
            }
        }
        Ok(asked)
    }

    /// What `letter` answers to `question`, if it is an answer of the one who was asked, by a device
    /// of theirs that may give it, to just what was asked.
    fn answer_to(
        &self,
        book: &Book,
        question: &Letter,
        letter: &Letter,
    ) -> Result<Result<bool, String>, ClientError> {
        let origin = self.origin_of(book, letter)?;
        let (Trust::Verified, Some(chain)) = (origin.trust, &origin.chain) else {
            return Ok(Err(origin
                .why
                .unwrap_or_else(|| "its sender is not proven".into())));
        };
        let asked = question.text("Recipient").and_then(canonical);
        let from = origin.proven_address();
        if asked.is_none() || asked.as_deref() != from.as_ref().map(AccountAddress::canonical) {
            return Ok(Err("somebody else was asked".into()));
        }
        if !grants(chain.connection.permissions(), RESPONSE) {
            return Ok(Err("the device that answered may not confirm".into()));
        }
        let (
            Some(Message::RequestConfirmation(request)),
            Some(Message::ResponseConfirmation(answer)),
        ) = (question.message(), letter.message())
        else {
            return Ok(Err("it cannot be read".into()));
        };
        if answer.request.as_deref() != Some(&request) {
            return Ok(Err("it answers another question than was asked".into()));
        }
        Ok(answer
            .accept
            .ok_or_else(|| "it says neither yes nor no".into()))
    }

    /// Answers a request for confirmation. The answer waits for [`Self::exchange`].
    ///
    /// # Errors
    /// [`MessageFailure`]: there is no such request, it was answered, it does not prove that it is
    /// from a contact, or this device may not confirm (S 6.4).
    pub fn answer_confirmation(
        &mut self,
        wanted: &str,
        accept: bool,
    ) -> Result<Queued, ClientError> {
        let book = self.book()?;
        let letter = self.open_request(&book, wanted, &["RequestConfirmation"])?;
        let permissions = self.device()?.identity.connection_account.permissions();
        if !grants(permissions, RESPONSE) {
            return Err(MessageFailure::NotPermitted { tag: RESPONSE }.into());
        }
        let origin = self.origin_of(&book, &letter)?;
        let (Trust::Verified, Some(chain), Some(from)) =
            (origin.trust, &origin.chain, origin.proven_address())
        else {
            return Err(MessageFailure::NotProven {
                id: letter.id,
                why: origin.why.unwrap_or_default(),
            }
            .into());
        };
        let Some(Message::RequestConfirmation(request)) = letter.message() else {
            return Err(MessageFailure::Unreadable { id: letter.id }.into());
        };
        let word = || match accept {
            true => Relationship::Accept,
            false => Relationship::Reject,
        };
        let id = self.new_message_id();
        let message = Message::ResponseConfirmation(ResponseConfirmation {
            message_id: Some(id.clone()),
            sender: Some(self.own_address()?.as_written().to_owned()),
            recipient: Some(from.canonical().to_owned()),
            references: vec![reference(&letter.id, word(), None)],
            request: Some(Box::new(request)),
            accept: Some(accept),
            ..ResponseConfirmation::default()
        });
        let draft = Draft {
            key: chain.profile.encryption_key().ok(),
            to: from,
            message,
            id,
        };
        let change = reference(&letter.id, word(), Some(&draft.id));
        self.enqueue_message(&draft, vec![change])?;
        Ok(Queued::of(&draft))
    }
}

/// Whether an answer says that it answers the question `id`.
fn names(letter: &Letter, id: &str) -> bool {
    let enclosed = letter
        .body
        .as_ref()
        .and_then(|body| body.get("Request")?.get("MessageID")?.as_str());
    enclosed == Some(id) || letter.references().iter().any(|one| one == id)
}
