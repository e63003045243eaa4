//! What the futures bring back, and what follows from it.

use std::sync::Arc;

use mesh_common::delivery::pool::Remembered;
use mesh_common::delivery::{BreakerState, Due, Failure, Fate, ItemId, QueueItem, ShardId};
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;

use super::{Dispatcher, Done, Look, RETRY_TIME, complain, report};
use crate::desk::What;
use crate::outbound::load::Loaded;
use crate::outbound::settle::{Place, Settled, Settlement, Then, Unsettled};
use crate::partition::is_too_large;
use crate::partition::shared::chain;
use crate::store::{ProbeError, Store, StoreError};

/// One part in so many of the destinations in memory leaves together where there are too many.
const EVICTED_SHARE: usize = 16;

impl<S: Store> Dispatcher<S> {
    pub(super) fn handle_done(&mut self, done: Done) {
        let now = self.shared.now();
        match done {
            Done::Opened { domain, remembered } => self.handle_opened(now, domain, remembered),
            Done::Loaded { domain, loaded } => self.handle_loaded(now, &domain, loaded),
            Done::Carried { errand, carried } => self.handle_carried(now, errand, carried),
            Done::Local {
                errand,
                item,
                entry,
            } => self.handle_local(now, errand, &item, entry),
            Done::Poison {
                item,
                place,
                reason,
                body,
            } => self.handle_poison(now, (item, place, reason), body),
            Done::Settled(Ok(settled)) => self.handle_settled(now, settled),
            Done::Settled(Err(unsettled)) => self.handle_unsettled(now, unsettled),
            Done::Looked(looked) => self.handle_looked(now, looked),
            Done::CarriedOut { shard, key, done } => self.handle_carried_out(now, shard, key, done),
            Done::Scanned { shard, domains } => self.handle_scanned(now, shard, domains),
            Done::Round { range, page } => self.handle_round(now, range, page),
            Done::Aside { unreadable, body } => self.handle_aside(&unreadable, body),
            Done::Arrived { tenures, cautious } => self.handle_arrived(now, tenures, cautious),
        }
    }

    // ---- Destinations ----

    fn handle_opened(
        &mut self,
        now: Timestamp,
        domain: String,
        remembered: Result<Option<Remembered>, StoreError>,
    ) {
        self.opening.remove(&domain);
        let remembered = match remembered {
            Ok(remembered) => remembered.filter(|one| one.domain == domain),
            Err(error) => {
                complain(&error, "destination");
                self.again.insert((now + RETRY_TIME, domain));
                return;
            }
        };
        if !self.holding.works_for(ShardId::of(&domain)) || !self.has_room(now, remembered.as_ref())
        {
            return;
        }
        self.pool.add_destination(now, &domain, remembered.as_ref());
        if let Some(remembered) = &remembered {
            self.records.opened(&domain, remembered);
        }
        self.obey(now, &domain);
        self.pool.handle_news(now, &domain);
    }

    /// Holds a destination, or lets it go, as operators have it.
    pub(super) fn obey(&mut self, now: Timestamp, domain: &str) {
        let order = self.shared.orders.of_destination(What::Hold, domain);
        if order.is_some() {
            self.pool.hold(now, domain);
        } else {
            self.pool.resume(now, domain);
        }
    }

    /// Whether one more destination has room in memory. Where there is none, those leave that do not answer
    /// and are not tried soon; the round over the queue brings them back in time.
    fn has_room(&mut self, now: Timestamp, remembered: Option<&Remembered>) -> bool {
        let destinations = self.pool.totals(now).destinations;
        if destinations < self.destinations_max - self.evicted_together() {
            return true;
        }
        let is_away = remembered.is_some_and(|one| one.reopens_at.is_some_and(|at| at > now));
        if is_away {
            return false;
        }
        if destinations >= self.destinations_max {
            self.evict(now);
        }
        self.pool.totals(now).destinations < self.destinations_max
    }

    /// Destinations that leave memory together where there are too many.
    fn evicted_together(&self) -> usize {
        self.destinations_max.div_ceil(EVICTED_SHARE)
    }

    fn evict(&mut self, now: Timestamp) {
        let is_away = |domain: &&Arc<str>| {
            let standing = self.pool.describe(now, domain);
            standing.is_some_and(|one| {
                one.breaker == BreakerState::Open
                    && one.in_flight == 0
                    && one.ready_at.is_some_and(|at| at > now)
            })
        };
        let away: Vec<Arc<str>> = self
            .pool
            .domains()
            .filter(is_away)
            .take(self.evicted_together())
            .map(Arc::clone)
            .collect();
        for domain in away {
            self.close(now, &domain);
        }
    }

