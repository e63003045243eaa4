//! The nine transactions of the Mesh Service Protocol, one file each: the structures of protocol
//! draft §10, and the tags under which they travel (service §2.4).
//!
//! A request is `{"Status":{…}}` (or `{"StatusRequest":{…}}`, X-12); its response is
//! `{"StatusResponse":{…}}`, also when it refuses. `MeshResponse` answers what could not be told.

mod complete;
mod connect;
mod constraints;
mod create_account;
mod delete_account;
mod download;
mod hello;
mod known_state;
mod post;
mod request;
mod response;
mod status;
pub mod status_code;
mod status_rows;
mod upload;

pub use complete::{CompleteRequest, CompleteResponse};
pub use connect::{ConnectRequest, ConnectResponse};
pub use constraints::{
    ConstraintsData, ConstraintsSelect, ContainerStatus, ContainerUpdate, KeyValue, PolicyAccount,
};
pub use create_account::{CreateRequest, CreateResponse};
pub use delete_account::{DeleteRequest, DeleteResponse};
pub use download::{DownloadRequest, DownloadResponse};
pub use hello::{Encoding, HelloRequest, HelloResponse, Version};
pub use known_state::{KnownState, KnownStateError};
pub use post::{PostRequest, PostResponse};
pub use request::{Request, Transaction};
pub use response::{MeshResponse, Outcome, Response};
pub use status::{StatusRequest, StatusResponse};
pub use status_code::Code;
pub use status_rows::StatusRows;
pub use upload::{EntryResponse, EntryResult, UploadRequest, UploadResponse};
