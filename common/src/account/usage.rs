//! What the accounts of a domain use of the service: octets, accounts, messages sent today (cluster §9).
//! A [`DomainUsage`] is an absolute value; a [`UsageChange`] is what one transaction makes of it. Both follow
//! from the account as it was and as it is, so that whoever counts the accounts anew comes to the same.
//!
//! An account that was deleted counts no longer; its octets do until it is purged, since they are
//! stored until then (architecture A-15).

use serde::{Deserialize, Serialize};

use super::change::{Change, Transition};
use super::state::{AccountState, AccountStatus, Standing};
use crate::time::Timestamp;

const SECONDS_PER_DAY: i64 = 24 * 3_600;

/// The day of `now` in UTC, counted from 1970.
#[must_use]
pub const fn day_of(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(SECONDS_PER_DAY)
}

/// The moment at which `day` is over.
#[must_use]
pub const fn end_of(day: i64) -> Timestamp {
    Timestamp::from_secs(day.saturating_add(1).saturating_mul(SECONDS_PER_DAY))
}

/// What accounts of one domain use: those of one partition, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DomainUsage {
    /// Octets of what they store, as the quotas of accounts count them.
    pub octets: u64,
    /// Accounts, those on hold included, those deleted not.
    pub accounts: u64,
    /// The last day on which one of them sent something, counted from 1970 in UTC.
    pub day: i64,
    /// Messages that they sent to others on that day, as the rates of accounts count them.
    pub messages: u64,
}

impl DomainUsage {
    /// The same on `day`: nothing was sent yet if that is a later one.
    #[must_use]
    pub const fn on(self, day: i64) -> Self {
        if day <= self.day {
            return self;
        }
        Self {
            day,
            messages: 0,
            ..self
        }
    }

    /// The same after `change` on `day`. What it cannot give up it does not have.
    #[must_use]
    pub const fn after(self, change: UsageChange, day: i64) -> Self {
        // Who sends nothing says nothing of the day.
        let now = if change.messages == 0 {
            self
        } else {
            self.on(day)
        };
        Self {
            octets: now.octets.saturating_add_signed(change.octets),
            accounts: now.accounts.saturating_add_signed(change.accounts),
            messages: now.messages.saturating_add(change.messages),
            ..now
        }
    }

    /// What both use together, on `day`.
    #[must_use]
    pub const fn and(self, other: Self, day: i64) -> Self {
        let (one, other) = (self.on(day), other.on(day));
        Self {
            octets: one.octets.saturating_add(other.octets),
            accounts: one.accounts.saturating_add(other.accounts),
            messages: one.messages.saturating_add(other.messages),
            ..one
        }
    }
}

/// What is left of the limits of a domain, where a transaction met one: nothing is said where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainRoom {
    /// Octets that may be stored beside those that are.
    pub octets: Option<u64>,
    /// Messages that may be sent, and until when there are no more.
    pub messages: Option<MessageRoom>,
}

/// What is left of the messages that the accounts of a domain may send on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRoom {
    /// How many.
    pub left: u64,
    /// The moment at which the day is over.
    pub until: Timestamp,
}

/// What a transaction makes of what a domain uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageChange {
    /// Octets more, or less.
    pub octets: i64,
    /// Accounts more, or less.
    pub accounts: i64,
    /// Messages sent.
    pub messages: u64,
}

impl UsageChange {
    /// What `transition` makes of it, which turns `before` into `after`.
    #[must_use]
    pub fn of(before: &Standing, after: &Standing, transition: &Transition) -> Self {
        let is_sending = |change: &&Change| matches!(change, Change::Sending { .. });
        let sent = transition.changes.iter().filter(is_sending).count();
        Self {
            messages: sent as u64,
            ..Self::between(before, after)
        }
    }

    /// What becomes of it when an account that stood as `before` stands as `after`, and sent nothing.
    #[must_use]
    pub fn between(before: &Standing, after: &Standing) -> Self {
        let octets = |state: &AccountState| i64::try_from(state.tip.bytes_used).unwrap_or(i64::MAX);
        let nothing = Self::default();
        match (before.account(), after.account()) {
            (Some(before), Some(after)) if before.record.id == after.record.id => Self {
                octets: octets(after).saturating_sub(octets(before)),
                ..nothing
            },
            // What another account left at the address stays until it is purged.
            (_, Some(after)) => Self {
                octets: octets(after),
                accounts: i64::from(before.account().is_none()),
                ..nothing
            },
            (Some(_), None) => Self {
                accounts: -1,
                ..nothing
            },
            (None, None) => nothing,
        }
    }

