//! The troubles that the server has on request.

use std::str::FromStr;
use std::time::Duration;

use crate::store::Faults;

/// What is wrong with the server. [`Orders::default`]: nothing.
///
/// As text, in words that are separated by blanks: `slow=200 late=6000` (milliseconds), `silent`,
/// `read-only`, `full`, and the faults of the memory engine in thousandths: `seed=7 conflict=20 too-old=20
/// applied=20 lost=20 stray=20 stray-commits=3 short=20 watch-lost=20 watch-spurious=20`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders {
    /// Everything is done so much later.
    pub slow: Duration,
    /// Commits are done, and answered so much later.
    pub late: Duration,
    /// Nothing is answered, and nothing done; what was asked meanwhile is done when this ends.
    pub silent: bool,
    /// Commits are refused as [`crate::store::CommitError::ReadOnly`].
    pub read_only: bool,
    /// Commits are refused as [`crate::store::CommitError::Full`].
    pub full: bool,
    /// What the memory engine does wrong.
    pub faults: Faults,
}

/// Text that is no order.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("there is no order {word:?}")]
pub struct OrdersError {
    word: String,
}

impl FromStr for Orders {
    type Err = OrdersError;

    fn from_str(text: &str) -> Result<Self, OrdersError> {
        let mut orders = Self::default();
        for word in text.split_whitespace() {
            orders.take(word).ok_or_else(|| OrdersError {
                word: word.to_owned(),
            })?;
        }
        Ok(orders)
    }
}

impl Orders {
    fn take(&mut self, word: &str) -> Option<()> {
        let faults = &mut self.faults;
        match word {
            "silent" => self.silent = true,
            "read-only" => self.read_only = true,
            "full" => self.full = true,
            _ => {
                let (name, value) = word.split_once('=')?;
                let millis = || value.parse().ok().map(Duration::from_millis);
                match name {
                    "slow" => self.slow = millis()?,
                    "late" => self.late = millis()?,
                    "seed" => faults.seed = value.parse().ok()?,
                    "stray-commits" => faults.land_after_max = value.parse().ok()?,
                    _ => {
                        let thousandths = match name {
                            "conflict" => &mut faults.conflict,
                            "too-old" => &mut faults.too_old,
                            "applied" => &mut faults.unknown_applied,
                            "lost" => &mut faults.unknown_lost,
                            "stray" => &mut faults.may_still_land,
                            "short" => &mut faults.short_page,
                            "watch-lost" => &mut faults.watch_lost,
                            "watch-spurious" => &mut faults.watch_spurious,
                            _ => return None,
                        };
                        *thousandths = value.parse().ok()?;
                    }
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_words() {
        let orders: Orders =
            "slow=200 silent full read-only late=7 seed=3 applied=20 stray-commits=4"
                .parse()
                .unwrap();
        assert_eq!(orders.slow, Duration::from_millis(200));
        assert_eq!(orders.late, Duration::from_millis(7));
        assert!(orders.silent && orders.full && orders.read_only);
        assert_eq!((orders.faults.seed, orders.faults.unknown_applied), (3, 20));
        assert_eq!(orders.faults.land_after_max, 4);
        for word in ["loud", "slow", "slow=soon", "late=-1", "lost=70000"] {
            let refused = word.parse::<Orders>().unwrap_err();
            assert_eq!(refused.to_string(), format!("there is no order {word:?}"));
        }
    }
}
