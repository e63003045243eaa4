//! The cluster in a bottle: what must hold after every story, and that it would be noticed if it did
//! not (cluster §20).

use std::thread::available_parallelism;

use mesh_bottle::scale;
use mesh_bottle::soak::{Sum, tell};
use mesh_bottle::store::Sabotage;
use mesh_bottle::story;

/// Seeds of one run of the build. `cargo run --release -p mesh-bottle --bin soak` takes any number.
const SEEDS: u64 = 200;
/// Seeds within which every sabotage is noticed.
const NOTICED_WITHIN: u64 = 200;

/// Tells stories with something done wrong on purpose, until each of `signs` was part of what did not hold.
fn assert_noticed(sabotage: Sabotage, signs: &[&str]) {
    let mut missing = signs.to_vec();
    for seed in 0..NOTICED_WITHIN {
        if let Err(failure) = story::run(seed, sabotage) {
            missing.retain(|sign| !failure.what.iter().any(|what| what.contains(sign)));
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("{sabotage:?}: nobody noticed {missing:?}");
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_once_and_everything_goes_on() {
    let (mut sum, mut failures) = (Sum::default(), Vec::new());
    let jobs = available_parallelism().map_or(1, usize::from);
    tell((0, SEEDS), jobs, Sabotage::None, |seed, told| {
        sum.add(seed, &told);
        failures.extend(told.err().map(|failure| failure.to_string()));
        true
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(sum.seeds, SEEDS);
    // The stories are not idle.
    let counts = [
        ("units taken over", 200),
        ("commits fenced off", 1),
        ("calls repeated", 2_000),
        ("messages posted", 2_000),
        ("messages of other services", 1_000),
        ("messages left while owners were away", 200),
        ("transfers repeated", 200),
    ];
    for (what, least) in counts {
        let found = sum.of(what);
        assert!(found >= least, "{found} {what}, expected were {least}");
    }
}

#[test]
fn many_stories_end_when_nobody_wants_to_hear_more() {
    let mut told = Vec::new();
    tell((7, 1_000), 1, Sabotage::None, |seed, _| {
        told.push(seed);
        told.len() < 3
    });
    assert_eq!(told, [7, 8, 9]);
}

#[test]
fn without_the_fence_acknowledged_entries_are_lost_and_former_owners_write() {
    let signs = ["acknowledged was", "wrote Partition", "wrote Shard"];
    assert_noticed(Sabotage::Fence, &signs);
}

#[test]
fn an_intake_that_is_cleared_by_a_commit_of_its_own_loses_messages() {
    assert_noticed(Sabotage::ClearApart, &["has lost"]);
}

#[test]
fn owners_that_do_not_know_what_they_have_received_receive_it_twice() {
    assert_noticed(Sabotage::OwnersForget, &["has received"]);
}

#[test]
fn senders_that_are_told_by_a_commit_of_its_own_are_not_told() {
    assert_noticed(Sabotage::TellApart, &["was told None"]);
}

#[test]
fn services_that_do_not_know_what_they_have_taken_in_take_it_in_twice() {
    assert_noticed(Sabotage::PeersForget, &["2 times"]);
}

#[test]
fn claims_that_read_blindly_let_two_owners_send_by_one_claim() {
    let signs = ["sent by one claim", "wrote"];
    assert_noticed(Sabotage::BlindReads, &signs);
}

#[test]
fn orders_that_nobody_finds_are_not_followed() {
    let signs = [
        "was sent while held",
        "orders for owners of shards",
        "stays although it was ordered to leave",
    ];
    assert_noticed(Sabotage::OrdersUnread, &signs);
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [3, 14] {
        let (once, again) = (
            story::run(seed, Sabotage::None),
            story::run(seed, Sabotage::None),
        );
        assert_eq!(once, again);
    }
}

#[test]
fn more_nodes_carry_out_more() {
    let one = scale::throughput(1, 1);
    for nodes in [2, 4] {
        let rate = scale::throughput(1, nodes);
        let efficiency = rate / (one * nodes as f64);
        println!("{nodes} nodes: {rate:.0} entries/s against {one:.0}, efficiency {efficiency:.2}");
        assert!(
            efficiency >= 0.9,
            "{nodes} nodes: {rate:.0} entries/s against {one:.0}"
        );
    }
}
