//! The pins of a process that reaches its store, or those who have one, later than it begins to answer.

use std::sync::{Arc, OnceLock};

use mesh_common::discovery::Pinned;
use mesh_peer::{PinFuture, Pins, StoreError};

/// Pins that may not be there yet: until then nothing is believed of any domain.
#[derive(Default)]
pub(super) struct LatePins(OnceLock<Arc<dyn Pins>>);

impl LatePins {
    /// From now on `pins` answer.
    pub(super) fn joined(&self, pins: Arc<dyn Pins>) {
        self.0.get_or_init(|| pins);
    }

    fn get(&self) -> Result<&Arc<dyn Pins>, StoreError> {
        let pins = self.0.get();
        pins.ok_or_else(|| StoreError("this node has not joined its cluster yet".into()))
    }
}

impl Pins for LatePins {
    fn pinned<'a>(&'a self, domain: &'a str) -> PinFuture<'a, Option<Pinned>> {
        Box::pin(async move { self.get()?.pinned(domain).await })
    }

    fn pin<'a>(&'a self, domain: &'a str, pinned: &'a Pinned) -> PinFuture<'a, ()> {
        Box::pin(async move { self.get()?.pin(domain, pinned).await })
    }

    fn forget<'a>(&'a self, domain: &'a str) -> PinFuture<'a, ()> {
        Box::pin(async move { self.get()?.forget(domain).await })
    }
}
