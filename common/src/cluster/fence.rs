//! The fencing token: which claim of a partition or shard a write was made under (cluster §4.2, §4.4).

use serde::{Deserialize, Serialize};

/// Rises with every change of owner; ordered by generation first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// Raised when a store is restored from a backup.
    pub generation: u32,
    /// Raised when a partition is claimed.
    pub epoch: u64,
}
