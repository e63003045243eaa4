//! How much waits in intakes, and whom more may be left for (cluster §14).
//!
//! Where owners drain, nothing waits, and nothing here costs anything. Where an intake is not drained (its owner is
//! away, or slower than what comes) every back-end notices at its next look, reads what waits there once, row by row
//! as it comes, and counts it by account. On top it counts what it leaves there itself. So nobody reads an
//! intake for a Post, no commit depends on a counter that others write as well, and what is known is
//! right but for what others left since the last look.
//!
//! ```text
//!  look, every 2 s ─▶ looked: who is behind ─▶ survey: rows not seen yet ─▶ found
//!  leave ─▶ counted until a survey has seen it          gate ─▶ open, slow, closed
//! ```
//!
//! Draft: cluster §14 has the owner publish the gate in a row of table 20. But an intake fills when its owner is away or
//! cannot commit, so that nobody would publish; and a row that was published last counts what was drained or left since.
//! Who leaves something looks for itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mesh_common::account::IntakeBody;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, PartitionId};
use mesh_common::error::ServiceError;
use mesh_common::limits::{
    INTAKE_ACCOUNT_BYTES_MAX, INTAKE_ACCOUNT_MESSAGES_MAX, INTAKE_CLOSED_PAUSE,
    INTAKE_PARTITION_ENTRIES_MAX, INTAKE_SURVEY_PAGES_MAX,
};
use mesh_common::protocol::{Code, Request};
use mesh_common::time::Timestamp;

use crate::metrics::pressure::IntakeMetrics;
use crate::partition::reading::ReadError;
use crate::partition::records;
use crate::store::{KeyRange, Limit, Order, Read, Row, Store, Tx as _, TxOptions, keys};

/// Whether more may be left for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// Whatever comes.
    Open,
    /// Half of a bound waits: every other message of other services is sent away, so that these slow down before anybody is
    /// shut out.
    Slow,
    /// As much waits as may.
    Closed,
}

/// What waits for somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Load {
    entries: usize,
    octets: usize,
}

impl Load {
    const fn of(octets: usize) -> Self {
        Self { entries: 1, octets }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            octets: self.octets + other.octets,
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(other.entries),
            octets: self.octets.saturating_sub(other.octets),
        }
    }
}

/// Counts of entries: of all, and of messages by the account they are for.
#[derive(Debug, Default)]
struct Counts {
    all: Load,
    of_accounts: HashMap<AccountAddress, Load>,
}

impl Counts {
    fn add(&mut self, account: Option<&AccountAddress>, load: Load) {
        self.all = self.all.plus(load);
        if let Some(account) = account {
            let counted = self.of_accounts.entry(account.clone()).or_default();
            *counted = counted.plus(load);
        }
    }

    fn take_away(&mut self, account: Option<&AccountAddress>, load: Load) {
        self.all = self.all.minus(load);
        let Some(account) = account else { return };
        let left = self.of(account).minus(load);
        if left.entries == 0 {
            self.of_accounts.remove(account);
        } else {
            self.of_accounts.insert(account.clone(), left);
        }
    }

    fn merge(&mut self, other: Self) {
        self.all = self.all.plus(other.all);
        for (account, load) in other.of_accounts {
            let counted = self.of_accounts.entry(account).or_default();
            *counted = counted.plus(load);
        }
    }

    fn of(&self, account: &AccountAddress) -> Load {
        self.of_accounts.get(account).copied().unwrap_or_default()
    }
}

/// One entry that a survey has seen.
#[derive(Debug)]
struct Seen {
    key: Bytes,
    /// For whom it is, if it is a message.
    account: Option<AccountAddress>,
    octets: usize,
}

/// What waits in one intake.
#[derive(Debug, Default)]
struct Backlog {
    /// Entries that surveys have seen, oldest first.
    seen: VecDeque<Seen>,
    counted: Counts,
    /// What this process left: before the last survey began, and since.
    before: Counts,
    since: Counts,
    /// Whether the last message that came while the gate was slow was let in.
    let_in_last: bool,
}

impl Backlog {
    fn gate(&self, account: &AccountAddress) -> Gate {
        let of_account = [&self.counted, &self.before, &self.since]
            .into_iter()
            .fold(Load::default(), |load, counts| {
                load.plus(counts.of(account))
            });
        let all = self.counted.all.entries + self.before.all.entries + self.since.all.entries;
        let reaches = |part: usize| {
            of_account.entries >= INTAKE_ACCOUNT_MESSAGES_MAX / part
                || of_account.octets >= INTAKE_ACCOUNT_BYTES_MAX / part
                || all >= INTAKE_PARTITION_ENTRIES_MAX / part
        };
        match (reaches(1), reaches(2)) {
            (true, _) => Gate::Closed,
            (false, true) => Gate::Slow,
            (false, false) => Gate::Open,
        }
    }

