//! A world for tests: a shell that drives the [`Pool`] as the owner of shards does, with a store in
//! maps, peers made of a few numbers, and a clock that jumps to whatever comes next. One seed gives
//! one run.
//!
//! It watches what must always hold: the budget, that no item is in flight twice, that none is sent
//! before it is due or after it was delivered. A run that breaks one of these panics.

mod peers;
mod record;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use self::peers::{Dead, Peer, Reply, Scripted, Server, Way};
pub use self::record::{Point, Record};
pub use self::scenarios::{Outcome, SCENARIO_TIME, SCENARIOS, Scenario};
use super::attempt::{Attempt, End};
use super::pool::{PoolSettings, Remembered, Start};
use super::{Class, Due, Fate, ItemId, Pool, QueueItem, retry};
use crate::address::AccountAddress;
use crate::entropy::SeededEntropy;
use crate::time::Timestamp;

/// How long a reading of the store takes.
const READ_TIME: Duration = Duration::from_millis(5);
/// How long a commit takes.
const COMMIT_TIME: Duration = Duration::from_millis(20);
/// Messages that an endless supply has ready.
const SUPPLY_READY: usize = 600;

/// A pool, its destinations' queues, and the peers they stand for.
pub struct World {
    /// The pool.
    pub pool: Pool,
    /// The present moment. The world begins at second 1,000,000.
    pub now: Timestamp,
    entropy: SeededEntropy,
    peers: BTreeMap<Arc<str>, Box<dyn Peer>>,
    queues: BTreeMap<Arc<str>, Queue>,
    flights: BTreeMap<ItemId, QueueItem>,
    /// When what is in a queue is due.
    due: BTreeMap<ItemId, Timestamp>,
    /// What is done with, committed or not.
    done: BTreeSet<ItemId>,
    remembered: BTreeMap<Arc<str>, Remembered>,
    events: BTreeMap<(Timestamp, u64), Event>,
    numbers: u64,
    /// What happened to each destination.
    pub records: BTreeMap<Arc<str>, Record>,
    /// The most transfers that were in flight at once.
    pub in_flight_max: u32,
}

#[derive(Default)]
struct Queue {
    rows: BTreeMap<(Timestamp, ItemId), QueueItem>,
    endless: bool,
}

enum Event {
    Ended {
        domain: Arc<str>,
        item: ItemId,
        end: End,
        exchange: Duration,
    },
    Committed {
        domain: Arc<str>,
        item: ItemId,
        /// Where its row is.
        due_at: Timestamp,
        /// What replaces it, if it is to be tried again.
        again: Option<Box<QueueItem>>,
    },
    Read {
        domain: Arc<str>,
        items: Vec<Due>,
        next_due: Option<Timestamp>,
    },
}

impl World {
    /// When every world begins.
    pub const BEGINNING: Timestamp = Timestamp::from_secs(1_000_000);

    /// A world without destinations.
    #[must_use]
    pub fn new(seed: u64, settings: PoolSettings) -> Self {
        Self {
            pool: Pool::new(Self::BEGINNING, settings),
            now: Self::BEGINNING,
            entropy: SeededEntropy::new(seed),
            peers: BTreeMap::new(),
            queues: BTreeMap::new(),
            flights: BTreeMap::new(),
            due: BTreeMap::new(),
            done: BTreeSet::new(),
            remembered: BTreeMap::new(),
            events: BTreeMap::new(),
            numbers: 0,
            records: BTreeMap::new(),
            in_flight_max: 0,
        }
    }

    /// Adds a destination of which nothing is known.
    pub fn add_peer(&mut self, domain: &str, peer: impl Peer + 'static) {
        let name: Arc<str> = domain.into();
        self.peers.insert(Arc::clone(&name), Box::new(peer));
        self.queues.entry(Arc::clone(&name)).or_default();
        self.records.entry(name).or_default();
        self.pool.add_destination(self.now, domain, None);
    }

    /// From now on the destination behaves differently.
    pub fn change_peer(
        &mut self,
        domain: &str,
        change: impl FnOnce(Box<dyn Peer>) -> Box<dyn Peer>,
    ) {
        if let Some((name, peer)) = self.peers.remove_entry(domain) {
            self.peers.insert(name, change(peer));
        }
    }

    /// From now on, what is seen at the end of each transfer to `domain` is recorded.
    pub fn trace(&mut self, domain: &str) {
        self.records.entry(domain.into()).or_default().is_traced = true;
    }

    /// Queues `count` bulk messages of 4 KiB of one tenant.
    pub fn queue(&mut self, domain: &str, count: usize) {
        self.queue_as(domain, count, "here.example", Class::Bulk, 4_096);
    }

    /// Queues `count` messages of `tenant`.
    pub fn queue_as(&mut self, domain: &str, count: usize, tenant: &str, class: Class, bytes: u64) {
        for _ in 0..count {
            let item = self.item(domain, tenant, class, bytes);
            self.put(domain, item);
        }
        self.announce(domain);
    }

