//! The partition's actor as it drains its intake (cluster §8): it looks, has accounts loaded and
//! everything made that takes curve arithmetic, and then takes its turn at the one commit in flight.
//!
//! Whatever goes wrong, the entries are still in the intake, and the next look finds them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix::prelude::*;
use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::Fence;
use mesh_common::limits::INTAKE_ENTRIES_MAX;
use tokio::sync::oneshot;

use super::{Claim, Flight, PartitionActor};
use crate::partition::batch;
use crate::partition::commands::Drain;
use crate::partition::drain::{self, DrainError, Drained, Exceptions, Page, Prepared};
use crate::partition::reading::ReadError;
use crate::partition::shared::chain;
use crate::store::{ProbeError, Store};

/// How far the drain is.
pub(super) struct Draining {
    stage: Stage,
    /// Whether somebody said that there is something.
    is_due: bool,
    /// Entries of the next page at most: halved while the store finds commits too large.
    entries_max: usize,
    /// Whose entries are on the page: they stay in memory.
    accounts: HashSet<AccountAddress>,
    exceptions: Exceptions,
    /// Entries drained since somebody asked.
    drained: usize,
    replies: Vec<oneshot::Sender<usize>>,
    /// Whether the last commit was a drain's: then client operations go first.
    had_turn: bool,
}

enum Stage {
    Idle,
    Looking,
    /// Accounts are being loaded.
    Loading(Page),
    /// Contacts are being read, outcomes signed.
    Preparing,
    /// Waits for its turn.
    Ready(Prepared),
    Committing,
}

impl Draining {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Idle,
            is_due: false,
            entries_max: INTAKE_ENTRIES_MAX,
            accounts: HashSet::new(),
            exceptions: Exceptions::default(),
            drained: 0,
            replies: Vec::new(),
            had_turn: false,
        }
    }

    /// Whether there is something to be done that needs the partition.
    pub(super) const fn has_work(&self) -> bool {
        self.is_due && matches!(self.stage, Stage::Idle)
    }

    /// Whether entries for `account` are on the page.
    pub(super) fn holds(&self, account: &AccountAddress) -> bool {
        self.accounts.contains(account)
    }

    /// Accounts that must be in memory.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &AccountAddress> {
        let reads = |account: &&AccountAddress| !self.exceptions.unreadable.contains(*account);
        self.accounts.iter().filter(reads)
    }

    pub(super) const fn had_turn(&self) -> bool {
        self.had_turn
    }

    pub(super) const fn batch_had_turn(&mut self) {
        self.had_turn = false;
    }

    /// An account of the page cannot be loaded: if it does not read, its entries are set aside; if
    /// the store gave no answer, somebody looks again later.
    pub(super) fn not_loaded(&mut self, account: &AccountAddress, error: &ReadError) {
        if !self.accounts.contains(account) {
            return;
        }
        match error {
            ReadError::Row(_) => {
                self.exceptions.unreadable.insert(account.clone());
            }
            ReadError::Store(_) => self.give_up(),
        }
    }

    /// Begins anew with the next life: what was read may no longer be there.
    pub(super) fn forget(&mut self) {
        let was_at_work = !matches!(self.stage, Stage::Idle);
        self.clear();
        self.is_due |= was_at_work;
    }

    /// Leaves everything to the next look.
    pub(super) fn give_up(&mut self) {
        self.clear();
        self.is_due = false;
        self.answer();
    }

    /// The store found a commit too large: less the next time. What is too large alone is set aside.
    fn take_less(&mut self) {
        self.exceptions.is_too_large = self.entries_max == 1;
        self.entries_max = (self.entries_max / 2).max(1);
        self.is_due = true;
    }

    fn clear(&mut self) {
        self.stage = Stage::Idle;
        self.accounts.clear();
        self.exceptions = Exceptions::default();
    }

    /// Answers those who asked, once nothing more is known to be there.
    fn answer(&mut self) {
        if self.is_due || !matches!(self.stage, Stage::Idle) {
            return;
        }
        let drained = std::mem::take(&mut self.drained);
        for reply in self.replies.drain(..) {
            let _gone = reply.send(drained);
        }
    }
}

