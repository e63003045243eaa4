//! How many transfers to one destination may be in flight: a window that grows while the peer is
//! fast, shrinks while it is slow, and is cut early when it stops answering (delivery §12.1 and
//! §12.2; the thresholds are those of P 9.1.2.1).
//!
//! The numbers of the draft decide when a window is cut. A baseline of the peer's own latency only
//! shapes growth, and drains queues at the far end before they time out.

use std::time::Duration;

use crate::limits::{TRANSFER_FAST, TRANSFER_SLOW, TRANSFER_TIME_MAX, WINDOW_INITIAL};
use crate::time::Timestamp;

/// A window closes no earlier than this after it opened.
const WINDOW_TIME_MIN: Duration = Duration::from_secs(1);
/// A window that is older closes with what it has.
const WINDOW_TIME_MAX: Duration = Duration::from_secs(30);
/// Samples below which a window says nothing but that the peer is slow.
const SAMPLES_MIN: usize = 10;
/// Samples that close a window, however large the limit is.
const SAMPLES_MAX: usize = 100;
/// Slow samples that cut a window of fewer than [`SAMPLES_MIN`].
const SLOW_OF_FEW_MIN: usize = 3;
/// The share of slow samples that cuts (P 9.1.2.1).
const SLOW_SHARE: f64 = 0.4;
/// The share of samples that were not served, above which a slow peer is not given more.
const FAILED_SHARE: f64 = 0.02;
/// The share of fast samples that lets a window grow (P 9.1.2.1).
const FAST_SHARE: f64 = 0.9;

/// The window of one destination.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The real-valued limit `L`.
    limit: f64,
    limit_max: f64,
    /// Below it the limit doubles: slow start.
    threshold: f64,
    /// Median latency, in microseconds, of windows without slow samples.
    baseline: Option<f64>,
    /// No second cut before: transfers that were in flight at the first one are still coming in.
    hold_until: Timestamp,
    samples: Samples,
    /// The last window that was closed was slow.
    was_slow: bool,
}

/// The window that is open.
#[derive(Debug, Clone, Default)]
struct Samples {
    opened_at: Timestamp,
    latencies_us: Vec<u32>,
    slow: usize,
    fast: usize,
    troubled: usize,
    peak_in_flight: u32,
}

/// What changed a limit, for whoever counts (cluster §17, metric 47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Enough slow transfers to know how the window will end.
    EarlyCut,
    /// A: too large a share was slow.
    Cut,
    /// B: a queue builds up at the far end.
    Drain,
    /// C: a queue begins to build up there.
    Ease,
    /// D: the window was used, and the peer is fast.
    Grow,
    /// E: the window was used, and the peer is slow by nature.
    Probe,
    /// F: nothing changes.
    Keep,
}

impl Rule {
    /// All rules, in their order.
    pub const ALL: [Self; 7] = [
        Self::EarlyCut,
        Self::Cut,
        Self::Drain,
        Self::Ease,
        Self::Grow,
        Self::Probe,
        Self::Keep,
    ];

    /// What it is called in measures.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::EarlyCut => "early",
            Self::Cut => "A",
            Self::Drain => "B",
            Self::Ease => "C",
            Self::Grow => "D",
            Self::Probe => "E",
            Self::Keep => "F",
        }
    }
}

impl Controller {
    /// The window of a destination of which nothing is known, at most `limit_max` wide.
    #[must_use]
    pub fn new(now: Timestamp, limit_max: u32) -> Self {
        let limit_max = f64::from(limit_max.max(1));
        Self {
            limit: f64::from(WINDOW_INITIAL).min(limit_max),
            limit_max,
            threshold: limit_max,
            baseline: None,
            hold_until: now,
            samples: Samples::opened(now),
            was_slow: false,
        }
    }

