//! The parts of a node that read and commit, for a world in which everything else is simulated
//! (cluster §20): the same code that partitions and the node's loop run, without actors, threads or
//! timers. Only with the feature `bottle`, which nothing but tests has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::keeper::{Claim, ClaimOutcome, ReleaseOutcome, Tables};
use mesh_common::cluster::{
    AccountRequest, Answer, CallFailure, Fence, NodeId, NodeRecord, Ownership, PartitionId, Unit,
    Verified,
};
use mesh_common::delivery::ShardId;
use mesh_common::entropy::Entropy;
use mesh_common::error::ServiceError;
use mesh_common::limits::INTAKE_ENTRIES_MAX;
use mesh_common::time::Clock;
use tokio::sync::oneshot;

pub use self::inspection::{
    deliveries, frames, is_anything_ordered, is_empty, is_memory, is_order, leftovers, ordered_out,
    owner_of_write, ownership_in, ownership_row, quarantined, queued, standing,
};
use crate::backlog;
use crate::bell;
use crate::cluster::claims;
use crate::cluster::level::StoreLevel;
use crate::config::BackendConfig;
use crate::inbound;
use crate::node::{LEVELS, Parts, StartError};
use crate::outbound::bell::QueueBell;
use crate::outbound::shards::{Ended, Shards};
use crate::outbound::{Carrier, OutboundConfig, dispatch};
use crate::pace::Pace;
pub use crate::pace::Passing;
use crate::partition::commands::{Beside, Operation, Outcome};
use crate::partition::drain::{self, DrainError, Exceptions};
use crate::partition::shared::{Shared, SharedEntropy};
use crate::partition::{Claimant, Fenced, batch, doubts};
use crate::service_keys::ServiceKeys;
use crate::store::{ProbeError, Store};

mod inspection;
mod orders;

/// One node's access to the store; see the module.
pub struct Bottled<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Bottled<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What a look at the tables showed.
pub struct Looked {
    /// Nodes and owners.
    pub tables: Tables,
    /// What the key of changes held.
    pub changes: Option<Bytes>,
    /// Whether this node was ordered to leave.
    pub is_ordered_out: bool,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchEnd {
    /// It is durable, or had nothing to write.
    Committed,
    /// Somebody else owns the partition.
    Fenced,
    /// It is not durable, and cannot become so.
    Failed,
    /// Nobody knows: it may be durable, or become so until the partition is claimed anew.
    Unknown,
}

/// A request with everything that it is judged by, and where its answer goes.
pub struct Asked {
    operation: Operation,
    answer: oneshot::Receiver<Outcome>,
}

/// The oldest entries of an intake.
pub struct IntakePage(drain::Page);

impl IntakePage {
    /// For whom they are.
    #[must_use]
    pub fn accounts(&self) -> HashSet<AccountAddress> {
        self.0.accounts()
    }
}

/// A page with everything that is made beside its owner.
pub struct IntakeReady(drain::Prepared);

/// What came of a drain.
pub struct Drained {
    /// How its commit ended.
    pub end: BatchEnd,
    /// The accounts that it changed, as they are now.
    pub standings: Vec<(AccountAddress, Arc<Standing>)>,
    /// Entries that are in the intake no more.
    pub entries: usize,
    /// Whether there is more to be drained at once.
    pub more: bool,
}

/// What came of a batch.
pub struct Batched {
    /// How it ended.
    pub end: BatchEnd,
    /// The answer to each request, in their order.
    pub answers: Vec<Result<Answer, CallFailure>>,
    /// The accounts that it changed, as they are now.
    pub standings: Vec<(AccountAddress, Arc<Standing>)>,
}

impl<S: Store> Bottled<S> {
    /// Opens `store` as the node `node` of the first generation, in the time of `world`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(
        store: S,
        node: NodeId,
        (clock, world): (Arc<dyn Clock>, Arc<dyn Passing>),
        entropy: impl Entropy + Send + 'static,
        keys: ServiceKeys,
        config: BackendConfig,
    ) -> Result<Self, StartError> {
        let parts = Parts {
            config,
            store,
            clock,
            entropy: SharedEntropy::new(entropy),
            keys,
            levels: LEVELS,
        };
        let claimant = Claimant {
            generation: 1,
            node,
        };
        let shared = Shared {
            pace: Pace::World(world),
            shards: Shards::one_by_one(),
            queue_bell: QueueBell::of_none(),
            ..parts
                .share((claimant, StoreLevel::new(LEVELS, LEVELS.0)), None)
                .await?
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    // ---- The node ----

    /// Reads the tables of nodes and owners, that of owners only if the key of changes holds something else than
    /// `known`. None if the store cannot be read.
    pub async fn look(&self, begun: Duration, known: Option<&Bytes>) -> Option<Looked> {
        let look = claims::look_at_tables(&self.shared.store, begun, known).await;
        let look = look.ok()?;
        Some(Looked {
            is_ordered_out: look.ordered_out.contains_key(&self.shared.claimant.node),
            tables: look.tables,
            changes: look.route,
        })
    }

    /// Says that the node lives. Whether it is known to be committed.
    pub async fn beat(&self, record: &NodeRecord) -> bool {
        let beat = claims::beat_blindly(&self.shared.store, self.shared.writing(), record);
        beat.await == claims::Beat::Committed
    }

    /// Commits a claim.
    pub async fn claim(&self, claim: &Claim) -> ClaimOutcome {
        claims::claim(&self.shared.store, self.shared.writing(), claim).await
    }

    /// Lets go of `unit`, held by `fence`.
    pub async fn release(&self, unit: Unit, fence: Fence) -> ReleaseOutcome {
        let held = self.held(fence);
        claims::release(&self.shared.store, self.shared.writing(), unit, &held).await
    }

    /// Removes the node's record. Whether it is known to be gone.
    pub async fn leave(&self) -> bool {
        let node = self.shared.claimant.node;
        claims::leave(&self.shared.store, self.shared.writing(), node).await
    }

    /// Removes the record of a dead node.
    pub async fn forget(&self, record: &NodeRecord) {
        claims::forget(&self.shared.store, self.shared.writing(), record).await;
    }

    /// What is committed under `address`; none if it cannot be read.
    pub async fn standing(&self, address: &AccountAddress) -> Option<Standing> {
        standing(&self.shared.store, address).await
    }

    /// Whether nobody can have taken anything from the node, as far as it knows.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.shared.is_awake()
    }

    // ---- Batches ----

    /// What a request is judged by that the owner does not look for itself: `standing` is its account's.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn consider(
        &self,
        request: AccountRequest,
        standing: &Standing,
    ) -> Result<Asked, CallFailure> {
        let request = Arc::new(Verified::declare(request));
        let beside = if request.evidence.forwarded().is_some() {
            let beside = inbound::beside(&self.shared, standing, &request).await;
            beside.map_err(|error| error.to_refusal())?
        } else {
            Beside::default()
        };
        let (operation, answer) = Operation::forwarded(request, beside);
        Ok(Asked { operation, answer })
    }

