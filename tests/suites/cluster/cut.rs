//! Networks that break: between a back-end and the store, which costs it what it owns, and between front-ends
//! and a back-end that is alive and well (cluster §18 rows 3 and 4).

use mesh_tests::cluster::{Plan, Role};
use mesh_tests::proxy::Weather;

use super::crowd::events::{Deed, vain};
use super::crowd::{Manner, eventually, moment};
use super::scene::{Scene, owned, wait_until_all_is_owned};

/// Nothing passes, and nobody is told.
const HELD: Weather = Weather {
    delay: std::time::Duration::ZERO,
    rate: None,
    holds: true,
};

#[test]
fn a_back_end_that_is_cut_off_from_the_store_loses_what_it_owns_and_does_no_harm_when_it_is_back() {
    let mut scene = Scene::begin(Plan::default());
    if scene.cluster.ground().server().is_none() {
        println!("cut: left out over a real cluster, whose network is not ours");
        return;
    }
    let victim = scene.backends()[0];
    let (of_victim, all) = (scene.accounts_of(victim), scene.addresses());

    let Scene { cluster, crowd, .. } = &mut scene;
    let (took, events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(40);
        let cut = moment();
        let way = cluster.member(victim).way().expect("it has one");
        way.set(HELD);
        progress.wait_for_each("writes resume elsewhere", &of_victim, Deed::writes);
        let took = moment() - cut;
        // What it had sent arrives now.
        way.set(Weather::default());
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
        progress.wait_for_more(40);
        took
    });
    println!(
        "cut off from the store: writes resumed after {took:?}; in vain: {:?}",
        vain(&events)
    );
    wait_until_all_is_owned(&scene.cluster);
    let totals = scene.end();
    println!("cut off from the store: {totals:?}");
}

#[test]
fn a_back_end_that_front_ends_cannot_reach_is_read_past_and_keeps_what_it_owns() {
    let mut scene = Scene::begin(Plan::default());
    let victim = scene.backends()[0];
    let (of_victim, all) = (scene.accounts_of(victim), scene.addresses());
    let read = scene.read_accounts(&of_victim);
    let before = owned(&scene.cluster, victim);

    let Scene { cluster, crowd, .. } = &mut scene;
    let ((cut, healed), events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(40);
        let cut = moment();
        let door = cluster.member(victim).door();
        door.lead_to(None);
        door.cut();
        let reads = |deed| matches!(deed, Deed::Status | Deed::Download);
        progress.wait_for_each("reads go on", &read, reads);
        let is_inbound = |deed| deed == Deed::Inbound;
        progress.wait_for_each("posts of others go on", &of_victim, is_inbound);
        let healed = moment();
        door.lead_to(Some(cluster.member(victim).link()));
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
        (cut, healed)
    });
    let meanwhile = events
        .iter()
        .filter(|event| event.began >= cut && event.ended <= healed);
    println!(
        "unreachable: {} deeds in {:?}; in vain: {:?}",
        meanwhile.count(),
        healed - cut,
        vain(&events)
    );
    let after = owned(&scene.cluster, victim);
    assert_eq!(before, after, "it is alive, so nobody takes from it");
    assert!(eventually(|| scene.cluster.measured(
        Role::Backend,
        "mesh_partitions_owned",
        ""
    ) == super::scene::partitions()));
    let totals = scene.end();
    println!("unreachable: {totals:?}");
}
