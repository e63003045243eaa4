//! Until when a node may believe that what it owns is still its own, without asking (cluster §4.3). Whoever
//! beats and looks tells what began and ended when; whoever answers from memory asks.
//!
//! Whoever takes from a node must have seen its record unchanged for the whole lease, and a heartbeat that lands
//! first wins. So from the beginning of a committed heartbeat on, nobody can take anything for a lease; and where
//! the next one has *ended* by then, nobody has until it landed. Heartbeats that follow each other so are a chain:
//!
//! ```text
//!  heartbeats   ├──┤      ├─────┤        ├──────────────────────┤   too late: a gap
//!  nobody can   └─ lease ─────────────┘
//!                         └─ lease ─────────────┘
//! ```
//!
//! A chain is worth something only if it began when what is ours was ours. That is what a look shows: it extends to
//! a chain that begins with the last heartbeat that was committed before it. So there are two of them at most: the
//! one that is believed, and the one that the look on its way will confirm. A look takes as long as it takes:
//! heartbeats that end meanwhile prolong its chain, and none of them sends it back to the beginning.

use std::time::Duration;

use super::Times;

/// What a look confirms, if everything that it showed is taken.
#[must_use = "a look that showed something is to be believed"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// When the latest heartbeat of its chain began.
    chain: Option<Duration>,
}

/// The heartbeats that are known to be committed, as far as they say that nothing was taken.
#[derive(Debug, Clone)]
pub struct Belief {
    times: Times,
    /// When the latest one began.
    latest: Option<Duration>,
    /// When the latest one of the chain began that is believed.
    believed: Option<Duration>,
    /// The same of the chain that the look on its way confirms.
    awaited: Option<Duration>,
}

impl Belief {
    /// Of a node that believes nothing yet.
    #[must_use]
    pub const fn new(times: Times) -> Self {
        Self {
            times,
            latest: None,
            believed: None,
            awaited: None,
        }
    }

    /// A heartbeat is committed that began and ended at these times, since any moment that stays the same.
    pub fn beaten(&mut self, begun: Duration, ended: Duration) {
        self.latest = self.latest.max(Some(begun));
        for chain in [&mut self.believed, &mut self.awaited] {
            if let Some(last) = chain
                && ended < *last + untouched(&self.times)
            {
                *last = begun.max(*last);
            }
        }
    }

    /// A look begins; there is one at a time.
    pub const fn look_begins(&mut self) {
        self.awaited = self.latest;
    }

    /// The look on its way has ended. What it confirms is to be told once what it showed is taken; that of one
    /// which showed nothing is dropped. The next may begin in between.
    pub const fn look_ends(&mut self) -> Confirmed {
        Confirmed {
            chain: self.awaited.take(),
        }
    }

    /// What a look showed is taken: what is ours now was ours since.
    pub fn confirm(&mut self, confirmed: Confirmed) {
        self.believed = self.believed.max(confirmed.chain);
    }

    /// Until when what is in memory is what is committed; none: it cannot be believed at all. Less than until
    /// somebody may take it: others are left the time to do so politely.
    #[must_use]
    pub fn until(&self) -> Option<Duration> {
        Some(self.believed? + self.times.patience())
    }
}

/// For how long after the beginning of a committed heartbeat nobody takes anything: the lease, and something for
/// clocks that do not run alike.
fn untouched(times: &Times) -> Duration {
    times.lease.saturating_sub(times.heartbeat / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn until(belief: &Belief) -> Option<u128> {
        belief.until().map(|until| until.as_millis())
    }

    /// The look on its way has ended, and what it showed is taken.
    fn looked(belief: &mut Belief) {
        let confirmed = belief.look_ends();
        belief.confirm(confirmed);
    }

    /// A lease of five seconds, a heartbeat each second, and one at 0 that a look has confirmed.
    fn confirmed() -> Belief {
        let mut belief = Belief::new(Times::default());
        belief.beaten(at(0), at(10));
        belief.look_begins();
        looked(&mut belief);
        belief
    }

    #[test]
    fn nothing_is_believed_before_a_look_that_began_after_a_heartbeat() {
        let mut belief = Belief::new(Times::default());
        belief.look_begins();
        belief.beaten(at(0), at(10));
        looked(&mut belief);
        assert_eq!(belief.until(), None, "somebody may have claimed before it");
        belief.look_begins();
        let _it_showed_nothing = belief.look_ends();
        looked(&mut belief);
        assert_eq!(belief.until(), None);
        belief.look_begins();
        looked(&mut belief);
        assert_eq!(until(&belief), Some(4_000));
    }

    #[test]
    fn heartbeats_that_end_before_anybody_can_take_anything_prolong_it() {
        let mut belief = confirmed();
        belief.beaten(at(1_000), at(1_010));
        assert_eq!(until(&belief), Some(5_000));
        belief.beaten(at(3_000), at(5_499));
        assert_eq!(until(&belief), Some(7_000));
    }

    #[test]
    fn after_a_gap_only_a_look_helps() {
        let mut belief = confirmed();
        belief.beaten(at(2_000), at(4_500));
        assert_eq!(until(&belief), Some(4_000), "it may have landed too late");
        belief.beaten(at(4_600), at(4_610));
        assert_eq!(until(&belief), Some(4_000));
        belief.look_begins();
        belief.beaten(at(5_600), at(5_610));
        assert_eq!(until(&belief), Some(4_000));
        looked(&mut belief);
        assert_eq!(until(&belief), Some(9_600));
    }

    #[test]
    fn a_look_that_began_before_a_gap_says_nothing_of_what_came_after_it() {
        let mut belief = confirmed();
        belief.look_begins();
        belief.beaten(at(5_000), at(5_010));
        belief.beaten(at(6_000), at(6_010));
        looked(&mut belief);
        assert_eq!(until(&belief), Some(4_000));
    }

    #[test]
    fn a_look_that_begins_when_one_ends_confirms_nothing_before_it_has_ended_itself() {
        let mut belief = confirmed();
        belief.look_begins();
        // It stood still; meanwhile somebody may have taken what is ours, after what the look shows.
        belief.beaten(at(9_000), at(9_010));
        let shown = belief.look_ends();
        belief.look_begins();
        belief.confirm(shown);
        assert_eq!(until(&belief), Some(4_000));
        looked(&mut belief);
        assert_eq!(until(&belief), Some(13_000));
    }

    #[test]
    fn heartbeats_and_looks_that_take_nearly_half_a_lease_each_are_enough() {
        let mut belief = confirmed();
        // As on a machine with many other things to do: each begins when the one before it has ended.
        let mut now = 10_000;
        belief.beaten(at(now), at(now + 2_200));
        for _ in 0..20 {
            now += 2_200;
            belief.look_begins();
            belief.beaten(at(now), at(now + 2_200));
            looked(&mut belief);
            assert_eq!(until(&belief), Some(u128::from(now) + 4_000));
        }
    }
}
