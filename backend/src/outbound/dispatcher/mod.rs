//! The owner of shards at work (delivery §11): it moves things between the pool, which decides, and the
//! futures that read, carry and commit. Nothing it does itself waits.
//!
//! ```text
//!  bell, look, round ─▶ news ─▶ record is read ─▶ Pool ─▶ refill ─▶ items are read ─▶ offer
//!                                                  │
//!                                start ─▶ transfer ─▶ finished ─▶ Ledger ─▶ settle ─▶ settled
//! ```
//!
//! One life of it knows nothing of those before: everything is in the store. Whatever was in flight is
//! found again, since its row is cleared by the commit that says what became of it and by nothing else.
//!
//! | module | holds |
//! | --- | --- |
//! | `landing` | what the futures bring back |
//! | `errands` | what transfers bring back, and what follows for the message |
//! | `ledger` | what waits to be committed |
//! | `news` | what is new: told, looked for, read |
//! | `records` | what is written of destinations |
//! | `round` | the slow look at everything |
//! | `said` | what the log is told |
//! | `tenures` | shards that come and go |
//! | `careful` | one item at a time, where owners ended badly |
//! | `orders` | what operators and others ask |

mod careful;
mod errands;
mod landing;
mod ledger;
mod news;
pub(super) mod orders;
mod records;
mod round;
mod said;
mod tenures;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mesh_common::account::IntakeEntry;
use mesh_common::delivery::pool::{Pool, Remembered, Start};
use mesh_common::delivery::{ItemId, QueueItem, ShardId};
use mesh_common::error::ServiceError;
use mesh_common::limits::{
    OUTBOUND_POLL_INTERVAL, OUTBOUND_STOP_TIME_MAX, OUTBOUND_UNCOMMITTED_MAX,
};
use mesh_common::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::careful::Careful;
use self::ledger::Ledger;
use self::orders::Command;
use self::records::Records;
use self::round::{Round, RoundPage};
use self::said::{complain, report};
use super::carrier::Carrier;
use super::config::OutboundConfig;
use super::holding::{Caution, Holding};
use super::load::{Loaded, Unreadable};
use super::once::{CarriedOut, Left};
use super::settle::{Place, Settled, Settlement, Then, Unsettled, settle};
use super::shards::Tenure;
use super::takeover::{self, TakeoverError};
use super::transfer::{self, Carried, Errand};
use crate::handle::Inner;
use crate::pace::Tasks;
use crate::partition::records::Rows;
use crate::partition::shared::Shared;
use crate::store::{KeyRange, Store, StoreError, Versionstamp, keys};

/// Items that each of very many destinations may have in memory.
const ITEMS_EACH_MIN: usize = 8;
/// Destinations whose records are read at once; the round over the queue comes back to others.
const OPENING_MAX: usize = 4_096;
/// Time for which whoever may handle one item now, of those who wait for it, is waited for.
const TURN_TIME: Duration = Duration::from_millis(10);
/// Time to the next try where the store could not be read.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// What a future brings back.
#[derive(Debug)]
enum Done {
    /// What is remembered of a destination.
    Opened {
        domain: String,
        remembered: Result<Option<Remembered>, StoreError>,
    },
    /// The next items of a destination.
    Loaded {
        domain: Arc<str>,
        loaded: Result<Loaded, StoreError>,
    },
    /// A transfer is over.
    Carried { errand: Errand, carried: Carried },
    /// What is left for a recipient who has come to live here.
    Local {
        errand: Errand,
        item: Box<QueueItem>,
        entry: Result<Option<Box<IntakeEntry>>, ServiceError>,
    },
    /// The message of an item that goes into quarantine.
    Poison {
        item: Box<QueueItem>,
        place: Place,
        reason: String,
        body: Result<Option<Bytes>, StoreError>,
    },
    /// A batch is committed, or not.
    Settled(Result<Settled, Unsettled>),
    /// What others did lately.
    Looked(Result<Look, StoreError>),
    /// What follows from an order that was left for the owner of a shard.
    CarriedOut {
        shard: ShardId,
        key: Vec<u8>,
        done: Result<CarriedOut, StoreError>,
    },
    /// The destinations of a shard.
    Scanned {
        shard: ShardId,
        domains: Result<Vec<String>, StoreError>,
    },
    /// A page of the round over the queue.
    Round {
        range: KeyRange,
        page: Result<RoundPage, StoreError>,
    },
    /// The message of a row that does not read.
    Aside {
        unreadable: Box<Unreadable>,
        body: Result<Option<Bytes>, StoreError>,
    },
    /// How the owners before of shards that came ended.
    Arrived {
        tenures: BTreeMap<ShardId, Tenure>,
        cautious: Result<Vec<(ShardId, Caution)>, TakeoverError>,
    },
}

