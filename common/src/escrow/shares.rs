//! A limit that is divided among partitions: what each of them uses, and what it was granted (cluster §9).
//!
//! Each share is an absolute value, kept where the partition's own rows are. Who has a share may use as much of the
//! limit as was granted to it, and asks nobody. Who needs more asks for it with [`take`], in one transaction with all other
//! shares: of what nobody holds first, then of what others were granted and do not use, which is taken back from them
//! in the same transaction. So nothing is stranded, whoever died, and the last of a limit can be used.
//!
//! What the shares hold is never more than the limit, unless more is used than that: because the limit was lowered, or
//! because of what nobody may refuse. Then nothing is granted to anybody, so that whoever grows asks, and nothing is taken
//! from anybody that he uses.

use std::collections::BTreeMap;

use super::{Chunks, Short};

/// What one partition has of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// What it uses.
    pub used: u64,
    /// Up to which it may go.
    pub granted: u64,
}

impl Share {
    /// What the others cannot have.
    #[must_use]
    pub fn held(self) -> u64 {
        self.used.max(self.granted)
    }

    /// What it was granted and does not use.
    #[must_use]
    pub const fn slack(self) -> u64 {
        self.granted.saturating_sub(self.used)
    }
}

/// What somebody wants to use of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// What it uses already, be it above the limit.
    pub before: u64,
    /// All that it will use, with what it uses already.
    pub used: u64,
    /// How much of that nobody may refuse, be it above the limit.
    pub forced: u64,
}

/// What somebody was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken<K> {
    /// Up to which it may go now: what it uses, at least; nothing where more is used than the limit.
    pub granted: u64,
    /// From whom something was taken back, and what he is granted still.
    pub recalled: BTreeMap<K, u64>,
}

