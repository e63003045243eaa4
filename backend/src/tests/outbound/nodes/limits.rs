//! Limits of the queue that several nodes share (cluster §9): never exceeded, whoever posts where, whatever is
//! lost, late or dead; and all of it to be had in the end.

use futures_util::future::join_all;
use mesh_common::account::QueuePolicy;
use mesh_common::escrow::HolderId;

use super::*;
use crate::store::Faults;
use crate::tests::posting::{sealed, serving};

const ELSEWHERE: &str = "elsewhere.example";

/// People of as many partitions.
fn people(count: usize) -> Vec<Person> {
    let mut homes = BTreeSet::new();
    (0..)
        .map(|number| Person::new(&format!("p{number}")))
        .filter(|person| homes.insert(PartitionId::of(&person.address)))
        .take(count)
        .collect()
}

impl Node {
    async fn look(&self) {
        let looked = crate::outbound::survey::look_through(self.shared(), true);
        looked.await.unwrap();
    }

    async fn give_back(&self) {
        let shared = self.shared();
        let escrow = shared.escrow.as_ref().expect("the node is one of several");
        escrow.give_back(shared).await.unwrap();
    }
}

impl Town {
    /// Nodes that take in posts, of which at most `max` wait for one destination.
    async fn bounded(max: u64, nodes: usize) -> Self {
        let mut town = Self::new();
        town.config = serving();
        town.config.policy.queue = QueuePolicy {
            per_destination_max: max,
            ..QueuePolicy::default()
        };
        for _ in 0..nodes {
            town.add(BACKEND, None).await;
        }
        town.divide_partitions().await;
        town
    }

    /// Each of `people` posts one message, all at once. How many were accepted, as far as anybody knows.
    async fn post(&self, people: &[Person], name: &str) -> u64 {
        let posts = people.iter().map(|person| async move {
            let Some(home) = self.nodes.iter().find(|node| node.owns(person)) else {
                return 0;
            };
            let recipient = vec![format!("dave@{ELSEWHERE}")];
            let request = person.post(self.clock.now(), &recipient, vec![sealed(name, 100)]);
            match home.scene.perform(request).await {
                Ok(answer) => match answer.response.outcome().code() {
                    Some(Code::Ok) => 1,
                    Some(Code::QueueFull) => 0,
                    other => panic!("a post was answered with {other:?}"),
                },
                Err(_) => 0,
            }
        });
        join_all(posts).await.into_iter().sum()
    }

    async fn waiting(&self) -> u64 {
        self.nodes[0].scene.in_queue().await.len() as u64
    }

    /// Posts until as many wait as may: what others have and do not need comes back, and so does what nodes had
    /// that are gone.
    async fn fill_up(&mut self, people: &[Person], max: u64) {
        let patience = Patience::begin();
        for round in 0_u64.. {
            self.post(people, &format!("more {round}")).await;
            let waiting = self.waiting().await;
            assert!(waiting <= max, "{waiting} of {max}");
            if waiting == max {
                assert_eq!(self.post(people, "one too many").await, 0);
                assert_eq!(self.waiting().await, max);
                return;
            }
            for node in &self.nodes {
                node.look().await;
                node.give_back().await;
            }
            patience.check(&format!("{waiting} of {max} can be used"));
            self.pass(4, &[]).await;
        }
    }
}

#[actix::test]
async fn exactly_as_many_wait_as_may_at_whichever_nodes_they_are_posted() {
    let mut town = Town::bounded(37, 3).await;
    let people = people(12);
    town.create(&people).await;
    let mut accepted = 0;
    for round in 0..5 {
        accepted += town.post(&people, &format!("M{round}")).await;
        assert_eq!(town.waiting().await, accepted);
        assert!(accepted <= 37, "{accepted}");
    }
    town.fill_up(&people, 37).await;
}

#[actix::test]
async fn shared_bounds_hold_where_commits_are_lost_or_late() {
    for seed in 1..=2 {
        let mut town = Town::bounded(25, 2).await;
        let people = people(6);
        town.create(&people).await;
        for round in 0..6 {
            town.store.set_faults(Faults {
                seed: seed * 100 + round,
                conflict: 150,
                unknown_applied: 80,
                unknown_lost: 80,
                may_still_land: 150,
                land_after_max: 5,
                ..Faults::default()
            });
            town.post(&people, &format!("M{round}")).await;
            for node in &town.nodes {
                node.give_back().await;
            }
            town.store.set_faults(Faults::default());
            // Whoever is in doubt claims again.
            town.pass(3, &[]).await;
            let waiting = town.waiting().await;
            assert!(waiting <= 25, "seed {seed}: {waiting}");
        }
        town.fill_up(&people, 25).await;
    }
}

#[actix::test]
async fn what_was_granted_to_a_dead_node_comes_back_and_what_it_queued_counts_on() {
    let mut town = Town::bounded(30, 3).await;
    let people = people(12);
    town.create(&people).await;
    let before = town.post(&people, "M").await;
    assert_eq!(before, 12, "each node is granted enough for this");
    // Its grants are more than what it has queued.
    drop(town.nodes.remove(1));
    town.pass(12, &[]).await;
    town.fill_up(&people, 30).await;
    let holders = town.nodes[0].scene.rows_of(keys::holders()).await;
    assert!(holders.len() > 2, "what is charged to it keeps it known");
}

