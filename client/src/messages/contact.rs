//! Asking for contact data, giving it, and refusing somebody (schema draft §6.3, service §7.5).
//!
//! ```text
//!  request ──RequestContact──▶ accept: their data into the catalog
//!     ▲                          │
//!     └──────ReplyContact────────┘ taken in with the next synchronization, if it proves itself
//! ```

use std::collections::BTreeSet;

use mesh_common::address::AccountAddress;
use mesh_common::catalog::entry::{CatalogEntry, CatalogedContact, Contact, Permission};
use mesh_common::encoding::json;
use mesh_common::message::{Message, Relationship, RequestContact};
use serde::Serialize;

use super::book::Book;
use super::cards::{Acquaintance, Card, name_address, permit};
use super::compose::Draft;
use super::failure::MessageFailure;
use super::folder::{Direction, Letter, MessageFacts};
use super::origin::{Origin, Trust};
use super::outbox::reference;
use crate::catalogs::EntryPlace;
use crate::client::Client;
use crate::error::ClientError;
use crate::limits::CONTACT_CARD_BYTES_MAX;

/// What is open between this account and others.
#[derive(Debug, Serialize)]
pub struct PendingContacts {
    /// Requests that wait for an answer from here.
    pub received: Vec<MessageFacts>,
    /// Requests made here that nobody answered yet.
    pub sent: Vec<MessageFacts>,
}

/// A message that was put into the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queued {
    /// Its identifier.
    pub id: String,
    /// Who it is for.
    pub to: String,
    /// Whether only its recipient can read it; otherwise both services can.
    pub encrypted: bool,
}

/// What accepting a request did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Who is in the catalog now.
    pub contact: Acquaintance,
    /// The answer, if one was asked for.
    pub reply: Option<Queued>,
}

impl Client {
    /// Asks `address` for contact data and gives this account's own. `allow` is what they may send
    /// once they are known. The message waits for [`Self::exchange`].
    ///
    /// # Errors
    /// [`MessageFailure::Myself`], [`MessageFailure::CardTooLarge`]; what keeps the folder from
    /// being written.
    pub fn request_contact(
        &mut self,
        address: &AccountAddress,
        subject: Option<String>,
        allow: &[String],
    ) -> Result<Queued, ClientError> {
        let own = self.own_address()?;
        if *address == own {
            return Err(MessageFailure::Myself {
                address: address.clone(),
            }
            .into());
        }
        let book = self.book()?;
        let key = book
            .account_at(address)
            .and_then(super::book::KnownAccount::encryption_key);
        if !allow.is_empty() {
            self.note_address(&book, address, |permissions| permit(permissions, allow))?;
        }
        let card = self.own_card(&book)?;
        let found_bytes = json::write(&card).len() + subject.as_ref().map_or(0, String::len);
        if found_bytes > CONTACT_CARD_BYTES_MAX {
            return Err(MessageFailure::CardTooLarge { found_bytes }.into());
        }
        let id = self.new_message_id();
        let message = Message::RequestContact(Box::new(RequestContact {
            message_id: Some(id.clone()),
            sender: Some(own.as_written().to_owned()),
            recipient: Some(address.canonical().to_owned()),
            reply: Some(true),
            subject,
            self_contact: Some(card),
            ..RequestContact::default()
        }));
        let draft = Draft {
            id,
            to: address.clone(),
            key,
            message,
        };
        self.enqueue_message(&draft, Vec::new())?;
        Ok(Queued::of(&draft))
    }

