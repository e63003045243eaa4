//! A great many destinations with one message each: all of them are reached, and no more transfers and
//! connections are open at once than the service allows itself (delivery §12.2).
//!
//! `MESH_DESTINATIONS` sets how many (10,000 is the long form). How long it takes is printed.

use mesh_common::limits::{IDLE_CONNECTIONS_MAX, TRANSFERS_MAX};
use mesh_tests::peer::simulator::several;
use mesh_tests::peer::{Kind, Settings, Simulator};

use super::stage::{PATIENCE, Stage, moment, number_of};

/// Destinations from which on the service is left the budget it has by itself.
const MANY: usize = 2 * TRANSFERS_MAX as usize;
/// The budget with fewer, so that it is one.
const FEW_TRANSFERS: usize = 8;

#[test]
fn many_destinations_are_reached_within_the_budget_of_transfers_and_connections() {
    let destinations = number_of("MESH_DESTINATIONS", 150);
    let transfers = if destinations < MANY {
        FEW_TRANSFERS
    } else {
        TRANSFERS_MAX as usize
    };
    let peers = several(Kind::Healthy, destinations);
    let domains: Vec<String> = peers.iter().map(|peer| peer.0.clone()).collect();
    let simulator = Simulator::start(peers, Settings::default()).expect("there are ports");
    simulator.prepare(2);
    let settings = format!("outbound.transfers_max = {transfers}\n");
    let mut stage = Stage::new(simulator, &settings);
    let began = moment();
    stage.post_to(&domains);
    let all = destinations as u64;
    let reached = stage
        .simulator
        .wait_until(PATIENCE, |simulator| simulator.totals().kept() == all);
    let totals = stage.simulator.totals();
    println!(
        "{} of {destinations} destinations in {:.1} s: at most {} transfers and {} connections at once",
        totals.kept(),
        (moment() - began).as_secs_f64(),
        totals.in_flight_peak(),
        totals.connections_peak(),
    );
    assert!(reached, "some were never reached");
    assert_eq!(totals.posts(), all, "each once");
    assert!(totals.in_flight_peak() <= transfers as u64);
    let connections = (transfers + IDLE_CONNECTIONS_MAX) as u64;
    assert!(totals.connections_peak() <= connections);
    let twice = stage
        .simulator
        .peers()
        .iter()
        .filter(|peer| peer.seen().connections > 1);
    assert_eq!(
        twice.count(),
        0,
        "one connection serves Hello, exchange and Post"
    );
}
