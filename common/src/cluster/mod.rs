//! How front-ends reach the accounts: partitions, and the handle that stands for a back-end,
//! whether it lives in this process or behind a link (cluster §4.6, decision Q-66).

pub mod changes;
pub mod fence;
pub mod handle;
pub mod node;
pub mod partition;
pub mod routes;
pub mod service;
pub mod unit;

pub use changes::{Changes, Watch};
pub use fence::Fence;
pub use handle::{
    AccountRequest, Answer, Backend, CallFailure, ConnectEvidence, ContentEvidence, CreateEvidence,
    DeviceEvidence, DeviceFacts, Evidence, MessageEvidence, MessageSigners, SigningDevice,
    SigningKeys, Verified,
};
pub use node::{NodeId, NodeRecord, Roles};
pub use partition::PartitionId;
pub use routes::{Route, RoutedNode, RoutingTable};
pub use service::{NodeService, Nudge, TicketSecret, Told};
pub use unit::Unit;
