//! Administration of the personal mesh itself: the master key and its copies, the online keys, the
//! escrow of encryption keys, and the way back when every device is lost (schema draft §4.1.1,
//! decisions Q-10, Q-31, Q-48, Q-58).
//!
//! ```text
//!  master key ──signs──▶ ProfileMesh: online keys ──sign──▶ connections of devices
//!   │ 24 words, file,        │ KeysMasterEscrow
//!   │ QR, shares             ▼
//!   └──opens──────────▶ EscrowedKeySet: the keys that entries are encrypted to
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`master`] | the master key, and every key that follows from it |
//! | [`paper`], [`share`], [`copies`] | words, shares, files: the key outside of any device |
//! | [`holding`] | the key on a device: taken off, put back, brought along |
//! | [`profiles`] | online keys: granted, withdrawn, replaced |
//! | [`escrow`], [`recovery`] | encryption keys under the master key, and the way back |
//! | `refresh` | how the other devices learn of it, and what they do not believe |

pub mod copies;
mod error;
pub mod escrow;
pub mod holding;
pub mod master;
pub mod paper;
pub mod profiles;
pub mod recovery;
mod refresh;
pub mod share;

pub use copies::CopyError;
pub use error::AdministrationError;
pub use holding::{DeviceStanding, KeyStatus, OnlineKey};
pub use master::{MasterError, MasterKey};
pub use recovery::RecoveryReport;
pub use share::{DamagedShare, Share};
