//! When a message is tried again, when it is given up, and how many retries a destination is sent
//! (delivery §13).

use std::time::Duration;

use super::chance;
use super::item::QueueItem;
use super::judge::{Failure, Lasting, Reason};
use crate::entropy::Entropy;
use crate::limits::{
    DELAYED_AFTER, EXPIRY, EXPIRY_CONFIRMATION, EXPIRY_MAX, PATIENCE_WITH_DOMAIN,
    RETRY_BUDGET_FLOOR, RETRY_BUDGET_PERCENT, RETRY_BUDGET_SECONDS,
};
use crate::time::Timestamp;

/// Time before each retry; the last one repeats.
const DELAYS: [Duration; 5] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1_800),
];

/// What waiting for a place among other retries adds to a delay at most.
const SLOT_DELAY_MAX: Duration = Duration::from_secs(1_800);

/// The time to the next attempt of a message that was tried in vain `attempts` times before this one: a
/// quarter more or less than the schedule says.
#[must_use]
pub fn delay(attempts: u32, entropy: &mut dyn Entropy) -> Duration {
    let step = usize::try_from(attempts).unwrap_or(usize::MAX);
    chance::vary(DELAYS[step.min(DELAYS.len() - 1)], entropy)
}

/// Until when a message with the tag `message_type` is sent that was accepted at `enqueued_at`:
/// `lifetime` after it if the tenant has a setting, but never longer than [`EXPIRY_MAX`].
#[must_use]
pub fn expires_at(
    message_type: &str,
    enqueued_at: Timestamp,
    lifetime: Option<Duration>,
) -> Timestamp {
    let usual = match message_type {
        "RequestConfirmation" | "ResponseConfirmation" => {
            lifetime.unwrap_or(EXPIRY).min(EXPIRY_CONFIRMATION)
        }
        _ => lifetime.unwrap_or(EXPIRY),
    };
    enqueued_at + usual.min(EXPIRY_MAX)
}

/// Whether the sender is to be told now that the message is late: once.
#[must_use]
pub fn is_late(now: Timestamp, item: &QueueItem) -> bool {
    !item.told_delayed && now >= item.enqueued_at + DELAYED_AFTER
}

/// Why `item`, which waits, is not to be sent any more: its time is over, or something has been wrong
/// with its destination since `lasting` for so long that it is not waited for. Being unreachable alone
/// is no evidence about a message.
#[must_use]
pub fn given_up(
    now: Timestamp,
    item: &QueueItem,
    lasting: Option<(Lasting, Timestamp)>,
) -> Option<Failure> {
    if let Some((lasting, since)) = lasting
        && now >= since + PATIENCE_WITH_DOMAIN
        && now >= item.enqueued_at + PATIENCE_WITH_DOMAIN
    {
        return Some(lasting.failure(item.destination()));
    }
    (now >= item.expires_at).then(|| Failure {
        reason: Reason::Expired,
        text: match &item.last_trouble {
            Some(trouble) => format!("not delivered in time; last: {}", trouble.text),
            None => "not delivered in time".to_owned(),
        },
    })
}

/// How many of a destination's transfers may be retries: a fifth of the first attempts in the last ten
/// seconds, and one per second in any case.
#[derive(Debug, Clone, Default)]
pub struct RetryBudget {
    seconds: [Second; RETRY_BUDGET_SECONDS as usize],
    /// When the next retry may be due.
    next_slot: Timestamp,
}

/// What began in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: i64,
    first: u32,
    retries: u32,
}

impl RetryBudget {
    /// Counts a first attempt.
    pub fn handle_first(&mut self, now: Timestamp) {
        self.second(now).first += 1;
    }

    /// Counts a retry.
    pub fn handle_retry(&mut self, now: Timestamp) {
        self.second(now).retries += 1;
    }

    /// Whether a retry may go now.
    ///
    /// # Errors
    /// The moment from which on to ask again.
    pub fn check(&self, now: Timestamp) -> Result<(), Timestamp> {
        let retries: u32 = self.counted(now).map(|second| second.retries).sum();
        if retries < self.allowed(now) {
            return Ok(());
        }
        Err(Timestamp::from_secs(now.as_secs() + 1))
    }

    /// When a retry is due that is to wait until `due_at` at least: not sooner after the one before than
    /// the budget allows. Thus no crowd of retries ever stands before first attempts.
    pub fn slot(&mut self, now: Timestamp, due_at: Timestamp) -> Timestamp {
        let spacing = Duration::from_secs(u64::from(RETRY_BUDGET_SECONDS)) / self.allowed(now);
        let slot = due_at.max(self.next_slot.min(due_at + SLOT_DELAY_MAX));
        self.next_slot = slot + spacing;
        slot
    }

    /// Retries that may go in the time over which they are counted.
    fn allowed(&self, now: Timestamp) -> u32 {
        let first: u32 = self.counted(now).map(|second| second.first).sum();
        let floor = RETRY_BUDGET_FLOOR * RETRY_BUDGET_SECONDS;
        (first.saturating_mul(RETRY_BUDGET_PERCENT) / 100).max(floor)
    }

