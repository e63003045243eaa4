//! The owner of accounts: an ordered transactional store and, over it, the partition actors.
//!
//! What it does not do: it opens no socket (but for engines of stores that are elsewhere), checks no signature, and knows
//! nothing of HTTP. Whoever
//! asks has established who is asking (architecture A-2); whoever answers has committed first.
//!
//! ```text
//!  front-end ─▶ BackendHandle ─▶ PartitionActor ─▶ common::account decides ─▶ Store commits ─▶ answer
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`store`] | what is kept and what a commit promises; engines; the one table of keys |
//! | [`partition`] | one owner per partition: queue, batches, fence, rows, upkeep |
//! | [`node`] | starting: meta, claims, threads |
//! | [`cluster`] | being one of several nodes over one store |
//! | [`handle`] | the back-end as front-ends call it |
//! | `inbound` | what comes from other services |
//! | `bell` | who is told that something was left for them |
//! | [`outbound`] | what leaves for other services |
//! | [`desk`] | the queues as their operator sees and steers them |
//! | [`moving`] | accounts checked, copied, written to files, read back |
//! | [`service_keys`] | the secrets of the service, used beside the partitions |
//! | [`tickets`] | the secrets of tickets, as the nodes of a cluster share them |
//! | [`operator`] | the back-end as the process around it and its operator call it |
//! | [`usage`] | what the accounts of each domain use |
//! | [`config`], [`metrics`], [`system`] | settings, measures, the machine's time and chance |

mod backlog;
mod bell;
#[cfg(feature = "bottle")]
pub mod bottled;
pub mod cluster;
mod commits;
pub mod config;
pub mod desk;
mod escrow;
pub mod handle;
mod inbound;
pub mod metrics;
pub mod moving;
pub mod node;
pub mod operator;
pub mod outbound;
mod pace;
pub mod partition;
pub mod service_keys;
pub mod store;
pub mod system;
#[cfg(test)]
mod tests;
pub mod tickets;
pub mod usage;

pub use cluster::{ClusterConfig, Neighbours, NoNeighbours};
pub use config::BackendConfig;
pub use handle::BackendHandle;
pub use operator::{ListedAccount, NotReady};
pub use service_keys::{ServiceKeys, ServiceSecrets};
pub use system::{SystemClock, SystemEntropy};

/// The back-end, by the name it is started with: `Backend::start(config, store, clock, entropy, keys)`.
pub type Backend<S> = BackendHandle<S>;
