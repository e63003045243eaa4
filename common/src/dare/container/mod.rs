//! Containers in file form: writing with positions and digests made anew, reading back to
//! envelopes, and a verifier that names every damage (containers §1, §3, §4).
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@write`] | envelopes to frames |
//! | [`read`] | frames to envelopes, whole or as they arrive |
//! | [`mod@verify`] | indices, positions and digests recomputed |
//! | [`mod@redact`] | payloads taken out without breaking a digest |
//!
//! All of it works on octets that somebody else reads and writes.

mod kind;
mod offsets;
pub mod read;
pub mod redact;
pub mod verify;
pub mod write;

pub use self::kind::ContainerType;
pub use self::read::{ContainerReader, StoredFrame, read_all};
pub use self::redact::{is_redacted, redact};
pub use self::verify::{Damage, DamageKind, Report, Verifier, verify, verify_envelopes};
pub use self::write::{Appended, ContainerWriter, frame_zero, to_file};
use super::frame::FrameError;
use crate::encoding::json::JsonError;

/// The content type of every store of an account, spools included (containers §3.5).
pub const CONTENT_TYPE_CATALOG: &str = "application/mmm-catalog";

/// A container that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// The octets are no frames.
    #[error("the frames cannot be read")]
    Frame(#[from] FrameError),
    /// A header or a trailer is no JSON of its kind.
    #[error("the header or trailer of frame {frame} cannot be read")]
    Unreadable {
        /// Position of the frame, from 0.
        frame: u64,
        /// What the reader says.
        #[source]
        cause: JsonError,
    },
    /// Frame 0 names no type that exists.
    #[error("{found:?} is no type of container")]
    Type {
        /// What it names.
        found: Option<String>,
    },
    /// An envelope claims another index than that of the next frame.
    #[error("the envelope claims index {claimed}, the next one is {expected}")]
    Index {
        /// What it claims.
        claimed: u64,
        /// What comes next.
        expected: u64,
    },
    /// An envelope claims a payload digest that its payload has not.
    #[error("the payload digest of frame {frame} is not that of its payload")]
    PayloadDigest {
        /// Index of the frame.
        frame: u64,
    },
    /// An envelope claims a tree or chain digest that is neither the canonical nor a legacy one:
    /// it comes from another history.
    #[error("the digest of frame {frame} belongs to another history")]
    History {
        /// Index of the frame.
        frame: u64,
    },
}

#[cfg(test)]
mod tests;
