//! The battery: stamped keys and values.

use std::collections::BTreeSet;

use crate::store::Versionstamp;

use super::*;

pub(in crate::store) async fn a_stamped_key_holds_its_stamp<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_key(b"in/", b"/0", "body");
    let stamp = tx.commit().await.unwrap().stamp.unwrap();
    let rows = everything(&store).await.rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].key, [b"in/", &stamp.0[..], b"/0"].concat());
    assert_eq!(rows[0].value, "body");
}

pub(in crate::store) async fn a_stamped_value_holds_its_stamp<S: Store>(store: S) {
    put(&store, b"route", b"old").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_value(b"route", b"<", b">");
    let stamp = tx.commit().await.unwrap().stamp.unwrap();
    assert_eq!(
        get(&store, b"route").await.unwrap(),
        [b"<", &stamp.0[..], b">"].concat()
    );
}

pub(in crate::store) async fn stamps_grow_in_the_order_of_commits<S: Store>(store: S) {
    let mut last = Versionstamp([0; Versionstamp::BYTES]);
    for _ in 0..20 {
        let mut tx = store.begin(TxOptions::default());
        tx.set_stamped_key(b"in/", b"", "");
        let committed = tx.commit().await.unwrap();
        let stamp = committed.stamp.unwrap();
        assert!(stamp > last);
        assert_eq!(stamp.0[..8], committed.version.0.to_be_bytes());
        last = stamp;
    }
    assert_eq!(everything(&store).await.rows.len(), 20);
}

pub(in crate::store) async fn stamps_of_concurrent_commits_are_unique<S: Store>(store: S) {
    let tasks: Vec<_> = (0..64_u8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin(TxOptions::default());
                tx.set_stamped_key(b"in/", b"", vec![number]);
                tx.commit().await.unwrap().stamp.unwrap()
            })
        })
        .collect();
    let mut stamps = BTreeSet::new();
    for task in tasks {
        assert!(stamps.insert(task.await.unwrap()));
    }
    let rows = everything(&store).await.rows;
    assert_eq!(rows.len(), 64);
    assert!(
        rows.iter()
            .zip(&stamps)
            .all(|(row, stamp)| row.key[3..] == stamp.0)
    );
    let numbers: BTreeSet<u8> = rows.iter().map(|row| row.value[0]).collect();
    assert_eq!(numbers.len(), 64);
}

pub(in crate::store) async fn several_stamped_keys_of_one_transaction_share_a_stamp<S: Store>(
    store: S,
) {
    let mut tx = store.begin(TxOptions::default());
    for number in 0..3_u8 {
        tx.set_stamped_key(b"in/", &[number], vec![number]);
    }
    tx.set_stamped_value(b"wake", b"", b"");
    let stamp = tx.commit().await.unwrap().stamp.unwrap();
    let rows = everything(&store).await.rows;
    assert_eq!(rows.len(), 4);
    for (number, row) in rows[..3].iter().enumerate() {
        assert_eq!(row.key[3..13], stamp.0);
        assert_eq!(row.value, vec![number as u8]);
    }
    assert_eq!(rows[3].value, stamp.0.to_vec());
}

pub(in crate::store) async fn a_stamped_write_cannot_be_read_before_it_is_committed<S: Store>(
    store: S,
) {
    put(&store, b"route", b"old").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_value(b"route", b"", b"");
    tx.set_stamped_key(b"in/", b"", "");
    assert_unreadable(&tx.get(b"route", Read::Snapshot).await);
    assert_unreadable(&tx.get(b"in/\0\0\0\0\0\0\0\0\0\x07", Read::Snapshot).await);
    let range = KeyRange::prefix(b"in/");
    assert_unreadable(
        &tx.range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await,
    );
    let range = KeyRange::prefix(b"ro");
    assert_unreadable(
        &tx.range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await,
    );
    assert_eq!(tx.get(b"in", Read::Snapshot).await.unwrap(), None);
    assert!(page(&tx, "j", "r").await.rows.is_empty());
}

pub(in crate::store) async fn a_stamped_key_wakes_nobody_else_and_conflicts_with_its_range<
    S: Store,
>(
    store: S,
) {
    let mut inside = store.begin(TxOptions::default());
    inside.set(b"out", "1");
    page(&inside, "in/", "in0").await;
    let mut outside = store.begin(TxOptions::default());
    outside.set(b"out", "2");
    page(&outside, "a", "in/").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_key(b"in/", b"", "");
    tx.commit().await.unwrap();
    assert_conflict(inside.commit().await);
    outside.commit().await.unwrap();
}

pub(in crate::store) async fn a_range_cleared_after_a_stamped_key_removes_it<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_key(b"in/", b"", "");
    tx.clear_range(&KeyRange::prefix(b"in/"));
    tx.set(b"other", "1");
    tx.commit().await.unwrap();
    assert_eq!(keys(&everything(&store).await), ["other"]);
}

pub(in crate::store) async fn a_range_cleared_before_a_stamped_key_does_not<S: Store>(store: S) {
    put(&store, b"in/old", b"1").await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::prefix(b"in/"));
    tx.set_stamped_key(b"in/", b"", "new");
    tx.commit().await.unwrap();
    let rows = everything(&store).await.rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].value, "new");
}

pub(in crate::store) async fn a_commit_without_writes_has_no_stamp<S: Store>(store: S) {
    let tx = store.begin(TxOptions::default());
    tx.get(b"a", Read::Serializable).await.unwrap();
    assert_eq!(tx.commit().await.unwrap().stamp, None);
}
