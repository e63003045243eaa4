//! The simulation of delivery §12.3 as a test: towards each kind of destination, the pool comes to the
//! verdict of the table. 180 simulated seconds, three seeds averaged, a sender that always has more, a
//! server that goes on working on what nobody waits for any more.
//!
//! Each figure has a tolerance of its own. Where the table counts what is lost, less is no deviation.

use std::ops::RangeInclusive;

use mesh_common::delivery::testing::{Outcome, SCENARIOS};

/// The runs of one kind of destination.
struct Runs {
    outcomes: Vec<Outcome>,
}

impl Runs {
    fn of(slug: &str) -> Self {
        let scenario = SCENARIOS
            .iter()
            .find(|scenario| scenario.slug == slug)
            .expect("the table has this row");
        Self {
            outcomes: (1..=3).map(|seed| scenario.run(seed)).collect(),
        }
    }

    #[track_caller]
    fn expect(&self, what: &str, figure: impl Fn(&Outcome) -> f64, within: RangeInclusive<f64>) {
        let figures: Vec<f64> = self.outcomes.iter().map(figure).collect();
        let mean = figures.iter().sum::<f64>() / 3.0;
        assert!(
            within.contains(&mean),
            "{what}: {figures:?} is not in {within:?}"
        );
    }

    #[track_caller]
    fn delivers(&self, within: RangeInclusive<f64>) {
        self.expect("delivered per second", Outcome::per_second, within);
    }

    #[track_caller]
    fn times_out(&self, at_most: f64) {
        self.expect("time-outs", Outcome::timeouts, 0.0..=at_most);
    }
}

#[test]
fn a_fast_peer_is_used_to_the_full() {
    // The table: 596 per second, no time-out.
    let runs = Runs::of("fast");
    runs.delivers(585.0..=607.0);
    runs.times_out(0.0);
}

#[test]
fn a_small_peer_is_used_to_the_full_and_its_queue_stays_short() {
    // The table: 19.5 per second of the 20 it can do, no time-out, median 1.07 s.
    let runs = Runs::of("small");
    runs.delivers(19.0..=20.0);
    runs.times_out(0.0);
    runs.expect("median", Outcome::median_s, 0.8..=1.3);
}

#[test]
fn a_tiny_peer_is_not_run_over() {
    // The table: 1.1 per second, no time-out. One window of three may meet its limit.
    let runs = Runs::of("tiny");
    runs.delivers(1.0..=1.2);
    runs.times_out(3.0);
}

#[test]
fn a_slow_and_healthy_peer_is_given_more_as_it_bears_it() {
    // The table: 3.9 per second, one time-out; the draft's thresholds alone come to 1.5.
    let runs = Runs::of("slow");
    runs.delivers(3.1..=4.7);
    runs.times_out(3.0);
}

#[test]
fn a_black_hole_costs_next_to_nothing() {
    // The table: 10 time-outs. First contact is one transfer alone, which saves some.
    Runs::of("black-hole").times_out(10.0);
}

#[test]
fn a_collapse_is_met_by_a_smaller_window() {
    // The table: 157 time-outs; the draft's thresholds alone lose 334.
    let runs = Runs::of("collapse");
    runs.delivers(190.0..=206.0);
    runs.times_out(180.0);
}

#[test]
fn a_peer_that_was_dead_for_a_minute_is_found_again_by_the_third_probe() {
    // The table: 164 time-outs, 323 per second over the run, first success 21 s after it is back: the
    // third interval, 45 s a quarter more or less, began about 85 s into the run.
    let runs = Runs::of("outage");
    runs.delivers(290.0..=370.0);
    runs.times_out(190.0);
    let found = |outcome: &Outcome| outcome.first_success_after(120).unwrap_or(f64::MAX);
    runs.expect("first success", found, 5.0..=36.0);
}
