//! One connection to a peer: the door, TLS with the certificate of the domain that the sender asks
//! for, then HTTP/1.1 until either side has enough.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use super::answer;
use super::conduct::Door;
use super::seen::Totals;
use super::simulated::Peer;

/// How long a connection may be idle.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Octets that are read and thrown away at once.
const SILENCE_BYTES: usize = 4 * 1024;

/// Who is behind a listener.
#[derive(Clone)]
pub(super) enum Behind {
    /// One peer, whatever name it is called by.
    One(Arc<Peer>),
    /// The peer of the domain that the sender asks for.
    Named(Arc<HashMap<String, Arc<Peer>>>),
}

/// Serves one connection to its end. What goes wrong is the sender's to notice.
pub(super) async fn serve(tcp: TcpStream, behind: Behind, totals: Arc<Totals>) {
    totals.opened();
    // A sender that goes away ends the connection, which is nothing to report.
    drop(through_the_door(tcp, behind).await);
    totals.closed();
}

async fn through_the_door(tcp: TcpStream, behind: Behind) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut counted = None;
    if let Behind::One(peer) = &behind {
        counted = Some(peer.connected());
        match peer.door() {
            Door::Refused | Door::Reset => return reset(tcp),
            Door::Silent => return keep_silent(tcp).await,
            Door::Open | Door::Certificate(_) => {}
        }
    }
    let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await?;
    let peer = match behind {
        Behind::One(peer) => peer,
        Behind::Named(peers) => {
            let named = begun.client_hello().server_name().and_then(|name| {
                peers
                    .get(name)
                    .or_else(|| peers.get(name.strip_prefix("mmm.")?))
            });
            Arc::clone(named.ok_or(io::ErrorKind::AddrNotAvailable)?)
        }
    };
    let counted = counted.unwrap_or_else(|| peer.connected());
    let flaw = match peer.door() {
        Door::Refused | Door::Reset => return reset(begun.io),
        Door::Silent => return keep_silent(begun.io).await,
        Door::Certificate(flaw) => Some(flaw),
        Door::Open => None,
    };
    let stream = begun.into_stream(peer.tls(flaw)).await?;
    let service = service_fn(|request| answer::answer(Arc::clone(&peer), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(counted);
    served.map_err(io::Error::other)
}

/// Closes the connection so that the sender is told of a reset.
fn reset(tcp: TcpStream) -> io::Result<()> {
    tcp.set_zero_linger()
}

/// Reads whatever comes and says nothing, until the sender goes.
async fn keep_silent(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut octets = [0; SILENCE_BYTES];
    while stream.read(&mut octets).await? > 0 {}
    Ok(())
}
