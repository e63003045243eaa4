//! Commits that conflict, whose answers are lost, or that land long after: whatever the store does, an
//! acknowledged frame is there once, and no frame is there twice (cluster §7.3, §20).

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::*;
use crate::store::Faults;

/// Uploads `count` bookmarks as a device does: on a conflict it looks where the container stands, on a
/// doubtful answer it repeats the same request. Returns what was acknowledged.
async fn write_stubbornly(scene: &Scene<MemoryStore>, person: &Person, count: u64) -> Vec<Vec<u8>> {
    let mut acknowledged = Vec::new();
    let mut index = 1;
    for number in 0..count {
        let payload = format!("{} {number}", person.address).into_bytes();
        let mut request = person.upload(scene.now(), index, &[&payload]);
        loop {
            match code_of(&scene.perform(request.clone()).await) {
                Code::Ok => break,
                Code::Overload => {}
                Code::Conflict => {
                    index = scene.bookmarks_stubbornly(person).await;
                    request = person.upload(scene.now(), index, &[&payload]);
                }
                other => panic!("an upload was refused with {other:?}"),
            }
        }
        index += 1;
        acknowledged.push(payload);
    }
    acknowledged
}

impl Scene<MemoryStore> {
    async fn bookmarks_stubbornly(&self, person: &Person) -> u64 {
        loop {
            let outcome = self.perform(person.status(self.now())).await;
            if code_of(&outcome) == Code::Ok {
                return self.bookmarks(person).await.0;
            }
        }
    }
}

async fn nothing_is_lost_or_doubled(faults: Faults) {
    let (mut scene, people) = (Scene::new().await, Person::neighbours(4));
    for person in &people {
        scene.settle(person).await;
    }
    let seed = faults.seed;
    scene.store.set_faults(faults);
    let acknowledged = join_all(
        people
            .iter()
            .map(|person| write_stubbornly(&scene, person, 25)),
    )
    .await;
    scene.store.set_faults(Faults::default());
    for is_restarted in [false, true] {
        for (person, acknowledged) in people.iter().zip(&acknowledged) {
            let found = scene.payloads(person).await.split_off(1);
            let distinct: BTreeSet<&Vec<u8>> = found.iter().collect();
            assert_eq!(
                distinct.len(),
                found.len(),
                "seed {seed}: a frame is there twice"
            );
            assert_eq!(
                found, *acknowledged,
                "seed {seed}, restarted: {is_restarted}"
            );
        }
        scene.restart().await;
    }
}

#[actix::test]
async fn conflicts_and_lost_answers_lose_and_double_nothing() {
    for seed in 0..10 {
        nothing_is_lost_or_doubled(Faults {
            seed,
            conflict: 100,
            too_old: 50,
            unknown_applied: 150,
            unknown_lost: 150,
            short_page: 200,
            ..Faults::default()
        })
        .await;
    }
}

#[actix::test]
async fn commits_that_land_late_lose_and_double_nothing() {
    for seed in 0..10 {
        nothing_is_lost_or_doubled(Faults {
            seed,
            may_still_land: 250,
            land_after_max: 6,
            conflict: 50,
            ..Faults::default()
        })
        .await;
    }
}
