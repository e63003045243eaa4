//! `meshd cluster`: the nodes, who owns how much, and taking one out (cluster §15).

use mesh_backend::cluster::{ClusterView, Draining, NodeState, NodeView, Raised};
use serde_json::json;

use super::args::{ClusterCommand, Drain};
use super::failure::Failure;
use super::link::Ask;
use super::page::{columns, counted, heads, plain};
use super::progress::Progress;
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
        ClusterCommand::Raise => raise(link),
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
    if asked.wait {
        return watch(draining, link);
    }
    let text = format!(
        "the node {} lets go of {} and {}, and leaves\n\
         try: meshd cluster drain {0} --wait    says how far it is, and when it has left\n",
        short(&draining.node),
        counted(of(draining.partitions), "partition"),
        counted(of(draining.shards), "queue shard"),
    );
    Ok(Done::new("cluster drain", text, answer))
}

/// Until the node has left.
fn watch(begun: Draining, link: &dyn Ask) -> Result<Done, Failure> {
    let (progress, mut now) = (Progress::begin(), begun.clone());
    while !now.has_left {
        progress.tell(&format!(
            "the node {} still owns {} and {}",
            short(&now.node),
            counted(of(now.partitions), "partition"),
            counted(of(now.shards), "queue shard"),
        ));
        now = read(&link.post("cluster/drained", &json!(now))?)?;
    }
    drop(progress);
    let text = format!(
        "the node {} has let go of {} and {}, and has left\n\
         next:\n  stop its process; started again, it joins anew\n",
        short(&begun.node),
        counted(of(begun.partitions), "partition"),
        counted(of(begun.shards), "queue shard"),
    );
    let result = json!(Draining {
        has_left: true,
        ..begun
    });
    Ok(Done::new("cluster drain", text, result))
}

fn raise(link: &dyn Ask) -> Result<Done, Failure> {
    let answer = link.post("cluster/raise", &json!({}))?;
    let raised: Raised = read(&answer)?;
    let text = format!(
        "raised the store from feature level {} to {}\n\
         releases that do not read level {1} cannot be started any more\n",
        raised.from, raised.to
    );
    Ok(Done::new("cluster raise", text, answer))
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
    text.push_str(&level(view));
    text
}

/// At which feature level the store is, and who holds it there.
fn level(view: &ClusterView) -> String {
    let level = view.level;
    let Some(next) = view.level_next else {
        return format!("feature level {level}; no node reads a higher one\n");
    };
    if view.held_back_by.is_empty() {
        return format!(
            "feature level {level}; every node reads {next}: it is raised when that was so for an hour\n\
             try: meshd cluster raise    at once, when you will not go back to the release before\n"
        );
    }
    let names: Vec<String> = view.held_back_by.iter().map(|node| short(node)).collect();
    format!(
        "feature level {level}; level {next} is held back by {}: replace what runs there\n",
        names.join(", ")
    )
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
