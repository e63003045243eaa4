//! Whose turn it is between destinations: rings of those that are ready, in four lanes by what is
//! known of them, with bounds on what the lanes hold (delivery §13, isolation and fairness).
//!
//! Everything here takes constant time, however many destinations are ready.

use std::collections::VecDeque;

use crate::limits::{
    INTERACTIVE_WEIGHT, SLOW_LANE_PERCENT, UNHURRIED_LANE_PERCENT, UNPROVEN_LANE_PERCENT,
};

/// What is known of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// It answers, and fast.
    Proven,
    /// It answers, and takes its time: what it is sent stays in flight for so long that many of its kind
    /// would hold all of the node.
    Unhurried,
    /// It has not answered yet. It gets one transfer at a time until it does, and with the slow lane never
    /// all of the node: there may be many that nobody has heard of.
    Unproven,
    /// It does not answer, or bears one transfer at a time, and that one slowly.
    Slow,
}

/// The turns of the lanes where all of them are ready.
const TURNS: [Lane; 10] = [
    Lane::Proven,
    Lane::Unproven,
    Lane::Proven,
    Lane::Unhurried,
    Lane::Slow,
    Lane::Proven,
    Lane::Proven,
    Lane::Unproven,
    Lane::Proven,
    Lane::Proven,
];

/// A ring: a lane, and whether its destinations have something urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring {
    pub(super) lane: Lane,
    pub(super) urgent: bool,
}

/// A destination in a ring. It counts only while the destination has the same stamp: whoever
/// changes rings leaves an old entry behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) stamp: u64,
}

/// All rings, and the transfers that their destinations have in flight.
#[derive(Debug, Clone, Default)]
pub(super) struct Lanes {
    lanes: [LaneRings; 4],
    turn: usize,
}

#[derive(Debug, Clone, Default)]
struct LaneRings {
    urgent: VecDeque<Entry>,
    bulk: VecDeque<Entry>,
    urgent_in_row: u32,
    in_flight: u32,
}

impl Lanes {
    /// Transfers in flight to destinations of `lane`.
    pub(super) fn in_flight(&self, lane: Lane) -> u32 {
        self.lane(lane).in_flight
    }

    /// Transfers in flight to all of them.
    pub(super) fn in_flight_in_all(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.in_flight).sum()
    }

    /// A transfer began.
    pub(super) fn count_start(&mut self, lane: Lane) {
        self.lane_mut(lane).in_flight += 1;
    }

    /// `transfers` of a destination in `lane` are over.
    pub(super) fn count_end(&mut self, lane: Lane, transfers: u32) {
        let in_flight = &mut self.lane_mut(lane).in_flight;
        *in_flight = in_flight.saturating_sub(transfers);
    }

    /// A destination with `transfers` in flight changes lanes.
    pub(super) fn count_move(&mut self, from: Lane, to: Lane, transfers: u32) {
        self.count_end(from, transfers);
        self.lane_mut(to).in_flight += transfers;
    }

    /// A destination is ready, and is last in its ring.
    pub(super) fn push_back(&mut self, ring: Ring, entry: Entry) {
        self.ring_mut(ring).push_back(entry);
    }

    /// A destination goes on with its turn.
    pub(super) fn push_front(&mut self, ring: Ring, entry: Entry) {
        self.ring_mut(ring).push_front(entry);
    }

    /// The next destination, of the lane whose turn it is among those that may hold one more of
    /// `budget` transfers.
    pub(super) fn pop(&mut self, budget: u32) -> Option<(Ring, Entry)> {
        let lane = (0..TURNS.len())
            .map(|step| TURNS[(self.turn + step) % TURNS.len()])
            .find(|&lane| !self.lane(lane).is_empty() && self.has_room(lane, budget))?;
        let urgent = self.lane(lane).is_urgents_turn();
        let ring = Ring { lane, urgent };
        let entry = self.ring_mut(ring).pop_front()?;
        Some((ring, entry))
    }

    /// A destination from `ring` used its turn.
    pub(super) fn turn_used(&mut self, ring: Ring) {
        self.turn = (self.turn + 1) % TURNS.len();
        let lane = self.lane_mut(ring.lane);
        if !ring.urgent {
            lane.urgent_in_row = 0;
        } else if !lane.bulk.is_empty() {
            lane.urgent_in_row += 1;
        }
    }

    fn has_room(&self, lane: Lane, budget: u32) -> bool {
        let slow = self.in_flight(Lane::Slow);
        let not_proven = slow + self.in_flight(Lane::Unproven);
        let is_reserve_left = not_proven < part(budget, UNPROVEN_LANE_PERCENT);
        match lane {
            Lane::Proven => true,
            Lane::Unhurried => self.in_flight(lane) < part(budget, UNHURRIED_LANE_PERCENT),
            Lane::Unproven => is_reserve_left,
            Lane::Slow => is_reserve_left && slow < part(budget, SLOW_LANE_PERCENT),
        }
    }

    fn lane(&self, lane: Lane) -> &LaneRings {
        &self.lanes[lane as usize]
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneRings {
        &mut self.lanes[lane as usize]
    }

    fn ring_mut(&mut self, ring: Ring) -> &mut VecDeque<Entry> {
        let lane = self.lane_mut(ring.lane);
        if ring.urgent {
            &mut lane.urgent
        } else {
            &mut lane.bulk
        }
    }
}

