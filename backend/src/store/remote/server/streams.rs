//! What the server keeps for a while: the watches of each client's stream, and versions.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::super::wire::Refusal;
use crate::store::{MemoryStore, MemoryTx, Store as _, Tx as _, TxOptions, Version, Watch, limits};

/// Numbers that wait for a client to read them; whoever fires next waits.
const TOLD_MAX: usize = 1_024;

/// The streams of all clients.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    last: u64,
    by_number: HashMap<u64, Watched>,
}

/// The watches of one stream by number.
struct Watched {
    told: mpsc::Sender<u64>,
    watches: HashMap<u64, AbortHandle>,
}

impl Streams {
    /// A new stream: its number first, then those of its watches as they resolve.
    pub(super) fn open(&self) -> Stream {
        let (told, numbers) = mpsc::channel(TOLD_MAX);
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        // There is room: it is the first.
        let _ = told.try_send(number);
        let watches = HashMap::new();
        open.by_number.insert(number, Watched { told, watches });
        Stream {
            streams: self.clone(),
            number,
            numbers,
        }
    }

    pub(super) fn watch(&self, stream: u64, number: u64, watch: Watch) -> Result<(), Refusal> {
        let streams = self.clone();
        let mut open = self.lock();
        let watched = open.by_number.get_mut(&stream).ok_or(Refusal::NoStream)?;
        let told = watched.told.clone();
        let waiting = tokio::spawn(async move {
            if watch.await.is_ok() {
                // Nobody reads any more what nobody is to be told.
                let _ = told.send(number).await;
            }
            streams.forget(stream, number);
        });
        watched.watches.insert(number, waiting.abort_handle());
        Ok(())
    }

    pub(super) fn unwatch(&self, stream: u64, number: u64) {
        if let Some(waiting) = self.forget(stream, number) {
            waiting.abort();
        }
    }

    pub(super) fn watches(&self) -> usize {
        let open = self.lock();
        let watched = open.by_number.values();
        watched.map(|watched| watched.watches.len()).sum()
    }

    fn forget(&self, stream: u64, number: u64) -> Option<AbortHandle> {
        let mut open = self.lock();
        open.by_number.get_mut(&stream)?.watches.remove(&number)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client reads; its watches end with it.
pub(super) struct Stream {
    streams: Streams,
    number: u64,
    numbers: mpsc::Receiver<u64>,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let number = self.numbers.poll_recv(context);
        number.map(|number| {
            let octets = number?.to_be_bytes();
            Some(Ok(Frame::data(Bytes::copy_from_slice(&octets))))
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let watched = self.streams.lock().by_number.remove(&self.number);
        for waiting in watched.iter().flat_map(|watched| watched.watches.values()) {
            waiting.abort();
        }
    }
}

/// The versions that were told of late: each is kept readable for a time by a transaction that reads at it.
pub(super) struct Kept {
    time: Duration,
    told: Mutex<VecDeque<(Instant, Version, MemoryTx)>>,
}

impl Kept {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            told: Mutex::default(),
        }
    }

    /// The newest version of the store, which is kept from now on.
    pub(super) async fn newest(&self, store: &MemoryStore) -> Result<Version, Refusal> {
        let tx = store.begin(TxOptions::default());
        let version = tx.read_version().await?;
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((until, ..)) = told.front()
            && (*until <= now || told.len() >= limits::HISTORY_RANGES_MAX)
        {
            told.pop_front();
        }
        let until = now + self.time;
        match told.back_mut().filter(|(_, last, _)| *last == version) {
            Some((last, ..)) => *last = until,
            None => told.push_back((until, version, tx)),
        }
        if self.time.is_zero() {
            told.clear();
        }
        Ok(version)
    }

    pub(super) fn count(&self) -> usize {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len()
    }
}
