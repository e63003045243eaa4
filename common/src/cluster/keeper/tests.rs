//! One Keeper, told what happens.

mod costs;
mod freed;

use super::*;
use crate::cluster::{PartitionId, Roles};
use crate::limits::CLAIMS_IN_FLIGHT_MAX;

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const ME: NodeId = NodeId([1; 16]);
const OTHER: NodeId = NodeId([2; 16]);

fn record(id: NodeId, seq: u64) -> NodeRecord {
    NodeRecord {
        id,
        seq,
        lease: Times::default().lease,
        roles: Roles {
            backend: true,
            outbound: true,
        },
        address: "127.0.0.1:1".to_owned(),
        zone: "a".to_owned(),
        weight: 100,
        draining: false,
        build: "0".to_owned(),
        levels: (1, 1),
    }
}

fn unit(number: u16) -> Unit {
    Unit::Partition(PartitionId(number))
}

fn owned(node: NodeId, epoch: u64) -> Ownership {
    Ownership {
        fence: fence(epoch),
        node,
        is_active: true,
    }
}

const fn fence(epoch: u64) -> Fence {
    Fence {
        generation: 1,
        epoch,
    }
}

/// A Keeper over the first `units` partitions.
fn keeper(units: u16) -> Keeper {
    let settings = KeeperSettings {
        units: (0..units).map(unit).collect(),
        ..KeeperSettings::new(Times::default(), 1)
    };
    Keeper::new(settings, record(ME, 0), at(0))
}

fn looked(begun: u64, nodes: Vec<NodeRecord>, owners: &[(u16, Ownership)]) -> Event {
    let owners = owners.iter().map(|(number, one)| (unit(*number), *one));
    Event::Looked(Tables {
        begun: at(begun),
        nodes,
        owners: Some(owners.collect()),
    })
}

const fn beat(seq: u64) -> Event {
    Event::HeartbeatEnded {
        seq,
        is_committed: true,
    }
}

fn ended(claim: &Claim, outcome: ClaimOutcome) -> Event {
    Event::ClaimEnded {
        claim: claim.clone(),
        outcome,
    }
}

fn claims(effects: &[Effect]) -> Vec<Claim> {
    let claims = effects.iter().filter_map(|effect| match effect {
        Effect::Claim(claim) => Some(claim.clone()),
        _ => None,
    });
    claims.collect()
}

fn released(effects: &[Effect]) -> Vec<Unit> {
    let released = effects.iter().filter_map(|effect| match effect {
        Effect::Release { unit, .. } => Some(*unit),
        _ => None,
    });
    released.collect()
}

/// A Keeper whose first heartbeat and look have ended, and what it asks for then.
fn joined(units: u16, nodes: Vec<NodeRecord>, owners: &[(u16, Ownership)]) -> (Keeper, Vec<Claim>) {
    let mut keeper = keeper(units);
    keeper.step(at(0), Event::Tick);
    keeper.step(at(5), beat(1));
    let effects = keeper.step(at(6), looked(0, nodes, owners));
    let claims = claims(&effects);
    (keeper, claims)
}

/// One that owns all of so many units.
fn owner(units: u16) -> Keeper {
    let (mut keeper, mut wanted) = joined(units, Vec::new(), &[]);
    while let Some(claim) = wanted.pop() {
        let effects = keeper.step(at(10), ended(&claim, ClaimOutcome::Taken));
        wanted.extend(claims(&effects));
    }
    assert_eq!(keeper.held().count(), usize::from(units));
    keeper
}

#[test]
fn a_node_says_that_it_lives_and_looks_before_it_claims() {
    let mut keeper = keeper(3);
    let first = keeper.step(at(0), Event::Tick);
    assert!(matches!(&first[..], [Effect::Heartbeat(one), Effect::Look] if one.seq == 1));
    let looked_first = keeper.step(at(3), looked(0, Vec::new(), &[]));
    assert_eq!(claims(&looked_first), []);
    assert!(keeper.is_resting());
    let effects = keeper.step(at(5), beat(1));
    assert_eq!(effects[0], Effect::Resume);
    assert_eq!(claims(&effects)[0].bids.len(), 3);
    assert!(effects.contains(&Effect::Routes));
}