    /// Queues one message of `tenant`, and tells the pool which.
    pub fn queue_freshly(&mut self, domain: &str, tenant: &str, class: Class) {
        let item = self.item(domain, tenant, class, 4_096);
        let due = Due::of(&item);
        self.put(domain, item);
        self.pool.handle_enqueued(self.now, domain, due);
    }

    /// There is always more for this destination.
    pub fn queue_endlessly(&mut self, domain: &str) {
        if let Some(queue) = self.queues.get_mut(domain) {
            queue.endless = true;
        }
        self.top_up(domain);
        self.pool.handle_news(self.now, domain);
    }

    /// Messages that still wait in the store.
    #[must_use]
    pub fn queued(&self, domain: &str) -> usize {
        self.queues.get(domain).map_or(0, |queue| queue.rows.len())
    }

    /// Goes on until `duration` has passed.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.drive();
            let event = self.events.first_key_value().map(|(&(at, _), _)| at);
            let next = [event, self.pool.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            match next {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            while let Some(entry) = self.events.first_entry()
                && entry.key().0 <= self.now
            {
                let event = entry.remove();
                self.handle(event);
            }
        }
        self.now = end;
    }

    /// Does everything that the pool wants done now.
    fn drive(&mut self) {
        while let Some(start) = self.pool.poll_start(self.now) {
            self.start(start);
        }
        while let Some(refill) = self.pool.poll_refill(self.now) {
            self.read(&refill.domain, refill.rows_max);
        }
        while let Some(domain) = self.pool.poll_idle(self.now) {
            if let Some(remembered) = self.pool.remove_destination(self.now, &domain) {
                self.remembered.insert(domain, remembered);
            }
        }
        let timeout = self.pool.poll_timeout();
        assert!(
            timeout.is_none_or(|at| at > self.now),
            "the pool wants to be called again at once"
        );
    }

    fn start(&mut self, start: Start) {
        let Start { domain, item, .. } = start;
        assert!(!self.done.contains(&item), "{item} is done with");
        let found = self.due.get(&item).and_then(|&due_at| {
            let queue = self.queues.get(&domain)?;
            queue.rows.get(&(due_at, item)).cloned()
        });
        let row = found.expect("what is started is in the store");
        assert!(row.due_at <= self.now, "{item} is not due yet");
        let (tenant, class) = (row.tenant().into(), row.class);
        let twice = self.flights.insert(item, row).is_some();
        assert!(!twice, "{item} is in flight twice");
        let record = self.records.entry(Arc::clone(&domain)).or_default();
        record.started += 1;
        record.in_flight += 1;
        record.first_start.get_or_insert(self.now);
        record.order.push((tenant, class));
        let in_flight = self.pool.in_flight();
        self.in_flight_max = self.in_flight_max.max(in_flight);
        assert_eq!(in_flight as usize, self.flights.len());
        assert!(
            in_flight <= self.pool.totals(self.now).budget,
            "above the budget"
        );
        let reply = match self.peers.get_mut(&domain) {
            Some(peer) => peer.answer(self.now, &mut self.entropy),
            None => Reply::lost(),
        };
        let ended = Event::Ended {
            domain,
            item,
            end: reply.end,
            exchange: reply.exchange,
        };
        self.after(reply.takes, ended);
    }

