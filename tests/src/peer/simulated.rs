//! One simulated peer: who it is, what it does at present, what it saw.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mesh_backend::SystemClock;
use mesh_common::session::client::ClientIdentity;
use mesh_common::time::Clock as _;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::sync::{Notify, Semaphore};

use super::certificates::Authority;
use super::conduct::{Conduct, Door, Flaw};
use super::identity::Identity;
use super::moment;
use super::seen::{Arrival, News, Seen, Totals};

/// A peer.
pub struct Peer {
    domain: String,
    address: SocketAddr,
    began: Instant,
    act: RwLock<Act>,
    life: Mutex<Life>,
    certificates: Mutex<HashMap<Option<Flaw>, Arc<ServerConfig>>>,
    authority: Arc<Authority>,
    seen: Mutex<Seen>,
    news: Arc<News>,
    totals: Arc<Totals>,
    /// Told when somebody is to listen where nobody did.
    pub(super) opens: Notify,
    /// Whether messages are verified before they are kept.
    pub(super) checks: bool,
}

/// What a peer does at present.
#[derive(Clone)]
struct Act {
    conduct: Arc<Conduct>,
    slots: Arc<Semaphore>,
}

/// Who it is at present.
#[derive(Default)]
struct Life {
    generation: u32,
    identity: Option<Arc<Identity>>,
}

/// What peers of one simulator share.
pub(super) struct Common {
    pub(super) authority: Arc<Authority>,
    pub(super) news: Arc<News>,
    pub(super) totals: Arc<Totals>,
    pub(super) checks: bool,
}

impl Act {
    fn new(conduct: Conduct) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(conduct.slots.max(1))),
            conduct: Arc::new(conduct),
        }
    }
}

impl Peer {
    pub(super) fn new(
        domain: String,
        address: SocketAddr,
        conduct: Conduct,
        common: &Common,
    ) -> Self {
        Self {
            domain,
            address,
            began: moment(),
            act: RwLock::new(Act::new(conduct)),
            life: Mutex::default(),
            certificates: Mutex::default(),
            authority: Arc::clone(&common.authority),
            seen: Mutex::default(),
            news: Arc::clone(&common.news),
            totals: Arc::clone(&common.totals),
            opens: Notify::new(),
            checks: common.checks,
        }
    }

    /// The domain whose accounts it has: every name in it is one.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The address of `name` there.
    #[must_use]
    pub fn account(&self, name: &str) -> String {
        format!("{name}@{}", self.domain)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does at present.
    #[must_use]
    pub fn conduct(&self) -> Arc<Conduct> {
        self.act().conduct
    }

    /// Does something else from now on. Posts that it works on are finished as they were begun.
    /// Nobody who once listened stops to: [`Door::Reset`] is what comes next to it.
    pub fn behave(&self, conduct: Conduct) {
        if conduct.door != Door::Refused {
            self.opens.notify_one();
        }
        *self.act.write().unwrap_or_else(PoisonError::into_inner) = Act::new(conduct);
        self.news.tell();
    }

    /// Becomes another service under the same domain: new keys and a new ProfileService.
    pub fn become_another_service(&self) {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        life.generation += 1;
        life.identity = None;
    }

    /// Forgets what its tickets were sealed under: whoever holds one has to make a new exchange.
    pub fn forget_tickets(&self) {
        self.identity().forget_tickets();
    }

    /// As whom it speaks to others.
    #[must_use]
    pub fn as_client(&self) -> ClientIdentity {
        self.identity().speaking_for(&self.domain)
    }

    /// The UDF of its ProfileService.
    #[must_use]
    pub fn udf(&self) -> String {
        self.identity().udf().to_string()
    }

    /// What it saw so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.see().clone()
    }

    /// How a message arrived, if it did.
    #[must_use]
    pub fn arrival(&self, recipient: &str, id: &str) -> Option<Arrival> {
        let key = (recipient.to_owned(), id.to_owned());
        self.see().messages.get(&key).copied()
    }

    /// Begins to count anew what there was of anything at once.
    pub fn forget_peaks(&self) {
        self.note(|seen| {
            seen.connections_peak = seen.connections_open;
            seen.in_flight_peak = seen.in_flight;
        });
    }

    /// How many messages it kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.see().messages.len()
    }

    /// Waits until `holds` of what it saw; false if it does not within `patience`.
    pub fn wait_until(&self, patience: Duration, holds: impl Fn(&Seen) -> bool) -> bool {
        self.news.wait(patience, || holds(&self.see()))
    }

    /// Makes its keys and its certificate now, and not at the first request.
    pub fn prepare(&self) {
        self.identity();
        self.tls(None);
    }

    /// Its door at this moment.
    pub(super) fn door(&self) -> Door {
        self.conduct().door_at(self.began, moment())
    }

    /// Who it is at present.
    pub(super) fn identity(&self) -> Arc<Identity> {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = life.generation;
        let make = || Arc::new(Identity::of(&self.domain, generation, SystemClock.now()));
        Arc::clone(life.identity.get_or_insert_with(make))
    }

    /// What TLS is spoken by, with a good certificate or one with `flaw`.
    ///
    /// # Panics
    /// If the cryptographic provider fails.
    pub(super) fn tls(&self, flaw: Option<Flaw>) -> Arc<ServerConfig> {
        let mut known = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(self.tls_with(flaw));
        Arc::clone(known.entry(flaw).or_insert_with(make))
    }

    fn tls_with(&self, flaw: Option<Flaw>) -> ServerConfig {
        let fallback = format!("mmm.{}", self.domain);
        let names = [self.domain.as_str(), &fallback];
        let made = match flaw {
            None => self.authority.certify(&names),
            Some(flaw) => self.authority.certify_badly(&names, flaw),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![made.certificate], made.key)
            .expect("a certificate and its key belong together");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A thousand peers would keep a thousand caches, which nobody asks of a simulator.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }

    /// A slot for one Post, and what is to be done with it.
    pub(super) fn work(&self) -> (Arc<Semaphore>, Arc<Conduct>) {
        let act = self.act();
        (act.slots, act.conduct)
    }

    /// Notes a message that is kept.
    pub(super) fn keep(&self, recipient: &str, id: &str) {
        if self.see().keep(recipient, id, moment()) {
            self.totals.kept_one();
        }
        self.news.tell();
    }

    /// Notes something it saw.
    pub(super) fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.see());
        self.news.tell();
    }

    /// Notes a Post, until the guard is dropped.
    pub(super) fn posted(self: &Arc<Self>) -> InFlight {
        self.totals.posted();
        self.note(|seen| {
            seen.posts += 1;
            seen.in_flight += 1;
            seen.in_flight_peak = seen.in_flight_peak.max(seen.in_flight);
        });
        InFlight(Arc::clone(self))
    }

    /// Notes a connection, until the guard is dropped.
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        self.note(|seen| {
            seen.connections += 1;
            seen.connections_open += 1;
            seen.connections_peak = seen.connections_peak.max(seen.connections_open);
        });
        Connected(Arc::clone(self))
    }

    fn see(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self) -> Act {
        self.act
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Peer")
            .field("domain", &self.domain)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A Post that is not answered yet.
pub(super) struct InFlight(Arc<Peer>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.totals.answered();
        self.0.note(|seen| seen.in_flight -= 1);
    }
}

/// A connection that is open.
pub(super) struct Connected(Arc<Peer>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.note(|seen| seen.connections_open -= 1);
    }
}
