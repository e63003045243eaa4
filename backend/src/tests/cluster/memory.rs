//! What a node remembers of a partition goes with it, and comes back with nothing of the time before.

use futures_util::FutureExt as _;

use super::*;
use crate::tests::intake::forwarded;

/// People at the only node, of whom some will move to the second one.
async fn people_at_one(city: &City<MemoryStore>) -> Vec<Person> {
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(city.somebody_at(1).await);
    }
    people
}

/// Adds node 2, and says who of `people` lives there then.
async fn moved_to_two<'a>(city: &mut City<MemoryStore>, people: &'a [Person]) -> &'a Person {
    city.join(2).await;
    city.pass(Duration::from_secs(20)).await;
    let moved = people.iter().find(|one| city.owners(home(one)) == [2]);
    moved.expect("about half of them move")
}

#[actix::test]
async fn keys_and_accounts_that_changed_elsewhere_are_not_remembered() {
    let mut city = City::of(1).await;
    let people = people_at_one(&city).await;
    let one = city.scene(1).backend.clone();
    let deadline = city.scene(1).now() + Duration::from_secs(3_600);
    for person in &people {
        let keys = one.signing_keys(&person.address, deadline).await.unwrap();
        assert_eq!(keys, Some(person.signing_keys()));
    }
    let alice = moved_to_two(&mut city, &people).await;
    assert!(one.inner.shared.shown(home(alice)).is_empty());
    let there = city.scene(2);
    let deleted = there.perform(alice.delete(there.now())).await;
    assert_eq!(code_of(&deleted), Code::Ok);
    let keys = one.signing_keys(&alice.address, deadline).await.unwrap();
    assert_eq!(keys, None, "read from the store");
    city.kill(2);
    city.pass(bound() * 2).await;
    assert_eq!(city.owners(home(alice)), [1]);
    let keys = one.signing_keys(&alice.address, deadline).await.unwrap();
    assert_eq!(
        keys, None,
        "what was known by the claim before says nothing"
    );
}

#[actix::test]
async fn who_waits_for_news_of_a_partition_that_leaves_is_told_to_look() {
    let mut city = City::of(1).await;
    let people = people_at_one(&city).await;
    let one = city.scene(1).backend.clone();
    let mut watches = Vec::new();
    for person in &people {
        let mut watch = one.watch(&person.address).await.unwrap();
        assert!(watch.changed().now_or_never().is_none());
        watches.push(watch);
    }
    moved_to_two(&mut city, &people).await;
    for (person, mut watch) in people.iter().zip(watches) {
        let has_moved = city.owners(home(person)) == [2];
        assert_eq!(watch.changed().now_or_never().is_some(), has_moved);
        // What is committed elsewhere is not watched here.
        assert_eq!(one.watch(&person.address).await.is_none(), has_moved);
    }
}

#[actix::test]
async fn a_message_left_at_another_node_is_nudged_to_its_owner() {
    let city = City::of(2).await;
    let (alice, bob) = (city.somebody_at(1).await, Person::new("bob"));
    let code = city.scene(2).receive(forwarded(&bob, &alice, 1), 1).await;
    assert_eq!(code, Code::Accepted, "the owner was not asked");
    let owner = city.scene(1);
    let drained = &owner.backend.metrics().intake_drain_seconds;
    while owner.inbound(&alice).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(drained.get_sample_count(), 1);
    assert_eq!(city.scene(2).backend.drain().await, 0);
}

#[actix::test]
async fn a_nudge_for_what_is_not_ours_is_not_passed_on() {
    let city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    let nudge = Nudge {
        intakes: vec![home(&alice)],
        released: vec![unit(&alice)],
        heard: vec!["example.org".to_owned()],
        ..Nudge::default()
    };
    city.scene(2).backend.nudged(nudge);
    let metrics = city.scene(1).backend.metrics();
    assert_eq!(metrics.intake_drain_seconds.get_sample_count(), 0);
    assert!(city.scene(2).backend.inner.shared.bell.take().is_empty());
}
