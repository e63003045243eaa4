//! The battery: what conflicts with what.

use super::*;

/// A transaction that has fixed its version and will write `out`.
async fn begun<S: Store>(store: &S) -> S::Tx {
    let mut tx = store.begin(TxOptions::default());
    tx.read_version().await.unwrap();
    tx.set(b"out", "1");
    tx
}

pub(in crate::store) async fn a_key_read_and_written_meanwhile_conflicts<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    let tx = begun(&store).await;
    tx.get(b"a", Read::Serializable).await.unwrap();
    put(&store, b"a", b"2").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_key_read_as_absent_and_written_meanwhile_conflicts<S: Store>(
    store: S,
) {
    let tx = begun(&store).await;
    assert_eq!(tx.get(b"a", Read::Serializable).await.unwrap(), None);
    put(&store, b"a", b"2").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_key_read_and_cleared_meanwhile_conflicts<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    let tx = begun(&store).await;
    tx.get(b"a", Read::Serializable).await.unwrap();
    remove(&store, b"a").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_conflicting_commit_applies_nothing<S: Store>(store: S) {
    let mut tx = begun(&store).await;
    tx.get(b"a", Read::Serializable).await.unwrap();
    tx.clear_range(&KeyRange::new(b"a", b"c"));
    put(&store, b"a", b"2").await;
    assert_conflict(tx.commit().await);
    assert_eq!(keys(&everything(&store).await), ["a"]);
}

pub(in crate::store) async fn a_snapshot_read_does_not_conflict<S: Store>(store: S) {
    let tx = begun(&store).await;
    tx.get(b"a", Read::Snapshot).await.unwrap();
    put(&store, b"a", b"2").await;
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn blind_writes_do_not_conflict<S: Store>(store: S) {
    let mut first = begun(&store).await;
    let mut second = begun(&store).await;
    first.set(b"a", "1");
    second.set(b"a", "2");
    second.commit().await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
}

pub(in crate::store) async fn another_key_does_not_conflict<S: Store>(store: S) {
    let tx = begun(&store).await;
    tx.get(b"b", Read::Serializable).await.unwrap();
    fill(&store, &["a", "b\0", "bb", "c"]).await;
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn a_write_before_the_first_read_does_not_conflict<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    put(&store, b"a", b"1").await;
    tx.get(b"a", Read::Serializable).await.unwrap();
    tx.set(b"a", "2");
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn a_write_in_a_range_read_conflicts<S: Store>(store: S) {
    fill(&store, &["a", "b", "c"]).await;
    let tx = begun(&store).await;
    page(&tx, "a", "c").await;
    put(&store, b"b", b"2").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_new_key_in_a_range_read_conflicts<S: Store>(store: S) {
    let tx = begun(&store).await;
    assert!(page(&tx, "a", "c").await.rows.is_empty());
    put(&store, b"b", b"2").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_write_behind_the_page_read_does_not_conflict<S: Store>(store: S) {
    fill(&store, &["a", "b", "c", "d"]).await;
    for (written, conflicts) in [(b"a", true), (b"b", true), (b"c", false), (b"d", false)] {
        let tx = begun(&store).await;
        let range = KeyRange::new(b"a", b"z");
        tx.range(&range, Limit::rows(2), Order::Forward, Read::Serializable)
            .await
            .unwrap();
        put(&store, written, b"2").await;
        assert_eq!(tx.commit().await.is_err(), conflicts, "{written:?}");
    }
}

pub(in crate::store) async fn a_write_before_the_reverse_page_read_does_not_conflict<S: Store>(
    store: S,
) {
    fill(&store, &["a", "b", "c", "d"]).await;
    for (written, conflicts) in [(b"a", false), (b"b", false), (b"c", true), (b"d", true)] {
        let tx = begun(&store).await;
        let range = KeyRange::new(b"a", b"f");
        tx.range(&range, Limit::rows(2), Order::Reverse, Read::Serializable)
            .await
            .unwrap();
        put(&store, written, b"2").await;
        assert_eq!(tx.commit().await.is_err(), conflicts, "{written:?}");
    }
}

pub(in crate::store) async fn a_snapshot_range_does_not_conflict<S: Store>(store: S) {
    let tx = begun(&store).await;
    let range = KeyRange::all();
    tx.range(&range, Limit::default(), Order::Forward, Read::Snapshot)
        .await
        .unwrap();
    put(&store, b"b", b"2").await;
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn a_range_cleared_meanwhile_conflicts<S: Store>(store: S) {
    let tx = begun(&store).await;
    page(&tx, "b", "f").await;
    let mut rival = store.begin(TxOptions::default());
    rival.clear_range(&KeyRange::new(b"a", b"c"));
    rival.commit().await.unwrap();
    assert_conflict(tx.commit().await);

    let tx = begun(&store).await;
    page(&tx, "c", "f").await;
    let mut rival = store.begin(TxOptions::default());
    rival.clear_range(&KeyRange::new(b"a", b"c"));
    rival.commit().await.unwrap();
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn a_key_read_in_a_range_cleared_meanwhile_conflicts<S: Store>(
    store: S,
) {
    for (read, conflicts) in [(&b"a"[..], true), (b"b\xfe", true), (b"c", false)] {
        let tx = begun(&store).await;
        tx.get(read, Read::Serializable).await.unwrap();
        let mut rival = store.begin(TxOptions::default());
        rival.clear_range(&KeyRange::new(b"a", b"c"));
        rival.commit().await.unwrap();
        assert_eq!(tx.commit().await.is_err(), conflicts, "{read:?}");
    }
}

pub(in crate::store) async fn a_reader_without_writes_never_conflicts<S: Store>(store: S) {
    let tx = store.begin(TxOptions::default());
    tx.get(b"a", Read::Serializable).await.unwrap();
    put(&store, b"a", b"2").await;
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn a_declared_key_conflicts<S: Store>(store: S) {
    let mut tx = begun(&store).await;
    tx.read_conflict(b"a");
    put(&store, b"a", b"2").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_declared_range_conflicts<S: Store>(store: S) {
    let mut tx = begun(&store).await;
    tx.read_conflict_range(&KeyRange::new(b"a", b"c"));
    put(&store, b"b", b"2").await;
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn a_declared_key_alone_is_harmless<S: Store>(store: S) {
    let mut tx = begun(&store).await;
    tx.read_conflict(b"a");
    tx.read_conflict(b"out");
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn the_version_chain_detects_a_rival<S: Store>(store: S) {
    let mine = put(&store, b"part", b"me").await;
    put(&store, b"part", b"rival").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_read_version(mine.version);
    tx.read_conflict(b"part");
    tx.set(b"a", "1");
    assert_conflict(tx.commit().await);
}

pub(in crate::store) async fn the_version_chain_commits_without_reading<S: Store>(store: S) {
    let mut last = put(&store, b"part", b"me").await;
    for _ in 0..5 {
        put(&store, b"elsewhere", b"1").await;
        let mut tx = store.begin(TxOptions::default());
        tx.set_read_version(last.version);
        tx.read_conflict(b"part");
        tx.read_conflict(b"tip");
        tx.set(b"tip", "1");
        last = tx.commit().await.unwrap();
    }
}

pub(in crate::store) async fn a_version_behind_the_chain_is_too_old_to_commit<S: Store>(store: S) {
    let first = put(&store, b"a", b"1").await;
    pass_the_chain(&store).await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_read_version(first.version);
    tx.read_conflict(b"a");
    tx.set(b"c", "1");
    let result = tx.commit().await;
    assert!(matches!(result, Err(CommitError::TooOld)), "{result:?}");
    assert_eq!(get(&store, b"c").await, None);
}

pub(in crate::store) async fn a_read_of_an_own_write_does_not_conflict<S: Store>(store: S) {
    let mut tx = begun(&store).await;
    tx.set(b"a", "1");
    tx.get(b"a", Read::Serializable).await.unwrap();
    put(&store, b"a", b"2").await;
    tx.commit().await.unwrap();
}

pub(in crate::store) async fn of_two_increments_one_conflicts<S: Store>(store: S) {
    let mut first = store.begin(TxOptions::default());
    let mut second = store.begin(TxOptions::default());
    for tx in [&mut first, &mut second] {
        assert_eq!(tx.get(b"n", Read::Serializable).await.unwrap(), None);
        tx.set(b"n", "1");
    }
    first.commit().await.unwrap();
    assert_conflict(second.commit().await);
}

pub(in crate::store) async fn write_skew_is_prevented<S: Store>(store: S) {
    fill(&store, &["a", "b"]).await;
    let mut first = store.begin(TxOptions::default());
    let mut second = store.begin(TxOptions::default());
    assert_eq!(page(&first, "a", "c").await.rows.len(), 2);
    assert_eq!(page(&second, "a", "c").await.rows.len(), 2);
    first.clear(b"a");
    second.clear(b"b");
    first.commit().await.unwrap();
    assert_conflict(second.commit().await);
    assert_eq!(everything(&store).await.rows.len(), 1);
}

pub(in crate::store) async fn concurrent_increments_add_up<S: Store>(store: S) {
    const TASKS: u64 = 8;
    const EACH: u64 = 25;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while done < EACH {
                    let mut tx = store.begin(TxOptions::default());
                    // Where others are fast, versions may go by faster than this task goes on.
                    let value = match tx.get(b"n", Read::Serializable).await {
                        Err(StoreError::TooOld) => continue,
                        found => found.unwrap(),
                    };
                    let count = value.map_or(0, |value| {
                        u64::from_be_bytes(value.as_ref().try_into().unwrap())
                    });
                    tx.set(b"n", (count + 1).to_be_bytes().to_vec());
                    match tx.commit().await {
                        Ok(_) => done += 1,
                        Err(CommitError::Conflict | CommitError::TooOld) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        get(&store, b"n").await.unwrap(),
        (TASKS * EACH).to_be_bytes().to_vec()
    );
}
