//! The Mathematical Mesh itself, as a service and its devices need it.
//!
//! Three promises hold for everything in this crate:
//!
//! 1. **No input or output.** It compiles without sockets, files, clocks and ambient randomness:
//!    time is `now: Timestamp`, chance is `entropy: &mut dyn Entropy`.
//! 2. **Verified is a type.** What has been checked has another type than what was received.
//! 3. **Everything has a limit,** and it stands in [`limits`].
//!
//! In reading order:
//!
//! | module | holds |
//! | --- | --- |
//! | [`limits`], [`time`], [`entropy`], [`error`], [`address`] | the vocabulary everything shares |
//! | [`encoding`] | JSON as the Mesh reads and writes it, JSON-B, Base32, base64url |
//! | [`udf`], [`crypto`] | fingerprints, keys, signatures, agreement, ciphers |
//! | [`dare`] | envelopes and containers: frames, digests, proofs, the file form |
//! | [`catalog`], [`spool`] | containers read as entries by id, and as messages |
//! | [`assertion`], [`message`] | signed statements, and what people send each other |
//! | [`protocol`] | the nine transactions and the table of status codes |
//! | [`session`] | who is asking: `mmm-kx-1` and tickets |
//! | [`account`] | the account machine: decide, then apply |
//! | [`conduct`] | who draws complaints, and what follows |
//! | [`delivery`] | messages on their way to other services |
//! | [`discovery`] | where the service of a domain is, and which one it was before |
//! | [`cluster`] | partitions, and the handle a front-end calls |

pub mod account;
pub mod address;
pub mod assertion;
pub mod catalog;
pub mod cluster;
pub mod conduct;
pub mod crypto;
pub mod dare;
pub mod delivery;
pub mod discovery;
pub mod encoding;
pub mod entropy;
pub mod error;
pub mod escrow;
pub mod limits;
pub mod message;
pub mod pace;
pub mod protocol;
pub mod session;
pub mod spool;
pub mod time;
pub mod udf;
