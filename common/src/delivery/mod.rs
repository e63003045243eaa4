//! Delivery to other services, as far as it needs neither sockets nor a store (delivery §11–§13).
//!
//! ```text
//!  Post ─▶ QueueItem ─▶ (store) ─▶ the owner of the destination's shard ─▶ one transfer ─▶ Attempt
//!                                          ▲                                                  │
//!                                          └────────── what becomes of item and destination ◀─┘
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`shard`] | who owns a destination |
//! | [`item`] | what waits in the queue |
//! | [`attempt`] | what one transfer came to |
//! | [`scope`] | what is counted of the queue |
//! | `told` | what the sender of a message is told |
//! | [`judge`] | what that means, for the message and for the destination |
//! | [`retry`] | when a message is tried again, and when it is given up |
//! | [`controller`], [`breaker`] | how much goes to one destination, and when nothing does |
//! | [`governor`] | how much this node does, and whether the trouble is ours |
//! | [`fairness`] | in which order the items of a destination go |
//! | [`pool`] | all of it: the machine that the owner of shards drives |

pub mod attempt;
pub mod breaker;
mod chance;
pub mod controller;
pub mod fairness;
pub mod governor;
pub mod item;
pub mod judge;
pub mod pool;
pub mod retry;
pub mod scope;
pub mod shard;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod told;

pub use attempt::{Answered, Attempt, End, Trouble, Unreachable};
pub use breaker::BreakerState;
pub use fairness::Due;
pub use item::{Class, ItemId, QueueItem, Queued};
pub use judge::{Failure, Fate, Judgement, Lasting, Reason};
pub use pool::{Pool, PoolSettings, Refill, Remembered, Standing, Start};
pub use scope::QueueScope;
pub use shard::ShardId;
