//! Partitions: the unit of ownership and of concurrency (architecture A-1, cluster §4 and §7).

mod codec;
mod ownership;

pub use codec::RowError;
pub use ownership::{ClaimError, Contended, Fence, Fenced, Incarnation};
