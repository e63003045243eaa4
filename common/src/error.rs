//! Refusals, for two audiences: a calm sentence for the peer, and the circumstances for the log.

use std::fmt;
use std::time::Duration;

use crate::protocol::status_code::Code;

/// A request was refused, or could not be carried out.
///
/// `Display` prints the peer's sentence only. `context` is for the log and deliberately has no
/// `Display`, so that an internal detail cannot leak by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// What the peer's program acts on.
    pub code: Code,
    /// What the peer's person reads: lowercase, Mesh words, no internals.
    pub message: String,
    /// What the operator reads.
    pub context: Option<String>,
    /// How long to wait before trying again, where that is known (HTTP `Retry-After`).
    pub retry_after: Option<Duration>,
}

impl ServiceError {
    /// A refusal with the sentence for the peer.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            context: None,
            retry_after: None,
        }
    }

    /// Adds what the operator should know.
    #[must_use]
    pub fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.context = Some(context.to_string());
        self
    }

    /// Adds how long to wait.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Our mistake or our store's: the peer learns nothing but that.
    #[must_use]
    pub fn internal(context: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "the service failed; report the request id").with_context(context)
    }

    /// Something of ours is away for a moment.
    #[must_use]
    pub fn unavailable(context: impl fmt::Display) -> Self {
        Self::new(Code::Overload, "the service is busy, try again")
            .with_context(context)
            .retry_after(Duration::from_secs(2))
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ServiceError {}
