//! The world of the model: a store with serializable transactions, and nodes of which each may stop
//! for ever, or for as long as it likes.
//!
//! What is abstracted, and to which side:
//!
//! * Time is gone. A record counts as unchanged for its lease as soon as it was seen twice alike, and a
//!   node may pause between any two steps. So everything that clocks could do wrong is allowed.
//! * A transaction that is on its way is spoilt when anything that it read is written, and lands or
//!   not at any later moment, whoever waits for it. That is serializability and nothing more.
//! * Who *should* own a partition is left open: every node may claim whatever it has grounds for.

mod world;

use std::time::Duration;

use mesh_common::cluster::keeper::basis;
use mesh_common::cluster::{
    Basis, Bid, Fence, NodeId, NodeRecord, Observer, Ownership, PartitionId, Roles, Unit,
};
use stateright::{Model, Property};

pub(crate) const NODES: usize = 3;
pub(crate) const PARTITIONS: usize = 2;
/// What must hold in every state.
pub(crate) const ALWAYS: [&str; 3] = [KEPT, OWNED, UNROBBED];
pub(crate) const KEPT: &str = "acknowledged writes stay";
pub(crate) const OWNED: &str = "only the owner writes";
pub(crate) const UNROBBED: &str = "no live node is robbed";

const LEASE: Duration = Duration::from_secs(5);

/// How much may happen in one run, so that there is an end.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Claims of each partition that land; a partition without any takes no part.
    pub(crate) epochs: [u64; PARTITIONS],
    /// Writes to each partition.
    pub(crate) writes: [usize; PARTITIONS],
    /// Nodes that die.
    pub(crate) crashes: usize,
    /// Transactions on their way at once.
    pub(crate) flights: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            epochs: [2, 0],
            writes: [2, 0],
            crashes: 1,
            flights: 2,
        }
    }
}

/// What of the protocol is in force: each can be switched off, to see that it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Safeguards {
    /// Every write reads the ownership record and goes by it.
    pub(crate) fence: bool,
    /// A write in doubt is looked for only after the record was rewritten.
    pub(crate) barrier: bool,
    /// A claim reads the record of the node that it takes from.
    pub(crate) owner_read: bool,
}

impl Safeguards {
    pub(crate) const ALL: Self = Self {
        fence: true,
        barrier: true,
        owner_read: true,
    };
}

#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) safeguards: Safeguards,
    pub(crate) bounds: Bounds,
}

/// A batch: who wrote it, by which claim, at which attempt.
type Batch = (u8, u64, u8);

/// One partition as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Stored {
    owner: Option<Ownership>,
    /// The batches below the tip.
    log: Vec<Batch>,
    /// What clients were told is durable.
    acknowledged: Vec<(usize, Batch)>,
}

/// What a node believes of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Belief {
    /// It is not ours.
    NotOurs,
    /// A claim is on its way.
    Claiming,
    /// It is ours: under this fence, with so many batches.
    Owner {
        fence: Fence,
        tip: usize,
        attempt: u8,
        pending: Pending,
    },
}

/// What a node knows of the batch it sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pending {
    None,
    Flying,
    /// It has waited long enough: the batch may have landed, or land yet.
    Doubt,
    /// It cannot land any more.
    Barred,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    is_up: bool,
    /// Whose record this node has seen unchanged for the lease, up to now.
    seen: [bool; NODES],
    beliefs: [Belief; PARTITIONS],
}

/// What a transaction does when it lands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Work {
    Claim {
        after: Ownership,
        victim: Option<u8>,
    },
    Write {
        held: Ownership,
        index: usize,
        batch: Batch,
    },
    Release {
        held: Ownership,
    },
}

