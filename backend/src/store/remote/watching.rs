//! Watches: all those of one process over one stream from the server, so that neither side keeps a connection
//! for each. With the stream all its watches are lost, and end with [`StoreError::Away`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::line::Line;
use super::wire::{Answer, Ask, Refusal};
use crate::store::{StoreError, Watch};

/// The watches of one engine.
#[derive(Debug)]
pub(super) struct Watching {
    line: Arc<Line>,
    stream: AsyncMutex<Option<Arc<Stream>>>,
    last: AtomicU64,
}

/// One stream while it lasts, and who waits for what comes by it; nobody any more once it has ended.
#[derive(Debug)]
struct Stream {
    number: u64,
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<()>>>>,
}

impl Watching {
    pub(super) fn new(line: Arc<Line>) -> Self {
        Self {
            line,
            stream: AsyncMutex::default(),
            last: AtomicU64::new(0),
        }
    }

    pub(super) async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        let stream = self.stream().await?;
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        match stream.waiting().as_mut() {
            Some(waiting) => drop(waiting.insert(number, sender)),
            None => return Err(StoreError::Away),
        }
        let registration = Registration {
            line: Arc::downgrade(&self.line),
            stream,
            number,
        };
        let key = bytes::Bytes::copy_from_slice(key);
        let ask = Ask::Watch(registration.stream.number, number, key);
        match self.line.ask(&ask, None).await {
            Ok(Answer::Done) => {}
            Ok(Answer::Refused(refusal)) => {
                if refusal == Refusal::NoStream {
                    registration.stream.end();
                }
                return Err(refusal.of_read());
            }
            _ => return Err(StoreError::Away),
        }
        Ok(Watch::new(async move {
            let _registration = registration;
            receiver.await.map_err(|_| StoreError::Away)
        }))
    }

    /// The stream that runs, or a new one.
    async fn stream(&self) -> Result<Arc<Stream>, StoreError> {
        let mut current = self.stream.lock().await;
        if let Some(stream) = current.as_ref().filter(|stream| stream.runs()) {
            return Ok(Arc::clone(stream));
        }
        let opened = self.line.stream().await.map_err(|_| StoreError::Away)?;
        let mut reading = Reading::new(opened.into_body());
        let number = reading.next().await.ok_or(StoreError::Away)?;
        let stream = Arc::new(Stream {
            number,
            waiting: Mutex::new(Some(HashMap::new())),
        });
        let told = Arc::clone(&stream);
        self.line.runtime().spawn(async move {
            while let Some(number) = reading.next().await {
                told.fire(number);
            }
            told.end();
        });
        *current = Some(Arc::clone(&stream));
        Ok(stream)
    }
}

impl Stream {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> bool {
        self.waiting().is_some()
    }

    fn fire(&self, number: u64) {
        if let Some(sender) = self.forget(number) {
            // The watch may have been dropped just now; nobody is left to be told.
            let _ = sender.send(());
        }
    }

    fn forget(&self, number: u64) -> Option<oneshot::Sender<()>> {
        self.waiting().as_mut()?.remove(&number)
    }

    fn end(&self) {
        self.waiting().take();
    }
}

/// Ends the watch on both sides when the waiting future is dropped.
struct Registration {
    /// Not held: a watch keeps no engine alive.
    line: Weak<Line>,
    stream: Arc<Stream>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let is_open = self.stream.forget(self.number).is_some();
        if let Some(line) = self.line.upgrade().filter(|_| is_open) {
            let ask = Ask::Unwatch(self.stream.number, self.number);
            let told = Arc::clone(&line);
            // If this is lost, the server is left with a watch that ends with its key's next change.
            line.runtime()
                .spawn(async move { told.ask(&ask, None).await });
        }
    }
}

/// Numbers as they come by a stream: first its own, then those of the watches that resolve.
struct Reading {
    body: Incoming,
    octets: BytesMut,
}

impl Reading {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            octets: BytesMut::new(),
        }
    }

    async fn next(&mut self) -> Option<u64> {
        loop {
            if let Ok(number) = self.octets.try_get_u64() {
                return Some(number);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.octets.extend_from_slice(&data);
            }
        }
    }
}
