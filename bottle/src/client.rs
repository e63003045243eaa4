//! A device that uploads one entry after the other and posts messages in between, repeats what was not
//! answered, and remembers what it was told is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::account::testing::{Device, Person, event, first_frame, message, rows_of, signed};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, Evidence, NodeId};
use mesh_common::protocol::{Code, EntryResult, PostRequest, Request};
use mesh_common::time::Clock;

use crate::node::{Node, Outcome, unanswered};
use crate::peers::Peers;
use crate::roads::{PATIENCE, Roads};
use crate::world::World;

/// The catalog that entries go to.
pub const CATALOG: &str = "mmm_Task";
/// After every so many entries a message is posted.
const ENTRIES_PER_POST: u64 = 3;

/// The accounts that are known to be there.
#[derive(Clone, Default)]
pub struct People(Arc<Mutex<Vec<AccountAddress>>>);

impl People {
    /// An account has been created.
    fn add(&self, address: AccountAddress) {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        people.push(address);
    }

    /// Any of them but `other`, if there is one.
    #[must_use]
    pub fn any(&self, world: &World, other: Option<&AccountAddress>) -> Option<AccountAddress> {
        let people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<&AccountAddress> =
            people.iter().filter(|one| Some(*one) != other).collect();
        let count = u64::try_from(others.len())
            .ok()
            .filter(|count| *count > 0)?;
        let chosen = usize::try_from(world.roll(count)).ok()?;
        others.get(chosen).map(|one| (*one).clone())
    }
}

/// A message that a client was told is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its UniqueID.
    pub unique_id: String,
    /// For whom: accounts here and elsewhere.
    pub recipients: Vec<AccountAddress>,
}

/// What a client did and was told, for the end of the story.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The payloads of entries that are there, as it was told, in their order.
    pub acknowledged: Vec<String>,
    /// Messages that were accepted, in their order.
    pub posted: Vec<Posted>,
    /// Answers that should not be.
    pub surprises: Vec<String>,
    /// Whether it has done everything that it wanted to.
    pub is_done: bool,
    /// Calls that had to be repeated.
    pub repeated: usize,
}

/// What a request is to bring about.
enum Aim {
    /// The account, or a container.
    Place,
    /// An entry at an index.
    Entry(u64, String),
    /// A message for these.
    Message(Posted),
}

/// Whom a client writes to.
#[derive(Clone)]
pub struct Correspondence {
    /// The accounts of this service.
    pub people: People,
    /// Other services.
    pub peers: Peers,
}

