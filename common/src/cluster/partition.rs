//! Which partition an account belongs to.
//!
//! Draft: cluster §5 hashes a random account id, which a front-end without a store cannot know. Here
//! the partition comes from the canonical address, and the account id *begins* with it, so that
//! every key of the account still lies in its partition's range (design note 0001).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::address::AccountAddress;
use crate::limits::PARTITIONS;

/// One of the [`PARTITIONS`] parts that accounts are divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionId(pub u16);

impl PartitionId {
    /// The partition of the account with this address.
    #[must_use]
    pub fn of(address: &AccountAddress) -> Self {
        let digest = Sha512::digest(address.canonical().as_bytes());
        Self(u16::from_be_bytes([digest[0], digest[1]]) % PARTITIONS)
    }

    /// All partitions, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }
}
