//! The owner of accounts: an ordered transactional store and, over it, the partition actors.
//!
//! Reading order: [`store`] first (what is kept and what a commit promises), then what is built on it.

pub mod config;
pub mod metrics;
pub mod partition;
pub mod store;
pub mod system;
