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
//! | `told` | what the sender of a message is told |

pub mod attempt;
pub mod item;
pub mod shard;
mod told;

pub use attempt::{Answered, Attempt, End, Trouble, Unreachable};
pub use item::{Class, ItemId, QueueItem, Queued};
pub use shard::ShardId;
