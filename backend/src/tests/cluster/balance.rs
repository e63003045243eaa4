//! Nodes come and go in an orderly way: everything has one owner, and nothing is lost on the way.

use futures_util::FutureExt as _;
use mesh_common::cluster::{Fence, RoutingTable};
use mesh_common::limits::PARTITIONS;

use super::*;
use crate::cluster::NoNeighbours;

#[actix::test]
async fn the_first_node_owns_everything_and_the_second_takes_its_share() {
    let mut city = City::of(1).await;
    assert_eq!(city.shares()[&1], usize::from(SHARED));
    let alice = city.somebody_at(1).await;
    city.join(2).await;
    city.pass(Duration::from_secs(9)).await;
    assert_eq!(city.shares()[&2], 0, "nothing moves before it is calm");
    city.pass(Duration::from_secs(10)).await;
    let shares = city.shares();
    assert!((8..=24).contains(&shares[&2]), "{shares:?}");
    let owner = city.owners(home(&alice))[0];
    let (code, _) = city
        .scene(owner)
        .ask(alice.upload(city.scene(owner).now(), 1, &[b"on"]))
        .await;
    assert_eq!(code, Code::Ok);
}

// P-3.2-a
#[actix::test]
async fn whoever_asks_the_wrong_node_is_told_the_right_one_and_may_read_anywhere() {
    let city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    let moved = city.upload(2, &alice, 1, b"x").await;
    assert_eq!(named(&moved), city.scene(1).backend.node());
    assert!(city.upload(1, &alice, 1, b"x").await.is_ok());
    let (here, there) = (city.scene(1), city.scene(2));
    assert_eq!(there.status(&alice).await, here.status(&alice).await);
    assert_eq!(there.payloads(&alice).await, here.payloads(&alice).await);
    let loaded = &there.backend.metrics().accounts_loaded;
    assert_eq!(loaded.get(), 0, "nothing of it is kept");
}

#[actix::test]
async fn a_third_node_takes_a_third_and_no_request_fails() {
    let mut city = City::of(2).await;
    let mut people = Vec::new();
    for number in 0..12 {
        people.push(city.somebody_at(1 + number % 2).await);
    }
    let before = city.shares();
    city.join(3).await;
    for round in 1..=60 {
        city.pass(Duration::from_millis(500)).await;
        for person in &people {
            // A front-end goes where it is sent, as often as it takes.
            let mut outcome = city.upload(1, person, round, &[round as u8]).await;
            for other in [2, 3] {
                if matches!(outcome, Err(CallFailure::Moved(_))) {
                    outcome = city.upload(other, person, round, &[round as u8]).await;
                }
            }
            assert_eq!(code_of(&outcome), Code::Ok, "{}", person.address);
        }
    }
    let after = city.shares();
    assert!((4..=18).contains(&after[&3]), "{after:?}");
    let lost: usize = [1, 2].map(|one| before[&one] - after[&one]).iter().sum();
    assert_eq!(lost, after[&3], "nothing moves between the others");
    for person in &people {
        assert_eq!(city.scene(3).payloads(person).await.len(), 61);
    }
}

#[actix::test]
async fn a_node_that_leaves_lets_go_of_everything_and_is_gone() {
    let mut city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    assert!(city.upload(1, &alice, 1, b"before").await.is_ok());
    city.scene(1).backend.begin_to_leave();
    city.pass(Duration::from_secs(3)).await;
    assert_eq!(city.shares()[&2], usize::from(SHARED));
    let held = city.scene(1).backend.holdings().unwrap();
    assert!(held.is_leaving && held.has_left && held.partitions == 0);
    let routes = city.scene(2).backend.told().routes;
    assert_eq!(routes.nodes.len(), 1, "its record is gone");
    assert!(city.upload(2, &alice, 2, b"after").await.is_ok());
    let moved = city.upload(1, &alice, 3, b"late").await;
    assert!(matches!(moved, Err(CallFailure::Moved(_))));
    assert_eq!(city.scene(1).payloads(&alice).await[2], b"after");
    assert!(city.scene(1).backend.ready().await.is_err());
}

