//! What domains use is what their accounts do, whatever happens to these and to their owners (cluster §9).

use mesh_common::account::DomainUsage;
use mesh_common::limits::DELETED_DATA_KEPT;

use super::gated::{GatedStore, Script};
use super::*;
use crate::desk::DomainDesk as _;
use crate::store::{Tx as _, TxOptions, keys};
use crate::usage::recount::{CountPlace, Counted, Drift, recount};
use crate::usage::report::{each_domain, usage_of};
use crate::usage::rows::UsageRow;

const DOMAIN: &str = "example.com";

/// What a pass over all partitions finds.
pub(super) async fn compare<S: Store>(store: &S, mend: bool) -> Counted {
    let mut place = CountPlace {
        mend,
        ..CountPlace::default()
    };
    let mut total = Counted::default();
    loop {
        let step = recount(store, &place, TxOptions::default()).await.unwrap();
        total.accounts += step.accounts;
        total.drifted.extend(step.drifted);
        total.unsettled += step.unsettled;
        let Some(next) = step.next else { return total };
        place.partition = next;
    }
}

/// What the domain is said to use; it is what a count of all accounts comes to.
pub(super) async fn used<S: Store>(store: &S, now: Timestamp) -> DomainUsage {
    let counted = compare(store, false).await;
    assert_eq!((counted.drifted, counted.unsettled), (Vec::new(), 0));
    usage_of(store, DOMAIN, now).await.unwrap()
}

/// Writes a row past everybody, as a fault would.
async fn falsify<S: Store>(store: &S, person: &Person, change: impl FnOnce(&mut DomainUsage)) {
    let key = keys::usage(DOMAIN, PartitionId::of(&person.address));
    let mut tx = store.begin(TxOptions::default());
    let found = tx.get(&key, crate::store::Read::Snapshot).await.unwrap();
    let mut row = UsageRow::of(found.as_deref()).unwrap();
    change(&mut row.used);
    tx.set(&key, row.encode());
    tx.commit().await.unwrap();
}

#[actix::test]
async fn what_a_domain_uses_follows_every_account_until_it_is_purged() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    assert_eq!(used(&scene.store, scene.now()).await.accounts, 0);
    scene.settle(&alice).await;
    let one = used(&scene.store, scene.now()).await;
    assert!(one.accounts == 1 && one.octets > 0, "{one:?}");
    for bob in Person::neighbours(3) {
        scene.settle(&bob).await;
    }
    let four = used(&scene.store, scene.now()).await;
    assert_eq!((four.accounts, four.octets), (4, 4 * one.octets));

    let payload = [7; 70_000];
    let (code, _) = scene.ask(alice.upload(scene.now(), 1, &[&payload])).await;
    assert_eq!(code, Code::Ok);
    let more = used(&scene.store, scene.now()).await;
    assert!(more.octets >= four.octets + 70_000, "{more:?}");
    // A request that is refused changes nothing.
    let (code, _) = scene.ask(alice.upload(scene.now(), 9, &[b"no"])).await;
    assert_eq!(code, Code::Conflict);
    assert_eq!(used(&scene.store, scene.now()).await, more);

    assert_eq!(scene.ask(alice.delete(scene.now())).await.0, Code::Ok);
    let deleted = used(&scene.store, scene.now()).await;
    assert_eq!((deleted.accounts, deleted.octets), (3, more.octets));
    // Another life at the same address counts beside what is left of the first.
    scene.clock.advance(Duration::from_secs(3_600));
    scene.settle(&alice).await;
    let again = used(&scene.store, scene.now()).await;
    assert_eq!(
        (again.accounts, again.octets),
        (4, more.octets + one.octets)
    );
    scene.clock.advance(DELETED_DATA_KEPT);
    scene.restart().await;
    scene.backend.tend().await;
    let purged = used(&scene.store, scene.now()).await;
    assert_eq!((purged.accounts, purged.octets), (4, four.octets));
}

