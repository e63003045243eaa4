//! The round over the whole queue, page by page: the last net (delivery §11). It finds what was
//! there before this life and what nobody was told of, tells senders that their messages are late, gives
//! up what has waited too long, and moves aside what does not read.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::delivery::{QueueItem, ShardId, Trouble, retry};
use mesh_common::limits::{OUTBOUND_ROUND_INTERVAL, OUTBOUND_SHARDS};
use mesh_common::time::Timestamp;

use super::{Dispatcher, Done, report};
use crate::outbound::depths::Tally;
use crate::outbound::load::{Found, Unreadable, found};
use crate::outbound::settle::{Place, Settlement, Then};
use crate::partition::shared::{Shared, chain};
use crate::store::{KeyRange, Limit, Order, Read, Store, StoreError, Tx, TxOptions, keys};

/// Rows of one page.
const PAGE_ROWS: usize = 256;
/// Time between two pages of a round that is not the first.
const PACE: Duration = Duration::from_millis(20);

/// Where the round is.
#[derive(Debug)]
pub(super) struct Round {
    /// What of the queue is left; nothing between two rounds.
    rest: VecDeque<KeyRange>,
    is_reading: bool,
    next_at: Timestamp,
    /// Whether everything that was there at the start was looked at.
    is_over_once: bool,
    /// What this round has found so far.
    tally: Tally,
    /// The destination of the item it found last.
    last_found: Option<String>,
}

/// One page of the queue.
#[derive(Debug)]
pub(crate) struct RoundPage {
    items: Vec<(Box<QueueItem>, Bytes)>,
    unreadable: Vec<Unreadable>,
    rest: Option<KeyRange>,
}

impl Round {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            rest: VecDeque::new(),
            is_reading: false,
            next_at: now,
            is_over_once: false,
            tally: Tally::default(),
            last_found: None,
        }
    }

    /// Whether what was there at the start is known.
    pub(super) const fn is_over_once(&self) -> bool {
        self.is_over_once
    }

    /// When the next page is to be read.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        (!self.is_reading).then_some(self.next_at)
    }

    /// Begins soon, unless a round is under way: there is more to look through than before.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        if !self.is_reading && self.rest.is_empty() {
            self.next_at = self.next_at.min(now);
        }
    }

    /// Begins with the next page. A round goes over the queues of the shards that are worked for when it
    /// begins: nothing, if there are none.
    pub(super) fn take(&mut self, working: impl FnOnce() -> BTreeSet<ShardId>) -> Option<KeyRange> {
        if self.rest.is_empty() {
            self.rest = ranges(&working());
        }
        let range = self.rest.pop_front();
        self.is_reading = range.is_some();
        range
    }

    /// Counts an item; those of one destination lie together.
    fn count(&mut self, item: &QueueItem) {
        self.tally.count(item.class, item.bytes, item.enqueued_at);
        if self.last_found.as_deref() != Some(item.destination()) {
            self.tally.destinations += 1;
            self.last_found = Some(item.destination().to_owned());
        }
    }

    /// A page was read, and `rest` is left of its range. Gives what the round found, if it is over.
    fn turn(&mut self, now: Timestamp, rest: Option<KeyRange>) -> Option<Tally> {
        self.is_reading = false;
        if let Some(rest) = rest {
            self.rest.push_front(rest);
        }
        let is_over = self.rest.is_empty();
        self.next_at = match (is_over, self.is_over_once) {
            (true, _) => now + OUTBOUND_ROUND_INTERVAL,
            (false, true) => now + PACE,
            (false, false) => now,
        };
        self.is_over_once |= is_over;
        is_over.then(|| {
            self.last_found = None;
            std::mem::take(&mut self.tally)
        })
    }
}

/// The queues of `shards`, those of neighbours together.
fn ranges(shards: &BTreeSet<ShardId>) -> VecDeque<KeyRange> {
    if shards.len() == usize::from(OUTBOUND_SHARDS) {
        return VecDeque::from([keys::all_queues()]);
    }
    let mut ranges: VecDeque<KeyRange> = VecDeque::new();
    for shard in shards {
        let next = keys::queues(*shard);
        match ranges.back_mut() {
            Some(last) if last.end == next.begin => last.end = next.end,
            _ => ranges.push_back(next),
        }
    }
    ranges
}

