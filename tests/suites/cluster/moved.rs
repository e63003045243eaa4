//! Planned moves: a third back-end beside two, and every process stopped and started again in turn, as an
//! upgrade does. Nothing fails that a client's one retry does not cure (cluster §4.7, §15).
//!
//! With `MESH_PATIENT` set, the third back-end is waited for until it has its third.

use mesh_tests::cluster::{Plan, Role};

use super::crowd::events::{Event, one_retry_cures, percentile, vain};
use super::crowd::{Manner, eventually, moment};
use super::scene::{Scene, owned, partitions, wait_until_all_is_owned};

/// Partitions that have moved when the short form ends.
const SOME: f64 = 12.0;

#[test]
fn a_third_back_end_takes_its_share_and_no_request_fails() {
    let is_patient = std::env::var_os("MESH_PATIENT").is_some();
    let share = partitions() / 3.0;
    let enough = if is_patient { 0.85 * share } else { SOME };
    let mut scene = Scene::begin(Plan::default());
    let third = scene.cluster.add(Role::Backend);

    let Scene { cluster, crowd, .. } = &mut scene;
    let (added, events) = crowd.beside(Manner::Polite, |progress| {
        progress.wait_for_more(80);
        let added = moment();
        cluster.member_mut(third).start();
        assert!(
            eventually(|| owned(cluster, third) >= enough),
            "the third back-end owns {}",
            owned(cluster, third)
        );
        progress.wait_for_more(40);
        added
    });
    let (before, during): (Vec<&Event>, Vec<&Event>) =
        events.iter().partition(|event| event.ended < added);
    println!(
        "moved: {} of {} partitions; 99 in 100 took {:?} before and {:?} meanwhile; {} deeds, in vain: {:?}",
        owned(&scene.cluster, third),
        partitions(),
        percentile(before.into_iter()),
        percentile(during.into_iter()),
        events.len(),
        vain(&events),
    );
    one_retry_cures(&events);
    assert!(
        owned(&scene.cluster, third) <= 1.25 * share,
        "it owns more than its share"
    );
    let totals = scene.end();
    println!("moved: {totals:?}");
}

#[test]
fn an_upgrade_of_every_process_in_turn_goes_unnoticed() {
    let mut scene = Scene::begin(Plan::default());
    let members = scene.cluster.members().len();

    let Scene { cluster, crowd, .. } = &mut scene;
    let ((), events) = crowd.beside(Manner::Polite, |progress| {
        progress.wait_for_more(40);
        for member in 0..members {
            cluster.member_mut(member).restart();
            wait_until_all_is_owned(cluster);
            progress.wait_for_more(20);
        }
    });
    println!(
        "upgraded: {members} processes, {} deeds; 99 in 100 took {:?}; in vain: {:?}",
        events.len(),
        percentile(events.iter()),
        vain(&events),
    );
    one_retry_cures(&events);
    let totals = scene.end();
    println!("upgraded: {totals:?}");
}
