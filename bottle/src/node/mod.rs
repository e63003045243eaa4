//! One node: a Keeper, and whatever it works for. What it decides and commits by is the service's own
//! code; what is simulated is that it runs at all.
//!
//! | module | holds |
//! | --- | --- |
//! | `time` | time as it has it, and whether what it remembers is believed |
//! | `slots` | partitions at work: requests, batches |
//! | `intakes` | what others left for their accounts |
//! | `shards` | the queues to other services, and who is told what on other nodes |
//! | `orders` | what operators order at it |

mod intakes;
mod orders;
mod shards;
mod slots;
mod time;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::bottled::{Bottled, ownership_row};
use mesh_backend::outbound::Carrier;
use mesh_common::cluster::{
    Answer, CallFailure, ClaimOutcome, Effect, Event, Fence, Keeper, NodeId, Ownership,
    PartitionId, ReleaseOutcome, Route, Unit,
};
use mesh_common::error::ServiceError;
use tokio::sync::oneshot;

use self::slots::Slot;
pub use self::time::NodeTime;
use crate::roads::Roads;
use crate::store::NodeStore;
use crate::world::World;

/// What a request comes to.
pub type Outcome = Result<Answer, CallFailure>;

struct State {
    keeper: Keeper,
    /// When the Keeper is to be woken.
    wakes_at: Option<Duration>,
    /// What the key of changes held at the last look.
    changes: Option<Bytes>,
    slots: BTreeMap<PartitionId, Slot>,
    is_resting: bool,
    /// Until when the processor is busy.
    busy_until: Duration,
    counts: Counts,
}

/// What a node did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Units taken from nodes that had not let go of them.
    pub takeovers: usize,
    /// Commits that were fenced off.
    pub fenced: usize,
    /// Entries of intakes drained.
    pub drained: usize,
    /// Messages left in intakes, since owners were away.
    pub left: usize,
}

/// What a node is made of.
pub struct Parts {
    /// Its number in the world.
    pub index: usize,
    /// Time and chance.
    pub world: World,
    /// The store, as it has it.
    pub store: NodeStore,
    /// Time, as it has it.
    pub time: NodeTime,
    /// What reads and commits.
    pub pieces: Bottled<NodeStore>,
    /// What decides about ownership.
    pub keeper: Keeper,
    /// What one operation takes of the processor.
    pub operation_time: Duration,
    /// The ways to other nodes.
    pub roads: Roads,
    /// Who carries messages to other services.
    pub carrier: Arc<dyn Carrier>,
}

/// A handle on one node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    index: usize,
    id: NodeId,
    world: World,
    store: NodeStore,
    time: NodeTime,
    pieces: Bottled<NodeStore>,
    operation_time: Duration,
    roads: Roads,
    state: Mutex<State>,
}

impl Node {
    /// Starts a node.
    pub fn start(parts: Parts) -> Self {
        let state = State {
            wakes_at: None,
            changes: None,
            slots: BTreeMap::new(),
            is_resting: true,
            busy_until: Duration::ZERO,
            counts: Counts::default(),
            keeper: parts.keeper,
        };
        let node = Self(Arc::new(Inner {
            index: parts.index,
            id: state.keeper.node(),
            world: parts.world,
            store: parts.store,
            time: parts.time,
            pieces: parts.pieces,
            operation_time: parts.operation_time,
            roads: parts.roads,
            state: Mutex::new(state),
        }));
        node.begin_minding_shards(parts.carrier);
        node.begin_nudging();
        node.tell(Event::Tick);
        node
    }

    /// Its number in this world.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Orders it to leave.
    pub fn drain(&self) {
        self.tell(Event::DrainOrdered);
    }

