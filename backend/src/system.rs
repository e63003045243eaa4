//! The time and the chance of this machine, for shells: the only place of the service that asks for
//! either (architecture A-6).

use std::time::{SystemTime, UNIX_EPOCH};

use mesh_common::entropy::Entropy;
use mesh_common::time::{Clock, Timestamp};

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else takes as an argument"
    )]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's source of chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the source that everything else takes as an argument"
    )]
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).expect("an operating system that runs us has a source of chance");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_in_this_century_and_chance_does_not_repeat() {
        assert!(SystemClock.now() > Timestamp::from_secs(1_500_000_000));
        let one: [u8; 32] = mesh_common::entropy::draw(&mut SystemEntropy);
        assert_ne!(one, mesh_common::entropy::draw(&mut SystemEntropy));
    }
}
