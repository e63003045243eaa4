//! One node: a Keeper, and for each partition that is its own a queue, what it knows of the accounts,
//! and one batch on its way. What it decides and commits by is the service's own code; what is
//! simulated is that it runs at all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_backend::bottled::{BatchEnd, Batched, Bottled, ownership_row};
use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{
    AccountRequest, Answer, CallFailure, Effect, Event, Fence, Keeper, NodeId, Ownership,
    PartitionId, ReleaseOutcome, Tables, Unit,
};
use mesh_common::error::ServiceError;
use mesh_common::limits::BATCH_OPERATIONS_MAX;
use tokio::sync::oneshot;

use crate::store::NodeStore;
use crate::world::World;

/// How long a release waits for the batch in flight (cluster §4.3).
const RELEASE_WAITS: Duration = Duration::from_secs(4);
/// Requests that wait for one partition.
const WAITING_MAX: usize = 256;

/// What a request comes to.
pub type Outcome = Result<Answer, CallFailure>;

/// A request, and where its answer goes.
struct Ask {
    request: AccountRequest,
    reply: oneshot::Sender<Outcome>,
}

/// A partition at work.
struct Slot {
    fence: Fence,
    waiting: VecDeque<Ask>,
    standings: HashMap<AccountAddress, Arc<Standing>>,
    is_busy: bool,
    is_leaving: bool,
}

struct State {
    keeper: Keeper,
    /// When the Keeper is to be woken.
    wakes_at: Option<Duration>,
    slots: BTreeMap<PartitionId, Slot>,
    is_resting: bool,
    /// Until when the processor is busy.
    busy_until: Duration,
    takeovers: usize,
    fenced: usize,
}

/// A handle on one node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    index: usize,
    id: NodeId,
    world: World,
    store: NodeStore,
    pieces: Bottled<NodeStore>,
    /// What one operation takes of the processor.
    operation_time: Duration,
    state: Mutex<State>,
}

impl Node {
    /// Starts the node, which is the `index`th of this world.
    pub fn start(
        index: usize,
        world: World,
        store: NodeStore,
        pieces: Bottled<NodeStore>,
        keeper: Keeper,
        operation_time: Duration,
    ) -> Self {
        let state = State {
            wakes_at: None,
            slots: BTreeMap::new(),
            is_resting: true,
            busy_until: Duration::ZERO,
            takeovers: 0,
            fenced: 0,
            keeper,
        };
        let node = Self(Arc::new(Inner {
            index,
            id: state.keeper.node(),
            world,
            store,
            pieces,
            operation_time,
            state: Mutex::new(state),
        }));
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

    /// How many partitions it took from nodes that had not let go, and how many batches were fenced.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.takeovers, state.fenced)
    }