#[actix::test]
async fn a_commit_in_flight_is_answered_before_its_partition_is_let_go_of() {
    let mut city = City::over(GatedStore::new(), 2).await;
    let alice = city.somebody_at(1).await;
    city.store.close();
    let upload = alice.upload(city.scene(1).now(), 1, &[b"in flight"]);
    let backend = city.scene(1).backend.clone();
    let flying = actix::spawn(async move { backend.perform(Verified::declare(upload)).await });
    city.store.arrived().await;
    let (one, partition) = (city.scene(1).backend.clone(), home(&alice));
    let fence = fence_of(&city, 1, partition);
    let letting_go = actix::spawn(async move {
        one.inner.let_go_of_partition(partition, fence).await;
    });
    // What comes now is sent away at once, while the commit is still in flight.
    while city.scene(1).backend.is_open(partition) {
        tokio::task::yield_now().await;
    }
    let late = city.upload(1, &alice, 2, b"late").await;
    assert!(matches!(late, Err(CallFailure::Moved(None))), "{late:?}");
    assert!(!letting_go.is_finished());
    city.store.open();
    letting_go.await.unwrap();
    assert_eq!(code_of(&flying.await.unwrap()), Code::Ok);
    assert!(city.owners(partition).is_empty());
    assert_eq!(city.scene(1).payloads(&alice).await[1], b"in flight");
    city.pass(Duration::from_secs(1)).await;
}

fn fence_of<S: Store>(city: &City<S>, number: u8, partition: PartitionId) -> Fence {
    let routes = city.scene(number).backend.told().routes;
    routes.owners[&partition.into()].fence
}

#[actix::test]
async fn everybody_who_is_linked_is_told_of_every_change() {
    let mut city = City::of(1).await;
    let alice = city.somebody_at(1).await;
    let before = city.scene(1).backend.told();
    let backend = city.scene(1).backend.clone();
    let news = backend.told_anew(before.revision);
    assert!(news.now_or_never().is_none());
    let again = backend.told_anew(0).await;
    assert_eq!(again.revision, before.revision);
    let owner = |routes: &RoutingTable| routes.owner(unit(&alice)).map(|(id, _)| id);
    assert_eq!(owner(&before.routes), city.scene(1).backend.node());
    city.join(2).await;
    city.pass(Duration::from_secs(20)).await;
    let after = backend.told_anew(before.revision).await;
    assert_eq!(after.routes.nodes.len(), 2);
    let here = city.owners(home(&alice))[0];
    assert_eq!(owner(&after.routes), city.scene(here).backend.node());
    backend.tell_secrets(Vec::new());
    assert!(backend.told().revision > after.revision);
}

#[actix::test]
async fn nodes_that_run_by_themselves_share_leave_and_let_nobody_wait() {
    let store = MemoryStore::new();
    let clock = || Arc::new(StoryClock(AtomicI64::new(1_770_000_000_000)));
    let join = |seed: u64| {
        let times = Times {
            heartbeat: Duration::from_millis(50),
            poll: Duration::from_millis(50),
            lease: Duration::from_secs(60),
            takeover: Duration::from_secs(10),
        };
        let cluster = ClusterConfig {
            roles: Roles {
                backend: true,
                outbound: false,
            },
            times,
            ..ClusterConfig::default()
        };
        BackendHandle::join(
            BackendConfig::default(),
            cluster,
            store.clone(),
            clock(),
            SeededEntropy::new(seed),
            service_keys(),
            Arc::new(NoNeighbours),
        )
    };
    let first = join(1).await.unwrap();
    let owned = |backend: &BackendHandle<MemoryStore>| backend.holdings().unwrap().partitions;
    let mut told = first.told();
    while owned(&first) < usize::from(PARTITIONS) {
        told = first.told_anew(told.revision).await;
    }
    let alice = Person::new("alice");
    let now = clock().now();
    let created = first.perform(Verified::declare(alice.create(now))).await;
    assert_eq!(code_of(&created), Code::Ok);
    let second = join(2).await.unwrap();
    let mut told = second.told();
    while told.routes.nodes.len() < 2 {
        told = second.told_anew(told.revision).await;
    }
    first.stop().await;
    assert!(first.holdings().unwrap().has_left);
    while owned(&second) < usize::from(PARTITIONS) {
        told = second.told_anew(told.revision).await;
    }
    let upload = alice.upload(now, 0, &[b"on"]);
    let on = second.perform(Verified::declare(upload)).await;
    assert_eq!(code_of(&on), Code::Ok);
    let released = &second.metrics().cluster.takeovers;
    let released = released.with_label_values(&["released"]).get();
    assert_eq!(
        released,
        u64::from(PARTITIONS),
        "nothing was taken by force"
    );
    second.refresh_measures().await;
    assert!(second.metrics().cluster.heartbeat_age.get() < 60.0);
    second.stop().await;
}
