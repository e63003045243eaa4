//! The harness for tests that see the service as a peer does: from outside, over HTTPS.
//!
//! A test starts a [`TestService`], takes [`people`] from the shelf and lets their devices speak.
//! What comes back is compared with a [`golden`] file where a peer's program depends on it. Nothing
//! here sleeps: whoever waits reads from a socket with a deadline.
//!
//! | module | holds |
//! | --- | --- |
//! | [`service`] | a whole service in this process, on its own thread and in its own folder |
//! | [`people`] | alice, bob and mallet, their keys and devices |
//! | [`client`] | one device speaking to one service, every detail of a request at hand |
//! | [`connecting`] | devices that ask to be connected, and administrators who answer |
//! | [`frames`] | frames of catalogs and spools, with their digests |
//! | [`spools`] | what stands in an account's spools |
//! | [`wire`] | HTTP/1.1 over TLS or plain TCP, octet by octet |
//! | [`process`] | the daemon as a process of its own, to be killed |
//! | [`cluster`] | a whole cluster of such processes over one store; absent without debug assertions |
//! | [`device`] | a device that speaks to such a process, with second tries |
//! | [`forwarding`] | services of other domains that post here |
//! | [`golden`] | transcripts compared with files, what differs by nature masked |
//! | [`peer`] | services that other services deliver to, good and bad ones |
//! | [`relay`] | a fixed address in front of a process that comes back elsewhere |
//! | [`proxy`] | a fixed address in front of a process, and a network that can be bad |
//! | [`ledger`] | what a writer was told is durable, compared with what is there |
//! | [`books`] | what a sender was told of its messages, compared with what arrived |
//! | [`stored`] | rows of a store that no service has open |
//! | [`load`] | a load generator: many connections, bodies made beforehand |
//! | [`plots`] | what the window of a destination does, drawn |
//! | [`measured`] | server processes, and what they cost |
//! | [`ticketed`] | a device with a ticket, for benches |
//! | [`options`] | what benches are told |

pub mod admin;
pub mod books;
pub mod client;
#[cfg(debug_assertions)]
pub mod cluster;
pub mod connecting;
pub mod device;
pub mod forwarding;
pub mod frames;
pub mod golden;
pub mod ledger;
pub mod load;
pub mod measured;
pub mod options;
pub mod peer;
pub mod people;
pub mod plots;
pub mod polling;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod service;
pub mod spools;
pub mod stored;
pub mod ticketed;
pub mod wire;

pub use client::{Answer, Client, Form};
pub use forwarding::{Domains, ELSEWHERE, ForeignService};
pub use people::{Device, Person, alice, bob, mallet};
pub use service::TestService;
