//! One item at a time, where owners of shards ended badly again and again (delivery §13, "poison"): of all
//! such shards of the node together, so that it is known which item it was. Other shards go on as always.

use std::collections::VecDeque;
use std::sync::Arc;

use mesh_common::delivery::{ItemId, ShardId};
use mesh_common::time::Timestamp;

use super::Dispatcher;
use crate::outbound::transfer::Errand;
use crate::store::Store;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Careful {
    /// The item that is being handled.
    item: Option<ItemId>,
    /// Destinations that wait for their turn. The pool holds them meanwhile.
    waiting: VecDeque<Arc<str>>,
}

impl Careful {
    /// Whether it is the turn of `errand`: then it has begun.
    pub(super) fn take(&mut self, errand: &Errand) -> bool {
        let is_free = self.item.is_none();
        if is_free {
            self.item = Some(errand.id);
        }
        is_free
    }

    /// Whether nothing is being handled, and destinations wait for their turn.
    pub(super) fn is_wanted(&self) -> bool {
        self.item.is_none() && !self.waiting.is_empty()
    }
}

impl<S: Store> Dispatcher<S> {
    /// Another item is being handled: the destination waits until it is its turn.
    pub(super) fn wait_for_turn(&mut self, errand: &Errand) {
        let now = self.shared.now();
        self.pool.handle_released(now, &errand.domain, errand.id);
        self.pool.hold(now, &errand.domain);
        self.careful.waiting.push_back(Arc::clone(&errand.domain));
    }

    /// What became of an item is known, or it is no business of ours any more.
    pub(super) fn be_done_with(&mut self, id: ItemId) {
        self.busy.remove(&id);
        if self.careful.item == Some(id) {
            self.careful.item = None;
        }
    }

    /// Gives the turn to the destination that has waited longest. Whether it makes use of it is seen later: as
    /// long as nothing begins, the next one gets it too.
    pub(super) fn give_turn(&mut self) {
        while self.careful.is_wanted()
            && let Some(domain) = self.careful.waiting.pop_front()
        {
            if self.holding.works_for(ShardId::of(&domain)) {
                return self.let_begin(&domain);
            }
        }
    }

    /// Goes on at full pace, once it was slow for long enough and nothing is being handled.
    pub(super) fn end_caution(&mut self, now: Timestamp) {
        if self.careful.item.is_some() || !self.holding.end_caution(now) {
            return;
        }
        tracing::info!(
            shards = self.holding.cautious_count(),
            "items are sent at full pace again but for these shards"
        );
        for domain in std::mem::take(&mut self.careful.waiting) {
            self.let_begin(&domain);
        }
    }

    fn let_begin(&mut self, domain: &str) {
        let now = self.shared.now();
        self.obey(now, domain);
        // What had begun was forgotten: it is read again.
        self.handle_news(now, domain);
    }
}
