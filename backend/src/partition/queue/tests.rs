//! What waits for a partition, at, below and above its bounds.

use std::time::Duration;

use mesh_common::cluster::Verified;
use mesh_common::limits::{BATCH_BYTES_MAX, PARTITION_MAILBOX_MAX};
use mesh_common::time::Timestamp;

use super::*;
use crate::tests::Person;

const BEGIN: Timestamp = Timestamp::from_secs(0);

fn operation(person: &Person, payload_bytes: usize) -> Operation {
    let now = Timestamp::from_secs(0);
    let upload = person.upload(now, 1, &[&vec![7; payload_bytes]]);
    Operation::new(Verified::declare(upload)).0
}

fn number_of(operation: &Operation) -> u8 {
    operation.request().request_id.0[7]
}

fn full(outcome: Result<Option<Operation>, (Operation, Full)>) -> Option<Full> {
    outcome.err().map(|(_, full)| full)
}

#[test]
fn as_many_octets_wait_as_may_and_no_more() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let alice = Person::new("alice");
    let half = PARTITION_MAILBOX_BYTES_MAX / 2;
    assert_eq!(full(queue.push(operation(&alice, half), BEGIN)), None);
    assert_eq!(full(queue.push(operation(&alice, half - 1), BEGIN)), None);
    assert_eq!(full(queue.push(operation(&alice, 1), BEGIN)), None);
    let max = PARTITION_MAILBOX_BYTES_MAX;
    let met = full(queue.push(operation(&alice, 1), BEGIN));
    assert_eq!(met, Some(Full::Bytes { max }));
    assert_eq!(full(queue.push(operation(&alice, 0), BEGIN)), None);
}

#[test]
fn one_account_fills_its_share_and_the_partition_its_mailbox() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let people: Vec<Person> = (0..5).map(|one| Person::new(&one.to_string())).collect();
    for person in &people[..4] {
        for _ in 0..ACCOUNT_WAITING_MAX {
            assert_eq!(full(queue.push(operation(person, 1), BEGIN)), None);
        }
        let met = full(queue.push(operation(person, 1), BEGIN));
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
    assert!(full(queue.push(operation(&people[4], 1), BEGIN)).is_some());
}

#[test]
fn what_is_taken_is_the_oldest_and_keeps_the_order_of_each_account() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let (ready, away) = (Person::new("ready"), Person::new("away"));
    for _ in 0..3 {
        assert!(queue.push(operation(&ready, 1), BEGIN).is_ok());
        assert!(queue.push(operation(&away, 1), BEGIN).is_ok());
    }
    let is_ready = |account: &AccountAddress| account.user() == "ready";
    let taken = queue.take(BEGIN, 2, BATCH_BYTES_MAX, is_ready);
    assert_eq!(taken.iter().map(number_of).collect::<Vec<_>>(), [0, 1]);
    queue.push_front(taken, BEGIN);
    let taken = queue.take(BEGIN, 9, BATCH_BYTES_MAX, |_| true);
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
        assert!(queue.push(operation(&alice, bytes), BEGIN).is_ok());
    }
    let mut sizes = || queue.take(BEGIN, 64, BATCH_BYTES_MAX, |_| true).len();
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
                .all(|one| queue.push(operation(one, 0), BEGIN).is_ok())
        );
    }
    let mut sizes = || {
        queue
            .take(BEGIN, usize::MAX, BATCH_BYTES_MAX, |_| true)
            .len()
    };
    assert_eq!([sizes(), sizes()], [BATCH_OPERATIONS_MAX, 2]);
}

/// The moment so long after the beginning.
fn after(time: Duration) -> Timestamp {
    BEGIN + time
}

const OVERLOADED: Duration = PARTITION_OVERLOADED_AFTER.saturating_add(Duration::from_millis(1));

#[test]
fn the_newest_go_first_once_something_has_waited_too_long() {
    let people = ["alice", "bob", "carol"].map(Person::new);
    for (time, expected) in [
        (PARTITION_OVERLOADED_AFTER, ["alice", "bob"]),
        (OVERLOADED, ["bob", "carol"]),
    ] {
        let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
        for person in &people {
            assert!(queue.push(operation(person, 1), BEGIN).is_ok());
        }
        let taken = queue.take(after(time), 2, BATCH_BYTES_MAX, |_| true);
        // In a batch they are in order of arrival all the same.
        let users: Vec<_> = taken.iter().map(|one| one.account().user()).collect();
        assert_eq!(users, expected, "after {time:?}");
        let rest = queue.take(after(time), 2, BATCH_BYTES_MAX, |_| true);
        assert_eq!(rest.len(), 1, "nobody is forgotten");
        assert!(queue.is_empty());
    }
}

