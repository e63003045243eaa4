//! Tests of what is known of nodes and owners, and of whom that makes one ask.

use proptest::prelude::*;

use super::*;

const PARTITION: PartitionId = PartitionId(7);
const UNIT: Unit = Unit::Partition(PARTITION);
const START: Duration = Duration::from_secs(100);

fn node(name: u8) -> NodeId {
    NodeId([name; 16])
}

fn at(name: u8) -> Address {
    Address::from(format!("10.0.0.{name}:7100"))
}

fn fence(epoch: u64) -> Fence {
    Fence {
        generation: 1,
        epoch,
    }
}

fn routed(name: u8, zone: &str) -> RoutedNode {
    RoutedNode {
        address: at(name).to_string(),
        zone: zone.into(),
        roles: BACK_END.roles,
        draining: false,
    }
}

/// A table with these nodes, and these owners of [`UNIT`] at these epochs.
fn table(nodes: &[u8], owner: Option<(u8, u64)>) -> Arc<RoutingTable> {
    let nodes = nodes.iter().map(|&name| (node(name), routed(name, "")));
    let owners = owner.map(|(name, epoch)| (UNIT, route(name, epoch)));
    Arc::new(RoutingTable {
        nodes: nodes.collect(),
        owners: owners.into_iter().collect(),
    })
}

fn route(name: u8, epoch: u64) -> Route {
    Route {
        node: node(name),
        fence: fence(epoch),
    }
}

fn target(name: u8, epoch: u64) -> Target {
    Target {
        address: at(name),
        fence: fence(epoch),
        through: None,
    }
}

/// Nodes 1, 2 and 3, and 1 is the owner at epoch 5, says node 1.
fn routing() -> Routing {
    let mut routing = Routing::new("");
    routing.told(&at(1), table(&[1, 2, 3], Some((1, 5))), START);
    routing
}

#[test]
fn of_two_claims_the_later_one_counts_whoever_tells_it() {
    let mut routing = routing();
    assert_eq!(routing.owner(UNIT), Some(target(1, 5)));
    let changed = routing.told(&at(2), table(&[1, 2, 3], Some((2, 6))), START);
    assert!(changed.contains(&UNIT));
    assert_eq!(routing.owner(UNIT), Some(target(2, 6)));
    // The first node has not read the store since.
    let changed = routing.told(&at(1), table(&[1, 2, 3], Some((1, 5))), START);
    assert!(changed.is_empty());
    assert_eq!(routing.owner(UNIT), Some(target(2, 6)));
}

#[test]
fn whoever_is_restored_is_later_than_everything_before() {
    let mut routing = routing();
    let restored = Route {
        node: node(3),
        fence: Fence {
            generation: 2,
            epoch: 1,
        },
    };
    assert!(routing.learn(UNIT, restored));
    assert_eq!(routing.owner(UNIT).unwrap().fence, restored.fence);
}

#[test]
fn an_owner_that_denies_it_is_asked_again_by_one_after_a_pause() {
    let mut routing = routing();
    assert_eq!(routing.turn(UNIT, false, START), Turn::Ask(target(1, 5)));
    assert!(!routing.moved(UNIT, fence(5), None, START));
    assert_eq!(routing.owner(UNIT), None);
    let due = START + OWNER_PAUSE_MIN;
    assert_eq!(routing.turn(UNIT, false, START), Turn::Wait(Some(due)));
    assert_eq!(routing.turn(UNIT, false, due), Turn::Probe(target(1, 5)));
    let next = due + OWNER_PAUSE_MIN;
    assert_eq!(routing.turn(UNIT, false, due), Turn::Wait(Some(next)));
    let changed = routing.answered(&at(1), Some((UNIT, fence(5))));
    assert!(changed.contains(&UNIT), "others wait for this");
    assert_eq!(routing.turn(UNIT, false, due), Turn::Ask(target(1, 5)));
}

#[test]
fn pauses_grow_and_end() {
    let mut routing = routing();
    routing.moved(UNIT, fence(5), None, START);
    let (mut now, mut pauses) = (START, Vec::new());
    for _ in 0..6 {
        let Turn::Wait(Some(until)) = routing.turn(UNIT, false, now) else {
            panic!("it was asked a moment ago");
        };
        pauses.push((until - now).as_millis());
        now = until;
        assert_eq!(routing.turn(UNIT, false, now), Turn::Probe(target(1, 5)));
    }
    assert_eq!(pauses, [50, 50, 100, 200, 400, 400]);
}

