//! What an authenticated request proves about the one who sent it.

use serde::{Deserialize, Serialize};

use crate::address::AccountAddress;
use crate::limits::REQUEST_ID_BYTES;
use crate::udf::Udf;

/// Sixteen octets the client drew for one request; a retry carries the same (service §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub [u8; REQUEST_ID_BYTES]);

/// As what the sender authenticated (service §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// As a device, by its own ProfileDevice.
    Device,
    /// As a device connected to an account, by its connection assertion.
    Profile,
    /// As another service.
    Service,
    /// Not at all: bare JSON from loopback in interop mode (decision Q-39). Never elsewhere.
    Interop,
}

/// How it authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Via {
    /// By a key exchange in this very request.
    Exchange,
    /// By a ticket from an earlier one.
    Ticket,
    /// Bare JSON in interop mode.
    Bare,
}

/// The sender of an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// As what.
    pub mode: Mode,
    /// How.
    pub via: Via,
    /// The account it speaks for; `None` in Service mode and for a Device-mode Hello.
    pub account: Option<AccountAddress>,
    /// UDF of its ProfileDevice (Device mode; Profile mode if presented), or of its ProfileService.
    pub profile_udf: Option<Udf>,
    /// UDF of its KeyAuthentication: what the revocation index and the replay table know it by.
    pub key_udf: Udf,
    /// SHA-512 of the credential's payload, cut to 32 octets, as sealed in the ticket.
    pub credential_digest: [u8; 32],
    /// Service mode: the domain it speaks for.
    pub domain: Option<String>,
}
