//! The ownership protocol, checked to its end: every order in which three nodes, one or two partitions
//! and their commits can meet, within the bounds of [`model::Bounds`] (cluster §4, §7.3; note 0008).
//!
//! The model asks the functions that the service asks: on what grounds a claim may be made, what it
//! puts in the place of what it found, and whether a write may pass.

mod model;

use stateright::{Checker, HasDiscoveries, Model};

use self::model::{Bounds, Protocol, Safeguards};

/// Looks at every reachable state, of which there are so many (the table in note 0008).
fn check_all(bounds: Bounds, states: usize) -> impl Checker<Protocol> {
    let protocol = Protocol {
        safeguards: Safeguards::ALL,
        bounds,
    };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    assert_eq!(checker.unique_state_count(), states);
    checker
}

/// Looks until something is found that must not be, and says whether it is this.
fn finds(what: &'static str, safeguards: Safeguards) -> bool {
    let protocol = Protocol {
        safeguards,
        bounds: Bounds::default(),
    };
    let checker = protocol.checker().threads(2);
    let only = HasDiscoveries::AnyOf([what].into());
    let checker = checker.finish_when(only).spawn_bfs().join();
    checker.discovery(what).is_some()
}

#[test]
fn no_order_of_events_loses_an_acknowledged_write_or_lets_two_owners_write() {
    check_all(Bounds::default(), 83_467).assert_properties();
}

#[test]
fn nor_does_a_second_takeover() {
    let bounds = Bounds {
        epochs: [3, 0],
        writes: [1, 0],
        ..Bounds::default()
    };
    let checker = check_all(bounds, 182_180);
    for always in model::ALWAYS {
        checker.assert_no_discovery(always);
    }
}

#[test]
fn nor_does_another_partition_of_the_same_nodes() {
    let bounds = Bounds {
        epochs: [2, 1],
        writes: [1, 0],
        // A node that is never given another step is as good as dead.
        crashes: 0,
        ..Bounds::default()
    };
    let checker = check_all(bounds, 759_003);
    for always in model::ALWAYS {
        checker.assert_no_discovery(always);
    }
}

#[test]
fn without_the_fence_a_former_owner_writes_over_its_successor() {
    let unfenced = Safeguards {
        fence: false,
        ..Safeguards::ALL
    };
    assert!(finds(model::KEPT, unfenced));
    assert!(finds(model::OWNED, unfenced));
}

#[test]
fn without_the_barrier_a_late_commit_undoes_what_came_after_it() {
    let hasty = Safeguards {
        barrier: false,
        ..Safeguards::ALL
    };
    assert!(finds(model::KEPT, hasty));
}

#[test]
fn without_reading_the_owners_record_a_claim_robs_a_node_that_just_said_it_lives() {
    let blind = Safeguards {
        owner_read: false,
        ..Safeguards::ALL
    };
    assert!(finds(model::UNROBBED, blind));
}
