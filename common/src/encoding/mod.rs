//! How the Mesh turns things into text and octets, and back: lenient in, strict out.

pub mod base32;
pub mod base64url;
pub mod json;
pub mod jsonb;
