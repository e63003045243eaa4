//! One partition at work: an actor around plain parts (architecture A-1, cluster §7.1).
//!
//! ```text
//!  Perform ─▶ Queue ──┐                       ┌─▶ believe, answer
//!                     ├─ take ─▶ batch::run ──┤
//!  View ──▶ Accounts ─┘  (one in flight)      └─▶ split, refuse, or claim anew
//!  Drain ─▶ draining ──── in turn with that
//! ```
//!
//! The actor only moves things between its parts and the futures that read, commit and claim. It
//! accepts commands while those run; nothing it does itself waits.
//!
//! Where the process has the store alone, the actor claims its partition anew when it is not sure of it.
//! A node of a cluster claims nothing here: an actor that is not sure says so and ends, what waits is
//! answered with `Moved`, and another actor begins once the node has claimed the partition again, if it
//! does (cluster §4.3).

mod claiming;
mod draining;
mod tending;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix::prelude::*;
use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::error::ServiceError;
use mesh_common::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX};
use mesh_common::protocol::Code;

use self::draining::Draining;
use self::tending::Tending;
use super::accounts::Accounts;
use super::batch::{self, Committed, Failure, Finished};
use super::commands::{Stop, View, Wake};
use super::queue::Queue;
use super::reading::{self, ReadError};
use super::shared::{Shared, chain};
use crate::store::{ProbeError, Store, TxOptions};

/// The owner of one partition.
pub(crate) struct PartitionActor<S: Store> {
    shared: Arc<Shared<S>>,
    partition: PartitionId,
    ownership: Claim,
    accounts: Accounts,
    /// Accounts that are being read from the store.
    loading: HashSet<AccountAddress>,
    /// Who waits for an account to be loaded.
    viewers: HashMap<AccountAddress, Vec<View>>,
    queue: Queue,
    flight: Flight,
    /// Operations of the next batch at most: halved while the store finds batches too large.
    operations_max: usize,
    tending: Tending,
    draining: Draining,
    stopping: Option<Stop>,
    /// Counts the times everything was forgotten: what was begun in an earlier life is ignored.
    life: u64,
}

/// Whether the partition is ours.
enum Claim {
    /// Nobody has claimed it in this life.
    None,
    /// The claim is being committed.
    Running,
    /// It is ours under this fence, but what an earlier owner of this node left in doubt is not known
    /// yet: nothing may be written before.
    Doubtful(Fence),
    /// It is ours under this fence.
    Held(Fence),
    /// The node does not own it any more, or does not know: this actor ends.
    Lost,
}

/// The one commit in flight.
enum Flight {
    None,
    /// A batch that touches these accounts.
    Batch(HashSet<AccountAddress>),
    Upkeep,
    Drain,
}

