//! What one commit makes of what domains use: collected while it is planned, written with it, and known once it
//! has landed.

use std::collections::BTreeMap;

use mesh_common::account::usage::{day_of, end_of};
use mesh_common::account::{DomainLimits, DomainRoom, DomainUsage, MessageRoom, UsageChange};
use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::escrow::Want;

use super::granting::{Elsewhere, Others, Wanted};
use super::known::Recalls;
use super::rows::{Grants, UsageRow};
use crate::partition::reading::ReadError;
use crate::partition::shared::Shared;
use crate::store::{PlanError, Read, Store, Tx, TxOptions, keys};

/// What a commit under one fence makes of what domains use in one partition.
#[derive(Debug)]
pub(crate) struct UsageDraft {
    partition: PartitionId,
    fence: Fence,
    planned: BTreeMap<Box<str>, Planned>,
    /// What stood under the recalls of the partition when the first row was looked at, where parts of limits are
    /// granted: if others took something back since, nothing lands.
    recalls: Option<Recalls>,
}

/// Which limit of its domain a change meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// There are as many accounts as there may be.
    Accounts,
    /// This is left of octets and messages, and it is too little.
    Room(DomainRoom),
}

/// One row, as it is and as it will be.
#[derive(Debug, Clone, Copy)]
struct Planned {
    committed: UsageRow,
    used: DomainUsage,
    /// The day by which messages count.
    day: i64,
    /// Whether the commit changes an account of the domain, be it that the sum stays the same: whoever counts
    /// the accounts meanwhile is to see it.
    is_changed: bool,
    limits: DomainLimits,
    /// What the others use, once that was asked for.
    elsewhere: Option<Elsewhere>,
    /// Octets and messages above the limits, which nobody may refuse.
    forced: (u64, u64),
}

impl Planned {
    /// The same without anything planned.
    const fn of(committed: UsageRow, limits: DomainLimits, day: i64) -> Self {
        Self {
            committed,
            used: committed.used,
            day,
            is_changed: false,
            limits,
            elsewhere: None,
            forced: (0, 0),
        }
    }

    /// The limit of accounts, if the commit adds some.
    fn accounts_max(&self) -> Option<u64> {
        let adds_some = self.used.accounts > self.committed.used.accounts;
        self.limits.accounts_max.filter(|_| adds_some)
    }

    /// What the commit wants of the other limits, beyond what it was granted.
    fn wanted(&self) -> Wanted {
        let (before, used) = (&self.committed, self.used);
        let octets = self.limits.octets_max.filter(|max| {
            used.octets > before.used.octets && used.octets > before.grants.octets.under(*max)
        });
        let messages = self.limits.messages_per_day_max.filter(|max| {
            used.messages > before.used.on(used.day).messages
                && used.messages > before.grants.messages_on(used.day, *max)
        });
        let (octets_forced, messages_forced) = self.forced;
        let want = |before, used, forced| Want {
            before,
            used,
            forced,
        };
        let sent_before = before.used.on(used.day).messages;
        Wanted {
            octets: octets.map(|max| (want(before.used.octets, used.octets, octets_forced), max)),
            messages: messages.map(|max| {
                let want = want(sent_before, used.messages, messages_forced);
                (used.day, want, max)
            }),
        }
    }

    /// Whether the commit takes turns with others.
    fn takes_turn(&self) -> bool {
        self.accounts_max().is_some() || self.wanted().is_any()
    }

    /// Whether the others have to be asked before `change` is made.
    fn is_to_ask(&self, change: UsageChange) -> bool {
        let after = self.used.after(change, self.day);
        let grants = &self.committed.grants;
        let of_octets = |max| after.octets > grants.octets.under(max);
        let of_messages = |max| after.messages > grants.messages_on(after.day, max);
        (change.accounts > 0 && self.limits.accounts_max.is_some())
            || (change.octets > 0 && self.limits.octets_max.is_some_and(of_octets))
            || (change.messages > 0 && self.limits.messages_per_day_max.is_some_and(of_messages))
    }

    /// What is left, as the others are.
    fn room(&self, elsewhere: Elsewhere) -> DomainRoom {
        let left = |max: u64, theirs: u64, own: u64| max.saturating_sub(theirs).saturating_sub(own);
        let (limits, sent) = (self.limits, self.used.on(self.day).messages);
        DomainRoom {
            octets: limits
                .octets_max
                .map(|max| left(max, elsewhere.octets, self.used.octets)),
            messages: limits.messages_per_day_max.map(|max| MessageRoom {
                left: left(max, elsewhere.messages, sent),
                until: end_of(self.day),
            }),
        }
    }

