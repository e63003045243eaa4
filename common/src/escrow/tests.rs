//! Several holders of one limit, with everything that can go wrong between them and what they share: the
//! limit is never exceeded, and in the end everything has been given back.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::entropy::SeededEntropy;
use crate::limits::ESCROW_IDLE;
use crate::time::Timestamp;

const CHUNKS: Chunks = Chunks { min: 4, max: 16 };
/// The limit that all stories are about.
const LIMIT: &str = "limit";

fn one() -> BTreeMap<&'static str, u64> {
    BTreeMap::from([(LIMIT, 1)])
}

/// A transaction that may still land.
#[derive(Debug, Clone)]
enum Late {
    /// Puts an item in, unless its holder is closed. Its node finds out once it is decided.
    Item { id: u64, holder: HolderId },
    /// Writes a ledger that was read as of this version.
    Ledger { version: u64, ledger: Ledger },
}

/// What all nodes share.
#[derive(Debug, Default)]
struct Shared {
    ledger: Ledger,
    version: u64,
    closed: BTreeSet<HolderId>,
    items: BTreeMap<u64, HolderId>,
    /// Items that were ever there.
    landed: BTreeSet<u64>,
}

impl Shared {
    fn write(&mut self, ledger: Ledger) {
        self.ledger = ledger;
        self.version += 1;
    }

    fn charged_to(&self, holder: HolderId) -> u64 {
        self.items.values().filter(|one| **one == holder).count() as u64
    }

    fn land(&mut self, late: Late) {
        match late {
            Late::Item { id, holder } if !self.closed.contains(&holder) => {
                self.items.insert(id, holder);
                self.landed.insert(id);
            }
            Late::Ledger { version, ledger } if version == self.version => self.write(ledger),
            Late::Item { .. } | Late::Ledger { .. } => {}
        }
    }
}

/// How far a count is.
#[derive(Debug, Clone, Copy)]
enum Count {
    Begun(CountStamp),
    Read(CountStamp, u64),
}

#[derive(Debug)]
struct Node {
    purse: Purse<&'static str>,
    count: Option<Count>,
    /// What it spent and does not know of.
    doubts: Vec<(u64, HolderId)>,
    /// What it took out, and has not noted.
    leaving: Vec<(HolderId, CountStamp)>,
}

struct World {
    chance: SeededEntropy,
    cap: u64,
    now: Timestamp,
    shared: Shared,
    nodes: Vec<Node>,
    late: Vec<Late>,
    /// Who was found closed, and what was found to be charged to them.
    closing: Option<Vec<(HolderId, u64)>>,
    next_item: u64,
    spent: u64,
}

impl World {
    fn new(seed: u64, nodes: usize, cap: u64) -> Self {
        let mut world = Self {
            chance: SeededEntropy::new(seed),
            cap,
            now: Timestamp::from_secs(1_000),
            shared: Shared::default(),
            nodes: Vec::new(),
            late: Vec::new(),
            closing: None,
            next_item: 0,
            spent: 0,
        };
        for _ in 0..nodes {
            let node = world.born();
            world.nodes.push(node);
        }
        world
    }

