//! What counts as silence, and what does not.

use super::*;
use crate::cluster::Roles;

const LEASE: Duration = Duration::from_secs(5);
const NODE: NodeId = NodeId([1; 16]);

fn record(seq: u64) -> NodeRecord {
    NodeRecord {
        id: NODE,
        seq,
        lease: LEASE,
        roles: Roles::default(),
        address: String::new(),
        zone: String::new(),
        weight: 100,
        draining: false,
        build: String::new(),
        levels: (1, 1),
    }
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// An observer that saw these numbers in looks that began then and took 10 ms each.
fn saw(looks: &[(u64, u64)]) -> Observer {
    let mut observer = Observer::default();
    for (begun, seq) in looks {
        observer.observe(ms(*begun), ms(begun + 10), vec![record(*seq)]);
    }
    observer
}

#[test]
fn a_record_unchanged_for_its_lease_is_silent() {
    // From the end of the first look to the beginning of the last.
    assert!(!saw(&[(0, 1), (5_009, 1)]).is_silent(NODE));
    assert!(saw(&[(0, 1), (5_010, 1)]).is_silent(NODE));
    assert_eq!(saw(&[(0, 1), (5_010, 1)]).unchanged(NODE), LEASE);
}

#[test]
fn silence_is_seen_and_not_waited_for() {
    // Nothing was looked at in between, and nothing after: time alone proves nothing.
    let observer = saw(&[(0, 1)]);
    assert!(!observer.is_silent(NODE));
    assert_eq!(observer.alive().count(), 1);
}

#[test]
fn a_heartbeat_ends_silence() {
    let mut observer = saw(&[(0, 1), (6_000, 1)]);
    assert_eq!(observer.silent().count(), 1);
    observer.observe(ms(7_000), ms(7_010), vec![record(2)]);
    assert!(!observer.is_silent(NODE));
    assert_eq!(observer.record(NODE).unwrap().seq, 2);
}

#[test]
fn an_old_view_of_the_table_is_no_sign_of_life() {
    let observer = saw(&[(0, 7), (3_000, 6), (5_010, 7)]);
    assert!(observer.is_silent(NODE));
    assert_eq!(observer.record(NODE).unwrap().seq, 7);
}

#[test]
fn a_heartbeat_that_lands_after_the_last_one_leaves_the_node_silent() {
    let observer = saw(&[(0, 7), (1_000, 6), (2_000, 6), (5_010, 6)]);
    assert!(observer.is_silent(NODE));
    // A claim has to find what is in the table.
    assert_eq!(observer.record(NODE).unwrap().seq, 6);
}

#[test]
fn a_node_whose_record_is_gone_is_gone() {
    let mut observer = saw(&[(0, 1)]);
    observer.observe(ms(1_000), ms(1_010), Vec::new());
    assert_eq!(observer.record(NODE), None);
    assert!(!observer.is_silent(NODE));
}

#[test]
fn an_observer_that_starts_again_knows_of_no_silence() {
    let mut observer = saw(&[(0, 1), (6_000, 1)]);
    observer.restart(ms(6_100));
    assert!(!observer.is_silent(NODE));
    observer.observe(ms(11_000), ms(11_010), vec![record(1)]);
    assert!(!observer.is_silent(NODE));
    observer.observe(ms(11_100), ms(11_110), vec![record(1)]);
    assert!(observer.is_silent(NODE));
}