    /// Whether it is about to leave, or has left.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.lock().keeper.is_draining()
    }

    /// Whether it has left.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.lock().keeper.is_gone()
    }

    /// What it works for.
    #[must_use]
    pub fn held(&self) -> Vec<(Unit, Fence)> {
        self.lock().keeper.held().collect()
    }

    /// How it stands, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = self.lock();
        let keeper = &state.keeper;
        let desired: Vec<String> = keeper
            .held()
            .map(|(unit, fence)| {
                format!("{unit:?} by {} for {:?}", fence.epoch, keeper.desired(unit))
            })
            .collect();
        format!(
            "node {} {:?}: resting {}, draining {}, woken at {:?} of {:?}, {:?}, holds {desired:?}, routes {:?}",
            self.0.index,
            self.0.id,
            keeper.is_resting(),
            keeper.is_draining(),
            state.wakes_at,
            keeper.wakes_at(),
            keeper.census(),
            keeper.routes().owners,
        )
    }

    /// What it did.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who owns `unit`, as far as the node knows.
    fn route(&self, unit: Unit) -> Option<Route> {
        self.lock().keeper.routes().owners.get(&unit).copied()
    }

    // ---- The Keeper ----

    fn tell(&self, event: Event) {
        let mut state = self.lock();
        if shows_others(&event) {
            // The records are others than we know: all of them are read again.
            state.changes = None;
        }
        let effects = state.keeper.step(self.0.world.now(), event);
        drop(state);
        for effect in effects {
            self.carry_out(effect);
        }
        self.arm();
    }

    /// Sees to it that the Keeper is woken in time.
    fn arm(&self) {
        let mut state = self.lock();
        let wakes_at = state.keeper.wakes_at();
        if wakes_at == Duration::MAX || state.wakes_at.is_some_and(|armed| armed <= wakes_at) {
            return;
        }
        state.wakes_at = Some(wakes_at);
        drop(state);
        let node = self.clone();
        self.spawn(async move {
            let wait = wakes_at.saturating_sub(node.0.world.now());
            node.0.world.sleep(wait).await;
            let is_current = node.lock().wakes_at == Some(wakes_at);
            if is_current {
                node.lock().wakes_at = None;
                node.tell(Event::Tick);
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.world.spawn(Some(self.0.index), task);
    }

    /// Lets a task run that ends in an event.
    fn ask(&self, task: impl Future<Output = Event> + Send + 'static) {
        let node = self.clone();
        self.spawn(async move { node.tell(task.await) });
    }

    fn carry_out(&self, effect: Effect) {
        let pieces = self.0.pieces.clone();
        match effect {
            Effect::Heartbeat(record) => {
                let (node, begun) = (self.clone(), self.0.world.now());
                self.spawn(async move {
                    let is_committed = pieces.beat(&record).await;
                    let is_awake_again = is_committed && node.0.time.beaten(begun);
                    node.tell(Event::HeartbeatEnded {
                        seq: record.seq,
                        is_committed,
                    });
                    if is_awake_again {
                        node.go_on_everywhere();
                    }
                });
            }
            Effect::Look => self.look(),
            Effect::Claim(claim) => self.ask(async move {
                let outcome = pieces.claim(&claim).await;
                Event::ClaimEnded { claim, outcome }
            }),
            Effect::Release { unit, fence, .. } => self.release(unit, fence),
            Effect::Begin {
                unit,
                fence,
                was_active,
            } => self.begin(unit, fence, was_active),
            Effect::End { unit, fence } => self.end(unit, fence),
            Effect::Rest => {
                self.lock().is_resting = true;
                pieces.rest(true);
            }
            Effect::Resume => {
                self.lock().is_resting = false;
                pieces.rest(false);
                self.go_on_everywhere();
            }
            Effect::Routes => {}
            Effect::Forget(record) => self.spawn(async move { pieces.forget(&record).await }),
            Effect::Leave => self.ask(async move {
                Event::LeaveEnded {
                    is_committed: pieces.leave().await,
                }
            }),
        }
    }

    fn look(&self) {
        let (node, begun) = (self.clone(), self.0.world.now());
        self.0.time.look_begins();
        let known = self.lock().changes.clone();
        self.spawn(async move {
            let look = node.0.pieces.look(begun, known.as_ref()).await;
            let confirmed = node.0.time.look_ends();
            let Some(look) = look else {
                return node.tell(Event::LookFailed);
            };
            node.lock().changes = look.changes;
            node.tell(Event::Looked(look.tables));
            if look.is_ordered_out && !node.is_draining() {
                node.drain();
            }
            // What the look showed to be others' has ended: what is left is ours.
            if node.0.time.looked(confirmed) {
                node.go_on_everywhere();
            }
        });
    }

    fn go_on_everywhere(&self) {
        let partitions: Vec<PartitionId> = self.lock().slots.keys().copied().collect();
        partitions.into_iter().for_each(|one| self.go_on(one));
    }

    fn release(&self, unit: Unit, fence: Fence) {
        let node = self.clone();
        self.ask(async move {
            match unit {
                Unit::Partition(partition) => node.let_go_of_partition(partition, fence).await,
                Unit::Shard(shard) => {
                    // However it ended: if others hold it, the release says so.
                    let _is_ours = node.0.pieces.let_go(shard).await;
                }
            }
            let outcome: ReleaseOutcome = node.0.pieces.release(unit, fence).await;
            Event::ReleaseEnded {
                unit,
                fence,
                outcome,
            }
        });
    }

    fn begin(&self, unit: Unit, fence: Fence, was_active: bool) {
        self.believe(unit, fence, true);
        self.lock().counts.takeovers += usize::from(was_active);
        match unit {
            Unit::Partition(partition) => self.begin_partition(partition, fence),
            Unit::Shard(shard) => self.0.pieces.take_on(shard, fence, was_active),
        }
    }

    fn end(&self, unit: Unit, fence: Fence) {
        let is_over = match unit {
            Unit::Partition(partition) => self.end_partition(partition, fence),
            Unit::Shard(shard) => {
                let is_it = self.0.pieces.tenure(shard) == Some(fence);
                self.0.pieces.gone(shard, fence);
                is_it
            }
        };
        if is_over {
            self.believe(unit, fence, false);
        }
    }

    /// With the fence switched off, the node takes what it believes to hold for held.
    fn believe(&self, unit: Unit, fence: Fence, is_held: bool) {
        let record = Ownership {
            fence,
            node: self.0.id,
            is_active: true,
        };
        let (key, row) = ownership_row(unit, &record);
        self.0.store.believe(key, is_held.then_some(row));
    }
}

/// Whether a commit found records of owners that are others than the Keeper knows.
const fn shows_others(event: &Event) -> bool {
    match event {
        Event::Fenced { .. } => true,
        Event::ClaimEnded { outcome, .. } => !matches!(outcome, ClaimOutcome::Taken),
        Event::ReleaseEnded { outcome, .. } => !matches!(outcome, ReleaseOutcome::Released),
        _ => false,
    }
}

fn answer(reply: oneshot::Sender<Outcome>, outcome: Outcome) {
    let _nobody_waits = reply.send(outcome);
}

const fn moved() -> Outcome {
    Err(CallFailure::Moved(None))
}

/// The failure of what nobody answered.
#[must_use]
pub fn unanswered() -> CallFailure {
    CallFailure::Away(ServiceError::unavailable("no answer"))
}
