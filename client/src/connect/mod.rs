//! Connecting devices to an account, and what they are afterwards (service §6; decisions Q-7, Q-9, Q-19,
//! Q-26, Q-36, Q-49 and Q-65; X-41 to X-45).
//!
//! ```text
//!  new device                    service                         administrator
//!  request ──Connect──▶ AcknowledgeConnection ──Inbound──▶ inbox ── the users compare witnesses,
//!     │                                                      │      or a PIN or an EARL's key does it
//!     │                 Device catalog ◀──Upload── a ───── answer
//!     └───Complete────▶ Local spool    ◀──Post──── b ────────┘
//!  activation: keys by co-generation, checked; from there on a device like any other
//! ```
//!
//! Everything is told again from what was kept: a request by the new device's file, an answer by the
//! replicas of the administrator. Whatever was interrupted, the same call goes on.
//!
//! | module | holds |
//! | --- | --- |
//! | [`request`], `kept`, [`activation`] | the new device |
//! | [`inbox`], [`answer`], [`pin`] | the administrator |
//! | [`earl`] | devices that wait at a hailing account: their maker, and who scans their code |
//! | `further` | further accounts of the same mesh |
//! | [`devices`] | the devices of an account, and removing one |

pub mod activation;
pub mod answer;
pub mod devices;
pub mod earl;
mod error;
mod further;
pub mod inbox;
pub(crate) mod kept;
pub mod pin;
pub mod request;

pub use answer::{Answered, Terms};
pub use devices::DeviceFacts;
pub use earl::Prepared;
pub use error::ConnectError;
pub use inbox::{Asked, Inbox, PinStanding, Standing};
pub use pin::{MadePin, PinAnswer};
pub use request::{NewRequest, Requested};
