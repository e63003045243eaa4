//! The store server: a [`MemoryStore`] behind HTTP on loopback, for the tests that start several processes.
//!
//! Nothing is kept for a client but its stream of watches, which ends with its connection. The versions that
//! were told of late are kept readable for some seconds, whoever asked for them.

mod orders;
mod streams;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use self::orders::{Orders, OrdersError};
use self::streams::{Kept, Streams};
use super::wire::{Answer, Ask, Refusal};
use crate::store::conflict::Footprint;
use crate::store::pending::Operation;
use crate::store::{MemoryStore, Read, Store as _, Tx as _, TxOptions, Version, limits};

/// Octets of one request: a transaction at its bound, and what is written around each part of it.
const REQUEST_BYTES_MAX: usize = 8 * limits::TX_BYTES_MAX;

/// Its tasks end where they wait; none does anything for long.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A store server that runs until it is dropped.
#[derive(Debug)]
pub struct StoreServer {
    /// Ended with everything that runs on it before the server is gone, so that its address is free then and no
    /// connection is answered any more.
    runtime: Option<Runtime>,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    store: MemoryStore,
    orders: watch::Sender<Orders>,
    streams: Streams,
    kept: Kept,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Shared")
    }
}

impl StoreServer {
    /// Serves an empty store at `address`, and keeps versions readable for `kept`, as FoundationDB does for five
    /// seconds.
    ///
    /// # Errors
    /// The address is not on loopback or not free; there are no threads.
    pub fn start(address: SocketAddr, kept: Duration) -> std::io::Result<Self> {
        if !address.ip().is_loopback() {
            let kind = std::io::ErrorKind::AddrNotAvailable;
            return Err(std::io::Error::new(
                kind,
                "the store server serves loopback only",
            ));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("store-server")
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _within = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared {
            store: MemoryStore::new(),
            orders: watch::Sender::new(Orders::default()),
            streams: Streams::default(),
            kept: Kept::new(kept),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            runtime: Some(runtime),
            address,
            shared,
        })
    }

    /// Where it serves.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store itself, past all troubles: to look at rows, to inject single faults.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.shared.store
    }

    /// From now on has these troubles, and no others.
    pub fn order(&self, orders: Orders) {
        self.shared.order(orders);
    }

    /// Watches that it keeps for clients.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.shared.streams.watches()
    }

    /// Versions that it keeps readable.
    #[must_use]
    pub fn versions(&self) -> usize {
        self.shared.kept.count()
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own, since it may be dropped where nothing may block a runtime.
            let ending = std::thread::spawn(move || runtime.shutdown_timeout(ENDED_WITHIN));
            // A panic there ends no task later than it would have ended.
            let _ = ending.join();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&shared)))),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A connection that is slower for it is still one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.respond(request).await) }
    });
    // A client that goes away has ended what it asked for.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response
}

impl Shared {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let is_get = request.method() == Method::GET;
        if is_get && request.uri().path() == "/" {
            self.pass_the_troubles().await;
            return Response::new(self.streams.open().boxed_unsync());
        }
        let is_orders = request.uri().path() == "/orders";
        let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX);
        let Ok(body) = body.collect().await else {
            return response(StatusCode::PAYLOAD_TOO_LARGE, "");
        };
        let octets = body.to_bytes();
        if is_orders {
            return self.ordered(&octets);
        }
        // In a task of its own: what was asked for is done though nobody waits for it any more.
        let done = tokio::spawn(async move {
            self.pass_the_troubles().await;
            match Ask::read(octets) {
                Ok(ask) => self.answer(ask).await,
                Err(_) => Answer::Refused(Refusal::Malformed),
            }
        });
        match done.await {
            Ok(answer) => response(StatusCode::OK, answer.write()),
            Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }

    fn ordered(&self, text: &[u8]) -> Response<Body> {
        let orders = std::str::from_utf8(text)
            .map_err(|_| OrdersError::default())
            .and_then(str::parse);
        match orders {
            Ok(orders) => {
                self.order(orders);
                response(StatusCode::OK, "")
            }
            Err(error) => response(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }

    fn order(&self, orders: Orders) {
        self.store.set_faults(orders.faults);
        self.orders.send_replace(orders);
    }

    /// Waits while the server is silent, and for as long as it is slow.
    async fn pass_the_troubles(&self) {
        let mut orders = self.orders.subscribe();
        // The sender lives in `self`.
        let _ = orders.wait_for(|orders| !orders.silent).await;
        let slow = orders.borrow().slow;
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
    }

    async fn answer(self: &Arc<Self>, ask: Ask) -> Answer {
        let answer = match ask {
            Ask::ReadVersion => self.kept.newest(&self.store).await.map(Answer::Version),
            Ask::Get(version, key) => {
                let found = self.at(version).get(&key, Read::Snapshot).await;
                found.map(Answer::Value).map_err(Refusal::from)
            }
            Ask::Range(version, range, limit, order) => {
                let tx = self.at(version);
                let page = tx.range(&range, limit, order, Read::Snapshot).await;
                page.map(Answer::Page).map_err(Refusal::from)
            }
            Ask::Commit(version, reads, operations) => {
                self.commit(version, reads, operations).await
            }
            Ask::Watch(stream, number, key) => match self.store.watch(&key).await {
                Ok(watch) => self.streams.watch(stream, number, watch),
                Err(error) => Err(error.into()),
            }
            .map(|()| Answer::Done),
            Ask::Unwatch(stream, number) => {
                self.streams.unwatch(stream, number);
                Ok(Answer::Done)
            }
        };
        answer.unwrap_or_else(Answer::Refused)
    }

    fn at(&self, version: Version) -> <MemoryStore as crate::store::Store>::Tx {
        let mut tx = self.store.begin(TxOptions::default());
        tx.set_read_version(version);
        tx
    }

    async fn commit(
        &self,
        version: Option<Version>,
        reads: Footprint,
        operations: Vec<Operation>,
    ) -> Result<Answer, Refusal> {
        let (read_only, full, late) = {
            let orders = self.orders.borrow();
            (orders.read_only, orders.full, orders.late)
        };
        if read_only {
            return Err(Refusal::ReadOnly);
        }
        if full {
            return Err(Refusal::Full);
        }
        let mut tx = self.store.begin(TxOptions::default());
        if let Some(version) = version {
            tx.set_read_version(version);
        }
        reads.keys.iter().for_each(|key| tx.read_conflict(key));
        for range in &reads.ranges {
            tx.read_conflict_range(range);
        }
        for operation in operations {
            match operation {
                Operation::ClearRange(range) => tx.clear_range(&range),
                Operation::Clear(key) => tx.clear(&key),
                Operation::Set(key, value) => tx.set(&key, value),
                Operation::StampedValue(key, prefix, suffix) => {
                    tx.set_stamped_value(&key, &prefix, &suffix);
                }
                Operation::StampedKey(prefix, suffix, value) => {
                    tx.set_stamped_key(&prefix, &suffix, value);
                }
            }
        }
        let committed = tx.commit().await;
        if !late.is_zero() {
            tokio::time::sleep(late).await;
        }
        Ok(Answer::Committed(committed?))
    }
}