    /// Nothing that was seen is there any more; what this process left since the last look may be.
    fn was_drained(&mut self) {
        self.seen.clear();
        self.counted = Counts::default();
        self.before = std::mem::take(&mut self.since);
    }

    /// A survey begins where `oldest` is the first entry: what was before it was drained. The key of the last
    /// entry seen.
    fn survey_begins(&mut self, oldest: &[u8]) -> Option<Bytes> {
        while let Some(seen) = self.seen.front().filter(|seen| seen.key.as_ref() < oldest) {
            let load = Load::of(seen.octets);
            self.counted.take_away(seen.account.as_ref(), load);
            self.seen.pop_front();
        }
        let left = std::mem::take(&mut self.since);
        self.before.merge(left);
        self.seen.back().map(|seen| seen.key.clone())
    }

    fn found(&mut self, row: Row) {
        let entry = records::intake(&row.value).ok();
        let account = entry
            .filter(|entry| matches!(entry.body, IntakeBody::Message(_)))
            .map(|entry| entry.account);
        let octets = row.value.len();
        self.counted.add(account.as_ref(), Load::of(octets));
        self.seen.push_back(Seen {
            key: row.key,
            account,
            octets,
        });
    }
}

/// What waits in all intakes that are not drained as fast as they fill.
#[derive(Debug)]
pub(crate) struct Backlogs {
    state: Mutex<State>,
    metrics: IntakeMetrics,
    /// For tests: what is known stays as it is, whoever looks.
    #[cfg(test)]
    pub(crate) is_held: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    backlogs: HashMap<PartitionId, Backlog>,
    looked_at: Option<Timestamp>,
}

impl Backlogs {
    /// Nothing waits, as far as is known.
    pub(crate) fn new(metrics: IntakeMetrics) -> Self {
        Self {
            state: Mutex::default(),
            metrics,
            #[cfg(test)]
            is_held: std::sync::atomic::AtomicBool::default(),
        }
    }

    /// Whether more may be left for `account`.
    pub(crate) fn gate(&self, account: &AccountAddress) -> Gate {
        let state = self.lock();
        let backlog = state.backlogs.get(&PartitionId::of(account));
        backlog.map_or(Gate::Open, |backlog| backlog.gate(account))
    }

    /// The recipients of `request` who are not to be left anything more, by their canonical names.
    pub(crate) fn closed_to(&self, request: &AccountRequest) -> BTreeSet<String> {
        let Request::Post(post) = &request.request else {
            return BTreeSet::new();
        };
        let recipients = post.accounts.iter();
        let recipients = recipients.filter_map(|one| AccountAddress::parse(one).ok());
        recipients
            .filter(|one| self.gate(one) == Gate::Closed)
            .map(|one| one.canonical().to_owned())
            .collect()
    }

