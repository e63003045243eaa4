//! Nodes die, leave, sleep and come while messages are sent, over a store whose commits conflict and whose answers
//! are lost: each message is told of once (cluster §20.4).

use super::*;
use crate::store::Faults;

/// What may happen to nodes in a story.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Dies,
    Leaves,
    Sleeps,
    Comes,
}

async fn whatever_happens_each_message_is_told_of_once(seed: u64) {
    let mut town = Town::new();
    let mut chance = SeededEntropy::new(seed);
    let mut draw = |below: u8| mesh_common::entropy::draw::<1>(&mut chance)[0] % below;
    let alice = Person::new("alice");
    let played = Played::new(&town.clock, |_, before| match before {
        0 => answer(507, Some(113)),
        _ => answer(201, None),
    });
    let own = || Played::new(&town.clock, |_, _| answer(201, None));
    let carriers: Vec<_> = (0..8).map(|_| own()).collect();
    town.add(BACKEND, None).await;
    town.add(OUTBOUND, Some(&played)).await;
    town.add(OUTBOUND, Some(&carriers[0])).await;
    town.divide().await;
    town.nodes[0].scene.create(&alice).await;
    let mut posted = 0;
    for wave in 0..4 {
        let items = items(&alice, &format!("W{wave}M"), town.clock.now());
        posted += items.len() as u64;
        town.nodes[0].scene.enqueue_silently(&items).await;
        let fate = [Fate::Dies, Fate::Leaves, Fate::Sleeps, Fate::Comes][usize::from(draw(4))];
        // Whoever goes is followed by another one, so that somebody is always there.
        if !matches!(fate, Fate::Sleeps) {
            town.add(OUTBOUND, Some(&carriers[wave + 1])).await;
        }
        let here: Vec<usize> = (1..town.nodes.len())
            .filter(|one| !town.nodes[*one].shards().is_empty())
            .collect();
        let whom = here[usize::from(draw(u8::try_from(here.len()).unwrap()))];
        let mut asleep = Vec::new();
        match fate {
            Fate::Dies => drop(town.nodes.remove(whom)),
            Fate::Leaves => town.nodes[whom].scene.backend.begin_to_leave(),
            Fate::Sleeps => asleep.push(whom),
            Fate::Comes => {}
        }
        town.store.set_faults(Faults {
            seed,
            conflict: 100,
            unknown_applied: 100,
            unknown_lost: 100,
            ..Faults::default()
        });
        town.pass(10, &asleep).await;
        town.store.set_faults(Faults::default());
    }
    // Some time at least: after what came amiss last an owner may not be believed, and tells nobody anything.
    let patience = Patience::begin();
    while {
        town.pass(2, &[]).await;
        !town.nodes[0].scene.is_empty().await || town.told(&alice).await < posted
    } {
        let shares: Vec<_> = town.nodes.iter().map(|node| node.shards().len()).collect();
        patience.check(&format!("seed {seed}: everything is told, {shares:?}"));
    }
    // Nothing more is said of it.
    town.pass(5, &[]).await;
    assert_eq!(town.told(&alice).await, posted, "seed {seed}");
}

impl Town {
    /// How many completions the sender finds at the first node; none while it does not serve the account.
    async fn told(&self, sender: &Person) -> u64 {
        if !self.nodes[0].owns(sender) {
            return 0;
        }
        self.nodes[0].scene.completions(sender).await
    }
}

#[actix::test]
async fn nodes_die_leave_sleep_and_come_and_each_message_is_told_of_once() {
    for seed in 0..2 {
        whatever_happens_each_message_is_told_of_once(seed).await;
    }
}