/// What others did lately.
#[derive(Debug)]
struct Look {
    /// The last commits that queued something.
    wakes: Vec<(ShardId, Versionstamp)>,
    /// Whether standing orders have changed.
    is_reordered: bool,
    /// Orders that were left for the owners of shards.
    left: Vec<Left>,
}

/// Why a life of the dispatcher is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to stop.
    Stopped,
    /// Something in it panicked: another one begins with what the store has.
    Broken,
}

/// One life of the owner of shards.
pub(super) struct Dispatcher<S: Store> {
    shared: Arc<Shared<S>>,
    /// Where the keys of senders' accounts are asked for.
    home: Weak<Inner<S>>,
    carrier: Arc<dyn Carrier>,
    pool: Pool,
    holding: Holding,
    /// Which change of the shards was followed last.
    followed: u64,
    /// Shards that are to be let go of, and until when what is in flight may end.
    leaving: BTreeMap<ShardId, Instant>,
    /// Shards whose arrival could not be noted, to be tried again.
    arrivals_at: Option<Instant>,
    careful: Careful,
    ledger: Ledger,
    records: Records,
    round: Round,
    tasks: Tasks<Done>,
    /// Destinations whose records are being read.
    opening: HashSet<String>,
    /// Orders that are being carried out, by their keys.
    once: BTreeSet<Vec<u8>>,
    /// Shards that are being looked through, and whether they are to be once more.
    scanning: BTreeMap<ShardId, bool>,
    /// Items under way, or waiting for what became of them to be committed, with their shards.
    busy: HashMap<ItemId, ShardId>,
    /// Items that are given up, until that is committed.
    ending: HashSet<ItemId>,
    destinations_max: usize,
    /// Transfers under way.
    flights: usize,
    /// The last commit known for each shard.
    told: BTreeMap<ShardId, Versionstamp>,
    /// Destinations to be looked at again.
    again: BTreeSet<(Timestamp, String)>,
    look_at: Timestamp,
    is_looking: bool,
    stopping: Option<Stopping>,
    /// Who waits until nothing is to be done.
    idlers: Vec<oneshot::Sender<()>>,
}

/// The end of a life that was asked for.
struct Stopping {
    until: Instant,
    replies: Vec<oneshot::Sender<()>>,
}