    /// Lets a message of another service in that its owner decides.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn let_in(&self, account: &AccountAddress) -> Result<(), ServiceError> {
        let mut state = self.lock();
        match state.backlogs.get_mut(&PartitionId::of(account)) {
            Some(backlog) => self.pass(backlog, account),
            None => Ok(()),
        }
    }

    /// Counts a message of so many octets that is about to be left for `account`.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn leave(
        &self,
        account: &AccountAddress,
        octets: usize,
    ) -> Result<(), ServiceError> {
        let mut state = self.lock();
        let backlog = state.backlogs.entry(PartitionId::of(account)).or_default();
        self.pass(backlog, account)?;
        backlog.since.add(Some(account), Load::of(octets));
        Ok(())
    }

    /// What was counted was not left.
    pub(crate) fn not_left(&self, account: &AccountAddress, octets: usize) {
        let mut state = self.lock();
        if let Some(backlog) = state.backlogs.get_mut(&PartitionId::of(account)) {
            // If a survey has begun meanwhile, its end forgets the count.
            backlog.since.take_away(Some(account), Load::of(octets));
        }
    }

    /// The owner is here, and found its intake empty.
    pub(crate) fn drained(&self, partition: PartitionId) {
        #[cfg(test)]
        if self.is_held.load(std::sync::atomic::Ordering::SeqCst) {
            return;
        }
        self.lock().backlogs.remove(&partition);
    }

    fn pass(&self, backlog: &mut Backlog, account: &AccountAddress) -> Result<(), ServiceError> {
        let (is_let_in, gate) = match backlog.gate(account) {
            Gate::Open => (true, "open"),
            Gate::Closed => (false, "closed"),
            Gate::Slow => {
                backlog.let_in_last = !backlog.let_in_last;
                (backlog.let_in_last, "slow")
            }
        };
        if is_let_in {
            return Ok(());
        }
        self.metrics.refused.with_label_values(&[gate]).inc();
        let sentence = "too much waits for the account, try again later";
        Err(ServiceError::new(Code::RateLimited, sentence)
            .with_context(format!("the gate of its intake is {gate}"))
            .retry_after(INTAKE_CLOSED_PAUSE))
    }

    /// A look that began at `now` found entries in these intakes, the oldest of these times. Those that have something
    /// from before the last look are not drained as fast as they fill.
    fn looked(
        &self,
        now: Timestamp,
        waiting: &BTreeMap<PartitionId, Option<Timestamp>>,
    ) -> Vec<PartitionId> {
        #[cfg(test)]
        if self.is_held.load(std::sync::atomic::Ordering::SeqCst) {
            return Vec::new();
        }
        let mut state = self.lock();
        let looked_at = state.looked_at.replace(now);
        let is_behind = |oldest: &Option<Timestamp>| oldest.is_none() || *oldest <= looked_at;
        let is_behind = |partition: &PartitionId| waiting.get(partition).is_some_and(is_behind);
        state.backlogs.retain(|partition, backlog| {
            if !is_behind(partition) {
                backlog.was_drained();
            }
            is_behind(partition) || backlog.before.all.entries > 0
        });
        // Of the first look nobody knows since when it waits.
        let behind = waiting.keys().copied();
        behind
            .filter(|partition| looked_at.is_none() || is_behind(partition))
            .collect()
    }

    /// Where to read on in the intake of `partition`, whose first entry is `oldest`.
    fn survey_begins(&self, partition: PartitionId, oldest: &[u8]) -> KeyRange {
        let mut state = self.lock();
        let backlog = state.backlogs.entry(partition).or_default();
        let all = keys::intake(partition);
        match backlog.survey_begins(oldest) {
            Some(last) => all.rest(&last, Order::Forward),
            None => all,
        }
    }

    /// Counts what a survey has found; `is_all` once there is nothing behind it. Whether it is worth while to read on.
    fn found(&self, partition: PartitionId, rows: Vec<Row>, is_all: bool) -> bool {
        let mut state = self.lock();
        let backlog = state.backlogs.entry(partition).or_default();
        rows.into_iter().for_each(|row| backlog.found(row));
        if is_all {
            backlog.before = Counts::default();
        }
        backlog.counted.all.entries < INTAKE_PARTITION_ENTRIES_MAX
    }

    /// Shows how much waits, and for how many accounts the gate is not open.
    fn show(&self) {
        let state = self.lock();
        let (mut depth, mut slow, mut closed) = (0, 0, 0);
        for backlog in state.backlogs.values() {
            depth += backlog.counted.all.entries;
            for account in backlog.counted.of_accounts.keys() {
                match backlog.gate(account) {
                    Gate::Open => {}
                    Gate::Slow => slow += 1,
                    Gate::Closed => closed += 1,
                }
            }
        }
        drop(state);
        self.metrics
            .depth
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
        for (gate, accounts) in [("slow", slow), ("closed", closed)] {
            self.metrics.gates.with_label_values(&[gate]).set(accounts);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Learns from a look that began at `now` what waits where, and reads the intakes that are not drained as fast as they
/// fill: what of them nobody here has read yet, at most [`INTAKE_SURVEY_PAGES_MAX`] pages of all together.
///
/// # Errors
/// The store cannot be read: what is known stays so.
pub(crate) async fn mind<S: Store>(
    store: &S,
    backlogs: &Backlogs,
    now: Timestamp,
    waiting: &BTreeMap<PartitionId, Option<Timestamp>>,
) -> Result<(), ReadError> {
    let mut pages = 0;
    for partition in backlogs.looked(now, waiting) {
        let tx = store.begin(TxOptions {
            is_background: true,
            ..TxOptions::default()
        });
        let all = keys::intake(partition);
        let first = Limit::rows(1);
        let first = tx.range(&all, first, Order::Forward, Read::Snapshot);
        let Some(oldest) = first.await?.rows.into_iter().next() else {
            backlogs.drained(partition);
            continue;
        };
        let mut rest = Some(backlogs.survey_begins(partition, &oldest.key));
        while let Some(range) = rest.filter(|_| pages < INTAKE_SURVEY_PAGES_MAX) {
            pages += 1;
            let page = tx.range(&range, Limit::default(), Order::Forward, Read::Snapshot);
            let page = page.await?;
            rest = page.rest(&range, Order::Forward);
            if !backlogs.found(partition, page.rows, rest.is_none()) {
                break;
            }
        }
    }
    backlogs.show();
    Ok(())
}

#[cfg(test)]
mod tests;
