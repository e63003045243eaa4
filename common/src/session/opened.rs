//! Tickets that were opened lately, so that a device that polls has its ticket opened once and not
//! with every request (service §4.5).
//!
//! They are kept beside the keys they were opened under, and go with them: whenever the keys are
//! replaced, nothing is remembered. So whoever reads this memory learns nothing that those keys,
//! which open and make every ticket, would not tell. What a ticket says is judged anew with every
//! request: its expiry here, its device by the account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ticket::{SEAL_SALT_BYTES, Ticket};
use crate::limits::TICKETS_OPENED_MAX;

/// The salt a ticket was sealed with: random, so every ticket has its own.
type SealSalt = [u8; SEAL_SALT_BYTES];

/// At most [`TICKETS_OPENED_MAX`] tickets, those that were used last.
#[derive(Default)]
pub(super) struct OpenedTickets(Mutex<Generations>);

/// What is not used for a whole generation is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<SealSalt, Opened>,
    old: HashMap<SealSalt, Opened>,
}

/// A ticket, and the octets that were opened. Only the very same octets are that ticket.
#[derive(Clone)]
struct Opened {
    sealed: Arc<[u8]>,
    ticket: Arc<Ticket>,
}

impl OpenedTickets {
    /// The ticket that `sealed` is, if it was opened lately.
    pub(super) fn find(&self, salt: &SealSalt, sealed: &[u8]) -> Option<Arc<Ticket>> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match generations.young.get(salt) {
            Some(opened) => opened.clone(),
            None => {
                let opened = generations.old.remove(salt)?;
                generations.keep(*salt, opened.clone());
                opened
            }
        };
        (*found.sealed == *sealed).then_some(found.ticket)
    }

    /// Remembers that `sealed` is `ticket`.
    pub(super) fn remember(&self, salt: &SealSalt, sealed: &[u8], ticket: &Arc<Ticket>) {
        let opened = Opened {
            sealed: sealed.into(),
            ticket: Arc::clone(ticket),
        };
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.keep(*salt, opened);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let generations = self.0.lock().unwrap();
        generations.young.len() + generations.old.len()
    }
}

impl Generations {
    fn keep(&mut self, salt: SealSalt, opened: Opened) {
        if self.young.len() >= TICKETS_OPENED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(salt, opened);
    }
}

/// Keys that are copied will be changed: their copy remembers nothing.
impl Clone for OpenedTickets {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::ticket;

    fn salt(number: usize) -> SealSalt {
        let mut salt = [0; SEAL_SALT_BYTES];
        salt[..8].copy_from_slice(&number.to_be_bytes());
        salt
    }

    #[test]
    #[expect(
        clippy::redundant_clone,
        reason = "what the copy remembers is what is tested"
    )]
    fn only_the_octets_that_were_opened_are_found() {
        let (opened, ticket) = (OpenedTickets::default(), Arc::new(ticket()));
        assert_eq!(opened.find(&salt(1), b"sealed"), None);
        opened.remember(&salt(1), b"sealed", &ticket);
        assert_eq!(opened.find(&salt(1), b"sealed"), Some(ticket));
        assert_eq!(opened.find(&salt(1), b"forged"), None);
        assert_eq!(opened.find(&salt(2), b"sealed"), None);
        assert_eq!(opened.clone().find(&salt(1), b"sealed"), None, "a copy");
        assert!(opened.find(&salt(1), b"sealed").is_some(), "the original");
    }

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let (opened, ticket) = (OpenedTickets::default(), Arc::new(ticket()));
        for number in 0..3 * TICKETS_OPENED_MAX {
            opened.remember(&salt(number), b"sealed", &ticket);
            assert!(opened.find(&salt(0), b"sealed").is_some(), "in use");
            assert!(opened.len() <= TICKETS_OPENED_MAX);
        }
        assert_eq!(opened.find(&salt(1), b"sealed"), None, "forgotten");
    }
}
