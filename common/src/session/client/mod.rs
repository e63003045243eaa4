//! The client's end of `mmm-kx-1`: exchanges and ticket requests, and what to do when the service
//! asks for another try (service §4.2 and §4.3, X-17). Sans-IO: whoever uses it moves the bytes.
//!
//! ```text
//!  begin ─▶ seal ─▶ (HTTP) ─▶ receive ─┬─ Done(response)
//!             ▲                        ├─ SendAgain ────────┐
//!             └────────────────────────┼────────────────────┘
//!                    set_host ◀─ Hello ┴─ Refused(hint)
//! ```

mod attempt;
mod exchange;
mod identity;

pub use attempt::{Attempt, ClientError, ClientSession, Step};
pub use exchange::{ExchangeRequest, OpenedResponse, Pending, TicketRequest};
pub use identity::{ClientIdentity, ServiceIdentity, StoredTicket};
