//! The back-end as its callers hold it: finds the partition of an account, starts it if need be, asks
//! it, and waits no longer than the deadline (architecture A-2, decision Q-66).
//!
//! Requests that write go to the partition's queue. Requests that only read get the account as it is
//! committed, from what its partition shows or, if it is not in memory, from the partition; everything
//! else (lookups, deciding, reading frames) happens on the caller's time.

mod holding;
mod rounds;
pub(crate) mod waking;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use actix::prelude::*;
use mesh_common::account::connect::{Publication, publication, publication_needs};
use mesh_common::account::{Decision, Lookups, Standing, decide, needs};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend, CallFailure, Fence, PartitionId, SigningKeys, Verified, Watch,
};
use mesh_common::delivery::ShardId;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{Code, Request, Transaction};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use tokio::sync::{Notify, oneshot};

use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::partition::commands::{Beside, Operation, Outcome, Perform, View, contained_future};
use crate::partition::reading::{self, ReadError};
use crate::partition::shared::Shared;
use crate::partition::{PartitionActor, contacts, too_late};
use crate::store::{Store, TxOptions};

/// A running back-end. Cloning names the same one.
pub struct BackendHandle<S: Store> {
    pub(crate) inner: Arc<Inner<S>>,
}

impl<S: Store> Clone for BackendHandle<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S: Store> std::fmt::Debug for BackendHandle<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BackendHandle")
            .finish_non_exhaustive()
    }
}

/// What all clones of a handle name.
pub(crate) struct Inner<S: Store> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) partitions: Vec<Mutex<Slot<S>>>,
    threads: Vec<ArbiterHandle>,
    /// The same threads, until they are ended.
    arbiters: Mutex<Vec<Arbiter>>,
    pub(crate) is_stopping: AtomicBool,
    /// Told when there may be something in intakes that have come to be ours.
    pub(crate) intakes_unknown: Arc<Notify>,
    /// Told when other partitions are ours than before.
    pub(crate) owned_changed: Arc<Notify>,
    /// The queue to other services, once it is emptied from here.
    pub(crate) outbound: OnceLock<Outbound<S>>,
}

/// Where a partition runs, if it does.
pub(crate) struct Slot<S: Store> {
    pub(crate) running: Option<Addr<PartitionActor<S>>>,
    /// The claim that the node has made, until the first actor takes it. Every later one claims anew,
    /// or has the node do so, since a commit of the one before it may still be on its way.
    pub(crate) fence: Option<Fence>,
    /// The claim by which it is ours.
    held: Option<Fence>,
    /// Whether it takes work: it is ours, and is not being let go of.
    pub(crate) is_open: bool,
}

/// Why a partition takes no command.
#[derive(Debug)]
pub(crate) enum NotHere {
    /// It is not ours.
    Moved(CallFailure),
    /// It is, and does not answer.
    Away(ServiceError),
}

impl From<NotHere> for CallFailure {
    fn from(reason: NotHere) -> Self {
        match reason {
            NotHere::Moved(failure) => failure,
            NotHere::Away(error) => Self::Refused(error),
        }
    }
}

impl<S: Store> BackendHandle<S> {
    /// The handle of a node that owns the partitions with a fence; there is a place for each partition.
    pub(crate) fn over(shared: Shared<S>, fences: Vec<Option<Fence>>) -> Self {
        let arbiters: Vec<Arbiter> = (0..shared.config.threads())
            .map(|_| Arbiter::new())
            .collect();
        let partitions = fences
            .into_iter()
            .map(|fence| {
                Mutex::new(Slot {
                    running: None,
                    is_open: fence.is_some(),
                    held: fence,
                    fence,
                })
            })
            .collect();
        let inner = Arc::new(Inner {
            shared: Arc::new(shared),
            partitions,
            threads: arbiters.iter().map(Arbiter::handle).collect(),
            arbiters: Mutex::new(arbiters),
            is_stopping: AtomicBool::new(false),
            intakes_unknown: Arc::default(),
            owned_changed: Arc::default(),
            outbound: OnceLock::new(),
        });
        inner.begin_rounds();
        inner.begin_nudging();
        inner.begin_minding_others();
        inner.begin_waking();
        Self { inner }
    }

    /// The store everything is kept in.
    #[must_use]
    pub fn store(&self) -> S {
        self.inner.shared.store.clone()
    }

    /// The measures of this back-end.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.shared.metrics
    }
}

#[cfg(test)]
impl<S: Store> BackendHandle<S> {
    /// Waits until the owner of `account` has taken every command that was sent to it before. A read
    /// does not tell: it may not reach the owner at all.
    pub(crate) async fn commands_taken(&self, account: &AccountAddress) {
        let answered = self.inner.view(account, true).await;
        assert!(answered.is_ok(), "the owner answers");
    }

