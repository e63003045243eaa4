//! The thread that FoundationDB's client works on: one per process, started before the first store is
//! opened, stopped after the last one is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use foundationdb::api::{FdbApiBuilder, NetworkAutoStop};

use super::code::store_error;
use crate::store::StoreError;

/// Whether the thread was started in this process: it can be only once.
static IS_STARTED: AtomicBool = AtomicBool::new(false);

/// The client's thread. Dropping it stops it; it cannot be started again.
pub struct Network {
    _running: NetworkAutoStop,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Network")
    }
}

impl Network {
    /// Starts it.
    ///
    /// # Errors
    /// [`StoreError::Closed`] if it was started before; [`StoreError::Cluster`] if the client library
    /// does not offer API version 730.
    pub fn start() -> Result<Self, StoreError> {
        if IS_STARTED.swap(true, Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        let builder = FdbApiBuilder::default().build().map_err(store_error)?;
        // SAFETY: the thread must be stopped before the program ends. `NetworkAutoStop` does so when
        // it is dropped, and nothing else has it.
        #[expect(unsafe_code, reason = "the client demands to be stopped, see above")]
        let running = unsafe { builder.boot() }.map_err(store_error)?;
        Ok(Self { _running: running })
    }
}
