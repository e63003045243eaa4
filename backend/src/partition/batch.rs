//! Natural batching (cluster §7.1): waiting operations become one batch, decided one after the other
//! in memory against what the earlier ones of the batch will have done, and committed together.
//!
//! ```text
//!  operations ─▶ Draft::plan ─▶ rows, standings, answers held back ─▶ commit ─▶ Committed
//!                    │                                                    │
//!                    └─▶ answers that depend on nothing planned           └─▶ Failure
//! ```
//!
//! What is queued for other services is spent of what this node was granted (`crate::escrow`), where other nodes
//! queue too: what a batch is short of is asked for before it is planned.
//!
//! One client's conflict is decided before the batch is built, so it never aborts another's write. A
//! refusal that rests on something planned is held back until that is durable.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mesh_common::account::{
    Decision, DomainRoom, Lookups, Standing, Tip, Transition, UsageChange, decide, needs,
};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{CallFailure, Fence, PartitionId};
use mesh_common::delivery::QueueScope;
use mesh_common::error::ServiceError;
use mesh_common::escrow::HolderId;
use mesh_common::limits::BATCH_BYTES_MAX;
use mesh_common::protocol::Code;

use super::commands::{Operation, Outcome, contained};
use super::ownership::{Fenced, check_fence};
use super::reading;
use super::records::{self, BatchId, Rows};
use super::shared::Shared;
use crate::commits::Place;
use crate::escrow::{self, Unspent};
use crate::store::keys::{self, AccountKeys};
use crate::store::{
    self, Landing, Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions,
    commit_with_probe,
};
use crate::usage::{Met, UsageDraft};

mod failing;
mod spending;

use self::failing::is_about_the_batch;
pub(crate) use self::failing::{is_conflict, is_too_large, refusal_of};

/// An account while a batch is planned.
struct Working {
    standing: Arc<Standing>,
    /// What this batch will have done to it so far.
    transitions: Vec<Transition>,
}

/// A batch in the making.
pub(crate) struct Draft {
    id: BatchId,
    working: HashMap<AccountAddress, Working>,
    rows: Rows,
    bytes: usize,
    /// Answers that wait for the commit, in order of arrival.
    held: Vec<(Operation, Outcome)>,
    /// What did not fit any more.
    left: Vec<Operation>,
    /// Accounts in whose handling something panicked.
    tainted: Vec<AccountAddress>,
    /// Whom what it queues is charged to, where other nodes queue too.
    holder: Option<HolderId>,
    /// What it makes of what domains use.
    usage: UsageDraft,
}

/// What became of an operation that was to be added.
enum Added {
    /// It is in the batch, or waits for the next one, or is refused.
    Done,
    /// These limits are met: it is decided again, knowing that.
    Full(Operation, BTreeSet<QueueScope>),
    /// A limit of the domain is met: it is decided again, knowing that.
    Met(Operation, Met),
}

/// What became of a batch.
pub(crate) struct Finished {
    pub(crate) result: Result<Committed, Failure>,
    /// Operations to be taken again, before all others.
    pub(crate) left: Vec<Operation>,
    /// Accounts to be loaded anew.
    pub(crate) tainted: Vec<AccountAddress>,
}

/// A batch that is durable, or had nothing to write.
#[derive(Default)]
pub(crate) struct Committed {
    /// Accounts as they are now.
    pub(crate) standings: Vec<(AccountAddress, Arc<Standing>)>,
    /// Answers that may go out once the standings are believed.
    pub(crate) answers: Vec<(Operation, Outcome)>,
}

/// A batch that is not known to be durable.
pub(crate) struct Failure {
    /// Its operations, with the answers that would have been.
    pub(crate) operations: Vec<Operation>,
    /// What is known.
    pub(crate) error: ProbeError<Fenced>,
}

