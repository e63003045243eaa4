//! What domains use stays right whoever owns their accounts, and however an owner ended (cluster §9).

use super::*;
use crate::tests::usage::{at_most, used};
use crate::usage::report::usage_of;

impl<S: Store> City<S> {
    /// What node `number` answers to an Upload of one bookmark at `index`, unlike any other.
    async fn stored(&self, number: u8, person: &Person, index: u64) -> Code {
        let answer = self
            .upload(number, person, index, &index.to_be_bytes())
            .await;
        let answer = answer.unwrap();
        answer.response.outcome().code().unwrap()
    }
}

#[actix::test]
async fn what_a_domain_uses_is_right_after_its_owner_died_slept_or_let_go() {
    let mut city = City::of(2).await;
    let (alice, bob) = (city.somebody_at(1).await, city.somebody_at(2).await);
    for index in 1..=3 {
        assert_eq!(city.stored(1, &alice, index).await, Code::Ok);
        assert_eq!(city.stored(2, &bob, index).await, Code::Ok);
    }
    let before = used(&city.store, city.clock.now()).await;
    assert_eq!(before.accounts, 2);
    city.kill(1);
    city.pass(bound() * 2).await;
    assert_eq!(city.stored(2, &alice, 4).await, Code::Ok);
    let after = used(&city.store, city.clock.now()).await;
    assert!(after.octets > before.octets, "{after:?}");

    // Another one comes, gets some of them, and stands still while the other one takes over.
    city.join(3).await;
    city.pass(Duration::from_secs(60)).await;
    let somebody = city.somebody_at(3).await;
    assert_eq!(city.stored(3, &somebody, 1).await, Code::Ok);
    let frozen = city.nodes.remove(&3).unwrap();
    city.pass(bound() * 2).await;
    assert_eq!(city.stored(2, &somebody, 2).await, Code::Ok);
    let theirs = used(&city.store, city.clock.now()).await;
    city.nodes.insert(3, frozen);
    assert!(city.upload(3, &somebody, 2, b"stale").await.is_err());
    assert_eq!(used(&city.store, city.clock.now()).await, theirs);

    city.pass(Duration::from_secs(60)).await;
    let owner = city.owners(home(&somebody))[0];
    assert_eq!(city.stored(owner, &somebody, 3).await, Code::Ok);
    assert!(used(&city.store, city.clock.now()).await.octets > theirs.octets);
    assert_eq!(theirs.accounts, 3);
}

/// Accounts that the domain of these stories may have.
const ACCOUNTS_MAX: u64 = 7;

/// A stream of numbers that is the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

impl<S: Store> City<S> {
    /// Somebody nobody knows, whose home is one of the partitions of these stories.
    pub(super) fn newcomer(&self) -> Person {
        loop {
            let name = self.people.fetch_add(1, Ordering::SeqCst);
            let person = Person::new(&format!("p{name}"));
            if home(&person).0 < SHARED {
                return person;
            }
        }
    }

    /// What the owner of the person's home answers; none if there is none at this moment.
    pub(super) async fn asked(&self, person: &Person, request: AccountRequest) -> Option<Code> {
        let owner = *self.owners(home(person)).first()?;
        let answer = self.scene(owner).perform(request).await.ok()?;
        answer.response.outcome().code()
    }

    async fn accounts(&self) -> u64 {
        let used = usage_of(&self.store, "example.com", self.clock.now());
        used.await.unwrap().accounts
    }
}

//
#[actix::test]
async fn nodes_never_make_more_accounts_than_a_domain_may_have_and_all_of_them_come_back() {
    let mut city = City::with(at_most(ACCOUNTS_MAX), MemoryStore::new(), 2).await;
    let (mut dice, mut here, mut refused) = (Dice(1), Vec::<Person>::new(), 0);
    for step in 0..400 {
        // Most of the time the domain is full, or nearly so.
        if dice.below(3) > 0 {
            let people: Vec<Person> = (0..=dice.below(4)).map(|_| city.newcomer()).collect();
            let now = city.clock.now();
            let asked = people.iter().map(|one| city.asked(one, one.create(now)));
            let outcomes = futures_util::future::join_all(asked).await;
            for (person, outcome) in people.into_iter().zip(outcomes) {
                match outcome {
                    Some(Code::Ok) => here.push(person),
                    Some(Code::Refused) => refused += 1,
                    other => assert_eq!(other, None, "step {step}"),
                }
            }
        } else if !here.is_empty() {
            let person = here.swap_remove(dice.below(here.len()));
            let request = person.delete(city.clock.now());
            let deleted = city.asked(&person, request).await;
            if deleted != Some(Code::Ok) {
                here.push(person);
            }
        }
        let accounts = city.accounts().await;
        assert!(accounts <= ACCOUNTS_MAX, "step {step}: {accounts}");
        assert_eq!(accounts, here.len() as u64, "step {step}");
        if step % 100 == 50 {
            let oldest = *city.nodes.keys().next().unwrap();
            city.kill(oldest);
            city.pass(bound() * 2).await;
            // One of another name: by the same it would draw the same ids again.
            city.join(oldest + 2).await;
            city.pass(Duration::from_secs(30)).await;
        }
    }
    assert!(refused > 50, "the limit was met {refused} times");
    used(&city.store, city.clock.now()).await;
    for person in &here {
        let request = person.delete(city.clock.now());
        assert_eq!(city.asked(person, request).await, Some(Code::Ok));
    }
    for number in 0..ACCOUNTS_MAX + 1 {
        let person = city.newcomer();
        let request = person.create(city.clock.now());
        let expected = match number {
            ACCOUNTS_MAX => Code::Refused,
            _ => Code::Ok,
        };
        assert_eq!(city.asked(&person, request).await, Some(expected));
    }
}
