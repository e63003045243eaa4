//! Commits that conflict, whose answers are lost, or that land long after: each message is told of once,
//! and none is lost (cluster §7.3 and §20).

use super::*;
use crate::store::Faults;

/// Alice, and so many messages of hers to so many services, which nobody has been told of.
async fn with_a_queue(
    messages: u64,
    services: u64,
) -> (Scene<MemoryStore>, Person, Vec<QueueItem>) {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let items: Vec<_> = (0..messages)
        .map(|number| {
            let recipient = format!("bob@d{}.example", number % services);
            queued(&alice, &recipient, &format!("M{number}"), scene.now())
        })
        .collect();
    scene.enqueue_silently(&items).await;
    (scene, alice, items)
}

/// Lets time pass until the queue is empty.
async fn emptied(scene: &Scene<MemoryStore>, outbound: &Outbound<MemoryStore>) {
    let mut rounds = 0;
    while !scene.is_empty().await {
        rounds += 1;
        assert!(rounds < 2_000, "the queue empties");
        scene.clock.advance(Duration::from_millis(500));
        outbound.idle().await.unwrap();
    }
}

async fn nothing_is_lost_or_told_twice(faults: Faults) {
    let (mut scene, alice, items) = with_a_queue(200, 7).await;
    let played = Played::new(&scene.clock, |_, before| match before {
        0 => answer(507, Some(113)),
        _ => answer(201, None),
    });
    let outbound = scene.deliver(&played).await;
    scene.store.set_faults(faults);
    emptied(&scene, &outbound).await;
    scene.store.set_faults(Faults::default());
    scene.crash().await;
    for item in &items {
        let recipient = item.recipient.canonical();
        let told = scene.state_told(&alice, &item.unique_id, recipient).await;
        assert_eq!(told, Some(MessageState::Received), "{}", item.unique_id);
    }
    assert_eq!(scene.completions(&alice).await, items.len() as u64);
}

#[actix::test]
async fn conflicts_and_lost_answers_lose_and_double_nothing() {
    for seed in 0..4 {
        nothing_is_lost_or_told_twice(Faults {
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
    for seed in 0..4 {
        nothing_is_lost_or_told_twice(Faults {
            seed,
            may_still_land: 250,
            land_after_max: 6,
            conflict: 50,
            ..Faults::default()
        })
        .await;
    }
}

/// A store without room takes no word of what became of a message: what was in flight is not sent again
/// meanwhile, and everything is told once there is room.
#[actix::test]
async fn without_room_nothing_is_lost_sent_again_or_told_twice() {
    let messages = 40;
    let (mut scene, alice, items) = with_a_queue(messages, 4).await;
    let played = Played::shut(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    played.came(4).await;
    scene.store.set_faults(Faults {
        full: 1_000,
        ..Faults::default()
    });
    played.open();
    for refused in 1..=2 {
        while scene.store.faults_met() < refused {
            tokio::task::yield_now().await;
        }
        scene.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(scene.in_queue().await.len() as u64, messages);
    assert_eq!(scene.completions(&alice).await, 0);
    scene.store.set_faults(Faults::default());
    emptied(&scene, &outbound).await;
    let most = items.iter().map(|item| played.times(&item.unique_id));
    assert_eq!(most.max(), Some(1), "nothing is sent again");
    scene.crash().await;
    assert_eq!(scene.completions(&alice).await, messages);
}
