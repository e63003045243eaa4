//! The network: where nodes are, and what happens to requests and answers on their way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::cluster::{AccountRequest, NodeId};
use tokio::sync::oneshot;

use crate::node::{Node, Outcome, unanswered};
use crate::world::World;

/// What a node does with a request that arrives.
pub type Arrive = fn(&Node, AccountRequest, oneshot::Sender<Outcome>);

/// How long whoever asks waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The network between clients and nodes.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// Of a thousand messages: lost.
    pub lost: u64,
    /// Of a thousand requests: arrive twice.
    pub doubled: u64,
    /// The longest way.
    pub delay_max: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            lost: 0,
            doubled: 0,
            delay_max: Duration::from_millis(2),
        }
    }
}

/// Where nodes are, and how one gets there.
#[derive(Clone)]
pub struct Roads {
    world: World,
    nodes: Arc<Mutex<BTreeMap<usize, Node>>>,
    network: Arc<Mutex<Network>>,
}

impl Roads {
    /// To nowhere, as yet.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            world,
            nodes: Arc::default(),
            network: Arc::default(),
        }
    }

    /// A node is there now.
    pub fn open(&self, node: Node) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(node.index(), node);
    }

    /// A node is there no longer.
    pub fn close(&self, node: usize) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.remove(&node);
    }

    /// No node is there any longer: each has the roads on which it is.
    pub fn close_all(&self) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = std::mem::take(&mut *nodes);
        drop(nodes);
    }

    /// The nodes that are there.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.values().cloned().collect()
    }

    /// From now on the network is like this.
    pub fn set(&self, network: Network) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = network;
    }

    fn network(&self) -> Network {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request to `node`, which is to do `how` with it, and waits for its answer.
    pub async fn call(&self, node: &Node, request: AccountRequest, how: Arrive) -> Outcome {
        let copies = 1 + u64::from(self.world.chance(self.network().doubled));
        let mut answer = None;
        for _ in 0..copies {
            let (reply, answered) = oneshot::channel();
            self.send(node.clone(), request.clone(), (how, reply));
            // Of two answers the client has use for one.
            answer = answer.or(Some(answered));
        }
        let Some(answered) = answer else {
            return Err(unanswered());
        };
        let ended = self.world.within(PATIENCE, answered).await;
        let way_back = self.world.between(Duration::ZERO, self.network().delay_max);
        self.world.sleep(way_back).await;
        match ended {
            Some(Ok(outcome)) if !self.world.chance(self.network().lost) => outcome,
            _ => Err(unanswered()),
        }
    }

    /// Lets a node do something, if the word reaches it.
    pub fn tell(&self, node: NodeId, what: impl FnOnce(&Node) + Send + 'static) {
        let nodes = self.nodes();
        let Some(node) = nodes.into_iter().find(|one| one.id() == node) else {
            return;
        };
        let (world, network) = (self.world.clone(), self.network());
        let delay = world.between(Duration::ZERO, network.delay_max);
        self.world.spawn(None, async move {
            world.sleep(delay).await;
            if !world.chance(network.lost) {
                let index = node.index();
                world.spawn(Some(index), async move { what(&node) });
            }
        });
    }

    /// The node of this name, or any other if it is not there.
    #[must_use]
    pub fn find(&self, wanted: Option<NodeId>) -> Option<Node> {
        let nodes = self.nodes();
        let known = nodes.iter().find(|node| Some(node.id()) == wanted);
        let count = u64::try_from(nodes.len()).unwrap_or(1).max(1);
        let any = || nodes.get(usize::try_from(self.world.roll(count)).unwrap_or_default());
        known.or_else(any).cloned()
    }

    fn send(
        &self,
        node: Node,
        request: AccountRequest,
        (how, reply): (Arrive, oneshot::Sender<Outcome>),
    ) {
        let (world, network) = (self.world.clone(), self.network());
        let delay = world.between(Duration::ZERO, network.delay_max);
        self.world.spawn(None, async move {
            world.sleep(delay).await;
            if !world.chance(network.lost) {
                // From here on it waits where the node is.
                let index = node.index();
                world.spawn(Some(index), async move { how(&node, request, reply) });
            }
        });
    }
}
