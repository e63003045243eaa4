//! A new connection to the node: TCP, TLS, HTTP/1.1, within a bound of time.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use mesh_common::limits::LINK_CONNECT_TIME_MAX;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Core;
use super::connection::Open;
use crate::link::LinkFailure;
use crate::tls::LinkSecurity;

/// Addresses of one node that are tried.
const ADDRESSES_MAX: usize = 4;

/// Octets to and from a node.
pub(super) enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Core {
    /// Connects by `until`, and not later than [`LINK_CONNECT_TIME_MAX`] from now.
    pub(super) async fn dial(&self, until: Instant) -> Result<Open, LinkFailure> {
        let until = until.min(Instant::now() + LINK_CONNECT_TIME_MAX);
        let late =
            |_| LinkFailure::NotSent(format!("connecting to {} takes too long", self.address));
        timeout_at(until, self.connect()).await.map_err(late)?
    }

    async fn connect(&self) -> Result<Open, LinkFailure> {
        let failed = |error: io::Error| trouble(&self.address, &error);
        let stream = self.reach().await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let line = stream.as_fd().try_clone_to_owned().map_err(failed)?;
        let stream = match &self.process.security {
            LinkSecurity::PlainOnLoopback => Stream::Plain(stream),
            LinkSecurity::Mutual(tls) => {
                // Not looked at: what counts is the cluster and role that the certificate names.
                let name = ServerName::IpAddress(stream.peer_addr().map_err(failed)?.ip().into());
                let secured = TlsConnector::from(tls.client()).connect(name, stream).await;
                Stream::Secured(Box::new(secured.map_err(failed)?))
            }
        };
        Open::new(stream, line)
            .await
            .map_err(|error| LinkFailure::NotSent(format!("{}: {error}", self.address)))
    }

    /// The first of the node's addresses that takes a connection.
    async fn reach(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::other("the name has no address");
        for address in lookup_host(&self.address).await?.take(ADDRESSES_MAX) {
            match self.reach_at(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn reach_at(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let is_plain = matches!(self.process.security, LinkSecurity::PlainOnLoopback);
        if is_plain && !address.ip().is_loopback() {
            return Err(io::Error::other(
                "a link to another host needs certificates, see `meshd ca`",
            ));
        }
        TcpStream::connect(address).await
    }
}

/// A certificate that is not acceptable, ours or theirs, is no passing trouble.
fn trouble(address: &str, error: &io::Error) -> LinkFailure {
    let why = format!("{address}: {error}");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)) => {
            LinkFailure::Refused(why)
        }
        _ => LinkFailure::NotSent(why),
    }
}

/// Runs `$body` with `$stream` pinned to whichever kind it is.
macro_rules! with_either {
    ($self:expr, $stream:ident => $body:expr) => {
        match $self.get_mut() {
            Stream::Plain(inner) => {
                let $stream = Pin::new(inner);
                $body
            }
            Stream::Secured(inner) => {
                let $stream = Pin::new(&mut **inner);
                $body
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with_either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        with_either!(self, stream => stream.poll_write(context, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_either!(self, stream => stream.poll_write_vectored(context, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_either!(self, stream => stream.poll_shutdown(context))
    }
}