/// Plans `operations` and commits them. Operations are answered at once where nothing planned stands
/// behind the answer.
///
/// # Cancellation
/// Leaves the result unknown: whoever drops this must claim the partition anew.
pub(crate) async fn run<S: Store>(
    shared: &Shared<S>,
    partition: PartitionId,
    fence: Fence,
    operations: Vec<Operation>,
    standings: HashMap<AccountAddress, Arc<Standing>>,
) -> Finished {
    let usage = UsageDraft::new(partition, fence);
    let mut draft = Draft::new(BatchId::draw(&mut shared.entropy.clone()), standings, usage);
    draft.prepare(shared, &operations).await;
    let mut operations = operations.into_iter();
    let tx = shared.store.begin(TxOptions::default());
    for operation in operations.by_ref() {
        draft.plan(shared, &tx, operation).await;
        if !draft.left.is_empty() {
            break;
        }
    }
    drop(tx);
    draft.left.extend(operations);
    draft.commit(shared, partition, fence).await
}

impl Draft {
    fn new(
        id: BatchId,
        standings: HashMap<AccountAddress, Arc<Standing>>,
        usage: UsageDraft,
    ) -> Self {
        let working = |(address, standing)| {
            let working = Working {
                standing,
                transitions: Vec::new(),
            };
            (address, working)
        };
        Self {
            id,
            working: standings.into_iter().map(working).collect(),
            rows: Rows::default(),
            bytes: 0,
            held: Vec::new(),
            left: Vec::new(),
            tainted: Vec::new(),
            holder: None,
            usage,
        }
    }

    /// Decides one operation on top of what is planned.
    async fn plan<S: Store>(&mut self, shared: &Shared<S>, tx: &S::Tx, operation: Operation) {
        if operation.is_late(shared.now()) {
            return operation.refuse(too_late());
        }
        let Some(working) = self.working.get(operation.account()) else {
            return self.left.push(operation);
        };
        let lookups = match lookups(shared, tx, working, &operation).await {
            Ok(lookups) => lookups,
            Err(error) => {
                shared
                    .metrics
                    .store_errors
                    .with_label_values(&["read"])
                    .inc();
                return operation.refuse(error.to_refusal());
            }
        };
        let mut lookups = lookups;
        let mut operation = operation;
        // Once more for each kind of limit that is met and that only the store knew of: then it is refused.
        for _ in 0..4 {
            match self.decide(shared, operation, &lookups).await {
                Added::Done => return,
                Added::Full(refused, scopes) => {
                    let met = scopes.into_iter().map(|scope| (scope, u64::MAX / 2));
                    lookups.waiting.extend(met);
                    operation = refused;
                }
                Added::Met(refused, met) => {
                    match met {
                        Met::Accounts => lookups.is_domain_full = true,
                        Met::Room(room) => lookups.room = room,
                    }
                    operation = refused;
                }
            }
        }
        self.left.push(operation);
    }

    /// Decides one operation by what it needed to know.
    async fn decide<S: Store>(
        &mut self,
        shared: &Shared<S>,
        operation: Operation,
        lookups: &Lookups,
    ) -> Added {
        let Some(working) = self.working.get(operation.account()) else {
            self.left.push(operation);
            return Added::Done;
        };
        let decided = contained(|| {
            #[cfg(test)]
            shared.trip(&operation);
            decide(
                &working.standing,
                operation.request(),
                lookups,
                shared.config.policy_of(operation.account()),
                shared.now(),
                &mut shared.entropy.clone(),
            )
        });
        match decided {
            None => self.panicked(shared, operation),
            Some(Decision::Answer(answer)) => self.hold(shared, operation, Ok(*answer)),
            Some(Decision::Report { answer, incidents }) => {
                report_incidents(operation.account(), &incidents);
                self.hold(shared, operation, Ok(*answer));
            }
            Some(Decision::Stale) => self.hold(shared, operation, Err(CallFailure::Stale)),
            Some(Decision::Commit(transition)) => {
                let is_told = lookups.room != DomainRoom::default();
                return self.add(shared, operation, *transition, is_told).await;
            }
            Some(Decision::Read(_)) => operation.refuse(ServiceError::internal(
                "a request that reads frames came to the queue of writes",
            )),
        }
        Added::Done
    }