/// A transaction between its reads and its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flight {
    node: u8,
    partition: u8,
    work: Work,
    /// Whether it depends on the ownership record, and on which node's record.
    reads_owner: bool,
    reads_node: Option<u8>,
    /// Whether the node that a claim takes from has said since that it lives.
    is_robbery: bool,
    /// Whether something it read was written meanwhile.
    is_spoilt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    partitions: [Stored; PARTITIONS],
    nodes: [Node; NODES],
    /// In an order of their own, so that equal worlds are equal.
    flights: Vec<Flight>,
    /// A write passed that the ownership record did not permit at that moment.
    stray_write: bool,
    /// A batch was put in the place of another one, or behind the tip.
    overwritten: bool,
    /// A claim landed although its victim had said since that it lives.
    robbed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A node's record was seen unchanged for the lease.
    See(usize, usize),
    /// A node says that it lives: whoever counted its silence starts again.
    Beat(usize),
    Claim(usize, usize),
    Write(usize, usize),
    Release(usize, usize),
    /// The node waits no longer for what it sent.
    GiveUp(usize, usize),
    Barrier(usize, usize),
    /// The node looks whether what it sent has landed.
    Look(usize, usize),
    Crash(usize),
    /// A transaction ends, as it must.
    End(usize),
}

const fn id(node: usize) -> NodeId {
    NodeId([node as u8; 16])
}

/// A node's record. Its number plays no part: a heartbeat ends what others have seen.
fn record(node: usize) -> NodeRecord {
    NodeRecord {
        id: id(node),
        seq: 1,
        lease: LEASE,
        roles: Roles {
            backend: true,
            outbound: false,
        },
        address: String::new(),
        zone: String::new(),
        weight: 1,
        draining: false,
        build: String::new(),
        levels: (1, 1),
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            partitions: Default::default(),
            nodes: Default::default(),
            flights: Vec::new(),
            stray_write: false,
            overwritten: false,
            robbed: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let bounds = &self.bounds;
        let may_fly = world.flights.len() < bounds.flights;
        for (n, node) in world
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.is_up)
        {
            // Nodes are alike at first: the next one begins when the one before it has begun.
            if n > 0 && world.is_untouched(n) && world.is_untouched(n - 1) {
                break;
            }
            if world.is_recorded(n) && world.is_observed(n) {
                steps.push(Step::Beat(n));
            }
            let crashes = world.nodes.iter().filter(|node| !node.is_up).count();
            if crashes < bounds.crashes && node.beliefs != Node::default().beliefs {
                steps.push(Step::Crash(n));
            }
            for other in (0..NODES).filter(|other| *other != n) {
                if !node.seen[other] && world.is_recorded(other) {
                    steps.push(Step::See(n, other));
                }
            }
            for p in 0..PARTITIONS {
                match &node.beliefs[p] {
                    Belief::NotOurs if may_fly => steps.push(Step::Claim(n, p)),
                    Belief::Owner { pending, tip, .. } => match pending {
                        Pending::None if may_fly => {
                            if *tip < bounds.writes[p] {
                                steps.push(Step::Write(n, p));
                            }
                            steps.push(Step::Release(n, p));
                        }
                        Pending::Flying => steps.push(Step::GiveUp(n, p)),
                        Pending::Doubt => steps.push(Step::Barrier(n, p)),
                        Pending::Barred => steps.push(Step::Look(n, p)),
                        Pending::None => {}
                    },
                    Belief::Claiming => steps.push(Step::GiveUp(n, p)),
                    Belief::NotOurs => {}
                }
            }
        }
        steps.extend((0..world.flights.len()).map(Step::End));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        match step {
            Step::See(n, other) => next.nodes[n].seen[other] = true,
            Step::Beat(n) => next.beat(n),
            Step::Crash(n) => next.crash(n),
            Step::Claim(n, p) => self.claim(&mut next, n, p)?,
            Step::Write(n, p) => self.write(&mut next, n, p),
            Step::Release(n, p) => next.release(n, p),
            Step::GiveUp(n, p) => next.give_up(n, p),
            Step::Barrier(n, p) => self.bar(&mut next, n, p),
            Step::Look(n, p) => next.look(n, p),
            Step::End(flight) => next.end(flight),
        }
        next.tidy();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, world: &World| {
                !world.overwritten && world.partitions.iter().all(Stored::keeps_its_word)
            }),
            Property::always(OWNED, |_, world: &World| !world.stray_write),
            Property::always(UNROBBED, |_, world: &World| !world.robbed),
            Property::sometimes(
                "a successor writes after its predecessor",
                |_, world: &World| {
                    world
                        .partitions
                        .iter()
                        .any(|one| matches!(&one.acknowledged[..], [(_, a), (_, b)] if a.0 != b.0))
                },
            ),
            Property::sometimes("a former owner is fenced off", |_, world: &World| {
                let is_stray = |one: &&Flight| matches!(one.work, Work::Write { .. });
                world
                    .flights
                    .iter()
                    .filter(is_stray)
                    .any(|one| one.is_spoilt)
            }),
            Property::sometimes("a dead node's partition is taken", |_, world: &World| {
                world.partitions.iter().any(|one| {
                    one.owner.is_some_and(|owner| owner.fence.epoch > 1)
                        && one
                            .acknowledged
                            .iter()
                            .any(|(_, batch)| !world.nodes[usize::from(batch.0)].is_up)
                })
            }),
        ]
    }
}