    fn read(&mut self, domain: &Arc<str>, rows_max: usize) {
        self.top_up(domain);
        let Some(queue) = self.queues.get(domain) else {
            return;
        };
        let mut rows = queue.rows.values();
        let items: Vec<Due> = rows
            .by_ref()
            .take_while(|row| row.due_at <= self.now)
            .take(rows_max)
            .map(Due::of)
            .collect();
        let next_due = queue.rows.values().nth(items.len()).map(|row| row.due_at);
        let read = Event::Read {
            domain: Arc::clone(domain),
            items,
            next_due,
        };
        self.after(READ_TIME, read);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Ended {
                domain,
                item,
                end,
                exchange,
            } => self.end(domain, item, end, exchange),
            Event::Committed {
                domain,
                item,
                due_at,
                again,
            } => self.commit(&domain, item, due_at, again),
            Event::Read {
                domain,
                items,
                next_due,
            } => self.pool.handle_offer(self.now, &domain, items, next_due),
        }
    }

    fn end(&mut self, domain: Arc<str>, id: ItemId, end: End, exchange: Duration) {
        let mut item = self.flights.remove(&id).expect("what ends was under way");
        let timed_out = end == End::TimedOut;
        let unreachable = matches!(end, End::Unreachable(_));
        let attempt = Attempt {
            end,
            exchange,
            at: self.now,
        };
        let judgement =
            self.pool
                .handle_finished(self.now, &domain, &item, &attempt, &mut self.entropy);
        let standing = self.pool.describe(self.now, &domain);
        let record = self.records.entry(Arc::clone(&domain)).or_default();
        let ok = matches!(judgement.fate, Fate::Received | Fate::Sent);
        record.in_flight -= 1;
        record.timeouts += u64::from(timed_out);
        record.unreachable += u64::from(unreachable);
        record.delivered += u64::from(judgement.fate.is_final());
        record.failed += u64::from(matches!(judgement.fate, Fate::Failed(_)));
        if ok {
            record.successes.push((self.now, exchange));
        }
        if record.is_traced {
            record.trace.push(Point {
                at: self.now,
                limit: standing.map_or(0, |standing| standing.permitted()),
                in_flight: record.in_flight,
                ok,
                timed_out,
            });
        }
        let due_at = item.due_at;
        let again = match judgement.fate {
            Fate::Stays => return,
            Fate::Later { due_at } => {
                item.attempts += 1;
                item.due_at = due_at;
                Some(Box::new(item))
            }
            Fate::Mishandled { due_at } => {
                item.attempts_internal += 1;
                item.due_at = due_at;
                Some(Box::new(item))
            }
            _ => {
                self.done.insert(id);
                None
            }
        };
        let committed = Event::Committed {
            domain,
            item: id,
            due_at,
            again,
        };
        self.after(COMMIT_TIME, committed);
    }

    /// Only now the store shows what became of an item.
    fn commit(
        &mut self,
        domain: &Arc<str>,
        id: ItemId,
        due_at: Timestamp,
        again: Option<Box<QueueItem>>,
    ) {
        if let Some(queue) = self.queues.get_mut(domain) {
            queue.rows.remove(&(due_at, id));
            self.due.remove(&id);
        }
        if let Some(item) = again {
            self.put(domain, *item);
        }
        self.pool.handle_settled(self.now, domain, id);
    }

    /// The process dies and another one begins: what was under way or not yet committed is found again,
    /// what is remembered of destinations too.
    pub fn crash(&mut self, settings: PoolSettings) {
        for domain in self.pool.domains() {
            if let Some(standing) = self.pool.describe(self.now, domain) {
                self.remembered
                    .insert(Arc::clone(domain), standing.remembered);
            }
        }
        self.pool = Pool::new(self.now, settings);
        self.events.clear();
        self.flights.clear();
        self.done.clear();
        for record in self.records.values_mut() {
            record.in_flight = 0;
        }
        let domains: Vec<Arc<str>> = self.queues.keys().map(Arc::clone).collect();
        for domain in domains {
            self.announce(&domain);
        }
    }

    /// Something waits for `domain`, which may have been forgotten meanwhile.
    fn announce(&mut self, domain: &str) {
        let remembered = self.remembered.get(domain);
        self.pool.add_destination(self.now, domain, remembered);
        self.pool.handle_news(self.now, domain);
    }

    fn after(&mut self, duration: Duration, event: Event) {
        self.numbers += 1;
        self.events
            .insert((self.now + duration, self.numbers), event);
    }

    fn top_up(&mut self, domain: &str) {
        let missing = match self.queues.get(domain) {
            Some(queue) if queue.endless => SUPPLY_READY.saturating_sub(queue.rows.len()),
            _ => 0,
        };
        for _ in 0..missing {
            let item = self.item(domain, "here.example", Class::Bulk, 4_096);
            self.put(domain, item);
        }
    }

    fn put(&mut self, domain: &str, item: QueueItem) {
        if let Some(queue) = self.queues.get_mut(domain) {
            self.due.insert(item.id, item.due_at);
            queue.rows.insert((item.due_at, item.id), item);
        }
    }

    /// A new message for `domain`, due now.
    pub fn item(&mut self, domain: &str, tenant: &str, class: Class, bytes: u64) -> QueueItem {
        self.numbers += 1;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.numbers.to_be_bytes());
        item(ItemId(id), domain, tenant, class, bytes, self.now)
    }
}

/// An item as a queue has it: from `alice` at `tenant` to `bob` at `domain`, accepted and due `now`.
#[must_use]
pub fn item(
    id: ItemId,
    domain: &str,
    tenant: &str,
    class: Class,
    bytes: u64,
    now: Timestamp,
) -> QueueItem {
    let address = |user: &str, domain: &str| {
        AccountAddress::parse(&format!("{user}@{domain}")).expect("tests write good addresses")
    };
    let message_type = match class {
        Class::Interactive => "RequestContact",
        Class::Bulk => "Message",
    };
    QueueItem {
        id,
        sender: address("alice", tenant),
        recipient: address("bob", domain),
        unique_id: id.to_string(),
        message_type: message_type.to_owned(),
        class,
        bytes,
        enqueued_at: now,
        expires_at: retry::expires_at(message_type, now, None),
        due_at: now,
        attempts: 0,
        attempts_internal: 0,
        told_delayed: false,
        last_trouble: None,
        charged_to: None,
    }
}
