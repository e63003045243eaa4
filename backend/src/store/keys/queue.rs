//! The keys of what waits for other services: tables 30 to 36, and the ownership records of shards
//! (delivery §11 and §13).

use mesh_common::cluster::PartitionId;
use mesh_common::delivery::{ItemId, ShardId};
use mesh_common::limits::PARTITIONS;
use mesh_common::time::Timestamp;

use super::{concat, hash16, part};
use crate::store::KeyRange;

const QUEUE: u8 = 0x30;
const BODY: u8 = 0x31;
const WAKE: u8 = 0x32;
const QUARANTINE: u8 = 0x33;
const SHARD: u8 = 0x34;
const PIN: u8 = 0x35;
const ONCE: u8 = 0x36;

/// The ownership record of a shard: the fence of what waits for its destinations.
#[must_use]
pub fn shard(shard: ShardId) -> Vec<u8> {
    part(PartitionId(PARTITIONS + shard.0))
}

/// A destination, as keys name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Zone {
    /// Who owns it.
    pub shard: ShardId,
    /// What stands for its domain.
    pub hash: [u8; 16],
}

impl Zone {
    /// The zone of the destination `domain` (canonical).
    #[must_use]
    pub fn of(domain: &str) -> Self {
        Self {
            shard: ShardId::of(domain),
            hash: hash16(&[domain.as_bytes()]),
        }
    }

    /// What is remembered of the destination.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.key(b"d")
    }

    /// Its items, in the order in which they are due.
    #[must_use]
    pub fn items(&self) -> KeyRange {
        KeyRange::prefix(&self.key(b"q"))
    }

    /// Everything of it.
    #[must_use]
    pub fn all(&self) -> KeyRange {
        KeyRange::prefix(&self.key(b""))
    }

    /// One of its items.
    #[must_use]
    pub fn item(&self, due_at: Timestamp, id: ItemId) -> Vec<u8> {
        let millis = u64::try_from(due_at.as_millis()).unwrap_or(0);
        concat(&[&self.key(b"q"), &millis.to_be_bytes(), &id.0])
    }

    fn key(&self, kind: &[u8]) -> Vec<u8> {
        concat(&[&[QUEUE], &self.shard.0.to_be_bytes(), &self.hash, kind])
    }
}

/// What a key of table 30 is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuePlace {
    /// What is remembered of a destination.
    Record(Zone),
    /// One item.
    Item {
        /// Of which destination.
        zone: Zone,
        /// When it is due.
        due_at: Timestamp,
        /// Which.
        id: ItemId,
    },
}

impl QueuePlace {
    /// What `key` says; `None` if it is no key of table 30.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (&QUEUE, rest) = key.split_first()? else {
            return None;
        };
        let (shard, rest) = rest.split_at_checked(2)?;
        let (hash, rest) = rest.split_at_checked(16)?;
        let zone = Zone {
            shard: ShardId(u16::from_be_bytes(shard.try_into().ok()?)),
            hash: hash.try_into().ok()?,
        };
        match rest.split_first()? {
            (b'd', []) => Some(Self::Record(zone)),
            (b'q', rest) => {
                let (due, id) = rest.split_at_checked(8)?;
                let millis = u64::from_be_bytes(due.try_into().ok()?);
                Some(Self::Item {
                    zone,
                    due_at: Timestamp::from_millis(i64::try_from(millis).ok()?),
                    id: ItemId(id.try_into().ok()?),
                })
            }
            _ => None,
        }
    }
}

/// What is remembered of the destination `domain` (canonical).
#[must_use]
pub fn destination(domain: &str) -> Vec<u8> {
    Zone::of(domain).record()
}

/// What waits for the destination `domain`, in the order in which it is due.
#[must_use]
pub fn queue(domain: &str) -> KeyRange {
    Zone::of(domain).items()
}

