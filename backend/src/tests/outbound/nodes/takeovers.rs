//! Nodes that die, sleep or break: whoever takes their shards over sends what they had in flight, and nothing of theirs
//! lands any more (cluster §7.3).

use super::*;

#[actix::test]
async fn what_a_dead_node_had_in_flight_is_sent_by_the_next_owner_and_told_once() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    let stuck = Played::shut(&town.clock, received);
    let well = Played::new(&town.clock, received);
    town.add(BACKEND, None).await;
    town.add(OUTBOUND, Some(&stuck)).await;
    town.add(OUTBOUND, Some(&well)).await;
    town.divide().await;
    town.nodes[0].scene.create(&alice).await;
    let items = items(&alice, "M", town.clock.now());
    let theirs = items
        .iter()
        .filter(|one| town.owner(one.destination()) == 1);
    let theirs = theirs.count();
    town.nodes[0].scene.put_in_queue(&items).await;
    stuck.came(theirs).await;
    // It is gone, without a word.
    drop(town.nodes.remove(1));
    town.pass(12, &[]).await;
    town.idle().await;
    assert_eq!(town.nodes[1].shards().len(), 256);
    came_once(&items, &[&well]);
    let scene = &town.nodes[0].scene;
    assert!(scene.is_empty().await);
    assert_eq!(scene.completions(&alice).await, 100);
    let ends = scene.rows_of(keys::suspects()).await;
    assert!(!ends.is_empty(), "it is noted that it ended badly");
}

#[actix::test]
async fn a_node_that_slept_commits_nothing_of_what_others_have_taken_over() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    let late = Played::shut(&town.clock, |_, _| answer(404, Some(6)));
    let well = Played::new(&town.clock, received);
    town.add(BACKEND, None).await;
    town.add(OUTBOUND, Some(&late)).await;
    town.add(OUTBOUND, Some(&well)).await;
    town.divide().await;
    town.nodes[0].scene.create(&alice).await;
    let domain = town.domain_of(1);
    let recipient = format!("bob@{domain}");
    let item = queued(&alice, &recipient, "M1", town.clock.now());
    town.nodes[0].scene.put_in_queue(&[item]).await;
    late.came(1).await;
    // Its loop sleeps; its transfer goes on.
    town.pass(12, &[1]).await;
    assert!(town.nodes[2].shards().contains(&ShardId::of(&domain)));
    town.nodes[2]
        .outbound
        .as_ref()
        .unwrap()
        .idle()
        .await
        .unwrap();
    assert_eq!(well.times("M1"), 1);
    late.open();
    town.nodes[1]
        .outbound
        .as_ref()
        .unwrap()
        .idle()
        .await
        .unwrap();
    let told = town.nodes[0]
        .scene
        .state_told(&alice, "M1", &recipient)
        .await;
    assert_eq!(
        told,
        Some(MessageState::Received),
        "the sleeper told nothing"
    );
    assert_eq!(town.nodes[0].scene.completions(&alice).await, 1);
    // It wakes up, and has nothing; then it gets its share again.
    town.divide().await;
    let item = queued(&alice, &recipient, "M2", town.clock.now());
    town.nodes[0].scene.put_in_queue(&[item]).await;
    town.pass(2, &[]).await;
    town.idle().await;
    assert_eq!(late.times("M2") + well.times("M2"), 1);
}

/// A life of the dispatcher that broke may have left a commit on its way.
#[actix::test]
async fn what_a_broken_life_left_on_its_way_does_not_land_any_more() {
    let mut town = Town::new();
    let played = Played::new(&town.clock, received);
    town.add(OUTBOUND, Some(&played)).await;
    town.divide().await;
    let shared = Arc::clone(&town.nodes[0].scene.backend.inner.shared);
    let [ours, theirs] = [ShardId(7), ShardId(8)];
    let mut stray = town.store.begin(TxOptions::default());
    let record = stray.get(&keys::shard(ours), Read::Serializable).await;
    assert!(record.unwrap().is_some());
    stray.set(b"stray", "late");
    let rival = Claimant {
        node: mesh_common::cluster::NodeId([9; 16]),
        ..shared.claimant
    };
    let writing = TxOptions::default();
    let claimed = rival.claim_shards(&town.store, writing, &[theirs]).await;
    let fence = claimed.unwrap()[0].fence;
    assert!(crate::outbound::takeover::fence_off_the_past(&shared).await);
    let landed = stray.commit().await;
    assert!(matches!(landed, Err(crate::store::CommitError::Conflict)));
    let lost = shared.shards.lost().await;
    assert_eq!(lost.keys().collect::<Vec<_>>(), [&theirs]);
    assert!(lost[&theirs] < fence);
    assert!(shared.shards.held().contains(&ours));
}

/// Two bad ends: then one item at a time, but only of the shards of whoever ended so; and a planned move does not
/// end that.
#[actix::test]
async fn bad_ends_slow_down_the_shards_they_happened_to_and_no_others() {
    let mut town = Town::new();
    let alice = Person::new("alice");
    town.add(BACKEND, None).await;
    let first = Played::new(&town.clock, received);
    town.add(OUTBOUND, Some(&first)).await;
    town.divide().await;
    let cautious = ShardId::of("d1.example");
    // The shard was left badly twice a moment ago, as it is noted.
    let owners = rows::Owners {
        unclean: vec![town.clock.now().as_millis(); 2],
        suspect: None,
    };
    let mut tx = town.store.begin(TxOptions::default());
    tx.set(&keys::suspect(cautious), owners.encode());
    tx.commit().await.unwrap();
    let gate = Played::shut(&town.clock, received);
    town.add(OUTBOUND, Some(&gate)).await;
    town.nodes[1].scene.backend.begin_to_leave();
    town.pass_until("everything moves", |town| {
        town.nodes[2].shards().len() == 256
    })
    .await;
    town.idle().await;
    let now = town.clock.now();
    let slow: Vec<_> = (0..3)
        .map(|number| queued(&alice, "bob@d1.example", &format!("slow{number}"), now))
        .collect();
    let fast = items(&alice, "fast", now);
    let fast: Vec<_> = fast
        .into_iter()
        .filter(|item| item.shard() != cautious)
        .collect();
    town.nodes[0].scene.put_in_queue(&slow).await;
    town.nodes[0].scene.put_in_queue(&fast).await;
    gate.came(fast.len() + 1).await;
    let begun = gate.order();
    let is_slow = |one: &&Transfer| one.recipient.domain() == "d1.example";
    assert_eq!(begun.iter().filter(is_slow).count(), 1, "one at a time");
    let noted = town.nodes[0].scene.rows_of(keys::suspects()).await;
    let noted = rows::Owners::decode(&noted[0].value).unwrap();
    assert!(noted.suspect.is_some(), "it is noted before");
    gate.open();
    town.idle().await;
    came_once(&slow, &[&gate]);
    came_once(&fast, &[&gate]);
    let noted = town.nodes[0].scene.rows_of(keys::suspects()).await;
    let noted = rows::Owners::decode(&noted[0].value).unwrap();
    assert_eq!((noted.suspect, noted.unclean.len()), (None, 2));
}
