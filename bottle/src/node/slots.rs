//! Partitions at work: a queue, what is known of the accounts, and one commit on its way, a batch of
//! requests or a page of the intake in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::bottled::{Asked, BatchEnd, Batched};
use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, CallFailure, Event, Fence, PartitionId};
use mesh_common::limits::BATCH_OPERATIONS_MAX;
use tokio::sync::oneshot;

use super::intakes::Drain;
use super::{Node, Outcome, answer, moved, unanswered};

/// How long a release waits for the batch in flight (cluster §4.3).
const RELEASE_WAITS: Duration = Duration::from_secs(4);
/// Requests that wait for one partition.
const WAITING_MAX: usize = 256;
/// Time to the next try to find out what earlier batches did.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// What is known of accounts.
pub(super) type Standings = HashMap<AccountAddress, Arc<Standing>>;

/// A request, and where its answer goes.
pub(super) struct Ask {
    request: AccountRequest,
    reply: oneshot::Sender<Outcome>,
}

/// A partition at work.
pub(super) struct Slot {
    pub(super) fence: Fence,
    waiting: VecDeque<Ask>,
    pub(super) standings: Standings,
    /// Whether a commit is on its way.
    pub(super) is_busy: bool,
    pub(super) is_leaving: bool,
    /// Whether it is not known yet what earlier batches of this node did.
    is_doubtful: bool,
    pub(super) drain: Drain,
}

