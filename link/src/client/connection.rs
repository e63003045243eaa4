//! One open connection, and one request over it.
//!
//! Whoever asks turns the connection's own wheels while it waits: no task stands between, which would be
//! woken for each request and each answer. A connection at rest is looked at again when it is used.

use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use mesh_common::limits::{LINK_ANSWER_BYTES_MAX, LINK_HEADERS_BYTES_MAX};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::time::Instant;

use super::dial::Stream;
use crate::link::LinkFailure;

pub(super) type CallBody = Full<Bytes>;

/// Room that is made for an answer because of its announced length alone.
const ROOM_MAX: usize = 64 * 1024;

/// One request, before it is one of HTTP.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) body: Bytes,
    pub(super) deadline: Option<HeaderValue>,
    pub(super) traceparent: Option<HeaderValue>,
}

/// One answer.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// An open connection.
pub(super) struct Open {
    pub(super) since: Instant,
    sender: http1::SendRequest<CallBody>,
    wheels: Wheels,
    /// The socket once more, to look at it past everything that has to be told of its changes first.
    line: OwnedFd,
}

/// What makes a connection go.
struct Wheels {
    connection: http1::Connection<TokioIo<Stream>, CallBody>,
    /// How it ended, once it has.
    ended: Option<Option<hyper::Error>>,
}

/// The connection ended before what was waited for.
struct Ended;

impl Wheels {
    /// Waits for `future`, which needs the connection to go on.
    async fn turn<F: Future>(&mut self, future: F) -> Result<F::Output, Ended> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let is_ended = self.is_ended(context);
            // What it has brought may be what is waited for.
            match future.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending if is_ended => Poll::Ready(Err(Ended)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Goes on as far as it can, and says whether that was the end.
    fn is_ended(&mut self, context: &mut Context<'_>) -> bool {
        if self.ended.is_none()
            && let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(context)
        {
            self.ended = Some(ended.err());
        }
        self.ended.is_some()
    }

    /// Why the connection ended.
    fn why(&self) -> Option<&hyper::Error> {
        self.ended.as_ref().and_then(Option::as_ref)
    }
}

impl Open {
    /// HTTP/1.1 over `stream`, whose socket is `line`.
    pub(super) async fn new(stream: Stream, line: OwnedFd) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(LINK_HEADERS_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            since: Instant::now(),
            sender,
            wheels: Wheels {
                connection,
                ended: None,
            },
            line,
        })
    }

    /// Whether nothing has arrived. At rest a node has nothing to say but that it closes the connection, and the
    /// runtime may not have been told yet.
    fn is_quiet(&self) -> bool {
        let looked = recv(
            &self.line,
            &mut [0; 1][..],
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        matches!(looked, Err(Errno::AGAIN))
    }

    /// Whether it takes another request.
    pub(super) async fn is_ready(&mut self) -> bool {
        if !self.is_quiet() {
            return false;
        }
        poll_fn(|context| {
            if self.wheels.is_ended(context) {
                return Poll::Ready(false);
            }
            self.sender.poll_ready(context).map(|ready| ready.is_ok())
        })
        .await
    }

    /// Sends `request` and begins to receive the answer; sets `begun` once it may have arrived.
    pub(super) async fn send(
        &mut self,
        request: Request<CallBody>,
        begun: &mut bool,
    ) -> Result<Response<Incoming>, LinkFailure> {
        *begun = true;
        let sent = self
            .wheels
            .turn(self.sender.try_send_request(request))
            .await;
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut error)) => {
                let is_unsent = error.take_message().is_some();
                *begun = !is_unsent;
                Err(self.failure(Some(&error.into_error()), is_unsent))
            }
            Err(Ended) => Err(self.failure(None, false)),
        }
    }

    /// The next piece of an answer; none at its end.
    pub(super) async fn piece(
        &mut self,
        body: &mut Incoming,
    ) -> Result<Option<Bytes>, LinkFailure> {
        loop {
            return match self.wheels.turn(body.frame()).await {
                Ok(None) => Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Ok(Some(data)),
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => Err(self.failure(Some(&error), false)),
                Err(Ended) => Err(self.failure(None, false)),
            };
        }
    }

    /// Sends `request` and receives the whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<CallBody>,
        begun: &mut bool,
    ) -> Result<HttpAnswer, LinkFailure> {
        let (head, mut body) = self.send(request, begun).await?.into_parts();
        let length = body.size_hint().exact().unwrap_or(u64::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LINK_ANSWER_BYTES_MAX {
            let why = format!("an answer of more than {LINK_ANSWER_BYTES_MAX} octets");
            return Err(LinkFailure::Lost(why));
        }
        let mut whole = BytesMut::new();
        while !body.is_end_stream()
            && let Some(data) = self.piece(&mut body).await?
        {
            if data.len() == length {
                // In one piece, as most answers come: not copied.
                return Ok(HttpAnswer {
                    status: head.status,
                    body: data,
                });
            }
            if whole.is_empty() {
                whole.reserve(length.min(ROOM_MAX));
            }
            whole.extend_from_slice(&data);
        }
        Ok(HttpAnswer {
            status: head.status,
            body: whole.freeze(),
        })
    }

    /// What it means that there is no answer. A node that does not accept this process's certificate says
    /// so after the handshake, and has then read nothing.
    fn failure(&self, error: Option<&hyper::Error>, is_unsent: bool) -> LinkFailure {
        let error = error.or_else(|| self.wheels.why());
        let why = error.map_or_else(|| "the connection ended".to_owned(), described);
        let is_refused = [error, self.wheels.why()]
            .into_iter()
            .flatten()
            .any(is_alert);
        match (is_refused, is_unsent) {
            (true, _) => LinkFailure::Refused(why),
            (false, true) => LinkFailure::NotSent(why),
            (false, false) => LinkFailure::Lost(why),
        }
    }
}

/// An error with its causes.
fn described(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn is_alert(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    cause
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::AlertReceived(_)))
}