impl<S: Store> PartitionActor<S> {
    /// An owner of `partition`, which holds it under `fence` or claims it first.
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        partition: PartitionId,
        fence: Option<Fence>,
    ) -> Self {
        let config = &shared.config;
        let ownership = match fence {
            None => Claim::None,
            Some(fence) if shared.doubts.are_about(partition) => Claim::Doubtful(fence),
            Some(fence) => Claim::Held(fence),
        };
        Self {
            accounts: Accounts::new(
                config.partition_accounts_max,
                Arc::clone(&shared.accounts),
                Arc::clone(shared.shown(partition)),
            ),
            queue: Queue::new(config.partition_mailbox_max),
            shared,
            partition,
            ownership,
            loading: HashSet::new(),
            viewers: HashMap::new(),
            flight: Flight::None,
            operations_max: BATCH_OPERATIONS_MAX,
            tending: Tending::default(),
            draining: Draining::new(),
            stopping: None,
            life: 0,
        }
    }

    /// Begins whatever can be begun.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.notice_loss();
        if matches!(self.flight, Flight::None) {
            if let Some(Stop { refusal, reply }) = self.stopping.take() {
                // What did not fit into the last batch.
                self.answer_operations(&refusal);
                let _gone = reply.send(());
                return ctx.stop();
            }
            if matches!(self.ownership, Claim::Lost) {
                self.answer_operations(&self.shared.moved(self.partition));
                return ctx.stop();
            }
        }
        match self.ownership {
            Claim::None if self.has_work() => self.claim(ctx),
            Claim::Doubtful(fence) => self.settle_doubts(ctx, fence),
            Claim::None | Claim::Running | Claim::Lost => {}
            // Nobody knows whether we still own it: what is in flight goes on, nothing new begins.
            Claim::Held(_) if !self.shared.is_awake() => {}
            Claim::Held(fence) => {
                self.load_what_is_missing(ctx);
                self.begin_upkeep(ctx, fence);
                self.go_on_draining(ctx);
                self.take_turns(ctx, fence);
            }
        }
    }

    /// Operations of clients and entries of the intake share the one commit in flight: who had the
    /// last one waits behind the other.
    fn take_turns(&mut self, ctx: &mut Context<Self>, fence: Fence) {
        if self.draining.had_turn() {
            self.begin_batch(ctx, fence);
            self.begin_drain(ctx, fence);
        } else {
            self.begin_drain(ctx, fence);
            self.begin_batch(ctx, fence);
        }
    }

    fn has_work(&self) -> bool {
        let is_seen_to = |address| self.loading.contains(address);
        !self.queue.is_empty()
            || !self.viewers.keys().all(is_seen_to)
            || self.tending.is_due()
            || self.draining.has_work()
    }

    // ---- Accounts ----

    fn load_what_is_missing(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.queue.accounts().chain(self.viewers.keys());
        let wanted = wanted.chain(self.draining.accounts());
        let missing: HashSet<AccountAddress> = wanted
            .filter(|&address| !self.accounts.holds(address) && !self.loading.contains(address))
            .cloned()
            .collect();
        for address in missing {
            self.load(address, ctx);
        }
    }

    fn load(&mut self, address: AccountAddress, ctx: &mut Context<Self>) {
        self.loading.insert(address.clone());
        let (store, life) = (self.shared.store.clone(), self.life);
        let load = async move {
            let tx = store.begin(TxOptions::default());
            let found = reading::standing(&tx, &address).await;
            (address, life, found)
        };
        ctx.spawn(load.into_actor(self).map(Self::loaded));
    }

    fn loaded(
        (address, life, found): (AccountAddress, u64, Result<Standing, ReadError>),
        this: &mut Self,
        ctx: &mut Context<Self>,
    ) {
        if life != this.life {
            return this.go_on(ctx);
        }
        this.loading.remove(&address);
        match found {
            Ok(standing) => this.show(address, Arc::new(standing)),
            Err(error) => this.not_loaded(&address, &error),
        }
        this.go_on(ctx);
    }

    /// Shows a loaded account to those who wait for it, and keeps it.
    fn show(&mut self, address: AccountAddress, standing: Arc<Standing>) {
        for view in self.viewers.remove(&address).unwrap_or_default() {
            self.show_to(view, &standing);
        }
        let is_ours = matches!(self.ownership, Claim::Held(_));
        let is_awaited = self.queue.holds(&address) || self.draining.holds(&address);
        if is_ours && (standing.account().is_some() || is_awaited) {
            self.keep(address, standing);
        }
    }

    /// Shows an account; its keys may be kept as long as we own the partition.
    fn show_to(&self, view: View, standing: &Arc<Standing>) {
        let epoch = match self.ownership {
            Claim::Held(fence) if self.shared.membership.is_some() => fence.epoch,
            _ => 0,
        };
        view.show(standing, &self.shared.signing_keys, epoch);
    }

    fn not_loaded(&mut self, address: &AccountAddress, error: &ReadError) {
        let cause = chain(error);
        tracing::error!(account = %address, cause, "an account cannot be loaded");
        let errors = &self.shared.metrics.store_errors;
        errors.with_label_values(&["load"]).inc();
        let refusal = error.to_refusal();
        for operation in self.queue.remove(|one| one.account() == address) {
            operation.refuse(refusal.clone());
        }
        for view in self.viewers.remove(address).unwrap_or_default() {
            view.refuse(refusal.clone());
        }
        self.draining.not_loaded(address, error);
    }

    fn keep(&mut self, address: AccountAddress, standing: Arc<Standing>) {
        let (queue, flight, draining) = (&self.queue, &self.flight, &self.draining);
        self.accounts
            .keep(address, standing, self.shared.now(), |other| {
                queue.holds(other) || flight.holds(other) || draining.holds(other)
            });
    }

    // ---- Batches ----

    fn begin_batch(&mut self, ctx: &mut Context<Self>, fence: Fence) {
        if !matches!(self.flight, Flight::None) {
            return;
        }
        let now = self.shared.now();
        self.refuse_what_is_late(now);
        let is_overloaded = self.queue.is_overloaded(now);
        let (accounts, bytes_max) = (&self.accounts, BATCH_BYTES_MAX);
        let operations = self
            .queue
            .take(now, self.operations_max, bytes_max, |address| {
                accounts.holds(address)
            });
        if operations.is_empty() {
            return;
        }
        self.shared
            .metrics
            .mailbox
            .taken(&operations, now, is_overloaded);
        let mut standings = HashMap::new();
        for operation in &operations {
            let address = operation.account();
            if let Some(standing) = self.accounts.used(address, now) {
                standings.insert(address.clone(), standing);
            }
        }
        self.flight = Flight::Batch(standings.keys().cloned().collect());
        self.draining.batch_had_turn();
        let (shared, partition) = (Arc::clone(&self.shared), self.partition);
        let run = async move { batch::run(&shared, partition, fence, operations, standings).await };
        ctx.spawn(run.into_actor(self).map(Self::finished));
    }

    fn finished(finished: Finished, this: &mut Self, ctx: &mut Context<Self>) {
        let Flight::Batch(addresses) = std::mem::replace(&mut this.flight, Flight::None) else {
            return;
        };
        this.queue.push_front(finished.left, this.shared.now());
        match finished.result {
            Ok(committed) => this.believe(committed),
            Err(failure) => this.failed(failure),
        }
        for address in finished.tainted {
            this.forget(&address);
        }
        for address in addresses {
            this.let_go_of_nobody(&address);
        }
        this.go_on(ctx);
    }

    /// Takes over what is durable, then answers: whoever has an answer finds its effect.
    fn believe(&mut self, committed: Committed) {
        for (address, standing) in committed.standings {
            let before = self.accounts.used(&address, self.shared.now());
            let version =
                |standing: &Standing| standing.signing_keys().map(|keys| keys.profile_version);
            if before.is_none_or(|before| version(&before) != version(&standing)) {
                self.shared.signing_keys.invalidate(&address);
            }
            self.keep(address, standing);
        }
        for (operation, outcome) in committed.answers {
            operation.answer(outcome);
        }
        self.operations_max = (self.operations_max * 2).min(BATCH_OPERATIONS_MAX);
    }

    fn failed(&mut self, failure: Failure) {
        let Failure { operations, error } = failure;
        if batch::is_too_large(&error) && operations.len() > 1 {
            self.operations_max = operations.len() / 2;
            return self.queue.push_front(operations, self.shared.now());
        }
        if matches!(error, ProbeError::Refused(_) | ProbeError::Unresolved(_)) {
            self.give_up_claim();
        }
        tracing::error!(
            partition = self.partition.0,
            operations = operations.len(),
            cause = chain(&error),
            "a batch was not committed"
        );
        if let (ProbeError::Refused(_), Some(_)) = (&error, &self.shared.membership) {
            // Nothing of it was written, by us or by a commit that is still on its way.
            let moved = self.shared.moved(self.partition);
            return operations
                .into_iter()
                .for_each(|one| one.answer(Err(moved.clone())));
        }
        let refusal = batch::refusal_of(&error);
        let is_fault = refusal.code == Code::Overload;
        for operation in operations {
            if is_fault {
                operation.give_back(refusal.clone());
            } else {
                operation.refuse(refusal.clone());
            }
        }
    }

    fn forget(&mut self, address: &AccountAddress) {
        self.accounts.forget(address);
        self.shared.signing_keys.invalidate(address);
    }

    /// An address without an account is kept only while something waits for it.
    fn let_go_of_nobody(&mut self, address: &AccountAddress) {
        let is_nobody = self
            .accounts
            .peek(address)
            .is_some_and(|standing| standing.account().is_none());
        if is_nobody && !self.queue.holds(address) && !self.draining.holds(address) {
            self.accounts.forget(address);
        }
    }
}

