//! DARE: data at rest encryption. An **envelope** is a header, a payload and a trailer; a
//! **container** is an append-only sequence of frames, each holding one envelope.
//!
//! ```text
//!  wire   [ {header}, "payload", {trailer} ]            one JSON array
//!  file   F5 len | F0 header | F1 payload | F0 trailer | len F5     one frame, readable backwards
//! ```

pub mod annotation;
pub mod chain;
pub mod container;
pub mod container_name;
pub mod encrypt;
pub mod envelope;
pub mod frame;
pub mod header;
pub mod legacy;
pub mod manifest;
pub mod merkle;
pub mod proof;
pub mod sign;

pub use container_name::{ContainerKind, ContainerName};
pub use encrypt::MasterKey;
pub use envelope::Envelope;
pub use header::{ContainerInfo, ContentMeta, Header, Recipient, Signature, Trailer};
pub use merkle::{Digest64, DigestStack};
pub use sign::EnvelopeError;