    /// Decides what was asked on top of `standings`, which must have its accounts, and commits what
    /// follows as one batch.
    pub async fn commit(
        &self,
        partition: PartitionId,
        fence: Fence,
        asked: Vec<Asked>,
        standings: HashMap<AccountAddress, Arc<Standing>>,
    ) -> Batched {
        let asked = asked.into_iter().map(|one| (one.operation, one.answer));
        let (operations, mut replies): (Vec<_>, Vec<_>) = asked.unzip();
        let finished = batch::run(&self.shared, partition, fence, operations, standings).await;
        let away = || CallFailure::Away(ServiceError::unavailable("not known to be carried out"));
        let (end, standings) = match finished.result {
            Ok(committed) => {
                for (operation, outcome) in committed.answers {
                    operation.answer(outcome);
                }
                (BatchEnd::Committed, committed.standings)
            }
            Err(failure) => (end_of(&failure.error), Vec::new()),
        };
        drop(finished.left);
        let answers = replies
            .iter_mut()
            .map(|reply| reply.try_recv().unwrap_or_else(|_| Err(away())));
        Batched {
            end,
            answers: answers.collect(),
            standings,
        }
    }

    /// Finds out what of earlier batches of this node for `partition` landed: to be called behind a
    /// claim, before anything is written. Whether it is known.
    pub async fn settle_doubts(&self, partition: PartitionId) -> bool {
        !self.shared.doubts.are_about(partition)
            || doubts::settle(&self.shared, partition).await.is_ok()
    }

    // ---- Intakes ----

    /// Leaves what a service posted for the owner of the recipient's account.
    ///
    /// # Errors
    /// See [`CallFailure`].
    pub async fn receive_meanwhile(&self, request: AccountRequest) -> Outcome {
        let request = Verified::declare(request);
        inbound::receive_meanwhile(&self.shared, &request).await
    }

    /// The partitions with something in their intakes, as the look shows; `is_ours` says whose they are.
    pub async fn waiting(&self, is_ours: impl Fn(PartitionId) -> bool) -> Vec<PartitionId> {
        let now = self.shared.now();
        let Ok(found) = bell::look(&self.shared.store).await else {
            return Vec::new();
        };
        // What is not learned now is by the next look.
        let shared = &self.shared;
        let _unread = backlog::mind(&shared.store, &shared.backlogs, now, &found).await;
        found.into_keys().filter(|one| is_ours(*one)).collect()
    }