    /// Adds a transition, or leaves its operation for the next batch when this one is full.
    async fn add<S: Store>(
        &mut self,
        shared: &Shared<S>,
        operation: Operation,
        mut transition: Transition,
        is_told: bool,
    ) -> Added {
        let bytes = transition.bytes();
        if !self.rows.is_empty() && self.bytes + bytes > BATCH_BYTES_MAX {
            self.left.push(operation);
            return Added::Done;
        }
        let Some(working) = self.working.get(operation.account()) else {
            self.left.push(operation);
            return Added::Done;
        };
        spending::charge(&mut transition, self.holder);
        let (id, tip_before) = (self.id, tip_of(&working.standing));
        let applied = contained(|| {
            let mut next = Standing::clone(&working.standing);
            next.apply(&transition);
            let mut more = Rows::default();
            more.add(&transition, id, tip_before);
            more.arm_retention(&transition, shared.config.retention_interval());
            (next, more)
        });
        let Some((next, more)) = applied else {
            self.panicked(shared, operation);
            return Added::Done;
        };
        let change = UsageChange::of(&working.standing, &next, &transition);
        let domain = operation.account().domain();
        match self.usage.weigh(shared, domain, change, is_told).await {
            Ok(None) => {}
            Ok(Some(met)) => return Added::Met(operation, met),
            Err(error) => {
                operation.refuse(error.to_refusal());
                return Added::Done;
            }
        }
        if !more.queued().is_empty() {
            match self.spend(shared, &operation, more.queued()).await {
                Ok(()) => {}
                Err(Unspent::Full(scopes)) => return Added::Full(operation, scopes),
                Err(Unspent::Again) => {
                    self.left.push(operation);
                    return Added::Done;
                }
                Err(Unspent::Store(cause)) => {
                    operation.refuse(ServiceError::unavailable(cause));
                    return Added::Done;
                }
            }
            let (partition, tip) = (transition.account.partition(), transition.account);
            let (tip, notes) = (AccountKeys::of(tip).tip(), more.queued().to_vec());
            shared.doubts.begin(partition, id, tip, notes);
        }
        self.usage.add(operation.account().domain(), change);
        self.rows.extend(more);
        self.bytes += bytes;
        let answer = transition.answer.clone();
        if let Some(working) = self.working.get_mut(operation.account()) {
            working.standing = Arc::new(next);
            working.transitions.push(transition);
        }
        self.held.push((operation, Ok(answer)));
        Added::Done
    }

    /// Answers at once, or with the commit when the answer rests on something planned. What rests on
    /// memory alone is not answered by a process that has slept: it may be the owner no more, and no
    /// fence would tell.
    fn hold<S: Store>(&mut self, shared: &Shared<S>, operation: Operation, outcome: Outcome) {
        let rests_on_plan = self
            .working
            .get(operation.account())
            .is_some_and(|working| !working.transitions.is_empty());
        if rests_on_plan {
            self.held.push((operation, outcome));
        } else if !shared.is_awake() {
            self.left.push(operation);
        } else {
            operation.answer(outcome);
        }
    }

    fn panicked<S: Store>(&mut self, shared: &Shared<S>, operation: Operation) {
        shared
            .metrics
            .panics
            .with_label_values(&["operation"])
            .inc();
        tracing::error!(
            account = %operation.account(),
            transaction = operation.request().request.transaction().request_tag(),
            "an operation panicked; its account is loaded anew"
        );
        self.tainted.push(operation.account().clone());
        operation.refuse(ServiceError::internal("the operation panicked"));
    }

