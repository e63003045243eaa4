//! How one service finds, greets and posts to another: DNS, addresses, TLS connections that are kept
//! warm, Service-mode sessions (service §7.3 and §9; delivery §11; decisions Q-8, Q-17, Q-52, Q-60).
//!
//! Both ends use it: the outbound pool to post, the front-end to call back whoever posts here.
//!
//! ```text
//!  Peers::post ─▶ locate ─▶ session ─▶ connection ─▶ exchange ─▶ Attempt
//!  Peers::greet ─▶ locate ───────────▶ connection ─▶ Hello ────▶ Greeting
//!                   DNS,      ticket,    warm or        HTTP/1.1
//!                   cache     profile    TLS 1.3
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`peers`] | [`Peers`]: what the rest of the program calls |
//! | [`settings`] | `[discovery]` of the configuration |
//! | [`greeting`] | whom a domain's profiles name, and the failure to learn it |
//! | [`back_ends`] | where the back-ends of our own service are |
//! | [`pins`] | where it is remembered for good which service a domain has |
//! | `locator`, `dns` | where services are: memory, and lookups that are shared |
//! | `connections`, `dial`, `tls` | one request over a warm or a new connection |
//! | `hello`, `memory` | who is there, and the tickets all transfers share |
//! | `measures` | how lookups do |
//! | `transfer`, `answer` | one transfer, and what came back |

mod answer;
mod connections;
mod dial;
mod dns;
mod hello;
mod locator;
mod measures;
mod memory;
mod tls;
mod transfer;

pub mod back_ends;
pub mod greeting;
pub mod peers;
pub mod pins;
pub mod settings;

pub use greeting::{Greeting, GreetingError};
pub use peers::{Components, EntropySource, Peers, PeersError, Speaker, Standing};
pub use pins::{MemoryPins, PinFuture, Pins, StoreError};
pub use settings::{DiscoverySettings, SettingsError};
