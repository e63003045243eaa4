//! The pool as a whole, in a simulated world.

use std::time::Duration;

use super::*;
use crate::delivery::testing::{Dead, Reply, Scripted, Server, Way, World};
use crate::delivery::{BreakerState, Class};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_healthy_peer_gets_everything_once() {
    let mut world = World::new(1, PoolSettings::default());
    world.add_peer("good.example", Server::new(50, 20));
    world.queue("good.example", 2_000);
    world.run(seconds(30));
    assert_eq!(world.records["good.example"].delivered, 2_000);
    assert_eq!(world.queued("good.example"), 0);
    assert_eq!(world.pool.in_flight(), 0);
}

#[test]
fn a_black_hole_costs_its_window_and_then_one_probe_at_a_time() {
    let mut world = World::new(2, PoolSettings::default());
    world.add_peer("hole.example", Dead(Way::BlackHole));
    world.queue("hole.example", 500);
    world.run(seconds(12));
    let window = world.records["hole.example"].timeouts;
    assert!(window <= 8, "{window} time-outs before the breaker opened");
    world.run(seconds(3_600));
    let probes = world.records["hole.example"].started - window;
    assert!((5..=9).contains(&probes), "{probes} probes in an hour");
    let standing = world.pool.describe(world.now, "hole.example").unwrap();
    assert_ne!(standing.breaker, BreakerState::Closed);
}

#[test]
fn a_peer_that_refuses_connections_is_not_called_in_a_loop() {
    let mut world = World::new(3, PoolSettings::default());
    world.add_peer("closed.example", Dead(Way::Refusing));
    world.queue("closed.example", 500);
    world.run(seconds(60));
    let record = &world.records["closed.example"];
    assert!(record.unreachable <= 10, "{} calls", record.unreachable);
    assert_eq!(world.queued("closed.example"), 500);
}

#[test]
fn a_peer_that_returns_gets_its_backlog() {
    let mut world = World::new(4, PoolSettings::default());
    world.add_peer("back.example", Server::new(50, 50));
    world.queue("back.example", 500);
    world.run(seconds(60));
    world.change_peer("back.example", |_| Box::new(Dead(Way::Silent)));
    world.queue("back.example", 5_000);
    world.run(seconds(600));
    assert!(world.records["back.example"].delivered < 600);
    world.change_peer("back.example", |_| Box::new(Server::new(50, 50)));
    world.pool.handle_peer_spoke(world.now, "back.example");
    world.run(seconds(60));
    assert_eq!(world.records["back.example"].delivered, 5_500);
}

/// Nine hundred dead destinations, a third of each way, and a hundred that take a tenth of a second.
fn mixed_world(seed: u64) -> World {
    let mut world = World::new(seed, PoolSettings::default());
    for number in 0..900 {
        let way = [Way::BlackHole, Way::Silent, Way::Refusing][number % 3];
        world.add_peer(&format!("dead{number}.example"), Dead(way));
        world.queue(&format!("dead{number}.example"), 50);
    }
    for number in 0..100 {
        world.add_peer(&format!("good{number}.example"), Server::new(20, 100));
        world.queue(&format!("good{number}.example"), 100);
    }
    world
}

fn in_flight_to_dead(world: &World) -> u32 {
    let dead = world
        .records
        .iter()
        .filter(|(domain, _)| domain.starts_with("dead"));
    dead.map(|(_, record)| record.in_flight).sum()
}

#[test]
fn dead_destinations_hold_no_more_than_the_slow_lane_once_they_are_known() {
    let mut world = mixed_world(5);
    for tenth in 0..600 {
        world.run(Duration::from_millis(100));
        let totals = world.pool.totals(world.now);
        assert!(totals.in_flight_slow <= totals.budget * 30 / 100);
        let dead = in_flight_to_dead(&world);
        let share = if tenth < 300 { 60 } else { 30 };
        assert!(dead <= totals.budget * share / 100, "{dead} after {tenth}");
    }
}

