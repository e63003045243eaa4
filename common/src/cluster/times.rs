//! The times of the cluster: how often a node says that it lives, how often it looks at the others, how
//! long silence lasts until it is believed, and what follows from these: the failover bound
//! (cluster §4.3, §4.5).

use std::time::Duration;

use crate::limits::{CLUSTER_LEASE_MAX, CLUSTER_TIME_MIN};

/// How a cluster keeps time. Every node should have the same; a node's own lease travels in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Time between two heartbeats of a node (1 s).
    pub heartbeat: Duration,
    /// Time between two looks at the tables of nodes and owners (1 s).
    pub poll: Duration,
    /// How long others must have seen a node's record unchanged before they may take what it owns
    /// (5 s).
    pub lease: Duration,
    /// What a takeover may take, retries included (1 s). Nothing waits for it: it is the last addend
    /// of the bound, and the time within which shells must end what the Keeper asked for.
    pub takeover: Duration,
}

/// Times that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// A time is too short to be kept.
    #[error("the {what} must last at least {min:?}, not {found:?}")]
    TooShort {
        /// Which.
        what: &'static str,
        /// What it is.
        found: Duration,
        /// The shortest.
        min: Duration,
    },
    /// A lease within which a healthy node may miss too few heartbeats.
    #[error("the lease must last at least three heartbeats of {heartbeat:?}, not {lease:?}")]
    LeaseBelowHeartbeats {
        /// The lease.
        lease: Duration,
        /// The time between two heartbeats.
        heartbeat: Duration,
    },
    /// A lease that nobody would wait for.
    #[error("the lease must last at most {max:?}, not {lease:?}")]
    LeaseTooLong {
        /// The lease.
        lease: Duration,
        /// The longest.
        max: Duration,
    },
    /// Nodes would not be looked at within their lease.
    #[error("the time between two looks must not exceed the lease of {lease:?}, not {poll:?}")]
    PollAboveLease {
        /// The time between two looks.
        poll: Duration,
        /// The lease.
        lease: Duration,
    },
}

impl Times {
    /// Whether a cluster can live by these.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn check(&self) -> Result<(), TimesError> {
        let each = [
            ("heartbeat", self.heartbeat),
            ("poll", self.poll),
            ("takeover", self.takeover),
        ];
        for (what, found) in each {
            if found < CLUSTER_TIME_MIN {
                let min = CLUSTER_TIME_MIN;
                return Err(TimesError::TooShort { what, found, min });
            }
        }
        let (heartbeat, poll, lease) = (self.heartbeat, self.poll, self.lease);
        if lease > CLUSTER_LEASE_MAX {
            let max = CLUSTER_LEASE_MAX;
            return Err(TimesError::LeaseTooLong { lease, max });
        }
        if heartbeat.saturating_mul(3) > lease {
            return Err(TimesError::LeaseBelowHeartbeats { lease, heartbeat });
        }
        if poll > lease {
            return Err(TimesError::PollAboveLease { poll, lease });
        }
        Ok(())
    }

    /// After which time the writes of a node that died are taken by another one, at the latest: its
    /// last heartbeat is seen one look late, then unchanged for its lease, which is noticed one look
    /// late, then taken over (cluster §4.5).
    #[must_use]
    pub const fn failover_bound(&self) -> Duration {
        self.poll
            .saturating_mul(2)
            .saturating_add(self.lease)
            .saturating_add(self.takeover)
    }

    /// A node that could not say for this long that it lives starts no more work (cluster §4.3): others
    /// may soon take what it owns. Politeness, not safety.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.lease.saturating_sub(self.heartbeat)
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            lease: Duration::from_secs(5),
            takeover: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_times_give_the_bound_of_eight_seconds() {
        let times = Times::default();
        assert_eq!(times.check(), Ok(()));
        assert_eq!(times.failover_bound(), Duration::from_secs(8));
        assert_eq!(times.patience(), Duration::from_secs(4));
    }

    #[test]
    fn times_that_cannot_work_are_named() {
        let usual = Times::default();
        let zero = Times {
            poll: Duration::ZERO,
            ..usual
        };
        assert_eq!(
            zero.check().unwrap_err().to_string(),
            "the poll must last at least 10ms, not 0ns"
        );
        let hasty = Times {
            lease: Duration::from_secs(2),
            ..usual
        };
        assert_eq!(
            hasty.check().unwrap_err().to_string(),
            "the lease must last at least three heartbeats of 1s, not 2s"
        );
        let patient = Times {
            lease: Duration::from_secs(3_600),
            ..usual
        };
        assert!(matches!(
            patient.check(),
            Err(TimesError::LeaseTooLong { .. })
        ));
        let blind = Times {
            poll: Duration::from_secs(6),
            ..usual
        };
        assert!(matches!(
            blind.check(),
            Err(TimesError::PollAboveLease { .. })
        ));
    }
}
