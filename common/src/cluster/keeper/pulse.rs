//! When a node says that it lives, when it looks at the others, and when it has been unable to say so
//! for too long.

use std::time::Duration;

use crate::cluster::times::Times;
use crate::limits::LOOK_INTERVAL_MIN;

#[derive(Debug, Clone)]
pub(super) struct Pulse {
    times: Times,
    beats_at: Duration,
    /// The heartbeat on its way: its number and when it began.
    beating: Option<(u64, Duration)>,
    /// The last heartbeat that is committed.
    beat: Option<(u64, Duration)>,
    looks_at: Duration,
    looked_at: Option<Duration>,
    is_looking: bool,
    is_resting: bool,
}

impl Pulse {
    pub(super) const fn new(times: Times, now: Duration) -> Self {
        Self {
            times,
            beats_at: now,
            beating: None,
            beat: None,
            looks_at: now,
            looked_at: None,
            is_looking: false,
            is_resting: true,
        }
    }

    /// Whether a heartbeat with this number is to be sent now.
    pub(super) fn begin_beat(&mut self, now: Duration, seq: u64) -> bool {
        let is_due = self.beating.is_none() && now >= self.beats_at;
        if is_due {
            self.beating = Some((seq, now));
            self.beats_at = now + self.times.heartbeat;
        }
        is_due
    }

    /// Whether the tables are to be read now.
    pub(super) fn begin_look(&mut self, now: Duration) -> bool {
        let is_due = !self.is_looking && now >= self.looks_at;
        if is_due {
            self.is_looking = true;
            self.looked_at = Some(now);
            self.looks_at = now + self.times.poll;
        }
        is_due
    }

    /// Whether a rest begins now.
    pub(super) fn begin_rest(&mut self, now: Duration) -> bool {
        let begins = !self.is_resting && now >= self.rests_at();
        self.is_resting |= begins;
        begins
    }

    /// A heartbeat ended; says whether a rest ends with it.
    pub(super) fn beaten(&mut self, now: Duration, seq: u64, is_committed: bool) -> bool {
        let Some((beating, begun)) = self.beating.filter(|(beating, _)| *beating == seq) else {
            return false;
        };
        self.beating = None;
        if is_committed {
            self.beat = Some((beating, begun));
        }
        // One that took longer than patience lasts is no sign of life.
        let ends = self.is_resting && is_committed && now < self.rests_at();
        self.is_resting &= !ends;
        ends
    }

    pub(super) const fn looked(&mut self) {
        self.is_looking = false;
    }

    /// The next look is due at once, but not right after the last: nudges come in swarms.
    pub(super) fn look_soon(&mut self, now: Duration) {
        let earliest = self.looked_at.map_or(now, |at| at + LOOK_INTERVAL_MIN);
        self.looks_at = self.looks_at.min(earliest.max(now));
    }

    /// The next heartbeat is due at once.
    pub(super) fn beat_soon(&mut self, now: Duration) {
        self.beats_at = self.beats_at.min(now);
    }

    /// Whether the heartbeat with this number, or a later one, is committed.
    pub(super) fn is_told(&self, seq: u64) -> bool {
        self.beat.is_some_and(|(beat, _)| beat >= seq)
    }

    /// Whether any heartbeat is committed: others know this node.
    pub(super) const fn is_known(&self) -> bool {
        self.beat.is_some()
    }

    pub(super) const fn is_beating(&self) -> bool {
        self.beating.is_some()
    }

    pub(super) const fn is_resting(&self) -> bool {
        self.is_resting
    }

    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        self.beat.map(|(_, begun)| now.saturating_sub(begun))
    }

    /// What is due next: a heartbeat, a look or a rest.
    pub(super) fn wakes_at(&self) -> Duration {
        let beats_at = self.beating.is_none().then_some(self.beats_at);
        let looks_at = (!self.is_looking).then_some(self.looks_at);
        let rests_at = (!self.is_resting).then(|| self.rests_at());
        let due = [beats_at, looks_at, rests_at];
        due.into_iter().flatten().min().unwrap_or(Duration::MAX)
    }

    fn rests_at(&self) -> Duration {
        let beat = self.beat.map_or(Duration::ZERO, |(_, begun)| begun);
        beat + self.times.patience()
    }
}
