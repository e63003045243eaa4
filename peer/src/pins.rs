//! Where it is remembered for good which service a domain has, so that another one under the same name is
//! noticed (service §4.3, decision Q-52).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use mesh_common::discovery::Pinned;

/// The future of what a store of pins says.
pub type PinFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Pins that cannot be read or written. Whoever needs them waits: a service that is not known to be the same
/// as before is not spoken to.
#[derive(Debug, thiserror::Error)]
#[error("what is remembered of the domain cannot be read or written")]
pub struct StoreError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// A durable map from domains to the services they had.
pub trait Pins: Send + Sync {
    /// What is remembered of `domain` (canonical).
    fn pinned<'a>(&'a self, domain: &'a str) -> PinFuture<'a, Option<Pinned>>;

    /// Remembers it for good, in place of what was remembered before.
    fn pin<'a>(&'a self, domain: &'a str, pinned: &'a Pinned) -> PinFuture<'a, ()>;

    /// Forgets the domain, because an operator knows that it has another service now.
    fn forget<'a>(&'a self, domain: &'a str) -> PinFuture<'a, ()>;
}

/// Pins that live as long as the process: for tests, and for who has no store.
#[derive(Debug, Default)]
pub struct MemoryPins(Mutex<HashMap<String, Pinned>>);

impl Pins for MemoryPins {
    fn pinned<'a>(&'a self, domain: &'a str) -> PinFuture<'a, Option<Pinned>> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = pins.get(domain).cloned();
        Box::pin(async move { Ok(pinned) })
    }

    fn pin<'a>(&'a self, domain: &'a str, pinned: &'a Pinned) -> PinFuture<'a, ()> {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.insert(domain.to_owned(), pinned.clone());
        Box::pin(async { Ok(()) })
    }

    fn forget<'a>(&'a self, domain: &'a str) -> PinFuture<'a, ()> {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.remove(domain);
        Box::pin(async { Ok(()) })
    }
}
