//! What has exactly one owner: a partition of accounts, or a shard of destinations (architecture A-1).

use serde::{Deserialize, Serialize};

use super::partition::PartitionId;
use crate::delivery::ShardId;

/// One thing that is owned, claimed, fenced and handed over by itself (cluster §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unit {
    /// Accounts.
    Partition(PartitionId),
    /// Destinations of the outbound pool.
    Shard(ShardId),
}

impl Unit {
    /// Every partition, then every shard.
    pub fn all() -> impl Iterator<Item = Self> {
        PartitionId::all()
            .map(Self::Partition)
            .chain(ShardId::all().map(Self::Shard))
    }
}

impl From<PartitionId> for Unit {
    fn from(partition: PartitionId) -> Self {
        Self::Partition(partition)
    }
}

impl From<ShardId> for Unit {
    fn from(shard: ShardId) -> Self {
        Self::Shard(shard)
    }
}
