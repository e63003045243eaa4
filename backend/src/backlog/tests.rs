//! What waits in an intake, below, at and above the bounds of what may.

use super::*;
use crate::bell;
use crate::metrics::Metrics;
use crate::partition::records::{Intakes, Rows};
use crate::store::MemoryStore;
use crate::tests::{Person, left_entry};

fn backlogs() -> Backlogs {
    Backlogs::new(Metrics::new().unwrap().intake)
}

fn address(name: &str) -> AccountAddress {
    AccountAddress::parse(&format!("{name}@example.com")).unwrap()
}

/// Leaves messages until one is sent away, and says how many those were.
fn leave_until_refused(backlogs: &Backlogs, account: &AccountAddress, octets: usize) -> usize {
    let is_left = |_: &usize| backlogs.leave(account, octets).is_ok();
    (0..INTAKE_PARTITION_ENTRIES_MAX * 2)
        .take_while(is_left)
        .count()
}

//
#[test]
fn from_half_of_the_bound_every_other_message_is_let_in_and_at_the_bound_none() {
    let (backlogs, alice) = (backlogs(), address("alice"));
    let half = INTAKE_ACCOUNT_MESSAGES_MAX / 2;
    for left in 0..half {
        assert_eq!(backlogs.gate(&alice), Gate::Open, "{left} wait");
        assert!(backlogs.leave(&alice, 1).is_ok());
    }
    for left in half..INTAKE_ACCOUNT_MESSAGES_MAX {
        assert_eq!(backlogs.gate(&alice), Gate::Slow, "{left} wait");
        assert!(backlogs.leave(&alice, 1).is_ok());
        let is_last = left + 1 == INTAKE_ACCOUNT_MESSAGES_MAX;
        assert!(is_last || backlogs.leave(&alice, 1).is_err());
    }
    assert_eq!(backlogs.gate(&alice), Gate::Closed);
    for _ in 0..2 {
        let error = backlogs.leave(&alice, 1).unwrap_err();
        assert_eq!(error.code, Code::RateLimited);
        assert_eq!(error.retry_after, Some(INTAKE_CLOSED_PAUSE));
        assert!(backlogs.let_in(&alice).is_err());
    }
    backlogs.not_left(&alice, 1);
    assert_eq!(
        backlogs.gate(&alice),
        Gate::Slow,
        "one was not left after all"
    );
}

#[test]
fn octets_are_bounded_as_messages_are() {
    let (backlogs, alice) = (backlogs(), address("alice"));
    let half = INTAKE_ACCOUNT_BYTES_MAX / 2;
    assert!(backlogs.leave(&alice, half - 1).is_ok());
    assert_eq!(backlogs.gate(&alice), Gate::Open);
    assert!(backlogs.leave(&alice, half).is_ok());
    assert_eq!(backlogs.gate(&alice), Gate::Slow);
    assert!(backlogs.leave(&alice, 1).is_ok());
    assert_eq!(backlogs.gate(&alice), Gate::Closed);
}

#[test]
fn accounts_do_not_fill_one_another_but_all_fill_their_partition() {
    let backlogs = backlogs();
    // As many accounts of one partition as fill it without one of them having half of what it may.
    let partition = PartitionId::of(&address("n0"));
    let mut neighbours = (0..)
        .map(|number| address(&format!("n{number}")))
        .filter(|one| PartitionId::of(one) == partition);
    let each = INTAKE_ACCOUNT_MESSAGES_MAX / 2 - 1;
    let half = INTAKE_PARTITION_ENTRIES_MAX / 2;
    let mut left = 0;
    while left < half {
        let account = neighbours.next().unwrap();
        assert_eq!(backlogs.gate(&account), Gate::Open, "{left} wait");
        for _ in 0..each.min(half - left) {
            assert!(backlogs.leave(&account, 1).is_ok());
            left += 1;
        }
    }
    let last = neighbours.next().unwrap();
    assert_eq!(backlogs.gate(&last), Gate::Slow);
    {
        let mut state = backlogs.lock();
        let backlog = state.backlogs.get_mut(&partition).unwrap();
        backlog.since.all.entries = INTAKE_PARTITION_ENTRIES_MAX - 1;
        assert_eq!(backlog.gate(&last), Gate::Slow);
        backlog.since.all.entries += 1;
    }
    assert_eq!(backlogs.gate(&last), Gate::Closed);
    let elsewhere = (0..)
        .map(|number| address(&format!("e{number}")))
        .find(|one| PartitionId::of(one) != partition);
    assert_eq!(backlogs.gate(&elsewhere.unwrap()), Gate::Open);
}

#[test]
fn an_owner_that_has_drained_opens_the_gate() {
    let (backlogs, alice) = (backlogs(), address("alice"));
    assert!(backlogs.leave(&alice, INTAKE_ACCOUNT_BYTES_MAX).is_ok());
    assert_eq!(leave_until_refused(&backlogs, &alice, 1), 0);
    backlogs.drained(PartitionId::of(&alice));
    assert_eq!(backlogs.gate(&alice), Gate::Open);
}

