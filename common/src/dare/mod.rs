//! DARE: data at rest encryption. An **envelope** is a header, a payload and a trailer; a
//! **container** is an append-only sequence of frames, each holding one envelope.
//!
//! ```text
//!  wire   [ {header}, "payload", {trailer} ]            one JSON array
//!  file   F5 len | F0 header | F1 payload | F0 trailer | len F5     one frame, readable backwards
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`header`], [`envelope`] | the members of an envelope, and its wire form |
//! | [`sign`] | signatures over the payload digest |
//! | [`container_name`] | names of an account's containers in every spelling |
//! | [`merkle`], [`chain`], [`legacy`] | what binds a frame to those before it |
//! | [`proof`] | that a frame precedes an apex |
//! | [`frame`], [`container`] | the file form: frames, and envelopes in them |
//! | [`manifest`] | what an export holds |

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
