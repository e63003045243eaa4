//! Which service each domain had before, kept for good in the store (service §4.3, decision Q-52): both ends
//! read it, who posts and who is posted to.

use std::sync::Arc;

use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::limits::PINNED_NAME_BYTES_MAX;
use mesh_common::protocol::Code;
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

    /// What is remembered of the service of `domain`, once what a front-end has `seen` is: of a domain that
    /// nobody has seen before, or of the same service as before. Another service is remembered by nobody's
    /// word but an operator's.
    pub(crate) async fn remembered(
        &self,
        domain: &str,
        seen: Option<&Pinned>,
    ) -> Result<Option<Pinned>, ServiceError> {
        let pins = StoredPins(Arc::clone(&self.inner.shared));
        let away = |error: PinError| ServiceError::unavailable(chain(&error));
        let Some(seen) = seen else {
            return pins.pinned(domain).await.map_err(away);
        };
        let is_name = (1..=PINNED_NAME_BYTES_MAX).contains(&domain.len())
            && domain.bytes().all(|octet| octet.is_ascii_graphic());
        if !is_name {
            let sentence = "this is no name of a domain or host";
            return Err(ServiceError::new(Code::Malformed, sentence));
        }
        pins.take_seen(domain, seen).await.map_err(away)
    }
}

/// The error and what caused it.
fn chain(error: &PinError) -> String {
    format!("{error}: {}", error.0)
}

/// Another service has the domain than had it before.
#[derive(Debug, thiserror::Error)]
#[error("the service of the domain is another one")]
struct Another;

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
    /// Remembers `seen`, unless another service or a newer profile is remembered. Returns what then is.
    async fn take_seen(&self, domain: &str, seen: &Pinned) -> Result<Option<Pinned>, PinError> {
        let mut tx = self.0.store.begin(self.0.writing());
        // Of two that are told of one domain at once, one sees what the other has remembered.
        let row = tx.get(&keys::pin(domain), Read::Serializable).await;
        let row = row.map_err(trouble)?;
        let before = row.map(|row| decode(&row)).transpose().map_err(trouble)?;
        let mut after = seen.clone();
        if let Some(before) = before {
            if before.service_udf != seen.service_udf {
                return Err(trouble(Another));
            }
            if !before.may_become(seen) || before == *seen {
                return Ok(Some(before));
            }
            after.since = before.since;
        }
        tx.set(&keys::pin(domain), encode(&after));
        tx.commit().await.map_err(trouble)?;
        Ok(Some(after))
    }

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