#[test]
fn what_this_process_left_is_counted_until_a_look_shows_that_it_was_drained() {
    let (backlogs, alice) = (backlogs(), address("alice"));
    let partition = PartitionId::of(&alice);
    let look = |seconds, oldest: Option<i64>| {
        let waiting = oldest.map(|at| (partition, Some(Timestamp::from_secs(at))));
        backlogs.looked(
            Timestamp::from_secs(seconds),
            &waiting.into_iter().collect(),
        )
    };
    assert_eq!(look(10, None), []);
    assert!(backlogs.leave(&alice, INTAKE_ACCOUNT_BYTES_MAX).is_ok());
    // It may have been committed after this look.
    assert_eq!(look(12, None), []);
    assert_eq!(backlogs.gate(&alice), Gate::Closed);
    assert_eq!(look(14, None), []);
    assert_eq!(backlogs.gate(&alice), Gate::Open);
    // What is younger than the last look is being drained; what is not is to be counted.
    assert_eq!(look(16, Some(15)), []);
    assert_eq!(look(18, Some(16)), [partition]);
    let told = backlogs.looked(
        Timestamp::from_secs(20),
        &[(partition, None)].into_iter().collect(),
    );
    assert_eq!(told, [partition], "nobody knows since when that is there");
}

/// Leaves messages of Bob's in the store, with these numbers, and looks at `seconds`.
async fn leave_and_look(
    store: &MemoryStore,
    backlogs: &Backlogs,
    numbers: std::ops::Range<u32>,
    seconds: i64,
) {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut rows = Rows::default();
    numbers.for_each(|number| rows.leave(&left_entry(&bob, &alice, number)));
    let mut tx = store.begin(TxOptions::default());
    rows.fill(&mut tx, Intakes::new(1, None));
    tx.commit().await.unwrap();
    look(store, backlogs, seconds).await;
}

async fn look(store: &MemoryStore, backlogs: &Backlogs, seconds: i64) {
    let mut waiting = bell::look(store).await.unwrap();
    // Whatever is there is there since before the last look.
    waiting.values_mut().for_each(|oldest| *oldest = None);
    let now = Timestamp::from_secs(seconds);
    mind(store, backlogs, now, &waiting).await.unwrap();
}

fn messages_for_alice(backlogs: &Backlogs) -> usize {
    let alice = left_entry(&Person::new("bob"), &Person::new("alice"), 0).account;
    let state = backlogs.lock();
    let backlog = state.backlogs.get(&PartitionId::of(&alice));
    backlog.map_or(0, |backlog| {
        let counts = [&backlog.counted, &backlog.before, &backlog.since];
        counts.iter().map(|counts| counts.of(&alice).entries).sum()
    })
}

#[tokio::test]
async fn what_anybody_left_is_counted_once_and_what_is_drained_no_more() {
    let (store, backlogs) = (MemoryStore::new(), backlogs());
    leave_and_look(&store, &backlogs, 0..700, 10).await;
    assert_eq!(messages_for_alice(&backlogs), 700);
    assert_eq!(backlogs.metrics.depth.get(), 700);
    assert_eq!(backlogs.metrics.gates.with_label_values(&["slow"]).get(), 1);
    // What this process leaves counts at once, and once only when it is seen in the store.
    let alice = Person::new("alice");
    let entry = left_entry(&Person::new("bob"), &alice, 700);
    assert!(backlogs.leave(&entry.account, entry.bytes()).is_ok());
    assert_eq!(messages_for_alice(&backlogs), 701);
    leave_and_look(&store, &backlogs, 700..1_000, 12).await;
    assert_eq!(messages_for_alice(&backlogs), 1_000);
    assert_eq!(backlogs.gate(&entry.account), Gate::Closed);
    assert_eq!(
        backlogs.metrics.gates.with_label_values(&["closed"]).get(),
        1
    );
    // The owner drains the oldest.
    let tx = store.begin(TxOptions::default());
    let all = keys::intake(entry.partition());
    let page = tx.range(&all, Limit::rows(300), Order::Forward, Read::Snapshot);
    let page = page.await.unwrap();
    let mut tx = store.begin(TxOptions::default());
    page.rows.iter().for_each(|row| tx.clear(&row.key));
    tx.commit().await.unwrap();
    look(&store, &backlogs, 14).await;
    assert_eq!(messages_for_alice(&backlogs), 700);
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&all);
    tx.commit().await.unwrap();
    look(&store, &backlogs, 16).await;
    look(&store, &backlogs, 18).await;
    assert_eq!(messages_for_alice(&backlogs), 0);
    assert_eq!(backlogs.metrics.depth.get(), 0);
}
