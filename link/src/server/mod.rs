//! The end of the link that answers: listeners and their threads, each with a runtime of its own, so that
//! one slow thread holds up no other.

mod answer;
mod body;
mod bounds;
mod connection;
mod events;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use mesh_common::cluster::NodeService;
use mesh_common::entropy::{self, Entropy};
use mesh_common::limits::{LINK_CONNECTIONS_MAX, TRANSACTION_TIME_MAX};
use mesh_common::time::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::tls::LinkSecurity;
use crate::trace::Traces;
pub(crate) use bounds::Allowance;
use bounds::Bounds;
use events::Streams;

/// Pause after the system refused to accept a connection, which it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections the kernel may hold for a node before they are accepted.
const BACKLOG: i32 = 1_024;

/// Why a node cannot answer others.
#[derive(Debug, thiserror::Error)]
pub enum LinkStartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for other processes of the cluster")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Without certificates only loopback is listened on.
    #[error(
        "{address} is no loopback address: processes on other hosts need certificates, see `meshd ca`"
    )]
    Plain {
        /// The address.
        address: SocketAddr,
    },
    /// A thread cannot be started.
    #[error("the threads of the internal link cannot be started")]
    Thread(#[source] io::Error),
}

/// What answers, as the threads and connections share it.
pub(crate) struct Shared {
    pub(crate) service: Arc<dyn NodeService>,
    pub(crate) security: LinkSecurity,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) traces: Traces,
    pub(crate) bounds: Bounds,
    pub(crate) streams: Streams,
    /// How long a connection is left open on which nothing comes.
    pub(crate) silence: Duration,
    pub(crate) stopping: watch::Receiver<bool>,
    connections: Arc<Semaphore>,
}

/// What a node answers others with.
pub struct LinkService {
    /// The node.
    pub service: Arc<dyn NodeService>,
    /// How links are secured.
    pub security: LinkSecurity,
    /// The time, which deadlines are compared with.
    pub clock: Arc<dyn Clock>,
    /// The traces calls belong to.
    pub traces: Traces,
}

/// A node that answers others. It ends when it is dropped.
#[derive(Debug)]
pub struct LinkServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Closed when the last thread has ended.
    ended: mpsc::Receiver<()>,
}

impl LinkServer {
    /// Binds `listen` and begins to answer, on as many threads as there are cores if `workers` is 0.
    ///
    /// # Errors
    /// [`LinkStartError`].
    pub fn start(
        listen: SocketAddr,
        workers: usize,
        link: LinkService,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, LinkStartError> {
        Self::start_within(Allowance::default(), listen, workers, link, entropy)
    }

    /// The same, within other bounds than usual.
    pub(crate) fn start_within(
        allowance: Allowance,
        listen: SocketAddr,
        workers: usize,
        link: LinkService,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, LinkStartError> {
        if matches!(link.security, LinkSecurity::PlainOnLoopback) && !listen.ip().is_loopback() {
            return Err(LinkStartError::Plain { address: listen });
        }
        let failed = |cause| LinkStartError::Listen {
            address: listen,
            cause,
        };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        // Once more, with more room: a herd of front-ends may come at once.
        rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            service: link.service,
            security: link.security,
            clock: link.clock,
            traces: link.traces,
            bounds: Bounds::default(),
            streams: Streams::new(entropy::draw(entropy), allowance),
            silence: allowance.silence,
            stopping,
            connections: Arc::new(Semaphore::new(LINK_CONNECTIONS_MAX)),
        });
        let (running, ended) = mpsc::channel(1);
        for worker in 0..workers_of(workers) {
            let listener = listener.try_clone().map_err(failed)?;
            let (shared, running) = (Arc::clone(&shared), running.clone());
            std::thread::Builder::new()
                .name(format!("link-{worker}"))
                .spawn(move || {
                    run(listener, &shared);
                    drop(running);
                })
                .map_err(LinkStartError::Thread)?;
        }
        Ok(Self {
            address,
            stop,
            ended,
        })
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections, ends the streams of events, finishes what is under way for at most the
    /// time of one transaction, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: the channel closes with the last thread.
        let ended: Option<()> = self.ended.recv().await;
        debug_assert!(ended.is_none(), "threads send nothing");
    }
}

fn workers_of(workers: usize) -> usize {
    match workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

/// One thread: accepts and serves until it is told to stop.
fn run(listener: TcpListener, shared: &Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(accept(listener, shared)),
        Err(error) => tracing::error!(%error, "a thread of the internal link has no runtime"),
    }
}

async fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the internal link cannot be listened on");
            return;
        }
    };
    let mut stopping = shared.stopping.clone();
    let mut served = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, shared) => accepted,
            // Told to stop, or nobody is left who could tell.
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        while served.try_join_next().is_some() {}
        match accepted {
            Ok((stream, place)) => {
                served.spawn(connection::serve(stream, Arc::clone(shared), place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = async { while served.join_next().await.is_some() {} };
    if tokio::time::timeout(TRANSACTION_TIME_MAX, all)
        .await
        .is_err()
    {
        tracing::warn!(
            "calls of other processes were cut off: they took longer than a transaction"
        );
    }
}

async fn next(
    listener: &tokio::net::TcpListener,
    shared: &Shared,
) -> io::Result<(tokio::net::TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(&shared.connections).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
