//! A device that uploads one entry after the other, repeats what was not answered, and remembers what
//! it was told is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::account::testing::{Device, Person, event, first_frame, rows_of};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, NodeId};
use mesh_common::protocol::{Code, EntryResult};
use mesh_common::time::Clock;
use tokio::sync::oneshot;

use crate::node::{Node, Outcome, unanswered};
use crate::world::World;

/// The catalog that entries go to.
pub const CATALOG: &str = "mmm_Task";
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

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

    /// Sends a request and waits for its answer.
    async fn call(&self, node: &Node, request: AccountRequest) -> Outcome {
        let copies = 1 + u64::from(self.world.chance(self.network().doubled));
        let mut answer = None;
        for _ in 0..copies {
            let (reply, answered) = oneshot::channel();
            self.send(node.clone(), request.clone(), reply);
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

    fn send(&self, node: Node, request: AccountRequest, reply: oneshot::Sender<Outcome>) {
        let (world, network) = (self.world.clone(), self.network());
        let delay = world.between(Duration::ZERO, network.delay_max);
        self.world.spawn(None, async move {
            world.sleep(delay).await;
            if !world.chance(network.lost) {
                // From here on it waits where the node is.
                let index = node.index();
                world.spawn(Some(index), async move { node.perform(request, reply) });
            }
        });
    }
}

/// What a client did and was told, for the end of the story.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The payloads of entries that are there, as it was told, in their order.
    pub acknowledged: Vec<String>,
    /// Answers that should not be.
    pub surprises: Vec<String>,
    /// Whether it has done everything that it wanted to.
    pub is_done: bool,
    /// Calls that had to be repeated.
    pub repeated: usize,
}

/// One device of one account.
pub struct Client {
    world: World,
    roads: Roads,
    device: Device,
    name: String,
    /// Where the account's owner is, as the client was told last.
    owner: Option<NodeId>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    /// The device of the account `name`.
    #[must_use]
    pub fn new(world: World, roads: Roads, name: &str) -> Self {
        Self {
            device: Device::of(&format!("{name}@example.com"), "laptop"),
            name: name.to_owned(),
            world,
            roads,
            owner: None,
            ledger: Arc::default(),
        }
    }

    /// Its account.
    #[must_use]
    pub const fn address(&self) -> &AccountAddress {
        &self.device.address
    }

    /// What it was told.
    #[must_use]
    pub fn ledger(&self) -> Arc<Mutex<Ledger>> {
        Arc::clone(&self.ledger)
    }

    /// Creates the account and uploads so many entries, each a while after the last was acknowledged.
    pub async fn run(mut self, entries: u64, pause_max: Duration) {
        let created = self.device.create(&Person::named(&self.name));
        self.insist(created, None).await;
        let catalog = self.device.upload(CATALOG, vec![first_frame()]);
        self.insist(catalog, None).await;
        for number in 1..=entries {
            let pause = self.world.between(Duration::ZERO, pause_max);
            self.world.sleep(pause).await;
            let payload = format!("{{\"{} {number}\":{{}}}}", self.name);
            let entry = event(number, "New", &format!("T{number}"), &payload);
            let request = self.device.upload(CATALOG, vec![entry]);
            self.insist(request, Some((number, payload))).await;
        }
        self.note(|ledger| ledger.is_done = true);
    }

    fn note(&self, change: impl FnOnce(&mut Ledger)) {
        change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Repeats a request until it is answered, under its own id. `entry` is what it puts where.
    async fn insist(&mut self, mut request: AccountRequest, entry: Option<(u64, String)>) {
        loop {
            let now = Clock::now(&self.world);
            request.received_at = now;
            request.deadline = now + PATIENCE;
            match self.attempt(request.clone()).await {
                Ok(answer) => {
                    let code = answer.response.outcome().code();
                    let is_placed = code == Some(Code::Ok)
                        && entry
                            .as_ref()
                            .is_none_or(|(index, _)| is_placed(&answer, *index));
                    if !is_placed {
                        let name = &self.name;
                        let surprise = format!("{name}, {entry:?}: {:?}", answer.response);
                        return self.note(|ledger| ledger.surprises.push(surprise));
                    }
                    if let Some((_, payload)) = entry {
                        self.note(|ledger| ledger.acknowledged.push(payload));
                    }
                    return;
                }
                Err(_) => {
                    self.note(|ledger| ledger.repeated += 1);
                    let pause = Duration::from_millis(50 + self.world.roll(450));
                    self.world.sleep(pause).await;
                }
            }
        }
    }

    async fn attempt(&mut self, request: AccountRequest) -> Outcome {
        let nodes = self.roads.nodes();
        let known = nodes.iter().find(|node| Some(node.id()) == self.owner);
        let Some(node) = known.or_else(|| {
            let count = u64::try_from(nodes.len()).unwrap_or(1).max(1);
            nodes.get(usize::try_from(self.world.roll(count)).unwrap_or_default())
        }) else {
            return Err(unanswered());
        };
        let outcome = self.roads.call(node, request).await;
        self.owner = match &outcome {
            Ok(_) | Err(CallFailure::Busy(_)) => Some(node.id()),
            Err(CallFailure::Moved(Some(route))) if route.node != node.id() => Some(route.node),
            Err(_) => None,
        };
        outcome
    }
}

/// Whether the entry is at `index`, and everything else where it was to go.
fn is_placed(answer: &Answer, index: u64) -> bool {
    let rows = rows_of(answer);
    rows.first() == Some(&(EntryResult::Accept, Some(index)))
        && rows
            .iter()
            .all(|(result, _)| *result == EntryResult::Accept)
}
