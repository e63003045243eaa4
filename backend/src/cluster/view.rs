//! The cluster as its operator sees it from one node, and telling that node to leave (cluster §15).

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_common::cluster::{NodeId, NodeRecord, Ownership, Unit};
use mesh_common::delivery::ShardId;
use mesh_common::limits::PARTITIONS;
use serde::{Deserialize, Serialize};

use super::claims::{self, Look};
use super::level::{self, NotRaised, Raised};
use super::membership::Membership;
use crate::desk::{Answer, DeskError};
use crate::handle::BackendHandle;
use crate::partition::reading::ReadError;
use crate::partition::shared::chain;
use crate::store::{ProbeError, Store, StoreError};

/// How often tables are read for an operator that take longer to read than a version of the store lives.
const LOOKS_MAX: usize = 3;

/// The nodes, and who owns how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    /// The node that was asked.
    pub this: String,
    /// Seconds after which others write for a node that died, at most.
    pub failover_bound_s: f64,
    /// Every node with a record, in the order of their names.
    pub nodes: Vec<NodeView>,
    /// Partitions that nobody owns at this moment.
    pub partitions_free: usize,
    /// Shards of the queues that nobody owns at this moment.
    pub shards_free: usize,
    /// Which kinds of rows may be in the store.
    pub level: u16,
    /// The level above, if any node reads it.
    pub level_next: Option<u16>,
    /// The nodes that do not read that one.
    pub held_back_by: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name: 32 digits, drawn at its start.
    pub node: String,
    /// `host:port` of its internal link.
    pub address: String,
    /// `backend`, `outbound`.
    pub roles: Vec<String>,
    /// Where it stands.
    pub zone: String,
    /// Its share beside that of others.
    pub weight: u32,
    /// How it is.
    pub state: NodeState,
    /// Partitions it owns.
    pub partitions: usize,
    /// Shards it owns.
    pub shards: usize,
    /// The release it runs.
    pub build: String,
    /// The lowest and the highest feature level whose rows it reads.
    pub levels: (u16, u16),
}

/// How a node is, as the node that was asked sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It says regularly that it lives.
    Alive,
    /// It lets go of what it has, and gets nothing more.
    Leaving,
    /// It has not said for its lease that it lives: others take what it owns.
    Silent,
}

/// What operators ask about the cluster.
pub trait ClusterDesk: Send + Sync + 'static {
    /// The nodes, and who owns how much, as the store says now.
    fn view(&self) -> Answer<'_, ClusterView>;

    /// Tells a node to let go of everything and to leave; how much that is. `node` names it, or begins its name; without,
    /// it is the one that was asked. Another one finds the order in the store when it looks, within a second.
    fn drain<'a>(&'a self, node: Option<&'a str>) -> Answer<'a, Draining>;

    /// How much the node of this name has still to let go of: as soon as it is other than `seen` says, and after some
    /// time even if it is not.
    fn drained<'a>(&'a self, seen: &'a Draining) -> Answer<'a, Draining>;

    /// Raises the store to the next feature level, if every node reads it. Not to be taken back.
    fn raise(&self) -> Answer<'_, Raised>;
}

/// What a node that was told to leave has to let go of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// The node.
    pub node: String,
    /// Partitions.
    pub partitions: usize,
    /// Shards.
    pub shards: usize,
    /// Whether it has let go of everything, and is none of the nodes any more.
    #[serde(default)]
    pub has_left: bool,
}

impl<S: Store> BackendHandle<S> {
    fn membership(&self) -> Result<&Membership, DeskError> {
        let membership = self.inner.shared.membership.as_deref();
        membership.ok_or_else(|| DeskError::NotFound {
            what: "this process is the whole service: there is no cluster".to_owned(),
        })
    }

    /// Who there is, and who owns what, as the store says now.
    async fn look(&self) -> Result<Look, ReadError> {
        let store = &self.inner.shared.store;
        for _ in 1..LOOKS_MAX {
            match claims::look(store, Duration::ZERO, None).await {
                Err(ReadError::Store(StoreError::TooOld)) => {}
                looked => return looked,
            }
        }
        claims::look(store, Duration::ZERO, None).await
    }

    /// Leaves an order to another node in the store.
    async fn order_out(&self, meant: &NodeView) -> Result<(), DeskError> {
        let shared = &self.inner.shared;
        let look = self.look().await?;
        let ids = look.tables.nodes.iter().map(|record| record.id);
        let gone = || DeskError::NotFound {
            what: format!("the node {} has just left", meant.node),
        };
        let mut ids = ids.filter(|id| id.to_string() == meant.node);
        let node = ids.next().ok_or_else(gone)?;
        let by = shared.claimant.node;
        match claims::order_out(&shared.store, shared.writing(), node, by).await {
            Ok(()) => Ok(()),
            Err(ProbeError::Refused(_)) => Err(gone()),
            Err(error) => Err(DeskError::Unavailable {
                cause: chain(&error),
            }),
        }
    }
}

