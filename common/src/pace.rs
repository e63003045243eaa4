//! How work goes on beside a service that is to stay quick: a piece at a time, and a rest after each that is as long as
//! the piece asks for. Copying everything into another store works so (cluster §15, §16).
//!
//! A rest follows from the time that the piece took, not from its size: where the store or the machine has much else to
//! do, pieces take longer, and so do rests.

use std::time::Duration;

use crate::limits::{PACE_RATE_MIN, PACE_REST_MAX, PACE_SHARE_MAX};

/// How much of its time the work takes, and how fast it may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    share: u8,
    rate: Option<u64>,
}

/// A pace at which nothing can work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// A share that is none, or more than everything.
    #[error("a share is from 1 to {PACE_SHARE_MAX} hundredths of the time, not {found}")]
    Share {
        /// What it is.
        found: u8,
    },
    /// So few octets that one piece would take for ever.
    #[error("a rate is at least {PACE_RATE_MIN} octets a second, not {found}")]
    Rate {
        /// What it is.
        found: u64,
    },
}

impl Pace {
    /// Without any rest: for work that nobody is disturbed by.
    pub const FULL: Self = Self {
        share: PACE_SHARE_MAX,
        rate: None,
    };

    /// Work that takes at most `share` hundredths of the time, and handles at most `rate` octets a second.
    ///
    /// # Errors
    /// [`PaceError`].
    pub const fn new(share: u8, rate: Option<u64>) -> Result<Self, PaceError> {
        if share == 0 || share > PACE_SHARE_MAX {
            return Err(PaceError::Share { found: share });
        }
        match rate {
            Some(found) if found < PACE_RATE_MIN => Err(PaceError::Rate { found }),
            _ => Ok(Self { share, rate }),
        }
    }

    /// How long to rest after a piece that took `time` and was of so many octets.
    #[must_use]
    pub fn rest(&self, time: Duration, octets: u64) -> Duration {
        let share = u32::from(self.share);
        let for_share = time.saturating_mul(u32::from(PACE_SHARE_MAX) - share) / share;
        let for_rate = self.rate.map_or(Duration::ZERO, |rate| {
            let micros = u128::from(octets) * 1_000_000 / u128::from(rate);
            let whole = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            whole.saturating_sub(time)
        });
        for_share.max(for_rate).min(PACE_REST_MAX)
    }
}

/// How long work will still take of which `done` of `all` were done in `time`, if it goes on like that; none before the
/// first.
#[must_use]
pub fn time_left(done: u64, all: u64, time: Duration) -> Option<Duration> {
    let left = all.saturating_sub(done);
    if left == 0 {
        return Some(Duration::ZERO);
    }
    let millis = time.as_millis() * u128::from(left) / u128::from((done > 0).then_some(done)?);
    Some(Duration::from_millis(
        u64::try_from(millis).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rest_is_as_long_as_the_share_asks_for() {
        let rest = |share| Pace::new(share, None).unwrap().rest(SECOND, 1 << 20);
        assert_eq!(rest(25), SECOND * 3);
        assert_eq!(rest(50), SECOND);
        assert_eq!(rest(100), Duration::ZERO);
        assert_eq!(rest(1), PACE_REST_MAX, "and no longer than that");
        assert_eq!(Pace::FULL.rest(SECOND, 1 << 30), Duration::ZERO);
    }

    #[test]
    fn a_rest_is_long_enough_for_the_rate() {
        let pace = Pace::new(100, Some(PACE_RATE_MIN * 2)).unwrap();
        assert_eq!(pace.rest(Duration::ZERO, PACE_RATE_MIN), SECOND / 2);
        assert_eq!(pace.rest(SECOND / 4, PACE_RATE_MIN), SECOND / 4);
        assert_eq!(pace.rest(SECOND, PACE_RATE_MIN), Duration::ZERO);
        let both = Pace::new(50, Some(PACE_RATE_MIN * 2)).unwrap();
        assert_eq!(
            both.rest(SECOND, PACE_RATE_MIN),
            SECOND,
            "the longer of the two"
        );
    }

    #[test]
    fn a_pace_that_cannot_be_is_named() {
        let told = |error: PaceError| error.to_string();
        assert_eq!(
            Pace::new(0, None).map_err(told),
            Err("a share is from 1 to 100 hundredths of the time, not 0".to_owned())
        );
        assert!(matches!(
            Pace::new(101, None),
            Err(PaceError::Share { found: 101 })
        ));
        assert_eq!(
            Pace::new(25, Some(1)).map_err(told),
            Err("a rate is at least 65536 octets a second, not 1".to_owned())
        );
    }

    #[test]
    fn what_is_left_takes_as_long_as_what_was_done() {
        assert_eq!(time_left(1, 4, SECOND), Some(SECOND * 3));
        assert_eq!(time_left(4, 4, SECOND), Some(Duration::ZERO));
        assert_eq!(time_left(5, 4, SECOND), Some(Duration::ZERO), "more came");
        assert_eq!(time_left(0, 4, SECOND), None);
        assert_eq!(
            time_left(1, u64::MAX, SECOND),
            Some(Duration::from_millis(u64::MAX))
        );
    }
}
