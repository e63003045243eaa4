//! What is put into the queues of other services: bounds that hold exactly whatever happens at once or
//! between, and what complaints lead to (cluster §14, service §8, X-61).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mesh_common::account::QueuePolicy;
use mesh_common::conduct::Level;
use mesh_common::delivery::QueueScope;
use mesh_common::limits::{INCIDENTS_KEPT, MESSAGE_ID_REMEMBERED};
use mesh_common::protocol::Code;

use super::posting::{sealed, serving};
use super::*;
use crate::desk::{ConductDesk, ConductLevel, DeskError, NewIncident};
use crate::partition::conduct;
use crate::store::{Fault, Faults, Limit, Order, Read, Tx as _, TxOptions, keys};

const ELSEWHERE: &str = "elsewhere.example";

fn bounded(per_destination_max: u64) -> BackendConfig {
    let mut config = serving();
    config.policy.queue = QueuePolicy {
        per_destination_max,
        ..QueuePolicy::default()
    };
    config
}

/// People of as many partitions.
fn people(count: usize) -> Vec<Person> {
    let mut homes = BTreeSet::new();
    (0..)
        .map(|number| Person::new(&format!("p{number}")))
        .filter(|person| homes.insert(PartitionId::of(&person.address)))
        .take(count)
        .collect()
}

impl Scene<MemoryStore> {
    /// Items in the queue, as they lie in the store.
    async fn queued_in_store(&self) -> u64 {
        let tx = self.store.begin(TxOptions::default());
        let range = keys::queue(ELSEWHERE);
        let limit = Limit::rows(10_000);
        let page = tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await;
        page.unwrap().rows.len() as u64
    }

    fn counted(&self) -> u64 {
        let scope = QueueScope::Destination(ELSEWHERE.to_owned());
        let depths = &self.backend.inner.shared.depths;
        depths.waiting(&BTreeSet::from([scope.clone()]))[&scope]
    }

    /// Posts until it is accepted or there is no room, repeating the same request where nobody knows.
    async fn send(&self, person: &Person, id: &str) -> Code {
        let recipient = vec![format!("dave@{ELSEWHERE}")];
        let request = person.post(self.now(), &recipient, vec![sealed(id, 100)]);
        loop {
            let outcome = self.perform(request.clone()).await;
            match code_of(&outcome) {
                Code::Overload => {}
                code => return code,
            }
        }
    }
}

#[actix::test]
async fn exactly_as_many_wait_as_may_whoever_posts_at_once() {
    let people = people(12);
    let scene = Scene::over(MemoryStore::new(), bounded(37)).await;
    for person in &people {
        scene.create(person).await;
    }
    let scene = &scene;
    let sending = people.iter().map(|person| async move {
        let mut accepted = 0_u64;
        for number in 0..5 {
            match scene.send(person, &format!("M{number}")).await {
                Code::Ok => accepted += 1,
                code => assert_eq!(code, Code::QueueFull),
            }
        }
        accepted
    });
    let accepted: u64 = join_all(sending).await.into_iter().sum();
    assert_eq!(accepted, 37);
    assert_eq!((scene.queued_in_store().await, scene.counted()), (37, 37));
}

#[actix::test]
async fn what_waits_is_counted_again_after_a_restart() {
    let alice = Person::new("alice");
    let store = MemoryStore::new();
    let scene = Scene::over(store.clone(), bounded(2)).await;
    scene.create(&alice).await;
    assert_eq!(scene.send(&alice, "M1").await, Code::Ok);
    scene.backend.stop().await;
    let scene = Scene::over(store, bounded(2)).await;
    assert_eq!(scene.counted(), 1);
    assert_eq!(scene.send(&alice, "M2").await, Code::Ok);
    assert_eq!(scene.send(&alice, "M3").await, Code::QueueFull);
    assert_eq!(scene.queued_in_store().await, 2);
}

#[actix::test]
async fn bounds_hold_where_nobody_knows_which_commits_landed() {
    for seed in 1..=6 {
        let people = people(4);
        let scene = Scene::over(MemoryStore::new(), bounded(25)).await;
        for person in &people {
            scene.create(person).await;
        }
        scene.store.set_faults(Faults {
            seed,
            conflict: 200,
            unknown_applied: 100,
            unknown_lost: 100,
            may_still_land: 200,
            land_after_max: 3,
            ..Faults::default()
        });
        let scene = &scene;
        let sending = people.iter().map(|person| async move {
            for number in 0..10 {
                scene.send(person, &format!("M{number}")).await;
            }
        });
        join_all(sending).await;
        scene.store.set_faults(Faults::default());
        // Whoever is in doubt finds out with the next claim.
        for person in &people {
            scene.send(person, "M0").await;
        }
        let waiting = scene.queued_in_store().await;
        assert_eq!(waiting, 25, "seed {seed}");
        assert_eq!(scene.counted(), waiting, "seed {seed}");
    }
}

