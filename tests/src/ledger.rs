//! What a writer was told is durable, and the comparison with what is there: acknowledged means present once,
//! and in the order in which one writer was told so.

use std::collections::{BTreeMap, BTreeSet};

use mesh_common::dare::Envelope;
use mesh_common::dare::merkle::payload_digest;

/// What was acknowledged to one writer, by index, and what every frame it ever sent is.
#[derive(Debug, Default)]
pub struct Ledger {
    acknowledged: BTreeMap<u64, [u8; 64]>,
    sent: BTreeSet<[u8; 64]>,
}

impl Ledger {
    /// Notes a frame that is about to be sent.
    pub fn send(&mut self, frame: &Envelope) {
        self.sent.insert(payload_digest(frame.payload.as_slice()));
    }

    /// Notes that the service said frame `index` is this one.
    ///
    /// # Panics
    /// If it said so of another frame, or of a place before one that this writer had already filled.
    pub fn acknowledge(&mut self, index: u64, frame: &Envelope) {
        let digest = payload_digest(frame.payload.as_slice());
        self.sent.insert(digest);
        let last = self.acknowledged.last_key_value();
        let is_next = last.is_none_or(|(last, _)| *last < index);
        let before = self.acknowledged.insert(index, digest);
        assert!(
            before.map_or(is_next, |before| before == digest),
            "index {index} was given to two frames, or out of order"
        );
    }

    /// Frames that were acknowledged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether nothing was acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.acknowledged.is_empty()
    }
}

/// Compares the frames of a container with what its writers were told. Payloads are encrypted under
/// fresh keys, so no two frames that were sent have the same one.
///
/// # Errors
/// What is lost, what is there twice, or what nobody ever sent.
pub fn check<'a>(
    frames: &[Envelope],
    ledgers: impl Iterator<Item = &'a Ledger>,
) -> Result<(), String> {
    let found: Vec<[u8; 64]> = frames
        .iter()
        .map(|frame| payload_digest(frame.payload.as_slice()))
        .collect();
    // Frame 0 has no payload.
    let mut seen = BTreeSet::new();
    for (index, digest) in found.iter().enumerate().skip(1) {
        if !seen.insert(digest) {
            return Err(format!("frame {index} is there twice"));
        }
    }
    let mut sent: BTreeSet<[u8; 64]> = BTreeSet::new();
    for ledger in ledgers {
        sent.extend(ledger.sent.iter().copied());
        for (index, digest) in &ledger.acknowledged {
            let place = usize::try_from(*index).map_err(|error| error.to_string())?;
            if found.get(place) != Some(digest) {
                return Err(format!("acknowledged frame {index} is not there"));
            }
        }
    }
    match seen.into_iter().find(|&digest| !sent.contains(digest)) {
        Some(_) => Err("a frame is there that nobody sent".to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.acknowledge(1, &Envelope::plain("a"));
        ledger
    }

    /// What the tests of the service rest on is itself tested: it finds what it is there to find.
    #[test]
    fn the_check_finds_a_lost_frame_and_a_frame_that_is_there_twice() {
        let ledger = ledger();
        let check = |payloads: &[&str]| {
            let frames: Vec<_> = payloads.iter().map(|&one| Envelope::plain(one)).collect();
            check(&frames, [&ledger].into_iter())
        };
        assert_eq!(check(&["zero", "a"]), Ok(()));
        assert!(check(&["zero"]).is_err());
        assert!(check(&["zero", "a", "a"]).is_err());
        assert!(check(&["zero", "b"]).is_err());
        assert!(check(&["zero", "a", "b"]).is_err());
    }

    #[test]
    fn what_is_acknowledged_again_is_the_same() {
        let mut ledger = ledger();
        ledger.acknowledge(3, &Envelope::plain("c"));
        ledger.acknowledge(1, &Envelope::plain("a"));
        assert_eq!(ledger.len(), 2);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn what_is_acknowledged_out_of_order_is_found() {
        let mut ledger = ledger();
        ledger.acknowledge(3, &Envelope::plain("c"));
        ledger.acknowledge(2, &Envelope::plain("b"));
    }
}