/// Reads one page.
pub(super) async fn read<S: Store>(
    shared: &Shared<S>,
    range: &KeyRange,
) -> Result<RoundPage, StoreError> {
    let tx = shared.store.begin(TxOptions::default());
    let page = tx
        .range(
            range,
            Limit::rows(PAGE_ROWS),
            Order::Forward,
            Read::Snapshot,
        )
        .await?;
    let mut read = RoundPage {
        items: Vec::new(),
        unreadable: Vec::new(),
        rest: page.rest(range, Order::Forward),
    };
    for row in page.rows {
        let value = row.value.clone();
        match found(row) {
            Found::Item(item) => read.items.push((item, value)),
            Found::Unreadable(unreadable) => read.unreadable.push(unreadable),
            Found::Record => {}
        }
    }
    Ok(read)
}

impl<S: Store> Dispatcher<S> {
    /// Reads the next page of the round, if its time has come.
    pub(super) fn go_round(&mut self, now: Timestamp) {
        if self.round.due_at().is_none_or(|at| at > now) || self.is_stopping() {
            return;
        }
        let Some(range) = self.round.take(|| self.holding.working()) else {
            let tally = self.round.turn(now, None).unwrap_or_default();
            return self.shared.depths.note_tally(tally);
        };
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let page = read(&shared, &range).await;
            Done::Round { range, page }
        });
    }

    pub(super) fn handle_round(
        &mut self,
        now: Timestamp,
        range: KeyRange,
        page: Result<RoundPage, StoreError>,
    ) {
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(cause = chain(&error), "the queue cannot be looked through");
                self.round.turn(now, Some(range));
                self.round.next_at = now + Duration::from_secs(1);
                return;
            }
        };
        let mut due = BTreeSet::new();
        for (item, value) in page.items {
            if self.holding.works_for(item.shard()) {
                self.look_at(now, &item, value, &mut due);
            }
        }
        for unreadable in page.unreadable {
            if self.holding.works_for(unreadable.id.0) {
                self.move_aside(unreadable);
            }
        }
        for domain in due {
            self.handle_news(now, &domain);
        }
        if let Some(tally) = self.round.turn(now, page.rest) {
            self.shared.depths.note_tally(tally);
        }
    }

    fn look_at(
        &mut self,
        now: Timestamp,
        item: &QueueItem,
        value: Bytes,
        due: &mut BTreeSet<String>,
    ) {
        self.round.count(item);
        let is_due = item.due_at <= now || !self.round.is_over_once;
        if is_due && !due.contains(item.destination()) {
            due.insert(item.destination().to_owned());
        }
        if self.busy.contains_key(&item.id) {
            return;
        }
        let place = Place {
            key: keys::queue_item(item.destination(), item.due_at, item.id),
            expected: Some(value),
        };
        if let Some(failure) = self.pool.given_up(now, item) {
            self.give_up(now, item, place, failure);
        } else if retry::is_late(now, item) {
            let trouble = item.last_trouble.clone().or_else(|| {
                let standing = self.pool.describe(now, item.destination());
                standing.and_then(|standing| standing.remembered.trouble)
            });
            self.tell_delayed(now, item, place, trouble);
        }
    }

    /// Tells the sender that the message is late, once. The item waits on where it is.
    pub(super) fn tell_delayed(
        &mut self,
        now: Timestamp,
        item: &QueueItem,
        place: Place,
        trouble: Option<Trouble>,
    ) {
        let after = QueueItem {
            last_trouble: trouble,
            ..item.clone()
        };
        let text = after.last_trouble.as_ref().map(|one| one.text.as_str());
        report(&self.shared, item, "delayed", text);
        self.write(Settlement {
            then: Then::Nothing,
            ..Settlement::delayed(item, place, after, now)
        });
    }
}