#[actix::test]
async fn a_commit_that_never_landed_takes_no_room() {
    let alice = Person::new("alice");
    let scene = Scene::over(MemoryStore::new(), bounded(1)).await;
    scene.create(&alice).await;
    // The commit may still land, and the barrier that would tell is refused as often as it is tried.
    scene.store.inject(Fault::NeverLands);
    for _ in 0..5 {
        scene.store.inject(Fault::Conflict);
    }
    let recipient = vec![format!("dave@{ELSEWHERE}")];
    let request = alice.post(scene.now(), &recipient, vec![sealed("M1", 100)]);
    let outcome = scene.perform(request).await;
    assert_eq!(code_of(&outcome), Code::Overload);
    assert_eq!(scene.counted(), 1, "it counts while nobody knows");
    assert_eq!(scene.send(&alice, "M2").await, Code::Ok);
    assert_eq!((scene.queued_in_store().await, scene.counted()), (1, 1));
    assert_eq!(scene.send(&alice, "M3").await, Code::QueueFull);
}

fn complaint(subject: &str) -> NewIncident {
    NewIncident {
        subject: subject.to_owned(),
        what: "unwanted advertisements".to_owned(),
        reporter: "carol@third.example".to_owned(),
        message: None,
    }
}

// S-4.4-b
#[actix::test]
async fn what_operators_file_suspends_an_account_until_it_is_forgiven_or_over() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut config = serving();
    config.policy.conduct.throttled_from = 1;
    config.policy.conduct.restricted_from = 2;
    config.policy.conduct.suspended_from = 3;
    let scene = Scene::over(MemoryStore::new(), config).await;
    scene.create(&alice).await;
    scene.create(&bob).await;
    let desk: &dyn ConductDesk = &scene.backend;
    let levels = [
        ConductLevel::Throttled,
        ConductLevel::Restricted,
        ConductLevel::Suspended,
    ];
    for level in levels {
        let view = desk.file(&complaint("Alice@example.com")).await.unwrap();
        assert_eq!(
            (view.level, view.subject.as_str()),
            (level, "alice@example.com")
        );
    }
    assert_eq!(scene.send(&alice, "M1").await, Code::Refused);
    assert_eq!(scene.send(&bob, "M1").await, Code::Ok);
    let worst = desk.conspicuous(10).await.unwrap();
    assert_eq!(worst.len(), 1);
    assert_eq!(
        (worst[0].incidents, worst[0].level),
        (3, ConductLevel::Suspended)
    );
    let about = desk.incidents(Some("alice@example.com"), 2).await.unwrap();
    assert_eq!(about.len(), 2);
    assert_eq!(about[0].reporter, "carol@third.example");
    // Forgiven: the record stays, the score is gone.
    let view = desk.forgive("alice@example.com").await.unwrap();
    assert_eq!((view.level, view.incidents), (ConductLevel::Normal, 3));
    assert_eq!(scene.send(&alice, "M2").await, Code::Ok);
    for _ in levels {
        desk.file(&complaint("alice@example.com")).await.unwrap();
    }
    scene.clock.advance(MESSAGE_ID_REMEMBERED);
    let view = desk.conduct("alice@example.com").await.unwrap();
    assert_eq!(
        view.level,
        ConductLevel::Normal,
        "time heals: {}",
        view.score
    );
    scene.clock.advance(INCIDENTS_KEPT);
    while conduct::forget_old(&scene.backend.inner.shared)
        .await
        .unwrap()
        > 0
    {}
    assert_eq!(
        desk.conduct("alice@example.com").await.unwrap().incidents,
        0
    );
}

// S-4.4-c
#[actix::test]
async fn a_service_is_judged_as_an_account_is() {
    let scene = Scene::over(MemoryStore::new(), serving()).await;
    let desk: &dyn ConductDesk = &scene.backend;
    let policy = scene.backend.inner.shared.config.policy.conduct;
    let level = || conduct::of_service(&scene.backend.inner.shared, "spam.example", &policy);
    assert_eq!(level().await.unwrap(), Level::Normal);
    for _ in 0..policy.suspended_from {
        desk.file(&complaint("Spam.Example")).await.unwrap();
    }
    assert_eq!(level().await.unwrap(), Level::Suspended);
    desk.forgive("spam.example").await.unwrap();
    assert_eq!(level().await.unwrap(), Level::Normal);
    for (subject, why) in [
        ("dave@elsewhere.example", "lives elsewhere"),
        ("example.com", "is served here"),
        ("no domain at all", "is no domain"),
    ] {
        let error = desk.file(&complaint(subject)).await.unwrap_err();
        assert!(matches!(error, DeskError::Refused { .. }));
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[actix::test]
async fn who_is_alone_with_the_store_writes_nothing_of_limits() {
    let alice = Person::new("alice");
    let scene = Scene::over(MemoryStore::new(), bounded(5)).await;
    scene.create(&alice).await;
    assert_eq!(scene.send(&alice, "M1").await, Code::Ok);
    let tx = scene.store.begin(TxOptions::default());
    for range in [keys::holders(), keys::ledgers(), keys::all_wanted()] {
        let page = tx
            .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await;
        assert!(page.unwrap().rows.is_empty());
    }
}
