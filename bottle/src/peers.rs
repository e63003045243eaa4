//! Other services, played: they take messages from our owners of shards, and know each by its id; they
//! lose requests and answers, refuse, are busy, and are away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_backend::bottled::Bottled;
use mesh_backend::outbound::{Carrier, Transfer};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::delivery::{Answered, Attempt, End, ShardId, Unreachable};
use mesh_common::time::Clock;

use crate::store::NodeStore;
use crate::world::World;

/// The domains of other services.
pub const DOMAINS: [&str; 3] = ["far.example", "farther.example", "elsewhere.example"];
/// Accounts at each.
const ACCOUNTS: u64 = 4;
/// The longest way to a peer, in one direction.
const WAY_MAX: Duration = Duration::from_millis(400);
/// Of a thousand messages: refused for good.
const REFUSED: u64 = 40;
/// Of a thousand messages: the peer is busy when they first come.
const BUSY: u64 = 60;
/// Of a thousand messages: left by the peer for an owner that is away (202).
const LEFT: u64 = 100;

/// A message for one recipient: UniqueID and account (canonical).
pub type Delivery = (String, String);

/// What is settled of a message by its id, so that it is the same whenever it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Leaves,
    IsBusyFirst,
    Refuses,
}

#[derive(Debug, Default)]
struct State {
    /// How often each message was taken in: by its id it is to be once.
    taken: BTreeMap<Delivery, usize>,
    moods: BTreeMap<Delivery, Mood>,
    /// How often each message came.
    came: BTreeMap<Delivery, usize>,
    /// Until when a domain does not answer.
    away: BTreeMap<&'static str, Duration>,
    /// Who sent for a shard by a claim.
    senders: BTreeMap<(ShardId, u64), BTreeSet<usize>>,
    /// Of a thousand requests, and of a thousand answers: lost.
    lost: u64,
    /// From when on everything is held, so that nothing may come.
    held_from: Option<Duration>,
    /// What came all the same.
    unheld: Vec<Delivery>,
}

/// All other services.
#[derive(Clone)]
pub struct Peers {
    world: World,
    /// Whether they know what they have taken in before: without, the negative control.
    have_memory: bool,
    state: Arc<Mutex<State>>,
}

impl Peers {
    /// Services that have taken in nothing yet.
    #[must_use]
    pub fn new(world: World, have_memory: bool) -> Self {
        Self {
            world,
            have_memory,
            state: Arc::default(),
        }
    }

    /// The account of somebody there.
    ///
    /// # Panics
    /// Never: all of them are account addresses.
    #[must_use]
    pub fn any_account(&self) -> AccountAddress {
        let domain = self.any_domain();
        let name = format!("friend{}@{domain}", self.world.roll(ACCOUNTS));
        AccountAddress::parse(&name).expect("this is how accounts are written")
    }

