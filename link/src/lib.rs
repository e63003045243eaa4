//! How the processes of one service speak to each other: both ends of the internal link
//! (architecture A-5, cluster §4.6, §10 and §14, decisions Q-61 and Q-63).
//!
//! ```text
//!  front-end                                                        back-end
//!  Router ─▶ NodeLink ═ pooled HTTP/1.1 over mutual TLS ═▶ server ─▶ NodeService
//!               ▲                                            │
//!               └──── one long answer, a JSON line per event ┘ routes, ticket secrets, changed accounts
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`link`] | a node as others reach it, and how a call over a link ends |
//! | [`identity`] | names of clusters and roles, as certificates carry them |
//! | [`tls`] | certificates in use, and what they must say |
//! | [`certificate`] | when a certificate ends |
//! | [`ca`] | an authority for those who have none |
//! | [`server`] | the end that answers |
//! | [`client`] | the end that asks and listens, and nudges |
//! | `calls` | paths, headers and statuses, as both ends know them |
//! | [`trace`] | the trace context on its way |

pub mod ca;
mod calls;
pub mod certificate;
pub mod client;
pub mod identity;
pub mod link;
pub mod server;
pub mod tls;
pub mod trace;

pub use client::{LinkClient, LinkConnector, Nudges};
pub use identity::{ClusterName, LinkRole, LinkRoles};
pub use link::{Connector, Heard, LinkFailure, NodeLink};
pub use server::{LinkServer, LinkService, LinkStartError};
pub use tls::{LinkFiles, LinkSecurity, LinkTls, LinkTlsError};

#[cfg(test)]
mod tests;
