//! Watches: who wants to be told when a key is written, for the engines of one process.
//!
//! The engine registers a watch before it returns, and fires after the commit is durable. Watches are
//! few (one per partition, shard and routing table; cluster §10), so one ordered map is enough.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{KeyRange, StoreError, limits};

/// Resolves when the watched key is written, or without cause; see [`super::Store::watch`].
///
/// Dropping it ends the watch.
pub struct Watch(Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>);

impl Watch {
    /// A watch that ends with this future.
    pub fn new(change: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> Self {
        Self(Box::pin(change))
    }
}

impl Future for Watch {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Watch")
    }
}

/// The watches of one engine.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<Registered>>);

#[derive(Default)]
struct Registered {
    next_id: u64,
    by_key: BTreeMap<(Bytes, u64), oneshot::Sender<()>>,
}

impl Watches {
    /// Registers a watch of `key`.
    ///
    /// # Errors
    /// [`StoreError::TooManyWatches`] beyond [`limits::WATCHES_MAX`].
    pub(super) fn register(&self, key: &[u8]) -> Result<Watch, StoreError> {
        let mut registered = self.lock();
        if registered.by_key.len() >= limits::WATCHES_MAX {
            return Err(StoreError::TooManyWatches {
                max: limits::WATCHES_MAX,
            });
        }
        let (sender, receiver) = oneshot::channel();
        let id = registered.next_id;
        registered.next_id += 1;
        let place = (Bytes::copy_from_slice(key), id);
        registered.by_key.insert(place.clone(), sender);
        drop(registered);
        let registration = Registration {
            watches: self.clone(),
            place,
        };
        Ok(Watch::new(async move {
            let _registration = registration;
            receiver.await.map_err(|_| StoreError::Closed)
        }))
    }

    /// Whether nobody watches anything.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().by_key.is_empty()
    }

    /// Resolves every watch of a key in `range`.
    pub(super) fn fire(&self, range: &KeyRange) {
        let mut registered = self.lock();
        if registered.by_key.is_empty() || range.is_empty() {
            return;
        }
        let fired: Vec<_> = registered
            .by_key
            .range((range.begin.clone(), 0)..(range.end.clone(), 0))
            .map(|(place, _)| place.clone())
            .collect();
        for place in fired {
            if let Some(sender) = registered.by_key.remove(&place) {
                // The watch may have been dropped just now; nobody is left to be told.
                let _ = sender.send(());
            }
        }
    }

    /// Ends every watch with [`StoreError::Closed`]. The engine is going away.
    pub(super) fn close(&self) {
        self.lock().by_key.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Registered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the watch out of the map when the waiting future is dropped.
struct Registration {
    watches: Watches,
    place: (Bytes, u64),
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.watches.lock().by_key.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_watch_leaves_no_trace() {
        let watches = Watches::default();
        let watch = watches.register(b"a").unwrap();
        assert_eq!(watches.lock().by_key.len(), 1);
        drop(watch);
        assert!(watches.lock().by_key.is_empty());
    }

    #[test]
    fn watches_are_bounded() {
        let watches = Watches::default();
        let kept: Vec<_> = (0..limits::WATCHES_MAX)
            .map(|_| watches.register(b"a").unwrap())
            .collect();
        assert!(matches!(
            watches.register(b"a"),
            Err(StoreError::TooManyWatches { .. })
        ));
        drop(kept);
        watches.register(b"a").unwrap();
    }
}
