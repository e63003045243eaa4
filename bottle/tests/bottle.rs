//! The cluster in a bottle: what must hold after every story, and that it would be noticed if it did
//! not (cluster §20).

use std::sync::Mutex;

use mesh_bottle::scale;
use mesh_bottle::store::Sabotage;
use mesh_bottle::story::{self, Failure, Report};

/// Seeds of one run of the build. `cargo run --release -p mesh-bottle --bin soak` takes any number.
const SEEDS: u64 = 200;
/// Seeds within which every sabotage is noticed.
const NOTICED_WITHIN: u64 = 200;

/// Something counted in a story.
type Count = fn(&Report) -> usize;

/// Tells the stories of these seeds, two at a time.
fn tell(seeds: u64) -> Vec<Result<Report, Failure>> {
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for half in 0..2 {
            let told = &told;
            scope.spawn(move || {
                for seed in (half..seeds).step_by(2) {
                    let result = story::run(seed, Sabotage::None);
                    told.lock().expect("no story panics").push(result);
                }
            });
        }
    });
    told.into_inner().expect("no story panics")
}

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
    let told = tell(SEEDS);
    let failures: Vec<String> = told
        .iter()
        .filter_map(|one| Some(one.as_ref().err()?.to_string()))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // The stories are not idle.
    let sum = |count: Count| told.iter().flatten().map(count).sum::<usize>();
    let counts: [(&str, Count, usize); 7] = [
        ("takeovers", |one| one.takeovers, 200),
        ("commits fenced off", |one| one.fenced, 1),
        ("calls repeated", |one| one.repeated, 2_000),
        ("messages posted", |one| one.posted, 2_000),
        ("messages of other services", |one| one.taken_in, 1_000),
        ("messages left while owners were away", |one| one.left, 200),
        ("transfers repeated", |one| one.resent, 200),
    ];
    for (what, count, least) in counts {
        let found = sum(count);
        assert!(found >= least, "{found} {what}, expected were {least}");
    }
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
