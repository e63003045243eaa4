//! The clock and the chance of the machine this runs on: what a device's shell hands to everything
//! below it (architecture A-6). Tests and the demonstration put others in their place.

use mesh_common::entropy::Entropy;
use mesh_common::time::{Clock, Timestamp};

/// The wall clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell's clock, the only place a device asks for the time"
    )]
    fn now(&self) -> Timestamp {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since_1970.map_or(0, |elapsed| elapsed.as_millis());
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

/// The random source of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell's entropy, the only place a device asks for chance"
    )]
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).expect("an operating system without a random source cannot run us");
    }
}