impl<S: Store> Dispatcher<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        home: Weak<Inner<S>>,
        carrier: Arc<dyn Carrier>,
        config: &OutboundConfig,
        holding: Holding,
    ) -> Self {
        let (now, tasks) = (shared.now(), shared.pace.tasks());
        Self {
            shared,
            tasks,
            home,
            carrier,
            pool: Pool::new(now, config.pool()),
            followed: 0,
            leaving: BTreeMap::new(),
            arrivals_at: None,
            careful: Careful::default(),
            holding,
            ledger: Ledger::default(),
            records: Records::default(),
            round: Round::new(now),
            opening: HashSet::new(),
            once: BTreeSet::new(),
            scanning: BTreeMap::new(),
            busy: HashMap::new(),
            ending: HashSet::new(),
            destinations_max: config.destinations_max as usize,
            flights: 0,
            told: BTreeMap::new(),
            again: BTreeSet::new(),
            look_at: now,
            is_looking: false,
            stopping: None,
            idlers: Vec::new(),
        }
    }

    /// Works until it is told to stop, or something in it panics. Who broke leaves its commit, if one was in
    /// flight, in doubt: the next life claims the shards anew.
    pub(super) async fn run(mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        loop {
            self.turn();
            if let Some(replies) = self.has_stopped() {
                takeover::release(&self.shared, &self.holding).await;
                for reply in replies {
                    let _gone = reply.send(());
                }
                return End::Stopped;
            }
            let wake = self.wake();
            let is_abandoned = self.is_stopping() && commands.is_closed();
            // Whatever comes, the next turn does everything that is to be done by then: no order is unfair.
            tokio::select! {
                biased;
                command = commands.recv(), if !is_abandoned => match command {
                    Some(command) => self.handle_command(command),
                    None => self.begin_to_stop(None),
                },
                done = self.tasks.join_next(), if !self.tasks.is_empty() => match done {
                    Some(Ok(done)) => self.handle_done(done),
                    Some(Err(error)) if error.is_panic() => return End::Broken,
                    Some(Err(_)) | None => {}
                },
                () = self.shared.queue_bell.rung() => {}
                () = self.shared.heard.rung() => {}
                () = self.shared.shards.changed() => {}
                () = self.shared.pace.until(wake) => {}
            }
        }
    }

    /// Begins whatever can be begun.
    fn turn(&mut self) {
        let now = self.shared.now();
        self.follow(now);
        self.listen(now);
        self.look(now);
        self.go_round(now);
        self.look_again(now);
        self.end_caution(now);
        self.give_turn();
        if !self.is_stopping() {
            while self.may_start()
                && let Some(start) = self.pool.poll_start(now)
            {
                self.start(start);
            }
            while let Some(refill) = self.pool.poll_refill(now) {
                self.refill(now, refill);
            }
            while let Some(domain) = self.pool.poll_idle(now) {
                self.close(now, &domain);
            }
            self.write_records(now);
        }
        self.commit();
        self.leave();
        if self.is_idle(now) {
            for idler in self.idlers.drain(..) {
                let _gone = idler.send(());
            }
        }
    }

    // ---- Transfers ----

    /// Nothing is sent before it is known what there is, nor faster than the store takes what becomes of
    /// it, nor more than one item at a time where one of them may end us.
    fn may_start(&self) -> bool {
        let is_alone = !self.holding.is_everywhere_cautious() || self.flights == 0;
        let is_resting = self.shared.shards.is_resting();
        let has_room = self.ledger.len() < OUTBOUND_UNCOMMITTED_MAX;
        self.round.is_over_once() && is_alone && has_room && !is_resting
    }

    fn start(&mut self, start: Start) {
        let errand = Errand {
            key: keys::queue_item(&start.domain, start.due_at, start.item),
            domain: start.domain,
            id: start.item,
        };
        let shard = ShardId::of(&errand.domain);
        let is_cautious = self.holding.is_cautious(shard);
        if is_cautious && !self.careful.take(&errand) {
            return self.wait_for_turn(&errand);
        }
        self.busy.insert(errand.id, shard);
        self.flights += 1;
        if !is_cautious {
            return self.carry(errand);
        }
        let mut rows = Rows::default();
        self.holding
            .note_suspect(shard, Some(&errand.key), &mut rows);
        self.write(Settlement {
            then: Then::Carry(errand),
            ..Settlement::of_rows(shard, rows)
        });
    }

    fn carry(&mut self, errand: Errand) {
        let (shared, carrier) = (Arc::clone(&self.shared), Arc::clone(&self.carrier));
        self.tasks.spawn(async move {
            let carried = transfer::run(shared, carrier, errand.clone()).await;
            Done::Carried { errand, carried }
        });
    }

    // ---- Commits ----

    fn commit(&mut self) {
        let Some(at) = self.ledger.due_at(self.is_alone()) else {
            return;
        };
        if at > self.moment() && !self.is_stopping() {
            return;
        }
        let batch = self.ledger.take(self.moment());
        if batch.is_empty() {
            return;
        }
        let (shared, held) = (Arc::clone(&self.shared), self.holding.held_by(&batch));
        self.tasks
            .spawn(async move { Done::Settled(settle(&shared, &held, batch).await) });
    }

    /// Whether no outcome is under way that could join a batch: nothing is sent, or one item at a time.
    fn is_alone(&self) -> bool {
        self.flights == 0 || self.holding.is_anywhere_cautious()
    }

    fn write_records(&mut self, now: Timestamp) {
        if self.records.due_at().is_none_or(|at| at > now) {
            return;
        }
        for domain in self.records.take_changed(now) {
            let Some(standing) = self.pool.describe(now, &domain) else {
                continue;
            };
            let row = self.records.worth_writing(&domain, standing.remembered);
            if let Some(settlement) = row {
                self.write(settlement);
            }
        }
    }

    /// Forgets a destination that has nothing to do; its row stays.
    fn close(&mut self, now: Timestamp, domain: &str) {
        if let Some(remembered) = self.pool.remove_destination(now, domain) {
            self.write(records::row(domain, &remembered));
        }
        self.records.closed(domain);
    }

    // ---- Stopping ----

    const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Starts nothing more. What is in flight has some time to end.
    fn begin_to_stop(&mut self, reply: Option<oneshot::Sender<()>>) {
        let until = self.moment() + OUTBOUND_STOP_TIME_MAX;
        let stopping = self.stopping.get_or_insert_with(|| Stopping {
            until,
            replies: Vec::new(),
        });
        stopping.replies.extend(reply);
        let now = self.shared.now();
        let domains: Vec<Arc<str>> = self.pool.domains().map(Arc::clone).collect();
        for domain in domains {
            let standing = self.pool.describe(now, &domain);
            let remembered = standing.map(|standing| standing.remembered);
            let row = remembered.and_then(|one| self.records.worth_writing(&domain, one));
            if let Some(settlement) = row {
                self.write(settlement);
            }
        }
    }

    /// Who waits for the end, once it has come: nothing is in flight and everything is durable, or time is
    /// over. Transfers that are still under way then are found again by the next life.
    fn has_stopped(&mut self) -> Option<Vec<oneshot::Sender<()>>> {
        let stopping = self.stopping.as_ref()?;
        let is_done = self.flights == 0 && self.ledger.is_empty();
        if !is_done && self.moment() < stopping.until {
            return None;
        }
        Some(self.stopping.take()?.replies)
    }

    // ---- Waiting ----

    /// Now, as far as waiting is concerned.
    fn moment(&self) -> Instant {
        self.shared.pace.moment()
    }

    /// When something is to be done if nothing happens before.
    fn wake(&self) -> Instant {
        let (now, moment) = (self.shared.now(), self.moment());
        let looks = (!self.is_looking).then_some(self.look_at);
        let next = [
            self.pool.poll_timeout(),
            self.round.due_at(),
            self.records.due_at(),
            self.again.first().map(|(at, _)| *at),
            self.holding.cautious_until(),
            looks,
        ];
        // The clock may be slower than the timers: a moment that has come by then is looked at again.
        let soonest = Duration::from_millis(1);
        let next = next.into_iter().flatten().min();
        let wake = next.map_or(moment + OUTBOUND_POLL_INTERVAL, |at| {
            moment + at.since(now).max(soonest)
        });
        let commit = self.ledger.due_at(self.is_alone());
        let turn = self.careful.is_wanted().then(|| moment + TURN_TIME);
        let stop = self.stopping.as_ref().map(|stopping| stopping.until);
        [commit, stop, turn, self.arrivals_at, self.leave_at()]
            .into_iter()
            .flatten()
            .fold(wake, Instant::min)
    }

    /// Whether there is nothing to be done at present.
    fn is_idle(&mut self, now: Timestamp) -> bool {
        self.round.is_over_once()
            && self.tasks.is_empty()
            && self.ledger.is_empty()
            && self.pool.poll_timeout().is_none_or(|at| at > now)
    }
}
