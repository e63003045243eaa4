//! What domains use stays right whoever owns their accounts, and however an owner ended (cluster §9).

use super::*;
use crate::tests::usage::used;

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

    // It comes back, gets some of them again, and stands still while the other one takes over.
    city.join(1).await;
    city.pass(Duration::from_secs(60)).await;
    let somebody = city.somebody_at(1).await;
    assert_eq!(city.stored(1, &somebody, 1).await, Code::Ok);
    let frozen = city.nodes.remove(&1).unwrap();
    city.pass(bound() * 2).await;
    assert_eq!(city.stored(2, &somebody, 2).await, Code::Ok);
    let theirs = used(&city.store, city.clock.now()).await;
    city.nodes.insert(1, frozen);
    assert!(city.upload(1, &somebody, 2, b"stale").await.is_err());
    assert_eq!(used(&city.store, city.clock.now()).await, theirs);

    city.pass(Duration::from_secs(60)).await;
    let owner = city.owners(home(&somebody))[0];
    assert_eq!(city.stored(owner, &somebody, 3).await, Code::Ok);
    assert!(used(&city.store, city.clock.now()).await.octets > theirs.octets);
    assert_eq!(theirs.accounts, 3);
}
