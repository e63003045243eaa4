//! Draining an intake: what others left for the accounts of this partition becomes frames of their
//! spools, at most 64 entries in one commit under the fence (cluster §8).
//!
//! ```text
//!  look ─▶ Page ─▶ prepare ─▶ Prepared ─▶ run ─▶ Drained
//!   │        │       │ contacts, signatures:      │ frames, tips, what senders are told, and the
//!   │        │       │ beside the actor           │ clear of exactly what was read: one commit
//!   │        └─ its accounts are loaded           └─ set aside: what cannot be received
//!   └─ at snapshot: nobody else clears these keys
//! ```
//!
//! Nothing here depends on what was drained before a crash: what was committed is gone from the
//! intake, and what was not is there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use mesh_common::account::intake::{
    self, ContactIndex, Reception, ReceptionResult, Setting, Unfit,
};
use mesh_common::account::{IntakeBody, IntakeEntry, IntakeId, Lookups, Standing, UsageChange};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::conduct::Level;
use mesh_common::dare::Envelope;
use mesh_common::limits::INTAKE_BYTES_MAX;
use mesh_common::spool::MessageState;

use super::batch::{BatchPlan, Mark, commit, is_conflict};
use super::commands::contained;
use super::conduct;
use super::contacts;
use super::ownership::Fenced;
use super::reading::{self, ReadError};
use super::records::{self, BatchId, Rows};
use super::shared::Shared;
use crate::store::keys;
use crate::store::{Limit, Order, ProbeError, Read, Store, Tx, TxOptions};
use crate::usage::{Met, UsageDraft};

/// One row of the intake.
#[derive(Debug)]
struct Item {
    key: Bytes,
    value: Bytes,
    /// `None` if it does not read.
    entry: Option<IntakeEntry>,
}

/// What a look at the intake found: its oldest entries.
#[derive(Debug)]
pub(crate) struct Page {
    items: Vec<Item>,
    more: bool,
}

/// A page with everything that is made beside the actor.
#[derive(Debug)]
pub(crate) struct Prepared {
    page: Page,
    contacts: HashMap<AccountAddress, Arc<ContactIndex>>,
    /// How the services stand that forwarded messages, by domain.
    services: HashMap<String, Level>,
    /// What outcomes are told by, signed.
    completions: HashMap<IntakeId, Envelope>,
}

/// What a drain did.
pub(crate) struct Drained {
    /// Accounts as they are now.
    pub(crate) standings: Vec<(AccountAddress, Arc<Standing>)>,
    /// Entries that are no longer in the intake.
    pub(crate) entries: usize,
    /// Whether there is more to be drained at once.
    pub(crate) more: bool,
    /// Accounts in whose handling something panicked: to be loaded anew.
    pub(crate) tainted: Vec<AccountAddress>,
}