#[test]
fn a_hint_counts_if_it_is_later() {
    let mut routing = routing();
    assert!(routing.moved(UNIT, fence(5), Some(route(2, 6)), START));
    assert_eq!(routing.owner(UNIT), Some(target(2, 6)));
    assert!(!routing.moved(UNIT, fence(6), Some(route(1, 5)), START));
    assert_eq!(
        routing.owner(UNIT),
        None,
        "the hint is old, the denial is not"
    );
}

#[test]
fn who_is_listed_no_more_let_go_and_who_is_listed_again_did_not() {
    let mut routing = routing();
    routing.told(&at(1), table(&[1, 2, 3], None), START);
    assert_eq!(routing.owner(UNIT), None);
    // A node that never listed it says nothing by not doing so.
    routing.told(&at(2), table(&[1, 2, 3], None), START);
    let changed = routing.told(&at(1), table(&[1, 2, 3], Some((1, 5))), START);
    assert!(changed.contains(&UNIT));
    assert_eq!(routing.owner(UNIT), Some(target(1, 5)));
    routing.told(&at(2), table(&[1, 2, 3], None), START);
    assert_eq!(routing.owner(UNIT), Some(target(1, 5)));
}

#[test]
fn an_owner_nobody_lists_as_alive_is_not_asked() {
    let mut routing = routing();
    routing.told(&at(2), table(&[1, 2, 3], Some((1, 5))), START);
    routing.silent(&at(1), START);
    routing.told(&at(2), table(&[2, 3], Some((1, 5))), START);
    assert_eq!(routing.owner(UNIT), None);
    assert_eq!(routing.turn(UNIT, false, START), Turn::Wait(None));
    let changed = routing.told(&at(2), table(&[1, 2, 3], Some((1, 5))), START);
    assert!(changed.contains(&UNIT), "it is alive after all");
    assert!(matches!(routing.turn(UNIT, false, START), Turn::Probe(_)));
}

#[test]
fn what_was_told_last_holds_while_nobody_is_heard() {
    let mut routing = routing();
    routing.silent(&at(1), START);
    assert!(!routing.is_heard());
    assert_eq!(routing.back_ends(), 3);
    assert!(matches!(routing.turn(UNIT, false, START), Turn::Probe(_)));
    assert!(routing.anybody(PARTITION, &[], START).is_some());
}

#[test]
fn a_node_in_doubt_is_left_to_one_request_at_a_time() {
    let mut routing = routing();
    routing.doubt(&at(1), START);
    assert_eq!(routing.owner(UNIT), None);
    // The first time at once: the connection may have been idle for too long.
    assert_eq!(routing.turn(UNIT, false, START), Turn::Probe(target(1, 5)));
    let Turn::Wait(Some(due)) = routing.turn(UNIT, false, START) else {
        panic!("one asks already");
    };
    assert_eq!(due, START + OWNER_PAUSE_MIN);
    let changed = routing.answered(&at(1), None);
    assert!(changed.contains(&UNIT), "all its units are there again");
    assert_eq!(routing.turn(UNIT, false, START), Turn::Ask(target(1, 5)));
}

#[test]
fn a_node_that_refuses_us_is_left_alone_for_longer() {
    let mut routing = routing();
    let until = START + Duration::from_secs(5);
    routing.doubt_until(&at(1), until);
    routing.doubt(&at(1), START);
    assert_eq!(routing.turn(UNIT, false, START), Turn::Wait(Some(until)));
}

#[test]
fn reads_go_to_the_owner_then_to_the_own_zone_then_elsewhere() {
    let mut routing = Routing::new("here");
    let mut told = RoutingTable::clone(&table(&[], Some((1, 5))));
    for (name, zone) in [(1, "there"), (2, "there"), (3, "here"), (4, "there")] {
        told.nodes.insert(node(name), routed(name, zone));
    }
    routing.told(&at(2), Arc::new(told.clone()), START);
    let ask = |routing: &Routing, tried: &[Address]| routing.anybody(PARTITION, tried, START);
    assert_eq!(ask(&routing, &[]), Some(at(1)));
    assert_eq!(ask(&routing, &[at(1)]), Some(at(3)));
    let third = ask(&routing, &[at(1), at(3)]).unwrap();
    assert!([at(2), at(4)].contains(&third));
    routing.doubt(&at(3), START);
    assert_eq!(
        ask(&routing, &[at(1)]),
        Some(third),
        "the near one is in doubt"
    );
    let everybody: Vec<_> = (1..=4).map(at).collect();
    assert_eq!(ask(&routing, &everybody), None);
}

