//! The one thread that writes: group commit for the embedded engine.
//!
//! Transactions of all partitions wait in one bounded queue. The committer takes what waits, checks
//! each against the history and against those before it in the group, writes all that may commit as
//! one engine batch with one fsync, and only then tells anybody (architecture A-22, cluster §19). While
//! it syncs the next group gathers: batching without delay and without tuning.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use fjall::{Database, Keyspace, PersistMode, Readable, Snapshot};
use tokio::sync::{mpsc, oneshot};

use super::conflict::{HeldRead, History, LiveReads, Verdict};
use super::embedded::engine_error;
use super::folder::{Acknowledged, io_error};
use super::pending::{Effects, Prepared, RESERVED};
use super::room::Room;
use super::watch::Watches;
use super::{CommitError, Committed, KeyRange, StoreError, Version, Versionstamp, limits};

/// Where each group leaves its version, so that versions go on where they ended.
pub(super) const VERSION_KEY: &[u8] = &[RESERVED, b'v'];

/// One transaction on its way to the committer.
pub(super) struct Request {
    pub(super) prepared: Prepared,
    pub(super) read: HeldRead,
    pub(super) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// What the committer and the transactions share.
pub(super) struct Shared {
    pub(super) folder: std::path::PathBuf,
    pub(super) database: Database,
    pub(super) rows: Keyspace,
    pub(super) live_reads: LiveReads,
    pub(super) watches: Watches,
    pub(super) chain_versions: u64,
    /// Why the engine takes no more writes, once it does not.
    pub(super) stopped: OnceLock<StoreError>,
    pub(super) published: Mutex<Published>,
    /// Makes the next write to the disk fail.
    #[cfg(test)]
    pub(super) next_failure: Mutex<Option<std::io::Error>>,
}

impl Shared {
    pub(super) fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be read: the last versions, each with the engine's view of it.
pub(super) struct Published {
    kept: VecDeque<Kept>,
    /// Octets written by the versions behind the oldest kept.
    bytes: usize,
}

struct Kept {
    version: Version,
    snapshot: Arc<Snapshot>,
    /// Octets this version wrote.
    bytes: usize,
}

impl Published {
    /// Begins with one version.
    pub(super) fn new(version: Version, snapshot: Snapshot) -> Self {
        let mut published = Self {
            kept: VecDeque::new(),
            bytes: 0,
        };
        published.push(version, snapshot, 0);
        published
    }

    /// The newest version.
    pub(super) fn newest(&self) -> Version {
        self.kept
            .back()
            .map_or_else(Version::default, |kept| kept.version)
    }

    /// The view of a version that is still kept.
    pub(super) fn at(&self, version: Version) -> Option<Arc<Snapshot>> {
        let place = self
            .kept
            .binary_search_by_key(&version, |kept| kept.version)
            .ok()?;
        self.kept.get(place).map(|kept| kept.snapshot.clone())
    }

    /// Adds a version and lets go of old ones beyond the bounds.
    fn push(&mut self, version: Version, snapshot: Snapshot, bytes: usize) {
        self.kept.push_back(Kept {
            version,
            snapshot: Arc::new(snapshot),
            bytes,
        });
        self.bytes += bytes;
        while self.kept.len() > 1
            && (self.kept.len() > limits::SNAPSHOTS_MAX || self.bytes > limits::SNAPSHOTS_BYTES_MAX)
        {
            self.kept.pop_front();
            self.bytes -= self.kept.front().map_or(0, |oldest| oldest.bytes);
        }
    }
}

/// The committer's own state.
pub(super) struct Committer {
    shared: Arc<Shared>,
    acknowledged: Acknowledged,
    history: History,
    newest: Version,
    room: Room,
}

/// A group while it is put together.
#[derive(Default)]
struct Group {
    /// What the group does to the store: each key once, nothing standing for a removal.
    writes: BTreeMap<Bytes, Option<Bytes>>,
    footprints: Vec<Effects>,
    replies: Vec<(
        oneshot::Sender<Result<Committed, CommitError>>,
        Versionstamp,
    )>,
}

impl Group {
    /// Octets the group writes.
    fn bytes(&self) -> usize {
        let octets = |(key, value): (&Bytes, &Option<Bytes>)| {
            key.len() + value.as_ref().map_or(0, Bytes::len)
        };
        self.writes.iter().map(octets).sum()
    }
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        acknowledged: Acknowledged,
        newest: Version,
        room: Room,
    ) -> Self {
        Self {
            room,
            shared,
            acknowledged,
            history: History::since(newest),
            newest,
        }
    }

    /// Commits what arrives until every handle of the store is gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut waiting = Vec::with_capacity(limits::GROUP_TXS_MAX);
        while queue.blocking_recv_many(&mut waiting, limits::GROUP_TXS_MAX) > 0 {
            let mut rest = waiting.drain(..).peekable();
            while rest.peek().is_some() {
                let mut bytes = 0;
                let group = std::iter::from_fn(|| {
                    let next = rest.peek()?.prepared.bytes();
                    if bytes > 0 && bytes + next > limits::GROUP_BYTES_MAX {
                        return None;
                    }
                    bytes += next;
                    rest.next()
                });
                let group: Vec<_> = group.collect();
                self.commit(group);
            }
        }
    }