    /// A request arrives. Its answer comes when there is one.
    pub fn perform(&self, request: AccountRequest, reply: oneshot::Sender<Outcome>) {
        let partition = PartitionId::of(&request.account);
        let mut state = self.lock();
        let is_resting = state.is_resting;
        let route = state.keeper.routes().owners.get(&partition.into()).copied();
        let slot = state.slots.get_mut(&partition);
        let Some(slot) = slot.filter(|slot| !slot.is_leaving) else {
            return answer(reply, Err(CallFailure::Moved(route)));
        };
        if is_resting || slot.waiting.len() >= WAITING_MAX {
            return answer(reply, Err(CallFailure::Busy(Duration::from_secs(1))));
        }
        slot.waiting.push_back(Ask { request, reply });
        drop(state);
        self.go_on(partition);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- The Keeper ----

    fn tell(&self, event: Event) {
        let effects = self.lock().keeper.step(self.0.world.now(), event);
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
            Effect::Heartbeat(record) => self.ask(async move {
                Event::HeartbeatEnded {
                    seq: record.seq,
                    is_committed: pieces.beat(&record).await,
                }
            }),
            Effect::Look => {
                let begun = self.0.world.now();
                self.ask(async move {
                    let tables: Option<Tables> = pieces.look(begun).await;
                    tables.map_or(Event::LookFailed, Event::Looked)
                });
            }
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
            Effect::Rest => self.lock().is_resting = true,
            Effect::Resume => {
                self.lock().is_resting = false;
                let partitions: Vec<PartitionId> = self.lock().slots.keys().copied().collect();
                partitions.into_iter().for_each(|one| self.go_on(one));
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

    fn release(&self, unit: Unit, fence: Fence) {
        let node = self.clone();
        self.ask(async move {
            let partition = partition_of(unit);
            let is_done = async {
                while node.stop(partition, fence) {
                    node.0.world.sleep(Duration::from_millis(5)).await;
                }
            };
            let _in_time = node.0.world.within(RELEASE_WAITS, is_done).await;
            let outcome: ReleaseOutcome = node.0.pieces.release(unit, fence).await;
            Event::ReleaseEnded {
                unit,
                fence,
                outcome,
            }
        });
    }

    /// Takes no more work for the partition. Whether a batch is on its way.
    fn stop(&self, partition: PartitionId, fence: Fence) -> bool {
        let mut state = self.lock();
        let slot = state.slots.get_mut(&partition);
        let Some(slot) = slot.filter(|slot| slot.fence == fence) else {
            return false;
        };
        slot.is_leaving = true;
        let waiting = slot.waiting.drain(..);
        waiting.for_each(|ask| answer(ask.reply, moved()));
        slot.is_busy
    }

    fn begin(&self, unit: Unit, fence: Fence, was_active: bool) {
        let record = Ownership {
            fence,
            node: self.0.id,
            is_active: true,
        };
        let (key, row) = ownership_row(unit, &record);
        self.0.store.believe(key, Some(row));
        let mut state = self.lock();
        state.takeovers += usize::from(was_active);
        let slot = Slot {
            fence,
            waiting: VecDeque::new(),
            standings: HashMap::new(),
            is_busy: false,
            is_leaving: false,
        };
        state.slots.insert(partition_of(unit), slot);
    }

    fn end(&self, unit: Unit, fence: Fence) {
        let mut state = self.lock();
        let partition = partition_of(unit);
        let slot = state.slots.get(&partition);
        if slot.is_none_or(|slot| slot.fence != fence) {
            return;
        }
        let Some(slot) = state.slots.remove(&partition) else {
            return;
        };
        drop(state);
        let nobody = Ownership {
            fence,
            node: self.0.id,
            is_active: false,
        };
        self.0.store.believe(ownership_row(unit, &nobody).0, None);
        for ask in slot.waiting {
            answer(ask.reply, moved());
        }
    }

    // ---- Batches ----

    /// Begins a batch, if there is work and none is on its way.
    fn go_on(&self, partition: PartitionId) {
        let mut state = self.lock();
        if state.is_resting {
            return;
        }
        let Some(slot) = state.slots.get_mut(&partition) else {
            return;
        };
        if slot.is_busy || slot.is_leaving || slot.waiting.is_empty() {
            return;
        }
        slot.is_busy = true;
        let count = slot.waiting.len().min(BATCH_OPERATIONS_MAX);
        let asks: Vec<Ask> = slot.waiting.drain(..count).collect();
        let (fence, standings) = (slot.fence, slot.standings.clone());
        drop(state);
        let node = self.clone();
        self.spawn(async move { node.batch(partition, fence, asks, standings).await });
    }

    async fn batch(
        &self,
        partition: PartitionId,
        fence: Fence,
        asks: Vec<Ask>,
        mut standings: HashMap<AccountAddress, Arc<Standing>>,
    ) {
        self.work(asks.len()).await;
        for ask in &asks {
            let address = &ask.request.account;
            if !standings.contains_key(address)
                && let Some(standing) = self.0.pieces.standing(address).await
            {
                standings.insert(address.clone(), Arc::new(standing));
            }
        }
        let (requests, replies): (Vec<_>, Vec<_>) =
            asks.into_iter().map(|ask| (ask.request, ask.reply)).unzip();
        let pieces = &self.0.pieces;
        let batched = pieces
            .commit(partition, fence, requests, standings.clone())
            .await;
        self.committed(partition, fence, &batched, standings);
        for (reply, outcome) in replies.into_iter().zip(batched.answers) {
            answer(reply, outcome);
        }
        if matches!(batched.end, BatchEnd::Fenced | BatchEnd::Unknown) {
            // What is not known to have ended must not land after what comes next: a claim anew sees
            // to that.
            let unit = partition.into();
            self.tell(Event::Fenced { unit, fence });
        }
        self.go_on(partition);
    }

    fn committed(
        &self,
        partition: PartitionId,
        fence: Fence,
        batched: &Batched,
        loaded: HashMap<AccountAddress, Arc<Standing>>,
    ) {
        let mut state = self.lock();
        state.fenced += usize::from(batched.end == BatchEnd::Fenced);
        let slot = state.slots.get_mut(&partition);
        let Some(slot) = slot.filter(|slot| slot.fence == fence) else {
            return;
        };
        slot.is_busy = false;
        slot.standings.extend(loaded);
        slot.standings.extend(batched.standings.iter().cloned());
    }

    /// Takes the processor for so many operations.
    async fn work(&self, operations: usize) {
        let time = self.enter(operations);
        self.0.world.sleep(time).await;
    }

    /// How long it takes until the processor has done so many operations more.
    fn enter(&self, operations: usize) -> Duration {
        let mut state = self.lock();
        let now = self.0.world.now();
        let operations = u32::try_from(operations).unwrap_or(u32::MAX);
        state.busy_until = state.busy_until.max(now) + self.0.operation_time * operations;
        state.busy_until - now
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

fn partition_of(unit: Unit) -> PartitionId {
    match unit {
        Unit::Partition(partition) => partition,
        Unit::Shard(shard) => PartitionId(shard.0),
    }
}
