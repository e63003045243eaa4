//! The battery: ranges, pages and cleared ranges.

use super::*;

const MANY: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

async fn read<T: Tx>(tx: &T, range: &KeyRange, limit: Limit, order: Order) -> Page {
    tx.range(range, limit, order, Read::Serializable)
        .await
        .unwrap()
}

/// Reads `range` page by page, and checks each page against the contract.
async fn read_all<S: Store>(store: &S, range: &KeyRange, limit: Limit, order: Order) -> Vec<Bytes> {
    let tx = store.begin(TxOptions::default());
    let mut found = Vec::new();
    let mut rest = Some(range.clone());
    while let Some(range) = rest {
        let page = read(&tx, &range, limit, order).await;
        assert!(page.rows.len() <= limit.rows);
        assert!(!page.more || !page.rows.is_empty());
        rest = page.rest(&range, order);
        found.extend(page.rows.into_iter().map(|row| row.key));
    }
    found
}

pub(in crate::store) async fn rows_come_in_the_order_of_their_octets<S: Store>(store: S) {
    fill(&store, &["b", "\u{7f}", "B", "a\0", "a", "aa", "\0"]).await;
    assert_eq!(
        keys(&everything(&store).await),
        ["\0", "B", "a", "a\0", "aa", "b", "\u{7f}"]
    );
}

pub(in crate::store) async fn a_range_includes_its_begin_and_excludes_its_end<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let tx = store.begin(TxOptions::default());
    assert_eq!(keys(&page(&tx, "b", "e").await), ["b", "c", "d"]);
    assert_eq!(keys(&page(&tx, "bb", "ee").await), ["c", "d", "e"]);
    assert_eq!(keys(&page(&tx, "", "b").await), ["a"]);
}

pub(in crate::store) async fn an_empty_range_has_no_rows<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let tx = store.begin(TxOptions::default());
    for (begin, end) in [("b", "b"), ("bb", "c"), ("x", "z")] {
        let page = page(&tx, begin, end).await;
        assert!(page.rows.is_empty() && !page.more);
    }
}

pub(in crate::store) async fn an_inverted_range_has_no_rows<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"f", b"b"));
    assert!(page(&tx, "f", "b").await.rows.is_empty());
    tx.set(b"h", "h");
    tx.commit().await.unwrap();
    assert_eq!(everything(&store).await.rows.len(), 8);
}

pub(in crate::store) async fn a_reverse_range_begins_at_its_end<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let tx = store.begin(TxOptions::default());
    let page = read(
        &tx,
        &KeyRange::new(b"b", b"e"),
        Limit::default(),
        Order::Reverse,
    )
    .await;
    assert_eq!(keys(&page), ["d", "c", "b"]);
    let page = read(
        &tx,
        &KeyRange::new(b"b", b"e"),
        Limit::rows(1),
        Order::Reverse,
    )
    .await;
    assert_eq!((keys(&page), page.more), (vec!["d"], true));
}

pub(in crate::store) async fn a_limit_ends_a_page_and_says_there_is_more<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let tx = store.begin(TxOptions::default());
    let page = read(&tx, &KeyRange::all(), Limit::rows(3), Order::Forward).await;
    assert_eq!((keys(&page), page.more), (vec!["a", "b", "c"], true));
}

pub(in crate::store) async fn a_page_that_just_fits_has_no_more<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let tx = store.begin(TxOptions::default());
    let page = read(&tx, &KeyRange::all(), Limit::rows(7), Order::Forward).await;
    assert_eq!((page.rows.len(), page.more), (7, false));
    assert_eq!(page.rest(&KeyRange::all(), Order::Forward), None);
}

pub(in crate::store) async fn a_limit_of_octets_ends_a_page<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let tx = store.begin(TxOptions::default());
    // Each row is two octets, its key and its value.
    for (bytes, rows) in [(6, 3), (7, 3), (8, 4)] {
        let limit = Limit { rows: 100, bytes };
        let page = read(&tx, &KeyRange::all(), limit, Order::Forward).await;
        assert_eq!((page.rows.len(), page.more), (rows, true));
    }
}

pub(in crate::store) async fn one_large_row_makes_a_page<S: Store>(store: S) {
    fill(&store, &["a", "large", "z"]).await;
    let tx = store.begin(TxOptions::default());
    let limit = Limit {
        rows: 100,
        bytes: 3,
    };
    let page = read(&tx, &KeyRange::new(b"b", b"zz"), limit, Order::Forward).await;
    assert_eq!((keys(&page), page.more), (vec!["large"], true));
}

pub(in crate::store) async fn paging_visits_every_row_once<S: Store>(store: S) {
    fill(&store, &MANY).await;
    for rows in 1..=8 {
        let found = read_all(&store, &KeyRange::all(), Limit::rows(rows), Order::Forward).await;
        assert_eq!(found, MANY);
    }
}

pub(in crate::store) async fn paging_backwards_visits_every_row_once<S: Store>(store: S) {
    fill(&store, &MANY).await;
    for rows in 1..=8 {
        let mut found = read_all(&store, &KeyRange::all(), Limit::rows(rows), Order::Reverse).await;
        found.reverse();
        assert_eq!(found, MANY);
    }
}

