//! The operations the Mesh is built from: Ed448 signatures and agreement behind one trait with two
//! providers (architecture A-24), digests, key derivation, ciphers (crypto §3 to §6).
//!
//! In reading order:
//!
//! | module | holds |
//! | --- | --- |
//! | [`digest`], [`derive`](mod@derive), [`cipher`] | SHA-2, SHA-3, SHAKE; HMAC and HKDF; AES in the three modes that are used |
//! | [`curve`] | edwards448 behind one trait, and its providers |
//! | [`eddsa`], [`ed25519`] | signing, verifying, agreeing and adding on octets |
//! | [`key`] | public and secret keys, and their JSON |

pub mod cipher;
pub mod curve;
pub mod derive;
pub mod digest;
pub mod ed25519;
pub mod eddsa;
pub mod key;

pub use key::{
    Curve, KeyData, KeyError, KeyOverlay, PrivateParameters, PublicKey, PublicParameters,
    SecretKey, SignatureError,
};