    fn born(&mut self) -> Node {
        Node {
            purse: Purse::new(HolderId::draw(&mut self.chance)),
            count: None,
            doubts: Vec::new(),
            leaving: Vec::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        u64::from_be_bytes(entropy::draw(&mut self.chance)) % bound
    }

    fn any_node(&mut self) -> usize {
        let count = self.nodes.len() as u64;
        usize::try_from(self.below(count)).unwrap()
    }

    fn step(&mut self) {
        let node = self.any_node();
        match self.below(100) {
            0..=39 => self.spend(node),
            40..=59 => self.take_out(node),
            60..=64 => self.note_what_left(node),
            65..=74 => self.count(node),
            75..=81 => self.give_back(node),
            82..=89 => self.land_one(),
            90..=92 => self.learn(node),
            93..=94 => self.now = self.now + ESCROW_IDLE / 3,
            95 => self.crash(node),
            96 => self.close(node),
            _ => self.follow_the_closed(),
        }
        let items = self.shared.items.len() as u64;
        assert!(items <= self.cap, "{items} of {}", self.cap);
        assert!(self.shared.ledger.granted() <= self.cap);
    }

    fn spend(&mut self, node: usize) {
        let now = self.now;
        if self.nodes[node].purse.spend(&one(), now).is_err() {
            self.take(node);
            if self.nodes[node].purse.spend(&one(), now).is_err() {
                return;
            }
        }
        let (id, holder) = (self.next_item, self.nodes[node].purse.holder());
        self.next_item += 1;
        if self.shared.closed.contains(&holder) {
            let next = HolderId::draw(&mut self.chance);
            self.nodes[node].purse.undo(holder, &one());
            return self.nodes[node].purse.renew(holder, next);
        }
        match self.below(10) {
            0 => self.nodes[node].purse.undo(holder, &one()),
            1 | 2 => {
                self.late.push(Late::Item { id, holder });
                self.nodes[node].doubts.push((id, holder));
            }
            _ => {
                self.spent += 1;
                self.shared.items.insert(id, holder);
                self.nodes[node].purse.landed(holder, &one());
            }
        }
    }

    fn take(&mut self, node: usize) {
        let (purse, now) = (&mut self.nodes[node].purse, self.now);
        let holder = purse.holder();
        let total = purse.shortage(&one()).unwrap().0[LIMIT];
        let mut ledger = self.shared.ledger.clone();
        let covered = ledger.cover(holder, total, self.cap, CHUNKS);
        let (Ok(recorded), false) = (covered, self.shared.closed.contains(&holder)) else {
            return;
        };
        let late = Late::Ledger {
            version: self.shared.version,
            ledger,
        };
        let chance = self.below(10);
        let purse = &mut self.nodes[node].purse;
        match chance {
            0 => {}
            1 | 2 => {
                purse.may_be_granted(LIMIT, recorded);
                self.late.push(late);
            }
            _ => {
                self.shared.land(late);
                purse.granted(LIMIT, recorded, now);
            }
        }
    }

    fn give_back(&mut self, node: usize) {
        let wanted = match self.below(2) {
            0 => BTreeSet::new(),
            _ => BTreeSet::from([LIMIT]),
        };
        let (chance, now) = (self.below(10), self.now);
        let purse = &mut self.nodes[node].purse;
        let holder = purse.holder();
        if purse.to_give_back(&wanted, now).is_empty() || self.shared.closed.contains(&holder) {
            return;
        }
        let kept = purse.begin_to_give_back(&LIMIT);
        let mut ledger = self.shared.ledger.clone();
        ledger.keep(holder, kept);
        let late = Late::Ledger {
            version: self.shared.version,
            ledger,
        };
        match chance {
            0 => {}
            1 | 2 => self.late.push(late),
            _ => {
                self.shared.land(late);
                self.nodes[node].purse.given_back(&LIMIT, kept);
            }
        }
    }

    /// Some item leaves by the hand of `node`, whoever it is charged to.
    fn take_out(&mut self, node: usize) {
        let items = self.shared.items.len() as u64;
        if items == 0 {
            return;
        }
        let place = usize::try_from(self.below(items)).unwrap();
        let id = *self.shared.items.keys().nth(place).unwrap();
        let holder = self.shared.items.remove(&id).unwrap();
        let stamp = self.nodes[node].purse.stamp();
        self.nodes[node].leaving.push((holder, stamp));
        if self.below(3) > 0 {
            self.note_what_left(node);
        }
    }

    fn note_what_left(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        for (holder, stamp) in node.leaving.drain(..) {
            node.purse.left(holder, [&LIMIT], stamp);
        }
    }

    fn count(&mut self, node: usize) {
        let charged = self.shared.charged_to(self.nodes[node].purse.holder());
        let node = &mut self.nodes[node];
        node.count = match node.count {
            None => Some(Count::Begun(node.purse.begin_count())),
            Some(Count::Begun(stamp)) => Some(Count::Read(stamp, charged)),
            Some(Count::Read(stamp, found)) => {
                node.purse
                    .end_count(stamp, &BTreeMap::from([(LIMIT, found)]));
                None
            }
        };
    }

    /// One transaction that was late lands, or never will.
    fn land_one(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let place = usize::try_from(self.below(self.late.len() as u64)).unwrap();
        let late = self.late.swap_remove(place);
        if self.below(4) > 0 {
            self.shared.land(late);
        }
    }

    /// The node finds out what became of what it was in doubt of.
    fn learn(&mut self, node: usize) {
        let late = &self.late;
        let is_open = |id: u64| {
            late.iter()
                .any(|one| matches!(one, Late::Item { id: other, .. } if *other == id))
        };
        let node = &mut self.nodes[node];
        let (open, known) = node.doubts.drain(..).partition(|(id, _)| is_open(*id));
        node.doubts = open;
        let known: Vec<(u64, HolderId)> = known;
        for (id, holder) in known {
            // What landed may have left again.
            match self.shared.landed.contains(&id) {
                true => node.purse.landed(holder, &one()),
                false => node.purse.undo(holder, &one()),
            }
        }
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node] = self.born();
    }