    /// How many transfers may be in flight: at least one.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the limit is between one and a u32"
    )]
    pub fn limit(&self) -> u32 {
        (self.limit as u32).max(1)
    }

    /// The limit before it is rounded, as the breaker remembers it.
    #[must_use]
    pub fn exact_limit(&self) -> f64 {
        self.limit
    }

    /// Whether the peer bears one transfer at a time, and that one slowly: such a destination goes
    /// into the slow lane (delivery §13).
    #[must_use]
    pub fn is_crawling(&self) -> bool {
        self.limit() == 1 && self.was_slow
    }

    /// Begins with `limit`, as it was remembered.
    pub fn start_at(&mut self, limit: u32) {
        self.limit = f64::from(limit).clamp(1.0, self.limit_max);
    }

    /// Takes in how one exchange went: how long it took, whether the peer did what was asked, and how
    /// many transfers were in flight when it ended, itself included. Says which rule was applied, if
    /// this sample closed a window.
    pub fn handle_sample(
        &mut self,
        now: Timestamp,
        latency: Duration,
        outcome: Outcome,
        in_flight: u32,
    ) -> Option<Rule> {
        self.samples.add(latency, outcome, in_flight);
        let needed = self.samples_needed();
        if now >= self.hold_until && at_least(self.samples.slow, SLOW_SHARE, needed) {
            let almost_all = at_least(self.samples.slow, 0.8, self.samples.count());
            self.cut(now, if almost_all { 0.5 } else { 0.7 });
            return Some(Rule::EarlyCut);
        }
        let age = now.since(self.samples.opened_at);
        let full = self.samples.count() >= needed && age >= WINDOW_TIME_MIN;
        if !full && age < WINDOW_TIME_MAX {
            return None;
        }
        Some(self.close(now))
    }

    /// The peer answers again after it did not: half of what it bore before, and slow start up to that.
    pub fn handle_recovery(&mut self, now: Timestamp, limit_before: f64) {
        let initial = f64::from(WINDOW_INITIAL);
        self.limit = (limit_before / 2.0).max(initial).min(self.limit_max);
        self.threshold = limit_before.max(initial).min(self.limit_max);
        self.hold_until = now;
        self.was_slow = false;
        self.samples = Samples::opened(now);
    }

    fn samples_needed(&self) -> usize {
        (self.limit() as usize).clamp(SAMPLES_MIN, SAMPLES_MAX)
    }

    /// Judges the window that ends here; the first rule that applies is the one.
    fn close(&mut self, now: Timestamp) -> Rule {
        let count = self.samples.count();
        let slow_share = share(self.samples.slow, count);
        self.was_slow = slow_share >= SLOW_SHARE;
        if self.was_slow && now >= self.hold_until && self.samples.slow >= SLOW_OF_FEW_MIN {
            self.cut(now, 0.7);
            return Rule::Cut;
        }
        let rule = if count < SAMPLES_MIN {
            Rule::Keep
        } else {
            self.shape()
        };
        self.samples = Samples::opened(now);
        rule
    }

    /// Rules B to F: drain, grow, probe, or keep.
    fn shape(&mut self) -> Rule {
        let count = self.samples.count();
        let fast_share = share(self.samples.fast, count);
        let failed_share = share(self.samples.slow + self.samples.troubled, count);
        let median = self.samples.median_us();
        if self.samples.slow == 0 {
            self.baseline = Some(
                self.baseline
                    .map_or(median, |base| median.min(base + (median - base) * 0.01)),
            );
        }
        let baseline = self.baseline.unwrap_or(median);
        let used = at_least(
            self.samples.peak_in_flight as usize,
            0.8,
            self.limit() as usize,
        );
        let rule = if median > micros(1_000).max(4.0 * baseline) {
            self.limit = (self.limit * 0.85).max(1.0);
            self.threshold = self.limit;
            Rule::Drain
        } else if median > micros(500).max(2.5 * baseline) {
            self.limit = (self.limit - 1.0).max(1.0);
            self.threshold = self.limit;
            Rule::Ease
        } else if used && fast_share >= FAST_SHARE {
            self.grow();
            Rule::Grow
        } else if used && failed_share <= FAILED_SHARE && median <= 1.2 * baseline {
            self.limit = (self.limit + 0.5).min(self.limit_max);
            Rule::Probe
        } else {
            Rule::Keep
        };
        let at_ease = fast_share >= FAST_SHARE && median <= 1.5 * baseline;
        if self.limit >= self.threshold && at_ease {
            self.threshold = (self.threshold + 1.0).min(self.limit_max);
        }
        rule
    }

    fn grow(&mut self) {
        let grown = if self.limit < self.threshold {
            (2.0 * self.limit).min(self.threshold)
        } else {
            self.limit + (self.limit.sqrt() / 2.0).max(1.0)
        };
        self.limit = grown.min(self.limit_max);
    }

    fn cut(&mut self, now: Timestamp, factor: f64) {
        self.limit = (self.limit * factor).max(1.0);
        self.threshold = self.limit.max(2.0);
        self.hold_until = now + TRANSFER_TIME_MAX;
        self.was_slow = true;
        self.samples = Samples::opened(now);
    }
}

