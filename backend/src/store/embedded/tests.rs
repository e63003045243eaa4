//! The battery on the embedded engine; reopening; and what a folder may have suffered.

use super::*;
use crate::store::battery::{everything, get, put, remove};
use crate::store::{KeyRange, Limit, Order, Read, Row, Tx};

mod damaged;
mod folders;

mod battery {
    use super::*;

    /// As many versions as a test can well commit with an fsync each.
    const CHAIN_VERSIONS: u64 = 300;

    fn open() -> (tempfile::TempDir, EmbeddedStore) {
        let folder = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions {
            chain_versions: CHAIN_VERSIONS,
            ..EmbeddedOptions::default()
        };
        let store = EmbeddedStore::open(folder.path(), options).unwrap();
        (folder, store)
    }

    crate::store::battery::battery!(open());
}

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, EmbeddedOptions::default()).unwrap()
}

fn refusal(folder: &Path) -> StoreError {
    EmbeddedStore::open(folder, EmbeddedOptions::default()).unwrap_err()
}

#[tokio::test]
async fn acknowledged_writes_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = Version::default();
    for round in 0..5_u8 {
        let store = open(folder.path());
        let mut tx = store.begin(TxOptions::default());
        assert_eq!(
            tx.read_version().await.unwrap(),
            last,
            "versions go on where they ended"
        );
        tx.set(&[b'r', round], vec![round; 2_000]);
        tx.set_stamped_key(b"s", b"", vec![round]);
        last = tx.commit().await.unwrap().version;
        if round == 2 {
            store.write_tables();
        }
        drop(store);
    }
    let store = open(folder.path());
    let rows = everything(&store).await.rows;
    assert_eq!(rows.len(), 10);
    for (round, row) in rows[..5].iter().enumerate() {
        assert_eq!(row.value, vec![round as u8; 2_000]);
    }
    let stamped: Vec<u8> = rows[5..].iter().map(|row| row.value[0]).collect();
    assert_eq!(stamped, [0, 1, 2, 3, 4], "stamps grow across reopening");
}

#[tokio::test]
async fn what_was_cleared_stays_cleared_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    crate::store::battery::fill(&store, &["a", "b", "c", "d"]).await;
    store.write_tables();
    remove(&store, b"a").await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"c", b"e"));
    tx.commit().await.unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(
        crate::store::battery::keys(&everything(&store).await),
        ["b"]
    );
}

#[tokio::test]
async fn a_commit_of_an_earlier_life_is_too_old_to_build_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = put(&store, b"a", b"1").await.version;
    put(&store, b"a", b"2").await;
    drop(store);
    let store = open(folder.path());
    let mut tx = store.begin(TxOptions::default());
    tx.set_read_version(first);
    tx.read_conflict(b"a");
    tx.set(b"b", "1");
    assert!(matches!(tx.commit().await, Err(CommitError::TooOld)));
}

#[tokio::test]
async fn rows_are_found_in_memory_in_tables_and_in_value_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for round in 0..6_u8 {
        let mut tx = store.begin(TxOptions::default());
        for number in 0..40_u8 {
            tx.set(
                &[b'k', number, round],
                vec![round; 300 * usize::from(round)],
            );
            tx.set(&[b'm', number], vec![round]);
        }
        tx.commit().await.unwrap();
        if round < 5 {
            store.write_tables();
        }
    }
    for number in 0..40_u8 {
        assert_eq!(get(&store, &[b'm', number]).await.unwrap(), vec![5]);
        for round in 0..6_u8 {
            let value = get(&store, &[b'k', number, round]).await.unwrap();
            assert_eq!(value, vec![round; 300 * usize::from(round)]);
        }
    }
    let tx = store.begin(TxOptions::default());
    let all = KeyRange::prefix(b"k");
    // Longer than what is read on the thread that asks.
    let page = tx
        .range(&all, Limit::rows(200), Order::Reverse, Read::Snapshot)
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.more), (200, true));
    let rest = page.rest(&all, Order::Reverse).unwrap();
    let page = tx
        .range(&rest, Limit::rows(200), Order::Reverse, Read::Snapshot)
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.more), (40, false));
}

