//! HTTPS in, back-end out: the stateless edge of a Mesh service (architecture A-2).
//!
//! A front-end holds no store and no account state. It does everything that needs neither: TLS,
//! sizes, limits per source, tickets and key exchange, decoding, and all signature mathematics over
//! what a request carries. What it established travels on as a
//! [`Verified`](mesh_common::cluster::Verified) value.
//!
//! ```text
//!  socket ─ tls ─ server ─ body ─┬─ bare Hello ───────────────────────────┐
//!                                └─ session ─ admission ─ evidence ─ back-end ─ respond ─ socket
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`config`] | every setting, its unit, its default, its reason |
//! | [`identity`] | the service's profiles and authentication keys |
//! | [`tls`] | certificates, and their reload without a restart |
//! | [`server`] | listeners, the actix-web app, its bounds |
//! | `handlers` | one HTTP request: rules, body, log line, measure |
//! | `http_rules` | path, method, headers, host, types |
//! | `body` | reading a body within its bound |
//! | [`edge`] | the story of one request, from its octets to its reply |
//! | `authenticate` | exchange and ticket to caller and request |
//! | [`callback`] | whether a service is the one of the domain it names |
//! | `arithmetic` | the threads for agreements and signatures, with a bounded queue before them |
//! | `chains` | chains from devices to accounts that were verified lately |
//! | `evidence` | signature checks over a request's content, with the account's keys |
//! | `prefer`, `polls` | how long a Status may wait; places, and the end of all waiting |
//! | `published` | what hailing accounts publish, fetched by anybody |
//! | `hello` | the one transaction answered here |
//! | `admission` | rates per source and device, shedding under load |
//! | `respond` | the only place that chooses an HTTP status |
//! | [`router`] | the back-ends of a cluster, as one |
//! | [`metrics`] | names and help of every measure this crate keeps |

mod admission;
mod arithmetic;
mod authenticate;
mod body;
pub mod callback;
mod chains;
pub mod config;
pub mod edge;
mod evidence;
mod handlers;
mod hello;
mod http_rules;
pub mod identity;
pub mod metrics;
mod polls;
mod prefer;
mod published;
mod respond;
pub mod router;
pub mod server;
pub mod tls;

/// Target of the spans that make up a trace: one per request, told apart from log lines so that a
/// collector and a log can be filtered separately.
pub const TRACE_TARGET: &str = "mesh_trace";