impl Node {
    /// A request arrives. Its answer comes when there is one.
    pub fn perform(&self, request: AccountRequest, reply: oneshot::Sender<Outcome>) {
        let partition = PartitionId::of(&request.account);
        let route = self.route(partition.into());
        let mut state = self.lock();
        let is_resting = state.is_resting;
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

    /// The Post of another service arrives: the owner decides, or it is left for the owner.
    pub fn receive(&self, request: AccountRequest, reply: oneshot::Sender<Outcome>) {
        let node = self.clone();
        self.spawn(async move {
            let (at_home, ended) = oneshot::channel();
            node.perform(request.clone(), at_home);
            let outcome = ended.await.unwrap_or_else(|_| Err(unanswered()));
            let outcome = match outcome {
                Err(CallFailure::Away(_) | CallFailure::Moved(_)) => {
                    let left = node.0.pieces.receive_meanwhile(request).await;
                    node.lock().counts.left += usize::from(left.is_ok());
                    left
                }
                outcome => outcome,
            };
            answer(reply, outcome);
        });
    }

    // ---- Coming and going ----

    pub(super) fn begin_partition(&self, partition: PartitionId, fence: Fence) {
        let slot = Slot {
            fence,
            waiting: VecDeque::new(),
            standings: HashMap::new(),
            is_busy: false,
            is_leaving: false,
            is_doubtful: true,
            drain: Drain::due(),
        };
        self.lock().slots.insert(partition, slot);
        let node = self.clone();
        self.spawn(async move {
            while !node.0.pieces.settle_doubts(partition).await {
                node.0.world.sleep(RETRY_TIME).await;
            }
            let is_it = node.with_slot(partition, fence, |slot| slot.is_doubtful = false);
            if is_it.is_some() {
                node.go_on(partition);
            }
        });
    }

    /// Whether it was ours by this claim.
    pub(super) fn end_partition(&self, partition: PartitionId, fence: Fence) -> bool {
        let mut state = self.lock();
        let slot = state.slots.get(&partition);
        if slot.is_none_or(|slot| slot.fence != fence) {
            return false;
        }
        let slot = state.slots.remove(&partition);
        drop(state);
        for ask in slot.into_iter().flat_map(|slot| slot.waiting) {
            answer(ask.reply, moved());
        }
        true
    }

    /// Takes no more work for the partition, and waits for the commit on its way.
    pub(super) async fn let_go_of_partition(&self, partition: PartitionId, fence: Fence) {
        let is_done = async {
            while self.stop(partition, fence) {
                self.0.world.sleep(Duration::from_millis(5)).await;
            }
        };
        let _in_time = self.0.world.within(RELEASE_WAITS, is_done).await;
    }

    /// Takes no more work for the partition. Whether a commit is on its way.
    fn stop(&self, partition: PartitionId, fence: Fence) -> bool {
        let stopped = self.with_slot(partition, fence, |slot| {
            slot.is_leaving = true;
            let waiting = slot.waiting.drain(..);
            waiting.for_each(|ask| answer(ask.reply, moved()));
            slot.is_busy
        });
        stopped.unwrap_or_default()
    }

    /// What `change` says of the slot that is ours by this claim.
    pub(super) fn with_slot<T>(
        &self,
        partition: PartitionId,
        fence: Fence,
        change: impl FnOnce(&mut Slot) -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        let slot = state.slots.get_mut(&partition);
        slot.filter(|slot| slot.fence == fence).map(change)
    }

    // ---- Batches ----

    /// Begins what can be begun: a look at the intake beside everything, and one commit.
    pub(super) fn go_on(&self, partition: PartitionId) {
        let mut state = self.lock();
        let is_resting = state.is_resting;
        let Some(slot) = state.slots.get_mut(&partition) else {
            return;
        };
        let is_awake = self.0.pieces.is_awake();
        if is_resting || !is_awake || slot.is_leaving || slot.is_doubtful {
            return;
        }
        let fence = slot.fence;
        let looks = slot.drain.begin_look();
        let drains_first = !slot.drain.had_turn && slot.drain.is_ready();
        let is_free = !slot.is_busy;
        let asks = if is_free && !drains_first {
            let count = slot.waiting.len().min(BATCH_OPERATIONS_MAX);
            slot.waiting.drain(..count).collect()
        } else {
            Vec::new()
        };
        let mut ready = None;
        if !asks.is_empty() {
            slot.drain.had_turn = false;
        } else if is_free {
            ready = slot.drain.begin_commit();
        }
        slot.is_busy |= !asks.is_empty() || ready.is_some();
        let standings = slot.standings.clone();
        drop(state);
        let node = self.clone();
        if !asks.is_empty() {
            self.spawn(async move { node.batch(partition, fence, asks, standings).await });
        } else if let Some(ready) = ready {
            self.spawn(async move { node.drain_page(partition, fence, ready, standings).await });
        }
        if looks {
            let node = self.clone();
            self.spawn(async move { node.look_into_intake(partition, fence).await });
        }
    }

    async fn batch(
        &self,
        partition: PartitionId,
        fence: Fence,
        asks: Vec<Ask>,
        mut standings: Standings,
    ) {
        self.work(asks.len()).await;
        let accounts = asks.iter().map(|ask| &ask.request.account);
        self.load(accounts, &mut standings).await;
        let (asked, replies) = self.consider(asks, &standings).await;
        let pieces = &self.0.pieces;
        let batched = pieces
            .commit(partition, fence, asked, standings.clone())
            .await;
        self.committed(partition, fence, &batched, standings);
        for (reply, outcome) in replies.into_iter().zip(batched.answers) {
            answer(reply, outcome);
        }
        self.ended(partition, fence, batched.end);
    }

    /// Finds out what is judged beside the requests; those for which that cannot be are answered.
    async fn consider(
        &self,
        asks: Vec<Ask>,
        standings: &Standings,
    ) -> (Vec<Asked>, Vec<oneshot::Sender<Outcome>>) {
        let (mut asked, mut replies) = (Vec::new(), Vec::new());
        for Ask { request, reply } in asks {
            let considered = match standings.get(&request.account) {
                Some(standing) => self.0.pieces.consider(request, standing).await,
                None => Err(unanswered()),
            };
            match considered {
                Ok(one) => {
                    asked.push(one);
                    replies.push(reply);
                }
                Err(failure) => answer(reply, Err(failure)),
            }
        }
        (asked, replies)
    }

    /// Reads the accounts that are not known.
    pub(super) async fn load(
        &self,
        accounts: impl Iterator<Item = &AccountAddress>,
        standings: &mut Standings,
    ) {
        for address in accounts {
            if !standings.contains_key(address)
                && let Some(standing) = self.0.pieces.standing(address).await
            {
                standings.insert(address.clone(), Arc::new(standing));
            }
        }
    }

    fn committed(
        &self,
        partition: PartitionId,
        fence: Fence,
        batched: &Batched,
        loaded: Standings,
    ) {
        self.with_slot(partition, fence, |slot| {
            slot.is_busy = false;
            slot.standings.extend(loaded);
            slot.standings.extend(batched.standings.iter().cloned());
        });
    }

    /// A commit is over: what is not known to have ended must not land after what comes next; a claim
    /// anew sees to that.
    pub(super) fn ended(&self, partition: PartitionId, fence: Fence, end: BatchEnd) {
        self.lock().counts.fenced += usize::from(end == BatchEnd::Fenced);
        if matches!(end, BatchEnd::Fenced | BatchEnd::Unknown) {
            let unit = partition.into();
            self.tell(Event::Fenced { unit, fence });
        }
        self.go_on(partition);
    }

    /// Takes the processor for so many operations.
    pub(super) async fn work(&self, operations: usize) {
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
