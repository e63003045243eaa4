//! Owners change, die and lose their connections while devices upload.

use std::cell::Cell;

use mesh_tests::proxy::Weather;

use crate::cluster::{Cluster, tell, until};
use crate::devices::{check, settle, upload_during};

const WRITERS: usize = 24;

// P-3.2-a, P-3.2-b: accounts are divided between hosts, and whichever front-end is asked finds them.
#[test]
fn accounts_are_found_on_whichever_node_they_are() {
    tell(|| async {
        let cluster = Cluster::with(1).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        let record = upload_during(&writers, 3, async {}).await;
        assert!(record.failures.is_empty(), "{:?}", record.failures);
        check(&writers).await;
        assert_eq!(cluster.nodes[0].partitions(), 1_024);
    });
}

#[test]
fn a_node_that_leaves_fails_no_request_that_one_repetition_does_not_cure() {
    tell(|| async {
        let cluster = Cluster::with(1).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        let leaving = async {
            cluster.nodes[0].backend().leave().await;
            until("the other one owns everything", || {
                cluster.nodes[1].partitions() == 1_024
            })
            .await;
        };
        let record = upload_during(&writers, 3, leaving).await;
        // On a machine that has better things to do it may last longer than writes wait.
        assert!(record.most_failures <= 1, "{:?}", record.failures);
        let moved = "Moved(None)";
        assert!(record.failures.iter().all(|failure| failure == moved));
        check(&writers).await;
        until("nobody waits any more", || {
            routed.measure("mesh_route_parked") == 0.0
        })
        .await;
    });
}

#[test]
fn a_node_that_dies_costs_writes_some_time_and_reads_nothing() {
    tell(|| async {
        let mut cluster = Cluster::with(1).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        let (mut dying, alive) = {
            let mut nodes = cluster.nodes.drain(..);
            (nodes.next().unwrap(), nodes.next().unwrap())
        };
        let is_over = Cell::new(false);
        let death = async {
            dying.kill();
            until("the other one owns everything", || {
                alive.partitions() == 1_024
            })
            .await;
            is_over.set(true);
        };
        let reading = async {
            let mut reads = 0;
            while !is_over.get() {
                let stored = writers[0].stored().await;
                assert!(stored.is_ok(), "reads go on: {stored:?}");
                reads += 1;
            }
            reads
        };
        let (record, reads) = tokio::join!(upload_during(&writers, 3, death), reading);
        // Those that waited for the next owner would be one or two.
        assert!(reads > 4, "{reads} reads");
        // How long writes took is for the suites that print it: this machine may be busy.
        assert!(record.writes >= 3 * WRITERS);
        check(&writers).await;
    });
}

#[test]
fn an_owner_that_cannot_be_reached_from_here_keeps_nobody_from_reading() {
    tell(|| async {
        let cluster = Cluster::with(1).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        let network = &cluster.nodes[0].network;
        let cable = async {
            network.set(Weather {
                holds: true,
                ..Weather::default()
            });
            for _ in 0..3 {
                for writer in &writers {
                    let stored = writer.stored().await;
                    assert!(stored.is_ok(), "reads go on: {stored:?}");
                }
            }
            network.set(Weather::default());
        };
        let record = upload_during(&writers, 3, cable).await;
        // Whatever was held back arrived late, after the same requests came anew.
        check(&writers).await;
        assert_eq!(cluster.nodes[0].partitions(), 1_024, "it was alive");
        assert!(record.writes >= 3 * WRITERS);
    });
}

#[test]
fn connections_that_break_lose_and_double_nothing() {
    tell(|| async {
        let cluster = Cluster::with(0).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, WRITERS).await;
        let cuts = async {
            for _ in 0..20 {
                let before = writers[0].frames.get();
                cluster.nodes[0].network.cut();
                until("something was written since", || {
                    writers[0].frames.get() > before + 1
                })
                .await;
            }
        };
        let record = upload_during(&writers, 3, cuts).await;
        assert!(record.writes > 20 * 2);
        check(&writers).await;
    });
}

// What a router does when it has sent a write and got no answer; at worst both tries arrive together.
#[test]
fn one_request_that_arrives_several_times_at_once_is_carried_out_once() {
    tell(|| async {
        let cluster = Cluster::with(0).await;
        let routed = cluster.router().await;
        let writers = settle(&routed.router, 4).await;
        for _ in 0..10 {
            for writer in &writers {
                writer.upload_at_once(3).await;
            }
        }
        check(&writers).await;
    });
}
