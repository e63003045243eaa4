//! How the owner of a destination learns of what was queued: told in process after the commit, with
//! everything it needs in order not to look (delivery §11).
//!
//! What is told and lost costs time, never a message. Whoever tells says which commit it was; the look
//! every two seconds compares that with what the store says of the last commit of each shard, and the
//! slow round over the whole queue finds the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::delivery::{Class, ItemId, QueueItem, ShardId};
use mesh_common::limits::OUTBOUND_RUNG_MAX;
use mesh_common::time::Timestamp;
use tokio::sync::Notify;

use super::depths::Counted;
use crate::store::Versionstamp;

/// All that is kept in memory of an item that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) id: ItemId,
    pub(crate) destination: String,
    pub(crate) tenant: String,
    pub(crate) class: Class,
    pub(crate) bytes: u64,
    pub(crate) due_at: Timestamp,
}

impl Note {
    pub(crate) fn of(item: &QueueItem) -> Self {
        Self {
            id: item.id,
            destination: item.destination().to_owned(),
            tenant: item.tenant().to_owned(),
            class: item.class,
            bytes: item.bytes,
            due_at: item.due_at,
        }
    }

    pub(crate) fn shard(&self) -> ShardId {
        ShardId::of(&self.destination)
    }

    pub(crate) fn counted(&self) -> Counted<'_> {
        Counted {
            destination: &self.destination,
            tenant: &self.tenant,
            class: self.class,
            bytes: self.bytes,
        }
    }
}

/// What was told since somebody listened.
#[derive(Debug, Default)]
pub(crate) struct Rung {
    /// Items that were queued, in the order of their commits.
    pub(crate) notes: Vec<Note>,
    /// The last commit that was told of, by shard.
    pub(crate) told: BTreeMap<ShardId, Versionstamp>,
    /// Shards that have to be looked at: more was queued than is kept here, or nobody knows whether
    /// it was.
    pub(crate) doubtful: BTreeSet<ShardId>,
}

/// The bell of all shards of a node.
#[derive(Debug, Default)]
pub(crate) struct QueueBell {
    rung: Mutex<Rung>,
    notify: Notify,
}

impl QueueBell {
    /// `notes` were queued by the commit of this stamp, if it is known.
    pub(crate) fn ring(&self, notes: Vec<Note>, stamp: Option<Versionstamp>) {
        if notes.is_empty() {
            return;
        }
        let mut rung = self.lock();
        if let Some(stamp) = stamp {
            rung.told
                .extend(notes.iter().map(|note| (note.shard(), stamp)));
        }
        if rung.notes.len() + notes.len() > OUTBOUND_RUNG_MAX {
            rung.doubtful.extend(notes.iter().map(Note::shard));
        } else {
            rung.notes.extend(notes);
        }
        drop(rung);
        self.notify.notify_one();
    }

    /// It is unknown whether something was queued for these shards.
    pub(crate) fn doubt(&self, shards: impl IntoIterator<Item = ShardId>) {
        self.lock().doubtful.extend(shards);
        self.notify.notify_one();
    }

    /// Waits until somebody rings.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// What was told since the last time.
    pub(crate) fn take(&self) -> Rung {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Version;

    fn note(number: u8) -> Note {
        Note {
            id: ItemId([number; 16]),
            destination: "a.example".to_owned(),
            tenant: "here.example".to_owned(),
            class: Class::Bulk,
            bytes: 1,
            due_at: Timestamp::from_secs(1),
        }
    }

    #[test]
    fn what_is_told_is_taken_once_with_the_commit_it_came_by() {
        let bell = QueueBell::default();
        let stamp = Versionstamp::new(Version(7), 0);
        bell.ring(vec![note(1)], Some(stamp));
        bell.ring(vec![note(2)], None);
        let rung = bell.take();
        assert_eq!(rung.notes, [note(1), note(2)]);
        assert_eq!(rung.told.get(&ShardId::of("a.example")), Some(&stamp));
        assert!(rung.doubtful.is_empty());
        assert!(bell.take().notes.is_empty());
    }

    #[test]
    fn what_is_more_than_memory_allows_is_looked_for_in_the_store() {
        let bell = QueueBell::default();
        bell.ring(vec![note(1); OUTBOUND_RUNG_MAX], None);
        bell.ring(vec![note(2)], None);
        let rung = bell.take();
        assert_eq!(rung.notes.len(), OUTBOUND_RUNG_MAX);
        assert!(rung.doubtful.contains(&ShardId::of("a.example")));
    }
}
