//! A transaction of the embedded engine: reads at one version, hands its writes to the committer.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fjall::{Readable, Snapshot};

use super::{Inner, engine_error};
use crate::store::committer::Shared;
use crate::store::conflict::HeldRead;
use crate::store::page::Filling;
use crate::store::pending::{Pending, clamped, collects_writes};
use crate::store::{
    CommitError, Committed, KeyRange, Limit, Order, Page, Read, Row, StoreError, Tx, TxOptions,
    Version, limits,
};

/// A transaction of the embedded engine.
pub struct EmbeddedTx {
    store: Arc<Inner>,
    pending: Pending,
    pinned: Option<Version>,
    view: OnceLock<View>,
}

/// The version a transaction reads, and the engine's view of it while that is kept.
struct View {
    held: HeldRead,
    snapshot: Option<Arc<Snapshot>>,
}

impl EmbeddedTx {
    pub(super) fn new(store: Arc<Inner>, options: TxOptions) -> Self {
        Self {
            store,
            pending: Pending::new(options),
            pinned: None,
            view: OnceLock::new(),
        }
    }

    /// Fixes the version read, at the first call.
    fn view(&self) -> &View {
        self.view.get_or_init(|| {
            let published = self.store.shared.published();
            let version = self.pinned.unwrap_or_else(|| published.newest());
            View {
                held: self.store.shared.live_reads.hold(version),
                snapshot: published.at(version),
            }
        })
    }

    fn snapshot(&self) -> Result<&Arc<Snapshot>, StoreError> {
        self.view().snapshot.as_ref().ok_or(StoreError::TooOld)
    }

    /// Reads one page of rows as the engine has them, on this thread while it is short.
    async fn read_rows(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
    ) -> Result<Page, StoreError> {
        let shared = &self.store.shared;
        let rows = self
            .snapshot()?
            .range(&shared.rows, range.begin.as_ref()..range.end.as_ref());
        let mut rows = Rows {
            shared: shared.clone(),
            rows,
            order,
        };
        let mut filling = Filling::new(limit);
        let is_done =
            filling.take_from(&mut rows, limits::INLINE_ROWS_MAX, limits::INLINE_BYTES_MAX)?;
        if is_done {
            return Ok(filling.into_page());
        }
        let go_on = move || {
            filling.take_from(&mut rows, usize::MAX, usize::MAX)?;
            Ok(filling.into_page())
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime
                    .spawn_blocking(go_on)
                    .await
                    .map_err(|error| StoreError::Engine {
                        folder: shared.folder.clone(),
                        detail: error.to_string(),
                    })?
            }
            Err(_) => go_on(),
        }
    }
}

/// The engine's rows of a range, in order.
struct Rows {
    shared: Arc<Shared>,
    rows: fjall::Iter,
    order: Order,
}

impl Iterator for Rows {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.order {
            Order::Forward => self.rows.next()?,
            Order::Reverse => self.rows.next_back()?,
        };
        Some(match row.into_inner() {
            Ok((key, value)) => Ok(Row {
                key: octets(key),
                value: octets(value),
            }),
            Err(error) => Err(engine_error(&self.shared, "read a range", error)),
        })
    }
}

/// Large values keep the engine's memory, small ones are copied so as not to keep a block alive.
fn octets(slice: fjall::Slice) -> Bytes {
    if slice.len() < 4_096 {
        Bytes::copy_from_slice(&slice)
    } else {
        Bytes::from_owner(slice)
    }
}

impl Tx for EmbeddedTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        if let Some(own) = self.pending.own(key)? {
            return Ok(own);
        }
        let snapshot = self.snapshot()?;
        if read == Read::Serializable {
            self.pending.read_conflict(key);
        }
        let shared = &self.store.shared;
        let value = snapshot
            .get(&shared.rows, key)
            .map_err(|error| engine_error(shared, "read a key", error))?;
        Ok(value.map(octets))
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        let range = clamped(range);
        if range.is_empty() {
            return Ok(Page::default());
        }
        if self.pending.is_untouched(&range) {
            let page = self.read_rows(&range, limit, order).await?;
            self.pending.note_page(&range, &page, order, read);
            return Ok(page);
        }
        let shared = &self.store.shared;
        let rows = self
            .snapshot()?
            .range(&shared.rows, range.begin.as_ref()..range.end.as_ref());
        let rows = Rows {
            shared: shared.clone(),
            rows,
            order,
        };
        self.pending.page(&range, limit, order, read, rows)
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        Ok(self.view().held.version())
    }

    collects_writes!();

    async fn commit(self) -> Result<Committed, CommitError> {
        let version = self.view().held.version();
        let Self {
            store,
            pending,
            view,
            ..
        } = self;
        let timeout = pending.options().timeout;
        let prepared = pending.prepare()?;
        if prepared.is_read_only() {
            return Ok(Committed {
                version,
                stamp: None,
            });
        }
        let read = match view.into_inner() {
            Some(view) => view.held,
            None => store.shared.live_reads.hold(version),
        };
        let landing = store.land(prepared, read);
        match timeout {
            None => landing.await,
            Some(timeout) => tokio::time::timeout(timeout, landing)
                .await
                .unwrap_or(Err(CommitError::MayStillLand)),
        }
    }
}
