//! Nodes, written down; and what is shown of them.

use std::sync::Mutex;

use mesh_backend::cluster::{ClusterDesk, ClusterView, Draining, NodeState, NodeView, Raised};
use mesh_backend::desk::{Answer, DeskError};

use super::Office;
use super::desks::Desks;

const THIS: &str = "4be1a30c5d7f4e2e9a3d27c1f0b86e55";
const OTHER: &str = "c70953d2aa1b4c5f8e6d0f1e2d3c4b5a";
const DEAD: &str = "f00dfeed00112233445566778899aabb";

/// Three nodes, of which the first is asked.
#[derive(Debug, Default)]
pub(crate) struct Nodes(Mutex<Story>);

/// What became of them.
#[derive(Debug, Default)]
struct Story {
    is_this_leaving: bool,
    /// How often was asked how far the other is.
    steps: usize,
    has_other_left: bool,
    is_dead_forgotten: bool,
    level: u16,
}

fn draining(node: &str, owned: (usize, usize)) -> Draining {
    Draining {
        node: node.to_owned(),
        partitions: owned.0,
        shards: owned.1,
        has_left: owned == (0, 0),
    }
}

fn node(name: &str, address: &str, state: NodeState, owned: (usize, usize)) -> NodeView {
    let roles = if owned.1 > 0 {
        vec!["backend".to_owned(), "outbound".to_owned()]
    } else {
        vec!["backend".to_owned()]
    };
    NodeView {
        node: name.to_owned(),
        address: address.to_owned(),
        roles,
        zone: "north".to_owned(),
        weight: 100,
        state,
        partitions: owned.0,
        shards: owned.1,
        build: "0.1.0".to_owned(),
        levels: if name == DEAD { (1, 1) } else { (1, 2) },
    }
}

impl ClusterDesk for Nodes {
    fn view(&self) -> Answer<'_, ClusterView> {
        let story = self.0.lock().unwrap();
        let state = match story.is_this_leaving {
            true => NodeState::Leaving,
            false => NodeState::Alive,
        };
        let mut nodes = vec![node(THIS, "10.0.0.1:8445", state, (340, 256))];
        if !story.has_other_left {
            nodes.push(node(OTHER, "10.0.0.2:8445", NodeState::Alive, (342, 0)));
        }
        if !story.is_dead_forgotten {
            nodes.push(node(DEAD, "10.0.0.3:8445", NodeState::Silent, (300, 0)));
        }
        let held_back_by = match story.is_dead_forgotten {
            true => Vec::new(),
            false => vec![DEAD.to_owned()],
        };
        let view = ClusterView {
            this: THIS.to_owned(),
            failover_bound_s: 8.0,
            nodes,
            partitions_free: 42,
            shards_free: 0,
            level: story.level + 1,
            level_next: (story.level == 0).then_some(2),
            held_back_by,
        };
        Box::pin(std::future::ready(Ok(view)))
    }

    fn drain<'a>(&'a self, node: Option<&'a str>) -> Answer<'a, Draining> {
        let mut story = self.0.lock().unwrap();
        let outcome = match node {
            Some(node) if OTHER.starts_with(node) => Ok(draining(OTHER, (342, 0))),
            Some(node) if DEAD.starts_with(node) => Err(DeskError::Refused {
                why: format!(
                    "the node {DEAD} is silent: others take what it owns without being told"
                ),
            }),
            _ => {
                story.is_this_leaving = true;
                Ok(draining(THIS, (340, 256)))
            }
        };
        Box::pin(std::future::ready(outcome))
    }

    fn drained<'a>(&'a self, seen: &'a Draining) -> Answer<'a, Draining> {
        let mut story = self.0.lock().unwrap();
        assert_eq!(seen.node, OTHER);
        story.steps += 1;
        let left = [200, 200, 3, 0][story.steps - 1];
        story.has_other_left = left == 0;
        Box::pin(std::future::ready(Ok(draining(OTHER, (left, 0)))))
    }

    fn raise(&self) -> Answer<'_, Raised> {
        let mut story = self.0.lock().unwrap();
        let outcome = match story.is_dead_forgotten {
            true => {
                story.level += 1;
                Ok(Raised { from: 1, to: 2 })
            }
            false => {
                // The next look finds its record removed.
                story.is_dead_forgotten = true;
                Err(DeskError::Refused {
                    why: format!("feature level 2 is not read by {DEAD}: replace them first"),
                })
            }
        };
        Box::pin(std::future::ready(outcome))
    }
}

#[test]
fn nodes_are_shown_and_one_is_taken_out() {
    let office = Office::open(Desks::empty());
    let shown = office.transcript(&[
        "meshd cluster show",
        "meshd cluster drain f00dfeed",
        "meshd cluster drain c70953d2",
        "meshd cluster drain c70953d2 --wait",
        "meshd cluster drain 4be1a30c",
        "meshd cluster show",
        "meshd cluster drain --json",
        "meshd cluster show --json",
    ]);
    shown.check("cluster");
    let orders = office.audit();
    assert_eq!(orders[0]["action"], "drain");
    assert_eq!(orders[0]["about"]["node"], "f00dfeed");
}

#[test]
fn the_store_is_raised_when_whoever_held_it_back_is_gone() {
    let office = Office::open(Desks::empty());
    let shown = office.transcript(&[
        "meshd cluster raise",
        "meshd cluster show",
        "meshd cluster raise",
        "meshd cluster show",
    ]);
    shown.check("cluster_raise");
    let orders = office.audit();
    assert_eq!(orders[0]["action"], "raise the feature level");
    let other = Office::open(Desks::empty());
    let _refused = other.transcript(&["meshd cluster raise"]);
    let json = other.transcript(&["meshd cluster raise --json"]);
    json.check("cluster_raise_json");
}
