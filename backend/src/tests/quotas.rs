//! What a domain may use together, at one node: what is refused, what never is, and what a limit costs (cluster §9).

use mesh_common::account::DomainLimits;
use mesh_common::limits::DELETED_DATA_KEPT;

use super::posting::{sealed, serving};
use super::usage::used;
use super::*;
use crate::desk::DomainDesk as _;
use crate::store::{Read, Tx as _, TxOptions, keys};
use crate::usage::rows::UsageRow;

const DOMAIN: &str = "example.com";
const ELSEWHERE: &str = "dave@elsewhere.example";
const MIB: u64 = 1024 * 1024;

fn octets_at_most(octets: u64) -> BackendConfig {
    let mut config = serving();
    config.policy.domain.octets_max = Some(octets);
    config
}

fn messages_at_most(messages: u64) -> BackendConfig {
    let mut config = serving();
    config.policy.domain.messages_per_day_max = Some(messages);
    config
}

fn bookmark(index: u64, octets: usize) -> Vec<u8> {
    let mut payload = vec![7; octets];
    payload[..8].copy_from_slice(&index.to_be_bytes());
    payload
}

impl<S: Store> Scene<S> {
    async fn write(&self, person: &Person, index: u64, octets: usize) -> Code {
        let payload = bookmark(index, octets);
        self.ask(person.upload(self.now(), index, &[&payload]))
            .await
            .0
    }

    async fn send_all(&self, person: &Person, ids: &[&str]) -> Result<Answer, CallFailure> {
        let messages = ids.iter().map(|id| sealed(id, 10)).collect();
        let request = person.post(self.now(), &[ELSEWHERE.to_owned()], messages);
        self.perform(request).await
    }

    async fn row(&self, person: &Person) -> UsageRow {
        let key = keys::usage(DOMAIN, PartitionId::of(&person.address));
        let tx = self.store.begin(TxOptions::default());
        let found = tx.get(&key, Read::Snapshot).await.unwrap();
        UsageRow::of(found.as_deref()).unwrap()
    }

    fn grants(&self) -> u64 {
        self.backend.metrics().escrow.grants.get()
    }
}

//
#[actix::test]
async fn what_one_partition_was_granted_and_does_not_use_another_one_gets() {
    let scene = Scene::over(MemoryStore::new(), octets_at_most(2 * MIB)).await;
    let [alice, bob] = ["alice", "bob"].map(Person::new);
    scene.settle(&alice).await;
    scene.settle(&bob).await;
    assert_eq!(scene.row(&alice).await.grants.octets.max, 2 * MIB);
    for index in 1..=10 {
        assert_eq!(scene.write(&alice, index, 190_000).await, Code::Ok);
    }
    // All that is left is for him who asks, the rest of what alice was granted with it.
    let before = used(&scene.store, scene.now()).await.octets;
    let rest = usize::try_from(2 * MIB - before).unwrap();
    assert_eq!(scene.write(&bob, 1, rest).await, Code::QuotaExceeded);
    assert_eq!(scene.write(&bob, 1, rest - 1_000).await, Code::Ok);
    assert_eq!(scene.write(&alice, 11, 1_000).await, Code::QuotaExceeded);
    let after = used(&scene.store, scene.now()).await.octets;
    assert!(after > before && after <= 2 * MIB, "{after}");
    // What is purged can be used by whoever comes.
    assert_eq!(scene.ask(alice.delete(scene.now())).await.0, Code::Ok);
    scene.clock.advance(DELETED_DATA_KEPT);
    scene.backend.tend().await;
    assert_eq!(scene.write(&bob, 2, 200_000).await, Code::Ok);
    used(&scene.store, scene.now()).await;
}

//
#[actix::test]
async fn within_what_is_granted_nobody_is_asked() {
    let scene = Scene::over(MemoryStore::new(), octets_at_most(1 << 40)).await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    let (granted, change) = (scene.grants(), scene.row(&alice).await.change);
    assert_eq!(granted, 1);
    for index in 1..=20 {
        assert_eq!(scene.write(&alice, index, 100_000).await, Code::Ok);
    }
    assert_eq!(scene.row(&alice).await.change, change + 20);
    assert_eq!(scene.grants(), granted, "64 MiB are granted at once");
}

#[actix::test]
async fn a_domain_without_a_limit_has_the_rows_that_it_always_had() {
    let scene = Scene::over(MemoryStore::new(), serving()).await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    assert_eq!(scene.write(&alice, 1, 100_000).await, Code::Ok);
    let row = scene.row(&alice).await;
    assert_eq!((row.encode().len(), scene.grants()), (41, 0));
    let tx = scene.store.begin(TxOptions::default());
    let home = PartitionId::of(&alice.address);
    for key in [keys::recalls(home), keys::domain_turn(DOMAIN)] {
        assert_eq!(tx.get(&key, Read::Snapshot).await.unwrap(), None);
    }
}

