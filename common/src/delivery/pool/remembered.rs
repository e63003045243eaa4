//! What is kept of a destination between lives of the pool, and what is shown of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lanes::Lane;
use crate::delivery::attempt::Trouble;
use crate::delivery::breaker::BreakerState;
use crate::delivery::judge::Lasting;
use crate::time::Timestamp;

/// What is kept of a destination in its row: enough to begin again with care, and to know what
/// operators decided. Moments are kept to the second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The domain.
    pub domain: String,
    /// Transfers that it bore at once; while its breaker is open, before that.
    pub window: u32,
    /// When the next probe may go, if its breaker is not closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopens_at: Option<Timestamp>,
    /// For how many seconds its breaker is open in that case.
    #[serde(default)]
    pub open_time_s: u64,
    /// Nothing goes there before, since the peer asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// When a transfer last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// An operator holds it: nothing is sent.
    #[serde(default)]
    pub held: bool,
    /// What has been wrong with the domain itself, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting: Option<(Lasting, Timestamp)>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

impl Remembered {
    /// Until when its breaker is open, and for how long that is, if it is.
    #[must_use]
    pub(super) fn open(&self) -> Option<(Timestamp, Duration)> {
        let until = self.reopens_at?;
        Some((until, Duration::from_secs(self.open_time_s)))
    }
}

/// How a destination stands: for operators, measures, and its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is known of it.
    pub lane: Lane,
    /// Transfers that its window lets through.
    pub limit: u32,
    /// Transfers under way.
    pub in_flight: u32,
    /// Items that wait in memory.
    pub waiting: usize,
    /// When the first item that is only in the store falls due, as far as is known.
    pub next_due: Option<Timestamp>,
    /// How its breaker stands.
    pub breaker: BreakerState,
    /// When a transfer may begin, as things are; `None` if that takes an event.
    pub ready_at: Option<Timestamp>,
    /// What is kept of it in its row.
    pub remembered: Remembered,
}

impl Standing {
    /// Transfers that may be in flight now: none while the breaker is open, one while it is half open.
    #[must_use]
    pub fn permitted(&self) -> u32 {
        match self.breaker {
            BreakerState::Closed => self.limit,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 0,
        }
    }
}
