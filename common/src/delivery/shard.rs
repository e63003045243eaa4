//! Which shard a destination belongs to: everything for one domain has one owner, so that one
//! controller sees all traffic there (delivery §11, architecture A-1).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::limits::OUTBOUND_SHARDS;

/// One of the [`OUTBOUND_SHARDS`] parts that destinations are divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard of the destination `domain` (canonical).
    #[must_use]
    pub fn of(domain: &str) -> Self {
        let digest = Sha512::digest(domain.as_bytes());
        Self(u16::from_be_bytes([digest[0], digest[1]]) % OUTBOUND_SHARDS)
    }

    /// All shards, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..OUTBOUND_SHARDS).map(Self)
    }
}
