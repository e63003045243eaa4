//! Several Keepers over one table: whatever is delayed, lost, killed or paused, units find owners
//! again, in time, and nobody who says in time that it lives is robbed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::cluster::{PartitionId, Roles};
use crate::entropy::{self, Entropy, SeededEntropy};
use crate::limits::REBALANCE_RELEASE_INTERVAL;

const UNITS: u16 = 24;
/// Longest way of a request to the store, and of an answer back.
const WAY_MS: u64 = 40;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Something that happens at a moment.
enum Due {
    /// What a node asked for reaches the store.
    Store(NodeId, Effect),
    /// An answer reaches the node.
    Node(NodeId, Event),
}

struct Node {
    keeper: Keeper,
    /// Until when it does nothing: what comes meanwhile comes then.
    paused_until: Duration,
}

struct World {
    now: Duration,
    chance: SeededEntropy,
    agenda: BTreeMap<(Duration, u64), Due>,
    turn: u64,
    nodes: BTreeMap<NodeId, Node>,
    /// Tables 01 and 02.
    records: BTreeMap<NodeId, NodeRecord>,
    owners: BTreeMap<Unit, Ownership>,
    /// When each record was last written.
    written: BTreeMap<NodeId, Duration>,
    /// Of a hundred answers of the store so many are lost, and as many requests.
    lost_percent: u64,
    took_over: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            chance: SeededEntropy::new(seed),
            agenda: BTreeMap::new(),
            turn: 0,
            nodes: BTreeMap::new(),
            records: BTreeMap::new(),
            owners: BTreeMap::new(),
            written: BTreeMap::new(),
            lost_percent: 0,
            took_over: 0,
        }
    }

    fn roll(&mut self, below: u64) -> u64 {
        u64::from_be_bytes(entropy::draw(&mut self.chance)) % below
    }

    fn join(&mut self, weight: u32) -> NodeId {
        let id = NodeId::draw(&mut self.chance as &mut dyn Entropy);
        let settings = KeeperSettings {
            units: (0..UNITS).map(PartitionId).map(Unit::from).collect(),
            ..KeeperSettings::new(Times::default(), 1)
        };
        let record = NodeRecord {
            id,
            seq: 0,
            lease: Duration::ZERO,
            roles: Roles {
                backend: true,
                outbound: true,
            },
            address: String::new(),
            zone: String::new(),
            weight,
            draining: false,
            build: String::new(),
            levels: (1, 1),
        };
        let keeper = Keeper::new(settings, record, self.now);
        let paused_until = self.now;
        let node = Node {
            keeper,
            paused_until,
        };
        self.nodes.insert(id, node);
        self.tell(id, Event::Tick);
        id
    }

    fn join_all(&mut self, count: usize) {
        for _ in 0..count {
            self.join(100);
        }
    }

    fn after(&mut self, way: u64, due: Due) {
        let delay = ms(1 + self.roll(way));
        self.turn += 1;
        self.agenda.insert((self.now + delay, self.turn), due);
    }

    fn tell(&mut self, id: NodeId, event: Event) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        if node.paused_until > self.now {
            self.turn += 1;
            let moment = (node.paused_until, self.turn);
            self.agenda.insert(moment, Due::Node(id, event));
            return;
        }
        let effects = node.keeper.step(self.now, event);
        assert_eq!(node.keeper.overlooked(), None, "each unit is seen to");
        for effect in effects {
            self.after(WAY_MS, Due::Store(id, effect));
        }
    }

    /// Runs until `end`.
    fn run(&mut self, end: Duration) {
        loop {
            let due = self.agenda.first_key_value().map(|(at, _)| *at);
            let wake = |(id, node): (&NodeId, &Node)| {
                (
                    node.keeper.wakes_at().max(node.paused_until).max(self.now),
                    *id,
                )
            };
            let wakes = self.nodes.iter().map(wake).min();
            let next_due = due.map_or(Duration::MAX, |(at, _)| at);
            let next_wake = wakes.map_or(Duration::MAX, |(at, _)| at);
            if next_due.min(next_wake) > end {
                self.now = end;
                return;
            }
            if next_due <= next_wake {
                let (moment, due) = self.agenda.pop_first().unwrap();
                self.now = moment.0;
                match due {
                    Due::Store(id, effect) => self.store(id, effect),
                    Due::Node(id, event) => self.tell(id, event),
                }
            } else {
                self.now = next_wake;
                self.tell(wakes.unwrap().1, Event::Tick);
            }
        }
    }

    /// The store does what it was asked for, or the request or its answer is lost.
    fn store(&mut self, id: NodeId, effect: Effect) {
        let is_request_lost = self.roll(100) < self.lost_percent;
        let is_answer_lost = self.roll(100) < self.lost_percent;
        let is_known = !is_request_lost && !is_answer_lost;
        let event = match effect {
            Effect::Heartbeat(record) => {
                let seq = record.seq;
                if !is_request_lost {
                    self.written.insert(record.id, self.now);
                    self.records.insert(record.id, record);
                }
                Event::HeartbeatEnded {
                    seq,
                    is_committed: is_known,
                }
            }
            Effect::Look if !is_known => Event::LookFailed,
            Effect::Look => Event::Looked(Tables {
                // The request was under way for as long as WAY_MS.
                begun: self.now.saturating_sub(ms(WAY_MS)),
                nodes: self.records.values().cloned().collect(),
                owners: Some(
                    self.owners
                        .iter()
                        .map(|(unit, one)| (*unit, *one))
                        .collect(),
                ),
            }),
            Effect::Claim(claim) => {
                let holds = !is_request_lost && self.claim(id, &claim);
                let outcome = match (is_known, holds) {
                    (false, _) => ClaimOutcome::Failed,
                    (true, true) => ClaimOutcome::Taken,
                    (true, false) => ClaimOutcome::Refused,
                };
                Event::ClaimEnded { claim, outcome }
            }
            Effect::Release {
                unit,
                fence,
                successor,
            } => {
                let held = Ownership {
                    fence,
                    node: id,
                    is_active: true,
                };
                let holds = Ownership::permits(self.owners.get(&unit), &held);
                if holds && !is_request_lost {
                    self.owners.insert(unit, held.released());
                }
                self.nudge(unit, successor);
                let outcome = match (is_known, holds) {
                    (false, _) => ReleaseOutcome::Failed,
                    (true, true) => ReleaseOutcome::Released,
                    (true, false) => ReleaseOutcome::Fenced,
                };
                Event::ReleaseEnded {
                    unit,
                    fence,
                    outcome,
                }
            }
            Effect::Forget(record) => {
                if self.records.get(&record.id) == Some(&record) {
                    self.records.remove(&record.id);
                }
                return;
            }
            Effect::Leave => {
                if !is_request_lost {
                    self.records.remove(&id);
                }
                Event::LeaveEnded {
                    is_committed: is_known,
                }
            }
            Effect::Begin { .. }
            | Effect::End { .. }
            | Effect::Rest
            | Effect::Resume
            | Effect::Routes => return,
        };
        self.after(WAY_MS, Due::Node(id, event));
    }

    /// Word of a release reaches its successor soon, late, twice or never; and now and then somebody who has
    /// nothing to do with it, or though nothing was released.
    fn nudge(&mut self, unit: Unit, successor: Option<NodeId>) {
        let anybody = self.roll(self.nodes.len() as u64) as usize;
        let anybody = self.nodes.keys().nth(anybody).copied();
        for (node, percent, way) in [
            (successor, 70, WAY_MS),
            (successor, 20, 8_000),
            (anybody, 20, 8_000),
        ] {
            if let Some(node) = node.filter(|_| self.roll(100) < percent) {
                self.after(way, Due::Node(node, Event::Freed(vec![unit])));
            }
        }
    }

    fn claim(&mut self, id: NodeId, claim: &Claim) -> bool {
        let found = claim.basis.node().and_then(|node| self.records.get(&node));
        let holds = claim.basis.holds(found)
            && claim
                .bids
                .iter()
                .all(|bid| bid.holds(self.owners.get(&bid.unit)));
        if !holds {
            return false;
        }
        assert!(claim.bids.len() <= CLAIM_UNITS_MAX);
        if let Some(victim) = claim.basis.node() {
            let silence = self.now - self.written[&victim];
            assert!(
                silence >= Times::default().lease,
                "robbed after {silence:?}"
            );
            self.took_over += claim.bids.len();
        }
        for bid in &claim.bids {
            assert_eq!(bid.after.node, id);
            let before = self.owners.insert(bid.unit, bid.after);
            assert!(before.is_none_or(|before| before.fence < bid.after.fence));
        }
        true
    }

    /// Everything is owned by who should own it, who knows it, and by nobody else.
    fn check_settled(&self) {
        for number in 0..UNITS {
            let unit = Unit::from(PartitionId(number));
            let record = self.owners[&unit];
            assert!(record.is_active, "{unit:?} is free");
            let holders: Vec<NodeId> = self
                .nodes
                .values()
                .filter(|node| node.keeper.fence(unit).is_some())
                .map(|node| node.keeper.node())
                .collect();
            assert_eq!(holders, [record.node], "{unit:?}");
            let owner = &self.nodes[&record.node].keeper;
            assert_eq!(owner.fence(unit), Some(record.fence));
            for node in self.nodes.values() {
                assert_eq!(node.keeper.desired(unit), Some(record.node), "{unit:?}");
                assert_eq!(node.keeper.routes().owners[&unit].node, record.node);
            }
        }
    }
}

