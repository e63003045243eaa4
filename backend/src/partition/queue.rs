//! Operations waiting for a partition: bounded as a whole and per account (architecture A-1,
//! cluster §14), in order of arrival.

use std::collections::{HashMap, VecDeque};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::AccountRequest;
use mesh_common::limits::{ACCOUNT_WAITING_MAX, BATCH_OPERATIONS_MAX, PARTITION_MAILBOX_BYTES_MAX};
use mesh_common::protocol::Request;

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

/// What waits, oldest first.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<Operation>,
    per_account: HashMap<AccountAddress, usize>,
    bytes: usize,
    operations_max: usize,
}

impl Queue {
    /// An empty queue for at most `operations_max` operations.
    pub(crate) fn new(operations_max: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            per_account: HashMap::new(),
            bytes: 0,
            operations_max,
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

    /// Lets `operation` wait behind all others, or hands it back with the bound it meets.
    pub(crate) fn push(&mut self, operation: Operation) -> Result<(), (Operation, Full)> {
        match self.bound_met(&operation) {
            Some(full) => Err((operation, full)),
            None => {
                self.count(&operation);
                self.waiting.push_back(operation);
                Ok(())
            }
        }
    }

    /// Puts back what was taken, in its old place: bounds do not apply a second time.
    pub(crate) fn push_front(&mut self, operations: Vec<Operation>) {
        for operation in operations.into_iter().rev() {
            self.count(&operation);
            self.waiting.push_front(operation);
        }
    }

    /// Takes the oldest operations, at most `operations_max`, whose accounts satisfy `is_ready`. Once one
    /// operation of an account stays, all younger ones of it stay, so that the order of arrival holds.
    pub(crate) fn take(
        &mut self,
        operations_max: usize,
        bytes_max: usize,
        is_ready: impl Fn(&AccountAddress) -> bool,
    ) -> Vec<Operation> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut stay = VecDeque::with_capacity(self.waiting.len());
        let mut is_closed = false;
        while let Some(operation) = self.waiting.pop_front() {
            let would_hold = bytes + operation.bytes();
            is_closed |= taken.len() >= operations_max.min(BATCH_OPERATIONS_MAX)
                || (!taken.is_empty() && would_hold > bytes_max);
            if is_closed || !is_ready(operation.account()) {
                stay.push_back(operation);
                continue;
            }
            bytes = would_hold;
            self.discount(&operation);
            taken.push(operation);
        }
        self.waiting = stay;
        taken
    }

    /// Takes every operation that satisfies `leaves`.
    pub(crate) fn remove(&mut self, leaves: impl Fn(&Operation) -> bool) -> Vec<Operation> {
        let (leaving, staying): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(leaves);
        self.waiting = staying.into();
        for operation in &leaving {
            self.discount(operation);
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
        let is_over = self.bytes + operation.bytes() > PARTITION_MAILBOX_BYTES_MAX;
        (is_over && !self.is_empty()).then_some(Full::Bytes {
            max: PARTITION_MAILBOX_BYTES_MAX,
        })
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
mod tests {
    use mesh_common::cluster::Verified;
    use mesh_common::limits::{BATCH_BYTES_MAX, PARTITION_MAILBOX_MAX};
    use mesh_common::time::Timestamp;

    use super::*;
    use crate::tests::Person;

    fn operation(person: &Person, payload_bytes: usize) -> Operation {
        let now = Timestamp::from_secs(0);
        let upload = person.upload(now, 1, &[&vec![7; payload_bytes]]);
        Operation::new(Verified::declare(upload)).0
    }

    fn number_of(operation: &Operation) -> u8 {
        operation.request().request_id.0[7]
    }

    fn full(outcome: Result<(), (Operation, Full)>) -> Option<Full> {
        outcome.err().map(|(_, full)| full)
    }

    #[test]
    fn as_many_octets_wait_as_may_and_no_more() {
        let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
        let alice = Person::new("alice");
        let half = PARTITION_MAILBOX_BYTES_MAX / 2;
        assert_eq!(full(queue.push(operation(&alice, half))), None);
        assert_eq!(full(queue.push(operation(&alice, half - 1))), None);
        assert_eq!(full(queue.push(operation(&alice, 1))), None);
        let max = PARTITION_MAILBOX_BYTES_MAX;
        let met = full(queue.push(operation(&alice, 1)));
        assert_eq!(met, Some(Full::Bytes { max }));
        assert_eq!(full(queue.push(operation(&alice, 0))), None);
    }

    #[test]
    fn one_account_fills_its_share_and_the_partition_its_mailbox() {
        let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
        let people: Vec<Person> = (0..5).map(|one| Person::new(&one.to_string())).collect();
        for person in &people[..4] {
            for _ in 0..ACCOUNT_WAITING_MAX {
                assert_eq!(full(queue.push(operation(person, 1))), None);
            }
            let met = full(queue.push(operation(person, 1)));
            let is_last = queue.len() == PARTITION_MAILBOX_MAX;
            let expected = if is_last {
                Full::Partition {
                    max: PARTITION_MAILBOX_MAX,
                }
            } else {
                Full::Account {
                    max: ACCOUNT_WAITING_MAX,
                }
            };
            assert_eq!(met, Some(expected));
        }
        assert!(full(queue.push(operation(&people[4], 1))).is_some());
    }

    #[test]
    fn what_is_taken_is_the_oldest_and_keeps_the_order_of_each_account() {
        let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
        let (ready, away) = (Person::new("ready"), Person::new("away"));
        for _ in 0..3 {
            assert!(queue.push(operation(&ready, 1)).is_ok());
            assert!(queue.push(operation(&away, 1)).is_ok());
        }
        let is_ready = |account: &AccountAddress| account.user() == "ready";
        let taken = queue.take(2, BATCH_BYTES_MAX, is_ready);
        assert_eq!(taken.iter().map(number_of).collect::<Vec<_>>(), [0, 1]);
        queue.push_front(taken);
        let taken = queue.take(9, BATCH_BYTES_MAX, |_| true);
        let order: Vec<(bool, u8)> = taken
            .iter()
            .map(|one| (is_ready(one.account()), number_of(one)))
            .collect();
        // What was put back stands in front again; the others kept their places behind it.
        let expected = [
            (true, 0),
            (true, 1),
            (false, 0),
            (false, 1),
            (true, 2),
            (false, 2),
        ];
        assert_eq!(order, expected);
        assert!(queue.is_empty() && queue.accounts().next().is_none());
    }

    #[test]
    fn a_batch_takes_no_more_octets_than_it_may_but_one_operation_always() {
        let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
        let alice = Person::new("alice");
        for bytes in [BATCH_BYTES_MAX + 1, BATCH_BYTES_MAX - 1, 1, 1] {
            assert!(queue.push(operation(&alice, bytes)).is_ok());
        }
        let mut sizes = || queue.take(64, BATCH_BYTES_MAX, |_| true).len();
        assert_eq!([sizes(), sizes(), sizes(), sizes()], [1, 2, 1, 0]);
    }

    #[test]
    fn a_batch_takes_no_more_operations_than_it_may() {
        let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
        let people = [Person::new("alice"), Person::new("bob")];
        for _ in 0..BATCH_OPERATIONS_MAX / 2 + 1 {
            assert!(
                people
                    .iter()
                    .all(|one| queue.push(operation(one, 0)).is_ok())
            );
        }
        let mut sizes = || queue.take(usize::MAX, BATCH_BYTES_MAX, |_| true).len();
        assert_eq!([sizes(), sizes()], [BATCH_OPERATIONS_MAX, 2]);
    }
}
