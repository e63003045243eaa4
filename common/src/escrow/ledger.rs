//! The record of one limit: to whom how much of it is granted (cluster §9).

use std::collections::BTreeMap;

use super::HolderId;
use crate::limits::ESCROW_PARTS;

/// Bounds of what is granted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// At least this, while there is as much.
    pub min: u64,
    /// At most this, unless more is needed at once.
    pub max: u64,
}

impl Chunks {
    /// How much to grant where `remaining` is left and `need` is asked for; `need` is at most `remaining`.
    pub(super) fn of(self, remaining: u64, need: u64) -> u64 {
        let chunk = (remaining / ESCROW_PARTS).clamp(self.min, self.max);
        chunk.max(need).min(remaining)
    }
}

/// As much as is needed is not left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{remaining} is left of the limit, {needed} is needed")]
pub struct Short {
    /// What is asked for beyond what is granted already.
    pub needed: u64,
    /// What is granted to nobody.
    pub remaining: u64,
}

/// To whom how much is granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    grants: BTreeMap<HolderId, u64>,
}

impl Ledger {
    /// What is granted to all together.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.grants
            .values()
            .fold(0, |sum, one| sum.saturating_add(*one))
    }

    /// What is granted to `holder`.
    #[must_use]
    pub fn of(&self, holder: HolderId) -> u64 {
        self.grants.get(&holder).copied().unwrap_or(0)
    }

    /// All grants, none of them nothing.
    pub fn grants(&self) -> impl Iterator<Item = (HolderId, u64)> + '_ {
        self.grants.iter().map(|(holder, grant)| (*holder, *grant))
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Grants `holder` at least `total` in all, of a limit of `cap`. Says what is granted to it then, which is
    /// more where there is enough.
    ///
    /// # Errors
    /// There is not as much: nothing has changed.
    pub fn cover(
        &mut self,
        holder: HolderId,
        total: u64,
        cap: u64,
        chunks: Chunks,
    ) -> Result<u64, Short> {
        let (has, remaining) = (self.of(holder), cap.saturating_sub(self.granted()));
        let needed = total.saturating_sub(has);
        if needed == 0 {
            return Ok(has);
        }
        if needed > remaining {
            return Err(Short { needed, remaining });
        }
        let now = has + chunks.of(remaining, needed);
        self.set(holder, now);
        Ok(now)
    }

    /// Leaves `holder` at most `kept`: what it gives back itself; or what is charged to it, counted after it
    /// was closed.
    pub fn keep(&mut self, holder: HolderId, kept: u64) {
        self.set(holder, self.of(holder).min(kept));
    }

    /// Grants `holder` exactly this, whatever the limit is: what is there, and was never granted.
    pub fn set(&mut self, holder: HolderId, grant: u64) {
        if grant == 0 {
            self.grants.remove(&holder);
        } else {
            self.grants.insert(holder, grant);
        }
    }
}