    async fn commit<S: Store>(
        self,
        shared: &Shared<S>,
        partition: PartitionId,
        fence: Fence,
    ) -> Finished {
        let (left, tainted) = (self.left, self.tainted);
        let mut result = Ok(());
        if !self.rows.is_empty() {
            let touched = self
                .working
                .values()
                .find_map(|one| one.transitions.first());
            let plan = BatchPlan {
                fence_key: keys::part(partition),
                partition,
                fence,
                shared,
                rows: &self.rows,
                mark: touched.map(|one| Mark::Tip(AccountKeys::of(one.account).tip(), self.id)),
                holder: self.holder.filter(|_| !self.rows.queued().is_empty()),
                usage: &self.usage,
            };
            let operations = self.held.len();
            shared.metrics.batch_operations.observe(operations as f64);
            shared.metrics.batch_bytes.observe(self.rows.bytes() as f64);
            let landing = commit(shared, &plan).await;
            spending::tell_queues(shared, partition, self.id, &self.rows, &landing);
            self.usage.settle(shared, landing.is_ok());
            if is_conflict(&landing) && self.usage.may_be_overtaken() {
                // Others were faster: it is decided again, by what they made of the domain.
                let held = self.held.into_iter().map(|(one, _)| one);
                return Finished {
                    result: Ok(Committed::default()),
                    left: held.chain(left).collect(),
                    tainted,
                };
            }
            result = landing.map(|_| ());
        }
        if result.is_ok() {
            self.rows.left_for().for_each(|one| shared.bell.ring(one));
            let committed = self.working.values().flat_map(|one| &one.transitions);
            for transition in committed {
                report_incidents(&transition.address, &transition.incidents);
            }
        }
        let result = match result {
            Ok(()) => Ok(Committed {
                standings: self
                    .working
                    .into_iter()
                    .filter(|(_, working)| !working.transitions.is_empty())
                    .map(|(address, working)| (address, working.standing))
                    .collect(),
                answers: self.held,
            }),
            Err(error) => Err(Failure {
                operations: self.held.into_iter().map(|(one, _)| one).collect(),
                error,
            }),
        };
        Finished {
            result,
            left,
            tainted,
        }
    }
}

/// Tells the operator what happened to an account that somebody should look at.
fn report_incidents(account: &AccountAddress, incidents: &[String]) {
    for incident in incidents {
        tracing::warn!(account = %account, incident, "incident");
    }
}

/// What the operation needs to know: rows of the store, then those that the batch will have written.
async fn lookups<S: Store>(
    shared: &Shared<S>,
    tx: &S::Tx,
    working: &Working,
    operation: &Operation,
) -> Result<Lookups, reading::ReadError> {
    let needs = needs(&working.standing, operation.request());
    let account = working.standing.account_id();
    let mut lookups = reading::look_up(tx, account, &needs).await?;
    // Where other nodes queue too, what may be queued is what can be granted: that is asked for later.
    if shared.escrow.is_none() {
        lookups.waiting = shared.depths.waiting(&needs.waiting);
    }
    lookups.closed = shared.backlogs.closed_to(operation.request());
    lookups.contacts.clone_from(&operation.beside().contacts);
    lookups.service_level = operation.beside().service_level;
    for transition in &working.transitions {
        if Some(transition.account) == account {
            lookups.absorb(transition);
        }
    }
    Ok(lookups)
}

fn tip_of(standing: &Standing) -> Tip {
    standing
        .account()
        .map(|state| state.tip)
        .unwrap_or_default()
}

/// The refusal of what came or waited too long.
pub(crate) fn too_late() -> ServiceError {
    ServiceError::new(Code::Timeout, "the request was not carried out in time")
}

/// Commits under the fence once there is a place among the commits of the process, measures, and says whether the store is well.
pub(crate) async fn commit<S: Store, P: Plan<S, Refusal = Fenced>>(
    shared: &Shared<S>,
    plan: &P,
) -> Result<Landing, ProbeError<Fenced>> {
    let place = shared.commits.place().await;
    commit_in(shared, plan, place).await
}