    fn handle_loaded(&mut self, now: Timestamp, domain: &str, loaded: Result<Loaded, StoreError>) {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                complain(&error, "items");
                let again_at = Some(now + RETRY_TIME);
                return self.pool.handle_offer(now, domain, Vec::new(), again_at);
            }
        };
        let (mut due, mut next_due) = (Vec::with_capacity(loaded.items.len()), loaded.next_due);
        for item in &loaded.items {
            match self.pool.given_up(now, item) {
                Some(failure) => self.give_up(now, item, Place::of(item), failure),
                None => due.push(Due::of(item)),
            }
        }
        if due.is_empty() && !loaded.items.is_empty() {
            // All of them are given up: what is behind them is read when that is committed.
            next_due = next_due.map(|at| at.max(now + RETRY_TIME));
        }
        for unreadable in loaded.unreadable {
            self.move_aside(unreadable);
        }
        self.pool.handle_offer(now, domain, due, next_due);
    }

    /// An item is not sent any more, unless it is under way, or this is on its way to be committed already.
    pub(super) fn give_up(
        &mut self,
        now: Timestamp,
        item: &QueueItem,
        place: Place,
        failure: Failure,
    ) {
        if self.busy.contains_key(&item.id) || !self.ending.insert(item.id) {
            return;
        }
        report(&self.shared, item, "failed", Some(&failure.text));
        let told = (MessageState::Failed, Some(failure.text.as_str()));
        self.write(Settlement::over(item, place, told, now));
        let metrics = &self.shared.metrics.outbound;
        metrics.settled(&Fate::Failed(failure));
    }

    fn handle_looked(&mut self, now: Timestamp, looked: Result<Look, StoreError>) {
        self.is_looking = false;
        match looked {
            Ok(look) => {
                if look.is_reordered {
                    self.handle_orders_changed(now);
                }
                for left in look.left {
                    self.carry_out(left);
                }
                for (shard, stamp) in look.wakes {
                    let known = self.told.insert(shard, stamp);
                    // What was there at the start is found by the first round.
                    let is_new = known.is_none_or(|known| known < stamp);
                    if is_new && self.round.is_over_once() {
                        self.scan(shard);
                    }
                }
            }
            Err(error) => complain(&error, "wakes"),
        }
    }

    fn handle_scanned(
        &mut self,
        now: Timestamp,
        shard: ShardId,
        domains: Result<Vec<String>, StoreError>,
    ) {
        let is_again = self.scanning.remove(&shard).unwrap_or_default();
        match domains {
            Ok(domains) => {
                for domain in domains {
                    self.handle_news(now, &domain);
                }
                if is_again {
                    self.scan(shard);
                }
            }
            Err(error) => {
                complain(&error, "destinations");
                // The next look takes what was queued there for new.
                self.told.remove(&shard);
            }
        }
    }

    // ---- Commits ----

    fn handle_settled(&mut self, now: Timestamp, settled: Settled) {
        self.ledger.landed();
        for (settlement, done) in settled.settlements {
            if let Some(reply) = settlement.reply {
                let _gone = reply.send(done);
            }
            match settlement.then {
                Then::Nothing => {}
                Then::Carry(errand) => self.carry(errand),
                Then::Released(errand) => self.release(now, &errand),
                Then::Settled { domain, id } => {
                    self.be_done_with(id);
                    self.pool.handle_settled(now, &domain, id);
                }
                Then::Changed { domain, id } => self.handle_changed(now, &domain, id),
            }
        }
    }

    /// Somebody else than who sends it changed an item.
    fn handle_changed(&mut self, now: Timestamp, domain: &str, id: ItemId) {
        self.ending.remove(&id);
        self.pool.withdraw(now, domain, id);
        self.handle_news(now, domain);
    }

    fn handle_unsettled(&mut self, now: Timestamp, unsettled: Unsettled) {
        let Unsettled {
            settlements,
            error,
            lost,
        } = unsettled;
        let (gone, left): (Vec<_>, Vec<_>) = settlements
            .into_iter()
            .partition(|one| lost.contains(&one.shard));
        let is_fenced = matches!(error, ProbeError::Refused(_));
        if !is_fenced {
            tracing::error!(
                cause = chain(&error),
                outcomes = left.len(),
                "outcomes of deliveries are not committed; they are tried again"
            );
        }
        let how = (is_fenced && !lost.is_empty(), is_too_large(&error));
        self.ledger.put_back(left, self.moment(), how);
        if !lost.is_empty() {
            let records = self.holding.records();
            let lost = records.into_iter().filter(|(one, _)| lost.contains(one));
            self.lose(now, &lost.collect(), gone);
        }
    }
}
