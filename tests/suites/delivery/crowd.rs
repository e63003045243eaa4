//! A crowd in virtual time: ten thousand messages to a hundred healthy peers while nine hundred are dead
//! or slow, at full size and to the millisecond, with peers made of a few numbers (bench G-10).

use std::time::Duration;

use mesh_common::delivery::PoolSettings;
use mesh_common::delivery::testing::{Dead, Server, Way, World};
use mesh_common::time::Timestamp;

const HEALTHY: usize = 100;
const MESSAGES: usize = 10_000;
const TROUBLED: usize = 900;
/// Messages that wait for each of those: more than a slow one takes while the measure lasts.
const BACKLOG: usize = 60;

/// How the healthy ones fared.
#[derive(Debug)]
struct Measure {
    /// Messages per second.
    rate: f64,
    /// From queue to peer, of all but one in a hundred.
    percentile: Duration,
}

fn healthy(number: usize) -> String {
    format!("good{number}.example")
}

fn world(troubled: usize) -> World {
    let mut world = World::new(1, PoolSettings::default());
    for number in 0..HEALTHY {
        world.add_peer(&healthy(number), Server::new(2, 20));
    }
    for number in 0..troubled {
        let domain = format!("bad{number}.example");
        match number % 4 {
            0 => world.add_peer(&domain, Dead(Way::BlackHole)),
            1 => world.add_peer(&domain, Dead(Way::Silent)),
            2 => world.add_peer(&domain, Dead(Way::Refusing)),
            _ => world.add_peer(&domain, Server::new(20, 2_500)),
        }
        world.queue(&domain, BACKLOG);
    }
    world
}

/// All messages at once.
fn burst(world: &mut World) -> Measure {
    let began = world.now;
    let before = delivered(world);
    for number in 0..HEALTHY {
        world.queue(&healthy(number), MESSAGES / HEALTHY);
    }
    while delivered(world) - before < MESSAGES as u64 {
        world.run(Duration::from_millis(100));
        assert!(
            world.now.since(began) < Duration::from_secs(3_600),
            "they never arrive"
        );
    }
    measure(world, MESSAGES / HEALTHY, |_| began)
}

/// One message to each, ten times a second.
fn waves(world: &mut World) -> Measure {
    let began = world.now;
    let pace = Duration::from_millis(100);
    let count = MESSAGES / HEALTHY;
    for _ in 0..count {
        for number in 0..HEALTHY {
            world.queue(&healthy(number), 1);
        }
        world.run(pace);
    }
    world.run(Duration::from_secs(5));
    measure(world, count, |number| {
        began + pace * u32::try_from(number).unwrap_or(u32::MAX)
    })
}

fn delivered(world: &World) -> u64 {
    (0..HEALTHY)
        .map(|number| world.records[&*healthy(number)].delivered)
        .sum()
}

/// Of the last `count` messages to each healthy peer; the nth of them was queued at `queued(n)`.
fn measure(world: &World, count: usize, queued: impl Fn(usize) -> Timestamp) -> Measure {
    let mut times = Vec::new();
    let mut last = queued(0);
    for number in 0..HEALTHY {
        let successes = &world.records[&*healthy(number)].successes;
        let of_measure = &successes[successes.len() - count..];
        for (place, (at, _)) in of_measure.iter().enumerate() {
            times.push(at.since(queued(place)));
            last = last.max(*at);
        }
    }
    times.sort_unstable();
    Measure {
        rate: times.len() as f64 / last.since(queued(0)).as_secs_f64(),
        percentile: times[times.len() * 99 / 100],
    }
}

/// How the healthy ones fare alone, and beside a crowd in trouble.
fn measured(settled: Duration, take: fn(&mut World) -> Measure) -> [Measure; 2] {
    [0, TROUBLED].map(|troubled| {
        let mut world = world(troubled);
        world.run(settled);
        take(&mut world)
    })
}

/// Insists on rate and 99th percentile of bench G-10.
fn check([alone, beside]: &[Measure; 2]) {
    let rate = beside.rate / alone.rate;
    let [late, in_time] = [beside, alone].map(|measure| measure.percentile.as_secs_f64());
    assert!(rate >= 0.9, "the rate fell to {rate:.2} of it");
    assert!(
        late <= 1.2 * in_time,
        "99 in 100 took {late} s, not {in_time} s"
    );
}

/// How long the crowd was there before.
const SETTLED: Duration = Duration::from_secs(90);

#[test]
fn a_burst_of_ten_thousand_messages_passes_nine_hundred_peers_in_trouble() {
    let measures = measured(SETTLED, burst);
    println!("alone and beside {TROUBLED} in trouble: {measures:?}");
    check(&measures);
}

#[test]
fn ten_thousand_messages_at_a_steady_pace_pass_nine_hundred_peers_in_trouble() {
    let measures = measured(SETTLED, waves);
    println!("alone and beside {TROUBLED} in trouble: {measures:?}");
    check(&measures);
}
