//! Conflict detection: which keys were written when, for as long as somebody may ask.
//!
//! The local engines check commits here (cluster §19): a transaction that read version `r` conflicts
//! when a key it read was written at a version above `r`. The history is a step function over the key
//! space, kept in an ordered map, so a check costs one lookup per key and, for a range, one step per
//! write inside it. It forgets from the oldest end, in proportion to what is recorded.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{KeyRange, Version, limits};

/// The keys and ranges that a transaction reads, or writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Footprint {
    pub(super) keys: Vec<Bytes>,
    pub(super) ranges: Vec<KeyRange>,
}

/// What the history says about a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Clear,
    Conflict,
    TooOld,
}

/// The last write of a key, and of the keys between it and the next one in the map.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Step {
    at: Version,
    after: Version,
}

/// Recent commits, indexed by key.
#[derive(Debug, Default)]
pub(super) struct History {
    steps: BTreeMap<Bytes, Step>,
    /// Steps in about the order of their versions, to be looked at again once the floor has passed.
    to_forget: VecDeque<(Version, Bytes)>,
    /// Nothing is known about writes at or below this version.
    floor: Version,
}

impl History {
    /// A history that begins behind `floor`.
    pub(super) fn since(floor: Version) -> Self {
        Self {
            floor,
            ..Self::default()
        }
    }

    /// The oldest version against which a commit can be checked.
    pub(super) fn floor(&self) -> Version {
        self.floor
    }

    /// Whether a transaction that read `reads` at version `since` may commit now.
    pub(super) fn check(&self, reads: &Footprint, since: Version) -> Verdict {
        if reads.keys.is_empty() && reads.ranges.is_empty() {
            return Verdict::Clear;
        }
        if since < self.floor {
            return Verdict::TooOld;
        }
        let conflict = reads.keys.iter().any(|key| self.last_write(key) > since)
            || reads
                .ranges
                .iter()
                .any(|range| self.is_written(range, since));
        if conflict {
            Verdict::Conflict
        } else {
            Verdict::Clear
        }
    }

    /// Notes that `writes` were committed at `version`, which is not below any noted before.
    pub(super) fn record(&mut self, writes: &Footprint, version: Version) {
        for range in &writes.ranges {
            self.record_range(range, version);
        }
        for key in &writes.keys {
            match self.steps.get_mut(key) {
                Some(step) => step.at = version,
                None => {
                    let after = self.after(key);
                    self.steps.insert(key.clone(), Step { at: version, after });
                }
            }
            self.to_forget.push_back((version, key.clone()));
        }
    }

    /// Forgets what was written at or below `floor`, and more when the history is over its bound.
    pub(super) fn forget(&mut self, floor: Version) {
        self.floor = self.floor.max(floor);
        while let Some((version, _)) = self.to_forget.front() {
            if *version > self.floor {
                if self.steps.len() <= limits::HISTORY_RANGES_MAX {
                    break;
                }
                self.floor = *version;
            }
            if let Some((_, key)) = self.to_forget.pop_front() {
                self.flatten(&key);
            }
        }
    }

    fn last_write(&self, key: &[u8]) -> Version {
        match self
            .steps
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back()
        {
            Some((found, step)) if found.as_ref() == key => step.at,
            Some((_, step)) => step.after,
            None => Version::default(),
        }
    }

    /// The last write of the keys directly above `key`.
    fn after(&self, key: &[u8]) -> Version {
        self.steps
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back()
            .map_or_else(Version::default, |(_, step)| step.after)
    }

    fn is_written(&self, range: &KeyRange, since: Version) -> bool {
        if range.is_empty() {
            return false;
        }
        self.last_write(&range.begin) > since
            || self.after(&range.begin) > since
            || self
                .steps
                .range::<[u8], _>((
                    Bound::Excluded(range.begin.as_ref()),
                    Bound::Excluded(range.end.as_ref()),
                ))
                .any(|(_, step)| step.at > since || step.after > since)
    }