#[actix::test]
async fn the_octets_of_an_account_count_until_its_record_goes_however_often_its_purge_is_interrupted()
 {
    let mut scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    for index in 1..=40_u64 {
        let payload = vec![u8::try_from(index).unwrap(); 200_000];
        let (code, _) = scene
            .ask(alice.upload(scene.now(), index, &[&payload]))
            .await;
        assert_eq!(code, Code::Ok);
    }
    assert_eq!(scene.ask(alice.delete(scene.now())).await.0, Code::Ok);
    let before = used(&scene.store, scene.now()).await;
    scene.clock.advance(DELETED_DATA_KEPT);
    scene.store.close();
    let (backend, home) = (scene.backend.clone(), PartitionId::of(&alice.address));
    let tending = actix::spawn(async move { backend.tend_one(home).await });
    scene.store.arrived().await;
    scene.store.pass();
    scene.store.arrived().await;
    scene.store.script(Script::ReadOnly);
    scene.store.open();
    assert!(!tending.await.unwrap().more);
    let between = used(&scene.store, scene.now()).await;
    assert_eq!(between.octets, before.octets, "its record is there still");
    scene.restart().await;
    scene.backend.tend().await;
    assert_eq!(used(&scene.store, scene.now()).await.octets, 0);
}

#[actix::test]
async fn what_is_said_wrongly_is_found_and_set_right_while_the_service_runs() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let right = used(&scene.store, scene.now()).await;
    falsify(&scene.store, &alice, |used| {
        used.octets += 5;
        used.accounts = 9;
        used.messages = 3;
    })
    .await;
    let drift = Drift {
        domain: DOMAIN.to_owned(),
        partition: PartitionId::of(&alice.address).0,
        octets_said: right.octets + 5,
        octets: right.octets,
        accounts_said: 9,
        accounts: 1,
        is_mended: false,
    };
    let found = compare(&scene.store, false).await.drifted;
    assert_eq!(found, std::slice::from_ref(&drift));
    let mended = Drift {
        is_mended: true,
        ..drift
    };
    assert_eq!(compare(&scene.store, true).await.drifted, [mended]);
    let after = used(&scene.store, scene.now()).await;
    assert_eq!((after.octets, after.accounts), (right.octets, 1));
    // Its owner knew the row as it was: it is told that, and goes on from what is right.
    let known = scene
        .perform(alice.upload(scene.now(), 1, &[b"more"]))
        .await;
    assert!(matches!(known, Err(CallFailure::Away(_))), "{known:?}");
    let (code, _) = scene.ask(alice.upload(scene.now(), 1, &[b"more"])).await;
    assert_eq!(code, Code::Ok);
    let after = used(&scene.store, scene.now()).await;
    assert!(
        after.octets > right.octets && after.accounts == 1,
        "{after:?}"
    );
}

#[actix::test]
async fn a_row_of_a_domain_without_accounts_is_wrong_as_well() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    falsify(&scene.store, &alice, |used| used.octets = 1).await;
    assert_eq!(compare(&scene.store, true).await.drifted.len(), 1);
    assert_eq!(used(&scene.store, scene.now()).await.octets, 0);
}

#[actix::test]
async fn operators_and_measures_are_shown_the_sums() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    scene.settle(&Person::new("bob")).await;
    let used = used(&scene.store, scene.now()).await;
    let view = scene.backend.domain("EXAMPLE.com").await.unwrap();
    assert_eq!((view.accounts, view.octets), (2, used.octets));
    let all = scene.backend.domains(9).await.unwrap();
    assert_eq!((all.domains, all.total), (vec![view], 1));
    assert!(scene.backend.domain("nowhere.example").await.is_err());
    assert!(scene.backend.domain("no domain").await.is_err());

    let bytes = &scene.backend.metrics().usage.bytes;
    let shown = || bytes.with_label_values(&[DOMAIN]).get();
    scene.backend.refresh_measures().await;
    assert_eq!(shown(), i64::try_from(used.octets).unwrap());
    let (code, _) = scene.ask(alice.upload(scene.now(), 1, &[b"more"])).await;
    assert_eq!(code, Code::Ok);
    scene.backend.refresh_measures().await;
    assert_eq!(
        shown(),
        i64::try_from(used.octets).unwrap(),
        "a while later"
    );
    scene.clock.advance(Duration::from_secs(30));
    scene.backend.refresh_measures().await;
    assert!(shown() > i64::try_from(used.octets).unwrap());
}

