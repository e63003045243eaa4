//! What the owner does with messages: read, keep, delete (containers §7.3). A message is never
//! changed; a MessageComplete says what became of it.

use mesh_common::message::Relationship;

use super::folder::{Direction, MessageFacts};
use super::outbox::reference;
use crate::client::Client;
use crate::error::ClientError;

impl Client {
    /// The message that goes by `wanted`, which counts as read from now on if it was received.
    ///
    /// # Errors
    /// As [`Self::message`], and what keeps the folder from being written.
    pub fn read_message(&mut self, wanted: &str) -> Result<MessageFacts, ClientError> {
        let facts = self.message(wanted)?;
        if facts.direction == Direction::Inbound && facts.state == "unread" {
            self.mark(vec![reference(&facts.id, Relationship::Read, None)])?;
        }
        Ok(facts)
    }

    /// Marks the message that goes by `wanted` as deleted; reading it again by its id is possible
    /// until the service erases it.
    ///
    /// # Errors
    /// As [`Self::read_message`].
    pub fn delete_message(&mut self, wanted: &str) -> Result<MessageFacts, ClientError> {
        self.mark_as(wanted, Relationship::Deleted)
    }

    /// Marks the message that goes by `wanted` as unread, which also brings back a deleted one.
    ///
    /// # Errors
    /// As [`Self::read_message`].
    pub fn keep_message_unread(&mut self, wanted: &str) -> Result<MessageFacts, ClientError> {
        self.mark_as(wanted, Relationship::Unread)
    }

    fn mark_as(
        &mut self,
        wanted: &str,
        relationship: Relationship,
    ) -> Result<MessageFacts, ClientError> {
        let facts = self.message(wanted)?;
        self.mark(vec![reference(&facts.id, relationship, None)])?;
        self.message(&facts.id)
    }
}
