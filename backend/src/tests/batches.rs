//! Natural batching: what accumulates while a commit is in flight, in which order it is decided, and
//! when it is answered (cluster §7.1).

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join, join_all};
use mesh_common::limits::{
    ACCOUNT_WAITING_MAX, BUSY_TIME, COMMITS_MAX, PARTITION_MAILBOX_MAX, PARTITION_OVERLOADED_AFTER,
};

use super::gated::{GatedStore, Script};
use super::*;

async fn gated(config: BackendConfig) -> Scene<GatedStore> {
    Scene::over(GatedStore::new(), config).await
}

/// A partition with so many places, and people of it who have an account each.
async fn with_places(places: usize, people: usize) -> (Scene<GatedStore>, Vec<Person>) {
    let config = BackendConfig {
        partition_mailbox_max: places,
        ..BackendConfig::default()
    };
    let (scene, people) = (gated(config).await, Person::neighbours(people));
    for person in &people {
        scene.settle(person).await;
    }
    (scene, people)
}

/// `work`, begun and not done yet.
fn begun<'a, T>(work: impl Future<Output = T> + 'a) -> LocalBoxFuture<'a, T> {
    let mut work = work.boxed_local();
    assert!((&mut work).now_or_never().is_none());
    work
}

/// An upload of `person` whose commit is in flight: the gate is closed, and it stands there.
async fn in_flight<'a>(
    scene: &'a Scene<GatedStore>,
    person: &Person,
) -> LocalBoxFuture<'a, Result<Answer, CallFailure>> {
    scene.store.close();
    let flying = begun(scene.perform(person.upload(scene.now(), 1, &[b"flying"])));
    scene.store.arrived().await;
    flying
}

#[actix::test]
async fn five_hundred_interleaved_uploads_are_batched_and_in_order() {
    let (scene, people) = (Scene::new().await, Person::neighbours(10));
    for person in &people {
        scene.settle(person).await;
    }
    let before = scene.batches();
    let write = async |person: &Person| {
        for index in 1..=50_u64 {
            let payload = format!("{} {index}", person.address);
            let (code, response) = scene
                .ask(person.upload(scene.now(), index, &[payload.as_bytes()]))
                .await;
            assert_eq!(code, Code::Ok);
            assert_eq!(first_result(&response), (EntryResult::Accept, Some(index)));
        }
    };
    join_all(people.iter().map(write)).await;
    let batches = scene.batches() - before;
    assert!(batches < 500, "500 uploads took {batches} batches");
    for person in &people {
        let payloads = scene.payloads(person).await;
        for (index, payload) in payloads.iter().enumerate().skip(1) {
            assert_eq!(*payload, format!("{} {index}", person.address).into_bytes());
        }
        assert_eq!(payloads.len(), 51);
    }
}

#[actix::test]
async fn what_accumulates_behind_a_commit_is_the_next_batch() {
    let (scene, people) = with_places(PARTITION_MAILBOX_MAX, 3).await;
    let before = scene.batches();
    scene.store.close();
    let first = begun(scene.ask(people[0].upload(scene.now(), 1, &[b"first"])));
    scene.store.arrived().await;
    // Ten uploads of each, sent without waiting: their order of arrival is their order of index.
    let rest = join_all((2..=11).flat_map(|index| {
        let scene = &scene;
        people.iter().map(move |person| {
            let base = if person.address == Person::new("n0").address {
                index
            } else {
                index - 1
            };
            let payload = format!("{index}");
            scene.ask(person.upload(scene.now(), base, &[payload.as_bytes()]))
        })
    }));
    let rest = begun(rest);
    scene.commands_taken(&people[0]).await;
    scene.store.pass();
    scene.store.pass();
    let (one, others) = join(first, rest).await;
    assert_eq!(one.0, Code::Ok);
    assert!(
        others.iter().all(|(code, _)| *code == Code::Ok),
        "{others:?}"
    );
    assert_eq!(
        scene.batches() - before,
        2,
        "one, then everything that waited"
    );
    assert_eq!(scene.bookmarks(&people[0]).await.0, 12);
    assert_eq!(scene.bookmarks(&people[1]).await.0, 11);
}

#[actix::test]
async fn a_conflict_does_not_abort_the_write_of_another() {
    let (scene, people) = with_places(PARTITION_MAILBOX_MAX, 3).await;
    scene.store.close();
    let requests = [
        people[0].upload(scene.now(), 1, &[b"in flight"]),
        people[1].upload(scene.now(), 1, &[b"good"]),
        people[2].upload(scene.now(), 9, &[b"conflict"]),
        people[0].upload(scene.now(), 2, &[b"good too"]),
    ];
    let all = begun(join_all(requests.into_iter().map(|one| scene.ask(one))));
    scene.commands_taken(&people[0]).await;
    scene.store.open();
    let codes: Vec<Code> = all.await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [Code::Ok, Code::Ok, Code::Conflict, Code::Ok]);
}