#[actix::test]
async fn sums_are_told_apart_by_domain() {
    let store = MemoryStore::new();
    let mut tx = store.begin(TxOptions::default());
    for (domain, octets) in [
        ("a.example", 1_u64),
        ("a.example.net", 10),
        ("b.example", 100),
    ] {
        for partition in [0, 1, 1_023] {
            let used = DomainUsage {
                octets,
                accounts: 1,
                day: 3,
                messages: 2,
            };
            let row = UsageRow::default().next(used);
            tx.set(&keys::usage(domain, PartitionId(partition)), row.encode());
        }
    }
    tx.commit().await.unwrap();
    let third_day = Timestamp::from_secs(3 * 86_400);
    let mut seen = Vec::new();
    let look = |domain: &str, used: DomainUsage| {
        seen.push((domain.to_owned(), used.octets, used.accounts, used.messages));
    };
    each_domain(&store, third_day, look).await.unwrap();
    let expected = [("a.example", 3), ("a.example.net", 30), ("b.example", 300)];
    let expected = expected.map(|(domain, octets)| (domain.to_owned(), octets, 3, 6));
    assert_eq!(seen, expected);
    let fourth_day = Timestamp::from_secs(4 * 86_400);
    let later = usage_of(&store, "a.example.net", fourth_day).await.unwrap();
    assert_eq!((later.octets, later.messages), (30, 0));
}

/// Settings by which a domain has so many accounts at most.
pub(super) fn at_most(accounts: u64) -> BackendConfig {
    let mut config = BackendConfig::default();
    config.policy.domain.accounts_max = Some(accounts);
    config
}

/// What each of `people` is answered who ask for an account at the same moment.
async fn at_once<S: Store>(scene: &Scene<S>, people: &[Person]) -> Vec<Code> {
    let asked = people
        .iter()
        .map(async |one| scene.ask(one.create(scene.now())).await.0);
    futures_util::future::join_all(asked).await
}

//
#[actix::test]
async fn a_domain_has_as_many_accounts_as_it_may_have_and_not_one_more() {
    let scene = Scene::over(MemoryStore::new(), at_most(2)).await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(Person::new);
    scene.create(&alice).await;
    scene.create(&bob).await;
    let refused = scene.ask(carol.create(scene.now())).await.0;
    assert_eq!(refused, Code::Refused);
    // Who is there stays, and is told so again.
    scene.create(&alice).await;
    let (code, _) = scene.ask(bob.upload(scene.now(), 0, &[])).await;
    assert_eq!(code, Code::Ok);
    assert_eq!(
        scene.backend.domain(DOMAIN).await.unwrap().accounts_max,
        Some(2)
    );
    // One that is deleted makes room at once, for one.
    assert_eq!(scene.ask(bob.delete(scene.now())).await.0, Code::Ok);
    scene.create(&carol).await;
    let refused = scene.ask(Person::new("dave").create(scene.now())).await.0;
    assert_eq!(refused, Code::Refused);
    assert_eq!(used(&scene.store, scene.now()).await.accounts, 2);
}

//
#[actix::test]
async fn of_those_who_ask_at_once_as_many_get_an_account_as_there_may_be() {
    let scene = Scene::over(MemoryStore::new(), at_most(5)).await;
    let neighbours = Person::neighbours(4);
    let outcomes = at_once(&scene, &neighbours[..3]).await;
    assert_eq!(outcomes, [Code::Ok; 3], "in one partition");
    let people: Vec<Person> = (0..9).map(|one| Person::new(&format!("q{one}"))).collect();
    let outcomes = at_once(&scene, &people).await;
    let count = |code| outcomes.iter().filter(|one| **one == code).count();
    assert_eq!(
        (count(Code::Ok), count(Code::Refused)),
        (2, 7),
        "{outcomes:?}"
    );
    assert_eq!(used(&scene.store, scene.now()).await.accounts, 5);
    assert_eq!(at_once(&scene, &neighbours[3..]).await, [Code::Refused]);
}

#[actix::test]
async fn a_domain_that_has_more_accounts_than_it_may_loses_none_and_gets_none() {
    let mut scene = Scene::new().await;
    let people = ["alice", "bob", "carol"].map(Person::new);
    for person in &people {
        scene.settle(person).await;
    }
    scene.backend.stop().await;
    scene.backend = start(&scene.store, at_most(1), &scene.clock).await;
    let dave = Person::new("dave");
    for person in &people {
        assert_eq!(scene.ask(dave.create(scene.now())).await.0, Code::Refused);
        let (code, _) = scene.ask(person.upload(scene.now(), 1, &[b"on"])).await;
        assert_eq!(code, Code::Ok);
        assert_eq!(scene.ask(person.delete(scene.now())).await.0, Code::Ok);
    }
    scene.create(&dave).await;
}
