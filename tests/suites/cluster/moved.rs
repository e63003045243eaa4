//! Planned moves: a third back-end beside two, and every process stopped and started again in turn, as an
//! upgrade does. Nothing fails that a client's one retry does not cure (cluster §4.7, §15).
//!
//! With `MESH_PATIENT` set, the third back-end is waited for until it has its third.

use mesh_tests::cluster::{Plan, Role};

use super::crowd::events::{one_retry_cures, percentile, vain};
use super::crowd::{Manner, eventually};
use super::scene::{Scene, owned, partitions, wait_until_all_is_owned};
use super::stretches::Stretches;

/// Partitions that have moved when the short form ends.
const SOME: f64 = 12.0;

#[test]
fn a_third_back_end_takes_its_share_and_no_request_fails() {
    let is_patient = std::env::var_os("MESH_PATIENT").is_some();
    let share = partitions() / 3.0;
    let enough = if is_patient { 0.85 * share } else { SOME };
    let mut scene = Scene::begin(Plan::default());
    let idle = scene.cluster.add(Role::Frontend);
    let third = scene.cluster.add(Role::Backend);

    let Scene { cluster, crowd, .. } = &mut scene;
    let (stretches, events) = crowd.beside(Manner::Polite, |progress| {
        let mut stretches = Stretches::default();
        let deeds = |one: usize| if is_patient { 4 * one } else { one };
        stretches.begin("before", cluster);
        progress.wait_for_more(deeds(80));
        // For comparison: a process that starts on the same machine and has nothing to do with anybody.
        stretches.begin("another starts", cluster);
        cluster.member_mut(idle).start();
        progress.wait_for_more(deeds(40));
        cluster.member_mut(idle).stop();
        stretches.begin("in between", cluster);
        progress.wait_for_more(deeds(40));
        stretches.begin("the third starts", cluster);
        cluster.member_mut(third).start();
        progress.wait_for_more(deeds(40));
        stretches.begin("it is looked at", cluster);
        let owns = |count: f64| eventually(|| owned(cluster, third) >= count);
        assert!(owns(1.0), "the third back-end owns nothing");
        stretches.begin("it takes its share", cluster);
        assert!(
            owns(enough),
            "the third back-end owns {}",
            owned(cluster, third)
        );
        progress.wait_for_more(40);
        stretches.begin("afterwards", cluster);
        stretches
    });
    println!(
        "moved: {} of {} partitions; {} deeds, in vain: {:?}",
        owned(&scene.cluster, third),
        partitions(),
        events.len(),
        vain(&events),
    );
    for figures in stretches.figures(&events) {
        println!("moved: {figures}");
    }
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
