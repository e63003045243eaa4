//! What this node takes upon itself: the budget of transfers, and whether the trouble is ours
//! (delivery §12.2, the local governor).
//!
//! The draft says that overload may be at either end. If destinations that answered lately fall silent
//! together, it is our uplink that is at fault: the budget is cut, and nobody is blamed for a while.
//!
//! Draft: delivery §12.2 weighs samples, with at most an eighth for one destination. Here every destination
//! that is known to answer has one vote, its latest sample of the last ten seconds. When everything falls
//! silent no samples come in for five seconds, and those of before would outweigh what is known now; and
//! a destination that is dead anyway says nothing about us.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::TRANSFERS_MIN;
use crate::time::Timestamp;

/// Destinations that must be slow together.
const SLOW_VOTES_MIN: usize = 8;
/// How often old votes are forgotten.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The share of slow votes that says the trouble is ours, in percent.
const OURS_PERCENT: usize = 40;
/// Below this share the budget grows again, in percent.
const CALM_PERCENT: usize = 10;
/// What is left of the budget by a cut, in percent.
const CUT_TO_PERCENT: u32 = 70;
/// What the budget grows by in calm, each [`Governor::VOTE_TIME`].
const GROWTH: u32 = 16;

/// The budget of transfers of this node.
#[derive(Debug, Clone)]
pub struct Governor {
    budget: u32,
    budget_max: u32,
    votes: BTreeMap<u64, Vote>,
    /// How many of them are slow.
    slow: usize,
    looked_at: Timestamp,
    grown_at: Timestamp,
    /// Nobody is charged before this moment.
    ours_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Vote {
    at: Timestamp,
    slow: bool,
}

impl Governor {
    /// How long a vote counts.
    pub(super) const VOTE_TIME: Duration = Duration::from_secs(10);

    /// A node that has at most `budget_max` transfers in flight.
    #[must_use]
    pub fn new(now: Timestamp, budget_max: u32) -> Self {
        let budget_max = budget_max.max(1);
        Self {
            budget: budget_max,
            budget_max,
            votes: BTreeMap::new(),
            slow: 0,
            looked_at: now,
            grown_at: now,
            ours_until: None,
        }
    }

    /// Transfers that may be in flight at once.
    #[must_use]
    pub fn budget(&self) -> u32 {
        self.budget
    }

    /// Whether what goes wrong now is held to be our own trouble.
    #[must_use]
    pub fn is_ours(&self, now: Timestamp) -> bool {
        self.ours_until.is_some_and(|until| now < until)
    }

    /// Takes in how a transfer to `destination` went, which is known to answer. Says whether this shows
    /// that the trouble is ours: the budget was cut just now.
    pub fn handle_sample(&mut self, now: Timestamp, destination: u64, slow: bool) -> bool {
        let before = self.votes.insert(destination, Vote { at: now, slow });
        self.slow += usize::from(slow);
        self.slow -= usize::from(before.is_some_and(|vote| vote.slow));
        if now.since(self.looked_at) >= LOOK_INTERVAL {
            self.looked_at = now;
            self.forget_old_votes(now);
            self.grow_in_calm(now);
        }
        slow && self.blame_us(now)
    }

    fn forget_old_votes(&mut self, now: Timestamp) {
        self.votes
            .retain(|_, vote| now.since(vote.at) < Self::VOTE_TIME);
        self.slow = self.votes.values().filter(|vote| vote.slow).count();
    }

    fn slow_percent(&self) -> usize {
        self.slow * 100 / self.votes.len().max(1)
    }

    /// Cuts the budget if the votes say so. After a time without blame comes one with it in any case:
    /// destinations that are really dead are found out.
    fn blame_us(&mut self, now: Timestamp) -> bool {
        let may_blame_us = self
            .ours_until
            .is_none_or(|until| now >= until + Self::VOTE_TIME);
        if self.slow < SLOW_VOTES_MIN || self.slow_percent() < OURS_PERCENT || !may_blame_us {
            return false;
        }
        let floor = TRANSFERS_MIN.min(self.budget_max);
        self.budget = (self.budget * CUT_TO_PERCENT / 100).max(floor);
        self.ours_until = Some(now + Self::VOTE_TIME);
        self.grown_at = now;
        self.votes.clear();
        self.slow = 0;
        true
    }

    fn grow_in_calm(&mut self, now: Timestamp) {
        if self.slow_percent() < CALM_PERCENT && now.since(self.grown_at) >= Self::VOTE_TIME {
            self.budget = (self.budget + GROWTH).min(self.budget_max);
            self.grown_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Lets all destinations vote, the last `slow` of them that they are slow; says whether that was held
    /// to be ours.
    fn second(governor: &mut Governor, now: Timestamp, slow: u64, all: u64) -> bool {
        let cuts = (0..all).filter(|&key| governor.handle_sample(now, key, key >= all - slow));
        cuts.count() > 0
    }

    #[test]
    fn silence_of_eight_that_answered_is_ours_if_it_is_two_fifths() {
        for (slow, all, ours) in [(7, 8, false), (8, 8, true), (8, 19, true), (8, 30, false)] {
            let mut governor = Governor::new(NOW, 512);
            assert_eq!(
                second(&mut governor, NOW, slow, all),
                ours,
                "{slow} of {all}"
            );
            assert_eq!(governor.budget(), if ours { 358 } else { 512 });
            assert_eq!(governor.is_ours(NOW + seconds(2)), ours);
        }
    }

    #[test]
    fn nobody_is_blamed_for_ten_seconds_and_then_everybody_for_ten() {
        let mut governor = Governor::new(NOW, 512);
        let mut blamed = Vec::new();
        let mut cuts = Vec::new();
        for at in (0..120).step_by(2) {
            let now = NOW + seconds(at);
            if second(&mut governor, now, 20, 20) {
                cuts.push(at);
            }
            blamed.push(!governor.is_ours(now + seconds(1)));
        }
        assert!(cuts.len() >= 4);
        assert!(
            cuts.windows(2).all(|pair| pair[1] - pair[0] >= 20),
            "{cuts:?}"
        );
        // Five looks each: ten seconds of blame, ten without.
        for (place, is_blamed) in blamed.iter().enumerate() {
            let since_cut = 2 * place as u64 % 20;
            assert_eq!(*is_blamed, since_cut >= 10, "at {}", 2 * place);
        }
    }

    #[test]
    fn the_budget_has_a_floor_and_grows_back_in_calm_and_no_further() {
        let mut governor = Governor::new(NOW, 100);
        for at in 0..100 {
            second(&mut governor, NOW + seconds(20 * at), 20, 20);
        }
        assert_eq!(governor.budget(), TRANSFERS_MIN);
        let calm = NOW + seconds(3_000);
        for at in 0..10 {
            second(&mut governor, calm + seconds(10 * at), 0, 20);
        }
        assert_eq!(governor.budget(), 100);
    }

    #[test]
    fn old_votes_do_not_count() {
        let mut governor = Governor::new(NOW, 512);
        for key in 0..7 {
            governor.handle_sample(NOW, key, true);
        }
        let later = NOW + seconds(11);
        assert!(!governor.handle_sample(later, 7, true));
        assert!(!governor.handle_sample(later + seconds(1), 8, true));
    }
}