#[test]
fn a_slow_owner_is_asked_second_for_a_while() {
    let mut routing = routing();
    routing.slow(&at(1), START);
    let other = routing.anybody(PARTITION, &[], START).unwrap();
    assert_ne!(other, at(1));
    assert_eq!(
        routing.owner(UNIT),
        Some(target(1, 5)),
        "writes have no choice"
    );
    let later = START + ROUTED_SLOW_LIFE;
    assert_eq!(routing.anybody(PARTITION, &[], later), Some(at(1)));
}

#[test]
fn who_only_sends_to_other_services_is_asked_for_no_account() {
    let mut told = RoutingTable::clone(&table(&[1], None));
    let mut outbound = routed(2, "");
    outbound.roles = Roles {
        backend: false,
        outbound: true,
    };
    told.nodes.insert(node(2), outbound);
    let shard = Unit::Shard(mesh_common::delivery::ShardId(3));
    told.owners.insert(shard, route(2, 1));
    let mut routing = Routing::new("");
    routing.told(&at(1), Arc::new(told), START);
    assert_eq!(routing.anybody(PARTITION, &[at(1)], START), None);
    assert_eq!(routing.back_ends(), 1);
    assert_eq!(routing.whom_to_tell(shard, START), Some(at(2)));
    assert_eq!(
        routing.whom_to_tell(UNIT, START),
        Some(at(1)),
        "nobody owns it"
    );
}

#[test]
fn seeds_are_linked_until_a_node_is_heard_under_its_own_address() {
    let seed = Address::from("back-ends.example:7100");
    let seeds = BTreeSet::from([seed.clone()]);
    let mut routing = Routing::new("");
    assert_eq!(routing.wanted(&seeds), seeds);
    routing.told(&seed, table(&[1, 2], None), START);
    let both = BTreeSet::from([at(1), at(2)]);
    assert_eq!(routing.wanted(&seeds), &both | &seeds);
    routing.told(&at(2), table(&[1, 2], None), START);
    assert_eq!(routing.wanted(&seeds), both);
    routing.forget(&seed);
    routing.silent(&at(2), START);
    assert_eq!(routing.wanted(&seeds), &both | &seeds, "all may have moved");
}

/// What may come to a front-end's ears, of three nodes and one unit. Claims are as the store gave
/// them: whose each epoch is, is the same for all who tell it.
#[derive(Debug, Clone)]
enum Heard {
    Table {
        by: u8,
        alive: Vec<u8>,
        epoch: Option<u64>,
    },
    Silent(u8),
    Moved {
        epoch: u64,
        hint: Option<u64>,
    },
    Doubt(u8),
    Answered {
        by: u8,
        epoch: Option<u64>,
    },
    Slow(u8),
    Passed(u8),
    NotPassed(u8),
    PassesNothing(u8, u8),
    Later(u64),
}

/// Who made the claim.
fn claimant(epoch: u64) -> u8 {
    (epoch % 3) as u8 + 1
}

fn heard() -> impl Strategy<Value = Heard> {
    let name = || 1..=3_u8;
    let epoch = || 1..20_u64;
    prop_oneof![
        (
            name(),
            proptest::sample::subsequence(vec![1, 2, 3], 0..=3),
            proptest::option::of(epoch())
        )
            .prop_map(|(by, alive, epoch)| Heard::Table { by, alive, epoch }),
        name().prop_map(Heard::Silent),
        (epoch(), proptest::option::of(epoch()))
            .prop_map(|(epoch, hint)| Heard::Moved { epoch, hint }),
        name().prop_map(Heard::Doubt),
        (name(), proptest::option::of(epoch()))
            .prop_map(|(by, epoch)| Heard::Answered { by, epoch }),
        name().prop_map(Heard::Slow),
        name().prop_map(Heard::Passed),
        name().prop_map(Heard::NotPassed),
        (name(), name()).prop_map(|(by, to)| Heard::PassesNothing(by, to)),
        (1..500_u64).prop_map(Heard::Later),
    ]
}

