//! A service that posts: its peers, its name server, and a clock that can be put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::{HostProfileKeys, ServiceKeys};
use mesh_common::delivery::{Answered, Attempt, End, Unreachable};
use mesh_common::session::client::ClientIdentity;
use mesh_common::time::{Clock, Timestamp};
use mesh_peer::{
    Components, DiscoverySettings, Greeting, GreetingError, MemoryPins, Peers, Speaker,
};
use mesh_tests::frames;
use mesh_tests::peer::{Conduct, Deed, Listeners, Peer, Settings, Simulator};
use meshd::authority::NameServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The domain it speaks for.
pub(crate) const FROM: &str = "sender.test";
/// The peer most tests are about.
pub(crate) const PEER: &str = "peer.test";
/// The bound of one transfer that is to end before: far more than the busiest machine needs.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(60);

/// A service that posts.
pub(crate) struct Sender {
    pub(crate) runtime: Runtime,
    pub(crate) peers: Peers,
    pub(crate) names: NameServer,
    pub(crate) simulator: Simulator,
    pub(crate) clock: Arc<LateClock>,
    _folder: TempDir,
}

/// The system's clock, put forward.
#[derive(Debug, Default)]
pub(crate) struct LateClock(AtomicI64);

struct Identity(ClientIdentity);

impl Speaker for Identity {
    fn identity_of(&self, domain: &str) -> Option<ClientIdentity> {
        (domain == FROM).then(|| self.0.clone())
    }
}

impl Clock for LateClock {
    fn now(&self) -> Timestamp {
        let late = u64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(0);
        SystemClock.now() + Duration::from_millis(late)
    }
}

impl LateClock {
    pub(crate) fn pass(&self, time: Duration) {
        let late = i64::try_from(time.as_millis()).expect("tests do not last that long");
        self.0.fetch_add(late, Ordering::SeqCst);
    }
}

/// A peer that keeps what it gets, at once.
pub(crate) fn good() -> Conduct {
    doing(Deed::Keep)
}

/// A quick peer that does this with what it gets.
pub(crate) fn doing(deed: Deed) -> Conduct {
    Conduct {
        latency: Duration::ZERO,
        ..Conduct::doing(deed)
    }
}

impl Sender {
    /// With one peer, [`PEER`], which is not in DNS yet.
    pub(crate) fn with(conduct: Conduct) -> Self {
        Self::to(&[(PEER, conduct)], |_, _| {})
    }

    /// The same, and the peer is in DNS.
    pub(crate) fn published(conduct: Conduct) -> Self {
        let sender = Self::with(conduct);
        sender.publish(PEER);
        sender
    }

    /// With these peers, each at an address of its own.
    pub(crate) fn to(
        peers: &[(&str, Conduct)],
        adjust: impl FnOnce(&Simulator, &mut DiscoverySettings),
    ) -> Self {
        let named = peers
            .iter()
            .map(|(domain, conduct)| ((*domain).to_owned(), conduct.clone()));
        let settings = Settings {
            listeners: Listeners::Each,
            ..Settings::default()
        };
        let simulator = Simulator::start(named.collect(), settings).unwrap();
        let names = NameServer::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, simulator.authority().pem()).unwrap();
        let mut settings = DiscoverySettings {
            resolver: Some(names.address()),
            authorities: vec![authority],
            allow_loopback: true,
            ..DiscoverySettings::default()
        };
        adjust(&simulator, &mut settings);
        let clock = Arc::<LateClock>::default();
        let components = Components {
            speaker: Arc::new(Identity(identity())),
            pins: Arc::new(MemoryPins::default()),
            clock: Arc::<LateClock>::clone(&clock),
            entropy: Arc::new(|| Box::new(SystemEntropy)),
        };
        Self {
            runtime: Runtime::new().unwrap(),
            peers: Peers::new(&settings, components).unwrap(),
            names,
            simulator,
            clock,
            _folder: folder,
        }
    }

    /// Puts `domain` into DNS, where its peer is.
    pub(crate) fn publish(&self, domain: &str) {
        let address = self.simulator.peer(domain).address();
        self.names.publish(domain, address);
    }

    /// The peer most tests are about.
    pub(crate) fn peer(&self) -> &Peer {
        self.simulator.peer(PEER)
    }

    /// One transfer of message `id` to an account of `domain`.
    pub(crate) fn post_to(&self, domain: &str, id: &str) -> Attempt {
        self.runtime.block_on(self.posting(domain, id))
    }

    /// The same, to be waited for with others.
    pub(crate) async fn posting(&self, domain: &str, id: &str) -> Attempt {
        self.posting_within(TIME_MAX, domain, id).await
    }

    /// The same, given up after `time_max`.
    pub(crate) async fn posting_within(
        &self,
        time_max: Duration,
        domain: &str,
        id: &str,
    ) -> Attempt {
        let recipient = AccountAddress::parse(&format!("bob@{domain}")).unwrap();
        let envelope = frames::message("RequestContact", id, "{}");
        self.peers
            .post(FROM, &recipient, envelope, None, time_max)
            .await
    }

    /// One transfer to [`PEER`], and how it ended.
    pub(crate) fn post(&self, id: &str) -> End {
        self.post_to(PEER, id).end
    }

    /// One transfer to [`PEER`], which takes it.
    pub(crate) fn deliver(&self, id: &str) {
        assert_delivered(&self.post(id));
    }

    /// Why [`PEER`] is not reached.
    pub(crate) fn trouble(&self, id: &str) -> Unreachable {
        unreachable_because(self.post(id))
    }

    pub(crate) fn greet(&self) -> Result<Arc<Greeting>, GreetingError> {
        self.runtime.block_on(self.peers.greet(PEER, TIME_MAX))
    }
}

/// A service's own identity.
fn identity() -> ClientIdentity {
    let service = ServiceKeys::generate(&mut SystemEntropy);
    let host = HostProfileKeys::generate(&mut SystemEntropy);
    ClientIdentity::service(
        service.profile(SystemClock.now()),
        Some(host.profile(&service.offline)),
        FROM.to_owned(),
        service.authentication,
    )
}

pub(crate) fn assert_delivered(end: &End) {
    let answered = answered(end);
    assert_eq!(answered.status, 201, "{end:?}");
}

pub(crate) fn answered(end: &End) -> &Answered {
    match end {
        End::Answered(answered) => answered,
        other => panic!("no answer: {other:?}"),
    }
}

pub(crate) fn unreachable_because(end: End) -> Unreachable {
    match end {
        End::Unreachable(trouble) => trouble,
        other => panic!("reached: {other:?}"),
    }
}