impl<S: Store> ClusterDesk for BackendHandle<S> {
    fn view(&self) -> Answer<'_, ClusterView> {
        Box::pin(async move {
            let membership = self.membership()?;
            let look = self.look().await?;
            let owners = look.tables.owners.as_deref().unwrap_or_default();
            Ok(view_of(membership, &look, owners))
        })
    }

    fn drain<'a>(&'a self, node: Option<&'a str>) -> Answer<'a, Draining> {
        Box::pin(async move {
            let own = self.membership()?.id;
            let view = self.view().await?;
            let meant = match node {
                Some(node) => view.named(node)?,
                None => {
                    self.begin_to_leave();
                    return Ok(view.draining(&own.to_string()));
                }
            };
            if meant.node == own.to_string() {
                self.begin_to_leave();
            } else if meant.state == NodeState::Silent {
                let why = format!(
                    "the node {} is silent: others take what it owns without being told",
                    meant.node
                );
                return Err(DeskError::Refused { why });
            } else {
                self.order_out(meant).await?;
            }
            Ok(view.draining(&meant.node))
        })
    }

    fn drained<'a>(&'a self, seen: &'a Draining) -> Answer<'a, Draining> {
        Box::pin(async move {
            let now = self.view().await?.drained(&seen.node)?;
            if now != *seen || now.has_left {
                return Ok(now);
            }
            tokio::time::sleep(self.membership()?.config.times.poll).await;
            self.view().await?.drained(&seen.node)
        })
    }

    fn raise(&self) -> Answer<'_, Raised> {
        Box::pin(async move {
            let shared = &self.inner.shared;
            let own = (shared.claimant.node, shared.level.levels());
            let raised = level::raise(&shared.store, shared.writing(), own, None).await;
            let raised = raised.map_err(not_raised)?;
            shared.learn_level(raised.to);
            Ok(raised)
        })
    }
}

/// Why the store was not raised, for an operator.
fn not_raised(error: ProbeError<NotRaised>) -> DeskError {
    match error {
        ProbeError::Refused(NotRaised::Behind { next, behind }) => DeskError::Refused {
            why: format!(
                "feature level {next} is not read by {}: replace them first",
                list(&behind)
            ),
        },
        ProbeError::Refused(error) => DeskError::Refused {
            why: error.to_string(),
        },
        other => DeskError::Unavailable {
            cause: chain(&other),
        },
    }
}

fn list(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    names.join(", ")
}

impl ClusterView {
    /// The one node whose name is `name`, or begins so.
    fn named(&self, name: &str) -> Result<&NodeView, DeskError> {
        let is_meant = |node: &&NodeView| !name.is_empty() && node.node.starts_with(name);
        let mut meant = self.nodes.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some(node), None) => Ok(node),
            (None, _) => Err(DeskError::NotFound {
                what: format!("no node of the cluster is called {name}"),
            }),
            (Some(_), Some(_)) => Err(DeskError::Refused {
                why: format!("the names of several nodes begin with {name}: write more of it"),
            }),
        }
    }

    /// How much the node of this name owns.
    fn draining(&self, node: &str) -> Draining {
        let found = self.nodes.iter().find(|one| one.node == node);
        Draining {
            node: node.to_owned(),
            partitions: found.map_or(0, |one| one.partitions),
            shards: found.map_or(0, |one| one.shards),
            has_left: found.is_none(),
        }
    }

    /// The same, of a node that does something about it.
    fn drained(&self, node: &str) -> Result<Draining, DeskError> {
        let found = self.nodes.iter().find(|one| one.node == node);
        if found.is_some_and(|node| node.state == NodeState::Silent) {
            return Err(DeskError::Refused {
                why: format!("the node {node} is not heard of any more: others take what it owns"),
            });
        }
        Ok(self.draining(node))
    }
}

fn view_of(membership: &Membership, look: &Look, owners: &[(Unit, Ownership)]) -> ClusterView {
    let readiness = &look.readiness;
    // Where nobody reads the next level, nobody holds the store back from it.
    let behind = readiness.next.map_or(&[][..], |_| &readiness.behind);
    let mut owned: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
    let (mut partitions, mut shards) = (0, 0);
    for (unit, ownership) in owners.iter().filter(|(_, one)| one.is_active) {
        let count = owned.entry(ownership.node).or_default();
        match unit {
            Unit::Partition(_) => (count.0, partitions) = (count.0 + 1, partitions + 1),
            Unit::Shard(_) => (count.1, shards) = (count.1 + 1, shards + 1),
        }
    }
    let alive = membership.told().routes;
    let records = look.tables.nodes.iter();
    let mut nodes: Vec<NodeView> = records
        .map(|record| {
            let count = owned.get(&record.id).copied().unwrap_or_default();
            let is_alive = record.id == membership.id || alive.nodes.contains_key(&record.id);
            let is_leaving = record.draining || look.ordered_out.contains_key(&record.id);
            node_view(record, (is_alive, is_leaving), count)
        })
        .collect();
    nodes.sort_by(|one, other| one.node.cmp(&other.node));
    ClusterView {
        this: membership.id.to_string(),
        failover_bound_s: membership.config.times.failover_bound().as_secs_f64(),
        nodes,
        partitions_free: usize::from(PARTITIONS).saturating_sub(partitions),
        shards_free: ShardId::all().count().saturating_sub(shards),
        level: readiness.level,
        level_next: readiness.next,
        held_back_by: behind.iter().map(NodeId::to_string).collect(),
    }
}

fn node_view(
    record: &NodeRecord,
    (is_alive, is_leaving): (bool, bool),
    (partitions, shards): (usize, usize),
) -> NodeView {
    let roles = [
        (record.roles.backend, "backend"),
        (record.roles.outbound, "outbound"),
    ];
    let roles = roles.into_iter().filter(|(has, _)| *has);
    NodeView {
        node: record.id.to_string(),
        address: record.address.clone(),
        roles: roles.map(|(_, role)| role.to_owned()).collect(),
        zone: record.zone.clone(),
        weight: record.weight,
        state: match (is_alive, is_leaving) {
            (false, _) => NodeState::Silent,
            (true, true) => NodeState::Leaving,
            (true, false) => NodeState::Alive,
        },
        partitions,
        shards,
        build: record.build.clone(),
        levels: record.levels,
    }
}
