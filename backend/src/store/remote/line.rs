//! Requests to the server over connections that are kept warm, on a thread of their own: a transaction may be
//! polled by any runtime, and outlive it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::RemoteOptions;
use super::wire::{Answer, Ask, Malformed};

/// Connections of one process, and so requests at once; further ones wait before them.
const CONNECTIONS_MAX: usize = 32;
/// Between two tries to reach a server that is away.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The way to the server.
#[derive(Debug)]
pub(super) struct Line {
    /// Ended without waiting for what it does, from wherever the last handle is dropped.
    runtime: Option<Runtime>,
    wires: Arc<Wires>,
    timeout: Duration,
}

#[derive(Debug)]
struct Wires {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    free: Semaphore,
}

/// There is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// The server was not reached, or did not answer in time, or its answer was lost.
    Away,
    /// What it said is no answer.
    Malformed,
}

impl From<Malformed> for Silence {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// One try without an answer.
enum Failed {
    /// The request never left.
    Unsent,
    /// It may have arrived.
    Lost,
}

impl Line {
    pub(super) fn new(options: &RemoteOptions) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store-line")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            wires: Arc::new(Wires {
                address: options.address,
                idle: Mutex::default(),
                free: Semaphore::new(CONNECTIONS_MAX),
            }),
            timeout: options.timeout,
        })
    }

    /// Asks within `timeout`, or within the line's own time if that is shorter. What may be asked twice is
    /// asked again until it is answered; a commit is sent once.
    pub(super) async fn ask(
        &self,
        ask: &Ask,
        timeout: Option<Duration>,
    ) -> Result<Answer, Silence> {
        let may_repeat = !matches!(ask, Ask::Commit(..));
        let (wires, body) = (Arc::clone(&self.wires), ask.write());
        let timeout = timeout.map_or(self.timeout, |timeout| timeout.min(self.timeout));
        let answer = async move {
            let exchange = wires.exchange(body, may_repeat);
            let answer = tokio::time::timeout(timeout, exchange).await;
            answer.ok().flatten().ok_or(Silence::Away)
        };
        // A request that was begun goes on though nobody waits for it any more.
        let answer = self.runtime().spawn(answer).await;
        Ok(Answer::read(answer.map_err(|_| Silence::Away)??)?)
    }

    /// Opens the stream by which the server tells what happens to watched keys.
    pub(super) async fn stream(&self) -> Result<Response<Incoming>, Silence> {
        let (wires, timeout) = (Arc::clone(&self.wires), self.timeout);
        let opened = async move {
            tokio::time::timeout(timeout, wires.stream())
                .await
                .ok()
                .flatten()
        };
        let opened = self.runtime().spawn(opened).await;
        opened.ok().flatten().ok_or(Silence::Away)
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("it is taken when the line is dropped")
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Wires {
    async fn exchange(&self, body: Bytes, may_repeat: bool) -> Option<Bytes> {
        loop {
            match self.send(body.clone()).await {
                Ok(answer) => return Some(answer),
                Err(Failed::Lost) if !may_repeat => return None,
                Err(Failed::Lost | Failed::Unsent) => tokio::time::sleep(TRY_AGAIN_AFTER).await,
            }
        }
    }

    async fn send(&self, body: Bytes) -> Result<Bytes, Failed> {
        let _turn = self.free.acquire().await.map_err(|_| Failed::Unsent)?;
        let mut sender = match self.warm() {
            Some(sender) => sender,
            None => self.connect().await.ok_or(Failed::Unsent)?,
        };
        if sender.ready().await.is_err() {
            return Err(Failed::Unsent);
        }
        let response = match sender.try_send_request(self.request("POST", body)).await {
            Ok(response) => response,
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                return Err(if unsent { Failed::Unsent } else { Failed::Lost });
            }
        };
        let body = response.into_body().collect().await;
        let body = body.map_err(|_| Failed::Lost)?.to_bytes();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(sender);
        Ok(body)
    }

    async fn stream(&self) -> Option<Response<Incoming>> {
        loop {
            if let Some(mut sender) = self.connect().await
                && let Ok(response) = sender.send_request(self.request("GET", Bytes::new())).await
            {
                return Some(response);
            }
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
    }

    fn request(&self, method: &str, body: Bytes) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri("/")
            .header(hyper::header::HOST, self.address.to_string())
            .body(Full::new(body))
            .expect("method, target and host are well-formed")
    }

    /// A connection that waits for its next request, the one used last.
    fn warm(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }
}
