//! Spools: completions are folded into marks, marked messages lose their payloads when their time has
//! come, and a beginning that is gone through may be removed whole (containers §7.3, §10, D12, D29).
//!
//! What the service cannot read says nothing: a completion that is encrypted marks no message, and a
//! message without a mark stays.

use std::collections::BTreeMap;

use mesh_common::account::FrameRecord;
use mesh_common::account::retention::Reason;
use mesh_common::dare::DigestStack;
use mesh_common::limits::RETENTION_FRAMES_MAX;
use mesh_common::spool::{MessageState, Reference, SpoolItem};
use mesh_common::time::Timestamp;

use super::{Ended, Step, octets};
use crate::partition::reading::{self, ReadError};
use crate::partition::records::marks::{Mark, folded, may_complete};
use crate::partition::records::{self, FrameRow};
use crate::store::{Read, Tx};

/// Marks as they will be once the step is committed; `None` where one is taken away.
type Marks = BTreeMap<u64, Option<Mark>>;

/// From this index on a step purges: no frame has it.
const PURGE: u64 = u64::MAX;

impl<T: Tx> Step<'_, T> {
    /// Folds what is not folded, then looks at the marks from index `from` on, then at the beginning.
    pub(super) async fn spool(&mut self, from: u64) -> Result<Ended, ReadError> {
        let container = self.head.number;
        let key = self.keys.folded(container);
        let row = self.tx.get(&key, Read::Snapshot).await?;
        let done = row.map_or(Ok(1), |row| folded(&row))?;
        if done < self.head.count() {
            self.fold(done).await?;
            return Ok(Ended::At(from));
        }
        if from == PURGE {
            return self.purge().await;
        }
        match self.marked(from).await? {
            Ended::Whole if self.retention.purge_s > 0 => Ok(Ended::At(PURGE)),
            ended => Ok(ended),
        }
    }

    // ---- States ----

    async fn fold(&mut self, from: u64) -> Result<(), ReadError> {
        let container = self.head.number;
        let end = self.head.count();
        let to = end.min(from.saturating_add(RETENTION_FRAMES_MAX as u64));
        let range = self.keys.frames(container, from, to);
        let page = self.page(&range).await?;
        let mut marks = Marks::new();
        for row in page.rows {
            let (_, record) = records::frame(&row.value)?;
            let index = self.keys.index_of_frame(container, &row.key);
            if let Some(index) = index.filter(|_| may_complete(&record)) {
                self.complete(&mut marks, index, &record).await?;
            }
        }
        for (index, mark) in marks {
            self.rows.set_mark(&self.keys, (container, index), mark);
        }
        self.rows.set_folded(&self.keys, container, to);
        Ok(())
    }

    /// What the completion in frame `by` says, if it is one that can be read.
    async fn complete(
        &self,
        marks: &mut Marks,
        by: u64,
        record: &FrameRecord,
    ) -> Result<(), ReadError> {
        if record.header.is_encrypted() || record.redacted {
            return Ok(());
        }
        let stored = reading::one_frame(self.tx, &self.keys, self.head.number, by);
        let Some((_, payload)) = stored.await? else {
            return Ok(());
        };
        let item = SpoolItem::read(by, &record.header_at(by), Some(&payload));
        if let SpoolItem::Completion { references, .. } = item {
            for reference in references {
                self.refer(marks, by, &reference, record.committed_at)
                    .await?;
            }
        }
        Ok(())
    }

    /// One reference: the newest message of that id is marked, if it came before. Of two messages with
    /// one id the older one keeps its state: it is kept rather too long than too short.
    async fn refer(
        &self,
        marks: &mut Marks,
        by: u64,
        reference: &Reference,
        since: Timestamp,
    ) -> Result<(), ReadError> {
        let container = self.head.number;
        let Some(state) = MessageState::of_relationship(&reference.relationship) else {
            return Ok(());
        };
        let key = records::unique_key(&self.keys, container, &reference.message_id);
        let Some(row) = self.tx.get(&key, Read::Snapshot).await? else {
            return Ok(());
        };
        let index = records::unique(&row)?.last;
        if index == 0 || index >= by {
            return Ok(());
        }
        if state.is_delivery() && self.is_deleted(marks, index).await? {
            return Ok(());
        }
        let mark = Reason::of_state(state).map(|reason| Mark { reason, since });
        marks.insert(index, mark);
        Ok(())
    }

    async fn is_deleted(&self, marks: &Marks, index: u64) -> Result<bool, ReadError> {
        let mark = match marks.get(&index) {
            Some(mark) => *mark,
            None => {
                let key = self.keys.mark(self.head.number, index);
                let row = self.tx.get(&key, Read::Snapshot).await?;
                row.map(|row| Mark::decode(&row)).transpose()?
            }
        };
        Ok(mark.is_some_and(|mark| mark.reason == Reason::Deleted))
    }

    // ---- Redaction ----

    async fn marked(&mut self, from: u64) -> Result<Ended, ReadError> {
        let container = self.head.number;
        let range = self.keys.marks(container, from);
        let (rows, ended) = self.indexed(&range, from).await?;
        for (index, row) in rows {
            let mark = Mark::decode(&row.value)?;
            let Some((frame, record)) = self.frame(container, index).await? else {
                self.rows.clear(row.key.to_vec());
                continue;
            };
            let since = match mark.reason {
                Reason::Read => record.committed_at,
                _ => mark.since,
            };
            // What is read may be deleted as well, one day; what is deleted only goes sooner.
            if self.goes(mark.reason, since) {
                self.redact(index, frame, record, mark.reason);
                self.rows.clear(row.key.to_vec());
            }
        }
        Ok(ended)
    }

    // ---- The beginning ----

    /// Removes frames from the floor on, as long as they are old and nothing of them is needed. The
    /// digest state before the new floor is kept in the head.
    async fn purge(&mut self) -> Result<Ended, ReadError> {
        let (container, floor) = (self.head.number, self.head.floor);
        let range = self.keys.frames(container, floor, self.head.count());
        let page = self.page(&range).await?;
        let mut digests = self.digests_before_floor().await?;
        let mut next = floor;
        for row in page.rows {
            let (frame, record) = records::frame(&row.value)?;
            let is_next = self.keys.index_of_frame(container, &row.key) == Some(next);
            if !is_next
                || !is_gone_through(&record)
                || !self.goes(Reason::Purge, record.committed_at)
            {
                break;
            }
            digests.append(&record.payload_digest);
            self.forget(next, frame, &record).await?;
            next += 1;
        }
        if next == floor {
            return Ok(Ended::Whole);
        }
        self.head.floor = next;
        self.head.floor_digests = Some(digests);
        let is_whole_page = next - floor == RETENTION_FRAMES_MAX as u64;
        Ok(if is_whole_page {
            Ended::At(PURGE)
        } else {
            Ended::Whole
        })
    }

    async fn digests_before_floor(&self) -> Result<DigestStack, ReadError> {
        if let Some(digests) = &self.head.floor_digests {
            return Ok(digests.clone());
        }
        let mut digests = DigestStack::new();
        if let Some((_, first)) = self.frame(self.head.number, 0).await? {
            digests.append(&first.payload_digest);
        }
        Ok(digests)
    }

    /// Removes a frame, and what finds it by its id.
    async fn forget(
        &mut self,
        index: u64,
        frame: FrameRow,
        record: &FrameRecord,
    ) -> Result<(), ReadError> {
        let container = self.head.number;
        self.rows
            .clear_frame(&self.keys, (container, index), frame.chunks);
        if let Some(id) = &record.unique_id {
            let key = records::unique_key(&self.keys, container, id);
            let row = self.tx.get(&key, Read::Snapshot).await?;
            let row = row.map(|row| records::unique(&row)).transpose()?;
            if row.is_some_and(|row| row.last == index) {
                self.rows.clear(key);
            }
        }
        self.octets += octets(record.live_octets());
        self.gone.push(Reason::Purge);
        Ok(())
    }
}

/// Whether nothing of the frame is needed any more: its payload is gone, or it only ever said what
/// became of other messages.
fn is_gone_through(record: &FrameRecord) -> bool {
    record.redacted || (may_complete(record) && record.message_type.is_some())
}