/// Sends an upload that keeps the partition busy, then a winner and a loser for index 2.
async fn winner_and_loser(
    scene: &Scene<GatedStore>,
    alice: &Person,
    script: Option<Script>,
) -> Vec<Code> {
    scene.settle(alice).await;
    scene.store.close();
    let requests = [
        alice.upload(scene.now(), 1, &[b"busy"]),
        alice.upload(scene.now(), 2, &[b"winner"]),
        alice.upload(scene.now(), 2, &[b"loser"]),
    ];
    let [busy, winner, loser] = requests.map(|request| scene.perform(request));
    let busy = begun(busy);
    scene.store.arrived().await;
    let (winner, mut loser) = (begun(winner), begun(loser));
    scene.commands_taken(alice).await; // Commands are taken in order: both wait now.
    scene.store.pass();
    let first = code_of(&busy.await);
    // The second batch is planned and waits at the gate.
    scene.store.arrived().await;
    assert!(
        loser.as_mut().now_or_never().is_none(),
        "the refusal rests on what is not durable"
    );
    if let Some(script) = script {
        scene.store.script(script);
    }
    scene.store.open();
    let (winner, loser) = join(winner, loser).await;
    vec![first, code_of(&winner), code_of(&loser)]
}

#[actix::test]
async fn a_refusal_that_rests_on_a_planned_write_waits_until_that_is_durable() {
    let (scene, alice) = (gated(BackendConfig::default()).await, Person::new("alice"));
    let codes = winner_and_loser(&scene, &alice, None).await;
    assert_eq!(codes, [Code::Ok, Code::Ok, Code::Conflict]);
}

#[actix::test]
async fn a_refusal_that_rests_on_a_write_that_failed_is_not_given() {
    let (scene, alice) = (gated(BackendConfig::default()).await, Person::new("alice"));
    let codes = winner_and_loser(&scene, &alice, Some(Script::ReadOnly)).await;
    assert_eq!(codes, [Code::Ok, Code::Overload, Code::Overload]);
    assert_eq!(scene.bookmarks(&alice).await.0, 2);
}

#[actix::test]
async fn a_full_mailbox_is_an_overload_with_a_time_to_come_back() {
    let (scene, people) = with_places(4, 6).await;
    let flying = in_flight(&scene, &people[0]).await;
    let waiting = people[1..5]
        .iter()
        .map(|one| scene.perform(one.upload(scene.now(), 1, &[b"w"])));
    let waiting = begun(join_all(waiting));
    let refused = scene
        .perform(people[5].upload(scene.now(), 1, &[b"r"]))
        .await;
    let Err(failure @ CallFailure::Busy(_)) = refused else {
        panic!("a full mailbox answered {refused:?}");
    };
    let error = failure.into_refusal().unwrap();
    assert_eq!(error.code, Code::Overload);
    assert!(error.retry_after.is_some());
    scene.store.open();
    assert!(flying.await.is_ok());
    assert!(waiting.await.iter().all(Result::is_ok));
    assert_eq!(scene.bookmarks(&people[5]).await.0, 1);
}

#[actix::test]
async fn a_hot_account_meets_its_bound_before_its_neighbours_do() {
    let (scene, people) = with_places(PARTITION_MAILBOX_MAX, 2).await;
    let (hot, calm) = (&people[0], &people[1]);
    let flying = in_flight(&scene, hot).await;
    const { assert!(ACCOUNT_WAITING_MAX < PARTITION_MAILBOX_MAX) };
    let storm =
        (0..=ACCOUNT_WAITING_MAX).map(|_| scene.perform(hot.upload(scene.now(), 2, &[b"s"])));
    let storm = begun(join_all(storm));
    scene.commands_taken(hot).await;
    let neighbour = begun(scene.perform(calm.upload(scene.now(), 1, &[b"calm"])));
    scene.store.open();
    assert!(flying.await.is_ok());
    let overloads = |outcomes: &[Result<Answer, CallFailure>]| {
        outcomes
            .iter()
            .filter(|one| code_of(one) == Code::Overload)
            .count()
    };
    assert_eq!(overloads(&storm.await), 1);
    assert_eq!(code_of(&neighbour.await), Code::Ok);
}

