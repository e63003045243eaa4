//! A back-end that is frozen (SIGSTOP) until others have taken what it owned, and goes on as if no time had
//! passed: not one stale write, and whoever asks it is sent on (cluster §18 rows 2 and 14).
//!
//! `MESH_PAUSE` sets for how many seconds it is frozen at least: 0 unless set, so that it wakes as soon as all
//! of its accounts are written to elsewhere; 30 in the long form.

use std::time::Duration;

use mesh_tests::cluster::{Plan, Role};

use super::crowd::events::{Deed, vain};
use super::crowd::{Manner, eventually, moment};
use super::scene::{Scene, number_of};

#[test]
fn a_back_end_that_was_frozen_writes_nothing_stale_when_it_wakes() {
    let frozen_for = Duration::from_secs(number_of("MESH_PAUSE", 0));
    let mut scene = Scene::begin(Plan::default());
    let victim = scene.backends()[0];
    let (of_victim, all) = (scene.accounts_of(victim), scene.addresses());

    let Scene { cluster, crowd, .. } = &mut scene;
    let ((paused, woke), events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(40);
        let paused = moment();
        cluster.member_mut(victim).pause();
        progress.wait_for_each("writes resume elsewhere", &of_victim, Deed::writes);
        progress.wait_until("the pause is over", |_| moment() - paused >= frozen_for);
        let woke = moment();
        cluster.member_mut(victim).wake();
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
        progress.wait_for_more(80);
        (paused, woke)
    });
    // It knows by now that it owns nothing of what it had: it is another one's, or was given back.
    let owned = || cluster.measured(Role::Backend, "mesh_partitions_owned", "");
    assert!(
        eventually(|| owned() == super::scene::partitions()),
        "{} partitions are owned",
        owned()
    );
    let after = events.iter().filter(|event| event.began >= woke);
    println!(
        "paused: frozen for {:?}; {} deeds before, {} meanwhile, {} after it woke; fenced off: {}; in vain: {:?}",
        woke - paused,
        events.iter().filter(|event| event.ended < paused).count(),
        events
            .iter()
            .filter(|event| event.ended >= paused && event.began < woke)
            .count(),
        after.count(),
        cluster.measured(Role::Backend, "mesh_fence_rejections_total", ""),
        vain(&events),
    );
    let totals = scene.end();
    println!("paused: {totals:?}");
}
