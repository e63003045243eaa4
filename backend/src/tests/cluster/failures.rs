//! Nodes die, sleep and break: writes go on within the bound, reads and messages of other services all
//! the time, and nobody writes who should not (cluster §18, rows 1 to 3, 6, 7 and 14).

use super::*;
use crate::store::{Fault, Faults};
use crate::tests::gated::Script;
use crate::tests::intake::forwarded;

#[actix::test]
async fn writes_to_a_dead_node_resume_within_the_bound_and_reads_never_stop() {
    let mut city = City::of(2).await;
    let (alice, bob) = (city.somebody_at(1).await, Person::new("bob"));
    assert!(city.upload(1, &alice, 1, b"before").await.is_ok());
    city.kill(1);
    let (mut waited, mut messages) = (Duration::ZERO, 0);
    while let Err(failure) = city.upload(2, &alice, 2, b"after").await {
        assert!(matches!(failure, CallFailure::Moved(_)), "{failure:?}");
        assert!(waited < bound(), "writes resume within {:?}", bound());
        let scene = city.scene(2);
        assert_eq!(scene.bookmarks(&alice).await.0, 2, "reads go on");
        messages += 1;
        let left = scene.receive(forwarded(&bob, &alice, messages), 1).await;
        assert_eq!(left, Code::Accepted, "messages are taken in");
        city.pass(STEP * 4).await;
        waited += STEP * 4;
    }
    assert!(
        waited > Duration::from_secs(4),
        "a living node is not robbed"
    );
    assert_eq!(city.shares()[&2], usize::from(SHARED));
    city.scene(2).drain().await;
    let received = city.scene(2).inbound(&alice).await;
    assert_eq!(received.len(), usize::try_from(messages).unwrap());
    assert_eq!(city.scene(2).payloads(&alice).await[2], b"after");
    let takeovers = &city.scene(2).backend.metrics().cluster.takeovers;
    assert!(takeovers.with_label_values(&["silent"]).get() > 0);
}

#[actix::test]
async fn a_node_that_slept_believes_nothing_and_sends_everybody_on() {
    let mut city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    assert!(city.upload(1, &alice, 1, b"mine").await.is_ok());
    let keys = city.scene(1).backend.clone();
    let deadline = city.scene(1).now() + Duration::from_secs(600);
    assert!(
        keys.signing_keys(&alice.address, deadline)
            .await
            .unwrap()
            .is_some()
    );
    city.nodes.get_mut(&1).unwrap().is_asleep = true;
    city.pass(Duration::from_secs(30)).await;
    assert!(city.upload(2, &alice, 2, b"theirs").await.is_ok());

    // It wakes, and is asked before its loop has had a turn.
    let slept = city.scene(1);
    assert!(
        slept.backend.inner.shared.owns(home(&alice)),
        "as it thinks"
    );
    assert!(slept.backend.ready().await.is_err());
    assert_eq!(slept.bookmarks(&alice).await.0, 3, "it reads what is there");
    let batches = slept.batches();
    let backend = slept.backend.clone();
    let upload = alice.upload(slept.now(), 2, &[b"stale"]);
    let parked = actix::spawn(async move { backend.perform(Verified::declare(upload)).await });
    slept.backend.commands_taken_in(home(&alice)).await;
    assert!(!parked.is_finished());
    city.nodes.get_mut(&1).unwrap().is_asleep = false;
    city.pass(Duration::from_secs(1)).await;
    let moved = parked.await.unwrap();
    assert_eq!(named(&moved), city.scene(2).backend.node());
    assert_eq!(
        city.scene(1).batches(),
        batches,
        "not one stale write was tried"
    );
    assert_eq!(city.scene(2).payloads(&alice).await[2], b"theirs");
    assert!(
        city.scene(1)
            .backend
            .inner
            .shared
            .shown(home(&alice))
            .is_empty()
    );
    city.shares();
}

#[actix::test]
async fn a_node_whose_clock_stood_still_is_stopped_by_the_fence() {
    let mut city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    assert!(city.upload(1, &alice, 1, b"mine").await.is_ok());
    // The whole machine stood still: its own watch says that nothing happened.
    let frozen = city.nodes.remove(&1).unwrap();
    city.pass(Duration::from_secs(30)).await;
    assert!(city.upload(2, &alice, 2, b"theirs").await.is_ok());
    city.nodes.insert(1, frozen);
    assert!(
        city.scene(1).backend.inner.shared.serves(home(&alice)),
        "as it thinks"
    );
    let stale = city.upload(1, &alice, 2, b"stale").await;
    assert!(matches!(stale, Err(CallFailure::Moved(_))), "{stale:?}");
    let metrics = city.scene(1).backend.metrics();
    assert_eq!(metrics.fence_rejections.get(), 1);
    // From this moment on it knows, before its loop has had a turn.
    let shared = &city.scene(1).backend.inner.shared;
    assert!(!shared.owns(home(&alice)));
    assert_eq!(city.scene(1).payloads(&alice).await[2], b"theirs");
    city.pass(Duration::from_secs(20)).await;
    city.shares();
}

