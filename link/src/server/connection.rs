//! One connection: TLS, who is on the other end, and its requests one after another.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_common::limits::{
    LINK_CONNECTION_LIFE, LINK_HEADERS_BYTES_MAX, REQUEST_FIRST_BYTE_TIME_MAX,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::bounds::Pair;
use crate::identity::LinkRoles;
use crate::tls::LinkSecurity;

/// Octets that are read ahead of one connection.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Headers of one request.
const HEADERS_MAX: usize = 16;

/// One connection, as its requests see it.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    /// What the other end has shown to be.
    pub(super) roles: LinkRoles,
    /// The process on the other end, once it has said which.
    pub(super) pair: OnceLock<Arc<Pair>>,
    /// Whether no further request is taken.
    pub(super) closing: watch::Sender<bool>,
}

/// Serves a connection to its end, in its `place`.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, place: OwnedSemaphorePermit) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended at once");
        return;
    }
    match shared.security.clone() {
        LinkSecurity::PlainOnLoopback => {
            talk(stream, shared, LinkRoles::ALL, watch::channel(0).1).await;
        }
        LinkSecurity::Mutual(tls) => {
            let reloads = tls.reloads();
            let handshake = TlsAcceptor::from(tls.server()).accept(stream);
            match tokio::time::timeout(REQUEST_FIRST_BYTE_TIME_MAX, handshake).await {
                Ok(Ok(stream)) => {
                    let roles = tls.roles_of(stream.get_ref().1.peer_certificates());
                    talk(stream, shared, roles, reloads).await;
                }
                Ok(Err(error)) => tracing::warn!(%error, "a process could not show who it is"),
                Err(_) => tracing::debug!("a handshake took too long"),
            }
        }
    }
    drop(place);
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: S,
    shared: Arc<Shared>,
    roles: LinkRoles,
    reloads: watch::Receiver<u64>,
) {
    let (stopping, silence) = (shared.stopping.clone(), shared.silence);
    let connection = Arc::new(Connection {
        shared,
        roles,
        pair: OnceLock::new(),
        closing: watch::Sender::new(false),
    });
    let requests = Arc::clone(&connection);
    let service = service_fn(move |request: Request<Incoming>| {
        let connection = Arc::clone(&requests);
        async move { Ok::<_, Infallible>(connection.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(silence)
        .max_buf_size(BUFFER_BYTES_MAX)
        .max_header_size(LINK_HEADERS_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = over(stopping, reloads, LINK_CONNECTION_LIFE) => {
            connection.closing.send_replace(true);
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Until a connection is to be closed: the node stops, certificates were replaced, or it is old.
async fn over(
    mut stopping: watch::Receiver<bool>,
    mut reloads: watch::Receiver<u64>,
    life: Duration,
) {
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        Ok(()) = reloads.changed() => {}
        () = tokio::time::sleep(life) => {}
    }
}
