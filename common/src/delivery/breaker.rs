//! When to leave a destination alone: it opens after a whole window of failures, lets a probe
//! through now and then, and closes at the first success (delivery §12.2).
//!
//! Failures are counted in pseudo-cohorts: each weighs one part of the limit, so that a peer with
//! a hundred transfers in flight is not given up for one of them. It never opens for a single error.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::chance;
use crate::entropy::Entropy;
use crate::limits::{BREAKER_EARLY_INTERVAL, BREAKER_OPEN_MAX, BREAKER_OPEN_MIN, TRANSFER_SLOW};
use crate::time::Timestamp;

/// How much later each probe comes than the one before.
const OPEN_TIME_FACTOR: u32 = 3;
/// The weight of a whole window of failures, less what adding parts of it may lose.
const COHORT_FULL: f64 = 0.999;
/// A peer that answered this recently is not given up.
const RECENT_SUCCESS: Duration = Duration::from_secs(5);

/// The breaker of one destination.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    /// The sum of failures since the last success, each weighing `1/limit`.
    cohort: f64,
    failures: u32,
    last_success: Option<Timestamp>,
    /// How long it stays open the next time.
    open_time: Duration,
    early_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Open until then; from then on one probe at a time may go.
    Open {
        since: Timestamp,
        until: Timestamp,
        probing: bool,
    },
}

/// What may go to a destination now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// As much as the window lets through.
    Window,
    /// One transfer, to see whether the peer answers again.
    Probe,
    /// Nothing before this moment.
    NotBefore(Timestamp),
    /// Nothing before the probe that is under way has ended.
    AfterProbe,
}

/// How a breaker stands, as operators and measures see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Transfers go as the window lets them.
    Closed,
    /// Nothing goes.
    Open,
    /// One probe goes, or may go.
    HalfOpen,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            cohort: 0.0,
            failures: 0,
            last_success: None,
            open_time: BREAKER_OPEN_MIN,
            early_at: None,
        }
    }
}

impl Breaker {
    /// As it was remembered: still open until `until`, if it was open.
    #[must_use]
    pub fn remembered(
        last_success: Option<Timestamp>,
        open: Option<(Timestamp, Duration)>,
    ) -> Self {
        let state = open.map_or(State::Closed, |(until, _)| State::Open {
            since: Timestamp::default(),
            until,
            probing: false,
        });
        Self {
            state,
            last_success,
            open_time: open.map_or(BREAKER_OPEN_MIN, |(_, time)| {
                time.clamp(BREAKER_OPEN_MIN, BREAKER_OPEN_MAX)
            }),
            ..Self::default()
        }
    }

