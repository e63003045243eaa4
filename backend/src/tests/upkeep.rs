//! What expires is forgotten, what is deleted is purged, in bounded pieces and across restarts
//! (architecture A-15, service §4.7).

use mesh_common::limits::{
    COMMITS_LEFT_BY_BACKGROUND, COMMITS_MAX, DELETED_DATA_KEPT, DELETED_NAME_RESERVED, REPLAY_TIME,
};

use super::gated::{GatedStore, Script};
use super::*;
use crate::store::{KeyRange, Limit, Order, Read, Tx as _, TxOptions};

/// How many rows the accounts have, and how many are due some day.
async fn rows<S: Store>(store: &S) -> (usize, usize) {
    let count = async |table: u8| {
        let (mut found, mut next) = (0, Some(KeyRange::prefix(&[table])));
        let tx = store.begin(TxOptions::default());
        while let Some(range) = next {
            let page = tx
                .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
                .await
                .unwrap();
            found += page.rows.len();
            next = page.rest(&range, Order::Forward);
        }
        found
    };
    (count(0x20).await, count(0x23).await)
}

#[actix::test]
async fn replay_rows_are_forgotten_once_they_expire() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let kept = rows(&scene.store).await;
    assert_eq!(kept.1, 2, "one for each committed request");
    scene.clock.advance(REPLAY_TIME - Duration::from_millis(1));
    assert_eq!(scene.backend.tend().await, 0);
    scene.clock.advance(Duration::from_millis(1));
    assert_eq!(scene.backend.tend().await, 2);
    assert_eq!(rows(&scene.store).await, (kept.0 - 2, 0));
    let (code, _) = scene.ask(alice.upload(scene.now(), 1, &[b"on"])).await;
    assert_eq!(code, Code::Ok);
}

#[actix::test]
async fn what_is_due_is_put_off_while_commits_for_requests_take_the_room() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    scene.clock.advance(REPLAY_TIME);
    let commits = &scene.backend.inner.shared.commits;
    let mut taken = Vec::new();
    for _ in 0..COMMITS_MAX - COMMITS_LEFT_BY_BACKGROUND {
        taken.push(commits.place().await);
    }
    let due = rows(&scene.store).await.1;
    assert_eq!(
        scene.backend.tend().await,
        0,
        "as many as that leave no room"
    );
    assert_eq!(rows(&scene.store).await.1, due);
    let (code, _) = scene.ask(alice.upload(scene.now(), 1, &[b"on"])).await;
    assert_eq!(code, Code::Ok, "requests go on");
    taken.pop();
    assert_eq!(scene.backend.tend().await, due, "one less does");
}

#[actix::test]
async fn more_than_one_round_of_rows_is_forgotten() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    for index in 1..=400_u64 {
        let payload = index.to_be_bytes();
        let (code, _) = scene
            .ask(alice.upload(scene.now(), index, &[&payload]))
            .await;
        assert_eq!(code, Code::Ok);
    }
    scene.clock.advance(REPLAY_TIME);
    assert_eq!(scene.backend.tend().await, 402);
    assert_eq!(rows(&scene.store).await.1, 0);
    assert_eq!(scene.payloads(&alice).await.len(), 401);
}

#[actix::test]
async fn a_deleted_account_is_purged_and_its_address_released() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    let bob = Person::new("bob");
    scene.settle(&alice).await;
    scene.settle(&bob).await;
    for index in 1..=300_u64 {
        let payload = vec![1; usize::try_from(index).unwrap() * 300];
        let (code, _) = scene
            .ask(alice.upload(scene.now(), index, &[&payload]))
            .await;
        assert_eq!(code, Code::Ok);
    }
    let deletion = alice.delete(scene.now());
    assert_eq!(scene.ask(deletion).await.0, Code::Ok);
    // Decision Q-15
    assert_ne!(scene.ask(alice.status(scene.now())).await.0, Code::Ok);
    assert_eq!(
        scene
            .backend
            .signing_keys(&alice.address, scene.now() + Duration::from_secs(9))
            .await,
        Ok(None)
    );
    let deleted_at = scene.now();

    scene
        .clock
        .advance(DELETED_DATA_KEPT - Duration::from_millis(1));
    scene.backend.tend().await;
    assert!(
        rows(&scene.store).await.0 > 600,
        "the operator may still restore it"
    );
    scene.restart().await;
    scene.clock.advance(Duration::from_millis(1));
    scene.backend.tend().await;
    let frames_of_bob = 4;
    assert!(
        rows(&scene.store).await.0 < 40 + frames_of_bob,
        "{:?}",
        rows(&scene.store).await
    );
    assert_eq!(
        scene.payloads(&bob).await.len(),
        1,
        "the neighbour is untouched"
    );

    let mut rival = Person::new("alice");
    rival.key = Udf::present(b"rival", 140);
    let claim = |now| {
        let mut claim = rival.create(now);
        if let Evidence::Create(evidence) = &mut claim.evidence {
            evidence.keys.mesh_udf = Udf::present(b"another mesh", 140);
        }
        claim
    };
    assert_eq!(
        scene.ask(claim(scene.now())).await.0,
        Code::AccountRegistered
    );
    let left = DELETED_NAME_RESERVED - scene.now().since(deleted_at);
    scene.clock.advance(left);
    assert_eq!(scene.backend.tend().await, 1);
    assert_eq!(rows(&scene.store).await.1, 0);
    assert_eq!(scene.ask(claim(scene.now())).await.0, Code::Ok);
}

#[actix::test]
async fn an_address_taken_again_is_not_released_from_its_new_owner() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    assert_eq!(scene.ask(alice.delete(scene.now())).await.0, Code::Ok);
    scene.clock.advance(REPLAY_TIME);
    scene.settle(&alice).await;
    let (code, _) = scene
        .ask(alice.upload(scene.now(), 1, &[b"second life"]))
        .await;
    assert_eq!(code, Code::Ok);
    scene.clock.advance(DELETED_NAME_RESERVED);
    assert!(scene.backend.tend().await > 0);
    assert_eq!(scene.payloads(&alice).await[1], b"second life");
}

#[actix::test]
async fn a_purge_that_is_interrupted_goes_on_after_a_restart() {
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
    scene.clock.advance(DELETED_DATA_KEPT);
    let before = rows(&scene.store).await.0;
    scene.store.close();
    let backend = scene.backend.clone();
    let home = PartitionId::of(&alice.address);
    let tending = actix::spawn(async move { backend.tend_one(home).await });
    scene.store.arrived().await;
    scene.store.pass();
    scene.store.arrived().await;
    let between = rows(&scene.store).await.0;
    assert!(
        0 < between && between < before,
        "{between} of {before} rows"
    );
    // The second page is on its way and meets a store that takes no writes any more.
    scene.store.script(Script::ReadOnly);
    scene.store.open();
    assert!(!tending.await.unwrap().more);
    scene.restart().await;
    assert_eq!(rows(&scene.store).await.0, between);
    scene.backend.tend().await;
    assert_eq!(rows(&scene.store).await.0, 0);
}
