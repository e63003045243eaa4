//! The store behind every handle of one cluster file: values by version, what was written when, commits
//! that may still land, and watches.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, OnceLock};

use crate::faults::Dice;
use crate::future::{Promise, Value};
use crate::{
    CLUSTER_VERSION_CHANGED, COMMIT_UNKNOWN_RESULT, Code, FUTURE_VERSION, NOT_COMMITTED, SUCCESS,
    TRANSACTION_TIMED_OUT, TRANSACTION_TOO_OLD, held,
};

/// The first version of a cluster.
const FIRST_VERSION: i64 = 1_000_000;
/// Versions within which a transaction must end: five seconds at a million a second.
const KEPT_VERSIONS: i64 = 5_000_000;
/// Most versions that pass with one read version or commit.
const PASSING_VERSIONS_MAX: u64 = 40_000;
/// Most commits after which a late one lands; one more stands for never.
const LATE_COMMITS_MAX: u64 = 3;

/// A key, or a value.
pub(crate) type Octets = Vec<u8>;
/// From a key up to but without another.
pub(crate) type Range = (Octets, Octets);

/// One write of a commit, in the order in which they were made.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Set(Octets, Octets),
    Clear(Range),
    /// Key with room for the stamp, the place of the room behind it.
    StampedKey(Octets, Octets),
    /// Value with room for the stamp, the place of the room behind it.
    StampedValue(Octets, Octets),
}

/// What a transaction asks to be done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) read_version: Option<i64>,
    pub(crate) reads: Vec<Range>,
    pub(crate) writes: Vec<Write>,
}

/// A watch that has not resolved.
struct Watched {
    key: Octets,
    held: Option<Octets>,
    promise: Arc<Promise>,
}

/// A commit that was answered with 1031 or 1039.
struct Stray {
    lands_after: u64,
    batch: Batch,
}

/// The store.
pub(crate) struct Cluster {
    version: i64,
    cells: BTreeMap<Octets, Vec<(i64, Option<Octets>)>>,
    /// What was written at which version.
    log: VecDeque<(i64, Vec<Range>)>,
    /// The oldest version that is still known.
    floor: i64,
    strays: Vec<Stray>,
    watched: Vec<Watched>,
    pub(crate) dice: Dice,
}

/// What became of a commit: its code, and its version and stamp if that is success.
pub(crate) struct Committed {
    pub(crate) code: Code,
    pub(crate) version: i64,
    pub(crate) stamp: [u8; 10],
    /// Watches that it resolves: to be told once nothing is locked any more.
    pub(crate) fired: Vec<Arc<Promise>>,
}

/// The cluster of the cluster file `path`, which is read again; nothing if it is no file of ours.
pub(crate) fn open(path: &str) -> Option<Arc<Mutex<Cluster>>> {
    static OPEN: OnceLock<Mutex<HashMap<String, Arc<Mutex<Cluster>>>>> = OnceLock::new();
    let dice = Dice::parse(&std::fs::read_to_string(path).ok()?)?;
    let mut open = held(OPEN.get_or_init(Mutex::default));
    let cluster = open
        .entry(path.to_owned())
        .or_insert_with(|| Arc::new(Mutex::new(Cluster::new(dice.clone()))));
    held(cluster).dice = dice;
    Some(Arc::clone(cluster))
}

/// The smallest key above `key`.
pub(crate) fn after(key: &[u8]) -> Octets {
    [key, &[0]].concat()
}

impl Cluster {
    fn new(dice: Dice) -> Self {
        Self {
            version: FIRST_VERSION,
            cells: BTreeMap::new(),
            log: VecDeque::new(),
            floor: FIRST_VERSION,
            strays: Vec::new(),
            watched: Vec::new(),
            dice,
        }
    }

    /// A version at which everything that was committed is seen.
    pub(crate) fn read_version(&mut self) -> i64 {
        self.pass();
        self.version
    }

    /// Time passes.
    fn pass(&mut self) {
        let passing = 1 + self.dice.below(PASSING_VERSIONS_MAX);
        self.version += i64::try_from(passing).unwrap_or(1);
        let floor = self.version - KEPT_VERSIONS;
        while self
            .log
            .front()
            .is_some_and(|(version, _)| *version < floor)
        {
            self.log.pop_front();
        }
        self.floor = self.floor.max(floor);
    }

    /// Whether the version can be read or checked.
    fn judge(&self, version: i64) -> Code {
        match version {
            _ if version < self.floor => TRANSACTION_TOO_OLD,
            _ if version > self.version => FUTURE_VERSION,
            _ => SUCCESS,
        }
    }

    pub(crate) fn get(&self, key: &[u8], version: i64) -> Result<Option<Octets>, Code> {
        match self.judge(version) {
            SUCCESS => Ok(self
                .cells
                .get(key)
                .and_then(|cells| at(cells, version))
                .cloned()),
            code => Err(code),
        }
    }

