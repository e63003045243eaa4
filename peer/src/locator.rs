//! Where services are, as transfers ask for it: from memory, or by a lookup that all who wait share. A lookup has
//! its own time and its own bound, so that DNS never holds a transfer (delivery §11).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_common::delivery::Unreachable;
use mesh_common::discovery::{Absence, DiscoveryCache, Known, Located, Lookup};
use mesh_common::limits::{
    DISCOVERY_LOOKUP_TIME_MAX, DISCOVERY_LOOKUPS_MAX, DISCOVERY_TROUBLED_LOOKUPS_MAX,
    DISCOVERY_WAITING_MAX,
};
use mesh_common::time::Clock;
use tokio::sync::{Semaphore, watch};

use crate::dns::Dns;
use crate::measures::Measures;
use crate::settings::DiscoverySettings;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The service of a domain.
    Domain {
        /// The domain, canonical.
        domain: String,
        /// Where an operator says that it is.
        at: Option<(String, u16)>,
    },
    /// A host that the settings or a redirection name.
    Host {
        /// Its name, canonical, or its address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Finds services.
pub(crate) struct Locator {
    dns: Dns,
    clock: Arc<dyn Clock>,
    cache: Mutex<DiscoveryCache>,
    /// Lookups under way: their ends are told by closing the channel.
    under_way: Mutex<HashMap<String, watch::Receiver<()>>>,
    turns: Semaphore,
    /// Turns of those whose last lookup failed.
    troubled_turns: Semaphore,
    measures: Measures,
}

impl Place {
    /// The service of `domain`, wherever it is.
    pub(crate) fn of(domain: &str) -> Self {
        Self::Domain {
            domain: domain.to_owned(),
            at: None,
        }
    }

    /// The name its service is remembered by. A host has a colon in it, a domain has none.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Domain { domain, .. } => domain.clone(),
            Self::Host { host, port } => format!("{host}:{port}"),
        }
    }

    /// The name its connections are kept by.
    pub(crate) fn way(&self) -> String {
        match self {
            Self::Domain {
                domain,
                at: Some((host, port)),
            } => format!("{domain} at {host}:{port}"),
            place => place.key(),
        }
    }
}

impl Locator {
    pub(crate) fn new(
        settings: &DiscoverySettings,
        clock: Arc<dyn Clock>,
        measures: Measures,
    ) -> Self {
        Self {
            measures,
            dns: Dns::new(settings),
            clock,
            cache: Mutex::default(),
            under_way: Mutex::default(),
            turns: Semaphore::new(DISCOVERY_LOOKUPS_MAX),
            troubled_turns: Semaphore::new(DISCOVERY_TROUBLED_LOOKUPS_MAX),
        }
    }

    /// How lookups do.
    pub(crate) const fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Where `place` is, waiting at most `time_max` for a lookup.
    pub(crate) async fn locate(
        self: &Arc<Self>,
        place: &Place,
        time_max: Duration,
    ) -> Result<Arc<Located>, Unreachable> {
        let key = place.key();
        let (meanwhile, is_troubled) = match self.look(&key) {
            Known::Located(located) => return Ok(located),
            Known::Absent(absence) => return Err(told(absence)),
            Known::Failed(why) => return Err(Unreachable::Lookup(why)),
            Known::Ask {
                meanwhile,
                is_troubled,
            } => (meanwhile, is_troubled),
        };
        let waited = match self.ask(place, &key, is_troubled) {
            Some(mut end) => tokio::time::timeout(time_max, end.changed()).await.is_ok(),
            None => return Err(Unreachable::Lookup("too many lookups wait".into())),
        };
        match self.look(&key) {
            Known::Located(located) => Ok(located),
            Known::Absent(absence) => Err(told(absence)),
            Known::Failed(why) => Err(Unreachable::Lookup(why)),
            Known::Ask { .. } => meanwhile.ok_or_else(|| {
                let why = if waited {
                    "the lookup was given up"
                } else {
                    "no answer from DNS in time"
                };
                Unreachable::Lookup(why.into())
            }),
        }
    }

    /// Forgets what is known of `place`.
    pub(crate) fn forget(&self, place: &Place) {
        self.cache().forget(&place.key());
    }

    fn look(&self, key: &str) -> Known {
        self.cache().look(self.clock.now(), key)
    }

    /// The end of the lookup under way, which begins if there is none.
    fn ask(
        self: &Arc<Self>,
        place: &Place,
        key: &str,
        is_troubled: bool,
    ) -> Option<watch::Receiver<()>> {
        let mut under_way = self.under_way();
        if let Some(end) = under_way.get(key) {
            return Some(end.clone());
        }
        if under_way.len() >= DISCOVERY_WAITING_MAX {
            return None;
        }
        let (told, end) = watch::channel(());
        under_way.insert(key.to_owned(), end.clone());
        drop(under_way);
        let lookup = UnderWay {
            locator: Arc::clone(self),
            key: key.to_owned(),
            _told: told,
        };
        tokio::spawn(lookup.run(place.clone(), is_troubled));
        Some(end)
    }

    fn cache(&self) -> MutexGuard<'_, DiscoveryCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<()>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup. However it ends, whoever waits for it is told.
struct UnderWay {
    locator: Arc<Locator>,
    key: String,
    _told: watch::Sender<()>,
}

impl UnderWay {
    async fn run(self, place: Place, is_troubled: bool) {
        let locator = &self.locator;
        let _troubled_turn = match is_troubled {
            true => locator.troubled_turns.acquire().await.ok(),
            false => None,
        };
        let _turn = locator.turns.acquire().await.ok();
        let began_at = locator.clock.now();
        let lookup = async {
            match &place {
                Place::Domain { domain, .. } => locator.dns.service(domain).await,
                Place::Host { host, port } => locator.dns.host(host, *port).await,
            }
        };
        let lookup = tokio::time::timeout(DISCOVERY_LOOKUP_TIME_MAX, lookup)
            .await
            .unwrap_or_else(|_| Lookup::Failed("no answer from DNS in time".into()));
        tracing::debug!(place = self.key, ?lookup, "looked up");
        let (now, measures) = (locator.clock.now(), &locator.measures);
        measures.looked_up(now.since(began_at), &lookup);
        let has_failed = matches!(lookup, Lookup::Failed(_));
        locator.cache().learn(now, &self.key, lookup);
        if has_failed && matches!(locator.look(&self.key), Known::Located(_)) {
            measures.served_stale();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.locator.under_way().remove(&self.key);
    }
}

fn told(absence: Absence) -> Unreachable {
    match absence {
        Absence::NoDomain => Unreachable::NoDomain,
        Absence::NoService => Unreachable::NoService,
        Absence::NoHost => Unreachable::Lookup(absence.to_string()),
        Absence::Forbidden => Unreachable::Forbidden,
    }
}