//
#[actix::test]
async fn a_limit_below_what_is_stored_loses_nothing_and_refuses_growth_alone() {
    let mut scene = Scene::over(MemoryStore::new(), octets_at_most(8 * MIB)).await;
    let [alice, bob] = ["alice", "bob"].map(Person::new);
    scene.settle(&alice).await;
    scene.settle(&bob).await;
    for index in 1..=10 {
        assert_eq!(scene.write(&alice, index, 190_000).await, Code::Ok);
    }
    scene.backend.stop().await;
    // What was granted under the other limit is granted no more.
    scene.backend = start(&scene.store, octets_at_most(MIB), &scene.clock).await;
    let before = used(&scene.store, scene.now()).await;
    assert_eq!(scene.write(&alice, 11, 100).await, Code::QuotaExceeded);
    assert_eq!(scene.write(&bob, 1, 100).await, Code::QuotaExceeded);
    let carol = Person::new("carol");
    assert_eq!(scene.ask(carol.create(scene.now())).await.0, Code::Refused);
    assert_eq!(used(&scene.store, scene.now()).await, before);
    assert_eq!(scene.payloads(&alice).await.len(), 11);
    // What gives space back is taken, though it takes some.
    let (code, _) = scene
        .ask(alice.remove(scene.now(), 11, &bookmark(1, 190_000)))
        .await;
    assert_eq!(code, Code::Ok);
    assert!(used(&scene.store, scene.now()).await.octets > before.octets);
    assert_eq!(scene.ask(alice.delete(scene.now())).await.0, Code::Ok);
    scene.clock.advance(DELETED_DATA_KEPT);
    scene.backend.tend().await;
    assert_eq!(scene.write(&bob, 1, 100).await, Code::Ok);
    scene.create(&carol).await;
    used(&scene.store, scene.now()).await;
}

//
#[actix::test]
async fn a_message_to_an_account_of_a_full_domain_is_refused_and_its_sender_learns_so() {
    let scene = Scene::over(MemoryStore::new(), octets_at_most(MIB)).await;
    let [alice, bob] = ["alice", "bob"].map(Person::new);
    scene.settle(&alice).await;
    scene.settle(&bob).await;
    scene.leave(&[left_entry(&alice, &bob, 1)]).await;
    scene.drain().await;
    assert_eq!(scene.inbound(&bob).await.len(), 1);
    let (mut index, mut octets) = (1, 200_000);
    while octets > 8 {
        match scene.write(&alice, index, octets).await {
            Code::Ok => index += 1,
            refused => {
                assert_eq!(refused, Code::QuotaExceeded);
                octets /= 2;
            }
        }
    }
    let full = used(&scene.store, scene.now()).await.octets;
    assert!(full <= MIB, "{full}");
    scene.leave(&[left_entry(&alice, &bob, 2)]).await;
    scene.drain().await;
    assert_eq!(scene.inbound(&bob).await.len(), 1);
    let entries = &scene.backend.metrics().intake_entries;
    assert_eq!(entries.with_label_values(&["quota"]).get(), 1);
    // What tells her is the service's, and there is always room for it.
    assert_eq!(entries.with_label_values(&["told"]).get(), 2);
    assert!(used(&scene.store, scene.now()).await.octets > full);
}

//
#[actix::test]
async fn of_a_day_as_many_messages_are_sent_as_may_be_and_the_next_day_as_many_again() {
    let scene = Scene::over(MemoryStore::new(), messages_at_most(5)).await;
    let [alice, bob] = ["alice", "bob"].map(Person::new);
    scene.create(&alice).await;
    scene.create(&bob).await;
    let code = |outcome: &Result<Answer, CallFailure>| code_of(outcome);
    assert_eq!(code(&scene.send_all(&alice, &["1", "2"]).await), Code::Ok);
    assert_eq!(code(&scene.send_all(&bob, &["3", "4"]).await), Code::Ok);
    let refused = scene.send_all(&alice, &["5", "6"]).await;
    assert_eq!(
        code(&refused),
        Code::RateLimited,
        "two at once are too many"
    );
    let noon = Duration::from_secs(12 * 3_600);
    assert_eq!(refused.unwrap().retry_after, Some(noon));
    assert_eq!(code(&scene.send_all(&alice, &["7"]).await), Code::Ok);
    assert_eq!(code(&scene.send_all(&bob, &["8"]).await), Code::RateLimited);
    // The same again is no other message.
    assert_eq!(code(&scene.send_all(&bob, &["3", "4"]).await), Code::Ok);
    scene.clock.advance(noon);
    assert_eq!(code(&scene.send_all(&bob, &["8"]).await), Code::Ok);
    assert_eq!(used(&scene.store, scene.now()).await.messages, 1);
}

#[actix::test]
async fn operators_are_shown_what_a_domain_may_use() {
    let mut config = serving();
    config.policy.domain = DomainLimits {
        accounts_max: None,
        octets_max: Some(MIB),
        messages_per_day_max: Some(5),
    };
    let scene = Scene::over(MemoryStore::new(), config).await;
    let view = scene.backend.domain(DOMAIN).await.unwrap();
    let limits = (view.octets_max, view.messages_per_day_max);
    assert_eq!(limits, (Some(MIB), Some(5)));
}
