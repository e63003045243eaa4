//! What becomes of messages when their sender's service ends, or handling them does: nothing is lost,
//! nobody writes who is not the owner, and poison hurts nothing else.

use super::*;

#[actix::test]
async fn what_was_in_flight_when_the_process_ended_is_sent_again() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let stuck = Played::shut(&scene.clock, received);
    let _outbound = scene.deliver(&stuck).await;
    let item = queued(&alice, "bob@peer.example", "M1", scene.now());
    scene.put_in_queue(&[item]).await;
    stuck.came(1).await;
    scene.crash().await;
    let played = Played::new(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    outbound.idle().await.unwrap();
    assert_eq!(played.times("M1"), 1);
    let told = scene.state_told(&alice, "M1", "bob@peer.example").await;
    assert_eq!(told, Some(MessageState::Received));
    assert!(scene.is_empty().await);
}

#[actix::test]
async fn who_has_lost_the_shards_commits_nothing_and_sends_nothing_more() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let old = Played::shut(&scene.clock, |_, _| answer(404, Some(6)));
    let zombie = scene.deliver(&old).await;
    let item = queued(&alice, "bob@peer.example", "M1", scene.now());
    scene.put_in_queue(&[item]).await;
    old.came(1).await;

    let backend = start(&scene.store, BackendConfig::default(), &scene.clock).await;
    let successor = Scene {
        backend,
        clock: Arc::clone(&scene.clock),
        store: scene.store.clone(),
    };
    let new = Played::new(&scene.clock, received);
    let outbound = successor.deliver(&new).await;
    outbound.idle().await.unwrap();
    old.open();
    zombie.idle().await.unwrap();
    let told = successor.state_told(&alice, "M1", "bob@peer.example").await;
    assert_eq!(
        told,
        Some(MessageState::Received),
        "the zombie told nothing"
    );
    assert_eq!(successor.completions(&alice).await, 1);

    let item = queued(&alice, "bob@peer.example", "M2", scene.now());
    scene.put_in_queue(&[item]).await;
    zombie.idle().await.unwrap();
    assert_eq!(old.times("M2"), 0);
    scene.clock.advance(Duration::from_secs(2));
    outbound.idle().await.unwrap();
    assert_eq!(new.times("M2"), 1);
}

#[actix::test]
async fn stopping_lets_what_is_in_flight_end_and_is_no_bad_end() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    for life in 0..3 {
        let played = Played::shut(&scene.clock, received);
        let _outbound = scene.deliver(&played).await;
        let message = format!("M{life}");
        let item = queued(&alice, "bob@peer.example", &message, scene.now());
        scene.put_in_queue(&[item]).await;
        played.came(1).await;
        let backend = scene.backend.clone();
        let stopping = actix_rt::spawn(async move { backend.stop().await });
        tokio::task::yield_now().await;
        played.open();
        stopping.await.unwrap();
        assert!(scene.is_empty().await);
        scene.backend = start(&scene.store, BackendConfig::default(), &scene.clock).await;
        let told = scene.state_told(&alice, &message, "bob@peer.example").await;
        assert_eq!(told, Some(MessageState::Received));
    }
    assert!(scene.rows_of(keys::suspects()).await.is_empty());
}

