//! How the owner of a destination learns that something was queued: told in process after the commit
//! (delivery §11).
//!
//! What is told and lost costs time, never a message. Whoever tells says which commit it was; the look
//! every two seconds compares that with what the store says of the last commit of each shard, and the
//! slow round over the whole queue finds the rest.
//!
//! In a cluster the bell takes in what concerns the shards that are worked for here. Of others it keeps
//! their numbers: their owners are told to look (cluster §11). Of services that spoke it is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::delivery::{Due, QueueItem, ShardId};
use mesh_common::escrow::HolderId;
use mesh_common::limits::OUTBOUND_RUNG_MAX;
use tokio::sync::Notify;

use super::depths::Counted;
use crate::store::Versionstamp;

/// An item that enters the queue, or leaves it, as it is counted and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) destination: String,
    pub(crate) due: Due,
    /// Who has the grants that it is charged to.
    pub(crate) charged_to: Option<HolderId>,
}

impl Note {
    pub(crate) fn of(item: &QueueItem) -> Self {
        Self {
            destination: item.destination().to_owned(),
            due: Due::of(item),
            charged_to: item.charged_to,
        }
    }

    pub(crate) fn shard(&self) -> ShardId {
        ShardId::of(&self.destination)
    }

    pub(crate) fn counted(&self) -> Counted<'_> {
        Counted {
            destination: &self.destination,
            tenant: &self.due.tenant,
            class: self.due.class,
            bytes: self.due.bytes,
        }
    }
}

/// What was told since somebody listened.
#[derive(Debug, Default)]
pub(crate) struct Rung {
    /// What was queued, as far as there is room for it: it need not be read.
    pub(crate) items: Vec<Note>,
    /// Destinations for which more was queued.
    pub(crate) destinations: BTreeSet<String>,
    /// The last commit that was told of, by shard.
    pub(crate) told: BTreeMap<ShardId, Versionstamp>,
    /// Shards that have to be looked at: more was queued than is kept here, or nobody knows whether
    /// it was.
    pub(crate) doubtful: BTreeSet<ShardId>,
}

impl Rung {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.destinations.is_empty() && self.doubtful.is_empty()
    }
}

/// What concerns owners elsewhere, since somebody listened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Abroad {
    /// Shards for which something was queued.
    pub(crate) queues: BTreeSet<ShardId>,
    /// Domains whose services spoke, authenticated.
    pub(crate) heard: BTreeSet<String>,
}

impl Abroad {
    fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.heard.is_empty()
    }
}

#[derive(Debug, Default)]
struct State {
    rung: Rung,
    /// The shards that are worked for here; `None`: all.
    home: Option<BTreeSet<ShardId>>,
    abroad: Abroad,
}

impl State {
    fn is_home(&self, shard: ShardId) -> bool {
        self.home.as_ref().is_none_or(|home| home.contains(&shard))
    }
}

/// The bell of all shards of a node.
#[derive(Debug, Default)]
pub(crate) struct QueueBell {
    state: Mutex<State>,
    notify: Notify,
    abroad: Notify,
}

impl QueueBell {
    /// The bell of a node of a cluster: at first everything is others' business.
    pub(crate) fn of_none() -> Self {
        let bell = Self::default();
        bell.be_home_of(BTreeSet::new());
        bell
    }

    /// `notes` were queued by the commit of this stamp, if it is known.
    pub(crate) fn ring(&self, notes: &[Note], stamp: Option<Versionstamp>) {
        if notes.is_empty() {
            return;
        }
        let mut state = self.lock();
        let state = &mut *state;
        for note in notes {
            if let Some(home) = &state.home
                && !home.contains(&note.shard())
            {
                state.abroad.queues.insert(note.shard());
                continue;
            }
            let rung = &mut state.rung;
            if let Some(stamp) = stamp {
                rung.told.insert(note.shard(), stamp);
            }
            if rung.items.len() < OUTBOUND_RUNG_MAX {
                rung.items.push(note.clone());
                continue;
            }
            if rung.destinations.contains(&note.destination) {
                continue;
            }
            if rung.destinations.len() < OUTBOUND_RUNG_MAX {
                rung.destinations.insert(note.destination.clone());
            } else {
                rung.doubtful.insert(note.shard());
            }
        }
        self.wake(state);
    }

    /// It is unknown whether something was queued for these shards.
    pub(crate) fn doubt(&self, shards: impl IntoIterator<Item = ShardId>) {
        let mut state = self.lock();
        for shard in shards {
            if state.is_home(shard) {
                state.rung.doubtful.insert(shard);
            } else {
                state.abroad.queues.insert(shard);
            }
        }
        self.wake(&state);
    }

