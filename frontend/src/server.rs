//! Listeners, and the bounds every connection has: sizes, times, numbers (service §2.1 and §8).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::{ServerHandle, fn_service};
use actix_web::{App, HttpServer, web};
use mesh_common::limits::{REQUEST_FIRST_BYTE_TIME_MAX, TRANSACTION_TIME_MAX};

use crate::config::FrontendConfig;
use crate::edge::Edge;
use crate::handlers;
use crate::http_rules::{PATHS, PUBLISHED};
use crate::polls::EndOfWaiting;
use crate::published;
use crate::tls::{self, CertificateSlot, TlsError};

/// Time an idle connection stays open.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(75);
/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: u32 = 1_024;

/// Why a front-end cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {}", hint(cause))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server cannot be set up.
    #[error("the HTTP server cannot be set up")]
    Server(#[source] io::Error),
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it, or choose another port in frontend.listen"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not; choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => "this host has no such address; correct frontend.listen",
        _ => "the system refused",
    }
}

/// A running front-end.
#[derive(Debug)]
pub struct Frontend {
    addresses: Vec<SocketAddr>,
    plain_addresses: Vec<SocketAddr>,
    handle: ServerHandle,
    end_of_waiting: EndOfWaiting,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Frontend {
    /// Binds every listener and begins to answer. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`], with what to do about it.
    pub fn start(
        config: &FrontendConfig,
        slot: Arc<CertificateSlot>,
        edge: Edge,
    ) -> Result<Self, StartError> {
        let secure = bind_all(&config.listen)?;
        let plain = bind_all(&config.listen_plain)?;
        let addresses = addresses_of(&secure).map_err(StartError::Server)?;
        let plain_addresses = addresses_of(&plain).map_err(StartError::Server)?;
        let tls = tls::server_config(slot)?;
        let end_of_waiting = edge.end_of_waiting();
        let edge = web::Data::new(edge);
        let workers = workers_of(config);
        let mut server = HttpServer::new(move || {
            let of_worker = edge.clone();
            let answer = move |request| handlers::answer(request, of_worker.clone());
            App::new()
                .app_data(edge.clone())
                // First, as one plain comparison: the next is a pattern.
                .service(web::service(PATHS[0]).finish(fn_service(answer.clone())))
                .service(web::resource(PUBLISHED).to(published::answer))
                .default_service(fn_service(answer))
        })
        .workers(workers)
        .backlog(BACKLOG)
        .max_connections(config.connections_max.div_ceil(workers))
        .keep_alive(KEEP_ALIVE)
        // Who closes its end is gone: a request that waits would not notice otherwise.
        .h1_allow_half_closed(false)
        // Draft: cluster §14 has two seconds for the headers; service §8 has five to the first octet. This is for both.
        .client_request_timeout(REQUEST_FIRST_BYTE_TIME_MAX)
        // HTTP/2 without it waits 40 ms for each answer (Nagle and delayed acknowledgements).
        .tcp_nodelay(true)
        .shutdown_timeout(TRANSACTION_TIME_MAX.as_secs() + 1)
        .disable_signals();
        for listener in secure {
            server = server
                .listen_rustls_0_23(listener, tls.clone())
                .map_err(StartError::Server)?;
        }
        for listener in plain {
            server = server.listen(listener).map_err(StartError::Server)?;
        }
        let server = server.run();
        let handle = server.handle();
        Ok(Self {
            addresses,
            plain_addresses,
            handle,
            end_of_waiting,
            serving: tokio::spawn(server),
        })
    }

    /// Where HTTPS is answered.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where plain HTTP is answered.
    #[must_use]
    pub fn plain_addresses(&self) -> &[SocketAddr] {
        &self.plain_addresses
    }

    /// Whether the server still runs.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        !self.serving.is_finished()
    }

    /// Takes no new connections, answers the requests that wait, finishes those in work, and ends.
    pub async fn stop(self) {
        self.end_of_waiting.ring();
        self.handle.stop(true).await;
        // The task ends with the server; its result says nothing more than that.
        drop(self.serving.await);
    }
}

fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    addresses
        .iter()
        .map(|&address| {
            TcpListener::bind(address).map_err(|cause| StartError::Listen { address, cause })
        })
        .collect()
}

fn addresses_of(listeners: &[TcpListener]) -> io::Result<Vec<SocketAddr>> {
    listeners.iter().map(TcpListener::local_addr).collect()
}

fn workers_of(config: &FrontendConfig) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}