#[test]
fn what_nobody_owns_is_claimed_at_once_and_begun_when_it_is_taken() {
    let (mut keeper, asked) = joined(2, Vec::new(), &[(1, owned(OTHER, 7).released())]);
    let [claim] = &asked[..] else {
        panic!("one claim: {asked:?}");
    };
    assert_eq!(claim.basis, Basis::Free);
    assert_eq!(claim.bids[0].before, None);
    assert_eq!(claim.bids[0].after, owned(ME, 1));
    assert_eq!(claim.bids[1].before, Some(owned(OTHER, 7).released()));
    assert_eq!(claim.bids[1].after, owned(ME, 8));
    assert_eq!(keeper.held().count(), 0);
    let effects = keeper.step(at(20), ended(claim, ClaimOutcome::Taken));
    let begun = Effect::Begin {
        unit: unit(1),
        fence: fence(8),
        was_active: false,
    };
    assert!(effects.contains(&begun));
    assert_eq!(keeper.fence(unit(1)), Some(fence(8)));
    assert_eq!(keeper.routes().owners[&unit(1)].node, ME);
}

#[test]
fn the_units_of_a_live_node_are_left_alone_and_those_of_a_silent_one_are_not() {
    let records = [(0, owned(OTHER, 4)), (1, owned(OTHER, 4))];
    let (mut keeper, first) = joined(2, vec![record(OTHER, 9)], &records);
    assert_eq!(first, []);
    keeper.step(at(1_000), Event::Tick);
    keeper.step(at(1_005), beat(2));
    keeper.step(at(2_000), Event::Tick);
    keeper.step(at(2_005), beat(3));
    let early = keeper.step(at(5_000), looked(4_999, vec![record(OTHER, 9)], &records));
    assert_eq!(claims(&early), []);
    let silent = keeper.step(at(5_020), looked(5_010, vec![record(OTHER, 9)], &records));
    let asked = claims(&silent);
    assert_eq!(asked[0].basis, Basis::Silent(record(OTHER, 9)));
    assert_eq!(asked[0].bids.len(), 2);
    let begun = keeper.step(at(5_030), ended(&asked[0], ClaimOutcome::Taken));
    assert!(matches!(
        begun[0],
        Effect::Begin {
            was_active: true,
            ..
        }
    ));
    assert_eq!(keeper.census().silent, 1);
}

#[test]
fn the_units_of_a_node_without_a_record_are_claimed_on_that_ground() {
    let (_, asked) = joined(1, Vec::new(), &[(0, owned(OTHER, 4))]);
    assert_eq!(asked[0].basis, Basis::Gone(OTHER));
    assert!(asked[0].basis.holds(None));
    assert!(!asked[0].basis.holds(Some(&record(OTHER, 10))));
}

#[test]
fn a_refused_claim_is_made_again_after_a_look_that_began_later() {
    let (mut keeper, asked) = joined(1, Vec::new(), &[]);
    let refused = keeper.step(at(100), ended(&asked[0], ClaimOutcome::Refused));
    assert_eq!(claims(&refused), []);
    assert!(
        refused.contains(&Effect::Look),
        "it looks at once: {refused:?}"
    );
    let old_news = keeper.step(at(110), looked(99, Vec::new(), &[]));
    assert_eq!(claims(&old_news), []);
    let taken = [(0, owned(OTHER, 1))];
    let news = keeper.step(at(200), looked(150, vec![record(OTHER, 1)], &taken));
    assert_eq!(claims(&news), []);
}