    /// Which limit `change` meets, as the others are. What was decided by whoever knows what is left is not
    /// refused again: then it is what nobody may refuse.
    fn meets(&mut self, elsewhere: Elsewhere, change: UsageChange, is_told: bool) -> Option<Met> {
        self.day = elsewhere.day.max(self.used.day);
        let more = u64::try_from(change.accounts).unwrap_or(0);
        let accounts = elsewhere.accounts.saturating_add(self.used.accounts);
        let max = self.limits.accounts_max.filter(|_| more > 0);
        if max.is_some_and(|max| accounts.saturating_add(more) > max) {
            return Some(Met::Accounts);
        }
        let room = self.room(elsewhere);
        let above = Self::above(room, change);
        (above != (0, 0) && !is_told).then_some(Met::Room(room))
    }

    /// Octets and messages of `change` that are more than `room`.
    fn above(room: DomainRoom, change: UsageChange) -> (u64, u64) {
        let grown = u64::try_from(change.octets).unwrap_or(0);
        let octets = room.octets.map_or(0, |left| grown.saturating_sub(left));
        let messages = room
            .messages
            .map_or(0, |room| change.messages.saturating_sub(room.left));
        (octets, messages)
    }

    /// Makes `change`.
    fn add(&mut self, change: UsageChange) {
        if let Some(elsewhere) = self.elsewhere {
            let (octets, messages) = Self::above(self.room(elsewhere), change);
            self.forced.0 = self.forced.0.saturating_add(octets);
            self.forced.1 = self.forced.1.saturating_add(messages);
        }
        self.used = self.used.after(change, self.day);
        self.is_changed = true;
    }

    /// The row that is to be written, if any is; what it grants of limits that are none any more goes.
    fn row(&self) -> Option<UsageRow> {
        let mut grants = self.committed.grants;
        if self.limits.octets_max.is_none() {
            grants.octets = Grants::default().octets;
        }
        if self.limits.messages_per_day_max.is_none() {
            (grants.day, grants.messages) = (0, Grants::default().messages);
        }
        let next = self.committed.next(self.used).granting(grants);
        self.is_changed.then_some(next)
    }
}

impl UsageDraft {
    /// Nothing changes yet.
    pub(crate) const fn new(partition: PartitionId, fence: Fence) -> Self {
        Self {
            partition,
            fence,
            planned: BTreeMap::new(),
            recalls: None,
        }
    }

    /// Makes sure that it is known what `domain` uses: reads its row if the owner does not know it.
    ///
    /// # Errors
    /// The row cannot be read.
    pub(crate) async fn look_at<S: Store>(
        &mut self,
        shared: &Shared<S>,
        domain: &str,
    ) -> Result<(), ReadError> {
        if self.planned.contains_key(domain) {
            return Ok(());
        }
        let (partition, fence) = (self.partition, self.fence);
        let committed = match shared.usages.row(partition, fence, domain) {
            Some(known) => known,
            None => self.read(shared, domain).await?,
        };
        if self.recalls.is_none() {
            self.recalls = shared.usages.recalls(partition, fence);
        }
        let limits = shared.config.policy_of_domain(domain).domain;
        let planned = Planned::of(committed, limits, day_of(shared.now()));
        self.planned.insert(domain.into(), planned);
        Ok(())
    }

    /// Reads the row of `domain`, and at the same moment whether others took something back since other rows
    /// were read.
    async fn read<S: Store>(
        &self,
        shared: &Shared<S>,
        domain: &str,
    ) -> Result<UsageRow, ReadError> {
        let (partition, fence) = (self.partition, self.fence);
        let tx = shared.store.begin(TxOptions::default());
        let found = tx
            .get(&keys::usage(domain, partition), Read::Snapshot)
            .await?;
        let row = UsageRow::of(found.as_deref())?;
        if shared.usages.are_granted() {
            let recalls = tx.get(&keys::recalls(partition), Read::Snapshot).await?;
            shared.usages.found(partition, fence, recalls);
        }
        shared.usages.keep(partition, fence, domain, row);
        Ok(row)
    }

    /// `domain`, which was looked at, uses so much more, or less.
    pub(crate) fn add(&mut self, domain: &str, change: UsageChange) {
        if let Some(planned) = self.planned.get_mut(domain)
            && !change.is_nothing()
        {
            planned.add(change);
        }
    }