#[test]
fn healthy_destinations_get_theirs_beside_nine_times_as_many_dead_ones() {
    let mut world = mixed_world(6);
    world.run(seconds(15));
    for number in 0..100 {
        let domain = format!("good{number}.example");
        assert_eq!(world.records[&*domain].delivered, 100, "{domain}");
    }
}

#[test]
fn slow_destinations_leave_room_for_those_that_answer_fast() {
    let mut world = World::new(10, PoolSettings::default());
    for number in 0..300 {
        world.add_peer(&format!("slow{number}.example"), Server::new(20, 2_500));
        world.queue_endlessly(&format!("slow{number}.example"));
    }
    world.add_peer("good.example", Server::new(20, 20));
    world.run(seconds(60));
    world.queue("good.example", 1_000);
    world.run(seconds(5));
    assert_eq!(world.records["good.example"].delivered, 1_000);
    let (in_flight, totals) = (world.pool.in_flight(), world.pool.totals(world.now));
    assert!(in_flight <= totals.budget / 5, "{in_flight} slow ones");
    let all_are_served = world.records.values().all(|record| record.delivered > 0);
    assert!(all_are_served, "some slow destination is left out");
}

#[test]
fn one_transfer_finds_out_whether_a_destination_answers() {
    let mut world = World::new(11, PoolSettings::default());
    world.add_peer("hole.example", Dead(Way::BlackHole));
    world.add_peer("good.example", Server::new(50, 100));
    world.queue("hole.example", 100);
    world.queue("good.example", 100);
    world.run(Duration::from_millis(50));
    assert_eq!(world.records["hole.example"].in_flight, 1);
    assert_eq!(world.records["good.example"].in_flight, 1);
    world.run(Duration::from_millis(200));
    assert_eq!(world.records["hole.example"].in_flight, 1);
    assert!(
        world.records["good.example"].in_flight >= 4,
        "its window is open"
    );
}

#[test]
fn ten_thousand_destinations_with_one_message_each_are_all_started_within_a_minute() {
    let mut world = World::new(6, PoolSettings::default());
    for number in 0..10_000 {
        world.add_peer(&format!("d{number}.example"), Server::new(4, 750));
        world.queue(&format!("d{number}.example"), 1);
    }
    world.run(seconds(60));
    let delivered = world.records.values().filter(|record| record.started == 1);
    assert_eq!(delivered.count(), 10_000);
    assert!(world.in_flight_max <= 512);
}

#[test]
fn interactive_messages_go_eight_to_one_where_both_wait() {
    let mut world = World::new(7, PoolSettings::default());
    world.add_peer("busy.example", Server::new(1, 100));
    world.queue_as("busy.example", 120, "a.example", Class::Bulk, 4_096);
    world.queue_as("busy.example", 120, "a.example", Class::Interactive, 4_096);
    world.run(seconds(120));
    let order = &world.records["busy.example"].order;
    let bulk = order[..90]
        .iter()
        .filter(|(_, class)| *class == Class::Bulk)
        .count();
    assert_eq!(bulk, 10);
}

#[test]
fn tenants_take_turns() {
    let mut world = World::new(8, PoolSettings::default());
    world.add_peer("busy.example", Server::new(1, 100));
    world.queue_as("busy.example", 200, "campaign.example", Class::Bulk, 4_096);
    world.queue_as("busy.example", 20, "small.example", Class::Bulk, 4_096);
    world.run(seconds(120));
    let order = &world.records["busy.example"].order;
    let small = order[..40]
        .iter()
        .filter(|(tenant, _)| &**tenant == "small.example")
        .count();
    assert_eq!(small, 20);
}

#[test]
fn a_contact_request_and_a_small_tenant_overtake_a_campaign_that_is_in_the_store() {
    let mut world = World::new(12, PoolSettings::default());
    world.add_peer("busy.example", Server::new(1, 100));
    world.queue_as(
        "busy.example",
        5_000,
        "campaign.example",
        Class::Bulk,
        4_096,
    );
    world.run(seconds(10));
    world.queue_freshly("busy.example", "a.example", Class::Interactive);
    world.queue_freshly("busy.example", "small.example", Class::Bulk);
    world.run(seconds(5));
    let order = &world.records["busy.example"].order;
    assert!(order.len() < 300, "the campaign goes on");
    for tenant in ["a.example", "small.example"] {
        let is_gone = order.iter().any(|(of, _)| &**of == tenant);
        assert!(is_gone, "{tenant} waits behind the campaign");
    }
}

