//! Services that other services deliver to, as many as you like in one process, each good or bad in
//! its own way: for whoever builds the sending side of the drafts (P 9.1.2) and wants to see it meet a
//! federation before the federation meets it.
//!
//! A simulated peer has a domain, a ProfileService and host of its own, and a certificate from a test
//! authority. It answers Hello, Service-mode exchanges and Posts by exchange or ticket, over HTTPS on
//! loopback, exactly as its [`Conduct`] says, and counts what it saw. Nothing is stored but the ids of
//! the messages it kept.
//!
//! ```text
//!  connection ─▶ door: open, refused, reset, silent, a certificate with a flaw
//!      └─▶ Hello · exchange · ticket         the service's end of common::session
//!            └─▶ Post ─▶ a slot, the latency ─▶ deed: keep, forget, refuse, redirect, garble, never
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`kind`] | the kinds of peers by name: healthy, slow, tiny, flapping, black hole, … |
//! | [`conduct`] | what a kind consists of, so that a test can make its own |
//! | [`simulator`] | many peers behind one listener or many, on threads of their own |
//! | [`simulated`] | one of them: changed while it runs, asked what it saw |
//! | [`seen`] | what peers saw, and waiting for it |
//! | [`certificates`] | the test authority |
//!
//! The program `peer-simulator` is the same for those who test another implementation.

mod answer;
pub mod certificates;
pub mod conduct;
mod connection;
mod identity;
pub mod kind;
pub mod seen;
pub mod simulated;
pub mod simulator;

#[cfg(test)]
mod tests;

pub use certificates::Authority;
pub use conduct::{Conduct, Deed, Door, Flaw};
pub use kind::Kind;
pub use seen::{Arrival, Seen};
pub use simulated::Peer;
pub use simulator::{Listeners, Settings, Simulator};

use std::time::Instant;

/// The present moment, by the clock that measures durations.
#[expect(
    clippy::disallowed_methods,
    reason = "a simulator measures when messages arrive"
)]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
