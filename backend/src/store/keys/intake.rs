//! The keys of what others leave for accounts whose owner is not at hand: tables 21, 22 and 24 (cluster §8).

use mesh_common::cluster::PartitionId;

use super::{ASIDE, INTAKE, WAKE_IN, concat};
use crate::store::KeyRange;

/// Where a commit's stamp, and the place of the entry in the commit, are put behind. The generation is
/// that of the store: it rises when everything comes from another cluster or a backup, whose versions
/// may be higher ones, so that entries left later do not sort among those that an owner is about to
/// clear (cluster §5).
#[must_use]
pub fn intake_prefix(partition: PartitionId, generation: u32) -> Vec<u8> {
    concat(&[
        &[INTAKE],
        &partition.0.to_be_bytes(),
        &generation.to_be_bytes(),
    ])
}

/// Everything that was left for accounts of `partition`, of older generations as well.
#[must_use]
pub fn intake(partition: PartitionId) -> KeyRange {
    KeyRange::prefix(&concat(&[&[INTAKE], &partition.0.to_be_bytes()]))
}

/// Written by a commit that leaves something for the partition of another node: its owner watches it.
#[must_use]
pub fn wake_in(partition: PartitionId) -> Vec<u8> {
    concat(&[&[WAKE_IN], &partition.0.to_be_bytes()])
}

/// Everything that was left for anybody.
#[must_use]
pub fn intakes() -> KeyRange {
    KeyRange::prefix(&[INTAKE])
}

/// Where an entry of the intake of `partition`, under `key`, is set aside, and where the reason is.
#[must_use]
pub fn set_aside(partition: PartitionId, key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let place = |kind: u8| concat(&[&[ASIDE], &partition.0.to_be_bytes(), key, &[kind]]);
    (place(b'e'), place(b'w'))
}

/// What a key of table 24 says: partition, key in its intake, and kind.
#[must_use]
pub fn parse_set_aside(key: &[u8]) -> Option<(PartitionId, Vec<u8>, u8)> {
    let [ASIDE, high, low, rest @ .., kind] = key else {
        return None;
    };
    let partition = PartitionId(u16::from_be_bytes([*high, *low]));
    Some((partition, rest.to_vec(), *kind))
}

/// Everything that was set aside.
#[must_use]
pub fn all_set_aside() -> KeyRange {
    KeyRange::prefix(&[ASIDE])
}

/// The partition in whose intake `key` lies.
#[must_use]
pub fn partition_of_intake(key: &[u8]) -> Option<PartitionId> {
    let [INTAKE, high, low, ..] = *key else {
        return None;
    };
    Some(PartitionId(u16::from_be_bytes([high, low])))
}
