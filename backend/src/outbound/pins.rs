//! Which service each domain had before, kept for good in the store (service §4.3, decision Q-52): both ends
//! read it, who posts and who is posted to.

use std::sync::Arc;

use mesh_common::discovery::Pinned;
use mesh_peer::pins::{PinFuture, Pins, StoreError as PinError};

use crate::handle::BackendHandle;
use crate::partition::shared::Shared;
use crate::partition::{Reader, RowError, Writer};
use crate::store::{Read, Store, Tx, TxOptions, keys};

/// Format of a pin.
const PIN: u8 = 1;

/// The pins of one store.
struct StoredPins<S: Store>(Arc<Shared<S>>);

impl<S: Store> BackendHandle<S> {
    /// Which service each domain had before, as this back-end's store keeps it.
    #[must_use]
    pub fn pins(&self) -> Arc<dyn Pins> {
        Arc::new(StoredPins(Arc::clone(&self.inner.shared)))
    }
}

fn encode(pinned: &Pinned) -> Vec<u8> {
    let json = serde_json::to_vec(pinned).expect("a pin holds no maps");
    Writer::new(PIN).octets(&json).finish()
}

fn decode(value: &[u8]) -> Result<Pinned, RowError> {
    let mut row = Reader::new("pin", value, PIN)?;
    let pinned = serde_json::from_slice(row.octets()?).map_err(|_| row.impossible("text"))?;
    row.finish()?;
    Ok(pinned)
}

fn trouble(error: impl std::error::Error + Send + Sync + 'static) -> PinError {
    PinError(Box::new(error))
}

impl<S: Store> StoredPins<S> {
    async fn write(&self, domain: &str, value: Option<Vec<u8>>) -> Result<(), PinError> {
        let mut tx = self.0.store.begin(self.0.writing());
        match value {
            Some(value) => tx.set(&keys::pin(domain), value),
            None => tx.clear(&keys::pin(domain)),
        }
        // Absolute and the same whoever writes it: a doubtful result may be repeated by the next greeting.
        tx.commit().await.map(drop).map_err(trouble)
    }
}

impl<S: Store> Pins for StoredPins<S> {
    fn pinned<'a>(&'a self, domain: &'a str) -> PinFuture<'a, Option<Pinned>> {
        Box::pin(async move {
            let tx = self.0.store.begin(TxOptions::default());
            let row = tx.get(&keys::pin(domain), Read::Snapshot).await;
            let row = row.map_err(trouble)?;
            row.map(|row| decode(&row)).transpose().map_err(trouble)
        })
    }

    fn pin<'a>(&'a self, domain: &'a str, pinned: &'a Pinned) -> PinFuture<'a, ()> {
        Box::pin(self.write(domain, Some(encode(pinned))))
    }

    fn forget<'a>(&'a self, domain: &'a str) -> PinFuture<'a, ()> {
        Box::pin(self.write(domain, None))
    }
}
