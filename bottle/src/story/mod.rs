//! One run: nodes start, clients upload and post, other services post too, things go wrong; then nothing
//! goes wrong any more, and after a while everything must be as everybody was told (cluster §20.4).
//!
//! | module | holds |
//! | --- | --- |
//! | `trouble` | what goes wrong |
//! | `calm` | how long it may take until everything is done |
//! | `check` | what must be there at the end |

mod calm;
mod check;
mod trouble;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::address::AccountAddress;

pub use self::trouble::Blow;
use crate::client::{Client, Correspondence, Ledger, People};
use crate::cluster::{Cluster, addresses};
use crate::correspondent::{Correspondent, Receipts};
use crate::store::Sabotage;

/// Accounts, each with one device.
const CLIENTS: usize = 5;
/// Entries that each uploads.
const ENTRIES: u64 = 12;
/// Longest pause between two of them.
const PAUSE_MAX: Duration = Duration::from_millis(3_500);
/// Other services that post.
const CORRESPONDENTS: [&str; 2] = ["one.example", "other.example"];
/// Messages that each posts.
const MESSAGES: u64 = 9;
/// Longest pause between two of them.
const MESSAGE_PAUSE_MAX: Duration = Duration::from_millis(5_000);
/// Nodes at the beginning.
const NODES: usize = 3;

/// What happened in a run in which everything held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries that were acknowledged.
    pub acknowledged: usize,
    /// Messages that were posted, each counted once per recipient.
    pub posted: usize,
    /// Messages that other services posted.
    pub taken_in: usize,
    /// Of these, left by others for an owner that was away.
    pub left: usize,
    /// Transfers to other services that were repeated.
    pub resent: usize,
    /// Calls that were repeated.
    pub repeated: usize,
    /// Units that were taken from nodes that had not let go of them.
    pub takeovers: usize,
    /// Commits that were fenced off.
    pub fenced: usize,
    /// What went wrong, in its order.
    pub blows: Vec<Blow>,
    /// How long it took, as the bottle tells time.
    pub time: Duration,
}

impl Report {
    /// What happened how often, in the words that are printed.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let counts = [
            ("entries acknowledged", self.acknowledged),
            ("messages posted", self.posted),
            ("messages of other services", self.taken_in),
            ("messages left while owners were away", self.left),
            ("transfers repeated", self.resent),
            ("calls repeated", self.repeated),
            ("units taken over", self.takeovers),
            ("commits fenced off", self.fenced),
        ];
        counts.into_iter()
    }
}

/// A run in which something did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed that tells the story again.
    pub seed: u64,
    /// What did not hold.
    pub what: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        writeln!(
            formatter,
            "seed {seed}: cargo run --release -p mesh-bottle --bin soak -- --first {seed} --seeds 1"
        )?;
        self.what
            .iter()
            .try_for_each(|what| writeln!(formatter, "  {what}"))
    }
}

/// Those who want something of the cluster, and what they were told.
struct Cast {
    clients: Vec<(AccountAddress, Arc<Mutex<Ledger>>)>,
    correspondents: Vec<Arc<Mutex<Receipts>>>,
}

/// Looks at what somebody was told.
fn read<T, R>(told: &Mutex<T>, look: impl FnOnce(&T) -> R) -> R {
    look(&told.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Cast {
    /// Lets everybody begin.
    fn enter(cluster: &Cluster, names: &[String]) -> Self {
        let (world, roads) = (&cluster.world, &cluster.roads);
        let correspondence = Correspondence {
            people: People::default(),
            peers: cluster.peers.clone(),
        };
        let mut cast = Self {
            clients: Vec::new(),
            correspondents: Vec::new(),
        };
        for name in names {
            let written_to = Some(correspondence.clone());
            let client = Client::new(world.clone(), roads.clone(), name, written_to);
            let ledger = client.ledger();
            cast.clients.push((client.address().clone(), ledger));
            world.spawn(None, client.run(ENTRIES, PAUSE_MAX));
        }
        for domain in CORRESPONDENTS {
            let people = correspondence.people.clone();
            let one = Correspondent::new(world.clone(), roads.clone(), people, domain);
            cast.correspondents.push(one.receipts());
            world.spawn(None, one.run(MESSAGES, MESSAGE_PAUSE_MAX));
        }
        cast
    }

    /// Answers that should not be.
    fn surprises(&self) -> Vec<String> {
        let clients = self.clients.iter();
        let of_clients = clients.flat_map(|(_, ledger)| read(ledger, |one| one.surprises.clone()));
        let others = self.correspondents.iter();
        let of_others = others.flat_map(|receipts| read(receipts, |one| one.surprises.clone()));
        of_clients.chain(of_others).collect()
    }
}

/// Tells the story of `seed`, with something done wrong on purpose or nothing.
///
/// # Errors
/// What did not hold.
pub fn run(seed: u64, sabotage: Sabotage) -> Result<Report, Failure> {
    let names: Vec<String> = (0..CLIENTS).map(|one| format!("person{one}")).collect();
    let addresses = addresses(&names);
    let mut cluster = Cluster::new(seed, sabotage, &addresses, Duration::from_micros(200));
    (0..NODES).for_each(|_| cluster.start_node());
    cluster.run(Duration::from_secs(2));
    let cast = Cast::enter(&cluster, &names);
    let blows = trouble::trouble(&mut cluster);
    let mut what = calm::calm(&mut cluster, &cast);
    what.extend(cast.surprises());
    what.extend(check::check(&cluster, &cast));
    if what.is_empty() {
        Ok(report(&cluster, &cast, blows))
    } else {
        Err(Failure { seed, what })
    }
}

fn report(cluster: &Cluster, cast: &Cast, blows: Vec<Blow>) -> Report {
    let mut report = Report {
        acknowledged: 0,
        posted: 0,
        taken_in: 0,
        left: 0,
        resent: cluster.peers.repeated(),
        repeated: 0,
        takeovers: 0,
        fenced: 0,
        blows,
        time: cluster.world.now(),
    };
    for (_, ledger) in &cast.clients {
        read(ledger, |ledger| {
            report.acknowledged += ledger.acknowledged.len();
            let recipients = ledger.posted.iter().map(|one| one.recipients.len());
            report.posted += recipients.sum::<usize>();
            report.repeated += ledger.repeated;
        });
    }
    for receipts in &cast.correspondents {
        report.taken_in += read(receipts, |receipts| receipts.taken.len());
    }
    for node in cluster.roads.nodes() {
        let counts = node.counts();
        report.takeovers += counts.takeovers;
        report.fenced += counts.fenced;
        report.left += counts.left;
    }
    report
}