/// Everything of the destinations of `shard`.
#[must_use]
pub fn queues(shard: ShardId) -> KeyRange {
    KeyRange::prefix(&concat(&[&[QUEUE], &shard.0.to_be_bytes()]))
}

/// Everything of every destination.
#[must_use]
pub fn all_queues() -> KeyRange {
    KeyRange::prefix(&[QUEUE])
}

/// An item for the destination `domain`, due at `due_at`.
#[must_use]
pub fn queue_item(domain: &str, due_at: Timestamp, id: ItemId) -> Vec<u8> {
    Zone::of(domain).item(due_at, id)
}

/// The item that lies under `key`, if one does: the row of a destination does not tell one.
#[must_use]
pub fn parse_queue_item(key: &[u8]) -> Option<(ShardId, ItemId)> {
    match QueuePlace::parse(key)? {
        QueuePlace::Item { zone, id, .. } => Some((zone.shard, id)),
        QueuePlace::Record(_) => None,
    }
}

/// The message of an item.
#[must_use]
pub fn queue_body(shard: ShardId, id: ItemId) -> Vec<u8> {
    concat(&[&[BODY], &shard.0.to_be_bytes(), &id.0])
}

/// The messages of all items.
#[cfg(feature = "bottle")]
#[must_use]
pub fn bodies() -> KeyRange {
    KeyRange::prefix(&[BODY])
}

/// The shard of the item whose message lies under `key`.
#[cfg(feature = "bottle")]
#[must_use]
pub fn shard_of_body(key: &[u8]) -> Option<ShardId> {
    let [BODY, high, low, ..] = *key else {
        return None;
    };
    Some(ShardId(u16::from_be_bytes([high, low])))
}

/// When something was queued last for a destination of `shard`.
#[must_use]
pub fn wake(shard: ShardId) -> Vec<u8> {
    concat(&[&[WAKE], &shard.0.to_be_bytes()])
}

/// The same for all shards.
#[must_use]
pub fn wakes() -> KeyRange {
    KeyRange::prefix(&[WAKE])
}

/// The shard whose wake row `key` is.
#[must_use]
pub fn shard_of_wake(key: &[u8]) -> Option<ShardId> {
    let [WAKE, high, low] = *key else { return None };
    Some(ShardId(u16::from_be_bytes([high, low])))
}

/// Where an item is put that cannot be handled, and beside it its message, and the reason.
#[must_use]
pub fn quarantined(shard: ShardId, id: ItemId) -> [Vec<u8>; 3] {
    let place = |kind: u8| concat(&[&[QUARANTINE], &shard.0.to_be_bytes(), &id.0, &[kind]]);
    [place(b'e'), place(b'b'), place(b'w')]
}

/// Everything in quarantine.
#[must_use]
pub fn all_quarantined() -> KeyRange {
    KeyRange::prefix(&[QUARANTINE])
}

/// What a key of table 33 says: shard, item and kind.
#[must_use]
pub fn parse_quarantined(key: &[u8]) -> Option<(ShardId, ItemId, u8)> {
    let [QUARANTINE, high, low, id @ .., kind] = key else {
        return None;
    };
    let shard = ShardId(u16::from_be_bytes([*high, *low]));
    Some((shard, ItemId(id.try_into().ok()?), *kind))
}

/// How the owners of `shard` ended lately, and what they were doing.
#[must_use]
pub fn suspect(shard: ShardId) -> Vec<u8> {
    concat(&[&[SHARD], &shard.0.to_be_bytes()])
}

/// The same for all shards.
#[must_use]
pub fn suspects() -> KeyRange {
    KeyRange::prefix(&[SHARD])
}

/// The shard that `key`, one of [`suspects`], is about.
#[must_use]
pub fn shard_of_suspect(key: &[u8]) -> Option<ShardId> {
    let [SHARD, high, low] = *key else {
        return None;
    };
    Some(ShardId(u16::from_be_bytes([high, low])))
}

