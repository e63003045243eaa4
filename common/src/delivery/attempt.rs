//! What one transfer came to: told by whoever carried it, judged by the table of delivery §13.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::compact;
use crate::time::Timestamp;

/// One transfer, over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub end: End,
    /// How long the exchange itself took, without finding and connecting to the peer: what the
    /// destination's window measures. Zero if it never began.
    pub exchange: Duration,
    /// When it ended.
    pub at: Timestamp,
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer answered as a Mesh service, authenticated.
    Answered(Answered),
    /// An answer over HTTP that no Mesh service of this domain made.
    Foreign {
        /// The HTTP status.
        http: u16,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Nothing came back in time, after the request was sent: it may have been stored.
    TimedOut,
    /// The request was never sent.
    Unreachable(Unreachable),
    /// Handling it failed here.
    Internal(String),
}

/// What a peer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The Mesh status of the response, or of its row for the message if that says more.
    pub status: u16,
    /// Its extended status.
    pub extended: Option<u16>,
    /// The peer's sentence, cut to [`crate::limits::PEER_TEXT_BYTES_MAX`], without control characters.
    pub text: String,
    /// Its `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The domain does not exist, says an authoritative answer.
    #[error("the domain does not exist")]
    NoDomain,
    /// The domain says that it has no Mesh service (SRV target ".").
    #[error("the domain has no Mesh service")]
    NoService,
    /// The lookup failed: no answer, SERVFAIL, a lame delegation, a loop.
    #[error("the domain cannot be looked up: {0}")]
    Lookup(String),
    /// Every address is one that this service does not connect to.
    #[error("the domain's addresses are private or loopback, which discovery does not allow here")]
    Forbidden,
    /// No target took a connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The TLS handshake failed for another reason than the certificate.
    #[error("no TLS connection: {0}")]
    Tls(String),
    /// The certificate is expired, not trusted, or for another name.
    #[error("the certificate is not valid: {0}")]
    Certificate(String),
    /// The peer's profiles do not verify, or are not those that were pinned: reported to the operator.
    #[error("the peer is not who it was: {0}")]
    Identity(String),
}

/// What went wrong last, as it is kept with an item and told to operators and senders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When.
    #[serde(with = "compact::millis")]
    pub at: Timestamp,
    /// What, in a phrase.
    pub text: String,
}