/// How long everything may take to be where it belongs once nothing is disturbed: silence is noticed,
/// then nodes count as stable, then units move, eight a second.
fn settling() -> Duration {
    let moves = REBALANCE_RELEASE_INTERVAL * u32::from(UNITS) + ms(3_000);
    Times::default().failover_bound() + REBALANCE_STABLE + moves
}

#[test]
fn the_units_of_a_killed_node_are_taken_within_the_bound() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let victim = world.join(100);
        world.join_all(2);
        let more = world.roll(1_000);
        world.run(settling() + ms(more));
        world.check_settled();
        world.nodes.remove(&victim);
        let end = world.now + Times::default().failover_bound();
        world.run(end);
        world.check_settled();
        let owned = world.owners.values().filter(|one| one.node == victim);
        assert_eq!(owned.count(), 0, "seed {seed}");
    }
}

#[test]
fn a_node_that_drains_leaves_nothing_behind_and_is_quick() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let leaver = world.join(100);
        world.join_all(2);
        world.run(settling());
        world.tell(leaver, Event::DrainOrdered);
        world.run(world.now + ms(1_500));
        assert!(world.nodes[&leaver].keeper.is_gone(), "seed {seed}");
        assert!(!world.records.contains_key(&leaver));
        world.nodes.remove(&leaver);
        world.run(world.now + ms(1_500));
        world.check_settled();
        assert_eq!(world.took_over, 0, "nothing had to be taken");
    }
}

