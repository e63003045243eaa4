//! Whom the profiles of a domain name, and why that could not be learned (service §4.3 and §7.3;
//! decisions ).

use mesh_common::crypto::PublicKey;
use mesh_common::delivery::Unreachable;
use mesh_common::discovery::Pinned;
use mesh_common::limits::GREETING_LIFE;
use mesh_common::session::client::ServiceIdentity;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;

/// The service of a domain, by the profiles it showed in the answer to a Hello over TLS: verified, and the
/// same service as before.
#[derive(Debug, Clone, PartialEq)]
pub struct Greeting {
    /// The domain, canonical.
    pub domain: String,
    /// Whom the profiles name.
    pub service: ServiceIdentity,
    /// What is remembered of the domain for good, with the key before the present one.
    pub pinned: Pinned,
    /// When the profiles were fetched.
    pub fetched_at: Timestamp,
}

impl Greeting {
    /// UDF of the domain's ProfileService.
    #[must_use]
    pub const fn service_udf(&self) -> &Udf {
        &self.service.service_udf
    }

    /// Whether the service of this domain may authenticate with `key` now: KeyAuthentication of the
    /// profile that was fetched, or the one before it for seven days (decision Q-52).
    #[must_use]
    pub fn accepts(&self, key: &PublicKey, now: Timestamp) -> bool {
        self.pinned.accepts(key, now)
    }

    /// Whether the profiles were fetched within the last [`GREETING_LIFE`].
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.fetched_at) < GREETING_LIFE
    }
}

/// A domain's service could not be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// It cannot be found or connected to, or it is not the one it was ([`Unreachable::Identity`]).
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It did not answer in time.
    #[error("the service did not answer in time")]
    TimedOut,
    /// What answered there is no Mesh service, or one that has no time for a Hello.
    #[error("what answers there is no Mesh service (HTTP {http})")]
    Foreign {
        /// The HTTP status.
        http: u16,
        /// Its `Retry-After`.
        retry_after: Option<std::time::Duration>,
    },
    /// What is remembered of the domain cannot be read or written.
    #[error("{0}")]
    Store(String),
}
