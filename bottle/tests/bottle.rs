//! The cluster in a bottle: what must hold after every story, and that it would be noticed if it did
//! not (cluster §20).

use std::sync::Mutex;

use mesh_bottle::scale;
use mesh_bottle::store::Sabotage;
use mesh_bottle::story::{self, Failure, Report};

/// Seeds of one run of the build. `cargo run -p mesh-bottle --bin soak` takes any number.
const SEEDS: u64 = 200;

/// Tells the stories of these seeds, two at a time.
fn tell(seeds: u64, sabotage: Sabotage) -> Vec<Result<Report, Failure>> {
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for half in 0..2 {
            let told = &told;
            scope.spawn(move || {
                for seed in (half..seeds).step_by(2) {
                    let result = story::run(seed, sabotage);
                    told.lock().expect("no story panics").push(result);
                }
            });
        }
    });
    told.into_inner().expect("no story panics")
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_once_and_everything_goes_on() {
    let told = tell(SEEDS, Sabotage::None);
    let failures: Vec<String> = told
        .iter()
        .filter_map(|one| Some(one.as_ref().err()?.to_string()))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // The stories are not idle.
    let sum = |count: fn(&Report) -> usize| told.iter().flatten().map(count).sum::<usize>();
    assert!(
        sum(|one| one.takeovers) >= 200,
        "{} takeovers",
        sum(|one| one.takeovers)
    );
    assert!(sum(|one| one.fenced) >= 1, "nobody was fenced off");
    assert!(
        sum(|one| one.repeated) >= 2_000,
        "{} calls repeated",
        sum(|one| one.repeated)
    );
}

#[test]
fn without_the_fence_acknowledged_entries_are_lost() {
    let told = tell(40, Sabotage::Fence);
    let failures = told.iter().filter_map(|one| one.as_ref().err());
    let lost = failures.filter(|failure| {
        let mut what = failure.what.iter();
        what.any(|what| what.contains("acknowledged was") || what.contains("problem"))
    });
    let count = lost.count();
    assert!(count > 0, "nobody noticed that the fence was off");
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
