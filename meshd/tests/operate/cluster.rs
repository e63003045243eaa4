//! Nodes, written down; and what is shown of them.

use std::sync::Mutex;

use mesh_backend::cluster::{ClusterDesk, ClusterView, Draining, NodeState, NodeView};
use mesh_backend::desk::{Answer, DeskError};

use super::Office;
use super::desks::Desks;

const THIS: &str = "4be1a30c5d7f4e2e9a3d27c1f0b86e55";
const OTHER: &str = "c70953d2aa1b4c5f8e6d0f1e2d3c4b5a";
const DEAD: &str = "f00dfeed00112233445566778899aabb";

/// Three nodes, of which the first is asked.
#[derive(Debug, Default)]
pub(crate) struct Nodes(Mutex<bool>);

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
    }
}

impl ClusterDesk for Nodes {
    fn view(&self) -> Answer<'_, ClusterView> {
        let state = match *self.0.lock().unwrap() {
            true => NodeState::Leaving,
            false => NodeState::Alive,
        };
        let view = ClusterView {
            this: THIS.to_owned(),
            failover_bound_s: 8.0,
            nodes: vec![
                node(THIS, "10.0.0.1:8445", state, (340, 256)),
                node(OTHER, "10.0.0.2:8445", NodeState::Alive, (342, 0)),
                node(DEAD, "10.0.0.3:8445", NodeState::Silent, (300, 0)),
            ],
            partitions_free: 42,
            shards_free: 0,
        };
        Box::pin(std::future::ready(Ok(view)))
    }

    fn drain<'a>(&'a self, node: Option<&'a str>) -> Answer<'a, Draining> {
        let outcome = if node.is_none_or(|node| THIS.starts_with(node)) {
            *self.0.lock().unwrap() = true;
            Ok(Draining {
                node: THIS.to_owned(),
                partitions: 340,
                shards: 256,
            })
        } else {
            Err(DeskError::Refused {
                why:
                    "the node c70953d2 answers at 10.0.0.2:8445: a node is drained on its own host"
                        .to_owned(),
            })
        };
        Box::pin(std::future::ready(outcome))
    }
}

#[test]
fn nodes_are_shown_and_one_is_taken_out() {
    let office = Office::open(Desks::empty());
    let shown = office.transcript(&[
        "meshd cluster show",
        "meshd cluster drain c70953d2",
        "meshd cluster drain 4be1a30c",
        "meshd cluster show",
        "meshd cluster drain --json",
        "meshd cluster show --json",
    ]);
    shown.check("cluster");
    let orders = office.audit();
    assert_eq!(orders[0]["action"], "drain");
    assert_eq!(orders[0]["about"]["node"], "c70953d2");
}