    /// What may go now.
    #[must_use]
    pub fn permit(&self, now: Timestamp) -> Permit {
        match self.state {
            State::Closed => Permit::Window,
            State::Open { probing: true, .. } => Permit::AfterProbe,
            State::Open { until, .. } if now < until => Permit::NotBefore(until),
            State::Open { .. } => Permit::Probe,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match self.permit(now) {
            Permit::Window => BreakerState::Closed,
            Permit::NotBefore(_) => BreakerState::Open,
            Permit::Probe | Permit::AfterProbe => BreakerState::HalfOpen,
        }
    }

    /// Whether transfers go as the window lets them.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// When the next probe may go, if it is not closed.
    #[must_use]
    pub fn reopens_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed => None,
            State::Open { until, .. } => Some(until),
        }
    }

    /// How long it stays open the next time.
    #[must_use]
    pub fn open_time(&self) -> Duration {
        self.open_time
    }

    /// When a transfer last succeeded.
    #[must_use]
    pub fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// Whether as much failed in a row as a whole window holds: the next tries are made with care, even
    /// while a success is too recent to open.
    #[must_use]
    pub fn is_faltering(&self) -> bool {
        self.cohort >= COHORT_FULL
    }

    /// A probe is on its way.
    pub fn handle_probe_started(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = true;
        }
    }

    /// A probe came to nothing that says anything about the peer: another one may go.
    pub fn handle_probe_void(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = false;
        }
    }

    /// The peer answered after `latency`. Says whether that closed the breaker.
    pub fn handle_success(
        &mut self,
        now: Timestamp,
        latency: Duration,
        was_probe: bool,
        entropy: &mut dyn Entropy,
    ) -> bool {
        if self.state != State::Closed && latency >= TRANSFER_SLOW {
            // It answers, though so late that more than a probe would time out.
            if was_probe {
                self.open_again(now, entropy);
            }
            return false;
        }
        self.cohort = 0.0;
        self.failures = 0;
        self.last_success = Some(now);
        if self.state == State::Closed {
            return false;
        }
        self.state = State::Closed;
        self.open_time = BREAKER_OPEN_MIN;
        true
    }

    /// The peer failed while its window was `limit`. Says whether that opened the breaker.
    pub fn handle_failure(
        &mut self,
        now: Timestamp,
        limit: u32,
        was_probe: bool,
        entropy: &mut dyn Entropy,
    ) -> bool {
        if self.state != State::Closed {
            // Transfers that were already under way when it opened say nothing new.
            if was_probe {
                self.open_again(now, entropy);
            }
            return false;
        }
        self.failures += 1;
        self.cohort += 1.0 / f64::from(limit.max(1));
        let answered_lately = self
            .last_success
            .is_some_and(|success| now.since(success) < RECENT_SUCCESS);
        if !self.is_faltering() || self.failures < 2 || answered_lately {
            return false;
        }
        self.open_time = BREAKER_OPEN_MIN;
        self.state = State::Open {
            since: now,
            until: now + chance::vary(BREAKER_OPEN_MIN, entropy),
            probing: false,
        };
        true
    }

    /// The peer spoke to us, authenticated: the next probe may go at once, at most once a minute. The
    /// time to the one after it is not shortened, since a peer may be able to send and not to receive.
    pub fn handle_peer_spoke(&mut self, now: Timestamp) {
        let too_soon = self
            .early_at
            .is_some_and(|early| now.since(early) < BREAKER_EARLY_INTERVAL);
        if let State::Open { until, .. } = &mut self.state
            && *until > now
            && !too_soon
        {
            *until = now;
            self.early_at = Some(now);
        }
    }

    /// What failed lately was our own trouble: if it opened since `since`, a probe may go at once.
    pub fn forgive(&mut self, now: Timestamp, since: Timestamp) {
        if let State::Open {
            since: opened,
            until,
            ..
        } = &mut self.state
            && *opened >= since
        {
            *until = (*until).min(now);
        }
    }

    /// An operator wants to see a probe now.
    pub fn probe_now(&mut self, now: Timestamp) {
        if let State::Open { until, .. } = &mut self.state {
            *until = (*until).min(now);
        }
    }

    fn open_again(&mut self, now: Timestamp, entropy: &mut dyn Entropy) {
        self.open_time = (self.open_time * OPEN_TIME_FACTOR).min(BREAKER_OPEN_MAX);
        self.state = State::Open {
            since: match self.state {
                State::Open { since, .. } => since,
                State::Closed => now,
            },
            until: now + chance::vary(self.open_time, entropy),
            probing: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const FAST: Duration = Duration::from_millis(50);

    struct Stage {
        breaker: Breaker,
        now: Timestamp,
        entropy: SeededEntropy,
    }

    impl Stage {
        fn new() -> Self {
            Self {
                breaker: Breaker::default(),
                now: NOW,
                entropy: SeededEntropy::new(1),
            }
        }

        fn fail(&mut self, limit: u32) -> bool {
            self.breaker
                .handle_failure(self.now, limit, false, &mut self.entropy)
        }

        fn open() -> Self {
            let mut stage = Self::new();
            while !stage.fail(4) {}
            stage
        }

        /// Waits until a probe may go, and lets it fail. Says how long it had to wait.
        fn probe_in_vain(&mut self) -> Duration {
            let until = self.breaker.reopens_at().unwrap();
            let waited = until.since(self.now);
            self.now = until;
            assert_eq!(self.breaker.permit(self.now), Permit::Probe);
            self.breaker.handle_probe_started();
            assert_eq!(self.breaker.permit(self.now), Permit::AfterProbe);
            self.breaker
                .handle_failure(self.now, 1, true, &mut self.entropy);
            waited
        }
    }

    #[test]
    fn it_opens_after_a_whole_window_of_failures() {
        for window in [2_u32, 4, 10, 100] {
            let mut stage = Stage::new();
            let failures = (1..=window).filter(|_| stage.fail(window)).count();
            assert_eq!(failures, 1, "{window}");
            assert_eq!(stage.breaker.state(stage.now), BreakerState::Open);
        }
    }

    #[test]
    fn it_never_opens_for_a_single_error() {
        let mut stage = Stage::new();
        assert!(!stage.fail(1));
        assert!(stage.fail(1));
    }

    #[test]
    fn a_success_begins_the_count_anew_and_keeps_it_closed_for_five_seconds() {
        let mut stage = Stage::new();
        for _ in 0..10 {
            (0..3).for_each(|_| assert!(!stage.fail(4)));
            let (now, entropy) = (stage.now, &mut stage.entropy);
            stage.breaker.handle_success(now, FAST, false, entropy);
        }
        (0..20).for_each(|_| assert!(!stage.fail(4)));
        assert!(stage.breaker.is_faltering());
        stage.now = stage.now + Duration::from_secs(5);
        assert!(stage.fail(4));
    }

    #[test]
    fn the_time_between_probes_triples_up_to_half_an_hour() {
        let mut stage = Stage::open();
        let waited: Vec<u64> = (0..9).map(|_| stage.probe_in_vain().as_secs()).collect();
        for (waited, scheduled) in waited
            .iter()
            .zip([5, 15, 45, 135, 405, 1_215, 1_800, 1_800])
        {
            let scheduled_least = scheduled * 3 / 4;
            let scheduled_most = scheduled * 5 / 4;
            assert!(
                (scheduled_least..=scheduled_most).contains(waited),
                "{waited}"
            );
        }
    }

    #[test]
    fn a_good_probe_closes_it_and_gives_back_the_window() {
        let mut stage = Stage::open();
        stage.probe_in_vain();
        stage.now = stage.breaker.reopens_at().unwrap();
        stage.breaker.handle_probe_started();
        let (now, entropy) = (stage.now, &mut stage.entropy);
        assert!(stage.breaker.handle_success(now, FAST, true, entropy));
        assert_eq!(stage.breaker.open_time(), BREAKER_OPEN_MIN);
        assert!(stage.breaker.is_closed());
    }

    #[test]
    fn a_probe_that_is_answered_too_late_does_not_close_it() {
        let mut stage = Stage::open();
        stage.now = stage.breaker.reopens_at().unwrap();
        stage.breaker.handle_probe_started();
        let (now, entropy) = (stage.now, &mut stage.entropy);
        let took = TRANSFER_SLOW;
        assert!(!stage.breaker.handle_success(now, took, true, entropy));
        assert_eq!(stage.breaker.state(stage.now), BreakerState::Open);
        assert_eq!(stage.breaker.open_time(), 3 * BREAKER_OPEN_MIN);
    }

    #[test]
    fn transfers_that_were_under_way_do_not_prolong_it() {
        let mut stage = Stage::open();
        let until = stage.breaker.reopens_at();
        (0..10).for_each(|_| assert!(!stage.fail(4)));
        assert_eq!(stage.breaker.reopens_at(), until);
    }

    #[test]
    fn a_peer_that_speaks_is_probed_early_once_a_minute_and_no_back_off_is_forgotten() {
        let mut stage = Stage::open();
        (0..4).for_each(|_| {
            stage.probe_in_vain();
        });
        stage.breaker.handle_peer_spoke(stage.now);
        assert_eq!(stage.breaker.permit(stage.now), Permit::Probe);
        assert!(stage.probe_in_vain().is_zero());
        assert!(stage.breaker.open_time() > Duration::from_secs(1_000));
        let soon = stage.now + Duration::from_secs(59);
        stage.breaker.handle_peer_spoke(soon);
        assert!(matches!(stage.breaker.permit(soon), Permit::NotBefore(_)));
        let later = stage.now + Duration::from_secs(60);
        stage.breaker.handle_peer_spoke(later);
        assert_eq!(stage.breaker.permit(later), Permit::Probe);
    }

    #[test]
    fn what_is_remembered_stays_open() {
        let until = NOW + Duration::from_secs(100);
        let open = Some((until, Duration::from_secs(405)));
        let breaker = Breaker::remembered(None, open);
        assert_eq!(breaker.permit(NOW), Permit::NotBefore(until));
        assert_eq!(breaker.permit(until), Permit::Probe);
        let closed = Breaker::remembered(Some(NOW), None);
        assert_eq!(closed.permit(NOW), Permit::Window);
    }
}
