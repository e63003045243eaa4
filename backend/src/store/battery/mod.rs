//! What any engine must do, each behaviour written once as a function over the [`Store`] trait.
//!
//! [`battery!`] stamps the whole list onto one engine: a new engine is done when its battery is green
//! (cluster §20.5). Engines that keep their data are also
//! asked to bring it back, in their own tests.

pub(super) mod bounds;
pub(super) mod conflicts;
pub(super) mod model;
pub(super) mod ranges;
pub(super) mod reads;
pub(super) mod stamps;
pub(super) mod watches;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{
    CommitError, Committed, KeyRange, Limit, Order, Page, Read, Store, StoreError, Tx, TxOptions,
    Watch,
};

/// Reads one key in a transaction of its own.
pub(super) async fn get<S: Store>(store: &S, key: &[u8]) -> Option<Bytes> {
    store
        .begin(TxOptions::default())
        .get(key, Read::Snapshot)
        .await
        .unwrap()
}

/// Sets one key in a transaction of its own.
pub(super) async fn put<S: Store>(store: &S, key: &[u8], value: &'static [u8]) -> Committed {
    let mut tx = store.begin(TxOptions::default());
    tx.set(key, value);
    tx.commit().await.unwrap()
}

/// Clears one key in a transaction of its own.
pub(super) async fn remove<S: Store>(store: &S, key: &[u8]) -> Committed {
    let mut tx = store.begin(TxOptions::default());
    tx.clear(key);
    tx.commit().await.unwrap()
}

/// Sets each of these keys to its own octets.
pub(super) async fn fill<S: Store>(store: &S, keys: &[&'static str]) {
    let mut tx = store.begin(TxOptions::default());
    for key in keys {
        tx.set(key.as_bytes(), *key);
    }
    tx.commit().await.unwrap();
}

/// The keys of a page, as text.
pub(super) fn keys(page: &Page) -> Vec<&str> {
    page.rows
        .iter()
        .map(|row| std::str::from_utf8(&row.key).unwrap())
        .collect()
}

/// One page of everything in the store, from a transaction of its own.
pub(super) async fn everything<S: Store>(store: &S) -> Page {
    let tx = store.begin(TxOptions::default());
    tx.range(
        &KeyRange::all(),
        Limit::default(),
        Order::Forward,
        Read::Snapshot,
    )
    .await
    .unwrap()
}

/// A page read serializably with default bounds.
pub(super) async fn page<T: Tx>(tx: &T, begin: &str, end: &str) -> Page {
    let range = KeyRange::new(begin.as_bytes(), end.as_bytes());
    tx.range(&range, Limit::default(), Order::Forward, Read::Serializable)
        .await
        .unwrap()
}

/// Commits until what was committed before lies behind the version chain.
pub(super) async fn pass_the_chain<S: Store>(store: &S) {
    let version = || async {
        let tx = store.begin(TxOptions::default());
        tx.read_version().await.unwrap().0
    };
    let behind = version().await + store.caps().chain_versions;
    while version().await <= behind {
        put(store, b"passing", b"1").await;
    }
    remove(store, b"passing").await;
}

/// Waits until the watch resolves; over a network that takes a moment.
pub(super) async fn resolves(watch: &mut Watch) -> bool {
    /// Only a watch that is lost takes longer.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
    matches!(tokio::time::timeout(PATIENCE, watch).await, Ok(Ok(())))
}

/// Whether the watch has resolved already.
pub(super) fn is_resolved(watch: &mut Watch) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(watch).poll(&mut context), Poll::Ready(Ok(())))
}

/// Asserts that a commit was refused as conflicting.
#[track_caller]
pub(super) fn assert_conflict(result: Result<Committed, CommitError>) {
    assert!(
        matches!(result, Err(CommitError::Conflict)),
        "expected a conflict, found {result:?}"
    );
}

/// Asserts that reading is refused because the transaction wrote the key with a stamp.
#[track_caller]
pub(super) fn assert_unreadable<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Unreadable)),
        "expected Unreadable, found {result:?}"
    );
}

