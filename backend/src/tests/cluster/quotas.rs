//! No domain stores more octets, or sends more messages on a day, than it may, whatever becomes of its nodes and
//! their commits; and all of it can be used (cluster §9).

use futures_util::future::join_all;
use mesh_common::limits::DELETED_DATA_KEPT;

use super::usage::Dice;
use super::*;
use crate::store::Faults;
use crate::tests::posting::{sealed, serving};
use crate::tests::usage::used;
use crate::usage::report::usage_of;

/// Three times what is granted to a partition at once, at least.
const OCTETS_MAX: u64 = 3 * 1024 * 1024;
const MESSAGES_MAX: u64 = 60;
/// What one bookmark takes beside its payload, at most.
const FRAME_MAX: u64 = 1_000;

const DAY: Duration = Duration::from_secs(24 * 3_600);

struct Story {
    city: City<MemoryStore>,
    dice: Dice,
    seed: u64,
    people: Vec<Resident>,
    written: u64,
    refused: u64,
    /// Whether commits are lost, late or overtaken while people write.
    is_faulty: bool,
}

/// Somebody, and where the next bookmark goes.
struct Resident {
    person: Person,
    next: u64,
}

impl Story {
    async fn begin(config: BackendConfig, seed: u64, is_faulty: bool) -> Self {
        let mut story = Self {
            city: City::with(config, MemoryStore::new(), 2).await,
            dice: Dice(seed),
            seed,
            people: Vec::new(),
            written: 0,
            refused: 0,
            is_faulty,
        };
        while story.people.len() < 8 {
            story.settle().await;
        }
        story
    }

    /// Somebody new comes, if there is room.
    async fn settle(&mut self) {
        let (person, now) = (self.city.newcomer(), self.city.clock.now());
        let created = self.city.asked(&person, person.create(now)).await;
        if created != Some(Code::Ok) {
            assert_eq!(created, Some(Code::Refused), "seed {}", self.seed);
            return;
        }
        let begun = self.city.asked(&person, person.upload(now, 0, &[])).await;
        // Else the first bookmark is refused as well, and begins the catalog once there is room.
        let next = u64::from(begun == Some(Code::Ok));
        self.people.push(Resident { person, next });
    }

    fn faults(&mut self) {
        if self.is_faulty {
            self.city.store.set_faults(Faults {
                seed: self.dice.0,
                conflict: 150,
                unknown_applied: 60,
                unknown_lost: 60,
                may_still_land: 60,
                land_after_max: 5,
                ..Faults::default()
            });
        }
    }

    async fn no_faults(&mut self) {
        if self.is_faulty {
            self.city.store.set_faults(Faults::default());
            // Whoever is in doubt claims again.
            self.city.pass(Duration::from_secs(1)).await;
        }
    }

    /// Some people write a bookmark of at most so many octets at the same moment; says how many may.
    async fn write(&mut self, who: &[usize], octets_max: usize) -> usize {
        let now = self.city.clock.now();
        let mut requests = Vec::new();
        for one in who {
            let mut payload = vec![7; self.dice.below(octets_max) + 8];
            self.written += 1;
            payload[..8].copy_from_slice(&self.written.to_be_bytes());
            let Resident { person, next } = &self.people[*one];
            requests.push(person.upload(now, *next, &[&payload]));
        }
        self.faults();
        let people = &self.people;
        let asked = who.iter().zip(requests);
        let asked = asked.map(|(one, request)| self.city.asked(&people[*one].person, request));
        let outcomes = join_all(asked).await;
        self.no_faults().await;
        let mut written = 0;
        for (one, outcome) in who.iter().zip(outcomes) {
            match outcome {
                Some(Code::Ok) => {
                    let begins = self.people[*one].next == 0;
                    self.people[*one].next += 1 + u64::from(begins);
                    written += 1;
                }
                Some(Code::QuotaExceeded) => self.refused += 1,
                // Nobody knows: it looks where the catalog stands.
                _ => self.look(*one).await,
            }
        }
        written
    }

    async fn look(&mut self, one: usize) {
        let person = &self.people[one].person;
        if let Some(owner) = self.city.owners(home(person)).first() {
            let scene = self.city.scene(*owner);
            if scene.perform(person.status(scene.now())).await.is_ok() {
                self.people[one].next = scene.bookmarks(person).await.0;
            }
        }
    }

    /// Some leave for ever, and what they stored goes.
    async fn purge(&mut self, count: usize) {
        for _ in 0..count.min(self.people.len()) {
            let one = self.dice.below(self.people.len());
            let request = self.people[one].person.delete(self.city.clock.now());
            let deleted = self.city.asked(&self.people[one].person, request).await;
            if deleted == Some(Code::Ok) {
                self.people.swap_remove(one);
            }
        }
        self.city.clock.advance(DELETED_DATA_KEPT);
        self.city.pass(Duration::from_secs(5)).await;
        for number in self.city.nodes.keys() {
            self.city.scene(*number).backend.tend().await;
        }
    }

    /// The oldest node dies, and another one comes.
    async fn replace_node(&mut self) {
        let oldest = *self.city.nodes.keys().next().unwrap();
        self.city.kill(oldest);
        self.city.pass(bound() * 2).await;
        // One of another name: by the same it would draw the same ids again.
        self.city.join(oldest + 2).await;
        self.city.pass(Duration::from_secs(30)).await;
    }

    async fn octets(&self) -> u64 {
        let used = usage_of(&self.city.store, "example.com", self.city.clock.now());
        used.await.unwrap().octets
    }

