//! Who owns each unit, in pieces that copies share: a copy costs as much as there are pieces, a change as much as one
//! piece, and what two copies share differs in nothing. So what a node knows can be told to everybody after each change
//! (cluster §4.6).

use std::collections::{BTreeMap, btree_map};
use std::iter::FlatMap;
use std::ops::Index;
use std::sync::Arc;

use super::partition::PartitionId;
use super::routes::Route;
use super::unit::Unit;
use crate::delivery::ShardId;

/// Units of one piece. Of 1,280 units there are 20 pieces.
const UNITS_PER_PIECE: u16 = 64;

type Piece = BTreeMap<Unit, Route>;

/// The owner of each unit that has one at work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owners {
    /// By the first unit that belongs to each; none is empty.
    pieces: BTreeMap<Unit, Arc<Piece>>,
}

/// The first unit of the piece of `unit`.
const fn first(unit: Unit) -> Unit {
    match unit {
        Unit::Partition(PartitionId(number)) => {
            Unit::Partition(PartitionId(number - number % UNITS_PER_PIECE))
        }
        Unit::Shard(ShardId(number)) => Unit::Shard(ShardId(number - number % UNITS_PER_PIECE)),
    }
}

impl Owners {
    /// The owner of `unit`.
    #[must_use]
    pub fn get(&self, unit: &Unit) -> Option<&Route> {
        self.pieces.get(&first(*unit))?.get(unit)
    }

    /// Whether `unit` has an owner at work.
    #[must_use]
    pub fn contains_key(&self, unit: &Unit) -> bool {
        self.get(unit).is_some()
    }

    /// `unit` is owned so.
    pub fn insert(&mut self, unit: Unit, route: Route) {
        let piece = self.pieces.entry(first(unit)).or_default();
        Arc::make_mut(piece).insert(unit, route);
    }

    /// Nobody is at work for `unit`.
    pub fn remove(&mut self, unit: &Unit) {
        let btree_map::Entry::Occupied(mut piece) = self.pieces.entry(first(*unit)) else {
            return;
        };
        if piece.get().contains_key(unit) {
            Arc::make_mut(piece.get_mut()).remove(unit);
            if piece.get().is_empty() {
                piece.remove();
            }
        }
    }

    /// All of them, in the order of units.
    pub fn iter(&self) -> <&Self as IntoIterator>::IntoIter {
        self.into_iter()
    }

    /// The units that have one.
    pub fn keys(&self) -> impl Iterator<Item = &Unit> {
        self.iter().map(|(unit, _)| unit)
    }

    /// Those of pieces that are not shared with `other`, in the order of units: what both have is among them where
    /// something beside it differs.
    pub fn apart_from<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Unit, &'a Route)> {
        self.not_shared(other).flat_map(|piece| piece.iter())
    }

    /// The pieces that are not those of `other`.
    fn not_shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Arc<Piece>> {
        let pieces = self.pieces.iter();
        let others = pieces.filter(|(first, piece)| {
            let same = other.pieces.get(first);
            same.is_none_or(|same| !Arc::ptr_eq(same, piece))
        });
        others.map(|(_, piece)| piece)
    }

    /// For tests: how many entries were copied or made for this one since `before`.
    #[cfg(test)]
    pub(super) fn copied_since(&self, before: &Self) -> usize {
        self.not_shared(before).map(|piece| piece.len()).sum()
    }
}

/// All entries of [`Owners`], in the order of units.
pub type Entries<'a> = FlatMap<
    btree_map::Values<'a, Unit, Arc<BTreeMap<Unit, Route>>>,
    btree_map::Iter<'a, Unit, Route>,
    fn(&'a Arc<BTreeMap<Unit, Route>>) -> btree_map::Iter<'a, Unit, Route>,
>;

fn entries(piece: &Arc<Piece>) -> btree_map::Iter<'_, Unit, Route> {
    piece.iter()
}

impl<'a> IntoIterator for &'a Owners {
    type Item = (&'a Unit, &'a Route);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.pieces.values().flat_map(entries)
    }
}

impl FromIterator<(Unit, Route)> for Owners {
    fn from_iter<I: IntoIterator<Item = (Unit, Route)>>(owners: I) -> Self {
        let mut made = Self::default();
        for (unit, route) in owners {
            made.insert(unit, route);
        }
        made
    }
}

impl Index<&Unit> for Owners {
    type Output = Route;

    fn index(&self, unit: &Unit) -> &Route {
        self.get(unit).expect("the unit has an owner")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Fence, NodeId};

    fn route(epoch: u64) -> Route {
        Route {
            node: NodeId([1; 16]),
            fence: Fence {
                generation: 1,
                epoch,
            },
        }
    }

    fn all() -> Owners {
        Unit::all().map(|unit| (unit, route(1))).collect()
    }

    #[test]
    fn entries_come_in_the_order_of_units() {
        let owners = all();
        assert!(owners.keys().copied().eq(Unit::all()));
        let backwards: Vec<_> = owners.iter().map(|(unit, route)| (*unit, *route)).collect();
        assert_eq!(backwards.into_iter().rev().collect::<Owners>(), owners);
    }

    #[test]
    fn a_change_copies_one_piece_of_what_is_shared() {
        let (before, mut now) = (all(), all());
        assert_eq!(now.copied_since(&before), 1_280, "made apart");
        now = before.clone();
        assert_eq!(now.copied_since(&before), 0);
        let unit = Unit::Shard(ShardId(200));
        now.insert(unit, route(2));
        assert_eq!(now.copied_since(&before), 64);
        let another = now.clone();
        now.remove(&unit);
        assert_eq!(now.copied_since(&another), 63);
        now.remove(&unit);
        assert_eq!(now.copied_since(&another), 63);
    }

    #[test]
    fn what_has_nothing_in_it_is_as_if_it_never_had() {
        let mut owners = Owners::default();
        let unit = Unit::Partition(PartitionId(70));
        owners.insert(unit, route(1));
        assert_eq!(owners[&unit], route(1));
        owners.remove(&unit);
        assert_eq!(owners, Owners::default());
    }
}
