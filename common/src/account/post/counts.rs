//! How much an account has sent lately, against what it may (service §8). The counts are a row of the
//! account, written with what they count, so that they are exact whatever happens at once or in
//! between.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::policy::OutboundRates;
use crate::error::ServiceError;
use crate::protocol::Code;
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A span of time that slides in steps: what came within it is counted, and what came up to one step
/// before, so that no span of this length ever holds more than is allowed.
#[derive(Debug, Clone, Copy)]
struct Span {
    step_ms: u64,
    steps: u64,
}

/// The last minute, in steps of ten seconds.
const LAST_MINUTE: Span = Span {
    step_ms: 10_000,
    steps: 6,
};
/// The last day, in steps of an hour.
const LAST_DAY: Span = Span {
    step_ms: 3_600_000,
    steps: 24,
};

impl Span {
    fn step_of(self, now: Timestamp) -> u64 {
        u64::try_from(now.as_millis()).unwrap_or(0) / self.step_ms
    }

    /// How long it takes until what came in `step` counts no longer.
    fn until_forgotten(self, step: u64, now: Timestamp) -> Duration {
        let end_ms = (step + self.steps + 1).saturating_mul(self.step_ms);
        let end = Timestamp::from_millis(i64::try_from(end_ms).unwrap_or(i64::MAX));
        end.since(now)
    }
}

/// How many came in each step; steps that are over are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Tally(BTreeMap<u64, u32>);

impl Tally {
    fn add(&mut self, span: Span, now: Timestamp, count: u32) {
        let step = span.step_of(now);
        self.0 = self.0.split_off(&step.saturating_sub(span.steps));
        if count > 0 {
            *self.0.entry(step).or_default() += count;
        }
    }

    /// How long the newest must wait if no more than `max` are allowed.
    fn excess(&self, span: Span, now: Timestamp, max: u32) -> Option<Duration> {
        let mut left: u64 = self.0.values().copied().map(u64::from).sum();
        let mut wait = None;
        for (step, count) in &self.0 {
            if left <= u64::from(max) {
                break;
            }
            left -= u64::from(*count);
            wait = Some(span.until_forgotten(*step, now));
        }
        wait
    }
}

/// What an account has sent lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingCounts {
    /// Messages, by step of the last minute.
    minute: Tally,
    /// Messages, by step of the last day.
    day: Tally,
    /// Recipients it had not written to before, by step of the last day.
    new_recipients: Tally,
}

impl PostingCounts {
    /// Counts what is sent now.
    pub(super) fn add(&mut self, now: Timestamp, messages: u32, new_recipients: u32) {
        self.minute.add(LAST_MINUTE, now, messages);
        self.day.add(LAST_DAY, now, messages);
        self.new_recipients.add(LAST_DAY, now, new_recipients);
    }

    /// Whether that is not too much for an account created at `created_at`.
    ///
    /// # Errors
    /// 429/114 with the time after which as much may be sent.
    pub(super) fn check(
        &self,
        rates: &OutboundRates,
        created_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let is_new = now < created_at + DAY * rates.new_account_days;
        let share = |rate: u32| match rate / rates.new_account_share.max(1) {
            _ if !is_new => rate,
            part => part.max(1),
        };
        let minute = share(rates.messages_per_minute);
        let day = share(rates.messages_per_day);
        let recipients = rates.new_recipients_per_day;
        let checks = [
            (
                self.minute.excess(LAST_MINUTE, now, minute),
                minute,
                "messages per minute",
            ),
            (self.day.excess(LAST_DAY, now, day), day, "messages per day"),
            (
                self.new_recipients.excess(LAST_DAY, now, recipients),
                recipients,
                "new recipients per day",
            ),
        ];
        let longest = checks
            .into_iter()
            .filter_map(|(wait, max, what)| Some((wait?, max, what)))
            .max_by_key(|(wait, ..)| *wait);
        match longest {
            None => Ok(()),
            Some((wait, max, what)) => Err(ServiceError::new(
                Code::RateLimited,
                format!("the account may send {max} {what}"),
            )
            .retry_after(wait)),
        }
    }
}
