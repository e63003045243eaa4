//! One transaction over a store server.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::line::{Line, Silence};
use super::wire::{Answer, Ask};
use crate::store::pending::{Pending, clamped, collects_writes};
use crate::store::{
    CommitError, Committed, KeyRange, Limit, Order, Page, Read, Row, StoreError, Tx, TxOptions,
    Version,
};

/// A transaction of the engine over a [`super::StoreServer`].
pub struct RemoteTx {
    line: Arc<Line>,
    pending: Pending,
    pinned: Option<Version>,
    /// Asked for with the first read, and the same from then on.
    version: OnceCell<Version>,
}

impl RemoteTx {
    pub(super) fn new(line: Arc<Line>, options: TxOptions) -> Self {
        Self {
            line,
            pending: Pending::new(options),
            pinned: None,
            version: OnceCell::new(),
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, StoreError> {
        match self.line.ask(ask, self.pending.options().timeout).await {
            Ok(Answer::Refused(refusal)) => Err(refusal.of_read()),
            Ok(answer) => Ok(answer),
            Err(Silence::Away | Silence::Malformed) => Err(StoreError::Away),
        }
    }

    async fn version(&self) -> Result<Version, StoreError> {
        let ask = async {
            match self.pinned {
                Some(version) => Ok(version),
                None => match self.ask(&Ask::ReadVersion).await? {
                    Answer::Version(version) => Ok(version),
                    _ => Err(StoreError::Away),
                },
            }
        };
        self.version.get_or_try_init(|| ask).await.copied()
    }

    /// Rows of the store under the transaction's own, as many as a page may take and one more, with the part
    /// of `range` that they speak for, and whether there is more behind it.
    async fn base(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
    ) -> Result<(Vec<Row>, KeyRange, bool), StoreError> {
        let version = self.version().await?;
        let (mut rows, mut left, mut bytes) = (Vec::new(), range.clone(), 0);
        loop {
            let wanted = Limit {
                rows: limit.rows.max(1) + 1 - rows.len(),
                bytes: limit.bytes,
            };
            let ask = Ask::Range(version, left, wanted, order);
            let Answer::Page(found) = self.ask(&ask).await? else {
                return Err(StoreError::Away);
            };
            for row in found.rows {
                bytes += row.key.len() + row.value.len();
                rows.push(row);
            }
            let Some(last) = rows.last().filter(|_| found.more) else {
                return Ok((rows, range.clone(), false));
            };
            if rows.len() > limit.rows || bytes > limit.bytes {
                let covered = range.up_to(&last.key, order);
                return Ok((rows, covered, true));
            }
            left = range.rest(&last.key, order);
        }
    }
}

impl Tx for RemoteTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        if let Some(own) = self.pending.own(key)? {
            return Ok(own);
        }
        let version = self.version().await?;
        let ask = Ask::Get(version, Bytes::copy_from_slice(key));
        let Answer::Value(value) = self.ask(&ask).await? else {
            return Err(StoreError::Away);
        };
        if read == Read::Serializable {
            self.pending.read_conflict(key);
        }
        Ok(value)
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        let mut left = clamped(range);
        loop {
            if left.is_empty() {
                return Ok(Page::default());
            }
            let (rows, covered, more) = self.base(&left, limit, order).await?;
            let base = rows.iter().cloned().map(Ok);
            let mut page = self.pending.page(&covered, limit, order, read, base)?;
            page.more |= more;
            // The transaction may have cleared all that was found.
            let Some(last) = rows.last().filter(|_| page.rows.is_empty() && more) else {
                return Ok(page);
            };
            left = left.rest(&last.key, order);
        }
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        self.version().await
    }

    collects_writes!();

    async fn commit(self) -> Result<Committed, CommitError> {
        let version = self.version.get().copied().or(self.pinned);
        let timeout = self.pending.options().timeout;
        let mut prepared = self.pending.prepare()?;
        let ask = if prepared.is_read_only() {
            if let Some(version) = version {
                return Ok(Committed {
                    version,
                    stamp: None,
                });
            }
            Ask::ReadVersion
        } else {
            let reads = std::mem::take(&mut prepared.reads);
            Ask::Commit(version, reads, prepared.into_operations())
        };
        match self.line.ask(&ask, timeout).await {
            Ok(Answer::Committed(committed)) => Ok(committed),
            Ok(Answer::Version(version)) => Ok(Committed {
                version,
                stamp: None,
            }),
            Ok(Answer::Refused(refusal)) => Err(refusal.of_commit()),
            // It may be on its way to the server, or the server about to do it.
            Ok(_) | Err(_) => Err(CommitError::MayStillLand),
        }
    }
}