#[actix::test]
async fn an_item_that_panics_three_times_is_set_aside_and_the_others_are_sent() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let played = Played::new(&scene.clock, |transfer, _| {
        assert_ne!(id_of(transfer), "poison", "a test asked for this panic");
        answer(201, None)
    });
    let outbound = scene.deliver(&played).await;
    let poison = queued(&alice, "bob@peer.example", "poison", scene.now());
    let good = queued(&alice, "bob@peer.example", "good", scene.now());
    scene.put_in_queue(&[poison.clone(), good]).await;
    for _ in 0..4 {
        outbound.idle().await.unwrap();
        scene.clock.advance(Duration::from_secs(60));
    }
    outbound.idle().await.unwrap();
    assert_eq!(played.times("poison"), 3);
    assert_eq!(played.times("good"), 1);
    assert!(scene.is_empty().await);
    let shard = ShardId::of("peer.example");
    let tx = scene.store.begin(TxOptions::default());
    let [entry, body, why] = keys::quarantined(shard, poison.id);
    let entry = tx.get(&entry, Read::Snapshot).await.unwrap().unwrap();
    assert_eq!(rows::item(&entry).unwrap().unique_id, "poison");
    let body = tx.get(&body, Read::Snapshot).await.unwrap().unwrap();
    assert_eq!(rows::body(&body).unwrap().payload.0, b"poison");
    assert!(tx.get(&why, Read::Snapshot).await.unwrap().is_some());
    let told = scene.state_told(&alice, "poison", "bob@peer.example").await;
    assert_eq!(told, Some(MessageState::Delayed));
}

#[actix::test]
async fn rows_that_do_not_read_are_moved_aside_with_their_octets() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let item = |message: &str| queued(&alice, "bob@peer.example", message, scene.now());
    let (bad, bodyless, good) = (item("bad"), item("bodyless"), item("good"));
    scene
        .enqueue_silently(&[bad.clone(), bodyless.clone(), good])
        .await;
    let shard = ShardId::of("peer.example");
    let mut tx = scene.store.begin(TxOptions::default());
    let key = keys::queue_item("peer.example", bad.due_at, bad.id);
    tx.set(&key, &b"\x01no item"[..]);
    tx.set(&keys::queue_body(shard, bodyless.id), &b"\x01no body"[..]);
    tx.commit().await.unwrap();

    let played = Played::new(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    outbound.idle().await.unwrap();
    assert_eq!(played.times("good"), 1);
    assert_eq!(played.order().len(), 1);
    assert!(scene.is_empty().await);
    let tx = scene.store.begin(TxOptions::default());
    let [entry, _, _] = keys::quarantined(shard, bad.id);
    let entry = tx.get(&entry, Read::Snapshot).await.unwrap().unwrap();
    assert_eq!(&entry[..], b"\x01no item");
    let [_, body, _] = keys::quarantined(shard, bodyless.id);
    let body = tx.get(&body, Read::Snapshot).await.unwrap().unwrap();
    assert_eq!(&body[..], b"\x01no body");
}

/// Two bad ends within ten minutes: then one item at a time, noted before; the one that ends the
/// process three times is set aside.
#[actix::test]
async fn an_item_that_ends_the_process_again_and_again_is_found() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let item = |message: &str| queued(&alice, "bob@peer.example", message, scene.now());
    let items = [item("one"), item("deadly"), item("three")];
    let deadly = items[1].id;
    scene.enqueue_silently(&items).await;
    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < 10, "the deadly item is found");
        // The process ends as soon as the deadly item is being sent: nothing of that life is committed
        // afterwards.
        let played = Played::shut(&scene.clock, received);
        let outbound = scene.deliver(&played).await;
        let mut begun = 0;
        let is_over = loop {
            tokio::select! {
                () = played.came(begun + 1) => {}
                idle = outbound.idle() => { idle.unwrap(); break true; }
            }
            let last = id_of(&played.order()[begun]);
            begun += 1;
            if last == "deadly" {
                break false;
            }
            played.gate.add_permits(1);
        };
        if is_over {
            break;
        }
        if lives > 2 {
            assert_eq!(played.most_in_flight(), 1, "one item at a time");
        }
        scene.clock.advance(Duration::from_secs(5));
        scene.crash().await;
    }
    assert!(scene.is_empty().await);
    let [entry, _, _] = keys::quarantined(ShardId::of("peer.example"), deadly);
    let tx = scene.store.begin(TxOptions::default());
    assert!(tx.get(&entry, Read::Snapshot).await.unwrap().is_some());
    for message in ["one", "three"] {
        let told = scene.state_told(&alice, message, "bob@peer.example").await;
        assert_eq!(told, Some(MessageState::Received), "{message}");
    }
}
