//! Partitions: the unit of ownership and of concurrency (architecture A-1, cluster §4 and §7).
//!
//! In reading order:
//!
//! | module | holds |
//! | --- | --- |
//! | `commands` | what a partition can be asked |
//! | `actor` | one partition at work |
//! | `queue`, `accounts` | what waits; what is in memory |
//! | `shown` | what is in memory, for every thread to read |
//! | `batch` | waiting operations become one commit |
//! | `doubts` | what counts as queued while a commit's result is unknown |
//! | `ownership`, `version_chain` | who may write: claims and fences; the fence without a read |
//! | `drain`, `contacts` | what others left becomes one commit; who may leave what |
//! | `conduct` | how services stand that forward messages |
//! | `records`, `codec` | accounts as rows |
//! | `reading` | rows as accounts, lookups and frames |
//! | `upkeep`, `retention` | what expires and what is purged; what of containers is not kept for good |

mod accounts;
mod actor;
pub(crate) mod batch;
mod codec;
pub(crate) mod commands;
pub(crate) mod conduct;
pub(crate) mod contacts;
pub(crate) mod doubts;
pub(crate) mod drain;
mod ownership;
mod queue;
pub(crate) mod reading;
pub(crate) mod records;
mod retention;
pub(crate) mod shared;
mod shown;
mod upkeep;
pub(crate) mod version_chain;

pub(crate) use accounts::NodeAccounts;
pub(crate) use actor::PartitionActor;
pub(crate) use batch::{commit, is_too_large, too_late};
pub use codec::RowError;
pub(crate) use codec::{Reader, Writer};
pub(crate) use ownership::Claimant;
pub use ownership::{ClaimError, Contended, Fenced};
pub(crate) use ownership::{
    check_held, decode as decode_ownership, encode as encode_ownership, without_owner,
};
pub(crate) use records::directory;
pub use upkeep::Tended;
pub(crate) use upkeep::is_due;