impl Flight {
    fn holds(&self, address: &AccountAddress) -> bool {
        matches!(self, Self::Batch(addresses) if addresses.contains(address))
    }
}

impl<S: Store> Actor for PartitionActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.shared.config.partition_mailbox_max);
        self.shared.metrics.partitions_started.inc();
        ctx.run_interval(self.shared.config.upkeep_interval(), |this, ctx| {
            this.tending.begin();
            this.go_on(ctx);
        });
    }
}

impl<S: Store> Drop for PartitionActor<S> {
    fn drop(&mut self) {
        self.shared.metrics.partitions_started.dec();
    }
}

impl<S: Store> Handler<View> for PartitionActor<S> {
    type Result = ();

    fn handle(&mut self, view: View, ctx: &mut Self::Context) {
        let is_ending = self.stopping.is_some() || matches!(self.ownership, Claim::Lost);
        if is_ending {
            // Unanswered: whoever asks knows where else the account can be seen.
            return;
        }
        if let Some(standing) = self.accounts.used(&view.account, self.shared.now()) {
            return self.show_to(view, &standing);
        }
        let waiting: usize = self.viewers.values().map(Vec::len).sum();
        if waiting >= self.shared.config.partition_mailbox_max {
            return view.refuse(ServiceError::unavailable(
                "too many accounts are being loaded",
            ));
        }
        self.viewers
            .entry(view.account.clone())
            .or_default()
            .push(view);
        self.go_on(ctx);
    }
}

impl<S: Store> Handler<Stop> for PartitionActor<S> {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Self::Context) {
        self.answer_operations(&stop.refusal);
        self.viewers.clear();
        self.stopping = Some(stop);
        self.go_on(ctx);
    }
}

impl<S: Store> Handler<Wake> for PartitionActor<S> {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.go_on(ctx);
    }
}
