//! A service of elsewhere that posts to one account after the other.

use mesh_common::protocol::Code;
use mesh_tests::books::Book;
use mesh_tests::frames;
use mesh_tests::people::Person;

use super::events::{Deed, Progress};
use super::visitor::{Manner, Visitor};

/// What the ids of its messages begin with.
pub(super) const STRANGE: &str = "strange/";

pub(super) struct Stranger {
    visitor: Visitor,
    sender: Person,
    recipients: Vec<String>,
    book: Book,
    /// What became of its messages, as it knows without being told: a service that answers has received.
    received: Vec<(String, String, String)>,
}

impl Stranger {
    pub(super) fn new(visitor: Visitor, sender: Person, recipients: &[String]) -> Self {
        Self {
            visitor,
            sender,
            recipients: recipients.to_vec(),
            book: Book::default(),
            received: Vec::new(),
        }
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn act(&mut self, manner: Manner, progress: &Progress) {
        let made = self.book.len();
        let recipient = self.recipients[made % self.recipients.len()].clone();
        let id = format!("{STRANGE}{made}");
        let message = frames::message("RequestContact", &id, r#"{"Subject":"we met"}"#);
        let message = self.sender.device.signed(message);
        let request = frames::post(&[&recipient], vec![message]);
        let (answer, event) = self
            .visitor
            .carry(&request, manner, (Deed::Inbound, &recipient));
        let code = answer.code();
        assert!(
            matches!(code, Some(Code::Ok | Code::Accepted)),
            "{recipient}: {}",
            answer.told()
        );
        self.book.accept(id.clone(), recipient.clone());
        self.received.push((id, recipient, "Received".to_owned()));
        self.book.open_after(&self.received);
        progress.note(event);
    }
}