    /// One of the services.
    #[must_use]
    pub fn any_domain(&self) -> &'static str {
        let count = u64::try_from(DOMAINS.len()).unwrap_or(1);
        let place = usize::try_from(self.world.roll(count)).unwrap_or_default();
        DOMAINS[place]
    }

    /// One of the services does not answer for so long.
    pub fn leave(&self, time: Duration) {
        let domain = self.any_domain();
        let until = self.world.now() + time;
        self.lock().away.insert(domain, until);
    }

    /// From now on so many of a thousand requests, and of a thousand answers, are lost.
    pub fn lose(&self, lost: u64) {
        self.lock().lost = lost;
    }

    /// By this moment every node knows that everything is held: from then on nothing may come. Without one it may
    /// again.
    pub fn expect_nothing(&self, from: Option<Duration>) {
        self.lock().held_from = from;
    }

    /// What was sent while it was held.
    #[must_use]
    pub fn unheld(&self) -> Vec<String> {
        let state = self.lock();
        let text = |(id, recipient): &Delivery| format!("{id} for {recipient} was sent while held");
        state.unheld.iter().map(text).collect()
    }

    /// How often each message was taken in.
    #[must_use]
    pub fn taken(&self) -> BTreeMap<Delivery, usize> {
        self.lock().taken.clone()
    }

    /// Whether the message is one that is refused for good.
    #[must_use]
    pub fn refuses(&self, delivery: &Delivery) -> bool {
        self.lock().moods.get(delivery) == Some(&Mood::Refuses)
    }

    /// How often a message came that had come before.
    #[must_use]
    pub fn repeated(&self) -> usize {
        let state = self.lock();
        state.came.values().map(|times| times - 1).sum()
    }

    /// Claims of shards by which more than one node sent.
    #[must_use]
    pub fn shared_claims(&self) -> Vec<String> {
        let state = self.lock();
        let shared = state.senders.iter().filter(|(_, nodes)| nodes.len() > 1);
        let text = |((shard, epoch), nodes): (&(ShardId, u64), &BTreeSet<usize>)| {
            let shard = shard.0;
            format!("shard {shard}: nodes {nodes:?} sent by one claim, of epoch {epoch}")
        };
        shared.map(text).collect()
    }

    /// What carries the messages of the node `index`.
    #[must_use]
    pub fn carrier(&self, index: usize, pieces: Bottled<NodeStore>) -> Arc<dyn Carrier> {
        Arc::new(NodeCarrier {
            peers: self.clone(),
            index,
            pieces,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_away(&self, domain: &str) -> bool {
        let now = self.world.now();
        let until = self.lock().away.get(domain).copied();
        until.is_some_and(|until| until > now)
    }

    fn mood(&self, delivery: &Delivery) -> Mood {
        let drawn = self.world.roll(1_000);
        let mood = match drawn {
            _ if drawn < REFUSED => Mood::Refuses,
            _ if drawn < REFUSED + BUSY => Mood::IsBusyFirst,
            _ if drawn < REFUSED + BUSY + LEFT => Mood::Leaves,
            _ => Mood::Takes,
        };
        *self.lock().moods.entry(delivery.clone()).or_insert(mood)
    }

    /// A message has come.
    fn take(&self, delivery: &Delivery) -> End {
        let mood = self.mood(delivery);
        let mut state = self.lock();
        let times = state.came.entry(delivery.clone()).or_default();
        *times += 1;
        let status = match (mood, *times) {
            (Mood::Refuses, _) => 403,
            (Mood::IsBusyFirst, 1) => 503,
            (Mood::Leaves, _) => 202,
            (Mood::Takes | Mood::IsBusyFirst, _) => 201,
        };
        if status < 300 {
            let taken = state.taken.entry(delivery.clone()).or_default();
            // It is known by its id: once it is there, it is there.
            *taken += usize::from(*taken == 0 || !self.have_memory);
        }
        answered(status)
    }

    async fn exchange(&self, delivery: Delivery, domain: &str, time_max: Duration) -> End {
        let way = || self.world.between(Duration::from_millis(1), WAY_MAX);
        let lost = self.lock().lost;
        if self.is_away(domain) && self.world.chance(500) {
            self.world.sleep(way()).await;
            return End::Unreachable(Unreachable::Connect("refused".to_owned()));
        }
        if self.is_away(domain) || self.world.chance(lost) {
            self.world.sleep(time_max).await;
            return End::TimedOut;
        }
        self.world.sleep(way()).await;
        let end = self.take(&delivery);
        if self.world.chance(lost) {
            self.world.sleep(time_max).await;
            return End::TimedOut;
        }
        self.world.sleep(way()).await;
        end
    }
}

fn answered(status: u16) -> End {
    End::Answered(Answered {
        status,
        extended: None,
        text: format!("status {status}"),
        retry_after: None,
    })
}

struct NodeCarrier {
    peers: Peers,
    index: usize,
    pieces: Bottled<NodeStore>,
}

impl NodeCarrier {
    /// Notes by which claim the node sends. A node that has lost its shard in between may finish what it
    /// began: that is no claim at all.
    fn note(&self, domain: &str) {
        let shard = ShardId::of(domain);
        if let Some(fence) = self.pieces.tenure(shard) {
            let mut state = self.peers.lock();
            let senders = state.senders.entry((shard, fence.epoch)).or_default();
            senders.insert(self.index);
        }
    }

    /// Notes what must not be sent now.
    fn mind_holds(&self, delivery: &Delivery) {
        let now = self.peers.world.now();
        let mut state = self.peers.lock();
        if state.held_from.is_some_and(|from| from <= now) {
            state.unheld.push(delivery.clone());
        }
    }
}

impl Carrier for NodeCarrier {
    fn carry(&self, transfer: Transfer) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let begun = self.peers.world.now();
            let domain = transfer.recipient.domain().to_owned();
            self.note(&domain);
            let meta = transfer.envelope.header.content_meta();
            let unique_id = meta
                .ok()
                .and_then(|meta| meta.unique_id)
                .unwrap_or_default();
            let delivery = (unique_id, transfer.recipient.canonical().to_owned());
            self.mind_holds(&delivery);
            let exchange = self.peers.exchange(delivery, &domain, transfer.time_max);
            let end = exchange.await;
            Attempt {
                end,
                exchange: self.peers.world.now() - begun,
                at: Clock::now(&self.peers.world),
            }
        })
    }
}
