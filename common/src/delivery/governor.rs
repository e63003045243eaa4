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
        self.votes.insert(destination, Vote { at: now, slow });
        if now.since(self.looked_at) < Duration::from_secs(1) {
            return false;
        }
        self.looked_at = now;
        self.look(now)
    }

    fn look(&mut self, now: Timestamp) -> bool {
        self.votes
            .retain(|_, vote| now.since(vote.at) < Self::VOTE_TIME);
        let slow = self.votes.values().filter(|vote| vote.slow).count();
        let percent = slow * 100 / self.votes.len().max(1);
        // After a time without blame comes one with it: destinations that are really dead are found out.
        let may_blame_us = self
            .ours_until
            .is_none_or(|until| now >= until + Self::VOTE_TIME);
        if slow >= SLOW_VOTES_MIN && percent >= OURS_PERCENT && may_blame_us {
            let floor = TRANSFERS_MIN.min(self.budget_max);
            self.budget = (self.budget * CUT_TO_PERCENT / 100).max(floor);
            self.ours_until = Some(now + Self::VOTE_TIME);
            self.grown_at = now;
            self.votes.clear();
            return true;
        }
        if percent < CALM_PERCENT && now.since(self.grown_at) >= Self::VOTE_TIME {
            self.budget = (self.budget + GROWTH).min(self.budget_max);
            self.grown_at = now;
        }
        false
    }
}