/// Why a drain did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainError {
    /// The rows could not be read.
    #[error("the intake could not be read")]
    Read(#[from] ReadError),
    /// The rows were not committed.
    #[error("what was drained was not committed")]
    Commit(#[source] ProbeError<Fenced>),
}

/// The oldest entries of an intake, at most `entries_max`.
pub(crate) async fn look<S: Store>(
    shared: &Shared<S>,
    partition: PartitionId,
    entries_max: usize,
) -> Result<Page, ReadError> {
    let limit = Limit {
        rows: entries_max,
        bytes: INTAKE_BYTES_MAX,
    };
    let tx = shared.store.begin(TxOptions::default());
    let found = tx
        .range(
            &keys::intake(partition),
            limit,
            Order::Forward,
            Read::Snapshot,
        )
        .await?;
    let items = found.rows.into_iter().map(|row| Item {
        entry: contained(|| records::intake(&row.value).ok()).flatten(),
        key: row.key,
        value: row.value,
    });
    Ok(Page {
        items: items.collect(),
        more: found.more,
    })
}

impl Page {
    pub(crate) const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// For whom the entries are.
    pub(crate) fn accounts(&self) -> HashSet<AccountAddress> {
        let entries = self.items.iter().filter_map(|item| item.entry.as_ref());
        entries.map(|entry| entry.account.clone()).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &IntakeEntry> {
        self.items.iter().filter_map(|item| item.entry.as_ref())
    }
}

/// Makes what takes curve arithmetic or long reads: contact indexes of recipients, and the signed
/// completions of outcomes.
pub(crate) async fn prepare<S: Store>(
    shared: &Shared<S>,
    page: Page,
    standings: HashMap<AccountAddress, Arc<Standing>>,
) -> Result<Prepared, ReadError> {
    let mut contacts = HashMap::new();
    for entry in page.entries() {
        let is_message = matches!(entry.body, IntakeBody::Message(_));
        if !is_message || contacts.contains_key(&entry.account) {
            continue;
        }
        let standing = standings.get(&entry.account);
        if let Some(state) = standing.and_then(|standing| standing.account()) {
            let index = contacts::index_of(shared, state).await?;
            contacts.insert(entry.account.clone(), index);
        }
    }
    let mut services = HashMap::new();
    for entry in page.entries() {
        if let IntakeBody::Message(message) = &entry.body
            && let Some(service) = &message.service
            && !services.contains_key(&service.domain)
        {
            let policy = &shared.config.policy_of(&entry.account).conduct;
            let level = conduct::of_service(shared, &service.domain, policy).await?;
            services.insert(service.domain.clone(), level);
        }
    }
    let completions = complete(shared, &page).await;
    Ok(Prepared {
        page,
        contacts,
        services,
        completions,
    })
}

/// Signs what tells the outcomes of the page.
async fn complete<S: Store>(shared: &Shared<S>, page: &Page) -> HashMap<IntakeId, Envelope> {
    let outcomes: Vec<_> = page
        .entries()
        .filter_map(|entry| match &entry.body {
            IntakeBody::Outcome(outcome) => {
                let secrets = shared.keys.of(entry.account.domain());
                Some((entry.id, outcome.clone(), Arc::clone(&secrets.online)))
            }
            IntakeBody::Message(_) => None,
        })
        .collect();
    if outcomes.is_empty() {
        return HashMap::new();
    }
    let sign = move || {
        let signed = outcomes.into_iter().map(|(id, outcome, key)| {
            let envelope = contained(|| outcome.completion(id, &key));
            envelope.map(|envelope| (id, envelope))
        });
        signed.flatten().collect()
    };
    // Without a signature an outcome is set aside.
    shared.pace.aside(sign).await.unwrap_or_default()
}

/// What of a page is not decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exceptions {
    /// Accounts that do not read: their entries are set aside.
    pub(crate) unreadable: HashSet<AccountAddress>,
    /// Whether the page, which is a single entry, is too large for a commit: it is set aside.
    pub(crate) is_too_large: bool,
}

/// Decides every entry of `prepared` on top of `standings` and commits what follows. Entries of
/// accounts that are not among them are left where they are.
///
/// # Cancellation
/// Leaves the result unknown: whoever drops this must claim the partition anew.
pub(crate) async fn run<S: Store>(
    shared: &Shared<S>,
    partition: PartitionId,
    fence: Fence,
    prepared: Prepared,
    standings: HashMap<AccountAddress, Arc<Standing>>,
    exceptions: Exceptions,
) -> Result<Drained, DrainError> {
    let timer = shared.metrics.intake_drain_seconds.start_timer();
    let mut draft = Draft {
        id: BatchId::draw(&mut shared.entropy.clone()),
        partition,
        working: standings
            .into_iter()
            .map(|(address, standing)| (address, Working::of(standing)))
            .collect(),
        rows: Rows::default(),
        first: None,
        entries: 0,
        receptions: Vec::new(),
        tainted: Vec::new(),
        usage: UsageDraft::new(partition, fence),
    };
    let tx = shared.store.begin(TxOptions::default());
    for item in &prepared.page.items {
        draft.add(shared, &tx, &prepared, item, &exceptions).await?;
    }
    drop(tx);
    let more = prepared.page.more;
    let drained = draft.commit(shared, fence, more).await;
    match &drained {
        Ok(drained) if drained.entries > 0 => timer.observe_duration(),
        _ => drop(timer.stop_and_discard()),
    }
    drained
}

/// An account while a drain is planned.
struct Working {
    /// As it is committed.
    before: Arc<Standing>,
    /// As it would be.
    standing: Arc<Standing>,
    /// Rows that this drain will have written.
    planned: Vec<Reception>,
}

impl Working {
    fn of(standing: Arc<Standing>) -> Self {
        Self {
            before: Arc::clone(&standing),
            standing,
            planned: Vec::new(),
        }
    }

    /// Whether there is anything new to show. That an entry was drained is not.
    fn is_changed(&self) -> bool {
        self.before != self.standing
    }
}

struct Draft {
    id: BatchId,
    partition: PartitionId,
    working: HashMap<AccountAddress, Working>,
    rows: Rows,
    /// The first key that is cleared: while it is there, the commit has not landed.
    first: Option<Bytes>,
    /// Entries that leave the intake.
    entries: usize,
    /// What became of the entries, for the log.
    receptions: Vec<(Option<AccountAddress>, ReceptionResult, Vec<String>)>,
    tainted: Vec<AccountAddress>,
    /// What it makes of what domains use.
    usage: UsageDraft,
}

impl Draft {
    /// Decides one entry. An error of the store ends the drain: the entry is read again by the next.
    async fn add<S: Store>(
        &mut self,
        shared: &Shared<S>,
        tx: &S::Tx,
        prepared: &Prepared,
        item: &Item,
        exceptions: &Exceptions,
    ) -> Result<(), ReadError> {
        let Some(entry) = &item.entry else {
            self.set_aside(shared, item, "the entry does not read");
            return Ok(());
        };
        if exceptions.unreadable.contains(&entry.account) {
            self.set_aside(shared, item, "the account does not read");
            return Ok(());
        }
        if exceptions.is_too_large {
            self.set_aside(shared, item, "it is larger than what can be stored at once");
            return Ok(());
        }
        let Some(working) = self.working.get(&entry.account) else {
            return Ok(());
        };
        let mut lookups = match lookups(tx, working, entry).await {
            Ok(lookups) => lookups,
            Err(ReadError::Row(error)) => {
                tracing::error!(account = %entry.account, %error, "a row does not read");
                self.set_aside(shared, item, "a row of the account does not read");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let domain = entry.account.domain();
        let mut decided = contained(|| self.decide(shared, prepared, working, entry, &lookups));
        if let Some(Ok((next, ..))) = &decided {
            let change = UsageChange::between(&working.standing, next);
            let met = self.usage.weigh(shared, domain, change, false).await?;
            // Of an account of a domain that is full it is decided again, knowing that.
            if let Some(Met::Room(room)) = met {
                lookups.room = room;
                decided = contained(|| self.decide(shared, prepared, working, entry, &lookups));
            }
        }
        match decided {
            None => {
                shared.metrics.panics.with_label_values(&["intake"]).inc();
                self.tainted.push(entry.account.clone());
                self.set_aside(shared, item, "receiving it panicked");
            }
            Some(Err(unfit)) => self.set_aside(shared, item, unfit.reason),
            Some(Ok((next, rows, reception))) => {
                let change = UsageChange::between(&working.standing, &next);
                self.usage.add(domain, change);
                self.rows.extend(rows);
                self.clear(item);
                let line = (
                    Some(entry.account.clone()),
                    reception.result,
                    reception.incidents.clone(),
                );
                self.receptions.push(line);
                if let Some(working) = self.working.get_mut(&entry.account) {
                    working.standing = next;
                    working.planned.push(reception);
                }
            }
        }
        Ok(())
    }

    fn decide<S: Store>(
        &self,
        shared: &Shared<S>,
        prepared: &Prepared,
        working: &Working,
        entry: &IntakeEntry,
        lookups: &Lookups,
    ) -> Result<(Arc<Standing>, Rows, Reception), Unfit> {
        #[cfg(test)]
        shared.trip_intake(entry.id);
        let setting = Setting {
            policy: shared.config.policy_of(&entry.account),
            contacts: prepared.contacts.get(&entry.account).map(AsRef::as_ref),
            service_level: service_level(prepared, entry),
            completion: prepared.completions.get(&entry.id),
            now: shared.now(),
        };
        let reception = intake::receive(&working.standing, entry, lookups, &setting)?;
        let mut rows = Rows::default();
        let mut next = Arc::clone(&working.standing);
        if let Some(state) = working.standing.account() {
            let (account, changes) = (state.record.id, &reception.changes);
            rows.add_received(account, changes, self.id, state.tip);
            Arc::make_mut(&mut next).apply_changes(&reception.changes);
        }
        if let Some(told) = &reception.told {
            rows.leave(told);
        }
        Ok((next, rows, reception))
    }

    /// What can be received in no way leaves the intake for the operator, with its reason; the sender
    /// of a message learns that it failed. Nothing that was accepted is dropped silently.
    fn set_aside<S: Store>(&mut self, shared: &Shared<S>, item: &Item, reason: &'static str) {
        let (place, why) = keys::set_aside(self.partition, &item.key);
        self.rows.set(place, item.value.clone());
        self.rows.set(why, reason);
        let told = item
            .entry
            .as_ref()
            .and_then(|entry| intake::told(entry, MessageState::Failed, shared.now()));
        if let Some(told) = told {
            self.rows.leave(&told);
        }
        self.clear(item);
        shared.metrics.intake_set_aside.inc();
        tracing::error!(
            partition = self.partition.0,
            account = item
                .entry
                .as_ref()
                .map(|entry| tracing::field::display(&entry.account)),
            reason,
            incident = "an entry of the intake was set aside",
            "incident"
        );
    }

    fn clear(&mut self, item: &Item) {
        self.rows.clear(item.key.to_vec());
        self.entries += 1;
        self.first.get_or_insert_with(|| item.key.clone());
    }

    async fn commit<S: Store>(
        self,
        shared: &Shared<S>,
        fence: Fence,
        more: bool,
    ) -> Result<Drained, DrainError> {
        let Some(first) = self.first else {
            // Nothing could be done: whoever looks again must not do so at once.
            return Ok(Drained {
                standings: Vec::new(),
                entries: 0,
                more: false,
                tainted: self.tainted,
            });
        };
        let plan = BatchPlan {
            fence_key: keys::part(self.partition),
            partition: self.partition,
            fence,
            shared,
            rows: &self.rows,
            mark: Some(Mark::Gone(first.to_vec())),
            holder: None,
            usage: &self.usage,
        };
        let landing = commit(shared, &plan).await;
        self.usage.settle(shared, landing.is_ok());
        if is_conflict(&landing) && self.usage.may_be_overtaken() {
            // Others were faster: it is decided again, by what they made of the domain.
            return Ok(Drained {
                standings: Vec::new(),
                entries: 0,
                more: true,
                tainted: self.tainted,
            });
        }
        landing.map_err(DrainError::Commit)?;
        self.rows.left_for().for_each(|one| shared.bell.ring(one));
        for (account, result, incidents) in &self.receptions {
            report(shared, account.as_ref(), *result, incidents);
        }
        let changed = self.working.into_iter().filter(|(_, one)| one.is_changed());
        Ok(Drained {
            standings: changed
                .map(|(address, working)| (address, working.standing))
                .collect(),
            entries: self.entries,
            more,
            tainted: self.tainted,
        })
    }
}

/// How the service stands that forwarded the message of `entry`.
fn service_level(prepared: &Prepared, entry: &IntakeEntry) -> Level {
    let IntakeBody::Message(message) = &entry.body else {
        return Level::Normal;
    };
    let service = message.service.as_ref();
    service
        .and_then(|service| prepared.services.get(&service.domain))
        .copied()
        .unwrap_or_default()
}

/// Counts what became of an entry, and tells the operator what happened.
fn report<S: Store>(
    shared: &Shared<S>,
    account: Option<&AccountAddress>,
    result: ReceptionResult,
    incidents: &[String],
) {
    let metrics = &shared.metrics;
    metrics
        .intake_entries
        .with_label_values(&[result.name()])
        .inc();
    for incident in incidents {
        tracing::warn!(
            account = account.map(tracing::field::display),
            incident,
            "incident"
        );
    }
}

/// The rows that an entry is decided by: those of the store, then those that the drain will have
/// written.
async fn lookups<T: Tx>(
    tx: &T,
    working: &Working,
    entry: &IntakeEntry,
) -> Result<Lookups, ReadError> {
    let needs = intake::needs(&working.standing, entry);
    let account = working.standing.account_id();
    let mut lookups = reading::look_up(tx, account, &needs).await?;
    for reception in &working.planned {
        lookups.absorb_changes(&reception.changes);
    }
    Ok(lookups)
}