    /// The same for the owner of a partition that shows nothing at present.
    pub(crate) async fn commands_taken_in(&self, partition: PartitionId) {
        tokio::task::yield_now().await;
        let taken = self
            .inner
            .send(partition, crate::partition::commands::Wake)
            .await;
        assert!(taken.is_ok(), "the owner takes commands");
    }

    /// Waits until every owner that runs shows what its last drain committed.
    pub(crate) async fn drains_are_shown(&self) {
        let running = (0..).map(PartitionId).zip(&self.inner.partitions);
        let running = running.filter(|(_, slot)| lock(slot).running.is_some());
        for partition in running.map(|(one, _)| one).collect::<Vec<_>>() {
            let (reply, shown) = oneshot::channel();
            let drain = crate::partition::commands::Drain { reply: Some(reply) };
            if self.inner.send(partition, drain).await.is_ok() {
                // It may end meanwhile, and then shows what the store has.
                let _ended = shown.await;
            }
        }
    }

    /// Whether the partition takes work here.
    pub(crate) fn is_open(&self, partition: PartitionId) -> bool {
        lock(&self.inner.partitions[usize::from(partition.0)]).is_open
    }
}

impl<S: Store> Inner<S> {
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// The actor of `partition`, started if it does not run.
    fn actor(&self, partition: PartitionId) -> Result<Addr<PartitionActor<S>>, NotHere> {
        if self.is_stopping() {
            let error = ServiceError::unavailable("the back-end is stopping");
            return Err(NotHere::Away(error));
        }
        let place = usize::from(partition.0);
        let mut slot = lock(&self.partitions[place]);
        if !slot.is_open || !self.shared.owns(partition) {
            return Err(NotHere::Moved(self.shared.moved(partition)));
        }
        if let Some(running) = slot.running.as_ref().filter(|running| running.connected()) {
            return Ok(running.clone());
        }
        if slot.running.is_some() {
            let panics = &self.shared.metrics.panics;
            panics.with_label_values(&["partition"]).inc();
            tracing::error!(
                partition = partition.0,
                "a partition ended and is started anew"
            );
            if let Some(membership) = &self.shared.membership {
                // Its last commit may still land: the node has to claim the partition anew.
                slot.is_open = false;
                membership.in_doubt(partition);
                return Err(NotHere::Moved(self.shared.moved(partition)));
            }
        }
        let (shared, fence) = (Arc::clone(&self.shared), slot.fence.take());
        let thread = &self.threads[place % self.threads.len()];
        let started = PartitionActor::start_in_arbiter(thread, move |_| {
            PartitionActor::new(shared, partition, fence)
        });
        slot.running = Some(started.clone());
        Ok(started)
    }

    pub(crate) async fn send<M>(&self, partition: PartitionId, command: M) -> Result<(), NotHere>
    where
        M: Message<Result = ()> + Send + 'static,
        PartitionActor<S>: Handler<M> + Actor<Context = Context<PartitionActor<S>>>,
    {
        let sent = self.actor(partition)?.send(command).await;
        let Err(error) = sent else { return Ok(()) };
        if self.shared.membership.is_some() {
            // Nothing was begun. It broke, which is found out here, or it is let go of.
            let moved = || NotHere::Moved(self.shared.moved(partition));
            return Err(self.actor(partition).err().unwrap_or_else(moved));
        }
        Err(NotHere::Away(ServiceError::unavailable(format!(
            "the partition ended: {error}"
        ))))
    }

    pub(crate) async fn view(
        &self,
        account: &AccountAddress,
        is_for_keys: bool,
    ) -> Result<Arc<Standing>, ServiceError> {
        let partition = PartitionId::of(account);
        if !self.shared.serves(partition) {
            return Box::pin(self.view_of_store(account)).await;
        }
        // The cache of keys is the owner's to fill, in the order of its commits.
        if !is_for_keys && !self.is_stopping() {
            let shown = self.shared.shown(partition);
            if let Some(standing) = shown.used(account, self.shared.now()) {
                return Ok(standing);
            }
        }
        // A box of its own for the longer way, as below: the future of a read stays small.
        Box::pin(self.view_of_owner(partition, account, is_for_keys)).await
    }

    async fn view_of_owner(
        &self,
        partition: PartitionId,
        account: &AccountAddress,
        is_for_keys: bool,
    ) -> Result<Arc<Standing>, ServiceError> {
        let (reply, shown) = oneshot::channel();
        let view = View {
            account: account.clone(),
            is_for_keys,
            reply,
        };
        let unanswered = match self.send(partition, view).await {
            Ok(()) => match shown.await {
                Ok(seen) => return seen,
                Err(_) => ServiceError::unavailable("the partition ended"),
            },
            Err(NotHere::Away(error)) => error,
            Err(NotHere::Moved(_)) => ServiceError::unavailable("the partition has moved"),
        };
        if self.shared.membership.is_some() && !self.is_stopping() {
            // It may have gone to another node meanwhile.
            return self.view_of_store(account).await;
        }
        Err(unanswered)
    }

