//! The account machine: what must be known of an account, what a request does to it, and what it
//! then is. *Decide* looks and returns a transition or a refusal; the shell commits; *apply* makes it
//! so (architecture §4).
//!
//! ```text
//!             Standing ──┐
//!  AccountRequest ──▶ needs ──▶ Needs ──(shell reads)──▶ Lookups
//!                        │                                  │
//!                        └──────▶ decide ◀──────────────────┘
//!                                   │
//!          Answer ◀── nothing to write ── Transition ──(shell commits)──▶ Standing::apply, answer
//!                                   │
//!                               DownloadPlan ──(shell feeds frames)──▶ DownloadAssembly ──▶ answer
//! ```

mod access;
pub mod apply;
pub mod change;
pub(crate) mod compact;
pub mod connect;
mod create;
pub mod decide;
mod delete;
pub mod devices;
pub mod download;
pub mod frame;
pub mod heads;
pub mod inbound;
pub mod intake;
pub mod needs;
pub mod policy;
mod post;
mod refusal;
pub mod retention;
pub mod state;
mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod upload;
pub mod usage;

pub use change::{
    Change, DirectoryEntry, MessageKey, MessageRow, RecipientRow, ReplayKey, ReplayRow, SendingRow,
    Tombstone, Transition, UniqueRow,
};
pub use connect::{Connections, PendingConnection};
pub use decide::{Decision, decide, is_recognized, needs};
pub use devices::{DeviceEntry, DeviceIndex};
pub use download::{DownloadAssembly, DownloadPlan};
pub use frame::{FrameRecord, StoredFrame};
pub use heads::Heads;
pub use intake::{IntakeBody, IntakeEntry, IntakeId, IntakeMessage, MessageOutcome, MessageSender};
pub use needs::{Lookups, Needs};
pub use policy::{AccountPolicy, ConnectionRules, DomainLimits, OutboundRates, QueuePolicy};
pub use post::PostingCounts;
pub use retention::{Reason, Retention};
pub use state::{
    AccountId, AccountRecord, AccountState, AccountStatus, ContainerNumber, Head, Standing, Tip,
};
pub use usage::{DomainRoom, DomainUsage, MessageRoom, UsageChange};
