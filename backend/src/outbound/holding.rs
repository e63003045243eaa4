//! The shards that one life of the dispatcher holds, and how far it is with each.
//!
//! ```text
//!  claimed ─▶ Arriving ─────────────▶ Working ─▶ Leaving ─────────────▶ let go of
//!            how the owner before               what is in flight ends
//!            ended is noted
//! ```
//!
//! Where owners ended badly again and again, one item is handled at a time: one of all such shards of the
//! node together, so that it is known which one it was. Other shards are not slowed down by that.

use std::collections::{BTreeMap, BTreeSet};

use mesh_common::cluster::Ownership;
use mesh_common::delivery::ShardId;
use mesh_common::time::Timestamp;

use super::rows::Owners;
use super::settle::Settlement;
use crate::partition::records::Rows;
use crate::store::keys;

/// How far this life is with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is not known yet how the owner before ended.
    Arriving,
    /// Its messages are sent.
    Working,
    /// Nothing more begins; what is in flight may end.
    Leaving,
}

/// Why, and until when, one item is handled at a time.
#[derive(Debug, Clone)]
pub(crate) struct Caution {
    /// How the owners before ended.
    pub(crate) owners: Owners,
    pub(crate) until: Timestamp,
}

/// A shard that is ours.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The record by which it is.
    pub(crate) ownership: Ownership,
    pub(crate) phase: Phase,
}

/// Shards that are ours.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    shards: BTreeMap<ShardId, Held>,
    /// Those where one item is handled at a time.
    cautious: BTreeMap<ShardId, Caution>,
}

impl Holding {
    /// Holds `shard` in addition.
    pub(crate) fn add(&mut self, shard: ShardId, ownership: Ownership, phase: Phase) {
        self.shards.insert(shard, Held { ownership, phase });
    }

    /// Handles one item of `shard` at a time.
    pub(crate) fn be_cautious(&mut self, shard: ShardId, caution: Caution) {
        self.cautious.insert(shard, caution);
    }

    /// Holds `shard` no more.
    pub(crate) fn remove(&mut self, shard: ShardId) {
        self.shards.remove(&shard);
        self.cautious.remove(&shard);
    }

    pub(crate) fn get(&self, shard: ShardId) -> Option<&Held> {
        self.shards.get(&shard)
    }

    pub(crate) fn get_mut(&mut self, shard: ShardId) -> Option<&mut Held> {
        self.shards.get_mut(&shard)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ShardId, &Held)> {
        self.shards.iter().map(|(shard, held)| (*shard, held))
    }

    /// Whether messages of `shard` are sent from here.
    pub(crate) fn works_for(&self, shard: ShardId) -> bool {
        let held = self.shards.get(&shard);
        held.is_some_and(|held| held.phase == Phase::Working)
    }

    /// Whether something may be written about `shard`.
    pub(crate) fn may_write(&self, shard: ShardId) -> bool {
        let held = self.shards.get(&shard);
        held.is_some_and(|held| held.phase != Phase::Arriving)
    }

    /// The shards whose messages are sent from here.
    pub(crate) fn working(&self) -> BTreeSet<ShardId> {
        let working = self.iter().filter(|(_, held)| held.phase == Phase::Working);
        working.map(|(shard, _)| shard).collect()
    }

    /// The records of all shards.
    pub(crate) fn records(&self) -> BTreeMap<ShardId, Ownership> {
        let records = self.iter();
        records
            .map(|(shard, held)| (shard, held.ownership))
            .collect()
    }

    /// The records of the shards that `settlements` are about, as far as they are ours.
    pub(crate) fn held_by(&self, settlements: &[Settlement]) -> BTreeMap<ShardId, Ownership> {
        let held = |one: &Settlement| Some((one.shard, self.shards.get(&one.shard)?.ownership));
        settlements.iter().filter_map(held).collect()
    }

    /// Whether one item is handled at a time in `shard`.
    pub(crate) fn is_cautious(&self, shard: ShardId) -> bool {
        self.cautious.contains_key(&shard)
    }

    /// Whether one item is handled at a time in any shard.
    pub(crate) fn is_anywhere_cautious(&self) -> bool {
        !self.cautious.is_empty()
    }

    /// In how many shards one item is handled at a time.
    pub(crate) fn cautious_count(&self) -> usize {
        self.cautious.len()
    }

    /// Whether one item is handled at a time in every shard.
    pub(crate) fn is_everywhere_cautious(&self) -> bool {
        self.is_anywhere_cautious() && self.cautious.len() == self.shards.len()
    }

    /// When the first caution is over.
    pub(crate) fn cautious_until(&self) -> Option<Timestamp> {
        self.cautious.values().map(|caution| caution.until).min()
    }

    /// Ends caution that was long enough; says whether there was any.
    pub(crate) fn end_caution(&mut self, now: Timestamp) -> bool {
        let before = self.cautious.len();
        self.cautious.retain(|_, caution| caution.until > now);
        self.cautious.len() < before
    }

    /// Notes in `rows` which item of `shard` is being handled, or that none is.
    pub(crate) fn note_suspect(&self, shard: ShardId, suspect: Option<&[u8]>, rows: &mut Rows) {
        if let Some(caution) = self.cautious.get(&shard) {
            let owners = Owners {
                suspect: suspect.map(<[u8]>::to_vec),
                ..caution.owners.clone()
            };
            rows.set(keys::suspect(shard), owners.encode());
        }
    }
}