/// One device of one account.
pub struct Client {
    world: World,
    roads: Roads,
    device: Device,
    name: String,
    /// Whom it writes to, if to anybody.
    correspondence: Option<Correspondence>,
    /// Where the account's owner is, as the client was told last.
    owner: Option<NodeId>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    /// The device of the account `name`.
    #[must_use]
    pub fn new(
        world: World,
        roads: Roads,
        name: &str,
        correspondence: Option<Correspondence>,
    ) -> Self {
        Self {
            device: Device::of(&format!("{name}@example.com"), "laptop"),
            name: name.to_owned(),
            world,
            roads,
            correspondence,
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

    /// Creates the account and uploads so many entries, each a while after the last was acknowledged;
    /// posts a message now and then.
    pub async fn run(mut self, entries: u64, pause_max: Duration) {
        let created = self.device.create(&Person::named(&self.name));
        self.insist(created, Aim::Place).await;
        if let Some(correspondence) = &self.correspondence {
            correspondence.people.add(self.device.address.clone());
        }
        let catalog = self.device.upload(CATALOG, vec![first_frame()]);
        self.insist(catalog, Aim::Place).await;
        for number in 1..=entries {
            let pause = self.world.between(Duration::ZERO, pause_max);
            self.world.sleep(pause).await;
            let payload = format!("{{\"{} {number}\":{{}}}}", self.name);
            let entry = event(number, "New", &format!("T{number}"), &payload);
            let request = self.device.upload(CATALOG, vec![entry]);
            self.insist(request, Aim::Entry(number, payload)).await;
            if number.is_multiple_of(ENTRIES_PER_POST) {
                self.post(number).await;
            }
        }
        self.note(|ledger| ledger.is_done = true);
    }

    /// Posts a message to somebody here, and to somebody elsewhere.
    async fn post(&mut self, number: u64) {
        let Some(Correspondence { people, peers }) = &self.correspondence else {
            return;
        };
        let here = people.any(&self.world, Some(&self.device.address));
        let recipients: Vec<AccountAddress> =
            here.into_iter().chain([peers.any_account()]).collect();
        let unique_id = format!("{}-{number}", self.name);
        let body = format!("{{\"Subject\":\"{number}\"}}");
        let contact = message("RequestContact", &unique_id, &body);
        let accounts = recipients.iter().map(|one| one.canonical().to_owned());
        let request = Request::Post(PostRequest {
            accounts: accounts.collect(),
            messages: vec![signed(contact, "laptop", &[])],
            ..PostRequest::default()
        });
        let request = self.device.ask(request, Evidence::Nothing);
        let posted = Posted {
            unique_id,
            recipients,
        };
        self.insist(request, Aim::Message(posted)).await;
    }

    fn note(&self, change: impl FnOnce(&mut Ledger)) {
        change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Repeats a request until it is answered, under its own id.
    async fn insist(&mut self, mut request: AccountRequest, aim: Aim) {
        loop {
            let now = Clock::now(&self.world);
            request.received_at = now;
            request.deadline = now + PATIENCE;
            match self.attempt(request.clone()).await {
                Ok(answer) => return self.answered(&answer, aim),
                Err(_) => {
                    self.note(|ledger| ledger.repeated += 1);
                    let pause = Duration::from_millis(50 + self.world.roll(450));
                    self.world.sleep(pause).await;
                }
            }
        }
    }

    fn answered(&self, answer: &Answer, aim: Aim) {
        let is_ok = answer.response.outcome().code() == Some(Code::Ok);
        let is_as_wanted = is_ok
            && match &aim {
                Aim::Place => true,
                Aim::Entry(index, _) => is_placed(answer, Some(*index)),
                Aim::Message(_) => is_placed(answer, None),
            };
        let name = &self.name;
        self.note(|ledger| match aim {
            _ if !is_as_wanted => {
                let surprise = format!("{name}: {:?}", answer.response);
                ledger.surprises.push(surprise);
            }
            Aim::Place => {}
            Aim::Entry(_, payload) => ledger.acknowledged.push(payload),
            Aim::Message(posted) => ledger.posted.push(posted),
        });
    }

    async fn attempt(&mut self, request: AccountRequest) -> Outcome {
        let Some(node) = self.roads.find(self.owner) else {
            return Err(unanswered());
        };
        let outcome = self.roads.call(&node, request, Node::perform).await;
        self.owner = owner_after(&outcome, &node);
        outcome
    }
}

/// Where the owner is, after what `node` said.
pub(crate) fn owner_after(outcome: &Outcome, node: &Node) -> Option<NodeId> {
    match outcome {
        Ok(_) | Err(CallFailure::Busy(_)) => Some(node.id()),
        Err(CallFailure::Moved(Some(route))) if route.node != node.id() => Some(route.node),
        Err(_) => None,
    }
}

/// Whether everything is where it was to go, the first at `index` if there is one.
fn is_placed(answer: &Answer, index: Option<u64>) -> bool {
    let rows = rows_of(answer);
    let accepted: BTreeSet<bool> = rows
        .iter()
        .map(|(result, _)| *result == EntryResult::Accept)
        .collect();
    let is_there = index.is_none_or(|index| rows.first().is_some_and(|row| row.1 == Some(index)));
    is_there && accepted == BTreeSet::from([true])
}
