//! A panic stays where it happens: in one operation, or in one partition, which is then started anew
//! from the store (architecture §5, rule 4).

use super::gated::{GatedStore, Script};
use super::*;
use crate::operator::NotReady;

#[actix::test]
async fn a_panic_while_deciding_hurts_one_operation_only() {
    let (scene, people) = (Scene::new().await, Person::neighbours(2));
    for person in &people {
        scene.settle(person).await;
    }
    let poisoned = people[0].upload(scene.now(), 1, &[b"poisoned"]);
    scene.backend.poison(poisoned.request_id);
    assert_eq!(code_of(&scene.perform(poisoned).await), Code::Internal);
    for person in &people {
        let (code, _) = scene.ask(person.upload(scene.now(), 1, &[b"fine"])).await;
        assert_eq!(code, Code::Ok);
        assert_eq!(scene.payloads(person).await.len(), 2);
    }
    let panics = &scene.backend.metrics().panics;
    assert_eq!(panics.with_label_values(&["operation"]).get(), 1);
    assert_eq!(panics.with_label_values(&["partition"]).get(), 0);
}

#[actix::test]
async fn a_panic_below_a_partition_hurts_no_other_and_loses_nothing() {
    let scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    assert_ne!(
        PartitionId::of(&alice.address),
        PartitionId::of(&bob.address)
    );
    scene.settle(&alice).await;
    scene.settle(&bob).await;
    let (code, _) = scene.ask(alice.upload(scene.now(), 1, &[b"kept"])).await;
    assert_eq!(code, Code::Ok);

    scene.store.script(Script::Panic);
    let hurt = alice.upload(scene.now(), 2, &[b"hurt"]);
    assert_eq!(code_of(&scene.perform(hurt.clone()).await), Code::Overload);
    let (code, _) = scene.ask(bob.upload(scene.now(), 1, &[b"unhurt"])).await;
    assert_eq!(code, Code::Ok);
    assert_eq!(code_of(&scene.perform(hurt).await), Code::Ok);
    let payloads = scene.payloads(&alice).await;
    assert_eq!(payloads[1..], [b"kept".to_vec(), b"hurt".to_vec()]);
    let panics = &scene.backend.metrics().panics;
    assert_eq!(panics.with_label_values(&["partition"]).get(), 1);
}

#[actix::test]
async fn a_store_that_takes_no_writes_is_not_ready_until_it_does() {
    let scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    assert_eq!(scene.backend.ready().await, Ok(()));
    scene.store.script(Script::ReadOnly);
    let refused = scene.perform(alice.upload(scene.now(), 1, &[b"x"])).await;
    assert_eq!(code_of(&refused), Code::Overload);
    assert_eq!(scene.bookmarks(&alice).await.0, 1, "reads go on");
    scene.store.script(Script::ReadOnly);
    assert!(matches!(
        scene.backend.ready().await,
        Err(NotReady::Store { .. })
    ));
    assert_eq!(scene.backend.metrics().store_up.get(), 0);
    assert_eq!(scene.backend.ready().await, Ok(()));
    assert_eq!(scene.backend.metrics().store_up.get(), 1);
}

#[actix::test]
async fn a_store_that_has_stopped_writing_is_still_read() {
    let scene = Scene::over(GatedStore::new(), BackendConfig::default()).await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    let upload = alice.upload(scene.now(), 1, &[b"x"]);
    scene.store.script(Script::Fatal);
    assert_eq!(
        code_of(&scene.perform(upload.clone()).await),
        Code::Overload
    );
    // The partition is not owned any more, and cannot be claimed.
    for _ in 0..3 {
        scene.store.script(Script::Fatal);
        assert_eq!(scene.bookmarks(&alice).await.0, 1, "reads go on");
    }
    scene.store.script(Script::Fatal);
    assert_eq!(
        code_of(&scene.perform(upload.clone()).await),
        Code::Overload
    );
    assert_eq!(scene.backend.metrics().accounts_loaded.get(), 0);
    assert_eq!(code_of(&scene.perform(upload).await), Code::Ok);
    assert_eq!(scene.bookmarks(&alice).await.0, 2);
}

#[actix::test]
async fn an_owner_that_was_replaced_writes_nothing_and_starts_over() {
    replaced(BackendConfig::default()).await;
}

#[actix::test]
async fn the_version_chain_keeps_a_replaced_owner_out_as_the_read_does() {
    replaced(BackendConfig {
        version_chain: true,
        ..BackendConfig::default()
    })
    .await;
}

async fn replaced(config: BackendConfig) {
    let store = MemoryStore::new();
    let former = Scene::over(store.clone(), config).await;
    let alice = Person::new("alice");
    former.settle(&alice).await;
    let present = Scene::over(store, BackendConfig::default()).await;
    let (code, _) = present
        .ask(alice.upload(present.now(), 1, &[b"present"]))
        .await;
    assert_eq!(code, Code::Ok);

    let late = former
        .perform(alice.upload(former.now(), 1, &[b"late"]))
        .await;
    assert_eq!(code_of(&late), Code::Overload);
    assert_eq!(former.backend.metrics().fence_rejections.get(), 1);
    // It claims the partition anew and then knows what is there.
    let again = former
        .perform(alice.upload(former.now(), 1, &[b"late"]))
        .await;
    assert_eq!(code_of(&again), Code::Conflict);
    assert_eq!(former.payloads(&alice).await[1], b"present");
}

#[actix::test]
async fn accounts_beyond_the_bound_leave_and_come_back() {
    let config = BackendConfig {
        partition_accounts_max: 2,
        ..BackendConfig::default()
    };
    let (scene, people) = (
        Scene::over(MemoryStore::new(), config).await,
        Person::neighbours(5),
    );
    for person in &people {
        scene.settle(person).await;
    }
    let loaded = &scene.backend.metrics().accounts_loaded;
    assert_eq!(loaded.get(), 2);
    for person in &people {
        let (code, _) = scene.ask(person.upload(scene.now(), 1, &[b"again"])).await;
        assert_eq!(code, Code::Ok);
    }
    assert_eq!(loaded.get(), 2);
    scene.clock.advance(BackendConfig::default().account_idle());
    scene.clock.advance(Duration::from_secs(900));
    assert!(scene.backend.tend().await > 0);
    assert_eq!(loaded.get(), 0, "idle accounts retire");
    assert_eq!(scene.payloads(&people[0]).await.len(), 2);
}