    /// Waits until this node left something in intakes, and says in which.
    pub async fn rung(&self) -> BTreeSet<PartitionId> {
        self.shared.bell.rung().await;
        self.shared.bell.take()
    }

    /// The oldest entries of the intake of `partition`; none if it is empty, or cannot be read.
    pub async fn open_intake(&self, partition: PartitionId) -> Option<IntakePage> {
        let page = drain::look(&self.shared, partition, INTAKE_ENTRIES_MAX).await;
        let page = page.ok().filter(|page| !page.is_empty());
        if page.is_none() {
            self.shared.backlogs.drained(partition);
        }
        page.map(IntakePage)
    }

    /// Makes what a page is decided by, beside its owner; none if the store cannot be read.
    pub async fn prepare(
        &self,
        page: IntakePage,
        standings: HashMap<AccountAddress, Arc<Standing>>,
    ) -> Option<IntakeReady> {
        let prepared = drain::prepare(&self.shared, page.0, standings).await;
        prepared.ok().map(IntakeReady)
    }

    /// Decides the entries of a page on top of `standings`, which must have their accounts, and commits
    /// what follows.
    pub async fn drain(
        &self,
        partition: PartitionId,
        fence: Fence,
        ready: IntakeReady,
        standings: HashMap<AccountAddress, Arc<Standing>>,
    ) -> Drained {
        let (shared, exceptions) = (&self.shared, Exceptions::default());
        let drained = drain::run(shared, partition, fence, ready.0, standings, exceptions).await;
        match drained {
            Ok(drained) => Drained {
                end: BatchEnd::Committed,
                standings: drained.standings,
                entries: drained.entries,
                more: drained.more,
            },
            Err(error) => Drained {
                end: match &error {
                    DrainError::Commit(error) => end_of(error),
                    DrainError::Read(_) => BatchEnd::Failed,
                },
                standings: Vec::new(),
                entries: 0,
                more: false,
            },
        }
    }

    // ---- Shards ----

    /// Empties the queues of the shards that are held through `carrier`, for as long as it is polled.
    pub async fn dispatch(&self, carrier: Arc<dyn Carrier>) {
        dispatch(Arc::clone(&self.shared), carrier, OutboundConfig::default()).await;
    }

    /// This node has claimed `shard`, and is to work for it.
    pub fn take_on(&self, shard: ShardId, fence: Fence, was_active: bool) {
        let held = self.held(fence);
        self.shared.shards.take_on(shard, held, was_active);
    }

    /// Has `shard` let go of, and waits until nothing of it is under way. Whether the record is to be
    /// released then.
    pub async fn let_go(&self, shard: ShardId) -> bool {
        let ended = self.shared.shards.let_go(shard, &self.shared.pace).await;
        ended == Ended::LetGo
    }

    /// `shard` is not ours any more by the claim of `fence`.
    pub fn gone(&self, shard: ShardId, fence: Fence) {
        self.shared.shards.gone(shard, fence);
    }

    /// Waits until commits were refused since others hold shards, and says which.
    pub async fn lost(&self) -> BTreeMap<ShardId, Fence> {
        self.shared.shards.lost().await
    }

    /// Has nothing new begun for shards, or again.
    pub fn rest(&self, is_resting: bool) {
        self.shared.shards.rest(is_resting);
    }

    /// By which claim `shard` is held here.
    #[must_use]
    pub fn tenure(&self, shard: ShardId) -> Option<Fence> {
        let tenures = self.shared.shards.tenures();
        tenures.get(&shard).map(|one| one.ownership.fence)
    }

    /// Waits until this node queued something for shards that others work for, and says for which.
    pub async fn rung_abroad(&self) -> BTreeSet<ShardId> {
        self.shared.queue_bell.rung_abroad().await;
        self.shared.queue_bell.take_abroad().queues
    }

    /// Others say that something was queued for these shards.
    pub fn nudged(&self, shards: impl IntoIterator<Item = ShardId>) {
        self.shared.queue_bell.nudged(shards);
    }

    fn held(&self, fence: Fence) -> Ownership {
        Ownership {
            fence,
            node: self.shared.claimant.node,
            is_active: true,
        }
    }
}

const fn end_of(error: &ProbeError<Fenced>) -> BatchEnd {
    match error {
        ProbeError::Refused(Fenced) => BatchEnd::Fenced,
        ProbeError::Unresolved(_) => BatchEnd::Unknown,
        ProbeError::NotCommitted(_) | ProbeError::Store(_) => BatchEnd::Failed,
    }
}