    /// At most `rows` rows of `range`, and whether there are more.
    pub(crate) fn range(
        &self,
        (begin, end): &Range,
        version: i64,
        rows: usize,
        reverse: bool,
    ) -> Result<(Vec<(Octets, Octets)>, bool), Code> {
        match self.judge(version) {
            SUCCESS if begin >= end => return Ok((Vec::new(), false)),
            SUCCESS => {}
            code => return Err(code),
        }
        let bounds = (Bound::Included(begin.clone()), Bound::Excluded(end.clone()));
        let found = self.cells.range(bounds);
        let found =
            found.filter_map(|(key, cells)| Some((key.clone(), at(cells, version)?.clone())));
        // One more tells whether there are more.
        let mut page: Vec<_> = if reverse {
            found.rev().take(rows.saturating_add(1)).collect()
        } else {
            found.take(rows.saturating_add(1)).collect()
        };
        let more = page.len() > rows;
        page.truncate(rows);
        Ok((page, more))
    }

    /// Commits `batch`, or does to it whatever the dice say.
    pub(crate) fn commit(&mut self, batch: Batch) -> Committed {
        let faults = self.dice.faults;
        if self.dice.happens(faults.conflict) {
            return Committed::refused(NOT_COMMITTED);
        }
        for (in_a_million, code) in [
            (faults.late, TRANSACTION_TIMED_OUT),
            (faults.changed, CLUSTER_VERSION_CHANGED),
        ] {
            if self.dice.happens(in_a_million) {
                let lands_after = self.dice.below(LATE_COMMITS_MAX + 2);
                if lands_after <= LATE_COMMITS_MAX {
                    self.strays.push(Stray { lands_after, batch });
                }
                return Committed {
                    fired: self.land_strays(),
                    ..Committed::refused(code)
                };
            }
        }
        let is_unknown = self.dice.happens(faults.unknown);
        if is_unknown && self.dice.below(2) == 0 {
            return Committed::refused(COMMIT_UNKNOWN_RESULT);
        }
        let mut committed = self.apply(batch);
        if committed.code == SUCCESS {
            committed.fired.extend(self.land_strays());
            if is_unknown {
                committed.code = COMMIT_UNKNOWN_RESULT;
            }
        }
        committed
    }

    /// One more commit has passed: those land whose turn it is, if nothing they read has changed.
    fn land_strays(&mut self) -> Vec<Arc<Promise>> {
        let mut fired = Vec::new();
        let waiting = std::mem::take(&mut self.strays);
        for mut stray in waiting {
            if stray.lands_after == 0 {
                fired.extend(self.apply(stray.batch).fired);
            } else {
                stray.lands_after -= 1;
                self.strays.push(stray);
            }
        }
        fired
    }

    fn apply(&mut self, batch: Batch) -> Committed {
        let read_version = batch.read_version.unwrap_or(self.version);
        let code = self.judge(read_version);
        if code != SUCCESS {
            return Committed::refused(code);
        }
        if self.has_conflict(&batch.reads, read_version) {
            return Committed::refused(NOT_COMMITTED);
        }
        self.pass();
        let version = self.version;
        let mut stamp = [0; 10];
        stamp[..8].copy_from_slice(&version.to_be_bytes());
        let mut written = Vec::with_capacity(batch.writes.len());
        for write in batch.writes {
            written.push(self.write(write, version, &stamp));
        }
        self.log.push_back((version, written));
        Committed {
            code: SUCCESS,
            version,
            stamp,
            fired: self.changed(),
        }
    }

    fn has_conflict(&self, reads: &[Range], read_version: i64) -> bool {
        let since = self.log.iter().rev();
        since
            .take_while(|(version, _)| *version > read_version)
            .flat_map(|(_, written)| written)
            .any(|(begin, end)| reads.iter().any(|(from, to)| begin < to && from < end))
    }

    fn write(&mut self, write: Write, version: i64, stamp: &[u8; 10]) -> Range {
        match write {
            Write::Set(key, value) => self.put(key, Some(value), version),
            Write::StampedKey(key, value) => self.put(placed(key, stamp), Some(value), version),
            Write::StampedValue(key, value) => self.put(key, Some(placed(value, stamp)), version),
            Write::Clear((begin, end)) => {
                let bounds = (Bound::Included(begin.clone()), Bound::Excluded(end.clone()));
                let keys: Vec<Octets> = if begin < end {
                    self.cells
                        .range(bounds)
                        .map(|(key, _)| key.clone())
                        .collect()
                } else {
                    Vec::new()
                };
                for key in keys {
                    self.put(key, None, version);
                }
                (begin, end)
            }
        }
    }

    fn put(&mut self, key: Octets, value: Option<Octets>, version: i64) -> Range {
        let cells = self.cells.entry(key.clone()).or_default();
        // The newest of those nobody can read any more stays: it is what the oldest version sees.
        let floor = self.floor;
        let seen = cells.iter().rposition(|(since, _)| *since <= floor);
        cells.drain(..seen.unwrap_or(0));
        cells.push((version, value));
        let end = after(&key);
        (key, end)
    }