#[test]
fn an_outage_of_the_store_moves_nothing() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.join_all(3);
        world.run(settling());
        let before = world.owners.clone();
        world.lost_percent = 100;
        let outage = 2_000 + world.roll(30_000);
        world.run(world.now + ms(outage));
        world.lost_percent = 0;
        world.run(world.now + settling());
        world.check_settled();
        assert_eq!(world.owners, before, "seed {seed}");
    }
}

/// What may happen to a cluster.
#[derive(Debug, Clone)]
enum Blow {
    Join(u32),
    Kill(usize),
    Pause(usize, u64),
    Drain(usize),
    Lose(u64),
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        2 => (1..300_u32).prop_map(Blow::Join),
        2 => (0..8_usize).prop_map(Blow::Kill),
        2 => (0..8_usize, 100..40_000_u64).prop_map(|(node, time)| Blow::Pause(node, time)),
        1 => (0..8_usize).prop_map(Blow::Drain),
        2 => (0..60_u64).prop_map(Blow::Lose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happened_units_find_the_owner_they_should_have(
        seed: u64,
        blows in prop::collection::vec((blow(), 0..20_000_u64), 1..10),
    ) {
        let mut world = World::new(seed);
        world.join_all(3);
        for (blow, then) in blows {
            let ids: Vec<NodeId> = world.nodes.keys().copied().collect();
            let pick = |index: usize| ids[index % ids.len()];
            match blow {
                Blow::Join(weight) if ids.len() < 6 => {
                    world.join(weight);
                }
                Blow::Kill(index) if ids.len() > 1 => drop(world.nodes.remove(&pick(index))),
                Blow::Pause(index, time) => {
                    let until = world.now + ms(time);
                    world.nodes.get_mut(&pick(index)).unwrap().paused_until = until;
                }
                Blow::Drain(index) if ids.len() > 1 => world.tell(pick(index), Event::DrainOrdered),
                Blow::Lose(percent) => world.lost_percent = percent,
                Blow::Join(_) | Blow::Kill(_) | Blow::Drain(_) => {}
            }
            world.run(world.now + ms(then));
        }
        world.lost_percent = 0;
        let still = world.nodes.values().map(|node| node.paused_until).max();
        let end = still.unwrap_or_default().max(world.now);
        world.run(end + ms(3_000));
        world.nodes.retain(|_, node| !node.keeper.is_draining());
        if world.nodes.is_empty() {
            world.join(100);
        }
        world.run(world.now + settling() + settling());
        world.check_settled();
        let nodes: BTreeSet<NodeId> = world.owners.values().map(|one| one.node).collect();
        prop_assert!(nodes.iter().all(|node| world.nodes.contains_key(node)));
    }
}
