//! What nodes tell by themselves, and who is waiting for it.

use mesh_common::cluster::TicketSecret;
use mesh_common::limits::{
    HEARD_TOLD_INTERVAL, POLLS_PER_ACCOUNT_MAX, WATCH_BEGINS_TIME_MAX, WATCH_RENEWAL_PAUSE,
    WATCH_RENEWAL_TIME_MIN, WATCHES_RENEWED_AT_ONCE,
};
use mesh_common::session::Epoch;
use tokio::time::{sleep, timeout};

use super::calls::alice;
use super::nodes::{NOON, is_heard, table};
use super::*;

/// Time for what needs none to happen.
async fn settle() {
    sleep(Duration::from_millis(100)).await;
}

/// Whether the watch was told something.
async fn is_told(watch: &mut Watch) -> bool {
    timeout(Duration::from_millis(100), watch.changed())
        .await
        .is_ok()
}

#[tokio::test(start_paused = true)]
async fn secrets_of_tickets_are_taken_as_they_are_told() {
    let cluster = Cluster::of(1);
    let router = cluster.router().await;
    assert!(!router.state().has_tickets);
    let epoch = Epoch::at(NOON);
    cluster.node(1).tell_secrets(vec![TicketSecret {
        epoch: epoch.0,
        secret: zeroize::Zeroizing::new([7; 32]),
    }]);
    settle().await;
    assert!(router.state().has_tickets);
    assert!(cluster.tickets.load().epochs().eq([epoch]));
}

#[tokio::test(start_paused = true)]
async fn links_follow_the_nodes_that_are_told_of() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    assert_eq!(router.state().back_ends, 3);
    let links = || [1, 2, 3].map(|name| cluster.node(name).links());
    assert_eq!(links(), [1, 1, 1]);
    // Node 3 dies; the others say so, and its own last words do not count any more.
    cluster.node(3).fall_silent();
    for name in [1, 2] {
        let left = Arc::new(table(&[1, 2], Some((1, 1))));
        cluster.node(name).tell(&left);
    }
    settle().await;
    assert_eq!(links(), [1, 1, 0]);
    assert_eq!(router.state().back_ends, 2);
    drop(router);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(links(), [0, 0, 0], "the links end with the router");
}