    /// Somebody writes until nothing fits any more, and there is nothing to fit into.
    async fn fill_up(&mut self) {
        let mut octets = 200_000;
        while octets > 1 {
            self.look(0).await;
            if self.write(&[0], octets).await == 0 {
                octets /= 2;
            }
        }
        let left = OCTETS_MAX - self.octets().await;
        assert!(
            left < FRAME_MAX,
            "seed {}: {left} cannot be used",
            self.seed
        );
    }
}

fn bounded_octets(is_chained: bool) -> BackendConfig {
    let mut config = serving();
    config.policy.domain.octets_max = Some(OCTETS_MAX);
    config.version_chain = is_chained;
    config
}

async fn octets_hold(seed: u64, is_chained: bool, is_faulty: bool) {
    let mut story = Story::begin(bounded_octets(is_chained), seed, is_faulty).await;
    for step in 0..400 {
        let count = 1 + story.dice.below(4).min(story.people.len() - 1);
        let first = story.dice.below(story.people.len());
        let who: Vec<usize> = (0..count)
            .map(|one| (first + one) % story.people.len())
            .collect();
        story.write(&who, 200_000).await;
        let octets = story.octets().await;
        assert!(octets <= OCTETS_MAX, "seed {seed}, step {step}: {octets}");
        if step % 20 == 19 {
            story.purge(3).await;
            while story.people.len() < 6 {
                let before = story.people.len();
                story.settle().await;
                assert!(story.people.len() > before, "seed {seed}: there is room");
            }
        }
        if step % 100 == 50 {
            story.replace_node().await;
        }
    }
    assert!(
        story.refused > 50,
        "the limit was met {} times",
        story.refused
    );
    story.is_faulty = false;
    story.fill_up().await;
    used(&story.city.store, story.city.clock.now()).await;
}

//
#[actix::test]
async fn nodes_never_store_more_octets_than_a_domain_may_have_and_all_of_them_can_be_used() {
    octets_hold(1, false, false).await;
}

#[actix::test]
async fn octets_hold_where_the_fence_is_not_read() {
    octets_hold(2, true, false).await;
}

#[actix::test]
async fn octets_hold_where_commits_are_lost_late_or_overtaken() {
    octets_hold(3, false, true).await;
}

#[actix::test]
async fn octets_hold_where_the_fence_is_not_read_and_commits_are_lost_late_or_overtaken() {
    octets_hold(4, true, true).await;
}

impl Story {
    /// Some people send a message each at the same moment; says how many may.
    async fn send(&mut self, who: &[usize]) -> u64 {
        let now = self.city.clock.now();
        let mut requests = Vec::new();
        for one in who {
            self.written += 1;
            let message = sealed(&format!("M{}", self.written), 10);
            let recipient = vec!["dave@elsewhere.example".to_owned()];
            requests.push(
                self.people[*one]
                    .person
                    .post(now, &recipient, vec![message]),
            );
        }
        self.faults();
        let people = &self.people;
        let asked = who.iter().zip(requests);
        let asked = asked.map(|(one, request)| self.city.asked(&people[*one].person, request));
        let outcomes = join_all(asked).await;
        self.no_faults().await;
        let count = |code| outcomes.iter().filter(|one| **one == Some(code)).count() as u64;
        self.refused += count(Code::RateLimited);
        count(Code::Ok)
    }

    async fn sent(&self) -> u64 {
        let used = usage_of(&self.city.store, "example.com", self.city.clock.now());
        used.await.unwrap().messages
    }
}

async fn messages_hold(seed: u64, is_chained: bool, is_faulty: bool) {
    let mut config = serving();
    config.policy.domain.messages_per_day_max = Some(MESSAGES_MAX);
    config.version_chain = is_chained;
    let mut story = Story::begin(config, seed, is_faulty).await;
    let mut accepted = 0;
    for step in 0..200 {
        let count = 1 + story.dice.below(5);
        let first = story.dice.below(8);
        let who: Vec<usize> = (0..count).map(|one| (first + one) % 8).collect();
        accepted += story.send(&who).await;
        let sent = story.sent().await;
        assert!(sent <= MESSAGES_MAX, "seed {seed}, step {step}: {sent}");
        assert!(
            sent >= accepted,
            "seed {seed}, step {step}: {sent} of {accepted}"
        );
        if step % 40 == 39 {
            // All of a day can be used, and the next day begins with nothing.
            story.is_faulty = false;
            for one in 0..MESSAGES_MAX - sent {
                let one = usize::try_from(one % 8).unwrap();
                assert_eq!(story.send(&[one]).await, 1, "seed {seed}, step {step}");
            }
            assert_eq!(story.send(&[0, 1, 2]).await, 0, "seed {seed}, step {step}");
            assert_eq!(story.sent().await, MESSAGES_MAX);
            story.is_faulty = is_faulty;
            story.city.clock.advance(DAY);
            story.city.pass(Duration::from_secs(5)).await;
            accepted = 0;
        }
        if step % 100 == 50 {
            story.replace_node().await;
        }
    }
    assert!(
        story.refused > 20,
        "the limit was met {} times",
        story.refused
    );
}

//
#[actix::test]
async fn nodes_never_send_more_messages_on_a_day_than_a_domain_may_and_all_of_them_can_be_sent() {
    messages_hold(1, false, false).await;
}

#[actix::test]
async fn messages_hold_where_the_fence_is_not_read_and_commits_are_lost_late_or_overtaken() {
    messages_hold(2, true, true).await;
}