#[test]
fn a_pause_that_a_peer_asks_for_is_kept() {
    let mut world = World::new(9, PoolSettings::default());
    let mut asked = 0;
    world.add_peer(
        "busy.example",
        Scripted(move |_| {
            asked += 1;
            let takes = Duration::from_millis(10);
            if asked == 1 {
                Reply::answered(takes, 503, Some(Duration::from_secs(120)))
            } else {
                Reply::received(takes)
            }
        }),
    );
    world.queue("busy.example", 100);
    world.run(seconds(119));
    assert_eq!(world.records["busy.example"].started, 1);
    world.run(seconds(60));
    assert_eq!(world.records["busy.example"].delivered, 100);
}

#[test]
fn when_everybody_falls_silent_the_trouble_is_ours_and_ends_with_it() {
    let mut world = World::new(13, PoolSettings::default());
    let domains: Vec<String> = (0..16).map(|n| format!("d{n}.example")).collect();
    for domain in &domains {
        world.add_peer(domain, Server::new(2, 200));
        world.queue_endlessly(domain);
    }
    world.run(seconds(20));
    for domain in &domains {
        world.change_peer(domain, |_| Box::new(Dead(Way::BlackHole)));
    }
    world.run(seconds(8));
    let totals = world.pool.totals(world.now);
    assert!(totals.is_ours && totals.budget < 512, "{totals:?}");
    world.run(seconds(22));
    let before: Vec<u64> = domains
        .iter()
        .map(|domain| world.records[&**domain].delivered)
        .collect();
    for domain in &domains {
        world.change_peer(domain, |_| Box::new(Server::new(2, 200)));
    }
    world.run(seconds(20));
    for (domain, before) in domains.iter().zip(before) {
        assert!(world.records[&**domain].delivered > before, "{domain}");
    }
    world.run(seconds(160));
    assert_eq!(world.pool.totals(world.now).budget, 512);
}

#[test]
fn first_contacts_after_a_start_are_spread_if_they_are_many() {
    for (destinations, at_once, within) in [(5, 5, 0), (10_000, 100, 31)] {
        let mut world = World::new(14, PoolSettings::default());
        for number in 0..destinations {
            let domain = format!("d{number}.example");
            world.add_peer(&domain, Server::new(4, 10));
            world.queue(&domain, 1);
        }
        world.crash(PoolSettings::default());
        world.run(Duration::from_millis(100));
        let started = |world: &World| {
            let records = world.records.values();
            records.filter(|record| record.started > 0).count()
        };
        let first = started(&world);
        assert!(
            first >= at_once.min(destinations) / 4 && first <= at_once,
            "{first}"
        );
        world.run(seconds(within));
        assert_eq!(started(&world), destinations);
    }
}

#[test]
fn what_is_known_of_a_destination_outlives_the_pool() {
    let mut world = World::new(15, PoolSettings::default());
    world.add_peer("hole.example", Dead(Way::BlackHole));
    world.add_peer("held.example", Server::new(4, 10));
    world.queue("hole.example", 10);
    world.run(seconds(590));
    world.pool.hold(world.now, "held.example");
    world.queue("held.example", 10);
    let before = world.pool.describe(world.now, "hole.example").unwrap();
    world.crash(PoolSettings::default());
    world.run(seconds(2));
    let after = world.pool.describe(world.now, "hole.example").unwrap();
    assert_eq!(after.breaker, BreakerState::Open);
    assert_eq!(after.remembered.reopens_at, before.remembered.reopens_at);
    assert_eq!(after.remembered.open_time_s, before.remembered.open_time_s);
    assert_eq!(world.records["held.example"].started, 0);
    world.pool.resume(world.now, "held.example");
    world.run(seconds(2));
    assert_eq!(world.records["held.example"].delivered, 10);
}