impl LaneRings {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.bulk.is_empty()
    }

    fn is_urgents_turn(&self) -> bool {
        !self.urgent.is_empty() && (self.bulk.is_empty() || self.urgent_in_row < INTERACTIVE_WEIGHT)
    }
}

/// `percent` of `budget`, at least one.
fn part(budget: u32, percent: u32) -> u32 {
    (budget * percent / 100).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u32 = 100;
    const ALL: [Lane; 4] = [Lane::Proven, Lane::Unhurried, Lane::Unproven, Lane::Slow];

    fn ring(lane: Lane, urgent: bool) -> Ring {
        Ring { lane, urgent }
    }

    /// Lanes that always have something, of both kinds.
    fn full() -> Lanes {
        let mut lanes = Lanes::default();
        for lane in ALL {
            for urgent in [true, false] {
                for key in 0..1_000 {
                    lanes.push_back(ring(lane, urgent), Entry { key, stamp: 0 });
                }
            }
        }
        lanes
    }

    fn started(lanes: &mut Lanes) -> Option<Ring> {
        let (ring, _) = lanes.pop(BUDGET)?;
        lanes.turn_used(ring);
        lanes.count_start(ring.lane);
        Some(ring)
    }

    #[test]
    fn each_lane_has_its_bound() {
        let mut lanes = full();
        for _ in 0..BUDGET {
            started(&mut lanes);
        }
        let slow = lanes.in_flight(Lane::Slow);
        let unproven = lanes.in_flight(Lane::Unproven);
        assert!(slow <= BUDGET * SLOW_LANE_PERCENT / 100);
        assert!(slow + unproven <= BUDGET * UNPROVEN_LANE_PERCENT / 100);
        assert!(lanes.in_flight(Lane::Unhurried) <= BUDGET * UNHURRIED_LANE_PERCENT / 100);
        assert!(ALL.iter().all(|&lane| lanes.in_flight(lane) > 0));
        assert_eq!(lanes.in_flight_in_all(), BUDGET);
    }

    #[test]
    fn lanes_that_are_full_alone_leave_room() {
        for (lane, bound) in [
            (Lane::Slow, SLOW_LANE_PERCENT),
            (Lane::Unproven, UNPROVEN_LANE_PERCENT),
            (Lane::Unhurried, UNHURRIED_LANE_PERCENT),
            (Lane::Proven, 200),
        ] {
            let mut lanes = Lanes::default();
            for key in 0..200 {
                lanes.push_back(ring(lane, false), Entry { key, stamp: 0 });
            }
            while started(&mut lanes).is_some() {}
            assert_eq!(lanes.in_flight(lane), bound, "{lane:?}");
        }
    }

    #[test]
    fn a_budget_of_one_still_reaches_everybody() {
        for lane in ALL {
            let mut lanes = Lanes::default();
            lanes.push_back(ring(lane, true), Entry { key: 1, stamp: 0 });
            assert!(lanes.pop(1).is_some(), "{lane:?}");
        }
    }

    #[test]
    fn destinations_with_something_urgent_go_eight_to_one() {
        let mut lanes = full();
        let urgent = (0..90)
            .filter_map(|_| {
                let (ring, _) = lanes.pop(BUDGET)?;
                lanes.turn_used(ring);
                Some(ring.urgent)
            })
            .filter(|&urgent| urgent);
        // Ninety turns in four lanes, each of which counts for itself.
        assert!((80..=84).contains(&urgent.count()));
    }

    #[test]
    fn destinations_of_one_ring_take_turns() {
        let mut lanes = Lanes::default();
        let proven = ring(Lane::Proven, false);
        for key in 0..3 {
            lanes.push_back(proven, Entry { key, stamp: 0 });
        }
        let mut order = Vec::new();
        for _ in 0..6 {
            let (ring, entry) = lanes.pop(BUDGET).unwrap();
            order.push(entry.key);
            lanes.push_back(ring, entry);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }
}
