//! Where the service of a domain is, as far as it needs no sockets (service §9.2, delivery §11,
//! decisions Q-17 and Q-68).
//!
//! ```text
//!  domain ─▶ SRV _mmm._tcp ─▶ targets in order ─▶ addresses that may be connected to ─▶ Located
//!              └─ none: mmm.<domain>, the fallback port, and nothing else                  │
//!                                                   remembered by TTL, served stale ◀── cache
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`records`] | what DNS says of a service: targets and texts |
//! | [`choice`] | in which order targets are tried (RFC 2782) |
//! | [`addresses`] | which addresses a service connects to |
//! | [`cache`] | what is remembered, for how long, and what an outage of DNS leaves of it |
//! | [`pinned`] | which service a domain had before |
//! | [`recent`] | a bounded map that forgets what was longest unused |

pub mod addresses;
pub mod cache;
pub mod choice;
pub mod pinned;
pub mod recent;
pub mod records;

pub use addresses::AddressRules;
pub use cache::{DiscoveryCache, Known, Lookup};
pub use choice::in_order;
pub use pinned::{PinError, Pinned, ReplacedKey};
pub use recent::Recent;
pub use records::{Absence, Located, ServiceText, Target};

/// The name under which the SRV and TXT records of `host` stand.
#[must_use]
pub fn service_name(host: &str) -> String {
    format!("_mmm._tcp.{host}")
}

/// The host that serves `domain` when no SRV record says otherwise (decision Q-17).
#[must_use]
pub fn fallback_host(domain: &str) -> String {
    format!("mmm.{domain}")
}