/// The same in a place that is taken already.
pub(crate) async fn commit_in<S: Store, P: Plan<S, Refusal = Fenced>>(
    shared: &Shared<S>,
    plan: &P,
    place: Place,
) -> Result<Landing, ProbeError<Fenced>> {
    let metrics = &shared.metrics;
    let seconds = |result| metrics.commit_seconds.with_label_values(&[result]);
    let timer = seconds("committed").start_timer();
    let result = commit_with_probe(&shared.store, shared.writing(), plan).await;
    drop(place);
    let elapsed = timer.stop_and_discard();
    match &result {
        Ok(landing) => {
            let label = match landing {
                Landing::Answered(_) => "committed",
                Landing::Found => "found",
            };
            seconds(label).observe(elapsed);
            shared.health.up(metrics);
        }
        Err(ProbeError::Refused(Fenced)) => {
            seconds("fenced").observe(elapsed);
            metrics.fence_rejections.inc();
        }
        Err(error) => {
            let label = match error {
                ProbeError::Unresolved(_) => "unknown",
                _ => "failed",
            };
            seconds(label).observe(elapsed);
            metrics.store_errors.with_label_values(&["commit"]).inc();
            if !is_about_the_batch(error) {
                shared.health.down(metrics, error);
            }
        }
    }
    result
}

/// Rows that land together, under the fence of their partition.
pub(crate) struct BatchPlan<'a, S> {
    pub(crate) fence_key: Vec<u8>,
    pub(crate) partition: PartitionId,
    pub(crate) fence: Fence,
    pub(crate) shared: &'a Shared<S>,
    pub(crate) rows: &'a Rows,
    /// What shows that the rows have landed. Without one they may be written again: they are
    /// absolute.
    pub(crate) mark: Option<Mark>,
    /// Whom what is queued is charged to: if it is closed, nothing lands.
    pub(crate) holder: Option<HolderId>,
    /// What the rows make of what domains use.
    pub(crate) usage: &'a UsageDraft,
}

/// What shows that rows have landed.
#[derive(Debug)]
pub(crate) enum Mark {
    /// This tip carries the batch's id.
    Tip(Vec<u8>, BatchId),
    /// This key, which only the owner clears, is no longer there.
    Gone(Vec<u8>),
}

impl<S: Store> Plan<S> for BatchPlan<'_, S> {
    type Refusal = Fenced;

    fn fence_key(&self) -> &[u8] {
        &self.fence_key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Fenced>> {
        let (claimant, now) = (&self.shared.claimant, self.shared.now());
        let link = self.shared.chains.take(self.partition, self.fence, now);
        match link {
            // The commit depends on the record, like every plan on its fence.
            Some(version) => tx.set_read_version(version),
            None => check_fence(tx, self.partition, self.fence, claimant.node).await?,
        }
        if let Some(Mark::Tip(key, _) | Mark::Gone(key)) = &self.mark {
            tx.read_conflict(key);
        }
        if let (Some(holder), Some(escrow)) = (self.holder, &self.shared.escrow)
            && !escrow::may_spend(tx, holder).await?
        {
            escrow.renew(self.shared, holder);
            return Err(PlanError::Outdated);
        }
        self.rows.fill(tx, self.shared.intakes());
        self.usage.fill(self.shared, tx, link.is_some()).await
    }

    fn answered(&self, committed: &store::Committed) {
        let (shared, version) = (self.shared, committed.version);
        let now = shared.now();
        shared
            .chains
            .remember(self.partition, self.fence, version, now);
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        match &self.mark {
            None => Ok(false),
            Some(Mark::Gone(key)) => Ok(tx.get(key, Read::Snapshot).await?.is_none()),
            Some(Mark::Tip(tip, id)) => {
                let found = tx.get(tip, Read::Snapshot).await?;
                Ok(
                    found
                        .is_some_and(|row| records::tip(&row).is_ok_and(|(found, _)| found == *id)),
                )
            }
        }
    }
}
