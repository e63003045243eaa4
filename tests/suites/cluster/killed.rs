//! `kill -9` of a back-end under load: writes to its accounts resume within the failover bound; Status, Download
//! and Posts of other services go on throughout (cluster §18 row 1). And of the process that sends: everything
//! it was to send arrives once.

use std::time::{Duration, Instant};

use mesh_tests::cluster::{Cluster, Pace, Plan, Role};

use super::crowd::events::{Deed, Event, percentile, vain};
use super::crowd::{Manner, moment};
use super::scene::{Scene, wait_until_all_is_owned};

/// So many times the bound a write may take here: the machines that run this are busy with other things.
const MARGIN: u32 = 5;

/// How somebody who asks a cluster with a killed back-end fares.
struct Fared {
    /// From the kill to the first write that was acknowledged, for the account that waited longest.
    resumed: Duration,
    /// Things that were done meanwhile for the accounts that had no owner.
    meanwhile: usize,
}

#[test]
fn when_a_back_end_is_killed_writes_resume_within_the_bound_and_everything_else_goes_on() {
    let plan = Plan {
        pace: pace(),
        ..Plan::default()
    };
    let mut scene = Scene::begin(plan);
    let victim = scene.backends()[0];
    let orphans = scene.accounts_of(victim);
    let bound = printed_bound(&scene.cluster, victim);
    assert_eq!(bound, scene.cluster.plan().pace.bound());

    let Scene { cluster, crowd, .. } = &mut scene;
    let (killed, events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(40);
        let killed = moment();
        cluster.member_mut(victim).kill();
        progress.wait_for_each("writes resume", &orphans, Deed::writes);
        progress.wait_for_more(40);
        killed
    });
    let fared = fared(&events, &orphans, killed);
    println!(
        "killed: writes resumed after {:?} of at most {bound:?}; {} reads and posts of others meanwhile; \
         99 in 100 took {:?} before; in vain: {:?}",
        fared.resumed,
        fared.meanwhile,
        percentile(events.iter().filter(|event| event.ended < killed)),
        vain(&events),
    );
    assert!(
        fared.resumed <= bound * MARGIN,
        "writes resumed after {:?}",
        fared.resumed
    );
    assert!(fared.meanwhile > 0, "nothing went on");
    wait_until_all_is_owned(&scene.cluster);
    let totals = scene.end();
    println!("killed: {totals:?}");
}

#[test]
fn when_a_process_that_sends_is_killed_the_other_one_sends_what_it_was_to_send() {
    let plan = Plan {
        frontends: 1,
        backends: 1,
        outbound: 2,
        ..Plan::default()
    };
    let mut scene = Scene::begin(plan);
    let victim = scene.cluster.of(Role::Outbound).next();
    let victim = victim.expect("it was planned");

    let Scene { cluster, crowd, .. } = &mut scene;
    let ((), events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(60);
        cluster.member_mut(victim).kill();
        progress.wait_for_more(60);
    });
    println!("the sender killed: in vain: {:?}", vain(&events));
    let totals = scene.end();
    println!("the sender killed: {totals:?}");
}

fn pace() -> Pace {
    match std::env::var_os("MESH_PATIENT") {
        Some(_) => Pace::SHIPPED,
        None => Pace::BRISK,
    }
}

/// The bound that a process prints when it starts, and exports.
fn printed_bound(cluster: &Cluster, member: usize) -> Duration {
    let bound = cluster.member(member).failover_bound();
    bound.expect("it runs")
}

/// What the events say of the accounts whose owner was killed.
#[track_caller]
fn fared(events: &[Event], orphans: &[String], killed: Instant) -> Fared {
    let mut fared = Fared {
        resumed: Duration::ZERO,
        meanwhile: 0,
    };
    for orphan in orphans {
        let of_it = || events.iter().filter(|event| event.account == *orphan);
        let resumed = of_it()
            .filter(|event| event.deed.writes() && event.ended > killed)
            .map(|event| event.ended)
            .min();
        let resumed = resumed.expect("writes to every account resumed");
        fared.resumed = fared.resumed.max(resumed - killed);
        let without_owner = |event: &&Event| event.began >= killed && event.ended <= resumed;
        fared.meanwhile += of_it().filter(without_owner).count();
    }
    // Whoever does not write needs no owner: one retry is what a broken connection takes.
    let others = events.iter().filter(|event| !event.deed.writes());
    for event in others {
        assert!(event.tries <= 2, "{event:?}");
    }
    fared
}
