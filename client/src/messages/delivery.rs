//! How far sent messages are: one line per message and recipient, as the service told it in Outbound
//! (containers §7.3, architecture A-16). Local: `sync` brings what the service told.

use mesh_common::spool::MessageState;
use serde::Serialize;

use super::folder::{Direction, Letter, word_of};
use crate::client::Client;
use crate::error::ClientError;

/// How far the delivery of one message to one recipient is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryFacts {
    /// Identifier of the message.
    pub id: String,
    /// Its tag; none if even that cannot be told.
    pub kind: Option<String>,
    /// To whom; none as long as nothing is told and the message does not say it.
    pub to: Option<String>,
    /// `waiting` (on this device), `pending`, `sent`, `delayed`, `received`, `refused` or `failed`.
    pub state: String,
    /// Why it is late, refused or failed, where the service says so.
    pub why: Option<String>,
    /// Whether nothing will follow.
    pub is_final: bool,
}

impl Client {
    /// How far all sent messages are, the oldest first; those that are deleted are left out. With
    /// `wanted`, the one message that goes by it.
    ///
    /// # Errors
    /// [`MessageFailure::NotFound`](super::MessageFailure::NotFound),
    /// [`MessageFailure::Ambiguous`](super::MessageFailure::Ambiguous); as [`Self::messages`].
    pub fn deliveries(&mut self, wanted: Option<&str>) -> Result<Vec<DeliveryFacts>, ClientError> {
        let book = self.book()?;
        let letters = match wanted {
            Some(wanted) => vec![self.find_letter(&book, wanted, Some(Direction::Outbound))?],
            None => {
                let mut letters = self.letters(&book, Direction::Outbound)?;
                letters.retain(|letter| !letter.is_deleted());
                letters
            }
        };
        Ok(letters.iter().flat_map(Letter::ways).collect())
    }
}

impl Letter {
    /// One way for each recipient that something was told of; one for all of them before that.
    fn ways(&self) -> Vec<DeliveryFacts> {
        let way =
            |to: Option<&str>, state: Option<MessageState>, why: Option<&String>| DeliveryFacts {
                id: self.id.clone(),
                kind: self.tag.clone(),
                to: to.filter(|to| !to.is_empty()).map(str::to_owned),
                state: state.map_or("waiting", word_of).to_owned(),
                why: why.cloned(),
                is_final: state.is_some_and(MessageState::is_final),
            };
        if self.deliveries.is_empty() {
            let pending = self.index.map(|_| MessageState::Pending);
            return vec![way(self.text("Recipient"), pending, None)];
        }
        let told = self.deliveries.iter();
        told.map(|(to, state)| way(Some(to), Some(*state), self.reasons.get(to)))
            .collect()
    }
}
