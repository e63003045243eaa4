//! What is new in the queue: what others tell of it, what is looked for because nobody may have told, and what is read
//! then.

use std::sync::Arc;

use mesh_common::delivery::pool::Refill;
use mesh_common::delivery::{QueueItem, ShardId};
use mesh_common::limits::{ITEMS_LOADED_MAX, OUTBOUND_ITEMS_MAX, OUTBOUND_POLL_INTERVAL};
use mesh_common::time::Timestamp;

use super::{Dispatcher, Done, ITEMS_EACH_MIN, Look, OPENING_MAX};
use crate::outbound::bell::{Note, Rung};
use crate::outbound::{load, once};
use crate::store::Store;

impl<S: Store> Dispatcher<S> {
    /// Takes in what was told.
    pub(super) fn listen(&mut self, now: Timestamp) {
        let Rung {
            items,
            destinations,
            told,
            doubtful,
        } = self.shared.queue_bell.take();
        if !self.shared.shards.are_shared() {
            // Others queue too: their commits may be older than one that was told of here, and untold.
            self.told.extend(told);
        }
        for Note {
            destination, due, ..
        } in items
        {
            if self.pool.knows(&destination) {
                self.pool.handle_enqueued(now, &destination, due);
            } else {
                self.handle_news(now, &destination);
            }
        }
        for domain in destinations {
            self.handle_news(now, &domain);
        }
        for shard in doubtful {
            self.scan(shard);
        }
        for domain in self.shared.heard.take() {
            self.pool.handle_peer_spoke(now, &domain);
        }
    }

    /// Something for `domain` is in the store.
    pub(super) fn handle_news(&mut self, now: Timestamp, domain: &str) {
        if !self.holding.works_for(ShardId::of(domain)) {
            return;
        }
        if self.pool.knows(domain) {
            return self.pool.handle_news(now, domain);
        }
        if self.opening.len() >= OPENING_MAX || self.opening.contains(domain) {
            return;
        }
        self.opening.insert(domain.to_owned());
        let (shared, domain) = (Arc::clone(&self.shared), domain.to_owned());
        self.tasks.spawn(async move {
            let remembered = load::remembered(&shared.store, &domain).await;
            Done::Opened { domain, remembered }
        });
    }

    /// Looks now and then for what was queued and not told.
    pub(super) fn look(&mut self, now: Timestamp) {
        if now < self.look_at || self.is_looking || self.is_stopping() {
            return;
        }
        self.is_looking = true;
        self.look_at = now + OUTBOUND_POLL_INTERVAL;
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let looked = async {
                Ok(Look {
                    wakes: load::wakes(&shared.store).await?,
                    is_reordered: shared.orders.refresh(&shared.store).await?,
                    left: once::left(&shared.store).await?,
                })
            };
            Done::Looked(looked.await)
        });
    }

    pub(super) fn scan(&mut self, shard: ShardId) {
        if !self.holding.works_for(shard) || self.is_stopping() {
            return;
        }
        if let Some(again) = self.scanning.get_mut(&shard) {
            *again = true;
            return;
        }
        self.scanning.insert(shard, false);
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let domains = load::destinations(&shared.store, shard).await;
            Done::Scanned { shard, domains }
        });
    }

    /// Looks again at destinations for which the store could not be read.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.again.first()
            && *at <= now
            && let Some((_, domain)) = self.again.pop_first()
        {
            self.handle_news(now, &domain);
        }
    }

    pub(super) fn refill(&mut self, now: Timestamp, refill: Refill) {
        let destinations = self.pool.totals(now).destinations.max(1);
        let each = (OUTBOUND_ITEMS_MAX / destinations).clamp(ITEMS_EACH_MIN, ITEMS_LOADED_MAX);
        let rows_max = refill.rows_max.saturating_sub(ITEMS_LOADED_MAX - each);
        let (shared, domain) = (Arc::clone(&self.shared), refill.domain);
        self.tasks.spawn(async move {
            let is_held = |item: &QueueItem| shared.orders.hold_of(item).is_some();
            let loaded = load::due(&shared.store, &domain, now, rows_max, is_held).await;
            Done::Loaded { domain, loaded }
        });
    }
}