    /// An account whose partition is not surely ours, as it is committed: read for one request, and kept
    /// by nobody.
    async fn view_of_store(&self, account: &AccountAddress) -> Result<Arc<Standing>, ServiceError> {
        let tx = self.shared.store.begin(TxOptions::default());
        let standing = reading::standing(&tx, account).await;
        standing.map(Arc::new).map_err(|error| error.to_refusal())
    }

    /// Waits for `work` until `deadline`.
    pub(crate) async fn in_time<T, E: From<ServiceError>>(
        &self,
        deadline: Timestamp,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let left = deadline.since(self.shared.now());
        if left.is_zero() {
            return Err(too_late().into());
        }
        tokio::time::timeout(left, work)
            .await
            .unwrap_or_else(|_| Err(too_late().into()))
    }

    async fn write(&self, request: Verified<AccountRequest>) -> Outcome {
        let partition = PartitionId::of(&request.account);
        if !self.shared.owns(partition) {
            return Err(self.shared.moved(partition));
        }
        let (operation, answer) = if is_for_others(&request) {
            let beside = self.beside_post(&request).await?;
            Operation::forwarded(Arc::new(request), beside)
        } else {
            Operation::new(request)
        };
        self.send(partition, Perform(operation)).await?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// What a Post to others is judged by besides the account: what the account's own contacts say of
    /// its recipients (service §7.2), read here since that takes arithmetic.
    async fn beside_post(&self, request: &AccountRequest) -> Result<Beside, ServiceError> {
        let standing = self.view(&request.account, false).await?;
        let Some(state) = standing.account() else {
            return Ok(Beside::default());
        };
        let contacts = contacts::index_of(&self.shared, state).await;
        Ok(Beside {
            contacts: Some(contacts.map_err(|error| error.to_refusal())?),
            ..Beside::default()
        })
    }

    async fn read(&self, request: &Verified<AccountRequest>) -> Outcome {
        let standing = self.view(&request.account, false).await?;
        let answer = contained_future(self.read_from(&standing, request)).await;
        answer.unwrap_or_else(|| {
            let panics = &self.shared.metrics.panics;
            panics.with_label_values(&["operation"]).inc();
            Err(ServiceError::internal("a read panicked").into())
        })
    }

    async fn read_from(&self, standing: &Standing, request: &Verified<AccountRequest>) -> Outcome {
        let shared = &self.shared;
        let refusal = |error: ReadError| CallFailure::Refused(error.to_refusal());
        let needs = needs(standing, request);
        let account = standing.account_id();
        // A polling device's Status needs nothing, so it does not even open a transaction.
        let lookups = if needs.is_empty() {
            Lookups::default()
        } else {
            let tx = shared.store.begin(TxOptions::default());
            let found = Box::pin(reading::look_up(&tx, account, &needs)).await;
            found.map_err(refusal)?
        };
        let policy = shared.config.policy_of(&request.account);
        let mut entropy = shared.entropy.clone();
        let decision = decide(
            standing,
            request,
            &lookups,
            policy,
            shared.now(),
            &mut entropy,
        );
        match (decision, account) {
            (Decision::Answer(answer), _) => Ok(*answer),
            (Decision::Stale, _) => Err(CallFailure::Stale),
            (Decision::Read(plan), Some(account)) => {
                let store = &shared.store;
                Box::pin(reading::download(store, account, *plan))
                    .await
                    .map_err(refusal)
            }
            (Decision::Read(_) | Decision::Commit(_) | Decision::Report { .. }, _) => Err(
                ServiceError::internal("a request that only reads was decided otherwise").into(),
            ),
        }
    }

    async fn published(
        &self,
        account: &AccountAddress,
        id: &Udf,
    ) -> Result<Option<Publication>, ServiceError> {
        let shared = &self.shared;
        let policy = shared.config.policy_of(account);
        if !policy.connections.hails(account) {
            return Ok(None);
        }
        let standing = self.view(account, false).await?;
        let Some(state) = standing.account() else {
            return Ok(None);
        };
        let tx = shared.store.begin(TxOptions::default());
        let needs = publication_needs(state, policy, id);
        let lookups = reading::look_up(&tx, standing.account_id(), &needs)
            .await
            .map_err(|error| error.to_refusal())?;
        Ok(publication(state, policy, id, &lookups))
    }

    /// A further thread, ended with the others.
    pub(crate) fn keep_thread(&self, arbiter: Arbiter) {
        let mut arbiters = self.arbiters.lock().unwrap_or_else(PoisonError::into_inner);
        arbiters.push(arbiter);
    }

    /// Tells all threads to end; whoever gets them may wait for it.
    pub(crate) fn end_threads(&self) -> Vec<Arbiter> {
        let mut arbiters = self.arbiters.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = std::mem::take(&mut *arbiters);
        for arbiter in &ending {
            arbiter.stop();
        }
        ending
    }
}

/// The slot of a partition. A thread that panicked while it held one left it whole.
pub(crate) fn lock<S: Store>(slot: &Mutex<Slot<S>>) -> MutexGuard<'_, Slot<S>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Store> Drop for Inner<S> {
    fn drop(&mut self) {
        self.end_threads();
    }
}