/// Grants what is wanted of a limit of `cap`, of which the others have these shares.
///
/// # Errors
/// There is not as much, even if the others keep no more than they use: nothing changes.
pub fn take<K: Copy + Ord>(
    want: Want,
    others: &BTreeMap<K, Share>,
    cap: u64,
    chunks: Chunks,
) -> Result<Taken<K>, Short> {
    let total = |of: fn(Share) -> u64| {
        let shares = others.values().copied();
        shares.fold(0_u64, |sum, share| sum.saturating_add(of(share)))
    };
    let used = total(|share| share.used);
    let left = cap.saturating_sub(used);
    let needed = want.used.saturating_sub(want.forced);
    // What is used already is not asked for, though it may be more than there is.
    if needed > left.max(want.before) {
        let remaining = left;
        return Err(Short { needed, remaining });
    }
    if used.saturating_add(want.used) > cap {
        let granted = others.iter().filter(|(_, share)| share.granted > 0);
        return Ok(Taken {
            granted: 0,
            recalled: granted.map(|(one, _)| (*one, 0)).collect(),
        });
    }
    let mut held = total(Share::held);
    let mut idle: Vec<(u64, K)> = others
        .iter()
        .map(|(one, share)| (share.slack(), *one))
        .filter(|(slack, _)| *slack > 0)
        .collect();
    idle.sort_unstable();
    let mut recalled = BTreeMap::new();
    // From those first who have most of what they do not use: so that few are asked again.
    while held.saturating_add(want.used) > cap
        && let Some((slack, one)) = idle.pop()
    {
        held = held.saturating_sub(slack);
        recalled.extend(others.get(&one).map(|share| (one, share.used)));
    }
    let rest = cap.saturating_sub(held).saturating_sub(want.used);
    let granted = want.used.saturating_add(chunks.of(rest, 0));
    Ok(Taken { granted, recalled })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy as _, SeededEntropy};

    const CHUNKS: Chunks = Chunks { min: 8, max: 64 };

    const fn wants(used: u64) -> Want {
        Want {
            before: 0,
            used,
            forced: 0,
        }
    }

    const fn share(used: u64, granted: u64) -> Share {
        Share { used, granted }
    }

    #[test]
    fn of_what_nobody_holds_a_part_is_granted_beyond_what_is_needed() {
        let nobody = BTreeMap::<u8, Share>::new();
        let granted = |want, cap| take(wants(want), &nobody, cap, CHUNKS).unwrap().granted;
        assert_eq!(granted(10, 650), 20, "one part in 64 of 640");
        assert_eq!(granted(10, 20), 18, "no less than the least");
        assert_eq!(granted(10, 15), 15, "no more than there is");
        assert_eq!(granted(10, 1_000_000), 74, "no more than the most");
    }

    #[test]
    fn what_others_do_not_use_is_taken_back_from_those_who_have_most_of_it() {
        let others = BTreeMap::from([(1, share(5, 10)), (2, share(0, 50)), (3, share(30, 30))]);
        let taken = take(wants(12), &others, 100, CHUNKS).unwrap();
        assert_eq!((taken.granted, taken.recalled), (20, [(2, 0)].into()));
        let taken = take(wants(65), &others, 100, CHUNKS).unwrap();
        assert_eq!(
            (taken.granted, taken.recalled),
            (65, [(1, 5), (2, 0)].into())
        );
        let short = take(wants(66), &others, 100, CHUNKS).unwrap_err();
        assert_eq!((short.needed, short.remaining), (66, 65));
    }

    #[test]
    fn a_limit_below_what_is_used_takes_nothing_from_anybody_that_he_uses() {
        let others = BTreeMap::from([(1, share(80, 90)), (2, share(40, 0))]);
        assert!(take(wants(1), &others, 100, CHUNKS).is_err());
        let forced = |before, forced| Want {
            before,
            used: before + 7,
            forced,
        };
        for before in [0, 200] {
            let taken = take(forced(before, 7), &others, 100, CHUNKS).unwrap();
            assert_eq!((taken.granted, taken.recalled), (0, [(1, 0)].into()));
            assert!(take(forced(before, 6), &others, 100, CHUNKS).is_err());
        }
    }

    struct Story {
        entropy: SeededEntropy,
        cap: u64,
        shares: BTreeMap<u8, Share>,
    }

    impl Story {
        fn below(&mut self, end: u64) -> u64 {
            let mut octets = [0; 8];
            self.entropy.fill(&mut octets);
            u64::from_be_bytes(octets) % end
        }

        fn used(&self) -> u64 {
            self.shares.values().map(|share| share.used).sum()
        }

        /// One wants to use `more`, which nobody may refuse if `is_forced`: says whether it may.
        fn grow(&mut self, one: u8, more: u64, is_forced: bool) -> bool {
            let mut others = self.shares.clone();
            let own = others.remove(&one).unwrap_or_default();
            let (before, used) = (own.used, own.used + more);
            let above = (self.used() + more).saturating_sub(self.cap).min(more);
            let fits = above == 0 || is_forced;
            if used <= own.granted {
                assert_eq!(above, 0, "what is granted is there");
                self.shares.insert(one, Share { used, ..own });
                return true;
            }
            let forced = if is_forced { above } else { 0 };
            let want = Want {
                before,
                used,
                forced,
            };
            let taken = take(want, &others, self.cap, CHUNKS);
            assert_eq!(taken.is_ok(), fits, "what there is can be had");
            let Ok(taken) = taken else { return false };
            let granted = taken.granted;
            self.shares.insert(one, Share { used, granted });
            for (other, granted) in taken.recalled {
                let share = self.shares.get_mut(&other).unwrap();
                assert!(granted < share.granted, "nobody is asked for nothing");
                share.granted = granted;
            }
            true
        }
    }

    #[test]
    fn whatever_partitions_do_the_limit_holds_and_all_of_it_can_be_used() {
        for seed in 0..400 {
            let mut story = Story {
                entropy: SeededEntropy::new(seed),
                cap: 0,
                shares: BTreeMap::new(),
            };
            story.cap = 1 + story.below(2_000);
            let mut refused = 0;
            for _ in 0..600 {
                let one = u8::try_from(story.below(9)).unwrap();
                if story.below(3) == 0 {
                    let less = story.below(300);
                    if let Some(share) = story.shares.get_mut(&one) {
                        share.used = share.used.saturating_sub(less);
                    }
                } else {
                    let more = 1 + story.below(200);
                    let is_forced = seed % 2 == 0 && story.below(20) == 0;
                    refused += u32::from(!story.grow(one, more, is_forced));
                }
                let held: u64 = story.shares.values().map(|share| share.held()).sum();
                let is_granted = story.shares.values().any(|share| share.granted > 0);
                assert!(held <= story.cap || !is_granted, "seed {seed}: {held}");
            }
            assert!(refused > 0, "seed {seed}");
            let left = story.cap.saturating_sub(story.used());
            assert!(left == 0 || story.grow(7, left, false), "seed {seed}: all");
            assert!(!story.grow(8, 1, false), "seed {seed}: and no more");
            assert!(story.grow(8, 1, true), "seed {seed}: but that");
        }
    }
}
