//! Times that are not the same for everybody: a quarter more or less, so that what failed together
//! is not tried again together.

use std::time::Duration;

use crate::entropy::{Entropy, draw};

/// `time`, a quarter more or less.
pub(super) fn vary(time: Duration, entropy: &mut dyn Entropy) -> Duration {
    let drawn = u32::from_be_bytes(draw::<4>(entropy));
    let factor = 0.75 + 0.5 * f64::from(drawn) / f64::from(u32::MAX);
    time.mul_f64(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_time_varies_by_a_quarter_and_no_more() {
        let mut entropy = SeededEntropy::new(1);
        let times: Vec<Duration> = (0..1_000)
            .map(|_| vary(Duration::from_secs(100), &mut entropy))
            .collect();
        assert!(
            times
                .iter()
                .all(|time| (75..=125).contains(&time.as_secs()))
        );
        assert!(times.iter().any(|time| time.as_secs() < 80));
        assert!(times.iter().any(|time| time.as_secs() > 120));
    }
}
