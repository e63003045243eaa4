//! How a node stands to each unit: claims it, works for it, lets go of it, or does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::fence::Fence;
use crate::cluster::unit::Unit;

/// How a node stands to one unit. What is in no state is not ours, as far as the latest look tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// A claim is on its way.
    Claiming,
    /// A claim was refused or ended unknown, or a commit was fenced: only a look that begins after
    /// this tells whose it is.
    Unclear { since: Duration },
    /// Ours, at work.
    Held(Fence),
    /// Ours, being let go of.
    Releasing(Fence),
    /// Ours, and letting go failed: it is tried again after a look that begins after this.
    Stuck { fence: Fence, since: Duration },
    /// Ours, and letting go is to be tried again.
    Overdue(Fence),
}

impl Hold {
    const fn fence(self) -> Option<Fence> {
        match self {
            Self::Claiming | Self::Unclear { .. } => None,
            Self::Held(fence)
            | Self::Releasing(fence)
            | Self::Stuck { fence, .. }
            | Self::Overdue(fence) => Some(fence),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Holds(BTreeMap<Unit, Hold>);

impl Holds {
    pub(super) fn of(&self, unit: Unit) -> Option<Hold> {
        self.0.get(&unit).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, unit: Unit, hold: Hold) {
        self.0.insert(unit, hold);
    }

    pub(super) fn remove(&mut self, unit: Unit) {
        self.0.remove(&unit);
    }

    /// The claim by which `unit` is ours, at work or not.
    pub(super) fn fence(&self, unit: Unit) -> Option<Fence> {
        self.of(unit)?.fence()
    }

    /// Everything that is ours, at work or not.
    pub(super) fn fences(&self) -> impl Iterator<Item = (Unit, Fence)> {
        let all = self.0.iter();
        all.filter_map(|(unit, hold)| Some((*unit, hold.fence()?)))
    }

    /// Everything that is worked for.
    pub(super) fn held(&self) -> impl Iterator<Item = (Unit, Fence)> {
        self.0.iter().filter_map(|(unit, hold)| match hold {
            Hold::Held(fence) => Some((*unit, *fence)),
            _ => None,
        })
    }

    /// A look that began at `begun` has shown how things are.
    pub(super) fn looked(&mut self, begun: Duration) {
        self.0
            .retain(|_, hold| !matches!(hold, Hold::Unclear { since } if *since <= begun));
        for hold in self.0.values_mut() {
            if let Hold::Stuck { fence, since } = *hold
                && since <= begun
            {
                *hold = Hold::Overdue(fence);
            }
        }
    }
}
