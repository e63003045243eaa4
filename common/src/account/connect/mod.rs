//! Devices that ask to be connected: Connect puts a request before the account's administrators,
//! Complete asks for their answer (service §6.2, §6.3, §6.5; decisions Q-36 and Q-49).
//!
//! ```text
//!  Connect ──▶ AcknowledgeConnection in Inbound, pending row ──▶ Complete: 350/110
//!                RespondConnection in Local ──▶ row answered ──▶ Complete: 201, seven days long
//!                entry of the device deleted ──▶ row forgotten ─▶ Complete: 404/6
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `pending` | the rows, and the stages of their life |
//! | `request` | Connect |
//! | `complete` | Complete |
//! | `publication` | what hailing accounts publish |
//! | `follow` | what other transactions mean for the rows: answers, and devices that leave |

mod complete;
mod follow;
mod pending;
mod publication;
mod request;

pub use follow::{answers_pending, follow};
pub use pending::{Connections, PendingConnection, Stage};
pub use publication::{Publication, publication, publication_id, publication_needs};

pub(super) use complete::{add_needs, decide as decide_complete};
pub(super) use request::decide as decide_connect;
