//! Catalogs: frames that a later one replaced or deleted lose their payloads. The service needs no key
//! for it, headers tell (containers §6.3).

use mesh_common::account::retention::Reason;

use super::{Ended, Step};
use crate::partition::reading::ReadError;
use crate::partition::records::marks;
use crate::store::Tx;

impl<T: Tx> Step<'_, T> {
    /// Looks at what was replaced, from index `from` on. A live frame has no row there.
    pub(super) async fn catalog(&mut self, from: u64) -> Result<Ended, ReadError> {
        let container = self.head.number;
        let range = self.keys.all_superseded(container, from);
        let (rows, ended) = self.indexed(&range, from).await?;
        for (index, row) in rows {
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
        Ok(ended)
    }
}
