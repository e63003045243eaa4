//! Operations waiting for a partition: bounded as a whole and per account (architecture A-1,
//! cluster §14).
//!
//! They are taken in order of arrival. Where something has waited without a pause for
//! [`PARTITION_OVERLOADED_AFTER`] there is more to do than can be done, and whoever is served in order is
//! served when nobody waits any more: then the newest are taken first, and the oldest make room for
//! them (adaptive LIFO). One account's operations keep their order all the same (cluster §7.1): it is accounts
//! that go before one another.

use std::collections::{HashMap, VecDeque};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::AccountRequest;
use mesh_common::limits::{
    ACCOUNT_WAITING_MAX, BATCH_OPERATIONS_MAX, PARTITION_MAILBOX_BYTES_MAX,
    PARTITION_OVERLOADED_AFTER,
};
use mesh_common::protocol::Request;
use mesh_common::time::Timestamp;

use super::commands::Operation;

/// Why an operation may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// The partition has as many requests waiting as it may.
    #[error("the partition has {max} requests waiting")]
    Partition {
        /// The bound.
        max: usize,
    },
    /// The waiting requests hold as many octets as they may.
    #[error("the requests waiting for the partition hold {max} octets")]
    Bytes {
        /// The bound.
        max: usize,
    },
    /// One account has as many requests waiting as it may; its neighbours have not.
    #[error("the account has {max} requests waiting")]
    Account {
        /// The bound.
        max: usize,
    },
}

impl Full {
    /// The bound, as measures call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::Bytes { .. } => "octets",
            Self::Account { .. } => "account",
        }
    }
}

/// What waits, oldest first.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<Operation>,
    per_account: HashMap<AccountAddress, usize>,
    bytes: usize,
    operations_max: usize,
    /// Since when something has waited without a pause.
    waiting_since: Option<Timestamp>,
}

impl Queue {
    /// An empty queue for at most `operations_max` operations.
    pub(crate) fn new(operations_max: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            per_account: HashMap::new(),
            bytes: 0,
            operations_max,
            waiting_since: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether operations of `account` wait.
    pub(crate) fn holds(&self, account: &AccountAddress) -> bool {
        self.per_account.contains_key(account)
    }

    /// The accounts that operations wait for.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &AccountAddress> {
        self.per_account.keys()
    }

    /// Whether there has been more to do than was done, for so long that the newest go first.
    pub(crate) fn is_overloaded(&self, now: Timestamp) -> bool {
        self.waiting_since
            .is_some_and(|since| now.since(since) > PARTITION_OVERLOADED_AFTER)
    }

    /// Whether `operation` meets a bound.
    pub(crate) fn is_full_for(&self, operation: &Operation) -> bool {
        self.bound_met(operation).is_some()
    }

    /// Lets `operation` wait behind all others, or hands it back with the bound it meets. Under overload the
    /// oldest one makes room for it, if that has waited long enough: it is to be told so.
    pub(crate) fn push(
        &mut self,
        operation: Operation,
        now: Timestamp,
    ) -> Result<Option<Operation>, (Operation, Full)> {
        let Some(full) = self.bound_met(&operation) else {
            self.push_back(operation, now);
            return Ok(None);
        };
        match self.oldest_in_the_way(&operation, full, now) {
            Some(place) => {
                let oldest = self.waiting.remove(place);
                oldest.iter().for_each(|oldest| self.discount(oldest));
                self.push_back(operation, now);
                Ok(oldest)
            }
            None => Err((operation, full)),
        }
    }

    fn push_back(&mut self, mut operation: Operation, now: Timestamp) {
        operation.wait_since(now);
        self.waiting_since.get_or_insert(now);
        self.count(&operation);
        self.waiting.push_back(operation);
    }

    /// Puts back what was taken, in its old place: bounds do not apply a second time.
    pub(crate) fn push_front(&mut self, operations: Vec<Operation>, now: Timestamp) {
        if !operations.is_empty() {
            self.waiting_since.get_or_insert(now);
        }
        for operation in operations.into_iter().rev() {
            self.count(&operation);
            self.waiting.push_front(operation);
        }
    }

