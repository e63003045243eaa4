//! Healthy peers beside dead and slow ones: what the healthy ones get, how fast, and how late at worst,
//! against the same with the healthy ones alone, in one run (bench G-10).
//!
//! `MESH_MESSAGES`, `MESH_HEALTHY` and `MESH_TROUBLED` set how many (10,000, 100 and 900 are the long
//! form), `MESH_ROUNDS` how often the two take turns; the medians of the ratios count. With fewer messages
//! than the long form's the bounds are wide: what they catch is a pool that peers can hold up, not a busy
//! machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_tests::peer::simulator::several;
use mesh_tests::peer::{Conduct, Kind, Peer, Settings, Simulator};

use super::stage::{PATIENCE, Posted, Stage, moment, number_of};

/// Waves of messages, one to each healthy peer, that are on their way at once.
const WAVES_AT_ONCE: usize = 4;
/// Messages that wait for each troubled peer before the measure begins.
const BACKLOG: usize = 8;
/// Messages from which on the bounds of the long form hold.
const LONG: usize = 10_000;
/// What the healthy ones must get of the rate they get alone, and of its 99th percentile.
const LONG_BOUNDS: (f64, f64) = (0.9, 1.2);
const SHORT_BOUNDS: (f64, f64) = (0.4, 4.0);

/// How messages to the healthy peers fared.
#[derive(Debug, Clone, Copy)]
struct Measure {
    /// Messages per second.
    rate: f64,
    /// From the Post to the arrival, of all but one in a hundred.
    percentile: Duration,
}

// P-9.1.2-b
#[test]
fn healthy_peers_are_served_as_if_the_dead_and_the_slow_were_not_there() {
    let messages = number_of("MESH_MESSAGES", 400);
    let healthy = number_of("MESH_HEALTHY", 20);
    let troubled = number_of("MESH_TROUBLED", 180);
    let rounds = number_of("MESH_ROUNDS", 4);
    // Both are there all the time and take turns, so that what else the machine does hits both.
    let mut alone = Scene::new(healthy, 0);
    let mut beside = Scene::new(healthy, troubled);
    let mut ratios: Vec<(f64, f64)> = Vec::new();
    for round in 1..=rounds {
        let share = messages.div_ceil(rounds);
        let (alone, beside) = (alone.waves(share), beside.waves(share));
        println!("round {round}: alone {alone:?}, beside {troubled} troubled ones {beside:?}");
        ratios.push((
            beside.rate / alone.rate,
            beside.percentile.as_secs_f64() / alone.percentile.as_secs_f64(),
        ));
    }
    let rate = median(ratios.iter().map(|ratio| ratio.0).collect());
    let percentile = median(ratios.iter().map(|ratio| ratio.1).collect());
    println!("rate × {rate:.2}, 99th percentile × {percentile:.2}");
    let (at_least, at_most) = if messages < LONG {
        SHORT_BOUNDS
    } else {
        LONG_BOUNDS
    };
    assert!(rate >= at_least, "the rate fell to {rate:.2} of it");
    assert!(
        percentile <= at_most,
        "the 99th percentile is {percentile:.2} of it"
    );
}

/// A service with a backlog for each troubled peer.
struct Scene {
    stage: Stage,
    good: Vec<String>,
}

impl Scene {
    fn new(healthy: usize, troubled: usize) -> Self {
        let mut peers = several(Kind::Healthy, healthy);
        peers.extend(in_trouble(troubled));
        let domains: Vec<String> = peers.iter().map(|peer| peer.0.clone()).collect();
        let (good, bad) = domains.split_at(healthy);
        let simulator = Simulator::start(peers, Settings::default()).expect("there are ports");
        simulator.prepare(2);
        let mut stage = Stage::new(simulator, "");
        let first = stage.post_to(good);
        wait_for(&stage, &first);
        if troubled > 0 {
            stage.post_many_to(bad, BACKLOG);
            wait_until_known_to_be_dead(&stage, bad);
        }
        Self {
            good: good.to_vec(),
            stage,
        }
    }

    /// One message to each healthy peer at a time, a few of these waves at once.
    fn waves(&mut self, messages: usize) -> Measure {
        let began = moment();
        let mut under_way: VecDeque<Vec<Posted>> = VecDeque::new();
        let mut done: Vec<Posted> = Vec::new();
        for _ in 0..messages.div_ceil(self.good.len()) {
            if under_way.len() == WAVES_AT_ONCE {
                let oldest = under_way.pop_front().expect("there are some");
                wait_for(&self.stage, &oldest);
                done.extend(oldest);
            }
            under_way.push_back(self.stage.post_to(&self.good));
        }
        for wave in under_way {
            wait_for(&self.stage, &wave);
            done.extend(wave);
        }
        measure(&self.stage, began, &done)
    }
}

/// How the messages in `done`, all of which arrived, fared.
fn measure(stage: &Stage, began: Instant, done: &[Posted]) -> Measure {
    let mut last = began;
    let mut times: Vec<Duration> = Vec::new();
    for posted in done {
        for recipient in &posted.recipients {
            let arrival = peer_of(stage, recipient).arrival(recipient, &posted.id);
            let first = arrival.expect("it was waited for").first;
            last = last.max(first);
            times.push(first - posted.at);
        }
    }
    times.sort_unstable();
    Measure {
        rate: times.len() as f64 / (last - began).as_secs_f64(),
        percentile: times[times.len() * 99 / 100],
    }
}

/// A crowd of every kind of trouble that holds up a sender.
fn in_trouble(count: usize) -> Vec<(String, Conduct)> {
    let kinds = [
        Kind::BlackHole,
        Kind::Silent,
        Kind::Refused,
        Kind::Slow,
        Kind::BlackHole,
        Kind::Reset,
    ];
    let mut peers = Vec::new();
    for (number, kind) in kinds.into_iter().enumerate() {
        let share = (count + number) / kinds.len();
        peers.extend((0..share).map(|one| (format!("{kind}-{number}-{one}.test"), kind.conduct())));
    }
    peers
}

/// Waits until each peer that would notice was tried, and none holds more than one Post: breakers are
/// open, as they are in the life of a service.
fn wait_until_known_to_be_dead(stage: &Stage, bad: &[String]) {
    let dead: Vec<_> = bad
        .iter()
        .map(|domain| stage.simulator.peer(domain))
        .filter(|peer| *peer.conduct() == Kind::BlackHole.conduct())
        .collect();
    let known = stage.simulator.wait_until(PATIENCE, |_| {
        dead.iter().all(|peer| {
            let seen = peer.seen();
            seen.posts > 0 && seen.in_flight <= 1
        })
    });
    assert!(known, "some peer was never tried");
}

fn wait_for(stage: &Stage, wave: &[Posted]) {
    for posted in wave {
        for recipient in &posted.recipients {
            let key = (recipient.clone(), posted.id.clone());
            let arrived = peer_of(stage, recipient)
                .wait_until(PATIENCE, |seen| seen.messages.contains_key(&key));
            assert!(arrived, "{key:?} never arrived");
        }
    }
}

/// The peer that has the account `recipient`.
fn peer_of<'a>(stage: &'a Stage, recipient: &str) -> &'a Arc<Peer> {
    let domain = recipient.split('@').nth(1).expect("it is an address");
    stage.simulator.peer(domain)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
