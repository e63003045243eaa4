//! The battery: single keys, own writes and versions.

use crate::store::Version;
use crate::store::limits;

use super::*;

pub(in crate::store) async fn a_new_store_is_empty<S: Store>(store: S) {
    assert_eq!(get(&store, b"a").await, None);
    let page = everything(&store).await;
    assert!(page.rows.is_empty() && !page.more);
}

pub(in crate::store) async fn a_committed_value_is_read_back<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
}

pub(in crate::store) async fn an_uncommitted_value_is_not_seen_by_others<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "1");
    assert_eq!(get(&store, b"a").await, None);
    tx.commit().await.unwrap();
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
}

pub(in crate::store) async fn a_dropped_transaction_leaves_nothing<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "1");
    drop(tx);
    assert_eq!(get(&store, b"a").await, None);
}

pub(in crate::store) async fn a_later_value_replaces_an_earlier<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    put(&store, b"a", b"2").await;
    assert_eq!(get(&store, b"a").await.unwrap(), "2");
    assert_eq!(everything(&store).await.rows.len(), 1);
}

pub(in crate::store) async fn a_cleared_key_is_gone<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    remove(&store, b"a").await;
    assert_eq!(get(&store, b"a").await, None);
    put(&store, b"a", b"2").await;
    assert_eq!(get(&store, b"a").await.unwrap(), "2");
}

pub(in crate::store) async fn clearing_an_absent_key_is_no_error<S: Store>(store: S) {
    remove(&store, b"a").await;
    assert_eq!(get(&store, b"a").await, None);
}

pub(in crate::store) async fn an_empty_value_is_a_value<S: Store>(store: S) {
    put(&store, b"a", b"").await;
    assert_eq!(get(&store, b"a").await.unwrap(), "");
    assert_eq!(keys(&everything(&store).await), ["a"]);
}

pub(in crate::store) async fn keys_and_values_are_binary<S: Store>(store: S) {
    let octets: Vec<u8> = (0..=255).collect();
    for first in [0_u8, 1, 0x7f, 0x80, 0xfe] {
        let key = [&[first], octets.as_slice()].concat();
        let mut tx = store.begin(TxOptions::default());
        tx.set(&key, octets.clone());
        tx.commit().await.unwrap();
        assert_eq!(get(&store, &key).await.unwrap(), octets);
    }
    assert_eq!(everything(&store).await.rows.len(), 5);
}

pub(in crate::store) async fn a_key_that_extends_another_is_a_different_key<S: Store>(store: S) {
    fill(&store, &["a", "a\0", "aa"]).await;
    remove(&store, b"a\0").await;
    assert_eq!(keys(&everything(&store).await), ["a", "aa"]);
}

pub(in crate::store) async fn own_writes_are_read<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "2");
    tx.set(b"b", "3");
    for read in [Read::Serializable, Read::Snapshot] {
        assert_eq!(tx.get(b"a", read).await.unwrap().unwrap(), "2");
        assert_eq!(tx.get(b"b", read).await.unwrap().unwrap(), "3");
    }
}

pub(in crate::store) async fn own_clears_are_read<S: Store>(store: S) {
    fill(&store, &["a", "b", "c"]).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear(b"a");
    tx.clear_range(&KeyRange::new(b"b", b"c"));
    assert_eq!(tx.get(b"a", Read::Snapshot).await.unwrap(), None);
    assert_eq!(tx.get(b"b", Read::Snapshot).await.unwrap(), None);
    assert_eq!(tx.get(b"c", Read::Snapshot).await.unwrap().unwrap(), "c");
}

pub(in crate::store) async fn the_last_write_of_a_transaction_wins<S: Store>(store: S) {
    put(&store, b"c", b"old").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "1");
    tx.set(b"a", "2");
    tx.set(b"b", "1");
    tx.clear(b"b");
    tx.clear(b"c");
    tx.set(b"c", "new");
    tx.commit().await.unwrap();
    assert_eq!(get(&store, b"a").await.unwrap(), "2");
    assert_eq!(get(&store, b"b").await, None);
    assert_eq!(get(&store, b"c").await.unwrap(), "new");
}

pub(in crate::store) async fn all_writes_of_a_transaction_land_together<S: Store>(store: S) {
    put(&store, b"gone", b"1").await;
    let before = store.begin(TxOptions::default());
    before.read_version().await.unwrap();
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "1");
    tx.set(b"z", "1");
    tx.clear(b"gone");
    tx.commit().await.unwrap();
    assert_eq!(keys(&page(&before, "a", "zz").await), ["gone"]);
    assert_eq!(keys(&everything(&store).await), ["a", "z"]);
}