    /// Looks at `domain`, and whether it may have `change` beside what is planned; says which limit it meets.
    /// Within what the partition was granted that is known, else the others' rows are read, and the commit depends
    /// on them. `is_told`: the change was decided knowing what is left.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub(crate) async fn weigh<S: Store>(
        &mut self,
        shared: &Shared<S>,
        domain: &str,
        change: UsageChange,
        is_told: bool,
    ) -> Result<Option<Met>, ReadError> {
        self.look_at(shared, domain).await?;
        let partition = self.partition;
        let Some(planned) = self.planned.get_mut(domain) else {
            return Ok(None);
        };
        if !planned.is_to_ask(change) {
            return Ok(None);
        }
        let elsewhere = match planned.elsewhere {
            Some(known) => known,
            None => {
                let tx = shared.store.begin(TxOptions::default());
                let (_, others) = Others::read(&tx, domain, partition).await?;
                *planned.elsewhere.insert(others.used(planned.day))
            }
        };
        let met = planned.meets(elsewhere, change, is_told);
        if let Some(Met::Room(room)) = met {
            count_refusal(shared, room, change);
        }
        Ok(met)
    }

    /// Whether others may be faster, so that nothing lands and everything is to be decided again.
    pub(crate) fn may_be_overtaken(&self) -> bool {
        self.recalls.is_some() || self.planned.values().any(Planned::takes_turn)
    }

    /// The rows that the commit writes.
    fn rows(&self) -> impl Iterator<Item = (&str, &Planned, UsageRow)> {
        let planned = self.planned.iter();
        planned.filter_map(|(domain, planned)| Some((&**domain, planned, planned.row()?)))
    }

    /// Puts the rows into the commit. `is_chained`: it reads at the version of the partition's last commit, so that
    /// whatever came since is a conflict.
    ///
    /// # Errors
    /// [`PlanError::Outdated`] if others took the room meanwhile, or took something back; the store cannot be read.
    pub(crate) async fn fill<S: Store, R>(
        &self,
        shared: &Shared<S>,
        tx: &mut S::Tx,
        is_chained: bool,
    ) -> Result<(), PlanError<R>> {
        let known = self.recalls.clone();
        if let Some(known) = known.or_else(|| shared.usages.recalls(self.partition, self.fence)) {
            let key = keys::recalls(self.partition);
            if is_chained {
                tx.read_conflict(&key);
            } else if tx.get(&key, Read::Serializable).await? != known {
                return Err(PlanError::Outdated);
            }
        }
        for (domain, planned, row) in self.rows() {
            let row = if planned.takes_turn() {
                self.take(tx, domain, planned, row).await?
            } else {
                row
            };
            tx.set(&keys::usage(domain, self.partition), row.encode());
        }
        Ok(())
    }

    /// Takes what the commit adds to a domain that may have so much and no more, and what is needed of that
    /// back from others. Of those who take at once one lands: each reads what all before it took.
    async fn take<T: Tx, R>(
        &self,
        tx: &mut T,
        domain: &str,
        planned: &Planned,
        row: UsageRow,
    ) -> Result<UsageRow, PlanError<R>> {
        let turn = keys::domain_turn(domain);
        tx.get(&turn, Read::Serializable).await?;
        tx.set(&turn, self.partition.0.to_be_bytes().to_vec());
        let (own, others) = Others::read(tx, domain, self.partition).await?;
        let elsewhere = others.used(planned.used.day);
        let is_full = |max| elsewhere.accounts.saturating_add(planned.used.accounts) > max;
        let wanted = planned.wanted();
        let is_another_day = wanted.messages.is_some() && elsewhere.day != planned.used.day;
        if own != planned.committed || planned.accounts_max().is_some_and(is_full) || is_another_day
        {
            return Err(PlanError::Outdated);
        }
        let took = others.take(wanted, row.grants);
        let took = took.map_err(|_short| PlanError::Outdated)?;
        for (partition, row) in took.recalled {
            let key = keys::usage(domain, partition);
            // What it uses was read at a snapshot: if it uses more by now, nothing is taken from it.
            tx.read_conflict(&key);
            tx.set(&key, row.encode());
            tx.set_stamped_value(&keys::recalls(partition), &[], &[]);
        }
        Ok(row.granting(took.grants))
    }

    /// The commit has ended. What did not surely land, or was granted by it, is read again by whoever needs it.
    pub(crate) fn settle<S: Store>(&self, shared: &Shared<S>, has_landed: bool) {
        if !has_landed {
            return shared.usages.forget_all(self.partition);
        }
        let (partition, fence) = (self.partition, self.fence);
        for (domain, planned, row) in self.rows() {
            if planned.takes_turn() {
                shared.usages.forget(partition, domain);
            } else {
                shared.usages.keep(partition, fence, domain, row);
            }
            if planned.wanted().is_any() {
                shared.metrics.escrow.grants.inc();
            }
        }
    }
}

/// Counts that `change` met what is left of a limit.
fn count_refusal<S>(shared: &Shared<S>, room: DomainRoom, change: UsageChange) {
    let refusals = &shared.metrics.escrow.refusals;
    let (octets, messages) = Planned::above(room, change);
    for (above, scope) in [(octets, "domain-octets"), (messages, "domain-messages")] {
        if above > 0 {
            refusals.with_label_values(&[scope]).inc();
        }
    }
}
