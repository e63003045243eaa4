//! The limits of the queue to other services, where several nodes share them (cluster §9, §14): what this
//! node was granted of each, and what it has spent. `mesh_common::escrow` decides; here is what of it is
//! read and committed. A process that is alone with its store counts in memory alone and does none of it
//! ([`crate::outbound::depths`]).
//!
//! ```text
//!  batch ──spend──▶ purse ──short──▶ cover: one commit ──▶ purse ──▶ the batch's commit, which depends
//!                                                                    on the row of the holder
//!  every 2 s: give back what is idle or wanted     every 30 s: count what is charged, to whom
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `plans` | the commits: taking, giving back |
//! | `closing` | holders whose nodes are gone, and what becomes of their grants |
//! | `rows` | how table 13 is written |
//!
//! A grant costs one commit, for all the limits that a batch is short of. A batch whose destinations had
//! messages from this node within the last minute needs none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mesh_common::account::QueuePolicy;
use mesh_common::delivery::{QueueItem, QueueScope};
use mesh_common::entropy::Entropy;
use mesh_common::escrow::{CountStamp, HolderId, Purse};
use mesh_common::limits::{ESCROW_GIVEN_BACK_MAX, ESCROW_WANTED};
use mesh_common::time::Timestamp;
use tokio::sync::MutexGuard as AsyncGuard;

use crate::outbound::bell::Note;
use crate::partition::shared::{Shared, chain};
use crate::store::{Store, StoreError};

mod closing;
mod plans;
mod rows;

pub(crate) use plans::may_spend;
#[cfg(test)]
pub(crate) use rows::ledger;

/// How many of each limit.
pub(crate) type Wants = BTreeMap<QueueScope, u64>;

/// Locks that stand for all limits.
const STRIPES: usize = 64;
/// Times that a spending is tried which others get ahead of.
const TRIES_MAX: usize = 3;

/// Why nothing was spent.
#[derive(Debug)]
pub(crate) enum Unspent {
    /// These limits are met.
    Full(BTreeSet<QueueScope>),
    /// The holder was closed, or others were faster: it is to be decided again.
    Again,
    /// The store did not answer as it should.
    Store(String),
}

/// What is charged to whom, as it was counted.
pub(crate) type Charges = HashMap<HolderId, Wants>;

#[derive(Debug)]
struct State {
    purse: Purse<QueueScope>,
    /// Whether the row of the holder is known to be there.
    is_known: bool,
    /// What others wrote of limits that they met, and since when it stands.
    wanted: HashMap<QueueScope, (Bytes, Timestamp)>,
    /// Holders whose nodes were not heard of at the last look.
    silent: BTreeSet<HolderId>,
}

/// The grants of one node.
#[derive(Debug)]
pub(crate) struct Escrow {
    state: Mutex<State>,
    /// About each limit one transaction of ours is on its way at a time.
    asking: Vec<tokio::sync::Mutex<()>>,
}

/// What `notes` count in, where `tenants` domains are served.
pub(crate) fn wants_of(notes: &[Note], tenants: usize) -> Wants {
    let mut wants = Wants::new();
    for note in notes {
        for scope in scopes_of(&note.due.tenant, &note.destination, tenants) {
            *wants.entry(scope).or_default() += 1;
        }
    }
    wants
}

/// Counts `item`, where it is charged.
pub(crate) fn charge(charges: &mut Charges, item: &QueueItem, tenants: usize) {
    let holder = item.charged_to.unwrap_or(HolderId::NOBODY);
    let wants = charges.entry(holder).or_default();
    for scope in scopes_of(item.tenant(), item.destination(), tenants) {
        *wants.entry(scope).or_default() += 1;
    }
}

/// What a message counts in. Where there is one tenant, its share of a destination is the whole of it.
fn scopes_of(tenant: &str, destination: &str, tenants: usize) -> impl Iterator<Item = QueueScope> {
    let is_limit = move |scope: &QueueScope| tenants > 1 || !is_share(scope);
    QueueScope::of(tenant, destination)
        .into_iter()
        .filter(is_limit)
}

const fn is_share(scope: &QueueScope) -> bool {
    matches!(scope, QueueScope::Share { .. })
}

