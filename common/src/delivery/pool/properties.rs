//! What holds for any order of events: destinations of all kinds, traffic of all kinds, operators who hold
//! and resume, owners who die. The world itself watches the budget, that nothing is in flight twice, and that
//! nothing that is done with is sent again.

use std::time::Duration;

use proptest::prelude::*;

use crate::delivery::testing::{Dead, Reply, Scripted, Server, Way, World};
use crate::delivery::{Class, PoolSettings};

const DESTINATIONS: usize = 6;

/// Something that happens.
#[derive(Debug, Clone)]
enum Happening {
    Queue {
        to: usize,
        count: usize,
        tenant: usize,
        urgent: bool,
        bytes: u64,
    },
    Change {
        to: usize,
        kind: usize,
    },
    Hold(usize),
    Resume(usize),
    TryNow(usize),
    PeerSpoke(usize),
    News(usize),
    Crash,
    Pass {
        milliseconds: u64,
    },
}

fn domain(number: usize) -> String {
    format!("d{number}.example")
}

fn happening() -> impl Strategy<Value = Happening> {
    let to = 0..DESTINATIONS;
    prop_oneof![
        4 => (to.clone(), 1..80_usize, 0..3_usize, any::<bool>(), 1..90_000_u64).prop_map(
            |(to, count, tenant, urgent, bytes)| Happening::Queue { to, count, tenant, urgent, bytes }
        ),
        3 => (to.clone(), 0..7_usize).prop_map(|(to, kind)| Happening::Change { to, kind }),
        1 => to.clone().prop_map(Happening::Hold),
        2 => to.clone().prop_map(Happening::Resume),
        1 => to.clone().prop_map(Happening::TryNow),
        1 => to.clone().prop_map(Happening::PeerSpoke),
        1 => to.prop_map(Happening::News),
        1 => Just(Happening::Crash),
        8 => (1..20_000_u64).prop_map(|milliseconds| Happening::Pass { milliseconds }),
        1 => (100_000..2_000_000_u64).prop_map(|milliseconds| Happening::Pass { milliseconds }),
    ]
}

fn happen(world: &mut World, happening: Happening, settings: PoolSettings) {
    match happening {
        Happening::Queue {
            to,
            count,
            tenant,
            urgent,
            bytes,
        } => {
            let class = if urgent {
                Class::Interactive
            } else {
                Class::Bulk
            };
            let tenant = format!("t{tenant}.example");
            if world.pool.knows(&domain(to)) {
                world.queue_freshly(&domain(to), &tenant, class);
            }
            world.queue_as(&domain(to), count, &tenant, class, bytes);
        }
        Happening::Change { to, kind } => become_kind(world, to, kind),
        Happening::Hold(to) => world.pool.hold(world.now, &domain(to)),
        Happening::Resume(to) => world.pool.resume(world.now, &domain(to)),
        Happening::TryNow(to) => world.pool.try_now(world.now, &domain(to)),
        Happening::PeerSpoke(to) => world.pool.handle_peer_spoke(world.now, &domain(to)),
        Happening::News(to) => world.pool.handle_news(world.now, &domain(to)),
        Happening::Crash => world.crash(settings),
        Happening::Pass { milliseconds } => world.run(Duration::from_millis(milliseconds)),
    }
}

fn become_kind(world: &mut World, to: usize, kind: usize) {
    let domain = domain(to);
    match kind {
        0 => world.change_peer(&domain, |_| Box::new(Server::new(20, 30))),
        1 => world.change_peer(&domain, |_| Box::new(Server::new(1, 900))),
        2 => world.change_peer(&domain, |_| Box::new(Dead(Way::BlackHole))),
        3 => world.change_peer(&domain, |_| Box::new(Dead(Way::Silent))),
        4 => world.change_peer(&domain, |_| Box::new(Dead(Way::Refusing))),
        5 => world.change_peer(&domain, |_| Box::new(busy(None))),
        _ => world.change_peer(&domain, |_| Box::new(busy(Some(Duration::from_secs(20))))),
    }
}

/// A peer that has no time for every third message.
fn busy(retry_after: Option<Duration>) -> Scripted<impl FnMut(crate::time::Timestamp) -> Reply> {
    let mut asked = 0_u32;
    Scripted(move |_| {
        asked += 1;
        let takes = Duration::from_millis(40);
        if asked.is_multiple_of(3) {
            Reply::answered(takes, 503, retry_after)
        } else {
            Reply::received(takes)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_arrives_in_the_end_whatever_happens_before(
        seed in any::<u64>(),
        transfers_max in 1..40_u32,
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let settings = PoolSettings { transfers_max, ..PoolSettings::default() };
        let mut world = World::new(seed, settings);
        for number in 0..DESTINATIONS {
            world.add_peer(&domain(number), Server::new(10, 50));
        }
        for happening in happenings {
            happen(&mut world, happening, settings);
        }
        for number in 0..DESTINATIONS {
            become_kind(&mut world, number, 0);
            world.pool.resume(world.now, &domain(number));
        }
        // Longer than any breaker is open and any retry waits, shorter than messages live.
        world.run(Duration::from_secs(3 * 3_600));
        for number in 0..DESTINATIONS {
            prop_assert_eq!(world.queued(&domain(number)), 0, "{}", domain(number));
            prop_assert_eq!(world.records[&*domain(number)].failed, 0);
        }
        prop_assert_eq!(world.pool.in_flight(), 0);
    }
}