/// Which service the domain `domain` (canonical) had before.
#[must_use]
pub fn pin(domain: &str) -> Vec<u8> {
    concat(&[&[PIN], domain.as_bytes()])
}

/// Where a commit's stamp, and the place in the commit, are put behind, for orders that the owner of `shard` is
/// to carry out once.
#[must_use]
pub fn once_prefix(shard: ShardId) -> Vec<u8> {
    concat(&[&[ONCE], &shard.0.to_be_bytes()])
}

/// All orders that owners of shards are to carry out once.
#[must_use]
pub fn all_once() -> KeyRange {
    KeyRange::prefix(&[ONCE])
}

/// The shard whose owner is to carry out what `key`, one of [`all_once`], holds.
#[must_use]
pub fn shard_of_once(key: &[u8]) -> Option<ShardId> {
    let [ONCE, high, low, ..] = *key else {
        return None;
    };
    Some(ShardId(u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(key: &[u8]) -> String {
        key.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    const ZONE: Zone = Zone {
        shard: ShardId(0x00fe),
        hash: [0x22; 16],
    };
    const ID: ItemId = ItemId([0x33; 16]);

    /// The layout is a promise to every store ever written: a change here needs a migration.
    #[test]
    fn the_keys_of_the_queue_are_as_they_were_promised() {
        let (hash, id) = ("22".repeat(16), "33".repeat(16));
        let [entry, body, why] = quarantined(ShardId(0x00fe), ID);
        let rows = [
            (shard(ShardId(1)), "020401".to_owned()),
            (ZONE.record(), format!("3000fe{hash}64")),
            (
                ZONE.item(Timestamp::from_millis(0x0102), ID),
                format!("3000fe{hash}710000000000000102{id}"),
            ),
            (queue_body(ShardId(0x00fe), ID), format!("3100fe{id}")),
            (wake(ShardId(0x00fe)), "3200fe".to_owned()),
            (entry, format!("3300fe{id}65")),
            (body, format!("3300fe{id}62")),
            (once_prefix(ShardId(0x00fe)), "3600fe".to_owned()),
            (why, format!("3300fe{id}77")),
            (suspect(ShardId(0x00fe)), "3400fe".to_owned()),
            (pin("a.example"), "35612e6578616d706c65".to_owned()),
        ];
        for (key, promised) in rows {
            assert_eq!(hex(&key), promised);
        }
    }

    #[test]
    fn a_key_says_what_it_was_made_of() {
        let due_at = Timestamp::from_millis(77);
        let item = QueuePlace::Item {
            zone: ZONE,
            due_at,
            id: ID,
        };
        assert_eq!(QueuePlace::parse(&ZONE.item(due_at, ID)), Some(item));
        let record = QueuePlace::Record(ZONE);
        assert_eq!(QueuePlace::parse(&ZONE.record()), Some(record));
        assert_eq!(QueuePlace::parse(&queue_body(ShardId(1), ID)), None);
        assert_eq!(shard_of_wake(&wake(ShardId(7))), Some(ShardId(7)));
        assert_eq!(shard_of_suspect(&suspect(ShardId(7))), Some(ShardId(7)));
        let [entry, ..] = quarantined(ShardId(7), ID);
        assert_eq!(parse_quarantined(&entry), Some((ShardId(7), ID, b'e')));
    }

    #[test]
    fn the_items_of_a_destination_lie_behind_its_record_in_the_order_in_which_they_are_due() {
        let zone = Zone::of("b.example");
        let early = zone.item(Timestamp::from_millis(5), ID);
        let late = zone.item(Timestamp::from_millis(6), ItemId([0; 16]));
        assert!(zone.record() < early && early < late);
        assert!(queue("b.example").contains(&late) && zone.all().contains(&zone.record()));
        assert!(!queue("b.example").contains(&zone.record()));
        assert!(queues(zone.shard).contains(&late) && all_queues().contains(&late));
    }
}