    fn record_range(&mut self, range: &KeyRange, version: Version) {
        if range.is_empty() {
            return;
        }
        // What lies behind the range keeps the version it had.
        let behind = Step {
            at: self.last_write(&range.end),
            after: self.after(&range.end),
        };
        let inner: Vec<Bytes> = self
            .steps
            .range::<[u8], _>((
                Bound::Excluded(range.begin.as_ref()),
                Bound::Excluded(range.end.as_ref()),
            ))
            .map(|(key, _)| key.clone())
            .collect();
        for key in inner {
            self.steps.remove(&key);
        }
        self.steps.insert(
            range.begin.clone(),
            Step {
                at: version,
                after: version,
            },
        );
        self.steps.insert(range.end.clone(), behind);
        self.to_forget.push_back((version, range.begin.clone()));
        self.to_forget.push_back((version, range.end.clone()));
    }

    /// Drops the step at `key`, and those behind it, while they say nothing above the floor
    /// that the step before them does not say.
    fn flatten(&mut self, key: &Bytes) {
        let floor = self.floor;
        let before = self
            .steps
            .range::<[u8], _>((Bound::Unbounded, Bound::Excluded(key.as_ref())))
            .next_back()
            .map_or_else(Version::default, |(_, step)| step.after);
        if before > floor {
            // The keys before are still remembered; this step marks where they end. It is
            // looked at again when they are forgotten, because it follows them.
            return;
        }
        let next = |steps: &BTreeMap<Bytes, Step>| {
            steps
                .range::<[u8], _>((Bound::Included(key.as_ref()), Bound::Unbounded))
                .next()
                .map(|(key, step)| (key.clone(), *step))
        };
        while let Some((found, step)) = next(&self.steps) {
            if step.at > floor || step.after > floor {
                break;
            }
            self.steps.remove(&found);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}

/// The versions that open transactions read at.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveReads(Arc<Mutex<BTreeMap<Version, usize>>>);

impl LiveReads {
    /// Keeps `version` alive until the returned value is dropped.
    pub(super) fn hold(&self, version: Version) -> HeldRead {
        *self.lock().entry(version).or_default() += 1;
        HeldRead {
            reads: self.clone(),
            version,
        }
    }

    /// The floor of what must be remembered when `newest` is the newest version: the oldest
    /// version in use, and the last `chain_versions` besides.
    pub(super) fn floor(&self, newest: Version, chain_versions: u64) -> Version {
        let chain = Version(newest.0.saturating_sub(chain_versions));
        self.lock()
            .keys()
            .next()
            .map_or(chain, |oldest| chain.min(*oldest))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Version, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One transaction's hold on the version it reads at.
#[derive(Debug)]
pub(super) struct HeldRead {
    reads: LiveReads,
    version: Version,
}

impl HeldRead {
    /// The version held.
    pub(super) fn version(&self) -> Version {
        self.version
    }
}

impl Drop for HeldRead {
    fn drop(&mut self) {
        let mut reads = self.reads.lock();
        if let Some(count) = reads.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                reads.remove(&self.version);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(octet: u8) -> Bytes {
        vec![octet + 1].into()
    }

    fn reads_key(octet: u8) -> Footprint {
        Footprint {
            keys: vec![key(octet)],
            ranges: vec![],
        }
    }

    fn range(begin: u8, end: u8) -> KeyRange {
        KeyRange::new(&key(begin), &key(end))
    }

    #[test]
    fn a_write_conflicts_with_an_older_read_only() {
        let mut history = History::default();
        history.record(&reads_key(3), Version(7));
        assert_eq!(history.check(&reads_key(3), Version(6)), Verdict::Conflict);
        assert_eq!(history.check(&reads_key(3), Version(7)), Verdict::Clear);
        assert_eq!(history.check(&reads_key(4), Version(0)), Verdict::Clear);
    }

    #[test]
    fn what_is_forgotten_is_too_old_to_check() {
        let mut history = History::default();
        history.record(&reads_key(3), Version(7));
        history.forget(Version(7));
        assert_eq!(history.len(), 0);
        assert_eq!(history.check(&reads_key(3), Version(6)), Verdict::TooOld);
        assert_eq!(
            history.check(&Footprint::default(), Version(0)),
            Verdict::Clear
        );
    }

    #[test]
    fn the_history_is_bounded_even_when_a_reader_never_ends() {
        let mut history = History::default();
        for version in 1..=(limits::HISTORY_RANGES_MAX as u64 + 100) {
            let key = Bytes::copy_from_slice(&version.to_be_bytes());
            history.record(
                &Footprint {
                    keys: vec![key],
                    ranges: vec![],
                },
                Version(version),
            );
            history.forget(Version(0));
        }
        assert_eq!(history.len(), limits::HISTORY_RANGES_MAX);
        assert!(history.floor() >= Version(100));
    }

    #[test]
    fn the_oldest_reader_sets_the_floor() {
        let reads = LiveReads::default();
        let newest = Version(150);
        assert_eq!(reads.floor(newest, 100), Version(50));
        let held = reads.hold(Version(20));
        let again = reads.hold(Version(20));
        assert_eq!(reads.floor(newest, 100), Version(20));
        drop(held);
        assert_eq!(reads.floor(newest, 100), Version(20));
        drop(again);
        assert_eq!(reads.floor(newest, 100), Version(50));
    }

    /// What the history replaces: the last write of each of twenty keys, kept plainly.
    fn check_plainly(last: &[Version; 20], reads: &Footprint, since: Version) -> bool {
        (0..20_u8).any(|octet| {
            let read = reads.keys.contains(&key(octet))
                || reads.ranges.iter().any(|range| range.contains(&key(octet)));
            read && last[usize::from(octet)] > since
        })
    }

    fn footprint() -> impl Strategy<Value = Footprint> {
        let keys = prop::collection::vec((0..20_u8).prop_map(key), 0..3);
        let ranges = prop::collection::vec((0..20_u8, 0..20_u8), 0..2).prop_map(|ranges| {
            ranges
                .into_iter()
                .map(|(begin, end)| range(begin, end))
                .collect()
        });
        (keys, ranges).prop_map(|(keys, ranges)| Footprint { keys, ranges })
    }

    proptest! {
        #[test]
        fn the_history_agrees_with_a_plain_table(
            commits in prop::collection::vec((footprint(), footprint(), 0..12_u64, any::<bool>()), 1..60)
        ) {
            let mut history = History::default();
            let mut last = [Version(0); 20];
            for (number, (reads, writes, age, forgets)) in commits.into_iter().enumerate() {
                let version = Version(number as u64 + 1);
                let since = Version((number as u64).saturating_sub(age));
                let verdict = history.check(&reads, since);
                if verdict != Verdict::TooOld {
                    prop_assert_eq!(
                        verdict == Verdict::Conflict,
                        check_plainly(&last, &reads, since)
                    );
                }
                history.record(&writes, version);
                for octet in 0..20_u8 {
                    if check_plainly(&[Version(1); 20], &only(&writes, octet), Version(0)) {
                        last[usize::from(octet)] = version;
                    }
                }
                if forgets {
                    history.forget(Version(version.0.saturating_sub(6)));
                }
            }
            history.forget(Version(1_000));
            prop_assert_eq!(history.len(), 0);
        }
    }

    /// The part of `footprint` that touches the key `octet`.
    fn only(footprint: &Footprint, octet: u8) -> Footprint {
        let touched = footprint.keys.contains(&key(octet))
            || footprint
                .ranges
                .iter()
                .any(|range| range.contains(&key(octet)));
        if touched {
            reads_key(octet)
        } else {
            Footprint::default()
        }
    }
}