impl<S: Store> PartitionActor<S> {
    /// Begins the next stage, if its time has come.
    pub(super) fn go_on_draining(&mut self, ctx: &mut Context<Self>) {
        if self.draining.has_work() {
            self.look(ctx);
        }
        let accounts = &self.accounts;
        let is_loaded = self.draining.accounts().all(|one| accounts.holds(one));
        if is_loaded && matches!(self.draining.stage, Stage::Loading(_)) {
            self.prepare(ctx);
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.draining.is_due = false;
        self.draining.stage = Stage::Looking;
        let (shared, partition) = (Arc::clone(&self.shared), self.partition);
        let (life, entries_max) = (self.life, self.draining.entries_max);
        let look = async move { (life, drain::look(&shared, partition, entries_max).await) };
        ctx.spawn(look.into_actor(self).map(Self::looked));
    }

    fn looked(
        (life, found): (u64, Result<Page, ReadError>),
        this: &mut Self,
        ctx: &mut Context<Self>,
    ) {
        if life != this.life {
            return;
        }
        match found {
            Ok(page) if page.is_empty() => {
                this.shared.backlogs.drained(this.partition);
                this.draining.stage = Stage::Idle;
                this.draining.answer();
            }
            Ok(page) => {
                this.draining.accounts = page.accounts();
                this.draining.stage = Stage::Loading(page);
            }
            Err(error) => this.not_drained(&error),
        }
        this.go_on(ctx);
    }

    fn prepare(&mut self, ctx: &mut Context<Self>) {
        let stage = std::mem::replace(&mut self.draining.stage, Stage::Preparing);
        let Stage::Loading(page) = stage else {
            self.draining.stage = stage;
            return;
        };
        let (shared, life, standings) = (Arc::clone(&self.shared), self.life, self.recipients());
        let prepare = async move { (life, drain::prepare(&shared, page, standings).await) };
        ctx.spawn(prepare.into_actor(self).map(Self::prepared));
    }

    fn prepared(
        (life, prepared): (u64, Result<Prepared, ReadError>),
        this: &mut Self,
        ctx: &mut Context<Self>,
    ) {
        if life != this.life {
            return;
        }
        match prepared {
            Ok(prepared) => this.draining.stage = Stage::Ready(prepared),
            Err(error) => this.not_drained(&error),
        }
        this.go_on(ctx);
    }

    /// The accounts of the page, as they are committed.
    fn recipients(&mut self) -> HashMap<AccountAddress, Arc<Standing>> {
        let now = self.shared.now();
        let (draining, accounts) = (&self.draining, &mut self.accounts);
        draining
            .accounts()
            .filter_map(|address| Some((address.clone(), accounts.used(address, now)?)))
            .collect()
    }

    /// Takes the one commit in flight, if it is free and everything is ready.
    pub(super) fn begin_drain(&mut self, ctx: &mut Context<Self>, fence: Fence) {
        if !matches!(self.flight, Flight::None) {
            return;
        }
        let stage = std::mem::replace(&mut self.draining.stage, Stage::Committing);
        let Stage::Ready(prepared) = stage else {
            self.draining.stage = stage;
            return;
        };
        self.flight = Flight::Drain;
        self.draining.had_turn = true;
        let (shared, partition) = (Arc::clone(&self.shared), self.partition);
        let standings = self.recipients();
        let exceptions = self.draining.exceptions.clone();
        let run = async move {
            drain::run(&shared, partition, fence, prepared, standings, exceptions).await
        };
        ctx.spawn(run.into_actor(self).map(Self::drained));
    }

    fn drained(result: Result<Drained, DrainError>, this: &mut Self, ctx: &mut Context<Self>) {
        this.flight = Flight::None;
        let accounts = std::mem::take(&mut this.draining.accounts);
        this.draining.clear();
        match result {
            Ok(drained) => this.believe_drained(drained),
            Err(error) => this.drain_failed(&error),
        }
        for address in accounts {
            this.let_go_of_nobody(&address);
        }
        this.draining.answer();
        this.go_on(ctx);
    }

    fn believe_drained(&mut self, drained: Drained) {
        for (address, standing) in drained.standings {
            self.keep(address, standing);
        }
        for address in drained.tainted {
            self.forget(&address);
        }
        if !drained.more {
            self.shared.backlogs.drained(self.partition);
        }
        let draining = &mut self.draining;
        draining.drained += drained.entries;
        draining.is_due |= drained.more;
        draining.entries_max = (draining.entries_max * 2).min(INTAKE_ENTRIES_MAX);
    }

    fn drain_failed(&mut self, error: &DrainError) {
        if let DrainError::Commit(commit) = error {
            if batch::is_too_large(commit) {
                return self.draining.take_less();
            }
            if matches!(commit, ProbeError::Refused(_) | ProbeError::Unresolved(_)) {
                self.give_up_claim();
            }
        }
        self.not_drained(error);
    }

    fn not_drained(&mut self, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(
            partition = self.partition.0,
            cause = chain(error),
            "an intake was not drained; somebody looks again soon"
        );
        let errors = &self.shared.metrics.store_errors;
        errors.with_label_values(&["drain"]).inc();
        self.draining.give_up();
    }
}

impl<S: Store> Handler<Drain> for PartitionActor<S> {
    type Result = ();

    fn handle(&mut self, Drain { reply }: Drain, ctx: &mut Self::Context) {
        if self.stopping.is_some() || matches!(self.ownership, Claim::Lost) {
            return;
        }
        self.draining.replies.extend(reply);
        self.draining.is_due = true;
        self.go_on(ctx);
    }
}
