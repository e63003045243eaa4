//! An owner that is alive, and cannot be reached from here.

use mesh_common::limits::{
    NODE_REFUSES_PAUSE, PARKED_TIME_MAX, SUPERSEDED_PATIENCE, TRANSACTION_TIME_MAX,
};
use tokio::time::sleep;

use super::calls::{AT_ONCE, by, lost, moved, not_sent, perform, read, write};
use super::nodes::{is_heard, route};
use super::*;

/// Node 1 owns everything; nobody reaches it from here, and the others do.
async fn cut(cluster: &Arc<Cluster>) -> Router {
    let router = cluster.router().await;
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    cut_off(cluster, &router).await;
    router
}

/// The network between the router and node 1 is cut.
async fn cut_off(cluster: &Cluster, router: &Router) {
    cluster.node(1).usually(not_sent());
    cluster.node(1).fall_silent();
    while is_heard(router, 1) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Questions to each of the nodes, in all.
fn asked(cluster: &Cluster) -> [usize; 3] {
    [1, 2, 3].map(|name| cluster.node(name).asked().len())
}

fn passed_on(cluster: &Cluster, result: &str) -> u64 {
    let measure = &cluster.measures.passed_on;
    measure.with_label_values(&[result]).get()
}

#[tokio::test(start_paused = true)]
async fn a_write_that_cannot_reach_its_owner_goes_through_another_node_at_once() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    // The stream has not broken yet: nobody knows.
    cluster.node(1).usually(not_sent());
    assert_eq!(perform(&router, write(1)).await, (by(1), AT_ONCE));
    let [direct, two, three] = asked(&cluster);
    assert_eq!((direct, two + three), (1, 1), "two attempts");
    assert_eq!(cluster.carried_out(write(1).request_id), 1);
    assert_eq!(passed_on(&cluster, "answered"), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_owner_is_not_heard_it_is_not_tried_either() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    for id in 1..20 {
        assert_eq!(perform(&router, write(id)).await, (by(1), AT_ONCE));
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(asked(&cluster)[0], 0);
    // Reads need no owner.
    let (answer, time) = perform(&router, read(100)).await;
    assert!(answer.is_ok() && answer != by(1), "{answer:?}");
    assert_eq!(time, AT_ONCE);
    // All is well again.
    cluster.node(1).usually(Reply::Done);
    cluster.node(1).speak();
    cluster.tell(Some((1, 1)));
    while !is_heard(&router, 1) {
        sleep(Duration::from_millis(1)).await;
    }
    let before = asked(&cluster);
    assert_eq!(perform(&router, write(200)).await, (by(1), AT_ONCE));
    assert_eq!(asked(&cluster), [before[0] + 1, before[1], before[2]]);
}

#[tokio::test(start_paused = true)]
async fn many_writes_go_through_another_node_once_one_has() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let writes = (1..60).map(|id| perform(&router, write(id)));
    let answers = futures_util::future::join_all(writes).await;
    assert!(answers.iter().all(|(answer, _)| *answer == by(1)));
    for id in 1..60 {
        assert_eq!(cluster.carried_out(write(id).request_id), 1);
    }
    assert_eq!(cluster.measures.parked.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_passes_nothing_on_is_left_out_and_another_one_asked() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    assert_eq!(perform(&router, write(1)).await, (by(1), AT_ONCE));
    let first = if cluster.node(2).asked().is_empty() {
        3
    } else {
        2
    };
    // An older release does not know the call.
    let unknown = LinkFailure::Unknown("HTTP 404 Not Found".into());
    cluster.node(first).passes_on(Reply::Fails(unknown));
    for id in 2..10 {
        assert_eq!(perform(&router, write(id)).await, (by(1), AT_ONCE));
    }
    assert_eq!(cluster.node(first).asked().len(), 2, "asked in vain once");
    sleep(NODE_REFUSES_PAUSE).await;
    // It has been replaced by a newer one.
    cluster.node(first).passes_on(Reply::Done);
    assert_eq!(perform(&router, write(10)).await, (by(1), AT_ONCE));
    assert_eq!(cluster.node(first).asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_nobody_reaches_is_waited_for_as_ever() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    cut_off(&cluster, &router).await;
    let (answer, time) = perform(&router, write(1)).await;
    assert_eq!(answer, Err(CallFailure::Moved(None)));
    assert_eq!(time, PARKED_TIME_MAX);
    let [_, two, three] = asked(&cluster);
    assert!((1..15).contains(&(two + three)), "{two} and {three}");
    assert_eq!(passed_on(&cluster, "answered"), 0);
    let takeover = async {
        sleep(Duration::from_secs(1)).await;
        cluster.tell(Some((2, 2)));
    };
    let (answered, ()) = tokio::join!(perform(&router, write(2)), takeover);
    assert_eq!(answered, (by(2), Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_list_the_owner_is_not_asked_to_reach_it() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let without = Arc::new(nodes::table(&[2, 3], Some((1, 1))));
    for name in [2, 3] {
        cluster.node(name).tell(&without);
    }
    sleep(Duration::from_millis(1)).await;
    let (answer, _) = perform(&router, write(1)).await;
    assert_eq!(answer, Err(CallFailure::Moved(None)));
    assert_eq!(asked(&cluster), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_carried_out_on_the_way_is_sent_once_more_and_no_more() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    assert_eq!(perform(&router, write(1)).await, (by(1), AT_ONCE));
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::DoneAndLost);
    }
    let before = asked(&cluster);
    let (answer, _) = perform(&router, write(2)).await;
    assert!(matches!(answer, Err(CallFailure::Away(_))), "{answer:?}");
    let after = asked(&cluster);
    let sent: usize = (0..3).map(|node| after[node] - before[node]).sum();
    assert_eq!(sent, 2);
    assert_eq!(cluster.carried_out(write(2).request_id), 2);
}

#[tokio::test(start_paused = true)]
async fn what_no_home_recognizes_goes_through_another_node_and_is_not_repeated() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let interop = |id| {
        let mut request = write(id);
        request.caller.mode = Mode::Interop;
        request
    };
    assert_eq!(perform(&router, interop(1)).await, (by(1), AT_ONCE));
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::DoneAndLost);
    }
    let (answer, _) = perform(&router, interop(2)).await;
    assert!(matches!(answer, Err(CallFailure::Away(_))), "{answer:?}");
    assert_eq!(cluster.carried_out(interop(2).request_id), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_owns_it_by_now_is_found_through_the_one_that_was_asked() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    for name in [2, 3] {
        cluster.node(name).passes_on(moved(Some(route(2, 2))));
    }
    assert_eq!(perform(&router, write(1)).await, (by(2), AT_ONCE));
    assert_eq!(cluster.node(2).carried_out(write(1).request_id), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_owner_is_believed_through_another_node_too() {
    let cluster = Cluster::of(3);
    let router = cut(&cluster).await;
    let busy = CallFailure::Busy(Duration::from_secs(7));
    for name in [2, 3] {
        cluster
            .node(name)
            .passes_on(Reply::Fails(busy.clone().into()));
    }
    assert_eq!(perform(&router, write(1)).await, (Err(busy), AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_under_way_when_the_network_was_cut_goes_through_another_node() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    // Sent, and nothing comes back.
    cluster.node(1).usually(Reply::Never);
    let cut = Duration::from_secs(3);
    let silence = async {
        sleep(cut).await;
        cluster.node(1).fall_silent();
    };
    let (answered, ()) = tokio::join!(perform(&router, write(1)), silence);
    let (answer, time) = answered;
    assert_eq!(answer, by(1));
    assert!(time <= cut + SUPERSEDED_PATIENCE, "{time:?}");
    assert!(time < TRANSACTION_TIME_MAX);
    let [direct, two, three] = asked(&cluster);
    assert_eq!((direct, two + three), (1, 1), "two attempts");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_opened_anew_gives_up_nothing_that_is_under_way() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    let wait = Duration::from_secs(2);
    cluster.node(1).usually(Reply::After(wait));
    let blink = async {
        sleep(Duration::from_secs(1)).await;
        cluster.node(1).fall_silent();
        sleep(SUPERSEDED_PATIENCE / 2).await;
        cluster.node(1).speak();
    };
    let (answered, ()) = tokio::join!(perform(&router, write(1)), blink);
    assert_eq!(answered, (by(1), wait));
    assert_eq!(asked(&cluster), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_broke_is_made_again_before_anybody_else_is_asked() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    for name in [2, 3] {
        cluster.node(name).passes_on(Reply::Done);
    }
    cluster.node(1).script([lost()]);
    assert_eq!(perform(&router, write(1)).await, (by(1), AT_ONCE));
    assert_eq!(asked(&cluster), [2, 0, 0]);
}