#[test]
fn one_account_keeps_its_order_however_much_waits() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    for person in [&alice, &bob, &alice, &alice, &bob] {
        assert!(queue.push(operation(person, 1), BEGIN).is_ok());
    }
    let now = after(OVERLOADED);
    let mut taken = || names_of(&queue.take(now, 2, BATCH_BYTES_MAX, |_| true));
    // The newest is Bob's: his oldest goes, then Alice's oldest.
    assert_eq!(taken(), owned(&[("alice", 0), ("bob", 0)]));
    assert_eq!(taken(), owned(&[("alice", 1), ("bob", 1)]));
    assert_eq!(taken(), owned(&[("alice", 2)]));
}

fn names_of(operations: &[Operation]) -> Vec<(String, u8)> {
    let operations = operations.iter();
    operations
        .map(|one| (one.account().user().to_owned(), number_of(one)))
        .collect()
}

fn owned(names: &[(&str, u8)]) -> Vec<(String, u8)> {
    let names = names.iter();
    names
        .map(|&(name, number)| (name.to_owned(), number))
        .collect()
}

#[test]
fn an_account_that_is_not_ready_stays_whichever_end_is_taken_from() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let (ready, away) = (Person::new("ready"), Person::new("away"));
    for person in [&ready, &away, &ready, &away] {
        assert!(queue.push(operation(person, 1), BEGIN).is_ok());
    }
    let is_ready = |account: &AccountAddress| account.user() == "ready";
    let taken = queue.take(after(OVERLOADED), 9, BATCH_BYTES_MAX, is_ready);
    assert_eq!(names_of(&taken), owned(&[("ready", 0), ("ready", 1)]));
    assert_eq!(queue.len(), 2);
}

#[test]
fn a_pause_ends_the_overload() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let alice = Person::new("alice");
    assert!(!queue.is_overloaded(after(OVERLOADED)), "nothing waits");
    assert!(queue.push(operation(&alice, 1), BEGIN).is_ok());
    assert!(queue.is_overloaded(after(OVERLOADED)));
    let taken = queue.take(after(OVERLOADED), 1, BATCH_BYTES_MAX, |_| true);
    assert!(!queue.is_overloaded(after(OVERLOADED * 2)), "nothing waits");
    queue.push_front(taken, after(OVERLOADED));
    assert!(!queue.is_overloaded(after(OVERLOADED * 2 - Duration::from_millis(1))));
    assert!(queue.is_overloaded(after(OVERLOADED * 2)));
}

#[test]
fn under_overload_the_oldest_makes_room_and_is_told_so() {
    let mut queue = Queue::new(2);
    let people = ["alice", "bob", "carol"].map(Person::new);
    for person in &people[..2] {
        assert!(queue.push(operation(person, 1), BEGIN).is_ok());
    }
    let met = queue.push(operation(&people[2], 1), after(PARTITION_OVERLOADED_AFTER));
    assert_eq!(full(met), Some(Full::Partition { max: 2 }), "not yet");
    let given_up = queue
        .push(operation(&people[2], 1), after(OVERLOADED))
        .unwrap();
    assert_eq!(names_of(given_up.as_slice()), owned(&[("alice", 0)]));
    // The next oldest has waited as long; the one behind it has not.
    let given_up = queue
        .push(operation(&people[0], 1), after(OVERLOADED))
        .unwrap();
    assert_eq!(names_of(given_up.as_slice()), owned(&[("bob", 0)]));
    let met = queue.push(operation(&people[1], 1), after(OVERLOADED));
    assert_eq!(full(met), Some(Full::Partition { max: 2 }), "both are new");
}

#[test]
fn who_has_its_share_makes_room_for_itself_and_for_nobody_else() {
    let mut queue = Queue::new(PARTITION_MAILBOX_MAX);
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    assert!(queue.push(operation(&bob, 1), BEGIN).is_ok());
    for _ in 0..ACCOUNT_WAITING_MAX {
        assert!(queue.push(operation(&alice, 1), BEGIN).is_ok());
    }
    let given_up = queue.push(operation(&alice, 1), after(OVERLOADED)).unwrap();
    assert_eq!(
        names_of(given_up.as_slice()),
        owned(&[("alice", 0)]),
        "not Bob's, which is older"
    );
    assert!(queue.accounts().any(|account| account.user() == "bob"));
}

#[test]
fn nobody_makes_room_for_octets() {
    let mut queue = Queue::new(2);
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    assert!(queue.push(operation(&alice, 1), BEGIN).is_ok());
    assert!(queue.push(operation(&bob, 1), BEGIN).is_ok());
    let too_large = operation(&bob, PARTITION_MAILBOX_BYTES_MAX);
    let met = full(queue.push(too_large, after(OVERLOADED)));
    assert_eq!(met, Some(Full::Partition { max: 2 }));
    assert_eq!(
        queue.len(),
        2,
        "nobody was given up for what does not fit either"
    );
}