impl<S: Store> Backend for BackendHandle<S> {
    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>> {
        Box::pin(async move {
            let inner = &self.inner;
            let partition = PartitionId::of(account);
            if inner.shared.serves(partition)
                && let Some(known) = inner.shared.signing_keys.get(account)
                && known.epoch == inner.shared.epoch(partition)
            {
                return Ok(Some(known.keys.clone()));
            }
            let standing = inner.in_time(deadline, inner.view(account, true)).await?;
            Ok(standing.signing_keys().cloned())
        })
    }

    fn perform(&self, request: Verified<AccountRequest>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let (inner, deadline) = (&self.inner, request.deadline);
            let transaction = request.request.transaction();
            let outcome = if only_reads(transaction) {
                inner.in_time(deadline, inner.read(&request)).await
            } else {
                Box::pin(inner.in_time(deadline, inner.write(request))).await
            };
            count(&inner.shared.metrics, transaction, &outcome);
            outcome
        })
    }

    fn receive(&self, request: Verified<AccountRequest>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let (inner, deadline) = (&self.inner, request.deadline);
            let outcome = inner.in_time(deadline, inner.receive(request)).await;
            let labels = [&status_of(&outcome)];
            let forwarded = &inner.shared.metrics.forwarded;
            forwarded.with_label_values(&labels).inc();
            outcome
        })
    }

    fn heard_from(&self, domain: &str) {
        let shared = &self.inner.shared;
        if !shared.queue_bell.is_home(ShardId::of(domain)) {
            return shared.queue_bell.heard_abroad(domain);
        }
        // Where others queue too, whoever works for the destination knows best whether anything waits.
        let is_known = shared.shards.are_shared();
        if is_known || shared.depths.of_destination(domain).items > 0 {
            shared.heard.ring(domain.to_owned());
        }
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        let (shared, partition) = (&self.inner.shared, PartitionId::of(account));
        // What is committed elsewhere cannot be watched here.
        let is_ours = shared.owns(partition);
        let watch = is_ours.then(|| shared.shown(partition).watch(account));
        Box::pin(std::future::ready(watch.flatten()))
    }

    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>> {
        Box::pin(
            self.inner
                .in_time(deadline, self.inner.published(account, id)),
        )
    }
}

/// What is known of an operation whose partition ended over it: nothing.
pub(crate) fn ended() -> CallFailure {
    CallFailure::Away(ServiceError::unavailable("the partition ended"))
}

/// Whether a device posts to other accounts.
fn is_for_others(request: &AccountRequest) -> bool {
    matches!(&request.request, Request::Post(post) if !post.accounts.is_empty())
}

/// Whether a transaction never writes, so that it needs no place in the queue.
const fn only_reads(transaction: Transaction) -> bool {
    match transaction {
        Transaction::Hello
        | Transaction::Status
        | Transaction::Download
        | Transaction::Complete => true,
        Transaction::CreateAccount
        | Transaction::DeleteAccount
        | Transaction::Upload
        | Transaction::Post
        | Transaction::Connect => false,
    }
}

/// Counts an outcome by transaction and code.
fn count(metrics: &Metrics, transaction: Transaction, outcome: &Outcome) {
    let labels = [transaction.request_tag(), &status_of(outcome)];
    metrics.operations.with_label_values(&labels).inc();
}

fn status_of(outcome: &Outcome) -> String {
    match outcome {
        Ok(Answer { response, .. }) => response
            .outcome()
            .code()
            .map_or_else(|| "other".to_owned(), status_text),
        Err(CallFailure::Refused(error) | CallFailure::Away(error)) => status_text(error.code),
        Err(CallFailure::Moved(_)) => "moved".to_owned(),
        Err(CallFailure::Busy(_)) => "busy".to_owned(),
        Err(CallFailure::Stale) => "stale".to_owned(),
    }
}

fn status_text(code: Code) -> String {
    match code.status_extended() {
        Some(extended) => format!("{}/{extended}", code.status()),
        None => code.status().to_string(),
    }
}