    /// Somebody else says that something was queued for these shards. Those that are not worked for here are no
    /// business of ours: whoever told us looks for their owner again.
    pub(crate) fn nudged(&self, shards: impl IntoIterator<Item = ShardId>) {
        let mut state = self.lock();
        let home: Vec<ShardId> = shards
            .into_iter()
            .filter(|one| state.is_home(*one))
            .collect();
        state.rung.doubtful.extend(home);
        self.wake(&state);
    }

    /// Whether what concerns `shard` is taken in here.
    pub(crate) fn is_home(&self, shard: ShardId) -> bool {
        self.lock().is_home(shard)
    }

    /// The service of `domain` spoke, whose shard others work for.
    pub(crate) fn heard_abroad(&self, domain: &str) {
        let mut state = self.lock();
        if state.abroad.heard.len() < OUTBOUND_RUNG_MAX {
            state.abroad.heard.insert(domain.to_owned());
        }
        self.wake(&state);
    }

    /// From now on `shards` are worked for here, and no others.
    pub(crate) fn be_home_of(&self, shards: BTreeSet<ShardId>) {
        self.lock().home = Some(shards);
    }

    /// Waits until something concerns owners elsewhere.
    pub(crate) async fn rung_abroad(&self) {
        self.abroad.notified().await;
    }

    /// What concerned them since the last time.
    pub(crate) fn take_abroad(&self) -> Abroad {
        std::mem::take(&mut self.lock().abroad)
    }

    fn wake(&self, state: &State) {
        if !state.rung.is_empty() {
            self.notify.notify_one();
        }
        if !state.abroad.is_empty() {
            self.abroad.notify_one();
        }
    }

    /// Waits until somebody rings.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// What was told since the last time.
    pub(crate) fn take(&self) -> Rung {
        std::mem::take(&mut self.lock().rung)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mesh_common::delivery::{Class, ItemId};
    use mesh_common::time::Timestamp;

    use super::*;
    use crate::store::Version;

    fn note(destination: &str) -> Note {
        Note {
            destination: destination.to_owned(),
            due: Due {
                id: ItemId([1; 16]),
                tenant: "here.example".into(),
                class: Class::Bulk,
                bytes: 1,
                due_at: Timestamp::from_secs(0),
                is_retry: false,
            },
            charged_to: None,
        }
    }

    #[test]
    fn what_is_told_is_taken_once_with_the_commit_it_came_by() {
        let bell = QueueBell::default();
        let stamp = Versionstamp::new(Version(7), 0);
        bell.ring(&[note("a.example"), note("a.example")], Some(stamp));
        bell.ring(&[note("b.example")], None);
        let rung = bell.take();
        let items = rung.items.iter().map(|note| note.destination.as_str());
        assert_eq!(
            items.collect::<Vec<_>>(),
            ["a.example", "a.example", "b.example"]
        );
        assert!(rung.destinations.is_empty());
        assert_eq!(rung.told.get(&ShardId::of("a.example")), Some(&stamp));
        assert!(rung.doubtful.is_empty());
        assert!(bell.take().items.is_empty());
    }

    #[test]
    fn what_concerns_other_owners_is_kept_for_them_by_number() {
        let bell = QueueBell::of_none();
        let (here, there) = (ShardId::of("here.example"), ShardId::of("there.example"));
        bell.be_home_of(BTreeSet::from([here]));
        bell.ring(&[note("here.example"), note("there.example")], None);
        bell.doubt([there, here]);
        bell.heard_abroad("there.example");
        let abroad = bell.take_abroad();
        assert_eq!(abroad.queues, BTreeSet::from([there]));
        assert_eq!(abroad.heard, BTreeSet::from(["there.example".to_owned()]));
        assert!(bell.take_abroad().is_empty());
        let rung = bell.take();
        assert_eq!(rung.items.len(), 1);
        assert_eq!(rung.doubtful, BTreeSet::from([here]));
        // Whoever was told wrongly passes nothing on.
        bell.nudged([there, here]);
        assert!(bell.take_abroad().is_empty());
        assert_eq!(bell.take().doubtful, BTreeSet::from([here]));
    }

    #[test]
    fn what_is_more_than_memory_allows_is_looked_for_in_the_store() {
        let bell = QueueBell::default();
        for _ in 0..OUTBOUND_RUNG_MAX {
            bell.ring(&[note("first.example")], None);
        }
        for number in 0..OUTBOUND_RUNG_MAX {
            bell.ring(&[note(&format!("d{number}.example"))], None);
        }
        bell.ring(&[note("one.too.many.example")], None);
        let rung = bell.take();
        assert_eq!(rung.items.len(), OUTBOUND_RUNG_MAX);
        assert_eq!(rung.destinations.len(), OUTBOUND_RUNG_MAX);
        let shard = ShardId::of("one.too.many.example");
        assert!(rung.doubtful.contains(&shard));
    }
}
