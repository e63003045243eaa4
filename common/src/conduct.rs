//! Who draws complaints, and what follows (schema draft §4.4, service §8, X-61).
//!
//! What counts against an account, or against a service that forwards messages here, is an
//! [`Incident`]. Nothing is ever taken back: each counts half as much after every
//! [`CONDUCT_HALF_LIFE`], and what is left of all of them together is the score that the level
//! follows from.
//!
//! | level | an account | a service |
//! | --- | --- | --- |
//! | normal | sends as its rates allow | delivers as its rate allows |
//! | throttled | a tenth of that | a tenth of that |
//! | restricted | besides, to its contacts only | besides, nothing from strangers |
//! | suspended | sends nothing (403/5); synchronization works | delivers nothing (403/5) |
//!
//! Draft: neither draft defines a complaint, nor what the Incident spool (protocol draft §3.1) holds.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

use crate::account::compact;
use crate::address::AccountAddress;
use crate::crypto::digest::sha512;
use crate::limits::{self, CONDUCT_HALF_LIFE};
use crate::time::Timestamp;

/// What follows from complaints.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing.
    #[default]
    Normal,
    /// One part in [`limits::CONDUCT_THROTTLE_SHARE`] of the rates.
    Throttled,
    /// Besides, no strangers.
    Restricted,
    /// Nothing is sent, or taken.
    Suspended,
}

/// Whom an incident counts against.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An account that lives here. Its address outlives what counts against it: it is reserved for
    /// longer than incidents count.
    Account(AccountAddress),
    /// A service that forwards messages here: its canonical domain.
    Service(String),
}

impl Subject {
    /// The address or the domain, canonical.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Account(address) => address.canonical(),
            Self::Service(domain) => domain,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reporter {
    /// An account, by what its contacts say.
    Account(AccountAddress),
    /// Another service, by what it refused.
    Service(String),
    /// An operator, with who complained to them.
    Operator(String),
    /// The policy of this service.
    Site,
}

impl fmt::Display for Reporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => formatter.write_str(address.canonical()),
            Self::Service(name) | Self::Operator(name) => formatter.write_str(name),
            Self::Site => formatter.write_str("this service"),
        }
    }
}

/// What makes two incidents one: sixteen octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentId(pub [u8; 16]);

impl IncidentId {
    /// The id of the incident that comes of the thing which `parts` name.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let digest = sha512(&[&[b"incident".as_slice()], parts].concat());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

/// The message an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentMessage {
    /// Its UniqueID.
    pub unique_id: String,
    /// SHA-512 of its payload, cut to 32 octets; none where only its id is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<[u8; 32]>,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<AccountAddress>,
}

/// Something that happened and counts against somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Which.
    pub id: IncidentId,
    /// When.
    #[serde(with = "compact::millis")]
    pub at: Timestamp,
    /// Against whom it counts.
    pub subject: Subject,
    /// What happened, in a phrase for operators.
    pub what: String,
    /// What it adds to the score, in thousandths.
    pub weight: u32,
    /// Who says so.
    pub reporter: Reporter,
    /// The message it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<IncidentMessage>,
}

/// What counts against somebody: moments and weights in thousandths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conduct(pub Vec<(Timestamp, u32)>);

impl Conduct {
    /// What is left of it at `now`.
    #[must_use]
    pub fn score(&self, now: Timestamp) -> f64 {
        let left = |(at, weight): &(Timestamp, u32)| {
            let halvings = now.since(*at).as_secs_f64() / CONDUCT_HALF_LIFE.as_secs_f64();
            f64::from(*weight) / 1_000.0 * (-halvings).exp2()
        };
        self.0.iter().map(left).sum()
    }

    /// The moment before which nothing counts any more.
    #[must_use]
    pub fn horizon(now: Timestamp) -> Timestamp {
        let counted: Duration = CONDUCT_HALF_LIFE * limits::CONDUCT_HALF_LIVES_COUNTED;
        let millis = i64::try_from(counted.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_sub(millis).max(0))
    }
}

/// From which scores on the levels follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConductPolicy {
    /// Throttled from this score on.
    pub throttled_from: u32,
    /// Restricted from this score on.
    pub restricted_from: u32,
    /// Suspended from this score on.
    pub suspended_from: u32,
}

impl Default for ConductPolicy {
    fn default() -> Self {
        Self {
            throttled_from: limits::CONDUCT_THROTTLED_FROM,
            restricted_from: limits::CONDUCT_RESTRICTED_FROM,
            suspended_from: limits::CONDUCT_SUSPENDED_FROM,
        }
    }
}

impl ConductPolicy {
    /// The level of somebody with this score.
    #[must_use]
    pub fn level(&self, score: f64) -> Level {
        let reaches = |bound: u32| score >= f64::from(bound);
        if reaches(self.suspended_from) {
            Level::Suspended
        } else if reaches(self.restricted_from) {
            Level::Restricted
        } else if reaches(self.throttled_from) {
            Level::Throttled
        } else {
            Level::Normal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn at(days: u32) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + DAY * days
    }

    // S-4.4-b
    #[test]
    fn complaints_lead_from_level_to_level_and_time_leads_back() {
        let policy = ConductPolicy::default();
        let mut conduct = Conduct::default();
        let mut levels = Vec::new();
        for _ in 0..policy.suspended_from {
            levels.push(policy.level(conduct.score(at(0))));
            conduct.0.push((at(0), 1_000));
        }
        levels.push(policy.level(conduct.score(at(0))));
        levels.dedup();
        let all = [
            Level::Normal,
            Level::Throttled,
            Level::Restricted,
            Level::Suspended,
        ];
        assert_eq!(levels, all);
        let mut back: Vec<Level> = (0..60)
            .map(|day| policy.level(conduct.score(at(day))))
            .collect();
        back.dedup();
        assert_eq!(back, all.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn an_incident_counts_half_after_seven_days() {
        let conduct = Conduct(vec![(at(0), 4_000)]);
        for (day, score) in [(0, 4.0), (7, 2.0), (14, 1.0), (28, 0.25)] {
            assert!((conduct.score(at(day)) - score).abs() < 1e-9, "{day}");
        }
        assert!(Conduct::horizon(at(56)) >= at(0));
    }
}