/// Stamps the battery onto an engine: `$open` is an expression that gives a guard, which keeps the
/// engine's folder alive, and an empty store.
macro_rules! battery {
    ($open:expr) => {
        $crate::store::battery::battery!(@ $open;
            reads: a_new_store_is_empty,
                a_committed_value_is_read_back,
                an_uncommitted_value_is_not_seen_by_others,
                a_dropped_transaction_leaves_nothing,
                a_later_value_replaces_an_earlier,
                a_cleared_key_is_gone,
                clearing_an_absent_key_is_no_error,
                an_empty_value_is_a_value,
                keys_and_values_are_binary,
                a_key_that_extends_another_is_a_different_key,
                own_writes_are_read,
                own_clears_are_read,
                the_last_write_of_a_transaction_wins,
                all_writes_of_a_transaction_land_together,
                a_transaction_reads_one_version,
                a_version_is_fixed_at_the_first_read_and_not_before,
                the_read_version_is_not_before_the_last_commit,
                a_pinned_version_reads_the_past,
                a_version_that_is_forgotten_is_too_old,
                a_version_of_the_future_is_refused,
                versions_grow_with_every_commit,
                a_commit_without_writes_succeeds_at_the_version_read,
                large_values_are_read_back_whole,
                a_clone_of_the_handle_is_the_same_store;
            ranges: rows_come_in_the_order_of_their_octets,
                a_range_includes_its_begin_and_excludes_its_end,
                an_empty_range_has_no_rows,
                an_inverted_range_has_no_rows,
                a_reverse_range_begins_at_its_end,
                a_limit_ends_a_page_and_says_there_is_more,
                a_page_that_just_fits_has_no_more,
                a_limit_of_octets_ends_a_page,
                one_large_row_makes_a_page,
                paging_visits_every_row_once,
                paging_backwards_visits_every_row_once,
                a_prefix_range_holds_exactly_its_keys,
                a_prefix_of_highest_octets_has_an_end,
                clear_range_removes_its_keys_only,
                clear_range_of_nothing_is_no_error,
                a_set_after_clear_range_stands,
                a_clear_range_after_a_set_removes_it,
                cleared_ranges_melt_together,
                own_writes_are_merged_into_ranges,
                own_writes_are_merged_into_reverse_ranges,
                own_clears_are_left_out_of_ranges,
                a_page_of_own_clears_goes_on_behind_them,
                cleared_keys_are_left_out_of_ranges;
            conflicts: a_key_read_and_written_meanwhile_conflicts,
                a_key_read_as_absent_and_written_meanwhile_conflicts,
                a_key_read_and_cleared_meanwhile_conflicts,
                a_conflicting_commit_applies_nothing,
                a_snapshot_read_does_not_conflict,
                blind_writes_do_not_conflict,
                another_key_does_not_conflict,
                a_write_before_the_first_read_does_not_conflict,
                a_write_in_a_range_read_conflicts,
                a_new_key_in_a_range_read_conflicts,
                a_write_behind_the_page_read_does_not_conflict,
                a_write_before_the_reverse_page_read_does_not_conflict,
                a_snapshot_range_does_not_conflict,
                a_range_cleared_meanwhile_conflicts,
                a_key_read_in_a_range_cleared_meanwhile_conflicts,
                a_reader_without_writes_never_conflicts,
                a_declared_key_conflicts,
                a_declared_range_conflicts,
                a_declared_key_alone_is_harmless,
                the_version_chain_detects_a_rival,
                the_version_chain_commits_without_reading,
                a_version_behind_the_chain_is_too_old_to_commit,
                a_read_of_an_own_write_does_not_conflict,
                of_two_increments_one_conflicts,
                write_skew_is_prevented,
                concurrent_increments_add_up;
            stamps: a_stamped_key_holds_its_stamp,
                a_stamped_value_holds_its_stamp,
                stamps_grow_in_the_order_of_commits,
                stamps_of_concurrent_commits_are_unique,
                several_stamped_keys_of_one_transaction_share_a_stamp,
                a_stamped_write_cannot_be_read_before_it_is_committed,
                a_stamped_key_wakes_nobody_else_and_conflicts_with_its_range,
                a_range_cleared_after_a_stamped_key_removes_it,
                a_range_cleared_before_a_stamped_key_does_not,
                a_commit_without_writes_has_no_stamp;
            watches: a_watch_resolves_when_its_key_is_set,
                a_watch_resolves_when_its_key_is_cleared,
                a_watch_resolves_when_its_range_is_cleared,
                a_watch_of_another_key_does_not_resolve,
                a_watch_does_not_resolve_for_an_earlier_write,
                a_refused_commit_resolves_no_watch,
                a_watch_resolves_for_a_stamped_value,
                every_watch_of_a_key_resolves,
                a_watch_wakes_who_waits;
            bounds: an_empty_key_is_refused,
                a_reserved_key_is_refused,
                clearing_everything_spares_the_engine,
                the_longest_key_is_taken_and_a_longer_one_refused,
                the_longest_value_is_taken_and_a_longer_one_refused,
                a_transaction_at_its_bound_is_taken_and_above_refused,
                an_own_bound_of_a_transaction_holds,
                a_refused_transaction_applies_nothing,
                a_stamp_counts_towards_the_bounds,
                caps_agree_with_the_limits;
            model: any_sequence_agrees_with_a_plain_map,
                any_transaction_reads_as_a_plain_map,
                a_plan_lands_once;
        );
    };
    (@ $open:expr; $($module:ident : $($case:ident),+ $(,)?;)+) => {
        $(mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (_guard, store) = $open;
                $crate::store::battery::$module::$case(store).await;
            })+
        })+
    };
}
pub(super) use battery;
