//! What a step costs: what has changed is looked at, and not everything that is owned.

use super::*;

/// The end of each release: how many units the Keeper looked at for it, and how many entries of the routes it copied.
fn costs_of_leaving(units: u16) -> Vec<(usize, usize)> {
    let mut keeper = owner(units);
    keeper.step(at(100), Event::DrainOrdered);
    let effects = keeper.step(at(110), beat(2));
    let releases: Vec<(Unit, Fence)> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Release { unit, fence, .. } => Some((*unit, *fence)),
            _ => None,
        })
        .collect();
    assert_eq!(releases.len(), usize::from(units));
    let mut costs = Vec::new();
    for (unit, fence) in releases {
        // Whoever is told keeps what they were told.
        let (told, looked_at) = (keeper.routes().clone(), keeper.agenda.looked_at);
        let outcome = ReleaseOutcome::Released;
        let ended = Event::ReleaseEnded {
            unit,
            fence,
            outcome,
        };
        let effects = keeper.step(at(120), ended);
        assert!(effects.contains(&Effect::Routes));
        keeper.step(at(120), Event::Tick);
        let copied = keeper.routes().owners.copied_since(&told.owners);
        costs.push((keeper.agenda.looked_at - looked_at, copied));
    }
    assert_eq!(keeper.held().count(), 0);
    costs
}

#[test]
fn the_end_of_a_release_costs_the_same_however_much_is_owned() {
    for units in [8, 1_024] {
        let costs = costs_of_leaving(units);
        let most = costs.iter().max().unwrap();
        assert!(most.0 == 1 && most.1 < 64, "of {units} units: {most:?}");
    }
}

#[test]
fn units_that_are_moved_one_by_one_are_not_all_looked_at_for_each() {
    let mut keeper = owner(1_024);
    let mut now = at(1_000);
    let mut effects = keeper.step(now, looked(1_000, vec![record(OTHER, 1)], &[]));
    let (mut released, mut beats) = (0, 1);
    while released < 8 {
        while let Some(effect) = effects.pop() {
            let looked_at = keeper.agenda.looked_at;
            match effect {
                Effect::Heartbeat(record) => effects.extend(keeper.step(now, beat(record.seq))),
                Effect::Look => {
                    beats += 1;
                    let tables = Tables {
                        begun: now,
                        nodes: vec![record(OTHER, beats)],
                        owners: None,
                    };
                    effects.extend(keeper.step(now, Event::Looked(tables)));
                }
                Effect::Release { unit, fence, .. } => {
                    released += 1;
                    let outcome = ReleaseOutcome::Released;
                    let ended = Event::ReleaseEnded {
                        unit,
                        fence,
                        outcome,
                    };
                    effects.extend(keeper.step(now, ended));
                    assert_eq!(keeper.agenda.looked_at, looked_at + 1);
                }
                _ => {}
            }
        }
        now = keeper.wakes_at();
        let looked_at = keeper.agenda.looked_at;
        effects.extend(keeper.step(now, Event::Tick));
        assert_eq!(keeper.agenda.looked_at, looked_at, "nothing has changed");
    }
}
