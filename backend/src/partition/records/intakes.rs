//! What is left in the intakes of partitions, and that their owners are told of it by the store (cluster §8).

use std::collections::BTreeSet;

use bytes::Bytes;
use mesh_common::account::IntakeEntry;
use mesh_common::cluster::PartitionId;

use crate::cluster::membership::Membership;
use crate::partition::codec::{Reader, RowError, Writer};
use crate::store::{Tx, keys};

/// Format of an entry left in an intake.
const INTAKE: u8 = 1;

/// The intakes of a store, as one process leaves something in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intakes<'a> {
    /// Of the store: what is left sorts by it.
    generation: u32,
    /// Who owns which; none: nobody else is there.
    membership: Option<&'a Membership>,
}

impl<'a> Intakes<'a> {
    pub(crate) const fn new(generation: u32, membership: Option<&'a Membership>) -> Self {
        Self {
            generation,
            membership,
        }
    }

    /// Puts `entries` into `tx`, in their order, and what wakes the owners of partitions that others have
    /// ([`crate::handle::waking`]).
    pub(crate) fn leave<T: Tx>(self, tx: &mut T, entries: &[(PartitionId, Bytes)]) {
        for (place, (partition, value)) in (0_u32..).zip(entries) {
            let prefix = keys::intake_prefix(*partition, self.generation);
            tx.set_stamped_key(&prefix, &place.to_be_bytes(), value.clone());
        }
        let Some(membership) = self.membership else {
            return;
        };
        let left_for: BTreeSet<PartitionId> = entries.iter().map(|(one, _)| *one).collect();
        for partition in left_for.into_iter().filter(|one| !membership.owns(*one)) {
            tx.set_stamped_value(&keys::wake_in(partition), b"", b"");
        }
    }
}

/// The payload of a message stands raw behind the rest: as base64url the largest ones would not fit
/// into one value.
pub(super) fn encode(entry: &IntakeEntry) -> Vec<u8> {
    let (rest, payload) = entry.clone().without_payload();
    let json = serde_json::to_vec(&rest).expect("rows hold no maps with other keys than text");
    Writer::new(INTAKE).octets(&json).octets(&payload).finish()
}

/// An entry of an intake.
///
/// # Errors
/// It does not read.
pub(crate) fn intake(value: &[u8]) -> Result<IntakeEntry, RowError> {
    let mut row = Reader::new("intake entry", value, INTAKE)?;
    let (json, payload) = (row.octets()?, row.octets()?);
    let rest: IntakeEntry = serde_json::from_slice(json).map_err(|_| row.impossible("text"))?;
    row.finish()?;
    Ok(rest.with_payload(payload.to_vec()))
}