impl Stored {
    /// Whether everything that was acknowledged is where it was.
    fn keeps_its_word(&self) -> bool {
        let mut acknowledged = self.acknowledged.iter();
        acknowledged.all(|(index, batch)| self.log.get(*index) == Some(batch))
    }
}

impl Protocol {
    /// Reads what a claim reads, and sends it if it may be made.
    fn claim(&self, world: &mut World, n: usize, p: usize) -> Option<()> {
        let found = world.partitions[p].owner;
        let observer = world.observer(n);
        let basis = basis(found.as_ref(), id(n), &observer)?;
        let after = Ownership::claimed(found.as_ref(), 1, id(n))?;
        if after.fence.epoch > self.bounds.epochs[p] {
            return None;
        }
        let bid = Bid {
            unit: Unit::Partition(PartitionId(p as u16)),
            before: found,
            after,
        };
        let victim = match &basis {
            Basis::Silent(record) => Some(usize::from(record.id.0[0])),
            _ => None,
        };
        if !bid.holds(found.as_ref()) || !basis.holds(victim.map(record).as_ref()) {
            return None;
        }
        world.nodes[n].beliefs[p] = Belief::Claiming;
        let victim = victim.map(|victim| victim as u8);
        world.flights.push(Flight {
            node: n as u8,
            partition: p as u8,
            work: Work::Claim { after, victim },
            reads_owner: true,
            reads_node: victim.filter(|_| self.safeguards.owner_read),
            is_robbery: false,
            is_spoilt: false,
        });
        Some(())
    }

    /// Reads the fence, and sends a batch if it permits.
    fn write(&self, world: &mut World, n: usize, p: usize) {
        let Some((held, tip, attempt)) = world.held(n, p) else {
            return;
        };
        let owner = world.partitions[p].owner;
        if self.safeguards.fence && !Ownership::permits(owner.as_ref(), &held) {
            world.nodes[n].beliefs[p] = Belief::NotOurs;
            return;
        }
        let batch = (n as u8, held.fence.epoch, attempt);
        world.flights.push(Flight {
            node: n as u8,
            partition: p as u8,
            work: Work::Write {
                held,
                index: tip,
                batch,
            },
            reads_owner: self.safeguards.fence,
            reads_node: None,
            is_robbery: false,
            is_spoilt: false,
        });
        world.pend(n, p, Pending::Flying);
    }

    /// Rewrites the ownership record unchanged, under the fence: one transaction, begun and ended.
    fn bar(&self, world: &mut World, n: usize, p: usize) {
        let Some((held, ..)) = world.held(n, p) else {
            return;
        };
        if !self.safeguards.barrier {
            return world.pend(n, p, Pending::Barred);
        }
        if !Ownership::permits(world.partitions[p].owner.as_ref(), &held) {
            world.nodes[n].beliefs[p] = Belief::NotOurs;
            return;
        }
        world.spoil_readers_of_owner(p);
        world.pend(n, p, Pending::Barred);
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            is_up: true,
            seen: [false; NODES],
            beliefs: [Belief::NotOurs, Belief::NotOurs],
        }
    }
}

impl Node {
    /// Whether it waits for the batch of this attempt under this fence.
    fn awaits(&self, p: usize, by: Fence, number: u8) -> bool {
        matches!(
            &self.beliefs[p],
            Belief::Owner { fence, attempt, pending: Pending::Flying, .. }
                if *fence == by && *attempt == number
        )
    }
}
