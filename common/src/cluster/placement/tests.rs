//! Who gets what, and who keeps it when nodes come and go.

use super::*;
use crate::cluster::PartitionId;
use crate::entropy::SeededEntropy;

const BOTH: Roles = Roles {
    backend: true,
    outbound: true,
};

fn node(seed: u64) -> NodeId {
    NodeId::draw(&mut SeededEntropy::new(seed))
}

fn placement(weights: &[(u64, u32)]) -> Placement {
    let roles = BOTH;
    let candidates = weights
        .iter()
        .map(|(seed, weight)| {
            let weight = *weight;
            (node(*seed), Candidate { roles, weight })
        })
        .collect();
    Placement::among(candidates)
}

fn count(placement: &Placement, seed: u64) -> usize {
    Unit::all()
        .filter(|unit| placement.desired(*unit) == Some(node(seed)))
        .count()
}

#[test]
fn every_machine_computes_the_same_to_the_bit() {
    let unit = Unit::Partition(PartitionId(3));
    let node = NodeId([7; 16]);
    assert_eq!(hash01(unit, node).to_bits(), 0x3fe7_3882_ce7c_0efd);
    assert_eq!(score(unit, node, 100).to_bits(), 0x4073_7d3e_ba67_e5fd);
}

#[test]
fn our_logarithm_is_the_logarithm() {
    for step in 1..10_000_u32 {
        let x = f64::from(step) / 10_000.0;
        let error = (ln(x) - x.ln()).abs();
        assert!(error <= 4.0 * f64::EPSILON * x.ln().abs().max(1.0), "{x}");
    }
    let least = 0.5 / (1_u64 << 52) as f64;
    assert!((ln(least) - least.ln()).abs() < 1e-13);
}

#[test]
fn nodes_of_equal_weight_own_about_as_much() {
    let placement = placement(&[(1, 100), (2, 100), (3, 100)]);
    for seed in 1..=3 {
        let share = count(&placement, seed);
        assert!((340..=510).contains(&share), "{share} of 1280");
    }
}

#[test]
fn a_node_of_twice_the_weight_owns_about_twice_as_much() {
    let placement = placement(&[(1, 100), (2, 200)]);
    let (light, heavy) = (count(&placement, 1), count(&placement, 2));
    let ratio = heavy as f64 / light as f64;
    assert!((1.7..2.35).contains(&ratio), "{heavy} to {light}");
}

#[test]
fn a_node_that_joins_takes_its_share_and_moves_nothing_else() {
    let before = placement(&[(1, 100), (2, 100)]);
    let after = placement(&[(1, 100), (2, 100), (3, 100)]);
    let mut moved = 0;
    for unit in Unit::all() {
        if after.desired(unit) == Some(node(3)) {
            moved += 1;
        } else {
            assert_eq!(after.desired(unit), before.desired(unit));
        }
    }
    assert!((340..=510).contains(&moved), "{moved} of 1280");
}

#[test]
fn whoever_comes_second_gets_what_the_first_leaves() {
    let all = placement(&[(1, 100), (2, 50), (3, 100)]);
    for unit in Unit::all() {
        let order = all.order(unit);
        assert_eq!(order.len(), 3);
        assert_eq!(all.desired(unit), order.first().copied());
        let mut rest = all.candidates().clone();
        rest.remove(&order[0]);
        assert_eq!(Placement::among(rest).desired(unit), Some(order[1]));
    }
}

#[test]
fn what_a_node_is_not_there_for_it_does_not_get() {
    let backend = Roles {
        backend: true,
        outbound: false,
    };
    let weight = 100;
    let candidate = |roles| Candidate { roles, weight };
    let placement = Placement::among(BTreeMap::from([
        (node(1), candidate(backend)),
        (node(2), candidate(BOTH)),
    ]));
    let mut partitions = 0;
    for unit in Unit::all() {
        match unit {
            Unit::Partition(_) => {
                partitions += usize::from(placement.desired(unit) == Some(node(1)));
            }
            Unit::Shard(_) => assert_eq!(placement.desired(unit), Some(node(2))),
        }
    }
    assert!((400..=624).contains(&partitions), "{partitions} of 1024");
    let nobody = Placement::among(BTreeMap::from([(node(1), candidate(backend))]));
    assert_eq!(
        nobody.desired(Unit::Shard(crate::delivery::ShardId(0))),
        None
    );
}