#[actix::test]
async fn a_batch_that_is_too_large_is_split_until_it_fits() {
    let (scene, people) = with_places(PARTITION_MAILBOX_MAX, 9).await;
    scene.store.close();
    let requests = people
        .iter()
        .map(|one| scene.perform(one.upload(scene.now(), 1, &[b"x"])));
    let all = begun(join_all(requests));
    scene.commands_taken(&people[0]).await;
    // One upload of one frame writes head, frame, chunk, unique id, tip, replay, due, and what
    // the domain uses.
    scene.store.limit_rows(8);
    scene.store.open();
    assert!(all.await.iter().all(|outcome| code_of(outcome) == Code::Ok));
    scene.store.limit_rows(7);
    let alone = scene
        .perform(people[0].upload(scene.now(), 2, &[b"y"]))
        .await;
    assert_eq!(code_of(&alone), Code::TooLarge);
    scene.store.limit_rows(usize::MAX);
    let again = scene
        .perform(people[0].upload(scene.now(), 2, &[b"y"]))
        .await;
    assert_eq!(code_of(&again), Code::Ok);
}

#[actix::test]
async fn an_operation_that_waited_past_its_deadline_is_not_carried_out() {
    let (scene, alice) = (gated(BackendConfig::default()).await, Person::new("alice"));
    scene.settle(&alice).await;
    let flying = in_flight(&scene, &alice).await;
    let late = begun(scene.perform(alice.upload(scene.now(), 2, &[b"late"])));
    scene.clock.advance(Duration::from_secs(60));
    scene.store.open();
    assert!(flying.await.is_ok());
    assert_eq!(code_of(&late.await), Code::Timeout);
    assert_eq!(scene.bookmarks(&alice).await.0, 2);
}

#[actix::test]
async fn what_is_late_makes_room_before_anybody_is_sent_away() {
    let (scene, people) = with_places(2, 4).await;
    let flying = in_flight(&scene, &people[0]).await;
    let mut late = Vec::new();
    for person in &people[1..3] {
        late.push(begun(scene.perform(person.upload(
            scene.now(),
            1,
            &[b"late"],
        ))));
        scene.commands_taken(&people[0]).await;
    }
    scene.clock.advance(Duration::from_secs(60));
    let fresh = begun(scene.perform(people[3].upload(scene.now(), 1, &[b"fresh"])));
    // They are told while the commit is still in flight: nothing is done for them.
    for one in late {
        assert_eq!(code_of(&one.await), Code::Timeout);
    }
    scene.store.open();
    assert!(flying.await.is_ok());
    assert_eq!(code_of(&fresh.await), Code::Ok);
}

#[actix::test]
async fn under_overload_the_newest_finds_a_place_and_the_oldest_is_sent_away() {
    let (scene, people) = with_places(2, 4).await;
    let flying = in_flight(&scene, &people[0]).await;
    let oldest = begun(scene.perform(people[1].upload(scene.now(), 1, &[b"oldest"])));
    scene.commands_taken(&people[0]).await;
    let older = begun(scene.perform(people[2].upload(scene.now(), 1, &[b"older"])));
    scene.commands_taken(&people[0]).await;
    scene
        .clock
        .advance(PARTITION_OVERLOADED_AFTER + Duration::from_millis(1));
    let newest = begun(scene.perform(people[3].upload(scene.now(), 1, &[b"newest"])));
    assert_eq!(oldest.await, Err(CallFailure::Busy(BUSY_TIME)));
    scene.store.open();
    assert!(flying.await.is_ok());
    assert_eq!(code_of(&older.await), Code::Ok);
    assert_eq!(code_of(&newest.await), Code::Ok);
    assert_eq!(
        scene.bookmarks(&people[1]).await.0,
        1,
        "nothing was written"
    );
}

#[actix::test]
async fn a_batch_waits_for_a_place_among_the_commits_of_the_process() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let commits = &scene.backend.inner.shared.commits;
    let mut others = Vec::new();
    for _ in 0..COMMITS_MAX {
        others.push(commits.place().await);
    }
    let before = scene.bookmarks(&alice).await.0;
    let waiting = begun(scene.perform(alice.upload(scene.now(), 1, &[b"waits"])));
    scene.commands_taken(&alice).await;
    assert_eq!(scene.bookmarks(&alice).await.0, before, "it is not written");
    others.pop();
    assert_eq!(code_of(&waiting.await), Code::Ok);
}

#[actix::test]
async fn stopping_finishes_what_is_in_flight_and_refuses_the_rest() {
    let (scene, alice) = (gated(BackendConfig::default()).await, Person::new("alice"));
    scene.settle(&alice).await;
    let flying = in_flight(&scene, &alice).await;
    let waiting = begun(scene.perform(alice.upload(scene.now(), 2, &[b"waiting"])));
    let stop = begun(scene.backend.stop());
    assert_eq!(code_of(&waiting.await), Code::Overload);
    assert_eq!(
        scene.backend.ready().await,
        Err(crate::operator::NotReady::Stopping)
    );
    let refused = scene.perform(alice.upload(scene.now(), 2, &[b"new"])).await;
    assert_eq!(code_of(&refused), Code::Overload);
    scene.store.open();
    stop.await;
    assert_eq!(code_of(&flying.await), Code::Ok);
}