fn take(routing: &mut Routing, heard: &Heard, now: &mut Duration) -> BTreeSet<Unit> {
    match heard {
        Heard::Table { by, alive, epoch } => {
            let owner = epoch.map(|epoch| (claimant(epoch), epoch));
            routing.told(&at(*by), table(alive, owner), *now)
        }
        Heard::Silent(name) => routing.silent(&at(*name), *now),
        Heard::Moved { epoch, hint } => {
            let hint = hint.map(|hint| route(claimant(hint), hint));
            let is_news = routing.moved(UNIT, fence(*epoch), hint, *now);
            is_news.then_some(UNIT).into_iter().collect()
        }
        Heard::Doubt(name) => {
            routing.doubt(&at(*name), *now);
            BTreeSet::new()
        }
        Heard::Answered { by, epoch } => {
            let owned = epoch.map(|epoch| (UNIT, fence(epoch)));
            routing.answered(&at(*by), owned)
        }
        Heard::Slow(name) => {
            routing.slow(&at(*name), *now);
            BTreeSet::new()
        }
        Heard::Passed(name) => routing.passed(&at(*name)),
        Heard::NotPassed(name) => {
            routing.not_passed(&at(*name), *now);
            BTreeSet::new()
        }
        Heard::PassesNothing(by, to) => {
            routing.passes_nothing(&at(*by), &at(*to), *now);
            BTreeSet::new()
        }
        Heard::Later(millis) => {
            *now += Duration::from_millis(*millis);
            BTreeSet::new()
        }
    }
}

fn highest(all: &[Heard]) -> Option<u64> {
    let told = all.iter().filter_map(|heard| match heard {
        Heard::Table { epoch, .. } => *epoch,
        Heard::Moved { hint, .. } => *hint,
        _ => None,
    });
    told.max()
}

/// Whether `asked` goes through another node than its owner, which is heard and lists the owner.
fn goes_aside(routing: &Routing, asked: &Target) -> bool {
    asked.through.as_ref().is_some_and(|through| {
        let view = routing.views.get(&through.by).filter(|view| view.is_open);
        let lists = |view: &View| view.table.nodes.contains_key(&through.route.node);
        through.by != asked.address && through.route.fence == asked.fence && view.is_some_and(lists)
    })
}

proptest! {
    /// Whatever comes in whatever order: the highest claim that was told is the one that counts;
    /// writes ask it or nobody, one at a time unless there is a way that is known, and through another
    /// node only if it is alive and cannot be asked; whoever waits is woken when that becomes so, or by
    /// the time it was told; reads find somebody as long as there is anybody.
    #[test]
    fn nothing_that_is_heard_leads_astray(all in prop::collection::vec(heard(), 1..60)) {
        let mut routing = Routing::new("");
        let mut now = START;
        for (count, one) in all.iter().enumerate() {
            let could_ask = routing.owner(UNIT);
            let changed = take(&mut routing, one, &mut now);
            let counts = highest(&all[..=count]).map(fence);
            prop_assert_eq!(routing.owners.get(&UNIT).map(|owner| owner.route.fence), counts);
            let can_ask = routing.owner(UNIT);
            if can_ask.is_some() && can_ask != could_ask {
                prop_assert!(changed.contains(&UNIT), "those who wait are not woken by {one:?}");
            }
            match routing.turn(UNIT, false, now) {
                Turn::Ask(asked) => {
                    prop_assert_eq!(Some(asked.fence), counts);
                    match &asked.through {
                        None => prop_assert_eq!(Some(asked), can_ask),
                        Some(_) => prop_assert!(can_ask.is_none() && goes_aside(&routing, &asked)),
                    }
                }
                Turn::Probe(asked) => {
                    prop_assert_eq!(Some(asked.fence), counts);
                    prop_assert_eq!(can_ask, None);
                    prop_assert!(asked.through.is_none() || goes_aside(&routing, &asked));
                    let is_alone = match routing.turn(UNIT, false, now) {
                        Turn::Wait(until) => until.is_some(),
                        Turn::Ask(asked) => asked.through.is_some(),
                        Turn::Probe(_) => false,
                    };
                    prop_assert!(is_alone, "two ask what one can find out");
                }
                Turn::Wait(until) => {
                    prop_assert_eq!(can_ask, None);
                    prop_assert!(until.is_none_or(|until| until > now));
                    let has_address = routing.owners.get(&UNIT).is_some_and(|owner| {
                        routing.target(owner).is_some()
                    });
                    prop_assert_eq!(until.is_some(), has_address, "only a change helps, or time");
                }
            }
            let mut asked = Vec::new();
            while let Some(next) = routing.anybody(PARTITION, &asked, now) {
                prop_assert!(!asked.contains(&next));
                asked.push(next);
            }
            prop_assert_eq!(asked.len(), routing.back_ends());
        }
    }

    /// The order in which tables come does not matter for who counts as the owner.
    #[test]
    fn tables_may_come_in_any_order(
        (one, other) in prop::collection::vec(heard(), 1..20)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let told = |all: &[Heard]| {
            let (mut routing, mut now) = (Routing::new(""), START);
            for heard in all {
                take(&mut routing, heard, &mut now);
            }
            routing.owners.get(&UNIT).map(|owner| owner.route)
        };
        prop_assert_eq!(told(&one), told(&other));
    }
}

