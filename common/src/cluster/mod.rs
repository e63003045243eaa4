//! How front-ends reach the accounts: partitions, and the handle that stands for a back-end,
//! whether it lives in this process or behind a link (cluster §4.6, decision Q-66).

pub mod changes;
pub mod handle;
pub mod partition;

pub use changes::{Changes, Watch};
pub use handle::{
    AccountRequest, Answer, Backend, CallFailure, ConnectEvidence, ContentEvidence, CreateEvidence,
    DeviceEvidence, DeviceFacts, Evidence, MessageEvidence, MessageSigners, SigningDevice,
    SigningKeys, Verified,
};
pub use partition::PartitionId;
