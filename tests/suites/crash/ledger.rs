//! What a writer was told is durable, and the comparison with what is there.

use std::collections::{BTreeMap, BTreeSet};

use mesh_common::dare::Envelope;
use mesh_common::dare::merkle::payload_digest;

/// What was acknowledged to one writer, by index, and what every frame it ever sent is.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    acknowledged: BTreeMap<u64, [u8; 64]>,
    sent: BTreeSet<[u8; 64]>,
}

impl Ledger {
    /// Notes a frame that is about to be sent.
    pub(crate) fn send(&mut self, frame: &Envelope) {
        self.sent.insert(payload_digest(frame.payload.as_slice()));
    }

    /// Notes that the service said frame `index` is this one.
    pub(crate) fn acknowledge(&mut self, index: u64, frame: &Envelope) {
        let digest = payload_digest(frame.payload.as_slice());
        self.sent.insert(digest);
        let before = self.acknowledged.insert(index, digest);
        assert!(
            before.is_none_or(|before| before == digest),
            "index {index} was given to two frames"
        );
    }
}

/// Compares the frames of a container with what its writers were told. Payloads are encrypted under
/// fresh keys, so no two frames that were sent have the same one.
///
/// # Errors
/// What is lost, what is there twice, or what nobody ever sent.
pub(crate) fn check<'a>(
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

/// A frame for the test of the check.
pub(crate) fn tests_frame(payload: &str) -> Envelope {
    Envelope::plain(payload)
}