    fn counted(&self, now: Timestamp) -> impl Iterator<Item = &Second> {
        let oldest = now.as_secs() - i64::from(RETRY_BUDGET_SECONDS);
        self.seconds
            .iter()
            .filter(move |second| second.number > oldest)
    }

    fn second(&mut self, now: Timestamp) -> &mut Second {
        let number = now.as_secs();
        let place = number.rem_euclid(i64::from(RETRY_BUDGET_SECONDS));
        let second = &mut self.seconds[usize::try_from(place).unwrap_or(0)];
        if second.number != number {
            *second = Second {
                number,
                ..Second::default()
            };
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing;
    use crate::delivery::{Class, ItemId};
    use crate::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn item() -> QueueItem {
        testing::item(
            ItemId([1; 16]),
            "b.example",
            "a.example",
            Class::Bulk,
            1,
            NOW,
        )
    }

    #[test]
    fn delays_grow_to_half_an_hour_and_vary_by_a_quarter() {
        let mut entropy = SeededEntropy::new(1);
        for (attempts, seconds) in [
            (0, 10),
            (1, 30),
            (2, 120),
            (3, 600),
            (4, 1_800),
            (99, 1_800),
        ] {
            let scheduled = Duration::from_secs(seconds);
            let found = delay(attempts, &mut entropy);
            assert!(found >= scheduled.mul_f64(0.75) && found <= scheduled.mul_f64(1.25));
        }
    }

    #[test]
    fn a_message_expires_by_its_type_and_its_tenant() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (message_type, setting, expected) in [
            ("Message", None, 72),
            ("RequestConfirmation", None, 24),
            ("ResponseConfirmation", Some(hours(100)), 24),
            ("RequestConfirmation", Some(hours(10)), 10),
            ("Message", Some(hours(100)), 100),
            ("Message", Some(hours(1_000)), 120),
        ] {
            assert_eq!(
                expires_at(message_type, NOW, setting),
                NOW + hours(expected),
                "{message_type}"
            );
        }
    }

    #[test]
    fn a_sender_is_told_once_that_a_message_is_late() {
        let later = NOW + DELAYED_AFTER;
        assert!(!is_late(NOW + Duration::from_secs(3_600), &item()));
        assert!(is_late(later, &item()));
        let told = QueueItem {
            told_delayed: true,
            ..item()
        };
        assert!(!is_late(later, &told));
    }

    #[test]
    fn a_message_is_given_up_when_it_expires_or_its_domain_is_gone_for_a_day() {
        let day = PATIENCE_WITH_DOMAIN;
        assert!(given_up(NOW + day, &item(), None).is_none());
        let gone = Some((Lasting::NoDomain, NOW));
        assert!(given_up(NOW + day - Duration::from_secs(1), &item(), gone).is_none());
        let failure = given_up(NOW + day, &item(), gone).unwrap();
        assert_eq!(failure.reason, Reason::NoDomain);
        assert_eq!(failure.text, "for 24 hours: b.example does not exist");
        // A message that was accepted later is waited for again, as is a domain that was lost later.
        let fresh = QueueItem {
            enqueued_at: NOW + Duration::from_secs(60),
            ..item()
        };
        assert!(given_up(NOW + day, &fresh, gone).is_none());
        let lately = Some((Lasting::NoDomain, NOW + Duration::from_secs(60)));
        assert!(given_up(NOW + day, &item(), lately).is_none());
        let failure = given_up(NOW + EXPIRY, &item(), None).unwrap();
        assert_eq!(failure.reason, Reason::Expired);
    }

    #[test]
    fn retries_are_a_fifth_of_first_attempts_and_one_per_second_in_any_case() {
        let mut budget = RetryBudget::default();
        let mut gone = 0;
        for second in 0..60 {
            let now = NOW + Duration::from_secs(second);
            while budget.check(now).is_ok() {
                budget.handle_retry(now);
                gone += 1;
            }
        }
        assert_eq!(gone, 60);
        let now = NOW + Duration::from_secs(120);
        for _ in 0..1_000 {
            budget.handle_first(now);
        }
        gone = 0;
        while budget.check(now).is_ok() {
            budget.handle_retry(now);
            gone += 1;
        }
        assert_eq!(gone, 200);
        assert_eq!(budget.check(now), Err(now + Duration::from_secs(1)));
        assert!(budget.check(now + Duration::from_secs(10)).is_ok());
    }

    #[test]
    fn retries_of_one_moment_are_due_one_after_the_other() {
        let mut budget = RetryBudget::default();
        let wanted = NOW + Duration::from_secs(10);
        let due: Vec<Timestamp> = (0..5).map(|_| budget.slot(NOW, wanted)).collect();
        let expected: Vec<Timestamp> = (0..5).map(|n| wanted + Duration::from_secs(n)).collect();
        assert_eq!(due, expected);
    }
}
