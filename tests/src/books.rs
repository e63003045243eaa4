//! What a sender was told of its messages, and the comparison with what arrived.

use std::collections::{BTreeMap, BTreeSet};

/// What a sender knows of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Accepted, and nothing else said, or that it is late.
    Open,
    /// The other service has it, and will file it.
    Sent,
    /// It is in the recipient's Inbound.
    Received,
    /// It will never be there.
    Lost,
}

/// The messages of one sender by id: to whom each went, and what became of it.
#[derive(Debug, Default)]
pub struct Book(BTreeMap<String, (String, Fate)>);

impl Book {
    /// Notes a message that was accepted.
    ///
    /// # Panics
    /// If its id was accepted before.
    pub fn accept(&mut self, id: String, recipient: String) {
        let before = self.0.insert(id, (recipient, Fate::Open));
        assert!(before.is_none(), "an id is used once");
    }

    /// Messages that were accepted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes everything that was told, in its order, and says how many messages are still open.
    ///
    /// What was final stays so (decision Q-59).
    ///
    /// # Panics
    /// If it did not, or something was told of another message.
    pub fn open_after(&mut self, told: &[(String, String, String)]) -> usize {
        for (_, fate) in self.0.values_mut() {
            *fate = Fate::Open;
        }
        for (id, recipient, state) in told {
            let row = self.0.get_mut(id);
            let (known, fate) = row.unwrap_or_else(|| panic!("{id} was never accepted"));
            assert_eq!(known, recipient, "{id} went to somebody else");
            let is_final = matches!(fate, Fate::Received | Fate::Lost);
            *fate = match state.as_str() {
                _ if is_final => panic!("{id} is told {state} after {fate:?}"),
                "Received" => Fate::Received,
                "Refused" | "Failed" => Fate::Lost,
                "Sent" => Fate::Sent,
                "Delayed" => *fate,
                other => panic!("{id} is told {other:?}"),
            };
        }
        let open = self.0.values().filter(|(_, fate)| *fate == Fate::Open);
        open.count()
    }
}

/// Compares what senders know with what arrived: id and recipient of each message in any Inbound.
///
/// # Errors
/// A message that arrived twice, that nobody sent, or whose sender knows something else of it.
pub fn check(
    books: &[&Book],
    arrived: &[(String, String)],
) -> Result<BTreeMap<Fate, usize>, String> {
    let mut seen = BTreeSet::new();
    for message in arrived {
        if !seen.insert(message) {
            return Err(format!("{message:?} is there twice"));
        }
    }
    let mut fates = BTreeMap::new();
    for (id, (recipient, fate)) in books.iter().flat_map(|book| &book.0) {
        *fates.entry(*fate).or_default() += 1;
        let is_there = seen.remove(&(id.clone(), recipient.clone()));
        if is_there != matches!(fate, Fate::Received | Fate::Sent) {
            return Err(format!(
                "{id} to {recipient} is {fate:?}, and there: {is_there}"
            ));
        }
    }
    match seen.first() {
        Some(message) => Err(format!("{message:?} was never accepted")),
        None => Ok(fates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_finds_what_is_lost_what_is_there_twice_and_what_nobody_sent() {
        let told = |state: &str| ("M-1".to_owned(), "b".to_owned(), state.to_owned());
        let there = ("M-1".to_owned(), "b".to_owned());
        let mut book = Book::default();
        book.accept("M-1".to_owned(), "b".to_owned());
        assert_eq!(book.open_after(&[]), 1);
        assert!(check(&[&book], &[]).is_ok(), "it may be in the queue");
        assert!(
            check(&[&book], std::slice::from_ref(&there)).is_err(),
            "unexplained"
        );
        assert_eq!(book.open_after(&[told("Sent"), told("Received")]), 0);
        let fates = check(&[&book], std::slice::from_ref(&there)).unwrap();
        assert_eq!(fates[&Fate::Received], 1);
        assert!(check(&[&book], &[]).is_err(), "lost");
        assert!(
            check(&[&book], &[there.clone(), there.clone()]).is_err(),
            "twice"
        );
        assert!(check(&[], &[there]).is_err(), "nobody sent it");
        assert_eq!(book.open_after(&[told("Failed")]), 0);
        assert!(check(&[&book], &[]).is_ok());
    }
}