impl Escrow {
    /// Nothing granted, nothing spent.
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        let state = State {
            purse: Purse::new(HolderId::draw(entropy)),
            is_known: false,
            wanted: HashMap::new(),
            silent: BTreeSet::new(),
        };
        Self {
            state: Mutex::new(state),
            asking: (0..STRIPES).map(|_| tokio::sync::Mutex::new(())).collect(),
        }
    }

    /// Whom what is spent now is charged to.
    pub(crate) fn holder(&self) -> HolderId {
        self.lock().purse.holder()
    }

    /// Spends `wants`, charged to `holder`, within the bounds of `policy` where `tenants` domains are served.
    ///
    /// # Errors
    /// See [`Unspent`]: nothing is spent.
    pub(crate) async fn spend<S: Store>(
        &self,
        shared: &Shared<S>,
        holder: HolderId,
        wants: &Wants,
        (policy, tenants): (&QueuePolicy, usize),
    ) -> Result<(), Unspent> {
        for _ in 0..TRIES_MAX {
            {
                let mut state = self.lock();
                if state.purse.holder() != holder {
                    return Err(Unspent::Again);
                }
                if state.purse.spend(wants, shared.now()).is_ok() {
                    return Ok(());
                }
            }
            self.cover(shared, wants, (policy, tenants)).await?;
        }
        Err(Unspent::Again)
    }

    /// Has granted what `wants` are short of. What cannot be granted now is told by whoever spends.
    pub(crate) async fn prepare<S: Store>(
        &self,
        shared: &Shared<S>,
        wants: &Wants,
        bounds: (&QueuePolicy, usize),
    ) {
        let mut wants = wants.clone();
        wants.retain(|scope, _| bounds.1 > 1 || !is_share(scope));
        if self.lock().purse.shortage(&wants).is_some()
            && let Err(unspent) = self.cover(shared, &wants, bounds).await
        {
            tracing::debug!(?unspent, "not everything was granted that a batch asks for");
        }
    }

    /// Asks for what `wants` are short of, in one commit.
    async fn cover<S: Store>(
        &self,
        shared: &Shared<S>,
        wants: &Wants,
        bounds: (&QueuePolicy, usize),
    ) -> Result<(), Unspent> {
        let _asking = self.ask_alone(wants.keys()).await;
        let (holder, is_known, short) = {
            let state = self.lock();
            let short = state.purse.shortage(wants).map(|shortage| shortage.0);
            (state.purse.holder(), state.is_known, short)
        };
        // Somebody else may have asked for it meanwhile.
        let Some(short) = short else { return Ok(()) };
        let covered = plans::cover(shared, (holder, is_known), short, bounds).await;
        let granted = covered.inspect_err(|error| self.not_covered(shared, holder, error));
        let granted = granted.map_err(|error| error.unspent)?;
        let now = shared.now();
        let mut state = self.lock();
        if state.purse.holder() == holder {
            state.is_known = true;
            for (scope, grant) in granted {
                state.purse.granted(scope, grant, now);
            }
        }
        drop(state);
        self.measure(shared);
        Ok(())
    }

    fn not_covered<S: Store>(
        &self,
        shared: &Shared<S>,
        holder: HolderId,
        error: &plans::NotCovered,
    ) {
        let mut state = self.lock();
        // What may be there must not be made anew: others may have closed it.
        state.is_known |= state.purse.holder() == holder && !error.perhaps.is_empty();
        for (scope, grant) in &error.perhaps {
            if state.purse.holder() == holder {
                state.purse.may_be_granted(scope.clone(), *grant);
            }
        }
        drop(state);
        match &error.unspent {
            Unspent::Again => self.renew(shared, holder),
            // Perhaps what is charged to us has left by now.
            Unspent::Full(_) => shared.depths.look_again(),
            Unspent::Store(_) => {}
        }
    }

    /// `closed` was closed by others: what is spent from now on is charged to another.
    pub(crate) fn renew<S: Store>(&self, shared: &Shared<S>, closed: HolderId) {
        if self.begin_anew(shared, closed) {
            tracing::warn!("others took this node for gone: its grants are taken anew");
        }
    }

    /// `closed` spends no more; whether that was not known.
    fn begin_anew<S: Store>(&self, shared: &Shared<S>, closed: HolderId) -> bool {
        let holder = HolderId::draw(&mut shared.entropy.clone());
        let mut state = self.lock();
        let is_news = state.purse.holder() == closed;
        if is_news {
            state.purse.renew(closed, holder);
            state.is_known = false;
        }
        is_news
    }

    /// `notes` are in the queue, or will have been counted if they are not.
    pub(crate) fn landed(&self, notes: &[Note]) {
        for (holder, wants) in by_holder(notes) {
            self.lock().purse.landed(holder, &wants);
        }
    }

    /// `notes` are not in the queue, and never will be.
    pub(crate) fn undo(&self, notes: &[Note]) {
        for (holder, wants) in by_holder(notes) {
            self.lock().purse.undo(holder, &wants);
        }
    }

    /// The moment before something leaves.
    pub(crate) fn stamp(&self) -> CountStamp {
        self.lock().purse.stamp()
    }

    /// `note` has left the queue, not before `stamp`.
    pub(crate) fn left(&self, note: &Note, stamp: CountStamp) {
        if let Some(holder) = note.charged_to {
            let scopes = QueueScope::of(&note.due.tenant, &note.destination);
            self.lock().purse.left(holder, &scopes, stamp);
        }
    }

    /// Gives back what is idle, or wanted by others, of at most [`ESCROW_GIVEN_BACK_MAX`] limits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn give_back<S: Store>(&self, shared: &Shared<S>) -> Result<(), StoreError> {
        let wanted = self.look_for_wanted(shared).await?;
        let (holder, is_known, mut due) = {
            let state = self.lock();
            let due = state.purse.to_give_back(&wanted, shared.now());
            (state.purse.holder(), state.is_known, due)
        };
        if due.is_empty() || !is_known {
            return Ok(());
        }
        due.truncate(ESCROW_GIVEN_BACK_MAX);
        let _asking = self.ask_alone(&due).await;
        let kept: Wants = {
            let mut state = self.lock();
            let keep = |scope: QueueScope| {
                let kept = state.purse.begin_to_give_back(&scope);
                (scope, kept)
            };
            due.into_iter().map(keep).collect()
        };
        match plans::give_back(shared, holder, &kept).await {
            Ok(()) => {
                let mut state = self.lock();
                for (scope, kept) in &kept {
                    if state.purse.holder() == holder {
                        state.purse.given_back(scope, *kept);
                    }
                }
            }
            Err(Unspent::Again) => self.renew(shared, holder),
            Err(unspent) => tracing::debug!(?unspent, "grants are given back later"),
        }
        self.measure(shared);
        Ok(())
    }

    /// The limits that somebody met. What nobody repeats for a while is forgotten, whoever wrote it.
    async fn look_for_wanted<S: Store>(
        &self,
        shared: &Shared<S>,
    ) -> Result<BTreeSet<QueueScope>, StoreError> {
        let (found, now) = (plans::wanted(&shared.store).await?, shared.now());
        let mut old = Vec::new();
        let scopes = found.keys().cloned().collect();
        {
            let known = &mut self.lock().wanted;
            known.retain(|scope, _| found.contains_key(scope));
            for (scope, value) in found {
                let (seen, since) = known
                    .entry(scope.clone())
                    .or_insert_with(|| (value.clone(), now));
                if *seen != value {
                    (*seen, *since) = (value, now);
                } else if now.since(*since) >= ESCROW_WANTED {
                    old.push((scope, value));
                }
            }
        }
        if let Err(error) = plans::forget_wanted(shared, &old).await {
            tracing::debug!(cause = chain(&error), "limits are forgotten later");
        }
        Ok(scopes)
    }

    /// What is charged is counted from now on.
    pub(crate) fn begin_count(&self) -> CountStamp {
        self.lock().purse.begin_count()
    }

    /// So much is charged to us by the count that began at `stamp`.
    pub(crate) fn end_count(&self, stamp: CountStamp, charges: &Charges) {
        let mut state = self.lock();
        let found = charges.get(&state.purse.holder());
        let found = found.cloned().unwrap_or_default();
        state.purse.end_count(stamp, &found);
    }

    fn measure<S: Store>(&self, shared: &Shared<S>) {
        let unspent = self.lock().purse.unspent(|scope| !is_share(scope));
        let gauge = &shared.metrics.escrow.unspent;
        gauge.set(i64::try_from(unspent).unwrap_or(i64::MAX));
    }

    /// Waits until no other transaction about these limits is on its way.
    async fn ask_alone<'a>(
        &self,
        scopes: impl IntoIterator<Item = &'a QueueScope>,
    ) -> Vec<AsyncGuard<'_, ()>> {
        let stripe = |scope| usize::from(crate::store::keys::ledger(scope)[2]) % STRIPES;
        let stripes: BTreeSet<usize> = scopes.into_iter().map(stripe).collect();
        let mut guards = Vec::with_capacity(stripes.len());
        // In order, so that nobody waits for who waits for him.
        for stripe in stripes {
            guards.push(self.asking[stripe].lock().await);
        }
        guards
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `notes` count in, by whom they are charged to. What they are not limited by was never spent.
fn by_holder(notes: &[Note]) -> BTreeMap<HolderId, Wants> {
    let mut all: BTreeMap<HolderId, Wants> = BTreeMap::new();
    for note in notes {
        let Some(holder) = note.charged_to else {
            continue;
        };
        let wants = all.entry(holder).or_default();
        for scope in QueueScope::of(&note.due.tenant, &note.destination) {
            *wants.entry(scope).or_default() += 1;
        }
    }
    all
}
