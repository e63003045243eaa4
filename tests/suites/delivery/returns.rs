//! A peer that is away: what that costs, and what happens when it is back (delivery §12.2). What takes
//! minutes is shown in virtual time by the tests of the pool; here are the real service and a real socket.
//!
//! `MESH_PATIENT=1` adds the black hole, of which every try takes five seconds.

use mesh_common::protocol::{Code, HelloRequest, Request};
use mesh_tests::client::Client;
use mesh_tests::peer::{Conduct, Kind, Peer, Settings, Simulator};

use super::stage::{PATIENCE, Stage, number_of};

/// Messages that wait for it meanwhile.
const BACKLOG: usize = 60;
/// Tries until the breaker opens: the cohort of a window of four, and whatever else was under way.
const TRIES_MAX: u64 = 10;

// P-9.1.2-a
#[test]
fn a_peer_that_resets_connections_is_left_alone_and_gets_its_backlog_when_it_is_back() {
    away_and_back(Kind::Reset.conduct(), |peer| peer.seen().connections);
}

#[test]
fn a_black_hole_is_left_alone_and_gets_its_backlog_when_it_is_back() {
    if number_of("MESH_PATIENT", 0) == 0 {
        println!("not run without MESH_PATIENT=1");
        return;
    }
    away_and_back(Kind::BlackHole.conduct(), |peer| peer.seen().posts);
}

fn away_and_back(away: Conduct, tries: fn(&Peer) -> u64) {
    let domain = "away.test".to_owned();
    let peers = vec![(domain.clone(), away)];
    let simulator = Simulator::start(peers, Settings::default()).expect("there are ports");
    let mut stage = Stage::new(simulator, "");
    let peer = stage.simulator.peer(&domain).clone();
    stage.post_many_to(&[domain], BACKLOG);
    let opened = stage.wait_until_measured("mesh_breaker_opens_total", 1.0);
    assert!(opened, "the breaker never opened");
    assert!(tries(&peer) <= TRIES_MAX, "{} tries", tries(&peer));
    assert!(peer.seen().in_flight <= 1, "a probe at a time");

    peer.behave(Conduct::default());
    peer.forget_peaks();
    // It speaks to the service, which thereby learns that it lives.
    let mut speaking = Client::on(stage.connect(), peer.as_client());
    let hello = Request::Hello(HelloRequest::default());
    speaking.exchange(&hello).must_be(Code::Ok);
    assert!(
        peer.wait_until(PATIENCE, |seen| seen.messages.len() == BACKLOG),
        "only {} arrived",
        peer.kept()
    );
    let told = stage.wait_until_told(BACKLOG);
    assert!(told.iter().all(|one| one.2 == "Received"), "{told:?}");
}
