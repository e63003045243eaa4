//! The faults of the memory engine: each by name, all by seed (cluster §20.3).

use std::collections::VecDeque;

/// How often the engine misbehaves, in thousandths of the commits, reads or watches concerned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Decides everything below; the same seed and the same calls give the same faults.
    pub seed: u64,
    /// Commits refused as conflicting though they do not.
    pub conflict: u16,
    /// Commits refused as too old.
    pub too_old: u16,
    /// Commits refused because there is no room.
    pub full: u16,
    /// Commits applied, but answered with [`CommitError::Unknown`](crate::store::CommitError::Unknown).
    pub unknown_applied: u16,
    /// Commits not applied and answered with [`CommitError::Unknown`](crate::store::CommitError::Unknown).
    pub unknown_lost: u16,
    /// Commits answered with [`CommitError::MayStillLand`](crate::store::CommitError::MayStillLand), which then do land, if nothing they
    /// depend on is written before, after up to [`Faults::land_after_max`] later commits, or never.
    pub may_still_land: u16,
    /// See [`Faults::may_still_land`].
    pub land_after_max: u32,
    /// Range reads that stop after one to three rows.
    pub short_page: u16,
    /// Watches that never resolve.
    pub watch_lost: u16,
    /// Watches that resolve at once.
    pub watch_spurious: u16,
}

/// One fault of one commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Not applied, [`CommitError::Conflict`](crate::store::CommitError::Conflict).
    Conflict,
    /// Not applied, [`CommitError::TooOld`](crate::store::CommitError::TooOld).
    TooOld,
    /// Not applied, [`CommitError::ReadOnly`](crate::store::CommitError::ReadOnly).
    ReadOnly,
    /// Not applied, [`CommitError::Full`](crate::store::CommitError::Full).
    Full,
    /// Applied, [`CommitError::Unknown`](crate::store::CommitError::Unknown).
    UnknownApplied,
    /// Not applied, [`CommitError::Unknown`](crate::store::CommitError::Unknown).
    UnknownLost,
    /// [`CommitError::MayStillLand`](crate::store::CommitError::MayStillLand); lands once this many later commits were applied.
    LandsAfter(u32),
    /// [`CommitError::MayStillLand`](crate::store::CommitError::MayStillLand); never lands.
    NeverLands,
}

/// Decides which commit, read or watch meets which fault.
#[derive(Debug, Default)]
pub(super) struct Dice {
    pub(super) faults: Faults,
    pub(super) injected: VecDeque<Fault>,
    pub(super) met: u64,
    rolls: u64,
}

impl Dice {
    /// Begins the sequence of these faults.
    pub(super) fn load(&mut self, faults: Faults) {
        self.faults = faults;
        self.rolls = 0;
    }

    /// The fault of the next commit.
    pub(super) fn next_fault(&mut self) -> Option<Fault> {
        if let Some(fault) = self.injected.pop_front() {
            return Some(fault);
        }
        let faults = self.faults;
        if self.rolls_below(faults.conflict) {
            return Some(Fault::Conflict);
        }
        if self.rolls_below(faults.too_old) {
            return Some(Fault::TooOld);
        }
        if self.rolls_below(faults.full) {
            return Some(Fault::Full);
        }
        if self.rolls_below(faults.unknown_applied) {
            return Some(Fault::UnknownApplied);
        }
        if self.rolls_below(faults.unknown_lost) {
            return Some(Fault::UnknownLost);
        }
        if self.rolls_below(faults.may_still_land) {
            let roll = self.roll();
            return Some(match roll % 4 {
                0 => Fault::NeverLands,
                _ => Fault::LandsAfter(
                    u32::try_from((roll >> 8) % (u64::from(faults.land_after_max) + 1))
                        .unwrap_or_default(),
                ),
            });
        }
        None
    }

    /// True in so many of a thousand cases.
    pub(super) fn rolls_below(&mut self, thousandths: u16) -> bool {
        thousandths > 0 && self.roll() % 1_000 < u64::from(thousandths)
    }

    /// The next number of the sequence that the seed begins (splitmix64).
    pub(super) fn roll(&mut self) -> u64 {
        self.rolls += 1;
        let mut mixed = self
            .faults
            .seed
            .wrapping_add(self.rolls.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