    /// What becomes of it when so many octets go.
    #[must_use]
    pub const fn octets_gone(octets: i64) -> Self {
        Self {
            octets: octets.saturating_neg(),
            accounts: 0,
            messages: 0,
        }
    }

    /// This, then `other`.
    #[must_use]
    pub const fn then(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_add(other.octets),
            accounts: self.accounts.saturating_add(other.accounts),
            messages: self.messages.saturating_add(other.messages),
        }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub const fn is_nothing(self) -> bool {
        self.octets == 0 && self.accounts == 0 && self.messages == 0
    }
}

/// What an account that is stored uses, told by its record and its tip alone; `is_at_its_address` says whether
/// the directory names it. Nothing is counted of what an import left that was broken off.
#[must_use]
pub const fn used_by(
    status: AccountStatus,
    bytes_used: u64,
    is_at_its_address: bool,
) -> DomainUsage {
    let is_deleted = matches!(status, AccountStatus::Deleted { .. });
    DomainUsage {
        octets: if is_deleted || is_at_its_address {
            bytes_used
        } else {
            0
        },
        accounts: (is_at_its_address && !is_deleted) as u64,
        day: 0,
        messages: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: DomainUsage = DomainUsage {
        octets: 100,
        accounts: 2,
        day: 5,
        messages: 7,
    };

    #[test]
    fn what_was_sent_counts_until_midnight() {
        let evening = "2026-02-03T23:59:59Z".parse::<Timestamp>().unwrap();
        let midnight = "2026-02-04T00:00:00Z".parse::<Timestamp>().unwrap();
        assert_eq!(day_of(midnight), day_of(evening) + 1);
        assert_eq!(end_of(day_of(evening)), midnight);
        let sent = UsageChange {
            messages: 3,
            ..UsageChange::default()
        };
        assert_eq!(USED.after(sent, 5).messages, 10);
        let next = USED.after(sent, 6);
        assert_eq!((next.day, next.messages), (6, 3));
        // A clock that is behind opens no day anew.
        assert_eq!(USED.after(sent, 4).messages, 10);
        assert_eq!((USED.on(4), USED.on(6).messages), (USED, 0));
    }

    #[test]
    fn what_changes_nothing_of_the_messages_leaves_their_day() {
        let gone = UsageChange::octets_gone(40);
        let after = USED.after(gone, 9);
        assert_eq!((after.octets, after.day, after.messages), (60, 5, 7));
        assert_eq!(USED.after(UsageChange::octets_gone(101), 9).octets, 0);
        let malt = UsageChange::octets_gone(-1);
        assert_eq!(
            USED.after(malt, 9).octets,
            101,
            "redaction may take more than it gives"
        );
    }

    #[test]
    fn a_sum_counts_the_messages_of_its_day_alone() {
        let yesterday = DomainUsage { day: 4, ..USED };
        let sum = USED.and(yesterday, 5);
        assert_eq!((sum.octets, sum.accounts, sum.messages), (200, 4, 7));
        assert_eq!(USED.and(yesterday, 6).messages, 0);
    }

    #[test]
    fn an_account_counts_while_it_is_there_and_its_octets_until_it_is_purged() {
        let deleted = AccountStatus::Deleted {
            at: Timestamp::from_millis(0),
        };
        let counted = |status, is_at_its_address| {
            let used = used_by(status, 9, is_at_its_address);
            (used.octets, used.accounts)
        };
        assert_eq!(counted(AccountStatus::Connected, true), (9, 1));
        assert_eq!(counted(AccountStatus::Pending, true), (9, 1));
        assert_eq!(counted(AccountStatus::Connected, false), (0, 0));
        assert_eq!(counted(deleted, false), (9, 0));
        assert_eq!(counted(deleted, true), (9, 0));
    }
}
