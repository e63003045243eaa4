//! A person's device as a library: the folder it keeps everything in, its keys, the replicas of its
//! containers, and the service it exchanges them with. The `mesh` command is a thin shell over it.
//!
//! ```text
//!  home ── keystore  secret keys           catalogs ─▶ replica ◀─ sync ─▶ service ─▶ transport
//!       ├─ state     account, pinned service            containers/       mmm-kx-1    HTTPS
//!       └─ replica   one file per container
//! ```
//!
//! Time, chance and the way to the network are handed in, so that a test or a demonstration can
//! hold them still; [`ambient`] has those of the machine.
//!
//! In reading order:
//!
//! | module | holds |
//! | --- | --- |
//! | [`client`] | the device: [`Client`], opened and locked |
//! | [`home`], [`keystore`], [`state`], [`replica`] | what it keeps, and how a crash leaves it |
//! | [`identity`] | who it is once its keys are open |
//! | [`account`] | making, looking at and deleting the account |
//! | [`connect`] | further devices of it: asking, answering, removing |
//! | [`administration`] | the master key, online keys, escrow and recovery |
//! | [`entries`], [`catalogs`], [`changes`] | entries, put behind the replica |
//! | [`import`], [`importing`] | files of other programs |
//! | [`transport`], [`service`], [`sync`], [`waiting`] | the service, agreement with it, and waiting for news |
//! | [`watch`] | staying: other commands can be used meanwhile |
//! | [`messages`] | what people ask of each other |
//! | [`export`], [`verify`] | taking everything along, and proving it |
//! | [`qr`] | what a camera takes from one device to another |

pub mod account;
pub mod administration;
pub mod ambient;
pub mod catalogs;
pub mod changes;
pub mod client;
pub mod connect;
pub mod entries;
mod error;
pub mod export;
pub mod home;
pub mod identity;
pub mod import;
pub mod importing;
pub mod keystore;
pub mod limits;
pub mod messages;
pub mod qr;
pub mod replica;
pub mod service;
mod signers;
pub mod state;
pub mod sync;
pub mod transport;
pub mod verify;
pub mod waiting;
pub mod watch;

pub use client::{Client, Progress};
pub use error::ClientError;