pub(in crate::store) async fn a_prefix_range_holds_exactly_its_keys<S: Store>(store: S) {
    fill(&store, &["a", "ab", "ab\0", "ab\u{7f}", "abc", "ac", "b"]).await;
    let found = read_all(
        &store,
        &KeyRange::prefix(b"ab"),
        Limit::rows(2),
        Order::Forward,
    )
    .await;
    assert_eq!(found, ["ab", "ab\0", "abc", "ab\u{7f}"]);
}

pub(in crate::store) async fn a_prefix_of_highest_octets_has_an_end<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    for key in [
        &b"\x01"[..],
        b"\x01\xff",
        b"\x01\xff\xff",
        b"\x01\xff\xff\x05",
        b"\x02",
    ] {
        tx.set(key, "");
    }
    tx.commit().await.unwrap();
    let range = KeyRange::prefix(b"\x01\xff");
    let found = read_all(&store, &range, Limit::rows(2), Order::Forward).await;
    assert_eq!(
        found,
        [&b"\x01\xff"[..], b"\x01\xff\xff", b"\x01\xff\xff\x05"]
    );
}

pub(in crate::store) async fn clear_range_removes_its_keys_only<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"b", b"e"));
    tx.commit().await.unwrap();
    assert_eq!(keys(&everything(&store).await), ["a", "e", "f", "g"]);
}

pub(in crate::store) async fn clear_range_of_nothing_is_no_error<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"x", b"z"));
    tx.commit().await.unwrap();
    assert_eq!(everything(&store).await.rows.len(), 7);
}

pub(in crate::store) async fn a_set_after_clear_range_stands<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"b", b"e"));
    tx.set(b"c", "new");
    tx.commit().await.unwrap();
    assert_eq!(keys(&everything(&store).await), ["a", "c", "e", "f", "g"]);
    assert_eq!(get(&store, b"c").await.unwrap(), "new");
}

pub(in crate::store) async fn a_clear_range_after_a_set_removes_it<S: Store>(store: S) {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"c", "1");
    tx.set(b"e", "1");
    tx.clear_range(&KeyRange::new(b"b", b"e"));
    tx.commit().await.unwrap();
    assert_eq!(keys(&everything(&store).await), ["e"]);
}

pub(in crate::store) async fn cleared_ranges_melt_together<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    for (begin, end) in [("b", "c"), ("e", "f"), ("c", "d"), ("bb", "ee"), ("f", "f")] {
        tx.clear_range(&KeyRange::new(begin.as_bytes(), end.as_bytes()));
    }
    assert_eq!(keys(&page(&tx, "a", "z").await), ["a", "f", "g"]);
    tx.commit().await.unwrap();
    assert_eq!(keys(&everything(&store).await), ["a", "f", "g"]);
}

pub(in crate::store) async fn own_writes_are_merged_into_ranges<S: Store>(store: S) {
    fill(&store, &["b", "d"]).await;
    let mut tx = store.begin(TxOptions::default());
    for key in ["a", "c", "e"] {
        tx.set(key.as_bytes(), key);
    }
    tx.set(b"d", "own");
    let page = page(&tx, "a", "z").await;
    assert_eq!(keys(&page), ["a", "b", "c", "d", "e"]);
    assert_eq!(page.rows[3].value, "own");
}

pub(in crate::store) async fn own_writes_are_merged_into_reverse_ranges<S: Store>(store: S) {
    fill(&store, &["b", "d"]).await;
    let mut tx = store.begin(TxOptions::default());
    for key in ["a", "c", "d", "e"] {
        tx.set(key.as_bytes(), "own");
    }
    let range = KeyRange::all();
    let page = read(&tx, &range, Limit::rows(3), Order::Reverse).await;
    assert_eq!((keys(&page), page.more), (vec!["e", "d", "c"], true));
    let rest = page.rest(&range, Order::Reverse).unwrap();
    let page = read(&tx, &rest, Limit::rows(3), Order::Reverse).await;
    assert_eq!((keys(&page), page.more), (vec!["b", "a"], false));
}

pub(in crate::store) async fn own_clears_are_left_out_of_ranges<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear(b"a");
    tx.clear_range(&KeyRange::new(b"c", b"f"));
    tx.set(b"d", "own");
    assert_eq!(keys(&page(&tx, "a", "z").await), ["b", "d", "f", "g"]);
    let page = read(&tx, &KeyRange::all(), Limit::default(), Order::Reverse).await;
    assert_eq!(keys(&page), ["g", "f", "d", "b"]);
}

pub(in crate::store) async fn a_page_of_own_clears_goes_on_behind_them<S: Store>(store: S) {
    fill(&store, &MANY).await;
    let mut tx = store.begin(TxOptions::default());
    tx.clear_range(&KeyRange::new(b"a", b"g"));
    let page = read(&tx, &KeyRange::all(), Limit::rows(1), Order::Forward).await;
    assert_eq!((keys(&page), page.more), (vec!["g"], false));
}

pub(in crate::store) async fn cleared_keys_are_left_out_of_ranges<S: Store>(store: S) {
    fill(&store, &MANY).await;
    for key in ["a", "c", "d", "g"] {
        remove(&store, key.as_bytes()).await;
    }
    let tx = store.begin(TxOptions::default());
    let page = read(&tx, &KeyRange::all(), Limit::rows(2), Order::Forward).await;
    assert_eq!((keys(&page), page.more), (vec!["b", "e"], true));
}