#[test]
fn a_claim_whose_end_was_not_learnt_is_found_and_claimed_again() {
    let (mut keeper, asked) = joined(1, Vec::new(), &[]);
    keeper.step(at(100), ended(&asked[0], ClaimOutcome::Failed));
    let effects = keeper.step(at(300), looked(200, Vec::new(), &[(0, owned(ME, 1))]));
    let again = claims(&effects);
    assert_eq!(again[0].basis, Basis::Free);
    assert_eq!(again[0].bids[0].after, owned(ME, 2));
    // It followed nobody who ended uncleanly.
    let effects = keeper.step(at(310), ended(&again[0], ClaimOutcome::Taken));
    assert!(matches!(
        effects[0],
        Effect::Begin {
            was_active: false,
            ..
        }
    ));
}

#[test]
fn a_claim_that_landed_unnoticed_and_should_be_another_nodes_is_let_go_of() {
    let (mut keeper, asked) = joined(40, Vec::new(), &[]);
    keeper.step(at(100), ended(&asked[0], ClaimOutcome::Failed));
    let records: Vec<(u16, Ownership)> = (0..40).map(|one| (one, owned(ME, 1))).collect();
    let effects = keeper.step(at(300), looked(200, vec![record(OTHER, 1)], &records));
    let anew: usize = claims(&effects).iter().map(|claim| claim.bids.len()).sum();
    let freed = released(&effects);
    assert_eq!(anew + freed.len(), 40);
    assert!(!freed.is_empty());
    assert!(
        freed
            .iter()
            .all(|unit| keeper.desired(*unit) == Some(OTHER))
    );
}

#[test]
fn a_commit_that_is_fenced_ends_the_unit_until_a_look_says_more() {
    let mut keeper = owner(2);
    let lost = Event::Fenced {
        unit: unit(0),
        fence: fence(1),
    };
    let effects = keeper.step(at(500), lost.clone());
    assert!(effects.contains(&Effect::End {
        unit: unit(0),
        fence: fence(1)
    }));
    assert!(effects.contains(&Effect::Look));
    assert_eq!(keeper.fence(unit(0)), None);
    assert_eq!(keeper.step(at(501), lost), []);
    // An old look still shows it as ours.
    let records = [(0, owned(ME, 1)), (1, owned(ME, 1))];
    assert_eq!(
        claims(&keeper.step(at(510), looked(499, Vec::new(), &records))),
        []
    );
    let records = [(0, owned(OTHER, 2)), (1, owned(ME, 1))];
    let nodes = vec![record(OTHER, 1)];
    keeper.step(at(600), looked(550, nodes, &records));
    assert_eq!(keeper.routes().owners[&unit(0)].node, OTHER);
    assert_eq!(keeper.held().collect::<Vec<_>>(), [(unit(1), fence(1))]);
}

#[test]
fn a_look_that_shows_another_owner_ends_the_unit() {
    let mut keeper = owner(1);
    let records = [(0, owned(OTHER, 2))];
    let effects = keeper.step(at(500), looked(400, vec![record(OTHER, 1)], &records));
    assert!(effects.contains(&Effect::End {
        unit: unit(0),
        fence: fence(1)
    }));
}

#[test]
fn an_old_look_undoes_nothing() {
    let mut keeper = owner(1);
    let before = [(0, owned(OTHER, 0).released())];
    let effects = keeper.step(at(500), looked(2, Vec::new(), &before));
    assert_eq!(keeper.fence(unit(0)), Some(fence(1)));
    assert!(!effects.iter().any(|one| matches!(one, Effect::End { .. })));
    assert_eq!(keeper.routes().owners[&unit(0)].node, ME);
}

