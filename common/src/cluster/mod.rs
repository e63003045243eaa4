//! How front-ends reach the accounts: partitions, and the handle that stands for a back-end,
//! whether it lives in this process or behind a link (cluster §4.6, decision Q-66); and how several nodes
//! agree on who owns which partition: [`keeper`] decides, [`ownership`] is what the store checks, and
//! [`placement`], [`observer`] and [`times`] are what a decision rests on; [`belief`] says how long a node may go
//! by what it remembers of it (cluster §4, note 0008).

pub mod belief;
pub mod changes;
pub mod fence;
pub mod handle;
pub mod keeper;
pub mod level;
pub mod node;
pub mod observer;
pub mod owners;
pub mod ownership;
pub mod partition;
pub mod placement;
pub mod routes;
pub mod secret;
pub mod service;
pub mod times;
pub mod unit;
pub mod wire;

pub use belief::Belief;
pub use changes::{Changes, Watch};
pub use fence::Fence;
pub use handle::{
    AccountRequest, Answer, Backend, CallFailure, ConnectEvidence, ContentEvidence, CreateEvidence,
    DeviceEvidence, DeviceFacts, Evidence, MessageEvidence, MessageSigners, SigningDevice,
    SigningKeys, Verified,
};
pub use keeper::{
    Basis, Bid, Claim, ClaimOutcome, Effect, Event, Keeper, KeeperSettings, ReleaseOutcome, Tables,
};
pub use level::{LevelWatch, Readiness};
pub use node::{NodeId, NodeRecord, Roles};
pub use observer::Observer;
pub use owners::Owners;
pub use ownership::Ownership;
pub use partition::PartitionId;
pub use placement::{Candidate, Placement};
pub use routes::{Route, RoutedNode, RoutingTable};
pub use secret::{CLUSTER_SECRET_BYTES, ClusterSecret, NoSecret, NotOurs};
pub use service::{NodeService, Nudge, PassFailure, TicketSecret, Told};
pub use times::{Times, TimesError};
pub use unit::Unit;
