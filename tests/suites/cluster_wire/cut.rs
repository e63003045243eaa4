//! The network is cut between one front-end and the owner, and nowhere else (cluster §18, row 4).

use std::rc::Rc;

use mesh_common::cluster::Backend as _;
use mesh_tests::proxy::Weather;
use tokio::time::{Instant, timeout};

use crate::cluster::{Cluster, PATIENCE, Routed, tell};
use crate::devices::{Writer, check, settle, upload_during};

const WRITERS: usize = 12;

/// Writes that another node brought to their owner.
fn brought(routed: &Routed) -> f64 {
    routed.labelled("mesh_route_passed_on_total", "answered")
}

#[test]
fn writes_go_on_through_another_node_when_the_owner_takes_no_connection_from_here() {
    tell(|| async {
        let cluster = Cluster::with(2).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        assert_eq!(brought(&routed), 0.0);
        let road = &routed.roads[0];
        road.lead_to(None);
        road.cut();
        // It is not mended before all have written: the owner lives, and nobody else may write.
        upload_during(&writers, 3, async {}).await;
        assert!(brought(&routed) > 0.0);
        check(&writers).await;
        road.lead_to(Some(cluster.nodes[0].network.address()));
        until_direct(&routed, &writers[0]).await;
        upload_during(&writers, 1, async {}).await;
        check(&writers).await;
    });
}

#[test]
fn writes_go_on_through_another_node_when_nothing_arrives_nor_comes_back() {
    tell(|| async {
        let cluster = Cluster::with(2).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        let road = &routed.roads[0];
        let cut = async {
            road.set(Weather {
                holds: true,
                ..Weather::default()
            });
        };
        upload_during(&writers, 3, cut).await;
        assert!(brought(&routed) > 0.0);
        // What was held back arrives now, after the same requests came another way.
        road.set(Weather::default());
        until_direct(&routed, &writers[0]).await;
        upload_during(&writers, 1, async {}).await;
        check(&writers).await;
    });
}

#[test]
fn who_waits_hears_by_way_of_another_node_what_the_owner_commits() {
    tell(|| async {
        let cluster = Cluster::with(2).await;
        let (one, other) = (cluster.router().await, cluster.router().await);
        let writers = settle(&other.router, 1).await;
        let writer = &writers[0];
        let road = &one.roads[0];
        road.lead_to(None);
        road.cut();
        let began = Instant::now();
        // Until the loss is noticed, and another node has come to hear the owner, nobody watches.
        let mut watch = loop {
            if let Some(watch) = one.router.watch(writer.account()).await {
                break watch;
            }
            assert!(began.elapsed() < PATIENCE, "not watched in {PATIENCE:?}");
        };
        for _ in 0..5 {
            writer.upload().await;
            let told = timeout(PATIENCE, watch.changed()).await;
            assert!(told.is_ok(), "nobody said so");
        }
        // And so while the road is mended and the owner comes to be heard from here again.
        road.lead_to(Some(cluster.nodes[0].network.address()));
        for _ in 0..5 {
            writer.upload().await;
            let told = timeout(PATIENCE, watch.changed()).await;
            assert!(told.is_ok(), "nobody said so");
        }
        assert_eq!(cluster.nodes[0].partitions(), 1_024, "it was alive");
    });
}

// P-3.2-b
#[test]
fn one_front_end_is_cut_off_and_another_one_notices_nothing() {
    tell(|| async {
        let cluster = Cluster::with(1).await;
        let (one, other) = (cluster.router().await, cluster.router().await);
        let writers = settle(&one.router, WRITERS).await;
        let road = &one.roads[0];
        road.lead_to(None);
        road.cut();
        upload_during(&writers, 1, async {}).await;
        let elsewhere = [Rc::new(Writer::settle(&other.router, "elsewhere").await)];
        upload_during(&elsewhere, 1, async {}).await;
        assert!(brought(&one) > 0.0);
        assert_eq!(brought(&other), 0.0);
        check(&writers).await;
        check(&elsewhere).await;
    });
}

/// Uploads until a write went to its owner from here.
async fn until_direct(routed: &Routed, writer: &Writer) {
    let began = Instant::now();
    loop {
        let before = brought(routed);
        writer.upload().await;
        if brought(routed) == before {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "not reached in {PATIENCE:?}");
    }
}
