//! What one node leaves for the partition of another wakes its owner through the store alone.

use tokio::sync::mpsc;

use super::*;
use crate::handle::waking::Waking;
use crate::tests::posting::{contact, serving};

/// Two nodes that own partitions and cannot call each other, and a person of each.
async fn strangers() -> (Town, [Person; 2]) {
    let mut town = Town::new();
    town.config = serving();
    for _ in 0..2 {
        town.add(BACKEND, None).await;
    }
    town.divide_partitions().await;
    town.street.0.lock().unwrap().clear();
    let person_of = |node: &Node| {
        let mut people = (0..).map(|number| Person::new(&format!("p{number}")));
        people.find(|person| node.owns(person)).unwrap()
    };
    let people = [person_of(&town.nodes[0]), person_of(&town.nodes[1])];
    town.create(&people).await;
    (town, people)
}

impl Town {
    /// Watches of what the second node owns, beside those that it has itself, and for whom they tell.
    fn waking(&self) -> (Waking<MemoryStore>, mpsc::Receiver<PartitionId>) {
        let (sender, told) = mpsc::channel(8);
        let tell = move |partition| {
            let _gone = sender.try_send(partition);
        };
        let shared = Arc::clone(self.nodes[1].shared());
        (Waking::new(shared, Arc::new(tell)), told)
    }

    async fn post_from_first(&self, sender: &Person, recipient: &Person, message: &str) {
        let recipients = vec![recipient.address.to_string()];
        let request = sender.post(self.clock.now(), &recipients, vec![contact(message)]);
        let (code, _) = self.nodes[0].scene.ask(request).await;
        assert_eq!(code, Code::Ok);
    }

    async fn has_woken(&self, person: &Person) -> bool {
        let tx = self.store.begin(TxOptions::default());
        let key = keys::wake_in(PartitionId::of(&person.address));
        tx.get(&key, Read::Snapshot).await.unwrap().is_some()
    }
}

#[actix::test]
async fn what_a_node_leaves_for_another_wakes_its_owner_each_time() {
    let (town, [alice, bob]) = strangers().await;
    let home = PartitionId::of(&bob.address);
    let (mut waking, mut told) = town.waking();
    assert!(waking.follow().await, "all of it is new");
    town.post_from_first(&alice, &bob, "M1").await;
    assert!(town.has_woken(&bob).await, "the commit wrote the key");
    assert_eq!(told.recv().await, Some(home));
    // Whether it is watched again by now or not: it is told of.
    town.post_from_first(&alice, &bob, "M2").await;
    assert_eq!(told.recv().await, Some(home));
    assert!(!waking.follow().await, "nothing is new");
}

#[actix::test]
async fn what_is_left_at_home_writes_no_key_that_others_watch() {
    let (town, [alice, _]) = strangers().await;
    let home = PartitionId::of(&alice.address);
    let neighbour = (0..)
        .map(|number| Person::new(&format!("q{number}")))
        .find(|one| town.nodes[0].owns(one) && PartitionId::of(&one.address) != home);
    let neighbour = neighbour.unwrap();
    town.create(std::slice::from_ref(&neighbour)).await;
    town.post_from_first(&alice, &neighbour, "M1").await;
    assert!(!town.has_woken(&alice).await);
    assert!(!town.has_woken(&neighbour).await);
}

#[actix::test]
async fn exactly_what_is_owned_is_watched() {
    let (mut town, _) = strangers().await;
    let owned = |town: &Town| town.nodes[1].scene.backend.holdings().unwrap().partitions;
    let (mut waking, _told) = town.waking();
    assert!(waking.follow().await);
    assert_eq!(waking.len(), owned(&town));
    town.nodes[0].scene.backend.begin_to_leave();
    while owned(&town) < 1_024 {
        town.pass(1, &[]).await;
    }
    assert!(waking.follow().await);
    assert_eq!(waking.len(), 1_024);
    town.nodes[1].scene.backend.begin_to_leave();
    while owned(&town) > 0 {
        town.pass(1, &[]).await;
    }
    assert!(!waking.follow().await);
    assert_eq!(waking.len(), 0);
}
