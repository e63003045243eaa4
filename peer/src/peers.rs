//! What the rest of the program calls: post a message to another service, or learn who it is.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::dare::Envelope;
use mesh_common::delivery::{Attempt, Unreachable};
use mesh_common::discovery::{Located, Pinned, Target, in_order};
use mesh_common::entropy::Entropy;
use mesh_common::limits::{
    GREETING_LIFE, GREETING_REFRESH_INTERVAL, GREETING_REPEAT_INTERVAL, TRANSFER_LOOKUP_TIME_MAX,
};
use mesh_common::protocol::{PostRequest, Request};
use mesh_common::session::client::ClientIdentity;
use mesh_common::time::Clock;
use mesh_common::udf::Udf;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use crate::connections::{Connections, Route};
use crate::greeting::{Greeting, GreetingError};
use crate::locator::{Locator, Place};
use crate::measures::Measures;
use crate::memory::Memory;
use crate::pins::Pins;
use crate::settings::{DiscoverySettings, SettingsError};
use crate::tls;
use crate::transfer::Transfer;

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

/// How a domain's service stands: what is remembered, and what is found now.
#[derive(Debug)]
pub struct Standing {
    /// The service it had so far.
    pub pinned: Option<Pinned>,
    /// Where it is.
    pub located: Result<Arc<Located>, Unreachable>,
    /// Who it is.
    pub greeting: Result<Arc<Greeting>, GreetingError>,
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
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS 1.3 cannot be had.
    #[error("TLS 1.3 is not available")]
    Tls(#[from] rustls::Error),
    /// The measures cannot be made, or have been registered before.
    #[error("the measures of discovery cannot be made")]
    Measures(#[from] prometheus::Error),
}

/// The other services. Cheap to clone; clones share connections, sessions and what they remember.
///
/// Calls must be made inside a tokio runtime. A connection is driven by the runtime that opened it and may be
/// used from any other one while that lives.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

/// Everything that clones share.
pub(crate) struct Inner {
    pub(crate) speaker: Arc<dyn Speaker>,
    pub(crate) pins: Arc<dyn Pins>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: EntropySource,
    pub(crate) locator: Arc<Locator>,
    pub(crate) connections: Connections,
    pub(crate) memory: Memory,
    /// Files of authorities that the settings name.
    authorities: Vec<PathBuf>,
    /// Domains whose service is where the settings say.
    places: BTreeMap<String, (String, u16)>,
}

/// The way to a service, for one transfer.
pub(crate) struct Way {
    pub(crate) place: Place,
    pub(crate) route: Route,
    /// UDF of the ProfileService that DNS names.
    pub(crate) named: Option<Udf>,
}

impl Peers {
    /// Prepares to reach others. Nothing is asked or connected yet.
    ///
    /// # Errors
    /// [`PeersError`].
    pub fn new(settings: &DiscoverySettings, components: Components) -> Result<Self, PeersError> {
        settings.check()?;
        let clock = components.clock;
        let inner = Inner {
            speaker: components.speaker,
            pins: components.pins,
            entropy: components.entropy,
            locator: Arc::new(Locator::new(settings, Arc::clone(&clock), Measures::new()?)),
            connections: Connections::new(tls::connector(&settings.authorities)?),
            authorities: settings.authorities.clone(),
            memory: Memory::new(),
            places: settings.places()?,
            clock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Shows how lookups do to whoever gathers `registry`.
    ///
    /// # Errors
    /// [`PeersError::Measures`]: `registry` has such measures already.
    pub fn register(&self, registry: &prometheus::Registry) -> Result<(), PeersError> {
        Ok(self.inner.locator.measures().register(registry)?)
    }

    /// Reads the files of authorities again, and those that the system trusts. Connections that were made before
    /// are not used again. On an error the present authorities stay in use.
    ///
    /// # Errors
    /// [`PeersError::Authorities`].
    pub fn reload(&self) -> Result<(), PeersError> {
        let tls = tls::connector(&self.inner.authorities)?;
        self.inner.connections.secure_by(tls);
        Ok(())
    }

    /// Posts `envelope`, verbatim, to `recipient` at the service of its domain, as the service of the domain
    /// `from` (canonical): one transfer, all its second tries included (decision Q-64), over within
    /// `time_max`, of which a lookup takes at most 1 s, connection and TLS at most 2 s. Never outlives
    /// `time_max` noticeably; dropping the future abandons the transfer.
    ///
    /// With a `place`, host and port that an operator ordered, nothing is looked up but that host; an address
    /// given there may be private, as in [`DiscoverySettings::domains`]. Whoever is there must show the
    /// domain's certificate and profile.
    pub async fn post(
        &self,
        from: &str,
        recipient: &AccountAddress,
        envelope: Envelope,
        place: Option<(&str, u16)>,
        time_max: Duration,
    ) -> Attempt {
        let mut transfer = Transfer {
            inner: &self.inner,
            from,
            request: Request::Post(PostRequest {
                accounts: vec![recipient.canonical().to_owned()],
                messages: vec![envelope],
                ..PostRequest::default()
            }),
            deadline: Instant::now() + time_max,
            exchange: Duration::ZERO,
        };
        let place = Place::Domain {
            domain: recipient.domain().to_owned(),
            at: place.map(|(host, port)| (host.to_owned(), port)),
        };
        let end = transfer.run(&place).await;
        tracing::debug!(domain = recipient.domain(), ?end, "transfer over");
        Attempt {
            end,
            exchange: transfer.exchange,
            at: self.inner.clock.now(),
        }
    }

    /// Who the service of `domain` (canonical) is: what a Hello over TLS told within the last
    /// [`GREETING_LIFE`], or tells now, within `time_max`. At most one Hello
    /// per domain is under way. Failures are not remembered here, except those of lookups.
    ///
    /// # Errors
    /// [`GreetingError`].
    pub async fn greet(
        &self,
        domain: &str,
        time_max: Duration,
    ) -> Result<Arc<Greeting>, GreetingError> {
        self.greet_within(domain, GREETING_LIFE, time_max).await
    }

    /// The same, asked again even if the answer is known: for who meets a key that the known answer does not
    /// name. Within [`GREETING_REPEAT_INTERVAL`] of the last
    /// Hello the known answer is given.
    ///
    /// # Errors
    /// [`GreetingError`].
    pub async fn greet_anew(
        &self,
        domain: &str,
        time_max: Duration,
    ) -> Result<Arc<Greeting>, GreetingError> {
        let age_max = GREETING_REPEAT_INTERVAL;
        self.greet_within(domain, age_max, time_max).await
    }

    async fn greet_within(
        &self,
        domain: &str,
        age_max: Duration,
        time_max: Duration,
    ) -> Result<Arc<Greeting>, GreetingError> {
        let place = Place::of(domain);
        let deadline = Instant::now() + time_max;
        self.inner.greet(&place, age_max, deadline).await
    }

    /// Looks how the service of `domain` (canonical) stands, for an operator: asks it, unless it was asked a
    /// moment ago.
    ///
    /// # Errors
    /// [`GreetingError::Store`].
    pub async fn look_at(
        &self,
        domain: &str,
        time_max: Duration,
    ) -> Result<Standing, GreetingError> {
        let place = Place::of(domain);
        let deadline = Instant::now() + time_max;
        let located = self.inner.located(&place, deadline).await;
        let greeting = self
            .inner
            .greet(&place, GREETING_REFRESH_INTERVAL, deadline)
            .await;
        let pinned = self.inner.pins.pinned(domain).await;
        Ok(Standing {
            pinned: pinned.map_err(|error| GreetingError::Store(error.to_string()))?,
            located,
            greeting,
        })
    }

    /// Forgets all that is known of `domain` (canonical), its service included: an operator knows that it has
    /// another one now.
    ///
    /// # Errors
    /// [`GreetingError::Store`].
    pub async fn forget(&self, domain: &str) -> Result<(), GreetingError> {
        let place = Place::of(domain);
        let forgotten = self.inner.pins.forget(domain).await;
        forgotten.map_err(|error| GreetingError::Store(error.to_string()))?;
        self.inner.locator.forget(&place);
        self.inner.memory.forget(&place.key());
        self.inner.connections.forget(&place.way());
        Ok(())
    }

    /// Number of connections that wait for the next transfer.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.inner.connections.idle_count()
    }
}

impl Inner {
    /// Where the service at `place` is.
    async fn located(&self, place: &Place, deadline: Instant) -> Result<Arc<Located>, Unreachable> {
        let left = deadline.saturating_duration_since(Instant::now());
        let time_max = left.min(TRANSFER_LOOKUP_TIME_MAX);
        match place {
            Place::Domain { domain, .. } if domain.parse::<IpAddr>().is_ok() => {
                Err(Unreachable::Lookup("an address is not a domain".into()))
            }
            Place::Domain { domain, at } => match at.as_ref().or_else(|| self.places.get(domain)) {
                Some((host, port)) => self.set(host, *port, time_max).await,
                None => self.locator.locate(place, time_max).await,
            },
            Place::Host { .. } => self.locator.locate(place, time_max).await,
        }
    }

    /// The way to the service at `place`, with its targets in the order of this transfer.
    pub(crate) async fn way(&self, place: &Place, deadline: Instant) -> Result<Way, Unreachable> {
        let located = self.located(place, deadline).await?;
        let (named, host) = match place {
            Place::Domain { domain, .. } => (domain.as_str(), domain.clone()),
            Place::Host { host, port } => (host.as_str(), authority(host, *port)),
        };
        let name = ServerName::try_from(named.to_owned())
            .map_err(|_| Unreachable::Lookup(format!("{named} cannot be connected to")))?;
        let mut entropy = (self.entropy)();
        Ok(Way {
            place: place.clone(),
            route: Route {
                key: place.way(),
                name,
                host,
                targets: in_order(located.targets.clone(), entropy.as_mut()),
            },
            named: located.udf.clone(),
        })
    }

    /// Where the settings or an operator say. An address they name is not subject to the rules.
    async fn set(
        &self,
        host: &str,
        port: u16,
        time_max: Duration,
    ) -> Result<Arc<Located>, Unreachable> {
        let Ok(address) = host.parse::<IpAddr>() else {
            let host = host.to_owned();
            let place = Place::Host { host, port };
            return self.locator.locate(&place, time_max).await;
        };
        let target = Target {
            priority: 0,
            weight: 0,
            host: host.to_owned(),
            port,
            addresses: vec![address],
            path: None,
        };
        Ok(Arc::new(Located {
            targets: vec![target],
            udf: None,
        }))
    }
}

/// Host and port as `Host` has them.
fn authority(host: &str, port: u16) -> String {
    match (host.contains(':'), port) {
        (true, _) => format!("[{host}]:{port}"),
        (false, 443) => host.to_owned(),
        (false, _) => format!("{host}:{port}"),
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Peers").finish_non_exhaustive()
    }
}
