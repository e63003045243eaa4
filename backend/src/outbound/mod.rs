//! What leaves for other services (delivery §11 and §13): the queue of each destination in the store, its
//! owner, and the way of each message until its sender knows what became of it.
//!
//! ```text
//!  sender's partition ──one commit──▶ item, message, wake row;  then the bell
//!                                          │
//!  dispatcher: what is due is read ─▶ Pool decides ─▶ transfer ─▶ Carrier ─▶ peer
//!                                          ▲                         │
//!          one commit under the fence: item gone or due later,  ◀────┘
//!          and what the sender is told, in the intake of the sender's partition
//! ```
//!
//! What holds:
//! * A shard has one owner. Every write of it carries the shard's fence; who is fenced off stops.
//! * An item's row goes with the commit that says what became of it, and with nothing else. So it is
//!   never lost; sent twice only where the process ended between a transfer and its commit, or the same
//!   commit failed; and then under the same id, by which the peer knows it.
//! * No item is in flight twice in one life of the owner.
//! * Memory does not depend on what waits: of each destination the next 256 items that are due, by id and
//!   size, and fewer where there are many destinations; messages only while they are being sent.
//!
//! | the process ends | what the next one finds |
//! | --- | --- |
//! | before the post is committed | nothing: the device posts again |
//! | after it, before the bell | the item: the first round over the queue |
//! | while it is sent, or before the commit about it | the item: it is sent again, and known there |
//! | while that commit is on its way | the item or what became of it, never both |
//! | after it, before the bell of the intake | the outcome in the sender's intake, which is looked at |
//!
//! | module | holds |
//! | --- | --- |
//! | `handle` | what the process around it sees: start, ask, steer, stop |
//! | `dispatcher` | the owner of shards at work |
//! | `shards` | which shards are ours, as the loop of the node tells it while everything runs |
//! | `holding` | which of them one life of the dispatcher works for |
//! | `takeover` | claiming all shards at once, letting go of them, and who ended badly |
//! | `load` | what is read of the queue |
//! | `transfer`, `carrier` | one message on its way |
//! | `settle` | what is written, under which fences |
//! | `local` | domains that have come to be served here |
//! | `bell`, `depths` | who is told that something was queued, and how much waits |
//! | `abroad` | the owners of shards on other nodes are told |
//! | `once` | orders about messages that others work for |
//! | `survey` | how much waits, and charged to whom, where other nodes queue too |
//! | `rows` | how all of it is written |
//! | `pins` | which service each domain had before |

pub(crate) mod abroad;
pub(crate) mod bell;
mod carrier;
mod config;
pub(crate) mod depths;
mod dispatcher;
mod handle;
mod holding;
pub(crate) mod load;
mod local;
pub(crate) mod once;
mod pins;
pub(crate) mod rows;
mod settle;
pub(crate) mod shards;
pub(crate) mod survey;
pub(crate) mod takeover;
mod transfer;

pub use carrier::{Carrier, Transfer};
pub use config::OutboundConfig;
pub use depths::Depth;
#[cfg(feature = "bottle")]
pub(crate) use handle::dispatch;
pub use handle::{Outbound, OutboundError};
pub use takeover::TakeoverError;