    /// Others take the node for gone, rightly or not.
    fn close(&mut self, node: usize) {
        let holders = self.shared.ledger.grants().map(|(holder, _)| holder);
        let holders: Vec<HolderId> = holders.collect();
        let alive = self.nodes[node].purse.holder();
        let place = usize::try_from(self.below(holders.len() as u64 + 1)).unwrap();
        let closed = holders.get(place).copied().unwrap_or(alive);
        self.shared.closed.insert(closed);
    }

    /// What is granted to the closed follows what is charged to them.
    fn follow_the_closed(&mut self) {
        let Some(found) = self.closing.take() else {
            let closed = self.shared.closed.iter();
            let count = |holder: &HolderId| (*holder, self.shared.charged_to(*holder));
            self.closing = Some(closed.map(count).collect());
            return;
        };
        let mut ledger = self.shared.ledger.clone();
        for (holder, charged) in found {
            ledger.keep(holder, charged);
        }
        self.shared.write(ledger);
    }

    /// Nothing goes wrong any more, and everything leaves.
    fn end(&mut self) {
        while let Some(late) = self.late.pop() {
            self.shared.land(late);
        }
        assert!(self.shared.items.len() as u64 <= self.cap);
        let alive: BTreeSet<HolderId> = self.nodes.iter().map(|one| one.purse.holder()).collect();
        let dead = self.shared.ledger.grants().map(|(holder, _)| holder);
        let dead: Vec<HolderId> = dead.filter(|one| !alive.contains(one)).collect();
        self.shared.closed.extend(dead);
        for node in 0..self.nodes.len() {
            self.learn(node);
        }
        self.shared.items.clear();
        self.now = self.now + ESCROW_IDLE;
        self.closing = None;
        for _ in 0..2 {
            self.follow_the_closed();
        }
        for number in 0..self.nodes.len() {
            self.nodes[number].count = None;
            for _ in 0..3 {
                self.count(number);
            }
            let node = &mut self.nodes[number];
            let holder = node.purse.holder();
            for scope in node.purse.to_give_back(&BTreeSet::new(), self.now) {
                let kept = node.purse.begin_to_give_back(&scope);
                self.shared.ledger.keep(holder, kept);
                node.purse.given_back(&scope, kept);
            }
            let is_closed = self.shared.closed.contains(&holder);
            assert!(is_closed || node.purse.is_empty(), "{:?}", node.purse);
        }
        assert!(self.shared.ledger.is_empty(), "{:?}", self.shared.ledger);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_lost_late_or_dies_the_cap_holds_and_everything_comes_back(
        seed in any::<u64>(),
        nodes in 1_usize..5,
        cap in 1_u64..60,
    ) {
        let mut world = World::new(seed, nodes, cap);
        for _ in 0..600 {
            world.step();
        }
        world.end();
    }
}

/// Items left between the beginning of a count and its reading, and were noted after its end.
#[test]
fn what_a_count_missed_is_not_taken_off_again() {
    let mut world = World::new(10_213_151_038_688_122_299, 1, 4);
    (0..600).for_each(|_| world.step());
    world.end();
}

#[test]
fn stories_do_spend_what_is_granted() {
    let spent = (0..20).map(|seed| {
        let mut world = World::new(seed, 3, 30);
        (0..600).for_each(|_| world.step());
        world.spent
    });
    assert!(spent.sum::<u64>() > 500);
}

#[test]
fn a_grant_is_a_part_of_what_remains_within_bounds_and_never_less_than_what_is_needed() {
    let holder = HolderId([1; 16]);
    let granted = |cap: u64, total: u64| {
        Ledger::default().cover(holder, total, cap, Chunks { min: 4, max: 16 })
    };
    assert_eq!(granted(640, 1), Ok(10));
    assert_eq!(granted(64, 1), Ok(4));
    assert_eq!(granted(1_000_000, 1), Ok(16));
    assert_eq!(granted(640, 30), Ok(30));
    assert_eq!(granted(3, 1), Ok(3));
    let short = Short {
        needed: 4,
        remaining: 3,
    };
    assert_eq!(granted(3, 4), Err(short));
}

#[test]
fn what_is_granted_in_all_is_what_others_do_not_have() {
    let [first, second] = [1, 2].map(|octet| HolderId([octet; 16]));
    let mut ledger = Ledger::default();
    assert_eq!(ledger.cover(first, 6, 10, CHUNKS), Ok(6));
    assert_eq!(ledger.cover(first, 5, 10, CHUNKS), Ok(6), "it has that");
    assert_eq!(ledger.cover(second, 4, 10, CHUNKS), Ok(4));
    assert!(ledger.cover(first, 7, 10, CHUNKS).is_err());
    ledger.keep(second, 1);
    assert_eq!(ledger.cover(first, 7, 10, CHUNKS), Ok(9));
    // A limit that was lowered since grants nothing, and takes nothing away.
    assert!(ledger.cover(second, 2, 5, CHUNKS).is_err());
    assert_eq!(ledger.granted(), 10);
}

/// A purse to which ten are granted, of which three are there.
fn three_of_ten() -> (HolderId, Purse<&'static str>) {
    let holder = HolderId([1; 16]);
    let mut purse = Purse::new(holder);
    let now = Timestamp::from_secs(1);
    purse.granted(LIMIT, 10, now);
    for _ in 0..3 {
        purse.spend(&one(), now).unwrap();
        purse.landed(holder, &one());
    }
    (holder, purse)
}

#[test]
fn what_leaves_while_it_is_counted_is_taken_off_by_the_next_count() {
    let (holder, mut purse) = three_of_ten();
    let before = purse.stamp();
    let count = purse.begin_count();
    // It had gone already when it was counted: it must not be taken off twice.
    purse.end_count(count, &BTreeMap::from([(LIMIT, 2)]));
    purse.left(holder, [&LIMIT], before);
    assert_eq!(purse.used(&LIMIT), 2);
    purse.left(holder, [&LIMIT], purse.stamp());
    assert_eq!(purse.used(&LIMIT), 1);
    purse.left(HolderId([2; 16]), [&LIMIT], purse.stamp());
    assert_eq!(purse.used(&LIMIT), 1, "it is charged to somebody else");
}

#[test]
fn what_left_while_it_was_counted_is_not_taken_off_by_whoever_hears_of_it_later() {
    let (holder, mut purse) = three_of_ten();
    let count = purse.begin_count();
    let [early, late] = [purse.stamp(), purse.stamp()];
    // Two leave. Of one it is heard at once; both have gone when it is counted.
    purse.left(holder, [&LIMIT], early);
    assert_eq!(purse.used(&LIMIT), 2);
    purse.end_count(count, &BTreeMap::from([(LIMIT, 1)]));
    purse.left(holder, [&LIMIT], late);
    assert_eq!(purse.used(&LIMIT), 1);
    // A count that ended is not ended again.
    purse.end_count(count, &BTreeMap::new());
    assert_eq!(purse.used(&LIMIT), 1);
}

#[test]
fn what_is_idle_or_wanted_is_given_back_and_what_is_used_is_kept() {
    let holder = HolderId([1; 16]);
    let mut purse = Purse::new(holder);
    let now = Timestamp::from_secs(1);
    purse.granted(LIMIT, 10, now);
    purse.spend(&BTreeMap::from([(LIMIT, 3)]), now).unwrap();
    assert!(purse.to_give_back(&BTreeSet::new(), now).is_empty());
    assert_eq!(purse.to_give_back(&BTreeSet::from([LIMIT]), now), [LIMIT]);
    let later = now + ESCROW_IDLE;
    assert_eq!(purse.to_give_back(&BTreeSet::new(), later), [LIMIT]);
    assert_eq!(purse.begin_to_give_back(&LIMIT), 3);
    // Until it is known to be given back, it is neither spent nor forgotten.
    assert!(purse.spend(&one(), later).is_err());
    assert_eq!(purse.to_give_back(&BTreeSet::new(), later), [LIMIT]);
    purse.given_back(&LIMIT, 3);
    assert!(purse.to_give_back(&BTreeSet::new(), later).is_empty());
    assert_eq!(purse.unspent(|_| true), 0);
}