/// Node 1 is the owner of [`UNIT`] in the zone "a", and all others stand where `zones` says.
fn zoned(here: &str, zones: [&str; 3]) -> Routing {
    let nodes = [1_u8, 2, 3].into_iter().zip(zones);
    let nodes = nodes.map(|(name, zone)| (node(name), routed(name, zone)));
    let table = Arc::new(RoutingTable {
        nodes: nodes.collect(),
        owners: [(UNIT, route(1, 5))].into_iter().collect(),
    });
    let mut routing = Routing::new(here);
    for name in [1, 2, 3] {
        routing.told(&at(name), Arc::clone(&table), START);
    }
    routing
}

/// Who brings a write to its owner, if anybody is to.
fn passer(routing: &mut Routing, now: Duration) -> Option<Address> {
    match routing.turn(UNIT, true, now) {
        Turn::Ask(target) | Turn::Probe(target) => target.through.map(|through| through.by),
        Turn::Wait(_) => None,
    }
}

#[test]
fn a_node_of_the_own_zone_brings_a_write_to_an_owner_that_is_not_reached() {
    for near in [2, 3] {
        let zones = [1, 2, 3].map(|name| if name == near { "b" } else { "a" });
        let mut routing = zoned("b", zones);
        assert_eq!(passer(&mut routing, START), None, "it can be reached");
        routing.doubt(&at(1), START);
        assert_eq!(passer(&mut routing, START), Some(at(near)));
        // While the nearer one cannot be reached either, another one does.
        routing.doubt(&at(near), START);
        routing.pass_otherwise(&at(1));
        assert_eq!(passer(&mut routing, START), Some(at(5 - near)));
    }
}

#[test]
fn of_equal_nodes_the_next_in_the_order_of_rendezvous_brings_it() {
    let mut routing = zoned("a", ["a"; 3]);
    let order = routing.placement.order(UNIT);
    let next = order.iter().find(|id| **id != node(1)).unwrap();
    routing.doubt(&at(1), START);
    assert_eq!(passer(&mut routing, START), Some(at(next.0[0])));
}

#[test]
fn one_finds_out_whether_there_is_a_way_and_then_everybody_goes() {
    let mut routing = zoned("a", ["a"; 3]);
    routing.silent(&at(1), START);
    let aside = |turn: Turn| match turn {
        Turn::Ask(target) => Some((true, target.through?)),
        Turn::Probe(target) => Some((false, target.through?)),
        Turn::Wait(_) => None,
    };
    let first = aside(routing.turn(UNIT, false, START));
    let (is_known, through) = first.expect("one looks");
    assert!(!is_known);
    assert_eq!(through.route, route(1, 5));
    assert_eq!(aside(routing.turn(UNIT, false, START)), None, "alone");
    let news = routing.passed(&at(1));
    assert!(news.contains(&UNIT), "others wait for this");
    for _ in 0..3 {
        let turn = routing.turn(UNIT, false, START);
        assert_eq!(aside(turn), Some((true, through.clone())));
    }
    // That node does not reach it any more.
    routing.not_passed(&at(1), START);
    assert_eq!(aside(routing.turn(UNIT, false, START)), None);
    let due = START + OWNER_PAUSE_MIN;
    let turn = routing.turn(UNIT, false, due);
    assert_eq!(aside(turn), Some((false, through)));
    // It can be reached from here again.
    routing.answered(&at(1), None);
    assert_eq!(routing.turn(UNIT, false, due), Turn::Ask(target(1, 5)));
}
