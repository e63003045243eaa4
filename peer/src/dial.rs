//! A new connection to one of a service's targets: TCP, TLS 1.3, HTTP/1.1. Every target and address is tried, in
//! order, within one bound of time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mesh_common::delivery::Unreachable;
use mesh_common::discovery::Target;
use mesh_common::limits::{PEER_HEADERS_BYTES_MAX, PEER_HEADERS_MAX};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// The sending half of a connection.
pub(crate) type Sender = http1::SendRequest<Full<Bytes>>;

/// An open connection.
pub(crate) struct Open {
    pub(crate) sender: Sender,
    /// The target's host.
    pub(crate) host: String,
    /// Where requests are posted to there.
    pub(crate) path: String,
    /// Under which trust the certificate was found good.
    pub(crate) trust: u64,
}

/// What connections are secured by.
#[derive(Clone)]
pub(crate) struct Trust {
    pub(crate) tls: TlsConnector,
    /// How often it was replaced.
    pub(crate) number: u64,
}

/// The path of every transaction, unless DNS names another one (protocol draft §4.1).
const WELL_KNOWN_PATH: &str = "/.well-known/mmm";

/// Connects to the first of `targets` that takes a connection by `deadline`, and shows a certificate for `name`.
///
/// If none does, what is told is what is worst: a certificate before TLS before the rest.
pub(crate) async fn dial(
    trust: &Trust,
    name: &ServerName<'static>,
    targets: &[Target],
    deadline: Instant,
) -> Result<Open, Unreachable> {
    let ways: Vec<(&Target, SocketAddr)> = targets
        .iter()
        .flat_map(|target| {
            let to = move |address| (target, SocketAddr::new(address, target.port));
            target.addresses.iter().copied().map(to)
        })
        .collect();
    let mut worst = Unreachable::Connect("there is no address left to try".into());
    for (tried, (target, address)) in ways.iter().enumerate() {
        let left = u32::try_from(ways.len() - tried).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match connect(&trust.tls, name, *address, share).await {
            Ok(sender) => {
                return Ok(Open {
                    sender,
                    host: target.host.clone(),
                    path: path_of(target),
                    trust: trust.number,
                });
            }
            Err(trouble) => {
                tracing::debug!(host = target.host, %address, %trouble, "not connected");
                if tried == 0 || severity(&trouble) > severity(&worst) {
                    worst = trouble;
                }
            }
        }
    }
    Err(worst)
}

fn path_of(target: &Target) -> String {
    let path = target.path.as_deref().unwrap_or(WELL_KNOWN_PATH);
    path.to_owned()
}

const fn severity(trouble: &Unreachable) -> u8 {
    match trouble {
        Unreachable::Certificate(_) => 2,
        Unreachable::Tls(_) => 1,
        _ => 0,
    }
}

async fn connect(
    tls: &TlsConnector,
    name: &ServerName<'static>,
    address: SocketAddr,
    time_max: Duration,
) -> Result<Sender, Unreachable> {
    let deadline = Instant::now() + time_max;
    let late = |what: &str| format!("{what} {address} takes longer than {time_max:.1?}");
    let stream = timeout_at(deadline, TcpStream::connect(address))
        .await
        .map_err(|_| Unreachable::Connect(late("connecting to")))?
        .map_err(|error| Unreachable::Connect(format!("{address}: {error}")))?;
    stream
        .set_nodelay(true)
        .map_err(|error| Unreachable::Connect(format!("{address}: {error}")))?;
    let stream = timeout_at(deadline, tls.connect(name.clone(), stream))
        .await
        .map_err(|_| Unreachable::Tls(late("TLS with")))?
        .map_err(|error| trouble_of_tls(address, &error))?;
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(PEER_HEADERS_BYTES_MAX)
        .max_headers(PEER_HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Unreachable::Connect(format!("{address}: {error}")))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "connection ended");
        }
    });
    Ok(sender)
}

/// What a failed handshake means. TLS errors come inside errors of input and output.
fn trouble_of_tls(address: SocketAddr, error: &std::io::Error) -> Unreachable {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => {
            Unreachable::Certificate(format!("{address}: {why}"))
        }
        _ => Unreachable::Tls(format!("{address}: {error}")),
    }
}