pub(in crate::store) async fn a_transaction_reads_one_version<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    put(&store, b"b", b"1").await;
    let tx = store.begin(TxOptions::default());
    assert_eq!(
        tx.get(b"a", Read::Serializable).await.unwrap().unwrap(),
        "1"
    );
    put(&store, b"b", b"2").await;
    remove(&store, b"a").await;
    put(&store, b"c", b"2").await;
    for read in [Read::Serializable, Read::Snapshot] {
        assert_eq!(tx.get(b"a", read).await.unwrap().unwrap(), "1");
        assert_eq!(tx.get(b"b", read).await.unwrap().unwrap(), "1");
        assert_eq!(tx.get(b"c", read).await.unwrap(), None);
    }
    assert_eq!(keys(&page(&tx, "a", "z").await), ["a", "b"]);
}

pub(in crate::store) async fn a_version_is_fixed_at_the_first_read_and_not_before<S: Store>(
    store: S,
) {
    let tx = store.begin(TxOptions::default());
    put(&store, b"a", b"1").await;
    assert_eq!(
        tx.get(b"a", Read::Serializable).await.unwrap().unwrap(),
        "1"
    );
}

pub(in crate::store) async fn the_read_version_is_not_before_the_last_commit<S: Store>(store: S) {
    let committed = put(&store, b"a", b"1").await;
    let tx = store.begin(TxOptions::default());
    // Time passes in a cluster without commits as well.
    assert!(tx.read_version().await.unwrap() >= committed.version);
}

pub(in crate::store) async fn a_pinned_version_reads_the_past<S: Store>(store: S) {
    let first = put(&store, b"a", b"1").await.version;
    let second = put(&store, b"a", b"2").await.version;
    put(&store, b"b", b"3").await;
    remove(&store, b"a").await;
    for (version, expected) in [(first, "1"), (second, "2")] {
        let mut tx = store.begin(TxOptions::default());
        tx.set_read_version(version);
        assert_eq!(
            tx.get(b"a", Read::Snapshot).await.unwrap().unwrap(),
            expected
        );
        assert_eq!(tx.get(b"b", Read::Snapshot).await.unwrap(), None);
        assert_eq!(tx.read_version().await.unwrap(), version);
    }
}

pub(in crate::store) async fn a_version_that_is_forgotten_is_too_old<S: Store>(store: S) {
    let first = put(&store, b"a", b"1").await.version;
    pass_the_chain(&store).await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_read_version(first);
    assert!(matches!(
        tx.get(b"a", Read::Snapshot).await,
        Err(StoreError::TooOld)
    ));
    let range = KeyRange::all();
    let page = tx
        .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
        .await;
    assert!(matches!(page, Err(StoreError::TooOld)));
}

pub(in crate::store) async fn a_version_of_the_future_is_refused<S: Store>(store: S) {
    let committed = put(&store, b"a", b"1").await;
    let mut tx = store.begin(TxOptions::default());
    let ahead = 10 * store.caps().chain_versions;
    tx.set_read_version(Version(committed.version.0 + ahead));
    assert!(matches!(
        tx.get(b"a", Read::Snapshot).await,
        Err(StoreError::TooOld)
    ));
    tx.set(b"a", "2");
    assert!(matches!(tx.commit().await, Err(CommitError::TooOld)));
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
}

pub(in crate::store) async fn versions_grow_with_every_commit<S: Store>(store: S) {
    let mut last = store
        .begin(TxOptions::default())
        .read_version()
        .await
        .unwrap();
    for _ in 0..5 {
        let version = put(&store, b"a", b"1").await.version;
        assert!(version > last);
        last = version;
    }
}

pub(in crate::store) async fn a_commit_without_writes_succeeds_at_the_version_read<S: Store>(
    store: S,
) {
    let version = put(&store, b"a", b"1").await.version;
    let tx = store.begin(TxOptions::default());
    tx.get(b"a", Read::Serializable).await.unwrap();
    put(&store, b"a", b"2").await;
    assert!(tx.commit().await.unwrap().version >= version);
}

pub(in crate::store) async fn large_values_are_read_back_whole<S: Store>(store: S) {
    let sizes = [0, 1, 511, 512, 513, 4_096, 65_536, limits::VALUE_BYTES_MAX];
    let mut tx = store.begin(TxOptions::default());
    for size in sizes {
        let value: Vec<u8> = (0..size).map(|place| (place * 31 % 251) as u8).collect();
        tx.set(format!("{size:06}").as_bytes(), value);
    }
    tx.commit().await.unwrap();
    for row in everything(&store).await.rows {
        let size: usize = std::str::from_utf8(&row.key).unwrap().parse().unwrap();
        assert_eq!(row.value.len(), size);
        assert!(
            row.value
                .iter()
                .enumerate()
                .all(|(place, octet)| *octet == (place * 31 % 251) as u8)
        );
        assert_eq!(get(&store, &row.key).await.unwrap(), row.value);
    }
}

pub(in crate::store) async fn a_clone_of_the_handle_is_the_same_store<S: Store>(store: S) {
    let other = store.clone();
    put(&store, b"a", b"1").await;
    drop(store);
    assert_eq!(get(&other, b"a").await.unwrap(), "1");
}
