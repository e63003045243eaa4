//! What a node tells by itself: one stream of lines for each process that listens (decision Q-63).
//!
//! A stream remembers what it has told, so that it tells only what differs. A listener that is slow is
//! told less often, and then everything at once; one that stands still is left.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::body::Incoming;
use hyper::{Request, Response};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::wire::event::{Event, News};
use mesh_common::cluster::wire::{StreamId, WatchOrder, WatchReply};
use mesh_common::cluster::{NodeService, Route, Told, Watch};
use mesh_common::limits::{
    LINK_ALIVE_INTERVAL, LINK_CHANGES_PER_EVENT_MAX, LINK_EVENTS_SILENCE_MAX,
    LINK_EVENTS_WAITING_MAX, LINK_WATCHES_MAX, LINK_WATCHES_PER_ORDER_MAX,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Shared;
use super::answer::Refusal;
use super::body::AnswerBody;
use super::bounds::{Allowance, ProcessId, Share};
use super::connection::Connection;
use crate::calls::{NO_STREAM, UNKNOWN, UNREADABLE, WRONG_ROLE, may_listen};

/// Orders that wait for one stream.
const ORDERS_WAITING_MAX: usize = 16;

/// The open streams of a node.
#[derive(Debug)]
pub(crate) struct Streams {
    /// What the names of this node's streams begin with.
    incarnation: [u8; 8],
    allowance: Allowance,
    opened: AtomicU64,
    open: Mutex<HashMap<StreamId, Listener>>,
}

/// Who listens to one stream.
#[derive(Debug, Clone)]
struct Listener {
    process: ProcessId,
    orders: mpsc::Sender<Order>,
    watches: Arc<AtomicUsize>,
}

/// What a stream is to do.
#[derive(Debug)]
enum Order {
    Begin(Vec<Begun>),
    End(Vec<u64>),
}

/// A watch that has begun, under its number.
#[derive(Debug)]
struct Begun {
    number: u64,
    watch: Watch,
    _place: Share,
}

impl Streams {
    pub(crate) fn new(incarnation: [u8; 8], allowance: Allowance) -> Self {
        Self {
            incarnation,
            allowance,
            opened: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<StreamId, Listener>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in `listener`, unless there are as many as may be.
    fn add(&self, listener: Listener) -> Option<StreamId> {
        let mut id = [0; 16];
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        id[..8].copy_from_slice(&self.incarnation);
        id[8..].copy_from_slice(&number.to_be_bytes());
        let mut open = self.open();
        let of_process = open.values().filter(|one| one.process == listener.process);
        let allowance = self.allowance;
        if open.len() >= allowance.streams || of_process.count() >= allowance.streams_per_process {
            return None;
        }
        open.insert(StreamId(id), listener);
        Some(StreamId(id))
    }
}

impl Connection {
    /// Opens a stream. It tells the secrets of tickets, hence it is for those alone who use or have them.
    pub(super) fn events(
        &self,
        request: &Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        if !may_listen(self.roles) {
            return Err(Refusal::status(
                WRONG_ROLE,
                format!("a process that is {} may not listen", self.roles),
            ));
        }
        let (orders, to_do) = mpsc::channel(ORDERS_WAITING_MAX);
        let listener = Listener {
            process: self.pair(request.headers())?.process,
            orders,
            watches: Arc::default(),
        };
        let id = self.shared.streams.add(listener);
        let id = id.ok_or_else(|| Refusal::status(NO_STREAM, "too many processes listen"))?;
        let (lines, to_send) = mpsc::channel(LINK_EVENTS_WAITING_MAX);
        let teller = Teller {
            registered: Registered {
                id,
                shared: Arc::clone(&self.shared),
            },
            lines,
            told: Told::default(),
            ending: HashMap::new(),
        };
        tokio::spawn(teller.tell(to_do, self.closing.subscribe()));
        Ok(Response::new(AnswerBody::Lines(to_send)))
    }

    /// Begins and ends watches: here, or at the owner by `route` for a front-end that cannot reach it.
    pub(super) async fn watch(
        &self,
        order: WatchOrder,
        route: Option<Route>,
    ) -> Result<WatchReply, Refusal> {
        // At another node each may take its time.
        let begin_max = route.map_or(LINK_WATCHES_PER_ORDER_MAX, |_| 1);
        if order.begin.len() > begin_max
            || order.begin.len() + order.end.len() > LINK_WATCHES_PER_ORDER_MAX
        {
            return Err(Refusal::status(UNREADABLE, "too many watches at once"));
        }
        let of_process = |listener: &&Listener| {
            let pair = self.pair.get();
            pair.is_some_and(|pair| pair.process == listener.process)
        };
        let listener = self
            .shared
            .streams
            .open()
            .get(&order.stream)
            .filter(of_process)
            .cloned();
        let gone = || Refusal::status(UNKNOWN, "the stream has ended");
        let listener = listener.ok_or_else(gone)?;
        let (mut begun, mut reply) = (Vec::new(), Vec::new());
        for (number, account) in order.begin {
            let place = Share::of(&listener.watches, 1, LINK_WATCHES_MAX);
            let watch = match place {
                Some(place) => self.begin(&account, route).await.zip(Some(place)),
                None => None,
            };
            reply.push(watch.is_some());
            begun.extend(watch.map(|(watch, place)| Begun {
                number,
                watch,
                _place: place,
            }));
        }
        for order in [Order::Begin(begun), Order::End(order.end)] {
            listener.orders.send(order).await.map_err(|_| gone())?;
        }
        Ok(WatchReply(reply))
    }
}

impl Connection {
    async fn begin(&self, account: &AccountAddress, route: Option<Route>) -> Option<Watch> {
        let service = &self.shared.service;
        match route {
            None => service.watch(account).await,
            Some(route) => service.watch_on(route, account).await,
        }
    }
}

/// A stream's entry among the open ones, for as long as it lives.
struct Registered {
    id: StreamId,
    shared: Arc<Shared>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.streams.open().remove(&self.id);
    }
}

/// What tells one listener.
struct Teller {
    registered: Registered,
    lines: mpsc::Sender<Bytes>,
    /// What was told last.
    told: Told,
    /// What ends each watch.
    ending: HashMap<u64, AbortHandle>,
}

/// Nobody listens any more, or too slowly.
struct Gone;

/// Until `signal` says so, or nobody is left who could.
async fn told_to(signal: &mut watch::Receiver<bool>) {
    drop(signal.wait_for(|told| *told).await);
}

impl Teller {
    async fn tell(mut self, orders: mpsc::Receiver<Order>, closing: watch::Receiver<bool>) {
        let service = Arc::clone(&self.registered.shared.service);
        // Whatever ended it, the listener sees the stream end.
        let ended: Result<(), Gone> = self.tell_until_gone(&*service, orders, closing).await;
        tracing::debug!(gone = ended.is_err(), "a stream of events ended");
    }

    async fn tell_until_gone(
        &mut self,
        service: &dyn NodeService,
        mut orders: mpsc::Receiver<Order>,
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), Gone> {
        let mut watches = FuturesUnordered::new();
        self.send(&Event::greeting(self.registered.id)).await?;
        self.send_told(service.told()).await?;
        let mut anew = service.told_anew(self.told.revision);
        let mut silent_since = Instant::now();
        loop {
            tokio::select! {
                told = &mut anew => {
                    self.send_told(told).await?;
                    anew = service.told_anew(self.told.revision);
                }
                Some(changed) = watches.next(), if !watches.is_empty() => {
                    let mut changed = vec![changed];
                    while changed.len() < LINK_CHANGES_PER_EVENT_MAX
                        && let Some(Some(more)) = watches.next().now_or_never()
                    {
                        changed.push(more);
                    }
                    let heard: Vec<Begun> = changed.into_iter().flatten().collect();
                    if heard.is_empty() {
                        continue;
                    }
                    let numbers = heard.iter().map(|begun| begun.number).collect();
                    watches.extend(heard.into_iter().map(|begun| self.hear(begun)));
                    self.send(&Event::Changed(numbers)).await?;
                }
                order = orders.recv() => match order.ok_or(Gone)? {
                    Order::Begin(begun) => {
                        watches.extend(begun.into_iter().map(|begun| self.hear(begun)));
                        continue;
                    }
                    Order::End(numbers) => {
                        self.end(&numbers);
                        continue;
                    }
                },
                () = tokio::time::sleep_until(silent_since + LINK_ALIVE_INTERVAL) => {
                    self.send(&Event::Alive {}).await?;
                }
                () = self.lines.closed() => return Err(Gone),
                () = told_to(&mut closing) => return Ok(()),
            }
            silent_since = Instant::now();
        }
    }

    /// Waits for the next change of what `begun` watches, unless its watch is ended.
    fn hear(&mut self, mut begun: Begun) -> Abortable<impl Future<Output = Begun> + Send + use<>> {
        let (handle, registration) = AbortHandle::new_pair();
        self.ending.insert(begun.number, handle);
        let heard = async move {
            begun.watch.changed().await;
            begun
        };
        Abortable::new(heard, registration)
    }

    fn end(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Some(handle) = self.ending.remove(number) {
                handle.abort();
            }
        }
    }

    async fn send_told(&mut self, told: Told) -> Result<(), Gone> {
        let news = News::between(&self.told, &told);
        self.told = told;
        self.send(&Event::Told(Box::new(news))).await
    }

    /// Sends `event`, and waits for a slow listener only so long.
    async fn send(&self, event: &Event) -> Result<(), Gone> {
        let time: Duration = LINK_EVENTS_SILENCE_MAX;
        let sent = self.lines.send_timeout(event.to_line().into(), time).await;
        sent.map_err(|_| Gone)
    }
}