    /// Resolves `promise` when what `key` holds is no longer what it held at `version`.
    pub(crate) fn watch(
        &mut self,
        key: Octets,
        version: i64,
        promise: Arc<Promise>,
    ) -> Vec<Arc<Promise>> {
        let faults = self.dice.faults;
        if self.dice.happens(faults.watch_spurious) {
            return vec![promise];
        }
        if !self.dice.happens(faults.watch_lost) {
            let held = self.cells.get(&key).and_then(|cells| at(cells, version));
            let held = held.cloned();
            self.watched.push(Watched { key, held, promise });
        }
        self.changed()
    }

    /// Watches of keys that have changed.
    fn changed(&mut self) -> Vec<Arc<Promise>> {
        let (version, cells) = (self.version, &self.cells);
        let now = |key: &Octets| cells.get(key).and_then(|cells| at(cells, version));
        let (fired, waiting) = std::mem::take(&mut self.watched)
            .into_iter()
            .filter(|one| !one.promise.is_over())
            .partition::<Vec<_>, _>(|one| now(&one.key) != one.held.as_ref());
        self.watched = waiting;
        fired.into_iter().map(|one| one.promise).collect()
    }
}

impl Committed {
    fn refused(code: Code) -> Self {
        Self {
            code,
            version: -1,
            stamp: [0; 10],
            fired: Vec::new(),
        }
    }

    /// Tells the watches.
    pub(crate) fn fire(&mut self) {
        for promise in self.fired.drain(..) {
            promise.keep(Value::Nothing);
        }
    }
}

fn at(cells: &[(i64, Option<Octets>)], version: i64) -> Option<&Octets> {
    let seen = cells.iter().rev().find(|(since, _)| *since <= version)?;
    seen.1.as_ref()
}

/// The octets with the stamp in its place, which the last four of them say.
fn placed(mut octets: Octets, stamp: &[u8; 10]) -> Octets {
    if let Some((rest, place)) = octets.split_last_chunk::<4>() {
        let place = u32::from_le_bytes(*place) as usize;
        octets = rest.to_vec();
        if let Some(room) = octets.get_mut(place..place + stamp.len()) {
            room.copy_from_slice(stamp);
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(text: &str) -> Cluster {
        Cluster::new(Dice::parse(text).expect("it reads"))
    }

    fn set(key: &str, value: &str, read_version: Option<i64>, reads: &[&str]) -> Batch {
        let reads = reads
            .iter()
            .map(|key| (key.as_bytes().to_vec(), after(key.as_bytes())));
        Batch {
            read_version,
            reads: reads.collect(),
            writes: vec![Write::Set(key.into(), value.into())],
        }
    }

    #[test]
    fn a_commit_whose_reads_were_written_since_is_refused() {
        let mut cluster = cluster("stand-in");
        let version = cluster.read_version();
        assert_eq!(cluster.commit(set("a", "1", None, &[])).code, SUCCESS);
        let code = cluster.commit(set("b", "1", Some(version), &["a"])).code;
        assert_eq!(code, NOT_COMMITTED);
        assert_eq!(
            cluster.commit(set("b", "1", Some(version), &["c"])).code,
            SUCCESS
        );
    }

    #[test]
    fn a_late_commit_lands_only_if_nothing_it_read_has_changed() {
        for (barrier, lands) in [("other", true), ("fence", false)] {
            let mut landed = false;
            for seed in 0..20 {
                let mut cluster = cluster(&format!("stand-in seed={seed} late=1000000"));
                let version = cluster.read_version();
                let late = cluster.commit(set("late", "1", Some(version), &["fence"]));
                assert_eq!(late.code, TRANSACTION_TIMED_OUT);
                cluster.dice.faults.late = 0;
                if cluster.get(b"late", cluster.version) == Ok(None) {
                    cluster.commit(set(barrier, "1", None, &[]));
                    for _ in 0..5 {
                        cluster.commit(set("more", "1", None, &[]));
                    }
                    landed |= cluster.get(b"late", cluster.version) != Ok(None);
                }
            }
            assert_eq!(landed, lands, "{barrier}");
        }
    }

    #[test]
    fn a_lost_answer_is_applied_half_the_time() {
        let mut cluster = cluster("stand-in seed=3 unknown=1000000");
        for number in 0..100 {
            let batch = set(&format!("{number:02}"), "1", None, &[]);
            assert_eq!(cluster.commit(batch).code, COMMIT_UNKNOWN_RESULT);
        }
        let all = (b"0".to_vec(), b"9999".to_vec());
        let (rows, _) = cluster
            .range(&all, cluster.version, 1_000, false)
            .expect("it reads");
        assert!((30..70).contains(&rows.len()), "{} of 100", rows.len());
    }

    #[test]
    fn versions_pass_and_the_old_ones_are_forgotten() {
        let mut cluster = cluster("stand-in");
        let first = cluster.read_version();
        while cluster.read_version() <= first + KEPT_VERSIONS {}
        assert_eq!(cluster.get(b"a", first), Err(TRANSACTION_TOO_OLD));
        assert_eq!(cluster.get(b"a", cluster.version + 1), Err(FUTURE_VERSION));
    }
}
