//! `meshd cluster`: the nodes, who owns how much, and taking one out (cluster §15).

use mesh_backend::cluster::{ClusterView, Draining, NodeState, NodeView};
use serde_json::json;

use super::args::{ClusterCommand, Drain};
use super::failure::Failure;
use super::link::Ask;
use super::page::{columns, counted, heads, plain};
use super::{Done, read};
use crate::admin::api::Meant;

/// Digits of a node's name that are enough to tell it from the others.
const NAME_DIGITS: usize = 8;

/// Carries out one of the commands.
///
/// # Errors
/// [`Failure`].
pub fn ask(command: &ClusterCommand, link: &dyn Ask) -> Result<Done, Failure> {
    match command {
        ClusterCommand::Show => show(link),
        ClusterCommand::Drain(asked) => drain(asked, link),
    }
}

fn show(link: &dyn Ask) -> Result<Done, Failure> {
    let answer = link.get("cluster")?;
    let view: ClusterView = read(&answer)?;
    Ok(Done::new("cluster show", page(&view), answer))
}

fn drain(asked: &Drain, link: &dyn Ask) -> Result<Done, Failure> {
    let node = asked.node.clone();
    let answer = link.post("cluster/drain", &json!(Meant { node }))?;
    let draining: Draining = read(&answer)?;
    let text = format!(
        "the node {} lets go of {} and {}, and leaves\n\
         try: meshd cluster show    until it is not listed any more\n",
        short(&draining.node),
        counted(of(draining.partitions), "partition"),
        counted(of(draining.shards), "queue shard"),
    );
    Ok(Done::new("cluster drain", text, answer))
}

fn page(view: &ClusterView) -> String {
    let mut rows = vec![heads(&[
        "NODE",
        "ADDRESS",
        "ROLES",
        "ZONE",
        "STATE",
        "PARTITIONS",
        "QUEUES",
        "RELEASE",
    ])];
    rows.extend(view.nodes.iter().map(|node| row(node, &view.this)));
    let mut text = columns(&rows);
    text.push_str(&format!(
        "{}; others write for one that died within {} s\n",
        counted(of(view.nodes.len()), "node"),
        view.failover_bound_s
    ));
    if view.partitions_free + view.shards_free > 0 {
        text.push_str(&format!(
            "nobody owns {} and {} at this moment\n",
            counted(of(view.partitions_free), "partition"),
            counted(of(view.shards_free), "queue shard"),
        ));
    }
    text
}

fn row(node: &NodeView, this: &str) -> Vec<String> {
    let marked = if node.node == this { "*" } else { "" };
    let zone = match node.zone.as_str() {
        "" => "-".to_owned(),
        zone => plain(zone),
    };
    vec![
        format!("{}{marked}", short(&node.node)),
        plain(&node.address),
        node.roles.join("+"),
        zone,
        match node.state {
            NodeState::Alive => "alive",
            NodeState::Leaving => "leaving",
            NodeState::Silent => "silent",
        }
        .to_owned(),
        node.partitions.to_string(),
        node.shards.to_string(),
        plain(&node.build),
    ]
}

fn short(node: &str) -> String {
    node.chars().take(NAME_DIGITS).collect()
}

fn of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