    /// Requests that are open, in both directions.
    ///
    /// # Errors
    /// As [`Self::messages`].
    pub fn pending_contacts(&mut self) -> Result<PendingContacts, ClientError> {
        let book = self.book()?;
        let inbound = self.letters(&book, Direction::Inbound)?;
        let outbound = self.letters(&book, Direction::Outbound)?;
        let mut answered = BTreeSet::new();
        let mut answerers = BTreeSet::new();
        for letter in inbound.iter().filter(|letter| is(letter, "ReplyContact")) {
            if letter.answer() == Some("Accept") {
                answered.extend(letter.references());
                answerers.extend(letter.text("Sender").and_then(canonical));
            }
        }
        let is_open = |letter: &&Letter| {
            let to = letter.text("Recipient").and_then(canonical);
            is(letter, "RequestContact")
                && !letter.is_deleted()
                && !answered.contains(&letter.id)
                && to.is_none_or(|to| !answerers.contains(&to))
        };
        let waits = |letter: &&Letter| {
            let is_about_contact = is(letter, "RequestContact") || is(letter, "ReplyContact");
            is_about_contact && letter.answer().is_none() && !letter.is_deleted()
        };
        let facts = |letter: &Letter| self.facts_of(&book, letter);
        Ok(PendingContacts {
            received: inbound
                .iter()
                .filter(waits)
                .map(facts)
                .collect::<Result<_, _>>()?,
            sent: outbound
                .iter()
                .filter(is_open)
                .map(facts)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Takes the sender of a request into the catalog and answers it. `allow` is what they may send
    /// besides contact data. Entry and answer wait for [`Self::exchange`].
    ///
    /// # Errors
    /// [`MessageFailure`]: there is no such request, it was answered, or it does not prove whom it
    /// is from.
    pub fn accept_contact(
        &mut self,
        wanted: &str,
        allow: &[String],
    ) -> Result<Accepted, ClientError> {
        let book = self.book()?;
        let letter = self.open_request(&book, wanted, &["RequestContact", "ReplyContact"])?;
        let origin = self.origin_of(&book, &letter)?;
        let (card, from) = checked_card(&letter, &origin)?;
        let own_card = self.own_card(&book)?;
        let contact = self.take_card(&book, card, &from, allow)?;
        self.lift_block(&contact.id)?;
        let chain = origin.chain.as_deref();
        let wants_reply = is(&letter, "RequestContact")
            && letter.body.as_ref().and_then(|body| body.get("Reply"))
                == Some(&serde_json::Value::Bool(true));
        if !wants_reply {
            self.mark(vec![reference(&letter.id, Relationship::Accept, None)])?;
            return Ok(Accepted {
                contact,
                reply: None,
            });
        }
        let id = self.new_message_id();
        let message = Message::ReplyContact(Box::new(RequestContact {
            message_id: Some(id.clone()),
            sender: Some(self.own_address()?.as_written().to_owned()),
            recipient: Some(from.canonical().to_owned()),
            references: vec![reference(&letter.id, Relationship::Accept, None)],
            self_contact: Some(own_card),
            ..RequestContact::default()
        }));
        let draft = Draft {
            key: chain.and_then(|chain| chain.profile.encryption_key().ok()),
            to: from,
            message,
            id,
        };
        let change = reference(&letter.id, Relationship::Accept, Some(&draft.id));
        self.enqueue_message(&draft, vec![change])?;
        Ok(Accepted {
            contact,
            reply: Some(Queued::of(&draft)),
        })
    }

    /// Refuses a request for contact data. Its sender is not told.
    ///
    /// # Errors
    /// As [`Self::accept_contact`], but for its proof.
    pub fn reject_contact(&mut self, wanted: &str) -> Result<MessageFacts, ClientError> {
        let book = self.book()?;
        let letter = self.open_request(&book, wanted, &["RequestContact", "ReplyContact"])?;
        let facts = self.facts_of(&book, &letter)?;
        self.mark(vec![reference(&letter.id, Relationship::Reject, None)])?;
        Ok(facts)
    }

    /// Refuses everything `address` sends from now on. The service reads it in the catalog.
    ///
    /// # Errors
    /// [`MessageFailure::Myself`]; what keeps the replica from being written.
    pub fn block(&mut self, address: &AccountAddress) -> Result<EntryPlace, ClientError> {
        if *address == self.own_address()? {
            return Err(MessageFailure::Myself {
                address: address.clone(),
            }
            .into());
        }
        let book = self.book()?;
        self.note_address(&book, address, |permissions| {
            permissions.clear();
            permissions.push(Permission {
                name: Some("*".to_owned()),
                role: Some("Reject".to_owned()),
                ..Permission::default()
            });
        })
    }

    /// Takes in every ReplyContact that answers a request of ours and proves whom it is from. What
    /// does not prove it stays where it is, unread.
    pub(crate) fn take_replies(&mut self) -> Result<Vec<Acquaintance>, ClientError> {
        let book = self.book()?;
        let replies: Vec<Letter> = self
            .letters(&book, Direction::Inbound)?
            .into_iter()
            .filter(|letter| {
                is(letter, "ReplyContact") && letter.answer().is_none() && !letter.is_deleted()
            })
            .collect();
        if replies.is_empty() {
            return Ok(Vec::new());
        }
        let requests: Vec<Letter> = self
            .letters(&book, Direction::Outbound)?
            .into_iter()
            .filter(|letter| is(letter, "RequestContact") && letter.index.is_some())
            .collect();
        let mut taken = Vec::new();
        for letter in replies {
            let origin = self.origin_of(&book, &letter)?;
            if !answers_one_of(&requests, &letter, &origin) {
                continue;
            }
            let Ok((card, from)) = checked_card(&letter, &origin) else {
                continue;
            };
            let is_blocked = book
                .by_address(&from)
                .iter()
                .any(|known| known.is_blocked());
            if is_blocked {
                continue;
            }
            // What was taken in a moment ago is known already.
            let book = self.book()?;
            match self.take_card(&book, card, &from, &[]) {
                Ok(contact) => taken.push(contact),
                Err(ClientError::Message(_)) => continue,
                Err(error) => return Err(error),
            }
            self.mark(vec![reference(&letter.id, Relationship::Accept, None)])?;
        }
        Ok(taken)
    }

    /// A received message of one of `tags` that nobody answered yet: by its identifier, the start of
    /// that, or the address of its sender.
    pub(crate) fn open_request(
        &mut self,
        book: &Book,
        wanted: &str,
        tags: &[&str],
    ) -> Result<Letter, ClientError> {
        if let Ok(sender) = AccountAddress::parse(wanted) {
            return self.open_request_of(book, &sender, tags);
        }
        let letter = self.find_letter(book, wanted, Some(Direction::Inbound))?;
        let tag = letter.tag.as_deref().unwrap_or("message of unknown kind");
        if !tags.contains(&tag) {
            return Err(MessageFailure::OtherKind {
                found: tag.chars().filter(|letter| !letter.is_control()).collect(),
                id: letter.id,
            }
            .into());
        }
        match letter.answer() {
            Some(answer) => Err(MessageFailure::Answered {
                answer: answer.to_owned(),
                id: letter.id.clone(),
            }
            .into()),
            None => Ok(letter),
        }
    }

    /// The one message of one of `tags` by `sender` that nobody answered yet.
    fn open_request_of(
        &mut self,
        book: &Book,
        sender: &AccountAddress,
        tags: &[&str],
    ) -> Result<Letter, ClientError> {
        let mut found = Vec::new();
        for letter in self.letters(book, Direction::Inbound)? {
            let is_open = letter.answer().is_none() && !letter.is_deleted();
            if is_open
                && tags.iter().any(|tag| is(&letter, tag))
                && self.origin_of(book, &letter)?.proven_address().as_ref() == Some(sender)
            {
                found.push(letter);
            }
        }
        match found.len() {
            0 => Err(MessageFailure::NothingOpen {
                address: sender.clone(),
            }
            .into()),
            1 => Ok(found.remove(0)),
            _ => Err(MessageFailure::Ambiguous {
                wanted: sender.as_written().to_owned(),
                found: found.into_iter().map(|letter| letter.id).collect(),
            }
            .into()),
        }
    }

    /// Changes the permissions of whoever is known at `address`, or of a new entry that holds nothing
    /// else.
    fn note_address(
        &mut self,
        book: &Book,
        address: &AccountAddress,
        change: impl Fn(&mut Vec<Permission>),
    ) -> Result<EntryPlace, ClientError> {
        let mut place = None;
        for known in book.by_address(address) {
            let mut entry = known.entry.clone();
            change(&mut entry.permissions);
            place = Some(self.put(&CatalogEntry::CatalogedContact(entry))?);
        }
        if let Some(place) = place {
            return Ok(place);
        }
        let mut contact = Contact::default();
        name_address(&mut contact, address);
        let mut entry = CatalogedContact {
            key: Some(self.new_key()),
            ..CatalogedContact::default()
        };
        change(&mut entry.permissions);
        entry.enclose(&contact);
        self.put(&CatalogEntry::CatalogedContact(entry))
    }

    /// Lifts the refusal of everything from an entry: its owner just said otherwise.
    fn lift_block(&mut self, id: &str) -> Result<(), ClientError> {
        let listed = self.find(crate::entries::EntryKind::Contact, id)?;
        let CatalogEntry::CatalogedContact(mut entry) = listed.entry else {
            return Ok(());
        };
        let before = entry.permissions.len();
        entry.permissions.retain(|permission| {
            permission.name.as_deref() != Some("*") || permission.role.as_deref() != Some("Reject")
        });
        if entry.permissions.len() < before {
            self.put(&CatalogEntry::CatalogedContact(entry))?;
        }
        Ok(())
    }
}

impl Queued {
    pub(crate) fn of(draft: &Draft) -> Self {
        Self {
            id: draft.id.clone(),
            to: draft.to.as_written().to_owned(),
            encrypted: draft.key.is_some(),
        }
    }
}

/// Whether a message has this tag.
pub(crate) fn is(letter: &Letter, tag: &str) -> bool {
    letter.tag.as_deref() == Some(tag)
}

/// An address in the form in which addresses are compared.
pub(crate) fn canonical(text: &str) -> Option<String> {
    AccountAddress::parse(text)
        .ok()
        .map(|address| address.canonical().to_owned())
}

/// Whether `letter` answers one of our requests: it names one that went to its proven sender, or
/// names none and there is one.
fn answers_one_of(requests: &[Letter], letter: &Letter, origin: &Origin) -> bool {
    let Some(from) = origin.proven_address() else {
        return false;
    };
    let references = letter.references();
    requests.iter().any(|request| {
        let to = request.text("Recipient").and_then(canonical);
        to.as_deref() == Some(from.canonical())
            && (references.is_empty() || references.contains(&request.id))
    })
}

/// The contact data in a message, and the address it is proven to come from.
fn checked_card(letter: &Letter, origin: &Origin) -> Result<(Card, AccountAddress), ClientError> {
    let not_proven = |why: Option<&str>| MessageFailure::NotProven {
        id: letter.id.clone(),
        why: why.unwrap_or("it is not from another account").to_owned(),
    };
    let (Trust::Verified | Trust::Stranger, Some(chain)) = (origin.trust, &origin.chain) else {
        return Err(not_proven(origin.why.as_deref()).into());
    };
    let from = origin.proven_address().ok_or_else(|| not_proven(None))?;
    let refused = |why: &str| MessageFailure::Card {
        id: letter.id.clone(),
        why: why.to_owned(),
    };
    let Some(Message::RequestContact(message) | Message::ReplyContact(message)) = letter.message()
    else {
        return Err(MessageFailure::Unreadable {
            id: letter.id.clone(),
        }
        .into());
    };
    let envelope = message
        .self_contact
        .as_ref()
        .ok_or_else(|| refused("there is none"))?;
    let card = Card::check(envelope, chain).map_err(|why| refused(&why))?;
    Ok((card, from))
}