#[test]
fn without_heartbeats_a_node_rests_and_trusts_no_silence_it_saw() {
    let mut keeper = owner(1);
    let nodes = || vec![record(OTHER, 1)];
    let records = [(0, owned(ME, 1))];
    keeper.step(at(1_000), looked(900, nodes(), &records));
    keeper.step(at(1_000), Event::Tick);
    assert!(!keeper.step(at(3_999), Event::Tick).contains(&Effect::Rest));
    assert!(keeper.step(at(4_000), Event::Tick).contains(&Effect::Rest));
    keeper.step(at(7_000), looked(6_900, nodes(), &records));
    assert_eq!(keeper.census().silent, 1);
    // The heartbeat that hung ends at last: too old to prove anything.
    assert!(!keeper.step(at(7_000), beat(2)).contains(&Effect::Resume));
    let seq = keeper.record().seq;
    assert_eq!(seq, 3, "the next one is on its way");
    assert!(keeper.step(at(7_010), beat(3)).contains(&Effect::Resume));
    assert_eq!(keeper.census().silent, 0);
}

#[test]
fn a_node_that_drains_tells_so_lets_go_and_leaves() {
    let mut keeper = owner(3);
    let nodes = || vec![record(OTHER, 1)];
    let records: Vec<(u16, Ownership)> = (0..3).map(|one| (one, owned(ME, 1))).collect();
    keeper.step(at(600), looked(500, nodes(), &records));
    let ordered = keeper.step(at(700), Event::DrainOrdered);
    assert!(matches!(&ordered[0], Effect::Heartbeat(one) if one.draining && one.seq == 2));
    assert_eq!(released(&ordered), []);
    let told = keeper.step(at(705), beat(2));
    assert_eq!(released(&told).len(), 3);
    let to_other = |effect: &Effect| matches!(effect, Effect::Release { successor, .. } if *successor == Some(OTHER));
    assert!(told.iter().any(to_other));
    let end = |number, outcome| Event::ReleaseEnded {
        unit: unit(number),
        fence: fence(1),
        outcome,
    };
    keeper.step(at(710), end(0, ReleaseOutcome::Released));
    keeper.step(at(710), end(1, ReleaseOutcome::Fenced));
    let failed = keeper.step(at(710), end(2, ReleaseOutcome::Failed));
    assert!(!failed.contains(&Effect::Leave));
    // After a look that began later it is tried again.
    let records = [(1, owned(OTHER, 2)), (2, owned(ME, 1))];
    let again = keeper.step(at(800), looked(720, nodes(), &records));
    assert_eq!(released(&again), [unit(2)]);
    let done = keeper.step(at(810), end(2, ReleaseOutcome::Released));
    assert!(done.contains(&Effect::Leave), "{done:?}");
    assert_eq!(
        keeper.step(at(5_000), Event::Tick),
        [],
        "no heartbeat any more"
    );
    let left = Event::LeaveEnded { is_committed: true };
    keeper.step(at(5_010), left);
    assert!(keeper.is_gone());
    assert_eq!(keeper.wakes_at(), Duration::MAX);
}

#[test]
fn units_move_to_a_node_that_joined_after_ten_seconds_and_eight_per_second() {
    let mut keeper = owner(200);
    let records: Vec<(u16, Ownership)> = (0..200).map(|one| (one, owned(ME, 1))).collect();
    let mut moved = Vec::new();
    let mut now = 100;
    let mut asleep = 0;
    while now < 14_000 {
        let seq = now / 1_000;
        let mut effects = keeper.step(at(now), Event::Tick);
        if effects.contains(&Effect::Look) {
            let nodes = vec![record(OTHER, seq)];
            effects.extend(keeper.step(at(now), looked(now, nodes, &records)));
        }
        let beats = effects.iter().filter_map(|effect| match effect {
            Effect::Heartbeat(one) => Some(one.seq),
            _ => None,
        });
        for seq in beats.collect::<Vec<_>>() {
            effects.extend(keeper.step(at(now), beat(seq)));
        }
        moved.extend(released(&effects).into_iter().map(|unit| (now, unit)));
        let next = keeper.wakes_at().as_millis() as u64;
        assert!(next > now, "it would never sleep");
        asleep += 1;
        now = next;
    }
    // Seen at 1,000 at the latest, so from 11,000 on.
    assert!(moved[0].0 >= 10_100 && moved[0].0 <= 11_000, "{moved:?}");
    for window in moved.windows(9) {
        assert!(window[8].0 - window[0].0 >= 1_000, "{window:?}");
    }
    assert!(moved.len() >= 24, "{} moved", moved.len());
    assert!(
        moved
            .iter()
            .all(|(_, unit)| keeper.desired(*unit) == Some(OTHER))
    );
    assert!(asleep < 100, "woken {asleep} times in 14 s");
}

