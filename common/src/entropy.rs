//! Chance as an argument. Shells provide the operating system's; tests provide a seed.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of octets that nobody else can predict (or, in a test, everybody can).
pub trait Entropy {
    /// Fills `octets` completely.
    fn fill(&mut self, octets: &mut [u8]);
}

/// Draws `N` octets.
pub fn draw<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut octets = [0; N];
    entropy.fill(&mut octets);
    octets
}

/// The same octets for the same seed: for tests, vectors and the simulation.
#[derive(Debug, Clone)]
pub struct SeededEntropy(ChaCha20Rng);

impl SeededEntropy {
    /// Starts the sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, octets: &mut [u8]) {
        self.0.fill_bytes(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (mut one, mut other) = (SeededEntropy::new(7), SeededEntropy::new(7));
        assert_eq!(draw::<32>(&mut one), draw::<32>(&mut other));
        assert_ne!(draw::<32>(&mut one), draw::<32>(&mut SeededEntropy::new(8)));
    }
}
