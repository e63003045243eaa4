//! Where everything is: which node owns which partition or shard, and where the nodes answer
//! (cluster §4.6). Back-ends read it from the store and push it to front-ends; it is a hint, never a
//! proof: whoever is asked knows best whether it is the owner.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fence::Fence;
use super::node::{NodeId, Roles};
use super::owners::Owners;
use super::unit::Unit;

/// The owner of one unit, as of one claim. Of two that differ the higher fence is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The owner.
    pub node: NodeId,
    /// Its claim.
    pub fence: Fence,
}

/// A live node, as others reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedNode {
    /// `host:port` of its internal link.
    pub address: String,
    /// Where it stands.
    pub zone: String,
    /// What it is there for.
    pub roles: Roles,
    /// Whether it is about to leave.
    pub draining: bool,
}

/// All that is known of nodes and owners at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutingTable {
    /// The nodes that are alive, as whoever made the table sees it.
    pub nodes: BTreeMap<NodeId, RoutedNode>,
    /// The owner of each unit that has one at work.
    pub owners: Owners,
}

impl RoutingTable {
    /// The owner of `unit`, and where it answers, if both are known.
    #[must_use]
    pub fn owner(&self, unit: Unit) -> Option<(NodeId, &RoutedNode)> {
        let route = self.owners.get(&unit)?;
        Some((route.node, self.nodes.get(&route.node)?))
    }

    /// The units whose owner is another one in `now` than in `before`, with both, in their order. Tables are large
    /// and change little: this reads what one has and does not share with the other.
    pub fn differences<'a>(
        before: &'a Self,
        now: &'a Self,
    ) -> impl Iterator<Item = (Unit, Option<Route>, Option<Route>)> + 'a {
        let mut old = before.owners.apart_from(&now.owners).peekable();
        let mut new = now.owners.apart_from(&before.owners).peekable();
        std::iter::from_fn(move || {
            loop {
                let order = match (old.peek(), new.peek()) {
                    (Some((was, _)), Some((is, _))) => was.cmp(is),
                    (Some(_), None) => Ordering::Less,
                    (None, _) => Ordering::Greater,
                };
                match order {
                    Ordering::Less => {
                        let (unit, was) = old.next()?;
                        return Some((*unit, Some(*was), None));
                    }
                    Ordering::Greater => {
                        let (unit, is) = new.next()?;
                        return Some((*unit, None, Some(*is)));
                    }
                    Ordering::Equal => {
                        let ((unit, was), (_, is)) = (old.next()?, new.next()?);
                        if was != is {
                            return Some((*unit, Some(*was), Some(*is)));
                        }
                    }
                }
            }
        })
    }

    /// Takes `route` for `unit`, unless a newer claim is known.
    pub fn learn(&mut self, unit: Unit, route: Route) {
        let known = self.owners.get(&unit);
        if known.is_none_or(|known| known.fence < route.fence) {
            self.owners.insert(unit, route);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::partition::PartitionId;

    fn table(owners: &[(u16, u64)]) -> RoutingTable {
        let owners = owners.iter().map(|(number, epoch)| {
            let fence = Fence {
                generation: 1,
                epoch: *epoch,
            };
            let node = NodeId([1; 16]);
            (PartitionId(*number).into(), Route { node, fence })
        });
        RoutingTable {
            owners: owners.collect(),
            ..RoutingTable::default()
        }
    }

    #[test]
    fn two_tables_differ_in_what_came_what_went_and_what_is_another_ones() {
        let before = table(&[(1, 1), (3, 1), (4, 1), (9, 1)]);
        let now = table(&[(0, 1), (1, 1), (3, 2), (9, 1), (10, 1)]);
        let epoch = |route: Option<Route>| route.map(|route| route.fence.epoch);
        let found: Vec<_> = RoutingTable::differences(&before, &now)
            .map(|(unit, was, is)| (unit, epoch(was), epoch(is)))
            .collect();
        let unit = |number| Unit::Partition(PartitionId(number));
        let expected = [
            (unit(0), None, Some(1)),
            (unit(3), Some(1), Some(2)),
            (unit(4), Some(1), None),
            (unit(10), None, Some(1)),
        ];
        assert_eq!(found, expected);
        assert_eq!(RoutingTable::differences(&now, &now).count(), 0);
    }
    /// Owners of some partitions, of several pieces, by number and epoch.
    fn some() -> impl Strategy<Value = BTreeMap<u16, u64>> {
        prop::collection::btree_map(0..200_u16, 1..4_u64, 0..40)
    }

    proptest! {
        #[test]
        fn tables_differ_alike_whether_they_share_anything_or_not(before in some(), now in some()) {
            let made = |owners: &BTreeMap<u16, u64>| -> RoutingTable {
                table(&owners.iter().map(|(number, epoch)| (*number, *epoch)).collect::<Vec<_>>())
            };
            let (old, apart) = (made(&before), made(&now));
            let mut shared = old.clone();
            for number in before.keys().filter(|one| !now.contains_key(one)) {
                shared.owners.remove(&PartitionId(*number).into());
            }
            let others = apart.owners.iter().filter(|(unit, is)| old.owners.get(unit) != Some(is));
            others.for_each(|(unit, is)| shared.owners.insert(*unit, *is));
            prop_assert_eq!(&shared, &apart);
            let found: Vec<_> = RoutingTable::differences(&old, &shared).collect();
            prop_assert_eq!(&found, &RoutingTable::differences(&old, &apart).collect::<Vec<_>>());
            for number in before.keys().chain(now.keys()) {
                let unit: Unit = PartitionId(*number).into();
                let (was, is) = (old.owners.get(&unit), apart.owners.get(&unit));
                let expected = (was != is).then_some((unit, was.copied(), is.copied()));
                prop_assert_eq!(found.iter().find(|(one, _, _)| *one == unit).copied(), expected);
            }
        }
    }
}