#[test]
fn a_process_of_a_generation_that_was_undone_claims_nothing() {
    let later = Ownership {
        fence: Fence {
            generation: 2,
            epoch: 1,
        },
        ..owned(OTHER, 1)
    };
    let (_, asked) = joined(1, Vec::new(), &[(0, later.released())]);
    assert_eq!(asked, []);
}

#[test]
fn a_refusal_makes_claims_smaller_and_success_makes_them_large_again() {
    let (mut keeper, asked) = joined(600, Vec::new(), &[]);
    let sizes: Vec<usize> = asked.iter().map(|claim| claim.bids.len()).collect();
    assert_eq!(sizes, [CLAIM_UNITS_MAX; CLAIMS_IN_FLIGHT_MAX]);
    let next = keeper.step(at(10), ended(&asked[0], ClaimOutcome::Refused));
    assert_eq!(claims(&next)[0].bids.len(), CLAIM_UNITS_MAX / 2);
    let next = keeper.step(at(11), ended(&asked[1], ClaimOutcome::Taken));
    assert_eq!(claims(&next)[0].bids.len(), CLAIM_UNITS_MAX);
}

#[test]
fn a_dead_node_is_forgotten_by_one_node_once_it_owns_nothing() {
    let see = |me: NodeId, owners: &[(u16, Ownership)]| {
        let mut keeper = Keeper::new(
            KeeperSettings::new(Times::default(), 1),
            record(me, 0),
            at(0),
        );
        keeper.step(at(0), Event::Tick);
        keeper.step(at(0), beat(1));
        let dead = || record(NodeId([9; 16]), 3);
        keeper.step(at(1), looked(0, vec![dead(), record(OTHER, 1)], owners));
        keeper.step(at(60_900), Event::Tick);
        keeper.step(at(60_900), beat(2));
        keeper.step(at(60_950), Event::Tick);
        keeper.step(at(61_000), beat(3));
        let seen = looked(61_001, vec![dead(), record(OTHER, 2)], owners);
        let effects = keeper.step(at(61_002), seen);
        assert!(!keeper.is_resting());
        effects.contains(&Effect::Forget(dead()))
    };
    let restarted = "what it saw before its rest does not count";
    assert!(!see(ME, &[]), "{restarted}");
    let patient = |me: NodeId, owners: &[(u16, Ownership)]| {
        let mut keeper = keeper(1);
        keeper.me.id = me;
        let dead = || record(NodeId([9; 16]), 3);
        let mut forgotten = false;
        for second in 0..63 {
            let effects = keeper.step(at(second * 1_000), Event::Tick);
            let seq = keeper.record().seq;
            assert!(effects.contains(&Effect::Look));
            keeper.step(at(second * 1_000), beat(seq));
            let nodes = vec![dead(), record(OTHER, second)];
            let effects = keeper.step(at(second * 1_000), looked(second * 1_000, nodes, owners));
            forgotten |= effects.contains(&Effect::Forget(dead()));
        }
        forgotten
    };
    assert!(patient(ME, &[]));
    assert!(!patient(NodeId([3; 16]), &[]), "the least node does it");
    assert!(
        !patient(ME, &[(0, owned(NodeId([9; 16]), 1))]),
        "it owns something"
    );
}
