//! The battery: watches. A watch resolves before the commit that concerns it is answered.

use super::*;

pub(in crate::store) async fn a_watch_resolves_when_its_key_is_set<S: Store>(store: S) {
    let mut watch = store.watch(b"a").await.unwrap();
    assert!(!is_resolved(&mut watch));
    put(&store, b"a", b"1").await;
    assert!(resolves(&mut watch).await);
}

pub(in crate::store) async fn a_watch_resolves_when_its_key_is_cleared<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    let mut watch = store.watch(b"a").await.unwrap();
    remove(&store, b"a").await;
    assert!(resolves(&mut watch).await);
}

pub(in crate::store) async fn a_watch_resolves_when_its_range_is_cleared<S: Store>(store: S) {
    fill(&store, &["a", "b", "c"]).await;
    let mut watch = store.watch(b"b").await.unwrap();
    let mut outside = store.watch(b"c").await.unwrap();
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"a", b"c"));
    tx.commit().await.unwrap();
    assert!(resolves(&mut watch).await);
    assert!(!is_resolved(&mut outside));
}

pub(in crate::store) async fn a_watch_of_another_key_does_not_resolve<S: Store>(store: S) {
    let mut watch = store.watch(b"b").await.unwrap();
    fill(&store, &["a", "b\0", "bb", "c"]).await;
    assert!(!is_resolved(&mut watch));
}

pub(in crate::store) async fn a_watch_does_not_resolve_for_an_earlier_write<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    let mut watch = store.watch(b"a").await.unwrap();
    put(&store, b"b", b"1").await;
    assert!(!is_resolved(&mut watch));
}

pub(in crate::store) async fn a_refused_commit_resolves_no_watch<S: Store>(store: S) {
    let mut watch = store.watch(b"out").await.unwrap();
    let mut tx = store.begin(TxOptions::default());
    tx.get(b"a", Read::Serializable).await.unwrap();
    tx.set(b"out", "1");
    put(&store, b"a", b"1").await;
    assert_conflict(tx.commit().await);
    assert!(!is_resolved(&mut watch));
}

pub(in crate::store) async fn a_watch_resolves_for_a_stamped_value<S: Store>(store: S) {
    let mut watch = store.watch(b"route").await.unwrap();
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_value(b"route", b"", b"");
    tx.commit().await.unwrap();
    assert!(resolves(&mut watch).await);
}

pub(in crate::store) async fn every_watch_of_a_key_resolves<S: Store>(store: S) {
    let mut watches = Vec::new();
    for _ in 0..5 {
        watches.push(store.watch(b"a").await.unwrap());
    }
    drop(watches.pop());
    put(&store, b"a", b"1").await;
    for watch in &mut watches {
        assert!(resolves(watch).await);
    }
}

pub(in crate::store) async fn a_watch_wakes_who_waits<S: Store>(store: S) {
    let watch = store.watch(b"a").await.unwrap();
    let waiting = tokio::spawn(watch);
    put(&store, b"a", b"1").await;
    waiting.await.unwrap().unwrap();
}
