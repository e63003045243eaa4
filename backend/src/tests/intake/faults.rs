//! Drains over a store that loses answers, refuses, and lands late, and over owners that end in
//! between: every entry is received once, in the order of its sender.

use std::collections::BTreeSet;

use super::*;
use crate::store::Faults;
use crate::tests::gated::Script;

/// Leaves entries as a commit whose answer is lost does: some of them twice.
async fn leave_doubtfully(scene: &Scene<MemoryStore>, entries: &[IntakeEntry]) {
    for (number, some) in entries.chunks(3).enumerate() {
        scene.leave(some).await;
        if number % 4 == 0 {
            scene.leave(some).await;
        }
    }
}

async fn every_entry_is_received_once(faults: Faults) {
    let mut scene = Scene::over(MemoryStore::new(), open_to_strangers()).await;
    let people = Person::neighbours(2);
    let (alice, bob) = (&people[0], Person::new("bob"));
    for person in [&people[0], &people[1], &bob] {
        scene.create(person).await;
    }
    let to_alice: Vec<_> = (0..60).map(|number| left(&bob, alice, number)).collect();
    let to_other: Vec<_> = (100..130)
        .map(|number| left(&bob, &people[1], number))
        .collect();
    let seed = faults.seed;
    for (first, second) in to_alice.chunks(30).zip(to_other.chunks(15)) {
        leave_doubtfully(&scene, first).await;
        scene.store.set_faults(faults);
        for _ in 0..5 {
            scene.backend.drain().await;
        }
        scene.store.set_faults(Faults::default());
        leave_doubtfully(&scene, second).await;
        // The owner ends in the middle: whoever comes next goes on.
        scene.backend.stop().await;
        scene.backend = start(&scene.store, open_to_strangers(), &scene.clock).await;
    }
    scene.drain().await;
    let expected: Vec<String> = (0..60).map(|number| format!("bob-{number}")).collect();
    assert_eq!(scene.inbound(alice).await, expected, "seed {seed}");
    assert_eq!(scene.inbound(&people[1]).await.len(), 30, "seed {seed}");
    let told = scene.told(&bob).await;
    let distinct: BTreeSet<_> = told.iter().collect();
    assert_eq!((told.len(), distinct.len()), (90, 90), "seed {seed}");
    assert!(told.iter().all(|one| one.2 == "Received"));
    assert_eq!(scene.backend.metrics().intake_set_aside.get(), 0);
}

#[actix::test]
async fn lost_answers_and_conflicts_lose_and_double_nothing() {
    for seed in 0..6 {
        every_entry_is_received_once(Faults {
            seed,
            conflict: 100,
            too_old: 50,
            unknown_applied: 200,
            unknown_lost: 150,
            short_page: 200,
            ..Faults::default()
        })
        .await;
    }
}

#[actix::test]
async fn drains_that_land_late_lose_and_double_nothing() {
    for seed in 0..6 {
        every_entry_is_received_once(Faults {
            seed,
            may_still_land: 300,
            land_after_max: 4,
            ..Faults::default()
        })
        .await;
    }
}

#[actix::test]
async fn a_drain_that_panics_below_begins_again_and_one_the_store_refuses_waits() {
    let scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    scene.leave(&[forwarded(&bob, &alice, 1)]).await;
    scene.store.script(Script::Panic);
    scene.backend.drain().await;
    scene.store.script(Script::ReadOnly);
    scene.backend.drain().await;
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
}

#[actix::test]
async fn what_waits_stays_while_there_is_no_room_and_is_received_once_after() {
    let scene = Scene::over(MemoryStore::new(), open_to_strangers()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let entries: Vec<_> = (0..40).map(|number| left(&bob, &alice, number)).collect();
    scene.leave(&entries).await;
    scene.store.set_faults(Faults {
        full: 1_000,
        ..Faults::default()
    });
    for _ in 0..10 {
        scene.backend.drain().await;
        assert_eq!(scene.waiting().await, 40);
    }
    assert_eq!(scene.inbound(&alice).await, [""; 0]);
    scene.store.set_faults(Faults::default());
    scene.drain().await;
    let expected: Vec<String> = (0..40).map(|number| format!("bob-{number}")).collect();
    assert_eq!(scene.inbound(&alice).await, expected);
    assert_eq!(scene.told(&bob).await.len(), 40);
    assert_eq!(scene.backend.metrics().intake_set_aside.get(), 0);
}