#[actix::test]
async fn a_node_that_cannot_write_its_heartbeat_parks_what_comes_and_goes_on_after() {
    let mut city = City::over(GatedStore::new(), 1).await;
    let alice = city.somebody_at(1).await;
    let scene = city.scene(1);
    for _ in 0..16 {
        scene.store.script(Script::ReadOnly);
    }
    city.pass(Duration::from_secs(6)).await;
    let scene = city.scene(1);
    assert!(scene.backend.ready().await.is_err());
    let (backend, upload) = (scene.backend.clone(), alice.upload(scene.now(), 1, &[b"x"]));
    let parked = actix::spawn(async move { backend.perform(Verified::declare(upload)).await });
    scene.backend.commands_taken_in(home(&alice)).await;
    assert!(!parked.is_finished());
    assert_eq!(scene.bookmarks(&alice).await.0, 1, "reads go on");
    city.pass(Duration::from_secs(15)).await;
    assert_eq!(code_of(&parked.await.unwrap()), Code::Ok);
    assert_eq!(city.scene(1).backend.ready().await, Ok(()));
}

#[actix::test]
async fn an_owner_that_breaks_is_claimed_anew_before_anything_is_written() {
    let mut city = City::over(GatedStore::new(), 1).await;
    let alice = city.somebody_at(1).await;
    let epoch = |city: &City<GatedStore>| {
        let routes = city.scene(1).backend.told().routes;
        routes.owners[&unit(&alice)].fence.epoch
    };
    let before = epoch(&city);
    city.store.script(Script::Panic);
    let broken = city.upload(1, &alice, 1, b"x").await;
    assert_eq!(code_of(&broken), Code::Overload);
    let meanwhile = city.upload(1, &alice, 1, b"x").await;
    assert!(
        matches!(meanwhile, Err(CallFailure::Moved(None))),
        "{meanwhile:?}"
    );
    assert_eq!(city.scene(1).bookmarks(&alice).await.0, 1, "reads go on");
    city.pass(Duration::from_secs(1)).await;
    assert_eq!(epoch(&city), before + 1);
    let again = city.upload(1, &alice, 1, b"x").await;
    assert_eq!(code_of(&again), Code::Ok);
    assert_eq!(city.scene(1).payloads(&alice).await.len(), 2);
}

#[actix::test]
async fn a_commit_of_which_nothing_is_known_lands_before_the_next_claim_or_never() {
    for fault in [Fault::LandsAfter(3), Fault::NeverLands] {
        let mut city = City::of(1).await;
        let alice = city.somebody_at(1).await;
        let upload = alice.upload(city.scene(1).now(), 1, &[b"once"]);
        city.store.inject(fault);
        // The barrier fails as well: nobody can find out.
        (0..5).for_each(|_| city.store.inject(Fault::Conflict));
        let unknown = city.scene(1).perform(upload.clone()).await;
        assert_eq!(code_of(&unknown), Code::Overload, "{fault:?}");
        city.pass(Duration::from_secs(1)).await;
        let (code, _) = city.scene(1).ask(upload).await;
        assert_eq!(code, Code::Ok, "{fault:?}");
        assert_eq!(
            city.scene(1).payloads(&alice).await,
            [b"".to_vec(), b"once".to_vec()]
        );
    }
}

#[actix::test]
async fn whatever_the_store_does_every_acknowledged_write_is_there_once() {
    for seed in 0..3 {
        let mut city = City::of(2).await;
        let mut people = Vec::new();
        for number in 0..6 {
            people.push((city.somebody_at(1 + number % 2).await, 0_u64));
        }
        city.store.set_faults(Faults {
            seed,
            conflict: 50,
            unknown_applied: 60,
            unknown_lost: 60,
            may_still_land: 60,
            land_after_max: 5,
            ..Faults::default()
        });
        for round in 0_u32..40 {
            if round == 20 {
                city.join(3).await;
            }
            if round == 30 {
                city.kill(1);
            }
            city.pass(Duration::from_millis(500)).await;
            for (person, done) in &mut people {
                let next = *done + 1;
                for number in city.nodes.keys() {
                    let payload = next.to_be_bytes();
                    let outcome = city.upload(*number, person, next, &payload).await;
                    // Said to be there already: the reply was lost, the write was not.
                    if matches!(&outcome, Ok(answer) if is_there(answer)) {
                        *done = next;
                        break;
                    }
                }
            }
        }
        city.store.set_faults(Faults::default());
        city.pass(Duration::from_secs(12)).await;
        for (person, done) in &people {
            let payloads = city.scene(2).payloads(person).await;
            let expected = (1..=*done).map(|one| one.to_be_bytes().to_vec());
            let expected: Vec<_> = std::iter::once(Vec::new()).chain(expected).collect();
            assert!(*done > 10, "writes go on: {done}");
            // One more may be there, whose answer nobody got.
            assert_eq!(payloads[..expected.len()], expected[..], "seed {seed}");
            assert!(payloads.len() <= expected.len() + 1);
        }
    }
}

/// Whether the one entry of an Upload stands where it should.
fn is_there(answer: &Answer) -> bool {
    answer.response.outcome().code() == Some(Code::Ok)
}
