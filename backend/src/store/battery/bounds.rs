//! The battery: every bound at, below and above it.

use crate::store::limits;

use super::*;

#[track_caller]
fn assert_too_large(result: Result<Committed, CommitError>, expected: &str) {
    match result {
        Err(CommitError::TooLarge { what, bytes, max }) => {
            assert_eq!(what, expected);
            assert!(bytes > max);
        }
        other => panic!("expected TooLarge, found {other:?}"),
    }
}

pub(in crate::store) async fn an_empty_key_is_refused<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    assert!(matches!(
        tx.get(b"", Read::Snapshot).await,
        Err(StoreError::KeyOutside { bytes: 0 })
    ));
    tx.set(b"", "1");
    tx.set(b"a", "1");
    assert!(matches!(
        tx.commit().await,
        Err(CommitError::Fatal(StoreError::KeyOutside { bytes: 0 }))
    ));
    // The caller's mistake does not stop the engine.
    put(&store, b"b", b"1").await;
    assert_eq!(keys(&everything(&store).await), ["b"]);
}

pub(in crate::store) async fn a_reserved_key_is_refused<S: Store>(store: S) {
    for key in [&b"\xff"[..], b"\xff\x00", b"\xff\xff"] {
        let mut tx = store.begin(TxOptions::default());
        assert!(tx.get(key, Read::Snapshot).await.is_err());
        tx.set(key, "1");
        assert!(tx.commit().await.is_err());
        let mut tx = store.begin(TxOptions::default());
        tx.set_stamped_key(key, b"", "1");
        assert!(tx.commit().await.is_err());
    }
    put(&store, b"\xfe\xff", b"1").await;
    assert_eq!(get(&store, b"\xfe\xff").await.unwrap(), "1");
}

pub(in crate::store) async fn clearing_everything_spares_the_engine<S: Store>(store: S) {
    fill(&store, &["a", "b"]).await;
    let before = put(&store, b"\xfe", b"1").await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"", b"\xff\xff\xff"));
    let cleared = tx.commit().await.unwrap();
    assert!(cleared.version > before.version);
    let page = everything(&store).await;
    assert!(page.rows.is_empty() && !page.more);
    assert!(put(&store, b"a", b"1").await.version > cleared.version);
}

pub(in crate::store) async fn the_longest_key_is_taken_and_a_longer_one_refused<S: Store>(
    store: S,
) {
    let longest = vec![b'k'; limits::KEY_BYTES_MAX];
    put(&store, &longest, b"1").await;
    assert_eq!(get(&store, &longest).await.unwrap(), "1");
    let mut tx = store.begin(TxOptions::default());
    tx.set(&[longest.as_slice(), b"k"].concat(), "1");
    assert_too_large(tx.commit().await, "key");
}

pub(in crate::store) async fn the_longest_value_is_taken_and_a_longer_one_refused<S: Store>(
    store: S,
) {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", vec![1; limits::VALUE_BYTES_MAX]);
    tx.commit().await.unwrap();
    assert_eq!(
        get(&store, b"a").await.unwrap().len(),
        limits::VALUE_BYTES_MAX
    );
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", vec![1; limits::VALUE_BYTES_MAX + 1]);
    assert_too_large(tx.commit().await, "value");
    assert_eq!(
        get(&store, b"a").await.unwrap().len(),
        limits::VALUE_BYTES_MAX
    );
}

pub(in crate::store) async fn a_transaction_at_its_bound_is_taken_and_above_refused<S: Store>(
    store: S,
) {
    for (over, is_taken) in [(0, true), (1, false)] {
        let mut tx = store.begin(TxOptions::default());
        let mut left = limits::TX_BYTES_MAX + over;
        let mut number = 0_u64;
        while left > 0 {
            let value = (left - 8).min(limits::VALUE_BYTES_MAX - 8);
            // The last row must not leave less than a key behind.
            let value = if left - 8 - value > 0 && left - 8 - value < 8 {
                value - 8
            } else {
                value
            };
            tx.set(&number.to_be_bytes(), vec![0; value]);
            left -= value + 8;
            number += 1;
        }
        let result = tx.commit().await;
        if is_taken {
            result.unwrap();
        } else {
            assert_too_large(result, "the transaction");
        }
    }
}

pub(in crate::store) async fn an_own_bound_of_a_transaction_holds<S: Store>(store: S) {
    let options = TxOptions {
        bytes_max: 10,
        ..TxOptions::default()
    };
    let mut tx = store.begin(options);
    tx.set(b"ab", "12345678");
    tx.commit().await.unwrap();
    let mut tx = store.begin(options);
    tx.set(b"ab", "12345678");
    tx.read_conflict(b"c");
    assert_too_large(tx.commit().await, "the transaction");
}

pub(in crate::store) async fn a_refused_transaction_applies_nothing<S: Store>(store: S) {
    put(&store, b"a", b"1").await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear(b"a");
    tx.set(b"b", "1");
    tx.set(b"c", vec![1; limits::VALUE_BYTES_MAX + 1]);
    tx.commit().await.unwrap_err();
    assert_eq!(keys(&everything(&store).await), ["a"]);
}

pub(in crate::store) async fn a_stamp_counts_towards_the_bounds<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_key(&vec![b'k'; limits::KEY_BYTES_MAX - 10], b"", "");
    tx.set_stamped_value(b"a", &vec![b'v'; limits::VALUE_BYTES_MAX - 10], b"");
    tx.commit().await.unwrap();
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_key(&vec![b'k'; limits::KEY_BYTES_MAX - 10], b"k", "");
    assert_too_large(tx.commit().await, "key");
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_value(b"a", b"", &vec![b'v'; limits::VALUE_BYTES_MAX - 9]);
    assert_too_large(tx.commit().await, "value");
}

pub(in crate::store) async fn caps_agree_with_the_limits<S: Store>(store: S) {
    let caps = store.caps();
    assert_eq!(caps.key_bytes_max, limits::KEY_BYTES_MAX);
    assert_eq!(caps.value_bytes_max, limits::VALUE_BYTES_MAX);
    assert_eq!(caps.tx_bytes_max, limits::TX_BYTES_MAX);
    assert!(caps.chain_versions > 0);
}