#[tokio::test(start_paused = true)]
async fn a_router_is_not_ready_before_it_heard_somebody() {
    let cluster = Cluster::of(1);
    cluster.node(1).fall_silent();
    let router = cluster.silent_router();
    sleep(Duration::from_secs(10)).await;
    let state = router.state();
    assert_eq!((state.is_heard, state.back_ends), (false, 0));
    let age = cluster.measures.cache_age.get();
    assert!((9.0..=10.0).contains(&age), "{age}");
    cluster.node(1).speak();
    sleep(Duration::from_secs(1)).await;
    assert!(router.state().is_heard);
    settle().await;
    assert_eq!(cluster.measures.cache_age.get(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_change_at_the_owner_wakes_who_waits() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let mut one = router.watch(&alice()).await.unwrap();
    let mut other = router.watch(&alice()).await.unwrap();
    assert_eq!(cluster.node(1).changes.watches(), 1, "one for both");
    assert!(!is_told(&mut one).await);
    cluster.node(1).changes.tell(&alice());
    assert!(is_told(&mut one).await);
    assert!(is_told(&mut other).await);
    drop((one, other));
    settle().await;
    assert_eq!(cluster.node(1).changes.watches(), 0);
    assert!(router.inner.watches.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_watch_follows_the_account_to_its_next_owner() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let mut watch = router.watch(&alice()).await.unwrap();
    cluster.tell(Some((2, 2)));
    assert!(is_told(&mut watch).await, "something may have been missed");
    assert!(!is_told(&mut watch).await, "once");
    let watches = [1, 2].map(|name| cluster.node(name).changes.watches());
    assert_eq!(watches, [0, 1]);
    cluster.node(2).changes.tell(&alice());
    assert!(is_told(&mut watch).await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_stream_broke_begins_anew_and_is_told() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let mut watch = router.watch(&alice()).await.unwrap();
    cluster.node(1).fall_silent();
    settle().await;
    assert!(!is_heard(&router, 1));
    assert!(
        !is_told(&mut watch).await,
        "there is nothing to look at yet"
    );
    let started = Instant::now();
    let later = timeout(Duration::from_secs(60), router.watch(&alice())).await;
    assert!(later.unwrap().is_none(), "nobody can be watched now");
    assert_eq!(started.elapsed(), WATCH_BEGINS_TIME_MAX);
    cluster.node(1).speak();
    sleep(Duration::from_secs(2)).await;
    assert!(is_told(&mut watch).await);
    assert!(router.watch(&alice()).await.is_some());
    cluster.node(1).changes.tell(&alice());
    assert!(is_told(&mut watch).await);
}

/// Nodes 1 to 3, of which 1 owns everything and is not heard; the others watch there.
async fn cut(cluster: &Arc<Cluster>) -> Router {
    let router = cluster.router().await;
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    cluster.node(1).fall_silent();
    settle().await;
    assert!(!is_heard(&router, 1));
    router
}

/// How often each node was asked to watch at another one.
fn watched_on(cluster: &Cluster) -> [usize; 3] {
    [1, 2, 3].map(|name| {
        let asked = cluster.node(name).asked();
        asked.iter().filter(|what| **what == "watch-on").count()
    })
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_not_heard_is_watched_by_way_of_another_node() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let mut watch = router.watch(&alice()).await.unwrap();
    assert_eq!(watched_on(&cluster).iter().sum::<usize>(), 1, "one will do");
    assert!(!is_told(&mut watch).await);
    for _ in 0..3 {
        cluster.node(1).changes.tell(&alice());
        assert!(is_told(&mut watch).await);
    }
    assert!(!is_told(&mut watch).await, "once for each change");
    drop(watch);
    settle().await;
    assert_eq!(cluster.node(1).changes.watches(), 0);
    assert!(router.inner.watches.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_by_way_of_another_node_when_its_stream_breaks_and_comes_back() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    let mut watch = router.watch(&alice()).await.unwrap();
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    cluster.node(1).fall_silent();
    sleep(2 * WATCH_RENEWAL_PAUSE).await;
    assert!(is_told(&mut watch).await, "something may have been missed");
    cluster.node(1).changes.tell(&alice());
    assert!(is_told(&mut watch).await);
    let [direct, two, three] = watched_on(&cluster);
    assert!(direct == 0 && two + three > 0, "{two} and {three}");
    cluster.node(1).speak();
    cluster.tell(Some((1, 1)));
    sleep(2 * WATCH_RENEWAL_PAUSE).await;
    assert!(is_told(&mut watch).await, "it is watched there again");
    let before = watched_on(&cluster);
    cluster.node(1).changes.tell(&alice());
    assert!(is_told(&mut watch).await);
    assert_eq!(
        watched_on(&cluster),
        before,
        "nobody else is asked any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hears_the_owner_no_more_either_gives_way_to_another() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let mut watch = router.watch(&alice()).await.unwrap();
    let first = 1 + watched_on(&cluster)
        .iter()
        .position(|asked| *asked > 0)
        .unwrap() as u8;
    // It loses the owner as well, which wakes whoever waits there.
    let no_way = LinkFailure::NotPassedOn("no way".into());
    cluster.node(first).passes_on(Reply::Fails(no_way));
    cluster.node(1).changes.tell_all();
    assert!(is_told(&mut watch).await);
    sleep(5 * WATCH_RENEWAL_PAUSE).await;
    assert!(is_told(&mut watch).await, "by way of the other one");
    cluster.node(1).changes.tell(&alice());
    assert!(is_told(&mut watch).await);
    assert!(watched_on(&cluster)[usize::from(5 - first) - 1] > 0);
}

#[tokio::test(start_paused = true)]
async fn a_watch_by_way_of_another_node_follows_the_account_to_its_next_owner() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let mut watch = router.watch(&alice()).await.unwrap();
    for name in [2, 3] {
        cluster
            .node(name)
            .tell(&Arc::new(table(&[1, 2, 3], Some((3, 2)))));
    }
    assert!(is_told(&mut watch).await);
    assert_eq!(cluster.node(3).changes.watches(), 1);
    let before = watched_on(&cluster);
    cluster.node(3).changes.tell(&alice());
    assert!(is_told(&mut watch).await);
    assert_eq!(watched_on(&cluster), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_would_wait_is_answered_at_once_where_nobody_watches_for_it() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    for name in [2, 3] {
        // Of an older release, perhaps.
        let unknown = LinkFailure::Unknown("HTTP 404 Not Found".into());
        cluster.node(name).passes_on(Reply::Fails(unknown));
    }
    assert!(router.watch(&alice()).await.is_none());
    assert!(watched_on(&cluster).iter().sum::<usize>() > 0);
    // A newer one took its place.
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    assert!(router.watch(&alice()).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn so_many_wait_for_one_account() {
    let cluster = Cluster::of(1);
    let router = cluster.router().await;
    let mut watches = Vec::new();
    for _ in 0..POLLS_PER_ACCOUNT_MAX {
        watches.push(router.watch(&alice()).await.unwrap());
    }
    assert!(router.watch(&alice()).await.is_none());
    watches.pop();
    assert!(router.watch(&alice()).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn watches_move_to_a_new_owner_in_turn() {
    const WATCHES: u32 = 320;
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let mut watches = Vec::new();
    for number in 0..WATCHES {
        let account = AccountAddress::parse(&format!("a{number}@example.com")).unwrap();
        watches.push(router.watch(&account).await.unwrap());
    }
    let began = Instant::now();
    cluster.tell(Some((2, 2)));
    for watch in &mut watches {
        watch.changed().await;
    }
    let least = WATCH_RENEWAL_TIME_MIN * (WATCHES / WATCHES_RENEWED_AT_ONCE as u32 - 1);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    assert!(began.elapsed() < 2 * least, "{:?}", began.elapsed());
    assert_eq!(cluster.node(2).changes.watches(), WATCHES as usize);
}

#[tokio::test(start_paused = true)]
async fn that_a_service_spoke_is_told_its_queue_once_in_a_while() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    for _ in 0..3 {
        router.heard_from("example.net");
    }
    router.heard_from("example.org");
    settle().await;
    let heard = |name| -> Vec<String> {
        let nudges = cluster.node(name).nudges();
        nudges.into_iter().flat_map(|nudge| nudge.heard).collect()
    };
    assert_eq!(heard(1), ["example.net", "example.org"]);
    assert!(heard(2).is_empty());
    assert_eq!(HEARD_TOLD_INTERVAL, Duration::from_secs(10));
}
