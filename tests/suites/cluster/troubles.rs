//! A store in trouble: away at start, away later, taking no writes, full, slow, answering late. The process
//! lives, says in `/readyz` or in its log which trouble it is, answers everybody, and goes on when it is over
//! (cluster §18 rows 8 to 10).
//!
//! The store server is in trouble on request; a real cluster is not, so there nothing of this runs.

use mesh_tests::cluster::{Cluster, Plan, Role};

use super::crowd::events::{Deed, Event, Progress, vain};
use super::crowd::{Manner, eventually};
use super::scene::{Scene, wait_until_all_is_owned};

/// One process of each kind: trouble is the same for all.
fn small() -> Plan {
    Plan {
        frontends: 1,
        backends: 1,
        outbound: 1,
        ..Plan::default()
    }
}

/// A scene whose store can be in trouble; none over a real cluster.
fn scene() -> Option<Scene> {
    let scene = Scene::begin(small());
    let has_server = scene.cluster.ground().server().is_some();
    if !has_server {
        println!("troubles: left out over a real cluster");
    }
    has_server.then_some(scene)
}

/// Insists that every request was answered, if only with a wish to be asked again: nothing hung.
#[track_caller]
fn nothing_hung(events: &[Event]) {
    for reason in vain(events).into_keys() {
        let is_answer = reason.starts_with("Some(");
        assert!(is_answer, "somebody was not answered: {reason}");
    }
}

/// What a member has logged so far.
fn log_of(cluster: &Cluster, name: &str) -> String {
    let mut logs = cluster.logs().into_iter();
    let log = logs.find(|(member, ..)| member == name);
    log.map(|(.., text)| text).unwrap_or_default()
}

#[test]
fn a_store_that_goes_away_or_takes_no_writes_is_named_and_nothing_hangs() {
    let Some(mut scene) = scene() else { return };
    let all = scene.addresses();
    let read = scene.read_accounts(&all);
    let backend = scene.backends()[0];

    let Scene { cluster, crowd, .. } = &mut scene;
    let unready = || {
        let (alive, _) = cluster.member(backend).asked("/livez");
        assert_eq!(alive, 200, "a restart cures no trouble of the store's");
        let (status, body) = cluster.member(backend).asked("/readyz");
        if status == 200 { String::new() } else { body }
    };
    let goes_on = |progress: &Progress| {
        cluster.ground().order("");
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
        assert!(
            eventually(|| unready().is_empty()),
            "never ready: {}",
            unready()
        );
    };
    let ((), events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(20);
        for (order, said, is_read) in [
            ("read-only", "takes no writes", true),
            ("full", "is full", true),
            ("silent", "does not answer", false),
        ] {
            cluster.ground().order(order);
            let named = eventually(|| unready().contains(said));
            assert!(named, "{order}: {:?}", unready());
            if is_read {
                let reads = |deed| matches!(deed, Deed::Status | Deed::Download);
                progress.wait_for_each("reads go on", &read, reads);
            }
            goes_on(progress);
        }
    });
    println!(
        "in trouble: {} deeds; in vain: {:?}",
        events.len(),
        vain(&events)
    );
    nothing_hung(&events);
    wait_until_all_is_owned(&scene.cluster);
    let totals = scene.end();
    println!("in trouble: {totals:?}");
}

#[test]
fn a_store_that_is_slow_or_answers_late_or_wrongly_loses_and_doubles_nothing() {
    let Some(mut scene) = scene() else { return };
    let all = scene.addresses();

    let Scene { cluster, crowd, .. } = &mut scene;
    let ((), events) = crowd.beside(Manner::Curious, |progress| {
        progress.wait_for_more(20);
        cluster.ground().order("slow=600");
        let is_slow = || log_of(cluster, "backend-1").contains("the store is slow");
        assert!(eventually(is_slow), "the log does not say that the store is slow");
        cluster.ground().order("slow=60");
        progress.wait_for_each("slow is not away", &all, Deed::writes);
        // Longer than a request to the store may take: what was done is not known to be.
        cluster.ground().order("late=4500");
        progress.wait_for_more(20);
        let faults = "seed=7 conflict=30 applied=60 lost=60 stray=40 stray-commits=3 too-old=20 short=200 \
                      watch-lost=100 watch-spurious=100";
        cluster.ground().order(faults);
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
        progress.wait_for_more(60);
        cluster.ground().order("");
        progress.wait_for_each("everybody goes on", &all, Deed::writes);
    });
    println!(
        "slow and late: {} deeds; in vain: {:?}",
        events.len(),
        vain(&events)
    );
    nothing_hung(&events);
    wait_until_all_is_owned(&scene.cluster);
    let totals = scene.end();
    println!("slow and late: {totals:?}");
}

#[test]
fn a_cluster_that_starts_while_its_store_is_away_says_so_and_serves_when_it_is_there() {
    let _turn = super::scene::turn();
    let mut cluster = Cluster::laid(small());
    if !cluster.ground().order("silent") {
        return;
    }
    for member in 0..cluster.members().len() {
        cluster.member_mut(member).start();
    }
    for member in cluster.members() {
        assert_eq!(member.asked("/livez").0, 200, "{}", member.name());
        let says = |sentence: &str| member.asked("/readyz").1.contains(sentence);
        let named = match member.role() {
            Role::Frontend => eventually(|| member.asked("/readyz").0 == 503),
            Role::Backend | Role::Outbound => eventually(|| says("the store does not answer")),
        };
        assert!(named, "{}: {:?}", member.name(), member.asked("/readyz"));
    }
    cluster.ground().order("");
    for member in cluster.members() {
        let is_ready = eventually(|| member.asked("/readyz").0 == 200);
        assert!(is_ready, "{}: {:?}", member.name(), member.asked("/readyz"));
    }
    wait_until_all_is_owned(&cluster);
}
