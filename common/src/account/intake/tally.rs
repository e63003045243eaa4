//! What an account has taken today: the counters of rule 6, and of the recipient's rate (service
//! §7.5 rule 6, §7.4 check 8). One small row per account, written with every message that is taken,
//! so that a restart forgets nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::limits::{INCIDENTS_PER_RECIPIENT_DAY, PEER_REFUSALS_PER_DAY_FREE};
use crate::time::Timestamp;
use crate::udf::Udf;

const SECONDS_PER_DAY: i64 = 24 * 3_600;

/// Messages taken in one day, by the service's clock in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The day, counted from 1970.
    day: i64,
    /// Messages in all.
    taken: u32,
    /// Messages of strangers, by UDF of their ProfileAccount: as many entries as the bound for all
    /// strangers at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    strangers: BTreeMap<String, u32>,
    /// Senders whose messages were refused in a way that counts against them, each counted
    /// once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    complaints: BTreeSet<String>,
    /// Messages of the account that other services refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    refused_by_peers: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Tally {
    /// This tally if it is of the day of `now`, else that of a day on which nothing has come yet.
    #[must_use]
    pub fn on(&self, now: Timestamp) -> Self {
        let day = now.as_secs().div_euclid(SECONDS_PER_DAY);
        if day == self.day {
            self.clone()
        } else {
            Self {
                day,
                ..Self::default()
            }
        }
    }

    /// Messages in all.
    #[must_use]
    pub const fn taken(&self) -> u32 {
        self.taken
    }

    /// Messages of one stranger.
    #[must_use]
    pub fn from_stranger(&self, account: &Udf) -> u32 {
        self.strangers.get(account.as_str()).copied().unwrap_or(0)
    }

    /// Messages of all strangers.
    #[must_use]
    pub fn from_strangers(&self) -> u32 {
        self.strangers
            .values()
            .fold(0, |sum, one| sum.saturating_add(*one))
    }

    /// Complains about `sender`. Whether that is to be recorded: for the first time today, and not
    /// about more senders than [`INCIDENTS_PER_RECIPIENT_DAY`].
    pub(super) fn complain(&mut self, sender: &str) -> bool {
        self.complaints.len() < INCIDENTS_PER_RECIPIENT_DAY
            && self.complaints.insert(sender.to_owned())
    }

    /// Counts a message that another service refused. Whether that happens too often today.
    pub(super) fn refused_by_peer(&mut self) -> bool {
        self.refused_by_peers = self.refused_by_peers.saturating_add(1);
        self.refused_by_peers > PEER_REFUSALS_PER_DAY_FREE
    }

    /// Counts one more message.
    pub(super) fn count(&mut self, stranger: Option<&Udf>) {
        self.taken = self.taken.saturating_add(1);
        if let Some(stranger) = stranger {
            let count = self.strangers.entry(stranger.to_string()).or_default();
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_until_midnight() {
        let evening = "2026-02-03T23:59:59Z".parse::<Timestamp>().unwrap();
        let midnight = "2026-02-04T00:00:00Z".parse::<Timestamp>().unwrap();
        let (bob, carol) = (Udf::present(b"bob", 140), Udf::present(b"carol", 140));
        let mut tally = Tally::default().on(evening);
        tally.count(Some(&bob));
        tally.count(Some(&bob));
        tally.count(Some(&carol));
        tally.count(None);
        let same = tally.on(evening);
        assert_eq!((same.taken(), same.from_strangers()), (4, 3));
        assert_eq!(
            (same.from_stranger(&bob), same.from_stranger(&carol)),
            (2, 1)
        );
        let next = tally.on(midnight);
        assert_eq!(
            (
                next.taken(),
                next.from_strangers(),
                next.from_stranger(&bob)
            ),
            (0, 0, 0)
        );
    }
}