    fn commit(&mut self, requests: Vec<Request>) {
        if let Some(error) = self.shared.stopped.get() {
            for request in requests {
                answer(request.reply, Err(CommitError::Fatal(error.clone())));
            }
            return;
        }
        if !self.room.suffices() {
            for request in requests {
                answer(request.reply, Err(CommitError::ReadOnly));
            }
            return;
        }
        let version = Version(self.newest.0 + 1);
        let mut group = Group::default();
        for request in requests {
            self.admit(request, version, &mut group);
        }
        if group.replies.is_empty() {
            return;
        }
        match self.write(&group, version) {
            Ok(()) => self.publish(group, version),
            Err(error) => self.stop(group, error),
        }
    }

    /// Takes a transaction into the group, or answers why not.
    fn admit(&mut self, request: Request, version: Version, group: &mut Group) {
        let Request {
            prepared,
            read,
            reply,
        } = request;
        // Nobody waits for it any more, so nobody will be told that it was not applied.
        if reply.is_closed() {
            return;
        }
        let verdict = if read.version() > self.newest {
            Verdict::TooOld
        } else {
            self.history.check(&prepared.reads, read.version())
        };
        let effects = match verdict {
            Verdict::Clear => {
                // The queue bounds a group far below the number of places of one version.
                let order = u16::try_from(group.replies.len()).unwrap_or(u16::MAX);
                let effects = prepared.resolve(version, order);
                self.expand(&effects, group)
                    .map(|writes| (effects, writes, order))
            }
            Verdict::Conflict => Err(CommitError::Conflict),
            Verdict::TooOld => Err(CommitError::TooOld),
        };
        match effects {
            Ok((effects, cleared, order)) => {
                self.history.record(&effects.footprint(), version);
                group
                    .writes
                    .extend(cleared.into_iter().map(|key| (key, None)));
                group.writes.extend(
                    effects
                        .writes
                        .iter()
                        .map(|(key, value)| (key.clone(), value.clone())),
                );
                group.footprints.push(effects);
                group
                    .replies
                    .push((reply, Versionstamp::new(version, order)));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// The keys that the cleared ranges hold, those of the group so far included. The engine clears
    /// key by key.
    fn expand(&self, effects: &Effects, group: &Group) -> Result<Vec<Bytes>, CommitError> {
        let mut cleared = Vec::new();
        for range in &effects.cleared {
            let own = group.writes.range(range.begin.clone()..range.end.clone());
            cleared.extend(
                own.filter(|(_, value)| value.is_some())
                    .map(|(key, _)| key.clone()),
            );
            for row in self
                .shared
                .database
                .snapshot()
                .range(&self.shared.rows, range.begin.as_ref()..range.end.as_ref())
            {
                let key = row.key().map_err(|error| {
                    CommitError::Fatal(engine_error(
                        &self.shared,
                        "read what is to be cleared",
                        error,
                    ))
                })?;
                cleared.push(Bytes::copy_from_slice(&key));
                if cleared.len() > limits::CLEAR_KEYS_MAX {
                    return Err(CommitError::TooLarge {
                        what: "keys of cleared ranges",
                        bytes: cleared.len(),
                        max: limits::CLEAR_KEYS_MAX,
                    });
                }
            }
        }
        Ok(cleared)
    }

    /// One engine batch, one fsync, and the note that it will be acknowledged.
    fn write(&self, group: &Group, version: Version) -> Result<(), StoreError> {
        let shared = &self.shared;
        #[cfg(test)]
        if let Some(error) = shared
            .next_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            return Err(io_error(&shared.folder, "write a commit", error));
        }
        let mut batch =
            fjall::OwnedWriteBatch::with_capacity(shared.database.clone(), group.writes.len() + 1)
                .durability(Some(PersistMode::SyncData));
        for (key, value) in &group.writes {
            match value {
                Some(value) => batch.insert(&shared.rows, key.as_ref(), value.as_ref()),
                None => batch.remove(&shared.rows, key.as_ref()),
            }
        }
        batch.insert(&shared.rows, VERSION_KEY, version.0.to_be_bytes());
        batch
            .commit()
            .map_err(|error| engine_error(shared, "write a commit", error))?;
        self.acknowledged
            .note(version)
            .map_err(|error| io_error(&shared.folder, "note a commit as acknowledged", error))
    }

    /// Makes the group visible, wakes who watches, and answers.
    fn publish(&mut self, group: Group, version: Version) {
        let shared = &self.shared;
        shared
            .published()
            .push(version, shared.database.snapshot(), group.bytes());
        self.newest = version;
        self.history
            .forget(shared.live_reads.floor(version, shared.chain_versions));
        if !shared.watches.is_empty() {
            for effects in &group.footprints {
                for range in &effects.cleared {
                    shared.watches.fire(range);
                }
                for key in effects.writes.keys() {
                    shared.watches.fire(&KeyRange::key(key));
                }
            }
        }
        for (reply, stamp) in group.replies {
            answer(
                reply,
                Ok(Committed {
                    version,
                    stamp: Some(stamp),
                }),
            );
        }
    }

    /// Ends all writing: what a failed write or sync left on the disk shows only after a restart.
    fn stop(&self, group: Group, error: StoreError) {
        tracing::error!(%error, "the store takes no more writes");
        let error = self.shared.stopped.get_or_init(|| error);
        for (reply, _) in group.replies {
            answer(reply, Err(CommitError::Fatal(error.clone())));
        }
    }
}

/// Answers, unless nobody waits any more.
fn answer(
    reply: oneshot::Sender<Result<Committed, CommitError>>,
    result: Result<Committed, CommitError>,
) {
    let _ = reply.send(result);
}
