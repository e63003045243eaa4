//! Many peers in one process: where they listen, and the threads they answer on.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

use super::certificates::Authority;
use super::conduct::{Conduct, Door};
use super::connection::{Behind, serve};
use super::kind::Kind;
use super::seen::{News, Totals};
use super::simulated::{Common, Peer};
use crate::service::loopback;

/// Connections that wait to be accepted by one listener.
const BACKLOG: u32 = 4_096;

/// How peers are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Where they listen.
    pub listeners: Listeners,
    /// Threads that answer.
    pub threads: usize,
    /// Whether messages are verified before they are kept: three signatures each.
    pub checks: bool,
}

/// Where peers listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listeners {
    /// All at one address, told apart by the name in the sender's TLS; who refuses connections, at
    /// one of its own.
    One,
    /// Each at an address of its own.
    Each,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listeners: Listeners::One,
            threads: 1,
            checks: false,
        }
    }
}

/// Peers that answer until they are dropped.
pub struct Simulator {
    /// Ended without waiting for what it does, from wherever it is dropped.
    runtime: Option<Runtime>,
    peers: Vec<Arc<Peer>>,
    by_domain: Arc<HashMap<String, Arc<Peer>>>,
    authority: Arc<Authority>,
    news: Arc<News>,
    totals: Arc<Totals>,
}

/// So many peers of a kind: `healthy-1.test`, `healthy-2.test` and so on.
#[must_use]
pub fn several(kind: Kind, count: usize) -> Vec<(String, Conduct)> {
    (1..=count)
        .map(|number| (format!("{kind}-{number}.test"), kind.conduct()))
        .collect()
}

impl Simulator {
    /// Peers with these domains and conducts.
    ///
    /// # Errors
    /// The system gives no thread or no port.
    pub fn start(peers: Vec<(String, Conduct)>, settings: Settings) -> io::Result<Self> {
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads.max(1))
            .thread_name("peers")
            .enable_all()
            .build()?;
        let common = Common {
            authority: Arc::new(Authority::new()),
            news: Arc::default(),
            totals: Arc::default(),
            checks: settings.checks,
        };
        let entered = runtime.enter();
        let shared = match settings.listeners {
            Listeners::One => Some(bound()?),
            Listeners::Each => None,
        };
        let address_of_all = shared.as_ref().map(TcpSocket::local_addr).transpose()?;
        let mut made = Vec::with_capacity(peers.len());
        for (domain, conduct) in peers {
            let apart = conduct.door == Door::Refused;
            let address = address_of_all.filter(|_| !apart);
            made.push(match address {
                Some(address) => Arc::new(Peer::new(domain, address, conduct, &common)),
                None => settled(domain, conduct, &common)?,
            });
        }
        let by_domain: HashMap<_, _> = made
            .iter()
            .map(|peer| (peer.domain().to_owned(), Arc::clone(peer)))
            .collect();
        let by_domain = Arc::new(by_domain);
        if let Some(socket) = shared {
            let behind = Behind::Named(Arc::clone(&by_domain));
            tokio::spawn(accept(
                socket.listen(BACKLOG)?,
                behind,
                Arc::clone(&common.totals),
            ));
        }
        drop(entered);
        Ok(Self {
            runtime: Some(runtime),
            peers: made,
            by_domain,
            authority: common.authority,
            news: common.news,
            totals: common.totals,
        })
    }

    /// The peers, in the order in which they were named.
    #[must_use]
    pub fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// The peer of `domain`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn peer(&self, domain: &str) -> &Arc<Peer> {
        let peer = self.by_domain.get(domain);
        peer.unwrap_or_else(|| panic!("there is no peer {domain}"))
    }

    /// The authority that certifies them.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Domain and `host:port` of each: what a service without DNS is told of them.
    #[must_use]
    pub fn map(&self) -> Vec<(String, SocketAddr)> {
        let places = self.peers.iter();
        places
            .map(|peer| (peer.domain().to_owned(), peer.address()))
            .collect()
    }

    /// The same as lines of TOML: the table `[discovery.domains]` of a service's configuration.
    #[must_use]
    pub fn map_as_toml(&self) -> String {
        let mut text = String::new();
        for (domain, address) in self.map() {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{domain:?} = \"{address}\"");
        }
        text
    }

    /// Sums over all peers.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Makes the keys and certificates of all peers, on `threads` threads, so that no sender waits
    /// for it.
    pub fn prepare(&self, threads: usize) {
        let share = self.peers.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            for peers in self.peers.chunks(share) {
                scope.spawn(|| peers.iter().for_each(|peer| peer.prepare()));
            }
        });
    }

    /// Waits until `holds`, which is asked again after each event at any peer; false if it does not
    /// within `patience`.
    pub fn wait_until(&self, patience: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        self.news.wait(patience, || holds(self))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Simulator")
            .field("peers", &self.peers.len())
            .finish_non_exhaustive()
    }
}

/// A peer at an address of its own, where it listens now or once it opens its door.
fn settled(domain: String, conduct: Conduct, common: &Common) -> io::Result<Arc<Peer>> {
    let socket = bound()?;
    let listens = conduct.door != Door::Refused;
    let peer = Arc::new(Peer::new(domain, socket.local_addr()?, conduct, common));
    let (behind, totals) = (Behind::One(Arc::clone(&peer)), Arc::clone(&common.totals));
    if listens {
        tokio::spawn(accept(socket.listen(BACKLOG)?, behind, totals));
    } else {
        let waiting = Arc::clone(&peer);
        tokio::spawn(async move {
            waiting.opens.notified().await;
            if let Ok(listener) = socket.listen(BACKLOG) {
                waiting.note(|_| {});
                accept(listener, behind, totals).await;
            }
        });
    }
    Ok(peer)
}

fn bound() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(loopback())?;
    Ok(socket)
}

async fn accept(listener: TcpListener, behind: Behind, totals: Arc<Totals>) {
    loop {
        // What fails here is one connection, or the files are used up until others close.
        if let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, behind.clone(), Arc::clone(&totals)));
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// As many open files as the system lets this process have: every connection is one.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, there are fewer connections, which whoever needs more will notice.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
