//! The battery on the memory engine, and its faults, each by name and all by seed.

use super::*;
use crate::store::battery::{everything, get, is_resolved, put};

mod battery {
    use super::*;

    crate::store::battery::battery!(((), MemoryStore::new()));
}

async fn set_a(store: &MemoryStore) -> Result<Committed, CommitError> {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "1");
    tx.commit().await
}

#[tokio::test]
async fn an_injected_fault_meets_the_next_commit_only() {
    let store = MemoryStore::new();
    store.inject(Fault::Conflict);
    store.inject(Fault::TooOld);
    store.inject(Fault::ReadOnly);
    assert!(matches!(set_a(&store).await, Err(CommitError::Conflict)));
    assert!(matches!(set_a(&store).await, Err(CommitError::TooOld)));
    assert!(matches!(set_a(&store).await, Err(CommitError::ReadOnly)));
    assert_eq!(get(&store, b"a").await, None);
    set_a(&store).await.unwrap();
}

#[tokio::test]
async fn an_unknown_result_is_applied_or_not_as_the_fault_says() {
    let store = MemoryStore::new();
    store.inject(Fault::UnknownLost);
    assert!(matches!(set_a(&store).await, Err(CommitError::Unknown)));
    assert_eq!(get(&store, b"a").await, None);
    store.inject(Fault::UnknownApplied);
    assert!(matches!(set_a(&store).await, Err(CommitError::Unknown)));
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
}

#[tokio::test]
async fn a_conflicting_commit_is_not_applied_by_a_fault() {
    let store = MemoryStore::new();
    let mut tx = store.begin(TxOptions::default());
    tx.get(b"b", Read::Serializable).await.unwrap();
    tx.set(b"a", "1");
    put(&store, b"b", b"1").await;
    store.inject(Fault::UnknownApplied);
    assert!(matches!(tx.commit().await, Err(CommitError::Conflict)));
    assert_eq!(get(&store, b"a").await, None);
}

#[tokio::test]
async fn a_stray_commit_lands_after_as_many_later_commits() {
    let store = MemoryStore::new();
    store.inject(Fault::LandsAfter(2));
    assert!(matches!(
        set_a(&store).await,
        Err(CommitError::MayStillLand)
    ));
    put(&store, b"b", b"1").await;
    assert_eq!((get(&store, b"a").await, store.strays()), (None, 1));
    put(&store, b"b", b"2").await;
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
    assert_eq!(store.strays(), 0);
}

#[tokio::test]
async fn a_stray_commit_cannot_land_behind_a_barrier() {
    let store = MemoryStore::new();
    put(&store, b"fence", b"me").await;
    let mut tx = store.begin(TxOptions::default());
    tx.get(b"fence", Read::Serializable).await.unwrap();
    tx.set(b"a", "1");
    store.inject(Fault::LandsAfter(3));
    assert!(matches!(tx.commit().await, Err(CommitError::MayStillLand)));
    put(&store, b"fence", b"me").await;
    for _ in 0..5 {
        put(&store, b"b", b"1").await;
    }
    assert_eq!(store.strays(), 0);
    assert_eq!(get(&store, b"a").await, None);
}

#[tokio::test]
async fn watches_are_lost_and_spurious_on_request() {
    let store = MemoryStore::with_faults(Faults {
        watch_lost: 1_000,
        ..Faults::default()
    });
    let mut lost = store.watch(b"a").await.unwrap();
    store.set_faults(Faults {
        watch_spurious: 1_000,
        ..Faults::default()
    });
    let mut spurious = store.watch(b"a").await.unwrap();
    assert!(is_resolved(&mut spurious));
    store.set_faults(Faults::default());
    put(&store, b"a", b"1").await;
    assert!(!is_resolved(&mut lost));
}

#[tokio::test]
async fn short_pages_still_visit_every_row() {
    let store = MemoryStore::new();
    let mut tx = store.begin(TxOptions::default());
    for number in 0..50_u8 {
        tx.set(&[b'k', number], "");
    }
    tx.commit().await.unwrap();
    store.set_faults(Faults {
        seed: 5,
        short_page: 1_000,
        ..Faults::default()
    });
    assert!(everything(&store).await.more);
    let tx = store.begin(TxOptions::default());
    let (mut rest, mut found) = (Some(KeyRange::all()), 0);
    while let Some(range) = rest {
        let page = tx
            .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await
            .unwrap();
        assert!((1..=3).contains(&page.rows.len()));
        found += page.rows.len();
        rest = page.rest(&range, Order::Forward);
    }
    assert_eq!(found, 50);
}

#[tokio::test]
async fn one_seed_gives_one_sequence_of_faults() {
    let outcomes = async |seed| {
        let faults = Faults {
            seed,
            conflict: 150,
            too_old: 100,
            unknown_applied: 150,
            unknown_lost: 150,
            may_still_land: 150,
            land_after_max: 3,
            ..Faults::default()
        };
        let store = MemoryStore::with_faults(faults);
        let mut outcomes = String::new();
        for _ in 0..200 {
            outcomes.push_str(&match set_a(&store).await {
                Ok(committed) => format!("{},", committed.version.0),
                Err(error) => format!("{error:?},"),
            });
        }
        outcomes
    };
    let first = outcomes(7).await;
    assert_eq!(first, outcomes(7).await);
    assert_ne!(first, outcomes(8).await);
    for kind in ["Conflict", "TooOld", "Unknown", "MayStillLand"] {
        assert!(first.contains(kind), "{kind} in {first}");
    }
}

#[tokio::test]
async fn what_nobody_can_read_is_forgotten() {
    let store = MemoryStore::new();
    for number in 0..limits::CHAIN_VERSIONS * 2 {
        let mut tx = store.begin(TxOptions::default());
        tx.set(b"kept", number.to_be_bytes().to_vec());
        tx.set(b"gone", "1");
        tx.commit().await.unwrap();
        crate::store::battery::remove(&store, b"gone").await;
    }
    let state = store.lock();
    let cells: usize = state.cells.values().map(Vec::len).sum();
    assert!(cells as u64 <= limits::CHAIN_VERSIONS * 2 + 4, "{cells}");
}

#[tokio::test]
async fn clearing_more_keys_than_the_bound_is_refused() {
    let store = MemoryStore::new();
    for part in 0..=limits::CLEAR_KEYS_MAX / 50_000 {
        let mut tx = store.begin(TxOptions::default());
        for number in 0..50_000 {
            tx.set(format!("{part}/{number}").as_bytes(), "");
        }
        tx.commit().await.unwrap();
    }
    let clear = async |range: KeyRange| {
        let mut tx = store.begin(TxOptions::default());
        tx.clear_range(&range);
        tx.commit().await
    };
    assert!(matches!(
        clear(KeyRange::all()).await,
        Err(CommitError::TooLarge { .. })
    ));
    clear(KeyRange::new(b"0", b"2")).await.unwrap();
    clear(KeyRange::all()).await.unwrap();
    assert!(everything(&store).await.rows.is_empty());
}