    /// Takes the oldest operations, under overload those of the accounts that came last, at most
    /// `operations_max`, whose accounts satisfy `is_ready`. Once one operation of an account stays, all
    /// younger ones of it stay, and what is taken is in order of arrival, so that this order holds for each account.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        operations_max: usize,
        bytes_max: usize,
        is_ready: impl Fn(&AccountAddress) -> bool,
    ) -> Vec<Operation> {
        let order = if self.is_overloaded(now) {
            self.newest_first()
        } else {
            (0..self.waiting.len()).collect()
        };
        let operations_max = operations_max.min(BATCH_OPERATIONS_MAX);
        let mut leaves = vec![false; self.waiting.len()];
        let (mut count, mut bytes) = (0, 0);
        for place in order {
            let operation = &self.waiting[place];
            if !is_ready(operation.account()) {
                continue;
            }
            let would_hold = bytes + operation.bytes();
            if count >= operations_max || (count > 0 && would_hold > bytes_max) {
                break;
            }
            (count, bytes) = (count + 1, would_hold);
            leaves[place] = true;
        }
        let mut leaves = leaves.into_iter();
        self.remove(|_| leaves.next().unwrap_or(false))
    }

    /// The places of all operations: account after account as they came last, but in place of each operation the
    /// oldest one of its account that is still to come.
    fn newest_first(&self) -> Vec<usize> {
        let mut of_account: HashMap<&AccountAddress, VecDeque<usize>> = HashMap::new();
        for (place, operation) in self.waiting.iter().enumerate() {
            let places = of_account.entry(operation.account()).or_default();
            places.push_back(place);
        }
        let newest = self.waiting.iter().rev();
        newest
            .filter_map(|operation| of_account.get_mut(operation.account())?.pop_front())
            .collect()
    }

    /// Takes every operation that satisfies `leaves`, which is asked in order of arrival.
    pub(crate) fn remove(&mut self, leaves: impl FnMut(&Operation) -> bool) -> Vec<Operation> {
        let (leaving, staying): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(leaves);
        self.waiting = staying.into();
        for operation in &leaving {
            self.discount(operation);
        }
        if self.waiting.is_empty() {
            self.waiting_since = None;
        }
        leaving
    }

    fn bound_met(&self, operation: &Operation) -> Option<Full> {
        let of_account = self.per_account.get(operation.account()).copied();
        let account_max = ACCOUNT_WAITING_MAX.min(self.operations_max);
        if self.waiting.len() >= self.operations_max {
            return Some(Full::Partition {
                max: self.operations_max,
            });
        }
        if of_account.is_some_and(|count| count >= account_max) {
            return Some(Full::Account { max: account_max });
        }
        self.bytes_met(operation, 0)
    }

    /// The bound on octets, if `operation` meets it once so many others are gone.
    fn bytes_met(&self, operation: &Operation, gone: usize) -> Option<Full> {
        let is_over = self.bytes - gone + operation.bytes() > PARTITION_MAILBOX_BYTES_MAX;
        (is_over && !self.is_empty()).then_some(Full::Bytes {
            max: PARTITION_MAILBOX_BYTES_MAX,
        })
    }

    /// The operation that makes room for `operation`, which met `full`: the oldest of its own account if that has
    /// its share already, else the oldest of all.
    fn oldest_in_the_way(
        &self,
        operation: &Operation,
        full: Full,
        now: Timestamp,
    ) -> Option<usize> {
        if !self.is_overloaded(now) || matches!(full, Full::Bytes { .. }) {
            return None;
        }
        let account = operation.account();
        let of_account = self.per_account.get(account).copied().unwrap_or_default();
        let has_its_share = of_account >= ACCOUNT_WAITING_MAX.min(self.operations_max);
        let is_in_the_way = |one: &Operation| !has_its_share || one.account() == account;
        let place = self.waiting.iter().position(is_in_the_way)?;
        let oldest = &self.waiting[place];
        let has_waited = oldest.waited(now) > PARTITION_OVERLOADED_AFTER;
        let fits = self.bytes_met(operation, oldest.bytes()).is_none();
        (has_waited && fits).then_some(place)
    }

    fn count(&mut self, operation: &Operation) {
        self.bytes += operation.bytes();
        *self
            .per_account
            .entry(operation.account().clone())
            .or_default() += 1;
    }

    fn discount(&mut self, operation: &Operation) {
        self.bytes -= operation.bytes();
        if let Some(count) = self.per_account.get_mut(operation.account()) {
            *count -= 1;
            if *count == 0 {
                self.per_account.remove(operation.account());
            }
        }
    }
}

/// Payload octets a request carries: what bounds batches and mailboxes.
pub(crate) fn payload_bytes(request: &AccountRequest) -> usize {
    let of = |envelopes: &[mesh_common::dare::Envelope]| -> usize {
        envelopes.iter().map(|one| one.payload.0.len()).sum()
    };
    match &request.request {
        Request::Upload(upload) => {
            let updates: usize = upload.updates.iter().map(|one| of(&one.envelopes)).sum();
            updates + of(&upload.self_messages)
        }
        Request::Post(post) => {
            let forwarded = request.evidence.forwarded();
            let forwarded = forwarded.map_or(0, |message| message.envelope.payload.0.len());
            of(&post.messages) + of(&post.self_messages) + forwarded
        }
        Request::CreateAccount(create) => [
            &create.signed_profile_mesh,
            &create.signed_assertion_account,
        ]
        .into_iter()
        .flatten()
        .map(|one| one.payload.0.len())
        .sum(),
        Request::Hello(_)
        | Request::DeleteAccount(_)
        | Request::Complete(_)
        | Request::Status(_)
        | Request::Download(_)
        | Request::Connect(_) => 0,
    }
}

#[cfg(test)]
mod tests;