#[tokio::test]
async fn without_separation_values_are_kept_with_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        separation_bytes: None,
        ..EmbeddedOptions::default()
    };
    let store = EmbeddedStore::open(folder.path(), options).unwrap();
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", vec![7; 50_000]);
    tx.commit().await.unwrap();
    store.write_tables();
    drop(store);
    let store = EmbeddedStore::open(folder.path(), options).unwrap();
    assert_eq!(get(&store, b"a").await.unwrap(), vec![7; 50_000]);
    assert!(store.disk_bytes().unwrap() > 50_000);
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_acknowledged_and_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, b"a", b"1").await;
    store.fail_next_write(std::io::Error::from(std::io::ErrorKind::StorageFull));
    for key in [b"b", b"c"] {
        let mut tx = store.begin(TxOptions::default());
        tx.set(key, "1");
        match tx.commit().await {
            Err(CommitError::Fatal(error @ StoreError::DiskFull { .. })) => {
                let folder = folder.path().display();
                let expected =
                    format!("the disk holding {folder} is full; nothing acknowledged was lost");
                assert_eq!(error.to_string(), expected);
                assert!(error.remedy().unwrap().starts_with("free space or move"));
            }
            other => panic!("expected a full disk, found {other:?}"),
        }
    }
    assert!(matches!(store.stopped(), Some(StoreError::DiskFull { .. })));
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
    assert_eq!(get(&store, b"b").await, None);
    drop(store);
    let store = open(folder.path());
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
    put(&store, b"b", b"1").await;
}

#[tokio::test]
async fn the_transactions_of_one_group_all_fail_when_its_write_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.fail_next_write(std::io::Error::other("the disk went away"));
    let commits = (0..20_u8).map(|number| {
        let mut tx = store.begin(TxOptions::default());
        tx.set(&[b'k', number], "1");
        tx.commit()
    });
    for result in futures_util::future::join_all(commits).await {
        assert!(
            matches!(result, Err(CommitError::Fatal(StoreError::Io { .. }))),
            "{result:?}"
        );
    }
    assert!(everything(&store).await.rows.is_empty());
}

#[tokio::test]
async fn waiting_transactions_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let commits = (0..200_u8).map(|number| {
        let mut tx = store.begin(TxOptions::default());
        tx.set(&[b'k', number], "1");
        tx.commit()
    });
    let results = futures_util::future::join_all(commits).await;
    let versions: std::collections::BTreeSet<_> = results
        .into_iter()
        .map(|result| result.unwrap().version)
        .collect();
    assert!(
        versions.len() < 100,
        "{} commits for 200 transactions",
        versions.len()
    );
    assert_eq!(everything(&store).await.rows.len(), 200);
}

#[tokio::test]
async fn within_a_group_a_later_transaction_sees_what_an_earlier_one_did() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, b"old", b"1").await;
    // All five fix their version now; whichever share a group, the outcome is the same.
    let mut set = store.begin(TxOptions::default());
    set.set(b"new", "1");
    let mut clear = store.begin(TxOptions::default());
    clear.clear_range(&KeyRange::new(b"a", b"z"));
    let mut after = store.begin(TxOptions::default());
    after.set(b"after", "1");
    let mut reader = store.begin(TxOptions::default());
    reader.get(b"new", Read::Serializable).await.unwrap();
    reader.set(b"never", "1");
    let results = tokio::join!(
        set.commit(),
        clear.commit(),
        after.commit(),
        reader.commit()
    );
    results.0.unwrap();
    results.1.unwrap();
    results.2.unwrap();
    assert!(matches!(results.3, Err(CommitError::Conflict)));
    assert_eq!(
        crate::store::battery::keys(&everything(&store).await),
        ["after"]
    );
}

#[tokio::test]
#[expect(
    clippy::await_holding_lock,
    reason = "the lock is what keeps the committer from answering"
)]
async fn a_commit_that_is_not_answered_in_time_may_still_land() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let options = TxOptions {
        timeout: Some(std::time::Duration::ZERO),
        ..TxOptions::default()
    };
    let mut tx = store.begin(options);
    tx.read_version().await.unwrap();
    tx.set(b"a", "1");
    let held = store.0.shared.published();
    assert!(matches!(tx.commit().await, Err(CommitError::MayStillLand)));
    drop(held);
    put(&store, b"b", b"1").await;
}

#[tokio::test]
async fn clearing_more_keys_than_the_bound_is_refused_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[tokio::test]
async fn a_past_version_is_let_go_once_much_was_written_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = put(&store, b"a", b"1").await.version;
    let pinned = || {
        let mut tx = store.begin(TxOptions::default());
        tx.set_read_version(first);
        tx
    };
    let kept = pinned();
    assert_eq!(kept.get(b"a", Read::Snapshot).await.unwrap().unwrap(), "1");
    for number in 0..=limits::SNAPSHOTS_BYTES_MAX / 90_000 {
        let mut tx = store.begin(TxOptions::default());
        tx.set(&number.to_be_bytes(), vec![0; 90_000]);
        tx.set(b"a", "2");
        tx.commit().await.unwrap();
    }
    assert!(matches!(
        pinned().get(b"a", Read::Snapshot).await,
        Err(StoreError::TooOld)
    ));
    // Who had begun to read goes on.
    assert_eq!(kept.get(b"a", Read::Snapshot).await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn watches_end_with_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let watch = store.watch(b"a").await.unwrap();
    drop(store);
    assert!(matches!(watch.await, Err(StoreError::Closed)));
}
