//! The dice, and how the cluster file loads them.

/// How often in a million calls each fault happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) conflict: u64,
    pub(crate) too_old: u64,
    pub(crate) future: u64,
    pub(crate) behind: u64,
    pub(crate) unknown: u64,
    pub(crate) late: u64,
    pub(crate) changed: u64,
    pub(crate) latency: u64,
    pub(crate) short: u64,
    pub(crate) watch_lost: u64,
    pub(crate) watch_spurious: u64,
}

/// Chance from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    state: u64,
    pub(crate) faults: Faults,
}

impl Dice {
    /// What the text of a cluster file says; what it does not say does not happen.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        words.next().filter(|&word| word == "stand-in")?;
        let mut dice = Self {
            state: 1,
            faults: Faults::default(),
        };
        for word in words {
            let (name, number) = word.split_once('=')?;
            let number = number.parse().ok()?;
            *dice.place(name)? = number;
        }
        Some(dice)
    }

    fn place(&mut self, name: &str) -> Option<&mut u64> {
        let faults = &mut self.faults;
        Some(match name {
            "seed" => &mut self.state,
            "conflict" => &mut faults.conflict,
            "too-old" => &mut faults.too_old,
            "future" => &mut faults.future,
            "behind" => &mut faults.behind,
            "unknown" => &mut faults.unknown,
            "late" => &mut faults.late,
            "changed" => &mut faults.changed,
            "latency" => &mut faults.latency,
            "short" => &mut faults.short,
            "watch-lost" => &mut faults.watch_lost,
            "watch-spurious" => &mut faults.watch_spurious,
            _ => return None,
        })
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Whether something happens that happens so often in a million times.
    pub(crate) fn happens(&mut self, in_a_million: u64) -> bool {
        in_a_million > 0 && self.below(1_000_000) < in_a_million
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_file_says_which_faults_there_are() {
        let dice = Dice::parse("stand-in seed=7 unknown=100000 watch-lost=5\n").expect("it reads");
        assert_eq!((dice.state, dice.faults.unknown), (7, 100_000));
        assert_eq!(dice.faults.watch_lost, 5);
        assert!(Dice::parse("description:id@127.0.0.1:4500").is_none());
        assert!(Dice::parse("stand-in unknwon=1").is_none());
    }

    #[test]
    fn what_never_happens_does_not() {
        let mut dice = Dice::parse("stand-in").expect("it reads");
        assert!((0..1_000).all(|_| !dice.happens(0) && dice.happens(1_000_000)));
    }
}
