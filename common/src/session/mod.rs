//! Who is asking: nobody, a device, a connected device, a service; by exchange or by ticket
//! (service §4).
//!
//! ```text
//!  body ─▶ read_body ─┬─ Bare, Plain ─▶ Hello only
//!                     └─ Sealed ─▶ examine ─▶ open ─┬─ Ticket ───────────▶ Authenticated
//!                        (checks 1–3)  (check 5)    └─ Exchange ─▶ verify ─▶ Authenticated
//!                                                         (check 6)    caller, plaintext, Sealer
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`form`], [`schedule`] | the JSON and the keys of `mmm-kx-1`, the same for both ends |
//! | [`host_keys`], [`ticket`] | the service's secrets |
//! | [`open`], [`credential`], [`sealer`] | the service's end: checks 1 to 6, and the answer |
//! | [`rules`], [`evidence`], `connection` | what may be asked how, and what the content of a request proves |
//! | [`body`] | the three forms of an HTTP body |
//! | [`client`] | the client's end |

pub mod body;
pub mod caller;
pub mod client;
mod connection;
pub mod credential;
pub mod evidence;
pub mod form;
pub mod host_keys;
pub mod open;
mod opened;
pub mod rules;
pub mod schedule;
pub mod sealer;
pub mod ticket;

use std::fmt;

use crate::error::ServiceError;
use crate::protocol::Code;

pub use body::{BareRequest, Body, parse_request, read_body};
pub use caller::{Caller, Mode, RequestId, Via};
pub use client::{ClientSession, Pending};
pub use connection::{connect_evidence, connection_account};
pub use credential::{Authenticated, CreationProof, OpenedExchange};
pub use evidence::{
    Leniency, content_evidence, content_evidence_by, create_evidence, has_signed_content,
};
pub use host_keys::{HostKeyError, HostKeys};
pub use open::{Examined, Opened, examine, open_request};
pub use rules::{account_for, check_mode};
pub use schedule::SessionSecret;
pub use sealer::{Sealer, TicketGrant};
pub use ticket::{Epoch, Ticket, TicketError, TicketKeys};

/// The refusal of everything that fails in checks 5 and 6: always the same to the peer
/// (decision Q-1).
#[must_use]
pub fn authentication_failed(context: impl fmt::Display) -> ServiceError {
    ServiceError::new(
        Code::AuthenticationFailed,
        "the request could not be authenticated",
    )
    .with_context(context)
}

#[cfg(test)]
mod tests;
