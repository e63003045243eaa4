//! Catalogs: frames that a later one replaced or deleted lose their payloads. The service needs no key
//! for it, headers tell (containers §6.3).

use mesh_common::account::retention::Reason;
use mesh_common::limits::RETENTION_FRAMES_MAX;

use super::{Ended, Step};
use crate::partition::reading::ReadError;
use crate::partition::records::marks;
use crate::store::keys::AccountKeys;
use crate::store::{Limit, Order, Read, Tx};

impl<T: Tx> Step<'_, T> {
    /// Looks at what was replaced, from index `from` on. A live frame has no row there.
    pub(super) async fn catalog(&mut self, from: u64) -> Result<Ended, ReadError> {
        let container = self.head.number;
        let range = self.keys.all_superseded(container, from);
        let limit = Limit::rows(RETENTION_FRAMES_MAX);
        let page = self
            .tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await?;
        let mut next = from;
        for row in page.rows {
            let Some(index) = AccountKeys::index_at_end(&row.key) else {
                continue;
            };
            next = index.saturating_add(1);
            let by = marks::superseded_by(&row.value)?;
            let Some((_, successor)) = self.frame(container, by).await? else {
                continue;
            };
            if !self.goes(Reason::Superseded, successor.committed_at) {
                continue;
            }
            if let Some((row, record)) = self.frame(container, index).await? {
                self.redact(index, row, record, Reason::Superseded);
            }
            self.rows.clear(row.key.to_vec());
        }
        Ok(if page.more {
            Ended::At(next)
        } else {
            Ended::Whole
        })
    }
}