#[actix::test]
async fn a_node_that_was_taken_for_gone_spends_nothing_of_what_it_had() {
    let mut town = Town::bounded(20, 2).await;
    let people = people(8);
    town.create(&people).await;
    assert_eq!(town.post(&people, "M").await, 8);
    let closed = town.nodes[1].shared().escrow.as_ref().unwrap().holder();
    let charged = |items: Vec<QueueItem>| {
        let items = items.into_iter();
        items.filter(|one| one.charged_to == Some(closed)).count()
    };
    let before = charged(town.nodes[0].scene.in_queue().await);
    // Node 0 hears of nobody but itself for long enough, and node 1 knows nothing of it.
    let shared = Arc::clone(town.nodes[0].shared());
    let escrow = shared.escrow.as_ref().unwrap();
    let alive = BTreeSet::from([shared.claimant.node]);
    loop {
        // Its own looks, which hear of everybody, may come in between.
        let gone = escrow.close_the_silent(&shared, &alive).await;
        if gone.unwrap().contains(&closed) {
            break;
        }
    }
    let others: Vec<Person> = people
        .into_iter()
        .filter(|one| town.nodes[1].owns(one))
        .collect();
    assert!(!others.is_empty(), "the nodes share the partitions");
    // Whether what it had was enough for this or not: none of it lands as spent of that.
    town.post(&others, "M2").await;
    let after = charged(town.nodes[0].scene.in_queue().await);
    assert_eq!(after, before);
    let holder = town.nodes[1].shared().escrow.as_ref().unwrap().holder();
    assert_ne!(holder, closed, "it has begun anew");
    town.fill_up(&others, 20).await;
}

#[actix::test]
async fn what_leaves_by_the_hand_of_others_makes_room_and_in_the_end_nothing_is_granted() {
    let mut town = Town::bounded(10, 2).await;
    let people = people(6);
    town.create(&people).await;
    town.fill_up(&people, 10).await;
    let played = Played::new(&town.clock, received);
    town.add(OUTBOUND, Some(&played)).await;
    town.divide().await;
    played.came(10).await;
    town.idle().await;
    assert_eq!(town.waiting().await, 0);
    for node in &town.nodes[..2] {
        node.look().await;
    }
    town.pass(61, &[]).await;
    for node in &town.nodes[..2] {
        node.look().await;
        node.give_back().await;
    }
    let ledgers = town.nodes[0].scene.rows_of(keys::ledgers()).await;
    assert_eq!(ledgers.len(), 0, "{ledgers:?}");
}

#[actix::test]
async fn many_messages_to_one_destination_cost_one_grant() {
    let town = Town::bounded(10_000, 1).await;
    let people = people(10);
    town.create(&people).await;
    for round in 0..5 {
        let posted = town.post(&people, &format!("M{round}")).await;
        assert_eq!(posted, 10);
    }
    let shared = town.nodes[0].shared();
    // Partitions that begin at once may each ask before the first is answered; then there is enough.
    assert!(shared.metrics.escrow.grants.get() <= 2);
    let written = town.nodes[0].scene.rows_of(keys::ledgers()).await;
    assert_eq!(
        written.len(),
        2,
        "one of the destination, one of the tenant"
    );
}

impl Town {
    async fn leave(&mut self, node: usize) {
        self.nodes[node].scene.backend.begin_to_leave();
        let has_left = |town: &Self| town.nodes[node].scene.backend.holdings().unwrap().has_left;
        while !has_left(self) {
            self.pass(1, &[]).await;
        }
    }

    /// What is granted to `holder` of each limit that has a ledger.
    async fn granted_to(&self, holder: HolderId) -> Vec<u64> {
        let ledgers = self.nodes[0].scene.rows_of(keys::ledgers()).await;
        let grants = ledgers.iter().map(|row| {
            let (_, ledger) = crate::escrow::ledger(&row.value).unwrap();
            ledger.of(holder)
        });
        grants.collect()
    }
}

/// No other node counts for gone who has left in order: it has been done.
#[actix::test]
async fn a_node_that_leaves_gives_back_itself_what_it_does_not_need() {
    let mut town = Town::bounded(1_000, 2).await;
    let people = people(8);
    town.create(&people).await;
    assert_eq!(town.post(&people, "M").await, 8);
    let holder = town.nodes[1].shared().escrow.as_ref().unwrap().holder();
    let items = town.nodes[0].scene.in_queue().await.into_iter();
    let charged = items.filter(|one| one.charged_to == Some(holder)).count() as u64;
    assert!(charged > 0, "the nodes share the people");
    let before = town.granted_to(holder).await;
    assert!(before.iter().all(|grant| *grant > charged), "{before:?}");
    town.leave(1).await;
    let after = town.granted_to(holder).await;
    assert_eq!(
        after,
        [charged, charged],
        "of the destination and the tenant"
    );
    // What it has queued leaves, and so does the last of the nodes that queue: nothing is granted any more.
    let played = Played::new(&town.clock, received);
    town.nodes.remove(1);
    town.add(OUTBOUND, Some(&played)).await;
    town.divide().await;
    played.came(8).await;
    town.idle().await;
    assert_eq!(town.waiting().await, 0);
    town.leave(0).await;
    let ledgers = town.nodes[1].scene.rows_of(keys::ledgers()).await;
    assert_eq!(ledgers.len(), 0, "{ledgers:?}");
}
