//! What other nodes say they let go of (cluster §4.3): claimed without a look, if what they say can be used.

use super::*;

/// Of so many units that the other node owns, the first that this one should own.
fn expected(keeper: &Keeper, units: u16) -> Unit {
    let mut all = (0..units).map(unit);
    all.find(|unit| keeper.desired(*unit) == Some(ME)).unwrap()
}

/// One that shares so many units with another node, which owns all of them as of a look at 60. No other look is on
/// its way.
fn beside_an_owner(units: u16) -> Keeper {
    let owners: Vec<(u16, Ownership)> = (0..units).map(|one| (one, owned(OTHER, 4))).collect();
    let (mut keeper, asked) = joined(units, vec![record(OTHER, 1)], &owners);
    assert_eq!(asked, []);
    let effects = keeper.step(at(60), Event::Tick);
    assert_eq!(effects, [Effect::Look], "a rest has ended");
    keeper.step(at(70), looked(60, vec![record(OTHER, 2)], &owners));
    keeper
}

#[test]
fn what_another_node_says_it_let_go_of_is_claimed_at_once_and_without_a_look() {
    let mut keeper = beside_an_owner(20);
    let free = expected(&keeper, 20);
    let effects = keeper.step(at(101), Event::Freed(vec![free]));
    let [Effect::Claim(claim)] = &effects[..] else {
        panic!("a claim and nothing else: {effects:?}");
    };
    assert_eq!(claim.basis, Basis::Free);
    let bid = Bid {
        unit: free,
        before: Some(owned(OTHER, 4).released()),
        after: owned(ME, 5),
    };
    assert_eq!(claim.bids, [bid]);
    let effects = keeper.step(at(110), ended(claim, ClaimOutcome::Taken));
    assert!(effects.contains(&Effect::Routes), "{effects:?}");
    assert_eq!(keeper.fence(free), Some(fence(5)));
}

#[test]
fn word_of_a_release_that_was_long_ago_costs_a_refused_claim_and_a_look() {
    let mut keeper = beside_an_owner(20);
    let free = expected(&keeper, 20);
    let asked = claims(&keeper.step(at(101), Event::Freed(vec![free])));
    let effects = keeper.step(at(160), ended(&asked[0], ClaimOutcome::Refused));
    assert_eq!(effects, [Effect::Look]);
    // The owner that is known stands until the look shows another one.
    assert_eq!(keeper.routes().owners[&free].node, OTHER);
    let (number, owner) = (0..20)
        .map(|number| (number, owned(OTHER, 4)))
        .find(|(number, _)| unit(*number) == free)
        .unwrap();
    let found = looked(160, vec![record(OTHER, 2)], &[(number, owner)]);
    assert_eq!(claims(&keeper.step(at(170), found)), []);
}

#[test]
fn word_of_a_release_that_cannot_be_used_leads_to_a_look() {
    let mut keeper = beside_an_owner(20);
    let mut all = (0..20).map(unit);
    let others = all.find(|unit| keeper.desired(*unit) == Some(OTHER));
    let effects = keeper.step(at(160), Event::Freed(others.into_iter().collect()));
    assert_eq!(effects, [Effect::Look]);
}

#[test]
fn word_that_came_during_a_look_outlives_what_the_look_shows() {
    let mut keeper = beside_an_owner(300);
    let all: Vec<Unit> = (0..300).map(unit).collect();
    let ours = all
        .into_iter()
        .filter(|unit| keeper.desired(*unit) == Some(ME));
    let mut free: Vec<Unit> = ours.collect();
    // One more than can be claimed at once.
    let most = CLAIMS_IN_FLIGHT_MAX;
    keeper.claim_units = 1;
    free.truncate(most + 1);
    let asked = claims(&keeper.step(at(200), Event::Freed(free.clone())));
    assert_eq!(asked.len(), most);
    let owners: Vec<(u16, Ownership)> = (0..300).map(|one| (one, owned(OTHER, 4))).collect();
    keeper.step(at(210), looked(150, vec![record(OTHER, 3)], &owners));
    let next = keeper.step(at(220), ended(&asked[0], ClaimOutcome::Taken));
    assert_eq!(claims(&next)[0].bids[0].unit, free[most]);
}