/// Whether the peer did what was asked, as far as its window is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, whatever it said about the message.
    Served,
    /// It answered that it could not: neither fast nor slow.
    Troubled,
    /// It did not answer in time.
    Silent,
}

impl Samples {
    fn opened(now: Timestamp) -> Self {
        Self {
            opened_at: now,
            ..Self::default()
        }
    }

    fn count(&self) -> usize {
        self.latencies_us.len()
    }

    fn add(&mut self, latency: Duration, outcome: Outcome, in_flight: u32) {
        let latency_us = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.latencies_us.push(latency_us);
        self.peak_in_flight = self.peak_in_flight.max(in_flight);
        if outcome == Outcome::Silent || latency >= TRANSFER_SLOW {
            self.slow += 1;
        } else if outcome == Outcome::Troubled {
            self.troubled += 1;
        } else if latency < TRANSFER_FAST {
            self.fast += 1;
        }
    }

    /// The median; called when the window is over, so order no longer matters.
    fn median_us(&mut self) -> f64 {
        let middle = self.latencies_us.len() / 2;
        f64::from(*self.latencies_us.select_nth_unstable(middle).1)
    }
}

fn micros(milliseconds: u32) -> f64 {
    f64::from(milliseconds) * 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of one window are small")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Whether `part` is at least `wanted` of `whole`.
fn at_least(part: usize, wanted: f64, whole: usize) -> bool {
    share(part, whole.max(1)) >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    /// Gives `count` samples, evenly over `over`, and says which rules were applied.
    fn feed(
        controller: &mut Controller,
        from: Timestamp,
        over: Duration,
        count: u32,
        took: Duration,
    ) -> Vec<Rule> {
        let outcome = if took >= TRANSFER_TIME_MAX {
            Outcome::Silent
        } else {
            Outcome::Served
        };
        (1..=count)
            .filter_map(|step| {
                let now = from + over * step / count;
                let in_flight = controller.limit();
                controller.handle_sample(now, took, outcome, in_flight)
            })
            .collect()
    }

    #[test]
    fn a_fast_peer_that_is_kept_busy_doubles_its_window_up_to_the_bound() {
        let mut controller = Controller::new(NOW, 100);
        let mut limits = vec![controller.limit()];
        for second in 0..6 {
            let from = NOW + Duration::from_secs(second);
            let second = Duration::from_secs(1);
            feed(
                &mut controller,
                from,
                second,
                100,
                Duration::from_millis(50),
            );
            limits.push(controller.limit());
        }
        assert_eq!(limits, [4, 8, 16, 32, 64, 100, 100]);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut controller = Controller::new(NOW, 100);
        for step in 1..=200 {
            let now = NOW + Duration::from_millis(50) * step;
            controller.handle_sample(now, Duration::from_millis(50), Outcome::Served, 1);
        }
        assert_eq!(controller.limit(), 4);
    }

    #[test]
    fn four_slow_of_ten_cut_at_once_and_only_once_in_five_seconds() {
        let mut controller = Controller::new(NOW, 100);
        controller.start_at(10);
        let slow = Duration::from_secs(5);
        let instant = Duration::from_millis(10);
        let rules = feed(&mut controller, NOW, instant, 3, slow);
        assert_eq!(rules, []);
        let rules = feed(&mut controller, NOW, instant, 1, slow);
        assert_eq!(rules, [Rule::EarlyCut]);
        assert_eq!(controller.limit(), 5);
        let rules = feed(&mut controller, NOW, instant, 50, slow);
        assert_eq!(rules, []);
        assert_eq!(controller.limit(), 5);
        let later = NOW + Duration::from_secs(6);
        assert_eq!(
            feed(&mut controller, later, instant, 10, slow).first(),
            Some(&Rule::EarlyCut)
        );
        assert_eq!(controller.limit(), 2);
    }

    #[test]
    fn a_mixed_window_is_cut_less_than_one_that_is_all_slow() {
        let mut controller = Controller::new(NOW, 100);
        controller.start_at(10);
        let instant = Duration::from_millis(10);
        feed(&mut controller, NOW, instant, 5, Duration::from_millis(50));
        feed(&mut controller, NOW, instant, 4, Duration::from_secs(5));
        assert_eq!(controller.limit(), 7);
    }

    #[test]
    fn a_queue_at_the_far_end_is_drained_before_it_times_out() {
        let mut controller = Controller::new(NOW, 100);
        let second = Duration::from_secs(1);
        feed(
            &mut controller,
            NOW,
            second,
            100,
            Duration::from_millis(100),
        );
        controller.start_at(20);
        for (latency, rule, limit) in [(600, Rule::Ease, 19), (1_500, Rule::Drain, 16)] {
            let from = controller.samples.opened_at;
            let latency = Duration::from_millis(latency);
            assert_eq!(feed(&mut controller, from, second, 30, latency), [rule]);
            assert_eq!(controller.limit(), limit);
        }
    }

    #[test]
    fn a_peer_that_is_slow_by_nature_is_given_a_little_more() {
        let mut controller = Controller::new(NOW, 100);
        let over = Duration::from_secs(5);
        let took = Duration::from_millis(2_500);
        // The first window is its baseline.
        for round in 0..4 {
            let rules = feed(&mut controller, NOW + over * round, over, 10, took);
            assert_eq!(rules, [Rule::Probe]);
        }
        assert_eq!(controller.limit(), 6);
    }

    #[test]
    fn little_traffic_leaves_the_window_as_it_is_unless_three_are_slow() {
        let mut controller = Controller::new(NOW, 100);
        let hour = Duration::from_secs(3_600);
        let rules = feed(&mut controller, NOW, hour, 4, Duration::from_millis(50));
        assert_eq!(rules, [Rule::Keep; 4]);
        assert_eq!(controller.limit(), 4);
        let rules = feed(&mut controller, NOW + hour, hour, 3, Duration::from_secs(5));
        assert_eq!(rules, [Rule::Keep; 3]);
        let minute = Duration::from_secs(31);
        let rules = feed(
            &mut controller,
            NOW + 2 * hour,
            minute,
            3,
            Duration::from_secs(5),
        );
        assert_eq!(rules, [Rule::Cut]);
        assert_eq!(controller.limit(), 2);
    }

    #[test]
    fn a_window_never_closes_below_one() {
        let mut controller = Controller::new(NOW, 100);
        for round in 0..20 {
            let from = NOW + Duration::from_secs(10) * round;
            let over = Duration::from_secs(5);
            feed(&mut controller, from, over, 10, Duration::from_secs(5));
        }
        assert_eq!(controller.limit(), 1);
        assert!(controller.is_crawling());
    }

    #[test]
    fn a_peer_that_recovers_begins_with_half_of_what_it_bore() {
        let mut controller = Controller::new(NOW, 100);
        controller.handle_recovery(NOW, 50.0);
        assert_eq!(controller.limit(), 25);
        controller.handle_recovery(NOW, 2.0);
        assert_eq!(controller.limit(), 4);
    }

    #[test]
    fn answers_that_are_failures_keep_a_window_from_growing() {
        let mut controller = Controller::new(NOW, 100);
        for step in 1..=100 {
            let now = NOW + Duration::from_millis(20) * step;
            controller.handle_sample(now, Duration::from_millis(5), Outcome::Troubled, 4);
        }
        assert_eq!(controller.limit(), 4);
    }
}
